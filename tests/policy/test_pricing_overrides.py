from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bifrost.config.faults import ConfigErrors
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


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        (override(1, "virtual_key"), "[0].virtual_key_id: found nothing; allowed: an id, for scope virtual_key"),
        (override(1, "provider", **VK_PROVIDER), "[0].virtual_key_id: found an id; allowed: nothing, for scope provider"),
        (override(1, request_types=()), "[0].request_types: found none; allowed: at least one of chat_completion, "),
        (override(1, request_types=("chat",)), "[0].request_types[0]: found chat; allowed: chat_completion, "),
        (override(1, pattern="m", **WILD), "[0].pattern: found no * at its end; allowed: a prefix and a *"),
        (override(1, pricing_patch="{"), "[0].pricing_patch: found a text that is no JSON object; allowed: an object of prices, or its JSON text"),
        (override(1, pricing_patch="[" * 10_000), "[0].pricing_patch: found a text that is no JSON object"),
        (override(1, pricing_patch="[1]"), "[0].pricing_patch: found a text that is no JSON object"),
        (override(1, pricing_patch=" " * 70_000), "[0].pricing_patch: found a text that is too long"),
        (override(1, pricing_patch={"input_cost_per_tokens": 1}), '[0].pricing_patch.input_cost_per_tokens: found no price of that name; allowed: a price\'s name, such as "input_cost_per_token"'),
        (override(1, pricing_patch={"zz": 1}), "[0].pricing_patch.zz: found no price of that name; allowed: a price's name"),
        (override(1, pricing_patch={IN: -1}), "[0].pricing_patch.input_cost_per_token: found -1; allowed: a price in US dollars, 0 or more"),
        (override(1, pricing_patch={IN: None}), "[0].pricing_patch.input_cost_per_token: found nothing; allowed: a price"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(section: PricingOverrideSection, fault: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        Overrides.of([section], {})

    assert str(caught.value).startswith(f"governance.pricing_overrides{fault}")


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        (old(1, "regex", "("), "providers.p.pricing_overrides[0].model_pattern: found missing ), unterminated subpattern"),
        (old(1, "exact", "m", "chats"), "providers.p.pricing_overrides[0].request_types[0]: found chats; allowed: chat_completion, "),
        (old(1, "exact", "m") | {"price": 1}, "providers.p.pricing_overrides[0].price: found no price of that name"),
    ],
)  # fmt: skip
def test_mistakes_of_version_1_4s_are_named_too(members: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        Overrides.of([], {"p": [members]})

    assert str(caught.value).startswith(fault)


def test_every_mistake_is_told_at_once() -> None:
    sections = [override(1, "virtual_key"), override(2, pricing_patch={IN: -1})]

    with pytest.raises(ConfigErrors) as caught:
        Overrides.of(sections, {"p": [old(1, "regex", "(")]})

    assert len(caught.value.errors) == 3


def test_the_ids_that_are_named_are_known() -> None:
    overrides = Overrides.of(EVERY_SCOPE, {})

    assert overrides
    assert overrides.virtual_key_ids == frozenset({"v"})
    assert overrides.key_ids == frozenset({"k"})
    assert not Overrides.of([], {})
