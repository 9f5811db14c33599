from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from bifrost.actors.mailbox import ActorDied, Mailbox, Reply


def test_messages_come_out_in_order() -> None:
    box: Mailbox[int] = Mailbox()
    for number in (1, 2, 3):
        box.send(number)

    assert len(box) == 3
    assert [box.take(), box.take(), box.take(), box.take()] == [1, 2, 3, None]


async def test_waiting_ends_with_a_message(nursery: trio.Nursery) -> None:
    box: Mailbox[str] = Mailbox()
    woken = trio.Event()

    async def reader() -> None:
        await box.wait()
        woken.set()

    nursery.start_soon(reader)
    await wait_all_tasks_blocked()
    assert not woken.is_set()
    box.send("here")
    await woken.wait()

    assert box.take() == "here"


async def test_waiting_is_a_checkpoint_even_with_messages() -> None:
    box: Mailbox[int] = Mailbox()
    box.send(1)

    with trio.CancelScope() as scope:
        scope.cancel()
        await box.wait()

    assert scope.cancelled_caught
    assert len(box) == 1


async def test_sending_works_in_a_cancelled_scope() -> None:
    box: Mailbox[int] = Mailbox()

    with trio.CancelScope() as scope:
        scope.cancel()
        box.send(1)
        await trio.lowlevel.checkpoint()

    assert scope.cancelled_caught
    assert box.take() == 1


async def test_the_first_answer_stands() -> None:
    reply: Reply[int] = Reply()
    assert reply.peek() is None
    assert not reply.is_put
    reply.put(1)
    reply.put(2)
    reply.fail(ActorDied())

    assert reply.peek() == 1
    assert not reply.is_taken
    assert await reply.get() == 1
    assert reply.is_taken


async def test_a_failed_ask_raises_in_the_asker() -> None:
    reply: Reply[int] = Reply()
    reply.fail(ActorDied("gone"))

    assert reply.peek() is None
    with pytest.raises(ActorDied):
        await reply.get()
