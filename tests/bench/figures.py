"""Figures out of samples, pure: spreads, ratios, percentiles, what is measured, and the floor it has to stand on."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

__all__ = [
    "FLOORS",
    "METRICS",
    "Floor",
    "Metric",
    "Samples",
    "Spread",
    "Verdict",
    "percentile",
    "ratio",
    "spread",
    "verdicts",
]

Samples = Mapping[str, Mapping[str, Sequence[float | None]]]
"""Gateway's name → metric's name → one value a round; None where a round gave none or an invalid one."""


@attrs.frozen
class Metric:
    """One row of the table. ``digits`` after the point; ``better`` says which way is good."""

    name: str
    title: str
    better: Literal["higher", "lower"]
    digits: int = 0


METRICS = (
    Metric("rps32", "Requests/s, 32 connections", "higher"),
    Metric("cpu32", "CPU time of a request at 32 connections, µs", "lower"),
    Metric("governed", "The same by a virtual key with budgets and limits", "higher"),
    Metric("rps256", "Requests/s, 256 connections", "higher"),
    Metric("body", "Requests/s, 100 KB bodies, 32 connections", "higher"),
    Metric("responses", "Responses API, requests/s, 32 connections", "higher"),
    Metric("embeddings", "Embeddings, requests/s, 32 connections", "higher"),
    Metric("p50", "Added to a direct call, p50, ms", "lower", 2),
    Metric("p99", "Added to a direct call, p99, ms", "lower", 2),
    Metric("sse16", "SSE chunks/s, 16 streams", "higher"),
    Metric("sse16_cpu", "CPU time of a chunk, 16 streams, µs", "lower", 1),
    Metric("sse128", "SSE chunks/s, 128 streams", "higher"),
    Metric("translated", "OpenAI from Anthropic, SSE chunks/s, 16 streams", "higher"),
    Metric("translated_cpu", "CPU time of a translated chunk, 16 streams, µs", "lower", 1),
    Metric("paced", "Chunks/s of 3,200 offered, 64 streams at 50/s each", "higher"),
    Metric("paced_p50", "On its way, a paced chunk, p50, ms", "lower", 2),
    Metric("paced_p99", "On its way, a paced chunk, p99, ms", "lower", 2),
    Metric("paced_cpu", "CPU time of a paced chunk, µs", "lower"),
    Metric("rest", "Resident memory at rest, MiB", "lower"),
    Metric("loaded", "Resident memory after the load, MiB", "lower"),
    Metric("soak_low", "Resident memory after 20,000 requests, MiB", "lower", 1),
    Metric("soak_high", "Resident memory after 100,000 requests, MiB", "lower", 1),
    Metric("cold", "Cold start to the first 200, s", "lower", 2),
)


@attrs.frozen
class Spread:
    """The middle of some values, and how far they reach."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float | None]) -> Spread | None:
    """Of the values that are there; None if none is."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(statistics.median(known), min(known), max(known))


def ratio(
    ours: Sequence[float | None], theirs: Sequence[float | None], better: str = "higher"
) -> Spread | None:
    """How many times as good ours is, round by round, so that what slows a whole round slows both.

    Above 1 is in our favour: where lower is better, it is theirs over ours. Rounds without two positive values are
    left out.
    """
    pairs = zip(ours, theirs, strict=False)
    quotients = [a / b for a, b in pairs if a is not None and b is not None and a > 0 and b > 0]
    return spread(quotients if better == "higher" else [1 / quotient for quotient in quotients])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0-1) of the values do not exceed. ``values`` is not empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@attrs.frozen
class Floor:
    """``metric`` against a peer's, or ``own``, another of ours: ``times`` as good at least; or ``limit``, a median at most."""

    metric: str
    peer: str | None = None
    times: float = 1.0
    limit: float | None = None
    own: str | None = None


FLOORS = (
    Floor("rps32", "portkey", 3),
    Floor("rps32", "litellm", 10),
    Floor("governed", own="rps32", times=0.8),
    Floor("p50", "portkey", 1),
    Floor("sse16", "portkey", 3),
    Floor("sse128", "portkey", 3),
    Floor("loaded", limit=120),
    Floor("soak_high", limit=120),
    Floor("cold", limit=1.5),
)
FLAT = 0.05
BOTTLENECK = 5.0


@attrs.frozen
class Verdict:
    """Whether a floor is met; ``passed`` is None where the run did not measure it."""

    passed: bool | None
    text: str

    def __str__(self) -> str:
        word = {True: "PASS", False: "FAIL", None: "----"}[self.passed]
        return f"{word}  {self.text}"


def verdicts(samples: Samples, ours: str) -> tuple[Verdict, ...]:
    """The floors for the gateway named ``ours``, memory's flatness, and whether the mock was fast enough."""
    kept = [_judge(floor, samples, ours) for floor in FLOORS]
    upstream = [_no_bottleneck(metric, samples) for metric in ("rps32", "sse16")]
    return (*kept, _flat(samples, ours), *upstream)


def _values(samples: Samples, gateway: str, metric: str) -> Sequence[float | None]:
    return samples.get(gateway, {}).get(metric, ())


def _judge(floor: Floor, samples: Samples, ours: str) -> Verdict:
    metric = next(metric for metric in METRICS if metric.name == floor.metric)
    mine = _values(samples, ours, floor.metric)
    if floor.limit is not None:
        found = spread(mine)
        text = f"{metric.title}: at most {floor.limit:g}"
        passed = None if found is None else found.median <= floor.limit
        return Verdict(passed, text + (f"; {found.median:.2f}" if found else ""))
    theirs = _values(samples, floor.peer or ours, floor.own or floor.metric)
    times = ratio(mine, theirs, metric.better)
    text = f"{metric.title}: {floor.times:g} times as good as {floor.peer or floor.own}"
    passed = None if times is None else times.median >= floor.times
    return Verdict(passed, text + (f"; {times.median:.2f}" if times else ""))


def _flat(samples: Samples, ours: str) -> Verdict:
    low = spread(_values(samples, ours, "soak_low"))
    high = spread(_values(samples, ours, "soak_high"))
    text = f"Resident memory between 20,000 and 100,000 requests: within {FLAT:.0%}"
    if low is None or high is None:
        return Verdict(None, text)
    growth = high.median - low.median
    is_flat = abs(growth) <= FLAT * low.median
    return Verdict(is_flat, f"{text}; {growth / low.median:+.1%}")


def _no_bottleneck(metric: str, samples: Samples) -> Verdict:
    """Direct against the fastest gateway."""
    text = (
        f"The mock upstream is no bottleneck ({metric}): {BOTTLENECK:g} times the fastest gateway"
    )
    direct = spread(_values(samples, "direct", metric))
    gateways = [spread(_values(samples, name, metric)) for name in samples if name != "direct"]
    fastest = max((found.median for found in gateways if found), default=0.0)
    if direct is None or not fastest:
        return Verdict(None, text)
    times = direct.median / fastest
    return Verdict(times >= BOTTLENECK, f"{text}; {times:.1f}")
