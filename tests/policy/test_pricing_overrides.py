from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bifrost.config.governance_section import PricingOverrideSection
from bifrost.policy.pricing_overrides import Asked, Overrides
from bifrost.policy.pricing_rates import Slot, atto

IN = "input_cost_per_token"
MICRO = Decimal("0.000001")


def override(price: int, scope: str = "global", **more: Any) -> PricingOverrideSection:
    """An override that is known by its price, in millionths of a dollar."""
    given: dict[str, Any] = {
        "id": f"o{price}",
        "match_type": "exact",
        "pattern": "m",
        "request_types": ("chat_completion",),
        "pricing_patch": {IN: str(price * MICRO)},
        "scope_kind": scope,
    }
    return PricingOverrideSection(**given | more)


VK_KEY = {"virtual_key_id": "v", "provider_key_id": "k"}
VK_PROVIDER = {"virtual_key_id": "v", "provider_id": "p"}
VK, KEY, PROVIDER = {"virtual_key_id": "v"}, {"provider_key_id": "k"}, {"provider_id": "p"}
WILD = {"match_type": "wildcard"}
ASKED = Asked(
    model="m", provider="p", request_type="chat_completion", virtual_key_id="v", key_id="k"
)


def winner(*sections: PricingOverrideSection, old: Any = (), asked: Asked = ASKED) -> int | None:
    best = Overrides.of(sections, {"p": old}).best(asked)
    return None if best is None else best.tariff[Slot(IN)] // atto(MICRO)


EVERY_SCOPE = [
    override(1),
    override(2, "provider", **PROVIDER),
    override(3, "provider_key", **KEY),
    override(4, "virtual_key", **VK),
    override(5, "virtual_key_provider", **VK_PROVIDER),
    override(6, "virtual_key_provider_key", **VK_KEY),
]


@pytest.mark.parametrize("count", range(1, 7))
def test_the_most_specific_scope_wins(count: int) -> None:
    assert winner(*EVERY_SCOPE[:count]) == count
    assert winner(*reversed(EVERY_SCOPE[:count])) == count


@pytest.mark.parametrize(
    ("asked", "price"),
    [
        (Asked(model="m", provider="p", request_type="chat_completion"), 2),
        (Asked(model="m", provider="q", request_type="chat_completion"), 1),
        (Asked(model="m", provider="q", request_type="chat_completion", key_id="k"), 3),
        (Asked(model="m", provider="q", request_type="chat_completion", virtual_key_id="v"), 4),
        (Asked(model="m", provider="p", request_type="chat_completion", virtual_key_id="v"), 5),
        (Asked(model="n", provider="p", request_type="chat_completion"), None),
        (Asked(model="m", provider="p", request_type="embedding"), None),
    ],
)
def test_an_override_is_of_what_it_names(asked: Asked, price: int | None) -> None:
    assert winner(*EVERY_SCOPE, asked=asked) == price


@pytest.mark.parametrize(
    ("sections", "price"),
    [
        # The narrower scope before the better match.
        ([override(1), override(2, "provider", pattern="*", **WILD, **PROVIDER)], 2),
        ([override(1, pattern="*", **WILD), override(2)], 2),
        ([override(1, pattern="m*", **WILD), override(2)], 2),
        ([override(1, pattern="*", **WILD), override(2, pattern="m*", **WILD)], 2),
        # The older of equals.
        ([override(1), override(2)], 1),
        ([override(1, pattern="m*", **WILD), override(2, pattern="m*", **WILD)], 1),
        ([override(1, pattern="n*", **WILD), override(2, pattern="*", **WILD)], 2),
    ],
)
def test_within_a_scope_exact_goes_before_wildcard_and_longer_before_older(
    sections: list[PricingOverrideSection], price: int
) -> None:
    assert winner(*sections) == price


def old(price: int, match_type: str, pattern: str, *types: str) -> dict[str, Any]:
    """One in the shape of version 1.4."""
    filters = {"request_types": list(types)} if types else {}
    micro = float(price * MICRO)
    return {"model_pattern": pattern, "match_type": match_type, IN: micro, **filters}


@pytest.mark.parametrize(
    ("members", "price"),
    [
        ([old(1, "regex", "^m$"), old(2, "wildcard", "m*"), old(3, "exact", "m")], 3),
        ([old(1, "regex", "^m$"), old(2, "wildcard", "m*")], 2),
        ([old(1, "regex", "^m$")], 1),
        ([old(1, "regex", "^n$")], None),
        ([old(1, "exact", "m"), old(2, "exact", "m", "chat_completion")], 2),
        ([old(1, "exact", "m", "embedding")], None),
        ([old(1, "wildcard", "*"), old(2, "wildcard", "m*")], 2),
        ([old(1, "wildcard", "m*"), old(2, "wildcard", "m*")], 1),
    ],
)
def test_overrides_of_version_1_4_are_of_their_provider(
    members: list[dict[str, Any]], price: int | None
) -> None:
    assert winner(old=members) == price
    assert winner(override(8), old=members) == (price or 8)
    assert winner(override(9, "virtual_key", **VK), old=members) == 9


def test_a_long_name_is_not_held_against_an_expression() -> None:
    asked = Asked(model="m" * 201, provider="p", request_type="chat_completion")

    assert winner(old=[old(1, "regex", "^m+$")], asked=asked) is None


def test_a_patch_may_be_text() -> None:
    assert winner(override(1, pricing_patch='{"input_cost_per_token": 0.000002}')) == 2


def test_the_ids_that_are_named_are_known() -> None:
    overrides = Overrides.of(EVERY_SCOPE, {})

    assert overrides
    assert overrides.virtual_key_ids == frozenset({"v"})
    assert overrides.key_ids == frozenset({"k"})
    assert not Overrides.of([], {})
