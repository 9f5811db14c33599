from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest
import trio

from bifrost.actors.supervisor import Intensity, supervise

if TYPE_CHECKING:
    from trio.testing import MockClock


@attrs.define(eq=False)
class Fragile:
    """Crashes ``crashes`` times, ``life_s`` after each start; then lives on until ``done``."""

    crashes: float
    life_s: float = 0.0
    name: str = "fragile"
    births: list[float] = attrs.field(factory=list)
    rests: list[float] = attrs.field(factory=list)
    recovered: list[str] = attrs.field(factory=list)
    told: list[tuple[str, str, int]] = attrs.field(factory=list)
    done: trio.Event = attrs.field(factory=trio.Event)
    is_closed: bool = False

    async def run(self) -> None:
        self.births.append(trio.current_time())
        if len(self.births) <= self.crashes:
            await trio.sleep(self.life_s)
            raise RuntimeError(f"crash {len(self.births)}")
        await self.done.wait()

    def recover(self, error: Exception) -> None:
        self.recovered.append(str(error))

    async def rest(self, until_s: float) -> None:
        self.rests.append(until_s - trio.current_time())
        await trio.sleep_until(until_s)

    def close(self) -> None:
        self.is_closed = True

    def on_crash(self, name: str, error: Exception, restarts: int) -> None:
        self.told.append((name, str(error), restarts))


async def play(actor: Fragile, seconds: float) -> None:
    with trio.move_on_after(seconds):
        await supervise(actor, on_crash=actor.on_crash)


async def test_an_actor_that_ends_is_not_restarted(autojump_clock: MockClock) -> None:
    actor = Fragile(crashes=0)
    actor.done.set()

    await supervise(actor, on_crash=actor.on_crash)

    assert len(actor.births) == 1
    assert actor.is_closed


async def test_the_first_restart_is_at_once_and_later_ones_wait(
    autojump_clock: MockClock,
) -> None:
    actor = Fragile(crashes=5)
    began_s = trio.current_time()

    await play(actor, 20)

    waits = [born_s - began_s for born_s in actor.births]
    assert waits == pytest.approx([0, 0, 0.1, 0.3, 0.7, 1.5])
    assert actor.told == [("fragile", f"crash {n}", n) for n in range(1, 6)]
    assert actor.recovered == [f"crash {n}" for n in range(1, 6)]
    assert actor.rests == []


async def test_six_crashes_in_a_minute_break_it_for_half_a_minute(
    autojump_clock: MockClock,
) -> None:
    actor = Fragile(crashes=6)

    await play(actor, 40)

    assert actor.rests == [30.0]
    assert len(actor.births) == 7
    assert actor.births[-1] - actor.births[-2] == pytest.approx(30)


async def test_a_broken_actor_is_restarted_every_half_minute(autojump_clock: MockClock) -> None:
    actor = Fragile(crashes=math.inf)

    await play(actor, 300)

    assert actor.rests == [30.0] * len(actor.rests)
    assert len(actor.rests) == 10


async def test_rare_crashes_are_forgiven(autojump_clock: MockClock) -> None:
    actor = Fragile(crashes=20, life_s=61)

    await play(actor, 1300)

    assert actor.rests == []
    assert len(actor.births) == 21


async def test_surviving_a_window_mends_a_broken_actor(autojump_clock: MockClock) -> None:
    actor = Fragile(crashes=6)

    await play(actor, 40)
    actor.crashes = len(actor.births) + 1
    actor.life_s = 61
    await play(actor, 100)

    assert len(actor.rests) == 1


def test_delays_are_bounded() -> None:
    assert [Intensity().delay_s(n) for n in (1, 2, 3, 8, 50)] == [0, 0.1, 0.2, 5, 5]


async def test_cancelling_closes_the_actor_and_tells_nobody(autojump_clock: MockClock) -> None:
    actor = Fragile(crashes=0)

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, actor, on_crash=actor.on_crash))
        nursery.cancel_scope.cancel()

    assert actor.is_closed
    assert actor.told == []
