"""Which key made which object: files, batches, threads and the like are known to the account of one key only."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EXPIRES_S", "ID_MAX", "OWNERS_MAX", "Owners"]

OWNERS_MAX: Final = 100_000
"""Objects remembered; the one longest unused is forgotten."""

BYTES_MAX: Final = 32 * 1024 * 1024

EXPIRES_S: Final = 30 * 86400.0
"""Since the key was last seen to have the object."""

ID_MAX: Final = 256
"""Characters; a longer id is not remembered."""

ENTRY_BYTES = 256
"""What an entry costs besides its texts, about."""


@attrs.define(eq=False)
class Owners:
    """A bounded memory of object ids. Times are on the caller's clock; ids of different providers do not meet.

    It may forget and it may be out of date, so what it says is a preference: the key may be gone or not allowed.
    """

    _entries: OrderedDict[tuple[str, str], tuple[str, float]] = attrs.field(
        factory=OrderedDict, init=False
    )
    """Provider and object to key and when that expires."""
    _bytes: int = attrs.field(default=0, init=False)
    limit: int = OWNERS_MAX
    max_bytes: int = BYTES_MAX
    expires_s: float = EXPIRES_S

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, ids: Iterable[str], provider: str, key_id: str, now_s: float) -> None:
        """The key ``key_id`` has just been seen to have the objects ``ids``."""
        for name in ids:
            if 0 < len(name) <= ID_MAX:
                self._drop((provider, name))
                self._entries[provider, name] = (key_id, now_s + self.expires_s)
                self._bytes += _cost((provider, name), key_id)
        while len(self._entries) > self.limit or self._bytes > self.max_bytes:
            self._drop(next(iter(self._entries)))

    def owner(self, ids: Iterable[str], provider: str, now_s: float) -> str | None:
        """The key of the first of ``ids`` that has one: who asks puts first what matters most."""
        return next(filter(None, (self._owner((provider, name), now_s) for name in ids)), None)

    def forget(self, ids: Iterable[str], provider: str) -> None:
        """The objects ``ids`` are gone."""
        for name in ids:
            self._drop((provider, name))

    def _owner(self, entry: tuple[str, str], now_s: float) -> str | None:
        key_id, expires_s = self._entries.get(entry, (None, now_s))
        if key_id is None:
            return None
        if now_s >= expires_s:
            self._drop(entry)
            return None
        self._entries.move_to_end(entry)
        return key_id

    def _drop(self, entry: tuple[str, str]) -> None:
        found = self._entries.pop(entry, None)
        if found is not None:
            self._bytes -= _cost(entry, found[0])


def _cost(entry: tuple[str, str], key_id: str) -> int:
    return ENTRY_BYTES + len(entry[0]) + len(entry[1]) + len(key_id)
