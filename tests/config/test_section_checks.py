from __future__ import annotations

import pytest

from bifrost.config.load import ConfigErrors, parse_config

BCRYPT = "$2b$12$" + "a" * 53
RULE = "{id: r, name: r, targets: [%s]%s}"


def errors_of(text: str) -> list[str]:
    try:
        parse_config(text, {"SET": "x"})
    except ConfigErrors as refused:
        return [str(error) for error in refused.errors]
    return []


def rule(targets: str, more: str = "") -> str:
    return "governance: {routing_rules: [" + RULE % (targets, more) + "]}"


@pytest.mark.parametrize(
    "text",
    [
        "auth_config: {is_enabled: false, admin_password: env.NOT}",
        "auth_config: {is_enabled: true, admin_username: a, admin_password: env.SET}",
        "auth_config: {is_enabled: true, admin_username: a, admin_password: '$argon2id$v=19$m=1'}",
        "governance: {budgets: [{max_limit: 1, reset_duration: 1M, calendar_aligned: true}]}",
        "governance: {rate_limits: [{token_max_limit: 1, token_reset_duration: 1h}, {}]}",
        rule("{provider: groq, weight: 0.5}, {provider: xai, weight: 0.5}"),
        rule("{model: m}", ", scope: team, scope_id: t").replace(
            "governance: {", "governance: {teams: [{id: t, name: t}], "
        ),
        "mcp: {client_configs: [{name: a, connection_type: http, http_config: {url: 'http://x'}}]}",
        "plugins: [{name: otel, enabled: true, config: {headers: {a: env.SET, b: plain, c: 3}}}]",
        "plugins: [{name: otel, enabled: false, config: {headers: {a: env.NOT}}}]",
        "plugins: [{name: otel, enabled: true}]",
        "config_store: {enabled: false, type: postgres}",
        "logs_store: {type: postgres, config: {host: h, port: 1, user: u, db_name: d, ssl_mode: disable}}",
        "vector_store: {type: qdrant, config: {host: h}}",
        "vector_store: {type: pinecone, config: {api_key: a, index_host: h}}",
        "vector_store: {type: weaviate, config: {scheme: http, host: h}}",
        "audit_logs: {retention_days: 1}",
    ],
)
def test_what_fits_together_is_accepted(text: str) -> None:
    assert errors_of(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("auth_config: {is_enabled: true, admin_username: a, admin_password: env.NOT}", "auth_config.admin_password: found NOT, which is not set"),
        ("auth_config: {is_enabled: true, admin_password: p}", "auth_config.admin_username: found nothing"),
        ("auth_config: {is_enabled: true, admin_username: 3, admin_password: p}", "auth_config.admin_username: found a number"),
        (f"auth_config: {{admin_password: {BCRYPT}}}", "auth_config.admin_password: found a bcrypt hash"),
        ("governance: {budgets: [{max_limit: 1, reset_duration: 1h, calendar_aligned: true}]}", "governance.budgets[0].calendar_aligned: found true with a reset_duration of '1h'"),
        ("governance: {budgets: [{max_limit: -1, reset_duration: 1h}]}", "governance.budgets[0].max_limit: found -1"),
        ("governance: {rate_limits: [{request_max_limit: 1}]}", "governance.rate_limits[0].request_reset_duration: found nothing"),
        ("governance: {virtual_keys: [{name: a, team_id: t, customer_id: c}]}", "governance.virtual_keys[0]: found team_id and customer_id"),
        ("governance: {virtual_keys: [{name: a, provider_configs: [{provider: p, key_ids: ['*', b]}]}]}", 'governance.virtual_keys[0].provider_configs[0].key_ids: found "*" among'),
        (rule(""), "governance.routing_rules[0].targets: found no target"),
        (rule("{provider: a, weight: 0.9}"), "governance.routing_rules[0].targets: found weights that sum to 0.9000; allowed: weights that sum to 1"),
        (rule("{provider: a, weight: x}"), "governance.routing_rules[0].targets[0].weight: found 'x'"),
        (rule("{key_id: k}"), "governance.routing_rules[0].targets[0].key_id: found a key without a provider"),
        (rule("{provider: a, weight: 0.5}, {provider: A, weight: 0.5}"), "governance.routing_rules[0].targets[1]: found the same target again"),
        (rule("{provider: a}", ", scope: team"), "governance.routing_rules[0].scope_id: found nothing; allowed: the id of a team"),
        ("mcp: {client_configs: [{name: a, connection_type: stdio}]}", "mcp.client_configs[0].stdio_config: found nothing"),
        ("mcp: {client_configs: [{name: a, connection_type: http}]}", "mcp.client_configs[0].connection_string: found nothing"),
        ("mcp: {client_configs: [{name: a-b, connection_type: websocket}]}", "mcp.client_configs[0].name: found 'a-b'"),
        ("plugins: [{name: otel, enabled: true, config: {headers: {a: env.NOT}}}]", "plugins[0].config.headers.a: found NOT, which is not set"),
        ("config_store: {type: sqlite, config: {}}", "config_store.config.path: found nothing"),
        ("logs_store: {type: postgres, config: {host: h}}", "logs_store.config.port: found nothing"),
        ("vector_store: {type: redis, config: {adr: x}}", "vector_store.config.adr: found an unknown key"),
        ("vector_store: {type: mysql, config: {}}", "vector_store.type: found 'mysql'"),
        ("mcp: {client_configs: [{name: a}]}", "mcp.client_configs[0].connection_type: found nothing; allowed: http or sse or stdio"),
        ("vector_store: {type: pinecone, config: {index_host: h}}", "vector_store.config.api_key: found nothing; allowed: a text or env.NAME"),
        ("governance: {pricing_overrides: [{id: p}]}", "governance.pricing_overrides[0].request_types: found nothing; allowed: a list"),
        ("audit_logs: {hmac_key: short}", "audit_logs.hmac_key: found a text that is too short"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_told(text: str, words: str) -> None:
    assert any(error.startswith(words) for error in errors_of(text)), errors_of(text)
