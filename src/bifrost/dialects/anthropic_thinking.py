"""How much a Claude model is to think, and what that leaves of the other parameters.

Sources: Anthropic, "Extended thinking", "Adaptive thinking", "Effort", "Migrating to Claude 4.7", 2026-11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.dialects.reasoning import (
    budget_for,
    claude_base_name,
    claude_max_tokens,
    effort_of,
)
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from bifrost.schema.chat import ChatRequest, Reasoning

__all__ = ["MIN_BUDGET", "Thinking", "takes_sampling", "thinking_of"]

MIN_BUDGET = 1024

HEADROOM = 1024
"""What is left for the answer where the bound of the output has to be raised above a budget."""

OFF = {"type": "disabled"}

EFFORTS = {"minimal": "low"}
"""Words that Anthropic does not know."""

_VERSION = re.compile(r"^claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?:-|$)")
"""Names since the fourth generation: family, then version."""


@attrs.frozen(kw_only=True)
class Thinking:
    """What goes into a request. ``thinking`` and ``effort`` are ``None`` where nothing is to be said of them."""

    max_tokens: int
    thinking: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def is_on(self) -> bool:
        return self.thinking is not None and self.thinking.get("type") in {"enabled", "adaptive"}

    @property
    def has_budget(self) -> bool:
        return self.thinking is not None and self.thinking.get("type") == "enabled"


def takes_sampling(model: str) -> bool:
    """Whether ``model`` takes ``temperature``, ``top_p`` and ``top_k``: since 4.7 none does."""
    return not _is_adaptive_only(claude_base_name(model))


def thinking_of(request: ChatRequest, model: str) -> Thinking:
    """What ``request`` asks of ``model``; Anthropic's own ``thinking`` in it wins.

    Raises BadRequest for a budget that is too small, or leaves nothing of the caller's own bound.
    """
    max_tokens = request.max_tokens or claude_max_tokens(model)
    native = request.extra("thinking")
    if isinstance(native, dict):
        return _within(Thinking(max_tokens=max_tokens, thinking=native), request)
    if request.reasoning is None:
        return Thinking(max_tokens=max_tokens)
    return _within(_asked(request.reasoning, request, model, max_tokens), request)


def _asked(reasoning: Reasoning, request: ChatRequest, model: str, max_tokens: int) -> Thinking:
    name = claude_base_name(model)
    effort = reasoning.effort
    if effort is None and reasoning.max_tokens is None and _is_enabled(request):
        effort = "medium"
    if reasoning.is_off or (effort is None and reasoning.max_tokens is None):
        return Thinking(max_tokens=max_tokens, thinking=OFF)
    if reasoning.max_tokens is not None:
        return _budgeted(name, reasoning.max_tokens, max_tokens)
    return _of_effort(name, effort or "medium", max_tokens)


def _is_enabled(request: ChatRequest) -> bool:
    """Whether it was said in so many words; an empty object says the contrary."""
    told = request.members.get("reasoning")
    return isinstance(told, dict) and told.get("enabled") is True


def _budgeted(name: str, asked: int, max_tokens: int) -> Thinking:
    budget = MIN_BUDGET if asked == -1 else asked
    if budget < MIN_BUDGET:
        text = f"reasoning.max_tokens must be >= {MIN_BUDGET} for anthropic"
        raise BadRequest(text, param="reasoning.max_tokens")
    if _is_adaptive_only(name):
        return _adaptive(effort_of(budget, MIN_BUDGET, max_tokens), max_tokens)
    return _enabled(budget, max_tokens)


def _of_effort(name: str, effort: str, max_tokens: int) -> Thinking:
    if name == "claude-opus-4-6" or _is_adaptive_only(name):
        return _adaptive(effort, max_tokens)
    made = _enabled(budget_for(effort, MIN_BUDGET, max_tokens), max_tokens)
    if name == "claude-opus-4-5":
        return attrs.evolve(made, effort=EFFORTS.get(effort, effort))
    return made


def _adaptive(effort: str, max_tokens: int) -> Thinking:
    said = EFFORTS.get(effort, effort)
    return Thinking(max_tokens=max_tokens, thinking={"type": "adaptive"}, effort=said)


def _enabled(budget: int, max_tokens: int) -> Thinking:
    thinking = {"type": "enabled", "budget_tokens": budget}
    return Thinking(max_tokens=max_tokens, thinking=thinking)


def _within(made: Thinking, request: ChatRequest) -> Thinking:
    """``made`` with room for an answer beside the budget. Raises BadRequest if the caller's own bound leaves none."""
    budget = None if made.thinking is None else made.thinking.get("budget_tokens")
    if not made.has_budget or not isinstance(budget, int) or budget < made.max_tokens:
        return made
    if request.max_tokens is not None:
        text = f"max_tokens ({request.max_tokens}) must be greater than the budget of reasoning ({budget})"
        raise BadRequest(text, param="max_tokens")
    return attrs.evolve(made, max_tokens=budget + HEADROOM)


def _is_adaptive_only(name: str) -> bool:
    """Whether a model refuses budgets of thinking and all sampling parameters: those since 4.7."""
    found = _VERSION.match(name)
    if found is None:
        return False
    return (int(found[1]), int(found[2] or 0)) >= (4, 7)
