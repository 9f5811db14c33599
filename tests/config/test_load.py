from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost.config.load import (
    ConfigError,
    ConfigErrors,
    detect_providers,
    parse_config,
    parse_tree,
)
from bifrost.config.secret import Secret
from bifrost.config.sections import PostgresSection
from bifrost.config.settings import ClientSettings, Config, ConfigStoreSettings, LogsStoreSettings

POSTGRES = "{host: env.HOST, port: 5432, user: u, password: p, db_name: d, ssl_mode: disable}"
FILES = Path(__file__).parent / "files"
ENVIRON = {
    name: f"value-of-{name}"
    for name in (
        "OPENAI_API_KEY", "OPENAI_API_KEY_2", "PROXY_PASSWORD", "AZURE_KEY", "VERTEX", "AWS_ID", "AWS_SECRET", "VK_ONE",
        "ADMIN_PASSWORD", "BIFROST_ENCRYPTION_KEY", "PG_HOST", "PG_PASSWORD", "MCP_URL", "MCP_TOKEN", "OTEL_KEY",
    )
} | {"AZURE_ENDPOINT": "https://me.openai.azure.com"}  # fmt: skip


def load(name: str) -> Config:
    return parse_config((FILES / name).read_text(), ENVIRON)


def errors_of(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(text, {})
    return [str(error) for error in caught.value.errors]


def test_a_first_file_of_the_original_loads_as_it_is() -> None:
    config = load("first.json")

    (key,) = config.providers["openai"].keys
    assert key.value == Secret("value-of-OPENAI_API_KEY", reference="env.OPENAI_API_KEY")
    assert key.models == ("gpt-4o-mini", "gpt-4o")
    assert key.use_for_batch_api
    assert (config.warnings, config.unbuilt, config.unguarded) == ((), (), ())


def test_the_original_s_providers_load_as_they_are() -> None:
    config = load("providers.json")

    openai = config.providers["openai"]
    assert [(key.name, key.weight) for key in openai.keys] == [("oa-1", 0.7), ("oa-2", 0.3)]
    assert openai.keys[1].value.reveal() == "value-of-OPENAI_API_KEY_2"
    assert (openai.concurrency, openai.buffer_size, openai.disable_store) == (3, 10, True)
    network = openai.network
    assert (network.retry_backoff_initial, network.retry_backoff_max, network.max_retries) == (
        100,
        2000,
        3,
    )
    assert (network.default_request_timeout_in_seconds, network.max_conns_per_host) == (30.0, 10000)
    assert network.base_url == "https://api.openai.com"
    assert openai.proxy is not None
    assert openai.proxy.password == Secret(
        "value-of-PROXY_PASSWORD", reference="env.PROXY_PASSWORD"
    )
    assert config.client.header_filter_config.allowlist == ("x-trace-*", "anthropic-beta")
    assert config.warnings == ()


def test_key_sections_become_address_model_and_deployments() -> None:
    providers = load("providers.json").providers

    assert providers["azure"].keys[0].deployments == {"gpt-4o": "my-gpt"}
    assert providers["azure"].keys[0].models == ()
    assert providers["bedrock"].keys[0].deployments == {"claude": "us.anthropic.claude"}
    assert providers["vertex"].keys[0].deployments == {}
    assert (providers["vllm"].keys[0].url, providers["vllm"].keys[0].model_name) == (
        "http://10.0.0.1:8000",
        "qwen",
    )
    assert providers["ollama"].keys[0].url == "http://localhost:11434"
    custom = providers["my-llm"].custom
    assert custom is not None
    assert custom.request_path_overrides == {"chat_completion": "/v2/chat"}


def test_providers_and_overrides_are_kept() -> None:
    config = load("providers.json")

    assert config.unbuilt == ()
    assert "vertex" in config.providers


def test_governance_of_the_original_loads_as_it_is() -> None:
    config = load("governance.json")

    assert (config.unbuilt, config.unguarded) == ((), ())
    assert config.governance is not None
    (key,) = config.governance.virtual_keys
    assert (key.id, key.team_id, key.value) == (
        "v1",
        "t1",
        Secret("value-of-VK_ONE", reference="env.VK_ONE"),
    )
    assert config.auth is not None
    assert config.auth.is_enabled


@pytest.mark.parametrize(
    ("governance", "told"),
    [
        ("virtual_keys: [{name: a, value: sk-bf-very-secret}, {name: b, value: sk-bf-very-secret}]", "governance.virtual_keys[1].value: found the same value again; allowed: another one"),
        ("virtual_keys: [{name: a, value: x}, {name: a, id: b, value: y}]", "governance.virtual_keys[1].name: found 'a' again; allowed: another one"),
        ("virtual_keys: [{name: a, value: x, team_id: t}]", "governance.virtual_keys[0].team_id: found 't'; allowed: the id of a team"),
        ("virtual_keys: [{name: a, value: x, customer_id: t}]", "governance.virtual_keys[0].customer_id: found 't'; allowed: the id of a customer"),
        ("teams: [{id: t, name: t, customer_id: c}]", "governance.teams[0].customer_id: found 'c'; allowed: the id of a customer"),
        ("teams: [{id: t, name: t}, {id: t, name: u}]", "governance.teams[1].id: found 't' again; allowed: another one"),
        ("model_configs: [{model_name: m, provider: groq}, {model_name: m, provider: groq}]", "governance.model_configs[1].id: found 'groq/m' again; allowed: another one"),
    ],
)  # fmt: skip
def test_what_governance_cannot_be(governance: str, told: str) -> None:
    assert errors_of(f"governance: {{{governance}}}") == [told]


def test_a_virtual_key_s_value_may_be_left_to_the_store() -> None:
    keys = "governance: {virtual_keys: [{name: a}]}"
    assert parse_config(keys, {}).governance is not None
    assert errors_of(f"{keys}\nconfig_store: {{enabled: false}}") == [
        (
            "governance.virtual_keys[0].value: found nothing; allowed: a text or env.NAME, "
            "as config_store is not enabled"
        )
    ]


def test_governance_s_nouns_are_named_by_what_they_are_of() -> None:
    text = "virtual_keys: [{name: a, value: x}], model_configs: [{model_name: m}, {model_name: m, provider: groq}]"
    found = parse_config(f"governance: {{{text}}}", {}).governance
    assert found is not None
    assert [key.id for key in found.virtual_keys] == ["a"]
    assert [config.id for config in found.model_configs] == ["m", "groq/m"]


def test_every_other_section_loads_and_is_named() -> None:
    config = load("rooms.json")

    assert set(config.unbuilt) == {
        "logs_store (postgres)", "vector_store", "mcp", "plugins (otel)", "plugins (semantic_cache)", "websocket",
        "compat", "cluster_config", "saml_config", "load_balancer_config", "guardrails_config", "audit_logs",
    }  # fmt: skip
    assert set(config.unguarded) == {"guardrails_config.guardrail_rules", "saml_config.enabled"}
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("text", "unbuilt", "unguarded"),
    [
        ("governance: {}", (), ()),
        ("governance:", (), ()),
        ("governance: {auth_config: {is_enabled: false}}", (), ()),
        ("governance: {teams: [{id: t, name: t}]}", (), ()),
        ("auth_config: {is_enabled: true, admin_username: a, admin_password: b}", (), ()),
        ("config_store: {enabled: false}", (), ()),
        ("config_store: {type: sqlite, config: {path: x}}", (), ()),
        ("logs_store: {type: sqlite, config: {path: x}}", (), ()),
        ("logs_store: {type: postgres, enabled: false}", (), ()),
        ("plugins: [{name: a, enabled: false}]", (), ()),
        ("mcp: {}", (), ()),
        ("saml_config: {enabled: false}", (), ()),
        ("saml_config: {}", (), ()),
        ("audit_logs: {disabled: true}", (), ()),
        ("encryption_key: ''", (), ()),
        ("guardrails_config: {guardrail_rules: [{id: 1, name: a, enabled: false}]}", ("guardrails_config",), ()),
        ("client: {enable_litellm_fallbacks: true}", ("client.enable_litellm_fallbacks",), ()),
        ("client: {enforce_auth_on_inference: true}", (), ()),
        ("client: {enforce_scim_auth: true}", (), ()),
    ],
)  # fmt: skip
def test_only_what_is_asked_for_is_named(
    text: str, unbuilt: tuple[str, ...], unguarded: tuple[str, ...]
) -> None:
    config = parse_config(text, {})

    assert (config.unbuilt, config.unguarded) == (unbuilt, unguarded)


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("", LogsStoreSettings(path=None)),
        ("logs_store: {config: {path: ./x/logs.db}}", LogsStoreSettings(path="./x/logs.db")),
        ("logs_store: {enabled: false}", None),
        ("logs_store: {type: postgres, config: {host: h, port: 1, user: u, db_name: d, ssl_mode: disable}}", None),
    ],
)  # fmt: skip
def test_where_jobs_are_kept(text: str, store: LogsStoreSettings | None) -> None:
    assert parse_config(text, {}).logs_store == store


