from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.policy.pricing_rates import Slot
from bifrost.policy.pricing_sheet import MAX_SHEET_BYTES, ModelFacts, SheetError, read_sheet


def read(members: Any) -> Any:
    return read_sheet(json.dumps(members).encode())


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("openai", "openai"),
        ("vertex_ai-anthropic_models", "vertex"),
        ("google-vertex", "vertex"),
        ("bedrock_converse", "bedrock"),
        ("cohere_chat", "cohere"),
        ("runwayml", "runway"),
        ("fireworks_ai", "fireworks"),
    ],
)
def test_providers_have_our_names(theirs: str, ours: str) -> None:
    assert read({"m": {"provider": theirs, "mode": "chat"}}).entry(ours, "m", "chat") is not None


@pytest.mark.parametrize(
    ("key", "model"),
    [("m", "m"), ("openai/m", "m"), ("openrouter/openai/m", "openai/m"), ("m/", "m/")],
)
def test_what_stands_before_the_first_slash_is_dropped(key: str, model: str) -> None:
    assert read({key: {"provider": "p", "mode": "chat"}}).entry("p", model, "chat") is not None


def test_an_entry_has_prices_and_sizes() -> None:
    entry = read(
        {
            "openai/m": {
                "litellm_provider": "openai",
                "mode": "chat",
                "context_length": 1000,
                "max_input_tokens": 900,
                "max_output_tokens": "100",
                "input_cost_per_token": 0.0000000375,
                "input_cost_per_token_above_200k_tokens": 1e-7,
                "output_cost_per_token": -1,
                "output_cost_per_token_batches": "free",
                "search_context_cost_per_query": {
                    "search_context_size_high": 0.03,
                    "search_context_size_medium": 0.02,
                },
                "supports_vision": True,
            }
        }
    ).entry("openai", "m", "chat")

    assert entry.facts == ModelFacts(context_length=1000, max_input_tokens=900)
    assert entry.tariff == {
        Slot("input_cost_per_token"): 37_500_000_000,
        Slot("input_cost_per_token", 200_000): 10**11,
        Slot("search_context_cost_per_query"): 2 * 10**16,
    }


def test_what_is_no_entry_is_left_out() -> None:
    odd = {"a": 1, "b": {}, "c": {"provider": "p"}, "d": {"provider": 1, "mode": "chat"}}
    good = {"provider": "p", "mode": "chat"}

    listed = read(odd | {"n" * 301: good, "m": good})

    assert len(listed) == 1
    assert listed.entry("p", "m", "chat") is not None
    assert listed.entry("p", "m", "embedding") is None


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_list_is_refused(raw: bytes) -> None:
    with pytest.raises(SheetError, match="the price list is no"):
        read_sheet(raw)


def test_a_list_has_a_bound() -> None:
    with pytest.raises(SheetError, match="more than 33554432 bytes"):
        read_sheet(b" " * (MAX_SHEET_BYTES + 1))
    with pytest.raises(SheetError, match="at most 50000 entries"):
        read(dict.fromkeys(map(str, range(50_001))))
