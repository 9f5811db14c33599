from __future__ import annotations

import pytest

from bifrost.policy.limits import (
    FRESH,
    MODELS_MAX,
    Allowance,
    KeyLimits,
    Window,
    learned,
    refused,
    spent,
    succeeded,
)
from bifrost.providers.base import RateHint

EMPTY = RateHint(limit_requests=100, remaining_requests=0, reset_requests_s=20.0)


@pytest.mark.parametrize(
    ("hint", "need", "closed_until_s"),
    [
        (EMPTY, 0, 30.0),
        (RateHint(remaining_requests=0, reset_requests_s=360.0), 0, 70.0),
        (RateHint(remaining_requests=0), 0, 11.0),
        (RateHint(remaining_requests=1, reset_requests_s=20.0), 0, 0.0),
        (RateHint(remaining_tokens=500, reset_tokens_s=6.0), 501, 16.0),
        (RateHint(remaining_tokens=500, reset_tokens_s=6.0), 500, 0.0),
        (RateHint(limit_tokens=500, remaining_tokens=500, reset_tokens_s=6.0), 9000, 0.0),
        (RateHint(limit_tokens=500, remaining_tokens=400, reset_tokens_s=6.0), 9000, 16.0),
        (RateHint(remaining_requests=0, reset_requests_s=-5.0), 0, 0.0),
        (RateHint(limit_requests=100), 0, 0.0),
    ],
)
def test_reports_close_a_key(hint: RateHint, need: int, closed_until_s: float) -> None:
    assert learned(FRESH, hint, 10.0).closed_until(need, 10.0) == closed_until_s


def test_an_empty_window_is_believed_for_a_minute() -> None:
    allowance = learned(FRESH, RateHint(remaining_requests=0, reset_requests_s=360.0), 0.0)

    assert allowance.closed_until(0, 59.9) == 60.0
    assert allowance.closed_until(0, 60.0) == 0.0


@pytest.mark.parametrize(
    ("remaining", "now_s", "factor"), [(4, 0.0, 0.1), (5, 0.0, 1.0), (4, 20.0, 1.0)]
)
def test_scarcity_lowers_the_weight_until_the_reset(
    remaining: int, now_s: float, factor: float
) -> None:
    hint = RateHint(limit_requests=100, remaining_requests=remaining, reset_requests_s=20.0)

    assert learned(FRESH, hint, 0.0).factor(now_s) == factor


def test_without_a_limit_nothing_is_scarce() -> None:
    assert learned(FRESH, RateHint(remaining_requests=1), 0.0).factor(0.0) == 1.0


def test_what_is_lent_is_counted_down_until_the_next_report() -> None:
    hint = RateHint(
        remaining_requests=2, reset_requests_s=20, remaining_tokens=900, reset_tokens_s=5
    )
    allowance = learned(FRESH, hint, 0.0)

    twice = spent(spent(allowance, 400), 400)
    again = learned(twice, RateHint(remaining_requests=7, reset_requests_s=20), 1.0)

    assert twice.closed_until(0, 1.0) == 20.0
    assert twice.closed_until(101, 1.0) == 20.0
    assert again.closed_until(100, 1.0) == 0.0
    assert again.closed_until(101, 1.0) == 5.0


def test_spending_of_one_window_only() -> None:
    requests = learned(FRESH, RateHint(remaining_requests=2, reset_requests_s=20), 0.0)
    tokens = learned(FRESH, RateHint(remaining_tokens=2, reset_tokens_s=20), 0.0)

    assert spent(FRESH, 5) is FRESH
    assert spent(requests, 5).requests == Window(None, 1, 20.0, 0.0)
    assert spent(tokens, 5).tokens == Window(None, 0, 20.0, 0.0)


def test_stale_windows_are_discarded() -> None:
    allowance = learned(FRESH, EMPTY, 0.0)

    later = learned(allowance, RateHint(remaining_tokens=5, reset_tokens_s=9.0), 21.0)

    assert allowance.closed_until(0, 20.0) == 0.0
    assert later.requests is None


def test_refusals_without_a_hint_double_to_a_minute() -> None:
    allowance, now_s, rests = FRESH, 0.0, []
    for _ in range(8):
        allowance = refused(allowance, None, now_s)
        rests.append(allowance.cool_until_s - now_s)
        now_s = allowance.cool_until_s

    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]


def test_refusals_of_the_same_blow_count_once() -> None:
    allowance = refused(refused(FRESH, None, 0.0), None, 0.5)

    assert allowance.refusals == 1
    assert allowance.cool_until_s == 1.5


@pytest.mark.parametrize(
    ("retry_after_s", "rest_s"), [(7.0, 7.0), (90_000.0, 3600.0), (0.0, 1.0), (None, 1.0)]
)
def test_retry_after_is_honoured(retry_after_s: float | None, rest_s: float) -> None:
    assert refused(FRESH, retry_after_s, 5.0).cool_until_s == 5.0 + rest_s


def test_without_retry_after_the_empty_windows_reset_counts() -> None:
    allowance = refused(learned(FRESH, EMPTY, 0.0), None, 0.0)

    assert allowance.cool_until_s == 20.0


def test_a_success_ends_the_row_unless_it_was_sent_before_the_rest() -> None:
    allowance = refused(FRESH, 5.0, 0.0)

    assert succeeded(allowance, 4.0) is allowance
    assert succeeded(allowance, 5.0) == Allowance()
    assert succeeded(FRESH, 5.0) is FRESH


def test_limits_are_the_keys_until_two_models_report_different_ones() -> None:
    limits = KeyLimits()
    limits.learn("a", EMPTY, 0.0)

    assert limits.of("b").closed_until(0, 0.0) == 20.0

    limits.learn("b", RateHint(limit_requests=500, remaining_requests=9, reset_requests_s=1), 0.0)

    assert limits.is_by_model
    assert limits.of("a").closed_until(0, 0.0) == 20.0
    assert limits.of("b").closed_until(0, 0.0) == 0.0
    assert limits.of("c") is FRESH
    assert limits.worst(0.0).closed_until(0, 0.0) == 20.0


@pytest.mark.parametrize(
    "other",
    [
        RateHint(limit_requests=100, remaining_requests=3),
        RateHint(limit_tokens=5, remaining_tokens=3),
        RateHint(remaining_requests=3),
    ],
)
def test_equal_or_unknown_limits_prove_nothing(other: RateHint) -> None:
    limits = KeyLimits()
    limits.learn("a", EMPTY, 0.0)
    limits.learn("b", other, 0.0)
    limits.learn("b", other, 0.0)

    assert not limits.is_by_model


def test_key_limits_follow_what_happens() -> None:
    limits = KeyLimits()
    assert limits.is_fresh
    limits.spend("a", 5)
    limits.succeed("a", 0.0)
    limits.learn("a", RateHint(retry_after_s=3.0), 0.0)
    assert limits.is_fresh

    limits.refuse("a", 3.0, 0.0)
    limits.spend("a", 5)
    assert limits.worst(0.0).closed_until(0, 0.0) == 3.0

    limits.succeed("a", 4.0)
    assert limits.of("a").closed_until(0, 4.0) == 0.0


def test_models_are_forgotten_past_the_bound() -> None:
    limits = KeyLimits()
    limits.learn("a", EMPTY, 0.0)
    limits.learn("b", RateHint(limit_requests=7, remaining_requests=1, reset_requests_s=1), 0.0)
    for number in range(MODELS_MAX):
        limits.refuse(f"model-{number}", 9.0, 0.0)

    assert limits.of("a") is FRESH
    assert limits.of("model-0") is not FRESH
