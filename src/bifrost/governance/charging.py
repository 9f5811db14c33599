"""What a hop is charged, by what its attempts came to. Pure.

The rule: an answer costs what its provider says it used. One that was cut short, or that came without a count, costs its prompt
by estimate and what was delivered of it by our count; of what the provider told before the cut, the larger counts, for some tell
their prompt at the beginning and what they answered at the end only. An attempt that was given up after
its request had been sent (the loser of a race, a time-out, a caller who left) costs its prompt: providers bill it. What the
upstream refused costs nothing. One hop is one request, if it answered at all.
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

__all__ = ["COUNTED", "Pricing", "charge"]

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
    attempts: Iterable[AttemptRecord], operation: Operation, estimate: Estimate, pricing: Pricing
) -> Bill:
    """The bill for ``attempts``, all those of one hop."""
    requests = tokens = nano_usd = 0
    is_estimated = False
    for attempt in attempts:
        usage = _own_count(attempt, operation, estimate)
        if usage is not None:
            is_estimated = True
        elif _answered(attempt):
            usage = attempt.usage
        else:
            continue
        requests |= _answered(attempt)
        nano_usd += pricing.cost(usage, attempt.key_id, attempt.deployment)
        tokens += _tokens(usage) if operation in COUNTED else 0
    return Bill(requests, tokens, nano_usd, is_estimated)


def _answered(attempt: AttemptRecord) -> bool:
    """Whether something of its answer went to the caller."""
    return attempt.error_class is None or attempt.first_event_s is not None


def _own_count(attempt: AttemptRecord, operation: Operation, estimate: Estimate) -> Usage | None:
    """What ``attempt`` used by our count; ``None`` where the provider's holds, or nothing is owed."""
    if operation not in GENERATIVE:
        return None
    if _answered(attempt):
        if attempt.usage is None:
            return estimate.delivered(attempt.delivered_tokens)
        return None if attempt.error_class is None else _beyond(attempt.usage, attempt)
    was_refused = attempt.status is not None and attempt.status >= 400
    is_owed = attempt.is_sent and attempt.error_class in GIVEN_UP and not was_refused
    return estimate.delivered(0) if is_owed else None


def _beyond(told: Usage, attempt: AttemptRecord) -> Usage | None:
    """``told`` with what was delivered of a cut answer, where that is more than it says; ``None`` where it is not."""
    more = attempt.delivered_tokens - told.completion_tokens
    if more <= 0:
        return None
    total = _tokens(told) + more
    return attrs.evolve(told, completion_tokens=attempt.delivered_tokens, total_tokens=total)


def _tokens(usage: Usage | None) -> int:
    """All of them; their sum, where the provider told its parts only."""
    if usage is None:
        return 0
    return usage.total_tokens or usage.prompt_tokens + usage.completion_tokens
