"""Responses over WebSocket against a running gateway: a plain client, and OpenAI's own."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    open_websocket_url,
)
from wsproto import ConnectionType, WSConnection
from wsproto.events import Event, Request, TextMessage

from system.answers import named, response, response_events
from system.process import for_all_of, openai_provider, running
from system.sdk import in_thread, sdk
from system.upstream import Upstream, cut, status, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from system.process import Gateway

pytestmark = pytest.mark.system

PATHS = (
    "/v1/responses",
    "/openai/v1/responses",
    "/openai/responses",
    "/openai/openai/responses",
    "/openai/openai/v1/responses",
)
ENDS = {"response.completed", "response.incomplete", "response.failed", "error"}
LAST = {"response.completed", "error"}
PATIENCE_S = 10.0


class Client:
    """A plain client's end."""

    def __init__(self, wire: WebSocketConnection) -> None:
        self.wire = wire

    async def create(self, **members: Any) -> None:
        asked = {"type": "response.create", "model": "openai/m", "input": "Hi", **members}
        await self.wire.send_message(json.dumps(asked))

    async def event(self) -> Any:
        with trio.fail_after(PATIENCE_S):
            message = await self.wire.get_message()
        assert isinstance(message, str)
        return json.loads(message)

    async def events(self) -> list[Any]:
        """All up to the end of a response."""
        events = [await self.event()]
        while events[-1]["type"] not in ENDS:
            events.append(await self.event())
        return events

    async def close_code(self) -> int:
        """With what the gateway closes, whatever it says before."""
        with trio.fail_after(PATIENCE_S), pytest.raises(ConnectionClosed) as caught:
            while True:
                await self.wire.get_message()
        assert caught.value.reason is not None
        return int(caught.value.reason.code)


@asynccontextmanager
async def connected(
    gateway: Gateway, path: str = "/v1/responses", **headers: str
) -> AsyncIterator[Client]:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    url = gateway.url.replace("http", "ws", 1) + path
    async with open_websocket_url(url, extra_headers=lines) as wire:
        try:
            yield Client(wire)
        finally:
            # The client leaves its socket open where the other side has closed first.
            if wire.closed:
                await wire._stream.aclose()


