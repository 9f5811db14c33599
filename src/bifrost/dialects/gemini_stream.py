"""Streams of ``streamGenerateContent?alt=sse``, read into OpenAI's deltas.

Each event is an answer with a piece of each candidate. There is no end marker: a stream is whole when its body ends after
every candidate that was asked for has told why it finished. Source: Gemini API reference, "Streaming", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.foreign_stream import ForeignStream
from bifrost.dialects.gemini_answer import blocked, head_of
from bifrost.dialects.gemini_arguments import keep_arguments
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_parts import CandidateReader, listed, logprobs_of, mapping, usage_of
from bifrost.dialects.hub import Conversation
from bifrost.dialects.sse_stream import CUT_SHORT
from bifrost.errors import NetworkError, UpstreamError

if TYPE_CHECKING:
    from bifrost.codecs import sse
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Teller

__all__ = ["GeminiStream", "read_event", "read_stream", "wanted_candidates"]

Object = dict[str, Any]

MAX_CANDIDATES = 64
"""Of one stream; more is no answer of Gemini's."""


def read_stream(facts: AnswerFacts, teller: Teller) -> GeminiStream:
    """A decoder that tells ``teller``."""
    return GeminiStream(facts, Conversation(facts, teller))


def read_event(event: sse.SSEEvent) -> Object | None:
    """What an event says; ``None`` if that is no JSON object. An error may come as a list of one."""
    try:
        value = json.loads(event.data)
    except json.InvalidJSON:
        return None
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else None


def wanted_candidates(facts: AnswerFacts) -> int:
    """How many answers were asked for: a stream that ends before the last of them has begun is none."""
    count = facts.members.get("n", b"1")
    return int(count) if count.isdigit() and len(count) < 4 else 1


@attrs.define(eq=False)
class GeminiStream(ForeignStream):
    """One streamed answer. Why a candidate finished is told at the end: some models tell it in every event."""

    _head: Object = attrs.field(factory=dict, init=False)
    _readers: dict[int, CandidateReader] = attrs.field(factory=dict, init=False)
    _is_blocked: bool = attrs.field(default=False, init=False)

    def _read(self, event: sse.SSEEvent, now_s: float) -> None:
        told = read_event(event)
        if told is None:
            if event.is_raw:
                self.conversation.fail(self._told_oddly(event.data, is_error=True))
            return
        error = refusal_in(told, self.facts)
        if error is not None:
            self.conversation.fail(error)
            return
        keep_arguments(told, event.data)
        self._begin(told)
        for place, candidate in enumerate(listed(told.get("candidates"))):
            self._read_candidate(candidate, place, event.data, now_s)
        if blocked(told):
            self._is_blocked = True
            self._reader(0).reason = "SAFETY"
        usage = usage_of(mapping(told.get("usageMetadata")))
        if usage:
            self.conversation.count_tokens(usage)

    def _begin(self, told: Object) -> None:
        """The first event that names the answer names it for all."""
        for name, value in head_of(told, self.facts).items():
            if value is not None:
                self._head.setdefault(name, value)
        self.conversation.begin(**self._head)

    def _reader(self, index: int) -> CandidateReader:
        seed = f"{self._head.get('id', '')} {index}"
        return self._readers.setdefault(index, CandidateReader(seed))

    def _read_candidate(self, candidate: Object, place: int, raw: bytes, now_s: float) -> None:
        index = candidate.get("index")
        index = index if type(index) is int else place
        if index not in self._readers and len(self._readers) >= MAX_CANDIDATES:
            self.conversation.fail(UpstreamError("Error reading stream: too many candidates"))
            return
        delta = self._reader(index).read(candidate)
        logprobs = logprobs_of(candidate)
        if delta or logprobs is not None:
            self.conversation.say(delta, now_s, raw=raw, index=index, logprobs=logprobs)

    def _ends_here(self, now_s: float) -> None:
        finishes = {index: reader.finish for index, reader in self._readers.items()}
        if not finishes:
            self.conversation.fail(UpstreamError("empty response received from provider"))
            return
        is_short = len(finishes) < wanted_candidates(self.facts) and not self._is_blocked
        if is_short or None in finishes.values():
            self.conversation.fail(NetworkError(CUT_SHORT))
            return
        for index, reason in finishes.items():
            self.conversation.say({}, now_s, index=index, finish_reason=reason)
        self.conversation.end(now_s)
