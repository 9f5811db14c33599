"""Provider anthropic: where its requests go, with which headers, and what is made of its refusals, limits and lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.codecs.json import split_object
from bifrost.config.secret import Secret
from bifrost.config.settings import (
    CustomProviderSettings,
    KeySettings,
    NetworkSettings,
    ProviderSettings,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.openai_operations import OBJECTS
from bifrost.errors import ConfigurationMissing, ErrorClass, UnsupportedOperation, UpstreamError
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Surface, Target
from providers.sent import sent_json

if TYPE_CHECKING:
    from bifrost.providers.base import UpstreamRequest

KEY = KeySettings(id="k", name="k", value=Secret("sk-ant-1"))
TARGET = Target("anthropic", "claude-sonnet-4-5")
HI = [{"role": "user", "content": "Hi"}]
FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="anthropic",
    model_requested="m",
    sent_s=1.0,
    send_extra_fields=False,
)


def call(operation: Operation = Operation.CHAT, *, stream: bool = False, **members: Any) -> Call:
    told = {"model": "x", **({"messages": HI} if operation is Operation.CHAT else {}), **members}
    return Call(
        id="1",
        operation=operation,
        stream=stream,
        target=TARGET,
        members={name: json.dumps(value).encode() for name, value in told.items()},
    )


def adapter(**network: Any) -> Any:
    return build_adapter(
        ProviderSettings(name="anthropic", network=NetworkSettings(**network), keys=(KEY,))
    )


def sent(asked: Call, key: KeySettings = KEY, **network: Any) -> UpstreamRequest:
    request: UpstreamRequest = adapter(**network).encode(asked, TARGET, key)
    return request


@pytest.mark.parametrize(
    ("asked", "method", "target"),
    [
        (call(), b"POST", b"/v1/messages"),
        (call(stream=True), b"POST", b"/v1/messages"),
        (call(Operation.RESPONSES, input="Hi"), b"POST", b"/v1/messages"),
        (call(Operation.COUNT_TOKENS, input="Hi"), b"POST", b"/v1/messages/count_tokens"),
        (call(Operation.LIST_MODELS), b"GET", b"/v1/models?limit=1000"),
    ],
)
def test_where_requests_go(asked: Call, method: bytes, target: bytes) -> None:
    request = sent(asked)

    headers = dict(request.headers)
    assert (request.method, request.target) == (method, target)
    assert request.origin.host == "api.anthropic.com"
    assert headers[b"x-api-key"] == b"sk-ant-1"
    assert headers[b"anthropic-version"] == b"2023-06-01"
    assert b"authorization" not in headers
    assert headers[b"accept"] == (b"text/event-stream" if asked.stream else b"application/json")
    assert (b"content-type" in headers) is (method == b"POST")
    assert "sk-ant-1" not in repr(request)


def test_another_address_and_no_key() -> None:
    request = sent(call(), KeySettings(id="k", name="k"), base_url="http://localhost:9/claude/v1")

    assert (request.origin.host, request.target) == ("localhost", b"/claude/v1/messages")
    assert b"x-api-key" not in dict(request.headers)


@pytest.mark.parametrize("value", ["sk-ant\nx", "sk-ant-ключ"])
def test_a_key_that_no_header_can_hold(value: str) -> None:
    with pytest.raises(ConfigurationMissing, match='key "k" holds characters') as caught:
        sent(call(), KeySettings(id="k", name="k", value=Secret(value)))

    assert value not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_deployments_are_models_of_other_names() -> None:
    key = attrs.evolve(KEY, deployments={"claude-sonnet-4-5": "claude-sonnet-4-5-20250929"})

    request = sent(call(), key)

    assert sent_json(request)["model"] == "claude-sonnet-4-5-20250929"
    assert request.model_deployment == "claude-sonnet-4-5-20250929"


@pytest.mark.parametrize(
    ("operators", "callers", "thinks", "overrides", "told"),
    [
        ("", "", False, {}, None),
        ("", "", True, {}, "interleaved-thinking-2025-05-14"),
        ("context-1m-2025-08-07", "skills-2025-10-02, a-1", True, {}, "context-1m-2025-08-07,skills-2025-10-02,a-1,interleaved-thinking-2025-05-14"),
        ("", "interleaved-thinking-2026-01-01", True, {}, "interleaved-thinking-2026-01-01"),
        ("", "a-1", True, {"interleaved-": False}, "a-1"),
        ("", "a-1,ab-1", False, {"a": False, "ab": True}, "ab-1"),
        ("", "a-1", False, {"a": False}, None),
        ("a-1", "a-1", False, {}, "a-1"),
    ],
)  # fmt: skip
def test_features_of_all_who_have_a_say(
    operators: str, callers: str, thinks: bool, overrides: Any, told: str | None
) -> None:
    asked = call(reasoning_effort="low") if thinks else call()
    extra = (("anthropic-beta", callers),) if callers else ()
    asked = attrs.evolve(asked, caller=Caller(extra_headers=extra))
    headers = {"Anthropic-Beta": operators} if operators else {}

    request = sent(asked, beta_header_overrides=overrides, extra_headers=headers)

    found = [value.decode() for name, value in request.headers if name == b"anthropic-beta"]
    assert found == ([told] if told else [])


def test_responses_keep_their_seals_and_anthropics_tools() -> None:
    items = [
        {"role": "user", "content": "Hi"},
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "sig",
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
    ]
    search = {"type": "web_search"}

    request = sent(call(Operation.RESPONSES, input=items, tools=[search]))

    body = sent_json(request)
    assert body["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "hm",
        "signature": "sig",
    }
    assert body["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]
    assert request.dropped_params == ()


def test_choices_among_responses_tools_lose_the_others() -> None:
    tools = [{"type": "web_search"}, {"type": "function", "name": "f"}]
    choice = {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}],
    }

    request = sent(call(Operation.RESPONSES, input="Hi", tools=tools, tool_choice=choice))

    assert [tool["name"] for tool in sent_json(request)["tools"]] == ["f"]
    assert request.dropped_params == ("tools.web_search",)


NATIVE = split_object(b'{"model":"x","messages":[],"max_tokens":5,"new_thing": 1.0}')


def native(operation: Operation = Operation.CHAT, *, stream: bool = False) -> Call:
    said = Native(dialect=Dialect.ANTHROPIC, members=NATIVE)
    return attrs.evolve(call(operation, stream=stream), native=said, surface=Surface.ANTHROPIC)


def test_callers_of_the_dialect_are_passed_on() -> None:
    for operation in (Operation.CHAT, Operation.COUNT_TOKENS):
        request = sent(native(operation))

        assert request.is_native
        assert request.body == (
            b'{"model":"claude-sonnet-4-5","messages":[],"max_tokens":5,"new_thing":1.0}'
        )


def test_answers_to_callers_of_the_dialect_are_passed_on() -> None:
    facts = attrs.evolve(FACTS, is_native=True, dialect=Dialect.ANTHROPIC)
    body = b'{"type": "message","usage":{"input_tokens":1,"output_tokens":2}}'

    plain = adapter().decode_plain(body, facts)
    progress = adapter().stream_decoder(facts).feed(b'data: {"type":"message_stop"}\n\n', 2.0)

    assert plain.body == body
    assert plain.usage.total_tokens == 3
    assert progress.done
    assert progress.data == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def test_what_it_has() -> None:
    it = adapter()

    has = {operation for operation in Operation if it.supports(operation, stream=False)}
    streams = {operation for operation in Operation if it.supports(operation, stream=True)}
    assert has == {
        Operation.CHAT,
        Operation.RESPONSES,
        Operation.COUNT_TOKENS,
        Operation.LIST_MODELS,
        Operation.RELAY,
        Operation.BATCH_DELETE,
        Operation.BATCH_RESULTS,
        *OBJECTS,
    }
    assert streams == {Operation.CHAT, Operation.RESPONSES, Operation.RELAY}
    with pytest.raises(UnsupportedOperation, match="embedding is not supported by anthropic"):
        sent(call(Operation.EMBEDDING))
    # Callers of other dialects have no word for it.
    with pytest.raises(UnsupportedOperation, match="batch_delete is not supported by anthropic"):
        sent(call(Operation.BATCH_DELETE))
    with pytest.raises(UnsupportedOperation):
        it.decode_plain(b"{}", attrs.evolve(FACTS, operation=Operation.LIST_MODELS))


def test_a_provider_of_ones_own_that_speaks_it() -> None:
    custom = CustomProviderSettings(
        base_provider_type="anthropic",
        request_path_overrides={"chat_completion": "talk", "chat_completion_stream": "https://far.example/s"},
        allowed_requests={"chat_completion": True, "responses_stream": True},
    )  # fmt: skip
    network = NetworkSettings(base_url="https://own.example/api")
    it = build_adapter(ProviderSettings(name="own", network=network, custom=custom))

    plain = it.encode(call(), Target("own", "m"), KEY)
    stream = it.encode(call(stream=True), Target("own", "m"), KEY)
    count = it.encode(call(Operation.COUNT_TOKENS, input="Hi"), Target("own", "m"), KEY)

    assert (plain.origin.host, plain.target) == ("own.example", b"/api/talk")
    assert (stream.origin.host, stream.target) == ("far.example", b"/s")
    assert count.target == b"/api/v1/messages/count_tokens"
    assert it.supports(Operation.CHAT, stream=False)
    assert not it.supports(Operation.CHAT, stream=True)


def body_of(kind: str, message: str = "no") -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "kind", "error_class"),
    [
        (400, "invalid_request_error", ErrorClass.CLIENT),
        (401, "authentication_error", ErrorClass.AUTH),
        (402, "billing_error", ErrorClass.QUOTA),
        (403, "permission_error", ErrorClass.AUTH),
        (404, "not_found_error", ErrorClass.NOT_FOUND),
        (413, "request_too_large", ErrorClass.CLIENT),
        (429, "rate_limit_error", ErrorClass.RATE_LIMIT),
        (500, "api_error", ErrorClass.SERVER),
        (504, "timeout_error", ErrorClass.SERVER),
        (529, "overloaded_error", ErrorClass.SERVER),
    ],
)
def test_refusals(status: int, kind: str, error_class: ErrorClass) -> None:
    headers = ((b"retry-after", b"7"),)

    error = adapter().decode_error(status, headers, body_of(kind), KEY)

    assert (error.status, error.type, error.code) == (status, kind, None)
    assert (error.message, error.error_class, error.retry_after_s) == ("no", error_class, 7.0)


@pytest.mark.parametrize(
    ("status", "body", "error_class"),
    [
        (400, body_of("invalid_request_error", "Your credit balance is too low to access it."), ErrorClass.QUOTA),
        (400, body_of("invalid_request_error", "He says your credit balance is too low"), ErrorClass.CLIENT),
        (400, b"your credit balance is too low", ErrorClass.CLIENT),
        (400, b'{"error":"Your credit balance is too low"}', ErrorClass.CLIENT),
        (500, body_of("api_error", "Your credit balance is too low"), ErrorClass.SERVER),
    ],
)  # fmt: skip
def test_an_empty_account_is_told_by_its_message_alone(
    status: int, body: bytes, error_class: ErrorClass
) -> None:
    assert adapter().decode_error(status, (), body, KEY).error_class is error_class


def test_limits_are_read_from_its_headers() -> None:
    headers = (
        (b"anthropic-ratelimit-requests-limit", b"50"),
        (b"anthropic-ratelimit-requests-remaining", b"0"),
        (b"anthropic-ratelimit-requests-reset", b"2026-11-27T00:00:10Z"),
        (b"anthropic-ratelimit-tokens-remaining", b"1000"),
    )

    hint = adapter().rate_hint(headers, 1_795_737_600.0)

    assert (hint.limit_requests, hint.remaining_requests, hint.remaining_tokens) == (50, 0, 1000)
    assert hint.reset_requests_s == 10.0


def test_its_list_of_models() -> None:
    model = {
        "type": "model",
        "id": "claude-x",
        "display_name": "Claude X",
        "created_at": "2025-02-24T00:00:00Z",
        "max_tokens": 5,
    }
    body = {"data": [model, {"id": ""}, 7, {"id": "y", "created_at": "?"}], "has_more": False}

    assert adapter().decode_models(json.dumps(body).encode()) == (
        {
            "id": "claude-x",
            "display_name": "Claude X",
            "created_at": "2025-02-24T00:00:00Z",
            "max_tokens": 5,
            "created": 1_740_355_200,
            "owned_by": "anthropic",
            "name": "Claude X",
        },
        {"id": "y", "created_at": "?", "created": 0, "owned_by": "anthropic", "name": "y"},
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":{}}'])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        adapter().decode_models(body)
