"""Which key has which of a provider's objects, learned from what passes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.integrations.object_ids import NOTHING, AnswerIds, StreamIds, answer_ids
from bifrost.policy.owners import Owners
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from bifrost.schema.call import Call, Target

__all__ = ["Objects", "Sighting"]

UNSEEN = frozenset({Operation.FILE_CONTENT, Operation.CHAT})
"""Their answers hold no ids that anybody would ask for again."""

SIGHTED = frozenset({Operation.RELAY, Operation.RESPONSES}) | frozenset(
    op for op in Operation if op.value.startswith(("file_", "batch_"))
)

JSON_BYTES_MAX = 1024 * 1024
"""Of a plain answer; a longer one is not looked into."""


@attrs.define(eq=False)
class Objects:
    """The router's memory. Times are on trio's clock."""

    owners: Owners = attrs.field(factory=Owners)

    def owner(self, call: Call, target: Target, now_s: float) -> str | None:
        """The key that has what ``call`` names, as far as is known; a caller's own choice of key goes before it."""
        caller = call.caller
        is_pinned = caller.key_id or caller.key_name or caller.own_key(target.provider) is not None
        if not call.ids or is_pinned:
            return None
        return self.owners.owner(call.ids, target.provider, now_s)

    def sighting(self, call: Call, target: Target, key_id: str) -> Sighting | None:
        """What looks at an answer to ``call``; ``None`` where there is nothing to be learned."""
        if call.operation not in SIGHTED - UNSEEN or _leaves_nothing(call):
            return None
        if call.caller.own_key(target.provider) is not None:
            return None
        return Sighting(self.owners, target.provider, key_id)


def _leaves_nothing(call: Call) -> bool:
    """Whether ``call`` passes a generation through that nobody asks for again by its id."""
    relay = call.relay
    return relay is not None and relay.is_generation and not relay.path.endswith("/responses")


@attrs.define(eq=False)
class Sighting:
    """One answer being looked at as it passes. Nothing of it is held back, at most ``JSON_BYTES_MAX`` are kept."""

    _owners: Owners
    _provider: str
    _key_id: str
    _events: StreamIds | None = attrs.field(default=None, init=False)
    _parts: list[bytes] = attrs.field(factory=list, init=False)
    _room: int = attrs.field(default=JSON_BYTES_MAX, init=False)

    def begins(self, content_type: bytes) -> None:
        """The answer's kind is known: events are looked at one by one, JSON as a whole, all else not at all."""
        kind = content_type.lower()
        if kind.startswith(b"text/event-stream"):
            self._events = StreamIds()
        if not kind.startswith(b"application/json"):
            self._room = 0

    def passes(self, data: bytes, now_s: float) -> None:
        """More of the answer."""
        if self._events is not None:
            self.note(self._events.feed(data), now_s)
            if self._events.is_done:
                self._events = None
        elif self._room:
            self._room = max(0, self._room - len(data))
            self._parts.append(data)

    def ends(self, now_s: float) -> None:
        """All of it has passed."""
        if self._room:
            self.note(answer_ids(b"".join(self._parts)), now_s)

    def note(self, seen: AnswerIds, now_s: float) -> None:
        if seen is not NOTHING:
            self._owners.note(seen.made, self._provider, self._key_id, now_s)
            self._owners.forget(seen.gone, self._provider)