def test_all_errors_of_all_sections_are_told_at_once() -> None:
    errors = errors_of("""
clients: {}
client: {max_inflight: 0}
providers:
  openai:
    keys: [{name: a, value: x, weight: -1}, {name: a, value: y}]
    keys_: []
  opnai: {}
plugins: [{name: x}]
auth_config: {}
governance: {auth_config: {}}
""")

    assert [error.split(": found")[0] for error in errors] == [
        "clients",
        "client.max_inflight",
        "providers.openai.keys_",
        "providers.openai.keys[0].weight",
        "providers.openai.keys[1].name",
        "providers.opnai",
        "plugins[0].enabled",
        "auth_config",
    ]


@pytest.mark.parametrize("text", ["[1]", "x", "a: [", "a: 1\na: 1"])
def test_a_document_that_is_no_configuration_is_refused(text: str) -> None:
    assert errors_of(text)


def test_unset_references_of_other_sections_are_warned_about_with_their_path() -> None:
    config = parse_config("audit_logs: {hmac_key: env.NOT_THERE}", {})

    assert config.warnings == ("audit_logs.hmac_key: NOT_THERE is not set",)


def test_an_unset_reference_does_not_open_secrets_or_move_the_store() -> None:
    postgres = "{host: env.NO_HOST, port: 1, user: u, db_name: d, ssl_mode: disable}"
    text = (
        f"{{encryption_key: env.NOT_THERE, config_store: {{type: postgres, config: {postgres}}}}}"
    )

    assert errors_of(text) == [
        "config_store.config.host: found NO_HOST, which is not set; allowed: a variable that is set",
        "encryption_key: found NOT_THERE, which is not set; allowed: a variable that is set",
    ]


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("", ConfigStoreSettings()),
        ("config_store: {enabled: false}", None),
        ("config_store: {config: {path: /tmp/x.db}}", ConfigStoreSettings(path="/tmp/x.db")),
        (
            f"config_store: {{type: postgres, config: {POSTGRES}}}",
            ConfigStoreSettings(
                postgres=PostgresSection(
                    host="db.internal",
                    port=5432,
                    user="u",
                    password=Secret("p"),
                    db_name="d",
                    ssl_mode="disable",
                )
            ),
        ),
    ],
)
def test_where_the_configuration_is_kept(text: str, store: ConfigStoreSettings | None) -> None:
    assert parse_config(text, {"HOST": "db.internal"}).config_store == store


