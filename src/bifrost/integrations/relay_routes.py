"""Which routes of the OpenAI API the gateway understands, which it relays, and which it refuses.

The three tables below are all there is to it. A route is spelt as a *shape*: what comes after ``/v1``, with ``{id}`` for
one segment of any name, and ``{path}`` for one or more at the end.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import attrs

from bifrost.errors import BadRequest, ErrorClass, MethodNotAllowed, RouteNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ADMIN",
    "ADMIN_REFUSED",
    "METHODS",
    "RELAYED",
    "UNDERSTOOD",
    "Refused",
    "Relayed",
    "Understood",
    "classify",
    "is_administrative",
]

UNDERSTOOD: Final = frozenset({
    ("POST", "chat/completions"),
    ("POST", "completions"),
    ("POST", "embeddings"),
    ("POST", "responses"),
    ("POST", "responses/input_tokens"),
    ("POST", "audio/speech"),
    ("POST", "audio/transcriptions"),
    ("POST", "audio/translations"),
    ("POST", "images/generations"),
    ("POST", "images/edits"),
    ("POST", "images/variations"),
    ("POST", "moderations"),
    ("GET", "models"),
    ("GET", "models/{path}"),
    ("POST", "files"),
    ("GET", "files"),
    ("GET", "files/{id}"),
    ("DELETE", "files/{id}"),
    ("GET", "files/{id}/content"),
    ("POST", "batches"),
    ("GET", "batches"),
    ("GET", "batches/{id}"),
    ("POST", "batches/{id}/cancel"),
})  # fmt: skip
"""Method and shape of what has a handler of its own."""

OBJECTS: Final = frozenset({"files", "batches"})
"""Families of ``UNDERSTOOD`` that live with the provider."""

RELAYED: Final = frozenset({
    "agents", "agents/{id}", "agents/automations", "agents/automations/{id}", "agents/automations/{id}/invocations",
    "agents/automations/{id}/invocations/{id}", "agents/automations/{id}/pause", "agents/automations/{id}/resume",
    "agents/environments", "agents/environments/{id}", "agents/environments/{id}/files",
    "agents/environments/templates", "agents/environments/templates/{id}", "agents/sessions", "agents/sessions/{id}",
    "agents/sessions/{id}/artifacts", "agents/sessions/{id}/artifacts/{id}",
    "agents/sessions/{id}/artifacts/{id}/content", "agents/sessions/{id}/events", "agents/sessions/{id}/items",
    "agents/sessions/{id}/subagents", "agents/sessions/{id}/subagents/{id}",
    "agents/sessions/{id}/subagents/{id}/items", "agents/sessions/{id}/subagents/{id}/turns",
    "agents/sessions/{id}/subagents/{id}/turns/{id}", "agents/sessions/{id}/subagents/{id}/turns/{id}/items",
    "agents/sessions/{id}/traces", "agents/sessions/{id}/turns", "agents/sessions/{id}/turns/{id}",
    "agents/sessions/{id}/turns/{id}/items",
    "assistants", "assistants/{id}",
    "audio/voice_consents", "audio/voice_consents/{id}", "audio/voices", "audio/voices/{id}",
    "chat/completions", "chat/completions/{id}", "chat/completions/{id}/messages",
    "chatkit/sessions", "chatkit/sessions/{id}/cancel", "chatkit/threads", "chatkit/threads/{id}",
    "chatkit/threads/{id}/items",
    "containers", "containers/{id}", "containers/{id}/files", "containers/{id}/files/{id}",
    "containers/{id}/files/{id}/content",
    "content_provenance_checks",
    "conversations", "conversations/{id}", "conversations/{id}/items", "conversations/{id}/items/{id}",
    "decisions",
    "evals", "evals/{id}", "evals/{id}/runs", "evals/{id}/runs/{id}", "evals/{id}/runs/{id}/cancel",
    "evals/{id}/runs/{id}/output_items", "evals/{id}/runs/{id}/output_items/{id}",
    "fine_tuning/alpha/graders/run", "fine_tuning/alpha/graders/validate", "fine_tuning/jobs",
    "fine_tuning/jobs/{id}", "fine_tuning/jobs/{id}/cancel", "fine_tuning/jobs/{id}/checkpoints",
    "fine_tuning/jobs/{id}/events", "fine_tuning/jobs/{id}/pause", "fine_tuning/jobs/{id}/resume",
    "live/sessions", "live/sessions/{id}/accept", "live/sessions/{id}/content", "live/sessions/{id}/fork",
    "live/sessions/{id}/hangup", "live/sessions/{id}/refer", "live/sessions/{id}/reject",
    "models/{id}",
    "realtime/calls", "realtime/calls/{id}/accept", "realtime/calls/{id}/hangup", "realtime/calls/{id}/refer",
    "realtime/calls/{id}/reject", "realtime/client_secrets", "realtime/sessions", "realtime/transcription_sessions",
    "realtime/translations/client_secrets",
    "responses/compact", "responses/{id}", "responses/{id}/cancel", "responses/{id}/input_items",
    "safety/alerts/{id}", "safety/cases/{id}",
    "skills", "skills/{id}", "skills/{id}/content", "skills/{id}/versions", "skills/{id}/versions/{id}",
    "skills/{id}/versions/{id}/content",
    "threads", "threads/runs", "threads/{id}", "threads/{id}/messages", "threads/{id}/messages/{id}",
    "threads/{id}/runs", "threads/{id}/runs/{id}", "threads/{id}/runs/{id}/cancel", "threads/{id}/runs/{id}/steps",
    "threads/{id}/runs/{id}/steps/{id}", "threads/{id}/runs/{id}/submit_tool_outputs",
    "uploads", "uploads/{id}/cancel", "uploads/{id}/complete", "uploads/{id}/parts",
    "vector_stores", "vector_stores/{id}", "vector_stores/{id}/search", "vector_stores/{id}/file_batches",
    "vector_stores/{id}/file_batches/{id}", "vector_stores/{id}/file_batches/{id}/cancel",
    "vector_stores/{id}/file_batches/{id}/files", "vector_stores/{id}/files", "vector_stores/{id}/files/{id}",
    "vector_stores/{id}/files/{id}/content",
    "videos", "videos/characters", "videos/characters/{id}", "videos/edits", "videos/extensions", "videos/{id}",
    "videos/{id}/content", "videos/{id}/remix",
})  # fmt: skip
"""Shapes that go on as they came, whatever the method, unless ``UNDERSTOOD`` has them. They only give names to what is
counted and show where ids stand: a route that nobody knows yet is relayed too."""

ADMIN: Final = frozenset({
    "dashboard",
    "organization",
    "organizations",
    "projects",
    "vaults",
    "webhooks",
    "webhook_endpoints",
    "webhook_event_types",
    "fine_tuning/checkpoints/{id}/permissions",
})  # fmt: skip
"""Beginnings of what belongs to the operator of an account: its people, keys, money, secrets and who is told of what."""

METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")

PREFIXES = ("/openai/openai/v1/", "/openai/openai/", "/openai/v1/", "/openai/")
"""The longer ones first. The doubled ones are what an Azure client makes of ``azure_endpoint=…/openai``."""

OTHER = "other"

MAX_TOLD_PATH = 256

_FAMILY = re.compile(r"(?!v\d|openai$|deployments$)[a-z][a-z0-9_-]{1,63}")
"""A first segment that may be the name of a family: none that an upstream could take for another one in disguise,
and not what begins a path of a version, of a doubled prefix, or of a deployment."""


_VERSIONS = re.compile(r"^(?:/v\d[a-z0-9]*(?=/))+", re.IGNORECASE)


@attrs.frozen
class Relayed:
    """It goes on to the provider as it came."""

    template: str
    """For metrics and logs: one of a bounded number."""
    family: str
    """The first segment, ``"other"`` where nobody knows it."""
    path: str
    """The upstream's: ``/v1/…``, in the one spelling of ``safe_path``."""
    ids: tuple[str, ...] = ()
    """Names of objects in the path, decoded, from left to right."""


