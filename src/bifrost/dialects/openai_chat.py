"""Answers of the OpenAI chat API, relayed to callers who speak it too: bytes pass through, few of them are read.

Of an answer are decoded ``usage``, errors and the few members named in ``_Chunk`` and ``_Plain``; ``extra_fields`` is
spliced in before the last brace. Source of the wire format: OpenAI API reference, "Chat completions", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from bifrost.codecs import json, sse
from bifrost.dialects import extra_fields
from bifrost.dialects.base import NOTHING, AnswerFacts, Progress
from bifrost.dialects.openai_errors import Told, read_error_body, told_error
from bifrost.dialects.openai_run import RUN_BYTES, after_run, cut_run
from bifrost.dialects.openai_usage import UsageSum
from bifrost.dialects.scrub import scrubber
from bifrost.errors import GatewayError, NetworkError, UpstreamError
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from bifrost.record import Usage

__all__ = ["ChatStreamDecoder"]

NO_RAW = msgspec.Raw(b"null")
"""Stands for a member that is not there; told by identity."""

BRACE = ord("}")
CLOSINGS = {
    Operation.CHAT: (b'"chat.completion.chunk"', b'[{"index":0,"delta":{}}]'),
    Operation.TEXT: (b'"text_completion"', b'[{"index":0,"text":"","logprobs":null}]'),
}
"""``object`` and ``choices`` of the closing chunk, by operation."""


class _Choice(msgspec.Struct, gc=False):
    index: int | str | None = 0
    finish_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NO_RAW
    error: Any = None
    id: Any = None
    created: Any = None
    model: Any = None
    extra_fields: msgspec.Raw = NO_RAW


_decode_chunk = json.decoder(_Chunk)


@attrs.define(eq=False)
class ChatStreamDecoder:
    """One streamed chat answer: chunks go on as they came, each with ``extra_fields``.

    Chunks without choices are absorbed. Usage is told once, in a closing chunk of ours before ``[DONE]``; where the
    upstream tells it inside a chunk with choices, ``null`` takes its place there. A stream that stops without ``[DONE]``
    is an error, unless this upstream never sends one (``ends_without_done``) and every choice has its finish reason.
    Events that are no chunk are skipped and counted in ``skipped``; nothing but such is an error.
    """

    facts: AnswerFacts
    skipped: int = attrs.field(default=0, init=False)
    _sse: sse.SSEDecoder = attrs.field(factory=sse.SSEDecoder, init=False)
    _usage: UsageSum = attrs.field(factory=UsageSum, init=False)
    _count: int = attrs.field(default=0, init=False)
    """Chunks handed on."""
    _last_s: float = attrs.field(init=False)
    _id: Any = attrs.field(default=None, init=False)
    _created: Any = attrs.field(default=None, init=False)
    _model: Any = attrs.field(default=None, init=False)
    _begun: set[int | str | None] = attrs.field(factory=set, init=False)
    _finished: set[int | str | None] = attrs.field(factory=set, init=False)
    _extra: bytes = attrs.field(init=False)
    _adds: bool = attrs.field(init=False)
    _is_simple: bool = attrs.field(init=False)
    """Nothing but ``extra_fields`` is added."""
    _saw_raw: bool = attrs.field(default=False, init=False)
    _is_over: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._last_s = self.facts.sent_s
        self._adds = self.facts.send_extra_fields and not self.facts.raw_verbatim
        self._is_simple = self._adds and not self.facts.raw_response
        self._extra = b",%b" % extra_fields.begin(self.facts)

    @property
    def usage(self) -> Usage | None:
        return self._usage.usage

    def feed(self, data: bytes, now_s: float) -> Progress:
        """Relay what ``data`` completes. What comes after the end is ignored."""
        if self._is_over:
            return NOTHING
        before = self._count
        block = self._sse.whole(data)
        run = b""
        if self._is_simple and RUN_BYTES <= len(block) <= self._sse.max_event_bytes:
            run, block = self._relay_run(block, now_s)
        in_run = self._count - before
        try:
            progress = self._relay(self._sse.events(block), now_s)
        except sse.EventTooLarge as error:
            progress = self._broken_off(error, now_s)
        if not run:
            return progress
        return attrs.evolve(progress, data=run + progress.data, events=in_run + progress.events)

    def close(self, now_s: float) -> Progress:
        """The body has ended: the last chunks, and whether that was the stream's end."""
        if self._is_over:
            return NOTHING
        try:
            progress = self._relay(self._sse.close(), now_s)
        except sse.EventTooLarge as error:
            return self._broken_off(error, now_s)
        if progress.done or progress.error is not None:
            return progress
        self._is_over = True
        if self.facts.ends_without_done and self._count and self._begun <= self._finished:
            return self._end([progress.data], progress.events, now_s)
        return attrs.evolve(progress, error=self._cut_short())

    def _relay_run(self, block: bytes, now_s: float) -> tuple[bytes, bytes]:
        """What becomes of the run of ordinary chunks that ``block`` begins with, and the rest of it."""
        end = after_run(block)
        chunks = cut_run(block[:end])
        if chunks is None:
            return b"", block
        if self._id is None and (first := _read_chunk(b"{%b}" % chunks[0])) is not None:
            self._remember(first)
        self._begun.add(0)
        parts = [b"data: {"] * (3 * len(chunks))
        parts[1::3] = chunks
        parts[2::3] = self._tails(len(chunks), now_s)
        self._count += len(chunks)
        self._last_s = now_s
        return b"".join(parts), block[end:]

    def _tails(self, count: int, now_s: float) -> list[bytes]:
        """What ends each of the next ``count`` chunks. All but the first came with the one before."""
        first = b'%b%d,"chunk_index":%d}}\n\n' % (self._extra, self._latency_ms(now_s), self._count)
        start = self._extra + b'0,"chunk_index":'
        return [first, *[b"%b%d}}\n\n" % (start, self._count + n) for n in range(1, count)]]

    def _latency_ms(self, now_s: float) -> int:
        """Since the chunk before, or the sending."""
        return 0 if now_s == self._last_s else extra_fields.milliseconds(self._last_s, now_s)

    def _relay(self, events: list[sse.SSEEvent], now_s: float) -> Progress:
        out: list[bytes] = []
        before = self._count
        for event in _unfolded(events):
            if len(event.data) < 16 and event.data.strip() == b"[DONE]":
                self._is_over = True
                return self._end(out, self._count - before, now_s)
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
        chunk = _read_chunk(data)
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
        out.append(self._frame(data, chunk, now_s))
        self._count += 1
        self._last_s = now_s
        return None

    def _frame(self, data: bytes, chunk: _Chunk, now_s: float) -> bytes:
        """The event that hands ``chunk`` on. The raw echo shows it as it came."""
        latency_ms = self._latency_ms(now_s)
        if (
            self._is_simple
            and chunk.usage is NO_RAW
            and chunk.extra_fields is NO_RAW
            and data[-1] == BRACE
            and b"\n" not in data
        ):
            return b'data: %b%b%d,"chunk_index":%d}}\n\n' % (
                data[:-1],
                self._extra,
                latency_ms,
                self._count,
            )
        return self._frame_with_care(data, chunk, latency_ms)

    def _frame_with_care(self, data: bytes, chunk: _Chunk, latency_ms: int) -> bytes:
        raw = self._raw_echo(data) if self.facts.raw_response and self._adds else b""
        if b"\n" in data:
            data = json.one_line(data)
        if chunk.usage is not NO_RAW or chunk.extra_fields is not NO_RAW:
            data = self._edited(data, chunk)
        if not self._adds:
            return b"data: %b\n\n" % data
        return b'data: %b%b%d,"chunk_index":%d%b}}\n\n' % (
            data.rstrip()[:-1],
            self._extra,
            latency_ms,
            self._count,
            raw,
        )

    def _raw_echo(self, data: bytes) -> bytes:
        return b',"raw_response":%b' % json.dumps_str(data.decode())

    def _edited(self, data: bytes, chunk: _Chunk) -> bytes:
        """``data`` without the members that are ours to tell, unless the caller is to see just what came."""
        usage = bytes(chunk.usage)
        if usage != b"null":
            self._usage.add(usage)
        is_foreign = chunk.extra_fields is not NO_RAW
        if self.facts.raw_verbatim or (usage == b"null" and not is_foreign):
            return data
        members = json.split_object(data)
        members.pop(extra_fields.NAME, None)
        if usage != b"null":
            members["usage"] = b"null"
        return json.join_object(members)

    def _absorb(self, data: bytes, chunk: _Chunk) -> GatewayError | None:
        """A chunk without choices: usage, or something for others; or an error in a shape of its own."""
        if chunk.usage is not NO_RAW:
            self._remember(chunk)
            self._usage.add(bytes(chunk.usage))
            return None
        return None if chunk.choices is not None else self._told(data)

    def _take_odd(self, event: sse.SSEEvent) -> GatewayError | None:
        """An event that is called an error, or lines without framing: an error if they can be read as one."""
        error = self._told(event.data)
        if error is None and event.event == "error":
            text = scrubber(self.facts.key)(event.data.decode("utf-8", "replace"))
            return told_error(Told(message=text[:2000]), None, str)
        if error is None:
            self.skipped += 1
            self._saw_raw = True
        return error

    def _told(self, data: bytes) -> GatewayError | None:
        scrub = scrubber(self.facts.key)
        told = read_error_body(data, scrub)
        return None if told is None else told_error(told, None, scrub)

    def _remember(self, chunk: _Chunk) -> None:
        self._id = self._id or chunk.id
        self._created = self._created or chunk.created
        self._model = self._model or chunk.model

    def _end(self, out: list[bytes], events: int, now_s: float) -> Progress:
        """The closing chunk and ``[DONE]``; an error if there was nothing to close."""
        if not self._count and self.usage is None:
            return Progress(b"".join(out), events, self._nothing_came())
        out.append(self._closing_chunk(now_s))
        out.append(sse.DONE)
        return Progress(b"".join(out), events + 1, done=True)

    def _closing_chunk(self, now_s: float) -> bytes:
        """Every finish reason has been handed on where it came, so none is repeated here."""
        kind, choices = CLOSINGS[self.facts.operation]
        parts = [
            b'"id":%b' % _echo(self._id, ""),
            b'"object":%b' % kind,
            b'"created":%b' % _echo(self._created, 0),
            b'"model":%b' % _echo(self._model, self.facts.model_requested),
            b'"choices":%b' % choices,
            b'"usage":%b' % json.one_line(self._usage.encoded()),
        ]
        if self._adds:
            latency_ms = extra_fields.milliseconds(self.facts.sent_s, now_s)
            once = extra_fields.rest(self.facts, None)
            parts.append(
                b'%b%d,"chunk_index":%d%b}' % (self._extra[1:], latency_ms, self._count, once)
            )
        return b"data: {%b}\n\n" % b",".join(parts)

    def _broken_off(self, error: sse.EventTooLarge, now_s: float) -> Progress:
        progress = self._relay(error.events, now_s)
        if progress.done or progress.error is not None:
            return progress
        self._is_over = True
        return attrs.evolve(progress, error=NetworkError(f"Error reading stream: {error}"))

    def _cut_short(self) -> GatewayError:
        if not self._count and self.usage is None:
            return self._nothing_came()
        return NetworkError("Error reading stream: the stream ended before its end marker")

    def _nothing_came(self) -> GatewayError:
        if self._saw_raw:
            return UpstreamError("provider returned non-SSE response for streaming request")
        if self.skipped:
            return UpstreamError("failed to unmarshal response from provider API")
        return UpstreamError("empty response received from provider")


def _read_chunk(data: bytes) -> _Chunk | None:
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
    is_whole = read_error_body if event.is_raw else _read_chunk
    if is_whole(event.data) is not None:
        return [event]
    return [event._replace(data=line) for line in event.data.split(b"\n")]


def _echo(value: object, default: object) -> bytes:
    """``id``, ``created`` or ``model`` of the stream, if it is of the type it should be."""
    is_sound = type(value) is type(default) and not (
        isinstance(value, int) and value.bit_length() > 63
    )
    return json.dumps(value if is_sound else default)
