"""A key pool without its loop: one message at a time, at a given moment, answered at once or put in line.

The crash-proof part is the ``Book``; the rest (``KeyRing``) is learned. Whatever fails in the learning leaves the book
in order, because it is changed first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import assert_never

import attrs

from bifrost.actors.key_ring import KeyRing, Survey
from bifrost.actors.messages import (
    CANCELLED_OUTCOME,
    Abandon,
    Acquire,
    Applied,
    AttemptOutcome,
    Drain,
    Opened,
    PoolMessage,
    Probe,
    Reconfigure,
    Refusal,
    Refused,
    Settle,
    Snapshot,
    TokenLacking,
    TokenRefreshed,
    TokenRefused,
)
from bifrost.actors.pool_book import Book, Lent
from bifrost.actors.pool_view import view
from bifrost.policy.adaptive import TICK_S

__all__ = ["PoolState"]


@attrs.define(eq=False)
class PoolState:
    """One life of a pool. Made anew from the book after a crash."""

    book: Book
    on_token_refused: Callable[[TokenRefused], None] = lambda _: None
    ring: KeyRing = attrs.field(init=False)
    _next_tick_s: float = attrs.field(default=-math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        self.ring = KeyRing(self.book.generation.settings, self.book.wallet)

    def wake_s(self) -> float:
        """When ``on_time`` has something to do at the latest; infinite if only messages matter.

        Rests need no waking: they are compared with the clock when somebody asks, and nobody waits for one in here.
        """
        tick_s = self._next_tick_s if self.ring.is_adaptive else math.inf
        return min(tick_s, self.book.line.next_deadline_s())

    def on_time(self, now_s: float) -> None:
        """Send away whose deadline is past, serve who can be served, weigh the routes when it is time."""
        while (waiter := self.book.line.overdue(now_s)) is not None:
            self.book.refuse(waiter.ask, Refused(reason=Refusal.WAIT_DEADLINE))
        self._serve_line(now_s)
        if self.ring.is_adaptive and now_s >= self._next_tick_s:
            self._next_tick_s = now_s + TICK_S
            self.ring.tick(now_s)

    def handle(self, message: PoolMessage, now_s: float) -> None:
        """Take ``message`` to its end."""
        match message:
            case Acquire():
                self._acquire(message, now_s)
            case Settle(lease_id=lease_id, outcome=outcome):
                self._returned(self.book.release(lease_id), outcome, now_s)
            case Opened(lease_id=lease_id):
                self.book.opened(lease_id)
                self._serve_line(now_s)
            case Abandon(reply=reply):
                self._returned(self.book.abandon(reply), CANCELLED_OUTCOME, now_s)
            case Probe(key_id=key_id, ok=ok):
                if ok:
                    self.ring.probed(key_id)
            case Reconfigure():
                self._reconfigure(message, now_s)
            case Snapshot(reply=viewed, need=need):
                viewed.put(view(self.book, self.ring, need, now_s))
            case Drain(reply=drained):
                self.book.drain(drained)
            case TokenRefreshed(source=source):
                self.book.wallet.hear(message)
                self.ring.renewed(source)
            case TokenLacking():
                self.book.wallet.hear(message)
            case _:
                assert_never(message)

    def _acquire(self, ask: Acquire, now_s: float) -> None:
        """Refuse at once what waiting cannot help; else lend, or put in line.

        Where every key rests the answer is at once COOLING_DOWN: the asker knows how long it can wait, and does so
        without standing in anybody's way.
        """
        refused = self._refusal(ask, now_s)
        if refused is not None:
            self.book.refuse(ask, refused)
        elif self.book.has_slot:
            self._grant(ask, now_s, waited_s=0.0)
        elif not ask.may_wait:
            self.book.refuse(ask, Refused(reason=Refusal.NO_SLOT))
        elif self.book.is_full and not ask.priority:
            self.book.refuse(ask, Refused(reason=Refusal.QUEUE_FULL))
        else:
            self.book.line.join(ask, now_s)

    def _refusal(self, ask: Acquire, now_s: float) -> Refused | None:
        """Why there is no point in waiting for a slot. With one free, ``_grant`` finds out by itself."""
        if self.book.is_draining:
            return Refused(reason=Refusal.SHUTTING_DOWN)
        if self.book.has_slot or ask.need.direct:
            return None
        survey = self.ring.survey(ask.need, ask.avoid, now_s)
        return survey if isinstance(survey, Refused) else None

    def _grant(self, ask: Acquire, now_s: float, *, waited_s: float) -> None:
        """There is a slot: lend the key that is drawn now, if there is one."""
        if ask.need.direct:
            self.book.lend(ask, None, 0, waited_s)
            return
        survey = self.ring.survey(ask.need, ask.avoid, now_s)
        if not isinstance(survey, Survey):
            self.book.refuse(ask, survey)
            return
        choice = self.ring.choose(ask, survey, now_s)
        settings = self.ring.lendable(choice.key)
        granted = self.book.lend(ask, settings, choice.untried_left, waited_s)
        self.ring.lend(choice, granted, ask.need, now_s)

    def _returned(self, lent: Lent | None, outcome: AttemptOutcome, now_s: float) -> None:
        if lent is None:
            return
        refused = self.ring.refused_token(lent, outcome)
        if refused is not None:
            self.on_token_refused(refused)
        self.ring.learn(lent, outcome, now_s)
        self._serve_line(now_s)

    def _serve_line(self, now_s: float) -> None:
        book = self.book
        while book.has_slot and (waiter := book.line.first()) is not None:
            book.serving = waiter.ask
            if waiter.ask.deadline_s <= now_s:
                book.refuse(waiter.ask, Refused(reason=Refusal.WAIT_DEADLINE))
            else:
                self._grant(waiter.ask, now_s, waited_s=now_s - waiter.since_s)
            book.serving = None

    def _reconfigure(self, message: Reconfigure, now_s: float) -> None:
        """Waiters whom the new configuration cannot serve are told so at once, the others keep their places."""
        self.book.configure(message.generation, drop_excess=message.drop_excess)
        self.ring.reload(message.generation.settings)
        for waiter in tuple(self.book.line):
            refused = None if waiter.ask.need.direct else self._unservable(waiter.ask)
            if refused is not None:
                self.book.refuse(waiter.ask, refused)
        message.reply.put(Applied())
        self._serve_line(now_s)

    def _unservable(self, ask: Acquire) -> Refused | None:
        missing = self.ring.offer(ask.need).eligible.missing
        return None if missing is None else Refused(reason=missing.value)
