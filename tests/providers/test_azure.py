from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest

from bifrost.config.key_configs import AzureKeySettings
from bifrost.config.secret import Secret, Token
from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.errors import (
    BadRequest,
    ConfigurationMissing,
    ErrorClass,
    GatewayError,
    UnsupportedOperation,
)
from bifrost.providers.base import Origin, UpstreamRequest
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Operation, Relay, Target
from bifrost.schema.payload import Field, Form
from providers.sent import sent_json

Op = Operation
VALUE = Secret("sk-azure")
FORM: Form = (Field("model", b"x"), Field("prompt", b"p"))
FORMS = {Op.TRANSCRIPTION, Op.TRANSLATION, Op.IMAGE_EDIT}


def key(value: Secret = VALUE, **azure: Any) -> KeySettings:
    settings = {"endpoint": "https://my.openai.azure.com", **azure}
    return KeySettings(id="k", name="k", value=value, azure=AzureKeySettings(**settings))


def call(operation: Operation = Op.CHAT, *, stream: bool = False, **more: Any) -> Call:
    members = {"model": b'"azure/m"', "input": b'"x"', "messages": b"[]", "prompt": b'"x"'}
    return Call(
        id="1",
        operation=operation,
        stream=stream,
        target=Target("azure", "m"),
        members={} if operation in FORMS else members,
        form=FORM if operation in FORMS else None,
        boundary=b"b",
        **more,
    )


def encode(
    asked: Call | None = None,
    one: KeySettings | None = None,
    *,
    model: str = "gpt-4o",
    base_url: str | None = None,
) -> UpstreamRequest:
    one = one or key()
    network = NetworkSettings(base_url=base_url)
    adapter = build_adapter(ProviderSettings(name="azure", keys=(one,), network=network))
    return adapter.encode(asked or call(), Target("azure", model), one)


@pytest.mark.parametrize(
    ("operation", "path", "version"),
    [
        (Op.CHAT, "/openai/deployments/gpt-4o/chat/completions", "2024-10-21"),
        (Op.TEXT, "/openai/deployments/gpt-4o/completions", "2024-10-21"),
        (Op.EMBEDDING, "/openai/deployments/gpt-4o/embeddings", "2024-10-21"),
        (Op.SPEECH, "/openai/deployments/gpt-4o/audio/speech", "2024-10-21"),
        (Op.TRANSCRIPTION, "/openai/deployments/gpt-4o/audio/transcriptions", "2024-10-21"),
        (Op.TRANSLATION, "/openai/deployments/gpt-4o/audio/translations", "2024-10-21"),
        (Op.IMAGE, "/openai/deployments/gpt-4o/images/generations", "2024-10-21"),
        (Op.IMAGE_EDIT, "/openai/deployments/gpt-4o/images/edits", "2025-04-01-preview"),
        (Op.RESPONSES, "/openai/v1/responses", "preview"),
        (Op.LIST_MODELS, "/openai/models", "2024-10-21"),
    ],
)
def test_each_operation_has_its_address(operation: Operation, path: str, version: str) -> None:
    request = encode(call(operation))

    assert request.origin == Origin("https", "my.openai.azure.com", 443)
    assert request.target.decode() == f"{path}?api-version={version}"
    assert request.method == (b"GET" if operation is Op.LIST_MODELS else b"POST")
    assert dict(request.headers)[b"host"] == b"my.openai.azure.com"
    assert dict(request.headers)[b"api-key"] == b"sk-azure"
    assert b"authorization" not in dict(request.headers)
    assert "sk-azure" not in repr(request)


@pytest.mark.parametrize("operation", [Op.CHAT, Op.IMAGE_EDIT, Op.LIST_MODELS, Op.RESPONSES])
def test_a_keys_own_version_holds_for_all_but_responses(operation: Operation) -> None:
    request = encode(call(operation), key(api_version="2025-01-01&x"))

    version = "preview" if operation is Op.RESPONSES else "2025-01-01&x"
    assert parse_qs(request.target.decode().partition("?")[2]) == {"api-version": [version]}


def test_streams_go_where_plain_calls_go() -> None:
    for operation in (Op.CHAT, Op.RESPONSES, Op.IMAGE, Op.IMAGE_EDIT):
        assert encode(call(operation, stream=True)).target == encode(call(operation)).target


