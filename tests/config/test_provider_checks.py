from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from bifrost.config.load import ConfigErrors, parse_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.settings import Config, KeySettings

PEM = "-----BEGIN CERTIFICATE-----\\nx\\n-----END CERTIFICATE-----"


def read(text: str, environ: Mapping[str, str] | None = None) -> Config:
    return parse_config(f"providers: {{{text}}}", environ or {})


def errors_of(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    return [str(error) for error in caught.value.errors]


def key(text: str, provider: str = "openai") -> KeySettings:
    return (
        read(f"{provider}: {{keys: [{{name: k, value: v, {text}}}]}}").providers[provider].keys[0]
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("opnai: {}", "providers.opnai: found an unknown provider; allowed: anthropic, azure"),
        ("OpenAI: {}, openai: {}", "providers.openai: found the same name in another case"),
        ("a/b: {custom_provider_config: {base_provider_type: openai}}", "providers['a/b']: found a provider's name"),
        ("groq: {custom_provider_config: {base_provider_type: openai}}", "providers.groq.custom_provider_config: found the name of the built-in provider groq"),
        ("my: {custom_provider_config: {}}", "providers.my.custom_provider_config.base_provider_type: found missing base provider type; allowed: anthropic, bedrock, cohere, gemini, openai, huggingface, replicate"),
        ("my: {custom_provider_config: {base_provider_type: opena}}", "providers.my.custom_provider_config.base_provider_type: found unsupported base provider type 'opena'"),
        ("my: {custom_provider_config: {base_provider_type: groq}}", "providers.my.custom_provider_config.base_provider_type: found unsupported"),
        ("my: {custom_provider_config: {base_provider_type: 3}}", "providers.my.custom_provider_config.base_provider_type: found 3"),
        ("my: {custom_provider_config: {base_provider_type: gemini, request_path_overrides: {embedding: /x}}}", "providers.my.custom_provider_config.request_path_overrides: found overrides"),
        ("my: {custom_provider_config: {base_provider_type: openai, allowed_requests: {chat: true}}}", "providers.my.custom_provider_config.allowed_requests.chat: found an unknown key"),
        ("openai: {concurrency_and_buffer_size: {concurrency: 10, buffer_size: 9}}", "providers.openai.concurrency_and_buffer_size.concurrency: found 10; allowed: at most buffer_size, which is 9"),
        ("openai: {concurrency_and_buffer_size: {concurrency: 0}}", "providers.openai.concurrency_and_buffer_size.concurrency: found 0"),
        ("openai: {keys: [{name: a, value: v}], network_config: {extra_headers: {'a b': x}}}", "providers.openai.network_config.extra_headers: found a name that is none"),
        ("openai: {network_config: {extra_headers: {Host: x}}}", "providers.openai.network_config.extra_headers.Host: found a header that the transport sets"),
        ("openai: {network_config: {ca_cert_pem: x}}", "providers.openai.network_config.ca_cert_pem: found a text; allowed: certificates in PEM"),
        ("openai: {proxy_config: {type: http}}", "providers.openai.proxy_config.url: found nothing; allowed: an address that begins with http:// or https://"),
        ("openai: {proxy_config: {type: socks5, url: 'http://p:1'}}", "providers.openai.proxy_config.url: found an address of another type"),
        ("openai: {proxy_config: {url: 'http://p:1'}}", "providers.openai.proxy_config.type: found nothing"),
        ("openai: {proxy_config: {type: http, url: 'http://p:1', username: u}}", "providers.openai.proxy_config: found one of username and password"),
        ("openai: {proxy_config: {type: http, url: env.NOT}}", "providers.openai.proxy_config.url: found NOT, which is not set"),
        ("openai: {proxy_config: {type: htp, url: 'http://p:1'}}", "providers.openai.proxy_config.type: found 'htp'"),
        ("openai: {keys: [{name: a, value: v}, {name: a, value: v}]}", "providers.openai.keys[1].name: found 'a', which providers.openai.keys[0] has"),
        ("openai: {keys: [{name: a, value: v}]}, groq: {keys: [{name: a, value: v}]}", "providers.groq.keys[0].name: found 'a', which providers.openai.keys[0] has"),
        ("openai: {keys: [{name: a, value: v, id: i}, {name: b, value: v, id: i}]}", "providers.openai.keys[1].id: found 'i', which"),
        ('openai: {keys: [{name: a, value: "v\\nx"}]}', "providers.openai.keys[0].value: found characters no header can carry"),
        ("openai: {keys: [{value: v}]}", "providers.openai.keys[0].name: found nothing"),
        ("vllm: {keys: [{name: a, vllm_key_config: {url: 'http://x'}}]}", "providers.vllm.keys[0].vllm_key_config.model_name: found nothing"),
        ("azure: {keys: [{name: a, azure_key_config: {}}]}", "providers.azure.keys[0].azure_key_config.endpoint: found nothing"),
        ("azure: {keys: [{name: a, azure_key_config: {endpoint: 'https://x', client_id: c, tenant_id: t}}]}", "providers.azure.keys[0].azure_key_config: found a part of a service principal"),
        ("azure: {keys: [{name: a, azure_key_config: {endpoint: 'https://x', client_secret: c}}]}", "providers.azure.keys[0].azure_key_config: found a part of a service principal"),
        ("azure: {keys: [{name: a, azure_key_config: {endpoint: 'https://x', authority_host: x}}]}", "providers.azure.keys[0].azure_key_config.authority_host: found"),
        ("bedrock: {keys: [{name: a, bedrock_key_config: {region: r, access_key: x}}]}", "providers.bedrock.keys[0].bedrock_key_config: found a part of a pair of keys"),
        ("bedrock: {keys: [{name: a, bedrock_key_config: {region: r, secret_key: x, session_token: t}}]}", "providers.bedrock.keys[0].bedrock_key_config: found a part of a pair of keys"),
        ("openai: {pricing_overrides: [{match_type: near, request_types: x, cost: -1}]}", "providers.openai.pricing_overrides[0].model_pattern: found nothing"),
        ("openai: {failure_threshold: 0}", "providers.openai.failure_threshold: found 0"),
        ("openai: {breaker: {}}", "providers.openai.breaker: found an unknown key"),
    ],
)  # fmt: skip
def test_what_a_provider_must_not_be_is_told(text: str, words: str) -> None:
    assert any(error.startswith(words) for error in errors_of(text)), errors_of(text)


