"""Cohere on both sides of a running gateway: as the upstream of OpenAI's SDK, and as the SDK of any upstream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cohere
import httpx
import pytest
from cohere.core.api_error import ApiError

from system.cohere_like import KEY, CohereLike
from system.process import Gateway, openai_provider, running
from system.sdk import in_thread, sdk
from system.upstream import Upstream, chat_answer, cut, plain, raw, status, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import trio

    from system.upstream import Behaviour

pytestmark = pytest.mark.system

OPENAI_KEY = "sk-canary-bbbbbbbbbbbbbbbbbbbbbbbb"
MESSAGES: list[Any] = [{"role": "user", "content": "Say hello"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": "search", "parameters": {"type": "object", "properties": {}}},
    }
]


def torn(data: bytes) -> Behaviour:
    """A stream that ends in good order, but without its end marker."""
    head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    return raw(head % len(data) + data, close=False)


@pytest.fixture
async def upstream(nursery: trio.Nursery) -> CohereLike:
    it = CohereLike()
    await nursery.start(it.run)
    return it


@pytest.fixture
async def other(nursery: trio.Nursery) -> Upstream:
    """An upstream that speaks OpenAI's dialect."""
    it = Upstream()
    await nursery.start(it.run)
    return it


@pytest.fixture
async def gateway(upstream: CohereLike, other: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    quick = {"max_retries": 0, "default_request_timeout_in_seconds": 5}
    config = {
        "providers": {
            "mock": {},
            "cohere": {
                "keys": [{"name": "co", "value": KEY}],
                "network_config": {"base_url": upstream.url, **quick},
            },
            "openai": openai_provider(other.url, OPENAI_KEY, network_config=quick),
            "vllm": {
                "keys": [{"name": "own", "value": OPENAI_KEY}],
                "network_config": {"base_url": other.url, **quick},
            },
        }
    }
    async with running(config, tmp_path) as it:
        yield it
    assert "canary" not in it.text


@pytest.fixture
def client(gateway: Gateway) -> Iterator[cohere.ClientV2]:
    with httpx.Client(timeout=20) as http:
        yield cohere.ClientV2(
            api_key="unused", base_url=f"{gateway.url}/cohere", httpx_client=http, max_retries=0
        )


# OpenAI's SDK before Cohere


async def test_chat(gateway: Gateway, upstream: CohereLike) -> None:
    create = sdk(gateway).chat.completions.create

    answer = await in_thread(create, model="cohere/text", messages=MESSAGES, max_tokens=5, user="u")

    assert answer.choices[0].message.content == "Hello there!"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens_details.cached_tokens == 64
    assert answer.extra_fields["dropped_params"] == ["user"]
    [received] = upstream.requests
    assert received.json["max_tokens"] == 5


@pytest.mark.parametrize("name", ["text", "thinking", "tools", "citations"])
async def test_streams_and_answers_say_the_same(gateway: Gateway, name: str) -> None:
    create = sdk(gateway).chat.completions.create

    answer = await in_thread(create, model=f"cohere/{name}", messages=MESSAGES)
    chunks = await in_thread(
        lambda: [*create(model=f"cohere/{name}", messages=MESSAGES, stream=True)]
    )

    message = answer.choices[0].message
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(d.content or "" for d in deltas) == (message.content or "")
    thought = "".join(getattr(d, "reasoning", None) or "" for d in deltas)
    assert thought == (getattr(message, "reasoning", None) or "")
    assert chunks[-1].usage == answer.usage


async def test_a_tool_loop_of_plain_sdk_code(gateway: Gateway, upstream: CohereLike) -> None:
    create = sdk(gateway).chat.completions.create
    first = await in_thread(create, model="cohere/tools", messages=MESSAGES, tools=TOOLS)
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "found"} for call in message.tool_calls
    ]

    second = await in_thread(
        create,
        model="cohere/text",
        messages=[*MESSAGES, message.model_dump(exclude_none=True), *results],
        tools=TOOLS,
    )

    assert second.choices[0].message.content == "Hello there!"
    sent = upstream.requests[-1].json["messages"][1]
    assert sent["tool_plan"] == "I will search."
    assert [call["function"]["arguments"] for call in sent["tool_calls"]] == [
        '{"q": "x"}',
        '{"q": "y"}',
    ]


