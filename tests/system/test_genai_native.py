"""Google's own SDK through the gateway to an upstream that speaks Gemini: requests and answers as they came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google import genai
from google.genai import errors, types

from system.gemini_upstream import answer, predicting, strict, strict_stream
from system.process import Gateway, openai_provider, running
from system.sdk import in_thread
from system.upstream import Upstream, plain, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

MODEL = "gemini-2.5-flash"
PATH = f"/v1beta/models/{MODEL}"


@pytest.fixture
async def gateway(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    quick = {"network_config": {"base_url": upstream.url, "max_retries": 0}}
    key = {"name": "one", "value": "AIza-canary-aaaaaaaa", "models": ["*"]}
    providers = {
        "gemini": {"keys": [key], **quick},
        "openai": openai_provider(upstream.url),
    }
    async with running({"providers": providers}, tmp_path) as it:
        yield it
    assert "canary" not in it.text


@pytest.fixture
def client(gateway: Gateway) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=f"{gateway.url}/genai")
    with genai.Client(api_key="unused", http_options=options) as it:
        yield it


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}"


async def test_an_answer_and_its_request_as_they_came(
    client: genai.Client, upstream: Upstream
) -> None:
    upstream.scripts[f"{PATH}:generateContent"] = [
        strict(answer({"text": "Hello"}, promptFeedback={"safetyRatings": []}))
    ]
    config = types.GenerateContentConfig(
        speech_config=types.SpeechConfig(language_code="de-DE"),
        safety_settings=[
            types.SafetySetting(
                category=types.HarmCategory.HARM_CATEGORY_HARASSMENT,
                threshold=types.HarmBlockThreshold.BLOCK_NONE,
            )
        ],
        tools=[types.Tool(google_search=types.GoogleSearch())],
    )

    told = await in_thread(
        client.models.generate_content, model=MODEL, contents="Say hello", config=config
    )

    assert told.text == "Hello"
    assert told.prompt_feedback is not None
    assert "x-bf-dropped-params" not in told.sdk_http_response.headers
    asked = upstream.requests[0].json
    # The SDK's own spelling, which nobody touches.
    assert asked["generationConfig"] == {"speechConfig": {"language_code": "de-DE"}}
    assert asked["safetySettings"]
    assert asked["tools"] == [{"googleSearch": {}}]
    assert upstream.requests[0].header("x-goog-api-key") == "AIza-canary-aaaaaaaa"


async def test_a_stream(client: genai.Client, upstream: Upstream) -> None:
    events = [answer({"text": "Hel"}, reason=None), answer({"text": "lo"})]
    upstream.scripts[f"{PATH}:streamGenerateContent?alt=sse"] = [strict_stream(events)]

    def read() -> list[str | None]:
        asked = client.models.generate_content_stream(model=f"gemini/{MODEL}", contents="x")
        return [event.text for event in asked]

    assert await in_thread(read) == ["Hel", "lo"]


async def test_signed_calls_in_a_conversation(client: genai.Client, upstream: Upstream) -> None:
    model = "gemini-3-pro"
    call = {"functionCall": {"name": "weather", "args": {"city": "Rome"}}}
    upstream.scripts[f"/v1beta/models/{model}:generateContent"] = [
        strict(answer({**call, "thoughtSignature": "c2lnbmVk"})),
        strict(answer({"text": "Sunny!"})),
    ]
    config = types.GenerateContentConfig(tools=[weather])

    told = await in_thread(
        client.models.generate_content, model=model, contents="Weather?", config=config
    )

    assert told.text == "Sunny!"
    assert upstream.requests[1].json["contents"][1]["parts"][0]["thoughtSignature"] == "c2lnbmVk"


async def test_a_conversation_goes_on_with_gemini_that_another_began(
    client: genai.Client, upstream: Upstream
) -> None:
    function = {"name": "weather", "arguments": '{"city":"Rome"}'}
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "s"}]
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        "reasoning_details": details,
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    upstream.scripts["gpt"] = [plain({"id": "1", "model": "gpt", "choices": [choice]})]
    upstream.scripts["/v1beta/models/gemini-3-pro:generateContent"] = [
        strict(answer({"text": "Sunny!"}))
    ]
    tools: Any = [types.Tool(function_declarations=[types.FunctionDeclaration(name="weather")])]
    config = types.GenerateContentConfig(tools=tools)

    def talk() -> str | None:
        ask = client.models.generate_content
        first = ask(model="openai/gpt", contents="Weather?", config=config)
        result = types.Part.from_function_response(name="weather", response={"result": "sun"})
        said: Any = [
            types.UserContent("Weather?"),
            first.candidates[0].content,  # type: ignore[index]  # None would fail it as well
            types.UserContent([result]),
        ]
        return ask(model="gemini-3-pro", contents=said, config=config).text

    assert await in_thread(talk) == "Sunny!"


async def test_embeddings_and_counts(client: genai.Client, upstream: Upstream) -> None:
    upstream.scripts["/v1beta/models/e:batchEmbedContents"] = [
        plain({"embeddings": [{"values": [1, 2]}, {"values": [3, 4]}]})
    ]
    upstream.scripts[f"{PATH}:countTokens"] = [
        plain({"totalTokens": 5, "cachedContentTokenCount": 1})
    ]
    config = types.EmbedContentConfig(task_type="CLUSTERING", output_dimensionality=2)

    vectors = await in_thread(
        client.models.embed_content, model="e", contents=["a", "b"], config=config
    )
    counted = await in_thread(client.models.count_tokens, model=MODEL, contents="x")

    assert [each.values for each in vectors.embeddings] == [[1.0, 2.0], [3.0, 4.0]]
    first = upstream.requests[0].json["requests"][0]
    assert (first["taskType"], first["outputDimensionality"]) == ("CLUSTERING", 2)
    assert (counted.total_tokens, counted.cached_content_token_count) == (5, 1)


async def test_a_refusal(client: genai.Client, upstream: Upstream) -> None:
    refusal = {"error": {"code": 404, "message": "no such model", "status": "NOT_FOUND"}}
    upstream.scripts[f"{PATH}:generateContent"] = [status(404, refusal)]

    with pytest.raises(errors.ClientError) as caught:
        await in_thread(client.models.generate_content, model=MODEL, contents="x")

    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    assert caught.value.message == "no such model"


async def test_a_fallback_gets_the_request_in_other_words(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts[f"{PATH}:generateContent"] = [status(503, {"error": {"code": 503}})]
    body = {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "generationConfig": {"topK": 3},
        "fallbacks": ["openai/m"],
    }

    told = await gateway.post(body, f"/genai{PATH}:generateContent")

    assert told.json()["candidates"][0]["content"]["parts"] == [{"text": "Hello"}]
    assert told.headers["x-bf-dropped-params"] == "generationConfig.topK"
    first, second = (json.loads(received.body) for received in upstream.requests)
    assert first == {name: body[name] for name in ("contents", "generationConfig")}
    assert second["messages"] == [{"role": "user", "content": "x"}]


async def test_pictures_of_imagen(gateway: Gateway, upstream: Upstream) -> None:
    told = {"predictions": [{"bytesBase64Encoded": "iVBORw0KGgo=", "odd": {"a": 1.0}}]}
    path = "/v1beta/models/imagen-4.0-generate-001:predict"
    upstream.scripts[path] = [predicting(told)]
    asked = {"instances": [{"prompt": "A cat"}], "parameters": {"negativePrompt": "x"}}

    answered = await gateway.post(asked, f"/genai{path}")

    assert answered.json() == told
    assert upstream.requests[0].json == asked


async def test_pictures_of_another_provider(gateway: Gateway, upstream: Upstream) -> None:
    """Asked for as of Imagen, drawn by whoever is named; what it has no word for is named too."""
    drawn = {"created": 1, "data": [{"b64_json": "iVBORw0KGgo="}], "output_format": "jpeg"}
    upstream.scripts["gpt-image-1"] = [plain(drawn)]
    parameters = {"sampleCount": 1, "aspectRatio": "1:1", "negativePrompt": "dogs"}
    asked = {"instances": [{"prompt": "A cat"}], "parameters": parameters}
    path = "/genai/v1beta/models/openai/gpt-image-1:predict"

    answered = await gateway.post(asked, path)

    picture = {"mimeType": "image/jpeg", "bytesBase64Encoded": "iVBORw0KGgo="}
    assert answered.json() == {"predictions": [picture]}
    assert answered.headers["x-bf-dropped-params"] == "parameters.negativePrompt"
    sent = {"model": "gpt-image-1", "prompt": "A cat", "n": 1, "size": "1024x1024"}
    assert upstream.requests[0].json == sent
    asked["instances"][0] |= {"image": {"bytesBase64Encoded": "iVBORw0KGgo="}}  # type: ignore[index]  # any JSON
    refused = await gateway.post(asked, path)
    assert refused.status_code == 400
    assert "instances.image" in refused.json()["error"]["message"]