def test_every_mistake_of_a_price_is_told() -> None:
    errors = errors_of(
        "openai: {pricing_overrides: [{model_pattern: m, match_type: near, request_types: x, input_cost_per_token: -1, output_cost_per_token: true, input_cost_per_image: 1, a: 1}]}"
    )

    assert [error.split(": found")[0].rpartition(".")[2] for error in errors] == [
        "match_type",
        "request_types",
        "input_cost_per_token",
        "output_cost_per_token",
        "a",
    ]


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("openai: {keys: [{name: a, value: v}]}", []),
        ("mock: {}, ollama: {network_config: {base_url: 'http://x'}}", []),
        ("openai: {keys: [{name: a, value: v}], network_config: {insecure_skip_verify: true}}", ["providers.openai.network_config.insecure_skip_verify: any certificate is accepted"]),
        ("openai: {}", ["providers.openai: has no keys, so it serves only callers who bring their own"]),
        ("ollama: {}", ["providers.ollama: has no address; set network_config.base_url"]),
        ("vllm: {keys: [{name: a}]}", ['providers.vllm.keys[0] ("a"): has no address; set vllm_key_config.url or network_config.base_url']),
        ("openai: {keys: [{name: a}]}", ['providers.openai.keys[0] ("a"): has no value, so it serves nothing']),
        ("openai: {keys: [{name: a, value: env.NOT}]}", ['providers.openai.keys[0] ("a"): NOT is not set, so the key has no value']),
        ("openai: {keys: [{name: a, value: env.NOT, enabled: false}]}", []),
        ("azure: {keys: [{name: a, azure_key_config: {endpoint: env.NOT}}]}", ['providers.azure.keys[0] ("a"): NOT is not set, so azure_key_config.endpoint is empty']),
        ("azure: {keys: [{name: a, value: v}]}", ['providers.azure.keys[0] ("a"): has no address; set azure_key_config.endpoint or network_config.base_url']),
        ("azure: {keys: [{name: a, value: v}], network_config: {base_url: 'http://x'}}", []),
        ("azure: {keys: [{name: a, azure_key_config: {endpoint: 'https://x', client_id: c}}]}", []),
        ("azure: {keys: [{name: a, azure_key_config: {endpoint: 'https://x', client_id: c, client_secret: s, tenant_id: t}}]}", []),
        ("bedrock: {keys: [{name: a, bedrock_key_config: {region: r, external_id: x}}]}", ["providers.bedrock.keys[0].bedrock_key_config: external_id and session_name mean nothing without a role_arn"]),
        ("bedrock: {keys: [{name: a, bedrock_key_config: {region: r, access_key: x, secret_key: y, session_token: z}}]}", []),
        ("bedrock: {keys: [{name: a, bedrock_key_config: {region: r, role_arn: x, session_name: y}}]}", []),
        ("openai: {keys: [{name: a, value: v, models: []}]}", ['providers.openai.keys[0].models ("a"): empty, so the key serves no model; ["*"] means all']),
        ("openai: {keys: [{name: a, value: v, vllm_key_config: {url: 'http://x', model_name: m}}]}", ['providers.openai.keys[0].vllm_key_config ("a"): has no meaning for openai']),
        ("my: {keys: [{name: a, value: v}], custom_provider_config: {base_provider_type: bedrock, is_key_less: true}}", ["providers.my.custom_provider_config.is_key_less: has no meaning for bedrock, which signs"]),
        ("my: {custom_provider_config: {base_provider_type: openai, is_key_less: true}}", []),
    ],
)  # fmt: skip
def test_what_makes_a_provider_useless_is_warned_about(text: str, warnings: list[str]) -> None:
    assert list(read(text).warnings) == warnings


