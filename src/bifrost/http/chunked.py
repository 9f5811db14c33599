"""The chunked transfer coding of a request's body, read strictly: every byte of it is either taken or refused. Pure.

Not by llhttp, which does not tell where in its input a message ended, and the next request may follow at once.
Source: RFC 9112, section 7.1.
"""

from __future__ import annotations

import enum

from bifrost.errors import BadRequest

__all__ = ["MAX_SLACK_BYTES", "ChunkedBody"]

MAX_SLACK_BYTES = 16 * 1024
"""Chunk extensions and trailers of a whole body, all of which are ignored."""

MAX_DIGITS = 16
HEX = b"0123456789abcdefABCDEF"
LINE_END = b"\r\n"
CONTROLS = bytes(c for c in range(0x20) if c != 0x09) + b"\x7f"


class _At(enum.Enum):
    SIZE = enum.auto()
    DATA = enum.auto()
    DATA_END = enum.auto()
    TRAILERS = enum.auto()


class ChunkedBody:
    """Feed it what is received; any split of the same bytes gives the same body and the same end."""

    __slots__ = ("_at", "_held", "_left", "_slack", "ended")

    def __init__(self) -> None:
        self.ended = False
        self._at = _At.SIZE
        self._held = b""
        self._left = 0
        self._slack = MAX_SLACK_BYTES

    def feed(self, data: bytes, parts: list[bytes]) -> bytes:
        """Append the body in ``data`` to ``parts``; gives what follows the body's end. Raises BadRequest."""
        data = self._held + data
        self._held = b""
        at = 0
        while not self.ended:
            step = self._step(data, at, parts)
            if step < 0:
                self._hold(data[at:])
                return b""
            at = step
        return data[at:]

    def _step(self, data: bytes, at: int, parts: list[bytes]) -> int:
        """Take one piece of ``data`` from ``at`` on; where the next begins, or -1 if more is needed."""
        if self._at is _At.DATA:
            return self._take_data(data, at, parts)
        end = data.find(LINE_END, at)
        if end < 0:
            return -1
        line = data[at:end]
        if self._at is _At.SIZE:
            self._take_size(line)
        elif self._at is _At.TRAILERS:
            self._take_trailer(line)
        elif line:
            raise _broken()
        else:
            self._at = _At.SIZE
        return end + len(LINE_END)

    def _take_data(self, data: bytes, at: int, parts: list[bytes]) -> int:
        part = data[at : at + self._left]
        if not part:
            return -1
        parts.append(part)
        self._left -= len(part)
        if not self._left:
            self._at = _At.DATA_END
        return at + len(part)

    def _take_size(self, line: bytes) -> None:
        size, mark, extension = line.partition(b";")
        if not size or len(size) > MAX_DIGITS or size.translate(None, HEX):
            raise _broken()
        self._spend(mark + extension)
        self._left = int(size, 16)
        self._at = _At.DATA if self._left else _At.TRAILERS

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self.ended = True
            return
        if b":" not in line:
            raise _broken()
        self._spend(line)

    def _spend(self, ignored: bytes) -> None:
        """Pay for bytes that are only read over."""
        if not ignored:
            return
        self._slack -= len(ignored)
        if self._slack < 0:
            raise BadRequest("too much beside the chunks of the request body")
        if len(ignored) != len(ignored.translate(None, CONTROLS)):
            raise _broken()

    def _hold(self, rest: bytes) -> None:
        """Keep the beginning of a line, as long as it may still become a good one."""
        if self._at is _At.DATA_END and rest not in {b"", b"\r"}:
            raise _broken()
        if len(rest) > self._slack + MAX_DIGITS + len(LINE_END):
            raise BadRequest("too much beside the chunks of the request body")
        if b"\n" in rest:
            raise _broken()
        self._held = rest


def _broken() -> BadRequest:
    return BadRequest("malformed chunked request body")
