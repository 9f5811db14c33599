"""From the messages of an ASGI application to the bytes of one HTTP/1.1 answer. Pure.

Framing is the connection's own affair: what the application says of ``transfer-encoding`` and ``connection`` is left
out, but for ``close``. Sources: the ASGI specification 3.0 (HTTP), RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypercorn.typing import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent

    from bifrost.http.head import Head

__all__ = ["Answer", "BadAnswer", "ServerLines"]

STATUS_LINES = MappingProxyType(
    {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}
)
OURS = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
PLAIN = frozenset(
    b"""cache-control content-security-policy content-type permissions-policy referrer-policy x-bf-overhead-us
    x-content-type-options x-frame-options x-request-id""".split()
)
"""Names that most answers have: tokens in lower case, and none of them has to do with framing."""

TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

NO_BODY = frozenset({204, 304})
UPGRADE_LINES = b"upgrade: websocket\r\nconnection: Upgrade\r\n"
UNKNOWN = -1
CHUNKS_END = b"0\r\n\r\n"


class BadAnswer(Exception):
    """The application's messages make no answer; a defect of the application."""


class ServerLines:
    """The lines ``date`` and ``server``, written anew once a second."""

    __slots__ = ("_date", "_second", "_server", "_with_date")

    def __init__(self, server: bytes | None = b"bifrost", *, date: bool = True) -> None:
        self._server = b"" if server is None else b"server: %b\r\n" % server
        self._with_date = date
        self._second = -1
        self._date = b""

    def at(self, wall_s: float) -> bytes:
        """The lines at ``wall_s``, seconds since 1970."""
        second = int(wall_s)
        if second != self._second:
            self._second = second
            date = f"date: {formatdate(second, usegmt=True)}\r\n" if self._with_date else ""
            self._date = date.encode() + self._server
        return self._date


class Answer:
    """One answer. ``accept`` gives the bytes that a message comes to: the head leaves with the first of the body.

    ``persists`` tells, once the head is out, whether another request may follow on the connection.
    """

    __slots__ = (
        "_for_head",
        "_head",
        "_is_chunked",
        "_is_old",
        "_left",
        "_status",
        "is_delimited",
        "is_ended",
        "is_started",
        "persists",
    )

    def __init__(self, request: Head) -> None:
        self.is_started = False
        """The head is out."""
        self.is_ended = False
        self.is_delimited = True
        """A client can tell where the answer ends without the end of the connection."""
        self.persists = request.persists
        self._for_head = request.method == "HEAD"
        self._is_old = request.version == "1.0"
        self._head = b""
        self._status = 0
        self._is_chunked = False
        self._left = UNKNOWN

    def accept(self, message: ASGISendEvent, lines: bytes, *, may_persist: bool) -> bytes:
        """The bytes that ``message`` comes to. ``lines`` are the server's own, for the head. Raises BadAnswer."""
        if message["type"] == "http.response.body" and self._head:
            return self._accept_body(message, lines, may_persist=may_persist)
        if message["type"] == "http.response.start" and not self._status:
            self._accept_start(message)
            return b""
        raise BadAnswer(f"unexpected message {message['type']}")

    def switch(self, headers: Iterable[tuple[bytes, bytes]], lines: bytes) -> bytes:
        """The head that hands the connection over to WebSocket, instead of an answer. Raises BadAnswer."""
        if self._status:
            raise BadAnswer("the answer has begun already")
        head = self._encode(101, headers)
        self._status = 101
        self.is_started = self.is_ended = True
        self.persists = False
        return b"".join((head, b"\r\n", lines, UPGRADE_LINES, b"\r\n"))

    def _accept_start(self, message: HTTPResponseStartEvent) -> None:
        status = int(message["status"])
        if not 200 <= status <= 599:
            raise BadAnswer(f"no status of an answer: {status}")
        self._head = self._encode(status, message.get("headers", ()))
        self._status = status

    def _encode(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Status line and the application's header lines. Refuses what could be read as another line."""
        pieces = [STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
        names: list[bytes] = []
        for name, value in headers:
            if name in PLAIN:
                pieces.append(name + b": " + value)
                continue
            low = name.lower()
            if low in OURS:
                if low == b"connection" and b"close" in value.lower():
                    self.persists = False
                continue
            if low == b"content-length":
                self._measure(value)
                if status == 204:
                    continue
            names.append(name)
            pieces.append(b"%b: %b" % (name, value))
        head = b"\r\n".join(pieces)
        ends = len(pieces) - 1
        if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
            raise BadAnswer("a header's value holds a line break or a NUL")
        if b"".join(names).translate(None, TOKEN_BYTES) or not all(names):
            raise BadAnswer("a header's name is not a token")
        return head

    def _measure(self, value: bytes) -> None:
        value = value.strip()
        if self._left != UNKNOWN or not value.isdigit():
            raise BadAnswer("content-length is none, or there are two")
        self._left = int(value)

    def _accept_body(
        self, message: HTTPResponseBodyEvent, lines: bytes, *, may_persist: bool
    ) -> bytes:
        if self.is_ended:
            raise BadAnswer("body after the end of the answer")
        data = bytes(message.get("body", b""))
        ends = not message.get("more_body", False)
        if self.is_started:
            return self._frame(data, ends=ends)
        head = self._frame_head(len(data), lines, ends=ends, may_persist=may_persist)
        framed = self._frame(data, ends=ends)
        self.is_started = True
        return head + framed

    def _frame_head(self, size: int, lines: bytes, *, ends: bool, may_persist: bool) -> bytes:
        self.persists = self.persists and may_persist
        pieces = [self._head, b"\r\n", lines, self._framing(size, ends=ends)]
        if not self.persists:
            pieces.append(b"connection: close\r\n")
        elif self._is_old:
            pieces.append(b"connection: keep-alive\r\n")
        pieces.append(b"\r\n")
        return b"".join(pieces)

    def _framing(self, size: int, *, ends: bool) -> bytes:
        """Settle how the body is told from what follows, as far as the application has not."""
        if self._left != UNKNOWN or self._status in NO_BODY:
            return b""
        if ends:
            self._left = size
            return b"content-length: %d\r\n" % size
        if self._for_head:
            return b""
        if not self._is_old:
            self._is_chunked = True
            return b"transfer-encoding: chunked\r\n"
        self.persists = self.is_delimited = False
        return b""

    def _frame(self, data: bytes, *, ends: bool) -> bytes:
        self.is_ended = ends
        if self._for_head or self._status in NO_BODY:
            return b""
        if self._is_chunked:
            framed = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            return framed + CHUNKS_END if ends else framed
        if self._left != UNKNOWN:
            self._left -= len(data)
            if self._left < 0 or (ends and self._left):
                self.is_ended = False
                raise BadAnswer("the body is not as long as content-length says")
        return data
