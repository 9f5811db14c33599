"""What becomes of each field of an OpenAI chat request in Anthropic's Messages API.

Sources: Anthropic API reference, "Messages", 2026-11; the decisions are the gateway's own.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.dialects.fields import dropped, mapped

if TYPE_CHECKING:
    from bifrost.dialects.fields import Fields

__all__ = ["ANTHROPIC_FIELDS", "NATIVE"]

NATIVE = (
    "top_k",
    "speed",
    "inference_geo",
    "context_management",
    "thinking",
    "cache_control",
    "container",
    "mcp_servers",
)
"""Anthropic's own parameters that OpenAI has not: they go as they came, from the top or from ``extra_params``."""

ANTHROPIC_FIELDS: Fields = MappingProxyType(
    {
        "audio": dropped(),
        "frequency_penalty": dropped(),
        "logit_bias": dropped(),
        "logprobs": dropped(),
        "max_completion_tokens": mapped("max_tokens", "without it the model's own most is asked for"),
        "max_tokens": mapped("max_tokens", "where `max_completion_tokens` is not given"),
        "metadata": dropped("Anthropic's own has nothing but `user_id`"),
        "modalities": dropped(),
        "n": dropped(),
        "parallel_tool_calls": mapped("tool_choice.disable_parallel_tool_use"),
        "prediction": dropped(),
        "presence_penalty": dropped(),
        "prompt_cache_key": dropped(),
        "prompt_cache_retention": dropped(),
        "reasoning": mapped("thinking, output_config.effort"),
        "reasoning_effort": mapped("thinking, output_config.effort"),
        "reasoning_max_tokens": mapped("thinking.budget_tokens"),
        "response_format": mapped("output_config.format", "`json_schema` only; `json_object` is dropped"),
        "safety_identifier": mapped("metadata.user_id", "where `user` is not given"),
        "seed": dropped(),
        "service_tier": mapped("service_tier", "`default` is `standard_only`; `flex`, `priority` and the like are dropped"),
        "stop": mapped("stop_sequences", "those of nothing but white space are dropped"),
        "store": dropped(),
        "temperature": mapped("temperature", "dropped where the model thinks, or takes none"),
        "tool_choice": mapped("tool_choice"),
        "tools": mapped("tools"),
        "top_logprobs": dropped(),
        "top_p": mapped("top_p", "dropped where `temperature` is given, too"),
        "user": mapped("metadata.user_id"),
        "verbosity": dropped(),
        "web_search_options": dropped("give the tool `web_search` instead"),
        **{name: mapped(name) for name in NATIVE},
    }
)  # fmt: skip
"""The table."""
