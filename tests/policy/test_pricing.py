from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from typing import Any

import pytest

from bifrost.config.governance_section import PricingOverrideSection
from bifrost.policy.pricing import MEMORY, ModelFacts, Prices, Rates, cost, load, read_sheet
from bifrost.policy.pricing_bundled import bundled_model
from bifrost.policy.pricing_rates import Slot, Tariff
from bifrost.record import Usage
from bifrost.schema.call import Operation

TODAY = date(2026, 11, 27)
CHAT = Operation.CHAT
IN = "input_cost_per_token"


def sheet(*entries: tuple[str, str, str, int], **more: Any) -> Any:
    """A price list of (name, provider, mode, millionths of a dollar for a token of the prompt)."""
    members = {
        name: {"provider": provider, "mode": mode, IN: price / 10**6, **more}
        for name, provider, mode, price in entries
    }
    return read_sheet(json.dumps(members).encode())


def price(rates: Rates | None) -> int | None:
    """For a million tokens of the prompt, in dollars."""
    if rates is None:
        return None
    return cost(rates, Usage(prompt_tokens=10**6, total_tokens=10**6), CHAT) // 10**9


@pytest.mark.parametrize(
    ("model", "provider", "operation", "dollars"),
    [
        ("m", "openai", CHAT, 1),
        ("m", "openai", Operation.RESPONSES, 2),
        ("c", "openai", Operation.RESPONSES, 3),
        ("c", "openai", Operation.TEXT, 3),
        ("m", "openai", Operation.EMBEDDING, None),
        ("m", "azure", CHAT, None),
        ("i", "openai", Operation.IMAGE_EDIT, 4),
        ("i", "openai", Operation.IMAGE_VARIATION, 4),
        ("i", "openai", Operation.IMAGE, 4),
        ("g", "gemini", CHAT, 5),
        ("x/g", "vertex", CHAT, 5),
        ("x/g", "gemini", CHAT, None),
        ("claude-9", "bedrock", CHAT, 6),
        ("anthropic.claude-9", "bedrock", CHAT, 6),
        ("us.anthropic.claude-9", "bedrock", CHAT, 6),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-9", "bedrock", CHAT, 6),
        ("m", "openai", Operation.COUNT_TOKENS, None),
        ("m", "openai", Operation.RELAY, 1),
    ],
)
def test_a_price_is_found_by_the_names_it_may_stand_under(
    model: str, provider: str, operation: Operation, dollars: int | None
) -> None:
    listed = sheet(
        ("openai/m", "openai", "chat", 1),
        ("openai/c", "openai", "chat", 3),
        ("i", "openai", "image_generation", 4),
        ("vertex_ai/g", "vertex_ai-language-models", "chat", 5),
        ("anthropic.claude-9", "bedrock_converse", "chat", 6),
    )
    responses = {"openai/m": {"provider": "openai", "mode": "responses", IN: 2e-6}}
    both = read_sheet(json.dumps(responses).encode())
    prices = Prices.of(today=TODAY, sheet=type(listed)({**listed._entries, **both._entries}))

    for _ in range(2):
        assert price(prices.rates(model, provider, operation)) == dollars


def test_a_deployment_is_looked_up_after_the_model() -> None:
    listed = sheet(("m", "azure", "chat", 1), ("d", "azure", "chat", 2))
    prices = Prices.of(today=TODAY, sheet=listed)

    assert price(prices.rates("m", "azure", CHAT, deployment="d")) == 1
    assert price(prices.rates("mine", "azure", CHAT, deployment="d")) == 2
    assert price(prices.rates("mine", "azure", CHAT, deployment="mine")) is None
    assert price(prices.rates("mine", "azure", CHAT)) is None


def test_the_operators_list_goes_before_the_one_that_comes_along() -> None:
    prices = Prices.of(today=TODAY, sheet=sheet(("gpt-4o", "openai", "chat", 77)))

    assert price(prices.rates("gpt-4o", "openai", CHAT)) == 77
    assert price(Prices.of(today=TODAY).rates("gpt-4o", "openai", CHAT)) == 2


def override(patch: dict[str, Any], **more: Any) -> PricingOverrideSection:
    given: dict[str, Any] = {
        "id": "o",
        "scope_kind": "global",
        "match_type": "wildcard",
        "pattern": "*",
        "request_types": ("chat_completion", "rerank"),
        "pricing_patch": patch,
    }
    return PricingOverrideSection(**given | more)


def test_an_override_replaces_only_what_it_gives() -> None:
    prices = Prices.of([override({"output_cost_per_token": 1e-6})], today=TODAY)
    usage = Usage(prompt_tokens=1000, completion_tokens=1000, total_tokens=2000)

    rates = prices.rates("gpt-4o", "openai", CHAT)

    assert cost(rates, usage, CHAT) == 2_500_000 + 1_000_000


def test_an_override_prices_what_no_list_knows() -> None:
    prices = Prices.of(
        [override({"search_context_cost_per_query": {"search_context_size_low": 0.002}})],
        today=TODAY,
    )

    rates = prices.rates("rerank-9", "cohere", Operation.RERANK)

    assert cost(rates, Usage(searches=2), Operation.RERANK) == 4_000_000


