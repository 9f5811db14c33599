"""A request that the gateway does not understand, made ready to go on: to whom, with what taken out, about which objects.

What is not named here goes through as it came. The answer needs no translation either; ``object_ids.answer_ids`` reads
out of it which key now has what.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote_plus

import attrs

from bifrost.catalog import MAX_MODEL, Catalog
from bifrost.codecs.json import (
    InvalidJSON,
    dumps_str,
    join_object,
    loads,
    split_array,
    split_object,
)
from bifrost.errors import BadRequest
from bifrost.integrations.body_model import model_of, read_object
from bifrost.integrations.forwarding import (
    NEVER_FORWARDED,
    NEVER_FORWARDED_PREFIXES,
    check_size,
    is_plain_text,
)
from bifrost.integrations.headers import HeaderLines
from bifrost.integrations.object_ids import request_ids
from bifrost.integrations.relay_routes import Relayed
from bifrost.schema.call import RawMembers, Target
from bifrost.schema.payload import Field, File, Form

if TYPE_CHECKING:
    from bifrost.integrations.forwarding import Forwarding
    from bifrost.schema.call import Caller

__all__ = [
    "MAX_QUERY",
    "PROVIDER_HEADER",
    "BodyKind",
    "Changes",
    "RelayRequest",
    "batch_model",
    "body_kind",
    "changed_form",
    "checked_query",
    "first_line",
    "relay_request",
    "relayed_lines",
]

MAX_QUERY: Final = 16 * 1024
"""Bytes."""

Changes = Mapping[str, bytes | None]
"""Names of form fields to the values that they are to have; ``None`` takes the field out."""

NO_CHANGES: Changes = MappingProxyType({})

PROVIDER_HEADER = b"x-model-provider"

NEVER_RELAYED = NEVER_FORWARDED | {
    PROVIDER_HEADER.decode(),
    "forwarded",
    "origin",
    "referer",
    "x-real-ip",
    "x-request-id",
}
"""Credentials, what frames the message, what tells of the caller's way here or belongs to his browser, and ours.

``content-type`` is sent too, but apart.
"""

NEVER_RELAYED_PREFIXES = (
    *NEVER_FORWARDED_PREFIXES,
    *("x-forwarded-", "access-control-", "sec-", "cf-", "x-envoy-"),
)

OF_AN_ACCOUNT = frozenset({"openai-organization", "openai-project", "x-goog-user-project"})
"""Chosen by whoever the key belongs to: the caller's with a direct key, the operator's with a stored one."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,128}")
_JSON_TYPE = re.compile(rb"application/(?:[a-z0-9.!#$&^_-]+\+)?json", re.IGNORECASE)


class BodyKind(enum.Enum):
    """How a body is to be read before ``relay_request``."""

    JSON = "json"
    """In full, into memory."""
    FORM = "form"
    """As ``multipart/form-data``: the fields into memory, the files wherever they are kept."""
    OPAQUE = "opaque"
    """Not at all."""


def body_kind(content_type: bytes | None) -> BodyKind:
    """What ``content_type`` says of the body. Without one it is nobody's business."""
    kind = (content_type or b"").partition(b";")[0].strip()
    if _JSON_TYPE.fullmatch(kind):
        return BodyKind.JSON
    return BodyKind.FORM if kind.lower() == b"multipart/form-data" else BodyKind.OPAQUE


@attrs.frozen(kw_only=True)
class RelayRequest:
    """What goes upstream."""

    route: Relayed
    method: str
    query: str
    """As it came, without what was meant for the gateway."""
    target: Target
    """``model`` is empty where the request names none."""
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    """All of the caller's that are to be sent, ``x-bf-eh-…`` among them; lower case, and no ``content-type``."""
    content_type: bytes | None
    """The caller's own, boundary and all; to be replaced where a form is written anew."""
    json: bytes = attrs.field(default=b"", repr=False)
    """The JSON body to send: the very bytes that came, unless something had to be taken out of them."""
    form_changes: Changes = NO_CHANGES
    """If not empty, the form must be written anew with these; else it may go through byte by byte."""
    ids: tuple[str, ...] = ()
    """Objects that the request names, the most telling first: for ``Owners.owner``."""
    stream: bool = False
    """Whether the caller asks for events. Whether he gets them the answer's ``content-type`` says."""


