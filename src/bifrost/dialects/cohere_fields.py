"""What becomes of OpenAI's parameters in a chat request to Cohere: the table.

Source: Cohere API reference, "Chat" v2, 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.dialects.fields import Field, dropped, mapped

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FIELDS", "OWN"]

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "audio": dropped(),
        "frequency_penalty": mapped("frequency_penalty"),
        "logit_bias": dropped(),
        "logprobs": mapped("logprobs"),
        "max_completion_tokens": mapped("max_tokens"),
        "max_tokens": mapped("max_tokens"),
        "metadata": dropped(),
        "modalities": dropped(),
        "n": dropped("one answer a call"),
        "parallel_tool_calls": dropped(),
        "prediction": dropped(),
        "presence_penalty": mapped("presence_penalty"),
        "prompt_cache_key": dropped(),
        "prompt_cache_retention": dropped(),
        "reasoning": mapped("thinking", "an effort becomes a budget"),
        "reasoning_effort": mapped("thinking", "an effort becomes a budget"),
        "reasoning_max_tokens": mapped("thinking.token_budget"),
        "response_format": mapped("response_format", "`json_schema` becomes `json_object` with it"),
        "safety_identifier": dropped(),
        "seed": mapped("seed"),
        "service_tier": dropped(),
        "stop": mapped("stop_sequences"),
        "store": dropped(),
        "temperature": mapped("temperature"),
        "tool_choice": mapped("tool_choice", "one function: only that one is sent, `REQUIRED`"),
        "tools": mapped("tools", "`strict` of all of them becomes `strict_tools`"),
        "top_logprobs": dropped(),
        "top_p": mapped("p", "from 0.01 to 0.99"),
        "user": dropped(),
        "verbosity": dropped(),
        "web_search_options": dropped(),
    }
)

OWN: Mapping[str, str] = MappingProxyType(
    {
        "citation_options": "citation_options",
        "documents": "documents",
        "k": "k",
        "log_probs": "logprobs",
        "priority": "priority",
        "safety_mode": "safety_mode",
        "strict_tool_choice": "strict_tools",
        "strict_tools": "strict_tools",
        "thinking": "thinking",
        "top_k": "k",
    }
)
"""Cohere's parameters that OpenAI has not, as a caller may name them, at the top or in ``extra_params``."""
