"""The real Anthropic SDK for Python, sync and async, against a running gateway whose upstreams speak OpenAI's dialect."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import pytest
import trio

from messages_grammar import accumulated, events_of
from system.sdk import in_thread
from system.upstream import (
    Upstream,
    chat_answer,
    plain,
    status,
    stream,
    stream_chunks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from system.process import Gateway

pytestmark = pytest.mark.system

ASK: Any = [{"role": "user", "content": "Say hello"}]
WEATHER: Any = {
    "name": "weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
OPENED: list[anthropic.Anthropic] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def sdk(gateway: Gateway, **more: Any) -> anthropic.Anthropic:
    client = anthropic.Anthropic(
        base_url=f"{gateway.url}/anthropic", api_key="unused", max_retries=0, **more
    )
    OPENED.append(client)
    return client


async def created(gateway: Gateway, model: str = "openai/gpt-4o", **more: Any) -> Any:
    create = sdk(gateway).messages.create
    return await in_thread(create, **{"model": model, "max_tokens": 64, "messages": ASK, **more})


async def finished(gateway: Gateway, model: str = "openai/gpt-4o", **more: Any) -> Any:
    """The message that the SDK makes of a stream."""

    def read() -> Any:
        asked: dict[str, Any] = {"model": model, "max_tokens": 64, "messages": ASK, **more}
        with sdk(gateway).messages.stream(**asked) as events:
            return events.get_final_message()

    return await in_thread(read)


async def test_a_plain_answer(gateway: Gateway, upstream: Upstream) -> None:
    answer = await created(gateway, system="Be kind", stop_sequences=["x"])

    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert [block.text for block in answer.content] == ["Hello"]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 3)
    assert answer._request_id
    assert "extra_fields" not in answer.model_extra
    [received] = upstream.requests
    assert received.path == "/v1/chat/completions"
    assert received.json == {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Be kind"}, *ASK],
        "max_completion_tokens": 64,
        "stop": ["x"],
    }
    assert (received.header("authorization") or "").startswith("Bearer sk-canary-")
    assert received.header("anthropic-version") is None
    assert received.header("x-api-key") is None


async def test_a_stream_and_the_sdks_own_accumulator(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o"] = [stream()]

    answer = await finished(gateway)

    assert [block.text for block in answer.content] == ["Hello"]
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 3)
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}


async def test_the_bytes_of_a_stream_keep_to_the_grammar(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["gpt-4o"] = [stream()]
    body = {"model": "openai/gpt-4o", "max_tokens": 5, "messages": ASK, "stream": True}

    answer = await gateway.post(body, "/anthropic/v1/messages?beta=true")

    assert answer.headers["content-type"] == "text/event-stream"
    assert accumulated(events_of(answer.content))["content"] == [{"type": "text", "text": "Hello"}]


async def test_the_mock_answers(gateway: Gateway) -> None:
    plainly = await created(gateway, "mock/echo")
    streamed = await finished(gateway, "mock/echo")
    scripted = await created(gateway, "mock/echo", extra_body={"mock": {"text": "So"}})

    assert plainly.content[0].text == streamed.content[0].text == "Say hello"
    assert scripted.content[0].text == "So"


def calls(*parts: Any, finish: str = "tool_calls") -> list[dict[str, Any]]:
    """The chunks of a stream with these deltas of tool calls."""
    chunks = stream_chunks([])
    told = [
        {
            **chunks[0],
            "choices": [{"index": 0, "delta": {"tool_calls": part}, "finish_reason": None}],
        }
        for part in parts
    ]
    chunks[-2]["choices"][0]["finish_reason"] = finish
    return [chunks[0], *told, *chunks[1:]]


def call(index: int, id_: str = "", **function: str) -> dict[str, Any]:
    told: dict[str, Any] = {"index": index, "function": function}
    return told | ({"id": id_, "type": "function"} if id_ else {})


async def test_streamed_tools_that_grow_side_by_side(gateway: Gateway, upstream: Upstream) -> None:
    chunks = calls(
        [
            call(0, "c0", name="weather", arguments=""),
            call(1, "c1", name="weather", arguments=""),
        ],
        [call(0, arguments='{"city":')],
        [call(1, arguments='{"city":"Oslo"}')],
        [call(0, arguments='"Rome"}')],
    )
    upstream.scripts["gpt-4o"] = [stream(chunks)]

    answer = await finished(gateway, tools=[WEATHER])

    assert [(b.type, b.id, b.input) for b in answer.content] == [
        ("tool_use", "c0", {"city": "Rome"}),
        ("tool_use", "c1", {"city": "Oslo"}),
    ]
    assert answer.stop_reason == "tool_use"
    assert upstream.requests[0].json["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "The weather of a city",
                "parameters": WEATHER["input_schema"],
            },
        }
    ]


async def test_a_loop_through_a_tool(gateway: Gateway, upstream: Upstream) -> None:
    asked = {
        "role": "assistant",
        "content": None,
        "reasoning": "hm",
        "tool_calls": [
            {
                "id": "c0",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
            }
        ],
    }
    choice = {"index": 0, "message": asked, "finish_reason": "tool_calls"}
    upstream.scripts["gpt-4o"] = [plain(chat_answer(choices=[choice])), plain()]

    first = await created(gateway, tools=[WEATHER])
    result = {
        "type": "tool_result",
        "tool_use_id": "c0",
        "content": [
            {"type": "text", "text": "warm"},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
            },
        ],
    }
    messages = [
        *ASK,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    await created(gateway, tools=[WEATHER], messages=messages)

    assert [block.type for block in first.content] == ["thinking", "tool_use"]
    assert first.content[0].thinking == "hm"
    sent = upstream.requests[1].json["messages"]
    assert sent == [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": asked["tool_calls"]},
        {
            "role": "tool",
            "tool_call_id": "c0",
            "content": [{"type": "text", "text": "warm"}],
        },
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
        },
    ]


async def test_what_was_dropped_is_in_a_header(gateway: Gateway) -> None:
    create = sdk(gateway).messages.with_raw_response.create

    asked: dict[str, Any] = {
        "model": "openai/gpt-4o",
        "max_tokens": 5,
        "messages": ASK,
        "extra_body": {"top_k": 3},
    }

    answer = await in_thread(create, **asked)
    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        await in_thread(create, **asked, extra_headers={"x-bf-strict": "true"})

    assert answer.headers["x-bf-dropped-params"] == "top_k"


ERRORS: list[tuple[int, type[anthropic.APIStatusError], str]] = [
    (400, anthropic.BadRequestError, "invalid_request_error"),
    (401, anthropic.AuthenticationError, "authentication_error"),
    (403, anthropic.PermissionDeniedError, "permission_error"),
    (404, anthropic.NotFoundError, "not_found_error"),
    (422, anthropic.UnprocessableEntityError, "invalid_request_error"),
    (429, anthropic.RateLimitError, "rate_limit_error"),
    (500, anthropic.InternalServerError, "api_error"),
    (503, anthropic.InternalServerError, "overloaded_error"),
]


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_upstreams_refusal_raises_the_sdks_own_class(
    gateway: Gateway, upstream: Upstream, streamed: bool
) -> None:
    for code, raised, kind in ERRORS:
        told = {"error": {"message": f"no {code}", "type": "odd"}}
        upstream.scripts[f"m-{code}"] = [status(code, told, {"retry-after": "7"})]

        with pytest.raises(raised) as caught:
            await created(gateway, f"lone-{code}/m-{code}", stream=streamed)

        error = caught.value
        body: Any = error.body
        assert body["type"] == "error"
        assert body["error"] == {"type": kind, "message": f"no {code}"}
        assert error.request_id == body["request_id"] == error.response.headers["x-request-id"]
        if code == 429:
            assert error.response.headers["retry-after"] == "7"


async def test_the_gateways_own_refusals_have_the_same_shape(gateway: Gateway) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content") as caught:
        await created(gateway, messages=[{"role": "user"}])
    missing = await gateway.get("/anthropic/v1/none")
    wrong = await gateway.get("/anthropic/v1/messages")
    legacy = await gateway.post({}, "/anthropic/v1/complete")

    body: Any = caught.value.body
    assert body["request_id"] == caught.value.request_id
    for answer, code, kind in (
        (missing, 404, "not_found_error"),
        (wrong, 405, "invalid_request_error"),
        (legacy, 400, "invalid_request_error"),
    ):
        assert answer.status_code == code
        assert answer.json()["error"]["type"] == kind
        assert answer.json()["request_id"] == answer.headers["request-id"]


async def test_a_failure_in_the_middle_is_an_event(gateway: Gateway, upstream: Upstream) -> None:
    broken = [*stream_chunks(["Hel"])[:2], {"error": {"message": "boom", "code": "server_error"}}]
    upstream.scripts["gpt-4o"] = [stream(broken, done=False)]

    with pytest.raises(anthropic.APIStatusError, match="boom") as caught:
        await finished(gateway)

    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["request_id"]


async def test_a_stream_that_is_cut_never_looks_whole(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o"] = [stream(stream_chunks()[:2], done=False, end=False)]
    body = {"model": "openai/gpt-4o", "max_tokens": 5, "messages": ASK, "stream": True}

    answer = await gateway.post(body, "/anthropic/v1/messages")

    kinds = [event["type"] for event in events_of(answer.content)]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "error"
    assert "message_stop" not in kinds


# The SDK itself leaves its generators to the collector under trio.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
async def test_the_async_client_runs_under_trio(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-s"] = [stream()]
    client = anthropic.AsyncAnthropic(
        base_url=f"{gateway.url}/anthropic", api_key="unused", max_retries=0
    )
    asked = partial(client.messages.create, max_tokens=5, messages=ASK)

    async with client:
        answer: Any = await asked(model="openai/gpt-4o")
        async with client.messages.stream(
            model="openai/gpt-s", max_tokens=5, messages=ASK
        ) as events:
            words = [text async for text in events.text_stream]

    assert answer.content[0].text == "Hello"
    assert "".join(words) == "Hello"


async def test_counts(gateway: Gateway, upstream: Upstream) -> None:
    counted = {"object": "response.input_tokens", "input_tokens": 11}
    upstream.scripts["/v1/responses/input_tokens"] = [plain(counted)]
    count = sdk(gateway).messages.count_tokens

    answer = await in_thread(
        count, model="openai/gpt-4o", messages=ASK, system="Be kind", tools=[WEATHER]
    )
    with pytest.raises(anthropic.BadRequestError, match="not supported by groq"):
        await in_thread(count, model="groq/llama", messages=ASK)

    assert answer.input_tokens == 11
    sent = upstream.requests[0].json
    assert [item["role"] for item in sent["input"]] == ["system", "user"]
    assert sent["tools"][0]["name"] == "weather"


async def test_models_page_by_page(gateway: Gateway, upstream: Upstream) -> None:
    listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in "ab"]}
    upstream.scripts["GET /v1/models"] = [plain(listed)]
    models = sdk(gateway).models

    def read() -> list[str]:
        pages = models.list(limit=1, extra_headers={"x-bf-model-provider": "openai"})
        return [model.id for model in pages]

    assert await in_thread(read) == ["openai/a", "openai/b"]
    one = await in_thread(models.retrieve, "openai/a")
    assert (one.type, one.display_name) == ("model", "openai/a")
    with pytest.raises(anthropic.NotFoundError):
        await in_thread(models.retrieve, "openai/none")


async def test_a_caller_who_hangs_up_frees_the_upstream(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["gpt-4o"] = [stream(stream_chunks(["a"] * 100), pause_s=0.1)]

    def read_two() -> None:
        events = sdk(gateway).messages.create(
            model="openai/gpt-4o", max_tokens=5, messages=ASK, stream=True
        )
        next(iter(events))
        events.close()

    await in_thread(read_two)

    with trio.fail_after(2):
        while upstream.open_connections:
            await trio.sleep(0.02)
    [line] = await gateway.wait_for("request completed")
    assert (line["status"], line["route"]) == (499, "/anthropic/v1/messages")


async def test_a_job_by_its_header(gateway: Gateway) -> None:
    path = "/anthropic/v1/messages"
    body = {"model": "openai/gpt-4o", "max_tokens": 5, "messages": ASK}

    pending = await gateway.post(body, path, headers={"x-bf-async": "true"})
    job = pending.json()
    with trio.fail_after(10):
        while True:
            told = await gateway.post(body, path, headers={"x-bf-async-id": job["id"]})
            if told.headers["x-bf-async-status"] == "completed":
                break
            await trio.sleep(0.05)
    streamed = await gateway.post({**body, "stream": True}, path, headers={"x-bf-async": "true"})

    assert (job["type"], job["content"], job["stop_reason"]) == ("message", [], None)
    assert told.json()["content"] == [{"type": "text", "text": "Hello"}]
    assert streamed.status_code == 400
    assert streamed.json()["type"] == "error"


async def test_claude_code_asks_as_it_does(gateway: Gateway, upstream: Upstream) -> None:
    """Its user agent, features to be tried, a virtual key, caching, thinking, and very many tools."""
    upstream.scripts["gpt-4o"] = [stream()]
    mark = {"type": "ephemeral"}
    tools = [{**WEATHER, "name": f"tool_{n}"} for n in range(200)]
    body = {
        "model": "openai/gpt-4o",
        "max_tokens": 32000,
        "stream": True,
        "metadata": {"user_id": "user_" + "0" * 100},
        "system": [{"type": "text", "text": "You are Claude Code", "cache_control": mark}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": mark}]}
        ],
        "tools": [*tools, {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}],
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "context_management": {"edits": []},
    }
    headers = {
        "user-agent": "claude-cli/2.0.1 (external, cli)",
        "x-app": "cli",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
        "authorization": "Bearer sk-bf-virtual",
    }

    answer = await gateway.post(body, "/anthropic/v1/messages?beta=true", headers=headers)
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        probe = await client.head("/anthropic")

    assert accumulated(events_of(answer.content))["stop_reason"] == "end_turn"
    dropped = answer.headers["x-bf-dropped-params"].split(", ")
    assert dropped == [
        "context_management",
        "tools.web_search_20250305",
        "metadata.user_id",
        "thinking",
        "cache_control",
    ]
    sent = upstream.requests[0].json
    assert len(sent["tools"]) == 200
    assert set(sent) == {
        *("model", "messages", "tools", "stream", "stream_options", "max_completion_tokens")
    }
    assert upstream.requests[0].header("anthropic-beta") is None
    assert probe.status_code == 200
