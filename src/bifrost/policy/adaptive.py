"""Adaptive balancing: what each route (a key serving a model) has shown lately, and what weight that earns it.

Counters decay: after 30 s a tenth is left. The error penalty is set by each failure, from the error rate of that
moment, and fades from then on at the same pace, so that trouble that has ended is forgotten even where traffic is thin.
A route that recovers starts with fresh counters: it is judged by how it is now. Weights are computed on a tick; between
ticks only a route's state changes.
"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from statistics import median
from typing import TYPE_CHECKING

import attrs

from bifrost.errors import ErrorClass
from bifrost.policy.balance import chances, numbers, pick

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Reading", "Route", "RouteState", "Routes", "draw_route", "route_chances"]

TAU_S = 30.0 / math.log(10.0)

TICK_S = 5.0
"""How often weights are computed; also the window that shares of traffic are measured over."""

COUNTED = frozenset(
    {
        ErrorClass.NETWORK,
        ErrorClass.TIMEOUT,
        ErrorClass.SERVER,
        ErrorClass.RATE_LIMIT,
        ErrorClass.AUTH,
        ErrorClass.QUOTA,
    }
)
"""Failures that are the route's; what the caller did wrong, or took back, is no request at all here."""

FAILED_ABOVE = 0.05
DEGRADED_ABOVE = 0.02
JUDGED_FROM = 10.0
"""Decayed requests before an error rate means anything."""

SAMPLES_MIN = 10
SMOOTHING = 0.2
REST_S = 10.0
REST_MAX_S = 300.0
RECOVERED_AFTER = 5
MOMENTUM = 0.15
MOMENTUM_FULL_AFTER = 20
EXPLORATION = 0.25
JITTER = 0.05
FLOOR = 0.01
ROUTES_MAX = 1000
"""Routes remembered; the one longest unused is forgotten."""


