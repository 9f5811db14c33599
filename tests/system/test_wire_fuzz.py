"""Anything at all on a socket, to every route: it is answered in HTTP, with the error object if it is refused.

Never a 5xx, never silence, never a line in the log that is none of a log. What an upstream gets behaves.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bifrost.integrations.relay_routes import ADMIN, RELAYED
from system.openai_like import OpenAILike
from system.test_bodies import Served, served

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

PATIENCE_S = 20.0
"""For an answer; a body that does not come is waited for one second."""


@contextmanager
def behaving() -> Iterator[str]:
    """The URL of an upstream in a thread of its own."""
    upstream, is_ready = OpenAILike(), threading.Event()
    kept: dict[str, Any] = {}

    async def serve() -> None:
        kept.update(token=trio.lowlevel.current_trio_token(), stop=trio.Event())
        async with trio.open_nursery() as nursery:
            await nursery.start(upstream.run)
            is_ready.set()
            await kept["stop"].wait()
            nursery.cancel_scope.cancel()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert is_ready.wait(PATIENCE_S)
    try:
        yield upstream.url
    finally:
        kept["token"].run_sync_soon(kept["stop"].set)
        thread.join(PATIENCE_S)


@attrs.frozen
class Target:
    """A gateway, and the templates of its routes."""

    port: int
    paths: tuple[str, ...] = attrs.field(repr=False)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Checked at its end: it has written nothing but its log, and no error into that."""
    with behaving() as url:
        config = {
            "client": {"max_request_body_size_mb": 1, "body_timeout_s": 1},
            "providers": {
                "mock": {},
                "openai": {
                    "keys": [{"name": "a", "value": "sk-a"}, {"name": "b", "value": "sk-b"}],
                    "network_config": {"base_url": url, "max_retries": 0},
                    "failure_threshold": 1_000_000,
                },
            },
        }
        with served(config, tmp_path_factory.mktemp("wire"), "gateway") as gateway:
            yield _target(gateway)


def _target(gateway: Served) -> Target:
    document = gateway.client.get(f"{gateway.url}/openapi.json").json()
    relayed = (f"/openai/v1/{shape}" for shape in sorted(RELAYED | ADMIN))
    port = httpx.URL(gateway.url).port
    assert port is not None
    return Target(port, (*document["paths"], *relayed))


# What is sent

