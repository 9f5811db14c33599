"""One HTTP/1.1 response as bytes come in, push style and without I/O.

The head is measured and cut out here, checked and taken apart by llhttp (httptools 0.9); bodies with a length or up
to the end of the connection are counted here, chunked ones go through llhttp. Own checks stand where llhttp is
lenient, as tried: it takes RTSP, HTTP/0.9 and HTTP/2.0 status lines, empty lines before the status line, any status of
three digits, transfer codings it cannot take off, endless chunk extensions and heads, and empty lines after a body.

Any split of the same bytes gives the same head, the same body and the same end (what is beyond a limit is refused a
little sooner or later). Source: RFC 9112.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    from bifrost.providers.base import Headers

__all__ = ["MAX_HEADERS", "MAX_HEAD_BYTES", "MAX_INTERIM", "MAX_SLACK_BYTES", "ResponseReader"]

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
MAX_INTERIM = 16
"""1xx responses before the final one."""

MAX_SLACK_BYTES = 16 * 1024
"""Chunk extensions and trailers of a whole body, beyond what its chunks need themselves."""

CHUNK_FRAME_BYTES = 20
"""Of one chunk: sixteen digits and two line ends."""

VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
HEAD_END = b"\r\n\r\n"
TWO_ENDS = b"\r\n\r\n\r\n"
TO_THE_END = -1


class _Sink:
    """What llhttp calls. It does not know the parser, so that no cycle is left to the garbage collector."""

    __slots__ = ("end", "headers", "is_followed", "on_body", "parts")

    def __init__(self, parts: list[bytes]) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts = parts
        self.on_body = parts.append
        self.end: int | None = None
        """How many of ``parts`` there were when the response ended."""
        self.is_followed = False
        """Another response began."""

    def on_message_begin(self) -> None:
        self.is_followed = self.end is not None

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip()))

    def on_message_complete(self) -> None:
        if self.end is None:
            self.end = len(self.parts)


class ResponseReader:
    """Feed it what is received, ``take`` the body from it.

    ``fault`` says in words what was wrong with the response; body that came before the fault can still be taken.
    ``status`` is 0 until the head is complete.
    """

    __slots__ = (
        "_held",
        "_interim",
        "_is_http10",
        "_left",
        "_no_body",
        "_parser",
        "_parts",
        "_says_close",
        "_sink",
        "_slack",
        "_tail",
        "ended",
        "fault",
        "headers",
        "is_poisoned",
        "started",
        "status",
    )

    def __init__(self, *, to_head: bool = False) -> None:
        """``to_head``: the request was a HEAD, whose answer has no body whatever it says."""
        self.status = 0
        self.headers: Headers = ()
        self.started = False
        """A byte has come, of whatever."""
        self.ended = False
        self.fault: str | None = None
        self.is_poisoned = False
        """Bytes came after the end: nothing on this connection can be trusted any more."""
        self._no_body = to_head
        self._is_http10 = False
        self._says_close = False
        self._held = b""
        self._interim = 0
        self._left = 0
        self._parser: httptools.HttpResponseParser | None = None
        self._parts: list[bytes] = []
        self._sink = _Sink(self._parts)
        self._slack = MAX_SLACK_BYTES
        self._tail = b""

    @property
    def is_reusable(self) -> bool:
        """Whether the connection may carry another exchange."""
        is_whole = self.ended and self.fault is None and not self.is_poisoned
        return is_whole and not self._says_close and not self._is_http10

    @property
    def body_held(self) -> int:
        """Bytes of body that ``take`` would give."""
        return sum(map(len, self._parts))

    def take(self) -> bytes:
        """The body that has come since the last time."""
        parts = self._parts
        if not parts:
            return b""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        return data

    def feed(self, data: bytes) -> None:
        """Take bytes as they came, at least one."""
        self.started = True
        if self.fault is not None:
            return
        if not self.status:
            data = self._feed_head(data)
        if data and self.fault is None:
            self._feed_body(data)

    def feed_eof(self) -> None:
        """The connection has ended in good order."""
        if self.ended or self.fault is not None:
            return
        if not self.status:
            self.fault = (
                "connection closed in the middle of the head"
                if self.started
                else "connection closed"
            )
        elif self._parser is None and self._left == TO_THE_END:
            self.ended = True
        else:
            self.fault = "connection closed before the body was complete"

    def _feed_head(self, data: bytes) -> bytes:
        """Look for the final head; gives what follows it."""
        held = self._held + data
        begin = max(0, len(self._held) - len(HEAD_END) + 1)
        while held:
            end = held.find(HEAD_END, begin)
            if end < 0:
                self._keep_partial(held)
                return b""
            head, held, begin = held[: end + len(HEAD_END)], held[end + len(HEAD_END) :], 0
            self._take_head(head)
            if self.status or self.fault is not None:
                self._held = b""
                return held
        self._held = b""
        return b""

    def _keep_partial(self, held: bytes) -> None:
        if not _may_become_head(held):
            self.fault = "not an HTTP/1.1 response"
        elif len(held) > MAX_HEAD_BYTES:
            self.fault = "response head is too large"
        self._held = held

    def _take_head(self, head: bytes) -> None:
        status = _status_of(head)
        if not head.startswith(VERSIONS):
            self.fault = "not an HTTP/1.1 response"
        elif status is None:
            self.fault = "invalid status line"
        elif len(head) > MAX_HEAD_BYTES:
            self.fault = "response head is too large"
        elif head.count(b"\r\n") - 2 > MAX_HEADERS:
            self.fault = "response head has too many lines"
        elif status == 101:
            self.fault = "upstream switched protocols unasked"
        elif status < 200:
            self._count_interim()
        else:
            self._is_http10 = head.startswith(VERSIONS[1])
            self._parse(head, status)

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            self.fault = "too many interim responses"

    def _parse(self, head: bytes, status: int) -> None:
        parser = httptools.HttpResponseParser(self._sink)
        try:
            parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fault = f"invalid response head: {error}"
            return
        self.headers = tuple(self._sink.headers)
        self._frame(status, parser)
        if self.fault is None:
            self.status = status

    def _frame(self, status: int, parser: httptools.HttpResponseParser) -> None:
        """How the body is told from what follows: RFC 9112, section 6.3."""
        codings: list[bytes] = []
        length: bytes | None = None
        for name, value in self.headers:
            if name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == b"content-length":
                length = value if length is None else length
            elif name == b"connection":
                self._says_close = self._says_close or _has_close(value)
        if self._no_body or status in {204, 304}:
            self.ended = True
        elif codings:
            self._parser = parser
            if codings != [b"chunked"] or self._is_http10:
                self.fault = "unsupported transfer-encoding"
        elif length is not None:
            self._left = int(length)
            self.ended = not self._left
        elif self._says_close or self._is_http10:
            self._left = TO_THE_END
        else:
            self.fault = "response has neither a length nor an end"

    def _feed_body(self, data: bytes) -> None:
        if self.ended:
            self.is_poisoned = True
        elif self._parser is not None:
            self._feed_chunked(self._parser, data)
        elif self._left == TO_THE_END:
            self._parts.append(data)
        else:
            self._feed_counted(data)

    def _feed_counted(self, data: bytes) -> None:
        if len(data) > self._left:
            self.is_poisoned = True
            data = data[: self._left]
        self._parts.append(data)
        self._left -= len(data)
        self.ended = not self._left

    def _feed_chunked(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        parts, sink = self._parts, self._sink
        held = len(parts)
        trouble = None
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            trouble = error
        if sink.end is None and trouble is not None:
            self.fault = f"invalid chunked body: {trouble}"
        fresh = parts[held : sink.end]
        self._slack += sum(map(len, fresh)) + CHUNK_FRAME_BYTES * len(fresh) - len(data)
        self._tail = (self._tail + data[-len(TWO_ENDS) :])[-len(TWO_ENDS) :]
        if self._slack < 0:
            self.fault = "too much beside the chunks of the body"
        elif sink.end is not None:
            self._end_chunked(sink, is_followed=sink.is_followed or trouble is not None)

    def _end_chunked(self, sink: _Sink, *, is_followed: bool) -> None:
        self.ended = True
        del self._parts[sink.end :]
        # llhttp swallows empty lines after the last one, and says nothing.
        ends_here = self._tail.endswith(HEAD_END) and self._tail != TWO_ENDS
        self.is_poisoned = is_followed or not ends_here


def _may_become_head(held: bytes) -> bool:
    """Whether the beginning of a head is none of: another protocol, lines without a carriage return."""
    return held.startswith(b"HTTP/1."[: len(held)]) and held.count(b"\n") == held.count(b"\r\n")


def _status_of(head: bytes) -> int | None:
    code = head[9:12]
    if not code.isdigit() or head[12:13] not in {b" ", b"\r"}:
        return None
    return int(code) if code >= b"100" else None


def _has_close(value: bytes) -> bool:
    return b"close" in [token.strip() for token in value.lower().split(b",")]
