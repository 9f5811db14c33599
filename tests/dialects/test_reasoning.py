"""Efforts and budgets, by the tables of the specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.dialects.reasoning import budget_for, claude_base_name, claude_max_tokens, effort_of
from bifrost.errors import BadRequest


@pytest.mark.parametrize(
    ("effort", "budget"),
    [("none", 0), ("minimal", 1100), ("low", 1484), ("medium", 2329), ("high", 3481), ("?", 2329)],
)
def test_budget(effort: str, budget: int) -> None:
    assert budget_for(effort, 1024, 4096) == budget


def test_bounds_that_meet_or_cross() -> None:
    assert budget_for("high", 1024, 1024) == 1024
    with pytest.raises(BadRequest, match="max_tokens must be greater than 1024 for reasoning"):
        budget_for("low", 1024, 1023)


@pytest.mark.parametrize(
    ("budget", "bounds", "effort"),
    [
        (0, (1, 100), "none"),
        (-1, (1, 100), "none"),
        (5, (1, 0), "medium"),
        (5, (1, 1), "high"),
        (1, (1, 101), "low"),
        (26, (1, 101), "low"),
        (27, (1, 101), "medium"),
        (61, (1, 101), "medium"),
        (62, (1, 101), "high"),
        (9999, (1, 101), "high"),
    ],
)
def test_effort(budget: int, bounds: tuple[int, int], effort: str) -> None:
    assert effort_of(budget, *bounds) == effort


@given(st.integers(1, 4096), st.integers(1, 100_000), st.sampled_from(["low", "medium", "high"]))
def test_budget_lies_within_its_bounds(low: int, room: int, effort: str) -> None:
    assert low <= budget_for(effort, low, low + room) <= low + room


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("claude-3.5-sonnet", "claude-3-5-sonnet"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
    ],
)
def test_names_of_claude(model: str, name: str) -> None:
    assert claude_base_name(model) == name


def test_most_that_claude_puts_out() -> None:
    assert claude_max_tokens("claude-opus-4-1-20250805") == 32_000
    assert claude_max_tokens("claude-9-unheard") == 4096
