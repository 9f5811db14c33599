"""SQLite without a file and without threads, so that trio's mock clock can be used; and one that fails on demand."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import apsw
import attrs
import trio

from bifrost.schema.job import JobRequest, JobResult
from bifrost.store.base import JobBounds, StoreError
from bifrost.store.migrate import migrate, migrations

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WIDE", "InlineDatabase", "answer", "fresh", "refusal", "request"]

T = TypeVar("T")

WIDE = JobBounds(max_open=1000, max_stored_bytes=1_000_000)


def fresh() -> apsw.Connection:
    """An empty database in memory, with every table."""
    connection = apsw.Connection(":memory:")
    connection.pragma("foreign_keys", "on")
    with connection:
        migrate(connection, migrations())
    return connection


@attrs.define(eq=False)
class InlineDatabase:
    """Runs the work at once. While ``is_away`` it raises; ``late`` are raised one by one after the commit."""

    connection: apsw.Connection = attrs.field(factory=fresh)
    is_away: bool = False
    late: deque[StoreError] = attrs.field(factory=deque)
    calls: list[str] = attrs.field(factory=list)
    pause: trio.Event | None = None
    """Set before a change comes back, if there."""

    async def change(self, work: Callable[[apsw.Connection], T]) -> T:
        value = await self.look(work)
        if self.pause is not None:
            await self.pause.wait()
        if self.late:
            raise self.late.popleft()
        return value

    async def look(self, work: Callable[[apsw.Connection], T]) -> T:
        await trio.lowlevel.checkpoint()
        name = getattr(getattr(work, "func", work), "__name__", "")
        self.calls.append(name)
        if self.is_away:
            raise StoreError("away")
        with self.connection as connection:
            value = work(connection)
            assert connection.in_transaction
        return value

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return list(self.connection.execute(sql))

    def states(self) -> dict[str, str]:
        return {
            str(name): str(state)
            for name, state in self.rows("SELECT id, status FROM async_jobs ORDER BY seq")
        }


def request(body: bytes = b"{}", **more: Any) -> JobRequest:
    plain = JobRequest(
        request_id="r", operation="chat_completion", route="/openai/v1/chat/completions", body=body
    )
    return attrs.evolve(plain, **more)


def answer(body: bytes = b'{"a":1}') -> JobResult:
    return JobResult(status=200, body=body)


def refusal(status: int = 502) -> JobResult:
    return JobResult(status=status, body=b'{"error":{}}', is_error=True)
