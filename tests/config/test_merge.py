from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost.config.document import parse_document
from bifrost.config.faults import ConfigErrors
from bifrost.config.fingerprints import Fingerprints
from bifrost.config.load import parse_tree
from bifrost.config.merge import Difference, merge
from bifrost.config.nouns import Put, Remove
from bifrost.config.provider_checks import key_id
from config.merging import Kept

FILE = """
$schema: s
client: {max_inflight: 5, required_headers: [x-team]}
framework: {pricing: {pricing_sync_interval: 7200}}
config_store: {enabled: false}
providers:
  OpenAI:
    network_config: {max_retries: 1}
    keys:
      - {name: first, value: env.FIRST, weight: 2}
      - {name: second, value: sk-2, id: mine}
  mock:
plugins:
  - {name: b, enabled: true, config: {a: 1}}
  - {name: a, enabled: true, placement: pre_builtin}
governance:
  auth_config: {admin_username: admin, admin_password: secret}
  budgets: [{id: big, max_limit: 10, reset_duration: 1M}]
  customers: [{id: c, name: Acme, budget_id: big}]
  teams: [{id: t, name: Core, customer_id: c}]
  virtual_keys:
    - {name: one, team_id: t, budget: {max_limit: 1, reset_duration: 1d}}
    - {id: v2, name: two, value: sk-bf-mine, provider_configs: [{provider: openai, allowed_models: ["*"], key_ids: [mine]}]}
  model_configs: [{model_name: gpt, provider: openai, rate_limit: {request_max_limit: 1, request_reset_duration: 1m}}]
  providers: [{provider: openai, budget: {max_limit: 9, reset_duration: 1d}}]
  routing_rules: [{id: r, name: rule, targets: [{provider: openai}]}]
  pricing_overrides: [{id: p, scope_kind: global, match_type: exact, pattern: m, request_types: [chat_completion], patch: {}}]
"""

SHOWS = "`bifrost config diff` shows both"


def tree(text: str = FILE) -> dict[str, Any]:
    document, mistakes = parse_document(text)
    assert mistakes == ()
    assert isinstance(document, dict)
    return document


def file(old: str = "", new: str = "") -> dict[str, Any]:
    assert old in FILE
    return tree(FILE.replace(old, new) if old else FILE)


@pytest.fixture
def kept() -> Kept:
    kept = Kept()
    kept.start(tree())
    return kept


def keys(merged: Any, provider: str = "OpenAI") -> dict[str, Any]:
    return {key["name"]: key for key in merged.tree["providers"][provider]["keys"]}


def wheres(merged: Any) -> dict[str, tuple[str, str]]:
    return {f"{each.kind} {each.id}": (each.where, each.holds) for each in merged.differences}


def test_a_first_start_makes_a_row_of_each_entity() -> None:
    kept = Kept()

    merged = kept.start(tree())

    assert kept.nouns.keys() == {
        ("client", "client"), ("framework", "framework"), ("auth", "auth"), ("provider", "openai"), ("provider", "mock"),
        ("key", key_id("openai", "first")), ("key", "mine"), ("plugin", "a"), ("plugin", "b"), ("customer", "c"), ("team", "t"),
        ("virtual_key", "one"), ("virtual_key", "v2"), ("model_config", "openai/gpt"), ("provider_limit", "openai"),
        ("routing_rule", "r"), ("pricing_override", "p"),
    }  # fmt: skip
    assert set(wheres(merged).values()) == {("only in the file", "file")}
    assert not any(noun.changed_by_api for noun in kept.nouns.values())
    assert merged.warnings == ()


def test_what_the_file_leaves_to_the_store_is_filled_in(kept: Kept) -> None:
    assert kept.noun("virtual_key", "one").body == {
        "id": "one",
        "name": "one",
        "team_id": "t",
        "value": "sk-bf-1",
        "budget": {"id": "virtual_key:one:budget", "max_limit": 1, "reset_duration": "1d"},
    }
    assert kept.noun("customer", "c").body["budget"] == {
        "id": "big",
        "max_limit": 10,
        "reset_duration": "1M",
    }
    assert kept.noun("auth", "auth").body["admin_password"] == "hash of secret"
    assert kept.noun("provider", "openai").body == {"network_config": {"max_retries": 1}}
    assert kept.noun("key", "mine").body["provider"] == "openai"


