"""Streams of Gemini's that become OpenAI's typed events: speech and transcripts.

Each event of Gemini's is an answer with a piece in it. There is no end marker: a stream is whole when its body ends after the
candidate has told why it finished. Source: Gemini API reference, "Streaming", 2026-11.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects.gemini_answer import blocked
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_parts import listed, mapping, usage_of
from bifrost.dialects.gemini_stream import read_event
from bifrost.dialects.openai_events import EventStreamDecoder
from bifrost.dialects.openai_usage import read_usage
from bifrost.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bifrost.dialects.base import Progress

__all__ = ["GeminiEvents", "counts_of", "first_parts"]

Object = dict[str, Any]


def first_parts(told: Object) -> list[Object]:
    """The parts of the first candidate of an answer, without its thoughts."""
    return [
        part
        for candidate in listed(told.get("candidates"))[:1]
        for part in listed(mapping(candidate.get("content")).get("parts"))
        if part.get("thought") is not True
    ]


def counts_of(usage: Object) -> Object:
    """The three counts of ``usage``, which is in the words of chat, as OpenAI tells them of sound; empty if there are none."""
    if not usage:
        return {}
    return {
        "input_tokens": usage["prompt_tokens"],
        "output_tokens": usage["completion_tokens"],
        "total_tokens": usage["total_tokens"],
    }


@attrs.define(eq=False)
class GeminiEvents(EventStreamDecoder):
    """One such stream. A subclass says what becomes of each answer, and what the last event is."""

    _counts: Object = attrs.field(factory=dict, init=False)
    """What the last ``usageMetadata`` says, in OpenAI's words of chat."""
    _is_finished: bool = attrs.field(default=False, init=False)
    _odd: Object = attrs.field(factory=dict, init=False)
    """The last answer that says why the stream ends."""

    @abc.abstractmethod
    def _pieces(self, told: Object) -> Iterator[Object]:
        """The events that an answer becomes. Raises UpstreamError."""

    @abc.abstractmethod
    def _last(self) -> Object:
        """The event that ends the stream."""

    @abc.abstractmethod
    def _nothing(self, told: Object) -> GatewayError | None:
        """The error for a stream that was finished by ``told`` with nothing in it, if that is one."""

    def _take(self, event: sse.SSEEvent, now_s: float, out: list[bytes]) -> GatewayError | None:
        told = read_event(event)
        if told is None:
            return self._told_oddly(event.data, is_error=True) if event.is_raw else None
        error = refusal_in(told, self.facts)
        if error is not None:
            return error
        try:
            for piece in self._pieces(told):
                self._tell(piece, now_s, out)
        except GatewayError as broken:
            return broken
        counts = usage_of(mapping(told.get("usageMetadata")))
        if counts:
            self._counts, self._usage = counts, read_usage(json.dumps(counts))
        ends = (item.get("finishReason") for item in listed(told.get("candidates"))[:1])
        if blocked(told) or any(isinstance(end, str) and end for end in ends):
            self._is_finished, self._odd = True, told
        return None

    def _tell(self, value: Object, now_s: float, out: list[bytes]) -> None:
        event = sse.SSEEvent(event=None, data=json.dumps(value))
        super()._take(event, now_s, out)

    def _at_end(self, progress: Progress, now_s: float) -> Progress:
        if not self._is_finished:
            return super()._at_end(progress, now_s)
        error = None if self._count else self._nothing(self._odd)
        if error is not None:
            return attrs.evolve(progress, error=error)
        out: list[bytes] = []
        self._tell(self._last(), now_s, out)
        whole = attrs.evolve(
            progress, data=progress.data + b"".join(out), events=progress.events + len(out)
        )
        return super()._at_end(whole, now_s)