def relay_request(
    route: Relayed,
    method: str,
    query: bytes,
    headers: HeaderLines,
    *,
    caller: Caller,
    catalog: Catalog,
    forwarding: Forwarding,
    json: bytes = b"",
    fields: tuple[tuple[str, bytes], ...] = (),
    names_provider: bool = False,
    default: str | None = None,
) -> RelayRequest:
    """What to send for a request to ``route``.

    ``query`` is as it came, without question mark; ``headers`` have their names in lower case; ``json`` is the body if it
    is JSON, unpacked; ``fields`` are the fields of a form without its files. ``default`` is whom it is for unless it says
    so, OpenAI (or Azure, for a client of it) if not given; with ``names_provider`` the request has to say it.
    Raises BadRequest if the query, a header, the provider or the model is not what it should be, or the upstream might
    read another model (``body_model``). A body that nobody takes for an object is left for the upstream to refuse.
    """
    text = checked_query(query)
    body = read_object(json)
    members = body.members
    in_form = model_of(
        value.decode("utf-8", "replace") for name, value in fields if name == "model"
    )
    model, doubt = (body.model, body.doubt) if json else in_form
    if doubt:
        raise BadRequest(doubt, param="model")
    said = _Said(text, headers, members, fields, catalog, model)
    unsaid = "" if names_provider else default or _default(caller)
    target, changes = _target(said, unsaid)
    return RelayRequest(
        route=route,
        method=method,
        query=_without_provider(text),
        target=target,
        headers=relayed_lines(headers, caller, forwarding, target.provider),
        content_type=first_line(headers, b"content-type"),
        json=_changed_json(json, members, changes),
        form_changes={} if members else changes,
        ids=request_ids(route.ids, query=text, json=json, fields=fields),
        stream=said.stream(),
    )


def batch_model(json: bytes, provider: str) -> str:
    """The model of the first of a batch's ``requests``, if they stand in the body ``json``: the key has to serve it."""
    try:
        requests = split_array(split_object(json).get("requests", b"[]"))
        first = split_object(requests[0]) if requests else {}
        asked = split_object(first.get("params", first.get("body", b"{}")))
    except InvalidJSON:
        return ""
    return _text(asked.get("model", b""))[:MAX_MODEL].removeprefix(f"{provider}/")


def changed_form(form: Form, changes: Changes) -> Form:
    """``form`` with its fields as ``changes`` want them; files stay, whatever they are called."""
    if not changes:
        return form
    parts: list[Field | File] = []
    for part in form:
        if part.name not in changes or isinstance(part, File):
            parts.append(part)
        elif (value := changes[part.name]) is not None:
            parts.append(attrs.evolve(part, value=value))
    return tuple(parts)


def checked_query(query: bytes) -> str:
    """``query`` as text. Raises BadRequest if it could not stand in a request line; 414 past ``MAX_QUERY`` bytes."""
    if len(query) > MAX_QUERY:
        raise BadRequest(f"the query must have at most {MAX_QUERY} bytes", status=414)
    text = query.decode("latin-1")
    if not text.isascii() or not text.isprintable() or " " in text or "#" in text:
        raise BadRequest("the query must be percent-encoded ASCII")
    return text


def _without_provider(query: str) -> str:
    """``query`` without the gateway's own pairs, the others as they are."""
    pairs = query.split("&")
    kept = [pair for pair in pairs if unquote_plus(pair.partition("=")[0]) != "provider"]
    return query if len(kept) == len(pairs) else "&".join(kept)


