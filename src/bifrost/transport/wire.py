"""One HTTP/1.1 connection on a trio stream: a request out, the response's bytes in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.errors import InternalError
from bifrost.transport.faults import bad_request, broken
from bifrost.transport.outgoing import Outgoing
from bifrost.transport.response import ResponseReader

if TYPE_CHECKING:
    from bifrost.providers.base import UpstreamRequest
    from bifrost.schema.payload import Payload

__all__ = ["SMALL_BODY_BYTES", "Body", "Heads", "Line", "Wire", "encode_head"]

SMALL_BODY_BYTES = 64 * 1024
"""Up to this a request is one piece, written before anything is read; kernels take as much without waiting."""

EARLY_BODY_BYTES = 256 * 1024
"""Of an answer that comes while the request is still being written, no more is read before the writing ends."""

READ_BYTES = 64 * 1024

TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TARGET_BYTES = bytes(range(0x21, 0x7F))
OURS = frozenset(
    b"connection content-length expect keep-alive proxy-connection te trailer transfer-encoding upgrade".split()  # codespell:ignore te
)
"""Headers that are the connection's own affair (RFC 9110, section 7.6.1); what a request says of them is left out."""

MAX_KNOWN = 256
MAX_KNOWN_BYTES = 4096
"""Heads remembered, and of what size at most; when they are more, all are forgotten."""

DEFAULT_PORTS = {"http": 80, "https": 443}


def _no_stray_input() -> bool:
    return False


def _unheeded() -> None:
    pass


@attrs.frozen
class Line:
    """An open byte stream to an upstream, with what a pool needs beside it.

    ``hang_up`` closes it at once, without waiting and without farewell. ``is_readable`` tells without waiting
    whether there is input; on an idle connection that is its end, or nothing we asked for.
    """

    stream: trio.abc.Stream
    hang_up: Callable[[], None]
    is_readable: Callable[[], bool] = _no_stray_input


@attrs.define(eq=False)
class Wire:
    """A connection. It carries one exchange at a time, and knows of no limits in time: those are its user's."""

    line: Line
    opened_s: float
    idle_since_s: float = 0.0
    exchanges: int = 0
    received_s: float = 0.0
    """When input last came."""
    _unwritten: bool = False

    async def exchange(
        self, head: bytes, request: UpstreamRequest, progress: Callable[[], None] = _unheeded
    ) -> ResponseReader:
        """Write ``head`` (of ``encode_head``) and the body of ``request``, and read until the head of the response, or a ``fault``, is there.

        An upstream may answer, and close, before it has read the whole request: the answer counts, not the broken
        pipe. Cancellation leaves the connection in an unknown state: hang up.

        ``progress`` is called whenever a block of a ``Payload`` has been written, for limits to begin anew. Raises
        InternalError if the payload cannot be read.
        """
        reader = ResponseReader(to_head=request.method == b"HEAD")
        self.exchanges += 1
        body = request.body
        if not isinstance(body, bytes):
            payload = body
            await self._exchange_large(lambda: self._write_payload(head, payload, progress), reader)
        elif len(body) <= SMALL_BODY_BYTES:
            await self._write(head + body)
            while not reader.status and reader.fault is None:
                await self.pull(reader)
        else:
            await self._exchange_large(lambda: self._write(head, body), reader)
        return reader

    def is_reusable(self, reader: ResponseReader) -> bool:
        """Whether another exchange may follow ``reader``'s on this connection."""
        return reader.is_reusable and not self._unwritten

    async def pull(self, reader: ResponseReader) -> None:
        """Wait for input and feed it to ``reader``; how the connection broke is for ``reader.fault`` to say."""
        try:
            data = await self.line.stream.receive_some(READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            reader.fault = reader.fault or _reason(error)
            return
        finally:
            self.received_s = trio.current_time()
        if data:
            reader.feed(bytes(data))
        else:
            reader.feed_eof()

    async def _write(self, *pieces: bytes) -> None:
        self._unwritten = True
        try:
            for piece in pieces:
                await self.line.stream.send_all(piece)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # What the upstream had to say may have come before it closed: reading tells. Or we hung up.
            return
        self._unwritten = False

    async def _write_payload(
        self, head: bytes, payload: Payload, progress: Callable[[], None]
    ) -> None:
        try:
            await self.line.stream.send_all(head)
            async for block in Outgoing(payload):
                await self.line.stream.send_all(block)
                progress()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        self._unwritten = False

    async def _exchange_large(
        self, write: Callable[[], Awaitable[None]], reader: ResponseReader
    ) -> None:
        self._unwritten = True
        troubles: list[InternalError] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ending, write, nursery.cancel_scope, troubles)
            while not reader.status and reader.fault is None:
                await self.pull(reader)
            await self._read_early(reader)
            # The last piece may be out without the writer having had its turn to say so.
            await trio.lowlevel.checkpoint()
            if reader.fault is not None or reader.ended:
                nursery.cancel_scope.cancel()
        if troubles:
            raise troubles[0]

    async def _read_early(self, reader: ResponseReader) -> None:
        """A refusal is read to its end, if it is a short one, before the writing is given up."""
        while self._unwritten and reader.status >= 300 and reader.fault is None:
            if reader.ended or reader.body_held > EARLY_BODY_BYTES:
                break
            await self.pull(reader)


