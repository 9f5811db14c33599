"""What requests make of virtual keys, teams, rules and the rest, and how these are told."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.bodies import canonical
from bifrost.config.entry_numbers import entry_id
from bifrost.config.faults import ConfigErrors
from bifrost.config.nouns import Noun
from bifrost.errors import BadRequest
from bifrost.management.governance_nouns import NATURES, Patching
from bifrost.management.governance_telling import Telling, counters, numbered, told_body
from bifrost.management.limit_bodies import Usage

NOW_S = 1_795_132_800.0
VALUE = "sk-bf-0123456789abcdef"
KEYS = {"openai": frozenset({"k1", "k2"}), "groq": frozenset[str](), "anthropic": frozenset[str]()}


def patching() -> Patching:
    numbers = count(1)
    return Patching(
        new_id=lambda: f"limit-{next(numbers)}",
        new_value=lambda: "sk-bf-made-of-chance",
        keys_of=KEYS.get,
    )


def noun(kind: str, body: dict[str, Any]) -> Noun:
    return Noun(
        kind=kind,
        id=str(body.get("id", body.get("name"))),
        body=body,
        version=1,
        created_unix_s=NOW_S,
        updated_unix_s=NOW_S,
    )


def told(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return Telling(Usage({}, NOW_S), {"k1": "first"}).told(noun(kind, body))


def patched(kind: str, body: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    noun_id = str(body.get("id", body.get("name")))
    return patching().patched(kind, noun_id, body, sent)


KEY: dict[str, Any] = {
    "id": "vk",
    "name": "mine",
    "value": VALUE,
    "team_id": "team-1",
    "provider_configs": [
        {
            "id": 7,
            "provider": "openai",
            "weight": 0.5,
            "allowed_models": ["*"],
            "key_ids": ["k1"],
            "budget": {"id": "b7", "max_limit": 5, "reset_duration": "1d"},
        },
        {"id": 8, "provider": "anthropic", "allowed_models": ["claude"], "key_ids": ["*"]},
    ],
    "mcp_configs": [{"id": 3, "mcp_client_name": "files", "tools_to_execute": ["*"]}],
    "budget": {"id": "b", "max_limit": 10, "reset_duration": "1M"},
}
OTHERS: dict[str, dict[str, Any]] = {
    "team": {"id": "t", "name": "T", "customer_id": "c", "claims": {"a": 1}},
    "customer": {
        "id": "c",
        "name": "C",
        "rate_limit": {"id": "r", "request_max_limit": 3, "request_reset_duration": "1m"},
    },
    "routing_rule": {
        "id": "rule",
        "name": "R",
        "targets": [{"provider": "openai", "weight": 1.0}],
        "scope": "team",
        "scope_id": "t",
        "fallbacks": ["anthropic/claude"],
    },
    "model_config": {"id": "m", "model_name": "gpt-4o", "provider": "openai"},
    "provider_limit": {
        "name": "openai",
        "budget": {"id": "pb", "max_limit": 1, "reset_duration": "1d"},
    },
    "pricing_override": {
        "id": "p",
        "scope_kind": "global",
        "match_type": "exact",
        "pattern": "gpt-4o",
        "request_types": ["responses"],
        "pricing_patch": '{"input_cost_per_token": 1}',
    },
}
ALL = [("virtual_key", KEY), *OTHERS.items()]


# Laws


@pytest.mark.parametrize(("kind", "body"), ALL, ids=[kind for kind, _ in ALL])
def test_what_was_told_changes_nothing_when_it_is_sent_back(
    kind: str, body: dict[str, Any]
) -> None:
    after = patched(kind, body, told(kind, body))
    assert after == canonical(kind, body)
    assert patched(kind, body, {}) == canonical(kind, body)


@pytest.mark.parametrize(("kind", "body"), ALL, ids=[kind for kind, _ in ALL])
def test_every_member_that_is_told_is_known(kind: str, body: dict[str, Any]) -> None:
    assert set(told(kind, body)) <= set(NATURES[kind].known)
    assert set(NATURES[kind].taken) <= set(told(kind, body))


changes = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["mine", "other"]),
        "description": st.text("ab", max_size=3),
        "is_active": st.booleans(),
        "team_id": st.sampled_from([None, "team-1", "team-2"]),
        "budget": st.sampled_from([{}, None, {"max_limit": 3}]),
        "mcp_configs": st.just([]),
    },
)


@given(changes)
def test_a_patch_touches_only_what_it_names(change: dict[str, Any]) -> None:
    before, after = (
        told("virtual_key", KEY),
        told("virtual_key", patched("virtual_key", KEY, change)),
    )
    named = {*change, *(["budget_id"] if "budget" in change else [])}
    same = set(before) - named
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    for name in set(change) - {"budget", "budget_id"}:
        assert after[name] == change[name]


@given(st.lists(st.sampled_from(["openai", "anthropic", "groq", "gemini"]), unique=True))
def test_entries_are_numbered_alike_each_time_and_never_twice(providers: list[str]) -> None:
    entries = [{"provider": name} for name in providers]
    once = numbered("vk", entries, "provider")
    assert once == numbered("vk", once, "provider")
    numbers = [each["id"] for each in once]
    assert len(set(numbers)) == len(numbers)
    assert all(0 < number < 2**31 for number in numbers)


# Virtual keys


def test_a_new_virtual_key_is_given_what_it_lacks() -> None:
    sent = {
        "name": "new",
        "provider_configs": [
            {
                "provider": "openai",
                "rate_limit": {"request_max_limit": 3, "request_reset_duration": "1m"},
            }
        ],
        "budget": {"max_limit": 1, "reset_duration": "1d"},
    }
    body = patching().made("virtual_key", "vk-1", sent)
    assert body["id"] == "vk-1"
    assert body["value"] == "sk-bf-made-of-chance"
    assert body["budget"]["id"] != body["provider_configs"][0]["rate_limit"]["id"]
    assert body["provider_configs"][0]["id"] == entry_id("vk-1", "openai", frozenset())
    shown = told("virtual_key", body)
    assert shown["provider_configs"][0]["weight"] is None
    assert shown["provider_configs"][0]["allowed_models"] == []
    assert shown["is_active"] is True


def test_its_value_is_shown_by_its_ends() -> None:
    shown = told("virtual_key", KEY)
    assert shown["value"] == f"sk-b{'*' * 24}cdef"
    assert VALUE not in str(shown)
    assert told("virtual_key", {**KEY, "value": "env.MINE"})["value"] == "env.MINE"


def test_another_value_takes_its_place() -> None:
    assert patched("virtual_key", KEY, {"value": "sk-bf-other"})["value"] == "sk-bf-other"
    with pytest.raises(BadRequest, match="has to have a value"):
        patched("virtual_key", KEY, {"value": None})


def test_a_list_is_the_whole_new_list() -> None:
    sent = [{"id": 7, "weight": 1, "budget": {"max_limit": 6}}, {"provider": "groq"}]
    configs = patched("virtual_key", KEY, {"provider_configs": sent})["provider_configs"]
    assert [each["provider"] for each in configs] == ["openai", "groq"]
    first, second = configs
    assert first == {
        **KEY["provider_configs"][0],
        "weight": 1,
        "budget": {"id": "b7", "max_limit": 6, "reset_duration": "1d"},
    }
    assert second["id"] not in {7, 8}
    assert patched("virtual_key", KEY, {"provider_configs": None})["provider_configs"] == []


def test_a_budget_of_an_entry_goes() -> None:
    sent = [{"id": 7, "budget": {}, "weight": None}, {"id": 8}]
    configs = patched("virtual_key", KEY, {"provider_configs": sent})["provider_configs"]
    assert "budget" not in configs[0]
    assert "weight" not in configs[0]
    assert configs[1] == KEY["provider_configs"][1]


def test_keys_that_the_file_names_otherwise_are_key_ids() -> None:
    config = {"provider": "openai", "allowed_keys": ["first"], "keys": [{"key_id": "k2"}]}
    body = {"id": "vk", "name": "mine", "value": VALUE, "provider_configs": [config]}
    shown = told("virtual_key", body)
    assert shown["provider_configs"][0]["key_ids"] == ["first", "k2"]
    number = shown["provider_configs"][0]["id"]
    sent = {"provider_configs": [{"id": number, "key_ids": ["k1"]}]}
    assert patched("virtual_key", body, sent)["provider_configs"] == [
        {"provider": "openai", "id": number, "key_ids": ["k1"]}
    ]


@pytest.mark.parametrize(
    ("change", "owners"),
    [
        ({}, ("team-1", None)),
        ({"team_id": None}, (None, None)),
        ({"team_id": "team-2"}, ("team-2", None)),
        ({"customer_id": "c"}, (None, "c")),
        ({"customer_id": "c", "team_id": None}, (None, "c")),
        ({"customer_id": None}, ("team-1", None)),
    ],
)
def test_whose_it_is(change: dict[str, Any], owners: tuple[str | None, str | None]) -> None:
    body = patched("virtual_key", KEY, change)
    assert (body.get("team_id"), body.get("customer_id")) == owners


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"team_id": "t2", "customer_id": "c"}, "cannot be attached to both Team and Customer"),
        (
            {"provider_configs": [{"provider": "openai", "key_ids": ["k1", "gone"]}]},
            "some keys not found for provider openai: expected 2, found 1",
        ),
        (
            {"provider_configs": [{"provider": "openai", "key_ids": ["k1", "first"]}]},
            "some keys not found for provider openai: expected 2, found 1",
        ),
        (
            {"provider_configs": [{"provider": "groq", "key_ids": ["k1"]}]},
            "some keys not found for provider groq: expected 1, found 0",
        ),
        (
            {"provider_configs": [{"id": 7, "provider": "groq"}]},
            "some keys not found for provider groq: expected 1, found 0",
        ),
        (
            {"provider_configs": [{"provider": "openai", "budget": {"max_limit": -1}}]},
            "Budget max_limit cannot be negative: -1.00",
        ),
    ],
)
def test_what_cannot_be_is_told_in_the_known_words(change: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text) as found:
        patched("virtual_key", KEY, change)
    assert found.value.status == 400


def test_a_key_that_is_gone_may_stay_where_it_stood() -> None:
    body = {**KEY, "provider_configs": [{**KEY["provider_configs"][0], "key_ids": ["gone"]}]}
    sent = {"provider_configs": [{"id": 7, "key_ids": ["gone"], "weight": 2}]}
    assert patched("virtual_key", body, sent)["provider_configs"][0]["weight"] == 2


def test_a_name_of_the_file_stays_until_it_is_taken_out() -> None:
    config = {"provider": "openai", "id": 7, "allowed_keys": ["first"], "keys": [{"name": "old"}]}
    body = {**KEY, "provider_configs": [config]}
    sent = {"provider_configs": [{"id": 7, "key_ids": ["first", "k1"]}]}
    after = patched("virtual_key", body, sent)
    assert after["provider_configs"][0]["key_ids"] == ["first", "k1"]
    with pytest.raises(BadRequest, match="expected 2, found 1"):
        patched("virtual_key", after, {"provider_configs": [{"id": 7, "key_ids": ["k1", "old"]}]})


def test_keys_of_a_provider_that_cannot_be_are_left_to_the_check_of_the_whole() -> None:
    sent = {"provider_configs": [{"provider": "opnai", "key_ids": ["k1"]}]}
    (config,) = patched("virtual_key", KEY, sent)["provider_configs"]
    assert config["key_ids"] == ["k1"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"names": "x"}, "names"),
        ({"id": "other"}, "id"),
        ({"budget_id": "other"}, "budget_id"),
        ({"provider_configs": [{"id": 99}]}, "provider_configs[0].id"),
        ({"provider_configs": [{"id": "7"}]}, "provider_configs[0].id"),
        ({"provider_configs": [{"id": 7}, {"id": 7}]}, "provider_configs[1].id"),
        (
            {"provider_configs": [{"provider": "groq"}, {"provider": "groq"}]},
            "provider_configs[1].provider",
        ),
        ({"provider_configs": [{"id": 7, "weights": 1}]}, "provider_configs[0].weights"),
        (
            {"provider_configs": [{"provider": "groq", "budget_id": "b"}]},
            "provider_configs[0].budget_id",
        ),
        ({"provider_configs": [{"provider": "groq", "keys": []}]}, "provider_configs[0].keys"),
        ({"provider_configs": {}}, "provider_configs"),
        ({"provider_configs": [{"provider": "groq"}, 1]}, "provider_configs[1]"),
        (
            {"mcp_configs": [{"mcp_client_name": "a"}, {"mcp_client_name": "a"}]},
            "mcp_configs[1].mcp_client_name",
        ),
        ({"value": f"sk-b{'*' * 24}0000"}, None),
    ],
)
def test_what_is_wrong_is_named_with_its_path(change: dict[str, Any], path: str | None) -> None:
    if path is None:
        # Redacted, and of another value: what is meant can only be what is there.
        assert patched("virtual_key", KEY, change)["value"] == VALUE
        return
    with pytest.raises(ConfigErrors) as found:
        patched("virtual_key", KEY, change)
    assert found.value.errors[0].path == path


# The others


@pytest.mark.parametrize(
    ("kind", "sent", "missing"),
    [
        ("virtual_key", {}, "name"),
        ("team", {"name": ""}, "name"),
        ("routing_rule", {"name": "r"}, "targets"),
        ("model_config", {}, "model_name"),
        ("pricing_override", {"scope_kind": "global"}, "match_type"),
    ],
)
def test_what_a_new_one_needs(kind: str, sent: dict[str, Any], missing: str) -> None:
    with pytest.raises(BadRequest, match=f"{missing} is required"):
        patching().made(kind, "x", sent)


def test_a_rule_for_everybody_is_for_nobody_in_particular() -> None:
    body = patched("routing_rule", OTHERS["routing_rule"], {"scope": "global"})
    assert "scope_id" not in body


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        ([{"weight": 0.4}, {"weight": 0.5}], "target weights must sum to 1, got 0.9000"),
        ([{"key_id": "k1"}], "key_id requires provider to be set"),
    ],
)
def test_targets_that_cannot_be(targets: list[Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        patching().made("routing_rule", "x", {"name": "r", "targets": targets})


@pytest.mark.parametrize("targets", [[], "x", [1], [{"weight": "much"}]])
def test_targets_of_a_wrong_sort_are_left_to_the_check_of_the_whole(targets: Any) -> None:
    body = patched("routing_rule", OTHERS["routing_rule"], {"targets": targets})
    assert body["targets"] == targets


def test_what_a_team_says_freely_is_merged_and_prices_are_replaced() -> None:
    team = patched("team", OTHERS["team"], {"claims": {"b": 2}, "config": {"x": 1}})
    assert team["claims"] == {"a": 1, "b": 2}
    assert team["config"] == {"x": 1}
    override = OTHERS["pricing_override"]
    after = patched("pricing_override", override, {"patch": {"output_cost_per_token": 2}})
    assert after["pricing_patch"] == {"output_cost_per_token": 2}
    assert told("pricing_override", override)["patch"] == {"input_cost_per_token": 1}


def test_prices_may_be_spelt_as_the_file_spells_them() -> None:
    sent = {"model_pattern": "gpt-5", "pricing_patch": {"input_cost_per_token": 3}}
    body = patched("pricing_override", OTHERS["pricing_override"], sent)
    assert (body["pattern"], body["pricing_patch"]) == ("gpt-5", {"input_cost_per_token": 3})
    with pytest.raises(ConfigErrors, match="a second spelling"):
        patched("pricing_override", OTHERS["pricing_override"], {"pattern": "a", **sent})


def test_a_provider_may_be_sent_with_its_name() -> None:
    sent = {"provider": "openai", "budget": {"max_limit": 1, "reset_duration": "1d"}}
    body = patching().patched("provider_limit", "openai", {}, sent)
    assert body["name"] == "openai"
    with pytest.raises(ConfigErrors, match="another id"):
        patching().patched("provider_limit", "openai", {}, {"provider": "groq"})


def test_a_customer_is_told_with_what_is_his() -> None:
    telling = Telling(Usage({}, NOW_S), {})
    team, key = noun("team", OTHERS["team"]), noun("virtual_key", KEY)
    shown = telling.customer(noun("customer", OTHERS["customer"]), [team], [key])
    assert [each["id"] for each in shown["teams"]] == ["t"]
    assert [each["id"] for each in shown["virtual_keys"]] == ["vk"]
    assert counters([key]) == {"b", "b7"}
    assert shown["created_at"] == "2026-11-20T00:00:00.000+00:00"


def test_keys_are_told_by_id_and_name() -> None:
    config = told("virtual_key", KEY)["provider_configs"][0]
    assert config["keys"] == [{"key_id": "k1", "name": "first"}]
    assert config["budget"]["id"] == config["budget_id"] == "b7"
    assert told_body("virtual_key", "vk", KEY)["mcp_configs"][0]["mcp_client_id"] is None
