"""What entities name of one another: what cannot be is a mistake, what has gone or may come is none."""

from __future__ import annotations

from typing import Any

import pytest

from bifrost.config.faults import ConfigErrors
from bifrost.config.load import parse_tree
from bifrost.config.lost_references import Kept, Known
from bifrost.config.references import references

PROVIDERS = {
    "openai": {"keys": [{"name": "first", "id": "k1", "value": "x"}]},
    "Mine": {"custom_provider_config": {"base_provider_type": "openai"}},
}
NOUNS: dict[str, list[dict[str, Any]]] = {
    "customers": [{"id": "acme", "name": "Acme"}],
    "teams": [{"id": "core", "name": "Core", "customer_id": "acme"}],
    "virtual_keys": [{"id": "vk", "name": "one", "value": "x"}, {"name": "two", "value": "y"}],
}


def document(name: str, /, **body: Any) -> dict[str, Any]:
    """The nouns, and one more in the list of this ``name``."""
    listed = [*NOUNS.get(name, []), body]
    return {"providers": PROVIDERS, "governance": {**NOUNS, name: listed}}


def key(**config: Any) -> dict[str, Any]:
    return document("virtual_keys", id="new", name="new", value="z", provider_configs=[config])


def rule(target: dict[str, Any], **more: Any) -> dict[str, Any]:
    return document("routing_rules", id="r", name="r", targets=[target], **more)


def override(kind: str, **ids: Any) -> dict[str, Any]:
    said = {"match_type": "exact", "pattern": "m", "request_types": ["responses"]}
    patch = {"pricing_patch": {"input_cost_per_token": 1}}
    return document("pricing_overrides", id="o", scope_kind=kind, **ids, **said, **patch)


def wrong(tree: dict[str, Any], kept: Kept | None = None) -> list[str]:
    try:
        parse_tree(tree, {}, (), kept or Kept())
    except ConfigErrors as found:
        return [str(error) for error in found.errors]
    return []


def warned(tree: dict[str, Any], kept: Kept | None = None) -> str:
    config = parse_tree(tree, {}, (), kept or Kept())
    return "\n".join(each for each in config.warnings if each.startswith("governance"))


