"""The log store, where one is configured: its file, and the room of the asynchronous jobs that are kept in it."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.http.health import StoreHealth
from bifrost.http.job_calls import JobCalls
from bifrost.integrations.mounted import FINDER
from bifrost.jobs.room import Jobs, JobWatch
from bifrost.observe.prometheus import JobsView
from bifrost.store.base import StoreError
from bifrost.store.sqlite import SqliteFile
from bifrost.store.sqlite_jobs import SqliteJobStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.config.settings import Config
    from bifrost.gateway.notes import Notes
    from bifrost.http.doors import Doors
    from bifrost.observe.prometheus import Metrics
    from bifrost.service import Service

__all__ = ["LogStore", "log_store"]

VIEW_S = 1.0
"""For the store to show itself to a scrape."""


@attrs.frozen(eq=False)
class LogStore:
    """``jobs.run`` is to be run; the file is opened by its first work, and closed by whoever closes the house."""

    file: SqliteFile
    jobs: Jobs

    @property
    def health(self) -> StoreHealth:
        return StoreHealth(
            name="log", is_away=lambda: self.file.trouble is not None, ping=self.file.ping
        )

    async def view(self) -> JobsView:
        """For a scrape."""
        counts = None
        with trio.move_on_after(VIEW_S), suppress(StoreError):
            counts = await self.jobs.store.counts()
        return JobsView(
            running=self.jobs.running, counts=counts, is_store_up=self.file.trouble is None
        )


def log_store(
    config: Config,
    app_dir: Path,
    *,
    doors: Doors,
    service: Service,
    metrics: Metrics,
    notes: Notes,
    new_id: Callable[[], str],
) -> LogStore | None:
    """The one that ``config`` asks for. Opens nothing yet."""
    if config.logs_store is None:
        return None
    path = config.logs_store.path
    file = SqliteFile(
        app_dir / "logs.db" if path is None else Path(path),
        on_turn=partial(notes.store_turned, "logs"),
    )
    jobs = Jobs(
        store=SqliteJobStore(file),
        work=JobCalls(finder=FINDER, doors=doors, service=service).run,
        client=config.client,
        watch=JobWatch(
            on_defect=notes.job_defect,
            on_trouble=lambda doing, _: metrics.store_failed(doing),
            on_lost=notes.job_lost,
        ),
        wall=time.time,
        new_id=new_id,
    )
    return LogStore(file, jobs)
