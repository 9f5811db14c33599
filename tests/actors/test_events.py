from __future__ import annotations

import pytest
import trio

from bifrost.actors.events import Events
from bifrost.service import Chunk


def chunks(count: int) -> list[Chunk]:
    return [Chunk(b"%d" % number) for number in range(count)]


async def test_events_come_out_in_their_order() -> None:
    events = Events(8)
    heard = []

    async def read() -> None:
        heard.extend([await events.get() for _ in range(20)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for chunk in chunks(20):
            await events.put(chunk)

    assert heard == chunks(20)


async def test_a_writer_waits_for_room() -> None:
    events = Events(2)
    first, second, third = chunks(3)
    await events.put(first)
    await events.put(second)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(events.put, third)
        await trio.testing.wait_all_tasks_blocked()
        assert not events.put_nowait(third)
        assert events.get_nowait() == first

    assert [events.get_nowait() for _ in range(3)] == [second, third, None]


async def test_a_cancelled_reader_loses_nothing() -> None:
    events = Events(2)
    (event,) = chunks(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(events.get)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await events.put(event)
    with trio.CancelScope() as scope:
        scope.cancel()
        await events.get()

    assert scope.cancelled_caught
    assert await events.get() == event


@pytest.mark.parametrize("comes_too", [False, True])
async def test_who_waits_can_be_nudged_and_loses_nothing(*, comes_too: bool) -> None:
    events = Events(2)
    (event,) = chunks(1)
    heard: list[object] = []

    async def read() -> None:
        heard.append(await events.get_or_nudge())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        events.nudge()
        if comes_too:
            await events.put(event)
    # Nobody waits now, so it means nothing.
    events.nudge()
    if not comes_too:
        await events.put(event)
        await read()

    assert heard == ([event] if comes_too else [None, event])


async def test_a_cancelled_writer_has_written_nothing() -> None:
    events = Events(1)
    first, second = chunks(2)
    await events.put(first)

    with trio.move_on_after(0):
        await events.put(second)

    assert events.get_nowait() == first
    assert events.get_nowait() is None
