"""AWS's binary event stream, both ways: ``application/vnd.amazon.eventstream``.

A frame is a prelude of 12 bytes (length of all, length of the headers, CRC-32 of these eight bytes), headers, a payload,
and the CRC-32 of everything before it. Numbers are big-endian. Source: AWS, "Amazon Transcribe: event stream encoding", and
Smithy's "Amazon Event Stream" specification, 2026-11.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Mapping
from typing import Final

import attrs

__all__ = [
    "MAX_FRAME",
    "BrokenFrame",
    "Frame",
    "FrameDecoder",
    "HeaderValue",
    "Timestamp",
    "encode_frame",
]

MAX_FRAME: Final = 16 * 1024 * 1024
"""Bytes of a frame, whatever its prelude says. AWS's own bound for Bedrock's events is far below."""

MAX_HEADERS: Final = 128 * 1024
"""Bytes of a frame's headers, as the specification has it."""

PRELUDE: Final = struct.Struct(">III")
LENGTHS: Final = struct.Struct(">II")
CHECKSUM: Final = struct.Struct(">I")
OVERHEAD: Final = PRELUDE.size + CHECKSUM.size

MAX_TEXT: Final = 2**15 - 1
"""Bytes of a header's text, as the specification has it."""


@attrs.frozen
class Timestamp:
    """A header's value: milliseconds since 1970."""

    ms: int


HeaderValue = bool | int | bytes | str | Timestamp | uuid.UUID

Headers = Mapping[str, HeaderValue]


@attrs.frozen
class Frame:
    """One message. ``raw`` are its bytes as they came."""

    headers: Headers
    payload: bytes = attrs.field(repr=False)
    raw: bytes = attrs.field(repr=False, default=b"", eq=False)

    def text(self, name: str) -> str:
        """A header's text; empty if it is not there or none."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class BrokenFrame(ValueError):
    """What came is no frame. ``frames`` are the good ones that came before, in the same bytes."""

    def __init__(self, why: str, frames: tuple[Frame, ...] = ()) -> None:
        super().__init__(why)
        self.frames = frames


@attrs.define(eq=False)
class FrameDecoder:
    """Cuts bytes into frames, push style. Any split of the same bytes gives the same frames and the same error."""

    max_frame: int = MAX_FRAME
    _buffer: bytearray = attrs.field(factory=bytearray, init=False)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes. Raises BrokenFrame; nothing more is to be fed after it."""
        self._buffer += data
        frames: list[Frame] = []
        try:
            while (raw := self._cut()) is not None:
                frames.append(_frame(raw))
        except BrokenFrame as broken:
            raise BrokenFrame(str(broken), tuple(frames)) from None
        return frames

    @property
    def is_between(self) -> bool:
        """Whether what came ends with a whole frame."""
        return not self._buffer

    def _cut(self) -> bytes | None:
        """The bytes of the first frame, once they are all there. The prelude is checked as soon as it is."""
        if len(self._buffer) < PRELUDE.size:
            return None
        length = self._checked_length()
        if len(self._buffer) < length:
            return None
        raw = bytes(self._buffer[:length])
        del self._buffer[:length]
        return raw

    def _checked_length(self) -> int:
        length, headers, checksum = PRELUDE.unpack_from(self._buffer)
        if zlib.crc32(self._buffer[: LENGTHS.size]) != checksum:
            raise BrokenFrame("the prelude's checksum is wrong")
        if length > self.max_frame:
            raise BrokenFrame(f"a frame has more than {self.max_frame} bytes")
        if headers > MAX_HEADERS or length < headers + OVERHEAD:
            raise BrokenFrame("a frame's lengths contradict each other")
        return int(length)


