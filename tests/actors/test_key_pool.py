"""The pool as its borrowers see it: alive, under its supervisor, on a clock that jumps."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.fakes import AUTH, OK, SERVER, Crashes, generation, key, living, need, rate_limited
from bifrost.actors.key_pool import KeyPool, Lease
from bifrost.actors.messages import (
    Abandon,
    Acquire,
    AttemptOutcome,
    Drain,
    Need,
    Opened,
    Probe,
    Reconfigure,
    Refusal,
    Refused,
    Settle,
    Snapshot,
)
from bifrost.actors.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import Iterable

FAR_S = 1e9
A, B = key("a"), key("b")


async def attempt(
    pool: KeyPool, outcome: AttemptOutcome = OK, wish: Need | None = None, **more: Any
) -> str:
    """One attempt that ends in ``outcome``; the key's id, or the reason of the refusal."""
    asked = {"draw": 0.0, "deadline_s": FAR_S} | more
    async with pool.lease(wish or need(), **asked) as lease:
        if isinstance(lease, Refused):
            return lease.reason
        lease.outcome = outcome
        return lease.granted.key_id


async def hold(pool: KeyPool, seconds: float, log: list[str], name: str, **more: Any) -> None:
    asked = {"draw": 0.0, "deadline_s": FAR_S} | more
    async with pool.lease(need(), **asked) as lease:
        if isinstance(lease, Refused):
            log.append(f"{name} {lease.reason}")
            return
        log.append(name)
        await trio.sleep(seconds)
        lease.outcome = OK


async def test_a_lease_is_lent_and_given_back(autojump_clock: MockClock) -> None:
    async with living(generation(A)) as pool:
        async with pool.lease(need(), draw=0.0, deadline_s=FAR_S) as lease:
            assert isinstance(lease, Lease)
            assert lease.granted.key is A
            assert (await pool.ask_snapshot()).running == 1
        view = await pool.ask_snapshot()

    assert (view.running, view.granted, view.settled) == (0, 1, 1)
    assert pool.name == "openai"
    assert pool.generation.number == 1


async def test_a_crowd_is_served_in_one_moment(autojump_clock: MockClock) -> None:
    log: list[str] = []
    began_s = trio.current_time()
    async with living(generation(A)) as pool, trio.open_nursery() as nursery:
        for number in range(200):
            nursery.start_soon(hold, pool, 1, log, str(number))

    assert len(log) == 200
    assert trio.current_time() - began_s == 1


async def test_an_exception_in_the_borrower_settles_too(autojump_clock: MockClock) -> None:
    async with living(generation(A)) as pool:
        with pytest.raises(ValueError, match="mine"):
            async with pool.lease(need(), draw=0.0, deadline_s=FAR_S):
                raise ValueError("mine")
        view = await pool.ask_snapshot()

    assert (view.running, view.settled) == (0, 1)


async def test_retry_after_moves_traffic_to_the_other_key(autojump_clock: MockClock) -> None:
    async with living(generation(A, B)) as pool:
        assert await attempt(pool, rate_limited(7.0)) == "a"

        assert {await attempt(pool, draw=n / 10) for n in range(10)} == {"b"}
        await trio.sleep(6.9)
        assert await attempt(pool) == "b"
        await trio.sleep(0.1)
        assert await attempt(pool) == "a"


async def test_sleeping_for_exactly_as_long_as_told_is_enough(autojump_clock: MockClock) -> None:
    async with living(generation(A)) as pool:
        for retry_after_s in (0.1, 0.7, 3.3, 59.97):
            await attempt(pool, rate_limited(retry_after_s))
            await trio.sleep(0.017)
            async with pool.lease(need(), draw=0.0, deadline_s=FAR_S) as refused:
                assert isinstance(refused, Refused)
                assert refused.reason == Refusal.COOLING_DOWN
                assert refused.retry_after_s is not None
            await trio.sleep(refused.retry_after_s)

            assert await attempt(pool) == "a"


async def test_three_rejections_fail_a_key_and_discovery_brings_it_back(
    autojump_clock: MockClock,
) -> None:
    async with living(generation(A, B)) as pool:
        for _ in range(3):
            assert await attempt(pool, AUTH) == "a"
            assert await attempt(pool) == "b"
            await trio.sleep(60)
        assert await attempt(pool) == "b"
        assert (await pool.ask_snapshot()).keys[0].state == "failed"

        pool.tell_probe("a", ok=False, error="no")
        assert await attempt(pool) == "b"
        pool.tell_probe("a", ok=True)
        pool.tell_probe("unknown", ok=True)

        assert await attempt(pool) == "a"


