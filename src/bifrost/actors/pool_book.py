"""What a key pool must not lose when it crashes: its configuration, slots, leases and waiters.

The book outlives the pool's runs. Each of its methods changes it from one consistent state to the next and awaits
nothing, so a crash of whatever uses it cannot leave it in between. ``redo`` does the book's part of a message whose
handling crashed, or that came while there was nobody to handle it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs

from bifrost.actors.mailbox import Reply
from bifrost.actors.messages import (
    Abandon,
    Acquire,
    Applied,
    Drain,
    Drained,
    Generation,
    Granted,
    Need,
    Opened,
    PoolMessage,
    Reconfigure,
    Refusal,
    Refused,
    Settle,
    TokenLacking,
    TokenRefreshed,
)
from bifrost.actors.waiting_line import Line
from bifrost.actors.wallet import Wallet
from bifrost.policy.eligibility import base_type
from bifrost.policy.token_sources import token_sources

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings

__all__ = ["Book", "Lent"]


@attrs.define(eq=False)
class Lent:
    """A lease that is out, and what for. ``holds_slot`` ends early where streams are not counted."""

    granted: Granted
    need: Need
    holds_slot: bool = True


@attrs.define(eq=False)
class Book:
    """Who holds what, and who waits. ``running`` counts slots in use, ``leases`` everything lent.

    ``max_waiting`` bounds the line where ``drop_excess`` is off; else ``buffer_size`` does.
    """

    generation: Generation
    drop_excess: bool
    max_waiting: int
    leases: dict[int, Lent] = attrs.field(factory=dict, init=False)
    line: Line = attrs.field(factory=Line, init=False)
    running: int = attrs.field(default=0, init=False)
    granted: int = attrs.field(default=0, init=False)
    settled: int = attrs.field(default=0, init=False)
    in_flight: Counter[str] = attrs.field(factory=Counter, init=False)
    """Leases out, by key id."""
    granted_by_key: Counter[str] = attrs.field(factory=Counter, init=False)
    wallet: Wallet = attrs.field(factory=Wallet, init=False)
    serving: Acquire | None = attrs.field(default=None, init=False)
    """The waiter whose turn it is right now: should serving it crash, it is not served a second time."""
    is_draining: bool = attrs.field(default=False, init=False)
    _drains: list[Reply[Drained]] = attrs.field(factory=list, init=False)

    @property
    def has_slot(self) -> bool:
        return self.running < self.generation.settings.concurrency

    @property
    def is_full(self) -> bool:
        """Whether the line takes no more (retries always may join)."""
        bound = self.generation.settings.buffer_size if self.drop_excess else self.max_waiting
        return len(self.line) >= bound

    @property
    def is_drained(self) -> bool:
        return self.is_draining and not self.leases

    def lend(
        self, ask: Acquire, key: KeySettings | None, untried_left: int, waited_s: float
    ) -> Granted:
        """Answer ``ask`` with a lease on ``key``. It leaves the line if it stood there."""
        self.line.leave(ask.reply)
        self.granted += 1
        granted = Granted(
            lease_id=self.granted,
            key=key,
            generation=self.generation,
            untried_left=untried_left,
            queue_wait_s=waited_s,
        )
        self.leases[granted.lease_id] = Lent(granted, ask.need)
        self.running += 1
        key_id = granted.key_id
        self.in_flight[key_id] += 1
        self.granted_by_key[key_id] += 1
        ask.reply.put(granted)
        return granted

    def refuse(self, ask: Acquire, refused: Refused) -> None:
        """Answer ``ask`` with a refusal. It leaves the line if it stood there."""
        self.line.leave(ask.reply)
        ask.reply.put(refused)

    def refuse_all(self, reason: str) -> None:
        """Send the whole line away."""
        for waiter in tuple(self.line):
            self.refuse(waiter.ask, Refused(reason=reason))

    def release(self, lease_id: int) -> Lent | None:
        """Take a lease back, once; ``None`` if it is not out."""
        lent = self.leases.pop(lease_id, None)
        if lent is None:
            return None
        self.settled += 1
        self._free_slot(lent)
        key_id = lent.granted.key_id
        self.in_flight[key_id] -= 1
        if not self.in_flight[key_id]:
            del self.in_flight[key_id]
        self._answer_drains()
        return lent

    def opened(self, lease_id: int) -> None:
        """A stream has begun: its slot is free from here on, unless open streams are counted."""
        lent = self.leases.get(lease_id)
        if lent is not None and not lent.granted.generation.settings.count_streams:
            self._free_slot(lent)

    def abandon(self, reply: Reply[Granted | Refused]) -> Lent | None:
        """The asker is gone: out of the line, or its lease taken back, read or not. The lease, if there was one."""
        if self.line.leave(reply):
            return None
        answer = reply.peek()
        return self.release(answer.lease_id) if isinstance(answer, Granted) else None

    def configure(self, generation: Generation, *, drop_excess: bool) -> None:
        """Lend by ``generation`` from now on."""
        self.generation = generation
        self.drop_excess = drop_excess
        self.wallet.keep(token_sources(generation.settings.keys, base_type(generation.settings)))
        known = {key.id for key in generation.settings.keys} | set(self.in_flight)
        for key_id in [key_id for key_id in self.granted_by_key if key_id not in known]:
            del self.granted_by_key[key_id]

    def drain(self, reply: Reply[Drained]) -> None:
        """Lend no more, send the line away, and answer when all leases are back."""
        self.is_draining = True
        self._drains.append(reply)
        self.refuse_all(Refusal.SHUTTING_DOWN)
        self._answer_drains()

    def redo(self, message: PoolMessage) -> None:
        """The book's part of ``message``, done a first or a second time. What only asks or teaches is left alone."""
        match message:
            case Settle(lease_id=lease_id):
                self.release(lease_id)
            case Opened(lease_id=lease_id):
                self.opened(lease_id)
            case Abandon(reply=reply):
                self.abandon(reply)
            case Reconfigure():
                self.configure(message.generation, drop_excess=message.drop_excess)
                message.reply.put(Applied())
            case Drain(reply=drained):
                self.drain(drained)
            case TokenRefreshed() | TokenLacking():
                self.wallet.hear(message)
            case _:
                pass

    def _free_slot(self, lent: Lent) -> None:
        if lent.holds_slot:
            lent.holds_slot = False
            self.running -= 1

    def _answer_drains(self) -> None:
        if self.is_drained:
            for reply in self._drains:
                reply.put(Drained())
            self._drains.clear()
