"""The door /cohere: its routes, how their bodies become calls, how failures are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.catalog import Catalog
from bifrost.codecs.sse import SSEDecoder
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config, KeySettings, ProviderSettings
from bifrost.errors import BadRequest, GatewayError, UpstreamError
from bifrost.integrations.base import Request
from bifrost.integrations.cohere import COHERE, ROUTES, routes
from bifrost.integrations.headers import HeaderRules
from bifrost.integrations.manners import manner_at, manner_of
from bifrost.integrations.mounted import FINDER
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Surface, Target
from providers.sent import sent_json

KEY = KeySettings(id="k", name="k", value=Secret("co-test"))
OPENAI_KEY = KeySettings(id="o", name="o", value=Secret("sk-test"))
CATALOG = Catalog.of(
    Config(
        providers={
            "cohere": ProviderSettings(name="cohere", keys=(KEY,)),
            "openai": ProviderSettings(name="openai", keys=(OPENAI_KEY,)),
        }
    )
)
RULES = HeaderRules.of(ClientSettings())
BY_OPERATION = {route.operation: route for route in ROUTES}
CHAT: dict[str, Any] = {"model": "command-a", "messages": [{"role": "user", "content": "hi"}]}


def parsed(operation: Operation, body: Any, **more: Any) -> Call:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    route = BY_OPERATION[operation]
    request = Request(
        id="c", route=route, headers=(), body=raw, remote_addr="", received_s=0.0, **more
    )
    return route.parse(request, CATALOG, RULES)


def test_routes_are_below_a_prefix() -> None:
    assert {route.path: route.operation for route in routes(COHERE, "/langchain")} == {
        "/langchain/v2/chat": Operation.CHAT,
        "/langchain/v2/embed": Operation.EMBEDDING,
        "/langchain/v2/rerank": Operation.RERANK,
        "/langchain/v1/tokenize": Operation.COUNT_TOKENS,
    }
    assert FINDER.find("/cohere/v2/chat") is not None


def test_a_chat_is_there_in_both_dialects() -> None:
    body = {**CHAT, "max_tokens": 5, "p": 0.5, "stream": True, "fallbacks": ["openai/gpt"]}

    call = parsed(Operation.CHAT, body, query="a=b")

    assert (call.target, call.fallbacks) == (
        Target("cohere", "command-a"),
        (Target("openai", "gpt"),),
    )
    assert (call.stream, call.max_output_tokens, call.surface) == (True, 5, Surface.COHERE)
    assert {"max_completion_tokens", "top_p"} <= set(call.members)
    assert call.native is not None
    assert set(call.native.members) == {"model", "messages", "max_tokens", "p", "stream"}
    assert (call.native.dialect, call.native.query) == (Dialect.COHERE, "a=b")


def test_whoever_is_named_is_asked() -> None:
    assert parsed(Operation.CHAT, {**CHAT, "model": "openai/gpt"}).target.provider == "openai"
    embedded = parsed(Operation.EMBEDDING, {"model": "e", "texts": ["a"], "max_tokens": "x"})
    ranked = parsed(Operation.RERANK, {"model": "r", "query": "q", "documents": ["a"]})
    counted = parsed(Operation.COUNT_TOKENS, {"model": "t", "text": "a"})

    assert embedded.max_output_tokens is None
    assert not (embedded.stream)
    assert not (ranked.stream)
    assert not (counted.stream)
    assert counted.members["input"] == b'"a"'


@pytest.mark.parametrize(
    ("operation", "body", "text"),
    [
        (Operation.CHAT, b"{", "Invalid JSON: "),
        (Operation.CHAT, b"", "Invalid JSON: "),
        (Operation.CHAT, {"messages": []}, "model is required"),
        (Operation.CHAT, {"model": "m"}, "messages is required for chat completion"),
        (Operation.CHAT, {**CHAT, "stream": 1}, "stream must be true or false"),
        (Operation.EMBEDDING, {"model": "m"}, "texts is required for embeddings"),
        (Operation.RERANK, {"model": "m"}, "query is required for rerank"),
        (Operation.COUNT_TOKENS, {"model": "m"}, "text is required for responses"),
    ],
)
def test_what_cannot_be_asked(operation: Operation, body: Any, text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parsed(operation, body)
    assert caught.value.message.startswith(text)


def test_a_failure_has_its_message_at_the_top() -> None:
    error = UpstreamError("slow down", status=429, code="x", kind="odd")
    call = parsed(Operation.CHAT, CHAT)
    manner = manner_of(Surface.COHERE)

    body = json.loads(manner.body(error, call=call))
    [event] = SSEDecoder().feed(manner.event(error, call=call))

    assert (body["message"], body["error"]["code"], body["status_code"]) == ("slow down", "x", 429)
    told = json.loads(event.data)
    assert (event.event, told["type"]) == ("message-end", "message-end")
    assert told["delta"] == {"finish_reason": "ERROR", "error": "slow down"}
    assert told["error"]["code"] == "x"
    assert manner_at("/cohere/v9/nothing") is manner


@pytest.mark.parametrize("text", ["a\ud800b", 'a"b', ""])
def test_any_message_can_be_told(text: str) -> None:
    manner = manner_of(Surface.COHERE)

    assert "message" in json.loads(manner.body(GatewayError(text)))
    assert b"message-end" in manner.event(GatewayError(text))


def test_what_openais_dialect_has_not_is_left_out_of_embeddings_and_named() -> None:
    asked = {"model": "openai/small", "texts": ["a"], "input_type": "search_query"}
    adapter = build_adapter(ProviderSettings(name="openai"))
    call = parsed(Operation.EMBEDDING, asked)

    request = adapter.encode(call, call.target, OPENAI_KEY)

    assert sent_json(request) == {"model": "small", "input": ["a"]}
    assert request.dropped_params == ("input_type",)


def test_whoever_insists_gets_it_sent() -> None:
    adapter = build_adapter(ProviderSettings(name="openai"))
    call = Call(
        id="1",
        operation=Operation.EMBEDDING,
        stream=False,
        target=Target("openai", "small"),
        members={"model": b'"x"', "input": b'["a"]', "odd": b"1"},
        native=Native(dialect=Dialect.COHERE, members={}),
        surface=Surface.COHERE,
        caller=Caller(passthrough_extra_params=True),
    )

    assert sent_json(adapter.encode(call, call.target, OPENAI_KEY))["odd"] == 1