BUILT_IN = "allowed: the name of a provider, one that is configured or built in"


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        (key(provider="opnai"), f'virtual_keys[2].provider_configs[0].provider: found \'opnai\'; {BUILT_IN} (did you mean "openai"?)'),
        (key(provider="OpenAI"), f'virtual_keys[2].provider_configs[0].provider: found \'OpenAI\'; {BUILT_IN} (did you mean "openai"?)'),
        (key(provider="openai", key_ids=["k1", "k2"]), "virtual_keys[2].provider_configs[0].key_ids[1]: found 'k2'; allowed: the id or name of a key of openai"),
        (key(provider="mine", allowed_keys=["first"]), "virtual_keys[2].provider_configs[0].allowed_keys[0]: found 'first'; allowed: the id or name of a key of mine"),
        (key(provider="openai", keys=[{"key_id": "k2"}]), "virtual_keys[2].provider_configs[0].keys[0].key_id: found 'k2'; allowed: the id or name of a key of openai"),
        (key(provider="openai", keys=[{"name": "firsd"}]), 'virtual_keys[2].provider_configs[0].keys[0].name: found \'firsd\'; allowed: the id or name of a key of openai (did you mean "first"?)'),
        (key(provider="openai", key_ids=["sk-a-credential-in-a-wrong-place"]), "virtual_keys[2].provider_configs[0].key_ids[0]: found a text; allowed: the id or name of a key of openai"),
        (document("virtual_keys", id="new", name="new", value="z", team_id="cor"), 'virtual_keys[2].team_id: found \'cor\'; allowed: the id of a team (did you mean "core"?)'),
        (document("virtual_keys", id="new", name="new", value="z", customer_id="core"), "virtual_keys[2].customer_id: found 'core'; allowed: the id of a customer"),
        (document("teams", id="t", name="T", customer_id="acne"), 'teams[1].customer_id: found \'acne\'; allowed: the id of a customer (did you mean "acme"?)'),
        (document("model_configs", model_name="m", provider="mien"), f'model_configs[0].provider: found \'mien\'; {BUILT_IN} (did you mean "mine"?)'),
        (document("providers", name="gorq"), f'providers[0].name: found \'gorq\'; {BUILT_IN} (did you mean "groq"?)'),
        (document("providers", provider="gorq"), f'providers[0].provider: found \'gorq\'; {BUILT_IN} (did you mean "groq"?)'),
        (rule({"provider": "opnai"}), f'routing_rules[0].targets[0].provider: found \'opnai\'; {BUILT_IN} (did you mean "openai"?)'),
        (rule({"provider": "openai", "key_id": "first"}), "routing_rules[0].targets[0].key_id: found 'first'; allowed: the id of a key of openai"),
        (rule({"model": "m"}, scope="team", scope_id="acme"), "routing_rules[0].scope_id: found 'acme'; allowed: the id of a team"),
        (rule({"model": "m"}, scope="virtual_key", scope_id="one"), "routing_rules[0].scope_id: found 'one'; allowed: the id of a virtual_key"),
        (override("provider", provider_id="opnai"), f'pricing_overrides[0].provider_id: found \'opnai\'; {BUILT_IN} (did you mean "openai"?)'),
        (override("virtual_key", virtual_key_id="vq"), "pricing_overrides[0].virtual_key_id: found 'vq'; allowed: the id of a virtual_key"),
        (override("provider_key", provider_key_id="first"), "pricing_overrides[0].provider_key_id: found 'first'; allowed: the id of a key"),
    ],
)  # fmt: skip
def test_a_name_that_means_nothing_is_a_mistake(tree: dict[str, Any], told: str) -> None:
    (error,) = wrong(tree)

    assert error.startswith(f"governance.{told}")


@pytest.mark.parametrize(
    "tree",
    [
        key(provider="openai", key_ids=["*"]),
        key(provider="openai", key_ids=["k1"]),
        # Spelt in the file as people know them.
        key(provider="openai", key_ids=["first"]),
        key(provider="openai", allowed_keys=["first"]),
        key(provider="openai", keys=[{"key_id": "k1"}]),
        key(provider="mine"),
        document("model_configs", model_name="m"),
        rule({"provider": "openai", "key_id": "k1"}),
        rule({"model": "m"}, scope="virtual_key", scope_id="two"),
        rule({"model": "m"}, scope="global", scope_id="nobody"),
        # What begins with no provider's name is a model's name all of it.
        rule({"model": "m"}, fallbacks=["opnai/gpt-4o", "meta-llama/llama-4", "gpt-4o"]),
        override("virtual_key_provider_key", virtual_key_id="vk", provider_key_id="k1"),
    ],
)
def test_what_is_there_may_be_named(tree: dict[str, Any]) -> None:
    assert wrong(tree) == []
    assert warned(tree) == ""


def test_a_built_in_provider_may_be_configured_later_and_its_keys_too() -> None:
    tree = key(provider="groq", key_ids=["of-groq"])
    tree["governance"]["routing_rules"] = [
        {"id": "r", "name": "r", "targets": [{"provider": "groq", "key_id": "of-groq"}]}
    ]

    assert warned(tree) == (
        "governance.virtual_keys[2].provider_configs[0].provider, and 1 more: "
        "provider 'groq' is not configured, so nobody is asked there"
    )


def test_a_provider_of_the_environment_is_one_with_its_key() -> None:
    at_openai = {"provider": "openai", "key_ids": ["OPENAI_API_KEY_auto_detected"]}
    keys = [{"name": "a", "value": "x", "provider_configs": [at_openai]}]

    config = parse_tree({"governance": {"virtual_keys": keys}}, {"OPENAI_API_KEY": "k"})

    assert config.warnings == ()


