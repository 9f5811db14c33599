"""What becomes of each field of an OpenAI chat request in Bedrock's Converse API, and whose models want what.

Source: AWS, Amazon Bedrock API reference, "Converse" (API of 2023-09-30), 2026-11.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.dialects.fields import dropped, mapped

if TYPE_CHECKING:
    from bifrost.dialects.fields import Fields

__all__ = ["FIELDS", "OWN", "Family", "family_of"]

OWN = (
    "guardrailConfig",
    "outputConfig",
    "performanceConfig",
    "projectIdentifier",
    "promptVariables",
    "requestMetadata",
    "additionalModelResponseFieldPaths",
)
"""Members of Converse that no OpenAI field stands for: taken by their names, at the top or from ``extra_params``."""

FIELDS: Fields = MappingProxyType(
    {
        "audio": dropped(),
        "frequency_penalty": dropped(),
        "logit_bias": dropped(),
        "logprobs": dropped(),
        "max_completion_tokens": mapped("inferenceConfig.maxTokens"),
        "max_tokens": mapped("inferenceConfig.maxTokens"),
        "metadata": dropped("`requestMetadata` is Bedrock's own"),
        "modalities": dropped(),
        "n": dropped(),
        "parallel_tool_calls": dropped(),
        "prediction": dropped(),
        "presence_penalty": dropped(),
        "prompt_cache_key": dropped("`cache_control` marks become cache points"),
        "prompt_cache_retention": dropped(),
        "reasoning": mapped("additionalModelRequestFields", "by the model's family"),
        "reasoning_effort": mapped("additionalModelRequestFields", "as `reasoning.effort`"),
        "reasoning_max_tokens": mapped("additionalModelRequestFields", "as `reasoning.max_tokens`"),
        "response_format": mapped("toolConfig", "a schema becomes a tool that has to be called"),
        "safety_identifier": dropped(),
        "seed": dropped(),
        "service_tier": mapped("serviceTier.type", "`auto` is left out"),
        "stop": mapped("inferenceConfig.stopSequences"),
        "store": dropped(),
        "stream_options": mapped("", "usage always comes"),
        "temperature": mapped("inferenceConfig.temperature", "at most 1"),
        "tool_choice": mapped("toolConfig.toolChoice", "`none` takes the tools out"),
        "tools": mapped("toolConfig.tools", "functions"),
        "top_k": dropped("of Claude and Nova: additionalModelRequestFields"),
        "top_logprobs": dropped(),
        "top_p": mapped("inferenceConfig.topP", "not beside `temperature` for Claude"),
        "user": dropped(),
        "verbosity": dropped(),
        "web_search_options": dropped(),
        "additionalModelRequestFields": mapped("additionalModelRequestFields", "merged in"),
        "additionalModelRequestFieldPaths": mapped("additionalModelRequestFields", "the same"),
        **{name: mapped(name) for name in OWN},
    }
)


class Family(enum.Enum):
    """Whose model it is, as far as Converse treats it in its own way."""

    CLAUDE = "claude"
    NOVA = "nova"
    GPT_OSS = "gpt-oss"
    OTHER = "other"


SIGNS = (
    ("anthropic.", Family.CLAUDE),
    ("claude", Family.CLAUDE),
    ("nova", Family.NOVA),
    ("gpt-oss", Family.GPT_OSS),
)


def family_of(model: str) -> Family:
    """By the model's name. An ARN that does not tell is of no family."""
    name = model.lower()
    return next((family for sign, family in SIGNS if sign in name), Family.OTHER)
