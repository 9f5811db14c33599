"""Who waits for a slot of a pool: in order, retries before the rest, each with its deadline."""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from typing import TYPE_CHECKING

import attrs

from bifrost.actors.messages import Acquire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bifrost.actors.mailbox import Reply
    from bifrost.actors.messages import Granted, Refused

__all__ = ["Line", "Waiter"]


@attrs.frozen(eq=False)
class Waiter:
    """An ask that waits, and since when."""

    ask: Acquire
    since_s: float


Places = OrderedDict["Reply[Granted | Refused]", Waiter]


@attrs.define(eq=False)
class Line:
    """First come, first served, among retries and among the others; retries go first. All by the ask's reply.

    Deadlines lie in a heap that those who have left are swept out of now and then, so it stays of the line's order.
    """

    _retries: Places = attrs.field(factory=OrderedDict, init=False)
    _others: Places = attrs.field(factory=OrderedDict, init=False)
    _deadlines: list[tuple[float, int, Waiter]] = attrs.field(factory=list, init=False)
    _joined: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._retries) + len(self._others)

    def __iter__(self) -> Iterator[Waiter]:
        """In the order they will be served."""
        yield from self._retries.values()
        yield from self._others.values()

    def join(self, ask: Acquire, now_s: float) -> None:
        """Stand at the end; a retry, behind the retries."""
        waiter = Waiter(ask, now_s)
        self._joined += 1
        if ask.deadline_s < math.inf:
            self._sweep()
            heapq.heappush(self._deadlines, (ask.deadline_s, self._joined, waiter))
        (self._retries if ask.priority else self._others)[ask.reply] = waiter

    def leave(self, reply: Reply[Granted | Refused]) -> bool:
        """Go; whether it stood there."""
        return (
            self._retries.pop(reply, None) is not None or self._others.pop(reply, None) is not None
        )

    def first(self) -> Waiter | None:
        """Whose turn it is."""
        return next(iter(self), None)

    def next_deadline_s(self) -> float:
        """When somebody's patience ends; infinite if nobody's does."""
        while self._deadlines and not self._stands(self._deadlines[0][2]):
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf

    def overdue(self, now_s: float) -> Waiter | None:
        """Somebody whose deadline is past, the earliest first. It is for the caller to send it away."""
        return self._deadlines[0][2] if self.next_deadline_s() <= now_s else None

    def _stands(self, waiter: Waiter) -> bool:
        places = self._retries if waiter.ask.priority else self._others
        return waiter.ask.reply in places

    def _sweep(self) -> None:
        if len(self._deadlines) <= 2 * len(self) + 64:
            return
        self._deadlines = [entry for entry in self._deadlines if self._stands(entry[2])]
        heapq.heapify(self._deadlines)
