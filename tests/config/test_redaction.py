"""Bodies as they are shown, and back: no secret is told, and what is sent back as it was shown changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.bodies import canonical
from bifrost.config.faults import ConfigErrors
from bifrost.config.redaction import MASK, hidden, restored, shown

LONG = "sk-0123456789abcdef"
ENDS = f"sk-0{'*' * 24}cdef"

KEY: dict[str, Any] = {
    "id": "k",
    "name": "k",
    "provider": "azure",
    "value": LONG,
    "azure_key_config": {"endpoint": "https://a.example", "client_secret": "env.AZURE_SECRET"},
}


def test_a_secret_is_shown_by_its_ends_and_a_reference_by_its_name() -> None:
    told = shown("key", KEY)
    assert told["value"] == {"value": ENDS, "env_var": "", "from_env": False}
    assert told["azure_key_config"] == {
        "endpoint": "https://a.example",
        "client_secret": {"value": "", "env_var": "env.AZURE_SECRET", "from_env": True},
    }
    assert shown("key", {**KEY, "value": {"value": "short"}})["value"]["value"] == "*****"
    assert shown("key", {**KEY, "value": ""})["value"]["value"] == ""


def test_passwords_are_not_even_shown_by_their_ends() -> None:
    assert shown("auth", {"admin_username": "root", "admin_password": LONG}) == {
        "admin_username": "root",
        "admin_password": {"value": MASK, "env_var": "", "from_env": False},
    }
    proxy = {"type": "http", "url": "http://p:1", "username": "u", "password": LONG}
    told = shown("provider", {"proxy_config": proxy})["proxy_config"]
    assert (told["url"], told["username"], told["password"]["value"]) == ("http://p:1", "u", MASK)


def test_what_has_no_shape_and_what_stands_under_free_names_is_hidden() -> None:
    network = {"base_url": "https://h.example", "extra_headers": {"x-token": LONG, "x-b": "env.B"}}
    told = shown("provider", {"network_config": network})["network_config"]
    assert told == {
        "base_url": "https://h.example",
        "extra_headers": {"x-token": ENDS, "x-b": "env.B"},
    }
    plugin = {"name": "p", "enabled": True, "config": {"a": [LONG, 1], "on": True}}
    assert shown("plugin", plugin)["config"] == {"a": [ENDS, 1], "on": True}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("key", KEY),
        ("auth", {"admin_username": "root", "admin_password": LONG, "is_enabled": True}),
        ("provider", {"network_config": {"extra_headers": {"x": LONG, "y": "ab"}}}),
        (
            "plugin",
            {"name": "p", "enabled": True, "config": {"a": ["one-secret-1", "two-secret-2"]}},
        ),
    ],
)
def test_what_was_shown_and_comes_again_is_unchanged(kind: str, body: dict[str, Any]) -> None:
    assert restored(kind, shown(kind, body), body) == canonical(kind, body)


def test_items_of_a_list_are_found_by_what_they_look_like() -> None:
    body = {"name": "p", "enabled": True, "config": {"a": ["one-secret-1", "two-secret-2"]}}
    sent = shown("plugin", body)
    sent["config"]["a"].reverse()
    assert restored("plugin", sent, body)["config"]["a"] == ["two-secret-2", "one-secret-1"]


def test_what_looks_like_no_item_of_a_list_is_none_of_them() -> None:
    body = {"name": "p", "enabled": True, "config": {"a": ["one-secret-1", "two-secret-2"]}}
    sent = {**body, "config": {"a": [hidden("a-former-one"), hidden("two-secret-2")]}}
    with pytest.raises(ConfigErrors) as found:
        restored("plugin", sent, body)
    assert [error.path for error in found.value.errors] == ["config.a[0]"]


def test_a_redacted_value_of_before_a_rotation_is_the_present_one() -> None:
    former = {"value": {"value": f"old!{'*' * 24}ends", "env_var": "", "from_env": False}}
    assert restored("key", former, KEY)["value"] == LONG


def test_something_redacted_with_nothing_behind_it_is_a_mistake() -> None:
    with pytest.raises(ConfigErrors) as found:
        restored("key", {"value": ENDS}, {"id": "k", "name": "k"})
    assert [error.path for error in found.value.errors] == ["value"]
    assert ENDS not in str(found.value)


def test_nulls_stay_for_whoever_merges() -> None:
    sent = {"retry_backoff": None, "network_config": {"retry_backoff_initial_ms": None}}
    assert restored("provider", sent, {}) == {
        "retry_backoff": None,
        "network_config": {"retry_backoff_initial": None},
    }


@given(st.text(min_size=9, max_size=80).filter(lambda text: not text.startswith("env.")))
def test_of_a_secret_only_the_ends_are_shown(secret: str) -> None:
    ends = f"{secret[:4]}{'*' * 24}{secret[-4:]}"
    assert hidden(secret) == shown("key", {**KEY, "value": secret})["value"]["value"] == ends
