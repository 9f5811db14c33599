"""The built-in upstream: what it can be told, and what it refuses to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from bifrost.codecs.json import dumps, loads
from bifrost.config.settings import ProviderSettings
from bifrost.errors import NetworkError, StreamIdleTimeout, UpstreamTimeout
from bifrost.providers.base import Origin, UpstreamRequest
from bifrost.transport.base import Limits
from bifrost.transport.mock import MockUpstream

if TYPE_CHECKING:
    from trio.testing import MockClock

ASK = [{"role": "user", "content": "one two three"}]


def request(body: Any, method: bytes = b"POST") -> UpstreamRequest:
    origin = Origin("http", "mock.invalid", 80)
    raw = body if isinstance(body, bytes) else dumps(body)
    return UpstreamRequest(method=method, origin=origin, target=b"/", headers=(), body=raw)


@pytest.fixture
def upstream() -> MockUpstream:
    return MockUpstream(ProviderSettings(name="mock"), wall=lambda: 7.0)


async def asked(
    upstream: MockUpstream, model: str = "echo", *, limits: Limits | None = None, **more: Any
) -> tuple[int, Any, Any]:
    """Status, headers and body; of a stream the bytes."""
    body = {"model": model, "messages": ASK, **more}
    async with upstream.open(request(body), limits or Limits()) as answer:
        raw = await answer.read()
        return answer.status, dict(answer.headers), raw if more.get("stream") else loads(raw)


@pytest.mark.parametrize(
    ("model", "text"),
    [("echo", "one two three"), ("fixed", "Hello from Bifrost."), ("else", "I am else, a mock.")],
)
async def test_what_a_model_says(upstream: MockUpstream, model: str, text: str) -> None:
    status, _, body = await asked(upstream, model)

    assert status == 200
    assert body["choices"][0]["message"]["content"] == text
    assert body["created"] == 7
    assert body["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"text": "b"}, 3]}], "ab"),
        ([{"role": "user", "content": [{"text": [[1]]}, {"text": "a"}]}], "a"),
        ([{"role": "user", "content": None}], ""),
        ([{"role": "assistant", "content": "x"}], ""),
        ("no list", ""),
    ],
)
async def test_the_echo_of_odd_messages(upstream: MockUpstream, messages: Any, text: str) -> None:
    _, _, body = await asked(upstream, messages=messages)

    assert body["choices"][0]["message"]["content"] == text


async def test_a_stream(upstream: MockUpstream) -> None:
    _, headers, raw = await asked(upstream, stream=True, stream_options={"include_usage": True})
    events = raw.decode().strip().split("\n\n")

    assert headers[b"content-type"] == b"text/event-stream"
    assert events[-1] == "data: [DONE]"
    texts = [loads(e[6:].encode())["choices"] for e in events[:-1]]
    assert [c[0]["delta"].get("content") for c in texts if c] == ["", "one", " two", " three", None]
    assert loads(events[-2][6:].encode())["usage"]["prompt_tokens"] > 0


async def test_a_stream_at_a_pace(upstream: MockUpstream, autojump_clock: MockClock) -> None:
    _, _, raw = await asked(upstream, "echo?text=abcdef&chunks=3&tokens_per_second=2", stream=True)

    assert raw.count(b'"content":"') == 4
    assert trio.current_time() == pytest.approx(1.5)


async def test_many_pieces(upstream: MockUpstream) -> None:
    _, _, raw = await asked(upstream, stream=True, mock={"text": "x" * 200, "chunks": 200})

    assert raw.count(b"data: ") == 203


async def test_a_refusal(upstream: MockUpstream) -> None:
    mock = {"status": 429, "retry_after_s": 2, "message": "slow", "code": "c", "error_type": "t"}
    status, headers, body = await asked(upstream, mock=mock)

    assert status == 429
    assert headers[b"retry-after"] == b"2"
    assert body == {"error": {"message": "slow", "type": "t", "param": None, "code": "c"}}


@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_request_error"), (500, "server_error")])  # fmt: skip
async def test_a_refusal_by_default(upstream: MockUpstream, status: int, kind: str) -> None:
    _, _, body = await asked(upstream, f"echo?status={status}")

    assert body["error"]["type"] == kind


async def test_failing_now_and_then(upstream: MockUpstream) -> None:
    mock = {"status": 500, "fail_every": 3}

    assert [(await asked(upstream, mock=mock))[0] for _ in range(6)] == [200, 200, 500] * 2


async def test_tool_calls(upstream: MockUpstream) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}, "odd"]
    _, _, body = await asked(upstream, mock={"tool_calls": calls, "finish_reason": "tool_calls"})
    _, _, raw = await asked(upstream, mock={"tool_calls": calls}, stream=True)

    choice = body["choices"][0]
    assert (choice["message"]["tool_calls"], choice["finish_reason"]) == (calls, "tool_calls")
    assert choice["message"]["content"] is None
    assert b'"index":0,"id":"1"' in raw


@pytest.mark.parametrize(
    ("option", "raised"),
    [
        ("fail_after_chunks", NetworkError),
        ("cut_after_chunks", NetworkError),
        ("hang_after_chunks", StreamIdleTimeout),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 99])
async def test_mishaps(
    upstream: MockUpstream,
    option: str,
    raised: type[Exception],
    after: int,
    autojump_clock: MockClock,
) -> None:
    body = {"model": "echo", "messages": ASK, "stream": True, "mock": {option: after}}
    heard = b""
    async with upstream.open(request(body), Limits(idle_s=3.0)) as answer:
        with pytest.raises(raised):
            while data := await answer.receive():
                heard += data

    assert heard.count(b'"content":"') == 1 + min(after, 3)
    assert (b'"error"' in heard) is (option == "fail_after_chunks")
    assert b"[DONE]" not in heard


async def test_slowness_within_the_limits(
    upstream: MockUpstream, autojump_clock: MockClock
) -> None:
    async with upstream.open(request({"model": "echo?delay_ms=1500"}), Limits()) as answer:
        assert answer.waited_s == 1.5
    with pytest.raises(UpstreamTimeout):
        await asked(upstream, "echo?delay_ms=1500", limits=Limits(first_byte_s=1.0))
    assert trio.current_time() == pytest.approx(2.5)


@pytest.mark.parametrize(
    "mock",
    [
        "text",
        {"nothing": 1},
        {"delay_ms": -1},
        {"delay_ms": True},
        {"delay_ms": 1e9},
        {"chunks": 0},
        {"status": 600},
        {"text": 1},
        {"retry_after_s": "x"},
        {"fail_every": 0},
        {"tool_calls": {}},
        {"finish_reason": 1},
        {"tokens_per_second": -1},
    ],
)
async def test_what_it_cannot_be_told(upstream: MockUpstream, mock: Any) -> None:
    status, _, body = await asked(upstream, mock=mock)

    assert status == 400
    assert body["error"]["message"].startswith("mock")


async def test_what_its_name_cannot_be_told(upstream: MockUpstream) -> None:
    status, _, body = await asked(upstream, "echo?delay_ms=soon")

    assert (status, body["error"]["message"]) == (
        400,
        "mock.delay_ms is out of range or of the wrong type",
    )


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model":3}'])
async def test_a_body_that_is_none(upstream: MockUpstream, body: bytes) -> None:
    async with upstream.open(request(body), Limits()) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"echo","messages":[{"role":"user","content":%s}]}',
        b'{"model":"echo","messages":[{"role":"user","content":[{"text":%s}]}]}',
        b'{"model":"echo","messages":[{}],"mock":{"tool_calls":%s}}',
    ],
)
async def test_what_is_nested_too_deeply_is_refused(upstream: MockUpstream, body: bytes) -> None:
    """It can be read up to 1024 levels, but written only up to 254."""
    deep = b"[" * 900 + b"]" * 900
    async with upstream.open(request(body % deep), Limits()) as answer:
        assert answer.status == 400
        assert b"nested too deeply" in await answer.read()


async def test_text_in_a_models_name_stays_text(upstream: MockUpstream) -> None:
    _, _, body = await asked(upstream, "fixed?text=123&finish_reason=true")

    choice = body["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("123", "true")


async def test_what_a_request_says_wins_over_its_models_name(upstream: MockUpstream) -> None:
    _, _, body = await asked(upstream, "fixed?text=a&finish_reason=length", mock={"text": "b"})

    choice = body["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("b", "length")


async def test_a_delay_counts_as_waiting_for_the_upstream(
    upstream: MockUpstream, autojump_clock: MockClock
) -> None:
    asking = {"model": "fixed?delay_ms=1000&tokens_per_second=1", "stream": True}
    async with upstream.open(request(asking), Limits()) as answer:
        await answer.read()
        assert answer.waited_s == pytest.approx(4.0)


async def test_the_list_of_models(upstream: MockUpstream) -> None:
    async with upstream.open(request(b"", b"GET"), Limits()) as answer:
        listed = loads(await answer.read())
    upstream.retire()

    assert [each["id"] for each in listed["data"]] == ["echo", "fixed"]
