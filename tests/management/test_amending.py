"""Changes by hand: absent is unchanged, null takes away, lists are new, sections are changed member by member."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.management.amending import amended, created, merged

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("abc", max_size=2), JSON, max_size=4)


@pytest.mark.parametrize(
    ("present", "change", "expected"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 3}}, {"a": {"x": 3, "y": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": {"x": {"y": 1}}}, {"a": {"x": None}}, {"a": {}}),
        ({}, {"nobody": None}, {"nobody": None}),
    ],
)
def test_merging(present: dict[str, Any], change: dict[str, Any], expected: dict[str, Any]) -> None:
    assert merged(present, change) == expected


@given(present=OBJECTS)
def test_no_change_changes_nothing(present: dict[str, Any]) -> None:
    assert merged(present, {}) == present


@given(present=OBJECTS, change=OBJECTS)
def test_the_same_change_again_changes_nothing_but_what_it_takes_away(
    present: dict[str, Any], change: dict[str, Any]
) -> None:
    before = str(present)
    once = merged(present, change)
    assert set(once) <= {*present, *change}
    assert all(once[name] == value for name, value in present.items() if name not in change)
    assert str(present) == before


def test_every_spelling_means_the_same_member() -> None:
    present = {"network_config": {"retry_backoff_initial": 5, "max_retries": 1}}
    change = {"network_config": {"retry_backoff_initial_ms": 7}}
    assert amended("provider", present, change) == {
        "network_config": {"retry_backoff_initial": 7, "max_retries": 1}
    }
    away = {"network_config": {"retry_backoff_initial_ms": None}}
    assert amended("provider", present, away) == {"network_config": {"max_retries": 1}}


def test_an_unknown_null_stays_for_the_check_to_find() -> None:
    assert created("provider", {"nonsense": None, "retry_budget": None}) == {"nonsense": None}


def test_a_secret_may_become_a_reference_and_a_reference_a_secret() -> None:
    there = {"value": "", "env_var": "env.K", "from_env": True}
    assert amended("key", {"value": "sk-x"}, {"value": there}) == {"value": "env.K"}
    assert amended("key", {"value": "env.K"}, {"value": "sk-y"}) == {"value": "sk-y"}
