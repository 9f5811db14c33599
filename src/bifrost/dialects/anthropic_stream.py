"""A streamed answer of Anthropic's Messages API, told to a conversation in OpenAI's deltas.

Source: Anthropic API reference, "Streaming Messages", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_errors import error_in
from bifrost.dialects.anthropic_reading import (
    UsageMaxima,
    annotation_of,
    finish_reason_of,
    thought_of,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.foreign_stream import ForeignStream
from bifrost.dialects.hub import Conversation, retold_json
from bifrost.dialects.structured_tool import is_structured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.codecs import sse
    from bifrost.dialects.base import StreamDecoder
    from bifrost.dialects.hub import Object, Teller

__all__ = ["MessagesMachine", "read_stream"]

MAX_BLOCKS = 100_000
"""Blocks of an answer; what is beyond them is passed over."""


@attrs.define(eq=False)
class _Block:
    """A content block that has begun. ``number`` is its place among those of its kind."""

    kind: str
    number: int = 0
    start: int = 0
    """Of a text: how many characters came before it."""
    citations: list[object] = attrs.field(factory=list)
    has_input: bool = False


@attrs.define(eq=False)
class MessagesMachine:
    """The events of one answer, in whatever frames they come. Tells ``conversation``; what it does not know it passes over."""

    facts: AnswerFacts
    conversation: Conversation
    _blocks: dict[int, _Block] = attrs.field(factory=dict, init=False)
    _calls: int = attrs.field(default=0, init=False)
    _thoughts: int = attrs.field(default=0, init=False)
    _last_thought: int | None = attrs.field(default=None, init=False)
    """The number of the last thinking block that had a text."""
    _said: int = attrs.field(default=0, init=False)
    """Characters of text."""
    _has_structured: bool = attrs.field(default=False, init=False)
    _usage: UsageMaxima = attrs.field(factory=UsageMaxima, init=False)
    _reason: object = attrs.field(default=None, init=False)
    _raw: bytes = attrs.field(default=b"", init=False)
    """The event that is being read."""

    def take(self, data: bytes, now_s: float, *, name: str | None = None) -> None:
        """Read one event, JSON in ``data``; ``name`` is what its frame calls it."""
        self._raw = data
        try:
            event = json.loads(data)
        except json.InvalidJSON:
            event = None
        kind = event.get("type") if isinstance(event, dict) else None
        if kind == "error" or name == "error":
            self.conversation.fail(error_in(data, self.facts.key))
            return
        read = READERS.get(kind) if isinstance(kind, str) else None
        if read is not None and isinstance(event, dict):
            read(self, event, now_s)

    def _say(self, delta: Object, now_s: float) -> None:
        self.conversation.say(delta, now_s, raw=self._raw)

    def begin(self, event: Object, now_s: float) -> None:  # noqa: ARG002  a reader's
        """Nothing is told yet: until a first delta comes, another upstream may be asked instead."""
        message = event.get("message")
        if isinstance(message, dict):
            self.conversation.begin(id=message.get("id"), model=message.get("model"))
            self._count(message.get("usage"))

    def _count(self, usage: object) -> None:
        self._usage.add(usage)
        self.conversation.begin(service_tier=self._usage.service_tier)
        told = self._usage.openai()
        if told:
            self.conversation.count_tokens(told)

    def begin_block(self, event: Object, now_s: float) -> None:
        index, block = event.get("index"), event.get("content_block")
        if type(index) is not int or not isinstance(block, dict) or len(self._blocks) >= MAX_BLOCKS:
            return
        match block:
            case {"type": "text"}:
                self._blocks[index] = _Block("text", start=self._said)
                self._text(block.get("text"), now_s)
            case {"type": "thinking"} | {"type": "redacted_thinking"}:
                self._begin_thought(index, block, now_s)
            case {"type": "tool_use", "name": str(name)}:
                self._begin_call(index, block, name, now_s)
            case _:  # what Anthropic's own tools did: OpenAI has no word for it
                self._blocks[index] = _Block("")

    def _begin_thought(self, index: int, block: Object, now_s: float) -> None:
        self._blocks[index] = _Block("thinking", self._thoughts)
        detail = thought_of(block, self._thoughts)
        self._thoughts += 1
        if detail is not None and (detail.get("text") or "signature" in detail or "data" in detail):
            self._think(detail, now_s)

    def _think(self, detail: Object, now_s: float) -> None:
        text = detail.get("text")
        delta: Object = {"reasoning_details": [detail]}
        if text:
            is_another = self._last_thought not in {None, detail["index"]}
            delta = {"reasoning": f"\n{text}" if is_another else text, **delta}
            self._last_thought = detail["index"]
        self._say(delta, now_s)

    def _begin_call(self, index: int, block: Object, name: str, now_s: float) -> None:
        given = block.get("input")
        arguments = retold_json(given) if given else ""
        if is_structured(name):
            self._has_structured = True
            self._blocks[index] = made = _Block("structured")
            self._input(made, arguments, now_s)
            return
        self._blocks[index] = made = _Block("tool_use", self._calls, has_input=bool(arguments))
        self._calls += 1
        function = {"name": name, "arguments": arguments}
        head = {"index": made.number, "id": block.get("id") or "", "type": "function"}
        self._say({"tool_calls": [{**head, "function": function}]}, now_s)

    def go_on(self, event: Object, now_s: float) -> None:
        block = self._of(event)
        if block is None:
            return
        match event.get("delta"):
            case {"type": "text_delta", "text": text} if block.kind == "text":
                self._text(text, now_s)
            case {"type": "input_json_delta", "partial_json": str(text)}:
                self._input(block, text, now_s)
            case {"type": "thinking_delta", "thinking": str(text)} if text:
                detail = {"index": block.number, "type": "reasoning.text", "text": text}
                self._think(detail, now_s)
            case {"type": "signature_delta", "signature": str(signature)} if signature:
                detail = {"index": block.number, "type": "reasoning.text", "signature": signature}
                self._think(detail, now_s)
            case {"type": "citations_delta", "citation": citation}:
                block.citations.append(citation)
            case _:
                pass

    def _of(self, event: Object) -> _Block | None:
        index = event.get("index")
        return self._blocks.get(index) if type(index) is int else None

    def _text(self, text: object, now_s: float) -> None:
        if isinstance(text, str) and text:
            self._said += len(text)
            self._say({"content": text}, now_s)

    def _input(self, block: _Block, text: str, now_s: float) -> None:
        if not text:
            return
        block.has_input = True
        if block.kind == "structured":
            self._text(text, now_s)
        elif block.kind == "tool_use":
            call = {"index": block.number, "function": {"arguments": text}}
            self._say({"tool_calls": [call]}, now_s)

    def end_block(self, event: Object, now_s: float) -> None:
        block = self._of(event)
        if block is None:
            return
        if block.kind in {"tool_use", "structured"} and not block.has_input:
            self._input(block, "{}", now_s)
        found = (annotation_of(c, block.start, self._said) for c in block.citations)
        annotations = [annotation for annotation in found if annotation is not None]
        if annotations:
            self._say({"annotations": annotations}, now_s)

    def note(self, event: Object, now_s: float) -> None:  # noqa: ARG002  a reader's
        delta = event.get("delta")
        if isinstance(delta, dict) and delta.get("stop_reason") is not None:
            self._reason = delta["stop_reason"]
        self._count(event.get("usage"))

    def end(self, event: Object, now_s: float) -> None:  # noqa: ARG002  a reader's
        reason = finish_reason_of(self._reason)
        if reason == "tool_calls" and self._has_structured and not self._calls:
            reason = "stop"
        self.conversation.say({}, now_s, raw=self._raw, finish_reason=reason)
        self.conversation.end(now_s)


READERS: Mapping[str, Callable[[MessagesMachine, Any, float], None]] = MappingProxyType(
    {
        "message_start": MessagesMachine.begin,
        "content_block_start": MessagesMachine.begin_block,
        "content_block_delta": MessagesMachine.go_on,
        "content_block_stop": MessagesMachine.end_block,
        "message_delta": MessagesMachine.note,
        "message_stop": MessagesMachine.end,
    }
)


@attrs.define(eq=False)
class MessagesStream(ForeignStream):
    """The answer as server-sent events. It ends with ``message_stop``."""

    _machine: MessagesMachine = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._machine = MessagesMachine(self.facts, self.conversation)

    def _read(self, event: sse.SSEEvent, now_s: float) -> None:
        self._machine.take(event.data, now_s, name=event.event)


def read_stream(facts: AnswerFacts, teller: Teller) -> StreamDecoder:
    """A decoder that tells ``teller``."""
    return MessagesStream(facts, Conversation(facts, teller))
