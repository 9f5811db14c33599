"""Where a 400 says that something is wrong: the path within the body that was sent, whatever noun it is and however deep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from http_routes import managed

if TYPE_CHECKING:
    from pathlib import Path

TREE = {
    "providers": {"openai": {"keys": [{"name": "one", "id": "k1", "value": "sk-1"}]}, "mock": {}}
}
Case = tuple[dict[str, Any], str]
Table = tuple[str, dict[str, Any], list[Case]]

A_DAY = {"max_limit": 1, "reset_duration": "1d"}
LIMITS: list[Case] = [
    ({"budget": {"reset_duration": "1d"}}, "budget.max_limit"),
    ({"budget": {**A_DAY, "max_limit": -1}}, "budget.max_limit"),
    ({"budget": {**A_DAY, "max_limit": 0}}, "budget.max_limit"),
    ({"budget": {**A_DAY, "max_limit": "x"}}, "budget.max_limit"),
    ({"budget": {"max_limit": 1}}, "budget.reset_duration"),
    ({"budget": {**A_DAY, "reset_duration": "soon"}}, "budget.reset_duration"),
    ({"budget": {**A_DAY, "reset_duration": 5}}, "budget.reset_duration"),
    ({"budget": {**A_DAY, "reset_duration": "1h", "calendar_aligned": True}}, "budget.reset_duration"),
    ({"budget": {**A_DAY, "calendar_aligned": "x"}}, "budget.calendar_aligned"),
    ({"budget": {**A_DAY, "limit": 1}}, "budget.limit"),
    ({"budget": {**A_DAY, "id": "other"}}, "budget.id"),
    ({"budget": 5}, "budget"),
    ({"rate_limit": {"token_max_limit": 1}}, "rate_limit.token_reset_duration"),
    ({"rate_limit": {"token_max_limit": 0, "token_reset_duration": "1d"}}, "rate_limit.token_max_limit"),
    ({"rate_limit": {"token_max_limit": 1.5, "token_reset_duration": "1d"}}, "rate_limit.token_max_limit"),
    ({"rate_limit": {"request_max_limit": 1, "request_reset_duration": "x"}}, "rate_limit.request_reset_duration"),
    ({"rate_limit": {"tokens": 1}}, "rate_limit.tokens"),
]  # fmt: skip


def in_config(*cases: Case) -> list[Case]:
    """The same in the second provider config of a virtual key."""
    openai = {"provider": "openai"}
    return [
        ({"provider_configs": [{"provider": "mock"}, openai | sent]}, f"provider_configs[1].{path}")
        for sent, path in cases
    ]


VIRTUAL_KEY: list[Case] = [
    ({"name": 5}, "name"),
    ({"name": None}, "name"),
    ({"value": 5}, "value"),
    ({"value": "env.a-b"}, "value"),
    ({"value": "********"}, "value"),
    ({"is_active": "x"}, "is_active"),
    ({"team_id": "nobody"}, "team_id"),
    ({"team_id": "t", "customer_id": "c"}, "customer_id"),
    ({"mcp_configs": [{"tools_to_execute": 5}]}, "mcp_configs[0].tools_to_execute"),
    ({"provider_configs": [{"provider": "mock"}, 5]}, "provider_configs[1]"),
    *in_config(
        ({"weight": -1}, "weight"),
        ({"allowed_models": ["a", "a"]}, "allowed_models[1]"),
        ({"allowed_models": ["*", "a"]}, "allowed_models"),
        ({"key_ids": ["x"]}, "key_ids"),
        ({"key_ids": [5]}, "key_ids[0]"),
        ({"provider": "opnai"}, "provider"),
        ({"provider": None}, "provider"),
        ({"id": 5}, "id"),
        ({"color": 5}, "color"),
        *LIMITS,
    ),
]
RULE: list[Case] = [
    ({"targets": 5}, "targets"),
    ({"targets": [5]}, "targets[0]"),
    ({"targets": [{"weight": "x"}]}, "targets[0].weight"),
    ({"targets": [{"weight": 0.3}]}, "targets"),
    ({"targets": [{"key_id": "k1"}]}, "targets[0].key_id"),
    ({"targets": [{"provider": "opnai"}]}, "targets[0].provider"),
    ({"targets": [{"color": 5}]}, "targets[0].color"),
    ({"targets": [{"weight": 0.5}, {"weight": 0.5}]}, "targets[1]"),
    ({"cel_expression": "model =="}, "cel_expression"),
    ({"scope": "x"}, "scope"),
    ({"scope": "team"}, "scope_id"),
    ({"scope": "team", "scope_id": 5}, "scope_id"),
    ({"scope": "team", "scope_id": "nobody"}, "scope_id"),
    ({"fallbacks": [5]}, "fallbacks[0]"),
]
OVERRIDE: list[Case] = [
    ({"scope_kind": "x"}, "scope_kind"),
    ({"scope_kind": "provider"}, "provider_id"),
    ({"scope_kind": "provider", "provider_id": "opnai"}, "provider_id"),
    ({"match_type": "wildcard"}, "pattern"),
    ({"request_types": ["x"]}, "request_types[0]"),
    ({"patch": 5}, "patch"),
    ({"patch": "{"}, "patch"),
    ({"patch": {"color": 1}}, "patch.color"),
    ({"patch": {"input_cost_per_token": -1}}, "patch.input_cost_per_token"),
]
PRICED = {
    "scope_kind": "global",
    "match_type": "exact",
    "pattern": "m",
    "request_types": ["responses"],
    "patch": {"input_cost_per_token": 1},
}
KEY: list[Case] = [
    ({"weight": -1}, "weight"),
    ({"color": 1}, "color"),
    ({"value": None}, "value"),
    ({"value": "********"}, "value"),
    ({"value": {"color": 1}}, "value.color"),
    ({"models": ["*", "a"]}, "models"),
    ({"azure_key_config": {"endpoint": "x"}}, "azure_key_config.endpoint"),
    ({"id": 5}, "id"),
    ({"name": None}, "name"),
    ({"provider": "xai"}, "provider"),
    ({"bedrock_key_config": {"region": "r", "batch_s3_config": {"buckets": [{}]}}}, "bedrock_key_config.batch_s3_config.buckets[0].bucket_name"),
]  # fmt: skip
PROVIDER: list[Case] = [
    ({"provider": "nobody-s"}, "provider"),
    ({"provider": "a/b", "custom_provider_config": {"base_provider_type": "openai"}}, "provider"),
    ({"color": 1}, "color"),
    ({"network_config": {"max_retries": "x"}}, "network_config.max_retries"),
    ({"concurrency_and_buffer_size": {"concurrency": 9, "buffer_size": 1}}, "concurrency_and_buffer_size.concurrency"),
    ({"proxy_config": {"type": "http"}}, "proxy_config.url"),
    ({"pricing_overrides": [{"model_pattern": 5, "match_type": "exact"}]}, "pricing_overrides[0].model_pattern"),
    ({"keys": [5]}, "keys"),
    *(
        ({"keys": [{"name": "a", "value": "v"}, {"name": "b", "value": "v"} | sent]}, f"keys[1].{path}")
        for sent, path in KEY
    ),
]  # fmt: skip
CONFIG: list[Case] = [
    ({"client_config": 5}, "client_config"),
    ({"client_config": {"max_inflight": 0}}, "client_config.max_inflight"),
    ({"client_config": {"color": 0}}, "client_config.color"),
    ({"client_config": {"header_filter_config": {"allowlist": ["host"]}}}, "client_config.header_filter_config.allowlist[0]"),
    ({"framework_config": {"pricing_sync_interval": 1}}, "framework_config.pricing_sync_interval"),
    ({"framework_config": {"pricing": {"color": 1}}}, "framework_config.pricing.color"),
    ({"auth_config": {"is_enabled": True}}, "auth_config"),
    ({"auth_config": {"admin_username": 5}}, "auth_config.admin_username"),
    ({"auth_config": {"admin_password": "********"}}, "auth_config.admin_password"),
    ({"auth_config": {"admin_username": "é" * 251}}, "auth_config.admin_username"),
    ({"auth_config": {"admin_username": 5}, "client_config": {"max_inflight": 1}}, "auth_config.admin_username"),
    ({"color": 0}, "color"),
]  # fmt: skip
PLUGIN: list[Case] = [
    ({"enabled": "x"}, "enabled"),
    ({"name": None}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"placement": "x"}, "placement"),
    ({"config": {"a": "********"}}, "config.a"),
    ({"color": 1}, "color"),
]

GOVERNANCE = "/api/governance"
TABLES: list[Table] = [
    (f"POST {GOVERNANCE}/virtual-keys", {"name": "n"}, VIRTUAL_KEY + LIMITS),
    (f"POST {GOVERNANCE}/teams", {"name": "n"}, [({"claims": 5}, "claims"), ({"customer_id": "x"}, "customer_id"), *LIMITS]),
    (f"POST {GOVERNANCE}/customers", {"name": "n"}, [({"name": 5}, "name"), *LIMITS]),
    (f"POST {GOVERNANCE}/model-configs", {"model_name": "m"}, [({"provider": "opnai"}, "provider"), *LIMITS]),
    (f"PUT {GOVERNANCE}/providers/openai", {}, [({"color": 1}, "color"), *LIMITS]),
    (f"POST {GOVERNANCE}/routing-rules", {"name": "r", "targets": [{"model": "m"}]}, RULE),
    (f"POST {GOVERNANCE}/pricing-overrides", PRICED, OVERRIDE),
    ("POST /api/providers", {"provider": "groq"}, PROVIDER),
    ("PUT /api/providers/openai", {}, [*PROVIDER[2:7], ({"name": "groq"}, "name")]),
    ("PUT /api/providers/nobody-s", {}, [({}, "provider")]),
    ("POST /api/providers/openai/keys", {"name": "two", "value": "v"}, KEY),
    ("PUT /api/providers/openai/keys/k1", {}, [each for each in KEY if "********" not in str(each)]),
    ("PUT /api/config", {}, CONFIG),
    ("POST /api/plugins", {"name": "p"}, PLUGIN),
]  # fmt: skip


@pytest.mark.parametrize(("route", "base", "cases"), TABLES, ids=[route for route, *_ in TABLES])
async def test_what_is_wrong_is_named_by_its_path_in_the_body(
    tmp_path: Path, route: str, base: dict[str, Any], cases: list[Case]
) -> None:
    method, path = route.split()
    async with managed(TREE, tmp_path) as house:
        for sent, wanted in cases:
            status, told, _ = await house.ask(method, path, base | sent)
            assert (status, told["error"]["param"]) == (400, wanted), (sent, told)


async def test_several_mistakes_have_a_line_each(tmp_path: Path) -> None:
    async with managed(TREE, tmp_path) as house:
        sent = {"client_config": {"max_inflight": 0}, "auth_config": {"admin_username": 5}}
        _, told, _ = await house.ask("PUT", "/api/config", sent)
    lines = told["error"]["message"].splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "client_config.max_inflight",
        "auth_config.admin_username",
    ]
