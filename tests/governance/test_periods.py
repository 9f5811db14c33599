"""Durations and calendars: tables, and the laws that any period keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.governance.periods import Calendar, Period

MIN_S, DAY_S = 60.0, 86400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "length_s"),
    [
        ("300ms", 0.3),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1m", MIN_S),
        ("1M", 30 * DAY_S),
        ("1d", DAY_S),
        ("2w", 14 * DAY_S),
        ("1Y", 365 * DAY_S),
        ("0.5d", DAY_S / 2),
        ("10us", 1e-5),
        ("10\N{MICRO SIGN}s", 1e-5),
    ],
)
def test_durations(text: str, length_s: float) -> None:
    assert Period.parse(text).length_s == pytest.approx(length_s)


@pytest.mark.parametrize(
    "text", ["", "0s", "0d", "-1h", "1", "1D", "1y", "h", "1h 30m", "1d12h", "1e3s", "9" * 65 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid reset duration format"):
        Period.parse(text)


@pytest.mark.parametrize("text", ["1h", "30s", "5m", "1h30m"])
def test_no_calendar_has_hours(text: str) -> None:
    with pytest.raises(ValueError, match=f'not supported for reset duration "{text}": only daily'):
        Period.parse(text, calendar_aligned=True)


@pytest.mark.parametrize(
    ("text", "now", "start", "end"),
    [
        ("1d", "2024-02-29T23:59:59", "2024-02-29", "2024-03-01"),
        ("1w", "2024-03-03T12:00:00", "2024-02-26", "2024-03-04"),  # a Sunday
        ("1w", "2024-12-30T00:00:00", "2024-12-30", "2025-01-06"),  # a Monday, in ISO's year 2025
        ("1M", "2026-01-31T10:00:00", "2026-01-01", "2026-02-01"),
        ("3M", "2026-01-31T10:00:00", "2026-01-01", "2026-02-01"),
        ("1M", "2024-02-29T10:00:00", "2024-02-01", "2024-03-01"),
        ("1Y", "2024-12-31T23:59:59", "2024-01-01", "2025-01-01"),
        ("1Y", "2025-01-01T00:00:00", "2025-01-01", "2026-01-01"),
    ],
)
def test_calendars(text: str, now: str, start: str, end: str) -> None:
    period = Period.parse(text, calendar_aligned=True)
    assert period.start(at(now)) == at(start)
    assert period.left_s(at(start), at(now)) == at(end) - at(now)


def test_a_month_created_on_the_20th_starts_anew_on_the_1st_and_not_before() -> None:
    month = Period.parse("1M", calendar_aligned=True)
    since = month.start(at("2026-01-20"))
    assert not month.is_over(since, at("2026-01-30"))
    assert not month.is_over(since, at("2026-01-31T23:59:59"))
    assert month.is_over(since, at("2026-02-01"))


def test_a_rolling_month_is_30_days() -> None:
    month = Period.parse("1M")
    since = month.start(at("2026-01-20T05:00:00"))
    assert not month.is_over(since, at("2026-02-19T04:59:59"))
    assert month.is_over(since, at("2026-02-19T05:00:00"))


TIMES = st.floats(min_value=0, max_value=at("2199-12-31"))


@given(now=TIMES, calendar=st.sampled_from(Calendar))
def test_every_moment_lies_in_one_span(now: float, calendar: Calendar) -> None:
    start, end = calendar.start(now), calendar.end(now)
    assert start <= now < end
    assert calendar.start(start) == start
    assert calendar.start(end) == end


@given(now=TIMES, later=st.floats(min_value=0, max_value=4e9), calendar=st.booleans())
def test_a_limit_is_over_when_nothing_is_left_of_it(
    now: float, later: float, calendar: bool
) -> None:
    period = Period.parse("2w", calendar_aligned=calendar)
    since = period.start(now)
    assert period.is_over(since, now + later) == (period.left_s(since, now + later) <= 0)
