"""A streamed chat answer of Cohere's, told to a ``Conversation``.

Source: Cohere API reference, "Chat with Streaming" v2, 2026-11: named events, ``message-start`` the first and ``message-end``
the last of an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.cohere_answer import cited, finish_of, logprobs_of
from bifrost.dialects.cohere_shape import (
    TOOL_PLAN,
    Object,
    items_of,
    object_at,
    text_at,
    usage_of,
)
from bifrost.dialects.foreign_stream import ForeignStream
from bifrost.dialects.hub import Conversation
from bifrost.dialects.openai_errors import Told, told_error
from bifrost.dialects.scrub import scrubber

if TYPE_CHECKING:
    from bifrost.codecs import sse
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Teller

__all__ = ["CohereStream"]

MAX_BLOCKS = 4096
"""Blocks and tool calls of one answer that are told apart; of more than that the last are taken for one."""


@attrs.define(eq=False)
class CohereStream(ForeignStream):
    """Events that are not known, or cannot be read, are passed over."""

    _details: dict[object, int] = attrs.field(factory=dict, init=False)
    """The index of each block of thinking, and of the tool plan, among the details."""
    _texts: dict[int, int] = attrs.field(factory=dict, init=False)
    """The characters of each block of text by its index."""
    _silent: set[int] = attrs.field(factory=set, init=False)
    """Tool calls whose arguments have not begun."""
    _called: int = attrs.field(default=-1, init=False)
    """The index of the last tool call."""

    @classmethod
    def of(cls, facts: AnswerFacts, teller: Teller) -> CohereStream:
        return cls(facts, Conversation(facts, teller))

    def _read(self, event: sse.SSEEvent, now_s: float) -> None:
        try:
            value = json.loads(event.data)
        except json.InvalidJSON:
            if event.is_raw or event.event == "error":
                self.conversation.fail(self._told_oddly(event.data, is_error=True))
            return
        if not isinstance(value, dict):
            return
        kind = value.get("type") or event.event
        if kind not in READERS:
            self.conversation.fail(self._told_oddly(event.data, is_error=kind == "error"))
            return
        READERS[kind](self, value, event.data, now_s)

    def _start(self, value: Object, raw: bytes, now_s: float) -> None:
        self.conversation.begin(id=text_at(value, "id") or None)
        self.conversation.say({"content": ""}, now_s, raw=raw)

    def _content(self, value: Object, raw: bytes, now_s: float) -> None:
        """The beginning of a block may have some of it already."""
        content = object_at(value, "delta", "message", "content")
        thinking, text = text_at(content, "thinking"), text_at(content, "text")
        index = _index(value)
        if thinking:
            self.conversation.say(self._thought(thinking, index), now_s, raw=raw)
        if text:
            self._texts[index] = self._texts.get(index, 0) + len(text)
            logprobs = logprobs_of(value.get("logprobs"))
            self.conversation.say({"content": text}, now_s, raw=raw, logprobs=logprobs)

    def _plan(self, value: Object, raw: bytes, now_s: float) -> None:
        text = text_at(object_at(value, "delta", "message"), "tool_plan")
        if text:
            self.conversation.say(self._thought(text, TOOL_PLAN), now_s, raw=raw)

    def _thought(self, text: str, key: object) -> Object:
        index = self._details.setdefault(key, min(len(self._details), MAX_BLOCKS))
        detail: Object = {"index": index, "type": "reasoning.text", "text": text}
        if key == TOOL_PLAN:
            detail["id"] = TOOL_PLAN
        return {"reasoning": text, "reasoning_details": [detail]}

    def _call(self, value: Object, raw: bytes, now_s: float) -> None:
        for call in items_of(object_at(value, "delta", "message").get("tool_calls")):
            index = self._called = _index(value, self._called + 1)
            function = object_at(call, "function")
            arguments = text_at(function, "arguments")
            if not arguments:
                self._silent.add(index)
            told = {
                "index": index,
                "id": text_at(call, "id"),
                "type": "function",
                "function": {"name": text_at(function, "name"), "arguments": arguments},
            }
            self.conversation.say({"tool_calls": [told]}, now_s, raw=raw)

    def _arguments(self, value: Object, raw: bytes, now_s: float) -> None:
        for call in items_of(object_at(value, "delta", "message").get("tool_calls")):
            arguments = text_at(object_at(call, "function"), "arguments")
            if arguments:
                self._argue(_index(value, self._called), arguments, raw, now_s)

    def _call_end(self, value: Object, raw: bytes, now_s: float) -> None:
        """A call without arguments has empty ones, which are JSON."""
        index = _index(value, self._called)
        if index in self._silent:
            self._argue(index, "{}", raw, now_s)

    def _argue(self, index: int, arguments: str, raw: bytes, now_s: float) -> None:
        self._silent.discard(index)
        told = {"index": index, "function": {"arguments": arguments}}
        self.conversation.say({"tool_calls": [told]}, now_s, raw=raw)

    def _citation(self, value: Object, raw: bytes, now_s: float) -> None:
        citations = items_of(object_at(value, "delta", "message").get("citations"))
        if citations:
            self.conversation.say(cited(citations, self._before), now_s, raw=raw)

    def _before(self, citation: Object) -> int:
        index = citation.get("content_index")
        if type(index) is not int:
            return 0
        return sum(length for block, length in self._texts.items() if block < index)

    def _end(self, value: Object, raw: bytes, now_s: float) -> None:
        delta = object_at(value, "delta")
        usage = usage_of(delta.get("usage"))
        if usage:
            self.conversation.count_tokens(usage)
        error = text_at(delta, "error")
        if error:
            scrub = scrubber(self.facts.key)
            self.conversation.fail(told_error(Told(message=error), None, scrub))
        for index in sorted(self._silent):
            self._argue(index, "{}", raw, now_s)
        reason = finish_of(delta.get("finish_reason"))
        self.conversation.say({}, now_s, raw=raw, finish_reason=reason)
        self.conversation.end(now_s)

    def _nothing(self, value: Object, raw: bytes, now_s: float) -> None:
        """Says nothing that OpenAI has a word for."""


def _index(value: Object, default: int = 0) -> int:
    index = value.get("index")
    return min(index, MAX_BLOCKS) if type(index) is int and index >= 0 else default


READERS = {
    "message-start": CohereStream._start,  # noqa: SLF001  the table of its own methods
    "content-start": CohereStream._content,  # noqa: SLF001  its own table
    "content-delta": CohereStream._content,  # noqa: SLF001  its own table
    "content-end": CohereStream._nothing,  # noqa: SLF001  its own table
    "tool-plan-delta": CohereStream._plan,  # noqa: SLF001  its own table
    "tool-call-start": CohereStream._call,  # noqa: SLF001  its own table
    "tool-call-delta": CohereStream._arguments,  # noqa: SLF001  its own table
    "tool-call-end": CohereStream._call_end,  # noqa: SLF001  its own table
    "citation-start": CohereStream._citation,  # noqa: SLF001  its own table
    "citation-end": CohereStream._nothing,  # noqa: SLF001  its own table
    "debug": CohereStream._nothing,  # noqa: SLF001  its own table
    "message-end": CohereStream._end,  # noqa: SLF001  its own table
}
"""What each event means."""
