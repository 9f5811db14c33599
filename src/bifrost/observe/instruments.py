"""Counters and histograms of prometheus-client for a process that feeds them from one thread.

The library takes a lock for every number and looks through a histogram's buckets one by one, thirteen times a request.
Families, children and exposition stay the library's; what is overridden is how a number is added to (as of 0.26).
"""

from __future__ import annotations

import time
from bisect import bisect_left

import prometheus_client

__all__ = ["Counter", "Histogram"]


class _Number:
    """What the library keeps a number in, as far as its exposition looks at it."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def get(self) -> float:
        return self.value

    def get_exemplar(self) -> None:
        return None


class Counter(prometheus_client.Counter):
    """A counter, without exemplars."""

    def _metric_init(self) -> None:
        self._value = _Number()
        self._created = time.time()

    def inc(self, amount: float = 1.0, exemplar: object = None) -> None:  # noqa: ARG002  the library's signature
        """Add ``amount``, which is not negative."""
        self._value.value += amount


class Histogram(prometheus_client.Histogram):
    """A histogram, without exemplars."""

    def _metric_init(self) -> None:
        self._buckets = [_Number() for _ in self._upper_bounds]
        self._sum = _Number()
        self._created = time.time()

    def observe(self, amount: float, exemplar: object = None) -> None:  # noqa: ARG002  the library's signature
        """Note ``amount``."""
        self._buckets[bisect_left(self._upper_bounds, amount)].value += 1
        self._sum.value += amount
