"""The room under trio's mock clock, over SQLite in memory: order, bounds, ends, drain, and a store that fails."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from bifrost.codecs.json import loads
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings
from bifrost.errors import (
    BadRequest,
    BodyTooLarge,
    GatewayError,
    InternalError,
    Overloaded,
    QueueFull,
    ShuttingDown,
    UpstreamError,
)
from bifrost.jobs.room import MAX_RUN_S, SWEEP_S, Jobs, JobWatch
from bifrost.schema.job import Job, JobRequest, JobResult, JobState
from bifrost.store.base import StoreBusy, StoreError
from bifrost.store.sqlite_jobs import SqliteJobStore
from store.fakes import InlineDatabase, answer, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

CHAT = "chat_completion"
EPOCH_S = 1_800_000_000.0


@attrs.define(eq=False)
class Work:
    """Does each job in ``takes_s``, or ends it with what ``ends`` has for its body."""

    takes_s: float = 10.0
    ends: dict[bytes, Exception | JobResult] = attrs.field(factory=dict)
    began: list[bytes] = attrs.field(factory=list)
    requests: list[JobRequest] = attrs.field(factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, wanted: JobRequest) -> JobResult:
        self.began.append(wanted.body)
        self.requests.append(wanted)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await trio.sleep(self.takes_s)
        finally:
            self.at_once -= 1
        end = self.ends.get(wanted.body, answer(b"done " + wanted.body))
        if isinstance(end, Exception):
            raise end
        return end


@attrs.define(eq=False)
class House:
    """A room with all that is round it. ``life`` is one run of it; the database outlives it."""

    database: InlineDatabase = attrs.field(factory=InlineDatabase)
    client: ClientSettings = attrs.field(factory=ClientSettings)
    work: Work = attrs.field(factory=Work)
    defects: list[tuple[Exception, str]] = attrs.field(factory=list)
    trouble: list[str] = attrs.field(factory=list)
    lost: list[str] = attrs.field(factory=list)
    made: int = 0

    def new_id(self) -> str:
        self.made += 1
        return f"job-{self.made}"

    def room(self) -> Jobs:
        watch = JobWatch(
            on_defect=lambda error, name: self.defects.append((error, name)),
            on_trouble=lambda doing, _: self.trouble.append(doing),
            on_lost=self.lost.append,
        )
        return Jobs(
            store=SqliteJobStore(self.database),
            work=self.work,
            client=self.client,
            watch=watch,
            wall=lambda: EPOCH_S + trio.current_time(),
            new_id=self.new_id,
        )

    @asynccontextmanager
    async def life(self) -> AsyncIterator[Jobs]:
        """A run that is cut off at the end, as by SIGKILL."""
        jobs = self.room()
        async with trio.open_nursery() as nursery:
            await nursery.start(jobs.run)
            yield jobs
            nursery.cancel_scope.cancel()

    def states(self) -> Counter[str]:
        return Counter(self.database.states().values())


async def ended(jobs: Jobs, job: Job, within_s: float = 60.0) -> Job:
    """The job, once it is over."""
    with trio.fail_after(within_s):
        while not (found := await jobs.poll(job.id, CHAT, job.virtual_key_id)).state.is_over:
            await trio.sleep(0.5)
    return found


def error_of(job: Job) -> tuple[int, str]:
    """Status and message of a failed job, which both the row and its body tell."""
    assert job.state is JobState.FAILED
    assert job.result is not None
    assert job.result.is_error
    told = loads(job.result.body)
    assert told["status_code"] == job.result.status
    return job.result.status, told["error"]["message"]


async def test_a_job_is_pending_then_processing_then_completed(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        job = await jobs.submit(request(b"1", result_ttl_s=100))
        assert (job.state, job.created_s) == (JobState.PENDING, EPOCH_S)

        await trio.sleep(5)
        assert (await jobs.poll(job.id, CHAT, "")).state is JobState.PROCESSING
        assert jobs.running == 1

        await trio.sleep(6)
        assert await jobs.poll(job.id, CHAT, "") == attrs.evolve(
            job,
            state=JobState.COMPLETED,
            completed_s=EPOCH_S + 10,
            expires_s=EPOCH_S + 110,
            result=answer(b"done 1"),
        )
        assert jobs.running == 0


async def test_the_ttl_counts_from_completion_and_then_the_job_is_gone(
    autojump_clock: MockClock,
) -> None:
    house = House()
    async with house.life() as jobs:
        job = await jobs.submit(request(result_ttl_s=30))
        await trio.sleep(39.9)
        assert (await jobs.poll(job.id, CHAT, "")).state is JobState.COMPLETED

        await trio.sleep(0.2)
        with pytest.raises(BadRequest, match="job not found or expired"):
            await jobs.poll(job.id, CHAT, "")
        assert house.states() == {"completed": 1}

        await trio.sleep(SWEEP_S)
        assert house.states() == {}


async def test_expired_jobs_are_swept_at_start_in_batches(autojump_clock: MockClock) -> None:
    house = House(work=Work(takes_s=0), client=ClientSettings(async_job_concurrency=500))
    async with house.life() as jobs:
        for _ in range(250):
            await jobs.submit(request(result_ttl_s=1))
        await trio.sleep(30)
    assert house.states() == {"completed": 250}

    house.database.calls.clear()
    async with house.life():
        await trio.testing.wait_all_tasks_blocked()
        assert house.states() == {}
        assert house.database.calls.count("sweep") == 3


async def test_so_many_run_at_a_time_and_the_others_in_their_order(
    autojump_clock: MockClock,
) -> None:
    house = House(client=ClientSettings(async_job_concurrency=3))
    async with house.life() as jobs:
        for n in range(10):
            await jobs.submit(request(b"%d" % n))
        await trio.sleep(5)
        assert house.states() == {"processing": 3, "pending": 7}

        await trio.sleep(40)
        assert house.states() == {"completed": 10}
    turns = [set(house.work.began[at : at + 3]) for at in range(0, 10, 3)]
    assert turns == [{b"0", b"1", b"2"}, {b"3", b"4", b"5"}, {b"6", b"7", b"8"}, {b"9"}]
    assert house.work.most_at_once == 3


async def test_another_concurrency_holds_at_once(autojump_clock: MockClock) -> None:
    house = House(client=ClientSettings(async_job_concurrency=4))
    async with house.life() as jobs:
        for n in range(8):
            await jobs.submit(request(b"%d" % n))
        await trio.sleep(5)
        jobs.reconfigure(ClientSettings(async_job_concurrency=1))
        await trio.sleep(10)
        assert jobs.running == 1

        jobs.reconfigure(ClientSettings(async_job_concurrency=3))
        await trio.sleep(1)
        assert jobs.running == 3


async def test_work_is_done_with_all_that_the_submitter_sent(autojump_clock: MockClock) -> None:
    house = House()
    wanted = request(
        model="m",
        headers=((b"x-bf-session-id", b"s"),),
        secrets=((b"authorization", Secret("Bearer sk-direct")),),
        virtual_key_id="vk",
        remote_addr="::1",
    )
    async with house.life() as jobs:
        await ended(jobs, await jobs.submit(wanted))

    assert house.work.requests == [wanted]


async def test_no_secret_gets_into_the_database(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        await jobs.submit(request(secrets=((b"authorization", Secret("sk-direct-12345")),)))

        assert b"sk-direct" not in house.database.connection.serialize("main")


@pytest.mark.parametrize(
    ("job_id", "operation", "virtual_key_id"),
    [
        ("job-1", CHAT, ""),
        ("job-1", CHAT, "another"),
        ("job-1", "embedding", "mine"),
        ("job-2", CHAT, "mine"),
        ("", CHAT, "mine"),
        ("job-1\udcff", CHAT, "mine"),
        ("x" * 65, CHAT, "mine"),
    ],
)
async def test_who_may_not_see_a_job_learns_nothing(
    job_id: str, operation: str, virtual_key_id: str, autojump_clock: MockClock
) -> None:
    house = House()
    async with house.life() as jobs:
        await jobs.submit(request(virtual_key_id="mine"))

        with pytest.raises(BadRequest) as caught:
            await jobs.poll(job_id, operation, virtual_key_id)

        assert (caught.value.status, caught.value.message) == (404, "job not found or expired")
        assert (await jobs.poll("job-1", CHAT, "mine")).id == "job-1"


async def test_a_job_without_a_virtual_key_is_anybody_s(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        job = await jobs.submit(request())

        assert (await jobs.poll(job.id, CHAT, "somebody")).id == job.id


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UpstreamError("no such model", status=404), 404, "no such model"),
        (ValueError("sk-secret in a text"), 500, "internal error: ValueError"),
        (ExceptionGroup("several", [ValueError("x")]), 500, "internal error: ExceptionGroup"),
    ],
)
async def test_work_that_raises_fails_the_job_and_no_other(
    error: Exception, status: int, message: str, autojump_clock: MockClock
) -> None:
    house = House(work=Work(ends={b"bad": error}))
    async with house.life() as jobs:
        bad = await jobs.submit(request(b"bad"))
        good = await jobs.submit(request(b"good"))

        assert error_of(await ended(jobs, bad)) == (status, message)
        assert (await ended(jobs, good)).state is JobState.COMPLETED
    assert house.defects == ([] if isinstance(error, GatewayError) else [(error, "r")])


async def test_an_error_that_the_work_tells_is_kept_as_it_is(autojump_clock: MockClock) -> None:
    told = JobResult(status=429, body=b'{"error":{"message":"slow"}}', is_error=True)
    house = House(work=Work(ends={b"bad": told}))
    async with house.life() as jobs:
        job = await ended(jobs, await jobs.submit(request(b"bad")))

        assert (job.state, job.result) == (JobState.FAILED, told)


async def test_an_overloaded_gateway_is_asked_again(autojump_clock: MockClock) -> None:
    house = House(work=Work(ends={b"1": Overloaded("full", retry_after_s=3.0)}))
    async with house.life() as jobs:
        job = await jobs.submit(request(b"1"))
        await trio.sleep(15)
        house.work.ends.clear()

        assert (await ended(jobs, job)).state is JobState.COMPLETED
    assert len(house.work.began) == 2


async def test_a_job_that_takes_a_day_is_ended(autojump_clock: MockClock) -> None:
    house = House(work=Work(takes_s=2 * MAX_RUN_S))
    async with house.life() as jobs:
        job = await jobs.submit(request())
        await trio.sleep(MAX_RUN_S - 1)
        assert (await jobs.poll(job.id, CHAT, "")).state is JobState.PROCESSING

        assert error_of(await ended(jobs, job)) == (
            504,
            "the job did not finish within 24 hours",
        )


async def test_a_result_that_is_too_large_fails_the_job(autojump_clock: MockClock) -> None:
    large = answer(b"x" * (1024 * 1024 + 1))
    house = House(work=Work(ends={b"1": large}), client=ClientSettings(async_job_max_result_mb=1))
    async with house.life() as jobs:
        job = await ended(jobs, await jobs.submit(request(b"1")))

        text = "the job's result is larger than 1 MiB (client.async_job_max_result_mb)"
        assert error_of(job) == (500, text)


async def test_too_much_is_refused(autojump_clock: MockClock) -> None:
    house = House(client=ClientSettings(async_job_max_body_mb=1, async_job_max_open=1))
    async with house.life() as jobs:
        with pytest.raises(BodyTooLarge, match="1 MiB for async jobs"):
            await jobs.submit(request(b"x" * (1024 * 1024 + 1)))
        with pytest.raises(BadRequest, match="keys sent with an async job are too long"):
            await jobs.submit(request(secrets=((b"authorization", Secret("x" * 40_000)),)))
        await jobs.submit(request())
        with pytest.raises(QueueFull, match="too many asynchronous jobs") as caught:
            await jobs.submit(request(secrets=((b"authorization", Secret("x")),)))

        assert (caught.value.status, caught.value.retry_after_s) == (429, 1.0)
        assert jobs._secrets == {}


async def test_a_submitter_s_going_cancels_nothing(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        house.database.pause = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(jobs.submit, request(secrets=((b"api-key", Secret("x")),)))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            house.database.pause.set()

        await trio.sleep(20)
        assert house.states() == {"completed": 1}


# What a restart does


async def test_after_a_crash_what_was_processing_is_failed_and_what_was_pending_is_run(
    autojump_clock: MockClock,
) -> None:
    house = House(client=ClientSettings(async_job_concurrency=2))
    async with house.life() as jobs:
        submitted = [await jobs.submit(request(b"%d" % n)) for n in range(4)]
        await trio.sleep(5)

    async with house.life() as jobs:
        done = [await ended(jobs, job) for job in submitted]

    assert [job.state.value for job in done] == ["failed", "failed", "completed", "completed"]
    assert error_of(done[0]) == (503, "gateway stopped before the job had finished")
    assert sorted(house.work.began) == [b"0", b"1", b"2", b"3"]
    assert house.lost == []


async def test_a_job_whose_key_lived_in_memory_fails_after_a_restart(
    autojump_clock: MockClock,
) -> None:
    house = House(client=ClientSettings(async_job_concurrency=1))
    async with house.life() as jobs:
        await jobs.submit(request())
        direct = await jobs.submit(request(secrets=((b"api-key", Secret("x")),)))
        await trio.sleep(5)

    async with house.life() as jobs:
        job = await ended(jobs, direct)

    text = "gateway was restarted before the job was run, and the key sent with it is never stored"
    assert error_of(job) == (503, text)
    assert len(house.work.began) == 1


# Drain


async def test_a_drain_lets_running_jobs_end_and_keeps_pending_ones(
    autojump_clock: MockClock,
) -> None:
    house = House(client=ClientSettings(async_job_concurrency=2))
    async with house.life() as jobs:
        for n in range(3):
            await jobs.submit(request(b"%d" % n))
        await trio.sleep(5)

        jobs.close()
        with pytest.raises(ShuttingDown, match="gateway is shutting down"):
            await jobs.submit(request())
        with trio.fail_after(6):
            await jobs.wait_idle()

    assert house.states() == {"completed": 2, "pending": 1}
    async with house.life():
        await trio.sleep(11)
    assert house.states() == {"completed": 3}


async def test_past_the_grace_running_jobs_fail_and_say_so(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        job = await jobs.submit(request())
        await trio.sleep(5)

        jobs.close()
        jobs.hurry()
        with trio.fail_after(1):
            await jobs.wait_idle()

        text = "gateway shut down before the job had finished"
        assert error_of(await jobs.poll(job.id, CHAT, "")) == (503, text)


async def test_a_claim_that_a_drain_overtakes_is_given_back(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        await jobs.submit(request())
        house.database.pause = trio.Event()
        await trio.testing.wait_all_tasks_blocked()
        assert house.states() == {"processing": 1}

        jobs.close()
        house.database.pause.set()
        await jobs.wait_idle()

    assert house.states() == {"pending": 1}
    assert house.work.began == []


async def test_a_job_that_found_the_door_closed_is_left_for_the_next_start(
    autojump_clock: MockClock,
) -> None:
    house = House(work=Work(takes_s=1.0, ends={b"{}": ShuttingDown("gateway is shutting down")}))
    async with house.life() as jobs:
        await jobs.submit(request())
        await trio.testing.wait_all_tasks_blocked()
        jobs.close()
        await jobs.wait_idle()

    assert house.states() == {"pending": 1}
    assert house.lost == []
    house.work.ends.clear()
    async with house.life():
        await trio.sleep(2)
    assert house.states() == {"completed": 1}


async def test_a_closed_door_in_the_middle_of_its_life_is_a_failure(
    autojump_clock: MockClock,
) -> None:
    house = House(work=Work(ends={b"{}": ShuttingDown("no")}))
    async with house.life() as jobs:
        job = await jobs.submit(request())

        assert error_of(await ended(jobs, job)) == (503, "no")


async def test_who_comes_before_the_store_was_asked_waits(autojump_clock: MockClock) -> None:
    house = House()
    jobs = house.room()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(jobs.submit, request())
        await trio.sleep(1)
        assert house.database.calls == []
        nursery.start_soon(jobs.run)
        await trio.sleep(12)
        nursery.cancel_scope.cancel()

    assert house.states() == {"completed": 1}


# A store that fails


async def test_a_store_that_is_away_refuses_and_comes_back(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        house.database.is_away = True
        with pytest.raises(InternalError, match="failed to create async job") as caught:
            await jobs.submit(request(secrets=((b"api-key", Secret("x")),)))
        assert (caught.value.status, caught.value.code) == (500, "store_unavailable")
        with pytest.raises(InternalError, match="failed to read async job"):
            await jobs.poll("job-1", CHAT, "")
        assert jobs._secrets == {}

        house.database.is_away = False
        assert (await ended(jobs, await jobs.submit(request()))).state is JobState.COMPLETED


async def test_a_store_that_is_away_at_the_start_is_asked_again(
    autojump_clock: MockClock,
) -> None:
    house = House()
    async with house.life() as jobs:
        job = await jobs.submit(request())
        await trio.sleep(5)
    house.database.is_away = True
    async with house.life() as jobs:
        await trio.sleep(20)
        with pytest.raises(InternalError, match="failed to create async job"):
            await jobs.submit(request())
        house.database.is_away = False
        with pytest.raises(InternalError, match="failed to create async job"):
            await jobs.submit(request())

        assert error_of(await ended(jobs, job))[0] == 503
        await ended(jobs, await jobs.submit(request()))

    # 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, then every 5 s.
    assert 8 <= house.trouble.count("recover") <= 10


async def test_a_result_is_kept_until_it_can_be_written(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        job = await jobs.submit(request(b"1"))
        await trio.sleep(5)
        house.database.is_away = True
        await trio.sleep(600)
        assert jobs.running == 1
        house.database.is_away = False

        assert (await ended(jobs, job)).result == answer(b"done 1")
    assert house.work.began == [b"1"]
    assert "finish" in house.trouble
    assert house.lost == []


async def test_a_result_that_was_written_though_the_store_said_no_is_written_once(
    autojump_clock: MockClock,
) -> None:
    house = House()
    async with house.life() as jobs:
        job = await jobs.submit(request(b"1"))
        await trio.sleep(5)
        house.database.late.append(StoreBusy("too late to say so"))

        done = await ended(jobs, job)
        await trio.sleep(1)

        assert (done.result, done.completed_s) == (answer(b"done 1"), EPOCH_S + 10)
    assert (house.trouble, house.lost) == (["finish"], [])


async def test_a_job_that_somebody_else_ended_is_told_of(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        job = await jobs.submit(request())
        await trio.sleep(5)
        await jobs.store.fail_processing(answer(), 0.0)
        await trio.sleep(6)

    assert house.lost == [job.id]


async def test_a_claim_that_was_made_though_the_store_said_no_is_made_again(
    autojump_clock: MockClock,
) -> None:
    house = House()
    async with house.life() as jobs:
        first = await jobs.submit(request(b"1"))
        await trio.sleep(5)
        second = await jobs.submit(request(b"2"))
        house.database.late.append(StoreBusy("too late to say so"))

        for job in (first, second):
            assert (await ended(jobs, job)).state is JobState.COMPLETED
    assert house.work.began == [b"1", b"2"]
    assert house.trouble == ["claim"]


async def test_what_cannot_be_written_before_the_end_is_told_of(
    autojump_clock: MockClock,
) -> None:
    house = House()
    async with house.life() as jobs:
        job = await jobs.submit(request())
        await trio.sleep(5)
        house.database.is_away = True
        jobs.close()
        await trio.sleep(30)
    assert house.lost == [job.id]

    house.database.is_away = False
    async with house.life() as jobs:
        assert error_of(await ended(jobs, job))[0] == 503
    assert len(house.work.began) == 1


async def test_a_drain_does_not_wait_for_a_store_that_is_away(autojump_clock: MockClock) -> None:
    house = House(database=InlineDatabase(is_away=True))
    async with house.life() as jobs:
        await trio.sleep(1)
        jobs.close()
        with trio.fail_after(1):
            await jobs.wait_idle()
    assert set(house.trouble) == {"recover", "sweep"}


async def test_a_drain_ends_the_tries_at_a_claim(autojump_clock: MockClock) -> None:
    house = House()
    async with house.life() as jobs:
        await trio.sleep(1)
        house.database.is_away = True
        jobs.reconfigure(house.client)
        await trio.sleep(1)
        jobs.close()
        with trio.fail_after(1):
            await jobs.wait_idle()
    assert set(house.trouble) == {"claim", "release"}


async def test_a_sweep_that_fails_is_tried_a_minute_later(autojump_clock: MockClock) -> None:
    house = House(database=InlineDatabase(is_away=True))
    async with house.life():
        await trio.sleep(1)
        house.database.is_away = False
        await trio.sleep(SWEEP_S)

    assert house.trouble.count("sweep") == 1
    assert house.database.calls.count("sweep") == 2


def test_a_store_error_is_none_of_the_caller_s_errors() -> None:
    assert not issubclass(StoreError, GatewayError)
