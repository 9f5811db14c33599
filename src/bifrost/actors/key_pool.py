"""The key pool of one provider: its front, which only sends, and its loop, which only takes.

One ask and one tell per attempt. ``lease`` is the way in for whoever makes attempts; it gives back what it borrowed
whatever happens. The deciding is done in ``pool_state``, what must survive a crash lies in ``pool_book``.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.actors.mailbox import ASKS_MAX, BATCH, ActorDied, Mailbox, Reply, ask_actor
from bifrost.actors.messages import (
    CANCELLED_OUTCOME,
    Abandon,
    Acquire,
    Applied,
    AttemptOutcome,
    Drain,
    Drained,
    Generation,
    Granted,
    Need,
    Opened,
    PoolMessage,
    PoolView,
    Probe,
    Reconfigure,
    Refusal,
    Refused,
    Settle,
    Snapshot,
    TokenRefused,
)
from bifrost.actors.pool_book import Book
from bifrost.actors.pool_state import PoolState
from bifrost.actors.pool_view import outline

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["KeyPool", "Lease"]

LOOK_S = 1.0
"""For a pool to show itself."""


@attrs.define(eq=False)
class Lease:
    """A key in use. The borrower says how it went in ``outcome``; unsaid, it was cancelled."""

    granted: Granted
    outcome: AttemptOutcome = CANCELLED_OUTCOME
    _pool: KeyPool | None = attrs.field(default=None, repr=False)

    def opened(self) -> None:
        """Say that the stream's first event is here: its slot may go to the next, if streams are not counted."""
        if self._pool is not None and not self.granted.generation.settings.count_streams:
            self._pool.send(Opened(self.granted.lease_id))


