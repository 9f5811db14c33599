"""What all streams of the OpenAI family's chat API have in common, whatever becomes of their chunks.

Telling chunks from errors, usage and noise, and a stream's normal end from one cut short, is done here once; a
subclass says what the caller gets for a chunk. Source of the wire format: OpenAI API reference, "Chat completions",
2026-11.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs
import msgspec

from bifrost.codecs import json, sse
from bifrost.dialects.base import Progress
from bifrost.dialects.openai_errors import read_error_body
from bifrost.dialects.openai_usage import UsageSum
from bifrost.dialects.sse_stream import CUT_SHORT, SSEStream
from bifrost.errors import GatewayError, NetworkError, UpstreamError

if TYPE_CHECKING:
    from bifrost.record import Usage

__all__ = ["NO_RAW", "Choice", "Chunk", "OpenAIStream", "read_chunk", "sound"]

T = TypeVar("T")

NO_RAW = msgspec.Raw(b"null")
"""Stands for a member that is not there; told by identity."""


class Choice(msgspec.Struct, gc=False):
    index: int | str | None = 0
    finish_reason: Any = None


class Chunk(msgspec.Struct, gc=False):
    choices: list[Choice] | None = None
    usage: msgspec.Raw = NO_RAW
    error: Any = None
    id: Any = None
    created: Any = None
    model: Any = None
    extra_fields: msgspec.Raw = NO_RAW


_decode_chunk = json.decoder(Chunk)


@attrs.define(eq=False)
class OpenAIStream(SSEStream):
    """One streamed chat answer, taken apart.

    A stream that stops without ``[DONE]`` is an error, unless this upstream never sends one (``ends_without_done``) and
    every choice has its finish reason. Events that are no chunk are skipped and counted in ``skipped``; nothing but
    such is an error. Usage is summed, from chunks without choices here and from the others by the subclass.
    """

    skipped: int = attrs.field(default=0, init=False)
    _usage: UsageSum = attrs.field(factory=UsageSum, init=False)
    _id: Any = attrs.field(default=None, init=False)
    _created: Any = attrs.field(default=None, init=False)
    _model: Any = attrs.field(default=None, init=False)
    _begun: set[int | str | None] = attrs.field(factory=set, init=False)
    _finished: set[int | str | None] = attrs.field(factory=set, init=False)
    _saw_raw: bool = attrs.field(default=False, init=False)

    @abc.abstractmethod
    def _hand_on(
        self, data: bytes, chunk: Chunk, now_s: float, out: list[bytes]
    ) -> GatewayError | None:
        """Put what the chunk ``data``, which has choices, becomes into ``out``, and count it.

        Returns what ends the stream, if this chunk does.
        """

    @abc.abstractmethod
    def _finish(self, now_s: float, out: list[bytes]) -> GatewayError | None:
        """Put the end of a good stream into ``out``, and count it. Returns what makes it a bad end after all."""

    @property
    def usage(self) -> Usage | None:
        return self._usage.usage

    @property
    def _has_come(self) -> bool:
        """Whether there was a chunk that could be handed on."""
        return self._count > 0

    def _at_end(self, progress: Progress, now_s: float) -> Progress:
        if self.facts.ends_without_done and self._has_come and self._begun <= self._finished:
            return self._end([progress.data], self._count - progress.events, now_s)
        return attrs.evolve(progress, error=self._cut_short())

    def _relay(self, events: list[sse.SSEEvent], now_s: float) -> Progress:
        out: list[bytes] = []
        before = self._count
        for event in _unfolded(events):
            if len(event.data) < 16 and event.data.strip() == b"[DONE]":
                self._is_over = True
                return self._end(out, before, now_s)
            error = self._take(event, now_s, out)
            if error is not None:
                self._is_over = True
                return Progress(b"".join(out), self._count - before, error)
        return Progress(b"".join(out), self._count - before)

    def _take(self, event: sse.SSEEvent, now_s: float, out: list[bytes]) -> GatewayError | None:
        """Put what ``event`` becomes into ``out``, or return the error that it tells."""
        data = event.data
        if event.is_raw or event.event == "error":
            return self._take_odd(event)
        chunk = read_chunk(data)
        if chunk is None:
            self.skipped += bool(data.strip())
            return None
        if chunk.error and (error := self._told(data)) is not None:
            return error
        if not chunk.choices:
            return self._absorb(data, chunk)
        if self._id is None:
            self._remember(chunk)
        for choice in chunk.choices:
            self._begun.add(choice.index)
            if choice.finish_reason is not None:
                self._finished.add(choice.index)
        return self._hand_on(data, chunk, now_s, out)

    def _absorb(self, data: bytes, chunk: Chunk) -> GatewayError | None:
        """A chunk without choices: usage, or something for others; or an error in a shape of its own."""
        if chunk.usage is not NO_RAW:
            self._remember(chunk)
            self._usage.add(bytes(chunk.usage))
            return None
        return None if chunk.choices is not None else self._told(data)

    def _take_odd(self, event: sse.SSEEvent) -> GatewayError | None:
        """An event that is called an error, or lines without framing: an error if they can be read as one."""
        error = self._told_oddly(event.data, is_error=event.event == "error")
        if error is None:
            self.skipped += 1
            self._saw_raw = True
        return error

    def _remember(self, chunk: Chunk) -> None:
        self._id = self._id or chunk.id
        self._created = self._created or chunk.created
        self._model = self._model or chunk.model

    def _end(self, out: list[bytes], before: int, now_s: float) -> Progress:
        """The end, after ``out``; an error if there was nothing to end. ``before`` is the count before ``out``."""
        if self._has_come or self.usage is not None:
            error = self._finish(now_s, out)
        else:
            error = self._nothing_came()
        return Progress(b"".join(out), self._count - before, error, done=error is None)

    def _cut_short(self) -> GatewayError:
        if not self._has_come and self.usage is None:
            return self._nothing_came()
        return NetworkError(CUT_SHORT)

    def _nothing_came(self) -> GatewayError:
        if self._saw_raw:
            return UpstreamError("provider returned non-SSE response for streaming request")
        if self.skipped:
            return UpstreamError("failed to unmarshal response from provider API")
        return UpstreamError("empty response received from provider")


def read_chunk(data: bytes) -> Chunk | None:
    """The chunk in ``data``; ``None`` if it is none that may be handed on."""
    try:
        chunk = _decode_chunk(data)
    except json.InvalidJSON:
        return None
    return chunk if json.is_utf8(data) else None


def _unfolded(events: list[sse.SSEEvent]) -> list[sse.SSEEvent]:
    """``events``, where one of several lines is one chunk or, with some upstreams, a chunk on each line."""
    for event in events:
        if b"\n" in event.data:
            break
    else:
        return events
    return [one for event in events for one in _lines_of(event)]


def _lines_of(event: sse.SSEEvent) -> list[sse.SSEEvent]:
    if b"\n" not in event.data:
        return [event]
    is_whole = read_error_body if event.is_raw else read_chunk
    if is_whole(event.data) is not None:
        return [event]
    return [event._replace(data=line) for line in event.data.split(b"\n")]


def sound(value: object, default: T) -> T:
    """``id``, ``created`` or ``model`` of an answer, if it is of the type it should be; else ``default``."""
    is_sound = type(value) is type(default) and not (
        isinstance(value, int) and value.bit_length() > 63
    )
    return cast("T", value) if is_sound else default
