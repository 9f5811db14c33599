from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.governance_section import (
    BudgetSection,
    CustomerSection,
    GovernanceSection,
    KeyReference,
    ModelConfigSection,
    ProviderLimitSection,
    TeamSection,
)
from bifrost.governance.model import (
    NANO,
    NOTHING,
    Governance,
    Limits,
    Unit,
    dollars,
    hash_of,
    nano,
)
from governance.nouns import at, budget, governance, key, limits, only, rate


@pytest.mark.parametrize(
    ("usd", "expected"),
    [(0.1, 100_000_000), (1.0, NANO), (0.000000001, 1), (19.99, 19_990_000_000), (1e-10, 0)],
)
def test_dollars_are_read_by_their_text(usd: float, expected: int) -> None:
    assert nano(usd) == expected


@given(st.integers(min_value=0, max_value=10**15))
def test_nano_dollars_survive_being_told(amount: int) -> None:
    assert nano(dollars(amount)) == amount


def test_a_key_is_found_by_its_value() -> None:
    held = governance(key("one", "sk-bf-1"), key("two", "sk-bf-2"))
    assert held.by_hash[hash_of("sk-bf-2")].id == "two"
    assert "sk-bf" not in repr(held)
    assert hash_of("sk-bf-2") not in repr(held.virtual_keys["two"])


def test_limits_without_an_id_are_named_by_their_owner() -> None:
    one = key(
        budget=budget(1.0),
        rate_limit=rate(requests=3, tokens=5),
        provider_configs=(at("openai", budget=budget(2.0)),),
    )
    found = only(governance(one))
    assert [limit.id for limit in found.limits.all] == [
        "virtual_key:one:rate_limit:tokens",
        "virtual_key:one:rate_limit:requests",
        "virtual_key:one:budget",
    ]
    (money,) = found.provider_configs["openai"].limits.money
    assert (money.id, money.unit, money.amount) == (
        "virtual_key:one:openai:budget",
        Unit.NANO_USD,
        2 * NANO,
    )


def test_limits_with_an_id_keep_it() -> None:
    named = BudgetSection(id="b-1", max_limit=1.0, reset_duration="1M", calendar_aligned=True)
    found = only(governance(key(budget=named)))
    assert found.limits.money[0].id == "b-1"
    assert found.limits.money[0].period.calendar is not None


def test_no_limits_are_false() -> None:
    assert not Limits()
    assert limits("x", usd=1.0)


def test_older_names_of_keys_are_read() -> None:
    config = at(
        "openai",
        key_ids=("id-1",),
        allowed_keys=("old",),
        keys=(KeyReference(key_id="id-2"), KeyReference(name="spare")),
    )
    found = only(governance(key(provider_configs=(config, at("groq")))))
    assert found.provider_configs["openai"].include_only == frozenset(
        ("id-1", "old", "id-2", "spare")
    )
    assert found.provider_configs["groq"].include_only is None


def test_a_provider_config_has_the_number_it_is_given_or_one_that_is_made() -> None:
    configs = (attrs.evolve(at("openai"), id=7), at("groq"), at("xai"))
    first, second = (only(governance(key(provider_configs=configs))) for _ in range(2))
    numbers = {name: each.id for name, each in first.provider_configs.items()}
    assert numbers["openai"] == 7
    assert len({*numbers.values(), 0}) == 4
    assert numbers == {name: each.id for name, each in second.provider_configs.items()}


def test_owners_are_the_team_and_its_customer() -> None:
    held = governance(
        key("of-team", team_id="t"),
        key("of-customer", "sk-bf-2", customer_id="c"),
        key("of-nobody", "sk-bf-3"),
        key("of-the-lost", "sk-bf-4", team_id="gone"),
        teams=(TeamSection(id="t", name="T", customer_id="c"),),
        customers=(CustomerSection(id="c", name="C"),),
    )
    keys = held.virtual_keys
    team, customer = held.teams["t"], held.customers["c"]
    assert held.owners(keys["of-team"]) == (team, customer)
    assert held.owners(keys["of-customer"]) == (None, customer)
    assert held.owners(keys["of-nobody"]) == (None, None)
    assert held.owners(keys["of-the-lost"]) == (None, None)


def test_a_whole_section_is_read() -> None:
    section = GovernanceSection(
        virtual_keys=(key(),),
        teams=(TeamSection(id="t", name="T"),),
        customers=(CustomerSection(id="c", name="C"),),
        model_configs=(ModelConfigSection(id="m", model_name="gpt-4o", budget=budget(1.0)),),
        providers=(
            ProviderLimitSection(name="openai", rate_limit=rate(requests=1)),
            ProviderLimitSection(name="groq"),
        ),
    )
    held = Governance.of_section(section)
    assert list(held.virtual_keys) == ["one"]
    assert held.models["gpt-4o", None].limits
    assert list(held.providers) == ["openai"]
    assert held.is_limiting


def test_no_section_governs_nothing() -> None:
    assert Governance.of_section(None) is NOTHING
    assert not NOTHING.is_limiting