UNKNOWN = "BREW"
"""A method that no server knows: 501, and no fault of ours."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", UNKNOWN)

segments = st.one_of(
    st.sampled_from(
        [
            "file-1",
            "batch_1",
            "..",
            ".",
            "%2e%2e",
            "%2f",
            "%",
            "%00",
            "%zz",
            ";",
            "a b",
            "mock/echo",
            "",
        ]
    ),
    st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=8
    ),
)
tails = st.sampled_from(
    ["", "", "", "", "/", "//", "?", "/x", "%2f..", "?provider=openai"]
) | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=12)
queries = st.sampled_from(
    [
        *("", "", "", "?provider=nobody", "?provider=mock", "?after=eyJ2Ijo5fQ", "?after=%ff"),
        *("?limit=x", "?page_size=-1", "?page_token=!!", "?stream=true", "?&&==", "?%"),
        f"?{'a' * 20_000}",
    ]
)

texts = st.text(max_size=12)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
models = st.sampled_from(["openai/m", "mock/echo", "m", "nobody/m", "mock/echo?chunks=2"])
NAMES = ("messages", "input", "prompt", "stream", "query", "documents", "voice", "fallbacks")
members = st.fixed_dictionaries({"model": models}, optional=dict.fromkeys(NAMES, jsons)) | jsons


@st.composite
def fit(draw: st.DrawFn) -> Any:
    """A body that every operation can be asked with."""
    return {
        "model": draw(models),
        "messages": [{"role": "user", "content": draw(texts)}],
        **dict.fromkeys(("input", "prompt", "query", "voice", "documents"), "x"),
        "documents": ["a"],
        "stream": draw(st.booleans()),
    }


@st.composite
def json_bodies(draw: st.DrawFn) -> bytes:
    data = json.dumps(draw(fit() | members)).encode()
    return draw(st.just(data) | st.integers(0, len(data)).map(lambda end: data[:end]))


BOUNDARY = "xYzZY"
fields = st.tuples(
    st.sampled_from(
        ["model", "prompt", "purpose", "stream", "fallbacks", "provider", "", 'a"b', "ü"]
    ),
    st.sampled_from(["openai/m", "true", "maybe", "mock/echo", "batch"]) | texts,
)
files = st.tuples(
    st.sampled_from(["file", "image", "image[]", "mask", "x"]),
    st.sampled_from(['; filename="a.png"', "; filename=", "; filename*=UTF-8''%ff", ""]),
    st.binary(max_size=30),
)


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """Parts as they should be, and then perhaps something broken."""
    written = [("model", "openai/m"), ("prompt", "p"), *draw(st.lists(fields, max_size=3))]
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in written
    ]
    for name, said, content in draw(st.lists(files, max_size=3)):
        head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"{said}\r\n'
        parts.append(head.encode() + b"content-type: image/png\r\n\r\n" + content + b"\r\n")
    data = b"".join(draw(st.permutations(parts))) + f"--{BOUNDARY}--\r\n".encode()
    match draw(st.sampled_from(["whole"] * 5 + ["cut", "damaged", "other end", "bare lines"])):
        case "cut":
            return data[: draw(st.integers(0, len(data)))]
        case "damaged":
            at = draw(st.integers(0, len(data)))
            return data[:at] + draw(st.binary(max_size=4)) + data[at + 3 :]
        case "other end":
            return data.replace(f"--{BOUNDARY}--".encode(), b"--other--")
        case "bare lines":
            return data.replace(b"\r\n", b"\n")
        case _:
            return data


JSON_KINDS = st.sampled_from(["application/json", "application/json; charset=utf-16", "text/json"])
FORM_KINDS = st.sampled_from(
    [
        *[f"multipart/form-data; boundary={BOUNDARY}"] * 4,
        f'multipart/form-data; boundary="{BOUNDARY}"',
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=other",
        f"multipart/form-data; boundary={'b' * 300}",
        f"multipart/mixed; boundary={BOUNDARY}",
    ]
)
bodies = st.one_of(
    st.tuples(JSON_KINDS, json_bodies()),
    st.tuples(FORM_KINDS, forms()),
    st.tuples(JSON_KINDS | FORM_KINDS | st.just(""), st.binary(max_size=40)),
)
HEADERS = (
    *("x-bf-vk: sk-bf-x", "x-bf-api-key: a", "x-bf-api-key: nobody", "x-bf-api-key-id: \t"),
    *(
        "x-bf-strict: true",
        "x-bf-session-id: s",
        "x-bf-session-ttl: 99999999h",
        "x-model-provider: x",
    ),
    *("x-model-provider: openai", "x-bf-eh-x: \x01", "x-bf-eh-: y", "authorization: Bearer \xff"),
    *(
        "accept: text/event-stream",
        "accept-encoding: gzip",
        "content-encoding: gzip",
        "range: bytes=0-",
    ),
    *(
        "content-encoding: x",
        "x-request-id: a b",
        "traceparent: 00",
        "expect: 100-continue",
        "te: x",
    ),
    *(
        "origin: http://localhost",
        "upgrade: h2c",
        "connection: x-bf-vk",
        "x-bf-send-back-raw-response: true",
    ),
)


@attrs.frozen
class Sent:
    """One request, as it goes on the wire. Its path is one of so many, with ``{…}`` filled in."""

    method: str
    path_number: int
    fills: tuple[str, ...]
    tail: str
    kind: str
    headers: tuple[str, ...]
    body: bytes
    framing: str

    def path(self, target: Target) -> str:
        fills = iter(self.fills)
        template = target.paths[self.path_number % len(target.paths)]
        return re.sub(r"\{\w+\}", lambda _: next(fills, "x"), template) + self.tail

    def data(self, target: Target) -> bytes:
        lines = [f"{self.method} {self.path(target)} HTTP/1.1", "host: x", "connection: close"]
        lines += [f"content-type: {self.kind}"] if self.kind else []
        lines += [*self.headers, *self._framing()]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self._framed()

    def _framing(self) -> tuple[str, ...]:
        length = len(self.body)
        return {
            "length": (f"content-length: {length}",),
            "short": (f"content-length: {length + 5}",),
            "long": (f"content-length: {length // 2}",),
            "chunked": ("transfer-encoding: chunked",),
            "broken": ("transfer-encoding: chunked",),
            "both": (f"content-length: {length}", "transfer-encoding: chunked"),
            "none": (),
        }[self.framing]

    def _framed(self) -> bytes:
        if self.framing in {"chunked", "both"}:
            chunk = b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b""
            return chunk + b"0\r\n\r\n"
        return b"zz\r\n" + self.body if self.framing == "broken" else self.body


requests = st.builds(
    lambda kind_and_body, tail, query, **more: Sent(
        kind=kind_and_body[0], body=kind_and_body[1], tail=tail + query, **more
    ),
    kind_and_body=bodies,
    tail=tails,
    query=queries,
    method=st.sampled_from(("POST",) * 6 + METHODS),
    path_number=st.integers(0, 2**16),
    fills=st.lists(segments, min_size=4, max_size=4).map(tuple),
    headers=st.lists(st.sampled_from(HEADERS), max_size=3).map(tuple),
    framing=st.sampled_from(
        ["length"] * 12 + ["chunked"] * 4 + ["short", "long", "broken", "both", "none"]
    ),
)


# What comes back


def ask(target: Target, data: bytes, method: str) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer; the connection is closed after it."""
    with socket.create_connection(("127.0.0.1", target.port), PATIENCE_S) as conn:
        # It may be refused before all of it was read; what was said is there to be read.
        with suppress(ConnectionError):
            conn.sendall(data)
        answer = http.client.HTTPResponse(conn, method=method)
        answer.begin()
        return answer.status, answer.headers.get("content-type", ""), answer.read()


