from __future__ import annotations

import pytest

from bifrost.policy.pricing_names import base_name, other_names


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("openai/gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("claude-sonnet-4@default", "claude-sonnet-4"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4"),
        ("anthropic.claude-3-haiku-20240307-v1:0:48k", "claude-3-haiku"),
        ("amazon.nova-pro-v1:0", "nova-pro"),
        ("gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("command-r-plus-08-2024", "command-r-plus"),
        ("mistral-large-2411", "mistral-large"),
        ("accounts/fireworks/models/gpt-oss-120b", "gpt-oss-120b"),
        ("llama-3.1-8b-instant", "llama-3.1-8b-instant"),
        ("global.model", "global.model"),
        ("-latest", "-latest"),
        ("", ""),
    ],
)
def test_a_base_name_is_what_the_versions_have_in_common(model: str, base: str) -> None:
    assert base_name(model) == base


@pytest.mark.parametrize(
    ("provider", "model", "others"),
    [
        ("openai", "a/m", []),
        ("gemini", "m", [("vertex", "m")]),
        ("vertex", "m", []),
        ("vertex", "a/b/m", [("vertex", "m")]),
        ("bedrock", "claude-9", [("bedrock", "anthropic.claude-9")]),
        ("bedrock", "eu.anthropic.claude-9", [("bedrock", "anthropic.claude-9")]),
        ("bedrock", "us.amazon.nova-pro", [("bedrock", "amazon.nova-pro")]),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova",
            [("bedrock", "us.amazon.nova"), ("bedrock", "amazon.nova")],
        ),
    ],
)
def test_other_names_come_after_the_own(
    provider: str, model: str, others: list[tuple[str, str]]
) -> None:
    assert other_names(provider, model) == [(provider, model), *others]
