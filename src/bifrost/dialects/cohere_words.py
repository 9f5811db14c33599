"""OpenAI's finish reasons, usage, log-probs and annotations in Cohere's words.

Source: Cohere API reference, "Chat" v2, 2026-11.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from bifrost.dialects.bridge_reading import Saying, annotations_of, logprobs_of, sayings_of
from bifrost.dialects.cohere_shape import TOOL_PLAN, items_of, object_at, text_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bifrost.dialects.cohere_shape import Object

__all__ = ["Voice", "citations_of", "logprobs_told", "reason_told", "spoken", "usage_told"]

REASONS = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "function_call": "TOOL_CALL",
    "content_filter": "ERROR",
}


def reason_told(reason: object, *, has_tools: bool) -> str:
    """Cohere's finish reason; another provider's own word goes in capitals, as all of Cohere's are."""
    if has_tools and reason in {None, "stop"}:
        return "TOOL_CALL"
    return REASONS.get(reason, reason.upper()) if isinstance(reason, str) else "COMPLETE"


def usage_told(usage: object) -> Object | None:
    """What went through the model, and what is billed: the same, unless the upstream told them apart."""
    told = object_at(usage)
    if not told:
        return None
    tokens = {
        "input_tokens": _count(told.get("prompt_tokens")),
        "output_tokens": _count(told.get("completion_tokens")),
    }
    cached = object_at(told, "prompt_tokens_details").get("cached_tokens")
    billed = object_at(told, "billed_units") or tokens
    whole: Object = {"billed_units": billed, "tokens": tokens}
    return {**whole, "cached_tokens": cached} if isinstance(cached, int) and cached else whole


def _count(value: object) -> int:
    return value if type(value) is int else 0


def logprobs_told(logprobs: object) -> list[Object]:
    """One item a token; OpenAI tells no ids of theirs."""
    return [
        {"text": item["token"], "token_ids": [], "logprobs": [item["logprob"]]}
        for item in logprobs_of(logprobs)
    ]


def citations_of(message: Object) -> Iterator[Object]:
    """The citations of a message or delta: Cohere's own as they were, others of their URL."""
    for item in items_of(message.get("annotations")):
        own = object_at(item, "citation")
        for place in annotations_of({"annotations": [item]}):
            span = {"start": place["start_index"], "end": place["end_index"]}
            if own:
                kept = {name: own[name] for name in own if name != "content_index"}
                yield {**kept, **span}
            else:
                document = {"url": place["url"], "title": place["title"]}
                source = {"type": "document", "id": place["url"], "document": document}
                yield {**span, "text": "", "sources": [source], "type": "TEXT_CONTENT"}
    yield from items_of(message.get("citations"))


class Voice(enum.Enum):
    """In which voice a text is said: as Cohere calls the content's block, or beside the content."""

    THINKING = "thinking"
    TEXT = "text"
    PLAN = "tool_plan"


def spoken(message: Object) -> Iterator[tuple[Voice, str]]:
    """The texts of a message or delta, none of them empty, thinking first.

    A refusal is told as the text that it is: Cohere has no other place for it.
    """
    thoughts = [*_detailed(message)]
    yield from thoughts or _undetailed(message)
    for saying, text in sayings_of(message):
        yield Voice.THINKING if saying is Saying.REASONING else Voice.TEXT, text


def _detailed(message: Object) -> Iterator[tuple[Voice, str]]:
    for detail in items_of(message.get("reasoning_details")):
        text = text_at(detail, "text") or text_at(detail, "summary")
        if text:
            yield Voice.PLAN if detail.get("id") == TOOL_PLAN else Voice.THINKING, text


def _undetailed(message: Object) -> Iterator[tuple[Voice, str]]:
    text = text_at(message, "reasoning") or text_at(message, "reasoning_content")
    if text:
        yield Voice.THINKING, text