def test_the_tree_is_a_configuration(kept: Kept) -> None:
    merged = kept.look(tree())

    config = parse_tree(merged.tree, {"FIRST": "sk-1"})

    assert [key.value.reveal() for key in config.providers["openai"].keys] == ["sk-1", "sk-2"]
    assert config.client.max_inflight == 5
    assert "config_store" in merged.tree
    assert merged.tree["providers"]["mock"] == {}  # type: ignore[index]  # any JSON


def test_how_the_file_is_written_changes_nothing(kept: Kept) -> None:
    text = FILE.replace(
        "{name: first, value: env.FIRST, weight: 2}",
        "{weight: 2.0, name: first, value: {env_var: FIRST, from_env: true}, models: null} # by hand",
    ).replace("max_retries: 1", "max_retries: 0x1")

    merged = kept.look(tree(text))

    assert (merged.changes, merged.differences) == ((), ())
    assert merged.tree == kept.look(tree()).tree


def test_what_the_file_changes_holds(kept: Kept) -> None:
    merged = kept.start(file("max_inflight: 5", "max_inflight: 6"))

    assert kept.noun("client", "client").body["max_inflight"] == 6
    assert merged.differences == (
        Difference(
            kind="client",
            id="client",
            where="differs",
            holds="file",
            members=("max_inflight: file 6, store 5",),
        ),
    )
    assert [change.expected for change in merged.changes] == [1]


def test_what_the_api_changes_survives(kept: Kept) -> None:
    kept.api_changes("client", "client", max_inflight=7)

    merged = kept.start(tree())

    assert merged.changes == ()
    assert merged.tree["client"] == {"max_inflight": 7, "required_headers": ["x-team"]}
    assert [str(each) for each in merged.differences[0].members] == [
        "max_inflight: file 5, store 7"
    ]
    assert merged.warnings == ()


def test_of_two_changes_the_apis_holds_with_a_warning(kept: Kept) -> None:
    kept.api_changes("team", "t", name="By API")

    for _ in range(2):
        merged = kept.start(file("name: Core", "name: By file"))

        assert merged.changes == ()
        assert merged.warnings == (
            f"governance.teams[0]: changed in the file and by the API; what the API made of it holds; {SHOWS}",
        )
        assert wheres(merged) == {"team t": ("differs", "store")}


def test_a_file_that_says_what_the_api_made_of_it_is_taken_over_again(kept: Kept) -> None:
    kept.api_changes("team", "t", name="Both")
    same = file("name: Core", "name: Both")

    merged = kept.start(same)

    assert (merged.warnings, merged.differences) == ((), ())
    assert not kept.noun("team", "t").changed_by_api
    kept.start(file("name: Core", "name: Later"))
    assert kept.noun("team", "t").body["name"] == "Later"


def test_what_the_api_made_stays_and_comes_last(kept: Kept) -> None:
    kept.api_puts("team", "new", {"id": "new", "name": "New"})
    kept.api_puts("provider", "groq", {})
    kept.api_puts("key", "k", {"id": "k", "name": "third", "provider": "openai", "value": "x"})
    kept.api_puts("key", "g", {"id": "g", "name": "fourth", "provider": "groq", "value": "y"})

    merged = kept.start(tree())

    assert [team["id"] for team in merged.tree["governance"]["teams"]] == ["t", "new"]  # type: ignore[index]  # any JSON
    assert list(keys(merged)) == ["first", "second", "third"]
    assert keys(merged, "groq") == {"fourth": {"id": "g", "name": "fourth", "value": "y"}}
    assert set(wheres(merged).values()) == {("only in the store", "store")}
    assert merged.changes == ()


def test_what_the_api_removed_is_not_brought_back(kept: Kept) -> None:
    for kind, noun_id in (
        ("virtual_key", "one"),
        ("key", "mine"),
        ("plugin", "a"),
        ("auth", "auth"),
        ("provider", "mock"),
    ):
        kept.api_removes(kind, noun_id)

    merged = kept.start(tree())

    governance: Any = merged.tree["governance"]
    assert [key["id"] for key in governance["virtual_keys"]] == ["v2"]
    assert list(keys(merged)) == ["first"]
    assert [plugin["name"] for plugin in merged.tree["plugins"]] == ["b"]  # type: ignore[attr-defined]  # any JSON
    assert governance["auth_config"] is None
    assert list(merged.tree["providers"]) == ["OpenAI"]  # type: ignore[call-overload]  # any JSON
    assert set(wheres(merged).values()) == {("removed in the store", "store")}
    assert (merged.changes, merged.warnings) == ((), ())


