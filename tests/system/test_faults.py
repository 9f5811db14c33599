"""What an upstream can do wrong, at every operation: the SDK raises the right class, and nothing looks whole that is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import attrs
import openai
import pytest
import trio

from system.answers import response
from system.operations import OPERATIONS, STREAMS, Asked, streamed
from system.process import Gateway, openai_provider, running
from system.sdk import in_thread, sdk
from system.upstream import Behaviour, Upstream, hang, plain, raw, status, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),
]

LIMITED = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
BOOM = {"error": {"message": "boom", "type": "server_error"}}
JSON_HEAD = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\n"
EVENTS_HEAD = (
    b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
HTML = status(200, b"<html><body>Sign in</body></html>", {"content-type": "text/html"})
ALL_S = 60.0


@attrs.frozen
class Fault:
    """``wrong`` is what the upstream does, at which the SDK is to raise an error with ``code`` for its status."""

    name: str
    wrong: Callable[[Asked], Behaviour]
    code: int | None
    text: str = ""


def always(behaviour: Behaviour) -> Callable[[Asked], Behaviour]:
    return lambda _: behaviour


FAULTS = (
    Fault("refuses", always(status(500, BOOM)), 500, "boom"),
    Fault("hangs", always(hang()), 504),
    Fault("hangs up", always(raw()), 502),
    Fault(
        "is cut in its answer",
        always(raw(JSON_HEAD + b'content-length: 500\r\n\r\n{"id":"x","data":[')),
        502,
    ),
    Fault("is malformed", always(status(200, b'{"id":"x",')), 502),
    Fault("is no object", always(status(200, b"[]")), 502),
    Fault("is a page", always(HTML), 502),
    Fault("is empty", always(status(200, b"")), 502),
    Fault("says nothing", always(status(200, b"", {"content-type": "audio/mpeg"})), 502),
    Fault("is an error that says 200", always(status(200, BOOM)), 502, "boom"),
)


HARMLESS = {
    # Nothing was said in it.
    *("transcription says nothing", "translation says nothing"),
    # That is the end of a stream of chunks, whatever came before it.
    *("chat says done too early", "text says done too early", "bridged says done too early"),
}
"""What is an answer all the same."""


OWN = tuple(asked for asked in OPERATIONS if asked.provider == "frail")
"""Those that the upstream has under their own names."""


@pytest.fixture
async def faulty(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Providers before one upstream: ``frail`` tries once, ``spare`` is there to fall back on.

    Each operation has one with two keys, so that what it does to them is not seen by the others.
    """
    network: dict[str, Any] = {
        "max_retries": 0,
        "default_request_timeout_in_seconds": 1,
        "stream_idle_timeout_in_seconds": 4,
    }
    custom: dict[str, Any] = {"custom_provider_config": {"base_provider_type": "openai"}}
    healthy: dict[str, Any] = {"failure_threshold": 1_000_000}
    lone = openai_provider(upstream.url, network_config=network, **custom, **healthy)
    pairs = {
        f"pair-{asked.name}": openai_provider(
            upstream.url,
            *("sk-one", "sk-two"),
            prefix=asked.name,
            network_config={"max_retries": 1, "retry_backoff_initial": 10},
            **custom,
        )
        for asked in OWN
    }
    groq = openai_provider(upstream.url, prefix="groq", network_config=network, **healthy)
    spare = {**lone, "keys": [{"name": "spare", "value": "sk-spare"}]}
    config = {"providers": {"frail": lone, "groq": groq, "spare": spare, **pairs}}
    async with running(config, tmp_path) as it:
        yield it


async def all_of(checks: Iterable[Callable[[], Any]]) -> list[str]:
    """What went wrong in ``checks``, which are run at the same time."""
    wrong: list[str] = []

    async def run(check: Callable[[], Any]) -> None:
        try:
            await in_thread(check)
        except Exception as error:  # noqa: BLE001  all are to be told, not the first
            wrong.append(f"{type(error).__name__}: {error}")

    with trio.fail_after(ALL_S):
        async with trio.open_nursery() as nursery:
            for check in checks:
                nursery.start_soon(run, check)
    return wrong


def pairs_of(
    operations: Iterable[Asked], faults: Iterable[Fault]
) -> Iterator[tuple[Asked, Fault, str]]:
    """Each with each, and the model that they meet at."""
    for asked, fault in product(operations, faults):
        model = f"{asked.name} {fault.name}"
        if model not in HARMLESS:
            yield asked, fault, model


async def test_what_goes_wrong_raises(faulty: Gateway, upstream: Upstream) -> None:
    client = sdk(faulty)

    def check(asked: Asked, fault: Fault, model: str) -> None:
        try:
            answer = asked.read(asked.ask(client, model=f"{asked.provider}/{model}"))
        except openai.APIStatusError as error:
            if error.status_code != fault.code or fault.text not in str(error):
                raise AssertionError(f"{model}: {error.status_code} {error}") from error
        else:
            raise AssertionError(f"{model}: gave {answer!r:.100}")

    checks = []
    for asked, fault, model in pairs_of(OPERATIONS, FAULTS):
        upstream.scripts[model] = [fault.wrong(asked)]
        checks.append(partial(check, asked, fault, model))

    wrong = await all_of(checks)
    assert not wrong, "\n".join(wrong)


