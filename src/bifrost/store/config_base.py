"""What the gateway asks of the store of its configuration, and how that says no."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import attrs

from bifrost.config.nouns import ANY, NONE, Body, Change, Noun, Put, Remove
from bifrost.store.base import StoreAway, StoreBusy, StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "ANY",
    "MAX_BODY_BYTES",
    "MAX_COUNTERS",
    "MAX_NOUNS",
    "MAX_SESSIONS",
    "NONE",
    "Body",
    "Change",
    "ConfigStore",
    "CounterRow",
    "Loaded",
    "Noun",
    "Put",
    "Remove",
    "StoreAway",
    "StoreBusy",
    "StoreConflict",
    "StoreError",
    "StoreFull",
    "StoreTaken",
]

MAX_NOUNS = 100_000
MAX_BODY_BYTES = 1024 * 1024
MAX_COUNTERS = 1_000_000
MAX_SESSIONS = 1000


class StoreConflict(StoreError):
    """Somebody else has changed it meanwhile. ``present`` is the version it has, ``None`` if it is not there."""

    def __init__(self, kind: str, noun_id: str, present: int | None) -> None:
        self.kind = kind
        self.id = noun_id
        self.present = present
        now = "it is gone" if present is None else f"its version is {present}"
        super().__init__(f"{kind} {noun_id!r} was changed meanwhile: {now}")


class StoreTaken(StoreError):
    """Another noun has this name already. ``claim`` is what both want; its text after the colon is in no message."""

    def __init__(self, claim: str, kind: str, noun_id: str) -> None:
        self.claim = claim
        self.kind = kind
        self.id = noun_id
        super().__init__(f"{claim.partition(':')[0]} is taken by {kind} {noun_id!r}")


@attrs.frozen
class CounterRow:
    """How much of a limit is used, and since when. ``used`` is nano-dollars, tokens or requests."""

    used: int
    since_unix_s: float


@attrs.frozen(kw_only=True)
class Loaded:
    """Everything there is, as it was at one moment.

    ``removed`` are the marks of nouns that the file may not bring back. ``revision`` grows with each noun written.
    """

    nouns: tuple[Noun, ...] = ()
    """In the order of their making."""
    removed: tuple[Noun, ...] = ()
    counters: Mapping[str, CounterRow] = MappingProxyType({})
    settings: Mapping[str, str] = MappingProxyType({})
    revision: int = 0


class ConfigStore(Protocol):
    """Nouns, counters and sessions. Times are Unix seconds.

    Every method waits for a bounded time and raises StoreError. What it changed is durable when it returns. Cancelled, a
    change is made in whole or not at all. Several gateways may use one store: writers come one after another, and each says
    what it expects to find.
    """

    async def load(self) -> Loaded:
        """Everything but sessions."""
        ...

    async def write(self, changes: Sequence[Change], now_s: float) -> tuple[Noun, ...]:
        """Make all the changes or none; the nouns put, in their order.

        Within one write the same noun comes once. Raises StoreConflict if one is not at the version expected, StoreTaken if
        a claim is another's (claims that the same write gives up are free), StoreFull past ``MAX_NOUNS`` or
        ``MAX_BODY_BYTES``.
        """
        ...

    async def write_counters(self, counters: Mapping[str, CounterRow]) -> None:
        """Put what is used. A row that has begun later than the one given stays as it is."""
        ...

    async def forget_counters(self, ids: Iterable[str]) -> None:
        """Have them there no more."""
        ...

    async def write_settings(self, settings: Mapping[str, str | None]) -> None:
        """Put small texts under their names; ``None`` takes one away."""
        ...

    async def add_session(self, token_hash: str, expires_unix_s: float, now_s: float) -> None:
        """Begin a session. Those that are over are swept; past ``MAX_SESSIONS`` the one that ends first ends now."""
        ...

    async def find_session(self, token_hash: str, now_s: float) -> float | None:
        """When it ends; ``None`` if there is none, or it is over."""
        ...

    async def end_session(self, token_hash: str) -> None:
        """End one."""
        ...

    async def end_all_sessions(self) -> None:
        """End all: the password has changed."""
        ...

    async def scrub(self) -> None:
        """Have nothing of what was replaced or removed in the database's own files any more, as far as it can."""
        ...