def test_a_change_in_the_file_does_not_bring_it_back_either(kept: Kept) -> None:
    kept.api_removes("team", "t")

    merged = kept.start(file("name: Core", "name: New"))

    assert "removed by the API, so it stays removed" in merged.warnings[0]
    assert ("team", "t") not in kept.nouns


def test_a_mark_goes_with_the_file_s_entity(kept: Kept) -> None:
    kept.api_removes("routing_rule", "r")
    without = file("routing_rules: [{id: r, name: rule, targets: [{provider: openai}]}]", "")

    kept.start(without)

    assert kept.start(tree()).tree["governance"]["routing_rules"] != []  # type: ignore[index]  # any JSON
    assert ("routing_rule", "r") in kept.nouns


def test_what_the_file_does_not_have_any_more_stays(kept: Kept) -> None:
    merged = kept.start(tree("client: {}"))

    assert ("provider", "openai") in kept.nouns
    assert wheres(merged)["team t"] == ("only in the store", "store")
    providers: Any = merged.tree["providers"]
    assert [key["name"] for key in providers["openai"]["keys"]] == ["first", "second"]
    assert merged.tree["governance"]["auth_config"]["admin_username"] == "admin"  # type: ignore[index]  # any JSON
    assert merged.tree["framework"] == {"pricing": {"pricing_sync_interval": 7200}}


def test_a_provider_taken_anew_loses_the_keys_that_the_file_does_not_have(kept: Kept) -> None:
    kept.api_puts("key", "k", {"id": "k", "name": "by api", "provider": "openai"})
    text = FILE.replace("max_retries: 1", "max_retries: 2").replace(
        "      - {name: second, value: sk-2, id: mine}\n", ""
    )

    merged = kept.start(tree(text))

    assert list(keys(merged)) == ["first", "by api"]
    assert ("key", "mine") not in kept.nouns
    assert wheres(merged)["key mine"] == ("only in the store", "file")
    removes = [change for change in merged.changes if isinstance(change, Remove)]
    assert [(change.id, change.for_good) for change in removes] == [("mine", True)]


def test_a_provider_as_it_was_keeps_them(kept: Kept) -> None:
    merged = kept.start(file("      - {name: second, value: sk-2, id: mine}\n", ""))

    assert list(keys(merged)) == ["first", "second"]


def test_a_key_keeps_the_id_of_its_row(kept: Kept) -> None:
    kept.api_puts(
        "key",
        "given-by-api",
        {"id": "given-by-api", "name": "new", "provider": "openai", "value": "old"},
    )
    text = FILE.replace("    keys:\n", "    keys:\n      - {name: new, value: new}\n")

    merged = kept.start(tree(text))

    assert keys(merged)["new"] == {"id": "given-by-api", "name": "new", "value": "old"}
    assert "what the API made of it holds" in merged.warnings[0]


def test_a_name_that_another_noun_has_is_not_taken(kept: Kept) -> None:
    kept.api_puts("provider", "groq", {})
    kept.api_puts("key", "g", {"id": "g", "name": "new", "provider": "groq", "value": "y"})
    text = FILE.replace("    keys:\n", "    keys:\n      - {name: new, value: new}\n")

    merged = kept.start(tree(text))

    assert merged.warnings == (
        f"providers.OpenAI.keys[0]: its name is that of key g, which holds; {SHOWS}",
    )
    assert list(keys(merged)) == ["first", "second"]


def test_a_row_whose_new_name_is_taken_stays_as_it_is(kept: Kept) -> None:
    kept.api_puts("virtual_key", "other", {"id": "other", "name": "three", "value": "x"})

    merged = kept.start(file("id: v2, name: two", "id: v2, name: three"))

    assert kept.noun("virtual_key", "v2").body["name"] == "two"
    assert "its name is that of virtual_key other" in merged.warnings[0]
    assert [key["name"] for key in merged.tree["governance"]["virtual_keys"]] == [  # type: ignore[index]  # any JSON
        "one",
        "two",
        "three",
    ]


