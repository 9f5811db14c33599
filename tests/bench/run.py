"""``scripts/bench``: starts the mock upstream and every gateway, measures them in turn, and writes the results.

A round starts each gateway anew, so that it also gives a cold start and memory at rest; then every item is measured
for each gateway before the next item begins, each round beginning with another gateway.
"""

from __future__ import annotations

import json
import shlex
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from bench.figures import verdicts
from bench.gateways import OURS, Gateway, bifrost, direct, litellm, portkey
from bench.installs import LITELLM, PORTKEY, ROOT, WORK, system_tools
from bench.machine import describe, own_version
from bench.measures import MEASURES, Book, Running, latency, soak, started
from bench.processes import NotReady
from bench.report import Results, page, render
from bench.upstream import Upstream, upstream
from bench.verify import WrongAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

ITEMS = (
    *("rps32", "governed", "rps256", "body", "responses", "embeddings"),
    *("sse16", "sse128", "translated", "paced", "latency", "soak"),
)
QUICK_ITEMS = ("rps32", "body", "sse16", "sse128", "latency")
GATEWAYS = (OURS, "litellm", "portkey")
PAGE = ROOT / "docs/benchmarks.md"


@attrs.frozen(kw_only=True)
class Plan:
    """``window_s`` for each figure; ``keeps_processes`` from round to round, else each round starts them anew."""

    gateways: tuple[str, ...]
    items: tuple[str, ...]
    rounds: int
    window_s: int
    keeps_processes: bool
    baseline: str | None = None
    litellm: str = LITELLM
    portkey: str = PORTKEY

    @property
    def is_full(self) -> bool:
        """Whether its tables may stand in the documentation."""
        everything = set(ITEMS) <= set(self.items) and set(GATEWAYS) <= set(self.gateways)
        return everything and self.rounds >= 3 and not self.keeps_processes


def _gateways(plan: Plan, at: Upstream, folder: Path) -> list[Gateway]:
    """In the order of the columns, the direct call last."""
    found = []
    for name in plan.gateways:
        if name == OURS:
            found.append(bifrost(at, folder, own_version()))
        elif name == "litellm":
            found.append(litellm(at, folder, plan.litellm))
        else:
            found.append(portkey(at, folder, plan.portkey))
    if plan.baseline is not None:
        found.append(bifrost(at, folder, "", plan.baseline))
    return [*found, direct(at)]


def _measure_round(running: Sequence[Running], plan: Plan, book: Book, number: int) -> None:
    turn = number % len(running)
    in_turn = [*running[turn:], *running[:turn]]
    for item in plan.items:
        if item in MEASURES:
            click.echo(f"round {number + 1}, {item}")
            for one in in_turn:
                MEASURES[item](one, book, item, plan.window_s)
                one.settle()
    if "latency" in plan.items:
        click.echo(f"round {number + 1}, latency")
        latency(in_turn, book, 2 * plan.window_s)
    for one in running:
        if one.session:
            book.add(one.gateway.name, "loaded", one.resident_mib())


def _measure(gateways: Sequence[Gateway], plan: Plan, book: Book, folder: Path) -> None:
    """All rounds, then the soak of each gateway of ours."""
    every = range(plan.rounds)
    lives = [every] if plan.keeps_processes else [range(n, n + 1) for n in every]
    for rounds in lives:
        click.echo(f"round {rounds.start + 1}, start")
        with ExitStack() as stack:
            running = [stack.enter_context(started(one, book, folder)) for one in gateways]
            for number in rounds:
                _measure_round(running, plan, book, number)
    if "soak" in plan.items:
        for gateway in gateways:
            if gateway.name.startswith(OURS):
                soak(gateway, book, folder)


