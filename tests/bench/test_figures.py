from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import METRICS, Spread, Verdict, percentile, ratio, spread, verdicts

FINITE = st.floats(min_value=-1e9, max_value=1e9)


@given(st.lists(FINITE, min_size=1))
def test_median_lies_between_least_and_greatest(values: list[float]) -> None:
    found = spread(values)

    assert found is not None
    assert found.low == min(values) <= found.median <= max(values) == found.high


def test_rounds_without_a_value_do_not_count() -> None:
    assert spread([None, 3.0, None, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([None]) is None
    assert spread([]) is None


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1.0), (0.25, 1.0), (0.26, 2.0), (0.5, 2.0), (0.99, 4.0), (1.0, 4.0)],
)
def test_percentile_is_the_least_value_that_the_share_does_not_exceed(
    share: float, expected: float
) -> None:
    assert percentile([4.0, 2.0, 1.0, 3.0], share) == expected


@given(st.lists(FINITE, min_size=1), st.floats(min_value=0, max_value=1))
def test_percentile_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)

    covered = sum(value <= found for value in values)
    assert covered >= math.floor(share * len(values))
    assert found in values


def test_ratio_is_taken_round_by_round() -> None:
    # A slow second round for both: the ratio of medians would be 1, that of rounds is 2.
    assert ratio([20.0, 2.0, 10.0], [10.0, 1.0, 5.0]) == Spread(2.0, 2.0, 2.0)


def test_ratio_above_one_is_in_our_favour_where_lower_is_better() -> None:
    assert ratio([1.0, 2.0], [4.0, 4.0], "lower") == Spread(3.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [([None, 1.0], [1.0, None]), ([0.0], [1.0]), ([1.0], [-0.1]), ([], [1.0])],
)
def test_ratio_needs_two_positive_values(
    ours: list[float | None], theirs: list[float | None]
) -> None:
    assert ratio(ours, theirs) is None


def _verdict(samples: dict[str, dict[str, list[float | None]]], words: str) -> Verdict:
    return next(one for one in verdicts(samples, "bifrost") if words in one.text)


@pytest.mark.parametrize(("ours", "passed"), [(301.0, True), (300.0, True), (299.0, False)])
def test_floor_against_a_peer(ours: float, passed: bool) -> None:
    samples: dict[str, dict[str, list[float | None]]] = {
        "bifrost": {"rps32": [ours]},
        "portkey": {"rps32": [100.0]},
    }

    assert _verdict(samples, "times as good as portkey").passed is passed


@pytest.mark.parametrize(("ours", "passed"), [(1.0, True), (1.2, False)])
def test_floor_against_a_peer_where_lower_is_better(ours: float, passed: bool) -> None:
    samples: dict[str, dict[str, list[float | None]]] = {
        "bifrost": {"p50": [ours]},
        "portkey": {"p50": [1.1]},
    }

    assert _verdict(samples, "p50").passed is passed


@pytest.mark.parametrize(("ours", "passed"), [(1.5, True), (1.6, False)])
def test_floor_against_a_limit(ours: float, passed: bool) -> None:
    assert _verdict({"bifrost": {"cold": [ours]}}, "Cold start").passed is passed


@pytest.mark.parametrize(
    ("low", "high", "passed"), [(100.0, 105.0, True), (100.0, 106.0, False), (100.0, 94.0, False)]
)
def test_memory_is_flat_within_a_twentieth(low: float, high: float, passed: bool) -> None:
    samples: dict[str, dict[str, list[float | None]]] = {
        "bifrost": {"soak_low": [low], "soak_high": [high]}
    }

    assert _verdict(samples, "between 20,000").passed is passed


@pytest.mark.parametrize(("direct", "passed"), [(1000.0, True), (999.0, False)])
def test_upstream_is_judged_by_the_fastest_gateway(direct: float, passed: bool) -> None:
    samples: dict[str, dict[str, list[float | None]]] = {
        "bifrost": {"rps32": [200.0]},
        "portkey": {"rps32": [100.0]},
        "direct": {"rps32": [direct]},
    }

    assert _verdict(samples, "no bottleneck (rps32)").passed is passed


def test_what_was_not_measured_is_neither_passed_nor_failed() -> None:
    found = verdicts({"bifrost": {"rps32": [None]}}, "bifrost")

    assert {one.passed for one in found} == {None}
    assert all(str(one).startswith("----") for one in found)


@pytest.mark.parametrize(("passed", "word"), [(True, "PASS"), (False, "FAIL")])
def test_verdict_begins_with_its_word(passed: bool, word: str) -> None:
    assert str(Verdict(passed, "text")) == f"{word}  text"


def test_metrics_have_names_of_their_own() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