def test_a_virtual_key_keeps_its_value_and_usage_is_no_change(kept: Kept) -> None:
    kept.start(file("budget: {max_limit: 1, ", "budget: {current_usage: 5, max_limit: 1, "))
    assert kept.noun("virtual_key", "one").version == 1 + list(kept.nouns).index(
        ("virtual_key", "one")
    )

    kept.start(file("{max_limit: 1, reset", "{max_limit: 2, reset"))

    body = kept.noun("virtual_key", "one").body
    assert (body["value"], body["budget"]) == (
        "sk-bf-1",
        {"id": "virtual_key:one:budget", "max_limit": 2, "reset_duration": "1d"},
    )


def test_a_password_that_fits_is_no_difference(kept: Kept) -> None:
    kept.api_changes("auth", "auth", admin_username="root")
    merged = kept.look(tree())

    assert merged.differences[0].members == ('admin_username: file "***", store "***"',)
    kept.start(file("admin_password: secret", "admin_password: env.PASSWORD"))
    assert kept.noun("auth", "auth").body["admin_password"] == "hash of secret"


def test_a_new_password_is_hashed(kept: Kept) -> None:
    merged = kept.start(file("admin_password: secret", "admin_password: other"))

    assert kept.noun("auth", "auth").body["admin_password"] == "hash of other"
    assert merged.differences[0].members == ('admin_password: file "***", store "***"',)
    kept.start(file("admin_password: secret", "admin_password: hash of other"))
    assert kept.noun("auth", "auth").body["admin_password"] == "hash of other"


def test_the_order_of_plugins_is_the_files(kept: Kept) -> None:
    kept.api_changes("plugin", "a", placement="post_builtin", order=5, enabled=False)
    kept.api_puts("plugin", "c", {"name": "c", "enabled": True})

    merged = kept.start(tree())

    assert merged.tree["plugins"] == [
        {"name": "b", "enabled": True, "config": {"a": 1}},
        {"name": "a", "enabled": False, "placement": "pre_builtin"},
        {"name": "c", "enabled": True},
    ]
    assert kept.noun("plugin", "a").changed_by_api
    assert kept.start(tree()).changes == ()


def test_a_raised_version_brings_the_files_plugin(kept: Kept) -> None:
    kept.api_changes("plugin", "b", config={"a": 5})
    assert kept.start(tree()).tree["plugins"][0]["config"] == {"a": 5}  # type: ignore[index]  # any JSON

    merged = kept.start(file("{name: b, ", "{name: b, version: 2, "))

    assert merged.tree["plugins"][0] == {  # type: ignore[index]  # any JSON
        "name": "b",
        "version": 2,
        "enabled": True,
        "config": {"a": 1},
    }
    assert merged.warnings == ()


def test_a_key_without_its_provider_is_left_out(kept: Kept) -> None:
    kept.api_puts("key", "lost", {"id": "lost", "name": "lost", "provider": "gone"})

    merged = kept.look(tree())

    assert merged.warnings == ("key 'lost': there is no provider 'gone'",)
    assert list(keys(merged)) == ["first", "second"]


def test_fingerprints_are_made_anew_when_a_key_has_come(kept: Kept) -> None:
    before = dict(kept.nouns)
    kept.api_changes("team", "t", name="By API")
    kept.means = attrs.evolve(kept.means, fingerprints=Fingerprints(b"key"))

    merged = kept.start(tree())

    assert len(merged.changes) == len(before)
    assert all(str(noun.file_hash).startswith("hmac:") for noun in kept.nouns.values())
    assert kept.noun("team", "t").changed_by_api
    assert kept.start(tree()).changes == ()
    kept.means = attrs.evolve(kept.means, fingerprints=Fingerprints(b"other"))
    assert not Fingerprints(b"other").fits(str(kept.noun("team", "t").file_hash), b"x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "governance: {teams: [{id: t, name: a}, {id: t, name: b}]}",
            "governance.teams[1]: found 't' again",
        ),
        (
            "governance: {teams: [{id: t, name: a, budget_id: x}]}",
            "governance.teams[0].budget_id: found 'x'",
        ),
        ("{auth_config: {}, governance: {auth_config: {}}}", "auth_config: found 'auth' again"),
    ],
)
def test_what_cannot_be_merged_is_told(text: str, told: str) -> None:
    with pytest.raises(ConfigErrors, match=told.replace("[", r"\[")):
        Kept().look(tree(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "client: 5",
        "providers: []",
        "providers: {openai: 5, groq: {keys: 5}, xai: {keys: [5, {value: x}, {name: 5}]}}",
        "governance: 5",
        "governance: {teams: 5, virtual_keys: [5, {}, {name: 5}], providers: [{}], model_configs: [{id: 5}]}",
        "plugins: [{}, 5]",
        "{auth_config: {is_enabled: 5}}",
    ],
)
def test_what_is_not_of_its_shape_stays_for_the_check_to_find(text: str) -> None:
    document, _ = parse_document(text)

    assert Kept().look(document).tree == (document if document is not None else {})