@pytest.mark.parametrize(
    ("provider", "text", "models"),
    [
        ("openai", "enabled: true", ("*",)),
        ("openai", "models: null", ("*",)),
        ("openai", "models: []", ()),
        ("openai", "models: ['*']", ("*",)),
        ("openai", "models: [a, b]", ("a", "b")),
        ("replicate", "replicate_key_config: {deployments: {m: d}}", ()),
        ("replicate", "models: [], replicate_key_config: {deployments: {m: d}}", ()),
        ("replicate", "models: [m], replicate_key_config: {deployments: {m: d}}", ("m",)),
    ],
)
def test_models_are_deny_by_default_once_they_are_written(
    provider: str, text: str, models: tuple[str, ...]
) -> None:
    assert key(text, provider).models == models


def test_old_files_may_read_empty_as_all_with_a_warning_for_each_key() -> None:
    config = parse_config(
        "compat_empty_allows_all: true\n"
        "providers: {openai: {keys: [{name: a, value: v, models: []}, {name: b, value: v, models: []}]}}",
        {},
    )

    assert [key.models for key in config.providers["openai"].keys] == [("*",), ("*",)]
    assert len(config.warnings) == 2
    assert '"a"' in config.warnings[0]


def test_key_ids_are_made_of_provider_and_name_and_stay_the_same() -> None:
    first, again = key("enabled: true"), key("weight: 3")

    assert first.id == again.id
    assert uuid.UUID(first.id).version == 5
    assert key("enabled: true", "groq").id != first.id
    assert key("id: mine").id == "mine"


def test_security_headers_are_refused_in_the_filter_and_patterns_checked() -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(
            "client: {header_filter_config: {allowlist: [Authorization, x-*], denylist: [cookie, '*x']}}",
            {},
        )

    assert [error.path.rpartition(".")[2] for error in caught.value.errors] == [
        "denylist[1]", "allowlist[0]", "denylist[0]",
    ]  # fmt: skip


def test_a_whole_proxy_is_accepted() -> None:
    provider = read(
        "openai: {keys: [{name: a, value: v}], proxy_config: {type: socks5, url: 'socks5://p:1080', username: u, "
        f'password: p, ca_cert_pem: "{PEM}"}}}}'
    ).providers["openai"]

    assert provider.proxy is not None
    assert provider.proxy.url == "socks5://p:1080"
    assert (
        read("openai: {keys: [{name: a, value: v}], proxy_config: {type: environment}}")
        .providers["openai"]
        .proxy
    )
    assert read("openai: {keys: [{name: a, value: v}], proxy_config: {}}").warnings == ()
