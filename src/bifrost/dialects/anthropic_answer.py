"""A whole answer of Anthropic's Messages API, and of its count of tokens, read into OpenAI's words.

Source: Anthropic API reference, "Messages" and "Count tokens", 2026-11.
"""

from __future__ import annotations

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
from bifrost.dialects.hub import Answer, Object
from bifrost.dialects.openai_answer import BOM, checked
from bifrost.dialects.structured_tool import is_structured
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts

__all__ = ["read_answer", "read_count"]


def read_answer(body: bytes, facts: AnswerFacts) -> Answer:
    """The chat completion that a 2xx ``body`` is. Raises UpstreamError if it is no message.

    Texts become one, for callers index and print it; what has no word in OpenAI's dialect (tools that Anthropic ran
    itself, citations of documents) is passed over.
    """
    body = body.removeprefix(BOM)
    members = checked(body, json.split_object)
    value = json.loads(body)
    if value.get("type") == "error" or (value.get("error") and "content" not in value):
        return Answer(value={}, body=body, error=error_in(body, facts.key))
    if not isinstance(value.get("content"), list):
        raise UpstreamError("failed to unmarshal response from provider API", cause="no message")
    usage = UsageMaxima()
    usage.add(value.get("usage"))
    completion: Object = {
        "id": value.get("id") or "",
        "object": "chat.completion",
        "created": int(facts.sent_unix_s),
        "model": value.get("model") or facts.model_requested,
        "choices": [_choice(value, json.split_array(members["content"]))],
        "usage": usage.openai() or None,
    }
    if usage.service_tier is not None:
        completion["service_tier"] = usage.service_tier
    return Answer(value=completion, body=body)


def _choice(value: Object, raw_blocks: list[bytes]) -> Object:
    message = _Message()
    for block, raw in zip(value["content"], raw_blocks, strict=True):
        if isinstance(block, dict):
            message.take(block, raw)
    reason = finish_reason_of(value.get("stop_reason"))
    if reason == "tool_calls" and message.is_structured and not message.calls:
        reason = "stop"
    choice = {"index": 0, "message": message.encode(), "finish_reason": reason}
    stop = value.get("stop_sequence")
    return {**choice, "logprobs": None, **({"stop": stop} if stop else {})}


@attrs.define(eq=False)
class _Message:
    """An assistant's message growing out of blocks."""

    texts: list[str] = attrs.field(factory=list)
    thoughts: list[Object] = attrs.field(factory=list)
    calls: list[Object] = attrs.field(factory=list)
    annotations: list[Object] = attrs.field(factory=list)
    is_structured: bool = False

    def take(self, block: Object, raw: bytes) -> None:
        match block:
            case {"type": "text", "text": str(text)}:
                self._say(text, block.get("citations"))
            case {"type": "tool_use", "name": name}:
                self._call(block, name, raw)
            case _:
                thought = thought_of(block, len(self.thoughts))
                if thought is not None:
                    self.thoughts.append(thought)

    def _say(self, text: str, citations: object) -> None:
        start = sum(map(len, self.texts))
        self.texts.append(text)
        for citation in citations if isinstance(citations, list) else ():
            made = annotation_of(citation, start, start + len(text))
            if made is not None:
                self.annotations.append(made)

    def _call(self, block: Object, name: Any, raw: bytes) -> None:  # noqa: ANN401  a JSON value
        given = json.split_object(raw).get("input", b"null")
        arguments = "{}" if given == b"null" else json.one_line(given).decode()
        if is_structured(name):
            self.is_structured = True
            self.texts.append(arguments)
            return
        function = {"name": name, "arguments": arguments}
        self.calls.append({"id": block.get("id") or "", "type": "function", "function": function})

    def encode(self) -> Object:
        content = "".join(self.texts) if self.texts else None
        message: Object = {"role": "assistant", "content": content, "refusal": None}
        told = {
            "tool_calls": self.calls,
            "annotations": self.annotations,
            "reasoning": "\n".join(filter(None, (t.get("text") for t in self.thoughts))),
            "reasoning_details": self.thoughts,
        }
        return {**message, **{name: value for name, value in told.items() if value}}


def read_count(body: bytes, facts: AnswerFacts) -> Answer:
    """OpenAI's count of a response's input tokens, out of Anthropic's. Raises UpstreamError if it is none."""
    body = body.removeprefix(BOM)
    value = checked(body, json.split_object)
    if "input_tokens" not in value:
        if "error" in value:
            return Answer(value={}, body=body, error=error_in(body, facts.key))
        raise UpstreamError("failed to unmarshal response from provider API", cause="no count")
    count = json.loads(value["input_tokens"])
    return Answer(value={"object": "response.input_tokens", "input_tokens": count}, body=body)
