"""Answers of the OpenAI chat API, relayed to callers who speak it too: bytes pass through, few of them are read.

Of an answer are decoded ``usage``, errors and the few members named in ``Chunk`` and ``_Plain``; ``extra_fields`` is
spliced in before the last brace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects import extra_fields
from bifrost.dialects.openai_run import RUN_BYTES, after_run, cut_run
from bifrost.dialects.openai_stream import NO_RAW, Chunk, OpenAIStream, read_chunk, sound
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from bifrost.dialects.base import Progress

__all__ = ["ChatStreamDecoder"]

BRACE = ord("}")
CLOSINGS = {
    Operation.CHAT: (b'"chat.completion.chunk"', b'[{"index":0,"delta":{}}]'),
    Operation.TEXT: (b'"text_completion"', b'[{"index":0,"text":"","logprobs":null}]'),
}
"""``object`` and ``choices`` of the closing chunk, by operation."""


@attrs.define(eq=False)
class ChatStreamDecoder(OpenAIStream):
    """One streamed chat answer: chunks go on as they came, each with ``extra_fields``.

    Chunks without choices are absorbed. Usage is told once, in a closing chunk of ours before ``[DONE]``; where the
    upstream tells it inside a chunk with choices, ``null`` takes its place there. What ends a stream, and what is no
    chunk: see ``OpenAIStream``.
    """

    _extra: bytes = attrs.field(init=False)
    _adds: bool = attrs.field(init=False)
    _is_simple: bool = attrs.field(init=False)
    """Nothing but ``extra_fields`` is added."""

    def __attrs_post_init__(self) -> None:
        self._adds = self.facts.send_extra_fields and not self.facts.raw_verbatim
        self._is_simple = self._adds and not self.facts.raw_response
        self._extra = b",%b" % extra_fields.begin(self.facts)

    def _relay_block(self, block: bytes, now_s: float) -> Progress:
        """A long block begins with a run of ordinary chunks, as a rule: that is handed on as one."""
        if not self._is_simple or not RUN_BYTES <= len(block) <= self._sse.max_event_bytes:
            return super()._relay_block(block, now_s)
        before = self._count
        run, rest = self._relay_run(block, now_s)
        in_run = self._count - before
        progress = super()._relay_block(rest, now_s)
        if not run:
            return progress
        return attrs.evolve(progress, data=run + progress.data, events=in_run + progress.events)

    def _relay_run(self, block: bytes, now_s: float) -> tuple[bytes, bytes]:
        """What becomes of the run of ordinary chunks that ``block`` begins with, and the rest of it."""
        end = after_run(block)
        chunks = cut_run(block[:end])
        if chunks is None:
            return b"", block
        if self._id is None and (first := read_chunk(b"{%b}" % chunks[0])) is not None:
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

    def _hand_on(self, data: bytes, chunk: Chunk, now_s: float, out: list[bytes]) -> None:
        out.append(self._frame(data, chunk, now_s))
        self._count += 1
        self._last_s = now_s

    def _finish(self, now_s: float, out: list[bytes]) -> None:
        out.append(self._closing_chunk(now_s))
        out.append(sse.DONE)
        self._count += 1

    def _frame(self, data: bytes, chunk: Chunk, now_s: float) -> bytes:
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

    def _frame_with_care(self, data: bytes, chunk: Chunk, latency_ms: int) -> bytes:
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

    def _edited(self, data: bytes, chunk: Chunk) -> bytes:
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

    def _closing_chunk(self, now_s: float) -> bytes:
        """Every finish reason has been handed on where it came, so none is repeated here."""
        kind, choices = CLOSINGS[self.facts.operation]
        parts = [
            b'"id":%b' % json.dumps(sound(self._id, "")),
            b'"object":%b' % kind,
            b'"created":%b' % json.dumps(sound(self._created, 0)),
            b'"model":%b' % json.dumps(sound(self._model, self.facts.model_requested)),
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
