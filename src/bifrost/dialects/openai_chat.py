"""Answers of the OpenAI chat API, relayed to callers who speak it too: bytes pass through, few of them are read.

Of an answer are decoded ``usage``, errors and the few members named in ``Chunk`` and ``_Plain``; ``extra_fields`` is
spliced in before the last brace.
"""

from __future__ import annotations

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects import extra_fields
from bifrost.dialects.openai_stream import NO_RAW, Chunk, OpenAIStream, sound
from bifrost.schema.call import Operation

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
        latency_ms = 0 if now_s == self._last_s else extra_fields.milliseconds(self._last_s, now_s)
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