class KeyPool:
    """The keys of one provider. Run it under ``supervise``.

    ``max_waiting`` bounds the line where ``drop_excess`` (``client.drop_excess_requests``) is off. ``on_token_refused``
    hears of tokens that the upstream did not accept, and must not raise or wait. ``fault`` is for
    tests: it is shown each message before it is handled, and what it raises crashes the pool.
    """

    def __init__(
        self,
        generation: Generation,
        *,
        drop_excess: bool,
        max_waiting: int,
        on_token_refused: Callable[[TokenRefused], None] = lambda _: None,
        fault: Callable[[PoolMessage], None] | None = None,
    ) -> None:
        self._mailbox: Mailbox[PoolMessage] = Mailbox()
        self._book = Book(generation, drop_excess, max_waiting)
        self._on_token_refused = on_token_refused
        self._fault = fault
        self._in_hand: PoolMessage | None = None
        self._is_over = False
        self._is_broken = False

    # The front

    @property
    def name(self) -> str:
        """The provider's."""
        return self._book.generation.settings.name

    @property
    def generation(self) -> Generation:
        """The configuration that leases are granted by now."""
        return self._book.generation

    @property
    def is_broken(self) -> bool:
        """Whether it crashed too often and rests."""
        return self._is_broken

    def lease(
        self,
        need: Need,
        *,
        draw: float,
        deadline_s: float,
        avoid: frozenset[str] = frozenset(),
        tried: frozenset[str] = frozenset(),
        prefer_not: str | None = None,
        priority: bool = False,
        may_wait: bool = True,
    ) -> Borrowing:
        """A key for one attempt, as an async context: ``async with pool.lease(...) as lease``.

        Entering waits for a slot until ``deadline_s``, and gives a ``Lease`` or a ``Refused``. Leaving settles the lease;
        cancelled while waiting, the place in line is given up. Nothing is awaited on the way out.
        """
        return Borrowing(self, need, draw, deadline_s, avoid, tried, prefer_not, priority, may_wait)

    async def ask_snapshot(self, need: Need | None = None) -> PoolView:
        """The pool as it is now; with ``need``, also who would be drawn for it. Raises ActorDied if it keeps crashing."""
        return await ask_actor(self.send, lambda reply: Snapshot(reply=reply, need=need))

    async def look(self) -> PoolView | None:
        """As ``ask_snapshot``, for whoever shows pools: ``None`` if it keeps crashing, or does not tell in time."""
        with trio.move_on_after(LOOK_S), suppress(ActorDied):
            return await self.ask_snapshot()
        return None

    async def ask_reconfigure(self, generation: Generation, *, drop_excess: bool) -> Applied:
        """Serve by ``generation``; when this returns, no lease of an older one is granted any more.

        Nobody is dropped, and running leases keep theirs. The older generation's connections are the caller's to retire.
        """
        return await ask_actor(
            self.send,
            lambda reply: Reconfigure(generation=generation, reply=reply, drop_excess=drop_excess),
        )

    async def ask_drain(self) -> Drained:
        """Refuse all that is new or waits; returns when the last lease is back. ``run`` then ends."""
        return await ask_actor(self.send, lambda reply: Drain(reply=reply))

    def tell_probe(self, key_id: str, *, ok: bool, error: str | None = None) -> None:
        """What model discovery learned of a key."""
        self.send(Probe(key_id=key_id, ok=ok, error=error))

    def send(self, message: PoolMessage) -> None:
        """Put ``message`` in the mailbox; once the pool has ended, its book answers on the spot."""
        if self._is_over:
            self._answer_from_book(message, Refusal.SHUTTING_DOWN)
        else:
            self._mailbox.send(message)

    # The loop

    async def run(self) -> None:
        """One life: take messages until drained. Raises whatever goes wrong; ``recover`` then, before the next."""
        self._is_broken = False
        state = PoolState(self._book, self._on_token_refused)
        state.on_time(trio.current_time())
        while True:
            self._take_some(state, trio.current_time())
            if self._book.is_drained and not self._mailbox:
                return
            await self._wait(state.wake_s())

    async def _wait(self, wake_s: float) -> None:
        if wake_s == math.inf:
            await self._mailbox.wait()
        else:
            with trio.move_on_at(wake_s):
                await self._mailbox.wait()

    def _take_some(self, state: PoolState, now_s: float) -> None:
        for _ in range(BATCH):
            message = self._mailbox.take()
            if message is None:
                break
            self._in_hand = message
            if self._fault is not None:
                self._fault(message)
            state.handle(message, now_s)
            self._in_hand = None
        if state.wake_s() <= now_s:
            state.on_time(now_s)

    # After a crash, and at the end

    def recover(self, error: Exception) -> None:
        """Finish the book's part of the message in hand; an ask in hand dies, and so does that of a waiter being served."""
        message, self._in_hand = self._in_hand, None
        serving, self._book.serving = self._book.serving, None
        died = ActorDied(f"key pool {self.name} crashed")
        died.__cause__ = error
        for ask in (message, serving):
            if isinstance(ask, Acquire):
                self._book.line.leave(ask.reply)
                ask.reply.fail(died)
        if isinstance(message, Snapshot):
            message.reply.fail(died)
        elif message is not None:
            self._book.redo(message)

    async def rest(self, until_s: float) -> None:
        """Broken: everybody is told so at once."""
        self._is_broken = True
        self._book.refuse_all(Refusal.BROKEN)
        with trio.move_on_at(until_s):
            while True:
                await self._mailbox.wait()
                self._empty_mailbox(Refusal.BROKEN)

    def close(self) -> None:
        """No more runs: what waits is refused, and what comes is answered from the book."""
        self._is_over = True
        self._empty_mailbox(Refusal.SHUTTING_DOWN)
        self._book.refuse_all(Refusal.SHUTTING_DOWN)

    def _empty_mailbox(self, reason: str) -> None:
        while (message := self._mailbox.take()) is not None:
            self._answer_from_book(message, reason)

    def _answer_from_book(self, message: PoolMessage, reason: str) -> None:
        if isinstance(message, Acquire):
            self._book.refuse(message, Refused(reason=reason))
        elif isinstance(message, Snapshot):
            message.reply.put(outline(self._book))
        else:
            self._book.redo(message)


@attrs.define(eq=False)
class Borrowing:
    """What ``KeyPool.lease`` returns. To be entered once."""

    _pool: KeyPool
    _need: Need
    _draw: float
    _deadline_s: float
    _avoid: frozenset[str]
    _tried: frozenset[str]
    _prefer_not: str | None
    _priority: bool
    _may_wait: bool
    _lease: Lease | None = attrs.field(default=None, init=False)

    async def __aenter__(self) -> Lease | Refused:
        for _ in range(ASKS_MAX):
            try:
                answer = await self._ask()
            except ActorDied:
                continue
            if isinstance(answer, Refused):
                return answer
            self._lease = Lease(answer, pool=self._pool)
            return self._lease
        return Refused(reason=Refusal.BROKEN)

    async def _ask(self) -> Granted | Refused:
        reply: Reply[Granted | Refused] = Reply()
        self._pool.send(self._acquire(reply))
        try:
            return await reply.get()
        except trio.Cancelled:
            # The answer may be in the reply, or on its way there: whatever was granted goes back.
            self._pool.send(Abandon(reply))
            raise

    def _acquire(self, reply: Reply[Granted | Refused]) -> Acquire:
        return Acquire(
            need=self._need,
            reply=reply,
            draw=self._draw,
            deadline_s=self._deadline_s,
            avoid=self._avoid,
            prefer_not=self._prefer_not,
            tried=self._tried,
            priority=self._priority,
            may_wait=self._may_wait,
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            self._pool.send(Settle(lease_id=lease.granted.lease_id, outcome=lease.outcome))
