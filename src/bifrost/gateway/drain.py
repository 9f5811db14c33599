"""Told from outside to stop, and how that is done: what runs may finish, for so long, and is ended then."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import attrs
import trio

from bifrost.actors.router import Router
from bifrost.gateway.notes import Notes
from bifrost.gateway.pools import Pools
from bifrost.http.doors import Doors, Phase
from bifrost.jobs.room import Jobs

__all__ = ["HURRY_S", "Drain", "Signals"]

HURRY_S = 5.0
"""For exchanges to end once they have been told to."""


@attrs.define(eq=False)
class Signals:
    """SIGHUP has ``reload`` awaited, SIGTERM or SIGINT stops, and a second one hurries."""

    reload: Callable[[], Awaitable[None]]
    stopping: trio.Event = attrs.field(factory=trio.Event, init=False)
    hurried: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def listen(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Take them from the process, until cancelled."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGHUP:
                    await self.reload()
                elif self.stopping.is_set():
                    self.hurried.set()
                else:
                    self.stopping.set()


@attrs.frozen(eq=False, kw_only=True)
class Drain:
    """``hurried`` ends the grace before its time; ``served`` is set once the last connection of callers is closed."""

    doors: Doors
    router: Router
    jobs: Jobs | None
    pools: Pools
    notes: Notes
    hurried: trio.Event
    served: trio.Event

    async def run(self, grace_s: float) -> None:
        """Let what runs finish, for so long; then end it, and tell its callers why."""
        self.doors.phase = Phase.DRAINING
        self.notes.logs.info("draining", inflight=self.router.inflight, grace_s=grace_s)
        if self.jobs is not None:
            self.jobs.close()
        self.router.close()
        await self._let_finish(grace_s)
        if self.jobs is not None:
            # Before their calls are: so they fail with what became of the job.
            self.jobs.hurry()
        self.router.hurry()
        with trio.move_on_after(HURRY_S):
            await self._wait_idle()
            await self.served.wait()

    async def _let_finish(self, grace_s: float) -> None:
        async with trio.open_nursery() as nursery:
            self.pools.start_draining(nursery)
            nursery.start_soon(self._on_hurry, nursery.cancel_scope)
            with trio.move_on_after(grace_s):
                await self._wait_idle()
            nursery.cancel_scope.cancel()

    async def _wait_idle(self) -> None:
        await self.router.wait_idle()
        if self.jobs is not None:
            await self.jobs.wait_idle()

    async def _on_hurry(self, grace: trio.CancelScope) -> None:
        await self.hurried.wait()
        self.notes.logs.info("hurrying", inflight=self.router.inflight)
        grace.cancel()
