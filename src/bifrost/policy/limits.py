"""What a key's own rate limits allow, as far as its answers have told.

Per key; per key and model once two models of it have reported different limits. A report says how many requests and
tokens are left until when. Between reports the pool counts down by itself what it lends (one request, and the
estimated tokens): requests under way are on the provider's count already, only their answers are not here yet. A report
replaces the local figure, so an estimate that was off lasts no longer than the next answer.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

import attrs

from bifrost.values import frozen

if TYPE_CHECKING:
    from bifrost.providers.base import RateHint

T = TypeVar("T")

__all__ = ["FRESH", "Allowance", "KeyLimits", "Window", "learned", "refused", "spent", "succeeded"]

LONGEST_REST_S = 60.0
"""An empty window is believed no longer than this; some resets tell when all of a large allowance is back."""

LONGEST_RETRY_AFTER_S = 3600.0
"""Providers have been seen to send days."""

DEFAULT_RESET_S = 1.0
"""How long a report without a reset holds."""

SCARCE_SHARE = 0.05
SCARCE_FACTOR = 0.1

MODELS_MAX = 256
"""Models remembered per key; the one longest unused is forgotten."""


@frozen
class Window:
    """``remaining`` of ``limit`` until ``reset_at_s``, as of ``seen_s``; both times on the pool's clock."""

    limit: int | None
    remaining: int
    reset_at_s: float
    seen_s: float

    def closed_until(self, need: int, now_s: float) -> float:
        """When ``need`` may be tried again; 0.0 for now. A need above the whole limit waits for a full window."""
        if now_s >= self.reset_at_s:
            return 0.0
        wanted = max(1, need if self.limit is None else min(need, self.limit))
        if wanted <= self.remaining:
            return 0.0
        until_s = min(self.reset_at_s, self.seen_s + LONGEST_REST_S)
        return until_s if until_s > now_s else 0.0

    def is_scarce(self, now_s: float) -> bool:
        return (
            self.limit is not None
            and now_s < self.reset_at_s
            and self.remaining < SCARCE_SHARE * self.limit
        )

    def less(self, amount: int) -> Window:
        return attrs.evolve(self, remaining=max(0, self.remaining - amount))


@frozen(kw_only=True)
class Allowance:
    """What one scope (a key, or a key and model) may still do."""

    requests: Window | None = None
    tokens: Window | None = None
    cool_until_s: float = 0.0
    """End of the rest after a 429."""
    refusals: int = 0
    """429s in a row. Those of requests that were under way together count once."""

    def closed_until(self, need_tokens: int, now_s: float) -> float:
        """When a request of ``need_tokens`` may be sent; 0.0 for now."""
        until_s = self.cool_until_s if self.cool_until_s > now_s else 0.0
        return max(until_s, _windows_closed_until(self, need_tokens, now_s))

    def factor(self, now_s: float) -> float:
        """By what the key's weight is multiplied: a tenth when less than a twentieth is left."""
        if self is FRESH:
            return 1.0
        windows = (self.requests, self.tokens)
        scarce = any(window is not None and window.is_scarce(now_s) for window in windows)
        return SCARCE_FACTOR if scarce else 1.0


FRESH = Allowance()
"""Nothing is known."""


def _windows_closed_until(allowance: Allowance, need_tokens: int, now_s: float) -> float:
    until_s = 0.0
    if allowance.requests is not None:
        until_s = allowance.requests.closed_until(1, now_s)
    if allowance.tokens is not None:
        until_s = max(until_s, allowance.tokens.closed_until(need_tokens, now_s))
    return until_s


def spent(allowance: Allowance, need_tokens: int) -> Allowance:
    """``allowance`` after one more request was lent out."""
    if allowance.requests is None and allowance.tokens is None:
        return allowance
    return attrs.evolve(
        allowance,
        requests=None if allowance.requests is None else allowance.requests.less(1),
        tokens=None if allowance.tokens is None else allowance.tokens.less(need_tokens),
    )


def learned(allowance: Allowance, hint: RateHint, now_s: float) -> Allowance:
    """``allowance`` after an answer's headers. What they do not speak of stays, until its reset."""
    requests = _window(hint.limit_requests, hint.remaining_requests, hint.reset_requests_s, now_s)
    tokens = _window(hint.limit_tokens, hint.remaining_tokens, hint.reset_tokens_s, now_s)
    if requests is None and tokens is None:
        return allowance
    return attrs.evolve(
        allowance,
        requests=_still(allowance.requests, now_s) if requests is None else requests,
        tokens=_still(allowance.tokens, now_s) if tokens is None else tokens,
    )


