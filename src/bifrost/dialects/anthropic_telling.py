"""Whole answers told in Anthropic's dialect, of upstreams that spoke another.

Source: Anthropic API reference, "Messages" and "Count message tokens", 2026-11.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.anthropic_words import said_in, stop_of, thoughts_of, usage_of
from bifrost.dialects.bridge_reading import Saying, call_deltas
from bifrost.dialects.openai_stream import sound
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Answer, Object

__all__ = ["tell_count", "tell_message"]


def tell_message(answer: Answer, facts: AnswerFacts) -> bytes:
    """The message that a chat ``answer`` becomes. The first choice counts: Messages know no others."""
    value = answer.value
    choice = _first(value.get("choices"))
    said = choice.get("message")
    stem = hashlib.sha256(answer.body).hexdigest()[:24]
    said = said if isinstance(said, dict) else {}
    calls = [*_calls(said, stem)]
    reason, sequence = stop_of(choice, has_tools=bool(calls))
    message = {
        "id": sound(value.get("id"), "") or f"msg_{stem}",
        "type": "message",
        "role": "assistant",
        "model": sound(value.get("model"), "") or facts.model_requested,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage_of(value.get("usage"), value.get("service_tier")),
    }
    content = json.join_array([*map(json.dumps, _words(said)), *calls])
    return json.splice(json.dumps(message), b'"content":%b' % content)


def tell_count(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    """The count that a Responses count becomes. Raises UpstreamError if it is none."""
    count = answer.value.get("input_tokens")
    if type(count) is not int:
        raise UpstreamError("failed to unmarshal response from provider API")
    return json.dumps({"input_tokens": count})


def _first(choices: object) -> Object:
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _words(message: Object) -> list[Object]:
    """What was thought and said, in the order in which Messages have it."""
    blocks: list[Object] = []
    for thought in thoughts_of(message):
        if thought.data:
            blocks.append({"type": "redacted_thinking", "data": thought.data})
        elif not thought.text and blocks and blocks[-1].get("signature") == "":
            blocks[-1]["signature"] = thought.signature
        else:
            blocks.append(_thinking(thought.text, thought.signature))
    for saying, text in said_in(message):
        is_thought = saying is Saying.REASONING
        blocks.append(_thinking(text) if is_thought else {"type": "text", "text": text})
    return blocks


def _thinking(text: str, signature: str = "") -> Object:
    return {"type": "thinking", "thinking": text, "signature": signature}


def _calls(message: Object, stem: str) -> Iterator[bytes]:
    """What was called. What has no name cannot be."""
    for number, call in enumerate(call_deltas(message)):
        if call.name:
            head = {"type": "tool_use", "id": call.id or f"toolu_{stem}{number}", "name": call.name}
            yield json.splice(json.dumps(head), b'"input":%b' % _input(call.text))


def _input(arguments: str) -> bytes:
    """A tool's arguments, which are JSON in a string, as they came; what is no object has no place in a message."""
    raw = arguments.encode("utf-8", "replace")
    try:
        json.split_object(raw)
    except json.InvalidJSON:
        return b"{}"
    return json.one_line(raw)
