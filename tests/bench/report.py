"""The results as a page: tables of medians and ratios, put between two markers of ``docs/benchmarks.md``; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from bench.figures import METRICS, Metric, Samples, Spread, Verdict, ratio, spread

__all__ = ["BEGIN", "END", "Results", "page", "render"]

BEGIN = "<!-- results: written by scripts/bench, replaced by its next full run -->"
END = "<!-- end of results -->"
NOTHING = "-"


@attrs.frozen(kw_only=True)
class Results:
    """One run. ``versions`` by gateway, in the order of the columns, ours first; ``invalid`` says what went wrong."""

    command: str
    date: str
    rounds: int
    window_s: float
    minutes: float
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    samples: Samples
    verdicts: Sequence[Verdict]
    invalid: Sequence[str] = ()


def page(text: str, results: Results) -> str:
    """``text`` with its part between the markers replaced, or with both at its end if it has none."""
    before, found, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not found:
        before, after = (f"{text.rstrip()}\n\n" if text.strip() else ""), "\n"
    return f"{before}{BEGIN}\n\n{render(results)}\n{END}{after}"


def render(results: Results) -> str:
    """The whole part: circumstances, figures, ratios, floors, and what was wrong with the run."""
    parts = [_circumstances(results), _figures(results), _ratios(results), _floors(results)]
    if results.invalid:
        parts.append("**This run is not valid:**\n\n" + _items(results.invalid))
    return "\n".join(part for part in parts if part)


def _circumstances(results: Results) -> str:
    facts = {
        "command": f"`{results.command}`",
        "date": results.date,
        "rounds": f"{results.rounds} of {results.window_s:g} s each, {results.minutes:.0f} min in all",
        **results.machine,
        **{name: version for name, version in results.versions.items() if version},
    }
    return _table(("", ""), list(facts.items()))


def _figures(results: Results) -> str:
    """Medians over the rounds, the least and the greatest in brackets."""
    names = list(results.versions)
    rows = []
    for metric in METRICS:
        found = [spread(results.samples.get(name, {}).get(metric.name, ())) for name in names]
        if any(found):
            rows.append((metric.title, *(_cell(one, metric.digits) for one in found)))
    return _table(("median (least to greatest)", *names), rows)


def _ratios(results: Results) -> str:
    """How many times as good the first gateway is, by round."""
    ours, *others = [name for name in results.versions if name != "direct"]
    rows = []
    for metric in METRICS:
        found = [_ratio(results.samples, metric, ours, other) for other in others]
        if any(found):
            rows.append((metric.title, *(_cell(one, 1 if _is_big(one) else 2) for one in found)))
    heads = [f"{ours} to {other}" for other in others]
    return _table(("times as good, by round", *heads), rows) if rows else ""


def _is_big(found: Spread | None) -> bool:
    return found is not None and found.median >= 10


def _ratio(samples: Samples, metric: Metric, ours: str, other: str) -> Spread | None:
    mine = samples.get(ours, {}).get(metric.name, ())
    return ratio(mine, samples.get(other, {}).get(metric.name, ()), metric.better)


def _floors(results: Results) -> str:
    return _items([f"{verdict}" for verdict in results.verdicts])


def _items(lines: Sequence[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _cell(found: Spread | None, digits: int) -> str:
    if found is None:
        return NOTHING
    low, high = (f"{value:,.{digits}f}" for value in (found.low, found.high))
    middle = f"{found.median:,.{digits}f}"
    return middle if low == high else f"{middle} ({low} to {high})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    line = "|---" + "|---:" * (len(heads) - 1) + "|"
    body = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([body[0], line, *body[1:], ""])
