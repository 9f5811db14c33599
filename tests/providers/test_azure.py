from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import attrs
import pytest

from bifrost.config.key_configs import AzureKeySettings
from bifrost.config.secret import Secret, Token
from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.dialects.base import AnswerFacts
from bifrost.errors import (
    BadRequest,
    ConfigurationMissing,
    ErrorClass,
    GatewayError,
    UnsupportedOperation,
)
from bifrost.providers.base import Origin, UpstreamRequest
from bifrost.providers.table import build_adapter
from bifrost.schema.call import (
    Call,
    Caller,
    Dialect,
    Native,
    Operation,
    Relay,
    Surface,
    Target,
)
from bifrost.schema.payload import Field, Form
from providers.sent import sent_json

if TYPE_CHECKING:
    from bifrost.providers.base import Adapter

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
        (Op.COUNT_TOKENS, True, False),
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
        ("https://my.services.ai.azure.com/anthropic/", "/openai/models"),
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


HI: Any = [{"role": "user", "content": "Hi"}]
MESSAGE: Any = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "Hello"}], "usage": {"input_tokens": 2, "output_tokens": 1},
}  # fmt: skip
CLAUDES = "/anthropic/v1/messages"


def asked(operation: Operation = Op.CHAT, **more: Any) -> Call:
    said = {"input": "Hi"} if operation is Op.RESPONSES else {"messages": HI}
    members = {name: json.dumps(value).encode() for name, value in said.items()}
    target = Target("azure", "m")
    fields = {"stream": False, "members": members, **more}
    return Call(id="1", operation=operation, target=target, **fields)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("operation", "path"),
    [(Op.CHAT, CLAUDES), (Op.RESPONSES, CLAUDES), (Op.COUNT_TOKENS, f"{CLAUDES}/count_tokens")],
)
def test_claude_is_asked_in_its_own_dialect(operation: Operation, path: str, stream: bool) -> None:
    if operation is Op.COUNT_TOKENS and stream:
        return
    request = encode(asked(operation, stream=stream), model="claude-sonnet-4-5")

    headers = dict(request.headers)
    assert request.origin == Origin("https", "my.openai.azure.com", 443)
    assert request.target.decode() == path
    assert headers[b"x-api-key"] == b"sk-azure"
    assert headers[b"anthropic-version"] == b"2023-06-01"
    assert b"api-key" not in headers
    body = sent_json(request)
    assert body["model"] == "claude-sonnet-4-5"
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert body.get("stream", False) is stream


@pytest.mark.parametrize(
    ("model", "deployment"), [("claude-x", "prod-1"), ("best", "My-Claude-4"), ("claude-x", None)]
)
def test_claude_is_known_by_its_model_or_its_deployment(model: str, deployment: str | None) -> None:
    mapped = {model: deployment} if deployment else {}
    one = attrs.evolve(key(), deployments=mapped)

    request = encode(asked(), one, model=model)

    assert request.target.decode() == CLAUDES
    assert sent_json(request)["model"] == (deployment or model)
    assert request.model_deployment == deployment
    facts = AnswerFacts(
        request_type="chat_completion",
        provider="azure",
        model_requested=model,
        model_deployment=deployment,
        sent_s=0.0,
    )
    answer = json.loads(adapter().decode_plain(json.dumps(MESSAGE).encode(), facts).body)
    assert answer["choices"][0]["message"]["content"] == "Hello"


def adapter() -> Adapter:
    return build_adapter(ProviderSettings(name="azure", keys=(key(),)))


def test_claude_streams() -> None:
    facts = AnswerFacts(
        request_type="chat_completion_stream", provider="azure", model_requested="claude-x", sent_s=0.0
    )  # fmt: skip
    decoder = adapter().stream_decoder(facts)
    start = {"type": "message_start", "message": {**MESSAGE, "content": []}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hello"}}  # fmt: skip
    events = [start, block, {"type": "message_stop"}]

    told = decoder.feed(b"".join(b"data: %b\n\n" % json.dumps(e).encode() for e in events), 1.0)

    assert b"Hello" in told.data
    assert told.done


def test_messages_go_to_claude_as_they_came() -> None:
    members = {"model": b'"azure/claude-x"', "max_tokens": b"7", "new": b'{"b": 1,"a":2}'}
    native = Native(dialect=Dialect.ANTHROPIC, members=members)

    request = encode(asked(native=native, surface=Surface.ANTHROPIC), model="claude-x")

    assert request.body == b'{"model":"claude-x","max_tokens":7,"new":{"b": 1,"a":2}}'
    assert request.is_native


def test_a_token_is_a_bearer_for_claude_too() -> None:
    headers = dict(encode(asked(), key(Token("eyJ.a.b")), model="claude-x").headers)

    assert headers[b"authorization"] == b"Bearer eyJ.a.b"
    assert b"x-api-key" not in headers
    with pytest.raises(ConfigurationMissing, match="a token that no header may hold") as caught:
        encode(asked(), key(Token("eyJ\n.a")), model="claude-x")
    assert "eyJ" not in str(caught.value)


@pytest.mark.parametrize(
    ("operation", "model"), [(Op.EMBEDDING, "claude-x"), (Op.TEXT, "claude-x"), (Op.COUNT_TOKENS, "gpt-4o")]
)  # fmt: skip
def test_what_a_dialect_has_not(operation: Operation, model: str) -> None:
    with pytest.raises(
        UnsupportedOperation, match=f"is not supported by azure provider for {model}"
    ):
        encode(call(operation), model=model)


@pytest.mark.parametrize("model", ["claude/x", "claude x", "../claude"])
def test_what_is_no_deployment_of_claude(model: str) -> None:
    with pytest.raises(BadRequest) as caught:
        encode(asked(), model=model)

    assert caught.value.code == "DeploymentNotFound"


def test_a_key_for_claude_needs_its_resource_too() -> None:
    with pytest.raises(ConfigurationMissing, match=r'key "k" has no Azure endpoint'):
        encode(asked(), KeySettings(id="k", name="k", value=Secret("v")), model="claude-x")
    request = encode(asked(), model="claude-x", base_url="http://proxy.internal/a")
    assert request.target.decode() == f"/a{CLAUDES}"


def test_features_that_azure_has_not_are_not_asked_for() -> None:
    members = {"messages": json.dumps(HI).encode(), "speed": b'"fast"'}

    headers = dict(encode(asked(members=members), model="claude-x").headers)

    assert b"anthropic-beta" not in headers


def test_refusals_of_claude() -> None:
    body = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}

    error = adapter().decode_error(429, (), json.dumps(body).encode(), key())

    assert (error.status, error.message, error.type) == (429, "Slow down", "rate_limit_error")
    assert error.error_class is ErrorClass.RATE_LIMIT


def test_what_comes_in_bytes() -> None:
    assert adapter().answers_in_bytes(Op.SPEECH, b"audio/mpeg")
    assert not adapter().answers_in_bytes(Op.CHAT, b"audio/mpeg")
    assert not adapter().answers_in_bytes(Op.COUNT_TOKENS, b"audio/mpeg")


def test_lists_and_limits_are_those_of_the_resource() -> None:
    assert adapter().decode_models(b'{"data":[{"id":"claude-x"}]}') == ({"id": "claude-x"},)
    hint = adapter().rate_hint(((b"x-ratelimit-remaining-requests", b"7"),), 0.0)
    assert hint == build_adapter(ProviderSettings(name="openai")).rate_hint(
        ((b"x-ratelimit-remaining-requests", b"7"),), 0.0
    )
