"""How much a Gemini model is to think, as ``thinkingConfig`` says it.

Source: Google, "Gemini thinking", 2026-11: a budget in tokens for Gemini 2.5, a level from Gemini 3 on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bifrost.dialects.reasoning import budget_for
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.schema.chat import Reasoning

__all__ = ["generation_of", "thinking_config", "thinks"]

AS_MUCH_AS_IT_LIKES = -1

RANGES: tuple[tuple[str, tuple[int, int]], ...] = (
    ("gemini-2.5-flash-lite", (512, 24576)),
    ("gemini-2.5-pro", (128, 32768)),
    ("gemini-2.5-flash", (0, 24576)),
)
"""Budgets that a model takes, the first that its name contains."""

MIN_BUDGET = 1024
MAX_TOKENS = 8192
"""Of models that nothing is known of."""

LEVELS: Mapping[str, tuple[str, str]] = {
    "minimal": ("MINIMAL", "LOW"),
    "low": ("LOW", "LOW"),
    "medium": ("MEDIUM", "HIGH"),
    "high": ("HIGH", "HIGH"),
}
"""By effort, for Flash and for Pro, which knows two of them."""

_GENERATION = re.compile(r"gemini-(\d+)")


def generation_of(model: str) -> int | None:
    """The number behind ``gemini-``; ``None`` of a name that has none (``gemini-flash-latest``, a tuned model)."""
    found = _GENERATION.search(model)
    return int(found[1][:4]) if found else None


def thinks(model: str) -> bool:
    """Whether ``model`` can be told how much to think."""
    generation = generation_of(model)
    if generation is None:
        return "thinking" in model or (model.startswith("gemini-") and model.endswith("-latest"))
    return generation >= 3 or "thinking" in model or "gemini-2.5" in model


def thinking_config(model: str, reasoning: Reasoning, max_tokens: int | None) -> dict[str, object]:
    """The ``thinkingConfig`` that says ``reasoning`` to ``model``. Raises BadRequest for a budget that it does not take."""
    if reasoning.is_off or reasoning.max_tokens == 0:
        return _least(model)
    if reasoning.max_tokens is not None:
        budget = _checked(model, reasoning.max_tokens)
        return {"thinkingBudget": budget, "includeThoughts": True}
    if reasoning.effort is None:
        return {"includeThoughts": True}
    if (generation_of(model) or 0) >= 3:
        level = LEVELS.get(reasoning.effort, LEVELS["medium"])["pro" in model]
        return {"thinkingLevel": level, "includeThoughts": True}
    low, high = _range(model) or (MIN_BUDGET, max_tokens or MAX_TOKENS)
    return {"thinkingBudget": budget_for(reasoning.effort, low, high), "includeThoughts": True}


def _least(model: str) -> dict[str, object]:
    """No thinking, or as little as a Pro model can: it refuses to be told not to think."""
    if "pro" not in model:
        return {"thinkingBudget": 0, "includeThoughts": False}
    if (generation_of(model) or 0) >= 3:
        return {"thinkingLevel": "LOW", "includeThoughts": False}
    least, _ = _range(model) or (0, 0)
    return {"thinkingBudget": least, "includeThoughts": False}


def _range(model: str) -> tuple[int, int] | None:
    return next((bounds for name, bounds in RANGES if name in model), None)


def _checked(model: str, budget: int) -> int:
    bounds = _range(model)
    if budget != AS_MUCH_AS_IT_LIKES and (
        budget < 0 or (bounds is not None and not bounds[0] <= budget <= bounds[1])
    ):
        told = "0 or more" if bounds is None else f"between {bounds[0]} and {bounds[1]}"
        raise BadRequest(
            f"reasoning.max_tokens must be {told} for {model}, or -1", param="reasoning.max_tokens"
        )
    return budget