@attrs.frozen
class Understood:
    """There is a handler for it."""

    template: str
    onward: Relayed | None = None
    """How it goes on, where the provider has to answer and the gateway only knows what is said."""


@attrs.frozen
class Refused:
    """It goes nowhere."""

    why: str
    status: int
    allow: tuple[str, ...] = ()
    """What a 405 offers."""

    def error(self) -> BadRequest:
        """What to tell the caller."""
        match self.status:
            case 403:
                code = "admin_route_refused"
                return BadRequest(self.why, status=403, code=code, error_class=ErrorClass.DENIED)
            case 405:
                return MethodNotAllowed(self.why)
            case _:
                return RouteNotFound(self.why)


ADMIN_REFUSED: Final = Refused(
    "administrative routes are not relayed: set client.relay_admin_routes to allow them", 403
)

Shape = tuple[str, ...]


@attrs.frozen
class _Shapes:
    """Shapes by their first segment; among those that fit a path, the more literal one is found first."""

    _by_family: Mapping[str, tuple[Shape, ...]]

    @classmethod
    def of(cls, texts: Iterable[str]) -> _Shapes:
        found: dict[str, list[Shape]] = defaultdict(list)
        for text in texts:
            shape = tuple(text.split("/"))
            found[shape[0]].append(shape)
        return cls({name: tuple(sorted(shapes, key=_vagueness)) for name, shapes in found.items()})

    def __contains__(self, family: str) -> bool:
        return family in self._by_family

    def find(self, segments: Shape) -> Shape | None:
        shapes = self._by_family.get(segments[0], ())
        return next((shape for shape in shapes if _fits(shape, segments)), None)


