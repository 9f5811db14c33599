"""Weighted choice among usable keys, from one number that comes in as an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["chances", "numbers", "pick"]

_MASK = (1 << 64) - 1


def pick(weights: Sequence[float], draw: float) -> int:
    """Index of the chosen one; ``draw`` in [0, 1), ``weights`` finite, not negative, at least one.

    A weight of 0 is never chosen unless all are 0: then the choice is uniform.
    """
    total = sum(weights)
    if total <= 0:
        return min(int(draw * len(weights)), len(weights) - 1)
    point, running, last = draw * total, 0.0, 0
    for index, weight in enumerate(weights):
        if weight <= 0:
            continue
        running += weight
        last = index
        if point < running:
            return index
    # Rounding can leave the sum a hair below ``point``.
    return last


def chances(weights: Sequence[float]) -> tuple[float, ...]:
    """The probability with which ``pick`` chooses each, over a uniform draw."""
    total = sum(weights)
    if total <= 0:
        return tuple(1.0 / len(weights) for _ in weights)
    return tuple(weight / total for weight in weights)


def numbers(draw: float) -> Iterator[float]:
    """As many numbers in [0, 1) as are asked for, all determined by one ``draw``.

    A counter run through a 64-bit mixing function (SplitMix64: Steele, Lea and Flood, OOPSLA 2014), so that
    neighbouring draws give unrelated numbers.
    """
    state = int(draw * (1 << 53))
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        yield ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)