@pytest.mark.parametrize(
    ("operation", "plain", "stream"),
    [
        (Op.CHAT, True, True),
        (Op.TEXT, True, True),
        (Op.RESPONSES, True, True),
        (Op.EMBEDDING, True, False),
        (Op.SPEECH, True, True),
        (Op.TRANSCRIPTION, True, False),
        (Op.TRANSLATION, True, False),
        (Op.IMAGE, True, True),
        (Op.IMAGE_EDIT, True, True),
        (Op.IMAGE_VARIATION, False, False),
        (Op.COUNT_TOKENS, False, False),
        (Op.MODERATION, False, False),
        (Op.RERANK, False, False),
        (Op.LIST_MODELS, True, True),
    ],
)
def test_what_azure_has(operation: Operation, plain: bool, stream: bool) -> None:
    adapter = build_adapter(ProviderSettings(name="azure", keys=(key(),)))

    assert adapter.supports(operation, stream=False) is plain
    assert adapter.supports(operation, stream=True) is stream


def test_a_deployment_of_the_keys_map_is_sent_and_reported() -> None:
    one = attrs.evolve(key(), deployments={"gpt-4o": "my-gpt"})

    request = encode(one=one)

    assert request.target.startswith(b"/openai/deployments/my-gpt/chat/completions?")
    assert sent_json(request)["model"] == "my-gpt"
    assert request.model_deployment == "my-gpt"
    assert encode(one=one, model="o3").model_deployment is None


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("https://my.openai.azure.com/", "/openai/models"),
        ("https://my.openai.azure.com/openai", "/openai/models"),
        ("https://my.openai.azure.com/openai/v1/", "/openai/models"),
        ("https://my.openai.azure.com/gate", "/gate/openai/models"),
    ],
)
def test_an_endpoint_may_go_on_to_the_api(endpoint: str, path: str) -> None:
    request = encode(call(Op.LIST_MODELS), key(endpoint=endpoint))

    assert request.target.decode() == f"{path}?api-version=2024-10-21"


def test_the_providers_address_stands_for_every_resource() -> None:
    request = encode(base_url="http://proxy.internal:8080/azure")

    assert request.origin == Origin("http", "proxy.internal", 8080)
    assert request.target.startswith(b"/azure/openai/deployments/gpt-4o/")
    without = KeySettings(id="k", name="k", value=Secret("v"))
    assert encode(one=without, base_url="http://proxy.internal").origin.host == "proxy.internal"


def test_a_token_is_a_bearer() -> None:
    headers = dict(encode(one=key(Token("eyJ.a.b"))).headers)

    assert headers[b"authorization"] == b"Bearer eyJ.a.b"
    assert b"api-key" not in headers


def test_a_caller_cannot_put_a_key_of_his_own_beside_a_token() -> None:
    caller = Caller(extra_headers=(("api-key", "mine"), ("authorization", "Bearer mine")))

    headers = dict(encode(call(caller=caller), key(Token("eyJ.a.b"))).headers)

    assert headers[b"authorization"] == b"Bearer eyJ.a.b"
    assert b"api-key" not in headers


@pytest.mark.parametrize(
    "model",
    ["", ".", "..", "a/b", "a/../b", "a%2fb", "a b", "a?b", "a#b", "\xe4", "a" * 129, "a\n"],
)
def test_what_is_no_deployment_never_becomes_a_path(model: str) -> None:
    with pytest.raises(BadRequest) as caught:
        encode(model=model)

    assert (caught.value.status, caught.value.code) == (404, "DeploymentNotFound")
    assert caught.value.error_class is ErrorClass.NOT_FOUND


@pytest.mark.parametrize("operation", [Op.CHAT, Op.RESPONSES])
def test_claude_is_told_to_be_unsupported(operation: Operation) -> None:
    mapped = attrs.evolve(key(), deployments={"best": "My-Claude-4"})

    with pytest.raises(UnsupportedOperation, match="claude-sonnet-4 is not supported by azure"):
        encode(call(operation), model="claude-sonnet-4")
    with pytest.raises(UnsupportedOperation, match="My-Claude-4 is not supported by azure"):
        encode(call(operation), mapped, model="best")


def test_a_key_without_an_endpoint_is_told_of() -> None:
    with pytest.raises(ConfigurationMissing, match=r'key "k" has no Azure endpoint'):
        encode(one=KeySettings(id="k", name="k", value=Secret("v")))
    with pytest.raises(ConfigurationMissing, match=r'key "k" has no Azure endpoint'):
        encode(one=key(endpoint=""))


