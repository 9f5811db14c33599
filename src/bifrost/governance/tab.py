"""What a hop is charged for things that it was told of and that were begun before: a batch, an answer in the background, a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from bifrost.governance.levels import NOTHING, Amounts
from bifrost.record import ToldUsage

if TYPE_CHECKING:
    from bifrost.actors.paid_book import PaidBook
    from bifrost.record import Bill

__all__ = ["Tab"]

MAX_AMOUNT = 2**62


@attrs.define(eq=False)
class Tab:
    """Hears what a hop is told, and adds it to its bill. ``price`` gives nano-dollars, by the id of the key too.

    However much is told, one sum for each mark is kept.
    """

    price: Callable[[ToldUsage, str], int]
    _begun: set[str] = attrs.field(factory=set, init=False)
    _told: dict[str, Amounts] = attrs.field(factory=dict, init=False)

    def hear(self, told: ToldUsage, key_id: str) -> None:
        """Something was told."""
        usage = told.usage
        if usage is None:
            self._begun.add(told.mark)
            return
        before = self._told.get(told.mark, NOTHING)
        self._told[told.mark] = Amounts(
            tokens=min(before.tokens + usage.all_tokens, MAX_AMOUNT),
            nano_usd=min(before.nano_usd + self.price(told, key_id), MAX_AMOUNT),
        )

    @property
    def marks(self) -> frozenset[str]:
        """Of all that it heard of."""
        return frozenset(self._begun | self._told.keys())

    def settled(self, bill: Bill, paid: PaidBook, now_unix_s: float) -> Bill:
        """``bill``, for the hop's own attempts, with what is not paid for yet. Of what it has begun, the bill is what is paid.

        Less what others have paid of it: whoever asks while it is still streamed may be told first.
        """
        own = Amounts(tokens=bill.tokens, nano_usd=bill.nano_usd)
        begun = [paid.claim(mark, own, now_unix_s) for mark in self._begun] or [own]
        due = [paid.claim(mark, told, now_unix_s) for mark, told in self._told.items()]
        return attrs.evolve(
            bill,
            tokens=max(each.tokens for each in begun) + sum(each.tokens for each in due),
            nano_usd=max(each.nano_usd for each in begun) + sum(each.nano_usd for each in due),
        )
