"""Streams of OpenAI whose events have a ``type``: Responses, images, speech, transcripts. They pass as they came.

Source of the event names: OpenAI API reference, "Streaming events", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from bifrost.codecs import json, sse
from bifrost.dialects import extra_fields
from bifrost.dialects.base import Progress
from bifrost.dialects.openai_usage import read_usage
from bifrost.dialects.sse_stream import CUT_SHORT, SSEStream
from bifrost.errors import GatewayError, NetworkError, UpstreamError
from bifrost.record import Usage
from bifrost.schema.call import Operation
from bifrost.values import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EventStreamDecoder"]

NO_RAW = msgspec.Raw(b"null")
"""Stands for a member that is not there; told by identity."""

PING = "response.ping"
"""The original's own; no SDK knows it."""


@frozen(kw_only=True)
class _Kind:
    """How one operation's stream is framed, and which events end it."""

    ends: frozenset[str]
    is_named: bool
    """Whether events have an ``event:`` line; such a stream has no ``[DONE]``."""
    ends_at_once: bool = False
    """Whether nothing can come after such an event. Of several images each has one."""


_RESPONSES = _Kind(
    ends=frozenset({"response.completed", "response.incomplete", "response.failed"}),
    is_named=True,
    ends_at_once=True,
)

KINDS: Mapping[Operation, _Kind] = MappingProxyType(
    {
        Operation.RESPONSES: _RESPONSES,
        Operation.IMAGE: _Kind(ends=frozenset({"image_generation.completed"}), is_named=True),
        Operation.IMAGE_EDIT: _Kind(ends=frozenset({"image_edit.completed"}), is_named=True),
        Operation.SPEECH: _Kind(ends=frozenset({"speech.audio.done"}), is_named=False),
        Operation.TRANSCRIPTION: _Kind(ends=frozenset({"transcript.text.done"}), is_named=False),
        Operation.TRANSLATION: _Kind(ends=frozenset({"transcript.text.done"}), is_named=False),
    }
)


class _Response(msgspec.Struct, gc=False):
    usage: msgspec.Raw = NO_RAW


class _Event(msgspec.Struct, gc=False):
    type: Any = None
    error: Any = None
    usage: msgspec.Raw = NO_RAW
    response: _Response | None = None
    extra_fields: msgspec.Raw = NO_RAW


_decode_event = json.decoder(_Event)


@attrs.define(eq=False)
class EventStreamDecoder(SSEStream):
    """One streamed answer of typed events, each handed on with ``extra_fields``.

    A stream that stops without one of the events that end it is an error; so is nothing at all. Events that are no JSON
    object are skipped.
    """

    _usage: Usage | None = attrs.field(default=None, init=False)
    _kind: _Kind = attrs.field(init=False)
    _has_end: bool = attrs.field(default=False, init=False)
    """An event that ends the stream has come."""
    _adds: bool = attrs.field(init=False)
    _extra: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._kind = KINDS[self.facts.operation]
        self._adds = self.facts.send_extra_fields and not self.facts.raw_verbatim
        self._extra = extra_fields.begin(self.facts)

    @property
    def usage(self) -> Usage | None:
        return self._usage

    def _at_end(self, progress: Progress, now_s: float) -> Progress:  # noqa: ARG002  others need the time
        if self._has_end:
            return self._ended(progress.data, progress.events)
        return attrs.evolve(progress, error=self._cut_short())

    def _relay(self, events: list[sse.SSEEvent], now_s: float) -> Progress:
        out: list[bytes] = []
        before = self._count
        for event in events:
            error = self._take(event, now_s, out)
            if error is not None:
                self._is_over = True
                return Progress(b"".join(out), self._count - before, error)
            if self._is_over:
                return self._ended(b"".join(out), self._count - before)
        return Progress(b"".join(out), self._count - before)

    def _take(self, event: sse.SSEEvent, now_s: float, out: list[bytes]) -> GatewayError | None:
        """Put what ``event`` becomes into ``out``, or return the error that it tells."""
        if event.data.strip() == b"[DONE]":
            self._is_over = True
            return None if self._has_end else self._cut_short()
        wire = _read(event.data)
        kind = event.event if wire is None or not isinstance(wire.type, str) else wire.type
        if kind == "error" or event.is_raw or wire is None:
            return self._told_oddly(event.data, is_error=kind == "error")
        if not isinstance(wire.type, str) and (error := self._told(event.data)) is not None:
            return error
        if kind != PING:
            out.append(self._frame(event.data, wire, kind, now_s))
            self._note(wire, kind)
        return None

    def _note(self, wire: _Event, kind: str | None) -> None:
        raw = wire.usage if wire.response is None else wire.response.usage
        if raw is not NO_RAW:
            self._usage = read_usage(bytes(raw)) or self._usage
        if kind in self._kind.ends:
            self._has_end = True
            self._is_over = self._kind.ends_at_once

    def _frame(self, data: bytes, wire: _Event, kind: str | None, now_s: float) -> bytes:
        line = json.one_line(data)
        if self._adds:
            line = json.splice(_without_extra(line, wire), self._extra_member(data, now_s))
        self._count += 1
        self._last_s = now_s
        if self._kind.is_named and kind is not None:
            return b"event: %b\ndata: %b\n\n" % (_word(kind), line)
        return b"data: %b\n\n" % line

    def _extra_member(self, data: bytes, now_s: float) -> bytes:
        raw = b""
        if self.facts.raw_response:
            raw = b',"raw_response":%b' % json.dumps_str(data.decode("utf-8", "replace"))
        latency_ms = extra_fields.milliseconds(self._last_s, now_s)
        once = b"" if self._count else extra_fields.rest(self.facts, None)
        return b'%b%d,"chunk_index":%d%b%b}' % (self._extra, latency_ms, self._count, raw, once)

    def _ended(self, data: bytes, events: int) -> Progress:
        return Progress(data if self._kind.is_named else data + sse.DONE, events, done=True)

    def _cut_short(self) -> GatewayError:
        if not self._count:
            return UpstreamError("empty response received from provider")
        return NetworkError(CUT_SHORT)


def _read(data: bytes) -> _Event | None:
    try:
        event = _decode_event(data)
    except json.InvalidJSON:
        return None
    return event if json.is_utf8(data) else None


def _without_extra(line: bytes, wire: _Event) -> bytes:
    if wire.extra_fields is NO_RAW:
        return line
    members = json.split_object(line)
    del members[extra_fields.NAME]
    return json.join_object(members)


def _word(kind: str) -> bytes:
    """A type as an ``event:`` line can say it: one from a foreign body must not break the frame."""
    return kind.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace")
