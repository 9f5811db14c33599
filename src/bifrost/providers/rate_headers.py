"""What response headers say of a key's limits. Garbage in them is as good as nothing."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

from bifrost.providers.base import RateHint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.providers.base import Headers

__all__ = ["NO_HINT", "RateFamily", "date_of", "read_rate_hint", "retry_after_s"]

RateFamily = Literal["openai", "cerebras", "anthropic"]

NO_HINT = RateHint()

MAX_WAIT_S = 3600.0
"""Providers have been seen to send days; after an hour it is worth asking again."""

EPOCH_S = 1_000_000_000
EPOCH_MS = 1_000_000_000_000
"""A reset beyond these is a point in time, in seconds or milliseconds."""

DURATION = re.compile(r"(\d{1,12}(?:\.\d{0,12})?)(h|ms|m|s|us|µs|ns)")
UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,12})?")

FAMILIES: Mapping[RateFamily, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "openai": (
        tuple(f"x-ratelimit-{what}-requests" for what in ("limit", "remaining", "reset")),
        tuple(f"x-ratelimit-{what}-tokens" for what in ("limit", "remaining", "reset")),
    ),
    "cerebras": (
        tuple(f"x-ratelimit-{what}-requests-day" for what in ("limit", "remaining", "reset")),
        tuple(f"x-ratelimit-{what}-tokens-minute" for what in ("limit", "remaining", "reset")),
    ),
    "anthropic": (
        tuple(f"anthropic-ratelimit-requests-{what}" for what in ("limit", "remaining", "reset")),
        tuple(f"anthropic-ratelimit-tokens-{what}" for what in ("limit", "remaining", "reset")),
    ),
}
"""Headers of limit, remaining and reset: of requests, then of tokens."""


def read_rate_hint(headers: Headers, now_unix_s: float, family: RateFamily = "openai") -> RateHint:
    """The hint in ``headers``, times as seconds from now.

    Resets may be Go durations (``6m0s``), seconds, points in time (RFC 3339 or epoch).
    """
    found = {
        name.decode("latin-1"): value.decode("latin-1").strip()
        for name, value in headers
        if name.startswith((b"retry-after", b"x-ratelimit-", b"anthropic-", b"x-ms-retry"))
    }
    if not found:
        return NO_HINT
    requests, tokens = FAMILIES[family]
    return RateHint(
        retry_after_s=_retry_after(found, now_unix_s),
        limit_requests=_count(found.get(requests[0])),
        remaining_requests=_count(found.get(requests[1])),
        reset_requests_s=_reset(found.get(requests[2]), now_unix_s),
        limit_tokens=_count(found.get(tokens[0])),
        remaining_tokens=_count(found.get(tokens[1])),
        reset_tokens_s=_reset(found.get(tokens[2]), now_unix_s),
    )


def retry_after_s(headers: Headers, now_unix_s: float | None) -> float | None:
    """Seconds to wait before asking again. Dates count from ``now_unix_s``; without it they say nothing."""
    found = {name.decode("latin-1"): value.decode("latin-1").strip() for name, value in headers}
    return _retry_after(found, now_unix_s)


def date_of(headers: Headers) -> float | None:
    """The answer's own ``date``, as seconds since the epoch."""
    for name, value in headers:
        if name == b"date":
            return _http_date(value.decode("latin-1"))
    return None


def _retry_after(found: Mapping[str, str], now_unix_s: float | None) -> float | None:
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(found.get(name))
        if milliseconds is not None:
            return _bounded(milliseconds / 1000.0)
    value = found.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return _bounded(seconds)
    at = _http_date(value) if value and now_unix_s is not None else None
    return None if at is None or now_unix_s is None else _bounded(at - now_unix_s)


def _http_date(value: str) -> float | None:
    """RFC 9110, section 5.6.7."""
    try:
        at = parsedate_to_datetime(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _reset(value: str | None, now_unix_s: float) -> float | None:
    if value is None:
        return None
    number = _number(value)
    if number is not None:
        return _bounded(_from_number(number, now_unix_s))
    return _duration(value) if value[-1:] in {"s", "m", "h"} else _moment(value, now_unix_s)


def _from_number(number: float, now_unix_s: float) -> float:
    if number >= EPOCH_MS:
        return number / 1000.0 - now_unix_s
    return number - now_unix_s if number >= EPOCH_S else number


def _duration(value: str) -> float | None:
    """Go's ``time.Duration`` as it prints itself: ``1h2m3.5s``, ``20ms``."""
    total, at = 0.0, 0
    while at < len(value):
        part = DURATION.match(value, at)
        if part is None:
            return None
        total += float(part[1]) * UNIT_S[part[2]]
        at = part.end()
    return _bounded(total) if at else None


def _moment(value: str, now_unix_s: float) -> float | None:
    """RFC 3339."""
    try:
        at = datetime.fromisoformat(value)
        return _bounded((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now_unix_s)
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    return (
        float(value) if value is not None and NUMBER.fullmatch(value) and value.isascii() else None
    )


def _count(value: str | None) -> int | None:
    number = _number(value)
    return None if number is None else math.floor(number)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_WAIT_S)