def test_a_key_that_was_given_no_id_is_named_by_the_one_it_gets() -> None:
    tree = {"providers": {"openai": {"keys": [{"name": "a", "value": "x"}]}}}
    (made,) = parse_tree(tree, {}).providers["openai"].keys

    assert (
        wrong({**tree, "governance": key(provider="openai", key_ids=[made.id])["governance"]}) == []
    )


def test_what_was_kept_with_a_name_that_has_gone_since_is_loaded_all_the_same() -> None:
    config = {"provider": "gone", "key_ids": ["old"]}
    body: dict[str, Any] = {"id": "new", "name": "new", "team_id": "left"}
    body["provider_configs"] = [config]
    kept = Kept(nouns={("virtual_key", "new"): body})
    tree = document("virtual_keys", **body, value="z")

    told = warned(tree, kept)
    assert "governance.virtual_keys[2].team_id: team 'left' is not there" in told
    assert "provider 'gone' is not there" in told

    body = {**body, "customer_id": "other", "team_id": None}
    (error,) = wrong(document("virtual_keys", **body, value="z"), kept)
    assert error.startswith("governance.virtual_keys[2].customer_id: found 'other'")


def test_a_file_is_right_that_has_what_somebody_took_away() -> None:
    file = {**document("teams", id="left", name="L"), "providers": {**PROVIDERS, "gone": {}}}
    tree = key(provider="gone", key_ids=["any"])
    tree["governance"]["virtual_keys"][0] = {**NOUNS["virtual_keys"][0], "team_id": "left"}

    assert len(wrong(tree)) == 2
    assert wrong(tree, Kept(file=file)) == []


def test_a_store_may_have_what_a_file_names_unless_there_is_none() -> None:
    tree = key(provider="custom")

    assert wrong(tree, Kept(may_be_more=True)) == []
    assert wrong({**tree, "config_store": {"enabled": False}}, Kept(may_be_more=True)) != []


@pytest.mark.parametrize(
    "raw",
    [
        {"virtual_keys": 5},
        {"virtual_keys": [5, {"provider_configs": 5}, {"provider_configs": [5]}]},
        {"virtual_keys": [{"provider_configs": [{"provider": 5, "key_ids": 5, "keys": [5, {}]}]}]},
        {"virtual_keys": [{"provider_configs": [{"provider": "openai", "key_ids": [5]}]}]},
        {"routing_rules": [{"targets": 5}, {"targets": [5, {"provider": 5}], "scope": []}]},
        {"teams": [{"id": 5, "customer_id": 5}]},
    ],
)
def test_what_is_of_a_wrong_sort_names_nothing(raw: dict[str, Any]) -> None:
    for error in wrong({"providers": {"openai": 5, "groq": {"keys": [5, {}]}}, "governance": raw}):
        assert "the name of a provider" not in error
        assert "the id of" not in error
    assert Known.of(5).ids == {"provider": frozenset()}
    assert list(references("team", {})) == []


def test_what_is_wrong_already_is_not_told_again() -> None:
    (error,) = wrong(document("teams", id="t", name="T", customer_id=" "))
    assert error.startswith(
        "governance.teams[1].customer_id: found ' '; allowed: a text, not blank"
    )


def test_of_many_mistakes_the_first_come_with_what_was_meant() -> None:
    teams = [{"id": f"team-{n}-of-many", "name": "T", "customer_id": "c"} for n in range(1000)]
    keys = [
        {"name": f"k{n}", "value": f"x{n}", "team_id": f"team-{n}-of-mony"} for n in range(1000)
    ]

    errors = wrong({"governance": {"teams": teams, "virtual_keys": keys}})

    assert len(errors) == 2000
    assert sum("did you mean" in error for error in errors) <= 20
