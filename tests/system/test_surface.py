"""The HTTP surface of a running gateway: bad input, limits, CORS, routes, metrics. No SDK in between."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio

from system.process import openai_provider, running
from system.upstream import Upstream, plain, raw, status, stream

if TYPE_CHECKING:
    from system.process import Gateway

pytestmark = pytest.mark.system

CHAT = "/openai/v1/chat/completions"
GOOD: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def told(answer: Any) -> dict[str, Any]:
    """The native error object, checked for what is always there."""
    body = answer.json()
    assert isinstance(body["is_bifrost_error"], bool)
    assert isinstance(body["error"]["message"], str)
    assert isinstance(body["extra_fields"], dict)
    assert body["status_code"] == answer.status_code
    error: dict[str, Any] = body["error"]
    return error


async def exchange(gateway: Gateway, data: bytes) -> bytes:
    """Write ``data`` on a fresh connection and read until it closes or falls silent."""
    port = int(gateway.url.rsplit(":", 1)[1])
    answer = b""
    async with await trio.open_tcp_stream("127.0.0.1", port) as conn:
        await conn.send_all(data)
        with trio.move_on_after(3):
            async for part in conn:
                answer += part
    return answer


async def test_the_first_minute(gateway: Gateway) -> None:
    body: dict[str, Any] = {
        "model": "mock/echo",
        "messages": [{"role": "user", "content": "Hi there"}],
    }

    answer = await gateway.post(body)
    streamed = await gateway.post({**body, "stream": True})

    assert answer.json()["choices"][0]["message"]["content"] == "Hi there"
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.headers["cache-control"] == "no-cache"
    frames = streamed.text.strip().split("\n\n")
    assert frames[-1] == "data: [DONE]"
    deltas = [json.loads(f.removeprefix("data: "))["choices"][0]["delta"] for f in frames[:-1]]
    assert "".join(d.get("content") or "" for d in deltas) == "Hi there"


BAD_BODIES: list[tuple[bytes, str, str]] = [
    (b"{", CHAT, "Invalid JSON"),
    (b"", CHAT, ""),
    (b"[]", CHAT, ""),
    (b'"x"', CHAT, ""),
    (b"\xff\xfe", CHAT, "Invalid JSON"),
    (b"{}", CHAT, "model is required"),
    (b'{"model":""}', CHAT, "model is required"),
    (b'{"model":3}', CHAT, ""),
    (b'{"model":"gpt-4o"}', CHAT, "messages is required for chat completion"),
    (b'{"model":"gpt-4o","messages":[]}', CHAT, "messages is required for chat completion"),
    (b'{"model":"gpt-4o","messages":"x"}', CHAT, ""),
    (b'{"model":"gpt-4o","messages":[{}],"stream":"yes"}', CHAT, ""),
    (b"{", "/v1/chat/completions", "invalid request format"),
    (b'{"model":"gpt-4o","messages":[{}]}', "/v1/chat/completions", "provider/model format"),
    (b'{"a":' * 100_000, CHAT, "Invalid JSON"),
    (
        b'{"model":"gpt-4o","messages":[{}],"reasoning_effort":"low","reasoning":{"effort":"low"}}',
        CHAT,
        "both reasoning_effort and reasoning.effort cannot be present",
    ),
]


async def test_bad_bodies_get_400(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        for body, path, message in BAD_BODIES:
            answer = await client.post(path, content=body)

            assert answer.status_code == 400, body[:80]
            assert message in told(answer)["message"], body[:80]


async def test_an_unknown_provider_prefix_is_part_of_the_model(
    gateway: Gateway, upstream: Upstream
) -> None:
    await gateway.post({**GOOD, "model": "meta-llama/Llama-3.1-8B"})
    await gateway.post({**GOOD, "model": "groq/meta-llama/x"})

    assert [r.json["model"] for r in upstream.requests] == [
        "meta-llama/Llama-3.1-8B",
        "meta-llama/x",
    ]


# The client is answered before it has written its body, and leaves its generator to the collector.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
async def test_large_bodies_and_bombs_are_refused(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
        large = await client.post(CHAT, content=b" " * (3 * 1024 * 1024))
        bomb = await client.post(
            CHAT,
            content=gzip.compress(b" " * (64 * 1024 * 1024)),
            headers={"content-encoding": "gzip"},
        )
        unknown = await client.post(CHAT, content=b"{}", headers={"content-encoding": "rot13"})
        broken = await client.post(CHAT, content=b"{}", headers={"content-encoding": "gzip"})
        packed = await client.post(
            CHAT,
            content=gzip.compress(json.dumps(GOOD).encode()),
            headers={"content-encoding": "gzip"},
        )

    assert [r.status_code for r in (large, bomb, unknown, broken)] == [413, 413, 400, 400]
    assert "decompressed request body exceeds" in told(bomb)["message"]
    assert "invalid compressed request body" in told(unknown)["message"]
    assert packed.status_code == 200


async def test_unknown_routes_and_methods_are_json(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        missing = await client.post("/openai/v1/v2/nothing", json={})
        missing_get = await client.get("/v1/nothing")
        wrong = await client.get("/openai/v1/embeddings")
        wrong_list = await client.post("/openai/v1/models", json={})

    assert missing.status_code == missing_get.status_code == 404
    assert told(missing)["message"] == "Route not found: /openai/v1/v2/nothing"
    assert told(missing_get)["message"] == "Route not found: /v1/nothing"
    assert wrong.status_code == wrong_list.status_code == 405
    assert "POST" in wrong.headers["allow"]
    assert "GET" in wrong_list.headers["allow"]


async def test_every_answer_has_an_id_and_security_headers(gateway: Gateway) -> None:
    answers = [
        await gateway.post(GOOD),
        await gateway.post({}),
        await gateway.get("/health"),
        await gateway.get("/nowhere"),
    ]

    for answer in answers:
        assert answer.headers["x-request-id"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert len(answer.headers.get_list("x-request-id")) == 1


async def test_cors(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        origin = {"origin": "https://app.example"}
        preflight = await client.options(
            CHAT, headers={**origin, "access-control-request-method": "POST"}
        )
        answer = await client.post(CHAT, json=GOOD, headers=origin)
        none = await client.post(CHAT, json=GOOD)
        models = await client.get("/openai/v1/models", headers=origin)

    assert preflight.status_code == 200
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in preflight.headers
    assert answer.headers["access-control-allow-origin"]
    assert "access-control-allow-origin" not in none.headers
    assert models.headers["access-control-allow-origin"]


async def test_health_and_readiness(gateway: Gateway) -> None:
    health, ready = await gateway.get("/health"), await gateway.get("/ready")

    assert health.json() == {"status": "ok", "components": {"db_pings": "ok"}}
    assert ready.status_code == 200


async def test_metrics_tell_of_calls_attempts_and_keys(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["gpt-4o"] = [status(500, {"error": {"message": "x"}}), plain()]
    await gateway.post(GOOD)
    await gateway.post({**GOOD, "model": "mock/echo", "stream": True})

    text = (await gateway.get("/metrics")).text

    assert "bifrost_success_requests_total{" in text
    assert "bifrost_attempts_total{" in text
    assert 'outcome="server"' in text
    assert "bifrost_gateway_overhead_seconds_bucket" in text
    assert "bifrost_key_state{" in text
    assert "bifrost_inflight_requests 0.0" in text
    assert 'path="/openai/v1/chat/completions"' in text


async def test_headers_for_the_upstream(gateway: Gateway, upstream: Upstream) -> None:
    await gateway.post(
        GOOD,
        headers={
            "x-bf-eh-foo": "bar",
            "x-bf-eh-authorization": "Bearer stolen",
            "x-bf-eh-host": "evil.example",
            "x-bf-eh-cookie": "a=b",
            "authorization": "Bearer sk-from-the-caller",
            "cookie": "session=1",
            "x-bf-vk": "sk-bf-virtual",
        },
    )

    [received] = upstream.requests
    names = [name for name, _ in received.headers]
    assert received.header("foo") == "bar"
    assert names.count("authorization") == 1
    assert (received.header("authorization") or "").startswith("Bearer sk-canary-")
    assert received.header("host") == f"127.0.0.1:{upstream.port}"
    assert "cookie" not in names
    assert not [n for n in names if n.startswith("x-bf-")]


async def test_pins(gateway: Gateway, upstream: Upstream) -> None:
    for _ in range(4):
        await gateway.post(GOOD, headers={"x-bf-api-key": "key-1"})
    unknown = await gateway.post(GOOD, headers={"x-bf-api-key": "nobody"})

    keys = {r.header("authorization") for r in upstream.requests}
    assert keys == {"Bearer sk-canary-bbbbbbbbbbbbbbbbbbbbbbbb"}
    assert unknown.status_code == 400
    assert 'no supported key found with name "nobody"' in told(unknown)["message"]


async def test_raw_echo(gateway: Gateway, upstream: Upstream) -> None:
    header = {"x-bf-send-back-raw-response": "true"}

    verbatim = await gateway.post(GOOD, headers=header)
    beside = await gateway.post({**GOOD, "model": "groq/llama"}, headers=header)
    ignored = await gateway.post(GOOD, headers={"x-bf-send-back-raw-response": "1"})

    assert "extra_fields" not in verbatim.json()
    assert beside.json()["extra_fields"]["raw_response"]["id"] == "chatcmpl-1"
    assert "raw_response" not in ignored.json()["extra_fields"]


WIRE_FAULTS = [
    b"",
    b"garbage\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    b"HTTP/1.1 200 OK\r\n" + b"x-flood: 1\r\n" * 20_000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 200_000 + b"\r\n\r\n",
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n{"a"',
    b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 29\r\n\r\n<html><body>hello</body></html"[
        :120
    ],
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
]


@pytest.mark.parametrize("streamed", [False, True])
async def test_whatever_an_upstream_writes_the_caller_gets_an_error_object(
    gateway: Gateway, upstream: Upstream, streamed: bool
) -> None:
    for number, fault in enumerate(WIRE_FAULTS):
        upstream.scripts[f"fault-{number}"] = [raw(fault)]
        with trio.fail_after(10):
            body = {**GOOD, "model": f"groq/fault-{number}", "stream": streamed}
            answer = await gateway.post(body)

        assert answer.status_code == 502, fault[:80]
        told(answer)
    after = await gateway.post({**GOOD, "model": "gpt-4o"})
    assert after.status_code == 200


async def test_one_key_that_hangs_delays_nobody_else(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["slow"] = [raw(1.5)]
    finished: list[str] = []

    async def call(model: str) -> None:
        await gateway.post({**GOOD, "model": model})
        finished.append(model)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call, "slow")
        await trio.sleep(0.1)
        for name in ("a", "b", "c"):
            nursery.start_soon(call, name)

    assert finished[-1] == "slow"


async def test_pipelined_and_kept_connections(gateway: Gateway) -> None:
    body = json.dumps({**GOOD, "model": "mock/fixed"}).encode()
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % (CHAT.encode(), len(body))
    once = head + b"\r\n" + body
    last = head + b"connection: close\r\n\r\n" + body

    answer = await exchange(gateway, once + once + last)

    assert answer.count(b"HTTP/1.1 200") == 3


AMBIGUOUS = [
    b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
    b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
    b"POST %s HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST %s HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}",
    b"POST %s HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    b"\x00\x01\x02\x03\r\n\r\n",
]


async def test_ambiguous_requests_are_refused(gateway: Gateway) -> None:
    for request_head in AMBIGUOUS:
        answer = await exchange(gateway, request_head.replace(b"%s", CHAT.encode()))

        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), request_head[:120]
        assert answer.count(b"HTTP/1.1 ") == 1, request_head[:120]


async def test_a_compressed_stream_is_unpacked(gateway: Gateway, upstream: Upstream) -> None:
    whole = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    packed = gzip.compress(whole + b"data: [DONE]\n\n")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
    upstream.scripts["gpt-4o"] = [raw(head + b"content-length: %d\r\n\r\n" % len(packed) + packed)]

    answer = await gateway.post({**GOOD, "stream": True})

    assert '"content":"hi"' in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_silence_is_filled_with_comments(upstream: Upstream, tmp_path: Any) -> None:
    config = {
        "client": {"sse_keepalive_s": 0.2},
        "providers": {"openai": openai_provider(upstream.url, network_config={"max_retries": 0})},
    }
    good = stream()

    async def late(conn: Any, received: Any) -> None:
        await trio.sleep(0.7)
        await good(conn, received)

    upstream.scripts["gpt-4o"] = [late]
    async with running(config, tmp_path) as gateway:
        answer = await gateway.post({**GOOD, "stream": True})

    assert answer.text.startswith(": ping\n\n")
    assert answer.text.endswith("data: [DONE]\n\n")
