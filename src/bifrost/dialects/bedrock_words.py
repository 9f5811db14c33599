"""What Converse and OpenAI call the same thing: ends, usage. One table for both ways.

Source: AWS, Amazon Bedrock API reference, "Converse" and "TokenUsage", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["finish_reason_of", "openai_usage", "stop_reason_of", "token_usage"]

FINISH_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
    }
)

STOP_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "function_call": "tool_use",
        "content_filter": "content_filtered",
    }
)


def finish_reason_of(stop_reason: object) -> str:
    """OpenAI's word for the end of an answer; one that is unknown is ``stop``."""
    return FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def stop_reason_of(finish_reason: object, *, has_calls: bool) -> str:
    """Converse's word. OpenAI says ``stop`` even of calls where they were forced."""
    told = STOP_REASONS.get(finish_reason) if isinstance(finish_reason, str) else None
    return "tool_use" if has_calls and told in {None, "end_turn"} else told or "end_turn"


def _count(source: Mapping[str, Any], name: str) -> int:
    value = source.get(name)
    return value if type(value) is int and value > 0 else 0


def openai_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Converse's ``usage`` in OpenAI's words: there the prompt includes what the cache had."""
    read, written = _count(usage, "cacheReadInputTokens"), _count(usage, "cacheWriteInputTokens")
    prompt = _count(usage, "inputTokens") + read + written
    completion = _count(usage, "outputTokens")
    told: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        # AWS counts what the cache had in some models' totals only.
        "total_tokens": max(_count(usage, "totalTokens"), prompt + completion),
    }
    if read or written:
        told["prompt_tokens_details"] = {
            "cached_tokens": read,
            "cached_read_tokens": read,
            "cached_write_tokens": written,
        }
    return told


def token_usage(usage: Mapping[str, Any] | None) -> dict[str, int]:
    """The other way."""
    usage = usage or {}
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    read = _count(details, "cached_tokens") or _count(details, "cached_read_tokens")
    written = _count(details, "cached_write_tokens")
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    told = {
        "inputTokens": max(prompt - read - written, 0),
        "outputTokens": completion,
        "totalTokens": max(_count(usage, "total_tokens"), prompt + completion),
    }
    if read or written:
        told |= {"cacheReadInputTokens": read, "cacheWriteInputTokens": written}
    return told
