"""One task that walks round all connections, and what it does to those that are silent for too long."""

from __future__ import annotations

import math
from functools import partial

import pytest
import trio
import trio.testing

from bifrost.http.link import Link
from bifrost.http.watch import ROUND_S, Post, Watch


def post(hangs: list[bool]) -> Post:
    stream, _ = trio.testing.memory_stream_pair()
    return Post(Link(stream=stream, hang_up=hangs.append))


@pytest.fixture
def watch(nursery: trio.Nursery) -> Watch:
    it = Watch()
    nursery.start_soon(it.run)
    return it


async def test_nobody_is_bothered_before_his_time(
    watch: Watch, autojump_clock: trio.testing.MockClock
) -> None:
    hangs: list[bool] = []
    calm = post(hangs)
    watch.enter(calm)

    await trio.sleep(10_000)

    assert (calm.quiet_until_s, calm.write_until_s) == (math.inf, math.inf)
    assert not calm.scope.cancel_called
    assert not hangs


async def test_silence_cancels_within_a_round(
    watch: Watch, autojump_clock: trio.testing.MockClock
) -> None:
    hangs: list[bool] = []
    silent = post(hangs)
    watch.enter(silent)
    silent.quiet_until_s = trio.current_time() + 5

    await trio.sleep(4.9)
    before: bool = silent.scope.cancel_called
    await trio.sleep(2 * ROUND_S)

    assert (before, silent.scope.cancel_called) == (False, True)
    assert not hangs


async def test_a_client_that_takes_nothing_is_hung_up_on_with_a_reset(
    watch: Watch, autojump_clock: trio.testing.MockClock
) -> None:
    hangs: list[bool] = []
    stuck = post(hangs)
    watch.enter(stuck)
    stuck.write_until_s = trio.current_time() + 5
    stuck.quiet_until_s = trio.current_time() + 5

    await trio.sleep(5 + 1.5 * ROUND_S)

    assert set(hangs) == {True}
    # The task that sends is told by its stream: a cancellation would be taken for a head that did not come.
    assert not stuck.scope.cancel_called


async def test_who_has_left_is_watched_no_longer(
    watch: Watch, autojump_clock: trio.testing.MockClock
) -> None:
    hangs: list[bool] = []
    gone = post(hangs)
    watch.enter(gone)
    gone.write_until_s = trio.current_time() + 1

    watch.leave(gone)
    watch.leave(gone)
    await trio.sleep(10)
    watch.drain()

    assert not hangs
    assert not gone.scope.cancel_called


async def test_a_drain_ends_the_idle_and_no_other() -> None:
    watch = Watch()
    idle, busy = post([]), post([])
    idle.is_idle = True
    watch.enter(idle)
    watch.enter(busy)

    watch.drain()

    assert watch.is_draining
    assert (idle.scope.cancel_called, busy.scope.cancel_called) == (True, False)


async def test_who_has_gone_is_told_of_once(
    watch: Watch, autojump_clock: trio.testing.MockClock
) -> None:
    stream, _ = trio.testing.memory_stream_pair()
    has_gone = False
    calls: list[float] = []
    here = Post(Link(stream=stream, hang_up=lambda _: None, has_ended=lambda: has_gone))
    here.on_gone = lambda: calls.append(trio.current_time())
    watch.enter(here)
    await trio.sleep(10 * ROUND_S)
    assert not calls

    has_gone = True
    await trio.sleep(10 * ROUND_S)

    assert calls == [pytest.approx(10 * ROUND_S, abs=1.1 * ROUND_S)]
    assert here.on_gone is None


async def test_whoever_is_told_may_leave_at_once(
    watch: Watch, autojump_clock: trio.testing.MockClock
) -> None:
    stream, _ = trio.testing.memory_stream_pair()
    gone = [
        Post(Link(stream=stream, hang_up=lambda _: None, has_ended=lambda: True)) for _ in range(3)
    ]
    for each in gone:
        each.on_gone = partial(watch.leave, each)
        watch.enter(each)

    await trio.sleep(2 * ROUND_S)

    assert [each.on_gone for each in gone] == [None, None, None]
