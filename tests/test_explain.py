"""What ``explain`` says must be what a call would meet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.config.load import parse_config
from bifrost.explain import explain

KEYS = [
    {"name": "a", "id": "id-a", "value": "sk-a", "weight": 3},
    {"name": "b", "id": "id-b", "value": "sk-b", "models": ["gpt-4o"]},
    {"name": "off", "value": "sk-c", "enabled": False},
    {"name": "blank", "value": ""},
]


def said(
    model: str,
    *headers: tuple[str, str],
    client: dict[str, Any] | None = None,
    environ: dict[str, str] | None = None,
    **providers: Any,
) -> list[str]:
    config = {"client": client or {}, "providers": {"openai": {"keys": KEYS}, **providers}}
    found = explain(parse_config(json.dumps(config), environ or {}), model, headers)
    lines = found.text.splitlines()
    assert found.is_served is not any(line.startswith("refused: ") for line in lines)
    return lines


def test_each_key_has_its_share_or_its_reason() -> None:
    assert said("gpt-4o") == [
        "provider  openai",
        "model     gpt-4o",
        "key       a  75.0%  (weight 3)",
        "key       b  25.0%  (weight 1)",
        "not       off: disabled",
        "not       blank: its value is blank",
    ]


def test_a_key_that_does_not_serve_the_model_says_so() -> None:
    lines = said("openai/o3")

    assert "key       a  100.0%  (weight 3)" in lines
    assert "not       b: models does not have o3" in lines


def test_weight_0_is_eligible_but_not_drawn() -> None:
    keys = [{"name": "a", "value": "k"}, {"name": "b", "value": "k", "weight": 0}]

    assert said("m", openai={"keys": keys})[2:] == [
        "key       a  100.0%  (weight 1)",
        "key       b  0.0%  (weight 0)",
    ]


@pytest.mark.parametrize("header", [("X-BF-API-KEY", "b"), ("x-bf-api-key-id", "id-b")])
def test_a_pinned_key_is_alone(header: tuple[str, str]) -> None:
    lines = said("gpt-4o", header)

    assert "key       b  100.0%  (weight 1)" in lines
    assert "not       a: another is pinned" in lines


def test_a_pin_on_nobody_leaves_no_key() -> None:
    lines = said("gpt-4o", ("x-bf-api-key", "nobody"))

    assert "refused: no key is eligible" in lines
    assert "not       a: another is pinned" in lines


def test_a_provider_without_usable_keys_refuses() -> None:
    lines = said("groq/m", groq={"keys": []})

    assert lines == ["provider  groq", "model     m", "refused: no key is eligible"]


def test_a_keyless_provider_needs_none() -> None:
    assert said("mock/echo", mock={})[2:] == ["key       keyless  100.0%  (weight 1)"]


def test_a_caller_s_own_key_goes_past_the_stored_ones() -> None:
    own = ("Authorization", "Bearer sk-mine")

    assert said("m", own, client={"allow_direct_keys": True})[2:] == [
        "key       the caller's own, as it came"
    ]
    assert "not       off: disabled" in said("m", own)


def test_a_caller_s_own_key_opens_the_default_provider() -> None:
    own = ("x-api-key", "sk-mine")

    assert said("m", own, client={"allow_direct_keys": True}, openai={"keys": []})[0] == (
        "provider  openai"
    )


def test_a_bare_model_needs_a_default_provider() -> None:
    assert said("m", openai={"keys": []}) == [
        "refused: provider is required; openai has no usable key, and m names no other provider"
    ]


@pytest.mark.parametrize("model", ["", " ", "openai/", "openai/ "])
def test_a_model_without_a_name_is_refused(model: str) -> None:
    assert said(model) == ["refused: model is required"]


def test_a_provider_that_is_not_configured_is_refused() -> None:
    assert said("groq/m")[2:] == ["refused: failed to get config for provider: groq"]


def test_a_provider_that_is_not_built_is_refused() -> None:
    (line,) = said("runway/m", runway={"keys": [{"name": "x", "value": "k"}]})[2:]

    assert line.startswith("refused: provider runway is known, but its API is not built yet")


def test_a_provider_whose_connections_cannot_be_made_is_refused() -> None:
    """As the gateway finds only when it starts."""
    no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    environ = {"CERTIFICATES": no_certificate}
    network = {"base_url": "https://h", "ca_cert_pem": "env.CERTIFICATES"}
    keys = [{"name": "x", "value": "k"}]

    (line,) = said("groq/m", environ=environ, groq={"keys": keys, "network_config": network})[2:]

    assert line.startswith("refused: ")
    assert "ca_cert_pem" in line


def test_a_header_that_is_required_is_missed() -> None:
    client = {"required_headers": ["X-Team"]}

    assert said("gpt-4o", client=client) == ["refused: missing required headers: X-Team"]
    assert said("gpt-4o", ("x-team", "a"), client=client)[0] == "provider  openai"


def test_a_header_that_cannot_be_sent_is_no_defect() -> None:
    assert said("gpt-4o", ("Ω", "Ω"))[0] == "provider  openai"


def test_hedging_needs_two_that_can_serve() -> None:
    hedged = {"keys": KEYS, "hedge_after_ms": 200}

    assert said("gpt-4o", openai=hedged)[-1] == "hedge     a second key after 200 ms of silence"
    assert not any("hedge" in line for line in said("o3", openai=hedged))
    assert not any("hedge" in line for line in said("gpt-4o"))


def governed(**key: Any) -> dict[str, Any]:
    config = {"provider": "openai", "weight": 1, "allowed_models": ["gpt-4o"], "key_ids": ["a"]}
    made = {"name": "one", "value": "sk-bf-one", "provider_configs": [config]}
    return {"virtual_keys": [made | key]}


def told(model: str, governance: dict[str, Any], *headers: tuple[str, str]) -> list[str]:
    config = {"providers": {"openai": {"keys": KEYS}}, "governance": governance}
    return list(explain(parse_config(json.dumps(config), {}), model, headers).lines)


MINE = ("x-bf-vk", "sk-bf-one")


def test_a_virtual_key_narrows_the_keys() -> None:
    assert told("gpt-4o", governed(), MINE) == [
        "virtual   one",
        "routing   governance: openai/gpt-4o, chosen of 1 by weight",
        "provider  openai",
        "model     gpt-4o",
        "key       a  100.0%  (weight 3)",
        "not       off: disabled",
        "not       blank: its value is blank",
        "not       b: not among the keys that governance allows",
    ]


@pytest.mark.parametrize(
    ("key", "headers", "refused"),
    [
        ({"is_active": False}, [MINE], "refused: Virtual key is inactive"),
        ({"provider_configs": []}, [MINE], "refused: Provider 'openai' is not allowed for this virtual key"),
        ({}, [("x-bf-vk", "sk-bf-two")], "refused: Virtual key not found"),
    ],
)  # fmt: skip
def test_what_a_virtual_key_may_not(
    key: dict[str, Any], headers: list[tuple[str, str]], refused: str
) -> None:
    assert told("openai/gpt-4o", governed(**key), *headers)[0] == refused


def test_a_rule_sends_it_elsewhere() -> None:
    rule = {
        "id": "r",
        "name": "cheaper",
        "cel_expression": "headers['x-tier'] == 'free'",
        "targets": [{"model": "o3"}],
        "fallbacks": ["openai/gpt-4o"],
    }
    lines = told("openai/gpt-4o", {"routing_rules": [rule]}, ("x-tier", "free"))
    assert "model     o3" in lines
    assert "fallback  openai/gpt-4o" in lines
    assert any("cheaper" in line for line in lines if line.startswith("routing"))
    assert "model     gpt-4o" in told("openai/gpt-4o", {"routing_rules": [rule]})