def _frame(raw: bytes) -> Frame:
    (checksum,) = CHECKSUM.unpack_from(raw, len(raw) - CHECKSUM.size)
    if zlib.crc32(raw[: -CHECKSUM.size]) != checksum:
        raise BrokenFrame("a frame's checksum is wrong")
    end = PRELUDE.size + LENGTHS.unpack_from(raw)[1]
    try:
        headers = _read_headers(raw[PRELUDE.size : end])
    except (struct.error, IndexError, UnicodeDecodeError):
        raise BrokenFrame("a frame's headers are none") from None
    return Frame(headers, raw[end : -CHECKSUM.size], raw)


NUMBERS: Final = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),
}
"""By a value's type: byte, short, integer, long, timestamp."""

SIZE: Final = struct.Struct(">H")
TRUE, FALSE, LONG, BYTES, TEXT, TIME, UUID = 0, 1, 5, 6, 7, 8, 9


def _read_headers(data: bytes) -> dict[str, HeaderValue]:
    """Raises struct.error, IndexError or UnicodeDecodeError for what is cut off or no text."""
    headers: dict[str, HeaderValue] = {}
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        name = data[at + 1 : end].decode()
        if name in headers:
            raise BrokenFrame("a frame has a header twice")
        headers[name], at = _read_value(data, data[end], end + 1)
    return headers


def _read_value(data: bytes, kind: int, at: int) -> tuple[HeaderValue, int]:
    """A value of type ``kind`` at ``at``, and where it ends."""
    if kind in {TRUE, FALSE}:
        return kind == TRUE, at
    if kind in NUMBERS:
        number = NUMBERS[kind].unpack_from(data, at)[0]
        value = Timestamp(number) if kind == TIME else number
        return value, at + NUMBERS[kind].size
    if kind == UUID:
        return uuid.UUID(bytes=_exactly(data, at, 16)), at + 16
    if kind not in {BYTES, TEXT}:
        raise BrokenFrame(f"a header has the unknown type {kind}")
    (size,) = SIZE.unpack_from(data, at)
    found = _exactly(data, at + SIZE.size, size)
    return (found if kind == BYTES else found.decode()), at + SIZE.size + size


def _exactly(data: bytes, at: int, size: int) -> bytes:
    if len(data) < at + size:
        raise IndexError(at)
    return data[at : at + size]


def encode_frame(headers: Headers, payload: bytes) -> bytes:
    """A frame. Whole numbers are written as long. Raises ValueError for what no frame can hold."""
    told = b"".join(_header(name, value) for name, value in headers.items())
    length = len(told) + len(payload) + OVERHEAD
    if len(told) > MAX_HEADERS or length > MAX_FRAME:
        raise ValueError("a frame cannot be that long")
    lengths = LENGTHS.pack(length, len(told))
    head = lengths + CHECKSUM.pack(zlib.crc32(lengths))
    whole = b"%b%b%b" % (head, told, payload)
    return whole + CHECKSUM.pack(zlib.crc32(whole))


def _header(name: str, value: HeaderValue) -> bytes:
    told = name.encode()
    if not 0 < len(told) < 256:
        raise ValueError("a header's name must have 1 to 255 bytes")
    return b"%c%b%b" % (len(told), told, _value(value))


def _value(value: HeaderValue) -> bytes:
    match value:
        case bool():
            return b"%c" % (TRUE if value else FALSE)
        case int():
            return _number(LONG, value)
        case Timestamp(ms):
            return _number(TIME, ms)
        case uuid.UUID():
            return b"%c%b" % (UUID, value.bytes)
        case str():
            return _sized(TEXT, value.encode())
        case _:
            return _sized(BYTES, value)


def _number(kind: int, value: int) -> bytes:
    try:
        return b"%c%b" % (kind, NUMBERS[kind].pack(value))
    except struct.error:
        raise ValueError("a header's number must have at most 64 bits") from None


def _sized(kind: int, data: bytes) -> bytes:
    if len(data) > MAX_TEXT:
        raise ValueError(f"a header's text must have at most {MAX_TEXT} bytes")
    return b"%c%b%b" % (kind, SIZE.pack(len(data)), data)
