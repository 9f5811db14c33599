"""ConverseStream: frames into deltas of OpenAI's chat, or handed on as they came to callers of the same dialect.

Source: AWS, Amazon Bedrock API reference, "ConverseStream" (API of 2023-09-30), 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.bedrock_answer import thought_detail
from bifrost.dialects.bedrock_frames import PassedFrames, ToldFrames
from bifrost.dialects.bedrock_words import finish_reason_of, openai_usage
from bifrost.dialects.hub import Conversation, Object
from bifrost.dialects.openai_usage import read_usage
from bifrost.dialects.structured_tool import is_structured
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from bifrost.codecs.eventstream import Frame
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Teller
    from bifrost.record import Usage

__all__ = ["ConverseStream", "RelayedFrames", "read_converse_stream"]

NO_END = "Error reading stream: it has no end of message"


@attrs.define(eq=False)
class ConverseStream(ToldFrames):
    """Tells ``conversation``. The stream's end is its ``metadata``, which come behind ``messageStop``."""

    _tools: dict[object, int] = attrs.field(factory=dict, init=False)
    """By the index of its block: which tool call it is."""
    _silent: set[object] = attrs.field(factory=set, init=False)
    """Blocks of calls whose arguments have not been told: none are an empty object."""
    _answers: set[object] = attrs.field(factory=set, init=False)
    """Blocks that are the answer in the form of a schema."""
    _thoughts: dict[object, int] = attrs.field(factory=dict, init=False)
    """By the index of its block: which block of thinking it is."""

    def _tell(self, frame: Frame, now_s: float) -> None:
        event = _event(frame)
        if event is not None:
            self._take_event(frame, event, now_s)

    def _take_event(self, frame: Frame, event: Object, now_s: float) -> None:
        index, raw = event.get("contentBlockIndex"), frame.payload
        match frame.text(":event-type"), event:
            case "messageStart", _:
                self.conversation.say({"content": ""}, now_s, raw=raw)
            case "contentBlockStart", {"start": {"toolUse": {"name": str(name)} as call}}:
                self._take_call(index, name, call, raw, now_s)
            case "contentBlockDelta", {"delta": dict() as delta}:
                self._take_delta(index, delta, raw, now_s)
            case "contentBlockStop", _ if index in self._silent:
                self._take_delta(index, {"toolUse": {"input": "{}"}}, raw, now_s)
            case "messageStop", _:
                self._reason = self._finish_reason(event.get("stopReason"))
                self.conversation.say({}, now_s, raw=raw, finish_reason=self._reason)
            case "metadata", _:
                self._take_metadata(event, now_s)
            case _:
                pass

    def _take_call(self, index: object, name: str, call: Object, raw: bytes, now_s: float) -> None:
        self._silent.add(index)
        if is_structured(name):
            self._answers.add(index)
            return
        number = self._tools[index] = len(self._tools)
        told = {
            "index": number,
            "id": str(call.get("toolUseId") or ""),
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        self.conversation.say({"tool_calls": [told]}, now_s, raw=raw)

    def _take_delta(self, index: object, delta: Object, raw: bytes, now_s: float) -> None:
        match delta:
            case {"text": str(text)}:
                told: Object = {"content": text}
            case {"toolUse": {"input": str(piece)}} if piece and index in self._answers:
                self._silent.discard(index)
                told = {"content": piece}
            case {"toolUse": {"input": str(piece)}} if piece and index in self._tools:
                self._silent.discard(index)
                call = {"index": self._tools[index], "function": {"arguments": piece}}
                told = {"tool_calls": [call]}
            case {"reasoningContent": dict() as thought}:
                told = self._thought(index, thought)
            case _:
                return
        if told:
            self.conversation.say(told, now_s, raw=raw)

    def _thought(self, index: object, thought: Object) -> Object:
        number = self._thoughts.setdefault(index, len(self._thoughts))
        detail = thought_detail(thought, number)
        if detail is None:
            return {}
        text = detail.get("text")
        return {**({"reasoning": text} if text else {}), "reasoning_details": [detail]}

    def _finish_reason(self, stop_reason: object) -> str:
        reason = finish_reason_of(stop_reason)
        is_answer = bool(self._answers) and not self._tools
        return "stop" if is_answer and reason == "tool_calls" else reason

    def _take_metadata(self, event: Object, now_s: float) -> None:
        usage = event.get("usage")
        if isinstance(usage, dict):
            self.conversation.count_tokens(openai_usage(usage))
        if self._reason is None:
            self.conversation.fail(UpstreamError(NO_END))
        self.conversation.end(now_s)


def read_converse_stream(facts: AnswerFacts, teller: Teller) -> ConverseStream:
    """A decoder that tells ``teller``."""
    return ConverseStream(facts, Conversation(facts, teller))


@attrs.define(eq=False)
class RelayedFrames(PassedFrames):
    """Frames as they came, for callers of the same dialect; read for their usage, their end and failures."""

    _usage: Object | None = attrs.field(default=None, init=False)

    @property
    def usage(self) -> Usage | None:
        return None if self._usage is None else read_usage(json.dumps(self._usage))

    def _read(self, frame: Frame) -> None:
        kind = frame.text(":event-type")
        self._has_ended |= kind == "messageStop"
        if kind == "metadata":
            usage = (_event(frame) or {}).get("usage")
            self._usage = openai_usage(usage) if isinstance(usage, dict) else None
            self._is_over = True
            self._error = None if self._has_ended else UpstreamError(NO_END)


def _event(frame: Frame) -> Object | None:
    """What an event says; ``None`` for what is no JSON object, which is passed over."""
    try:
        value: Any = json.loads(frame.payload)
    except json.InvalidJSON:
        return None
    return value if isinstance(value, dict) else None
