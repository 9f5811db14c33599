"""A scripted upstream on a real socket that misbehaves on request.

Each model's name has a script, or else each path (``POST /v1/files``): behaviours used one a request, the last one for
ever. A behaviour writes raw bytes, so anything can be said, well-formed or not.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import attrs
import trio

__all__ = [
    "Behaviour",
    "Received",
    "Upstream",
    "chat_answer",
    "cut",
    "hang",
    "plain",
    "raw",
    "status",
    "stream",
    "stream_chunks",
]

FORM_MODEL = re.compile(rb'name="model"\r\n\r\n(.*?)\r\n')


@attrs.define
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def is_json(self) -> bool:
        return self.body.startswith(b"{")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def model(self) -> str:
        """What is asked of, in a JSON body or a form; ``""`` if nothing is named."""
        if self.is_json:
            return str(self.json.get("model", ""))
        found = FORM_MODEL.search(self.body)
        return found[1].decode() if found else ""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


Behaviour = Callable[[trio.SocketStream, Received], Awaitable[None]]


@attrs.define(eq=False)
class Upstream:
    """Serves until its nursery ends. ``open_connections`` tells whether hung-up callers were let go."""

    scripts: dict[str, list[Behaviour]] = attrs.field(factory=dict)
    requests: list[Received] = attrs.field(factory=list)
    open_connections: int = 0
    accepted: int = 0
    port: int = 0

    async def run(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.serve_listeners, self._serve, listeners))
            task_status.started(self.port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, model: str) -> list[Received]:
        """The requests that came for ``model``."""
        return [r for r in self.requests if r.model == model]

    async def _serve(self, conn: trio.SocketStream) -> None:
        self.open_connections += 1
        self.accepted += 1
        try:
            await self._converse(conn)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, ConnectionError):
            pass
        finally:
            self.open_connections -= 1
            with trio.move_on_after(1, shield=True):
                await conn.aclose()

    async def _converse(self, conn: trio.SocketStream) -> None:
        rest = b""
        while True:
            received, rest = await _read_request(conn, rest)
            if received is None:
                return
            self.requests.append(received)
            behaviour = self._next(received)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_watch, conn, nursery.cancel_scope)
                await behaviour(conn, received)
                nursery.cancel_scope.cancel()

    def _next(self, received: Received) -> Behaviour:
        at = f"{received.method} {received.path.partition('?')[0]}"
        names = (received.model, received.path, at, "*")
        script = next((self.scripts[n] for n in names if self.scripts.get(n)), [plain()])
        return script.pop(0) if len(script) > 1 else script[0]


async def _watch(conn: trio.SocketStream, scope: trio.CancelScope) -> None:
    """Notice a caller that hangs up while it is being answered."""
    try:
        while True:
            await trio.lowlevel.wait_readable(conn.socket)
            if not await conn.socket.recv(1, socket.MSG_PEEK):
                break
            await trio.sleep(0.01)
    except (OSError, ValueError, trio.ClosedResourceError, trio.BusyResourceError):
        # Reset by the caller, or closed by the behaviour itself (its number may be in use again).
        pass
    scope.cancel()


async def _read_request(conn: trio.SocketStream, rest: bytes) -> tuple[Received | None, bytes]:
    while b"\r\n\r\n" not in rest:
        data = await conn.receive_some()
        if not data:
            return None, b""
        rest += data
    head, rest = rest.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = [(n.lower(), v.strip()) for n, v in (line.split(":", 1) for line in lines[1:])]
    length = int(dict(headers).get("content-length", "0"))
    while len(rest) < length:
        data = await conn.receive_some()
        if not data:
            return None, b""
        rest += data
    return Received(method, path, headers, bytes(rest[:length])), bytes(rest[length:])


def chat_answer(text: str = "Hello", model: str = "m", **more: Any) -> dict[str, Any]:
    """A chat completion as OpenAI sends it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        "system_fingerprint": "fp_1",
        **more,
    }


def stream_chunks(words: Iterable[str] = ("Hel", "lo")) -> list[dict[str, Any]]:
    """The chunks of a streamed chat completion, usage last."""

    def chunk(choices: list[Any], **more: Any) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "m",
            "choices": choices,
            **more,
        }

    def delta(value: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return chunk([{"index": 0, "delta": value, "finish_reason": finish}], usage=None)

    return [
        delta({"role": "assistant", "content": ""}),
        *(delta({"content": word}) for word in words),
        delta({}, "stop"),
        chunk([], usage={"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}),
    ]


def _head(code: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {code} X\r\n{lines}\r\n".encode()


def plain(answer: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Behaviour:
    """A good answer."""
    body = json.dumps(answer or chat_answer()).encode()
    return status(200, body, headers)


def status(
    code: int, body: bytes | dict[str, Any] = b"", headers: dict[str, str] | None = None
) -> Behaviour:
    """An answer with ``code``."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {
        "content-type": "application/json",
        "content-length": str(len(data)),
        **(headers or {}),
    }

    async def behave(conn: trio.SocketStream, _: Received) -> None:
        await conn.send_all(_head(code, lines) + data)

    return behave


def raw(*pieces: bytes | float, close: bool = True) -> Behaviour:
    """Exactly these bytes, with pauses of so many seconds between; then close."""

    async def behave(conn: trio.SocketStream, _: Received) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                await conn.send_all(piece)
            else:
                await trio.sleep(piece)
        if close:
            await conn.aclose()

    return behave


def stream(
    chunks: list[dict[str, Any]] | None = None,
    *,
    pause_s: float = 0.0,
    done: bool = True,
    end: bool = True,
    then_hang: bool = False,
    headers: dict[str, str] | None = None,
) -> Behaviour:
    """An SSE answer, chunked. ``done`` sends ``[DONE]``, ``end`` the last chunk of the coding."""

    async def behave(conn: trio.SocketStream, _: Received) -> None:
        lines = {
            "content-type": "text/event-stream; charset=utf-8",
            "transfer-encoding": "chunked",
            **(headers or {}),
        }
        await conn.send_all(_head(200, lines))
        for chunk in stream_chunks() if chunks is None else chunks:
            await conn.send_all(_chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n"))
            if pause_s:
                await trio.sleep(pause_s)
        if then_hang:
            await trio.sleep_forever()
        if done:
            await conn.send_all(_chunk(b"data: [DONE]\n\n"))
        if end:
            await conn.send_all(b"0\r\n\r\n")
        else:
            await conn.aclose()

    return behave


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def hang() -> Behaviour:
    """No answer, ever."""

    async def behave(conn: trio.SocketStream, _: Received) -> None:
        await trio.sleep_forever()

    return behave


def cut() -> Behaviour:
    """The connection closes without an answer."""
    return raw()