@attrs.frozen
class _Said:
    """A request's words, wherever they stand."""

    query: str
    headers: HeaderLines = attrs.field(repr=False)
    members: RawMembers = attrs.field(repr=False)
    fields: tuple[tuple[str, bytes], ...] = attrs.field(repr=False)
    catalog: Catalog
    model: str

    def asked_provider(self) -> str | None:
        """The provider that query or header name. Raises BadRequest if there is no such."""
        asked = next((value for name, value in self._pairs() if name == "provider"), None)
        if not asked:
            asked = (first_line(self.headers, PROVIDER_HEADER) or b"").decode("latin-1")
        name = asked.strip().lower()
        if name and name not in self.catalog.known:
            raise BadRequest(f"there is no provider {name[:64]!r}", param="provider")
        return name or None

    def body_provider(self) -> str | None:
        """The provider that the body's own ``provider`` names; anything else there is the upstream's affair."""
        name = self.word("provider").strip().lower()
        return name if name in self.catalog.known else None

    def word(self, name: str) -> str:
        """The body's member or field ``name`` if it is text, else ``""``."""
        if self.members:
            return _text(self.members.get(name, b""))
        found = next((value for field, value in self.fields if field == name), b"")
        return found.decode("utf-8", "replace")

    def stream(self) -> bool:
        """Whether events are asked for: by body, form, query, or the kind of answer that is accepted."""
        if self.members.get("stream") == b"true":
            return True
        asked = [value for name, value in self._pairs() if name == "stream"]
        asked += [value.decode("latin-1") for name, value in self.fields if name == "stream"]
        accepted = first_line(self.headers, b"accept") or b""
        is_asked = any(value.lower() in {"true", "1"} for value in asked)
        return is_asked or accepted.strip().lower().startswith(b"text/event-stream")

    def _pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(self.query, keep_blank_values=True)


def _text(raw: bytes) -> str:
    """The string that ``raw`` is, ``""`` if it is something else, which may be large and is not decoded."""
    # ``split_object`` has seen to it that a string is one.
    return str(loads(raw)) if raw.startswith(b'"') else ""


def _default(caller: Caller) -> str:
    return "azure" if "AzureOpenAI" in caller.user_agent else "openai"


def _target(said: _Said, default: str) -> tuple[Target, Changes]:
    """Who is to serve it, and what must change in the body for that."""
    changes: dict[str, bytes | None] = {}
    by_body = said.body_provider()
    if by_body is not None:
        changes["provider"] = None
    model = said.model
    if len(model) > MAX_MODEL:
        raise BadRequest(f"model must have at most {MAX_MODEL} characters", param="model")
    meant = said.catalog.parse(model, "")
    provider = said.asked_provider() or by_body or meant.provider or default
    if not provider:
        raise BadRequest("provider query parameter is required", param="provider")
    # Another provider's name in front is part of the model's (OpenRouter's are spelt so).
    if meant.model and meant.provider == provider:
        changes["model"] = dumps_str(meant.model) if said.members else meant.model.encode()
        model = meant.model
    return Target(provider, model), changes


def _changed_json(json: bytes, members: RawMembers, changes: Changes) -> bytes:
    if not members or not changes:
        return json
    changed = {name: changes.get(name, value) for name, value in members.items()}
    return join_object({name: value for name, value in changed.items() if value is not None})


def relayed_lines(
    headers: HeaderLines, caller: Caller, forwarding: Forwarding, provider: str
) -> tuple[tuple[str, str], ...]:
    """The caller's lines for the upstream, names in lower case and without ``content-type``. Raises BadRequest.

    What was asked for by prefix outranks what merely came along.
    """
    asked = {name for name, _ in caller.extra_headers}
    kept_back = _nominated(headers) | asked
    if caller.own_key(provider) is None:
        kept_back |= OF_AN_ACCOUNT
    lines = [_line(name, value) for name, value in headers if _is_relayed(name, forwarding)]
    told = [line for line in lines if line[0] not in kept_back]
    told.extend(caller.extra_headers)
    check_size(told)
    return tuple(told)


def _is_relayed(name: bytes, forwarding: Forwarding) -> bool:
    text = name.decode("latin-1")
    is_ours = text in NEVER_RELAYED or text.startswith(NEVER_RELAYED_PREFIXES)
    return not is_ours and text not in forwarding.denied


def _line(name: bytes, value: bytes) -> tuple[str, str]:
    text, content = name.decode("latin-1"), value.decode("latin-1")
    if _NAME.fullmatch(text) is None:
        raise BadRequest("a header to relay has no proper name")
    if not is_plain_text(content):
        raise BadRequest(f"header {text} has control characters in its value")
    return text, content


def _nominated(headers: HeaderLines) -> set[str]:
    """Headers that ``connection`` says are for this connection only (RFC 9110, section 7.6.1)."""
    values = (value.decode("latin-1") for name, value in headers if name == b"connection")
    return {name.strip().lower() for value in values for name in value.split(",")}


def first_line(headers: HeaderLines, wanted: bytes) -> bytes | None:
    """The value of the first header of that name."""
    return next((value for name, value in headers if name == wanted), None)
