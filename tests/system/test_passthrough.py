"""Passthrough with a real gateway before a scripted upstream: what comes in goes out, and what comes back is told as it is."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
import trio

from system.conftest import CANARIES, assert_no_secret
from system.process import openai_provider, running
from system.sdk import in_thread, sdk
from system.upstream import Behaviour, Received, Upstream, hang, plain, raw, status, stream

if TYPE_CHECKING:
    from pathlib import Path

    from system.process import Gateway

pytestmark = pytest.mark.system

CHAT = "/openai_passthrough/v1/chat/completions"
EVENTS_HEAD = (
    b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)

HOSTILE = (
    "/openai_passthrough/../x",
    "/openai_passthrough/v1/../../x",
    "/openai_passthrough/v1/%2e%2e/x",
    "/openai_passthrough/v1/..%2fx",
    "/openai_passthrough/v1/a%2fb",
    "/openai_passthrough/v1/a\\b",
    "/openai_passthrough/v1/a%5cb",
    "/openai_passthrough\\evil.example/x",
    "/openai_passthrough//evil.example/x",
    "/openai_passthrough/v1//evil.example/x",
    "/openai_passthrough/http://evil.example/x",
    "/openai_passthrough/@evil.example/x",
    "/openai_passthrough/u%40evil.example/x",
    "/openai_passthrough/v1/x%0d%0aevil:%20yes",
    "/openai_passthrough/v1/x%00",
    "/openai_passthrough/v1/x%252e",
    "/openai_passthrough/v1/x;y=../z",
    "/openai_passthrough/v1/x?a=%0d%0a#frag",
    "/openai_passthrough/v1/\x7f",
    "/openai_passthrough/v1/\xfc",
)


async def asked(
    gateway: Gateway, method: str, path: str, provider: str = "", **more: Any
) -> httpx.Response:
    headers = {**more.pop("headers", {})}
    if provider:
        headers["x-model-provider"] = provider
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
        return await client.request(method, path, headers=headers, **more)


async def over_a_socket(gateway: Gateway, data: bytes) -> bytes:
    """All that the gateway has to say to ``data``; an exception if it resets the connection."""
    with trio.fail_after(10):
        conn = await trio.open_tcp_stream("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        async with conn:
            await conn.send_all(data)
            got = b""
            while piece := await conn.receive_some():
                got += piece
    return got


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_request_goes_on_unchanged(
    gateway: Gateway, upstream: Upstream, method: str
) -> None:
    body = b'{ "model":"gpt-4o" ,"n" : 1.0, "extra_params": {"a": [ ] }, "provider":"groq" }'
    upstream.scripts["gpt-4o"] = [plain({"ok": True})]

    answer = await asked(
        gateway,
        method,
        "/openai_passthrough/v1/things/a%20b:c/?x=1&provider=groq&y=%2F&&z",
        content=body,
        headers={
            "authorization": "Bearer sk-of-the-caller",
            "api-key": "k",
            "x-api-key": "k",
            "x-goog-api-key": "k",
            "cookie": "a=b",
            "proxy-authorization": "Basic eDp5",
            "x-bf-lh-team": "blue",
            "content-type": "application/json; charset=utf-8",
            "user-agent": "me/1",
            "accept": "application/json, text/x",
            "openai-beta": "things=v2",
            "x-stainless-lang": "python",
            "anthropic-version": "2023-06-01",
        },
    )

    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    [received] = upstream.requests
    assert (received.method, received.path) == (
        method,
        "/v1/things/a%20b:c/?x=1&provider=groq&y=%2F&&z",
    )
    assert received.body == body
    sent = dict(received.headers)
    assert sent["authorization"] in {f"Bearer {key}" for key in CANARIES}
    assert sent["host"] == upstream.url.removeprefix("http://")
    assert sent["accept-encoding"] == "gzip, deflate, br, zstd"
    assert {name: sent[name] for name in sent if name.startswith(("x-", "openai", "anth", "us"))} == {
        "user-agent": "me/1",
        "openai-beta": "things=v2",
        "x-stainless-lang": "python",
        "anthropic-version": "2023-06-01",
    }  # fmt: skip
    assert (sent["content-type"], sent["accept"]) == (
        "application/json; charset=utf-8",
        "application/json, text/x",
    )
    assert not sent.keys() & {"api-key", "cookie", "proxy-authorization"}
    [line] = await gateway.wait_for("request completed", route="/openai_passthrough/{path}")
    assert (line["request_type"], line["provider"], line["model"]) == (
        "passthrough",
        "openai",
        "gpt-4o",
    )


async def test_head_is_a_method_too(gateway: Gateway, upstream: Upstream) -> None:
    head = b"HTTP/1.1 200 X\r\ncontent-length: 12\r\netag: e\r\n\r\n"
    upstream.scripts["HEAD /v1/models"] = [raw(head, close=False)]

    answer = await asked(gateway, "HEAD", "/openai_passthrough/v1/models")

    assert (answer.status_code, answer.headers["etag"]) == (200, "e")
    assert (answer.headers["content-length"], answer.content) == ("12", b"")
    assert "content-type" not in answer.headers


async def test_no_content_and_redirects_are_told_and_not_followed(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["DELETE /v1/a"] = [raw(b"HTTP/1.1 204 X\r\n\r\n", close=False)]
    there = {"location": "http://169.254.169.254/secret"}
    upstream.scripts["POST /v1/b"] = [status(307, b"moved", there)]

    gone = await asked(gateway, "DELETE", "/openai_passthrough/v1/a")
    moved = await asked(gateway, "POST", "/openai_passthrough/v1/b")

    assert (gone.status_code, gone.content) == (204, b"")
    assert (moved.status_code, moved.content) == (307, b"moved")
    assert moved.headers["location"] == "http://169.254.169.254/secret"
    assert len(upstream.requests) == 2


async def test_headers_of_the_answer(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["GET /v1/x"] = [
        status(
            200,
            b"<p>",
            {
                "content-type": "text/html",
                "set-cookie": "a=b",
                "www-authenticate": "Basic",
                "proxy-authenticate": "Basic",
                "access-control-allow-origin": "*",
                "x-ratelimit-remaining-requests": "7",
                "openai-processing-ms": "3",
                "x-request-id": "theirs",
                "retry-after": "9",
            },
        )
    ]

    answer = await asked(gateway, "GET", "/openai_passthrough/v1/x", headers={"x-request-id": "me"})

    told = answer.headers
    assert (answer.content, told["content-type"], told["content-length"]) == (
        b"<p>",
        "text/html",
        "3",
    )
    assert (told["x-request-id"], told["x-provider-request-id"]) == ("me", "theirs")
    assert (told["x-ratelimit-remaining-requests"], told["retry-after"]) == ("7", "9")
    assert told["openai-processing-ms"] == "3"
    hidden = {"set-cookie", "www-authenticate", "proxy-authenticate", "access-control-allow-origin"}
    assert not told.keys() & hidden


async def test_a_stream_comes_as_it_is_made_its_head_first(
    gateway: Gateway, upstream: Upstream
) -> None:
    go, events = trio.Event(), [b"data: 1\n\n", b": odd\r\n\r\ndata: [DONE]\n\n"]

    async def slowly(conn: trio.SocketStream, _: Received) -> None:
        await conn.send_all(EVENTS_HEAD)
        await go.wait()
        for event in events:
            await conn.send_all(b"%x\r\n%b\r\n" % (len(event), event))
        await conn.send_all(b"0\r\n\r\n")

    upstream.scripts["m"] = [slowly]
    with trio.fail_after(10):
        async with (
            httpx.AsyncClient(base_url=gateway.url) as client,
            client.stream("POST", CHAT, json={"stream": True, "model": "m"}) as answer,
        ):
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream"
            go.set()
            got = b"".join([block async for block in answer.aiter_raw()])

    assert got == b"".join(events)
    assert upstream.requests[0].header("accept-encoding") == "identity"
    await gateway.wait_for("request completed", request_type="passthrough_stream", status=200)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_an_answer_that_breaks_off_looks_broken(
    gateway: Gateway, upstream: Upstream, is_stream: bool, version: str
) -> None:
    upstream.scripts["m"] = [raw(EVENTS_HEAD + b"9\r\ndata: 1\n\n\r\n")]
    body = json.dumps({"model": "m", "stream": is_stream}).encode()
    head = f"POST {CHAT} HTTP/{version}\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()

    with trio.fail_after(10):
        conn = await trio.open_tcp_stream("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        got, is_reset = b"", False
        async with conn:
            await conn.send_all(head + body)
            try:
                while data := await conn.receive_some():
                    got += data
            except trio.BrokenResourceError:
                is_reset = True

    assert got.startswith(b"HTTP/1.1 200")
    assert not got.endswith(b"0\r\n\r\n")
    assert b"error" not in got
    # Only there does the end of the connection look like the end of the answer.
    assert is_reset == (version == "1.0")
    assert len(upstream.requests) == 1


async def test_a_stream_that_is_cut_before_its_first_event_looks_broken_too(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["m"] = [raw(EVENTS_HEAD)]

    with pytest.raises(httpx.RemoteProtocolError):
        await asked(gateway, "POST", CHAT, json={"model": "m", "stream": True})

    assert len(upstream.requests) == 1


@pytest.mark.parametrize("body", [b'{ "error":{"message":"no" } }\n', b"<html>no</html>", b""])
async def test_refusals_are_told_as_they_came(
    gateway: Gateway, upstream: Upstream, body: bytes
) -> None:
    told = {"content-type": "text/x; a=b", "retry-after": "0", "x-should-retry": "false"}
    codes = (400, 401, 403, 404, 409, 422, 429, 500, 503)
    for code in codes:
        upstream.scripts["m"] = [status(code, body, told)]

        answer = await asked(gateway, "POST", CHAT, f"lone-{code}", json={"model": "m"})

        assert (answer.status_code, answer.content) == (code, body)
        assert {name: answer.headers[name] for name in told} == told
        [line] = await gateway.wait_for("request completed", provider=f"lone-{code}")
        assert (line["status"], line["key_name"]) == (code, f"lone-{code}")
        assert line["error_class"]
    assert len(upstream.requests) == len(codes)


async def test_a_key_that_is_refused_rests_and_another_is_tried(
    gateway: Gateway, upstream: Upstream
) -> None:
    limited = status(429, {"error": {"message": "slow down"}}, {"retry-after": "60"})
    upstream.scripts["m"] = [limited, plain({"n": 1}), plain({"n": 2}), plain({"n": 3})]

    answers = [(await asked(gateway, "POST", CHAT, json={"model": "m"})).json() for _ in range(3)]

    assert answers == [{"n": 1}, {"n": 2}, {"n": 3}]
    keys = [received.header("authorization") for received in upstream.requests]
    assert keys[0] != keys[1]
    assert keys[1:] == [keys[1]] * 3


async def test_what_may_have_been_done_is_not_done_twice(
    gateway: Gateway, upstream: Upstream
) -> None:
    failing = status(500, {"error": {"message": "oops"}})
    upstream.scripts["POST /v1/a"] = upstream.scripts["GET /v1/a"] = [failing]

    posted = await asked(gateway, "POST", "/openai_passthrough/v1/a")
    got = await asked(gateway, "GET", "/openai_passthrough/v1/a")

    assert (posted.status_code, got.status_code) == (500, 500)
    assert got.json() == {"error": {"message": "oops"}}
    assert [received.method for received in upstream.requests] == ["POST", "GET", "GET"]


async def test_a_key_that_is_echoed_is_not_told(gateway: Gateway, upstream: Upstream) -> None:
    def echo(code: int) -> Behaviour:
        async def behave(conn: trio.SocketStream, received: Received) -> None:
            text = f"bad key {received.header('authorization')}".encode()
            await status(code, text)(conn, received)

        return behave

    upstream.scripts["POST /v1/a"] = [echo(400)]

    answer = await asked(gateway, "POST", "/openai_passthrough/v1/a")

    assert answer.status_code == 400
    assert answer.text.startswith("bad key Bearer ***")
    assert_no_secret(answer.text)


async def test_what_the_gateway_has_to_say_is_its_own_error_object(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["slow"] = [hang()]
    upstream.scripts["long"] = [status(404, b"x" * (1024 * 1024 + 1))]

    timed_out = await asked(gateway, "POST", CHAT, json={"model": "slow"})
    too_long = await asked(gateway, "POST", CHAT, json={"model": "long"})
    unnamed = await asked(gateway, "POST", CHAT, "nobody", json={})
    unable = await asked(gateway, "POST", CHAT, "groq", json={})
    unset = await asked(gateway, "POST", "/anthropic_passthrough/v1/messages", json={})
    gemini = await asked(gateway, "POST", "/genai_passthrough/v1beta/models/m:generateContent")
    empty = await asked(gateway, "GET", "/openai_passthrough/")
    traced = await asked(gateway, "TRACE", "/openai_passthrough/v1/x")
    job = await asked(gateway, "POST", CHAT, headers={"x-bf-async": "true"})
    admin = await asked(gateway, "GET", "/openai_passthrough/v1/organization/users")

    answers = (timed_out, too_long, unnamed, unable, unset, gemini, empty, traced, job, admin)
    assert [one.status_code for one in answers] == [
        *(504, 404, 400, 400, 400, 400, 404, 405, 400, 403),
    ]
    assert all("message" in one.json()["error"] for one in answers)
    assert unable.json()["error"]["code"] == "unsupported_operation"
    assert "anthropic" in unset.json()["error"]["message"]
    assert "gemini" in gemini.json()["error"]["message"]
    assert traced.headers["allow"] == "DELETE, GET, HEAD, PATCH, POST, PUT, OPTIONS"
    assert len(upstream.requests) == 2


async def test_hostile_paths_are_refused(gateway: Gateway, upstream: Upstream) -> None:
    for path in HOSTILE:
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1")

        got = await over_a_socket(gateway, request)

        head, _, body = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 "), got[:300]
        assert json.loads(body)["error"]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://evil.example/openai_passthrough/v1/x", "evil.example"),
        ("/openai_passthrough/v1/x", "evil.example"),
        ("/openai_passthrough/v1/x?url=http://evil.example/", "localhost"),
    ],
)
async def test_no_request_says_where_the_key_goes(
    gateway: Gateway, upstream: Upstream, target: str, host: str
) -> None:
    lines = ["x-forwarded-host: evil.example", "forwarded: host=evil.example", "connection: close"]
    head = "\r\n".join([f"GET {target} HTTP/1.1", f"host: {host}", *lines, "", ""])

    got = await over_a_socket(gateway, head.encode())

    assert got.startswith(b"HTTP/1.1 200 ")
    [received] = upstream.requests
    assert received.header("host") == upstream.url.removeprefix("http://")
    assert not [name for name, _ in received.headers if "forwarded" in name]


async def test_a_caller_who_leaves_ends_his_generation_but_not_what_he_made(
    gateway: Gateway, upstream: Upstream
) -> None:
    seen = trio.Event()

    async def slowly(conn: trio.SocketStream, received: Received) -> None:
        seen.set()
        await trio.sleep(1.5)
        await plain()(conn, received)

    upstream.scripts["m"] = upstream.scripts["POST /v1/files"] = [slowly]
    for path, sent, code in (
        (CHAT, {"model": "m"}, 499),
        ("/openai_passthrough/v1/files", {}, 200),
    ):
        seen = trio.Event()
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(post, gateway, path, sent)
                await seen.wait()
                nursery.cancel_scope.cancel()
        await gateway.wait_for("request completed", route="/openai_passthrough/{path}", status=code)


async def post(gateway: Gateway, path: str, sent: dict[str, Any]) -> None:
    await asked(gateway, "POST", path, json=sent)


async def test_large_bodies_pass_both_ways_byte_for_byte(
    upstream: Upstream, tmp_path: Path
) -> None:
    block = bytes(range(256)) * 4096
    size = 24 * len(block)

    async def mirror(conn: trio.SocketStream, received: Received) -> None:
        head = f"HTTP/1.1 200 X\r\ncontent-type: a/b\r\ncontent-length: {size}\r\n\r\n"
        await conn.send_all(head.encode())
        await conn.send_all(received.body)

    upstream.scripts["POST /upload/v1beta/files"] = [mirror]
    config = {"providers": {"openai": openai_provider(upstream.url, *CANARIES)}}
    found = hashlib.sha256()
    async with (
        running(config, tmp_path) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=30) as client,
        client.stream(
            "POST",
            "/openai_passthrough/upload/v1beta/files",
            content=Blocks(block, 24),
            headers={"content-type": "video/mp4"},
        ) as answer,
    ):
        async for data in answer.aiter_raw():
            found.update(data)
        assert answer.headers["content-length"] == str(size)

    assert found.digest() == hashlib.sha256(block * 24).digest()
    [received] = upstream.requests
    assert received.header("content-type") == "video/mp4"


class Blocks:
    """A body that is sent ``count`` times the same block, without saying how long it will be."""

    def __init__(self, block: bytes, count: int) -> None:
        self._left = iter([block] * count)

    def __aiter__(self) -> Blocks:
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self._left)
        except StopIteration:
            raise StopAsyncIteration from None


async def test_a_form_goes_on_under_its_own_boundary(gateway: Gateway, upstream: Upstream) -> None:
    body = (
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n'
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--\r\nepilogue'
    )

    answer = await asked(
        gateway,
        "POST",
        "/openai_passthrough/v1/audio/transcriptions",
        content=body,
        headers={"content-type": "multipart/form-data; boundary=b"},
    )

    assert answer.status_code == 200
    [received] = upstream.requests
    assert received.body == body
    assert received.header("content-type") == "multipart/form-data; boundary=b"
    await gateway.wait_for("request completed", model="whisper-1", status=200)


async def test_a_body_that_names_two_models_goes_nowhere(
    gateway: Gateway, upstream: Upstream
) -> None:
    """Which of them counts is the upstream's choice, and the key was chosen for one."""
    part = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\n'
    sent = [
        ("audio/transcriptions", "multipart/form-data; boundary=b", b"%ba\r\n%bb\r\n--b--\r\n" % (part, part)),
        ("chat/completions", "application/json", b'{"model":"a","model":"b"}'),
        ("chat/completions", "application/json", '{"model":"a"}'.encode("utf-16")),
        ("chat/completions", "text/plain", b'\xef\xbb\xbf{"model":"a"}'),
    ]  # fmt: skip

    for path, kind, body in sent:
        headers = {"content-type": kind}
        answer = await asked(gateway, "POST", f"/openai_passthrough/v1/{path}", content=body, headers=headers)  # fmt: skip

        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model"), body[:40]
    assert upstream.requests == []


async def test_the_official_sdk_works_through_it(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o"] = [plain(), stream()]
    upstream.scripts["nope"] = [
        status(404, {"error": {"message": "no such model", "code": "model_not_found"}})
    ]
    client = sdk(gateway, "/openai_passthrough/v1")
    create = client.chat.completions.create
    messages: Any = [{"role": "user", "content": "hi"}]

    answer = await in_thread(create, model="gpt-4o", messages=messages)
    events = await in_thread(lambda: list(create(model="gpt-4o", messages=messages, stream=True)))
    with pytest.raises(openai.NotFoundError) as caught:
        await in_thread(create, model="nope", messages=messages)

    assert answer.choices[0].message.content == "Hello"
    assert "extra_fields" not in (answer.model_extra or {})
    assert "".join(e.choices[0].delta.content or "" for e in events if e.choices) == "Hello"
    assert caught.value.code == "model_not_found"
    assert [r.model for r in upstream.requests] == ["gpt-4o", "gpt-4o", "nope"]
