"""What Anthropic's answers have in common, whole or streamed, in OpenAI's words: usage, ends, thoughts, citations.

Source: Anthropic API reference, "Messages" and "Streaming Messages", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UsageMaxima", "annotation_of", "finish_reason_of", "thought_of"]

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
    }
)
"""What is not here is told as it is (``pause_turn``, ``compaction``)."""

TIERS = {"standard": "default"}
"""OpenAI's words for how a request was served, where they differ."""

COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def finish_reason_of(stop_reason: object) -> str:
    """OpenAI's word for why an answer ended; an answer that does not say it ended well."""
    return REASONS.get(stop_reason, stop_reason) if isinstance(stop_reason, str) else "stop"


def thought_of(block: Mapping[str, Any], index: int) -> dict[str, Any] | None:
    """The entry of ``reasoning_details`` for a thinking block, whose seal is to come back byte for byte."""
    match block:
        case {"type": "thinking"}:
            text, signature = _text(block.get("thinking")), _text(block.get("signature"))
            sealed = {"signature": signature} if signature else {}
            return {"index": index, "type": "reasoning.text", "text": text, **sealed}
        case {"type": "redacted_thinking", "data": str(data)}:
            return {"index": index, "type": "reasoning.encrypted", "data": data}
        case _:
            return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def annotation_of(citation: object, start: int, end: int) -> dict[str, Any] | None:
    """OpenAI's citation of a URL for the text from ``start`` to ``end``; it has no word for places in documents."""
    if not isinstance(citation, dict) or citation.get("type") != "web_search_result_location":
        return None
    cited = {
        "url": _text(citation.get("url")),
        "title": _text(citation.get("title")),
        "start_index": start,
        "end_index": end,
    }
    return {"type": "url_citation", "url_citation": cited}


@attrs.define(eq=False)
class UsageMaxima:
    """What an answer has told of its usage by now: of each count the highest, as all are running totals."""

    _counts: dict[str, int] = attrs.field(factory=dict, init=False)
    _thinking: int | None = attrs.field(default=None, init=False)
    _searches: int = attrs.field(default=0, init=False)
    service_tier: str | None = attrs.field(default=None, init=False)
    """How the request was served, in OpenAI's words."""

    def add(self, usage: object) -> None:
        """Take a ``usage`` object; what is none is passed over."""
        if not isinstance(usage, dict):
            return
        for name in COUNTS:
            count = _count(usage.get(name))
            if count is not None:
                self._counts[name] = max(count, self._counts.get(name, 0))
        thinking = _count(_inner(usage, "output_tokens_details").get("thinking_tokens"))
        if thinking is not None:
            self._thinking = max(thinking, self._thinking or 0)
        searches = _count(_inner(usage, "server_tool_use").get("web_search_requests"))
        self._searches = max(self._searches, searches or 0)
        tier = usage.get("service_tier")
        if isinstance(tier, str):
            self.service_tier = TIERS.get(tier, tier)

    def openai(self) -> dict[str, Any]:
        """OpenAI's ``usage``: the prompt with what was cached of it; empty if nothing was told."""
        if not self._counts:
            return {}
        read = self._counts.get("cache_read_input_tokens", 0)
        written = self._counts.get("cache_creation_input_tokens", 0)
        prompt = self._counts.get("input_tokens", 0) + read + written
        output = self._counts.get("output_tokens", 0)
        given = {"cached_tokens": read, "cached_read_tokens": read, "cached_write_tokens": written}
        made: dict[str, int] = {}
        if self._thinking is not None:
            made["reasoning_tokens"] = self._thinking
        if self._searches:
            made["num_search_queries"] = self._searches
        told: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": given,
        }
        return {**told, "completion_tokens_details": made} if made else told


def _inner(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = usage.get(name)
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
