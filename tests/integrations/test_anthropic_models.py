"""The model list as Anthropic's SDKs page through it."""

from __future__ import annotations

from typing import Any

import pytest

from bifrost.errors import BadRequest
from bifrost.integrations.anthropic_models import (
    anthropic_find,
    anthropic_model,
    anthropic_page,
)

MODELS: list[dict[str, object]] = [
    {"id": name} for name in ("anthropic/a", "anthropic/b", "openai/a", "openai/c")
]


def page(**asked: str) -> tuple[list[Any], bool]:
    found: Any = anthropic_page(MODELS, asked)
    names = [entry["id"] for entry in found["data"]]
    assert (found["first_id"], found["last_id"]) == ((names or [None])[0], (names or [None])[-1])
    return names, found["has_more"]


def test_only_the_default_providers_own_prefix_goes() -> None:
    assert page() == (["a", "b", "openai/a", "openai/c"], False)


def test_pages_forwards_and_backwards() -> None:
    assert page(limit="2") == (["a", "b"], True)
    assert page(limit="2", after_id="b") == (["openai/a", "openai/c"], False)
    assert page(limit="1", after_id="b") == (["openai/a"], True)
    assert page(after_id="openai/c") == ([], False)
    assert page(limit="2", before_id="openai/c") == (["b", "openai/a"], True)
    assert page(before_id="b") == (["a"], False)


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "x"},
        {"limit": "1" * 5000},
        {"after_id": "none"},
        {"before_id": "none"},
        {"after_id": "a", "before_id": "b"},
    ],
)
def test_a_page_that_cannot_be_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        page(**asked)


ENTRIES: list[tuple[dict[str, object], dict[str, object]]] = [
    ({}, {}),
    ({"display_name": "A"}, {"display_name": "A"}),
    ({"name": "B"}, {"display_name": "B"}),
    ({"name": 5}, {}),
    ({"created_at": "2025-01-01T00:00:00Z"}, {"created_at": "2025-01-01T00:00:00Z"}),
    ({"created": 1735689600}, {"created_at": "2025-01-01T00:00:00Z"}),
    ({"created": 1e99}, {}),
    ({"created": "x"}, {}),
    ({"max_tokens": 5, "other": 6}, {"max_tokens": 5}),
]


@pytest.mark.parametrize(("known", "more"), ENTRIES)
def test_an_entry(known: dict[str, object], more: dict[str, object]) -> None:
    assert anthropic_model({"id": "openai/m", **known}) == {
        "type": "model",
        "id": "openai/m",
        "display_name": "openai/m",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        **more,
    }


def test_one_model() -> None:
    assert anthropic_find(MODELS, "a")["id"] == "a"
    assert anthropic_find(MODELS, "anthropic/b")["id"] == "b"
    assert anthropic_find(MODELS, "openai/a")["id"] == "openai/a"
    with pytest.raises(BadRequest) as caught:
        anthropic_find(MODELS, "c")
    assert caught.value.status == 404
