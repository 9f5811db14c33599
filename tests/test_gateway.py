"""One gateway in this process, on a real socket: its start, its reloads, its notes of crashes, its end."""

from __future__ import annotations

import gc
import json
import signal
import socket
from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest
import trio

from bifrost.actors.messages import Acquire, Snapshot
from bifrost.config.faults import ConfigErrors
from bifrost.config.load import parse_config
from bifrost.config.options import ServeOptions
from bifrost.config.settings import Config
from bifrost.gateway import Gateway, serve
from bifrost.gateway.starting import live as gateway_live
from bifrost.observe.logs import LEVELS, Logs, Sink
from bifrost.schema.call import Call, Operation, Target
from system.upstream import Upstream, plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LONG_S = 20.0
ASK = {"messages": [{"role": "user", "content": "hi"}]}
MOCK: dict[str, Any] = {"keys": [{"name": "one"}]}


@attrs.define(eq=False)
class Kept(Sink):
    """Lines, kept instead of written."""

    lines: list[dict[str, Any]] = attrs.field(factory=list)
    _more: trio.Event = attrs.field(factory=trio.Event, init=False)

    def put(self, line: bytes) -> None:
        self.lines.append(json.loads(line))
        self._more.set()
        self._more = trio.Event()

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    async def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """The so-manieth line of that event, once it is there."""
        with trio.fail_after(LONG_S):
            while len(found := self.of(event)) < count:
                await self._more.wait()
        return found[count - 1]


def config(providers: dict[str, Any], **client: Any) -> Config:
    return parse_config(json.dumps({"providers": providers, "client": client}), {})


@attrs.define(eq=False)
class Again:
    """Reads the configuration again."""

    fresh: Callable[[], Config] | None = None

    def read(self) -> Config:
        assert self.fresh is not None
        return self.fresh()


