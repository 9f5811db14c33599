"""Finding models by a few letters."""

from __future__ import annotations

import pytest

from bifrost.actors.model_book import KeyList
from bifrost.management.model_search import Listed, base_names, closeness, listed, searched

ROWS = (
    KeyList(provider="openai", key_id="a", models=("gpt-4o", "o3"), listed=("gpt-4o", "o3", "tts")),
    KeyList(provider="openai", key_id="b", models=("gpt-4o",), listed=("gpt-4o", "o3", "tts")),
    KeyList(provider="groq", key_id="g", models=("llama-3",), error="no"),
)


def test_each_model_of_a_provider_once_with_the_keys_that_may_use_it() -> None:
    assert listed(ROWS) == (
        Listed("gpt-4o", "openai", ("a", "b")),
        Listed("llama-3", "groq", ("g",)),
        Listed("o3", "openai", ("a",)),
    )
    assert listed(ROWS, {"b"}) == (Listed("gpt-4o", "openai", ("b",)),)
    assert Listed("tts", "openai", ()) in listed(ROWS, unfiltered=True)


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        ("gpt-4o", "GPT-4o", 0),
        ("gpt", "gpt-4o", 1),
        ("4o", "gpt-4o", 2),
        ("g4", "gpt-4o", 3),
        ("g 4", "gpt-4o", 3),
        ("4g", "gpt-4o", None),
    ],
)
def test_closeness(query: str, name: str, expected: int | None) -> None:
    assert closeness(query, name) == expected


def test_the_best_come_first() -> None:
    models = [Listed(name, "p") for name in ("xgpt", "gpt-4o", "g-p-t", "gpt", "claude")]
    names = [each.name for each in searched(models, "gpt")]
    assert names == ["gpt", "gpt-4o", "xgpt", "g-p-t"]
    assert searched(models, "") == tuple(models)


def test_base_names_are_without_maker_and_version() -> None:
    names = ("gpt-4o-2024-08-06", "gpt-4o", "meta/llama-3")
    models = [Listed(name, "p") for name in names]
    assert base_names(models) == ("gpt-4o", "llama-3")
    assert base_names(models, "llama") == ("llama-3",)
