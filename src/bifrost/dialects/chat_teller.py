"""Chat told in OpenAI's own dialect, of an upstream that spoke another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects import extra_fields
from bifrost.dialects.base import AnswerFacts

if TYPE_CHECKING:
    from bifrost.dialects.hub import Answer, Object

__all__ = ["ChatTeller", "tell_whole", "with_extra_fields"]


@attrs.define(eq=False)
class ChatTeller:
    """Chunks with ``extra_fields``, a closing chunk with the usage, ``[DONE]``. Implements ``Teller``."""

    facts: AnswerFacts
    count: int = attrs.field(default=0, init=False)
    _last_s: float = attrs.field(init=False)
    _extra: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._last_s = self.facts.sent_s
        self._extra = b",%b" % extra_fields.begin(self.facts)

    def tell(self, chunk: Object, raw: bytes, now_s: float, out: list[bytes]) -> None:
        told = b""
        if self.facts.raw_response:
            told = b',"raw_response":%b' % json.dumps_str(raw.decode("utf-8", "replace"))
        self._put(chunk, told, self._last_s, now_s, out)
        self._last_s = now_s

    def finish(self, head: Object, usage: bytes, now_s: float, out: list[bytes]) -> None:
        choices = [{"index": 0, "delta": {}, "finish_reason": None}]
        closing = {**head, "choices": choices, "usage": json.loads(usage)}
        self._put(closing, extra_fields.rest(self.facts, None), self.facts.sent_s, now_s, out)
        out.append(sse.DONE)

    def _put(
        self, chunk: Object, once: bytes, since_s: float, now_s: float, out: list[bytes]
    ) -> None:
        data = json.dumps(chunk)
        if self.facts.send_extra_fields:
            latency_ms = extra_fields.milliseconds(since_s, now_s)
            tail = b'%b%d,"chunk_index":%d%b}}' % (self._extra, latency_ms, self.count, once)
            data = data[:-1] + tail
        out.append(b"data: %b\n\n" % data)
        self.count += 1


def tell_whole(answer: Answer, facts: AnswerFacts) -> bytes:
    """An answer as OpenAI's API gives it, with ``extra_fields``."""
    return with_extra_fields(json.dumps(answer.value), answer.body, facts)


def with_extra_fields(told: bytes, body: bytes, facts: AnswerFacts) -> bytes:
    """The JSON object ``told``, made of the upstream's ``body``, with ``extra_fields`` where they are wanted."""
    if not facts.send_extra_fields:
        return told
    return json.splice(told, extra_fields.of_whole(facts, body))
