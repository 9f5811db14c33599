"""Every operation with a JSON body but chat, asked for with the real OpenAI SDK for Python."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from system.answers import (
    USAGE,
    completion,
    embedding,
    named,
    picture_events,
    pictures,
    response,
    response_events,
)
from system.sdk import in_thread, sdk
from system.upstream import Upstream, plain, raw, status, stream

if TYPE_CHECKING:
    from system.process import Gateway

pytestmark = pytest.mark.system


@pytest.mark.parametrize("path", ["/openai", "/openai/v1"])
async def test_a_plain_response(gateway: Gateway, upstream: Upstream, path: str) -> None:
    upstream.scripts["m"] = [plain(response())]

    answer = await in_thread(sdk(gateway, path).responses.create, model="m", input="Hi")

    assert answer.output_text == "Hello"
    assert answer.usage.total_tokens == 7
    assert answer.model_extra["extra_fields"]["request_type"] == "responses"
    [received] = upstream.requests
    assert received.path == "/v1/responses"
    assert received.json == {"model": "m", "input": "Hi"}


async def test_a_streamed_response(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["m"] = [named(response_events())]

    def ask() -> tuple[Any, list[str]]:
        with sdk(gateway).responses.stream(model="m", input="Hi") as events:
            kinds: list[str] = [event.type for event in events]
            return events.get_final_response(), kinds

    answer, kinds = await in_thread(ask)

    assert answer.output_text == "Hello"
    assert answer.usage.total_tokens == 7
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    [line] = await gateway.wait_for("request completed", request_type="responses_stream")
    assert line["total_tokens"] == 7


async def test_the_wire_of_a_streamed_response(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["m"] = [named(response_events("H"))]

    async with httpx.AsyncClient() as client:
        answer = await client.post(
            gateway.url + "/openai/v1/responses", json={"model": "m", "input": "x", "stream": True}
        )

    frames = answer.text.split("\n\n")
    assert frames.pop() == ""
    told = [frame.split("\n") for frame in frames]
    assert [lines[0] for lines in told] == [f"event: {e['type']}" for e in response_events("H")]
    bodies = [json.loads(lines[1].removeprefix("data: ")) for lines in told]
    extras = [body.pop("extra_fields") for body in bodies]
    assert bodies == response_events("H")
    assert [extra["chunk_index"] for extra in extras] == list(range(len(bodies)))
    assert "[DONE]" not in answer.text


async def test_a_response_stream_cut_short_is_an_error(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["m"] = [named(response_events()[:4])]

    def ask() -> None:
        for _ in sdk(gateway).responses.create(model="m", input="Hi", stream=True):
            pass

    with pytest.raises(openai.APIError, match="ended before its end marker"):
        await in_thread(ask)


async def test_a_failed_response_is_an_answer(gateway: Gateway, upstream: Upstream) -> None:
    failed = {**response(state="failed"), "error": {"code": "server_error", "message": "oops"}}
    upstream.scripts["m"] = [plain(failed)]

    answer = await in_thread(sdk(gateway).responses.create, model="m", input="Hi")

    assert answer.status == "failed"
    assert answer.error.message == "oops"


async def test_input_tokens(gateway: Gateway, upstream: Upstream) -> None:
    counted = {"object": "response.input_tokens", "input_tokens": 11}
    upstream.scripts["m"] = [plain(counted)]

    answer = await in_thread(sdk(gateway).responses.input_tokens.count, model="m", input="Hi")

    assert answer.input_tokens == 11
    assert upstream.requests[0].path == "/v1/responses/input_tokens"


async def test_completions(gateway: Gateway, upstream: Upstream) -> None:
    parts = [{**completion(*part), "usage": None} for part in (("Hel", None), ("lo", "stop"))]
    closing = {**completion(), "choices": []}
    upstream.scripts["m"] = [plain(completion()), stream([*parts, closing])]
    create = sdk(gateway).completions.create

    plainly = await in_thread(create, model="m", prompt=["Say"])
    streamed = await in_thread(lambda: list(create(model="m", prompt="Say", stream=True)))

    assert plainly.choices[0].text == "Hello"
    assert "".join(chunk.choices[0].text for chunk in streamed) == "Hello"
    assert streamed[-1].usage.total_tokens == 3
    assert [r.path for r in upstream.requests] == ["/v1/completions"] * 2
    assert upstream.requests[1].json["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "asked",
    ["text", ["one", "two"], [1, 2, 3], [[1, 2], [3]]],
    ids=["text", "texts", "ids", "lists"],
)
async def test_embeddings(gateway: Gateway, upstream: Upstream, asked: Any) -> None:
    vector = base64.b64encode(bytes.fromhex("0000803f00000040")).decode()
    upstream.scripts["m"] = [plain(embedding(vector))]

    # The SDK asks for base64 of its own accord, and decodes it.
    answer = await in_thread(sdk(gateway).embeddings.create, model="m", input=asked)

    assert answer.data[0].embedding == [1.0, 2.0]
    assert answer.usage.prompt_tokens == 4
    [received] = upstream.requests
    assert received.json == {"model": "m", "input": asked, "encoding_format": "base64"}


async def test_moderations_have_a_model_of_their_own(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["omni-moderation-latest"] = [
        plain({"id": "modr-1", "model": "omni-moderation-latest", "results": []})
    ]

    answer = await in_thread(sdk(gateway).moderations.create, input="text")

    assert answer.id == "modr-1"
    assert upstream.requests[0].json == {"input": "text", "model": "omni-moderation-latest"}


async def test_speech_is_relayed_as_bytes(gateway: Gateway, upstream: Upstream) -> None:
    sound = bytes(range(256)) * 2000
    upstream.scripts["tts"] = [status(200, sound, {"content-type": "audio/wav"})]

    def ask() -> tuple[bytes, Any]:
        create = sdk(gateway).audio.speech.with_raw_response.create
        told = create(model="tts", voice="alloy", input="Hi", response_format="wav")
        return told.content, told.headers

    got, headers = await in_thread(ask)

    assert got == sound
    assert headers["content-type"] == "audio/wav"
    assert headers["content-length"] == str(len(sound))
    assert "x-bf-overhead-us" in headers


async def test_speech_cut_short_does_not_look_complete(
    gateway: Gateway, upstream: Upstream
) -> None:
    head = b"HTTP/1.1 200 X\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
    upstream.scripts["tts"] = [raw(head + b"5\r\nhello\r\n")]

    with pytest.raises((openai.APIError, httpx.HTTPError)):
        await in_thread(sdk(gateway).audio.speech.create, model="tts", voice="alloy", input="Hi")


async def test_speech_as_events(gateway: Gateway, upstream: Upstream) -> None:
    events: list[dict[str, Any]] = [
        {"type": "speech.audio.delta", "audio": "aGk="},
        {"type": "speech.audio.done", "usage": USAGE},
    ]
    upstream.scripts["tts"] = [stream(events)]

    async with httpx.AsyncClient() as client:
        asked = {"model": "tts", "voice": "v", "input": "x", "stream_format": "sse"}
        answer = await client.post(gateway.url + "/openai/v1/audio/speech", json=asked)

    *told, done, last = answer.text.split("\n\n")
    assert (done, last) == ("data: [DONE]", "")
    bodies = [json.loads(frame.removeprefix("data: ")) for frame in told]
    assert [body["type"] for body in bodies] == ["speech.audio.delta", "speech.audio.done"]
    assert bodies[0]["extra_fields"]["request_type"] == "speech_stream"


async def test_images(gateway: Gateway, upstream: Upstream) -> None:
    events = picture_events()
    upstream.scripts["gpt-image-1"] = [plain(pictures()), named(events)]
    generate = sdk(gateway).images.generate

    plainly = await in_thread(generate, model="gpt-image-1", prompt="a cat")
    streamed = await in_thread(
        lambda: list(generate(model="gpt-image-1", prompt="a cat", stream=True, partial_images=1))
    )

    assert plainly.data[0].b64_json == "aGk="
    assert [event.type for event in streamed] == [event["type"] for event in events]


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("completions", {}, "prompt is required for text completion"),
        ("responses", {}, "input is required for responses"),
        ("responses/input_tokens", {}, "input is required for responses"),
        ("embeddings", {"input": []}, "input is required for embeddings"),
        ("moderations", {}, "input is required for moderation"),
        ("rerank", {"query": " "}, "query is required for rerank"),
        ("rerank", {"query": "q"}, "documents are required for rerank"),
        (
            "rerank",
            {"query": "q", "documents": ["a", {"text": " "}]},
            "document text is required for rerank at index 1",
        ),
        ("rerank", {"query": "q", "documents": ["a"], "top_n": 0}, "top_n must be at least 1"),
        ("audio/speech", {"voice": "v"}, "input is required for speech completion"),
        ("audio/speech", {"input": "x"}, "voice is required for speech completion"),
        ("images/generations", {"prompt": ""}, "prompt cannot be empty"),
    ],
)
async def test_what_is_missing_is_told(
    gateway: Gateway, path: str, body: dict[str, Any], text: str
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        on_openai = await client.post(f"/openai/v1/{path}", json={"model": "m", **body})
        natively = await client.post(f"/v1/{path}", json={"model": "openai/m", **body})

    for answer in (on_openai, natively):
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, text)


async def test_an_operation_the_provider_has_not(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await in_thread(sdk(gateway).embeddings.create, model="groq/m", input="x")

    assert caught.value.code == "unsupported_operation"
    assert "embedding is not supported by groq provider" in str(caught.value)


async def test_rerank_falls_back_like_any_call(gateway: Gateway, upstream: Upstream) -> None:
    asked = {
        "model": "groq/r",
        "query": "q",
        "documents": ["a", "b"],
        "fallbacks": ["lone-400/r2"],
    }
    ranked = {"results": [{"index": 1, "relevance_score": 0.9}], "model": "r2"}
    upstream.scripts["r2"] = [plain(ranked)]

    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answer = await client.post("/openai/v1/rerank", json=asked)

    assert answer.status_code == 200
    assert answer.json()["results"] == ranked["results"]
    assert upstream.requests[0].path == "/v1/rerank"
