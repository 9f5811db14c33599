"""The ledger: who has used how much of what, and what is held for calls under way.

Nothing is spent without a hold: ``hold`` asks whether an estimate fits below every limit, holds it on all of them, and is
charged with what was really spent when it is left, however it is left. So callers who come at once cannot overspend a limit
by their number, only by what the estimates were off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.actors.ledger_book import LedgerBook
from bifrost.actors.ledger_messages import (
    Admit,
    Admitted,
    Charge,
    Counted,
    Forget,
    LedgerMessage,
    NotAdmitted,
    ReadUsage,
    Restart,
    TakeChanges,
    Withdraw,
)
from bifrost.actors.mailbox import ASKS_MAX, BATCH, ActorDied, Mailbox, Reply, ask_actor
from bifrost.actors.paid_book import PaidBook, is_mark_row
from bifrost.errors import ProviderUnavailable
from bifrost.governance.levels import NOTHING, Amounts, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

__all__ = ["Held", "Ledger"]


@attrs.define(eq=False)
class Held:
    """An estimate held. Its holder says in ``spent`` what became of it; unsaid, nothing was.

    ``marks`` are those of the ``PaidBook`` that it paid for with that.
    """

    spent: Amounts = NOTHING
    marks: frozenset[str] = frozenset()


class Ledger:
    """Counters and holds. Run it under ``supervise``.

    ``wall`` is the calendar's clock, in Unix seconds. ``fault`` is for tests: it is shown each message before it is handled,
    and what it raises crashes the ledger.
    """

    def __init__(
        self, *, wall: Callable[[], float], fault: Callable[[LedgerMessage], None] | None = None
    ) -> None:
        self._mailbox: Mailbox[LedgerMessage] = Mailbox()
        self._book = LedgerBook()
        self._wall = wall
        self._fault = fault
        self._in_hand: LedgerMessage | None = None
        self._is_over = False
        self._is_broken = False

    # The front

    @property
    def name(self) -> str:
        return "ledger"

    @property
    def is_broken(self) -> bool:
        """Whether it crashed too often and rests. Nothing is admitted then."""
        return self._is_broken

    @property
    def paid(self) -> PaidBook:
        """What is paid for of what is told more than once. It answers at once: it is state and no actor."""
        return self._book.paid

    def restore(self, counted: Mapping[str, Counted]) -> None:
        """Count on from these, which were written down by an earlier process."""
        marks = {name: row for name, row in counted.items() if is_mark_row(name)}
        self._book.paid.restore(marks, self._wall())
        self._book.restore({name: row for name, row in counted.items() if name not in marks})

    def hold(self, levels: tuple[Level, ...], estimate: Amounts) -> Holding:
        """``estimate`` held on all ``levels``, as an async context: ``async with ledger.hold(...) as held``.

        Entering gives ``Held`` or ``NotAdmitted``, or ProviderUnavailable if the ledger is broken: what cannot be counted is
        not spent. Leaving charges what ``held.spent`` says. Nothing is awaited on the way out.
        """
        return Holding(self, levels, estimate)

    async def ask_room(self, levels: tuple[Level, ...], estimate: Amounts) -> NotAdmitted | None:
        """What stands in the way of ``estimate``, if something is known to; nothing is held."""
        answer = await self._ask_admit(levels, estimate, only_ask=True)
        return answer if isinstance(answer, NotAdmitted) else None

    async def ask_usage(self, ids: frozenset[str] | None = None) -> Mapping[str, Counted]:
        """What these counters stand at; ``None`` all. A time that is over is not taken into account.

        Raises ActorDied if the ledger is broken.
        """
        return await ask_actor(self.send, lambda reply: ReadUsage(ids, reply))

    async def ask_changes(self) -> Mapping[str, Counted]:
        """What changed since this was asked last. Whoever asks owns the writing down."""
        return await ask_actor(self.send, TakeChanges)

    def tell_restart(self, since_unix_s: Mapping[str, float]) -> None:
        """Start these counters anew."""
        self.send(Restart(since_unix_s))

    def tell_forget(self, ids: frozenset[str]) -> None:
        """Drop the counters of limits that are no more."""
        self.send(Forget(ids))

    def send(self, message: LedgerMessage) -> None:
        """Put ``message`` in the mailbox; once the ledger has ended, its book answers on the spot."""
        if self._is_over:
            self._answer_from_book(message)
        else:
            self._mailbox.send(message)

    async def _ask_admit(
        self, levels: tuple[Level, ...], estimate: Amounts, *, only_ask: bool = False
    ) -> Admitted | NotAdmitted | ProviderUnavailable:
        for _ in range(ASKS_MAX):
            reply: Reply[Admitted | NotAdmitted] = Reply()
            ask = Admit(levels=levels, estimate=estimate, only_ask=only_ask, reply=reply)
            self.send(ask)
            try:
                return await reply.get()
            except ActorDied:
                continue
            except trio.Cancelled:
                # The answer may be in the reply, or on its way there.
                self.send(Withdraw(reply))
                raise
        return ProviderUnavailable("usage cannot be counted at the moment", code="ledger_broken")

    # The loop

    async def run(self) -> None:
        """One life: take messages until cancelled. Raises whatever goes wrong; ``recover`` then, before the next."""
        self._is_broken = False
        while True:
            self._take_some(self._wall())
            await self._mailbox.wait()

    def _take_some(self, now_unix_s: float) -> None:
        for _ in range(BATCH):
            message = self._mailbox.take()
            if message is None:
                return
            self._in_hand = message
            if self._fault is not None:
                self._fault(message)
            self._handle(message, now_unix_s)
            self._in_hand = None

    def _handle(self, message: LedgerMessage, now_unix_s: float) -> None:
        book = self._book
        match message:
            case Charge(hold_id=hold_id, amounts=amounts, marks=marks):
                book.charge(hold_id, amounts, now_unix_s)
                if marks:
                    book.paid.write(marks)
            case Admit():
                self._admit(message, now_unix_s)
            case Withdraw(reply=asked):
                if isinstance(given := asked.peek(), Admitted):
                    book.charge(given.hold_id, NOTHING, now_unix_s)
            case ReadUsage(ids=ids, reply=reply):
                reply.put(book.usage(ids))
            case TakeChanges(reply=reply):
                reply.put(book.take_changes())
            case Restart(since_unix_s=since):
                book.restart(since)
            case Forget(ids=names):
                book.forget(names)

    def _admit(self, ask: Admit, now_unix_s: float) -> None:
        found = self._book.violation(ask.levels, ask.estimate, now_unix_s)
        if found is not None:
            ask.reply.put(found)
        elif ask.only_ask:
            ask.reply.put(Admitted(0))
        else:
            ask.reply.put(self._book.hold(ask.levels, ask.estimate, now_unix_s))

    # After a crash, and at the end

    def recover(self, error: Exception) -> None:
        """An ask in hand dies; a tell in hand is done now, for it would be lost."""
        message, self._in_hand = self._in_hand, None
        if isinstance(message, Admit | ReadUsage | TakeChanges):
            died = ActorDied("ledger crashed")
            died.__cause__ = error
            message.reply.fail(died)
        elif message is not None:
            self._answer_from_book(message)

    async def rest(self, until_s: float) -> None:
        """Broken: what is asked is answered at once, with the crash; what is told is kept in the book."""
        self._is_broken = True
        with trio.move_on_at(until_s):
            while True:
                self._empty_mailbox()
                await self._mailbox.wait()

    def close(self) -> None:
        """No more runs: what comes from now on is done on the spot."""
        self._is_over = True
        while (message := self._mailbox.take()) is not None:
            self._answer_from_book(message)

    def _empty_mailbox(self) -> None:
        while (message := self._mailbox.take()) is not None:
            if isinstance(message, Admit):
                message.reply.fail(ActorDied("ledger is broken"))
            else:
                self._answer_from_book(message)

    def _answer_from_book(self, message: LedgerMessage) -> None:
        self._handle(message, self._wall())


@attrs.define(eq=False)
class Holding:
    """What ``Ledger.hold`` returns. To be entered once."""

    _ledger: Ledger
    _levels: tuple[Level, ...]
    _estimate: Amounts
    _hold_id: int = attrs.field(default=0, init=False)
    _held: Held | None = attrs.field(default=None, init=False)

    async def __aenter__(self) -> Held | NotAdmitted | ProviderUnavailable:
        answer = await self._ledger._ask_admit(self._levels, self._estimate)  # noqa: SLF001  its own other half
        if not isinstance(answer, Admitted):
            return answer
        self._hold_id, self._held = answer.hold_id, Held()
        return self._held

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._ledger.send(Charge(self._hold_id, held.spent, held.marks))
