"""The messages of the ledger. Frozen, with units in the names of fields; an *ask* carries a ``Reply``."""

from __future__ import annotations

from collections.abc import Mapping

from bifrost.actors.mailbox import Reply
from bifrost.governance.levels import Amounts, Level, Violation
from bifrost.values import frozen

__all__ = [
    "Admit",
    "Admitted",
    "Charge",
    "Counted",
    "Forget",
    "LedgerMessage",
    "NotAdmitted",
    "ReadUsage",
    "Restart",
    "TakeChanges",
    "Withdraw",
]


@frozen
class Counted:
    """What a counter stands at: tokens, requests or nano-dollars since its last reset; ``held`` is lent on top of it."""

    used: int
    since_unix_s: float
    held: int = 0


@frozen
class Admitted:
    """So much is held until it is charged."""

    hold_id: int


@frozen
class NotAdmitted:
    """A level has no room. ``violations`` are all of its budget, or all of its rate limit."""

    level: Level
    violations: tuple[Violation, ...]


@frozen(kw_only=True, eq=False)
class Admit:
    """May ``estimate`` be spent on all ``levels``? It is held on each until ``Charge``, or not at all if ``only_ask``."""

    levels: tuple[Level, ...]
    estimate: Amounts
    only_ask: bool = False
    reply: Reply[Admitted | NotAdmitted]


@frozen
class Charge:
    """The hold is over, and ``amounts`` were really spent: nothing lets it go. ``marks`` are paid for with that."""

    hold_id: int
    amounts: Amounts
    marks: frozenset[str] = frozenset()


@frozen(eq=False)
class Withdraw:
    """The asker is gone; what was held for its ``Admit`` is let go, read or not."""

    reply: Reply[Admitted | NotAdmitted]


@frozen(eq=False)
class ReadUsage:
    """What do these counters stand at? ``None``: all. What was never counted is left out."""

    ids: frozenset[str] | None
    reply: Reply[Mapping[str, Counted]]


@frozen(eq=False)
class TakeChanges:
    """What changed since this was asked last, to be written down."""

    reply: Reply[Mapping[str, Counted]]


@frozen
class Restart:
    """These counters start anew, at these times; nothing is used of them."""

    since_unix_s: Mapping[str, float]


@frozen
class Forget:
    """These counters' limits are no more."""

    ids: frozenset[str]


LedgerMessage = Admit | Charge | Withdraw | ReadUsage | TakeChanges | Restart | Forget
