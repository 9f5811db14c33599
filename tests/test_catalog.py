from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.catalog import MAX_FALLBACKS, MAX_MODEL, Catalog
from bifrost.config.secret import Secret
from bifrost.config.settings import Config, CustomProviderSettings, KeySettings, ProviderSettings
from bifrost.schema.call import Target

KEY = KeySettings(id="k", name="k", value=Secret("sk-test"))
BLANK = attrs.evolve(KEY, value=Secret(""))
DISABLED = attrs.evolve(KEY, enabled=False)


def catalog(*providers: ProviderSettings) -> Catalog:
    return Catalog.of(Config(providers={p.name: p for p in providers}))


def custom(name: str, base: str, *keys: KeySettings, key_less: bool = False) -> ProviderSettings:
    made_of = CustomProviderSettings(base_provider_type=base, is_key_less=key_less)
    return ProviderSettings(name=name, keys=keys, custom=made_of)


@pytest.mark.parametrize(
    ("model", "default", "target"),
    [
        ("gpt-4o", "openai", Target("openai", "gpt-4o")),
        ("anthropic/claude-3-5-sonnet", "openai", Target("anthropic", "claude-3-5-sonnet")),
        ("meta-llama/Llama-3.1-8B", "openai", Target("openai", "meta-llama/Llama-3.1-8B")),
        ("openrouter/anthropic/claude-3.5", "openai", Target("openrouter", "anthropic/claude-3.5")),
        ("huggingface/fal-ai/flux/dev", "", Target("huggingface", "fal-ai/flux/dev")),
        ("OpenAI/gpt-4o", "openai", Target("openai", "OpenAI/gpt-4o")),
        ("gpt-4o", "", Target("", "gpt-4o")),
        ("mine/x", "openai", Target("mine", "x")),
        ("openai/", "openai", Target("openai", "")),
        ("/x", "openai", Target("openai", "/x")),
        ("openai", "groq", Target("groq", "openai")),
    ],
)
def test_a_model_is_split_at_its_first_slash_if_a_known_provider_stands_before_it(
    model: str, default: str, target: Target
) -> None:
    assert catalog(custom("mine", "openai", KEY)).parse(model, default) == target


@given(st.text(), st.sampled_from(["", "openai", "groq"]))
def test_nothing_of_a_model_is_lost(model: str, default: str) -> None:
    target = catalog().parse(model, default)

    assert model in {target.model, f"{target.provider}/{target.model}"}


@pytest.mark.parametrize(
    ("provider", "is_available"),
    [
        (ProviderSettings(name="openai", keys=(KEY,)), True),
        (ProviderSettings(name="openai", keys=(DISABLED, KEY)), True),
        (ProviderSettings(name="openai", keys=(DISABLED,)), False),
        (ProviderSettings(name="openai", keys=(BLANK,)), False),
        (ProviderSettings(name="openai"), False),
        (ProviderSettings(name="vllm", keys=(BLANK,)), True),
        (ProviderSettings(name="azure", keys=(BLANK,)), True),
        (ProviderSettings(name="vllm"), False),
        (ProviderSettings(name="mock"), True),
        (ProviderSettings(name="ollama"), True),
        (ProviderSettings(name="ollama", keys=(DISABLED,)), False),
        (custom("mine", "openai", KEY), True),
        (custom("mine", "openai"), False),
        (custom("mine", "openai", key_less=True), True),
        (custom("mine", "openai", BLANK, key_less=True), True),
        (custom("mine", "bedrock", key_less=True), False),
        (custom("mine", "bedrock", BLANK), True),
    ],
)
def test_a_default_provider_is_available_with_a_usable_key(
    provider: ProviderSettings, is_available: bool
) -> None:
    made = catalog(provider)

    assert (provider.name in made.available) is is_available
    assert made.configured == (provider.name,)


def test_configured_providers_are_in_alphabetical_order() -> None:
    made = catalog(ProviderSettings(name="openai"), ProviderSettings(name="groq"))

    assert made.configured == ("groq", "openai")
    assert {"openai", "groq", "mock", "runway"} <= made.known


@pytest.mark.parametrize(
    ("entry", "default", "target"),
    [
        ("groq/llama", "openai", Target("groq", "llama")),
        ("gpt-4o-mini", "openai", Target("openai", "gpt-4o-mini")),
        ("meta/llama", "openai", Target("openai", "meta/llama")),
        ("gpt-4o-mini", "", None),
        ("meta/llama", "", None),
        ("", "openai", None),
        ("groq/", "openai", None),
        ("x" * (MAX_MODEL + 1), "openai", None),
        ({"provider": "groq", "model": "llama"}, "openai", Target("groq", "llama")),
        ({"provider": "groq", "model": "a/b"}, "", Target("groq", "a/b")),
        ({"provider": "nobody", "model": "llama"}, "openai", None),
        ({"provider": "groq", "model": ""}, "openai", None),
        ({"provider": "groq"}, "openai", None),
        ({"provider": 1, "model": "x"}, "openai", None),
        ({"provider": None, "model": "x"}, "openai", Target("openai", "x")),
        ({"model": "groq/x"}, "openai", Target("groq", "x")),
        ({"model": 1}, "openai", None),
        ({}, "openai", None),
        (None, "openai", None),
        (7, "openai", None),
        (["groq/llama"], "openai", None),
    ],
)
def test_an_entry_of_fallbacks_names_a_target_or_is_skipped(
    entry: object, default: str, target: Target | None
) -> None:
    expected = () if target is None else (target,)

    assert catalog().parse_fallbacks([entry], default) == expected


def test_where_nobody_is_the_default_yet_a_fallback_may_be_a_model_only() -> None:
    found = catalog().parse_fallbacks(
        ["gpt-4o", "groq/x", "", {"provider": "no", "model": "x"}], None
    )

    assert found == (Target("", "gpt-4o"), Target("groq", "x"))
    assert [each.is_default for each in found] == [True, False]


def test_a_catalog_defers_only_if_told_to() -> None:
    assert not Catalog.of(Config()).defers
    assert Catalog.of(Config(), defers=True).defers


def test_fallbacks_keep_their_order_and_are_bounded() -> None:
    entries = [f"groq/m{n}" for n in range(MAX_FALLBACKS + 5)]

    found = catalog().parse_fallbacks(entries, "")

    assert found == tuple(Target("groq", f"m{n}") for n in range(MAX_FALLBACKS))
