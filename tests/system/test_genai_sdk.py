"""Google's own SDK for Python, sync and async, against a running gateway."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from google import genai
from google.genai import errors, types

from system.process import openai_provider, running
from system.sdk import in_thread
from system.upstream import Upstream, chat_answer, plain, raw, status, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from system.process import Gateway

pytestmark = pytest.mark.system

MODEL = "openai/gpt-4o-mini"
MOCK = "mock/echo"
PICTURE = b"\x89PNG\xff\xfe\xfb\xff"
CALL = {
    "id": "call_weather_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
}


def client_of(gateway: Gateway, key: str = "unused", **more: Any) -> genai.Client:
    options = types.HttpOptions(base_url=f"{gateway.url}/genai", **more)
    return genai.Client(api_key=key, http_options=options)


@pytest.fixture
def client(gateway: Gateway) -> Iterator[genai.Client]:
    with client_of(gateway) as it:
        yield it


def called(*calls: dict[str, Any], **message: Any) -> dict[str, Any]:
    """A chat completion that calls tools."""
    answer = chat_answer()
    answer["choices"][0]["message"] |= {"content": None, "tool_calls": [*calls], **message}
    answer["choices"][0]["finish_reason"] = "tool_calls"
    return answer


def chunks(*deltas: dict[str, Any], finish: str = "stop") -> list[dict[str, Any]]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return [
        *({**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas),
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {**head, "choices": [], "usage": usage},
    ]


# One answer


async def test_a_plain_answer(client: genai.Client, upstream: Upstream) -> None:
    config = types.GenerateContentConfig(
        system_instruction="Be brief.", max_output_tokens=9, temperature=0.5, stop_sequences=["x"]
    )

    answer = await in_thread(
        client.models.generate_content, model=MODEL, contents="Say hello", config=config
    )

    assert answer.text == "Hello"
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (7, 3)
    assert usage.total_token_count == 10
    assert (answer.response_id, answer.model_version) == ("chatcmpl-1", "m")
    [received] = upstream.requests
    assert received.path == "/v1/chat/completions"
    assert received.json == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Say hello"},
        ],
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "stop": ["x"],
    }
    assert (received.header("authorization") or "").startswith("Bearer sk-canary-")


@pytest.mark.parametrize("model", [MOCK, f"models/{MOCK}", f"models/models/{MOCK}"])
@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
async def test_every_way_to_name_a_model(gateway: Gateway, version: str, model: str) -> None:
    with client_of(gateway, api_version=version) as client:
        answer = await in_thread(client.models.generate_content, model=model, contents="Say hello")

    assert "Say hello" in answer.text


async def test_a_slash_may_be_encoded(gateway: Gateway) -> None:
    body = {"contents": [{"parts": [{"text": "Say hello"}]}]}

    answer = await gateway.post(body, "/genai/v1beta/models/mock%2Fecho:generateContent")

    assert answer.status_code == 200
    assert "Say hello" in answer.json()["candidates"][0]["content"]["parts"][0]["text"]


async def test_pictures_and_documents(client: genai.Client, upstream: Upstream) -> None:
    contents = [
        "What is this?",
        types.Part.from_bytes(data=PICTURE, mime_type="image/png"),
        types.Part.from_bytes(data=b"%PDF", mime_type="application/pdf"),
        types.Part.from_bytes(data=b"RIFF", mime_type="audio/wav"),
        types.Part.from_bytes(data=b"words", mime_type="text/markdown"),
    ]

    await in_thread(client.models.generate_content, model=MODEL, contents=contents)

    [message] = upstream.requests[0].json["messages"]
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR//++/8="}},
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "file.pdf"},
        },
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "text", "text": "words"},
    ]


async def test_an_answer_in_the_form_asked_for(client: genai.Client, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o-mini"] = [plain(chat_answer('{"name":"Ann","age":3}'))]
    schema = types.Schema(
        type=types.Type.OBJECT,
        properties={
            "age": types.Schema(type=types.Type.INTEGER),
            "name": types.Schema(type=types.Type.STRING, nullable=True),
        },
        required=["name"],
        property_ordering=["name", "age"],
    )
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=schema
    )

    answer = await in_thread(
        client.models.generate_content, model=MODEL, contents="Who?", config=config
    )

    assert json.loads(answer.text) == {"name": "Ann", "age": 3}
    told = upstream.requests[0].json["response_format"]
    assert told["type"] == "json_schema"
    assert told["json_schema"]["schema"] == {
        "type": "object",
        "properties": {"name": {"type": ["string", "null"]}, "age": {"type": "integer"}},
        "required": ["name"],
    }
    assert [*told["json_schema"]["schema"]["properties"]] == ["name", "age"]


# Streams and conversations


async def test_a_stream(client: genai.Client, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o-mini"] = [stream()]

    def read() -> list[types.GenerateContentResponse]:
        return [*client.models.generate_content_stream(model=MODEL, contents="Say hello")]

    events = await in_thread(read)

    assert [event.text for event in events] == ["Hel", "lo", ""]
    *first, last = events
    assert all(event.candidates[0].finish_reason is None for event in first)
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    assert last.usage_metadata.total_token_count == 10
    assert upstream.requests[0].json["stream"] is True


async def test_a_conversation_is_kept_by_the_sdk(client: genai.Client, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o-mini"] = [stream(), plain(chat_answer("Bye"))]

    def talk() -> str | None:
        chat = client.chats.create(model=MODEL)
        for _ in chat.send_message_stream("Say hello"):
            pass
        return chat.send_message("And now?").text

    assert await in_thread(talk) == "Bye"
    assert upstream.requests[1].json["messages"] == [
        {"role": "user", "content": "Say hello"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "And now?"},
    ]


async def test_silence_does_no_harm_to_the_sdk(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts["slow"] = [stream(pause_s=0.1)]
    config = {
        "client": {"sse_keepalive_s": 0.03},
        "providers": {"openai": openai_provider(upstream.url)},
    }

    def read(client: genai.Client) -> list[str | None]:
        asked = client.models.generate_content_stream(model="openai/slow", contents="x")
        return [event.text for event in asked]

    async with running(config, tmp_path) as gateway:
        with client_of(gateway) as client:
            texts = await in_thread(read, client)
        plain_lines = await gateway.post(
            {"contents": [{"parts": [{"text": "x"}]}]},
            "/genai/v1beta/models/openai/slow:streamGenerateContent",
        )

    assert texts == ["Hel", "lo", ""]
    assert "\n\n\n\n" in plain_lines.text


# Tools


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}"


async def test_the_sdk_calls_functions_of_itself(client: genai.Client, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o-mini"] = [plain(called(CALL)), plain(chat_answer("Sunny!"))]
    config = types.GenerateContentConfig(tools=[weather])

    answer = await in_thread(
        client.models.generate_content, model=MODEL, contents="Weather?", config=config
    )

    assert answer.text == "Sunny!"
    first, second = (received.json for received in upstream.requests)
    [tool] = first["tools"]
    assert tool["function"]["name"] == "weather"
    assert tool["function"]["parameters"]["properties"]["city"]["type"] == "string"
    assert second["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {
            "role": "tool",
            "tool_call_id": "call_weather_1",
            "content": '{"result":"Sunny in Paris"}',
        },
    ]


async def test_calls_in_a_stream_come_whole_at_its_end(
    client: genai.Client, upstream: Upstream
) -> None:
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"ci', 'ty":"Paris"}')]
    begun = {**CALL, "index": 0, "function": {"name": "weather", "arguments": ""}}
    upstream.scripts["gpt-4o-mini"] = [
        stream(chunks(*({"tool_calls": [each]} for each in (begun, *pieces)), finish="tool_calls"))
    ]
    tools: Any = [
        types.Tool(function_declarations=[types.FunctionDeclaration(name="weather")]),
        types.Tool(google_search=types.GoogleSearch()),
    ]
    config = types.GenerateContentConfig(tools=tools)

    def read() -> list[types.GenerateContentResponse]:
        asked = client.models.generate_content_stream(model=MODEL, contents="x", config=config)
        return [*asked]

    [event] = await in_thread(read)

    [call] = event.function_calls
    assert (call.id, call.name, call.args) == ("call_weather_1", "weather", {"city": "Paris"})
    assert event.sdk_http_response.headers["x-bf-dropped-params"] == "tools.google_search"


async def test_blocks_of_thinking_come_back_through_the_sdk(
    client: genai.Client, upstream: Upstream
) -> None:
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "sig=="}]
    thought = called(CALL, reasoning="Hm.", reasoning_details=details)
    upstream.scripts["llama"] = [plain(thought)]
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    )

    answer = await in_thread(
        client.models.generate_content, model="groq/llama", contents="x", config=config
    )

    shown, call = answer.candidates[0].content.parts
    assert (shown.text, shown.thought) == ("Hm.", True)
    assert call.thought_signature.startswith(b"bifrost-thoughts:")
    assert json.loads(call.thought_signature.partition(b":")[2]) == details


# Embeddings, counts, models


async def test_embeddings(client: genai.Client, upstream: Upstream) -> None:
    upstream.scripts["e"] = [
        plain({"data": [{"index": n, "embedding": [n, 0.5]} for n in range(2)], "model": "e"})
    ]
    config = types.EmbedContentConfig(output_dimensionality=2, task_type="RETRIEVAL_QUERY")

    answer = await in_thread(
        client.models.embed_content, model="openai/e", contents=["a", "b"], config=config
    )

    assert [each.values for each in answer.embeddings] == [[0.0, 0.5], [1.0, 0.5]]
    assert upstream.requests[0].json == {"model": "e", "input": ["a", "b"], "dimensions": 2}


async def test_one_embedding(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["e"] = [plain({"data": [{"index": 0, "embedding": [1, 0.5]}], "model": "e"})]
    body = {"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}

    answer = await gateway.post(body, "/genai/v1beta/models/openai/e:embedContent")

    assert answer.json() == {"embedding": {"values": [1, 0.5]}}
    assert answer.headers["x-bf-dropped-params"] == "task_type"


async def test_tokens_are_counted(client: genai.Client, upstream: Upstream) -> None:
    counted = {"object": "response.input_tokens", "input_tokens": 11}
    upstream.scripts["POST /v1/responses/input_tokens"] = [plain(counted)]
    upstream.scripts["counted"] = [plain(counted)]

    answer = await in_thread(
        client.models.count_tokens, model="openai/counted", contents="How many?"
    )

    assert answer.total_tokens == 11
    assert "How many?" in upstream.requests[0].body.decode()


async def test_models(client: genai.Client, upstream: Upstream) -> None:
    upstream.scripts["GET /v1/models"] = [plain({"data": [{"id": "a"}, {"id": "b"}]})]

    def read() -> list[str | None]:
        return [each.name for each in client.models.list(config={"page_size": 2})]

    names = await in_thread(read)
    assert {"models/openai/a", "models/openai/b", "models/groq/a", "models/mock/echo"} <= {*names}
    assert len(names) == len({*names}) > 2
    one = await in_thread(client.models.get, model="openai/a")
    assert (one.name, one.display_name) == ("models/openai/a", "openai/a")
    other = await in_thread(client.models.get, model="nobody/x")
    assert (other.name, other.display_name) == ("models/nobody/x", None)


# Failures


async def test_an_upstreams_refusal_has_googles_shape(
    client: genai.Client, upstream: Upstream
) -> None:
    refusal = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "slow"}}
    upstream.scripts["limited"] = [status(429, refusal, {"retry-after": "7"})]

    with pytest.raises(errors.ClientError) as caught:
        await in_thread(client.models.generate_content, model="lone-429/limited", contents="x")

    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert caught.value.message == "slow down"
    info, retry = caught.value.details["error"]["details"]
    assert (info["reason"], info["metadata"]) == (
        "slow",
        {"provider": "lone-429", "model": "limited"},
    )
    assert retry["retryDelay"] == "7s"


async def test_a_mistake_is_told_with_its_place(gateway: Gateway) -> None:
    body = {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "!"}}]}]}

    answer = await gateway.post(body, "/genai/v1beta/models/openai/m:generateContent")

    told = answer.json()["error"]
    assert (answer.status_code, told["code"], told["status"]) == (400, 400, "INVALID_ARGUMENT")
    [place] = told["details"][0]["fieldViolations"]
    assert place["field"] == "contents[0].parts[0].inlineData.data"


async def test_a_stream_that_breaks_off_raises(client: genai.Client, upstream: Upstream) -> None:
    upstream.scripts["gpt-4o-mini"] = [stream(done=False, end=False)]
    texts: list[str | None] = []

    def read() -> None:
        for event in client.models.generate_content_stream(model=MODEL, contents="x"):
            texts.append(event.text)  # noqa: PERF401  what came before the error counts

    with pytest.raises(errors.APIError) as caught:
        await in_thread(read)

    assert texts == ["Hel", "lo"]
    assert caught.value.code == 502


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/genai/v1beta/models/openai/m:predict", 400),
        ("POST", "/genai/v1beta/models/openai/m:generateContent", 400),
        ("GET", "/genai/v1beta/models/openai/m:generateContent", 405),
        ("POST", "/genai/v1beta/models/openai/m", 405),
        ("GET", "/genai/v1beta/nothing", 404),
        ("GET", "/genai/v1beta/models?pageSize=x", 400),
    ],
)
async def test_whatever_fails_has_googles_shape(
    gateway: Gateway, method: str, path: str, code: int
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answer = await client.request(method, path, content=b"{" if method == "POST" else None)

    assert answer.status_code == code
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["status"].isupper()


async def test_a_key_in_the_query_is_never_logged(gateway: Gateway, upstream: Upstream) -> None:
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    secret = "AIza-canary-query-key"

    for path in ("openai/m:generateContent", "openai/m:predict", "openai/m:nothing"):
        await gateway.post(body, f"/genai/v1beta/models/{path}?key={secret}")
    await gateway.get(f"/genai/v1beta/models?key={secret}")

    assert secret not in gateway.text
    assert all(secret not in str(received) for received in upstream.requests)


async def test_gemini_clis_way_to_ask(gateway: Gateway, upstream: Upstream) -> None:
    """Many tools with raw schemas, thinking, a sampling of its own, ``alt=sse``; its key in Google's header."""
    upstream.scripts["gpt-5"] = [stream()]
    body = {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "systemInstruction": {"role": "user", "parts": [{"text": "You are a CLI."}]},
        "tools": [
            {
                "functionDeclarations": [
                    {"name": f"tool_{n}", "parametersJsonSchema": {"type": "object"}}
                    for n in range(60)
                ]
            }
        ],
        "generationConfig": {
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192},
        },
    }
    headers = {"x-goog-api-key": "sk-bf-virtual", "user-agent": "GeminiCLI/1.0 (linux; x64)"}

    answer = await gateway.post(
        body, "/genai/v1beta/models/openai/gpt-5:streamGenerateContent?alt=sse", headers=headers
    )

    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [event["candidates"][0]["content"]["parts"] for event in events] == [
        [{"text": "Hel"}],
        [{"text": "lo"}],
        [{"text": ""}],
    ]
    assert answer.headers["x-bf-dropped-params"] == "generationConfig.topK"
    asked = upstream.requests[0].json
    assert len(asked["tools"]) == 60
    assert asked["reasoning_effort"]