async def test_responses_by_chat(gateway: Gateway) -> None:
    client = sdk(gateway)

    answer = await in_thread(client.responses.create, model="cohere/thinking", input="hi")
    events = await in_thread(
        lambda: [*client.responses.create(model="cohere/thinking", input="hi", stream=True)]
    )

    assert answer.output_text == "Hello!"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Hello!"


async def test_embeddings_come_packed_and_bare(gateway: Gateway, upstream: CohereLike) -> None:
    create = sdk(gateway).embeddings.create

    packed = await in_thread(create, model="cohere/embed-v4", input=["a", "b"])
    bare = await in_thread(
        create, model="cohere/embed-v4", input=["a", "b"], encoding_format="float"
    )

    assert [item.embedding for item in packed.data] == [[0.0, 0.5], [1.0, 0.5]]
    assert packed.data == bare.data
    assert packed.usage.prompt_tokens == 5
    assert upstream.requests[0].json["embedding_types"] == ["float"]


async def test_rerank_count_and_models(gateway: Gateway) -> None:
    body = {"model": "cohere/rerank", "query": "q", "documents": ["a", {"text": "b"}], "return_documents": True}  # fmt: skip
    ranked = (await gateway.post(body, "/v1/rerank")).json()
    counted = await in_thread(
        sdk(gateway).responses.input_tokens.count, model="cohere/command-a", input="a b c"
    )
    models = (await gateway.get("/v1/models?provider=cohere")).json()

    assert [result["document"]["text"] for result in ranked["results"]] == ["a", "b"]
    assert counted.input_tokens == 3
    assert [model["id"] for model in models["data"]] == ["cohere/command-a"]


async def test_what_cohere_refuses_is_told(gateway: Gateway, upstream: CohereLike) -> None:
    upstream.scripts["gone"] = [status(404, {"message": "model 'gone' not found"})]
    upstream.scripts["cut"] = [cut()]
    upstream.scripts["torn"] = [torn(b'data: {"type":"message-start","id":"x"}\n\n')]

    for model, code in (("gone", 404), ("cut", 502)):
        answer = await gateway.post({"model": f"cohere/{model}", "messages": MESSAGES})
        assert answer.status_code == code
    half = await gateway.post({"model": "cohere/torn", "messages": MESSAGES, "stream": True})
    assert "[DONE]" not in half.text
    assert "ended before its end marker" in half.text
    strict = await gateway.post(
        {"model": "cohere/text", "messages": MESSAGES, "user": "u"}, headers={"x-bf-strict": "true"}
    )
    assert (strict.status_code, strict.json()["error"]["param"]) == (400, "user")


# Cohere's SDK before anybody


async def test_the_sdk_before_cohere_itself(client: cohere.ClientV2, upstream: CohereLike) -> None:
    answer = await in_thread(
        client.chat, model="citations", messages=MESSAGES, documents=["Paris"], safety_mode="OFF"
    )

    assert answer.message.citations[0].sources[0].document["title"] == "Cities"
    [received] = upstream.requests
    assert received.json["documents"] == ["Paris"]
    assert received.json["safety_mode"] == "OFF"
    assert received.json["model"] == "citations"


async def test_the_sdks_stream_before_cohere_itself(client: cohere.ClientV2) -> None:
    events = await in_thread(lambda: [*client.chat_stream(model="tools", messages=MESSAGES)])

    assert events[0].type == "message-start"
    assert [event.type for event in events].count("tool-call-start") == 2
    assert events[-1].delta.finish_reason == "TOOL_CALL"


async def test_the_other_operations_before_cohere_itself(
    client: cohere.ClientV2, upstream: CohereLike
) -> None:
    embedded = await in_thread(
        client.embed,
        model="embed-v4",
        input_type="search_query",
        texts=["a"],
        embedding_types=["int8"],
    )
    ranked = await in_thread(
        client.rerank, model="rerank", query="q", documents=["a", "b"], top_n=1
    )
    tokens = await in_thread(client.tokenize, model="command-a", text="a b", offline=False)

    assert embedded.embeddings.int8 == [[0]]
    assert [result.index for result in ranked.results] == [0]
    assert tokens.token_strings == ["a", "b"]
    assert all(
        received.json["model"] in {"embed-v4", "rerank", "command-a"}
        for received in upstream.requests
    )


