"""The items of a run: each takes figures from one running gateway, or from the direct call, into the book."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

import attrs
import click

from bench.figures import percentile
from bench.gateways import Gateway
from bench.installs import WORK
from bench.load import WrkReport, call_latencies, stream_load, wrk
from bench.processes import cpu_s, launched, pause, resident_mib, wait_until_ok
from bench.verify import verify

__all__ = ["MEASURES", "Book", "Running", "latency", "soak", "started"]

BODY_CHARACTERS = 100_000
WARM_S = 2
LATENCY_RATE = 100.0
"""Calls a second in all, so some 25 to each of four."""
TURNS = 8
"""Answers that each connection should get in a window at least: what is under way at its end is not counted."""
LONGEST_WINDOWS = 4
SETTLE_LOOKS = 75
SETTLE_LOOK_S = 0.2
IDLE_SHARE = 0.15
SOAK_SLICE_S = 2
SOAK_MARKS: Mapping[str, int] = MappingProxyType({"soak_low": 20_000, "soak_high": 100_000})
SOAK_LIMIT_S = 300.0
PACED_STREAMS = 64


@attrs.define(eq=False)
class Running:
    """A gateway that serves (or the direct call), and how to measure it."""

    gateway: Gateway
    process: subprocess.Popen[bytes] | None
    folder: Path
    rate: float = 1e6
    """Requests a second when last asked: tells how long a window has to be."""

    @property
    def session(self) -> int:
        return self.process.pid if self.process else 0

    def cpu_s(self) -> float:
        return cpu_s(self.session) if self.session else 0.0

    def resident_mib(self) -> float:
        return resident_mib(self.session)

    def settle(self) -> None:
        """Until it is idle, so that the next one does not pay for what this one still has to do."""
        for _ in range(SETTLE_LOOKS):
            before = self.cpu_s()
            pause(SETTLE_LOOK_S)
            if self.cpu_s() - before <= IDLE_SHARE * SETTLE_LOOK_S:
                return


@attrs.define(eq=False)
class Book:
    """Samples as they come, and what made the run invalid."""

    samples: dict[str, dict[str, list[float | None]]] = attrs.field(factory=dict)
    invalid: list[str] = attrs.field(factory=list)

    def add(self, gateway: str, metric: str, value: float | None) -> None:
        self.samples.setdefault(gateway, {}).setdefault(metric, []).append(value)
        shown = "invalid" if value is None else f"{value:,.2f}"
        click.echo(f"  {gateway:<16} {metric:<10} {shown:>12}")

    def errors(self, gateway: str, item: str, count: int) -> bool:
        """Whether there were any; then they are told and remembered."""
        if count:
            self.invalid.append(f"{gateway}: {count} errors in {item}")
            click.echo(f"  {self.invalid[-1]}")
        return count > 0


Measure = Callable[[Running, Book, str, int], None]
"""Takes its figures of the gateway for so many seconds."""


def _requests(connections: int, characters: int = 0, kind: str = "plain") -> Measure:
    def measure(running: Running, book: Book, item: str, seconds: int) -> None:
        if kind not in running.gateway.routes:
            return
        wanted_s = math.ceil(TURNS * connections / running.rate)
        seconds = min(max(seconds, wanted_s), LONGEST_WINDOWS * seconds)
        before = running.cpu_s()
        report = _wrk(running, connections, characters, seconds, kind)
        used = running.cpu_s() - before
        failed = book.errors(running.gateway.name, item, report.errors)
        book.add(running.gateway.name, item, None if failed else report.rate)
        if item == "rps32" and running.session and report.requests:
            book.add(running.gateway.name, "cpu32", used / report.requests * 1e6)

    return measure


def _wrk(
    running: Running, connections: int, characters: int, seconds: int, kind: str = "plain"
) -> WrkReport:
    route = running.gateway.routes[kind]
    body = route.body(kind, characters)
    report = wrk(running.folder, route, body, connections=connections, seconds=seconds)
    running.rate = max(1.0, report.rate)
    return report


def _streams(count: int, kind: str = "stream") -> Measure:
    def measure(running: Running, book: Book, item: str, seconds: int) -> None:
        if kind not in running.gateway.routes:
            return
        name, route = running.gateway.name, running.gateway.routes[kind]
        before = running.cpu_s()
        report = stream_load(running.folder, route, kind, streams=count, seconds=seconds)
        used = running.cpu_s() - before
        failed = book.errors(name, item, report.errors)
        book.add(name, item, None if failed else report.chunks / report.seconds)
        if running.session and report.chunks:
            book.add(name, f"{item}_cpu", used / report.chunks * 1e6)

    return measure


def _paced(running: Running, book: Book, item: str, seconds: int) -> None:
    name, route = running.gateway.name, running.gateway.routes["paced"]
    before = running.cpu_s()
    report = stream_load(running.folder, route, "paced", streams=PACED_STREAMS, seconds=seconds)
    used = running.cpu_s() - before
    if book.errors(name, item, report.errors) or not report.delays_ms:
        book.add(name, item, None)
        return
    book.add(name, item, report.chunks / report.seconds)
    book.add(name, "paced_p50", percentile(report.delays_ms, 0.5))
    book.add(name, "paced_p99", percentile(report.delays_ms, 0.99))
    if running.session:
        book.add(name, "paced_cpu", used / report.chunks * 1e6)


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "rps32": _requests(32),
        "governed": _requests(32, kind="governed"),
        "rps256": _requests(256),
        "body": _requests(32, BODY_CHARACTERS),
        "responses": _requests(32, kind="responses"),
        "embeddings": _requests(32, kind="embeddings"),
        "sse16": _streams(16),
        "sse128": _streams(128),
        "translated": _streams(16, "translated"),
        "paced": _paced,
    }
)


def latency(running: Sequence[Running], book: Book, seconds: int) -> None:
    """All gateways and the direct call in turn; what a gateway adds is the distance of the same percentiles."""
    routes = {one.gateway.name: one.gateway.routes["plain"] for one in running}
    found = call_latencies(routes, per_second=LATENCY_RATE, seconds=seconds)
    base, _ = found["direct"]
    for name, (times, failures) in found.items():
        failed = book.errors(name, "latency", failures) or not times or not base
        for metric, share in (("p50", 0.5), ("p99", 0.99)):
            below = 0.0 if name == "direct" else percentile(base, share)
            book.add(name, metric, None if failed else percentile(times, share) - below)


@contextmanager
def started(gateway: Gateway, book: Book, folder: Path) -> Iterator[Running]:
    """The gateway, from its cold start to its end; verified and warmed."""
    with ExitStack() as stack:
        running = Running(gateway, None, folder)
        if gateway.command is not None:
            begin = time.monotonic()
            log = WORK / "logs" / f"{gateway.name}.log"
            running.process = stack.enter_context(
                launched(gateway.command, log=log, env=gateway.env, folder=gateway.folder)
            )
            wait_until_ok(running.process, gateway.port, gateway.health, gateway.start_s)
            book.add(gateway.name, "cold", time.monotonic() - begin)
            pause(1)
            book.add(gateway.name, "rest", running.resident_mib())
        verify(gateway)
        _wrk(running, 32, 0, WARM_S)
        running.settle()
        yield running


def soak(gateway: Gateway, book: Book, folder: Path) -> None:
    """Memory of a fresh process at two numbers of requests, 32 connections."""
    click.echo(f"soak, {gateway.name}")
    with started(gateway, Book(), folder) as running:
        served = 0
        deadline = time.monotonic() + SOAK_LIMIT_S
        for metric, mark in SOAK_MARKS.items():
            while served < mark and time.monotonic() < deadline:
                report = _wrk(running, 32, 0, SOAK_SLICE_S)
                book.errors(gateway.name, "soak", report.errors)
                served += report.requests
            pause(1)
            click.echo(f"  {served:,} requests")
            book.add(gateway.name, metric, running.resident_mib() if served >= mark else None)
