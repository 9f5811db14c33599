"""How thinking is asked for in Converse: each family of models has words of its own, outside of what the API describes.

Sources: AWS, "Extended thinking" and "Adaptive thinking" (Claude on Amazon Bedrock); AWS, "Amazon Nova: extended thinking";
AWS, "OpenAI models on Amazon Bedrock", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.dialects.bedrock_fields import Family
from bifrost.dialects.reasoning import (
    DEFAULT_MAX_TOKENS,
    budget_for,
    claude_base_name,
    claude_max_tokens,
    effort_of,
)
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from bifrost.dialects.fields import Losses
    from bifrost.schema.chat import ChatRequest, Reasoning

__all__ = ["Sampling", "Thinking", "thinking_of"]

MIN_BUDGET = 1024
"""Claude's least; also what a budget of its own choice is taken for."""

DYNAMIC = -1

ADAPTIVE = frozenset({"claude-opus-4-6"})
"""Claude's models that take an effort and find the budget themselves."""

MEDIUM = "medium"


@attrs.define(eq=False)
class Sampling:
    """What ``inferenceConfig`` is made of. Some families want less of it while they think."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: object = None


@attrs.frozen
class Thinking:
    """``fields`` for ``additionalModelRequestFields``; whether the model thinks, so that no tool can be forced on it."""

    fields: dict[str, object]
    is_on: bool = False


NOTHING = Thinking({})


def thinking_of(
    request: ChatRequest,
    model: str,
    family: Family,
    sampling: Sampling,
    losses: Losses,
    *,
    began_unthinking: bool = False,
) -> Thinking:
    """What ``request`` asks for, in the words of ``family``. Changes ``sampling`` where thinking does not go with it.

    ``began_unthinking``: the turn that goes on has calls of tools with no thoughts before them. Claude refuses to think
    by a budget in the rest of it, so whoever keeps no thoughts gets none till his turn is over.

    Raises BadRequest for a budget that there is no room for.
    """
    asked = request.reasoning
    if asked is None:
        return NOTHING
    match family:
        case Family.CLAUDE:
            effort = asked.effort or (MEDIUM if _is_enabled(request) else None)
            if began_unthinking and not _is_adaptive(asked, model) and not _is_off(asked, effort):
                losses.lose("reasoning")
                return NOTHING
            return _claude(asked, effort, model, sampling, losses)
        case Family.NOVA:
            return _nova(asked, sampling, losses)
        case Family.GPT_OSS:
            return _gpt_oss(asked, sampling)
        case _:
            return _other(asked, request, losses)


def _is_enabled(request: ChatRequest) -> bool:
    """Whether the object says nothing but that."""
    told = request.members.get("reasoning")
    return isinstance(told, dict) and told.get("enabled") is True


def _claude(
    asked: Reasoning, effort: str | None, model: str, sampling: Sampling, losses: Losses
) -> Thinking:
    if _is_off(asked, effort):
        return Thinking({"thinking": {"type": "disabled"}})
    if _is_adaptive(asked, model):
        fields: dict[str, object] = {
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "low" if effort == "minimal" else effort},
        }
        sampling.max_tokens = sampling.max_tokens or claude_max_tokens(model)
    else:
        budget = _claude_budget(asked, effort or MEDIUM, model, sampling)
        fields = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    _quiet(sampling, losses)
    return Thinking(fields, is_on=True)


def _is_off(asked: Reasoning, effort: str | None) -> bool:
    return asked.is_off or asked.max_tokens == 0 or (effort is None and asked.max_tokens is None)


def _is_adaptive(asked: Reasoning, model: str) -> bool:
    return asked.max_tokens is None and claude_base_name(model) in ADAPTIVE


def _claude_budget(asked: Reasoning, effort: str, model: str, sampling: Sampling) -> int:
    """The budget, and room for an answer behind it in ``sampling``."""
    own = sampling.max_tokens
    if asked.max_tokens is None:
        sampling.max_tokens = own or claude_max_tokens(model)
        budget = budget_for(effort, MIN_BUDGET, sampling.max_tokens)
    else:
        budget = MIN_BUDGET if asked.max_tokens == DYNAMIC else asked.max_tokens
        if budget < MIN_BUDGET:
            words = f"reasoning.max_tokens must be >= {MIN_BUDGET} for anthropic"
            raise BadRequest(words, param="reasoning.max_tokens")
        if own is None:
            sampling.max_tokens = max(claude_max_tokens(model), budget + MIN_BUDGET)
    if sampling.max_tokens is not None and budget >= sampling.max_tokens:
        words = f"max_tokens must be greater than {budget}, the budget of reasoning"
        raise BadRequest(words, param="max_tokens")
    return budget


def _quiet(sampling: Sampling, losses: Losses) -> None:
    """Take out what Claude refuses while it thinks: another temperature than 1, ``top_k``, a ``top_p`` below 0.95."""
    if sampling.temperature is not None and sampling.temperature != 1:
        sampling.temperature = None
        losses.lose("temperature")
    if sampling.top_k is not None:
        sampling.top_k = None
        losses.lose("top_k")
    if sampling.top_p is not None and sampling.top_p < 0.95:
        sampling.top_p = None
        losses.lose("top_p")


def _effort(asked: Reasoning, sampling: Sampling) -> str:
    """Low, medium or high."""
    if asked.effort is None and asked.max_tokens not in {None, DYNAMIC}:
        return effort_of(asked.max_tokens or 0, 1, sampling.max_tokens or DEFAULT_MAX_TOKENS)
    effort = asked.effort or MEDIUM
    return "low" if effort == "minimal" else effort


def _nova(asked: Reasoning, sampling: Sampling, losses: Losses) -> Thinking:
    effort = _effort(asked, sampling)
    if asked.is_off or effort == "none":
        return Thinking({"reasoningConfig": {"type": "disabled"}})
    if effort == "high":
        for member, name in NOT_BESIDE_HIGH.items():
            if getattr(sampling, member) is not None:
                setattr(sampling, member, None)
                losses.lose(name)
    return Thinking({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}, True)


NOT_BESIDE_HIGH = {
    "max_tokens": "max_completion_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
}
"""What Nova refuses beside its highest effort."""


def _gpt_oss(asked: Reasoning, sampling: Sampling) -> Thinking:
    """It always thinks; ``low`` is its least."""
    effort = _effort(asked, sampling)
    return Thinking({"reasoning_effort": "low" if effort == "none" else effort})


def _other(asked: Reasoning, request: ChatRequest, losses: Losses) -> Thinking:
    if asked.is_off:
        return Thinking({"reasoning_config": {"type": "disabled"}})
    if asked.max_tokens is None:
        losses.lose(
            "reasoning_effort" if "reasoning_effort" in request.members else "reasoning.effort"
        )
        return NOTHING
    budget = MIN_BUDGET if asked.max_tokens == DYNAMIC else asked.max_tokens
    if budget <= 0:
        return Thinking({"reasoning_config": {"type": "disabled"}})
    return Thinking({"reasoning_config": {"type": "enabled", "budget_tokens": budget}}, True)