class Body:
    """A response's body on its wire: the ``Source`` of an answer. Harmless when the wire is another's already."""

    __slots__ = ("_reader", "_wire")

    def __init__(self, wire: Wire, reader: ResponseReader) -> None:
        self._wire = wire
        self._reader = reader

    def ready(self) -> bytes | None:
        reader = self._reader
        if data := reader.take():
            return data
        if reader.fault is not None:
            raise broken(reader.fault)
        return b"" if reader.ended else None

    async def wait(self) -> float:
        await self._wire.pull(self._reader)
        return self._wire.received_s

    @property
    def hang_up(self) -> Callable[[], None]:
        return self._wire.line.hang_up


class Heads:
    """Encodes heads of requests, and remembers the usual ones but for their last line."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[object, bytes] = {}

    @property
    def known(self) -> int:
        """How many it remembers."""
        return len(self._known)

    def encode(self, request: UpstreamRequest) -> bytes:
        """As ``encode_head``."""
        if not request.is_usual:
            return encode_head(request)
        origin = request.origin
        which = (request.method, request.target, request.headers, origin.host, origin.port)
        lines = self._known.get(which)
        if lines is None:
            lines = _encode_lines(request)
            if len(lines) <= MAX_KNOWN_BYTES:
                if len(self._known) >= MAX_KNOWN:
                    self._known.clear()
                self._known[which] = lines
        return lines + _encode_length(request)


def encode_head(request: UpstreamRequest) -> bytes:
    """Request line and headers, with ``host`` and ``content-length``. Raises BadRequest if they cannot be written."""
    return _encode_lines(request) + _encode_length(request)


def _encode_lines(request: UpstreamRequest) -> bytes:
    """All lines but that of the body's length, without the end of the last one."""
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target)]
    names = [request.method]
    is_hosted = False
    for name, value in request.headers:
        if name not in OURS:
            is_hosted = is_hosted or name == b"host"
            names.append(name)
            lines.append(b"%b: %b" % (name, value))
    if not is_hosted:
        lines.append(b"host: " + _host(request))
    head = b"\r\n".join(lines)
    _check(head, lines, names, request)
    return head


def _encode_length(request: UpstreamRequest) -> bytes:
    """The line of the body's length, if there has to be one, and the end of the head."""
    body = request.body
    size = len(body) if isinstance(body, bytes) else body.size
    if size or request.method not in {b"GET", b"HEAD", b"DELETE"}:
        return b"\r\ncontent-length: %d\r\n\r\n" % size
    return b"\r\n\r\n"


def _check(head: bytes, lines: list[bytes], names: list[bytes], request: UpstreamRequest) -> None:
    """Refuse whatever could be read as another header or another request."""
    ends = len(lines) - 1
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise bad_request("a header holds a line break or a NUL")
    if b"".join(names).translate(None, TOKEN_BYTES) or not all(names):
        raise bad_request("a header's name is not a token")
    if request.target.translate(None, TARGET_BYTES) or not request.target:
        raise bad_request("the target holds a space or a control character")


def _host(request: UpstreamRequest) -> bytes:
    origin = request.origin
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    if origin.port != DEFAULT_PORTS.get(origin.scheme):
        host = f"{host}:{origin.port}"
    try:
        return host.encode("ascii" if host.isascii() else "idna")
    except UnicodeError as error:
        raise bad_request("the upstream's host name is none") from error


async def _ending(
    write: Callable[[], Awaitable[None]], scope: trio.CancelScope, troubles: list[InternalError]
) -> None:
    """Write; if there is nothing to be written on our side, end all: no answer will come."""
    try:
        await write()
    except InternalError as error:
        troubles.append(error)
        scope.cancel()


def _reason(error: Exception) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return "connection broken"