@pytest.mark.parametrize("base_url", [None, "ftp://x"])
def test_addresses_that_are_none_are_found_when_the_provider_is_built(base_url: str | None) -> None:
    network = NetworkSettings(base_url=base_url)
    one = key(endpoint="https://u:p@x") if base_url is None else key()

    with pytest.raises(ConfigurationMissing, match="provider azure: a URL must"):
        build_adapter(ProviderSettings(name="azure", keys=(one,), network=network))


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/v1/files", "", "/openai/files?api-version=2024-10-21"),
        ("/v1/files/f%20x/content", "", "/openai/files/f%20x/content?api-version=2024-10-21"),
        ("/v1/batches", "limit=2&api-version=1&after=x", "/openai/batches?api-version=2024-10-21&limit=2&after=x"),
        ("/v1/fine_tuning/jobs", "", "/openai/fine_tuning/jobs?api-version=2024-10-21"),
        ("/v1/videos/v/content", "variant=x", "/openai/v1/videos/v/content?api-version=preview&variant=x"),
        ("/v1/responses/r", "api-version=2024", "/openai/v1/responses/r?api-version=preview"),
        ("/v1/vector_stores", "", "/openai/v1/vector_stores?api-version=preview"),
    ],
)  # fmt: skip
def test_what_is_relayed_has_its_address(path: str, query: str, target: str) -> None:
    asked = Call(
        id="1",
        operation=Op.RELAY,
        stream=False,
        target=Target("azure", ""),
        relay=Relay(method="GET", path=path, query=query),
    )

    request = encode(asked, model="")

    assert request.target.decode() == target
    assert (request.method, dict(request.headers)[b"api-key"]) == (b"GET", b"sk-azure")


def callers(endpoint: str = "https://his.openai.azure.com", **more: Any) -> KeySettings:
    return key(endpoint=endpoint, is_callers=True, **more)


def direct(one: KeySettings) -> UpstreamRequest:
    adapter = build_adapter(ProviderSettings(name="azure", keys=(key(),)))
    return adapter.encode(call(), Target("azure", "d"), one)


@pytest.mark.parametrize("public_only", [True, False])
def test_a_callers_own_resource(public_only: bool) -> None:
    request = direct(callers(public_only=public_only, api_version="2025-01-01"))

    assert request.origin == Origin("https", "his.openai.azure.com", 443, public_only)
    assert request.target == b"/openai/deployments/d/chat/completions?api-version=2025-01-01"


def test_a_caller_who_names_a_resource_of_ours_is_still_a_caller() -> None:
    assert direct(callers("https://my.openai.azure.com", public_only=True)).origin.public_only


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (callers("file:///etc/passwd"), "x-bf-azure-endpoint: a URL must begin with"),
        (callers("https://u:p@x"), "x-bf-azure-endpoint: a URL must not hold credentials"),
        (callers("https://"), "x-bf-azure-endpoint: a URL must name a host"),
        (callers("https://x:99999"), "x-bf-azure-endpoint: Port out of range"),
        (callers(f"https://{'a' * 70}\xe4.example"), "x-bf-azure-endpoint: "),
        (callers(api_version="1&x=2"), "api-version is none"),
    ],
)
def test_what_a_caller_names_wrongly_is_his_mistake(one: KeySettings, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        direct(one)


@pytest.mark.parametrize(
    ("status", "body", "message", "code", "error_class"),
    [
        (401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key sk-azure."}}, "Access denied due to invalid subscription key ***.", "401", ErrorClass.AUTH),
        (401, {"statusCode": 401, "message": "Unauthorized. Access token is missing."}, "Unauthorized. Access token is missing.", None, ErrorClass.AUTH),
        (404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}}, "The API deployment for this resource does not exist.", "DeploymentNotFound", ErrorClass.NOT_FOUND),
        (429, {"error": {"code": "429", "message": "Requests have exceeded call rate limit."}}, "Requests have exceeded call rate limit.", "429", ErrorClass.RATE_LIMIT),
        (400, {"error": {"message": "filtered", "type": None, "param": "prompt", "code": "content_filter", "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, "filtered", "content_filter", ErrorClass.CLIENT),
    ],
)  # fmt: skip
def test_refusals_of_azure(
    status: int, body: Any, message: str, code: str | None, error_class: ErrorClass
) -> None:
    adapter = build_adapter(ProviderSettings(name="azure", keys=(key(),)))

    error: GatewayError = adapter.decode_error(status, (), json.dumps(body).encode(), key())

    assert (error.status, error.message) == (status, message)
    assert error.code == code
    assert error.error_class is error_class
