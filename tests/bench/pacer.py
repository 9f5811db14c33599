"""A server of paced streams: each POST is answered by events at a set distance, each with the time it was sent.

``python -m bench.pacer PORT`` serves on 127.0.0.1 until it is ended. Times are CLOCK_MONOTONIC in nanoseconds, one
clock for all processes of a machine, so a reader can tell how long each event has been on its way.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import trio

from bench.upstream import chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["INTERVAL_S", "PACED_EVENTS", "serve"]

INTERVAL_S = 0.02
"""Between two events of a stream: 50 tokens a second."""
PACED_EVENTS = 100
"""Stamped events of a stream: two seconds."""

GOLDEN = 0.618
"""Multiples of it, less their whole part, are spread evenly: so are streams that begin together over the interval."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
MAX_REQUEST = 1 << 20


async def serve(port: int) -> None:
    await trio.serve_tcp(partial(_converse, count()), port, host="127.0.0.1")


async def _converse(numbers: Iterator[int], stream: trio.SocketStream) -> None:
    """Request after request on one connection, until the client leaves."""
    rest = b""
    try:
        while True:
            head, rest = await _read_request(stream, rest)
            if head.startswith(b"GET "):
                await stream.send_all(OK)
            else:
                await _send_events(stream, next(numbers) * GOLDEN % 1 * INTERVAL_S)
    except (trio.BrokenResourceError, EOFError):
        await stream.aclose()


async def _read_request(stream: trio.SocketStream, data: bytes) -> tuple[bytes, bytes]:
    """The head of the next request, and what came after the request. Raises EOFError."""
    while b"\r\n\r\n" not in data:
        data += await _read(stream, data)
    head, _, body = data.partition(b"\r\n\r\n")
    length = _content_length(head)
    while len(body) < length:
        body += await _read(stream, body)
    return head, body[length:]


async def _read(stream: trio.SocketStream, so_far: bytes) -> bytes:
    data = await stream.receive_some(65536)
    if not data or len(so_far) > MAX_REQUEST:
        raise EOFError
    return bytes(data)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _send_events(stream: trio.SocketStream, phase_s: float) -> None:
    """Events at their times: a late one does not delay those after it."""
    await stream.send_all(HEAD + _framed(chunk({"role": "assistant", "content": ""})))
    start = trio.current_time() + phase_s
    for number in range(1, PACED_EVENTS + 1):
        await trio.sleep_until(start + number * INTERVAL_S)
        await stream.send_all(_framed(chunk({"content": f"@{time.monotonic_ns()};"})))
    await stream.send_all(_framed(chunk({}, "stop") + "data: [DONE]\n\n") + b"0\r\n\r\n")


def _framed(text: str) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text.encode())


if __name__ == "__main__":
    trio.run(partial(serve, int(sys.argv[1])))
