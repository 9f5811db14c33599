"""A router over real key pools and real adapters, before an upstream that does what its script says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import attrs
import trio

from actors.fakes import Crashes
from bifrost.actors.hop import Means
from bifrost.actors.key_pool import KeyPool
from bifrost.actors.messages import Generation
from bifrost.actors.router import Router
from bifrost.actors.supervisor import supervise
from bifrost.codecs.json import dumps
from bifrost.codecs.sse import DONE, data_frame
from bifrost.config.settings import ClientSettings, ProviderSettings
from bifrost.errors import GatewayError, NetworkError, UpstreamTimeout
from bifrost.providers.login_steps import Answer as FileAnswer
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Operation, Target
from bifrost.service import Began, Chunk, Failed, Finished, Service
from bifrost.transport.mock import MockAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from bifrost.providers.base import Adapter, UpstreamRequest
    from bifrost.transport.base import Limits

__all__ = [
    "Answer", "Heard", "House", "Scripted", "ScriptedMachine", "Seen", "call", "chunk", "completion", "house", "listen", "refusal", "streamed",
]  # fmt: skip

JSON = ((b"content-type", b"application/json"),)
SSE = ((b"content-type", b"text/event-stream"),)
WALL_S = 1_800_000_000.0


@attrs.frozen(kw_only=True)
class Answer:
    """What an upstream does with one request: wait, then refuse to connect, or answer piece by piece.

    A piece is bytes, a pause in seconds, or an exception.
    """

    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = JSON
    pieces: tuple[bytes | float | Exception, ...] = ()
    delay_s: float = 0.0
    error: GatewayError | None = None


@attrs.frozen
class Seen:
    """A request as it reached the upstream, on trio's clock."""

    at_s: float
    provider: str
    key: str
    body: bytes = attrs.field(repr=False)
    headers: Mapping[bytes, bytes] = attrs.field(repr=False)
    url: str = ""
    connect_s: float = 0.0
    deadline_s: float = 0.0
    is_looked_after: bool = False
    """Whether somebody comes round to end its waits."""


def completion(text: str = "Hi", **more: Any) -> Answer:
    """A whole answer."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}  # fmt: skip
    return Answer(pieces=(dumps(body),), **more)


def chunk(text: str, finish: str | None = None) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return data_frame(dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}))  # fmt: skip


def streamed(*pieces: bytes | float | Exception, whole: bool = True, **more: Any) -> Answer:
    """A stream of ``pieces``, with its proper end if ``whole``."""
    end: tuple[bytes, ...] = (chunk("", "stop"), DONE) if whole else ()
    return Answer(headers=SSE, pieces=(*(pieces or (chunk("Hi"),)), *end), **more)


def refusal(status: int, *, retry_after_s: int | None = None, message: str = "no", **more: Any) -> Answer:  # fmt: skip
    """An error that the upstream tells."""
    headers = JSON if retry_after_s is None else (*JSON, (b"retry-after", b"%d" % retry_after_s))
    return Answer(status=status, headers=headers, pieces=(dumps({"error": {"message": message}}),), **more)  # fmt: skip


NEVER = Answer(delay_s=1e9)
REFUSED = Answer(error=NetworkError("connection refused"))


@attrs.define(eq=False)
class Scripted:
    """Implements ``Upstream``. ``script`` says what to do with a request; ``open_now`` counts open answers."""

    provider: str
    script: Callable[[Seen], Answer]
    seen: list[Seen] = attrs.field(factory=list)
    open_now: int = 0
    retired: bool = False

    @asynccontextmanager
    async def open(self, request: UpstreamRequest, limits: Limits) -> AsyncIterator[MockAnswer]:
        headers = dict(request.headers)
        key = headers.get(b"authorization", b"").removeprefix(b"Bearer ").decode()
        assert isinstance(request.body, bytes)
        url = f"{request.origin.scheme}://{request.origin.host}{request.target.decode()}"
        seen = Seen(
            trio.current_time(), self.provider, key, request.body, headers, url, limits.connect_s, limits.deadline_s,
            limits.patience is not None,
        )  # fmt: skip
        self.seen.append(seen)
        self.open_now += 1
        if limits.on_sent is not None:
            limits.on_sent()
        try:
            answer = self.script(seen)
            waited_s = await _wait(answer.delay_s, limits)
            if answer.error is not None:
                raise answer.error
            yield MockAnswer(answer.status, answer.headers, iter(answer.pieces), limits, waited_s)
        finally:
            self.open_now -= 1

    def retire(self) -> None:
        self.retired = True


@attrs.define(eq=False)
class ScriptedMachine:
    """Implements ``Machine``: its services do what ``services`` says, its files are ``files``.

    A file that is ``None`` cannot be read, and one that is a number of seconds takes so long.
    """

    services: Scripted = attrs.field(factory=lambda: Scripted("machine", lambda _: REFUSED))
    environ: Mapping[str, str] = attrs.field(factory=dict)
    files: dict[str, bytes | float | None] = attrs.field(factory=dict)
    read_paths: list[str] = attrs.field(factory=list)

    def wall(self) -> float:
        return WALL_S + trio.current_time()

    def open(self, request: UpstreamRequest, limits: Limits) -> Any:
        return self.services.open(request, limits)

    async def read(self, path: str) -> FileAnswer:
        self.read_paths.append(path)
        if path not in self.files:
            return FileAnswer(404)
        data = self.files[path]
        if isinstance(data, float):
            await trio.sleep(data)
        return FileAnswer(200, data) if isinstance(data, bytes) else FileAnswer(403)


async def _wait(delay_s: float, limits: Limits) -> float:
    allowed_s = min(limits.first_byte_s, limits.deadline_s - trio.current_time())
    await trio.sleep(max(0.0, min(delay_s, allowed_s)))
    if delay_s > allowed_s:
        raise UpstreamTimeout("request timed out")
    return delay_s


def by_order(*answers: Answer) -> Callable[[Seen], Answer]:
    """Answers one after another; the last again and again."""
    numbers = count()

    def script(_: Seen) -> Answer:
        return answers[min(next(numbers), len(answers) - 1)]

    return script


def by_key(**answers: Answer) -> Callable[[Seen], Answer]:
    """Answers by the key's value, without its ``sk-``."""
    return lambda seen: answers[seen.key.removeprefix("sk-")]


