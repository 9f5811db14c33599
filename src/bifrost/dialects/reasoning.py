"""How an effort and a budget of thinking stand for each other, and what bounds the output of Claude's models.

Sources: Anthropic, "Extended thinking" and "Models overview"; Google, "Gemini thinking", 2026-11. The shares are the
gateway's own, the same for every provider.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_MAX_TOKENS", "budget_for", "claude_base_name", "claude_max_tokens", "effort_of"]

DEFAULT_MAX_TOKENS = 4096
"""The output of a model that nothing is known of, where the caller sets no bound."""

SHARES: Mapping[str, float] = MappingProxyType(
    {"minimal": 0.025, "low": 0.15, "medium": 0.425, "high": 0.80}
)

UNKNOWN_SHARE = 0.425

CLAUDE_MAX_TOKENS: Mapping[str, int] = MappingProxyType(
    {
        "claude-opus-4-6": 128_000,
        "claude-sonnet-4-6": 64_000,
        "claude-haiku-4-5": 64_000,
        "claude-sonnet-4-5": 64_000,
        "claude-opus-4-5": 64_000,
        "claude-sonnet-4": 64_000,
        "claude-sonnet-4-0": 64_000,
        "claude-opus-4-1": 32_000,
        "claude-opus-4": 32_000,
        "claude-opus-4-0": 32_000,
        "claude-3-7-sonnet": 8192,
        "claude-3-5-sonnet": 8192,
        "claude-3-5-haiku": 8192,
        "claude-3-opus": 4096,
        "claude-3-sonnet": 4096,
        "claude-3-haiku": 4096,
    }
)

_PREFIX = re.compile(
    r"^(?:arn:[^/]*/)?(?:(?:us|eu|apac|ap|jp|au|ca|sa|us-gov|global)\.)?(?:anthropic[./])?"
)
"""Of Bedrock's inference profiles and of vendors. Only these: ``claude-3.5-sonnet`` has a dot of its own."""

_SUFFIX = re.compile(r"(?:[@-](?:\d{8}|latest))?(?:-v\d+)?(?::\d+)?$")
"""A date, Bedrock's version, its variant."""


def budget_for(effort: str, min_tokens: int, max_tokens: int) -> int:
    """The budget that ``effort`` stands for, between the two bounds; ``none`` is 0, an unknown word is in the middle.

    Raises BadRequest where there is no room between the bounds.
    """
    if effort == "none":
        return 0
    if min_tokens > max_tokens:
        raise BadRequest(
            f"max_tokens must be greater than {min_tokens} for reasoning", param="max_tokens"
        )
    share = SHARES.get(effort, UNKNOWN_SHARE)
    return min_tokens + int(share * (max_tokens - min_tokens))


def effort_of(budget: int, min_tokens: int, max_tokens: int) -> str:
    """The effort that a ``budget`` stands for: ``none``, ``low``, ``medium`` or ``high``."""
    if budget <= 0:
        return "none"
    if max_tokens <= 0:
        return "medium"
    if max_tokens <= min_tokens:
        return "high"
    share = (min(max(budget, min_tokens), max_tokens) - min_tokens) / (max_tokens - min_tokens)
    if share <= 0.25:
        return "low"
    return "medium" if share <= 0.60 else "high"


def claude_base_name(model: str) -> str:
    """The name of a Claude model without region, vendor, date and version: ``claude-sonnet-4-5``."""
    name = _PREFIX.sub("", model.lower(), count=1)
    return _SUFFIX.sub("", name, count=1).replace("claude-3.", "claude-3-")


def claude_max_tokens(model: str) -> int:
    """The most that a Claude model puts out; what is asked for where the caller sets no bound."""
    return CLAUDE_MAX_TOKENS.get(claude_base_name(model), DEFAULT_MAX_TOKENS)
