"""What a hop is charged, by what its attempts came to. Pure.

The rule: an answer costs what its provider says it used. One that was cut short, or that came without a count, costs its prompt
by estimate and what was delivered of it by our count; of what the provider told before the cut, the larger counts, for some tell
their prompt at the beginning and what they answered at the end only. An attempt that was given up after
its request had been sent (the loser of a race, a time-out, a caller who left) costs its prompt: providers bill it. Images,
sound, transcripts and rankings are made and billed as a whole, whoever waits for them: given up or cut short, they cost what
was asked for, as it was estimated. What the upstream refused costs nothing. One hop is one request, if it answered at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from bifrost.errors import ErrorClass
from bifrost.record import Bill, Usage
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.policy.pricing import Estimate
    from bifrost.record import AttemptRecord

__all__ = ["COUNTED", "Pricing", "charge", "given_up"]

COUNTED = frozenset(
    {
        Operation.CHAT,
        Operation.TEXT,
        Operation.RESPONSES,
        Operation.EMBEDDING,
        Operation.RERANK,
        Operation.SPEECH,
        Operation.TRANSCRIPTION,
        Operation.TRANSLATION,
        Operation.IMAGE,
        Operation.IMAGE_EDIT,
        Operation.IMAGE_VARIATION,
    }
)
"""Operations whose tokens count against limits."""

GENERATIVE = frozenset({Operation.CHAT, Operation.TEXT, Operation.RESPONSES, Operation.EMBEDDING})
"""Of these our own count stands for the provider's where that is missing."""

WHOLE = COUNTED - GENERATIVE
"""Of these the provider makes all that was asked for, and bills it. What is in neither costs nothing when it is given up."""

GIVEN_UP = frozenset({ErrorClass.CANCELLED, ErrorClass.DEADLINE, ErrorClass.TIMEOUT})
"""How an attempt ends that nobody waited for any longer."""


class Pricing(Protocol):
    """What one call costs at one target."""

    def cost(self, usage: Usage | None, key_id: str = "", deployment: str = "") -> int:
        """Integer nano-dollars for an answer by the key ``key_id``, which calls the model ``deployment`` if that is told.

        No usage: the answer told none.
        """
        ...


def charge(
    attempts: Iterable[AttemptRecord],
    operation: Operation,
    estimate: Estimate,
    pricing: Pricing,
    *,
    goes_on: bool = False,
) -> Bill:
    """The bill for ``attempts``, all those of one hop.

    ``goes_on``: their answers only say that the work has begun, and what it came to is told later.
    """
    requests = tokens = nano_usd = 0
    is_estimated = False
    for attempt in attempts:
        usage = _own_count(attempt, operation, estimate, goes_on=goes_on)
        if usage is not None:
            is_estimated = True
        elif _answered(attempt):
            usage = attempt.usage
        else:
            continue
        requests |= _answered(attempt)
        nano_usd += pricing.cost(usage, attempt.key_id, attempt.deployment)
        tokens += usage.all_tokens if usage is not None and operation in COUNTED else 0
    return Bill(requests, tokens, nano_usd, is_estimated)


def _answered(attempt: AttemptRecord) -> bool:
    """Whether something of its answer went to the caller."""
    return attempt.error_class is None or attempt.first_event_s is not None


def _own_count(
    attempt: AttemptRecord, operation: Operation, estimate: Estimate, *, goes_on: bool
) -> Usage | None:
    """What ``attempt`` used by our count; ``None`` where the provider's holds, or nothing is owed."""
    if operation not in COUNTED:
        return None
    if not _answered(attempt):
        return given_up(operation, estimate) if _is_owed(attempt) else None
    is_cut = attempt.error_class is not None
    if operation in WHOLE:
        return estimate.whole if is_cut and attempt.usage is None else None
    if attempt.usage is None:
        return estimate.delivered(0 if goes_on and not is_cut else attempt.delivered_tokens)
    return _beyond(attempt.usage, attempt) if is_cut else None


def given_up(operation: Operation, estimate: Estimate) -> Usage:
    """What an attempt used that nobody waits for any longer, for an operation in ``COUNTED``."""
    return estimate.whole if operation in WHOLE else estimate.delivered(0)


def _is_owed(attempt: AttemptRecord) -> bool:
    """Whether ``attempt``, of which nothing came, was given up while the upstream may have been at work on it."""
    was_refused = attempt.status is not None and attempt.status >= 400
    return attempt.is_sent and attempt.error_class in GIVEN_UP and not was_refused


def _beyond(told: Usage, attempt: AttemptRecord) -> Usage | None:
    """``told`` with what was delivered of a cut answer, where that is more than it says; ``None`` where it is not."""
    more = attempt.delivered_tokens - told.completion_tokens
    if more <= 0:
        return None
    total = told.all_tokens + more
    return attrs.evolve(told, completion_tokens=attempt.delivered_tokens, total_tokens=total)