def test_the_encryption_key_is_the_files_or_the_environments() -> None:
    environ = {"BIFROST_ENCRYPTION_KEY": " from the environment "}

    assert parse_config("encryption_key: mine", environ).encryption_key == Secret("mine")
    assert parse_config("", {}).encryption_key is None
    key = parse_config("", environ).encryption_key
    assert key == Secret("from the environment", reference="env.BIFROST_ENCRYPTION_KEY")


def test_limits_that_are_listed_apart_are_in_their_owners() -> None:
    tree = {
        "governance": {
            "budgets": [{"id": "b", "max_limit": 1, "reset_duration": "1d"}],
            "teams": [
                {"id": "t", "name": "t", "budget_id": "b"},
                {"id": "u", "name": "u", "budget_id": "c"},
            ],
        }
    }

    with pytest.raises(ConfigErrors) as caught:
        parse_tree(tree, {})

    assert [str(error) for error in caught.value.errors] == [
        "governance.teams[1].budget_id: found 'c'; allowed: the id of an entry in governance.budgets"
    ]


def test_without_a_file_there_are_defaults() -> None:
    assert parse_config("", {}) == Config(client=ClientSettings())


def test_providers_are_detected_where_the_file_names_none() -> None:
    environ = {
        "OPENAI_KEY": "a",
        "OPENAI_API_KEY": " b ",
        "MISTRAL_KEY": "c",
        "ANTHROPIC_API_KEY": " ",
    }

    config = parse_config("providers: {}", environ)

    assert list(config.providers) == ["openai", "mistral"]
    (key,) = config.providers["openai"].keys
    assert (key.name, key.value) == (
        "OPENAI_API_KEY_auto_detected",
        Secret("b", reference="env.OPENAI_API_KEY"),
    )
    assert (key.models, key.weight) == (("*",), 1.0)
    assert config.providers == detect_providers(environ)
    assert list(parse_config("providers: {mock: {}}", environ).providers) == ["mock"]


