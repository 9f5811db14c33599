"""Counters from the ledger to the store and back: what a restart must not forget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.actors.ledger import Ledger
from bifrost.actors.ledger_messages import Counted
from bifrost.actors.mailbox import ActorDied
from bifrost.store.base import StoreError
from bifrost.store.config_base import CounterRow
from bifrost.store.keeper import StoreKeeper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.governance.model import Governance

__all__ = ["Books"]

EVERY_S = 2.0
"""Between two looks at what has changed. What a crash loses is at most that, and what the store needs to write it."""

LAST_S = 5.0
"""For the last of it at the end."""


@attrs.define(eq=False)
class Books:
    """Writes down what the ledger counts."""

    ledger: Ledger
    keeper: StoreKeeper | None
    _is_open: bool = attrs.field(default=False, init=False)

    def open(self, counters: Mapping[str, CounterRow]) -> None:
        """Begin with what was written down. Until then nothing is written: it would stand in its place."""
        self._is_open = True
        self.ledger.restore(
            {name: Counted(row.used, row.since_unix_s) for name, row in counters.items()}
        )
        self._forget_marks()

    async def usage(self, ids: frozenset[str], *, is_live: bool) -> Mapping[str, Counted]:
        """What these counters stand at: as the ledger has them, or as they were written down last.

        Without a store there is only the ledger. Raises ActorDied if it is broken.
        """
        if is_live or self.keeper is None:
            return await self.ledger.ask_usage(ids)
        written = self.keeper.written(ids)
        return {name: Counted(row.used, row.since_unix_s) for name, row in written.items()}

    async def run(self) -> None:
        """Write what changes, again and again, until cancelled."""
        while True:
            await trio.sleep(EVERY_S)
            await self._tell()

    async def close(self) -> None:
        """Write the last of it, within a bounded time; for after the last exchange."""
        if self.keeper is None:
            return
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST_S):
            await self._tell()
            try:
                await self.keeper.flush()
            except StoreError:
                # It is noted by the keeper; there is nobody left to try again.
                return

    def change(self, former: Governance, present: Governance, now_unix_s: float) -> None:
        """Follow a change of limits: those that are no more are forgotten, those that turn to the calendar start anew."""
        before, after = former.limits, present.limits
        gone = before.keys() - after.keys()
        turned = {
            name: limit.period.start(now_unix_s)
            for name, limit in after.items()
            if limit.period.calendar is not None
            and name in before
            and before[name].period.calendar is None
        }
        if turned:
            self.ledger.tell_restart(turned)
        if gone:
            self.ledger.tell_forget(frozenset(gone))
            if self.keeper is not None:
                self.keeper.tell_forgotten(gone)

    async def _tell(self) -> None:
        if self.keeper is None or not self._is_open:
            return
        try:
            changed = await self.ledger.ask_changes()
        except ActorDied:
            # The book still knows what changed.
            return
        self._forget_marks()
        if changed:
            self.keeper.tell_counters(
                {name: CounterRow(each.used, each.since_unix_s) for name, each in changed.items()}
            )

    def _forget_marks(self) -> None:
        gone = self.ledger.paid.take_gone()
        if gone and self.keeper is not None:
            self.keeper.tell_forgotten(gone)
