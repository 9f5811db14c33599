"""Cohere's row: where each operation goes, how it is asked for, what its refusals and its models are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.config.secret import Secret
from bifrost.config.settings import (
    CustomProviderSettings,
    KeySettings,
    NetworkSettings,
    ProviderSettings,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.errors import (
    ConfigurationMissing,
    ErrorClass,
    UnsupportedOperation,
    UpstreamError,
)
from bifrost.providers.table import build_adapter
from bifrost.record import Usage
from bifrost.schema.call import Call, Dialect, Native, Operation, Surface, Target
from providers.sent import sent_json

ADAPTER = build_adapter(ProviderSettings(name="cohere"))
KEY = KeySettings(id="k", name="k", value=Secret("co-secret"))

BODIES: dict[Operation, dict[str, Any]] = {
    Operation.LIST_MODELS: {},
    Operation.CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    Operation.RESPONSES: {"input": "hi"},
    Operation.EMBEDDING: {"input": "hi"},
    Operation.RERANK: {"query": "q", "documents": ["a"]},
    Operation.COUNT_TOKENS: {"input": "hi"},
}


def call(operation: Operation, *, stream: bool = False, **more: Any) -> Call:
    members = {n: json.dumps(v).encode() for n, v in BODIES.get(operation, {}).items()}
    asked = {"members": members, **more}
    return Call(id="1", operation=operation, stream=stream, target=Target("cohere", "m"), **asked)


@pytest.mark.parametrize(
    ("operation", "method", "target"),
    [
        (Operation.LIST_MODELS, b"GET", b"/v1/models?page_size=1000"),
        (Operation.CHAT, b"POST", b"/v2/chat"),
        (Operation.RESPONSES, b"POST", b"/v2/chat"),
        (Operation.EMBEDDING, b"POST", b"/v2/embed"),
        (Operation.RERANK, b"POST", b"/v2/rerank"),
        (Operation.COUNT_TOKENS, b"POST", b"/v1/tokenize"),
    ],
)
def test_each_operation_has_its_place(operation: Operation, method: bytes, target: bytes) -> None:
    request = ADAPTER.encode(call(operation), Target("cohere", "m"), KEY)

    assert (request.method, request.target) == (method, target)
    assert request.origin.host == "api.cohere.ai"
    headers = dict(request.headers)
    assert headers[b"authorization"] == b"Bearer co-secret"
    assert headers.get(b"content-type") == (None if method == b"GET" else b"application/json")
    assert "co-secret" not in repr(request)


def test_a_stream_of_responses_goes_by_chat() -> None:
    request = ADAPTER.encode(call(Operation.RESPONSES, stream=True), Target("cohere", "m"), KEY)

    assert sent_json(request) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }


def test_what_it_has_not_is_asked_nowhere() -> None:
    has = {op for op in Operation if ADAPTER.supports(op, stream=False)}

    assert has == set(BODIES)
    assert {op for op in Operation if ADAPTER.supports(op, stream=True)} == {
        Operation.CHAT,
        Operation.RESPONSES,
    }
    for operation in set(Operation) - has:
        with pytest.raises(UnsupportedOperation, match="is not supported by cohere provider"):
            ADAPTER.encode(call(operation), Target("cohere", "m"), KEY)


def test_elsewhere_and_by_another_name() -> None:
    custom = CustomProviderSettings(base_provider_type="cohere")
    network = NetworkSettings(base_url="https://own.example/co")
    adapter = build_adapter(ProviderSettings(name="own", custom=custom, network=network))

    request = adapter.encode(call(Operation.CHAT), Target("own", "m"), KEY)

    assert (request.origin.host, request.target) == ("own.example", b"/co/v2/chat")


def test_keys_that_no_header_may_hold() -> None:
    for value in ("a\nb", "☃"):
        with pytest.raises(ConfigurationMissing, match="holds characters") as caught:
            key = KeySettings(id="k", name="k", value=Secret(value))
            ADAPTER.encode(call(Operation.CHAT), Target("cohere", "m"), key)
        assert value not in str(caught.value)
    request = ADAPTER.encode(
        call(Operation.CHAT), Target("cohere", "m"), KeySettings(id="k", name="k")
    )
    assert b"authorization" not in dict(request.headers)


@pytest.mark.parametrize(
    ("status", "body", "message", "error_class"),
    [
        (400, {"message": "bad", "type": "invalid_request_error", "code": "c"}, "bad", ErrorClass.CLIENT),
        (401, {"message": "invalid api token"}, "invalid api token", ErrorClass.AUTH),
        (402, {"message": "pay"}, "pay", ErrorClass.QUOTA),
        (404, {"message": "model 'x' not found"}, "model 'x' not found", ErrorClass.NOT_FOUND),
        (422, {"message": "bad"}, "bad", ErrorClass.CLIENT),
        (429, {"message": "slow down"}, "slow down", ErrorClass.RATE_LIMIT),
        (498, {"message": "blocked"}, "blocked", ErrorClass.CLIENT),
        (500, {"message": "oh"}, "oh", ErrorClass.SERVER),
        (503, None, "provider server error (503)", ErrorClass.SERVER),
    ],
)  # fmt: skip
def test_refusals(status: int, body: Any, message: str, error_class: ErrorClass) -> None:
    raw = b"" if body is None else json.dumps(body).encode()

    error = ADAPTER.decode_error(status, (), raw, KEY)

    assert (error.message, error.status, error.error_class) == (message, status, error_class)
    if body and "type" in body:
        assert (error.type, error.code) == ("invalid_request_error", "c")


def test_models_are_named() -> None:
    body = {"models": [{"name": "command-a", "endpoints": ["chat"]}, {"name": ""}, 5]}

    assert ADAPTER.decode_models(json.dumps(body).encode()) == (
        {"name": "command-a", "endpoints": ["chat"], "id": "command-a"},
    )
    for bad in (b"{", b"[]", b'{"models": 5}'):
        with pytest.raises(UpstreamError, match="failed to unmarshal"):
            ADAPTER.decode_models(bad)
    with pytest.raises(UpstreamError, match="no answer"):
        ADAPTER.decode_plain(b"{}", facts(Operation.LIST_MODELS))


def facts(operation: Operation, **more: Any) -> AnswerFacts:
    return AnswerFacts(
        request_type=operation.value,
        provider="cohere",
        model_requested="m",
        sent_s=1.0,
        operation=operation,
        **more,
    )


NATIVE = Native(
    dialect=Dialect.COHERE,
    members={"model": b'"cohere/m"', "messages": b"[1]", "odd": b'{"kept": 1}'},
)

ANSWERS: dict[Operation, tuple[dict[str, Any], Usage | None]] = {
    Operation.CHAT: (
        {"message": {}, "usage": {"tokens": {"input_tokens": 1, "output_tokens": 2}}},
        Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
    ),
    Operation.EMBEDDING: (
        {"embeddings": {}, "meta": {"billed_units": {"input_tokens": 4}}},
        Usage(prompt_tokens=4, total_tokens=4),
    ),
    Operation.RERANK: ({"results": []}, None),
    Operation.COUNT_TOKENS: ({"tokens": []}, None),
}


@pytest.mark.parametrize("operation", ANSWERS)
def test_cohere_to_cohere_goes_as_it_came(operation: Operation) -> None:
    asked = call(operation, native=NATIVE, surface=Surface.COHERE)

    request = ADAPTER.encode(asked, Target("cohere", "m"), KEY)

    assert request.is_native
    assert request.body == b'{"model":"m","messages":[1],"odd":{"kept": 1}}'
    value, usage = ANSWERS[operation]
    body = json.dumps(value, indent=1).encode()
    told = ADAPTER.decode_plain(body, facts(operation, is_native=True, dialect=Dialect.COHERE))
    assert (told.body, told.usage, told.error) == (body, usage, None)


def test_a_native_refusal_inside_a_200_is_one() -> None:
    told = ADAPTER.decode_plain(
        b'{"message_": 1}', facts(Operation.CHAT, is_native=True, dialect=Dialect.COHERE)
    )

    assert told.error is not None
    decoder = ADAPTER.stream_decoder(facts(Operation.CHAT, is_native=True, dialect=Dialect.COHERE))
    assert type(decoder).__name__ == "CohereRelay"
