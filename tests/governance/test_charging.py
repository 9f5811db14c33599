"""What a hop is charged: a table of what attempts can come to, and that a bill is the sum of its attempts'."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.errors import ErrorClass
from bifrost.governance.charging import charge
from bifrost.policy.pricing import Estimate
from bifrost.record import AttemptRecord, Bill, MediaUsage, Usage
from bifrost.schema.call import Operation

ESTIMATE = Estimate(prompt_tokens=100, output_tokens=1024, nano_usd=0)
USAGE = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)


class Penny:
    """A nano-dollar a prompt token, ten an output token; an answer without usage costs 7."""

    def cost(self, usage: Usage | None, key_id: str = "", deployment: str = "") -> int:
        if usage is None:
            return 7
        return usage.prompt_tokens + 10 * usage.completion_tokens


def attempt(error: ErrorClass | None = None, **more: Any) -> AttemptRecord:
    said: dict[str, Any] = {"key_id": "k", "key_name": "k", "is_sent": True, "status": 200}
    return AttemptRecord(error_class=error, **(said | more))


def bill(*attempts: AttemptRecord, operation: Operation = Operation.CHAT) -> Bill:
    return charge(attempts, operation, ESTIMATE, Penny())


ANSWERED = attempt(usage=USAGE)
CUT = attempt(ErrorClass.NETWORK, first_event_s=0.1, delivered_tokens=20)


@pytest.mark.parametrize(
    ("what", "attempts", "expected"),
    [
        ("nothing was tried", (), Bill()),
        ("an answer", (ANSWERED,), Bill(1, 15, 60)),
        ("an answer whose provider told no sum", (attempt(usage=attrs.evolve(USAGE, total_tokens=0)),), Bill(1, 15, 60)),
        ("an answer without a count", (attempt(delivered_tokens=8),), Bill(1, 108, 180, True)),
        ("a stream cut after its first event", (CUT,), Bill(1, 120, 300, True)),
        ("a stream cut after its usage", (attrs.evolve(CUT, usage=USAGE, delivered_tokens=4),), Bill(1, 15, 60)),
        ("a stream cut that told its prompt at its beginning", (attrs.evolve(CUT, usage=attrs.evolve(USAGE, completion_tokens=1, total_tokens=11)),), Bill(1, 30, 210, True)),
        ("a caller who left in the middle", (attempt(ErrorClass.CANCELLED, first_event_s=0.1, delivered_tokens=3),), Bill(1, 103, 130, True)),
        ("a caller who left before it began", (attempt(ErrorClass.CANCELLED, status=None),), Bill(0, 100, 100, True)),
        ("a caller who left before it was sent", (attempt(ErrorClass.CANCELLED, status=None, is_sent=False),), Bill()),
        ("a time-out", (attempt(ErrorClass.TIMEOUT, status=None),), Bill(0, 100, 100, True)),
        ("a time-out while connecting", (attempt(ErrorClass.TIMEOUT, status=None, is_sent=False),), Bill()),
        ("the deadline", (attempt(ErrorClass.DEADLINE, status=None),), Bill(0, 100, 100, True)),
        ("a refusal", (attempt(ErrorClass.RATE_LIMIT, status=429),), Bill()),
        ("a failure", (attempt(ErrorClass.SERVER, status=500),), Bill()),
        ("a refusal whose caller left", (attempt(ErrorClass.CANCELLED, status=500),), Bill()),
        ("a broken connection", (attempt(ErrorClass.NETWORK, status=None),), Bill()),
        ("a failure, then an answer", (attempt(ErrorClass.SERVER, status=500), ANSWERED), Bill(1, 15, 60)),
        ("the loser of a race, and the winner", (attempt(ErrorClass.CANCELLED, status=None, hedge=True), ANSWERED), Bill(1, 115, 160, True)),
    ],
)  # fmt: skip
def test_the_table_of_charges(
    what: str, attempts: tuple[AttemptRecord, ...], expected: Bill
) -> None:
    assert bill(*attempts) == expected, what


@pytest.mark.parametrize(
    ("operation", "attempts", "expected"),
    [
        (Operation.SPEECH, (attempt(),), Bill(1, 0, 7)),
        (Operation.IMAGE, (attempt(usage=USAGE),), Bill(1, 15, 60)),
        (Operation.IMAGE, (attempt(ErrorClass.CANCELLED, status=None),), Bill(0, 1124, 10340, True)),
        (Operation.IMAGE_EDIT, (attempt(ErrorClass.TIMEOUT, status=None),), Bill(0, 1124, 10340, True)),
        (Operation.SPEECH, (attempt(ErrorClass.DEADLINE, status=None),), Bill(0, 1124, 10340, True)),
        (Operation.SPEECH, (CUT,), Bill(1, 1124, 10340, True)),
        (Operation.TRANSCRIPTION, (attempt(ErrorClass.CANCELLED, status=None),), Bill(0, 1124, 10340, True)),
        (Operation.TRANSCRIPTION, (attempt(ErrorClass.NETWORK, first_event_s=0.1, usage=USAGE),), Bill(1, 15, 60)),
        (Operation.RERANK, (attempt(ErrorClass.CANCELLED, status=200),), Bill(0, 1124, 10340, True)),
        (Operation.IMAGE, (attempt(ErrorClass.CANCELLED, status=429),), Bill()),
        (Operation.IMAGE, (attempt(ErrorClass.CANCELLED, status=None, is_sent=False),), Bill()),
        (Operation.IMAGE, (attempt(ErrorClass.NETWORK, status=None),), Bill()),
        (Operation.MODERATION, (attempt(ErrorClass.CANCELLED, status=None),), Bill()),
        (Operation.LIST_MODELS, (attempt(ErrorClass.TIMEOUT, status=None),), Bill()),
        (Operation.FILE_UPLOAD, (attempt(ErrorClass.TIMEOUT, status=None),), Bill()),
        (Operation.RELAY, (attempt(ErrorClass.CANCELLED, status=None),), Bill()),
        (Operation.COUNT_TOKENS, (attempt(usage=USAGE),), Bill(1, 0, 60)),
        (Operation.FILE_UPLOAD, (attempt(),), Bill(1, 0, 7)),
    ],
)  # fmt: skip
def test_other_operations(
    operation: Operation, attempts: tuple[AttemptRecord, ...], expected: Bill
) -> None:
    assert bill(*attempts, operation=operation) == expected


def test_what_was_asked_for_keeps_what_it_is_priced_by() -> None:
    """Characters to be spoken, seconds to be written down, documents to be ranked: not tokens alone."""
    media = MediaUsage(characters=300)
    asked_for = attrs.evolve(ESTIMATE, searches=1, media=media).whole
    assert (asked_for.media, asked_for.searches, asked_for.total_tokens) == (media, 1, 1124)


@pytest.mark.parametrize(
    ("what", "of", "expected"),
    [
        ("it has begun", attempt(delivered_tokens=300), Bill(1, 100, 100, True)),
        ("it was done at once", ANSWERED, Bill(1, 15, 60)),
        ("its stream was cut", CUT, Bill(1, 120, 300, True)),
        ("it was given up", attempt(ErrorClass.CANCELLED, status=None), Bill(0, 100, 100, True)),
    ],
)
def test_what_goes_on_costs_its_prompt_until_more_is_told(
    what: str, of: AttemptRecord, expected: Bill
) -> None:
    found = charge((of,), Operation.RESPONSES, ESTIMATE, Penny(), goes_on=True)
    assert found == expected, what


ATTEMPTS = st.builds(
    attempt,
    st.sampled_from([None, *ErrorClass]),
    status=st.sampled_from([None, 200, 429, 500]),
    is_sent=st.booleans(),
    first_event_s=st.sampled_from([None, 0.5]),
    usage=st.sampled_from([None, USAGE]),
    delivered_tokens=st.integers(0, 1000),
)


@given(st.lists(ATTEMPTS, max_size=6))
def test_a_bill_is_the_sum_of_its_attempts(attempts: list[AttemptRecord]) -> None:
    whole, singly = bill(*attempts), [bill(each) for each in attempts]
    assert whole.tokens == sum(each.tokens for each in singly)
    assert whole.nano_usd == sum(each.nano_usd for each in singly)
    assert whole.requests == max((each.requests for each in singly), default=0)
    assert whole.is_estimated == any(each.is_estimated for each in singly)
