"""Files and batches as Anthropic's SDKs ask for them, below ``/anthropic``: the routes, and what a request means in OpenAI's words.

A provider of the same dialect gets the request as it came (``Call.native``), any other what it means (``Call.relay``).
Source: Anthropic API reference, "Message Batches" and "Files", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from bifrost.codecs.multipart import encode_form, form_content_type
from bifrost.errors import MethodNotAllowed, RouteNotFound, UnsupportedOperation
from bifrost.integrations.anthropic import PREFIX
from bifrost.integrations.anthropic_lists import as_openai_asks
from bifrost.integrations.headers import HeaderLines
from bifrost.integrations.relay import batch_model, changed_form, relay_request
from bifrost.integrations.relay_routes import Relayed
from bifrost.schema.call import Call, Dialect, Native, Operation, Relay, Surface, Target
from bifrost.schema.payload import Field, File, Form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.catalog import Catalog
    from bifrost.integrations.headers import HeaderRules
    from bifrost.integrations.relay import RelayRequest
    from bifrost.schema.call import Caller
    from bifrost.schema.payload import Payload

__all__ = [
    "LISTS",
    "OBJECT_ROUTES",
    "ObjectRoute",
    "ObjectsAsked",
    "as_openai",
    "is_for_objects",
    "object_route",
]

FILES, BATCHES = "/v1/files", "/v1/messages/batches"

OBJECT_ROUTES: Mapping[tuple[str, str], Operation] = MappingProxyType(
    {
        ("POST", f"{PREFIX}{BATCHES}"): Operation.BATCH_CREATE,
        ("GET", f"{PREFIX}{BATCHES}"): Operation.BATCH_LIST,
        ("GET", f"{PREFIX}{BATCHES}/{{id}}"): Operation.BATCH_RETRIEVE,
        ("DELETE", f"{PREFIX}{BATCHES}/{{id}}"): Operation.BATCH_DELETE,
        ("POST", f"{PREFIX}{BATCHES}/{{id}}/cancel"): Operation.BATCH_CANCEL,
        ("GET", f"{PREFIX}{BATCHES}/{{id}}/results"): Operation.BATCH_RESULTS,
        ("POST", f"{PREFIX}{FILES}"): Operation.FILE_UPLOAD,
        ("GET", f"{PREFIX}{FILES}"): Operation.FILE_LIST,
        ("GET", f"{PREFIX}{FILES}/{{id}}"): Operation.FILE_RETRIEVE,
        ("DELETE", f"{PREFIX}{FILES}/{{id}}"): Operation.FILE_DELETE,
        ("GET", f"{PREFIX}{FILES}/{{id}}/content"): Operation.FILE_CONTENT,
    }
)
"""By method and template."""

LISTS: Final = frozenset({Operation.FILE_LIST, Operation.BATCH_LIST})

OWN = "anthropic"
"""Whose files and batches they are unless another is named."""

OPENAI_LIKE: Final = frozenset({"openai", "azure"})
"""Whose files have a purpose that must be told, and expire in OpenAI's way."""

MAX_TOLD_PATH = 256


@attrs.frozen
class ObjectRoute:
    """What is asked, of which object. ``path`` is Anthropic's own; ``id`` is ``""`` where none is named."""

    template: str
    operation: Operation
    path: str
    id: str = ""


def is_for_objects(path: str) -> bool:
    """Whether ``path``, in any spelling, is in this realm."""
    below = path.removeprefix(PREFIX)
    return below != path and any(
        below == at or below.startswith(f"{at}/") for at in (FILES, BATCHES)
    )


def object_route(method: str, path: str) -> ObjectRoute:
    """The route of ``method path``, a path below the prefix in the one spelling of ``safe_path``.

    Raises RouteNotFound, or MethodNotAllowed whose ``param`` are the methods that there are.
    """
    base = FILES if path.startswith(PREFIX + FILES) else BATCHES
    name, *more = path.removeprefix(PREFIX + base).removeprefix("/").split("/")
    template = "/".join([PREFIX + base, *(["{id}"] if name else []), *more])
    operation = OBJECT_ROUTES.get((method, template))
    if operation is not None:
        return ObjectRoute(template, operation, path.removeprefix(PREFIX), name)
    methods = [other for other, known in OBJECT_ROUTES if known == template]
    if not methods:
        raise RouteNotFound(f"Route not found: {path[:MAX_TOLD_PATH]}")
    raise MethodNotAllowed(
        f"Method not allowed: {path[:MAX_TOLD_PATH]}", param=", ".join((*methods, "OPTIONS"))
    )


