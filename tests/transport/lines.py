"""In-memory upstreams for the tests of this room: every dialled line ends in a scripted server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import attrs
import trio
import trio.testing

from bifrost.providers.base import Headers, Origin, UpstreamRequest
from bifrost.transport.wire import Line

if TYPE_CHECKING:
    from bifrost.schema.payload import Payload

ORIGIN = Origin("http", "upstream.test", 80)
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CUT = b""
"""In a script: close the connection."""

Server = Callable[[trio.abc.Stream], Awaitable[None]]
MemoryStream = trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]


def request(
    body: bytes | Payload = b"{}",
    *,
    method: bytes = b"POST",
    headers: Headers = (),
    origin: Origin = ORIGIN,
) -> UpstreamRequest:
    return UpstreamRequest(
        method=method, origin=origin, target=b"/v1/x", headers=headers, body=body
    )


@attrs.define
class Exchanges:
    """A server that reads whole requests and answers each with the next script: bytes, pauses in seconds, ``CUT``."""

    scripts: list[list[bytes | float]]
    requests: list[bytes] = attrs.field(factory=list)

    async def __call__(self, stream: trio.abc.Stream) -> None:
        held = bytearray()
        while whole := await read_request(stream, held):
            self.requests.append(whole)
            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            for step in script:
                if step == CUT:
                    await stream.aclose()
                    return
                if isinstance(step, bytes):
                    await stream.send_all(step)
                else:
                    await trio.sleep(step)


async def read_request(stream: trio.abc.Stream, held: bytearray) -> bytes:
    """The next request with its body, or ``b""`` at the end."""
    while True:
        head, found, rest = bytes(held).partition(b"\r\n\r\n")
        if found:
            length = next(
                (int(x[15:]) for x in head.split(b"\r\n") if x.startswith(b"content-length:")), 0
            )
            if len(rest) >= length:
                size = len(head) + 4 + length
                whole = bytes(held[:size])
                del held[:size]
                return whole
        data = await stream.receive_some()
        if not data:
            return b""
        held += data


@attrs.define
class Lines:
    """Dials lines to ``server``, counts them, and knows which have been hung up."""

    nursery: trio.Nursery
    server: Server
    dialled: int = 0
    hung_up: list[int] = attrs.field(factory=list)
    readable: set[int] = attrs.field(factory=set)
    connect_s: float = 0.0

    async def dial(self, origin: Origin) -> Line:
        await trio.sleep(self.connect_s)
        number = self.dialled
        self.dialled += 1
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._serve, theirs)

        def hang_up() -> None:
            self.hung_up.append(number)
            close_now(ours)

        return Line(ours, hang_up, lambda: number in self.readable)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        try:
            await self.server(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The client has hung up: a server has to live with that.
            return


def close_now(stream: MemoryStream) -> None:
    stream.send_stream.close()
    stream.receive_stream.close()
