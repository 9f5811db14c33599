"""Budgets and rate limits: what a request makes of them, and what is told of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.actors.ledger_messages import Counted
from bifrost.config.faults import ConfigErrors
from bifrost.errors import BadRequest
from bifrost.management.limit_bodies import Usage, counters_of, patched_limit

MONTHLY = {"id": "b", "max_limit": 10, "reset_duration": "1M"}
BOTH = {
    "id": "r",
    "token_max_limit": 100,
    "token_reset_duration": "1h",
    "request_max_limit": 3,
    "request_reset_duration": "1m",
}
NOV_20 = 1_795_132_800.0  # 2026-11-20T00:00:00Z
DAY_S = 86400.0


def patched(kind: Any, present: Any, sent: Any) -> Any:
    return patched_limit(kind, present, sent, kind, lambda: "new")


@pytest.mark.parametrize(
    ("kind", "present", "sent", "after"),
    [
        ("budget", None, {"max_limit": 1, "reset_duration": "1d"}, {"id": "new"}),
        ("budget", MONTHLY, {"max_limit": 20}, {"max_limit": 20}),
        ("budget", MONTHLY, {"calendar_aligned": True}, {"calendar_aligned": True}),
        ("budget", MONTHLY, {"id": "b", "current_usage": 3, "last_reset": "now"}, {}),
        ("rate_limit", BOTH, {"request_max_limit": 5}, {"request_max_limit": 5}),
    ],
)
def test_a_limit_is_changed_member_by_member(
    kind: str, present: Any, sent: Any, after: Any
) -> None:
    of_sent = {} if present else sent
    assert patched(kind, present, sent) == {**(present or {}), **of_sent, **after}


@pytest.mark.parametrize(
    ("kind", "present", "sent"),
    [
        ("budget", MONTHLY, {}),
        ("budget", MONTHLY, None),
        ("budget", None, {}),
        ("budget", MONTHLY, {"max_limit": None, "reset_duration": None}),
        ("rate_limit", BOTH, {}),
        ("rate_limit", BOTH, {"token_max_limit": None, "request_max_limit": None}),
    ],
)
def test_nothing_takes_it_away(kind: str, present: Any, sent: Any) -> None:
    assert patched(kind, present, sent) is None


def test_half_of_a_rate_limit_can_go() -> None:
    assert patched("rate_limit", BOTH, {"token_max_limit": None}) == {
        "id": "r",
        "request_max_limit": 3,
        "request_reset_duration": "1m",
    }


@pytest.mark.parametrize(
    ("kind", "sent", "text"),
    [
        (
            "budget",
            {"max_limit": -1, "reset_duration": "1d"},
            "Budget max_limit cannot be negative: -1.00",
        ),
        (
            "budget",
            {"max_limit": 0, "reset_duration": "1d"},
            "budget max limit cannot be negative or zero: 0.00",
        ),
        (
            "budget",
            {"max_limit": 1, "reset_duration": "soon"},
            "Invalid reset duration format: soon",
        ),
        ("budget", {"reset_duration": "1d"}, "budget max_limit is required"),
        (
            "budget",
            {"max_limit": 1, "reset_duration": "1h", "calendar_aligned": True},
            'calendar_aligned is not supported for reset duration "1h"',
        ),
        (
            "rate_limit",
            {"token_max_limit": 0, "token_reset_duration": "1h"},
            "rate limit token max limit cannot be negative or zero: 0",
        ),
        ("rate_limit", {"request_max_limit": 5}, "rate limit request reset duration is required"),
        (
            "rate_limit",
            {"token_max_limit": 5, "token_reset_duration": "-1h"},
            "Invalid reset duration format: -1h",
        ),
    ],
)
def test_what_is_out_of_bounds_is_told_in_the_known_words(kind: str, sent: Any, text: str) -> None:
    with pytest.raises(BadRequest) as found:
        patched(kind, None, sent)
    assert found.value.status == 400
    assert str(found.value.message).startswith(text)
    assert str(found.value.param).startswith(f"{kind}.")


@pytest.mark.parametrize(
    ("sent", "path", "like"),
    [
        ({"max_limits": 1}, "budget.max_limits", "max_limit"),
        ({"id": "other", "max_limit": 1}, "budget.id", None),
        ("much", "budget", None),
    ],
)
def test_what_is_no_part_of_it_is_named(sent: Any, path: str, like: str | None) -> None:
    with pytest.raises(ConfigErrors) as found:
        patched("budget", MONTHLY, sent)
    (error,) = found.value.errors
    assert (error.path, error.nearest) == (path, like)


limits = st.fixed_dictionaries(
    {"max_limit": st.integers(1, 100), "reset_duration": st.sampled_from(["1d", "2w", "1M"])},
    optional={"calendar_aligned": st.booleans()},
)
halves = [
    st.fixed_dictionaries(
        {
            f"{half}_max_limit": st.integers(1, 100),
            f"{half}_reset_duration": st.sampled_from(["1m", "1h"]),
        }
    )
    for half in ("token", "request")
]
rates = st.one_of(*halves, st.tuples(*halves).map(lambda two: two[0] | two[1]))


@given(limits, rates)
def test_what_was_told_changes_nothing_when_it_is_sent_back(budget: Any, rate: Any) -> None:
    body = {"budget": {"id": "b", **budget}, "rate_limit": {"id": "r", **rate}}
    counted = {name: Counted(7, NOV_20) for name in counters_of(body)}
    told = Usage(counted, NOV_20 + 1).told(body)
    after = patched("budget", body["budget"], told["budget"])
    assert after == body["budget"]
    assert patched("rate_limit", body["rate_limit"], told["rate_limit"]) == body["rate_limit"]


def test_usage_is_told_until_its_time_is_over() -> None:
    body = {"budget": {**MONTHLY, "calendar_aligned": True}, "rate_limit": BOTH}
    counted = {
        "b": Counted(1_500_000_000, NOV_20),
        "r:tokens": Counted(40, NOV_20),
        "r:requests": Counted(2, NOV_20),
    }
    assert frozenset(counters_of(body)) == counted.keys()
    soon = Usage(counted, NOV_20 + 60)
    assert soon.spent(body) == 1_500_000_000
    assert soon.spent({}) == 0
    told = soon.told(body)
    assert told["budget_id"] == "b"
    assert told["budget"]["current_usage"] == 1.5
    assert told["budget"]["last_reset"] == "2026-11-20T00:00:00.000+00:00"
    assert told["rate_limit"]["token_current_usage"] == 40
    assert told["rate_limit"]["request_current_usage"] == 0
    later = Usage(counted, NOV_20 + 12 * DAY_S).told(body)
    assert later["budget"]["current_usage"] == 0
    assert later["budget"]["last_reset"] == "2026-12-01T00:00:00.000+00:00"
    assert Usage({}, NOV_20).told({})["budget"] is None


def test_what_was_never_used_of_half_a_limit() -> None:
    half = {"id": "r", "request_max_limit": 3, "request_reset_duration": "1m"}
    told = Usage({}, NOV_20).told({"rate_limit": half})["rate_limit"]
    assert told["token_max_limit"] is None
    assert told["token_last_reset"] is None
    assert told["request_last_reset"] == "2026-11-20T00:00:00.000+00:00"
