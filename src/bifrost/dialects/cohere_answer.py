"""A whole chat answer of Cohere's in OpenAI's words.

Source: Cohere API reference, "Chat" v2, 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.dialects.cohere_shape import (
    TOOL_PLAN,
    Object,
    items_of,
    object_at,
    opened,
    refusal,
    text_at,
    usage_of,
)
from bifrost.dialects.hub import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.dialects.base import AnswerFacts

__all__ = ["FINISH_REASONS", "cited", "finish_of", "logprobs_of", "read_chat_answer"]

FINISH_REASONS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
"""Others are told as they came."""

IN_TEXT = "TEXT_CONTENT"
"""The type of a citation that is of the text; so is one without a type."""


def read_chat_answer(body: bytes, facts: AnswerFacts) -> Answer:
    """The chat completion in a 2xx ``body``. Raises UpstreamError if it is no JSON object."""
    value = opened(body)
    error = refusal(value, body, facts, "message")
    if error is not None:
        return Answer(value=value, body=body, error=error)
    told: Object = {
        "id": text_at(value, "id"),
        "object": "chat.completion",
        "created": int(facts.sent_unix_s),
        "model": facts.model_requested,
        "choices": [
            {
                "index": 0,
                "message": _message(object_at(value, "message")),
                "logprobs": logprobs_of(value.get("logprobs")),
                "finish_reason": finish_of(value.get("finish_reason")),
            }
        ],
    }
    usage = usage_of(value.get("usage"))
    return Answer(value={**told, "usage": usage} if usage else told, body=body)


def finish_of(reason: object) -> str:
    """OpenAI's word for a finish reason of Cohere's."""
    return FINISH_REASONS.get(reason, reason) if isinstance(reason, str) else "stop"


def _message(message: Object) -> Object:
    content = _content(message.get("content"))
    texts = [text_at(item, "text") for item in content if item.get("type") == "text"]
    told: Object = {"role": "assistant", "content": "".join(texts) or None, "refusal": None}
    told |= _reasoning(content, text_at(message, "tool_plan"))
    calls = items_of(message.get("tool_calls"))
    if calls:
        told["tool_calls"] = [_tool_call(call) for call in calls]
    elif told["content"] is None:
        told["content"] = ""
    offsets = _offsets(content)
    citations = items_of(message.get("citations"))
    return told | cited(citations, lambda citation: _before(citation, offsets))


def _content(content: object) -> list[Object]:
    """Blocks; content that is a string is one text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return items_of(content)


def _reasoning(content: list[Object], plan: str) -> Object:
    thoughts = [text_at(item, "thinking") for item in content if item.get("type") == "thinking"]
    details: list[Object] = [{"type": "reasoning.text", "text": text} for text in thoughts if text]
    if plan:
        details.append({"type": "reasoning.text", "text": plan, "id": TOOL_PLAN})
    if not details:
        return {}
    return {
        "reasoning": "".join(detail["text"] for detail in details),
        "reasoning_details": [{"index": n, **detail} for n, detail in enumerate(details)],
    }


def _tool_call(call: Object) -> Object:
    function = object_at(call, "function")
    return {
        "id": text_at(call, "id"),
        "type": "function",
        "function": {
            "name": text_at(function, "name"),
            "arguments": text_at(function, "arguments") or "{}",
        },
    }


def _offsets(content: list[Object]) -> list[int]:
    """How many characters of text stand before each block: OpenAI has all of it in one."""
    offsets: list[int] = []
    total = 0
    for item in content:
        offsets.append(total)
        total += len(text_at(item, "text"))
    return offsets


def _before(citation: Object, offsets: list[int]) -> int:
    index = citation.get("content_index")
    return offsets[index] if type(index) is int and 0 <= index < len(offsets) else 0


def cited(citations: list[Object], before: Callable[[Object], int]) -> Object:
    """The members that ``citations`` become: those of the text are annotations, with the citation itself beside.

    ``before`` says how many characters stand in front of a citation's block. Those of thinking or of a tool plan have no
    place in the text, and go as they are in ``citations``, which OpenAI has not.
    """
    told: Object = {}
    for citation in citations:
        if (text_at(citation, "type") or IN_TEXT) == IN_TEXT:
            told.setdefault("annotations", []).append(_annotation(citation, before(citation)))
        else:
            told.setdefault("citations", []).append(citation)
    return told


def _annotation(citation: Object, before: int) -> Object:
    source = _source(citation)
    place = {
        "start_index": _index(citation.get("start")) + before,
        "end_index": _index(citation.get("end")) + before,
        "title": text_at(source, "title"),
        "url": text_at(source, "url"),
    }
    return {"type": "url_citation", "url_citation": place, "citation": citation}


def _index(value: object) -> int:
    return value if type(value) is int else 0


def _source(citation: Object) -> Object:
    """What the first source that has something to say of itself is called, and where it is."""
    for source in items_of(citation.get("sources")):
        told = object_at(source, "document") or object_at(source, "tool_output")
        title = text_at(told, "title") or text_at(source, "id")
        url = text_at(told, "url")
        if title or url:
            return {"title": title, "url": url}
    return {}


def logprobs_of(value: object) -> Object | None:
    """OpenAI's log-probs out of Cohere's; of one that stands for several tokens the sum, which is their joint one."""
    items = items_of(value)
    content = [told for item in items if (told := _logprob(item)) is not None]
    return {"content": content, "refusal": None} if content else None


def _logprob(item: Object) -> Object | None:
    given: Any = item.get("logprobs")
    if not isinstance(given, list) or not given:
        return None
    if not all(isinstance(each, int | float) for each in given):
        return None
    text = text_at(item, "text")
    return {"token": text, "logprob": sum(given), "bytes": list(text.encode()), "top_logprobs": []}