@attrs.define(eq=False)
class House:
    """What a test holds on to."""

    router: Router
    pools: dict[str, KeyPool]
    upstreams: dict[str, Scripted]
    crashes: Crashes
    defects: list[BaseException]
    means: Means

    @property
    def seen(self) -> list[Seen]:
        """All that any upstream saw, in order."""
        return sorted((s for u in self.upstreams.values() for s in u.seen), key=lambda s: s.at_s)

    async def quiet(self) -> bool:
        """Nothing runs, waits or is open anywhere."""
        views = [await pool.ask_snapshot() for pool in self.pools.values()]
        is_open = any(upstream.open_now for upstream in self.upstreams.values())
        return not is_open and not self.router.inflight and not any(v.running or v.waiting for v in views)  # fmt: skip


@asynccontextmanager
async def house(
    *providers: tuple[ProviderSettings, Callable[[Seen], Answer] | Answer],
    seed: int = 0,
    client: ClientSettings | None = None,
    hop_filters: tuple[Any, ...] = (),
    rng: random.Random | None = None,
    adapt: Callable[[ProviderSettings], Adapter] = build_adapter,
) -> AsyncIterator[House]:
    """A router with pools, alive for as long as the context lasts."""
    client = client or ClientSettings()
    pools: dict[str, KeyPool] = {}
    upstreams: dict[str, Scripted] = {}
    crashes, defects = Crashes(), list[BaseException]()
    means = Means(pools, client, rng or random.Random(seed), lambda: WALL_S + trio.current_time())
    router = Router(
        means, on_defect=lambda error, _: defects.append(error), hop_filters=hop_filters
    )
    async with trio.open_nursery() as nursery:
        for settings, script in providers:
            upstream = Scripted(settings.name, script if callable(script) else by_order(script))
            first = built(settings, upstream, adapt=adapt)
            pool = KeyPool(first, drop_excess=client.drop_excess_requests, max_waiting=5000, fault=crashes)  # fmt: skip
            pools[settings.name], upstreams[settings.name] = pool, upstream
            await nursery.start(partial(supervise, pool, on_crash=crashes.on_crash))
        await nursery.start(router.run)
        yield House(router, pools, upstreams, crashes, defects, means)
        nursery.cancel_scope.cancel()


def built(
    settings: ProviderSettings,
    upstream: Scripted,
    number: int = 1,
    adapt: Callable[[ProviderSettings], Adapter] = build_adapter,
) -> Generation:
    return Generation(number=number, settings=settings, adapter=adapt(settings), upstream=upstream)


_numbers: Iterator[int] = count(1)


def call(
    target: str = "openai/m",
    *fallbacks: str,
    stream: bool = False,
    within_s: float = 1e6,
    caller: Caller | None = None,
    **more: Any,
) -> Call:
    """A chat call."""
    members = {
        "model": dumps(target.partition("/")[2]),
        "messages": b'[{"role":"user","content":"hi"}]',
    }
    if stream:
        members["stream"] = b"true"
    return Call(
        id=f"call-{next(_numbers)}",
        operation=Operation.CHAT,
        stream=stream,
        target=_target(target),
        fallbacks=tuple(_target(each) for each in fallbacks),
        members=members,
        body_bytes=100,
        received_s=trio.current_time(),
        deadline_s=trio.current_time() + within_s,
        caller=Caller() if caller is None else caller,
        **more,
    )


def _target(text: str) -> Target:
    provider, _, model = text.partition("/")
    return Target(provider, model)


@attrs.define
class Heard:
    """What a caller heard of an exchange."""

    data: bytes = b""
    began: Began | None = None
    ends: list[Finished | Failed] = attrs.field(factory=list)
    record: Any = None

    @property
    def error(self) -> GatewayError | None:
        end = self.ends[-1]
        return end.error if isinstance(end, Failed) else None

    @property
    def blamed(self) -> str | None:
        """The provider whose failure it was."""
        end = self.ends[-1]
        return end.target.provider if isinstance(end, Failed) and end.target else None


async def listen(
    house: House,
    call: Call,
    *,
    pause: Callable[[], Awaitable[None]] | None = None,
    service: Service | None = None,
) -> Heard:
    """Make ``call`` and hear it to its end. ``service`` is what stands round the router, if something does."""
    heard = Heard()
    dispatch = (service or house.router.dispatch)(call)
    async with dispatch as exchange:
        while not heard.ends:
            match await exchange.receive():
                case Began() as began:
                    heard.began = began
                case Chunk(data):
                    heard.data += data
                    if pause is not None:
                        await pause()
                case Finished() | Failed() as end:
                    heard.ends.append(end)
    heard.record = exchange.record
    return heard
