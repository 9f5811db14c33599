"""The passthrough routes: a provider's own API below a prefix, with a key of the gateway's. Pure.

Nothing is translated. Method, path, query and body go on as they came; what is looked for in them is only who is to serve
it, with which model, and whether the answer is a stream.

A key may be for some models only, so what names a model in two ways, or cannot be read for certain, is refused: the
upstream might read it otherwise.
"""

from __future__ import annotations

import re
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, unquote_plus

import attrs

from bifrost.catalog import MAX_MODEL
from bifrost.codecs.multipart import FormDecoder, InvalidForm, PartHead, boundary_of
from bifrost.errors import BadRequest, MethodNotAllowed, RouteNotFound, UnsupportedOperation
from bifrost.integrations.body_model import UNREADABLE, model_of, read_object
from bifrost.integrations.object_ids import named_ids, request_ids
from bifrost.integrations.paths import safe_path
from bifrost.integrations.relay import (
    PROVIDER_HEADER,
    BodyKind,
    body_kind,
    checked_query,
    first_line,
    relayed_lines,
)
from bifrost.integrations.relay_routes import ADMIN_REFUSED, METHODS, is_administrative
from bifrost.schema.call import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.catalog import Catalog
    from bifrost.integrations.forwarding import Forwarding
    from bifrost.integrations.headers import HeaderLines
    from bifrost.schema.call import Caller

__all__ = [
    "NOTHING_SAID",
    "PREFIXES",
    "PROVIDERS",
    "TOO_LONG",
    "FormReading",
    "PassthroughRequest",
    "PassthroughRoute",
    "Said",
    "passthrough_request",
    "passthrough_route",
    "said_in_json",
    "without_credentials",
]

GOOGLE: Final = ""
"""Stands for one of Google's two, which the request itself tells apart."""

PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "/openai_passthrough": "openai",
        "/anthropic_passthrough": "anthropic",
        "/genai_passthrough": GOOGLE,
    }
)
"""With the provider that each is for, unless ``x-model-provider`` names another."""

PROVIDERS: Final = frozenset({"openai", "anthropic", "gemini", "vertex"})
"""Whom one can be passed through to; custom providers that are made of them, too."""

WITH_ADMINS = frozenset({"openai", "anthropic"})
"""Providers whose administration is part of the same API."""

OF_GOOGLE = frozenset({"gemini", "vertex"})

GOOGLES_CREDENTIALS = frozenset({"key", "access_token", "oauth_token"})
"""Pairs of a query that prove who asks. Source: Google's standard query parameters, read 2026-11."""

MAX_TOLD_PATH = 256
MAX_FORM_VALUE = 4096

BROKEN_FORM = "the form's model cannot be read for certain"

_OTHER_UNICODE = re.compile(rb";\s*charset\s*=\s*\"?utf-?(?:7|16|32)", re.IGNORECASE)

_IN_PROJECT = re.compile(r"(?:^|/)projects/[^/]+/locations/")
_MODEL = re.compile(r"(?:^|/)(?:models|tunedModels)/([^/]+)")
_GENERATES = re.compile(
    r"(?:/v\d[a-z0-9]*)?/(?:(?:chat/)?completions|responses(?:/input_tokens)?|embeddings|moderations"
    r"|audio/(?:speech|transcriptions|translations)|images/(?:generations|edits|variations)"
    r"|complete|messages(?:/count_tokens)?)/?"
    r"|/.+:(?:(?:streamG|g)enerateContent|(?:batchE|e)mbedContents?|(?:count|compute)Tokens|predict|(?:streamR|r)awPredict)/?"
)
"""Paths, of either vendor, where tokens are asked for and no more."""


@attrs.frozen
class PassthroughRoute:
    """Where a request came in."""

    template: str
    """For metrics and logs."""
    provider: str
    """As ``PREFIXES`` has it."""
    path: str
    """The provider's, from its slash on."""


def passthrough_route(method: str, raw_path: bytes) -> PassthroughRoute:
    """The route of a request whose path begins with one of ``PREFIXES``.

    Raises BadRequest for a path that could mean another one, or another host, to whoever reads it next (see
    ``safe_path``); RouteNotFound where there is nothing behind the prefix, MethodNotAllowed.
    """
    path = safe_path(raw_path)
    prefix, slash, rest = path[1:].partition("/")
    prefix = f"/{prefix}"
    if prefix not in PREFIXES or not slash:
        raise RouteNotFound(f"Route not found: {path[:MAX_TOLD_PATH]}")
    if "@" in unquote(rest.partition("/")[0]):
        raise BadRequest("the path must not begin with anything that could be taken for a host")
    if method not in METHODS:
        raise MethodNotAllowed(f"Method not allowed: {path[:MAX_TOLD_PATH]}")
    # The one thing that ``safe_path`` takes off and some servers go by.
    ending = "/" if raw_path.endswith(b"/") else ""
    return PassthroughRoute(f"{prefix}/{{path}}", PREFIXES[prefix], f"/{rest}{ending}")


@attrs.frozen(kw_only=True)
class Said:
    """What a body says, as far as it was looked at."""

    model: str = ""
    stream: bool = False
    json: bytes = attrs.field(default=b"", repr=False)
    doubt: str = ""
    """Why the upstream may read another model than ``model``; empty if it cannot."""


NOTHING_SAID = Said()
TOO_LONG = Said(doubt="the body is too long for its model to be looked for")


def said_in_json(body: bytes) -> Said:
    """What ``body`` says; nothing if nobody takes it for an object, which is for the upstream to refuse."""
    read = read_object(body)
    return Said(
        model=read.model,
        stream=read.members.get("stream") == b"true",
        json=body if read.members else b"",
        doubt=read.doubt,
    )


