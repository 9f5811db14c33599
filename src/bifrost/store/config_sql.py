"""The configuration store in SQL: ``config_table``'s statements, each in a transaction of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import attrs

from bifrost.store import config_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bifrost.config.nouns import Change, Noun
    from bifrost.store.config_base import CounterRow, Loaded
    from bifrost.store.config_table import Connection

__all__ = ["Database", "SqlConfigStore"]

T = TypeVar("T")


class Database(Protocol):
    """Where the statements run."""

    async def change(self, work: Callable[[Connection], T]) -> T:
        """``work``'s value; what it wrote is on disk by then. Raises StoreBusy and StoreAway."""
        ...

    async def look(self, work: Callable[[Connection], T]) -> T:
        """The same for work that only reads, all of it at one moment."""
        ...

    async def scrub(self) -> None:
        """Overwrite what was replaced or removed."""
        ...


@attrs.frozen
class SqlConfigStore:
    """A ``ConfigStore`` in ``database``."""

    database: Database

    async def load(self) -> Loaded:
        return await self.database.look(config_table.load)

    async def write(self, changes: Sequence[Change], now_s: float) -> tuple[Noun, ...]:
        return await self.database.change(partial(config_table.write, changes=changes, now_s=now_s))

    async def write_counters(self, counters: Mapping[str, CounterRow]) -> None:
        await self.database.change(partial(config_table.write_counters, counters=dict(counters)))

    async def forget_counters(self, ids: Iterable[str]) -> None:
        await self.database.change(partial(config_table.forget_counters, ids=tuple(ids)))

    async def write_settings(self, settings: Mapping[str, str | None]) -> None:
        await self.database.change(partial(config_table.write_settings, settings=settings))

    async def add_session(self, token_hash: str, expires_unix_s: float, now_s: float) -> None:
        work = partial(
            config_table.add_session,
            token_hash=token_hash,
            expires_unix_s=expires_unix_s,
            now_s=now_s,
        )
        await self.database.change(work)

    async def find_session(self, token_hash: str, now_s: float) -> float | None:
        return await self.database.look(
            partial(config_table.find_session, token_hash=token_hash, now_s=now_s)
        )

    async def end_session(self, token_hash: str) -> None:
        await self.database.change(partial(config_table.end_session, token_hash=token_hash))

    async def end_all_sessions(self) -> None:
        await self.database.change(config_table.end_all_sessions)

    async def scrub(self) -> None:
        await self.database.scrub()