class RouteState(enum.Enum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILED = "failed"
    RECOVERING = "recovering"


@attrs.frozen(kw_only=True)
class Reading:
    """An attempt as adaptive balancing sees it. Times in seconds."""

    error_class: ErrorClass | None = None
    latency_s: float = 0.0
    first_event_s: float | None = None
    streamed: bool = False
    completion_tokens: int = 0

    def sample(self) -> float | None:
        """Its latency: time to the first event of a stream, else time per token of a somewhat lengthened answer."""
        if self.streamed:
            return None if self.first_event_s is None else self.first_event_s * 1000.0
        return self.latency_s * 1000.0 / (200 + self.completion_tokens)


@attrs.define
class Latency:
    """A smoothed figure, and how many samples it rests on. Streams and plain answers have one each."""

    value: float = 0.0
    samples: int = 0

    def add(self, sample: float) -> None:
        self.samples += 1
        self.value = sample if self.samples == 1 else self.value + SMOOTHING * (sample - self.value)

    def penalty(self, baseline: float | None) -> float:
        """0 at the baseline, 1 at three times as much."""
        if not baseline or self.samples < SAMPLES_MIN:
            return 0.0
        return _clamp((self.value / baseline - 1.0) / 2.0)


@attrs.define(eq=False)
class Route:
    """One key serving one model."""

    state: RouteState = RouteState.HEALTHY
    factor: float = 1.0
    """What the configured weight is multiplied by, as of the last tick."""
    share: float = 0.0
    """Of the leases of its model in the last window."""
    probe: int | None = None
    """The lease that explores it."""
    failed_until_s: float = 0.0
    by_rate: bool = False
    """Failed only for its error rate, so that it may serve where there is nothing better."""
    plain: Latency = attrs.field(factory=Latency)
    stream: Latency = attrs.field(factory=Latency)
    leases: int = 0
    """In the window that runs."""
    _requests: float = 0.0
    _failures: float = 0.0
    _as_of_s: float = 0.0
    _penalty: float = 0.0
    _penalty_at_s: float = 0.0
    _rest_s: float = REST_S
    _successes: int = 0
    """Since it began to recover."""

    def error_rate(self) -> float:
        return self._failures / self._requests if self._requests > 0 else 0.0

    def penalty(self, now_s: float) -> float:
        """For errors: 0 to 1."""
        return self._penalty * _decay(now_s - self._penalty_at_s)

    def is_closed(self, now_s: float) -> bool:
        """Whether it rests. One whose rest is over begins to recover here."""
        if self.state is not RouteState.FAILED:
            return False
        if now_s < self.failed_until_s:
            return True
        self._recover()
        return False

    def state_at(self, now_s: float) -> RouteState:
        """Its state, a rest that is over being over."""
        self.is_closed(now_s)
        return self.state

    def record(self, reading: Reading, now_s: float) -> None:
        """An attempt has ended."""
        failed = reading.error_class in COUNTED
        if not failed and reading.error_class is not None:
            return
        self._count(now_s, failed=failed)
        if failed:
            self._judge_failure(now_s)
        else:
            self._successes += 1
            sample = reading.sample()
            if sample is not None:
                (self.stream if reading.streamed else self.plain).add(sample)
        self._judge_rate(now_s)

    def fail(self, until_s: float, now_s: float) -> None:
        """Its limit is used up, or its circuit opened."""
        self._fail(max(until_s, now_s), by_rate=False)

    def score(self, now_s: float, latency: float, fair: float) -> float:
        """0 at best, 1 at worst, from the errors' penalty, the latency's and an unfair share of the traffic."""
        crowding = max(0.0, self.share - fair) / (1.0 - fair) if 0.0 < fair < 1.0 else 0.0
        weighed = 0.5 * self.penalty(now_s) + 0.2 * latency + 0.05 * crowding
        return _clamp(weighed / 0.75 - self._momentum())

    def settle_window(self, expected: float) -> None:
        """The window is over; ``expected`` leases would have been its due."""
        if (
            self.state is RouteState.RECOVERING
            and self._successes >= RECOVERED_AFTER
            and self.error_rate() < DEGRADED_ABOVE
            and self.leases >= 0.5 * expected
        ):
            self.state = RouteState.HEALTHY
            self._rest_s = REST_S
        self.leases = 0

    def _momentum(self) -> float:
        if self.state is not RouteState.RECOVERING:
            return 0.0
        return MOMENTUM * min(1.0, self._successes / MOMENTUM_FULL_AFTER)

    def _count(self, now_s: float, *, failed: bool) -> None:
        decay = _decay(now_s - self._as_of_s)
        self._as_of_s = now_s
        self._requests = self._requests * decay + 1.0
        self._failures = self._failures * decay + (1.0 if failed else 0.0)

    def _judge_failure(self, now_s: float) -> None:
        self._penalty = max(self.penalty(now_s), min(1.0, self.error_rate() / FAILED_ABOVE))
        self._penalty_at_s = now_s
        if self.state is RouteState.RECOVERING:
            self._rest_s = min(2.0 * self._rest_s, REST_MAX_S)
            self._fail(now_s + self._rest_s, by_rate=True)

    def _judge_rate(self, now_s: float) -> None:
        rate = self.error_rate()
        if self.state not in {RouteState.HEALTHY, RouteState.DEGRADED}:
            return
        if rate > FAILED_ABOVE and self._requests >= JUDGED_FROM:
            self._fail(now_s + self._rest_s, by_rate=True)
        elif rate > DEGRADED_ABOVE and self._requests >= JUDGED_FROM:
            self.state = RouteState.DEGRADED
        elif rate < DEGRADED_ABOVE:
            self.state = RouteState.HEALTHY

    def _fail(self, until_s: float, *, by_rate: bool) -> None:
        already = self.state is RouteState.FAILED
        self.failed_until_s = max(self.failed_until_s, until_s) if already else until_s
        self.by_rate = by_rate and (self.by_rate or not already)
        self.state = RouteState.FAILED

    def _recover(self) -> None:
        self.state = RouteState.RECOVERING
        self.probe = None
        self._successes = 0
        self._requests = self._failures = 0.0


@attrs.define(eq=False)
class Routes:
    """All routes of a pool, by key id and model."""

    _routes: OrderedDict[tuple[str, str], Route] = attrs.field(factory=OrderedDict, init=False)

    def of(self, key_id: str, model: str) -> Route:
        """The route, new if it is not known."""
        name = (key_id, model)
        route = self._routes.get(name)
        if route is None:
            route = self._routes[name] = Route()
            if len(self._routes) > ROUTES_MAX:
                self._routes.popitem(last=False)
        return route

    def lend(self, key_id: str, model: str) -> Route:
        """As ``of``, for a lease: counts it and marks the route as used."""
        route = self.of(key_id, model)
        self._routes.move_to_end((key_id, model))
        route.leases += 1
        return route

    def of_key(self, key_id: str) -> tuple[Route, ...]:
        return tuple(route for (owner, _), route in self._routes.items() if owner == key_id)

    def forget(self, key_id: str) -> None:
        """The key was replaced."""
        for name in [name for name in self._routes if name[0] == key_id]:
            del self._routes[name]

    def tick(self, now_s: float, weights: Mapping[str, float]) -> None:
        """Compute the factors anew; ``weights`` are the configured ones, by key id."""
        by_model: dict[str, list[tuple[float, Route]]] = {}
        for (key_id, model), route in self._routes.items():
            by_model.setdefault(model, []).append((weights.get(key_id, 0.0), route))
        for group in by_model.values():
            _weigh(group, now_s)


def _weigh(group: Sequence[tuple[float, Route]], now_s: float) -> None:
    """The routes of one model, with their configured weights."""
    routes = [route for _, route in group]
    leases = sum(route.leases for route in routes)
    fair = 1.0 / len(routes) if len(routes) > 1 else 0.0
    healthy = [route for route in routes if route.state is RouteState.HEALTHY]
    plain = _baseline(route.plain for route in healthy)
    stream = _baseline(route.stream for route in healthy)
    for route in routes:
        route.share = route.leases / leases if leases else 0.0
        latency = max(route.plain.penalty(plain), route.stream.penalty(stream))
        route.factor = max(
            FLOOR, (1.0 + (1.0 - route.score(now_s, latency, fair)) * 999.0) / 1000.0
        )
    open_weights = [
        0.0 if route.is_closed(now_s) else weight * route.factor for weight, route in group
    ]
    total = sum(open_weights)
    for weight, route in zip(open_weights, routes, strict=True):
        route.settle_window(leases * weight / total if total else 0.0)


def _baseline(latencies: Iterable[Latency]) -> float | None:
    """The median of healthy routes' latencies, if there are two or more to compare."""
    known = [latency.value for latency in latencies if latency.samples >= SAMPLES_MIN]
    return median(known) if len(known) >= 2 else None


def draw_route(routes: Sequence[Route], weights: Sequence[float], draw: float) -> tuple[int, bool]:
    """Index of the chosen route, and whether it is chosen to be explored.

    With probability 0.25 a recovering route that nobody explores is; else the weights decide, each jittered by 5 %.
    """
    more = numbers(draw)
    recovering = _to_explore(routes)
    if recovering and next(more) < EXPLORATION:
        return recovering[pick([1.0] * len(recovering), next(more))], True
    jittered = [weight * (1.0 - JITTER + 2.0 * JITTER * next(more)) for weight in weights]
    return pick(jittered, next(more)), False


def route_chances(routes: Sequence[Route], weights: Sequence[float]) -> tuple[float, ...]:
    """The probability with which ``draw_route`` chooses each, jitter left aside."""
    shares = chances(weights)
    recovering = _to_explore(routes)
    if not recovering:
        return shares
    each = EXPLORATION / len(recovering)
    return tuple(
        share * (1.0 - EXPLORATION) + (each if index in recovering else 0.0)
        for index, share in enumerate(shares)
    )


def _to_explore(routes: Iterable[Route]) -> list[int]:
    return [
        index
        for index, route in enumerate(routes)
        if route.state is RouteState.RECOVERING and route.probe is None
    ]


def _decay(elapsed_s: float) -> float:
    return math.exp(-max(0.0, elapsed_s) / TAU_S)


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))
