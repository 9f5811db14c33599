"""Providers, keys and the single nouns between the API and the store."""

from __future__ import annotations

from typing import Any

import pytest

from bifrost.config.faults import ConfigErrors
from bifrost.config.nouns import Noun
from bifrost.management.config_bodies import (
    auth_object,
    framework_object,
    new_password,
    part_body,
)
from bifrost.management.provider_bodies import (
    key_body,
    key_object,
    provider_body,
    provider_object,
    refuse_blank,
)


def noun(kind: str, noun_id: str, body: dict[str, Any]) -> Noun:
    return Noun(kind=kind, id=noun_id, body=body, version=3, created_unix_s=0.0, updated_unix_s=0.0)


def test_what_is_told_of_a_provider_may_be_sent_back() -> None:
    body = {"network_config": {"base_url": "https://h.example", "extra_headers": {"x": "secret-1"}}}
    told = provider_object(noun("provider", "groq", body), {"status": "unknown"})
    assert "keys" not in told
    assert told["status"] == "unknown"
    back = provider_body("groq", told, body)
    assert back["network_config"]["extra_headers"] == {"x": "secret-1"}
    assert not {"name", "status", "config_hash"} & back.keys()


def test_a_hash_says_nothing_of_a_secret_and_something_of_all_else() -> None:
    def hash_of(**more: Any) -> str:
        body = {"id": "k", "name": "k", "provider": "p", "value": "sk-0123456789-ends", **more}
        return str(key_object(noun("key", "k", body), {})["config_hash"])

    assert hash_of(value="sk-0xxxxxxxxx-ends") == hash_of()
    assert hash_of(weight=2) != hash_of()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"network_config": {"base_url": "https://h.example", "extra_headers": {"x": "secret-1"}}},
        {"custom_provider_config": {"base_provider_type": "openai", "allowed_requests": {}}},
        {"proxy_config": {"type": "http", "url": "http://p:1"}, "send_back_raw_request": True},
        {"concurrency_and_buffer_size": {"concurrency": 5}, "retry_budget": 1},
        {"pricing_overrides": [{"model_pattern": "m", "match_type": "exact"}]},
    ],
)
def test_a_provider_sent_back_as_it_was_told_keeps_its_hash(body: dict[str, Any]) -> None:
    before = provider_object(noun("provider", "groq", body), {})
    after = provider_object(noun("provider", "groq", provider_body("groq", before, body)), {})
    assert after == before


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"weight": 1},
        {"models": []},
        {"value": "env.K", "enabled": False},
        {"azure_key_config": {"endpoint": "https://a.example", "deployments": {"m": "d"}}},
        {"vllm_key_config": {"url": "http://v", "model_name": "m"}},
        {"bedrock_key_config": {"region": "eu", "batch_s3_config": {"buckets": [{"bucket_name": "b"}]}}},
    ],
)  # fmt: skip
def test_a_key_sent_back_as_it_was_told_keeps_its_hash(more: dict[str, Any]) -> None:
    body = {"id": "k", "name": "k", "provider": "p", "value": "sk-0123456789-ends", **more}
    before = key_object(noun("key", "k", body), {"state": "idle"})
    after = key_object(noun("key", "k", key_body("p", "k", before, body)), {"state": "idle"})
    assert after == before


def test_which_models_a_key_has_that_says_nothing_of_them() -> None:
    body = {"id": "k", "name": "k", "provider": "azure"}
    assert key_object(noun("key", "k", body), {})["models"] == ["*"]
    azure = {"endpoint": "https://a.example", "deployments": {"m": "d"}}
    deployed = {**body, "azure_key_config": azure}
    assert key_object(noun("key", "k", deployed), {})["models"] == []


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"provider": "openai"}, "provider"),
        ({"id": "other"}, "id"),
        ({"id": 5}, "id"),
    ],
)
def test_the_path_says_whose_key_it_is(sent: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigErrors) as found:
        key_body("groq", "k", sent, {})
    assert found.value.errors[0].path == path
    assert key_body("groq", "k", {"provider": " Groq", "id": "k"}, {}) == {
        "id": "k",
        "provider": "groq",
    }


@pytest.mark.parametrize(
    ("provider", "of_provider", "key", "is_refused"),
    [
        ("openai", {}, {}, True),
        ("openai", {}, {"value": "env.K"}, False),
        ("bedrock", {}, {}, False),
        ("ollama", {}, {}, False),
        ("mine", {"custom_provider_config": {"base_provider_type": "openai"}}, {}, True),
        ("mine", {"custom_provider_config": {"base_provider_type": "bedrock"}}, {}, False),
        ("mine", {"custom_provider_config": {"is_key_less": True}}, {"value": "v"}, True),
    ],
)
def test_keys_need_a_value_where_it_means_something(
    provider: str, of_provider: dict[str, Any], key: dict[str, Any], *, is_refused: bool
) -> None:
    if is_refused:
        with pytest.raises(ConfigErrors):
            refuse_blank(provider, of_provider, key)
    else:
        refuse_blank(provider, of_provider, key)


def test_a_framework_is_told_flat_and_taken_either_way() -> None:
    body = part_body("framework", {"pricing_sync_interval": 7200}, {})
    assert body == {"pricing": {"pricing_sync_interval": 7200}}
    assert framework_object(body) == {"pricing_url": None, "pricing_sync_interval": 7200}
    both = {"pricing": {"pricing_url": "https://p.example"}, "pricing_sync_interval": 3600}
    assert part_body("framework", both, body)["pricing"] == {
        "pricing_url": "https://p.example",
        "pricing_sync_interval": 3600,
    }
    assert part_body("framework", {"pricing_url": None}, body) == body
    assert part_body("framework", {"pricing": 5, "pricing_url": None}, {})["pricing"] == 5


def test_a_login_needs_both_and_switching_it_off_keeps_them() -> None:
    with pytest.raises(ConfigErrors):
        part_body("auth", {"is_enabled": True, "admin_username": "root"}, {})
    present = {"is_enabled": True, "admin_username": "root", "admin_password": "$argon2id$x"}
    with pytest.raises(ConfigErrors):
        part_body("auth", {"admin_password": None}, present)
    for member in ("admin_username", "admin_password"):
        with pytest.raises(ConfigErrors) as found:
            part_body("auth", {member: "é" * 251}, present)
        assert found.value.errors[0].path == member
    off = part_body("auth", {"is_enabled": False}, present)
    assert off == {**present, "is_enabled": False}
    assert auth_object({})["admin_password"]["value"] == ""
    assert "argon2" not in str(auth_object(present))


def test_a_password_is_new_if_it_is_another_and_no_reference() -> None:
    present = {"admin_password": "$argon2id$x"}
    assert new_password({"admin_password": "p"}, present) == "p"
    assert new_password(present, present) is None
    assert new_password({"admin_password": "env.P"}, present) is None
    assert new_password({}, present) is None
    assert new_password({"admin_password": f"$2b$12${'a' * 53}"}, present) is None