@attrs.frozen(kw_only=True)
class ObjectsAsked:
    """A request whose body is there: JSON, a form, or nothing."""

    route: ObjectRoute
    method: str
    query: bytes
    headers: HeaderLines = attrs.field(repr=False)
    json: bytes = attrs.field(default=b"", repr=False)
    form: Form | None = attrs.field(default=None, repr=False)
    boundary: bytes = attrs.field(default=b"", repr=False)
    """Random."""

    def call(self, id_: str, caller: Caller, catalog: Catalog, rules: HeaderRules) -> Call:
        """What it asks for, without where it came from and when. Raises BadRequest, UnsupportedOperation."""
        request = self._request(caller, catalog, rules)
        provider = request.target.provider
        is_own = catalog.base(provider) == OWN
        operation = self.route.operation
        if operation is Operation.BATCH_DELETE and not is_own:
            text = f"{operation.value} is not supported by {provider} provider"
            raise UnsupportedOperation(text)
        form = None if self.form is None else changed_form(self.form, request.form_changes)
        native = Native(
            dialect=Dialect.ANTHROPIC,
            members={},
            query=request.query,
            headers=request.headers,
            relay=self._relay(request, self.route.path, request.query, form),
        )
        if form is not None and not is_own:
            form = _in_openais_words(form, is_openai=catalog.base(provider) in OPENAI_LIKE)
        query = ""
        if operation in LISTS and not is_own:
            query = as_openai_asks(request.query, provider)
        return Call(
            id=id_,
            operation=operation,
            stream=False,
            target=Target(provider, batch_model(request.json, provider)),
            native=native,
            form=form,
            boundary=self.boundary,
            relay=self._relay(request, _openais_path(self.route.path), query, form),
            ids=request.ids,
            caller=caller,
            surface=Surface.ANTHROPIC,
            route=self.route.template,
        )

    def _request(self, caller: Caller, catalog: Catalog, rules: HeaderRules) -> RelayRequest:
        """Whoever is not named shows in the first request's model: ``openai/gpt-4o``."""
        route = self.route
        named = catalog.parse(batch_model(self.json, ""), "").provider
        return relay_request(
            Relayed(route.template, "", route.path, (route.id,) if route.id else ()),
            self.method,
            self.query,
            self.headers,
            caller=caller,
            catalog=catalog,
            forwarding=rules.forwarding,
            json=self.json,
            fields=tuple((p.name, p.value) for p in self.form or () if isinstance(p, Field)),
            default=named or OWN,
        )

    def _relay(self, request: RelayRequest, path: str, query: str, form: Form | None) -> Relay:
        body: bytes | Payload = request.json
        content_type = request.content_type
        if form is not None:
            body, content_type = encode_form(form, self.boundary), form_content_type(self.boundary)
        return Relay(
            method=self.method, path=path, query=query, content_type=content_type, body=body
        )


def as_openai(call: Call) -> Call:
    """``call`` as a caller of OpenAI's dialect would ask: for answers that are told anew in the end."""
    return attrs.evolve(call, surface=Surface.OPENAI, native=None)


def _openais_path(path: str) -> str:
    return f"/v1/batches{path.removeprefix(BATCHES)}" if path.startswith(BATCHES) else path


def _in_openais_words(form: Form, *, is_openai: bool) -> Form:
    """An upload with its purpose; of OpenAI, also with its end as it is said there."""
    parts: list[Field | File] = []
    for part in form:
        if is_openai and isinstance(part, Field) and part.name == "expires_in_seconds":
            parts.append(Field("expires_after[anchor]", b"created_at"))
            parts.append(Field("expires_after[seconds]", part.value))
        else:
            parts.append(part)
    if is_openai and all(part.name != "purpose" for part in form):
        parts.insert(0, Field("purpose", b"batch"))
    return tuple(parts)