async def test_a_full_line_drops_or_holds(autojump_clock: MockClock) -> None:
    log: list[str] = []
    first = generation(A, concurrency=2, buffer_size=3)
    async with living(first, drop_excess=True) as pool, trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(hold, pool, 5, log, str(number))
            await wait_all_tasks_blocked()
        began_s = trio.current_time()
        assert log == ["0", "1", "5 queue_full"]

    assert sorted(log[3:5]) == ["2", "3"]
    assert log[5:] == ["4"]
    assert began_s == pytest.approx(0)


async def test_without_dropping_the_line_is_as_long_as_the_door_allows(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    first = generation(A, concurrency=1, buffer_size=1)
    async with living(first, max_waiting=3) as pool, trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(hold, pool, 1, log, str(number))
            await wait_all_tasks_blocked()

    assert log == ["0", "4 queue_full", "1", "2", "3"]


async def test_retries_go_first_and_are_never_refused_for_fullness(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    first = generation(A, concurrency=1)
    async with living(first, max_waiting=1) as pool, trio.open_nursery() as nursery:
        for name, is_retry in (("0", False), ("1", False), ("r1", True), ("r2", True)):
            nursery.start_soon(partial(hold, pool, 1, log, name, priority=is_retry))
            await wait_all_tasks_blocked()

    assert log == ["0", "r1", "r2", "1"]


async def test_waiting_ends_at_the_deadline_to_the_moment(autojump_clock: MockClock) -> None:
    log: list[str] = []
    ends: list[float] = []

    async def waits(pool: KeyPool, deadline_s: float) -> None:
        await hold(pool, 0, log, "late", deadline_s=deadline_s)
        ends.append(trio.current_time())

    async with living(generation(A, concurrency=1)) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(hold, pool, 9.5, log, "first")
        await wait_all_tasks_blocked()
        for deadline_s in (7.25, 3.5):
            nursery.start_soon(waits, pool, trio.current_time() + deadline_s)
        began_s = trio.current_time()

    assert log == ["first", "late wait_deadline", "late wait_deadline"]
    assert [end_s - began_s for end_s in ends] == [3.5, 7.25]


async def test_who_will_not_wait_is_told_at_once(autojump_clock: MockClock) -> None:
    async with (
        living(generation(A, B, concurrency=1)) as pool,
        pool.lease(need(), draw=0.0, deadline_s=FAR_S),
    ):
        assert await attempt(pool, may_wait=False) == Refusal.NO_SLOT


async def test_a_cancelled_waiter_leaves_the_line(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with living(generation(A, concurrency=1)) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(hold, pool, 5, log, "first")
        await wait_all_tasks_blocked()
        with trio.move_on_after(1) as scope:
            await hold(pool, 5, log, "gone")
        assert scope.cancelled_caught
        assert (await pool.ask_snapshot()).waiting == 0
        nursery.start_soon(hold, pool, 5, log, "next")

    view = await pool.ask_snapshot()
    assert log == ["first", "next"]
    assert (view.granted, view.settled, view.running) == (2, 2, 0)


async def test_a_grant_that_nobody_reads_goes_back(autojump_clock: MockClock) -> None:
    async with living(generation(A, concurrency=1)) as pool:
        with trio.CancelScope() as scope:
            scope.cancel()
            await attempt(pool)
        assert await attempt(pool) == "a"
        view = await pool.ask_snapshot()

    assert (view.granted, view.settled, view.running) == (2, 2, 0)


async def test_a_stuck_upstream_delays_nobody_else(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with (
        living(generation(A, B)) as pool,
        living(generation(key("x"), name="anthropic")) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(hold, pool, 1e6, log, "stuck")
        await wait_all_tasks_blocked()
        began_s = trio.current_time()
        for _ in range(100):
            assert await attempt(pool, draw=0.9) == "b"
            assert await attempt(other) == "x"

        assert trio.current_time() == began_s
        nursery.cancel_scope.cancel()


async def test_streams_give_up_their_slot_only_where_they_are_not_counted(
    autojump_clock: MockClock,
) -> None:
    for count_streams, told in ((True, Refusal.NO_SLOT), (False, "a")):
        first = generation(A, concurrency=1, count_streams=count_streams)
        async with living(first) as pool:
            async with pool.lease(need(), draw=0.0, deadline_s=FAR_S) as lease:
                assert isinstance(lease, Lease)
                lease.opened()
                lease.opened()
                assert await attempt(pool, may_wait=False) == told
            view = await pool.ask_snapshot()

        assert view.running == 0


async def test_reconfiguring_under_load_fails_nobody(autojump_clock: MockClock) -> None:
    rng = Random(5)
    after_ack: list[str] = []
    current = 0

    async def call(pool: KeyPool, at_s: float) -> None:
        await trio.sleep(at_s)
        known = current
        async with pool.lease(need(), draw=0.5, deadline_s=FAR_S) as lease:
            assert isinstance(lease, Lease)
            assert lease.granted.key is not None
            assert lease.granted.generation.number >= known
            if lease.granted.key.value.reveal() != f"sk-{lease.granted.generation.number}":
                after_ack.append("stale")
            await trio.sleep(1)
            lease.outcome = OK

    async with living(generation(key("a", value="sk-0"), number=0, concurrency=50)) as pool:
        async with trio.open_nursery() as nursery:
            for _ in range(1000):
                nursery.start_soon(call, pool, rng.random() * 10)
            for number in range(1, 11):
                await trio.sleep(1)
                newer = generation(key("a", value=f"sk-{number}"), number=number, concurrency=50)
                await pool.ask_reconfigure(newer, drop_excess=False)
                current = number
        view = await pool.ask_snapshot()

    assert after_ack == []
    assert (view.granted, view.settled, view.running) == (1000, 1000, 0)


async def test_waiters_are_filtered_again_in_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with living(generation(A, concurrency=1)) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(hold, pool, 9, log, "first")
        await wait_all_tasks_blocked()
        nursery.start_soon(hold, pool, 1, log, "waits")
        await wait_all_tasks_blocked()
        await pool.ask_reconfigure(generation(key("a", models=("n",)), number=2), drop_excess=False)
        await wait_all_tasks_blocked()
        assert log == ["first", "waits no_key_for_model"]
        nursery.cancel_scope.cancel()


async def test_more_slots_serve_the_line_at_once(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with living(generation(A, concurrency=1)) as pool, trio.open_nursery() as nursery:
        for name in ("0", "1", "2"):
            nursery.start_soon(hold, pool, 9, log, name)
            await wait_all_tasks_blocked()
        await pool.ask_reconfigure(generation(A, number=2, concurrency=2), drop_excess=False)
        await wait_all_tasks_blocked()
        assert log == ["0", "1"]


async def test_draining_refuses_and_ends_with_the_last_lease(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with living(generation(A, concurrency=1)) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(hold, pool, 5, log, "runs")
        await wait_all_tasks_blocked()
        nursery.start_soon(hold, pool, 5, log, "waits")
        await wait_all_tasks_blocked()
        began_s = trio.current_time()
        nursery.start_soon(pool.ask_drain)
        await wait_all_tasks_blocked()
        assert await attempt(pool) == Refusal.SHUTTING_DOWN
        await pool.ask_drain()

        assert trio.current_time() - began_s == 5
        assert log == ["runs", "waits shutting_down"]
        await wait_all_tasks_blocked()
        assert await attempt(pool) == Refusal.SHUTTING_DOWN
        assert (await pool.ask_snapshot()).is_draining
        await pool.ask_drain()


async def supervised(pool: KeyPool, life: trio.CancelScope) -> None:
    with life:
        await supervise(pool, on_crash=Crashes().on_crash)


async def test_cancelling_the_pool_answers_whoever_waits_or_comes_later(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    pool = KeyPool(generation(A, concurrency=1), drop_excess=False, max_waiting=9)
    async with trio.open_nursery() as nursery:
        life = trio.CancelScope()
        nursery.start_soon(supervised, pool, life)
        nursery.start_soon(hold, pool, 5, log, "runs")
        await wait_all_tasks_blocked()
        nursery.start_soon(hold, pool, 5, log, "waits")
        await wait_all_tasks_blocked()
        life.cancel()
        await wait_all_tasks_blocked()
        nursery.start_soon(hold, pool, 5, log, "late")

    view = await pool.ask_snapshot()
    assert sorted(log) == ["late shutting_down", "runs", "waits shutting_down"]
    assert (view.running, view.settled) == (0, 1)


KINDS = (Acquire, Settle, Opened, Abandon, Probe, Reconfigure, Snapshot, Drain)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_no_crash_loses_a_lease_a_slot_or_a_waiter(
    kind: type[object], autojump_clock: MockClock
) -> None:
    log: list[str] = []
    crashes = Crashes()
    first = generation(A, concurrency=2, count_streams=False)
    async with living(first, crashes=crashes) as pool, trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(hold, pool, 2, log, str(number))
            await wait_all_tasks_blocked()
        crashes.plan(kind)
        with trio.move_on_after(0.5):
            await hold(pool, 2, log, "gone")
        async with pool.lease(need(), draw=0.0, deadline_s=FAR_S) as lease:
            assert isinstance(lease, Lease)
            lease.opened()
        pool.tell_probe("a", ok=True)
        await pool.ask_reconfigure(attrs.evolve(first, number=2), drop_excess=False)
        view = await pool.ask_snapshot()
        assert view.running <= 2
        assert sum(shown.in_flight for shown in view.keys) == view.granted - view.settled
        await pool.ask_drain()

    view = await pool.ask_snapshot()
    assert sorted(log) == ["0", "1", "2", "3", "4"]
    assert (view.running, view.waiting, view.granted) == (0, 0, view.settled)
    assert [error for _, error, _ in crashes.log] == [f"crash at {kind.__name__}"]


async def test_an_ask_that_kills_the_pool_each_time_is_refused_in_the_end(
    autojump_clock: MockClock,
) -> None:
    crashes = Crashes()
    async with living(generation(A), crashes=crashes) as pool:
        crashes.plan(Acquire, 4)
        assert await attempt(pool) == Refusal.BROKEN
        assert await attempt(pool) == "a"


async def test_learned_health_starts_empty_after_a_crash(autojump_clock: MockClock) -> None:
    crashes = Crashes()
    async with living(generation(A), crashes=crashes) as pool:
        await attempt(pool, rate_limited(50))
        assert await attempt(pool) == Refusal.COOLING_DOWN
        crashes.plan(Probe)
        pool.tell_probe("a", ok=True)

        assert await attempt(pool) == "a"


async def test_a_pool_that_keeps_crashing_is_broken_for_a_while(autojump_clock: MockClock) -> None:
    log: list[str] = []
    crashes = Crashes()
    async with (
        living(generation(A, concurrency=1), crashes=crashes) as pool,
        living(generation(key("x"), name="anthropic")) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(hold, pool, 20, log, "runs")
        await wait_all_tasks_blocked()
        nursery.start_soon(hold, pool, 1, log, "waits")
        await wait_all_tasks_blocked()
        crashes.plan(Probe, 6)
        for _ in range(6):
            pool.tell_probe("a", ok=True)
        await trio.sleep(5)
        began_s = trio.current_time()
        assert log == ["runs", "waits broken"]
        assert (await pool.ask_snapshot()).keys == ()
        assert pool.is_broken
        assert await attempt(pool) == Refusal.BROKEN
        assert (await pool.ask_snapshot()).running == 1
        assert trio.current_time() == began_s
        assert await attempt(other) == "x"
        await trio.sleep(30)

        assert await attempt(pool) == "a"


async def test_asks_to_a_pool_in_pieces_raise_in_the_end(autojump_clock: MockClock) -> None:
    crashes = Crashes()
    async with living(generation(A), crashes=crashes) as pool:
        crashes.plan(Snapshot, 3)
        assert (await pool.ask_snapshot()).granted == 0


async def test_no_secret_shows(autojump_clock: MockClock) -> None:
    canary = "sk-canary-1234567890"
    crashes = Crashes()
    async with living(generation(key("a", value=canary)), crashes=crashes) as pool:
        async with pool.lease(need(), draw=0.0, deadline_s=FAR_S) as lease:
            shown = [lease, await pool.ask_snapshot(need()), pool.generation.settings]
        crashes.plan(Snapshot)
        await pool.ask_snapshot()

    assert canary not in repr(shown)
    assert canary not in str(crashes.log)


async def test_same_seed_same_grants(autojump_clock: MockClock) -> None:
    async def story(seed: int) -> list[str]:
        rng = Random(seed)
        outcomes = [OK, SERVER, rate_limited(2.0)]
        keys = (key("a", weight=0.6), key("b", weight=0.3), key("c", weight=0.1))
        async with living(generation(*keys, balancing="adaptive")) as pool:
            trace = []
            for _ in range(300):
                trace.append(await attempt(pool, rng.choice(outcomes), draw=rng.random()))
                await trio.sleep(rng.random())
            return trace

    first, again, other = await story(1), await story(1), await story(2)

    assert first == again
    assert first != other


async def test_adaptive_pools_tick_and_static_ones_sleep(autojump_clock: MockClock) -> None:
    def factors(shares: Iterable[float]) -> list[float]:
        return [round(share, 2) for share in shares]

    async with living(generation(A, B, balancing="adaptive")) as pool:
        for number in range(60):
            await attempt(pool, SERVER if number == 59 else OK, draw=number / 60)
        before = await pool.ask_snapshot()
        await trio.sleep(6)
        after = await pool.ask_snapshot()

    assert factors(shown.effective_weight for shown in before.keys) == [1.0, 1.0]
    assert min(shown.effective_weight for shown in after.keys) < 0.9
