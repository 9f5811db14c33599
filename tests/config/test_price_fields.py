from __future__ import annotations

from decimal import Decimal

import pytest

from bifrost.config.price_fields import PriceField, price_field, read_price, read_usd


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("input_cost_per_token", PriceField("input_cost_per_token")),
        ("input_cost_per_token_above_200k_tokens", PriceField("input_cost_per_token", 200_000)),
        ("output_cost_per_token_priority", PriceField("output_cost_per_token", 0, "priority")),
        ("input_cost_per_token_batches", PriceField("input_cost_per_token", 0, "batch")),
        ("input_cost_per_token_above_272k_tokens_priority", PriceField("input_cost_per_token", 272_000, "priority")),
        ("cache_read_input_token_cost_flex_above_272k_tokens", PriceField("cache_read_input_token_cost", 272_000, "flex")),
        ("output_cost_per_image_above_512_and_512_pixels", PriceField("output_cost_per_image_above_512_and_512_pixels")),
        ("input_cost_per_query", PriceField("search_context_cost_per_query")),
        ("input_cost_per_request", PriceField("cost_per_request")),
        ("input_cost_per_token_priority_flex", None),
        ("input_cost_per_token_above_1k_tokens_above_2k_tokens", None),
        ("input_cost_per_token_above_0k_tokens", None),
        ("input_cost", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_name_says_what_the_price_is_for(name: str, field: PriceField | None) -> None:
    assert price_field(name) == field


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (0, Decimal(0)),
        (3, Decimal(3)),
        (1e-7, Decimal("1e-7")),
        (0.1, Decimal("0.1")),
        ("2.5e-6", Decimal("0.0000025")),
        (Decimal("0.30"), Decimal("0.3")),
        (Decimal("1e-19"), Decimal(0)),
        ("1e-999999999", Decimal(0)),
        ("1e999999999", None),
        (10**9, None),
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        ("free", None),
        ("1" * 41, None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_an_amount_is_exactly_what_was_written(value: object, amount: Decimal | None) -> None:
    assert read_usd(value) == amount


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (0.5, Decimal("0.5")),
        ({f"search_context_size_{size}": i for i, size in enumerate(("high", "low", "medium"))}, 2),
        ({"search_context_size_high": 3, "search_context_size_low": 1}, 1),
        ({"search_context_size_high": 3, "search_context_size_medium": "?"}, 3),
        ({}, None),
    ],
)
def test_a_price_by_size_of_search_is_the_medium_one(value: object, amount: Decimal | None) -> None:
    assert read_price(value) == amount