def _vagueness(shape: Shape) -> tuple[int, ...]:
    return tuple(("{id}", "{path}").index(part) + 1 if part[0] == "{" else 0 for part in shape)


def _fits(shape: Shape, segments: Shape) -> bool:
    if shape[-1] == "{path}" and len(segments) >= len(shape):
        shape, segments = shape[:-1], segments[: len(shape) - 1]
    is_as_long = len(shape) == len(segments)
    return is_as_long and all(map(_is_same, shape, segments))


def _is_same(part: str, segment: str) -> bool:
    return part in {"{id}", segment}


_UNDERSTOOD = {
    method: _Shapes.of(shape for other, shape in UNDERSTOOD if other == method)
    for method in METHODS
}
_RELAYED = _Shapes.of(RELAYED)
_ADMIN = tuple(tuple(text.split("/")) for text in ADMIN)


def classify(
    method: str, path: str, *, relay_admin: bool = False
) -> Understood | Relayed | Refused:
    """What becomes of ``method path``, a path below ``/openai`` in the one spelling of ``safe_path``.

    ``relay_admin`` (``client.relay_admin_routes``) relays what belongs to the account's operator too.
    """
    prefix = next(filter(path.startswith, PREFIXES), None)
    segments = tuple(path.removeprefix(prefix).split("/")) if prefix else ("",)
    if not _FAMILY.fullmatch(segments[0]):
        return Refused(f"Route not found: {path[:MAX_TOLD_PATH]}", 404)
    if method not in METHODS:
        return _wrong_method(path, METHODS)
    if not _is_admin(segments):
        return _ordinary(method, path, segments)
    if relay_admin:
        return Relayed(f"/openai/v1/{segments[0]}/{{other}}", segments[0], _upstream(segments))
    return ADMIN_REFUSED


def is_administrative(path: str) -> bool:
    """Whether ``path``, which begins with a slash and perhaps an API's version, belongs to the account's operator."""
    return _is_admin(tuple(_VERSIONS.sub("", path).split("/")[1:]))


def _is_admin(segments: Shape) -> bool:
    """Also where an upstream that knows no case, or trims names, would say so."""
    names = tuple(unquote(segment).strip(" .").lower() for segment in segments)
    return any(_fits(beginning, names[: len(beginning)]) for beginning in _ADMIN)


def _ordinary(method: str, path: str, segments: Shape) -> Understood | Relayed | Refused:
    understood = _UNDERSTOOD[method].find(segments)
    if understood is not None:
        onward = _relayed(segments, understood) if segments[0] in OBJECTS else None
        return Understood(_template(understood), onward)
    shape = _RELAYED.find(segments)
    others = () if shape else tuple(m for m in METHODS if _UNDERSTOOD[m].find(segments))
    if others:
        return _wrong_method(path, others)
    return _relayed(segments, shape)


def _relayed(segments: Shape, shape: Shape | None) -> Relayed:
    family = segments[0]
    if shape is not None:
        ids = tuple(s for part, s in zip(shape, segments, strict=True) if part == "{id}")
        return Relayed(_template(shape), family, _upstream(segments), _decoded(ids))
    is_known = family in _RELAYED or any(family in shapes for shapes in _UNDERSTOOD.values())
    template = f"/openai/v1/{family}/{{other}}" if is_known else "/openai/v1/{other}"
    return Relayed(
        template, family if is_known else OTHER, _upstream(segments), _decoded(segments[1:])
    )


def _decoded(segments: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(unquote, segments))


def _template(shape: Shape) -> str:
    return f"/openai/v1/{'/'.join(shape)}"


def _upstream(segments: Shape) -> str:
    return f"/v1/{'/'.join(segments)}"


def _wrong_method(path: str, allowed: tuple[str, ...]) -> Refused:
    return Refused(f"Method not allowed: {path[:MAX_TOLD_PATH]}", 405, (*allowed, "OPTIONS"))