@attrs.define(eq=False)
class Running:
    """A gateway that serves."""

    gateway: Gateway
    sink: Kept
    again: Again
    nursery: trio.Nursery
    answers: dict[str, httpx.Response] = attrs.field(factory=dict)
    url: str = ""

    async def reload(self, fresh: Config | Callable[[], Config]) -> None:
        """Hang up, and wait until the configuration has been taken, or refused."""
        self.again.fresh = fresh if callable(fresh) else lambda: fresh
        done = len(self.sink.of("configuration reloaded"))
        refused = len(self.sink.of("configuration not reloaded"))
        signal.raise_signal(signal.SIGHUP)
        with trio.fail_after(LONG_S):
            while (
                len(self.sink.of("configuration reloaded")) == done
                and len(self.sink.of("configuration not reloaded")) == refused
            ):
                await self.sink._more.wait()

    async def ask(self, model: str, **headers: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(base_url=self.url, timeout=LONG_S) as client:
            body = {"model": model, **ASK}
            return await client.post("/v1/chat/completions", json=body, headers=names)

    async def metrics(self) -> str:
        async with httpx.AsyncClient(base_url=self.url, timeout=LONG_S) as client:
            return (await client.get("/metrics")).text

    def start_asking(self, model: str) -> None:
        async def ask() -> None:
            self.answers[model] = await self.ask(model)

        self.nursery.start_soon(ask)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Look again and again: what is waited for happens on a socket."""
        with trio.fail_after(LONG_S):
            while not is_so():
                await trio.lowlevel.checkpoint()


@asynccontextmanager
async def serving(first: Config, folder: Path) -> AsyncIterator[Running]:
    """A gateway; stopped at the end, if it still is there."""
    sink = Kept()
    async with trio.open_nursery() as nursery:
        again = Again()
        options = ServeOptions(app_dir=folder, host="127.0.0.1", port=0)
        gateway = Gateway(first, options, again.read, Logs(LEVELS["debug"], "json", sink))
        running = Running(gateway, sink, again, nursery)
        with trio.fail_after(LONG_S):
            running.url = await nursery.start(gateway.run)
        try:
            yield running
        finally:
            # Its own way out closes its sockets; the second signal is for what a test left unanswered.
            with trio.CancelScope(shield=True):
                for _ in range(2 if not sink.of("stopped") else 0):
                    signal.raise_signal(signal.SIGTERM)
                await sink.wait_for("stopped")
            nursery.cancel_scope.cancel()


@attrs.define(eq=False)
class Held:
    """An upstream's behaviour that waits before it answers."""

    release: trio.Event = attrs.field(factory=trio.Event)

    async def __call__(self, conn: Any, received: Any) -> None:
        await self.release.wait()
        await plain()(conn, received)


@pytest.fixture
async def upstream(nursery: trio.Nursery) -> Upstream:
    it = Upstream()
    await nursery.start(it.run)
    return it


def to(upstream: Upstream, *keys: str, **more: Any) -> dict[str, Any]:
    return {
        "keys": [{"name": key, "value": f"sk-{key}"} for key in keys or ("main",)],
        "network_config": {"base_url": upstream.url, "max_retries": 0},
        **more,
    }


# Start


async def test_it_says_where_it_listens_and_is_ready(tmp_path: Path) -> None:
    async with serving(config({"mock": MOCK}), tmp_path) as it:
        async with httpx.AsyncClient(base_url=it.url) as client:
            ready = await client.get("/ready")
        answer = await it.ask("mock/echo")

        assert it.sink.of("listening") == [it.sink.lines[0]]
        assert it.sink.lines[0]["url"] == it.url
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        assert answer.json()["choices"][0]["message"]["content"] == "hi"
        assert (await it.sink.wait_for("request completed"))["key_name"] == "one"


async def test_a_provider_that_cannot_be_served_is_named_and_the_others_are(tmp_path: Path) -> None:
    good = config({"mock": MOCK, "groq": {"keys": [{"name": "g", "value": "k"}]}})
    groq = good.providers["groq"]
    network = attrs.evolve(groq.network, base_url="ftp://h")
    bad = attrs.evolve(groq, network=network)
    async with serving(
        attrs.evolve(good, providers={"groq": bad, "mock": good.providers["mock"]}), tmp_path
    ) as it:
        (line,) = it.sink.of("provider not served")
        refused = await it.ask("groq/m")

        assert (line["level"], line["provider"]) == ("warning", "groq")
        assert "http" in line["reason"]
        assert refused.status_code == 400
        assert "failed to get config for provider: groq" in refused.text
        assert (await it.ask("mock/echo")).status_code == 200


async def test_a_provider_that_is_not_built_has_been_named_before(tmp_path: Path) -> None:
    """In the notices of the start: once is enough."""
    runway = {"keys": [{"name": "a", "value": "k"}]}
    async with serving(config({"mock": MOCK, "runway": runway}), tmp_path) as it:
        assert it.sink.of("provider not served") == []
        assert (await it.ask("runway/m")).status_code == 400


async def test_a_provider_that_was_not_served_can_be_removed(tmp_path: Path) -> None:
    runway = {"keys": [{"name": "a", "value": "k"}]}
    async with serving(config({"mock": MOCK, "runway": runway}), tmp_path) as it:
        await it.reload(config({"mock": MOCK}))

        assert (await it.sink.wait_for("configuration reloaded"))["removed"] == ["runway"]
        assert (await it.ask("mock/echo")).status_code == 200


@pytest.fixture
def own_collector() -> Iterator[None]:
    """What ``serve`` does to the cycle collector of its process is undone in ours."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def a_used_port() -> socket.socket:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    return taken


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_port_that_is_taken_ends_with_status_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], own_collector: None
) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "client": {"prometheus_labels": ["team", "model"]},
                "providers": {
                    "mock": {},
                    "openai": {"keys": [{"name": "a", "value": "env.UNSET_HERE"}]},
                },
            }
        )
    )
    with a_used_port() as taken:
        options = ServeOptions(
            config_path=path, app_dir=tmp_path, host="127.0.0.1", port=taken.getsockname()[1]
        )
        status = serve(options)
    gc.collect()  # hypercorn leaves the socket open that it could not bind: its warning belongs here

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "cannot serve"]
    assert status == 1
    assert (line["level"], "in use" in line["reason"]) == ("error", True)
    notices = [line["notice"] for line in lines if line["event"] == "configuration"]
    assert any("UNSET_HERE" in notice for notice in notices)
    assert "client.prometheus_labels: model is a label already, so it is left out" in notices


def test_a_file_that_names_what_neither_it_nor_its_store_has_is_not_served(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    models = [{"model_name": name, "provider": "opnai"} for name in "ab"]
    file = {"providers": {"mock": {}}, "governance": {"model_configs": models}}
    (tmp_path / "config.json").write_text(json.dumps(file))

    status = serve(ServeOptions(app_dir=tmp_path, port=0))

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    told = [line["reason"] for line in lines if line["event"] == "cannot serve"]
    assert status == 2
    assert [each.partition(":")[0] for each in told] == [
        "governance.model_configs[0].provider",
        "governance.model_configs[1].provider",
    ]


def test_a_broken_file_is_raised_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"providers": {"mock": {"keyz": []}}}')

    with pytest.raises(ConfigErrors, match="keyz"):
        serve(ServeOptions(app_dir=tmp_path, port=0))


# Reload


async def test_a_provider_is_added(tmp_path: Path) -> None:
    async with serving(config({}), tmp_path) as it:
        before = await it.ask("mock/echo")
        await it.reload(config({"mock": MOCK}))

        assert before.status_code == 400
        assert (await it.ask("mock/echo")).status_code == 200
        assert (await it.sink.wait_for("configuration reloaded"))["added"] == ["mock"]


async def test_a_provider_is_removed(tmp_path: Path) -> None:
    async with serving(config({"mock": MOCK}), tmp_path) as it:
        assert 'bifrost_pool_running{provider="mock"} 0.0' in await it.metrics()
        await it.reload(config({}))
        answer = await it.ask("mock/echo")

        assert answer.status_code == 400
        assert "failed to get config for provider: mock" in answer.text
        assert (await it.sink.wait_for("configuration reloaded"))["removed"] == ["mock"]
        assert 'bifrost_pool_running{provider="mock"}' not in await it.metrics()


async def test_a_removed_provider_finishes_what_it_has_begun_and_may_come_back(
    upstream: Upstream, tmp_path: Path
) -> None:
    held = Held()
    upstream.scripts["m"] = [held, plain()]
    there = config({"openai": to(upstream)})
    async with serving(there, tmp_path) as it:
        it.start_asking("openai/m")
        await it.until(lambda: len(upstream.requests) == 1)
        await it.reload(config({}))
        gone = await it.ask("openai/m")
        await it.reload(there)
        back = await it.ask("openai/m")
        held.release.set()
        await it.until(lambda: bool(it.answers))

        assert (gone.status_code, back.status_code) == (400, 200)
        assert it.answers["openai/m"].status_code == 200


async def test_a_provider_is_changed_and_its_calls_keep_their_key(
    upstream: Upstream, tmp_path: Path
) -> None:
    held = Held()
    upstream.scripts["m"] = [held, plain()]
    async with serving(config({"openai": to(upstream, "old")}), tmp_path) as it:
        it.start_asking("openai/m")
        await it.until(lambda: len(upstream.requests) == 1)
        await it.reload(config({"openai": to(upstream, "new")}))
        await it.ask("openai/m")
        held.release.set()
        await it.until(lambda: bool(it.answers))

        assert it.answers["openai/m"].status_code == 200
        keys = [each.header("authorization") for each in upstream.of("m")]
        assert keys == ["Bearer sk-old", "Bearer sk-new"]
        assert (await it.sink.wait_for("configuration reloaded"))["changed"] == ["openai"]


async def test_a_change_that_cannot_be_served_keeps_the_last_good_one(tmp_path: Path) -> None:
    good = config({"mock": MOCK})
    mock = good.providers["mock"]
    bad = attrs.evolve(mock, network=attrs.evolve(mock.network, base_url="ftp://h"))
    async with serving(good, tmp_path) as it:
        await it.reload(attrs.evolve(good, providers={"mock": bad}))
        (line,) = it.sink.of("provider not changed")

        assert (line["level"], line["provider"]) == ("warning", "mock")
        assert (await it.ask("mock/echo", x_bf_api_key="one")).status_code == 200


async def test_nothing_changed_is_told_so(tmp_path: Path) -> None:
    async with serving(config({"mock": MOCK}), tmp_path) as it:
        generation = it.gateway._pools.by_name["mock"].generation
        await it.reload(config({"mock": MOCK}))
        line = await it.sink.wait_for("configuration reloaded")

        assert line.keys() == {"level", "event", "timestamp"}
        assert it.gateway._pools.by_name["mock"].generation is generation


def broken() -> Config:
    return parse_config('{"providers": {"mock": {"keyz": []}}}', {})


def unreadable() -> Config:
    raise PermissionError(13, "Permission denied", "config.yaml")


def unguarded() -> Config:
    return attrs.evolve(config({"mock": MOCK}), unguarded=("saml_config.enabled",))


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (broken, "providers.mock.keyz"),
        (unreadable, "Permission denied"),
        (unguarded, "saml_config.enabled: asked for, but not built"),
    ],
)
async def test_what_cannot_be_taken_keeps_the_last_good_configuration(
    read: Callable[[], Config], words: str, tmp_path: Path
) -> None:
    first = config({"mock": MOCK})
    async with serving(first, tmp_path) as it:
        await it.reload(read)
        (line,) = it.sink.of("configuration not reloaded")

        assert line["level"] == "error"
        assert words in line["reason"]
        assert it.gateway.config is first
        assert (await it.ask("mock/echo")).status_code == 200

        await it.reload(config({"mock": {"keys": [{"name": "two"}]}}))
        assert (await it.ask("mock/echo", x_bf_api_key="two")).status_code == 200


async def test_notices_are_told_at_each_reload(tmp_path: Path) -> None:
    unset = {"keys": [{"name": "a", "value": "env.UNSET_HERE"}]}
    async with serving(config({"mock": MOCK}), tmp_path) as it:
        await it.reload(config({"mock": MOCK, "groq": unset}))

        assert "UNSET_HERE" in (await it.sink.wait_for("configuration"))["notice"]


async def test_a_client_s_keys_hold_at_once_but_for_those_that_need_a_restart(
    tmp_path: Path,
) -> None:
    async with serving(config({"mock": MOCK}), tmp_path) as it:
        await it.reload(
            config({"mock": MOCK}, required_headers=["X-Team"], prometheus_labels=["team"])
        )
        line = await it.sink.wait_for("configuration reloaded")

        assert line["client"] == ["required_headers"]
        assert line["needs_restart"] == ["prometheus_labels"]
        assert (await it.ask("mock/echo")).json()["type"] == "missing_required_headers"
        assert (await it.ask("mock/echo", x_team="a")).status_code == 200


async def test_dropping_excess_can_be_turned_on_for_pools_that_run(
    upstream: Upstream, tmp_path: Path
) -> None:
    held = Held()
    upstream.scripts["m"] = [held]
    narrow = to(upstream, concurrency_and_buffer_size={"concurrency": 1, "buffer_size": 1})
    async with serving(config({"openai": narrow}), tmp_path) as it:
        book = it.gateway._pools.by_name["openai"]._book
        it.start_asking("openai/m")
        await it.until(lambda: book.running == 1)
        it.start_asking("openai/m2")
        await it.until(lambda: len(book.line) == 1)

        await it.reload(config({"openai": narrow}, drop_excess_requests=True))
        refused = await it.ask("openai/m3")

        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "queue_full"
        held.release.set()
        await it.until(lambda: len(it.answers) == 2)
        assert [answer.status_code for answer in it.answers.values()] == [200, 200]


# Crashes and defects


@attrs.define
class Faults:
    """Crashes a pool at messages of one kind, so many times."""

    kind: type[object]
    left: int = 1

    def __call__(self, message: object) -> None:
        if isinstance(message, self.kind) and self.left:
            self.left -= 1
            raise RuntimeError("sk-secret-value")


async def test_a_pool_that_crashes_is_noted_without_values_and_serves_on(tmp_path: Path) -> None:
    async with serving(config({"mock": MOCK}), tmp_path) as it:
        it.gateway._pools.by_name["mock"]._fault = Faults(Acquire)
        answer = await it.ask("mock/echo")
        (line,) = it.sink.of("key pool crashed")

        assert answer.status_code == 200
        assert (line["level"], line["provider"], line["crashes"]) == ("error", "mock", 1)
        assert line["reason"].startswith("RuntimeError in __call__ (")
        assert "sk-secret-value" not in str(it.sink.lines)


async def test_a_pool_that_keeps_crashing_is_left_out_of_the_metrics(tmp_path: Path) -> None:
    groq = {"keys": [{"name": "g", "value": "k"}]}
    async with serving(config({"mock": MOCK, "groq": groq}), tmp_path) as it:
        it.gateway._pools.by_name["groq"]._fault = Faults(Snapshot, left=4)
        text = await it.metrics()

        assert 'bifrost_pool_running{provider="mock"} 0.0' in text
        assert 'bifrost_pool_running{provider="groq"}' not in text
        assert 'bifrost_pool_running{provider="groq"} 0.0' in await it.metrics()


async def test_a_defect_is_told_to_the_log_and_not_to_the_caller(tmp_path: Path) -> None:
    @attrs.define
    class Defective:
        def retire(self) -> None:
            """Nothing to close."""

        def open(self, *_: Any) -> Any:
            raise LookupError("sk-secret-value")

    async with serving(config({"mock": MOCK}), tmp_path) as it:
        book = it.gateway._pools.by_name["mock"]._book
        book.generation = attrs.evolve(book.generation, upstream=Defective())
        answer = await it.ask("mock/echo", x_request_id="r-1")
        line = await it.sink.wait_for("defect")

        assert answer.status_code == 500
        assert answer.json()["error"]["message"] == "internal error"
        assert line["request_id"] == "r-1"
        assert line["reason"].startswith("LookupError in open (")
        assert "sk-secret-value" not in str(it.sink.lines) + answer.text


async def test_a_reader_that_fails_is_a_defect_and_harms_no_call(tmp_path: Path) -> None:
    async with serving(config({"mock": MOCK}), tmp_path) as it:
        it.gateway._notes.front_defect(ValueError("sk-secret-value"))
        it.gateway._notes.defect(
            ValueError("x"),
            Call(id="c", operation=Operation.CHAT, stream=False, target=Target("", "")),
        )
        first, second = it.sink.of("defect")

        assert first["reason"] == "ValueError in "
        assert second["request_id"] == "c"


# The end


async def test_a_signal_drains(upstream: Upstream, tmp_path: Path) -> None:
    held = Held()
    upstream.scripts["m"] = [held]
    sink = Kept()
    async with serving(config({"openai": to(upstream)}), tmp_path) as it:
        sink = it.sink
        it.start_asking("openai/m")
        await it.until(lambda: len(upstream.requests) == 1)
        signal.raise_signal(signal.SIGTERM)
        line = await sink.wait_for("draining")
        held.release.set()
        await sink.wait_for("stopped")
        await it.until(lambda: bool(it.answers))

        assert (line["inflight"], line["grace_s"]) == (1, 30.0)
        assert it.answers["openai/m"].status_code == 200
        with pytest.raises(httpx.ConnectError):
            await it.ask("openai/m")


@pytest.mark.parametrize("second", [True, False], ids=["a second signal", "the grace is over"])
async def test_what_lasts_too_long_is_ended(
    upstream: Upstream, tmp_path: Path, second: bool
) -> None:
    upstream.scripts["m"] = [Held()]
    grace_s = 60 if second else 0
    async with serving(config({"openai": to(upstream)}, drain_timeout_s=grace_s), tmp_path) as it:
        it.start_asking("openai/m")
        await it.until(lambda: len(upstream.requests) == 1)
        signal.raise_signal(signal.SIGTERM)
        await it.sink.wait_for("draining")
        if second:
            signal.raise_signal(signal.SIGINT)
        await it.sink.wait_for("stopped")
        await it.until(lambda: bool(it.answers))

        assert it.answers["openai/m"].status_code == 503
        assert it.answers["openai/m"].json()["error"]["code"] == "shutting_down"
        assert len(it.sink.of("hurrying")) == second


async def test_a_gateway_that_was_stopped_ends_with_status_0(tmp_path: Path) -> None:
    sink = Kept()
    options = ServeOptions(app_dir=tmp_path, host="127.0.0.1", port=0)
    read = partial(config, {"mock": MOCK})
    logs, statuses = Logs(LEVELS["info"], "json", sink), list[int]()

    async def live() -> None:
        statuses.append(await gateway_live(read(), options, read, logs))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        await sink.wait_for("listening")
        signal.raise_signal(signal.SIGTERM)

    assert statuses == [0]
    assert sink.lines[-1]["event"] == "stopped"


async def test_a_store_that_comes_back_at_the_very_end_harms_nothing(tmp_path: Path) -> None:
    """What waits for it is written last, when nobody is left to read it again."""

    @attrs.define(eq=False)
    class Late:
        on_turn: Callable[[None], None]

        async def flush(self) -> None:
            self.on_turn(None)

    async with serving(config({"mock": MOCK}), tmp_path) as it:
        late: Any = Late(it.gateway._reload.store_turned)
        it.gateway._calls.books.keeper = late
        signal.raise_signal(signal.SIGTERM)
        await it.sink.wait_for("stopped")

    assert it.sink.of("store is back")


async def test_below_its_level_a_call_has_no_line(tmp_path: Path) -> None:
    async with serving(config({"mock": MOCK}), tmp_path) as it:
        it.gateway.logs.level = LEVELS["warn"]
        await it.ask("mock/echo")
        await it.ask("mock/echo?status=404")
        line = await it.sink.wait_for("request completed")
        it.gateway.logs.level = LEVELS["info"]

        assert (line["status"], line["level"]) == (404, "warning")