def test_the_project_s_own_file_is_good_and_warns_once() -> None:
    text = (Path(__file__).parents[2] / "config.yaml").read_text()

    config = parse_config(text, {})

    assert list(config.providers) == ["mock", "openai"]
    assert len(config.warnings) == 1
    assert "OPENAI_API_KEY is not set" in config.warnings[0]
    assert '"openai-main"' in config.warnings[0]
    assert (config.unbuilt, config.unguarded) == ((), ())


@settings(deadline=None)
@given(
    secret=st.text(st.sampled_from("abcdefXYZ0123456789-_"), min_size=13, max_size=60),
    slot=st.sampled_from(
        [
            "keys: [{name: a, value: S, weight: x}]",
            "keys: [{name: a, value: [S]}]",
            "keys: [{name: a, value: {value: S, x: 1}}]",
            "keys: [{name: a, bedrock_key_config: {secret_key: S}}]",
            "keys: [{name: a, value: 1, weight: S}]",
            "network_config: {base_url: 'http://u:S@h', extra_headers: {a: S}}",
            "network_config: {max_retries: S}",
            "proxy_config: {type: http, url: 'http://u:S@h', password: S}",
            "proxy_config: {type: http, password: S}",
        ]
    ),
)
def test_no_secret_is_ever_told(secret: str, slot: str) -> None:
    text = "providers: {openai: {" + slot.replace("S", json.dumps("q" * 12 + secret)) + "}}"
    text = text.replace("'http://u:\"", "'http://u:").replace("\"@h'", "@h'")

    with pytest.raises(ConfigErrors) as caught:
        parse_config(text, {})

    assert secret not in str(caught.value) + repr(caught.value.errors)


@settings(deadline=None)
@given(st.sampled_from([path.name for path in FILES.glob("*.json")]), st.data())
def test_a_broken_file_is_told_about_and_nothing_else_happens(
    name: str, data: st.DataObject
) -> None:
    tree = json.loads((FILES / name).read_text())
    junk: object = data.draw(
        st.sampled_from([None, True, -1, 1e400, "x", [], {}, [[1]], {"a": {"b": []}}])
    )
    node, key = tree, data.draw(st.sampled_from(sorted(tree)))
    while data.draw(st.booleans()) and isinstance(node[key], dict | list) and node[key]:
        node = node[key]
        key = data.draw(
            st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node)))
        )
    node[key] = junk

    told: tuple[ConfigError, ...] = ()
    try:
        parse_config(json.dumps(tree), {})
    except ConfigErrors as refused:
        told = refused.errors

    assert all("; allowed: " in str(error) for error in told)
