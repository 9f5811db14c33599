from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs
import pytest

from bifrost.governance.access import allows_model, allows_provider, refined
from bifrost.governance.model import ProviderConfig
from governance.nouns import at, governance, key, only


@attrs.frozen
class Lists:
    """What providers have, by their own names."""

    by_provider: Mapping[str, frozenset[str]]

    def models_of(self, provider: str) -> Collection[str]:
        return self.by_provider.get(provider, frozenset())

    def has(self, provider: str, model: str) -> bool:
        return model in self.models_of(provider)


LISTS = Lists(
    {
        "openai": frozenset({"gpt-4o"}),
        "openrouter": frozenset({"meta/llama-3"}),
        "groq": frozenset({"openai/gpt-oss", "meta/llama-4"}),
        "replicate": frozenset({"meta/llama", "other/llama", "meta/one"}),
    }
)


def config(provider: str, *allowed: str) -> ProviderConfig:
    return ProviderConfig(provider=provider, allowed_models=frozenset(allowed))


def test_a_provider_without_a_configuration_is_not_allowed() -> None:
    one = only(governance(key(provider_configs=(at("openai"),))))

    assert allows_provider(one, "openai")
    assert not allows_provider(one, "groq")
    assert not allows_provider(only(governance(key(provider_configs=()))), "openai")


@pytest.mark.parametrize(
    ("provider", "allowed", "model", "expected"),
    [
        ("openai", (), "gpt-4o", False),
        ("openai", ("*",), "gpt-4o", True),
        ("openai", ("gpt-4o",), "gpt-4o", True),
        ("openai", ("gpt-4o",), "gpt-4o-mini", False),
        ("openai", ("gpt-4o",), "GPT-4o", False),
        ("openai", ("openai/gpt-4o",), "gpt-4o", False),
        ("openrouter", ("meta/llama-3",), "llama-3", False),
        ("groq", ("gpt-oss",), "openai/gpt-oss", True),
        ("groq", ("openai/gpt-oss",), "gpt-oss", True),
        ("groq", ("gpt-oss",), "meta/gpt-oss", False),
        ("groq", ("llama-4",), "meta/llama-4", False),
    ],
)
def test_without_lists_a_white_list_is_taken_at_its_word(
    provider: str, allowed: tuple[str, ...], model: str, expected: bool
) -> None:
    assert allows_model(config(provider, *allowed), model) is expected


@pytest.mark.parametrize(
    ("provider", "allowed", "model", "expected"),
    [
        ("openai", ("*",), "gpt-4o", True),
        ("openai", ("*",), "claude", False),
        ("openrouter", ("meta/llama-3",), "llama-3", True),
        ("openrouter", ("other/llama-3",), "llama-3", False),
        ("groq", ("llama-4",), "meta/llama-4", True),
        ("groq", (), "llama-4", False),
    ],
)
def test_lists_say_what_else_means_the_same(
    provider: str, allowed: tuple[str, ...], model: str, expected: bool
) -> None:
    assert allows_model(config(provider, *allowed), model, LISTS) is expected


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4o", "gpt-4o"),
        ("groq", "gpt-oss", "openai/gpt-oss"),
        ("groq", "meta/gpt-oss", "meta/gpt-oss"),
        ("groq", "llama-4", "meta/llama-4"),
        ("groq", "unheard-of", "unheard-of"),
        ("replicate", "one", "meta/one"),
        ("replicate", "llama", None),
        ("openrouter", "llama-3", "llama-3"),
    ],
)
def test_a_model_is_called_as_its_provider_calls_it(
    provider: str, model: str, expected: str | None
) -> None:
    assert refined(provider, model, LISTS) == expected


def test_without_lists_only_what_is_always_so_is_known() -> None:
    assert refined("groq", "gpt-oss") == "openai/gpt-oss"
    assert refined("groq", "llama-4") == "llama-4"
