"""What an answer in OpenAI's words is called in Anthropic's: why it stopped, what it used, what it thought.

Everything here takes whatever JSON an upstream may send. Source: Anthropic API reference, "Messages", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.bridge_reading import Saying, sayings_of
from bifrost.dialects.gemini_signatures import OF_CALL
from bifrost.dialects.openai_stream import sound
from bifrost.dialects.openai_usage import read_usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Object", "StopReason", "Thought", "said_in", "stop_of", "thoughts_of", "usage_of"]

Object = dict[str, Any]

StopReason = tuple[str, str | None]
"""``stop_reason`` and ``stop_sequence``."""

STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Others are the same word: ``compaction``, ``pause_turn``."""

TIERS = frozenset({"standard", "priority", "batch"})


def stop_of(choice: Object, *, has_tools: bool) -> StopReason:
    """Why ``choice`` is finished. Some servers say ``stop`` where tools are to be called."""
    sequence = choice.get("stop")
    if isinstance(sequence, str) and sequence:
        return "stop_sequence", sequence
    reason = choice.get("finish_reason")
    told = STOP_REASONS.get(reason, reason) if isinstance(reason, str) and reason else "end_turn"
    return ("tool_use" if has_tools and told == "end_turn" else told), None


def usage_of(usage: object, tier: object = None) -> Object:
    """OpenAI's usage as Anthropic counts: what was cached is not among ``input_tokens``."""
    counts = read_usage(json.dumps(usage)) if isinstance(usage, dict) else None
    read = counts.cached_read_tokens if counts else 0
    written = counts.cached_write_tokens if counts else 0
    told: Object = {
        "input_tokens": max(0, counts.prompt_tokens - read - written) if counts else 0,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": counts.completion_tokens if counts else 0,
    }
    if counts and counts.reasoning_tokens:
        told["output_tokens_details"] = {"thinking_tokens": counts.reasoning_tokens}
    return told | ({"service_tier": tier} if isinstance(tier, str) and tier in TIERS else {})


@attrs.frozen(kw_only=True)
class Thought:
    """What a message or delta tells of one block of thinking. ``key`` tells blocks apart; ``None`` is any."""

    text: str = ""
    signature: str = ""
    data: str = ""
    """Of a block that is encrypted, and comes as a whole."""
    key: int | None = None


def thoughts_of(message: Object) -> Iterator[Thought]:
    """The thinking of a message or delta. Its text is told once, where the details have it too."""
    details = message.get("reasoning_details")
    items = details if isinstance(details, list) else []
    told = [_thought(item) for item in items if isinstance(item, dict) and not _is_carried(item)]
    told = [thought for thought in told if thought.text or thought.signature or thought.data]
    names = ("reasoning", "reasoning_content")
    text = next((message[n] for n in names if isinstance(message.get(n), str) and message[n]), "")
    if text and not any(thought.text for thought in told):
        yield Thought(text=text, key=told[0].key if told else None)
    yield from told


def _is_carried(detail: Object) -> bool:
    """Whether ``detail`` is a signature of a tool call's, which the call's own id carries: no thinking at all."""
    name = detail.get("id")
    return isinstance(name, str) and name.startswith(OF_CALL)


def _thought(detail: Object) -> Thought:
    index = detail.get("index")
    return Thought(
        text=sound(detail.get("text"), "") or sound(detail.get("summary"), ""),
        signature=sound(detail.get("signature"), ""),
        data=sound(detail.get("data"), ""),
        key=index if type(index) is int else None,
    )


def said_in(message: Object) -> Iterator[tuple[Saying, str]]:
    """The texts of a message or delta besides ``thoughts_of``, in the order in which a model says them."""
    yield from sayings_of({n: v for n, v in message.items() if not n.startswith("reasoning")})
