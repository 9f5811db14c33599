"""What comes after an attempt or a hop that failed: pure decisions, by the error's class.

*Retry* stays on the target, with another key or after a back-off; *fallback* goes to the next target. The caller's own
fault is never retried, ``Retry-After`` is always honoured, and no wait reaches past the call's deadline.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import attrs

from bifrost.errors import ErrorClass, GatewayError, NetworkError
from bifrost.values import frozen

__all__ = [
    "Backoff",
    "Fail",
    "Finish",
    "History",
    "NextHop",
    "Over",
    "Retry",
    "RetryBudget",
    "RetryRules",
    "after_hop",
    "verdict",
]

RETRYABLE_STATUSES = frozenset({408, 500, 502, 503, 504, 529, *range(520, 528)})
"""Of class SERVER. 520 to 527 are a CDN's words for a broken origin; 501 and 505 will not change by asking again."""

ROTATING = frozenset({ErrorClass.RATE_LIMIT, ErrorClass.AUTH, ErrorClass.QUOTA})
"""Failures of a key rather than of the target: an untried key is tried at once, free of charge."""


@frozen
class Backoff:
    """Exponential, with 20 % jitter either way. Milliseconds, as configured."""

    initial_ms: int
    max_ms: int

    def delay_s(self, retry: int, draw: float) -> float:
        """Seconds before retry number ``retry`` (0 for the first); ``draw`` in [0, 1). Never above the maximum."""
        base = min(self.initial_ms * 2.0 ** min(retry, 30), self.max_ms)
        return min(base * (0.8 + 0.4 * draw), self.max_ms) / 1000.0


@frozen(kw_only=True)
class RetryRules:
    """A provider's settings, as far as retries go by them."""

    max_retries: int
    backoff: Backoff
    retry_on_timeout: bool
    retry_after_cap_s: float
    sticky: bool
    """Retries stay on the first key: ``key_retry_policy: sticky``, a pinned key or a direct one."""
    creates: bool = False
    """What may have been done must not be done again: only what certainly was not is repeated."""
    searches: bool = False
    """Some key has the object that is asked for, nobody knows which: one after the other is tried."""


@frozen(kw_only=True)
class History:
    """What a hop has been through. ``retries`` counts what ``max_retries`` bounds; free rotations are not in it."""

    retries: int = 0
    tried: frozenset[str] = frozenset()
    """Keys used so far."""
    avoid: frozenset[str] = frozenset()
    """Keys not to be used again in this hop."""


@frozen(kw_only=True)
class Retry:
    """Try again on this target after ``after_s`` seconds. ``costs`` if it uses up one of ``max_retries``."""

    after_s: float
    costs: bool
    avoid: frozenset[str]
    prefer_not: str | None = None


@frozen
class Over:
    """No more tries on this target."""


def verdict(
    error: GatewayError,
    history: History,
    rules: RetryRules,
    *,
    key_id: str | None,
    untried_left: int,
    patience_s: float,
    draw: float,
) -> Retry | Over:
    """What to do after ``error``.

    ``key_id`` is the key that failed (``None`` if the pool refused one), ``untried_left`` how many other usable keys
    the hop has not tried. ``patience_s`` is the longest wait worth while: what is left to the deadline, or less
    where a fallback stands ready.
    """
    rotates = error.error_class in ROTATING or (
        rules.searches and error.error_class is ErrorClass.NOT_FOUND
    )
    if key_id is not None and rotates and not rules.sticky and untried_left > 0:
        return Retry(after_s=0.0, costs=False, avoid=history.tried | {key_id})
    if history.retries >= rules.max_retries or not _may_repeat(
        error, rules, refused=key_id is None
    ):
        return Over()
    return _after_wait(error, history, rules, key_id, untried_left, patience_s, draw)


