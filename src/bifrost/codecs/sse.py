"""Server-sent events both ways: a push decoder with limits, and the frames that are written.

Source: WHATWG HTML, "Server-sent events", read leniently where upstreams are loose: an event without its last blank
line counts at the end of the stream, and a line that is no field at all (a JSON error without framing) is data.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import attrs

__all__ = [
    "COMMENT_PING",
    "DONE",
    "MAX_EVENT_BYTES",
    "EventTooLarge",
    "SSEDecoder",
    "SSEEvent",
    "data_frame",
    "event_frame",
    "unframed",
]

COMMENT_PING = b": ping\n\n"
"""A comment: keeps a silent stream open, and readers pass over it."""

DONE = b"data: [DONE]\n\n"
"""The normal end of an OpenAI stream."""

MAX_EVENT_BYTES = 10 * 1024 * 1024
"""One event with all its lines; no more than that, and one read, is ever kept."""

BOM = b"\xef\xbb\xbf"

LF = 10

UNKNOWN_FIELD = re.compile(rb"[A-Za-z0-9_-]+")


class SSEEvent(NamedTuple):
    """One event. A tuple, as thousands are made a second.

    ``is_raw`` tells that a line of it had no framing.
    """

    event: str | None
    data: bytes
    is_raw: bool = False


class EventTooLarge(ValueError):
    """An event is longer than it may be. ``events`` are those that were complete before it."""

    def __init__(self, max_bytes: int, events: list[SSEEvent]) -> None:
        super().__init__(f"event exceeds {max_bytes} bytes")
        self.events = events


@attrs.define(eq=False)
class SSEDecoder:
    """Bytes in, events out; any split of the same bytes gives the same events.

    Lines may end in LF, CRLF or CR. Comments, ``id`` and ``retry`` are passed over. Holds at most one unfinished event.
    """

    max_event_bytes: int = MAX_EVENT_BYTES
    _parts: list[bytes] = attrs.field(factory=list, init=False)
    """The unfinished event as it came, line ends normalised."""
    _pending_bytes: int = attrs.field(default=0, init=False)
    _ends_in_lf: bool = attrs.field(default=False, init=False)
    _after_cr: bool = attrs.field(default=False, init=False)
    _is_fresh: bool = attrs.field(default=True, init=False)

    def feed(self, data: bytes) -> list[SSEEvent]:
        """The events that ``data`` completes. Raises EventTooLarge; nothing is to be fed after that."""
        return self.events(self.whole(data))

    def whole(self, data: bytes) -> bytes:
        """The events that ``data`` completes, as they came but for their line ends; what they are is for ``events`` to say."""
        if self._after_cr or b"\r" in data:
            data = self._normalised(data)
        if not data:
            return b""
        if self._parts:
            if b"\n\n" not in data and not (self._ends_in_lf and data[0] == LF):
                self._keep(data)
                return b""
            data = b"".join((*self._parts, data))
            self._parts.clear()
            self._pending_bytes = 0
        end = data.rfind(b"\n\n") + 2
        if end == 1:
            self._keep(data)
            return b""
        if end < len(data):
            self._keep(data[end:])
            data = data[:end]
        if data.startswith(b"data: "):
            self._is_fresh = False
        return data

    def events(self, block: bytes) -> list[SSEEvent]:
        """The events in ``block``, a part of what ``whole`` gave. Raises EventTooLarge as ``feed``."""
        events: list[SSEEvent] = []
        for frame in block.split(b"\n\n"):
            # The ordinary event, without a call of its own: a stream consists of thousands.
            if frame[:6] == b"data: " and b"\n" not in frame and len(frame) <= self.max_event_bytes:
                events.append(SSEEvent(None, frame[6:]))
            elif frame:
                self._read(frame, events)
        # One more for the line end that may stand before the blank line.
        if self._pending_bytes > self.max_event_bytes + 1:
            self._refuse(events)
        return events

    def close(self) -> list[SSEEvent]:
        """What the stream ended in, where its last event lacked the blank line. Raises EventTooLarge."""
        events: list[SSEEvent] = []
        rest = b"".join(self._parts)
        self._parts.clear()
        self._pending_bytes = 0
        self._read(rest, events)
        return events

    def _keep(self, rest: bytes) -> None:
        self._parts.append(rest)
        self._ends_in_lf = rest[-1] == LF
        self._pending_bytes += len(rest)

    def _normalised(self, data: bytes) -> bytes:
        """``data`` with LF for every line end; the LF of a CRLF that was cut in two is left out."""
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == LF:
                data = data[1:]
        if data.endswith(b"\r"):
            self._after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _read(self, frame: bytes, events: list[SSEEvent]) -> None:
        if self._is_fresh and frame:
            self._is_fresh = False
            frame = frame.removeprefix(BOM)
        if len(frame) > self.max_event_bytes:
            self._refuse(events)
        event = _read_lines(frame)
        if event is not None:
            events.append(event)

    def _refuse(self, events: list[SSEEvent]) -> None:
        self._parts.clear()
        self._pending_bytes = 0
        raise EventTooLarge(self.max_event_bytes, events)


def _read_lines(frame: bytes) -> SSEEvent | None:
    """The event of ``frame``, line by line; ``None`` if it has no data."""
    name: str | None = None
    data: list[bytes] = []
    is_raw = False
    for line in frame.split(b"\n"):
        field, colon, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
        elif _is_raw_line(field, colon):
            data.append(line)
            is_raw = True
    return SSEEvent(name or None, b"\n".join(data), is_raw) if data else None


def _is_raw_line(field: bytes, colon: bytes) -> bool:
    """Whether a line that is neither ``data`` nor ``event`` is no field either. Unknown fields are passed over."""
    if colon:
        return field != b"" and UNKNOWN_FIELD.fullmatch(field) is None
    return field.strip() not in {b"", b"id", b"retry"}


def data_frame(data: bytes) -> bytes:
    """One event of ``data``; line feeds in it make several lines of one event."""
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    return b"data: %b\n\n" % data


def event_frame(event: str, data: bytes) -> bytes:
    """One event with a name. ``event`` is a word of ours and holds no line break."""
    return b"event: %b\n%b" % (event.encode(), data_frame(data))


def unframed(frames: bytes) -> list[bytes]:
    """The data of whole events: what ``data_frame`` and ``event_frame`` were given. Comments and ``[DONE]`` are left out."""
    decoder = SSEDecoder(max_event_bytes=len(frames))
    events = (*decoder.feed(frames), *decoder.close())
    return [event.data for event in events if event.data != b"[DONE]"]