def test_an_overrides_tier_replaces_the_lists_own() -> None:
    patch = {"input_cost_per_token_above_200k_tokens": 9e-6}
    usage = Usage(prompt_tokens=300_000, total_tokens=300_000)
    prices = Prices.of([override(patch)], today=TODAY)

    assert cost(prices.rates("gemini-2.5-pro", "gemini", CHAT), usage, CHAT) == 2_700_000_000


def test_keys_are_told_apart_only_where_an_override_names_them() -> None:
    of_key = {"scope_kind": "virtual_key", "virtual_key_id": "v"}
    prices = Prices.of([override({IN: 5e-6}, **of_key)], today=TODAY)

    for index in range(10):
        assert price(prices.rates("x", "openai", CHAT, virtual_key_id=f"v{index}")) is None
    assert price(prices.rates("x", "openai", CHAT, virtual_key_id="v")) == 5
    assert len(prices._known) == 2


def test_providers_overrides_are_theirs() -> None:
    old = {"model_pattern": "x", "match_type": "exact", IN: 3e-6}
    prices = Prices.of(provider_overrides={"openai": [old]}, today=TODAY)

    assert price(prices.rates("x", "openai", CHAT)) == 3
    assert price(prices.rates("x", "groq", CHAT)) is None


def test_memory_is_bounded() -> None:
    prices = Prices.of(today=TODAY)
    for index in range(MEMORY + 1):
        prices.rates(str(index), "nobody", CHAT)

    assert len(prices._known) == 1


def test_memory_of_sizes_is_bounded() -> None:
    prices = Prices.of(today=TODAY)
    for index in range(MEMORY + 1):
        prices.facts(str(index), "nobody")

    assert len(prices._facts) == 1


def test_the_list_that_comes_along_is_not_imported_before_it_is_needed() -> None:
    program = "import bifrost.policy.pricing, sys; sys.exit('genai_prices' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_new_day_may_bring_new_prices() -> None:
    prices = Prices.of(today=date(2026, 10, 11))
    before = prices.rates("gpt-4o", "openai", CHAT)
    prices.turn_to(date(2026, 10, 11))
    assert prices.rates("gpt-4o", "openai", CHAT) is before
    prices.turn_to(date(2026, 10, 12))
    after = prices.rates("gpt-4o", "openai", CHAT)

    assert before is not None
    assert after is not None
    assert Slot(IN, 0, "priority") not in before.tariff
    assert Slot(IN, 0, "priority") in after.tariff


def test_sizes_and_base_names() -> None:
    listed = sheet(
        ("openai/m", "openai", "embedding", 1),
        max_input_tokens=8192,
        max_output_tokens=True,
        base_model="b",
    )
    prices = Prices.of(today=TODAY, sheet=listed)

    for _ in range(2):
        assert prices.facts("m", "openai") == ModelFacts(max_input_tokens=8192, base_model="b")
    assert prices.facts("gpt-4o-2024-11-20", "openai") == ModelFacts(
        context_length=128_000, base_model="gpt-4o"
    )
    assert prices.facts("x/y-latest", "openai") == ModelFacts(base_model="y")


MICRO = 10**12
"""A millionth of a dollar, in atto-dollars."""


@pytest.mark.parametrize(
    ("provider", "model", "unit", "rate"),
    [
        ("openai", "gpt-4o", IN, 2_500_000 * 10**6),
        ("openai", "tts-1", "input_cost_per_character", 15 * MICRO),
        ("openai", "whisper-1", "input_cost_per_second", 100 * MICRO),
        ("anthropic", "claude-sonnet-4-20250514", "cache_creation_input_token_cost", 3_750_000 * 10**6),
        ("bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0", IN, 3 * MICRO),
        ("vertex", "claude-sonnet-4@20250514", IN, 3 * MICRO),
        ("xai", "grok-4", IN, 3 * MICRO),
        ("perplexity", "sonar", "cost_per_request", 12_000 * MICRO),
        ("huggingface", "groq/openai/gpt-oss-120b", IN, 150_000 * 10**6),
        ("azure", "gpt-4o", IN, 2_500_000 * 10**6),
    ],
)  # fmt: skip
def test_prices_that_come_along(provider: str, model: str, unit: str, rate: int) -> None:
    load()

    assert _tariff(provider, model)[Slot(unit)] == rate


def test_tiers_that_come_along_go_by_the_prompt() -> None:
    rates = Rates(_tariff("gemini", "gemini-2.5-pro"))

    assert rates.card(prompt_tokens=200_000, total_tokens=900_000).input == 1_250_000 * 10**6
    assert rates.card(prompt_tokens=200_001, total_tokens=200_001).input == 2_500_000 * 10**6


def test_variants_that_come_along() -> None:
    tariff = _tariff("openai", "gpt-4o")

    assert tariff[Slot(IN, 0, "priority")] == 4_250_000 * 10**6
    assert tariff[Slot(IN, 0, "batch")] == 1_250_000 * 10**6
    # As in the ordinary list, so not said again.
    assert Slot("cache_read_input_token_cost", 0, "batch") not in tariff


def _tariff(provider: str, model: str) -> Tariff:
    found = bundled_model(provider, model, TODAY)
    assert found is not None
    return found.tariff


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("openai", ""),
        ("openai", "gpt-4o" + "x" * 300),
        ("nobody", "gpt-4o"),
        ("huggingface", "gpt-4o"),
    ],
)
def test_what_does_not_come_along(provider: str, model: str) -> None:
    assert bundled_model(provider, model, TODAY) is None