async def test_a_fallback(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["broken"] = [raw()]
    body = {"contents": [{"parts": [{"text": "x"}]}], "fallbacks": ["groq/good"]}

    answer = await gateway.post(body, "/genai/v1beta/models/openai/broken:generateContent")

    assert answer.json()["candidates"][0]["content"]["parts"] == [{"text": "Hello"}]
    assert upstream.of("good")


# On asyncio


async def on_asyncio(gateway: Gateway, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        with client_of(gateway) as client:
            async with client.aio as aio:
                return await work(aio)

    return await in_thread(partial(anyio.run, run, backend="asyncio"))


# The SDK's own affair, where aiohttp is installed.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
async def test_the_async_client(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["streamed"] = [stream()]

    async def work(aio: Any) -> tuple[str, str]:
        plain_answer = await aio.models.generate_content(model=MODEL, contents="x")
        events: AsyncIterator[Any] = await aio.models.generate_content_stream(
            model="openai/streamed", contents="x"
        )
        return plain_answer.text, "".join([event.text or "" async for event in events])

    assert await on_asyncio(gateway, work) == ("Hello", "Hello")


async def test_another_provider_speaks(client: genai.Client, upstream: Upstream) -> None:
    pcm = bytes(range(256)) * 999
    upstream.scripts["gpt-4o-mini-tts"] = [status(200, pcm, {"content-type": "audio/pcm"})]
    voice = types.PrebuiltVoiceConfig(voice_name="nova")
    asking = types.GenerateContentConfig(
        response_modalities=["AUDIO"],
        system_instruction="Softly",
        speech_config=types.SpeechConfig(
            voice_config=types.VoiceConfig(prebuilt_voice_config=voice)
        ),
    )
    asked: dict[str, Any] = {
        "model": "openai/gpt-4o-mini-tts",
        "contents": "Say hello",
        "config": asking,
    }

    told = await in_thread(client.models.generate_content, **asked)
    with pytest.raises(errors.ClientError, match="not streamed"):
        await in_thread(lambda: list(client.models.generate_content_stream(**asked)))

    sound = told.candidates[0].content.parts[0].inline_data
    assert sound.mime_type == "audio/L16;codec=pcm;rate=24000"
    assert sound.data == pcm
    assert upstream.requests[0].path == "/v1/audio/speech"
    assert upstream.requests[0].json == {
        "model": "gpt-4o-mini-tts",
        "input": "Say hello",
        "voice": "nova",
        "response_format": "pcm",
        "instructions": "Softly",
    }
