"""What an answer in OpenAI's words is called in Anthropic's: why it stopped, what it used, what it thought.

Everything here takes whatever JSON an upstream may send. Source: Anthropic API reference, "Messages", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.openai_usage import read_usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Object", "StopReason", "details_of", "stop_of", "usage_of"]

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


def details_of(message: Object) -> Iterator[Object]:
    """Blocks of thinking in a message or delta: its details; those of another kind than Anthropic's have text all the same."""
    details = message.get("reasoning_details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            yield detail