async def test_another_key_helps_where_one_is_limited(faulty: Gateway, upstream: Upstream) -> None:
    client = sdk(faulty)

    def check(asked: Asked) -> None:
        answer = asked.read(asked.ask(client, model=f"pair-{asked.name}/{asked.name}"))
        assert answer == asked.expected, asked.name
        first, second = upstream.of(asked.name)
        assert first.header("authorization") != second.header("authorization"), asked.name
        assert first.path == second.path == asked.path

    for asked in OWN:
        upstream.scripts[asked.name] = [status(429, LIMITED), asked.good()]

    wrong = await all_of([partial(check, asked) for asked in OWN])
    assert not wrong, "\n".join(wrong)


def helping(asked: Asked) -> Behaviour:
    """The good answer of ``spare``, which has every operation under its own name."""
    return asked.good() if asked in OWN else plain(response())


async def test_another_provider_helps_where_one_is_broken(
    faulty: Gateway, upstream: Upstream
) -> None:
    client = sdk(faulty)

    def check(asked: Asked, fault: Fault, model: str, other: str) -> None:
        more = {"extra_body": {"fallbacks": [f"spare/{other}"]}}
        answer = asked.read(asked.ask(client, model=f"{asked.provider}/{model}", **more))
        assert answer == asked.expected, model
        failed, [helped] = upstream.of(model)[0], upstream.of(other)
        assert b"fallbacks" not in failed.body + helped.body
        assert helped.header("authorization") == "Bearer sk-spare"

    checks = []
    for asked, fault, model in pairs_of(OPERATIONS, FAULTS):
        other = f"{model}, helped"
        upstream.scripts |= {model: [fault.wrong(asked)], other: [helping(asked)]}
        checks.append(partial(check, asked, fault, model, other))

    wrong = await all_of(checks)
    assert not wrong, "\n".join(wrong)


def begun(asked: Asked, *more: bytes | float) -> Behaviour:
    """The head and the first event of its stream, then ``more``."""
    event = asked.events[0]
    name = f"event: {event['type']}\n" if asked.has_names else ""
    frame = f"{name}data: {json.dumps(event)}\n\n".encode()
    return raw(EVENTS_HEAD, chunk_of(frame), *more)


def chunk_of(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"
STREAM_FAULTS = (
    *(fault for fault in FAULTS if fault.name not in {"is cut in its answer", "says nothing"}),
    Fault("is plain", lambda asked: asked.good(), 502),
    Fault("is an empty stream", always(raw(EVENTS_HEAD + END)), 502),
    Fault("begins with an error", always(stream([BOOM], done=False)), 502, "boom"),
    Fault("is cut", begun, None),
    Fault("ends early", lambda asked: begun(asked, END), None, "ended before its end marker"),
    Fault(
        "says done too early",
        lambda asked: begun(asked, chunk_of(b"data: [DONE]\n\n"), END),
        None,
        "ended before its end marker",
    ),
    Fault(
        "tells an error",
        lambda asked: begun(asked, chunk_of(f"data: {json.dumps(BOOM)}\n\n".encode()), END),
        None,
        "boom",
    ),
    Fault("falls silent", lambda asked: begun(asked, 30.0), None),
    Fault("is no chunk", lambda asked: begun(asked, 0.3, b"zz\r\nwhat\r\n"), None),
)


async def test_a_stream_that_goes_wrong_raises(faulty: Gateway, upstream: Upstream) -> None:
    client = sdk(faulty)

    def check(asked: Asked, fault: Fault, model: str) -> None:
        seen: list[Any] = []
        try:
            seen.extend(asked.ask(client, model=f"{asked.provider}/{model}", stream=True))
        except openai.APIError as error:
            code = getattr(error, "status_code", None)
            if code != fault.code or fault.text not in str(error):
                raise AssertionError(f"{model}: {code} {error}") from error
            assert bool(seen) is (code is None), model
        else:
            raise AssertionError(f"{model}: gave {seen!r:.100}")

    checks = []
    for asked, fault, model in pairs_of(STREAMS, STREAM_FAULTS):
        upstream.scripts[model] = [fault.wrong(asked)]
        checks.append(partial(check, asked, fault, model))

    wrong = await all_of(checks)
    assert not wrong, "\n".join(wrong)


async def test_a_stream_that_does_not_go_wrong_does_not_raise(
    faulty: Gateway, upstream: Upstream
) -> None:
    client = sdk(faulty)

    def check(asked: Asked) -> None:
        told = list(asked.ask(client, model=f"{asked.provider}/{asked.name}", stream=True))
        kinds = [getattr(event, "type", None) for event in told]
        assert kinds == [event.get("type") for event in asked.events], asked.name

    own = [asked for asked in STREAMS if asked in OWN]
    for asked in own:
        upstream.scripts[asked.name] = [streamed(asked)]

    wrong = await all_of([partial(check, asked) for asked in own])
    assert not wrong, "\n".join(wrong)