def _window(
    limit: int | None, remaining: int | None, reset_s: float | None, now_s: float
) -> Window | None:
    if remaining is None:
        return None
    hold_s = DEFAULT_RESET_S if reset_s is None else max(0.0, reset_s)
    return Window(limit, max(0, remaining), now_s + hold_s, now_s)


def _still(window: Window | None, now_s: float) -> Window | None:
    return None if window is None or now_s >= window.reset_at_s else window


def refused(allowance: Allowance, retry_after_s: float | None, now_s: float) -> Allowance:
    """``allowance`` after a 429: it rests.

    As long as asked; else until an empty window's reset; else 1 s, doubled each time in a row, at most 60 s.

    A 429 while it rests already belongs to the same blow: it may lengthen the rest but does not count again.
    """
    rests = allowance.cool_until_s > now_s
    refusals = max(1, allowance.refusals if rests else allowance.refusals + 1)
    windows_s = _windows_closed_until(allowance, 0, now_s) - now_s
    if retry_after_s is not None and retry_after_s > 0:
        rest_s = min(retry_after_s, LONGEST_RETRY_AFTER_S)
    elif windows_s > 0:
        rest_s = windows_s
    else:
        rest_s = min(2.0 ** min(refusals - 1, 10), LONGEST_REST_S)
    until_s = max(allowance.cool_until_s, now_s + rest_s)
    return attrs.evolve(allowance, cool_until_s=until_s, refusals=refusals)


def succeeded(allowance: Allowance, now_s: float) -> Allowance:
    """``allowance`` after a success. One that comes while it rests was sent before, and says nothing."""
    if not allowance.refusals or allowance.cool_until_s > now_s:
        return allowance
    return attrs.evolve(allowance, refusals=0, cool_until_s=0.0)


@attrs.define(eq=False)
class KeyLimits:
    """The allowances of one key, and the proof, once there is one, that they go by model."""

    _shared: Allowance = FRESH
    _by_model: OrderedDict[str, Allowance] = attrs.field(factory=OrderedDict, init=False)
    _limits_of: OrderedDict[str, tuple[int | None, int | None]] = attrs.field(
        factory=OrderedDict, init=False
    )
    _last_model: str = attrs.field(default="", init=False)
    is_by_model: bool = attrs.field(default=False, init=False)

    def of(self, model: str) -> Allowance:
        """What holds for ``model``."""
        return self._by_model.get(model, FRESH) if self.is_by_model else self._shared

    @property
    def is_fresh(self) -> bool:
        """Whether nothing is known, so that everything may be."""
        return self._shared is FRESH and not self.is_by_model

    def spend(self, model: str, need_tokens: int) -> None:
        """A request was lent out."""
        allowance = self.of(model)
        if allowance is not FRESH:
            self._put(model, spent(allowance, need_tokens))

    def learn(self, model: str, hint: RateHint, now_s: float) -> None:
        """An answer told of limits."""
        self._compare(model, (hint.limit_requests, hint.limit_tokens))
        allowance = self.of(model)
        after = learned(allowance, hint, now_s)
        if after is not allowance:
            self._last_model = model
            self._put(model, after)

    def refuse(self, model: str, retry_after_s: float | None, now_s: float) -> None:
        """A 429."""
        self._last_model = model
        self._put(model, refused(self.of(model), retry_after_s, now_s))

    def succeed(self, model: str, now_s: float) -> None:
        allowance = self.of(model)
        after = succeeded(allowance, now_s)
        if after is not allowance:
            self._put(model, after)

    def worst(self, now_s: float) -> Allowance:
        """For display: the allowance that rests longest."""
        if not self.is_by_model:
            return self._shared
        return max(
            self._by_model.values(), key=lambda each: each.closed_until(0, now_s), default=FRESH
        )

    def _put(self, model: str, allowance: Allowance) -> None:
        if self.is_by_model:
            _remember(self._by_model, model, allowance)
        else:
            self._shared = allowance

    def _compare(self, model: str, limits: tuple[int | None, int | None]) -> None:
        """Look for the proof: another model of this key with other limits."""
        if self.is_by_model or limits == (None, None) or self._limits_of.get(model) == limits:
            return
        others = (seen for name, seen in self._limits_of.items() if name != model)
        if any(_differ(limits, seen) for seen in others):
            self.is_by_model = True
            # What was taken for the key's was its last reporter's.
            self._put(self._last_model, self._shared)
            self._shared = FRESH
            self._limits_of.clear()
        else:
            _remember(self._limits_of, model, limits)


def _differ(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> bool:
    pairs = zip(one, other, strict=True)
    return any(left is not None and right is not None and left != right for left, right in pairs)


def _remember(models: OrderedDict[str, T], model: str, value: T) -> None:
    models[model] = value
    models.move_to_end(model)
    if len(models) > MODELS_MAX:
        models.popitem(last=False)