async def test_the_sdk_before_an_upstream_of_openais_dialect(
    client: cohere.ClientV2, other: Upstream
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    answer = chat_answer()
    answer["choices"][0] |= {"message": message, "finish_reason": "tool_calls"}
    other.scripts["gpt"] = [plain(answer), plain()]

    first = await in_thread(
        client.chat,
        model="openai/gpt",
        messages=MESSAGES,
        tools=TOOLS,
        tool_choice="REQUIRED",
        max_tokens=5,
        k=3,
        documents=["d"],
    )
    second = await in_thread(
        client.chat,
        model="openai/gpt",
        messages=[
            *MESSAGES,
            first.message,
            {"role": "tool", "tool_call_id": "c", "content": "found"},
        ],
    )

    assert first.finish_reason == "TOOL_CALL"
    assert first.message.tool_calls[0].function.name == "search"
    assert second.message.content[0].text == "Hello"
    assert second.usage.tokens.input_tokens == 7
    body, again = (received.json for received in other.requests)
    assert (body["tool_choice"], body["max_completion_tokens"]) == ("required", 5)
    assert not set(body) & {"k", "top_k", "documents", "max_tokens"}
    assert [m["role"] for m in again["messages"]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("model", ["openai/gpt", "mock/echo"])
async def test_the_sdks_stream_before_others(
    client: cohere.ClientV2, other: Upstream, model: str
) -> None:
    other.scripts["gpt"] = [stream()]

    events = await in_thread(lambda: [*client.chat_stream(model=model, messages=MESSAGES)])

    kinds = [event.type for event in events]
    assert kinds[:2] == ["message-start", "content-start"]
    assert kinds[-2:] == ["content-end", "message-end"]
    text = "".join(e.delta.message.content.text for e in events if e.type == "content-delta")
    assert text == ("Hello" if model == "openai/gpt" else "Say hello")
    assert events[-1].delta.usage.tokens.output_tokens > 0


async def test_the_other_operations_before_others(
    client: cohere.ClientV2, gateway: Gateway, other: Upstream
) -> None:
    vectors = [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": [1.5]}]
    other.scripts["small"] = [
        plain({"data": vectors, "usage": {"prompt_tokens": 3, "total_tokens": 3}})
    ]
    other.scripts["ranker"] = [plain({"results": [{"index": 0, "relevance_score": 0.5}]})]

    embedded = await in_thread(
        client.embed, model="openai/small", input_type="search_query", texts=["a", "b"]
    )
    ranked = await in_thread(client.rerank, model="vllm/ranker", query="q", documents=["a"])
    before = len(other.requests)
    refused = await gateway.post({"model": "openai/gpt", "text": "a"}, "/cohere/v1/tokenize")

    assert embedded.embeddings.float_ == [[0.5], [1.5]]
    assert other.of("small")[0].json == {"model": "small", "input": ["a", "b"]}
    assert ranked.results[0].relevance_score == 0.5
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "unsupported_operation"
    assert len(other.requests) == before


async def test_failures_have_a_message_at_their_top(
    client: cohere.ClientV2, gateway: Gateway, other: Upstream
) -> None:
    other.scripts["sad"] = [status(429, {"error": {"message": "slow down", "code": "x"}})]
    other.scripts["torn"] = [torn(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')]

    with pytest.raises(ApiError) as caught:
        await in_thread(client.chat, model="openai/sad", messages=MESSAGES)
    events = await in_thread(lambda: [*client.chat_stream(model="vllm/torn", messages=MESSAGES)])
    malformed = await gateway.post({"model": "m", "messages": 5}, "/cohere/v2/chat")
    nowhere = await gateway.post({}, "/cohere/v3/chat")

    assert caught.value.status_code == 429
    assert caught.value.body["message"] == "slow down"
    assert caught.value.body["error"]["code"] == "x"
    assert events[-1].type == "message-end"
    assert events[-1].delta.finish_reason == "ERROR"
    assert "ended before its end marker" in events[-1].delta.error
    assert malformed.json()["message"] == "messages must be an array"
    assert nowhere.status_code == 404
    assert nowhere.json()["message"].startswith("Route not found")


async def test_fallbacks_are_the_gateways(
    client: cohere.ClientV2, gateway: Gateway, upstream: CohereLike, other: Upstream
) -> None:
    upstream.scripts["down"] = [status(500, {"message": "oh"})]
    body = {"model": "down", "messages": MESSAGES, "fallbacks": ["openai/gpt"]}

    answer = (await gateway.post(body, "/cohere/v2/chat")).json()

    assert answer["message"]["content"] == [{"type": "text", "text": "Hello"}]
    assert "fallbacks" not in json.loads(upstream.requests[0].body)
    assert len(other.requests) == 1
