"""One accepted connection, as the lane sees it, whatever carries it."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import TypeAlias

import attrs
import trio
from hypercorn.utils import parse_socket_addr

from bifrost.quick_stream import QuickStream, has_ended

__all__ = ["Link", "Replayed", "TLSStream", "link_of"]

TLSStream: TypeAlias = "trio.SSLStream[trio.SocketStream]"

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def _never() -> bool:
    return False


@attrs.frozen(kw_only=True)
class Link:
    """An open connection to a client.

    ``hang_up`` closes it at once, without waiting; with ``True`` as a reset, which no client takes for the end of an
    answer. Whoever waits for the stream is told by ClosedResourceError.
    """

    stream: trio.abc.Stream
    hang_up: Callable[[bool], None]
    has_ended: Callable[[], bool] = _never
    """Whether the client has gone, told without waiting."""
    can_tell: bool = False
    """Whether ``has_ended`` knows; where it does not, only reading tells."""
    client: tuple[str, int] | None = None
    server: tuple[str, int] | None = None
    scheme: str = "http"


def link_of(stream: trio.SocketStream | TLSStream) -> Link:
    """The link of a socket. Raises OSError if its client has gone already."""
    inner = stream if isinstance(stream, trio.SocketStream) else stream.transport_stream
    sock = inner.socket

    def hang_up(reset: bool) -> None:
        if reset:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        sock.close()

    def client_has_gone() -> bool:
        # Of a closed socket, as ``hang_up`` leaves it, nothing may be asked.
        return sock.fileno() < 0 or has_ended(sock)

    is_plain = isinstance(stream, trio.SocketStream)
    return Link(
        stream=QuickStream(inner) if is_plain else stream,
        hang_up=hang_up,
        has_ended=client_has_gone,
        can_tell=is_plain,
        client=parse_socket_addr(sock.family, sock.getpeername()),
        server=parse_socket_addr(sock.family, sock.getsockname()),
        scheme="http" if is_plain else "https",
    )


class Replayed(trio.abc.Stream):
    """A stream from which something has been read already, for hypercorn to read it anew.

    hypercorn sends in a shield and without limit; here a client that takes nothing for ``stall_s`` is hung up on.
    What else hypercorn asks of a stream (its socket, its TLS) is asked of the one inside.
    """

    def __init__(self, link: Link, data: bytes, stall_s: float) -> None:
        self._link = link
        self._inner = link.stream
        self._data = data
        self._stall_s = stall_s

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if not self._data:
            return await self._inner.receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        size = len(self._data) if max_bytes is None else max_bytes
        data, self._data = self._data[:size], self._data[size:]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.move_on_after(self._stall_s) as stall:
            await self._inner.send_all(data)
        if stall.cancelled_caught:
            self._link.hang_up(True)
            raise trio.BrokenResourceError("the client takes nothing")

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._inner.aclose()