UPGRADE = {
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def refused(gateway: Gateway, path: str = "/v1/responses", **headers: str) -> Any:
    """The status, and the error, with which an upgrade is refused."""
    lines = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
    asked: Any = {**UPGRADE, **lines}
    answer = await gateway.get(path, headers=asked)
    told = answer.json()
    assert answer.headers["x-request-id"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert told["status_code"] == answer.status_code
    return answer.status_code, told["error"]["message"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_response(gateway: Gateway, upstream: Upstream, path: str) -> None:
    upstream.scripts["m"] = [named(response_events("Hello"))]

    async with connected(gateway, path) as client:
        await client.create(previous_response_id="resp_0", instructions="Be brief", store=False)
        events = await client.events()

    extras = [event.pop("extra_fields") for event in events]
    assert events == response_events("Hello")
    assert extras[0]["provider"] == "openai"
    [received] = upstream.requests
    assert received.path == "/v1/responses"
    assert received.json == {
        "model": "m",
        "input": "Hi",
        "previous_response_id": "resp_0",
        "instructions": "Be brief",
        "store": False,
        "stream": True,
    }
    [line] = await gateway.wait_for("request completed", request_type="responses_stream")
    assert line["total_tokens"] == 7
    assert line["route"] == path


async def test_only_openai_s_surface_knows_a_default_provider(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["m"] = [named(response_events())]

    async with connected(gateway, "/openai/v1/responses") as client:
        await client.create(model="m")
        assert (await client.events())[-1]["type"] == "response.completed"
    async with connected(gateway, "/v1/responses") as client:
        await client.create(model="m")
        [error] = await client.events()

    assert error["status"] == 400
    assert error["error"]["code"] == "invalid_request_error"
    assert error["error"]["message"] == "model should be in provider/model format"


async def test_tools_and_responses_one_after_another(gateway: Gateway, upstream: Upstream) -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
    asking = {**response(), "id": "resp_1", "output": [call]}
    first: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**asking, "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": call},
        {"type": "response.completed", "response": asking},
    ]
    upstream.scripts["m"] = [named(first), named(response_events("Sunny"))]
    tools = [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]

    async with connected(gateway) as client:
        await client.create(tools=tools)
        asked = await client.events()
        output = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
        await client.create(tools=tools, previous_response_id="resp_1", input=[output])
        told = await client.events()

    assert asked[1]["item"] == call
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == "Sunny"
    assert [r.json["tools"] for r in upstream.requests] == [tools, tools]
    assert upstream.requests[1].json["previous_response_id"] == "resp_1"
    lines = await gateway.wait_for("request completed", 2, request_type="responses_stream")
    ids = [line["request_id"] for line in lines]
    assert ids[0][-2:] == "-1"
    assert ids[1] == ids[0][:-1] + "2"


async def test_events_that_come_early_are_answered_in_turn(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["m"] = [stream(response_events("a"), pause_s=0.02, done=False)]
    upstream.scripts["n"] = [named(response_events("b"))]

    async with connected(gateway) as client:
        await client.create(stream_id="one")
        await client.create(model="openai/n", stream_id="two")
        first, second = await client.events(), await client.events()

    assert {event["stream_id"] for event in first} == {"one"}
    assert {event["stream_id"] for event in second} == {"two"}
    assert "stream_id" not in upstream.requests[0].json


async def test_headers_of_the_upgrade_count_for_each_response(
    upstream: Upstream, tmp_path: Path
) -> None:
    config = {
        "client": {
            "allow_direct_keys": True,
            "required_headers": ["x-team"],
            "allowed_origins": ["https://app.example.com"],
        },
        "providers": {"openai": openai_provider(upstream.url)},
        "governance": for_all_of("openai"),
    }
    upstream.scripts["m"] = [named(response_events())]
    async with running(config, tmp_path) as gateway:
        sent = {
            "x_team": "a",
            "authorization": "Bearer sk-of-the-caller",
            "x_bf_eh_foo": "bar",
            "x_request_id": "talk",
            "x_bf_vk": "sk-bf-virtual",
            "origin": "https://app.example.com",
        }
        async with connected(gateway, **sent) as client:
            for _ in range(2):
                await client.create()
                await client.events()
        missing = await refused(gateway)
        foreign = await refused(gateway, x_team="a", origin="https://evil.example.com")
        no_key = await refused(gateway, x_team="a", authorization="Bearer sk-\N{DEGREE SIGN}")
        lines = await gateway.wait_for("request completed", 2, request_type="responses_stream")
        upgrades = await gateway.wait_for("request completed", 4, method="GET")

    for received in upstream.requests:
        assert received.header("authorization") == "Bearer sk-of-the-caller"
        assert received.header("foo") == "bar"
        assert not [n for n, _ in received.headers if n.startswith(("sec-", "x-bf-"))]
    assert len(upstream.requests) == 2
    assert missing == (400, "missing required headers: x-team")
    assert foreign == (403, "Origin not allowed")
    assert no_key == (400, "the key in header authorization is not one")
    assert [line["request_id"] for line in lines] == ["talk-1", "talk-2"]
    assert [line["status"] for line in upgrades] == [101, 400, 403, 400]


async def test_other_paths_take_no_websocket(gateway: Gateway) -> None:
    for path in ("/openai/v1/chat/completions", "/v1/realtime", "/health"):
        assert await refused(gateway, path) == (404, f"Route not found: {path}")


GARBAGE: list[tuple[str, str, str | None]] = [
    ("", "Invalid JSON", None),
    ("{", "Invalid JSON", None),
    ("[]", "Invalid JSON", None),
    ('"response.create"', "Invalid JSON", None),
    ('{"a":' * 50_000, "Invalid JSON", None),
    ("{}", "unsupported event type: none", "type"),
    ('{"type":"response.cancel"}', "unsupported event type: 'response.cancel'", "type"),
    ('{"type":"response.create","background":true}', "background is not supported", "background"),
    ('{"type":"response.create","generate":false}', "generate must be true", "generate"),
    ('{"type":"response.create","stream_id":[]}', "stream_id must be text", "stream_id"),
    ('{"type":"response.create"}', "model is required", None),
    ('{"type":"response.create","model":"openai/m"}', "input is required for responses", "input"),
]


async def test_garbage_is_told_and_the_connection_stays(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["m"] = [named(response_events())]
    async with connected(gateway) as client:
        for frame, message, param in GARBAGE:
            await client.wire.send_message(frame)
            error = await client.event()

            assert error["type"] == "error"
            assert error["status"] == 400
            assert message in error["error"]["message"], frame[:60]
            assert error["error"]["type"] == error["error"]["code"] == "invalid_request_error"
            if param is not None:
                assert error["error"]["param"] == param
        await client.create()
        events = await client.events()

    assert events[-1]["type"] == "response.completed"


async def test_binary_frames_end_the_connection(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        await client.wire.send_message(b"{}")

        assert await client.close_code() == 1003


async def test_text_that_is_no_utf_8_ends_the_connection(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        stream: Any = client.wire._stream
        await stream.send_all(b"\x81\x82\0\0\0\0\xff\xfe")

        assert await client.close_code() == 1007


async def test_a_message_that_is_too_large_ends_the_connection(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        await client.create(input="x" * (2 * 1024 * 1024))

        assert await client.close_code() == 1009
    async with connected(gateway) as client:
        await client.create(input="x" * (1024 * 1024))
        assert (await client.events())[-1]["type"] != "response.completed"


async def test_a_client_that_goes_is_not_worked_for(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["m"] = [stream(response_events()[:4], then_hang=True)]
    async with connected(gateway) as client:
        await client.create()
        await client.event()
        assert upstream.open_connections == 1

        await client.wire.aclose()

        with trio.fail_after(1.0):
            while upstream.open_connections:
                await trio.sleep(0.01)
    [line] = await gateway.wait_for("request completed", request_type="responses_stream")
    assert line["status"] == 499


async def test_a_client_that_vanishes_is_not_worked_for(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["m"] = [stream(response_events()[:4], then_hang=True)]
    wire = WSConnection(ConnectionType.CLIENT)
    asked = {"type": "response.create", "model": "openai/m", "input": "Hi"}
    port = int(gateway.url.rsplit(":", 1)[1])
    heard: list[Event] = []
    with trio.fail_after(PATIENCE_S):
        async with await trio.open_tcp_stream("127.0.0.1", port) as conn:
            await conn.send_all(wire.send(Request("h", "/v1/responses")))
            while not any(isinstance(event, TextMessage) for event in heard):
                wire.receive_data(bytes(await conn.receive_some()))
                heard += wire.events()
                if len(heard) == 1:
                    await conn.send_all(wire.send(TextMessage(json.dumps(asked))))
            assert upstream.open_connections == 1

    with trio.fail_after(1.0):
        while upstream.open_connections:
            await trio.sleep(0.01)


async def test_an_upstream_that_breaks_off_is_told(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["m"] = [
        stream(response_events()[:4], done=False, end=False),
        named(response_events()),
    ]
    upstream.scripts["gone"] = [cut()]
    upstream.scripts["no"] = [
        status(429, {"error": {"message": "Slow down", "type": "rate_limit_error"}})
    ]

    async with connected(gateway) as client:
        await client.create()
        lost = await client.events()
        await client.create()
        after = await client.events()
        await client.create(model="groq/gone")
        [gone] = await client.events()
        await client.create(model="lone-429/no", stream_id="s")
        [limited] = await client.events()

    assert [event["type"] for event in lost[:-1]] == [e["type"] for e in response_events()[:4]]
    assert lost[-1]["status"] == 502
    assert lost[-1]["error"]["code"] == "upstream_connection_error"
    assert after[-1]["type"] == "response.completed"
    assert (gone["status"], gone["error"]["code"]) == (502, "server_error")
    assert gone["extra_fields"] == {
        "provider": "groq",
        "model_requested": "gone",
        "request_type": "responses_stream",
    }
    assert (limited["status"], limited["error"]["code"]) == (429, "rate_limit_error")
    assert (limited["error"]["message"], limited["stream_id"]) == ("Slow down", "s")


async def test_an_upstream_that_has_only_chat(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        await client.create(model="mock/echo", input="Hi there")
        events = await client.events()

    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hi there"


async def test_the_meter_counts_an_upgrade_once(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["m"] = [named(response_events())]
    async with connected(gateway) as client:
        for _ in range(2):
            await client.create()
            await client.events()
        text = (await gateway.get("/metrics")).text

    [counted] = [
        line
        for line in text.splitlines()
        if line.startswith("http_requests_total") and 'status="101"' in line
    ]
    assert 'path="/v1/responses"' in counted
    assert counted.endswith(" 1.0")


async def test_a_drain_lets_a_response_end_and_closes(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts["m"] = [stream(response_events(), pause_s=0.1, done=False)]
    config = {"providers": {"openai": openai_provider(upstream.url)}}
    async with running(config, tmp_path) as gateway:
        async with connected(gateway) as busy, connected(gateway) as idle:
            await busy.create()
            events = [await busy.event()]
            gateway.terminate()
            with trio.fail_after(2):
                assert await idle.close_code() == 1001
            events += await busy.events()
            assert await busy.close_code() == 1001
        code = await gateway.wait()

    assert events[-1]["type"] == "response.completed"
    assert code == 0


async def test_a_drain_tells_what_outlasts_the_grace(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts["m"] = [stream(response_events()[:4], then_hang=True)]
    config = {
        "client": {"drain_timeout_s": 0.5},
        "providers": {"openai": openai_provider(upstream.url)},
    }
    async with running(config, tmp_path) as gateway:
        async with connected(gateway) as client:
            await client.create()
            await client.event()
            gateway.terminate()
            events = await client.events()
            assert await client.close_code() == 1001
        code = await gateway.wait()

    assert events[-1]["status"] == 503
    assert events[-1]["error"]["code"] == "shutting_down"
    assert code == 0


async def test_openai_s_own_client(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["m"] = [named(response_events("One")), named(response_events("Two"))]

    def talk() -> tuple[list[str], Any]:
        texts: list[str] = []
        with sdk(gateway, "/openai/v1").responses.connect() as connection:
            for _ in range(2):
                connection.response.create(model="m", input="Hi", store=False)
                text = ""
                for event in connection:
                    if event.type == "response.output_text.delta":
                        text += event.delta
                    if event.type in LAST:
                        break
                texts.append(text)
            connection.response.create(model="m")
            return texts, connection.recv()

    texts, error = await in_thread(talk)

    assert texts == ["One", "Two"]
    assert error.type == "error"
    assert error.status == 400
    assert error.error.message == "input is required for responses"
