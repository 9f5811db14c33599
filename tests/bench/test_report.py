from __future__ import annotations

import attrs
import pytest

from bench.figures import Verdict
from bench.report import BEGIN, END, Results, page, render

RESULTS = Results(
    command="scripts/bench",
    date="2026-11-23 09:00 UTC",
    rounds=3,
    window_s=5,
    minutes=17.6,
    machine={"processor": "Some, 2 cores"},
    versions={"bifrost": "abc1234", "litellm": "1.0", "direct": ""},
    samples={
        "bifrost": {"rps32": [1000.0, 1234.5, 1100.0], "p50": [0.5, 0.5, 0.5]},
        "litellm": {"rps32": [100.0, 100.0, None], "p50": [5.0, 10.0, 7.5]},
        "direct": {"rps32": [99999.0]},
    },
    verdicts=(Verdict(True, "Cold start: at most 1.5; 0.80"),),
)


def _line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {start}"))


def test_cell_has_median_and_spread() -> None:
    cells = _line(render(RESULTS), "Requests/s, 32").split(" | ")

    assert cells[1:] == ["1,100 (1,000 to 1,234)", "100", "99,999 |"]


def test_value_that_is_missing_is_shown_as_such() -> None:
    assert _line(render(RESULTS), "Added to a direct call, p50").endswith("| - |")


def test_metric_that_nobody_has_takes_no_line() -> None:
    assert "SSE chunks" not in render(RESULTS)


def test_ratios_name_how_many_times_as_good_ours_is() -> None:
    ratios = render(RESULTS).partition("times as good, by round")[2]

    assert _line(ratios, "Requests/s, 32").endswith("| 11.2 (10.0 to 12.3) |")
    assert _line(ratios, "Added to a direct call, p50").endswith("| 15.0 (10.0 to 20.0) |")


def test_run_of_one_gateway_has_no_ratios() -> None:
    alone = attrs.evolve(RESULTS, versions={"bifrost": "abc1234", "direct": ""})

    assert "times as good, by round" not in render(alone)


def test_circumstances_stand_first() -> None:
    text = render(RESULTS)

    assert _line(text, "command") == "| command | `scripts/bench` |"
    assert _line(text, "rounds") == "| rounds | 3 of 5 s each, 18 min in all |"
    assert _line(text, "litellm") == "| litellm | 1.0 |"
    assert "| direct |  |" not in text


@pytest.mark.parametrize("invalid", [(), ("litellm: 3 errors in rps256",)])
def test_errors_make_a_run_invalid(invalid: tuple[str, ...]) -> None:
    text = render(attrs.evolve(RESULTS, invalid=invalid))

    assert ("not valid" in text) is bool(invalid)
    assert all(f"- {line}" in text for line in invalid)


def test_verdicts_are_listed() -> None:
    assert "- PASS  Cold start: at most 1.5; 0.80\n" in render(RESULTS)


def test_page_keeps_what_is_written_by_hand() -> None:
    old = f"# Benchmarks\n\nBefore.\n\n{BEGIN}\nold figures\n{END}\n\n## Where the time goes\n"

    new = page(old, RESULTS)

    assert new.startswith(f"# Benchmarks\n\nBefore.\n\n{BEGIN}\n\n| ")
    assert new.endswith(f"{END}\n\n## Where the time goes\n")
    assert "old figures" not in new


def test_page_written_twice_is_the_same() -> None:
    once = page("# Benchmarks\n", RESULTS)

    assert page(once, RESULTS) == once


def test_page_without_markers_gets_them_at_its_end() -> None:
    assert page("# Benchmarks\n", RESULTS).startswith(f"# Benchmarks\n\n{BEGIN}\n")
    assert page("", RESULTS).startswith(BEGIN)
    assert page("", RESULTS).endswith(f"{END}\n")
