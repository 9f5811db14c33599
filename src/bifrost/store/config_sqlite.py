"""The configuration store in a SQLite file. Each commit is synced, so what was changed is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import apsw
import attrs

from bifrost.store.config_sql import SqlConfigStore
from bifrost.store.migrate import Migration, migrations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bifrost.store.config_table import Connection

__all__ = ["CONFIG_STEPS", "SqliteConnection", "sqlite_config_store"]

T = TypeVar("T")

CONFIG_STEPS: tuple[Migration, ...] = migrations("config_migrations")
"""What ``SqliteFile`` brings ``config.db`` to."""


class File(Protocol):
    """Where the statements run: ``SqliteFile``, or in tests a connection without a thread."""

    async def change(self, work: Callable[[apsw.Connection], T]) -> T: ...

    async def look(self, work: Callable[[apsw.Connection], T]) -> T: ...

    async def scrub(self) -> None: ...


def sqlite_config_store(file: File) -> SqlConfigStore:
    """The store in ``file``, which has the steps ``CONFIG_STEPS``."""
    return SqlConfigStore(_Database(file))


@attrs.frozen
class SqliteConnection:
    """As ``config_table`` wants it."""

    _inner: apsw.Connection

    def run(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return list(self._inner.execute(sql, values))

    def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self._inner.executemany(sql, rows)


@attrs.frozen
class _Database:
    _file: File

    async def change(self, work: Callable[[Connection], T]) -> T:
        return await self._file.change(lambda inner: work(SqliteConnection(inner)))

    async def look(self, work: Callable[[Connection], T]) -> T:
        return await self._file.look(lambda inner: work(SqliteConnection(inner)))

    async def scrub(self) -> None:
        await self._file.scrub()
