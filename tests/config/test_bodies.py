from __future__ import annotations

import pytest

from bifrost.config.bodies import canonical, change_secrets, content, is_reference
from bifrost.config.nouns import KINDS
from bifrost.config.shape import shape_of


def test_a_body_is_spelt_as_it_is_written_back() -> None:
    body = {
        "enforce_governance_header": True,
        "max_inflight": None,
        "unknown": {"kept": None},
        "header_filter_config": {"allowlist": ["a"], "denylist": None},
    }

    assert canonical("client", body) == {
        "enforce_auth_on_inference": True,
        "unknown": {"kept": None},
        "header_filter_config": {"allowlist": ["a"]},
    }


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        ({"value": "plain"}, "plain"),
        ({"value": "x", "env_var": "env.NAME", "from_env": True}, "env.NAME"),
        ({"env_var": "NAME"}, "env.NAME"),
        (5, 5),
    ],
)
def test_a_secret_is_a_text(raw: object, text: object) -> None:
    assert canonical("key", {"value": raw}) == {"value": text}


def test_members_of_spread_and_grouped_sections_are_known() -> None:
    body = {
        "failure_threshold": 3,
        "concurrency_and_buffer_size": {"concurrency": 1, "buffer_size": None},
        "network_config": {"retry_backoff_initial_ms": 5},
    }

    assert canonical("provider", body) == {
        "failure_threshold": 3,
        "concurrency_and_buffer_size": {"concurrency": 1},
        "network_config": {"retry_backoff_initial": 5},
    }


def test_secrets_are_found_by_their_shape() -> None:
    body = {
        "name": "n",
        "provider": "openai",
        "value": "a",
        "models": ["m"],
        "weight": 0.5,
        "azure_key_config": {"endpoint": "b", "deployments": {"m": "d"}, "client_secret": ""},
        "unheard_of": ["c", {"d": "d"}, 5],
    }
    found: dict[str, str] = {}

    changed = change_secrets("key", body, lambda path, text: found.setdefault(path, text) + "!")

    assert found == {
        "value": "a",
        "azure_key_config.endpoint": "b",
        "unheard_of[0]": "c",
        "unheard_of[1].d": "d",
    }
    assert changed["unheard_of"] == ["c!", {"d": "d!"}, 5]
    assert (changed["name"], changed["models"]) == ("n", ["m"])


@pytest.mark.parametrize(
    ("patch", "changed"), [('{"a": 1}', '{"a": 1}'), ({"a": "b"}, {"a": "b!"}), (5, 5), (None, "-")]
)
def test_what_may_be_one_thing_or_another(patch: object, changed: object) -> None:
    body = change_secrets("pricing_override", {"patch": patch}, lambda _, text: text + "!")

    assert body.get("pricing_patch", "-") == changed


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_of_its_shape_is_left_alone(kind: str) -> None:
    for odd in (5, "text", ["list"], {"a": {"b": 1}}, True):
        body = {member.name: odd for member in shape_of(KINDS[kind]).members}

        assert canonical(kind, body) == body


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("env.NAME", True),
        ("env._a1", True),
        ("env.", False),
        ("env.A-B", False),
        ("env.A\n", False),
    ],
)
def test_a_reference_names_a_variable(text: str, is_one: bool) -> None:
    assert is_reference(text) == is_one


def test_content_is_what_is_said_and_not_how() -> None:
    first = {
        "name": "n",
        "id": "1",
        "weight": 1.0,
        "budget": {"id": "b", "max_limit": 5, "current_usage": 3.5, "last_reset": "x"},
        "rate_limit": {"token_current_usage": 5, "request_last_reset": "x"},
        "customer_id": None,
    }
    second = {"budget": {"max_limit": 5.0}, "name": "n", "rate_limit": {}, "weight": 1}

    assert content("virtual_key", first) == content("virtual_key", second)
    assert content("virtual_key", {**second, "team_id": "t"}) != content("virtual_key", second)


def test_of_what_has_no_shape_everything_is_content() -> None:
    plugin = {"name": "n", "config": {"id": 1}}

    assert content("plugin", plugin) != content("plugin", {"name": "n", "config": {"id": 2}})
