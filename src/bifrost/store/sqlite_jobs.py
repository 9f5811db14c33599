"""The job store in SQLite: ``job_table``'s statements, each in a transaction of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import attrs

from bifrost.store import job_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from bifrost.schema.job import Claim, Job, JobRequest, JobResult
    from bifrost.store.base import JobBounds, JobCounts

__all__ = ["Database", "SqliteJobStore"]

T = TypeVar("T")


class Database(Protocol):
    """Where the statements run: ``SqliteFile``, or in tests a connection without a thread."""

    async def change(self, work: Callable[[apsw.Connection], T]) -> T: ...

    async def look(self, work: Callable[[apsw.Connection], T]) -> T: ...


@attrs.frozen
class SqliteJobStore:
    """A ``JobStore`` in ``database``."""

    database: Database

    async def add(self, job_id: str, request: JobRequest, bounds: JobBounds, now_s: float) -> Job:
        work = partial(job_table.add, job_id=job_id, request=request, bounds=bounds, now_s=now_s)
        return await self.database.change(work)

    async def claim(self, limit: int) -> tuple[Claim, ...]:
        return await self.database.change(partial(job_table.claim, limit=limit))

    async def release(self, running: frozenset[str]) -> int:
        return await self.database.change(partial(job_table.release, running=running))

    async def finish(self, job_id: str, result: JobResult, now_s: float) -> bool:
        work = partial(job_table.finish, job_id=job_id, result=result, now_s=now_s)
        return await self.database.change(work)

    async def fail_processing(self, result: JobResult, now_s: float) -> int:
        work = partial(job_table.fail_processing, result=result, now_s=now_s)
        return await self.database.change(work)

    async def find(self, job_id: str, now_s: float) -> Job | None:
        return await self.database.look(partial(job_table.find, job_id=job_id, now_s=now_s))

    async def sweep(self, limit: int, now_s: float) -> int:
        return await self.database.change(partial(job_table.sweep, limit=limit, now_s=now_s))

    async def counts(self) -> JobCounts:
        return await self.database.look(job_table.counts)
