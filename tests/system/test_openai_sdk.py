"""The real OpenAI SDK for Python, sync and async, against a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pydantic
import pytest
import trio

from system.sdk import in_thread, sdk
from system.upstream import (
    Upstream,
    chat_answer,
    cut,
    plain,
    raw,
    status,
    stream,
    stream_chunks,
)

if TYPE_CHECKING:
    from system.process import Gateway

pytestmark = pytest.mark.system

ASK: Any = [{"role": "user", "content": "Say hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.mark.parametrize("path", ["/openai", "/openai/v1"])
async def test_a_plain_answer(gateway: Gateway, upstream: Upstream, path: str) -> None:
    create = sdk(gateway, path).chat.completions.create

    answer = await in_thread(create, model="gpt-4o-mini", messages=ASK)

    assert answer.choices[0].message.content == "Hello"
    assert answer.usage.total_tokens == 10
    extra = answer.model_extra["extra_fields"]
    assert extra["provider"] == "openai"
    assert extra["model_requested"] == "gpt-4o-mini"
    assert extra["request_type"] == "chat_completion"
    assert extra["chunk_index"] == 0
    assert isinstance(extra["latency"], int)
    [received] = upstream.requests
    assert received.path == "/v1/chat/completions"
    assert received.json == {"model": "gpt-4o-mini", "messages": ASK}
    assert (received.header("authorization") or "").startswith("Bearer sk-canary-")


async def test_the_native_surface_wants_a_prefix(gateway: Gateway) -> None:
    client = sdk(gateway, "/v1")

    answer = await in_thread(client.chat.completions.create, model="openai/gpt-4o", messages=ASK)
    with pytest.raises(openai.BadRequestError, match="model should be in provider/model format"):
        await in_thread(client.chat.completions.create, model="gpt-4o", messages=ASK)

    assert answer.choices[0].message.content == "Hello"


async def test_a_stream(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o"] = [stream()]

    def read() -> list[Any]:
        chunks = sdk(gateway).chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
        return list(chunks)

    chunks = await in_thread(read)

    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello"
    assert all(len(c.choices) == 1 for c in chunks)
    assert [c.choices[0].finish_reason for c in chunks].count("stop") == 1
    assert chunks[-1].usage.total_tokens == 10
    assert {c.id for c in chunks} == {"chatcmpl-1"}
    indices = [c.model_extra["extra_fields"]["chunk_index"] for c in chunks]
    assert indices == list(range(len(chunks)))
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}


async def test_the_sdks_own_stream_accumulator(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o"] = [stream()]

    def read() -> Any:
        manager = sdk(gateway).chat.completions.stream(model="gpt-4o", messages=ASK)
        with manager as events:
            for _ in events:
                pass
            return events.get_final_completion()

    completion = await in_thread(read)

    assert completion.choices[0].message.content == "Hello"
    assert completion.choices[0].finish_reason == "stop"


# The SDK itself leaves its generators to the collector under trio.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
async def test_the_async_client_runs_under_trio(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-s"] = [stream()]
    client = openai.AsyncOpenAI(base_url=gateway.url + "/openai", api_key="unused", max_retries=0)

    async with client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=ASK)
        chunks = await client.chat.completions.create(model="gpt-s", messages=ASK, stream=True)
        words = [chunk.choices[0].delta.content or "" async for chunk in chunks]

    assert answer.choices[0].message.content == "Hello"
    assert "".join(words) == "Hello"


async def test_tools_and_their_streamed_arguments(gateway: Gateway, upstream: Upstream) -> None:
    def call(index: int, **function: str) -> dict[str, Any]:
        return {"index": index, "id": f"c{index}", "type": "function", "function": function}

    chunks = stream_chunks([])
    parts = [
        [call(0, name="weather", arguments=""), call(1, name="weather", arguments="")],
        [{"index": 0, "function": {"arguments": '{"city":'}}],
        [{"index": 1, "function": {"arguments": '{"city":"Oslo"}'}}],
        [{"index": 0, "function": {"arguments": '"Rome"}'}}],
    ]
    for part in reversed(parts):
        choice = {"index": 0, "delta": {"tool_calls": part}, "finish_reason": None}
        chunks.insert(1, {**chunks[0], "choices": [choice]})
    upstream.scripts["gpt-4o"] = [stream(chunks)]

    def read() -> Any:
        client = sdk(gateway)
        with client.chat.completions.stream(
            model="gpt-4o", messages=ASK, tools=[WEATHER]
        ) as events:
            events.until_done()
            return events.get_final_completion()

    completion = await in_thread(read)

    calls = completion.choices[0].message.tool_calls
    assert [c.function.arguments for c in calls] == ['{"city":"Rome"}', '{"city":"Oslo"}']
    assert upstream.requests[0].json["tools"] == [WEATHER]


class City(pydantic.BaseModel):
    name: str
    country: str


async def test_structured_output(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o"] = [plain(chat_answer('{"name":"Oslo","country":"Norway"}'))]

    answer = await in_thread(
        sdk(gateway).chat.completions.parse,
        model="gpt-4o",
        messages=ASK,
        response_format=City,
    )

    assert answer.choices[0].message.parsed == City(name="Oslo", country="Norway")
    schema = upstream.requests[0].json["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["name", "country"]


async def test_every_parameter_arrives_as_it_was_sent(gateway: Gateway, upstream: Upstream) -> None:
    asked: dict[str, Any] = {
        "max_tokens": 5,
        "n": 2,
        "stop": "x",
        "reasoning_effort": "minimal",
        "tools": [WEATHER],
        "logprobs": True,
        "top_logprobs": 2,
        "user": "u" * 100,
        "prompt_cache_key": "k",
        "store": False,
        "temperature": 0.1,
        "seed": 7,
        "metadata": {"a": "b"},
    }
    create = sdk(gateway).chat.completions.create

    await in_thread(
        create, model="gpt-4o", messages=ASK, **asked, extra_body={"brand_new": {"x": [1, 2.50]}}
    )

    expected = {"model": "gpt-4o", "messages": ASK, **asked, "brand_new": {"x": [1, 2.5]}}
    assert upstream.requests[0].json == expected


async def test_raw_response_shows_the_gateways_headers(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["gpt-4o"] = [
        plain(headers={"x-request-id": "req_up", "x-ratelimit-limit-requests": "100"})
    ]
    create = sdk(gateway).chat.completions.with_raw_response.create

    answer = await in_thread(
        create, model="gpt-4o", messages=ASK, extra_headers={"x-request-id": "mine"}
    )

    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-provider-request-id"] == "req_up"
    assert answer.headers["x-ratelimit-limit-requests"] == "100"
    assert int(answer.headers["x-bf-overhead-us"]) > 0
    assert answer.parse().choices[0].message.content == "Hello"


ERRORS: list[tuple[int, dict[str, Any], type[openai.APIStatusError]]] = [
    (
        400,
        {"message": "bad", "type": "invalid_request_error", "param": "n", "code": "x"},
        openai.BadRequestError,
    ),
    (
        401,
        {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"},
        openai.AuthenticationError,
    ),
    (403, {"message": "no"}, openai.PermissionDeniedError),
    (404, {"message": "no such model", "code": "model_not_found"}, openai.NotFoundError),
    (409, {"message": "conflict"}, openai.ConflictError),
    (422, {"message": "unprocessable"}, openai.UnprocessableEntityError),
    (429, {"message": "slow down", "type": "requests"}, openai.RateLimitError),
    (500, {"message": "boom"}, openai.InternalServerError),
    (503, {"message": "overloaded"}, openai.InternalServerError),
]


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_upstreams_refusal_raises_the_sdks_own_class(
    gateway: Gateway, upstream: Upstream, streamed: bool
) -> None:
    for code, error, raised in ERRORS:
        upstream.scripts[f"m-{code}"] = [status(code, {"error": error})]
        create = sdk(gateway).chat.completions.create

        with pytest.raises(raised) as caught:
            await in_thread(create, model=f"lone-{code}/m-{code}", messages=ASK, stream=streamed)

        assert caught.value.status_code == code
        assert error["message"] in caught.value.message
        body: Any = caught.value.body
        assert body["message"] == error["message"]
        assert body.get("code") == error.get("code")


async def test_an_error_that_echoes_the_key_is_scrubbed(
    gateway: Gateway, upstream: Upstream
) -> None:
    async def echo(conn: trio.SocketStream, received: Any) -> None:
        key = received.header("authorization")
        message = {"error": {"message": f"Incorrect API key provided: {key}", "code": "bad"}}
        await status(400, message)(conn, received)

    upstream.scripts["gpt-4o"] = [echo]

    answer = await gateway.post({"model": "gpt-4o", "messages": ASK})

    assert answer.status_code == 400
    assert "sk-canary" not in answer.text


async def test_a_broken_connection_is_a_502_after_its_retry(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["gpt-4o"] = [cut()]
    create = sdk(gateway).chat.completions.create

    with pytest.raises(openai.InternalServerError) as caught:
        await in_thread(create, model="gpt-4o", messages=ASK)

    assert caught.value.status_code == 502
    assert len(upstream.of("gpt-4o")) == 2


async def test_a_slow_upstream_is_a_504(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o"] = [raw(30.0)]
    create = sdk(gateway).chat.completions.create

    with pytest.raises(openai.InternalServerError) as caught:
        await in_thread(create, model="gpt-4o", messages=ASK)

    assert caught.value.status_code == 504
    assert caught.value.type == "request_timed_out"


async def test_an_error_as_the_first_event_is_an_ordinary_error(
    gateway: Gateway, upstream: Upstream
) -> None:
    told = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "429"}}
    upstream.scripts["gpt-4o"] = [stream([told], done=False)]
    create = sdk(gateway).chat.completions.create

    with pytest.raises(openai.RateLimitError):
        await in_thread(create, model="gpt-4o", messages=ASK, stream=True)


BROKEN = {
    "cut": stream(stream_chunks()[:2], done=False, end=False),
    "ends-early": stream(stream_chunks()[:2], done=False, end=True),
    "no-done": stream(done=False, end=True),
    "error-event": stream(
        [*stream_chunks()[:2], {"error": {"message": "boom", "type": "server_error"}}], done=False
    ),
}


async def test_a_stream_that_breaks_raises_and_never_looks_complete(
    gateway: Gateway, upstream: Upstream
) -> None:
    def read(model: str) -> list[str]:
        seen: list[str] = []
        create = sdk(gateway).chat.completions.create
        with pytest.raises(openai.APIError):
            seen.extend(
                chunk.choices[0].delta.content or ""
                for chunk in create(model=model, messages=ASK, stream=True)
            )
        return seen

    for name, broken in BROKEN.items():
        upstream.scripts[name] = [broken]

        seen = await in_thread(read, f"groq/{name}")
        body = (await gateway.post({"model": f"groq/{name}", "messages": ASK, "stream": True})).text

        assert "Hel" in "".join(seen), name
        assert "[DONE]" not in body, name
        assert '"error"' in body.strip().rsplit("\n\n", 1)[-1], name


async def test_fallbacks(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o"] = [status(500, {"error": {"message": "boom"}})]
    create = sdk(gateway).chat.completions.create

    answer = await in_thread(
        create, model="gpt-4o", messages=ASK, extra_body={"fallbacks": ["groq/llama"]}
    )

    assert answer.model_extra["extra_fields"]["provider"] == "groq"
    assert "fallbacks" not in upstream.of("gpt-4o")[0].json
    assert "fallbacks" not in upstream.of("llama")[0].json


async def test_when_all_fail_the_primarys_error_is_told(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["gpt-4o"] = [status(503, {"error": {"message": "primary is down"}})]
    upstream.scripts["llama"] = [status(500, {"error": {"message": "second is down"}})]
    create = sdk(gateway).chat.completions.create

    with pytest.raises(openai.InternalServerError, match="primary is down"):
        await in_thread(
            create, model="gpt-4o", messages=ASK, extra_body={"fallbacks": ["groq/llama"]}
        )


async def test_a_rate_limited_key_gives_way_to_the_other(
    gateway: Gateway, upstream: Upstream
) -> None:
    limited = status(429, {"error": {"message": "slow"}}, {"retry-after": "60"})
    upstream.scripts["gpt-4o"] = [limited, plain()]
    create = sdk(gateway).chat.completions.create

    for _ in range(5):
        await in_thread(create, model="gpt-4o", messages=ASK)

    keys = [r.header("authorization") for r in upstream.of("gpt-4o")]
    assert len(keys) == 6
    assert keys[0] != keys[1]
    assert len(set(keys[1:])) == 1


async def test_models(gateway: Gateway, upstream: Upstream) -> None:
    listed = {"object": "list", "data": [{"id": "gpt-4o", "object": "model", "owned_by": "openai"}]}
    upstream.scripts["/v1/models"] = [status(200, listed)]
    client = sdk(gateway)

    models = [m.id for m in await in_thread(client.models.list)]
    one = await in_thread(client.models.retrieve, "gpt-4o")
    with pytest.raises(openai.NotFoundError):
        await in_thread(client.models.retrieve, "no-such-model")

    assert "openai/gpt-4o" in models
    assert "groq/gpt-4o" in models
    assert models == sorted(models)
    assert one.id == "openai/gpt-4o"


async def test_a_caller_that_hangs_up_frees_the_upstream(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["gpt-4o"] = [stream(stream_chunks() * 100, pause_s=0.1)]

    def read_two() -> None:
        chunks = sdk(gateway).chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
        next(iter(chunks))
        chunks.close()

    await in_thread(read_two)

    with trio.fail_after(2):
        while upstream.open_connections:
            await trio.sleep(0.02)
    [line] = await gateway.wait_for("request completed")
    assert line["status"] == 499
    assert len(upstream.requests) == 1
