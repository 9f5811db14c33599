from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.providers.base import RateHint
from bifrost.providers.rate_headers import (
    MAX_WAIT_S,
    NO_HINT,
    RateFamily,
    date_of,
    read_rate_hint,
    retry_after_s,
)

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z


def lines(**headers: str) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((n.replace("_", "-").encode(), v.encode()) for n, v in headers.items())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1h2m3.5s", MAX_WAIT_S),
        ("2m59.56s", 179.56),
        ("7.66s", 7.66),
        ("500us", 0.0005),
        ("12", 12.0),
        ("0", 0.0),
        ("1790000030", 30.0),
        ("1790000030500", 30.5),
        ("1789999999", 0.0),
        ("2026-09-21T14:13:50Z", 30.0),
        ("2026-09-21T14:13:50", 30.0),
        ("2026-09-21T14:13:00+00:00", 0.0),
        ("", None),
        ("soon", None),
        ("s", None),
        ("-5s", None),
        ("1x2s", None),
        ("9999-99-99T00:00:00Z", None),
        ("9" * 400 + "s", None),
    ],
)
def test_resets_in_every_format(value: str, seconds: float | None) -> None:
    hint = read_rate_hint(lines(x_ratelimit_reset_requests=value), NOW)

    assert hint.reset_requests_s == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "30"}, 30.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "Mon, 21 Sep 2026 14:13:50 GMT"}, 30.0),
        ({"retry_after": "Mon, 21 Sep 2026 14:13:50"}, 30.0),
        ({"retry_after": "Mon, 21 Sep 2026 14:13:00 GMT"}, 0.0),
        ({"retry_after": "864000"}, MAX_WAIT_S),
        ({"retry_after": "30", "retry_after_ms": "1500"}, 1.5),
        ({"x_ms_retry_after_ms": "250"}, 0.25),
        ({"retry_after_ms": "x", "retry_after": "2"}, 2.0),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "later"}, None),
        ({"retry_after": ""}, None),
        ({"retry_after": "1e5"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert read_rate_hint(lines(**headers), NOW).retry_after_s == seconds
    assert retry_after_s(lines(**headers), NOW) == seconds


def test_date_says_nothing_without_a_clock_but_the_answers_own_will_do() -> None:
    headers = lines(
        retry_after="Mon, 21 Sep 2026 14:13:50 GMT", date="Mon, 21 Sep 2026 14:13:20 GMT"
    )

    assert retry_after_s(headers, None) is None
    assert retry_after_s(headers, date_of(headers)) == 30.0
    assert date_of(()) is None
    assert date_of(lines(date="never")) is None


@pytest.mark.parametrize(
    ("family", "requests", "tokens"),
    [
        ("openai", "x_ratelimit_{}_requests", "x_ratelimit_{}_tokens"),
        ("cerebras", "x_ratelimit_{}_requests_day", "x_ratelimit_{}_tokens_minute"),
        ("anthropic", "anthropic_ratelimit_requests_{}", "anthropic_ratelimit_tokens_{}"),
    ],
)
def test_each_family_has_its_names(family: RateFamily, requests: str, tokens: str) -> None:
    values = {"limit": "100", "remaining": "7", "reset": "10"}
    told = {requests.format(what): value for what, value in values.items()}
    told |= {tokens.format(what): f"{value}0" for what, value in values.items()}

    assert read_rate_hint(lines(**told), NOW, family) == RateHint(
        limit_requests=100,
        remaining_requests=7,
        reset_requests_s=10.0,
        limit_tokens=1000,
        remaining_tokens=70,
        reset_tokens_s=100.0,
    )


@pytest.mark.parametrize("value", ["", "-1", "many", "1e9", "0x10", "9" * 40, "\u0663", "1,000"])
def test_counts_that_are_none_are_ignored(value: str) -> None:
    headers = ((b"x-ratelimit-limit-requests", value.encode()),)

    assert read_rate_hint(headers, NOW) == NO_HINT


def test_no_headers_no_hint() -> None:
    assert read_rate_hint(lines(content_type="x"), NOW) is NO_HINT


NAMES = st.sampled_from(
    [
        b"retry-after",
        b"retry-after-ms",
        b"x-ratelimit-reset-tokens",
        b"x-ratelimit-limit-requests",
        b"date",
    ]
)


@given(
    st.lists(
        st.tuples(
            NAMES,
            st.binary(max_size=30) | st.text("0123456789.-:TZhms, ", max_size=25).map(str.encode),
        ),
        max_size=5,
    )
)
def test_no_garbage_gets_through(headers: list[tuple[bytes, bytes]]) -> None:
    hint = read_rate_hint(tuple(headers), NOW)

    assert all(t is None or 0 <= t <= MAX_WAIT_S for t in (hint.retry_after_s, hint.reset_tokens_s))
    date_of(tuple(headers))
