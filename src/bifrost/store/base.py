"""What the gateway asks of a store, and how a store says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from bifrost.schema.job import Claim, Job, JobRequest, JobResult

__all__ = [
    "JobBounds",
    "JobCounts",
    "JobStore",
    "StoreAway",
    "StoreBusy",
    "StoreError",
    "StoreFull",
]


class StoreError(Exception):
    """The store did not do it. Its text never has a value that was stored.

    Unless it says otherwise, nothing was changed.
    """


class StoreBusy(StoreError):
    """It did not come to it in time; it may a moment later.

    A change that was under way when the time ran out is taken back, except if its commit was what took so long: whoever
    has to know asks again.
    """


class StoreAway(StoreError):
    """It cannot be opened, read or written: no such place, a full disk, another gateway's, a newer version's."""


class StoreFull(StoreError):
    """A bound of ours is reached."""


@attrs.frozen(kw_only=True)
class JobBounds:
    """What a store takes: jobs pending or processing, and bytes of all jobs, their bodies and results."""

    max_open: int
    max_stored_bytes: int


@attrs.frozen(kw_only=True)
class JobCounts:
    """What it holds. ``open_jobs`` are those pending or processing, ``stored_bytes`` headers, bodies and results."""

    open_jobs: int
    stored_bytes: int


class JobStore(Protocol):
    """Asynchronous jobs. One gateway owns it; times are Unix seconds.

    Every method waits for a bounded time and raises StoreError. What it changed is durable when it returns. Cancelled, a
    change is made in whole or not at all.
    """

    async def add(self, job_id: str, request: JobRequest, bounds: JobBounds, now_s: float) -> Job:
        """Write a job down as pending. Its secrets are not written, only that it has some. Raises StoreFull."""
        ...

    async def claim(self, limit: int) -> tuple[Claim, ...]:
        """Up to ``limit`` pending jobs, in the order of their adding; they are processing from now on."""
        ...

    async def release(self, running: frozenset[str]) -> int:
        """Make every processing job pending again that is not among ``running``; how many there were."""
        ...

    async def finish(self, job_id: str, result: JobResult, now_s: float) -> bool:
        """End a processing job; its request is forgotten. False, and nothing done, if it is not processing."""
        ...

    async def fail_processing(self, result: JobResult, now_s: float) -> int:
        """End every processing job with ``result``, which is an error; how many there were."""
        ...

    async def find(self, job_id: str, now_s: float) -> Job | None:
        """The job, unless there is none or it has expired."""
        ...

    async def sweep(self, limit: int, now_s: float) -> int:
        """Delete up to ``limit`` expired jobs; how many it were."""
        ...

    async def counts(self) -> JobCounts:
        """What it holds now, expired jobs that were not swept yet included."""
        ...
