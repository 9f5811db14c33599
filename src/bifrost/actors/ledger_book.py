"""What the ledger must not lose when it crashes: the counters, and what is held of them.

Every method changes the book from one consistent state to the next and awaits nothing. The law it keeps: a counter stands
at the sum of what was charged to it since it last started anew, and holds at the sum of the holds that are out.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import attrs

from bifrost.actors.ledger_messages import Admitted, Counted, NotAdmitted
from bifrost.actors.paid_book import PaidBook
from bifrost.governance.levels import Amounts, Level, Violation
from bifrost.governance.model import Limit
from bifrost.governance.periods import Period

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["LedgerBook"]

HOLDS_STAND_S = 1.0
"""When to come back where only what others hold is in the way: they will have been charged less, or let go."""


MAX_USED = 2**63 - 1
"""What a database takes for an integer. Whoever is told of more has used up every limit."""


@attrs.define(eq=False)
class Counter:
    """``used`` since ``since_unix_s``; ``held`` by calls under way."""

    used: int
    since_unix_s: float
    held: int = 0
    period: Period | None = None
    """That of the limit that looked last, and when its time is over: calendars are not asked for each call."""
    until_unix_s: float = 0.0

    def is_current(self, period: Period, now_unix_s: float) -> bool:
        """Whether ``period`` is known to be under way. False says nothing: then it has to be looked at."""
        return period is self.period and self.since_unix_s <= now_unix_s < self.until_unix_s

    def is_over(self, period: Period, now_unix_s: float) -> bool:
        """Whether it has to start anew, counted in ``period``."""
        if period is not self.period:
            self.period, self.until_unix_s = period, period.end(self.since_unix_s)
        return now_unix_s >= self.until_unix_s

    def start(self, since_unix_s: float) -> None:
        """Start anew. What is held of it still is."""
        self.used, self.since_unix_s, self.period = 0, since_unix_s, None


@attrs.define(eq=False)
class LedgerBook:
    """Counters by id, holds by number. Times are Unix seconds."""

    counters: dict[str, Counter] = attrs.field(factory=dict, init=False)
    holds: dict[int, tuple[tuple[Limit, int], ...]] = attrs.field(factory=dict, init=False)
    admitted: int = attrs.field(default=0, init=False)
    charged: int = attrs.field(default=0, init=False)
    paid: PaidBook = attrs.field(factory=PaidBook, init=False)
    _changed: set[str] = attrs.field(factory=set, init=False)

    def restore(self, counted: Mapping[str, Counted]) -> None:
        """Count on from what the counters stood at when they were written down."""
        for name, each in counted.items():
            counter = self.counters.setdefault(name, Counter(0, each.since_unix_s))
            counter.used = min(counter.used + each.used, MAX_USED)
            counter.since_unix_s = min(counter.since_unix_s, each.since_unix_s)
            counter.period = None

    # Admission

    def violation(
        self, levels: Iterable[Level], estimate: Amounts, now_unix_s: float
    ) -> NotAdmitted | None:
        """The first level in order that has no room for ``estimate``: in each scope rate limits before budgets."""
        if self._has_room(levels, estimate, now_unix_s):
            return None
        for _, group in groupby(levels, key=attrgetter("scope")):
            scope = tuple(group)
            for level in scope:
                if found := tuple(self._exceeded(level.limits.rates, estimate, now_unix_s)):
                    return NotAdmitted(level, found)
            for level in scope:
                if found := tuple(self._exceeded(level.limits.money, estimate, now_unix_s)):
                    return NotAdmitted(level, found)
        return None

    def _has_room(self, levels: Iterable[Level], estimate: Amounts, now_unix_s: float) -> bool:
        """Whether there certainly is: the order matters only where something is in the way."""
        for level in levels:
            for limit in level.limits.all:
                counter = self.counters.get(limit.id)
                if counter is None:
                    continue
                wanted = counter.used + counter.held + estimate.of(limit.unit)
                if wanted > limit.amount or counter.used >= limit.amount:
                    return False
                if not counter.is_current(limit.period, now_unix_s):
                    return False
        return True

    def hold(self, levels: Iterable[Level], estimate: Amounts, now_unix_s: float) -> Admitted:
        """Hold ``estimate`` on every level. What was looked at in the same turn still is so."""
        # Several levels may share a limit; it counts a call once.
        limits = {limit.id: limit for level in levels for limit in level.limits.all}
        held = tuple((limit, estimate.of(limit.unit)) for limit in limits.values())
        for limit, amount in held:
            self._counter(limit, now_unix_s).held += amount
        self.admitted += 1
        self.holds[self.admitted] = held
        return Admitted(self.admitted)

    def _exceeded(
        self, limits: tuple[Limit, ...], estimate: Amounts, now_unix_s: float
    ) -> Iterator[Violation]:
        for limit in limits:
            # Only looked at: a time begins with what is counted in it.
            counter = self.counters.get(limit.id)
            if counter is None:
                continue
            if not (is_over := counter.is_over(limit.period, now_unix_s)):
                counter = self._counter(limit, now_unix_s)
            used = 0 if is_over else counter.used
            if used >= limit.amount:
                left_s = limit.period.left_s(counter.since_unix_s, now_unix_s)
                yield Violation(limit.unit, used, limit.amount, limit.period, left_s)
                continue
            # Where nothing is held any usage below the limit will do, or a small limit would refuse every call.
            wanted = used + counter.held + estimate.of(limit.unit)
            if counter.held and wanted > limit.amount:
                yield Violation(limit.unit, wanted, limit.amount, limit.period, HOLDS_STAND_S)

    def _counter(self, limit: Limit, now_unix_s: float) -> Counter:
        """The counter of ``limit``, started anew if its time is over."""
        counter = self.counters.get(limit.id)
        if counter is not None and counter.is_current(limit.period, now_unix_s):
            return counter
        if counter is None:
            counter = Counter(0, limit.period.start(now_unix_s))
            self.counters[limit.id] = counter
        elif counter.is_over(limit.period, now_unix_s):
            counter.start(limit.period.start(now_unix_s))
            self._changed.add(limit.id)
        elif counter.since_unix_s > now_unix_s:
            # The clock was ahead and has been set right: what is used stays so until this period's end, not until that one's.
            counter.since_unix_s, counter.period = limit.period.start(now_unix_s), None
            self._changed.add(limit.id)
        return counter

    # Settlement

    def charge(self, hold_id: int, amounts: Amounts, now_unix_s: float) -> None:
        """End a hold, once, and count what was spent."""
        held = self.holds.pop(hold_id, None)
        if held is None:
            return
        self.charged += 1
        for limit, amount in held:
            # A limit that is no more is not counted for either.
            if limit.id in self.counters:
                counter = self._counter(limit, now_unix_s)
                counter.held = max(0, counter.held - amount)
                if spent := amounts.of(limit.unit):
                    counter.used = min(counter.used + spent, MAX_USED)
                    self._changed.add(limit.id)

    # What administrators do

    def restart(self, since_unix_s: Mapping[str, float]) -> None:
        """Start these counters anew. What is held of them still is."""
        for name, since in since_unix_s.items():
            counter = self.counters.setdefault(name, Counter(0, since))
            counter.start(since)
            self._changed.add(name)

    def forget(self, ids: Iterable[str]) -> None:
        """Drop these counters: their limits are no more, and what is held of them is not held of others of their names."""
        gone = frozenset(ids)
        for name in gone:
            self.counters.pop(name, None)
            self._changed.discard(name)
        for hold_id, held in self.holds.items():
            self.holds[hold_id] = tuple(each for each in held if each[0].id not in gone)

    # Views

    def usage(self, ids: frozenset[str] | None) -> Mapping[str, Counted]:
        """What these counters stand at; ``None`` all."""
        names = self.counters if ids is None else ids
        return {name: self._view(name) for name in names if name in self.counters}

    def take_changes(self) -> Mapping[str, Counted]:
        """What changed since this was called last."""
        changed = {name: self._view(name) for name in self._changed}
        self._changed.clear()
        return {**changed, **self.paid.take_changes()}

    def _view(self, name: str) -> Counted:
        counter = self.counters[name]
        return Counted(counter.used, counter.since_unix_s, counter.held)