class FormReading:
    """Looks through a form for the fields ``model`` and ``stream``, push style."""

    def __init__(self, content_type: bytes) -> None:
        self._models: list[bytes] = []
        self._streams: list[bytes] = []
        self._found: list[bytes] | None = None
        self._decoder: FormDecoder | None = None
        with suppress(InvalidForm):
            self._decoder = FormDecoder(boundary_of(content_type))

    @property
    def is_over(self) -> bool:
        """Whether further blocks need not be fed: it is no form, or one that others may read otherwise."""
        return self._decoder is None

    def feed(self, block: bytes) -> None:
        """More of the body."""
        if self._decoder is None:
            return
        try:
            for event in self._decoder.feed(block):
                if isinstance(event, PartHead):
                    self._begin(event)
                elif isinstance(event, bytes) and self._found is not None:
                    self._found[-1] = (self._found[-1] + event)[:MAX_FORM_VALUE]
        except InvalidForm:
            self._decoder = None

    def _begin(self, head: PartHead) -> None:
        # Without a file's name it is a field to most readers, of whatever type it is said to be.
        fields = {} if head.filename else {"model": self._models, "stream": self._streams}
        self._found = fields.get(head.name)
        if self._found is not None:
            self._found.append(b"")

    def said(self) -> Said:
        """What it says so far."""
        model, doubt = model_of(value.decode("utf-8", "replace") for value in self._models)
        return Said(
            model=model,
            stream=any(value.lower() in {b"true", b"1"} for value in self._streams[:1]),
            doubt=BROKEN_FORM if self.is_over else doubt,
        )


@attrs.frozen(kw_only=True)
class PassthroughRequest:
    """What goes upstream, apart from the body."""

    target: Target
    """``model`` is empty where the request names none."""
    query: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    """Lower case, without ``content-type``."""
    content_type: bytes | None
    ids: tuple[str, ...]
    """Objects that the request names."""
    stream: bool
    is_generation: bool


def passthrough_request(
    route: PassthroughRoute,
    method: str,
    query: bytes,
    headers: HeaderLines,
    *,
    caller: Caller,
    catalog: Catalog,
    forwarding: Forwarding,
    said: Said = NOTHING_SAID,
    relay_admin: bool = False,
) -> PassthroughRequest:
    """What to send for a request to ``route``; ``query`` is as it came, ``headers`` have their names in lower case.

    Raises BadRequest if the query, a header, the provider or the model is not what it should be; with 403 for what is the
    account's operator's, unless ``relay_admin`` (``client.relay_admin_routes``). UnsupportedOperation if the provider has no
    passthrough.
    """
    text = checked_query(query)
    provider = _provider(route, headers, said, catalog)
    base = catalog.base(provider)
    if base not in PROVIDERS:
        raise UnsupportedOperation(f"passthrough is not supported by {provider} provider")
    if base in WITH_ADMINS and not relay_admin and is_administrative(route.path):
        raise ADMIN_REFUSED.error()
    content_type = first_line(headers, b"content-type")
    is_generation = method == "POST" and _GENERATES.fullmatch(route.path) is not None
    if is_generation or body_kind(content_type) is not BodyKind.OPAQUE:
        _refuse_doubt(route.path, said, content_type or b"")
    return PassthroughRequest(
        target=Target(provider, _model(route.path, said, is_googles=base in OF_GOOGLE)),
        query=without_credentials(text) if base in OF_GOOGLE else text,
        headers=relayed_lines(headers, caller, forwarding, provider),
        content_type=content_type,
        ids=request_ids(named_ids(route.path.split("/")), query=text, json=said.json),
        stream=said.stream or "stream" in route.path.lower(),
        is_generation=is_generation,
    )


def _refuse_doubt(path: str, said: Said, content_type: bytes) -> None:
    """Refuse a body of which the upstream may read another model than the gateway. Where the path names it, none counts."""
    is_foreign = body_kind(content_type) is BodyKind.JSON and _OTHER_UNICODE.search(content_type)
    doubt = UNREADABLE if is_foreign else said.doubt
    if doubt and _MODEL.search(path) is None:
        raise BadRequest(doubt, param="model")


def _provider(route: PassthroughRoute, headers: HeaderLines, said: Said, catalog: Catalog) -> str:
    asked = (first_line(headers, PROVIDER_HEADER) or b"").decode("latin-1").strip().lower()
    if asked:
        if asked not in catalog.known:
            raise BadRequest(f"there is no provider {asked[:64]!r}", param="provider")
        return asked
    if route.provider != GOOGLE:
        return route.provider
    scheme, _, token = (first_line(headers, b"authorization") or b"").partition(b" ")
    is_token = scheme.lower() == b"bearer" and token.strip().startswith(b"ya29.")
    is_vertex = is_token or any(map(_IN_PROJECT.search, (route.path, said.model)))
    return "vertex" if is_vertex else "gemini"


def _model(path: str, said: Said, *, is_googles: bool) -> str:
    """The model for keys and log. Google's paths go on behind it, after a colon, and its bodies may name it by such a path."""
    found = _MODEL.search(path)
    model = unquote(found[1]) if found else said.model
    if is_googles:
        in_body = _MODEL.search(model)
        model = (in_body[1] if in_body else model).partition(":")[0]
    if len(model) > MAX_MODEL:
        raise BadRequest(f"model must have at most {MAX_MODEL} characters", param="model")
    return model


def without_credentials(query: str) -> str:
    """``query``, which is of Google's API, without what proves who asks."""
    pairs = query.split("&")
    kept = [p for p in pairs if unquote_plus(p.partition("=")[0]) not in GOOGLES_CREDENTIALS]
    return query if len(kept) == len(pairs) else "&".join(kept)
