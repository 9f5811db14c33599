"""Our counters and histograms are told just as the library's own would be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest

from bifrost.observe import instruments

if TYPE_CHECKING:
    import pytest

BUCKETS = (0.5, 1, 2.5, math.inf)


def told(module: object, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("time.time", lambda: 1.5)
    registry = CollectorRegistry(auto_describe=True)
    counter = module.Counter("c_total", "A.", ("x",), registry=registry)  # type: ignore[attr-defined]  # both modules have it
    histogram = module.Histogram("h", "B.", ("x",), registry=registry, buckets=BUCKETS)  # type: ignore[attr-defined]  # both modules have it
    for label in ("one", "two"):
        counter.labels(label).inc()
        counter.labels(label).inc(3)
        for amount in (0, 0.5, 0.7, 2.5, 2.6, 1e9):
            histogram.labels(label).observe(amount)
    return generate_latest(registry).decode()


def test_they_are_told_as_the_librarys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(instruments, monkeypatch) == told(prometheus_client, monkeypatch)
