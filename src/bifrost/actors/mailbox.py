"""A mailbox, and the reply that an ask carries. All the actor machinery there is, with ``supervisor``.

One waits for each, so both wake him themselves: a ``trio.Event``, which any number may wait for, costs twice as much.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs
import trio

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ASKS_MAX", "BATCH", "ActorDied", "Mailbox", "Reply", "ask_actor"]

M = TypeVar("M")
T = TypeVar("T")

BATCH = 64
"""Messages an actor takes in one turn of its loop."""

ASKS_MAX = 4
"""An ask that dies with its actor is repeated three times."""


class ActorDied(Exception):
    """The actor crashed while this ask was in its hand; it may be asked again."""


@attrs.define(eq=False)
class Reply(Generic[T]):
    """Where an actor puts the answer to one ask. The first answer stands; later ones are ignored.

    One asker. ``is_taken`` is true once he has read it: what was granted is then his to give back.
    """

    _value: T | None = attrs.field(default=None, init=False)
    _error: BaseException | None = attrs.field(default=None, init=False)
    is_put: bool = attrs.field(default=False, init=False)
    is_taken: bool = attrs.field(default=False, init=False)
    _asker: trio.lowlevel.Task | None = attrs.field(default=None, init=False)

    def put(self, value: T) -> None:
        """Answer. Never blocks."""
        if not self.is_put:
            self._value = value
            self._answered()

    def fail(self, error: BaseException) -> None:
        """Answer with an exception, raised in the asker."""
        if not self.is_put:
            self._error = error
            self._answered()

    def peek(self) -> T | None:
        """The answer if there is one, without taking it; ``None`` too if it is an exception."""
        return self._value

    async def get(self) -> T:
        """Wait for the answer. Cancelled while waiting, the asker must say so to the actor (``Abandon``)."""
        if self.is_put:
            await trio.lowlevel.checkpoint()
        else:
            self._asker = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._leave)
        self.is_taken = True
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # set by put(), which takes a T

    def _answered(self) -> None:
        self.is_put = True
        asker, self._asker = self._asker, None
        if asker is not None:
            trio.lowlevel.reschedule(asker)

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        self._asker = None
        return trio.lowlevel.Abort.SUCCEEDED


@attrs.define(eq=False)
class Mailbox(Generic[M]):
    """Messages for one actor, in order. Has no bound of its own: asks are bounded by the door, tells by what is lent.

    One reader. ``send`` never blocks, so it works inside a cancelled scope.
    """

    _messages: deque[M] = attrs.field(factory=deque, init=False)
    _reader: trio.lowlevel.Task | None = attrs.field(default=None, init=False)

    def send(self, message: M) -> None:
        """Put ``message`` in."""
        self._messages.append(message)
        reader, self._reader = self._reader, None
        if reader is not None:
            trio.lowlevel.reschedule(reader)

    def __len__(self) -> int:
        return len(self._messages)

    async def wait(self) -> None:
        """Until there is something in it. A checkpoint, always."""
        if self._messages:
            await trio.lowlevel.checkpoint()
            return
        self._reader = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._leave)

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    def take(self) -> M | None:
        """The next message, or ``None``. Taken at once and singly, so that a crash loses only the one in hand."""
        return self._messages.popleft() if self._messages else None


async def ask_actor(send: Callable[[M], None], message_for: Callable[[Reply[T]], M]) -> T:
    """The answer to the message that ``message_for`` makes; asked again if it dies with its actor, ActorDied in the end.

    For asks that grant nothing: who is cancelled while he waits tells nobody.
    """
    for _ in range(ASKS_MAX - 1):
        reply: Reply[T] = Reply()
        send(message_for(reply))
        try:
            return await reply.get()
        except ActorDied:
            continue
    reply = Reply()
    send(message_for(reply))
    return await reply.get()
