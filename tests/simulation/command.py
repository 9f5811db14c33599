"""The command ``scripts/simulate``."""

from __future__ import annotations

import sys

import click

from simulation.world import simulate


@click.command()
@click.option("--seed", type=click.IntRange(min=0), help="Replay one seed and print its trace.")
@click.option("--seeds", default="0-999", show_default=True, help="Try many: FIRST-LAST, or a number of them.")  # fmt: skip
def main(seed: int | None, seeds: str) -> None:
    """Run simulated worlds. Exits with 1 at the first whose promises do not hold."""
    if seed is not None:
        sys.exit(_one(seed))
    first, _, last = seeds.rpartition("-")
    for each in range(int(first or 0), int(last) + (1 if first else 0)):
        report = simulate(each)
        if report.faults:
            click.echo(f"seed {each}: {'; '.join(report.faults)}")
            click.echo(f"replay: scripts/simulate --seed {each}")
            sys.exit(1)
    click.echo("all promises held")


def _one(seed: int) -> int:
    report = simulate(seed)
    click.echo("\n".join(report.trace))
    for fault in report.faults:
        click.echo(f"BROKEN: {fault}")
    click.echo(f"seed {seed}: trace {report.digest}, {len(report.faults)} broken")
    return 1 if report.faults else 0


main()