def run(plan: Plan, command: str) -> Results:
    """Everything from the mock's start to its end. Raises NotReady or WrongAnswer."""
    began, date = time.monotonic(), datetime.now(tz=UTC)
    machine, book = describe(), Book()
    with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as name:
        folder = Path(name)
        # nginx serves as a user of its own where we are root, and must be able to read its page.
        folder.chmod(0o755)
        with upstream(folder) as at:
            gateways = _gateways(plan, at, folder)
            _measure(gateways, plan, book, folder)
    return Results(
        command=command,
        date=f"{date:%Y-%m-%d %H:%M} UTC",
        rounds=plan.rounds,
        window_s=plan.window_s,
        minutes=(time.monotonic() - began) / 60,
        machine=machine,
        versions={gateway.name: gateway.version for gateway in gateways},
        samples=book.samples,
        verdicts=verdicts(book.samples, OURS),
        invalid=book.invalid,
    )


def _write(results: Results, docs: Path | None) -> Path:
    """The results as JSON, and as tables in the page if there is one to write."""
    folder = WORK / "results"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(tz=UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(attrs.asdict(results), indent=1))
    if docs is not None:
        old = docs.read_text() if docs.exists() else "# Benchmarks\n"
        docs.write_text(page(old, results))
    return path


def _terminate(*_: object) -> None:
    """A SIGTERM ends the started processes too, as the stack unwinds."""
    sys.exit(143)


def _names(text: str, allowed: Sequence[str], option: str) -> tuple[str, ...]:
    """The names of a comma-separated list. Raises BadParameter."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if wrong := [name for name in names if name not in allowed]:
        known = ", ".join(allowed)
        raise click.BadParameter(f"{', '.join(wrong)}: known are {known}", param_hint=option)
    return names


@click.command()
@click.option(
    "--quick",
    is_flag=True,
    help="Three short rounds, processes kept; of the items " + ", ".join(QUICK_ITEMS) + ".",
)
@click.option("--rounds", type=click.IntRange(1, 20), help="5, or 3 with --quick.")
@click.option("--window", type=click.IntRange(1, 30), help="Seconds a figure: 5, 2 with --quick.")
@click.option("--only", metavar="ITEMS", help=f"Some of {','.join(ITEMS)}.")
@click.option("--gateways", default=",".join(GATEWAYS), show_default=True)
@click.option("--baseline", metavar="REV", help="Also this commit's src, as bifrost@REV.")
@click.option("--docs", type=click.Path(path_type=Path), help="The page to write the tables to.")
@click.option("--litellm", default=LITELLM, show_default=True, help="Version.")
@click.option("--portkey", default=PORTKEY, show_default=True, help="Version.")
def main(
    *,
    quick: bool,
    rounds: int | None,
    window: int | None,
    only: str | None,
    gateways: str,
    baseline: str | None,
    docs: Path | None,
    litellm: str,
    portkey: str,
) -> None:
    """Measure this gateway beside LiteLLM and Portkey: in turn, before one mock upstream, on 127.0.0.1.

    A full run writes its tables to docs/benchmarks.md; any run writes JSON to .bench/results. Exits with 1 if there
    was a single error under load.
    """
    everything = QUICK_ITEMS if quick else ITEMS
    plan = Plan(
        gateways=_names(gateways, GATEWAYS, "--gateways"),
        items=_names(only, ITEMS, "--only") if only else everything,
        rounds=rounds or (3 if quick else 5),
        window_s=window or (2 if quick else 5),
        keeps_processes=quick,
        baseline=baseline,
        litellm=litellm,
        portkey=portkey,
    )
    signal.signal(signal.SIGTERM, _terminate)
    system_tools()
    try:
        results = run(plan, shlex.join(["scripts/bench", *sys.argv[1:]]))
    except (NotReady, WrongAnswer) as error:
        raise click.ClickException(f"{error} (logs are in .bench/logs)") from error
    path = _write(results, docs or (PAGE if plan.is_full else None))
    click.echo(f"\n{render(results)}\n{path.relative_to(ROOT)}")
    sys.exit(1 if results.invalid else 0)


if __name__ == "__main__":
    main(prog_name="scripts/bench")
