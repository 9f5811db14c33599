from __future__ import annotations

from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.policy.balance import chances, numbers, pick


def counts(weights: list[float], draws: int = 20_000) -> list[int]:
    rng = Random(7)
    found = [0] * len(weights)
    for _ in range(draws):
        found[pick(weights, rng.random())] += 1
    return found


def test_shares_follow_the_weights() -> None:
    found = counts([0.7, 0.2, 0.1])

    expected = [14_000, 4_000, 2_000]
    chi_squared = sum((seen - due) ** 2 / due for seen, due in zip(found, expected, strict=True))
    # The 0.1 % critical value for two degrees of freedom.
    assert chi_squared < 13.82


def test_small_weights_are_exact() -> None:
    rare, _ = counts([0.004, 0.996])

    assert 50 <= rare <= 115


def test_zero_is_never_drawn_beside_a_positive_weight() -> None:
    assert counts([0.0, 1.0, 0.0])[0::2] == [0, 0]


def test_all_zero_is_uniform() -> None:
    assert all(6_400 < seen < 6_950 for seen in counts([0.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("weights", "draw", "index"),
    [
        ([3.0], 0.99, 0),
        ([0.0], 0.5, 0),
        ([1.0, 1.0], 0.0, 0),
        ([1.0, 1.0], 0.5, 1),
        ([1.0, 0.0], 1.0, 0),
        ([0.0, 0.0], 1.0, 1),
    ],
)
def test_edges(weights: list[float], draw: float, index: int) -> None:
    assert pick(weights, draw) == index


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8), st.floats(0, 1, exclude_max=True))
def test_the_choice_is_one_of_them_and_deserves_it(weights: list[float], draw: float) -> None:
    index = pick(weights, draw)

    assert 0 <= index < len(weights)
    assert weights[index] > 0 or sum(weights) == 0


def test_chances_add_up() -> None:
    assert chances([3.0, 1.0]) == (0.75, 0.25)
    assert chances([0.0, 0.0]) == (0.5, 0.5)


def test_one_draw_gives_many_unrelated_numbers() -> None:
    first, same, near = (list(islice(numbers(draw), 1000)) for draw in (0.3, 0.3, 0.3 + 1e-12))

    assert first == same
    assert first != near
    assert all(0 <= number < 1 for number in first)
    assert 0.45 < sum(first) / 1000 < 0.55
