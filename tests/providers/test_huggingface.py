"""Hugging Face: who is asked for a task, how, and what becomes of the answer."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import openai.types
import openai.types.audio
import pytest

from bifrost.config.secret import Secret
from bifrost.config.settings import (
    CustomProviderSettings,
    KeySettings,
    NetworkSettings,
    ProviderSettings,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.errors import BadRequest, ErrorClass, UnsupportedOperation, UpstreamError
from bifrost.providers.base import Ask, UpstreamRequest
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Operation, Target
from bifrost.schema.payload import BytesPayload, Field, File, Form
from providers.sent import sent_json

ADAPTER = build_adapter(ProviderSettings(name="huggingface"))
KEY = KeySettings(id="k", name="k", value=Secret("hf_secret"))
Op = Operation


def asked(
    operation: Operation,
    model: str,
    members: dict[str, Any] | None = None,
    *,
    form: Form | None = None,
    adapter: Any = ADAPTER,
    **caller: Any,
) -> UpstreamRequest:
    call = Call(
        id="1",
        operation=operation,
        stream=False,
        target=Target("huggingface", model),
        members={n: json.dumps(v).encode() for n, v in (members or {}).items()},
        form=form,
        boundary=b"b0undary",
        caller=Caller(**caller),
    )
    request: UpstreamRequest = adapter.encode(call, call.target, KEY)
    return request


def mapping(by: str, name: str, task: str) -> bytes:
    told = {by: {"providerId": name, "task": task, "status": "live"}}
    return json.dumps({"id": "org/m", "inferenceProviderMapping": told}).encode()


def second(first: UpstreamRequest, by: str, name: str, task: str) -> UpstreamRequest:
    """The request after the hub has told what the model is called."""
    assert first.follow_up is not None
    assert not first.follow_up.begins
    found = first.follow_up.next(200, mapping(by, name, task))
    assert isinstance(found, Ask)
    assert (found.after_s, found.call_off) == (0.0, None)
    return found.request


async def body_of(request: UpstreamRequest) -> bytes:
    assert not isinstance(request.body, bytes)
    return b"".join([block async for block in request.body.blocks()])


TEXTS = {"input": ["a", "b"]}
DRAWN = {"prompt": "p", "size": "512x256", "seed": 7}
SPOKEN = {"input": "hi", "voice": "af_bella"}


@pytest.mark.parametrize(
    ("operation", "members", "target", "sent", "dropped"),
    [
        (Op.EMBEDDING, {**TEXTS, "normalize": True, "dimensions": 8}, "/hf-inference/models/org/m/pipeline/feature-extraction", {"inputs": ["a", "b"], "normalize": True}, ("dimensions",)),
        (Op.SPEECH, {**SPOKEN, "response_format": "mp3", "speed": 2}, "/hf-inference/models/org/m", {"inputs": "hi"}, ("voice", "speed", "response_format")),
        (Op.SPEECH, {"input": "hi", "generation_parameters": {"top_k": 1}}, "/hf-inference/models/org/m", {"inputs": "hi", "parameters": {"generation_parameters": {"top_k": 1}}}, ()),
        (Op.IMAGE, {**DRAWN, "n": 2, "quality": "hd", "response_format": "url", "output_format": "png"}, "/hf-inference/models/org/m", {"inputs": "p", "parameters": {"width": 512, "height": 256, "seed": 7}}, ("n", "response_format", "output_format", "quality")),
        (Op.IMAGE, {"prompt": "p", "size": "auto", "n": 1}, "/hf-inference/models/org/m", {"inputs": "p", "parameters": {}}, ()),
    ],
)  # fmt: skip
def test_its_own_servers_are_asked_at_once(
    operation: Operation, members: dict[str, Any], target: str, sent: Any, dropped: tuple[str, ...]
) -> None:
    request = asked(operation, "hf-inference/org/m", members)

    assert request.follow_up is None
    assert (request.method, request.origin.host) == (b"POST", "router.huggingface.co")
    assert request.target == target.encode()
    assert sent_json(request) == sent
    assert set(request.dropped_params) == set(dropped)
    assert dict(request.headers)[b"authorization"] == b"Bearer hf_secret"


@pytest.mark.parametrize(
    ("operation", "by", "members", "task", "target", "sent"),
    [
        (Op.EMBEDDING, "nebius", {**TEXTS, "dimensions": 8}, "feature-extraction", "/nebius/v1/embeddings", {"model": "own/x", "input": ["a", "b"], "dimensions": 8}),
        (Op.SPEECH, "together", {**SPOKEN, "response_format": "mp3"}, "text-to-speech", "/together/v1/audio/speech", {"model": "own/x", "input": "hi", "voice": "af_bella", "response_format": "mp3"}),
        (Op.SPEECH, "fal-ai", SPOKEN, "text-to-speech", "/fal-ai/own/x", {"text": "hi", "voice": "af_bella"}),
        (Op.IMAGE, "fal-ai", {**DRAWN, "n": 2, "output_format": "png", "response_format": "b64_json"}, "text-to-image", "/fal-ai/own/x", {"prompt": "p", "image_size": {"width": 512, "height": 256}, "seed": 7, "num_images": 2, "output_format": "png", "sync_mode": True}),
        (Op.IMAGE, "fal-ai", {"prompt": "p"}, "text-to-image", "/fal-ai/own/x", {"prompt": "p"}),
        (Op.IMAGE, "together", {**DRAWN, "n": 2}, "text-to-image", "/together/v1/images/generations", {"model": "own/x", "prompt": "p", "width": 512, "height": 256, "seed": 7, "n": 2, "response_format": "base64"}),
        (Op.IMAGE, "nscale", DRAWN, "text-to-image", "/nscale/v1/images/generations", {"model": "own/x", "prompt": "p", "size": "512x256", "seed": 7, "response_format": "b64_json"}),
    ],
)  # fmt: skip
def test_others_are_asked_by_the_name_that_the_hub_tells(
    operation: Operation, by: str, members: dict[str, Any], task: str, target: str, sent: Any
) -> None:
    first = asked(operation, f"{by}/org/m", members)

    assert (first.method, first.origin.host) == (b"GET", "huggingface.co")
    assert first.target == b"/api/models/org/m?expand[]=inferenceProviderMapping"
    assert first.body == b""
    assert dict(first.headers)[b"authorization"] == b"Bearer hf_secret"
    request = second(first, by, "own/x", task)
    assert (request.method, request.origin.host) == (b"POST", "router.huggingface.co")
    assert request.target == target.encode()
    assert sent_json(request) == sent
    assert first.dropped_params == request.dropped_params == ()


def test_the_hub_chooses_where_nobody_is_named() -> None:
    told = {
        "inferenceProviderMapping": [
            {"provider": "novita", "providerId": "n", "task": "text-to-image"},
            {"provider": "together", "providerId": "t", "task": "image-to-image"},
            {"provider": "nscale", "providerId": "own/x", "task": "text-to-image"},
            {"provider": "fal-ai", "providerId": "f", "task": "text-to-image"},
        ]
    }
    for model in ("auto/org/m", "org/m"):
        first = asked(Op.IMAGE, model, {"prompt": "p"})
        assert first.follow_up is not None
        found = first.follow_up.next(200, json.dumps(told).encode())
        assert isinstance(found, Ask)
        assert found.request.target == b"/nscale/v1/images/generations"


@pytest.mark.parametrize(
    "told",
    [b"{", b"{}", b"[]", b'{"inferenceProviderMapping": 5}', mapping("fal-ai", "x", "text-to-video"),
     mapping("together", "x", "text-to-image"), mapping("fal-ai", "../x", "text-to-image"), b'{"inferenceProviderMapping": {"fal-ai": 5}}'],
)  # fmt: skip
def test_a_model_that_nobody_has_for_this(told: bytes) -> None:
    first = asked(Op.IMAGE, "fal-ai/org/m", {"prompt": "p"})

    assert first.follow_up is not None
    with pytest.raises(UnsupportedOperation, match="inference provider fal-ai of huggingface"):
        first.follow_up.next(200, told)
    assert first.follow_up.next(404, b"") is None


@pytest.mark.parametrize(
    ("operation", "by"),
    [
        (Op.EMBEDDING, "fal-ai"),
        (Op.IMAGE, "groq"),
        (Op.TRANSCRIPTION, "together"),
        (Op.IMAGE_EDIT, "nebius"),
    ],
)
def test_whoever_has_not_the_task_is_not_asked(operation: Operation, by: str) -> None:
    with pytest.raises(UnsupportedOperation, match=f"inference provider {by}"):
        asked(operation, f"{by}/org/m", {"prompt": "p", "input": "x"})


@pytest.mark.parametrize("model", ["hf-inference/../x", "a/b/c/d", "hf-inference/org/m?x"])
def test_names_that_no_path_can_hold(model: str) -> None:
    with pytest.raises(BadRequest, match="<org>/<name>"):
        asked(Op.IMAGE, model, {"prompt": "p"})


def test_strict_callers_are_told_before_the_hub_is_asked() -> None:
    with pytest.raises(BadRequest, match="does not take: quality"):
        asked(Op.IMAGE, "fal-ai/org/m", {"prompt": "p", "quality": "hd"}, strict=True)


@pytest.mark.parametrize(
    ("operation", "members", "param"),
    [
        (Op.EMBEDDING, {"input": [[1, 2]]}, "input[0]"),
        (Op.EMBEDDING, {"input": "a", "encoding_format": "int8"}, "encoding_format"),
        (Op.IMAGE, {"prompt": "p", "size": "big"}, "size"),
        (Op.IMAGE_EDIT, {"prompt": "p"}, "image"),
        (Op.IMAGE_EDIT, {"prompt": "p", "images": ["https://x/"]}, "image"),
        (Op.IMAGE_EDIT, {"prompt": "p", "images": ["data:a/b;base64,eA==", "data:a/b;base64,eA=="]}, "image"),
        (Op.TRANSCRIPTION, {}, "file"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(operation: Operation, members: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(operation, "hf-inference/org/m", members)
    assert caught.value.param == param


SOUND = File("file", b"a.wav", b"audio/wav", BytesPayload(b"RIFF"))


async def test_sound_goes_as_it_is() -> None:
    form = (
        Field("model", b"x"),
        SOUND,
        Field("language", b"en"),
        Field("response_format", b"json"),
    )

    request = asked(Op.TRANSCRIPTION, "hf-inference/openai/whisper", form=form)

    assert request.target == b"/hf-inference/models/openai/whisper"
    assert dict(request.headers)[b"content-type"] == b"audio/wav"
    assert await body_of(request) == b"RIFF"
    assert request.dropped_params == ("language",)
    unnamed = asked(
        Op.TRANSCRIPTION, "hf-inference/org/m", form=(File("file", b"a", None, SOUND.content),)
    )
    assert dict(unnamed.headers)[b"content-type"] == b"audio/mpeg"


@pytest.mark.parametrize(
    ("field", "stamps"),
    [
        (Field("response_format", b"verbose_json"), True),
        (Field("timestamp_granularities[]", b"segment"), True),
        (Field("timestamp_granularities[]", b"word"), "word"),
    ],
)
async def test_sound_with_times_goes_in_json(field: Field, stamps: object) -> None:
    request = asked(Op.TRANSCRIPTION, "hf-inference/org/m", form=(SOUND, field))

    told = {"inputs": "UklGRg==", "parameters": {"return_timestamps": stamps}}
    assert json.loads(await body_of(request)) == told
    assert dict(request.headers)[b"content-type"] == b"application/json"


async def test_sound_for_fal() -> None:
    form = (
        SOUND,
        Field("language", b"en"),
        Field("prompt", b"x"),
        Field("response_format", b"verbose_json"),
    )

    first = asked(Op.TRANSCRIPTION, "fal-ai/openai/whisper", form=form)
    request = second(first, "fal-ai", "fal-ai/whisper", "automatic-speech-recognition")

    assert request.target == b"/fal-ai/fal-ai/whisper"
    assert json.loads(await body_of(request)) == {
        "task": "transcribe", "language": "en", "chunk_level": "segment",
        "audio_url": "data:audio/wav;base64,UklGRg==",
    }  # fmt: skip
    assert first.dropped_params == ("prompt",)


def test_transcripts_come_in_json_only() -> None:
    with pytest.raises(BadRequest, match="json or verbose_json"):
        asked(
            Op.TRANSCRIPTION, "hf-inference/org/m", form=(SOUND, Field("response_format", b"srt"))
        )


PICTURE = File("image", b"a.jpg", b"image/jpeg", BytesPayload(b"hi"))
MASK = File("mask", b"m.png", b"image/png", BytesPayload(b"m"))


async def test_pictures_to_be_changed() -> None:
    form = (PICTURE, Field("prompt", b"p"), Field("size", b"64x32"), Field("seed", b"7"), MASK)

    own = asked(Op.IMAGE_EDIT, "hf-inference/org/m", form=form)
    other = asked(Op.IMAGE_EDIT, "fal-ai/org/m", form=form)
    other = second(other, "fal-ai", "fal-ai/flux-kontext", "image-to-image")

    size = {"width": 64, "height": 32}
    parameters = {"prompt": "p", "seed": 7, "target_size": size}
    assert json.loads(await body_of(own)) == {"inputs": "aGk=", "parameters": parameters}
    assert own.dropped_params == ("mask",)
    inline = "data:image/jpeg;base64,aGk="
    assert json.loads(await body_of(other)) == {
        "prompt": "p", "image_url": inline, "image_urls": [inline], "mask_url": "data:image/png;base64,bQ==",
        "seed": 7, "image_size": size,
    }  # fmt: skip


def test_fals_sound_is_fetched_where_it_says() -> None:
    first = asked(Op.SPEECH, "fal-ai/org/m", SPOKEN)
    follow_up = second(first, "fal-ai", "fal-ai/kokoro", "text-to-speech").follow_up
    assert follow_up is not None

    found = follow_up.next(200, b'{"audio": {"url": "https://v3.fal.media/a.wav"}}')

    assert isinstance(found, Ask)
    assert (found.request.origin.host, found.request.target) == ("v3.fal.media", b"/a.wav")
    assert found.request.origin.public_only
    assert b"authorization" not in dict(found.request.headers)
    assert not follow_up.begins
    for taken in (b"{", b"{}", b'{"audio": 5}'):
        assert follow_up.next(200, taken) is None
    assert follow_up.next(500, b"") is None
    with pytest.raises(UpstreamError, match="at no address"):
        follow_up.next(200, b'{"audio": {"url": "file:///etc"}}')


def told(operation: Operation, body: Any, **members: Any) -> Any:
    facts = AnswerFacts(
        request_type=operation.value,
        provider="huggingface",
        model_requested="m",
        sent_s=1.0,
        sent_unix_s=7.0,
        operation=operation,
        members={n: json.dumps(v).encode() for n, v in members.items()},
        send_extra_fields=False,
        key=Secret("hf_secret"),
    )
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ADAPTER.decode_plain(raw, facts)


@pytest.mark.parametrize(
    ("body", "vectors"),
    [
        ([[0.5, 1], [2, 3]], [[0.5, 1], [2, 3]]),
        ([0.5, 1], [[0.5, 1]]),
        (
            {"data": [{"embedding": [0.5, 1]}], "usage": {"prompt_tokens": 3, "total_tokens": 3}},
            [[0.5, 1]],
        ),
    ],
)
def test_embeddings(body: Any, vectors: Any) -> None:
    value = json.loads(told(Op.EMBEDDING, body).body)

    openai.types.CreateEmbeddingResponse.model_validate(value)
    assert [item["embedding"] for item in value["data"]] == vectors
    packed = json.loads(told(Op.EMBEDDING, body, encoding_format="base64").body)
    assert base64.b64decode(packed["data"][0]["embedding"]) == struct.pack("<2f", 0.5, 1)


@pytest.mark.parametrize(
    "body",
    [[], {}, [[]], [[[0.5]]], "x", {"data": [5]}, {"data": []}, {"error": "hf_secret is no key"}],
)
def test_what_is_no_embedding(body: Any) -> None:
    error = told(Op.EMBEDDING, body).error

    assert error is not None
    assert error.error_class is ErrorClass.SERVER
    assert "hf_secret" not in error.message


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"\x89PNG", [{"b64_json": "iVBORw=="}]),
        ({"images": [{"url": "https://x/"}, {"url": "data:image/png;base64,aGk="}, 5]}, [{"url": "https://x/"}, {"b64_json": "aGk="}]),
        ({"data": [{"b64_json": "aGk=", "index": 0}]}, [{"b64_json": "aGk="}]),
    ],
)  # fmt: skip
def test_pictures(body: Any, data: Any) -> None:
    for operation in (Op.IMAGE, Op.IMAGE_EDIT):
        value = json.loads(told(operation, body).body)
        openai.types.ImagesResponse.model_validate(value)
        assert value == {"created": 7, "data": data}
    assert not ADAPTER.answers_in_bytes(Op.IMAGE, b"image/png")


def test_what_is_no_picture() -> None:
    body: Any
    for body in ({"error": "no"}, {}, [], {"images": []}):
        assert told(Op.IMAGE, body).error is not None
    for none in (b"", b"<html>", b"{"):
        with pytest.raises(UpstreamError):
            told(Op.IMAGE, none)


def test_transcripts() -> None:
    chunks = [
        {"text": " Hi", "timestamp": [0.0, 0.5]},
        {"text": " you", "timestamp": [0.5, None]},
        5,
    ]

    plain = json.loads(told(Op.TRANSCRIPTION, {"text": "Hi you"}).body)
    timed = json.loads(told(Op.TRANSCRIPTION, {"text": "Hi you", "chunks": chunks}).body)

    assert plain == {"text": "Hi you"}
    assert timed["words"] == [
        {"word": "Hi", "start": 0.0, "end": 0.5},
        {"word": "you", "start": 0.5, "end": 0.5},
    ]
    assert [segment["id"] for segment in timed["segments"]] == [0, 1]
    longer = [{"text": "Hi you", "timestamp": [0, 1]}]
    assert "words" not in json.loads(told(Op.TRANSCRIPTION, {"text": "x", "chunks": longer}).body)
    assert told(Op.TRANSCRIPTION, {"error": "no"}).error.message == "no"
    with pytest.raises(UpstreamError):
        told(Op.TRANSCRIPTION, [])


def test_speech_is_relayed_and_json_is_none() -> None:
    assert ADAPTER.answers_in_bytes(Op.SPEECH, b"audio/flac")
    assert not ADAPTER.answers_in_bytes(Op.SPEECH, b"application/json")
    assert told(Op.SPEECH, {"error": "loading"}).error.message == "loading"
    assert told(Op.SPEECH, {}).error.message == "the answer has no sound"
    with pytest.raises(UpstreamError):
        told(Op.SPEECH, [])


def test_refusals_and_models() -> None:
    error = ADAPTER.decode_error(401, (), b'{"error": "Invalid credentials"}', KEY)
    assert (error.message, error.error_class) == ("Invalid credentials", ErrorClass.AUTH)
    assert ADAPTER.decode_models(b'{"data": [{"id": "org/m"}]}') == ({"id": "org/m"},)
    assert ADAPTER.rate_hint((), 0.0).retry_after_s is None


def test_a_server_of_ones_own_is_router_and_hub() -> None:
    network = NetworkSettings(base_url="https://proxy.example")
    custom = CustomProviderSettings(base_provider_type="huggingface")
    for settings in (
        ProviderSettings(name="huggingface", network=network),
        ProviderSettings(name="mine", network=network, custom=custom),
    ):
        adapter = build_adapter(settings)
        first = asked(Op.IMAGE, "fal-ai/org/m", {"prompt": "p"}, adapter=adapter)
        assert adapter.name == settings.name
        assert first.origin.host == "proxy.example"
        assert second(first, "fal-ai", "x", "text-to-image").origin.host == "proxy.example"
        assert (
            asked(Op.CHAT, "org/m", {"messages": []}, adapter=adapter).origin.host
            == "proxy.example"
        )


def test_deployments_stand_for_models() -> None:
    key = KeySettings(id="k", name="k", deployments={"mine": "hf-inference/org/m"})
    call = Call(
        id="1",
        operation=Op.EMBEDDING,
        stream=False,
        target=Target("huggingface", "mine"),
        members={"input": b'"a"'},
    )

    request = ADAPTER.encode(call, call.target, key)

    assert request.target == b"/hf-inference/models/org/m/pipeline/feature-extraction"
