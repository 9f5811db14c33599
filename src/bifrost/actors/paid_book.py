"""What is paid for already of what providers tell more than once: each thing by its mark, with what was charged for it.

Whoever is told first pays, and whoever is told more pays the rest: in sum nobody is charged more than what was told. It is part of
the ledger's book, and is written down with its counters, as rows of its own; no view of counters shows it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import attrs

from bifrost.actors.ledger_messages import Counted
from bifrost.governance.levels import NOTHING, Amounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["KEPT_S", "MARKS_MAX", "PaidBook", "is_mark_row"]

MARKS_MAX: Final = 100_000
"""The one longest untold of is forgotten first."""

KEPT_S: Final = 60 * 86400.0
"""No provider keeps a batch, an answer or a run that long by default: OpenAI 30 days, Anthropic 29."""

TOKENS: Final = "!paid:tokens:"
NANO_USD: Final = "!paid:nano_usd:"
"""How rows are called. No limit's id begins with an exclamation mark, unless somebody wants trouble."""


def is_mark_row(name: str) -> bool:
    """Whether a row of that name is of a mark, and no counter."""
    return name.startswith((TOKENS, NANO_USD))


@attrs.frozen
class _Paid:
    amounts: Amounts
    since_unix_s: float


@attrs.define(eq=False)
class PaidBook:
    """Marks and amounts. Every method is done at once; two readers of the same thing cannot both pay."""

    marks_max: int = MARKS_MAX
    _paid: OrderedDict[str, _Paid] = attrs.field(factory=OrderedDict, init=False)
    """The one told of last is the last."""
    _changed: set[str] = attrs.field(factory=set, init=False)
    _gone: set[str] = attrs.field(factory=set, init=False)

    def __len__(self) -> int:
        return len(self._paid)

    def claim(self, mark: str, told: Amounts, now_unix_s: float) -> Amounts:
        """What of ``told`` is to be paid yet: from now on it counts as paid. Say with ``write`` when it was charged."""
        former = self._paid.get(mark)
        before = NOTHING if former is None else former.amounts
        self._put(mark, _larger(before, told), now_unix_s)
        return Amounts(
            tokens=max(0, told.tokens - before.tokens),
            nano_usd=max(0, told.nano_usd - before.nano_usd),
        )

    def write(self, marks: Iterable[str]) -> None:
        """Have these written down next: what they say was charged."""
        self._changed.update(mark for mark in marks if mark in self._paid)

    def restore(self, rows: Mapping[str, Counted], now_unix_s: float) -> None:
        """Know what an earlier process wrote down. What is older than ``KEPT_S`` is gone."""
        known: dict[str, _Paid] = {}
        for name, row in rows.items():
            mark = name.removeprefix(TOKENS).removeprefix(NANO_USD)
            former = known.get(mark, _Paid(NOTHING, row.since_unix_s))
            amounts = _larger(former.amounts, _amounts(name, row.used))
            known[mark] = _Paid(amounts, max(former.since_unix_s, row.since_unix_s))
        for mark, paid in sorted(known.items(), key=lambda item: item[1].since_unix_s):
            present = self._paid.get(mark)
            if present is not None:
                self._put(mark, _larger(present.amounts, paid.amounts), present.since_unix_s)
            elif paid.since_unix_s < now_unix_s - KEPT_S:
                self._gone.add(mark)
            else:
                self._put(mark, paid.amounts, paid.since_unix_s)

    def take_changes(self) -> Mapping[str, Counted]:
        """The rows of what was said to ``write`` since this was called last."""
        rows: dict[str, Counted] = {}
        for mark in self._changed:
            paid = self._paid[mark]
            rows[TOKENS + mark] = Counted(paid.amounts.tokens, paid.since_unix_s)
            rows[NANO_USD + mark] = Counted(paid.amounts.nano_usd, paid.since_unix_s)
        self._changed.clear()
        return rows

    def take_gone(self) -> frozenset[str]:
        """The names of rows that need be kept no longer, since this was called last."""
        gone, self._gone = self._gone, set()
        return frozenset(row + mark for mark in gone for row in (TOKENS, NANO_USD))

    def _put(self, mark: str, amounts: Amounts, since_unix_s: float) -> None:
        self._paid[mark] = _Paid(amounts, since_unix_s)
        self._paid.move_to_end(mark)
        self._gone.discard(mark)
        if len(self._paid) > self.marks_max:
            oldest, _ = self._paid.popitem(last=False)
            self._changed.discard(oldest)
            # Without a store nobody takes them.
            if len(self._gone) < self.marks_max:
                self._gone.add(oldest)


def _larger(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(
        tokens=max(one.tokens, other.tokens),
        nano_usd=max(one.nano_usd, other.nano_usd),
    )


def _amounts(row: str, used: int) -> Amounts:
    return Amounts(tokens=used) if row.startswith(TOKENS) else Amounts(nano_usd=used)
