"""A gateway's inside for half a virtual minute, all of it drawn from one seed: traffic, faults, crashes, changes, the end.

Real are the router, the pools under their supervisors, the adapters, the records and their log lines. The upstream is
scripted, the clock is a mock, and trio's own scheduling is seeded, so one seed always gives one trace.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import attrs
import trio
import trio.testing

from actors.fakes import key, provider
from actors.scripted import House, Seen, built, call, house
from bifrost.actors.messages import Acquire, Opened, Settle
from bifrost.codecs.sse import DONE
from bifrost.config.settings import ClientSettings, NetworkSettings, ProviderSettings
from bifrost.errors import GatewayError
from bifrost.observe.lines import call_line
from bifrost.record import Outcome
from bifrost.service import Chunk, Failed, Finished
from simulation.faults import Deed, draw

if TYPE_CHECKING:
    from actors.scripted import Answer
    from bifrost.record import CallRecord
    from bifrost.schema.call import Call

__all__ = ["Report", "simulate"]

CALLS = 30
SPAN_S = 30.0
PROVIDERS = ("openai", "groq", "mistral")
CRASHES = (Acquire, Settle, Opened)


@attrs.define
class Report:
    """What a run came to."""

    seed: int
    trace: list[str] = attrs.field(factory=list)
    faults: list[str] = attrs.field(factory=list)
    """Invariants that did not hold, in words."""

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.faults.append(what)

    def note(self, what: str) -> None:
        self.trace.append(f"{trio.current_time():.6f} {what}")


def simulate(seed: int, *, deed: Callable[[random.Random, Seen, str], Deed] = draw) -> Report:
    """Run one seed. Raises nothing: what goes wrong is in the report."""
    _seed_trio(seed)
    report = Report(seed)
    world = _World(report, random.Random(seed), deed)
    try:
        trio.run(world.run, clock=trio.testing.MockClock(autojump_threshold=0))
    except Exception as error:  # noqa: BLE001  whatever it is, the seed is what is wanted
        report.faults.append(f"the world ended with {error!r}")
    return report


def _seed_trio(seed: int) -> None:
    """Trio shuffles what is ready to run; seeded, it does so the same way each time."""
    run: Any = trio._core._run
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r.seed(seed)


@attrs.define(eq=False)
class _World:
    report: Report
    rng: random.Random
    deed: Callable[[random.Random, Seen, str], Deed]
    deeds: dict[str, Deed] = attrs.field(factory=dict)
    secrets: set[str] = attrs.field(factory=set)
    concurrency: dict[str, int] = attrs.field(factory=dict)
    records: dict[str, int] = attrs.field(factory=dict)

    async def run(self) -> None:
        names = PROVIDERS[: self.rng.randrange(1, 4)]
        client = ClientSettings(
            max_inflight=self.rng.choice([8, 10_000]),
            drop_excess_requests=self.rng.random() < 0.3,
        )
        providers = [(self._settings(name), self._script) for name in names]
        async with AsyncExitStack() as stack:
            at = await stack.enter_async_context(
                house(*providers, client=client, rng=random.Random(self.rng.random()))
            )
            await self._live(at)
            await self._end(at)

    def _settings(self, name: str) -> ProviderSettings:
        rng = self.rng
        keys = [self._key(f"{name}{n}") for n in range(rng.randrange(1, 5))]
        self.concurrency.setdefault(name, rng.randrange(1, 7))
        return provider(
            *keys,
            name=name,
            concurrency=self.concurrency[name],
            buffer_size=self.concurrency[name] + rng.randrange(4),
            hedge_after_ms=rng.choice([None, None, 200]),
            balancing=rng.choice(["static", "adaptive"]),
            retry_budget=rng.choice([0.0, 0.2]),
            retry_on_timeout=rng.random() < 0.3,
            key_retry_policy=rng.choice(["rotate", "sticky"]),
            network=NetworkSettings(
                max_retries=rng.randrange(4),
                default_request_timeout_in_seconds=5.0,
                stream_idle_timeout_in_seconds=4.0,
            ),
        )

    def _key(self, name: str) -> Any:
        secret = f"sk-secret-{name}-{self.rng.randrange(10**9)}"
        self.secrets.add(secret)
        return key(name, value=secret, weight=self.rng.choice([0.1, 1.0, 3.0]))

    def _script(self, seen: Seen) -> Answer:
        deed = self.deed(self.rng, seen, f"T{len(self.deeds):05d}.")
        self.deeds[deed.tag] = deed
        self.report.note(f"{seen.provider} {seen.key.split('-')[2]} {deed.kind}")
        self.report.check(seen.key in self.secrets, "an upstream got a key that is none")
        return deed.answer

    # Life

    async def _live(self, at: House) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(CALLS):
                nursery.start_soon(self._caller, at, number, self.rng.random() * SPAN_S)
            nursery.start_soon(self._chaos, at)
            nursery.start_soon(self._watch, at, nursery.cancel_scope)

    async def _watch(self, at: House, scope: trio.CancelScope) -> None:
        """Look on while all runs; nothing may take longer than any of its limits."""
        while len(self.records) < CALLS:
            for name, upstream in at.upstreams.items():
                open_now, most = upstream.open_now, self.concurrency[name]
                self.report.check(open_now <= most, f"{name}: {open_now} of {most} are open")
            await trio.sleep(0.25)
            if trio.current_time() > 3600:
                self.report.faults.append("calls that never end")
                scope.cancel()

    async def _chaos(self, at: House) -> None:
        for _ in range(self.rng.randrange(8)):
            await trio.sleep(self.rng.random() * 5)
            name = self.rng.choice(sorted(at.pools))
            if self.rng.random() < 0.5:
                kind = self.rng.choice(CRASHES)
                at.crashes.plan(kind, self.rng.randrange(1, 3))
                self.report.note(f"crash {kind.__name__}")
            elif self.rng.random() < 0.8 or len(at.pools) == 1:
                number = at.pools[name].generation.number + 1
                fresh = built(self._settings(name), at.upstreams[name], number)
                self.report.note(f"reconfigure {name}")
                await at.pools[name].ask_reconfigure(fresh, drop_excess=self.rng.random() < 0.3)
            else:
                self.report.note(f"remove {name}")
                with trio.move_on_after(10):
                    await at.pools.pop(name).ask_drain()

    # Callers

    async def _caller(self, at: House, number: int, start_s: float) -> None:
        rng = random.Random(self.rng.random())
        await trio.sleep(start_s)
        made = attrs.evolve(self._call(rng, at), id=f"c{number}")
        heard = _Heard()
        exchange: Any = None
        with trio.CancelScope() as patience:
            if rng.random() < 0.2:
                patience.deadline = trio.current_time() + rng.random() * 4
            try:
                async with at.router.dispatch(made) as exchange:
                    await self._listen(exchange, heard, rng)
            except GatewayError as refused:
                heard.refused = refused
        self._judge(number, made, heard, None if exchange is None else exchange.record)

    def _call(self, rng: random.Random, at: House) -> Call:
        names = sorted(at.upstreams)
        targets = [f"{name}/m" for name in rng.sample(names, rng.randrange(1, len(names) + 1))]
        return call(*targets, stream=rng.random() < 0.6, within_s=rng.choice([3.0, 60.0]))

    async def _listen(self, exchange: Any, heard: _Heard, rng: random.Random) -> None:
        is_slow = rng.random() < 0.2
        while not heard.ends:
            event = await exchange.receive()
            heard.take(event)
            if is_slow:
                await trio.sleep(0.5)
        await trio.lowlevel.checkpoint()
        heard.extra = exchange.receive_nowait()

    def _judge(self, number: int, made: Call, heard: _Heard, record: CallRecord | None) -> None:
        report, who = self.report, f"call {number}"
        self.records[made.id] = self.records.get(made.id, 0) + 1
        report.check(self.records[made.id] == 1, f"{who}: answered twice")
        report.check(heard.extra is None, f"{who}: something came after the end")
        self._look_for_secrets(who, heard, record)
        if record is None:
            report.check(heard.refused is not None, f"{who}: neither refused nor recorded")
            report.note(f"{who} refused {heard.refused!r}")
            return
        report.check(record.call_id == made.id, f"{who}: the record of another")
        self._check_end(who, made, heard, record)
        report.note(f"{who} {record.outcome.value} {record.status} {record.provider} {record.key_id}")  # fmt: skip

    def _check_end(self, who: str, made: Call, heard: _Heard, record: CallRecord) -> None:
        report = self.report
        if not heard.ends:
            return
        is_good = isinstance(heard.ends[0], Finished)
        report.check(len(heard.ends) == 1, f"{who}: {len(heard.ends)} ends")
        report.check(is_good is (record.outcome is Outcome.SUCCESS), f"{who}: heard {is_good}, recorded {record.outcome}")  # fmt: skip
        tags = [deed for tag, deed in self.deeds.items() if tag.encode() in heard.data]
        report.check(len(tags) <= 1, f"{who}: two answers in one")
        looks_whole = is_good or DONE in heard.data
        report.check(not looks_whole or bool(tags), f"{who}: whole and empty")
        report.check(not looks_whole or all(deed.whole for deed in tags), f"{who}: a cut looks whole")  # fmt: skip
        report.check(DONE not in heard.data or made.stream, f"{who}: a stream nobody asked for")

    def _look_for_secrets(self, who: str, heard: _Heard, record: CallRecord | None) -> None:
        line = "" if record is None else json.dumps(call_line(record), default=str)
        ends = [(repr(e), str(e.error), e.error.message) for e in heard.ends if isinstance(e, Failed)]  # fmt: skip
        told = f"{heard.data!r} {ends} {heard.refused!r} {record!r} {line}"
        leaked = any(secret in told for secret in self.secrets)
        self.report.check(not leaked, f"{who}: a key was told")

    # The end

    async def _end(self, at: House) -> None:
        report = self.report
        at.router.close()
        with trio.move_on_after(5):
            await at.router.wait_idle()
        at.router.hurry()
        await at.router.wait_idle()
        # A pool that crashes too often stands for a while; it must come back and have lost nothing.
        at.crashes.left.clear()
        await trio.sleep(120)
        report.check(len(self.records) == CALLS, f"{CALLS - len(self.records)} calls unanswered")
        report.check(not at.defects, f"defects: {at.defects!r}")
        for name, upstream in at.upstreams.items():
            report.check(upstream.open_now == 0, f"{name}: {upstream.open_now} left open")
        for name, pool in at.pools.items():
            view = await pool.ask_snapshot()
            report.check(view.granted == view.settled, f"{name}: {view.granted} leases, {view.settled} settled")  # fmt: skip
            report.check(not view.running and not view.waiting, f"{name}: {view.running} run, {view.waiting} wait")  # fmt: skip
            report.note(f"{name} {view.granted} {[k.state for k in view.keys]}")


@attrs.define
class _Heard:
    """What a caller heard."""

    data: bytes = b""
    ends: list[Finished | Failed] = attrs.field(factory=list)
    refused: GatewayError | None = None
    extra: object = None

    def take(self, event: object) -> None:
        match event:
            case Chunk(data):
                self.data += data
            case Finished() | Failed() as end:
                self.ends.append(end)
            case _:
                pass
