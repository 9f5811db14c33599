"""Which key a session stays with: a bounded map whose entries expire when they are not used."""

from __future__ import annotations

from collections import OrderedDict

import attrs

__all__ = ["SESSIONS_MAX", "Sessions"]

SESSIONS_MAX = 10_000
"""Sessions remembered; the one longest unused is forgotten."""


@attrs.define(eq=False)
class Sessions:
    """Session to key id. Times are on the caller's clock; every use starts an entry's time to live anew."""

    _entries: OrderedDict[str, tuple[str, float]] = attrs.field(factory=OrderedDict, init=False)
    limit: int = SESSIONS_MAX

    def __len__(self) -> int:
        return len(self._entries)

    def key_of(self, session: str, now_s: float) -> str | None:
        """The key of ``session``, if it has one that has not expired."""
        entry = self._entries.get(session)
        if entry is None:
            return None
        if now_s >= entry[1]:
            del self._entries[session]
            return None
        return entry[0]

    def bind(self, session: str, key_id: str, expires_s: float) -> None:
        """Keep ``session`` with ``key_id`` until ``expires_s``."""
        self._entries[session] = (key_id, expires_s)
        self._entries.move_to_end(session)
        if len(self._entries) > self.limit:
            self._entries.popitem(last=False)

    def drop(self, session: str) -> None:
        """Forget ``session``."""
        self._entries.pop(session, None)