def _may_repeat(error: GatewayError, rules: RetryRules, *, refused: bool) -> bool:
    if rules.creates and not refused and not _is_undone(error):
        return False
    match error.error_class:
        case ErrorClass.NETWORK | ErrorClass.RATE_LIMIT:
            return True
        case ErrorClass.SERVER:
            return error.status in RETRYABLE_STATUSES
        case ErrorClass.TIMEOUT:
            return rules.retry_on_timeout
        case ErrorClass.OVERLOADED:
            # Only "all keys are resting" says when to come back; a full line or a closed pool is final here.
            return (
                refused and error.code == "provider_unavailable" and error.retry_after_s is not None
            )
        case _:
            return False


def _is_undone(error: GatewayError) -> bool:
    """Whether the request certainly had no effect: it was not sent, or turned away at the door."""
    if isinstance(error, NetworkError):
        return not error.sent
    return error.error_class is ErrorClass.RATE_LIMIT


def _after_wait(
    error: GatewayError,
    history: History,
    rules: RetryRules,
    key_id: str | None,
    untried_left: int,
    patience_s: float,
    draw: float,
) -> Retry | Over:
    wait_s = 0.0 if key_id is None else rules.backoff.delay_s(history.retries, draw)
    asked_s = error.retry_after_s or 0.0
    if asked_s > rules.retry_after_cap_s:
        return Over()
    if key_id is None or untried_left == 0 or rules.sticky:
        wait_s = max(wait_s, asked_s)
    if wait_s > patience_s:
        return Over()
    return Retry(after_s=wait_s, costs=True, avoid=frozenset(), prefer_not=key_id)


@frozen
class Finish:
    """The caller has its answer."""


@frozen
class Fail:
    """The chain ends here; ``primary`` if the first hop's error is the one to tell, not this one's."""

    primary: bool


@frozen
class NextHop:
    """Go to the next target."""


def after_hop(
    error: GatewayError | None,
    *,
    committed: bool,
    ends_chain: bool,
    hops_left: int,
    fallback_on: Literal["server", "all"],
) -> Finish | Fail | NextHop:
    """What to do after a hop ended in ``error`` (``None``: it answered).

    A stopped chain tells the stopping hop's error, an exhausted one the primary's.
    """
    if error is None:
        return Finish()
    if committed or ends_chain or not _may_fall_back(error, fallback_on):
        return Fail(primary=False)
    return NextHop() if hops_left > 0 else Fail(primary=True)


def _may_fall_back(error: GatewayError, fallback_on: Literal["server", "all"]) -> bool:
    match error.error_class:
        case ErrorClass.CANCELLED | ErrorClass.DEADLINE:
            return False
        case ErrorClass.CLIENT:
            return fallback_on == "all"
        case _:
            return True


@attrs.define
class RetryBudget:
    """Keeps retries to a share of recent traffic, so that an outage is not amplified.

    Over the last ``window_s`` seconds, retries may be ``ratio`` of the requests, or ``floor_per_s`` a second if that is
    more: a quiet gateway retries as configured. Rotation to an untried key is not asked for here. A ``ratio`` of 0
    turns the budget off.
    """

    ratio: float
    floor_per_s: float = 10.0
    window_s: int = 10
    _buckets: deque[list[int]] = attrs.field(factory=deque, init=False)
    """Per second: second, requests, retries. At most ``window_s`` of them."""
    _requests: int = attrs.field(default=0, init=False)
    _retries: int = attrs.field(default=0, init=False)

    def request(self, now_s: float) -> None:
        """Count a hop's first attempt."""
        self._bucket(now_s)[1] += 1
        self._requests += 1

    def take(self, now_s: float) -> bool:
        """Whether one more retry (or hedge) may be made; counts it if so."""
        bucket = self._bucket(now_s)
        allowed = max(self.ratio * self._requests, self.floor_per_s * self.window_s)
        if self.ratio > 0 and self._retries + 1 > allowed:
            return False
        bucket[2] += 1
        self._retries += 1
        return True

    def _bucket(self, now_s: float) -> list[int]:
        second = int(now_s)
        while self._buckets and self._buckets[0][0] <= second - self.window_s:
            _, requests, retries = self._buckets.popleft()
            self._requests -= requests
            self._retries -= retries
        if not self._buckets or self._buckets[-1][0] != second:
            self._buckets.append([second, 0, 0])
        return self._buckets[-1]