def test_the_older_place_of_the_login_stays_its_place() -> None:
    kept = Kept()
    old = tree("auth_config: {admin_username: a, admin_password: p}")
    kept.start(old)
    kept.api_changes("auth", "auth", admin_username="b")

    merged = kept.look(old)

    assert merged.tree == {"auth_config": {"admin_username": "b", "admin_password": "hash of p"}}


NAMES = st.sampled_from("abc")
LIMIT = st.fixed_dictionaries({"max_limit": st.integers(1, 3), "reset_duration": st.just("1d")})
TEAMS = st.lists(
    st.fixed_dictionaries({"id": NAMES, "name": NAMES}, optional={"budget": LIMIT}),
    max_size=3,
    unique_by=lambda team: str(team["id"]),
)
KEYS = st.lists(
    st.fixed_dictionaries({"name": NAMES}, optional={"value": NAMES, "weight": st.integers(0, 2)}),
    max_size=3,
    unique_by=lambda key: key["name"],
)
VIRTUAL_KEYS = st.lists(
    st.fixed_dictionaries({"name": NAMES}, optional={"is_active": st.booleans(), "budget": LIMIT}),
    max_size=3,
    unique_by=lambda key: key["name"],
)
TREES = st.fixed_dictionaries(
    {},
    optional={
        "client": st.fixed_dictionaries({}, optional={"max_inflight": st.integers(1, 3)}),
        "providers": st.fixed_dictionaries(
            {},
            optional={
                "openai": st.fixed_dictionaries(
                    {}, optional={"keys": KEYS, "retry_on_timeout": st.booleans()}
                )
            },
        ),
        "governance": st.fixed_dictionaries(
            {}, optional={"teams": TEAMS, "virtual_keys": VIRTUAL_KEYS}
        ),
    },
)
DEEDS = st.lists(st.tuples(st.sampled_from(["change", "remove"]), st.integers(0, 9)), max_size=4)


def act(kept: Kept, deeds: list[tuple[str, int]]) -> None:
    """What somebody does by the API: to nouns that are there, and a team of his own."""
    for deed, which in deeds:
        names = [name for name in kept.nouns if name[0] != "provider"]
        if not names:
            kept.api_puts("team", "z", {"id": "z", "name": "z"})
        elif deed == "remove":
            kept.api_removes(*names[which % len(names)])
        else:
            kept.api_changes(*names[which % len(names)], description=f"by api {which}")


@settings(deadline=None)
@given(first=TREES, second=TREES, deeds=DEEDS)
def test_merging_twice_changes_nothing(first: Any, second: Any, deeds: Any) -> None:
    kept = Kept()
    kept.start(first)
    act(kept, deeds)
    once = kept.start(second)

    twice = kept.start(second)

    assert twice.changes == ()
    assert twice.tree == once.tree


@settings(deadline=None)
@given(first=TREES, deeds=DEEDS)
def test_what_the_api_did_survives_a_file_as_it_was(first: Any, deeds: Any) -> None:
    kept = Kept()
    kept.start(first)
    act(kept, deeds)
    before = kept.nouns

    merged = kept.start(first)

    assert kept.nouns == before
    assert merged.warnings == ()


@settings(deadline=None)
@given(first=TREES, second=TREES, deeds=DEEDS)
def test_the_store_says_what_the_tree_says(first: Any, second: Any, deeds: Any) -> None:
    kept = Kept()
    kept.start(first)
    act(kept, deeds)

    merged = kept.start(second)

    # Read as a file of its own, the tree has the very nouns of the store.
    alone = merge(merged.tree, (), (), kept.means)
    puts = {(put.kind, put.id): put.body for put in alone.changes if isinstance(put, Put)}
    assert puts == {name: noun.body for name, noun in kept.nouns.items()}
