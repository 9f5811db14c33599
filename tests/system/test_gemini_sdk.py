"""OpenAI's own client against a gateway before an upstream as strict as Gemini."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

from system.gemini_upstream import (
    answer,
    complaint,
    complaint_of_imagen,
    predicting,
    strict,
    strict_stream,
)
from system.process import Gateway, running
from system.sdk import OPENED, in_thread
from system.upstream import Upstream, plain, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system

KEY = "AIza-canary-aaaaaaaaaaaaaaaaaaaaaaaaaa"
SIGNATURE = base64.b64encode(b"thoughts \xff\xfe of Gemini").decode()
HI: list[Any] = [{"role": "user", "content": "Say hello"}]
PNG = "iVBORw0KGgo="
CALLS = [
    {"functionCall": {"id": "f1", "name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": SIGNATURE},
    {"functionCall": {"id": "f2", "name": "weather", "args": {"city": "Oslo"}}},
]  # fmt: skip
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "unit": {"type": ["string", "null"]}},
                "required": ["city"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
]


@pytest.fixture
async def gateway(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    gemini = {
        "keys": [{"name": "one", "value": KEY, "models": ["*"]}],
        "network_config": {"base_url": upstream.url, "max_retries": 0},
    }
    async with running({"providers": {"gemini": gemini}}, tmp_path) as it:
        yield it
    assert "canary" not in it.text


def sdk(gateway: Gateway) -> openai.OpenAI:
    client = openai.OpenAI(base_url=f"{gateway.url}/openai/v1", api_key="unused", max_retries=0)
    OPENED.append(client)
    return client


async def test_chat(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts[""] = [strict(answer({"text": "Hello"}))]

    told = await in_thread(
        sdk(gateway).chat.completions.create,
        model="gemini/gemini-2.5-flash",
        messages=[{"role": "developer", "content": "Be kind"}, *HI],
        temperature=0.5,
        reasoning_effort="low",
        user="u",
    )

    assert told.choices[0].message.content == "Hello"
    assert told.usage.total_tokens == 10
    assert told.extra_fields["dropped_params"] == ["user"]
    [received] = upstream.requests
    assert received.path == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert received.header("x-goog-api-key") == KEY


async def test_chat_streamed(gateway: Gateway, upstream: Upstream) -> None:
    events = [
        answer({"text": "hm", "thought": True}, reason=None),
        answer({"text": "Hel"}, reason=None),
        answer({"text": "lo"}),
    ]
    upstream.scripts[""] = [strict_stream(events)]
    create = sdk(gateway).chat.completions.create

    def ask() -> list[Any]:
        return list(create(model="gemini/gemini-2.5-flash", messages=HI, stream=True))

    chunks = await in_thread(ask)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert chunks[0].choices[0].delta.reasoning == "hm"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.total_tokens == 10
    assert upstream.requests[0].path.endswith(":streamGenerateContent?alt=sse")


@pytest.mark.parametrize("keeps", ["everything", "only what OpenAI has"])
@pytest.mark.parametrize("streams", [False, True])
async def test_a_loop_of_tools(
    gateway: Gateway, upstream: Upstream, keeps: str, streams: bool
) -> None:
    first = strict_stream([answer(CALLS[0], reason=None), answer(CALLS[1])])
    upstream.scripts[""] = [
        first if streams else strict(answer(*CALLS)),
        strict(answer({"text": "Sunny"})),
    ]
    chat = sdk(gateway).chat.completions
    model = "gemini/gemini-3-pro-preview"

    def ask() -> Any:
        if not streams:
            return chat.create(model=model, messages=HI, tools=TOOLS).choices[0].message
        with chat.stream(model=model, messages=HI, tools=TOOLS) as stream:
            stream.until_done()
            return stream.get_final_completion().choices[0].message

    message = await in_thread(ask)
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in message.tool_calls
    ]  # fmt: skip
    own: Any = message if keeps == "everything" else {"role": "assistant", "tool_calls": calls}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in calls]
    told = await in_thread(chat.create, model=model, messages=[*HI, own, *results], tools=TOOLS)

    assert told.choices[0].message.content == "Sunny"
    sent = upstream.requests[1].json["contents"]
    assert sent[1]["parts"] == CALLS
    assert [part["functionResponse"]["id"] for part in sent[2]["parts"]] == ["f1", "f2"]


async def test_a_loop_that_another_model_began(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts[""] = [strict(answer({"text": "Sunny"}))]
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages: list[Any] = [
        *HI,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]

    told = await in_thread(
        sdk(gateway).chat.completions.create, model="gemini/gemini-3-pro", messages=messages
    )

    assert told.choices[0].message.content == "Sunny"


async def test_a_picture_goes_in_and_one_comes_out(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts[""] = [strict(answer({"inlineData": {"mimeType": "image/png", "data": PNG}}))]
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

    told = await in_thread(
        sdk(gateway).chat.completions.create,
        model="gemini/gemini-2.5-flash-image",
        messages=[{"role": "user", "content": [image]}],
        modalities=["text", "image"],
    )

    [made] = told.choices[0].message.images
    assert made["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    config = upstream.requests[0].json["generationConfig"]
    assert config == {"responseModalities": ["TEXT", "IMAGE"]}


async def test_pictures(gateway: Gateway, upstream: Upstream) -> None:
    drawn = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    upstream.scripts[""] = [
        strict(answer({"text": "Here"}, drawn)),
        predicting({"predictions": [{"bytesBase64Encoded": PNG, "mimeType": "image/png"}]}),
        strict(answer(reason="IMAGE_SAFETY")),
    ]
    generate = sdk(gateway).images.generate

    by_gemini = await in_thread(
        generate, model="gemini/gemini-2.5-flash-image", prompt="A cat", size="1536x1024", user="u"
    )
    by_imagen = await in_thread(generate, model="gemini/imagen-4.0-generate-001", prompt="A cat")
    with pytest.raises(openai.BadRequestError, match="held back: IMAGE_SAFETY"):
        await in_thread(generate, model="gemini/gemini-2.5-flash-image", prompt="A cat")

    assert [picture.b64_json for picture in by_gemini.data] == [PNG]
    assert (by_gemini.usage.input_tokens, by_gemini.usage.total_tokens) == (7, 10)
    assert by_gemini.extra_fields["dropped_params"] == ["user"]
    assert [picture.b64_json for picture in by_imagen.data] == [PNG]
    first, second, _ = upstream.requests
    assert first.json["generationConfig"]["imageConfig"] == {"aspectRatio": "3:2"}
    assert second.path == "/v1beta/models/imagen-4.0-generate-001:predict"


async def test_speech(gateway: Gateway, upstream: Upstream) -> None:
    pcm = base64.b64encode(b"\0\1" * 500).decode()
    said = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": pcm}}
    upstream.scripts[""] = [strict(answer(said)), strict(answer(reason="OTHER"))]
    speak = sdk(gateway).audio.speech.create
    asked: dict[str, Any] = {
        "model": "gemini/gemini-2.5-flash-preview-tts",
        "input": "Hi",
        "voice": "Kore",
    }

    told = await in_thread(speak, **asked, response_format="wav", speed=1.5)
    with pytest.raises(openai.BadRequestError, match="response_format must be wav or pcm"):
        await in_thread(speak, **asked, response_format="mp3")
    with pytest.raises(openai.APIStatusError, match="no sound: OTHER"):
        await in_thread(speak, **asked)

    assert told.response.headers["content-type"] == "audio/wav"
    assert "speed" in told.response.headers["x-bf-dropped-params"]
    with wave.open(io.BytesIO(told.content)) as file:
        assert (file.getframerate(), file.getnframes()) == (24_000, 500)


async def test_speech_streamed(gateway: Gateway, upstream: Upstream) -> None:
    def said(data: bytes) -> dict[str, Any]:
        kind = "audio/L16;codec=pcm;rate=24000"
        return {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}}

    path = "/v1beta/models/gemini-2.5-flash-preview-tts:streamGenerateContent?alt=sse"
    upstream.scripts[path] = [
        strict_stream([answer(said(b"ab"), reason=None), answer(said(b"cd"))]),
        strict_stream([answer(said(b"ab"), reason=None)]),
    ]
    asked: dict[str, Any] = {
        "model": "gemini/gemini-2.5-flash-preview-tts",
        "input": "Hi",
        "voice": "Kore",
        "response_format": "pcm",
        "stream_format": "sse",
    }
    create = sdk(gateway).audio.speech.create

    whole = (await in_thread(create, **asked)).content
    cut = (await in_thread(create, **asked)).content

    events = [json.loads(line[6:]) for line in whole.split(b"\n") if line.startswith(b"data: {")]
    assert [event["type"] for event in events] == [*["speech.audio.delta"] * 2, "speech.audio.done"]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:2]) == b"abcd"
    assert b"ended before its end marker" in cut
    assert b"speech.audio.done" not in cut


async def test_a_transcript(gateway: Gateway, upstream: Upstream) -> None:
    recording = bytes(range(256)) * 4096 * 3
    plainly = "/v1beta/models/gemini-2.5-flash:generateContent"
    upstream.scripts[plainly] = [strict(answer({"text": "Grüß dich"}))] * 2
    streams = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    upstream.scripts[streams] = [
        strict_stream([answer({"text": "Grüß"}, reason=None), answer({"text": " dich"})])
    ]
    write = sdk(gateway).audio.transcriptions.create
    asked: dict[str, Any] = {
        "model": "gemini/gemini-2.5-flash",
        "file": ("talk.wav", recording, "audio/x-wav"),
        "language": "de",
    }

    told = await in_thread(write, **asked)
    text = await in_thread(write, **asked, response_format="text")

    def listen() -> list[Any]:
        return list(write(**asked, stream=True))

    events = await in_thread(listen)
    assert (told.text, text) == ("Grüß dich", "Grüß dich\n")
    assert told.usage.type == "tokens"
    assert [event.type for event in events] == [
        "transcript.text.delta",
        "transcript.text.delta",
        "transcript.text.done",
    ]
    assert events[-1].text == "Grüß dich"
    sound = upstream.requests[0].json["contents"][0]["parts"][1]["inlineData"]
    assert sound["mimeType"] == "audio/wav"
    assert base64.b64decode(sound["data"]) == recording


async def test_a_picture_is_changed(gateway: Gateway, upstream: Upstream) -> None:
    drawn = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    upstream.scripts[""] = [strict(answer(drawn))]

    told = await in_thread(
        sdk(gateway).images.edit,
        model="gemini/gemini-2.5-flash-image",
        image=[("a.png", b"one", "image/png"), ("b.jpg", b"two", "image/jpeg")],
        prompt="Put one on the other",
        size="1536x1024",
    )

    assert told.data[0].b64_json == PNG
    parts = upstream.requests[0].json["contents"][0]["parts"]
    assert [part.get("inlineData", {}).get("mimeType") for part in parts] == ["image/png", "image/jpeg", None]  # fmt: skip
    assert base64.b64decode(parts[1]["inlineData"]["data"]) == b"two"


def test_imagen_is_strict() -> None:
    asked: dict[str, Any] = {"instances": [{"prompt": "A cat"}], "parameters": {}}

    assert complaint_of_imagen(asked) is None
    assert complaint_of_imagen({"contents": []}) is not None
    for wrong in ({"sampleCount": 5}, {"aspectRatio": "3:2"}, {"size": "1K"}):
        assert complaint_of_imagen({**asked, "parameters": wrong}) is not None


class City(BaseModel):
    name: str
    people: int | None


async def test_structured_output(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts[""] = [strict(answer({"text": '{"name":"Rome","people":null}'}))]

    told = await in_thread(
        sdk(gateway).chat.completions.parse,
        model="gemini/gemini-2.5-flash",
        messages=HI,
        response_format=City,
    )

    assert told.choices[0].message.parsed == City(name="Rome", people=None)
    config = upstream.requests[0].json["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert set(config["responseJsonSchema"]["properties"]) == {"name", "people"}


async def test_embeddings(gateway: Gateway, upstream: Upstream) -> None:
    values = {"embeddings": [{"values": [0.5, -1.0]}, {"values": [2.0, 0.25]}]}
    upstream.scripts[""] = [plain(values)]

    # The client asks for base64 by itself, and decodes it.
    told = await in_thread(
        sdk(gateway).embeddings.create, model="gemini/gemini-embedding-001", input=["a", "b"]
    )

    assert [item.embedding for item in told.data] == [[0.5, -1.0], [2.0, 0.25]]
    [received] = upstream.requests
    assert received.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"


@pytest.mark.parametrize("streams", [False, True])
async def test_responses(gateway: Gateway, upstream: Upstream, streams: bool) -> None:
    told = answer({"text": "Hello"})
    upstream.scripts[""] = [strict_stream([told]) if streams else strict(told)]
    create = sdk(gateway).responses.create
    asked: dict[str, Any] = {"model": "gemini/gemini-2.5-flash", "input": "Say hello"}

    def ask() -> Any:
        if not streams:
            return create(**asked)
        return [event for event in create(**asked, stream=True)][-1].response  # noqa: C416  the last of a stream

    response = await in_thread(ask)

    assert response.output_text == "Hello"
    assert response.usage.total_tokens == 10


async def test_counting_and_listing(gateway: Gateway, upstream: Upstream) -> None:
    count = "POST /v1beta/models/gemini-2.5-flash:countTokens"
    upstream.scripts[count] = [plain({"totalTokens": 31})]
    models = [{"name": "models/gemini-2.5-flash", "displayName": "Flash"}]
    upstream.scripts["GET /v1beta/models"] = [plain({"models": models})]

    counted = await gateway.post(
        {"model": "gemini/gemini-2.5-flash", "input": "Hi"}, "/openai/v1/responses/input_tokens"
    )
    listed = await in_thread(lambda: list(sdk(gateway).models.list()))

    assert counted.json()["input_tokens"] == 31
    assert [model.id for model in listed] == ["gemini/gemini-2.5-flash"]


@pytest.mark.parametrize(
    ("code", "reason", "raised"),
    [
        (400, "INVALID_ARGUMENT", openai.BadRequestError),
        (403, "PERMISSION_DENIED", openai.PermissionDeniedError),
        (404, "NOT_FOUND", openai.NotFoundError),
        (429, "RESOURCE_EXHAUSTED", openai.RateLimitError),
        (500, "INTERNAL", openai.InternalServerError),
        (503, "UNAVAILABLE", openai.InternalServerError),
    ],
)
async def test_refusals(
    gateway: Gateway, upstream: Upstream, code: int, reason: str, raised: type[openai.APIError]
) -> None:
    error = {"code": code, "message": f"no: {KEY}", "status": reason}
    upstream.scripts[""] = [status(code, json.dumps([{"error": error}]).encode())]

    with pytest.raises(raised) as caught:
        await in_thread(
            sdk(gateway).chat.completions.create, model="gemini/gemini-2.5-flash", messages=HI
        )

    assert "no: " in str(caught.value)
    assert KEY not in str(caught.value)


async def test_a_stream_that_breaks_off_is_an_error(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts[""] = [strict_stream([answer({"text": "Hel"}, reason=None)])]
    create = sdk(gateway).chat.completions.create

    def ask() -> list[Any]:
        return list(create(model="gemini/gemini-2.5-flash", messages=HI, stream=True))

    with pytest.raises(openai.APIError, match="ended before its end marker"):
        await in_thread(ask)


async def test_what_it_has_not_and_what_makes_no_sense(
    gateway: Gateway, upstream: Upstream
) -> None:
    result: Any = {"role": "tool", "tool_call_id": "x", "content": "y"}
    client = sdk(gateway)

    for ask, more in (
        (client.completions.create, {"prompt": "x"}),
        (client.chat.completions.create, {"messages": [*HI, result]}),
    ):
        with pytest.raises(openai.BadRequestError):
            await in_thread(ask, model="gemini/gemini-2.5-flash", **more)
    assert upstream.requests == []


CALL = {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}
ASK = {"role": "user", "parts": [{"text": "Hi"}]}
RESULT = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"contents": [ASK], "model": "x"}, "Unknown name 'model'"),
        ({"contents": [{**ASK, "odd": 1}]}, "Invalid JSON payload"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ({"contents": [CALL, RESULT]}, "comes immediately after a user turn"),
        ({"contents": [ASK, CALL, ASK]}, "number of function response parts"),
        ({"contents": [ASK, CALL]}, "no response"),
        ({"contents": [ASK, CALL, {**RESULT, "role": "model"}]}, "valid role"),
        ({"contents": [ASK, CALL, RESULT]}, "missing a thought_signature"),
    ],
)
def test_the_upstream_is_strict(body: Any, text: str) -> None:
    told = complaint(body, "gemini-3-pro")

    assert told is not None
    assert text in told
