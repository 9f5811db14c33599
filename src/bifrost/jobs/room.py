"""The room that runs jobs: takes them from the store in their order, so many at a time, and writes down what came of it.

A job is *claimed* (processing, and that is on disk) before its work starts, and ended once. So whatever happens to the
process, no job is run twice: what was processing when it died is failed by the next, what was pending is run by it.
The store may be away for a while: the room then takes no jobs, and keeps the results that it has until they are written.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import trio

from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings
from bifrost.errors import (
    BadRequest,
    BodyTooLarge,
    DeadlineExceeded,
    GatewayError,
    InternalError,
    Overloaded,
    QueueFull,
    ShuttingDown,
)
from bifrost.integrations.envelope import error_body
from bifrost.jobs.serving import MIB, too_large
from bifrost.schema.job import Claim, Job, JobRequest, JobResult
from bifrost.store.base import JobBounds, JobStore, StoreError, StoreFull

__all__ = ["JobWatch", "Jobs"]

SWEEP_S = 60.0
SWEEP_ROWS = 100
MAX_RUN_S = 24 * 3600.0
"""A job that takes longer is ended."""
FIRST_DELAY_S = 0.1
MAX_DELAY_S = 5.0
"""Between two tries at a store that fails; doubles in between."""
OVERLOADED_S = 1.0
MAX_SECRET_BYTES = 32768
"""Of one job: about two keys of the longest kind."""

JOB_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")

NOT_FOUND = "job not found or expired"
SHUT_DOWN = "gateway shut down before the job had finished"
STOPPED = "gateway stopped before the job had finished"
SECRET_LOST = (
    "gateway was restarted before the job was run, and the key sent with it is never stored"  # noqa: S105  a sentence
)
TOO_LONG = "the job did not finish within 24 hours"


@attrs.frozen(kw_only=True)
class JobWatch:
    """Who is told of what no caller sees. None of them may raise."""

    on_defect: Callable[[Exception, str], None]
    """The work of the job with this request id crashed."""
    on_trouble: Callable[[str, StoreError], None]
    """The store failed while this was to be done (``claim``, ``finish``, …); it will be tried again."""
    on_lost: Callable[[str], None]
    """The job with this id is over, and the store may not know: it was away to the last, or had it as no longer processing."""


@attrs.define(eq=False)
class Jobs:
    """Takes, runs and shows jobs. ``run`` is its whole life.

    ``work`` makes the call, to its end; it may raise GatewayError, and Overloaded and ShuttingDown only if nothing was done
    yet: it is then asked again a little later, or by the next start if this one is at its end.
    """

    store: JobStore
    work: Callable[[JobRequest], Awaitable[JobResult]]
    client: ClientSettings
    watch: JobWatch
    wall: Callable[[], float]
    new_id: Callable[[], str]
    _running: dict[str, trio.CancelScope] = attrs.field(factory=dict, init=False)
    _secrets: dict[str, tuple[tuple[bytes, Secret], ...]] = attrs.field(factory=dict, init=False)
    _asked: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set once the store was asked for the first time."""
    _is_ready: bool = attrs.field(default=False, init=False)
    _is_unsure: bool = attrs.field(default=False, init=False)
    """Whether the store may have jobs as processing that are not running: of a claim whose answer never came, or given back."""
    _is_hurried: bool = attrs.field(default=False, init=False)
    _wake: trio.Event = attrs.field(factory=trio.Event, init=False)
    _closing: trio.Event = attrs.field(factory=trio.Event, init=False)
    _ended: trio.Event = attrs.field(factory=trio.Event, init=False)

    # The front

    @property
    def running(self) -> int:
        """Jobs at work, or at having their result written."""
        return len(self._running)

    async def submit(self, request: JobRequest) -> Job:
        """Write ``request`` down; once this returns it will be run, whoever goes away. Not cancelled half way.

        Waits for ``run`` to have asked the store, which is bounded by the store.
        Raises ShuttingDown, BodyTooLarge, QueueFull, BadRequest for too long secrets, InternalError if the store fails.
        """
        if self._closing.is_set():
            raise ShuttingDown("gateway is shutting down")
        self._check_size(request)
        await self._asked.wait()
        if not self._is_ready:
            raise _store_failed("create")
        job_id = self.new_id()
        if request.secrets:
            self._secrets[job_id] = request.secrets
        try:
            # Bounded by the store. A caller who hangs up meanwhile must not leave a job without its secrets behind.
            with trio.CancelScope(shield=True):
                job = await self.store.add(job_id, request, self._bounds(), self.wall())
        except StoreError as error:
            self._secrets.pop(job_id, None)
            raise _not_added(error) from error
        self._wake.set()
        return job

    async def poll(self, job_id: str, operation: str, virtual_key_id: str) -> Job:
        """The job, to one who may see it: a job of a virtual key is shown to nobody else.

        Raises a BadRequest with 404 that never says why, and InternalError if the store fails.
        """
        if JOB_ID.fullmatch(job_id) is None:
            raise _not_found()
        try:
            job = await self.store.find(job_id, self.wall())
        except StoreError as error:
            raise _store_failed("read") from error
        if job is None or job.operation != operation:
            raise _not_found()
        if job.virtual_key_id not in ("", virtual_key_id):
            raise _not_found()
        return job

    def reconfigure(self, client: ClientSettings) -> None:
        """Go by ``client`` from now on."""
        self.client = client
        self._wake.set()

    def close(self) -> None:
        """Take no more jobs, start none. ``run`` returns when those that run have ended."""
        self._closing.set()
        self._wake.set()

    def hurry(self) -> None:
        """End what still runs: it fails, and says that the gateway shut down. Meant for after ``close``."""
        self._is_hurried = True
        for scope in tuple(self._running.values()):
            scope.cancel()

    async def wait_idle(self) -> None:
        """Until ``run`` has nothing left to do. Meant for after ``close``."""
        await self._ended.wait()

    # Its life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run jobs until ``close``; then until the last of them is written. Ready once the store was asked, well or ill.

        Cancelled, it leaves what runs as processing, which the next start fails.
        """
        try:
            async with trio.open_nursery() as upkeep:
                upkeep.start_soon(self._sweep_always)
                async with trio.open_nursery() as nursery:
                    await self._take_turns(nursery, task_status)
                if self._is_unsure:
                    await self._tried("release", self._release)
                upkeep.cancel_scope.cancel()
        finally:
            self._asked.set()
            self._ended.set()

    async def _take_turns(self, nursery: trio.Nursery, task_status: trio.TaskStatus[None]) -> None:
        def told() -> None:
            self._asked.set()
            task_status.started()

        await self._tried("recover", self._recover, told)
        while not self._closing.is_set():
            self._wake = trio.Event()
            if await self._tried("claim", partial(self._claim, nursery)):
                await self._wake.wait()
        if self._is_unsure:
            await self._tried("release", self._release)

    async def _tried(
        self,
        doing: str,
        action: Callable[[], Awaitable[None]],
        told: Callable[[], None] = lambda: None,
    ) -> bool:
        """``action``, again and again until the store does it or this closes; whether it did. ``told`` after the first."""
        tries = 0
        while True:
            try:
                await action()
            except StoreError as error:
                self.watch.on_trouble(doing, error)
            else:
                break
            finally:
                if tries == 0:
                    told()
            tries += 1
            with trio.move_on_after(_delay_s(tries)):
                await self._closing.wait()
            if self._closing.is_set():
                return False
        return True

    async def _recover(self) -> None:
        """What an earlier process left as processing it cannot have finished."""
        await self.store.fail_processing(_failure(ShuttingDown(STOPPED)), self.wall())
        self._is_ready = True

    async def _claim(self, nursery: trio.Nursery) -> None:
        if self._is_unsure:
            await self._release()
        free = self.client.async_job_concurrency - len(self._running)
        if free <= 0:
            return
        self._is_unsure = True
        claims = await self.store.claim(free)
        if self._closing.is_set():
            return  # they are released
        self._is_unsure = False
        for claim in claims:
            self._running[claim.id] = trio.CancelScope()
            nursery.start_soon(self._serve, claim)

    async def _release(self) -> None:
        await self.store.release(frozenset(self._running))
        self._is_unsure = False

    # One job

    async def _serve(self, claim: Claim) -> None:
        result = await self._result(claim)
        if result is None:
            del self._running[claim.id]
            self._is_unsure = True
            return
        is_written = False
        try:
            is_written = await self._write(claim.id, result)
        finally:
            if not is_written:
                self.watch.on_lost(claim.id)
            del self._running[claim.id]
            self._wake.set()

    async def _result(self, claim: Claim) -> JobResult | None:
        """How it ended; ``None`` if it has not begun, and had better be left for the next start."""
        request = attrs.evolve(claim.request, secrets=self._secrets.pop(claim.id, ()))
        if claim.needs_secret and not request.secrets:
            return _failure(ShuttingDown(SECRET_LOST))
        scope = self._running[claim.id]
        scope.deadline = trio.current_time() + MAX_RUN_S
        with scope:
            result = await self._worked(request)
            return None if result is None else self._bounded(result)
        return _failure(ShuttingDown(SHUT_DOWN) if self._is_hurried else DeadlineExceeded(TOO_LONG))

    async def _worked(self, request: JobRequest) -> JobResult | None:
        while True:
            try:
                return await self.work(request)
            except Overloaded as error:
                # Nobody waits at the other end, so a job can.
                await trio.sleep(error.retry_after_s or OVERLOADED_S)
            except GatewayError as error:
                is_left = isinstance(error, ShuttingDown) and self._closing.is_set()
                return None if is_left else _failure(error)
            except Exception as defect:  # noqa: BLE001  the job's root: its siblings go on
                self.watch.on_defect(defect, request.request_id)
                return _failure(InternalError(f"internal error: {type(defect).__name__}"))

    def _bounded(self, result: JobResult) -> JobResult:
        if len(result.body) <= self.client.async_job_max_result_mb * MIB:
            return result
        return _failure(too_large(self.client))

    async def _write(self, job_id: str, result: JobResult) -> bool:
        """Have the end written, however long the store is away; false if it had ended otherwise."""
        tries = 0
        while True:
            try:
                # Not processing after a try that failed: that one had come through after all.
                return await self.store.finish(job_id, result, self.wall()) or tries > 0
            except StoreError as error:
                self.watch.on_trouble("finish", error)
            tries += 1
            await trio.sleep(_delay_s(tries))

    # Bounds and upkeep

    def _check_size(self, request: JobRequest) -> None:
        most_mb = self.client.async_job_max_body_mb
        if len(request.body) > most_mb * MIB:
            text = f"request body exceeds max allowed size of {most_mb} MiB for async jobs"
            raise BodyTooLarge(text)
        if sum(len(value.reveal()) for _, value in request.secrets) > MAX_SECRET_BYTES:
            raise BadRequest("the keys sent with an async job are too long")

    def _bounds(self) -> JobBounds:
        return JobBounds(
            max_open=self.client.async_job_max_open,
            max_stored_bytes=self.client.async_job_max_stored_mb * MIB,
        )

    async def _sweep_always(self) -> None:
        while True:
            try:
                await self._sweep()
            except StoreError as error:
                self.watch.on_trouble("sweep", error)
            await trio.sleep(SWEEP_S)

    async def _sweep(self) -> None:
        while await self.store.sweep(SWEEP_ROWS, self.wall()) == SWEEP_ROWS:
            pass


def _delay_s(tries: int) -> float:
    return min(FIRST_DELAY_S * 2.0 ** min(tries - 1, 10), MAX_DELAY_S)


def _failure(error: GatewayError) -> JobResult:
    return JobResult(status=error.status, body=error_body(error), is_error=True)


def _not_found() -> BadRequest:
    return BadRequest(NOT_FOUND, status=404)


def _store_failed(doing: str) -> InternalError:
    return InternalError(f"failed to {doing} async job", code="store_unavailable")


def _not_added(error: StoreError) -> GatewayError:
    if isinstance(error, StoreFull):
        return QueueFull(str(error), retry_after_s=1.0)
    return _store_failed("create")