OTHERS = ("/anthropic", "/genai", "/bedrock", "/langchain", "/litellm", "/pydanticai")
"""Where failures may have the shape of another API than OpenAI's."""


def check(path: str, method: str, status: int, kind: str, body: bytes) -> None:
    assert 200 <= status < 500 or (status, method) == (501, UNKNOWN), body
    if status < 400 or method == "HEAD" or (method == "OPTIONS" and not body):
        return
    assert kind == "application/json"
    told = json.loads(body)
    if not (path.startswith(OTHERS) and _is_anothers(told, status)):
        assert told["status_code"] == status
        assert isinstance(told["error"]["message"], str)
        assert isinstance(told["extra_fields"], dict)


def _is_anothers(told: object, status: int) -> bool:
    """Whether it is an error of Anthropic's, of Google's, or of AWS's."""
    match told:
        case {"type": "error", "error": {"type": str(), "message": str()}}:
            return True
        case {"error": {"code": code, "message": str(), "status": str()}}:
            return bool(code == status)
        case {"__type": str(), "message": str()}:
            return True
        case _:
            return False


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sent=requests)
def test_whatever_is_sent_is_answered(target: Target, sent: Sent) -> None:
    check(sent.path(target), sent.method, *ask(target, sent.data(target), sent.method))


@settings(max_examples=100, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=200),
    path_number=st.integers(0, 2**16),
    at=st.integers(0, 200),
)
def test_a_damaged_head_is_answered_or_hung_up_on(
    target: Target, data: bytes, path_number: int, at: int
) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
    whole = head % target.paths[path_number % len(target.paths)].encode()
    with socket.create_connection(("127.0.0.1", target.port), PATIENCE_S) as conn:
        conn.sendall(whole[:at] + data + whole[at:])
        conn.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: conn.recv(65536), b""))

    assert not answer or re.match(rb"HTTP/1\.[01] ([1-4]\d\d|501|505) ", answer), answer


@pytest.mark.parametrize("method", METHODS)
def test_every_route_answers_every_method(target: Target, method: str) -> None:
    for number in range(len(target.paths)):
        sent = Sent(method, number, ("file-1",) * 4, "", "application/json", (), b"{}", "length")
        check(sent.path(target), method, *ask(target, sent.data(target), method))
