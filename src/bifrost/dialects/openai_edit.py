"""A request body being edited on its way upstream: its raw members, and what was lost of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.base import Reading
from bifrost.dialects.value_shape import written
from bifrost.errors import BadRequest
from bifrost.schema.payload import Payload
from bifrost.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bifrost.schema.call import Call

__all__ = [
    "Edit",
    "Encoded",
    "encoded",
    "merge_extra",
    "merge_extra_params",
    "refuse_loss",
    "value_of",
]

INDISPENSABLE = frozenset({"cached_content", "instances.image", "instances.referenceImages"})
"""Members that stand for a part of the conversation which lives with one provider, or of the picture to be drawn."""

MERGE_DEPTH = 32
"""Objects nested deeper replace instead of merging."""

UNMERGED = frozenset({"model", "models", "stream", "fallbacks", "provider"})
"""What ``extra_params`` may not change, in whatever case: where a call goes is decided, and told, by the gateway."""


@frozen
class Encoded:
    """What goes upstream. ``query`` are parameters to be added to the URL; no ``content_type`` is no body."""

    body: bytes = attrs.field(repr=False)
    dropped: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    content_type: bytes | None = b"application/json"
    payload: Payload | None = None
    """Instead of ``body``, where that is a form."""
    path: str = ""
    """What stands behind the operation's own path, with a slash before it, where the request says so."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Further lines that go with this body; names in lower case."""
    reading: Reading | None = None
    """How the answer is to be read, where the request says so."""


@attrs.define(eq=False)
class Edit:
    """A request being edited: its members, what was lost of it, what goes into the query."""

    members: dict[str, bytes]
    dropped: list[str] = attrs.field(factory=list)
    query: list[tuple[str, str]] = attrs.field(factory=list)

    def drop(self, name: str) -> None:
        if self.members.pop(name, b"null") != b"null":
            self.lose([name])

    def lose(self, names: Iterable[str]) -> None:
        self.dropped.extend(name for name in names if name not in self.dropped)

    def rename(self, old: str, new: str, value: bytes) -> None:
        """Put ``new`` in ``old``'s place; an earlier ``new`` goes."""
        self.members = {
            new if name == old else name: value if name == old else raw
            for name, raw in self.members.items()
            if name != new
        }

    def text(self, name: str) -> str | None:
        value = value_of(self.members.get(name, b"null"))
        return value if isinstance(value, str) else None


def encoded(edit: Edit, call: Call, provider: str) -> Encoded:
    """The edited body. Raises BadRequest if something was lost that the caller insists on; ``provider`` is named."""
    edit.lose(call.lost)
    refuse_loss(edit.dropped, call, provider)
    return Encoded(json.join_object(edit.members), tuple(edit.dropped), tuple(edit.query))


def refuse_loss(names: Sequence[str], call: Call, provider: str) -> None:
    """Raise BadRequest if ``names`` would be lost of a call whose caller insists on all of it.

    Some nobody can do without: they are a part of what is asked.
    """
    for name in names:
        if name in INDISPENSABLE:
            raise BadRequest(f"{provider} does not know {name}", param=name)
    if names and call.caller.strict:
        told = [*dict.fromkeys(map(call.named, names))]
        raise BadRequest(f"{provider} does not take: {', '.join(told)}", param=told[0])


def value_of(raw: bytes) -> object:
    """A small value; ``None`` for what cannot be read."""
    try:
        value: object = json.loads(raw)
    except json.InvalidJSON:
        return None
    return value


def merge_extra_params(edit: Edit) -> None:
    """Objects merge, anything else replaces; new members come last, sorted."""
    raw = edit.members["extra_params"]
    if not raw.startswith(b"{"):
        return
    del edit.members["extra_params"]
    members = json.split_object(raw).items()
    extra = {name: value for name, value in members if name.lower() not in UNMERGED}
    edit.members = _merged(edit.members, extra, MERGE_DEPTH)


def merge_extra(body: bytes, extra: Mapping[str, object]) -> bytes:
    """The JSON object ``body`` with the members of ``extra``, but for those that are the gateway's own to decide.

    Raises BadRequest for what is nested too deeply.
    """
    over = {n: written(value) for n, value in extra.items() if n.lower() not in UNMERGED}
    return json.join_object(_merged(json.split_object(body), over, MERGE_DEPTH)) if over else body


def _merged(base: dict[str, bytes], over: dict[str, bytes], depth: int) -> dict[str, bytes]:
    merged = dict(base)
    for name, value in sorted(over.items()):
        before = merged.get(name, b"")
        if depth and before.startswith(b"{") and value.startswith(b"{"):
            inner = _merged(json.split_object(before), json.split_object(value), depth - 1)
            merged[name] = json.join_object(inner)
        else:
            merged[name] = value
    return merged
