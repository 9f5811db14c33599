"""Defaults written out: what they say is what the check of the file fills in."""

from __future__ import annotations

from bifrost.config.defaults import with_defaults
from bifrost.config.load import parse_tree


def test_a_provider_s_are_those_that_hold() -> None:
    told = with_defaults("provider", {"network_config": {"max_retries": 0}, "failure_threshold": 9})
    assert told["network_config"]["max_retries"] == 0
    assert told["network_config"]["retry_backoff_initial"] == 500
    assert told["concurrency_and_buffer_size"] == {"concurrency": 1000, "buffer_size": 5000}
    assert (told["failure_threshold"], told["open_seconds"]) == (9, 10.0)
    assert "proxy_config" not in told
    assert "custom_provider_config" not in told


def test_sections_that_are_there_are_filled_too() -> None:
    proxy = with_defaults("provider", {"proxy_config": {"url": "http://p:1"}})["proxy_config"]
    assert proxy["type"] == "none"
    custom = {"base_provider_type": "openai"}
    told = with_defaults("provider", {"custom_provider_config": custom})["custom_provider_config"]
    assert told["is_key_less"] is False
    groups = with_defaults("provider", {"concurrency_and_buffer_size": {"concurrency": 3}})
    assert groups["concurrency_and_buffer_size"] == {"concurrency": 3, "buffer_size": 5000}
    rule = {"id": "r", "name": "r", "targets": [{"model": "m"}]}
    assert with_defaults("routing_rule", rule)["enabled"] is True


def test_written_out_they_are_a_configuration_that_means_the_same() -> None:
    client = with_defaults("client", {})
    assert client["allowed_origins"] == ["*"]
    assert parse_tree({"client": client}, {}).client == parse_tree({}, {}).client
    provider = with_defaults("provider", {})
    told = parse_tree({"providers": {"mock": provider}}, {}).providers["mock"]
    assert told == parse_tree({"providers": {"mock": {}}}, {}).providers["mock"]


def test_what_means_the_opposite_of_empty_stays_absent() -> None:
    """No list of allowed requests allows all of them; an empty one none."""
    custom = with_defaults(
        "provider", {"custom_provider_config": {"base_provider_type": "openai"}}
    )["custom_provider_config"]
    assert "allowed_requests" not in custom
    assert custom["request_path_overrides"] == {}
