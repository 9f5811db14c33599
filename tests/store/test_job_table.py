"""The job table against a model of it, for any order of what may happen."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
)

from bifrost.config.secret import Secret
from bifrost.schema.job import Job, JobRequest, JobResult, JobState
from bifrost.store import job_table
from bifrost.store.base import JobBounds, JobCounts, StoreFull
from store.fakes import WIDE, answer, fresh, refusal, request

TIGHT = JobBounds(max_open=4, max_stored_bytes=120)


@attrs.define
class Kept:
    """What the model knows of a job."""

    request: JobRequest
    state: JobState = JobState.PENDING
    result: JobResult | None = None
    expires_s: float = float("inf")

    @property
    def is_open(self) -> bool:
        return not self.state.is_over

    @property
    def stored_bytes(self) -> int:
        if self.result is not None:
            return len(self.result.body)
        return len(job_table._encode(self.request.headers)) + len(self.request.body)


class JobTable(RuleBasedStateMachine):
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.connection = fresh()
        self.model: dict[str, Kept] = {}
        self.now_s = 1000.0
        self.added = 0

    def teardown(self) -> None:
        self.connection.close()

    @rule(
        target=ids,
        body=st.binary(max_size=40),
        ttl_s=st.integers(1, 20),
        headers=st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), max_size=2),
        is_secret=st.booleans(),
    )
    def add(
        self, body: bytes, ttl_s: int, headers: list[tuple[bytes, bytes]], is_secret: bool
    ) -> str:
        self.added += 1
        job_id = f"job-{self.added}"
        secrets = ((b"authorization", Secret("hidden")),) if is_secret else ()
        wanted = request(body, result_ttl_s=ttl_s, headers=tuple(headers), secrets=secrets)
        held = self.counts()
        kept = Kept(wanted)
        fits = held.open_jobs < TIGHT.max_open
        fits &= held.stored_bytes + kept.stored_bytes <= TIGHT.max_stored_bytes
        try:
            with self.connection:
                job_table.add(self.connection, job_id, wanted, TIGHT, self.now_s)
        except StoreFull:
            assert not fits
            return job_id
        assert fits
        self.model[job_id] = kept
        return job_id

    @rule(limit=st.integers(0, 3))
    def claim(self, limit: int) -> None:
        waiting = [name for name, job in self.model.items() if job.state is JobState.PENDING]

        claims = job_table.claim(self.connection, limit)

        assert [claim.id for claim in claims] == waiting[:limit]
        for claim in claims:
            kept = self.model[claim.id]
            kept.state = JobState.PROCESSING
            assert claim.request == attrs.evolve(kept.request, secrets=())
            assert claim.needs_secret == bool(kept.request.secrets)

    @rule(job_id=ids, is_error=st.booleans(), body=st.binary(max_size=60))
    def finish(self, job_id: str, is_error: bool, body: bytes) -> None:
        result = JobResult(status=500 if is_error else 200, body=body, is_error=is_error)
        kept = self.model.get(job_id)
        is_running = kept is not None and kept.state is JobState.PROCESSING

        assert job_table.finish(self.connection, job_id, result, self.now_s) == is_running

        if kept is not None and is_running:
            self.end(kept, result)

    @rule(running=st.sets(ids))
    def release(self, running: set[str]) -> None:
        freed = [
            job
            for name, job in self.model.items()
            if job.state is JobState.PROCESSING and name not in running
        ]

        assert job_table.release(self.connection, frozenset(running)) == len(freed)

        for job in freed:
            job.state = JobState.PENDING

    @rule()
    def restart(self) -> None:
        stranded = [job for job in self.model.values() if job.state is JobState.PROCESSING]

        assert job_table.fail_processing(self.connection, refusal(), self.now_s) == len(stranded)

        for job in stranded:
            self.end(job, refusal())

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds

    @rule(limit=st.integers(1, 3))
    def sweep(self, limit: int) -> None:
        expired = {name for name, job in self.model.items() if job.expires_s <= self.now_s}

        assert job_table.sweep(self.connection, limit, self.now_s) == min(limit, len(expired))

        left = {row[0] for row in self.connection.execute("SELECT id FROM async_jobs")}
        assert self.model.keys() - left <= expired
        self.model = {name: job for name, job in self.model.items() if name in left}

    @rule(job_id=ids)
    def find(self, job_id: str) -> None:
        kept = self.model.get(job_id)
        found = job_table.find(self.connection, job_id, self.now_s)
        if kept is None or kept.expires_s <= self.now_s:
            assert found is None
            return
        assert found is not None
        assert (found.id, found.state, found.result) == (job_id, kept.state, kept.result)
        assert found.expires_s == (None if kept.is_open else kept.expires_s)

    @invariant()
    def counts_are_true(self) -> None:
        jobs = self.model.values()
        assert self.counts() == JobCounts(
            open_jobs=sum(job.is_open for job in jobs),
            stored_bytes=sum(job.stored_bytes for job in jobs),
        )

    @invariant()
    def requests_are_kept_only_as_long_as_needed(self) -> None:
        kept = self.connection.execute(
            "SELECT id FROM async_job_requests JOIN async_jobs USING (seq)"
        )
        assert {row[0] for row in kept} == {n for n, job in self.model.items() if job.is_open}

    def counts(self) -> JobCounts:
        return job_table.counts(self.connection)

    def end(self, kept: Kept, result: JobResult) -> None:
        kept.state = JobState.FAILED if result.is_error else JobState.COMPLETED
        kept.result = result
        kept.expires_s = self.now_s + kept.request.result_ttl_s


TestJobTable = JobTable.TestCase
TestJobTable.settings = settings(deadline=None, stateful_step_count=30)


def test_a_job_comes_back_as_it_was_added() -> None:
    connection = fresh()
    wanted = request(
        bytes(range(256)),
        model="gpt-4o",
        headers=((b"x-a", bytes(range(256))), (b"x-a", b"")),
        virtual_key_id="vk",
        remote_addr="::1",
        result_ttl_s=7,
    )

    added = job_table.add(connection, "j", wanted, WIDE, 5.0)
    (claim,) = job_table.claim(connection, 9)

    assert added == Job(
        id="j",
        state=JobState.PENDING,
        operation="chat_completion",
        route=wanted.route,
        model="gpt-4o",
        virtual_key_id="vk",
        created_s=5.0,
    )
    assert (claim.request, claim.needs_secret) == (wanted, False)
    assert job_table.finish(connection, "j", answer(), 10.0)
    assert job_table.find(connection, "j", 16.9) == attrs.evolve(
        added, state=JobState.COMPLETED, completed_s=10.0, expires_s=17.0, result=answer()
    )
    assert job_table.find(connection, "j", 17.0) is None


def test_a_result_without_a_byte_is_a_result() -> None:
    connection = fresh()
    job_table.add(connection, "j", request(), WIDE, 0.0)
    job_table.claim(connection, 1)
    job_table.finish(connection, "j", answer(b""), 0.0)

    job = job_table.find(connection, "j", 0.0)

    assert job is not None
    assert job.result == answer(b"")


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        (JobBounds(max_open=1, max_stored_bytes=100), "too many asynchronous jobs are waiting"),
        (JobBounds(max_open=9, max_stored_bytes=6), "the store of asynchronous jobs is full"),
    ],
)
def test_a_full_store_says_which_bound_it_is(bounds: JobBounds, told: str) -> None:
    connection = fresh()
    job_table.add(connection, "a", request(b"1234"), bounds, 0.0)

    with pytest.raises(StoreFull, match=told):
        job_table.add(connection, "b", request(b"1234"), bounds, 0.0)
