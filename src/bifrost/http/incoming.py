"""What one HTTP/1.1 client sends on one connection, push style and without I/O: heads, bodies, and what is ahead of its turn.

Any split of the same bytes gives the same heads and the same bodies (what is beyond a limit is refused a little sooner
or later).
"""

from __future__ import annotations

from bifrost.errors import BadRequest
from bifrost.http.chunked import ChunkedBody
from bifrost.http.head import (
    CHUNKED,
    HEAD_END,
    MAX_HEAD_BYTES,
    MAX_TARGET_BYTES,
    PREFACE,
    Head,
    parse_head,
)

__all__ = ["Incoming"]

MAX_BLANK_LINES = 8
"""Before a request line: clients of old send one behind a body (RFC 9112, section 2.2)."""

MAX_METHOD_BYTES = 64


class Incoming:
    """Feed it what is received; then ``next_head``, then ``take`` until ``ended``, and so on.

    ``fault`` says what was wrong with a body; nothing that comes after it is believed.
    """

    __slots__ = (
        "_ahead",
        "_chunks",
        "_heads",
        "_left",
        "_parts",
        "_seen",
        "ended",
        "fault",
        "replay",
    )

    def __init__(self) -> None:
        self.ended = True
        """The body of the request in hand is there to its end."""
        self.fault: BadRequest | None = None
        self.replay = b""
        """All the bytes of a request that is for another protocol, and what came behind it."""
        self._ahead = b""
        self._chunks: ChunkedBody | None = None
        self._heads = 0
        self._left = 0
        self._parts: list[bytes] = []
        self._seen = 0

    @property
    def ahead_bytes(self) -> int:
        """How much has come of later requests."""
        return len(self._ahead)

    @property
    def has_body(self) -> bool:
        """Whether ``take`` would give something."""
        return bool(self._parts)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        if self.ended:
            self._ahead = self._ahead + data if self._ahead else data
        elif self.fault is None:
            self._feed_body(data)

    def next_head(self) -> Head | None:
        """The head of the next request, if it is there. The one before must have ended. Raises BadRequest."""
        ahead = self._ahead
        if ahead.startswith((b"\r\n", b"\n")):
            ahead = self._ahead = _without_blank(ahead)
        end = ahead.find(HEAD_END, max(0, self._seen - len(HEAD_END)))
        if end < 0:
            self._check_partial(ahead)
            self._seen = len(ahead)
            return None
        end += len(HEAD_END)
        if end > MAX_HEAD_BYTES:
            raise _too_large()
        return self._begin(ahead[:end], end)

    def take(self) -> bytes:
        """The body that has come since the last time."""
        parts = self._parts
        if not parts:
            return b""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        return data

    def take_ahead(self) -> bytes:
        """What came behind a head that was for another protocol."""
        data, self._ahead = self._ahead, b""
        return data

    def _begin(self, raw: bytes, end: int) -> Head:
        head = parse_head(raw)
        if head.is_foreign:
            if raw == PREFACE and self._heads:
                raise BadRequest("HTTP version not supported", status=505)
            self.replay = self._ahead
        self._heads += 1
        self._seen = 0
        rest = self._ahead[end:]
        self._parts.clear()
        if head.length:
            self.ended = False
            self._chunks = ChunkedBody() if head.length == CHUNKED else None
            self._left = head.length
            self._ahead = b""
            if rest:
                self._feed_body(rest)
        else:
            self._ahead = rest
        return head

    def _feed_body(self, data: bytes) -> None:
        if self._chunks is not None:
            self._feed_chunked(self._chunks, data)
            return
        part = data[: self._left]
        self._parts.append(part)
        self._left -= len(part)
        if not self._left:
            self.ended = True
            self._ahead = data[len(part) :]

    def _feed_chunked(self, chunks: ChunkedBody, data: bytes) -> None:
        try:
            rest = chunks.feed(data, self._parts)
        except BadRequest as fault:
            self.fault = fault
            return
        if chunks.ended:
            self.ended = True
            self._ahead = rest

    def _check_partial(self, ahead: bytes) -> None:
        """Refuse at once what can become no head, rather than when its time is up."""
        if len(ahead) > MAX_HEAD_BYTES:
            raise _too_large()
        since = max(0, self._seen - 1)
        if ahead.startswith(b"\n", since) and since:
            since += 1
        if ahead.count(b"\n", since) != ahead.count(b"\r\n", since):
            raise BadRequest("malformed request head", cause="bare line feed")
        if len(ahead) > MAX_TARGET_BYTES + MAX_METHOD_BYTES and b"\r" not in ahead:
            raise BadRequest("request target is too long", status=414)


def _without_blank(ahead: bytes) -> bytes:
    for _ in range(MAX_BLANK_LINES):
        if not ahead.startswith(b"\r\n"):
            break
        ahead = ahead[2:]
    if ahead.startswith((b"\r\n", b"\n")):
        raise BadRequest("malformed request line")
    return ahead


def _too_large() -> BadRequest:
    return BadRequest("request head is too large", status=431)
