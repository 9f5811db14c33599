"""Pictures of Google's: by Imagen and by Gemini's own models, in OpenAI's words."""

from __future__ import annotations

import json
from typing import Any

import attrs
import openai.types
import pytest

from bifrost.config.secret import Secret
from bifrost.dialects.gemini_images import encode_images, is_imagen, read_images
from bifrost.errors import BadRequest, ErrorClass, UpstreamError
from bifrost.schema.call import Operation
from dialects.gemini import FACTS, PNG, call_of, judge, judge_prediction

IMAGEN = "imagen-4.0-generate-001"
GEMINI = "gemini-3-pro-image-preview"


def encoded(model: str, members: dict[str, Any], **caller: Any) -> Any:
    asked = {"model": "x", "prompt": "A cat", **members}
    return encode_images(call_of(asked, Operation.IMAGE, **caller), model, "gemini")


def drawn_by_gemini(members: dict[str, Any]) -> Any:
    body = json.loads(encoded(GEMINI, members).body)
    judge(body)
    return body


def drawn_by_imagen(members: dict[str, Any]) -> Any:
    body = json.loads(encoded(IMAGEN, members).body)
    judge_prediction(body)
    return body


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (IMAGEN, True),
        ("models/imagen-3", True),
        ("google/imagen-3", True),
        (GEMINI, False),
        ("my-imagen", False),
    ],
)
def test_who_is_imagen(model: str, expected: bool) -> None:
    assert is_imagen(model) is expected


@pytest.mark.parametrize(
    ("members", "config"),
    [
        ({}, {}),
        ({"size": "auto", "n": 1, "quality": "auto"}, {}),
        ({"size": "1024x1024"}, {"imageConfig": {"aspectRatio": "1:1"}}),
        ({"size": "1536x1024"}, {"imageConfig": {"aspectRatio": "3:2"}}),
        ({"size": "1792x1024"}, {"imageConfig": {"aspectRatio": "16:9"}}),
        ({"size": "2048x2048"}, {"imageConfig": {"aspectRatio": "1:1", "imageSize": "2K"}}),
        ({"size": "4096x4096"}, {"imageConfig": {"aspectRatio": "1:1", "imageSize": "4K"}}),
        ({"size": "1024x1024", "image_size": "2K", "aspect_ratio": "21:9"}, {"imageConfig": {"aspectRatio": "21:9", "imageSize": "2K"}}),
        ({"person_generation": "ALLOW_NONE"}, {"imageConfig": {"personGeneration": "ALLOW_NONE"}}),
        ({"n": 2, "extra_params": {"seed": 5}}, {"candidateCount": 2, "seed": 5}),
    ],
)  # fmt: skip
def test_gemini_is_asked(members: dict[str, Any], config: dict[str, Any]) -> None:
    assert drawn_by_gemini(members) == {
        "contents": [{"role": "user", "parts": [{"text": "A cat"}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], **config},
    }
    assert encoded(GEMINI, members).dropped == ()


def test_safety_settings_go_as_they_come() -> None:
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]

    assert drawn_by_gemini({"safety_settings": settings})["safetySettings"] == settings


@pytest.mark.parametrize(
    ("members", "parameters"),
    [
        ({}, {}),
        ({"n": 4}, {"sampleCount": 4}),
        ({"size": "1024x1024"}, {"aspectRatio": "1:1"}),
        ({"size": "2048x2048"}, {"aspectRatio": "1:1", "sampleImageSize": "2K"}),
        ({"size": "1024x1792"}, {"aspectRatio": "9:16"}),
        ({"output_format": "png"}, {"outputOptions": {"mimeType": "image/png"}}),
        ({"output_format": "jpeg", "output_compression": 80}, {"outputOptions": {"mimeType": "image/jpeg", "compressionQuality": 80}}),
        ({"seed": 1, "add_watermark": False}, {"seed": 1, "addWatermark": False}),
        ({"negative_prompt": "dogs", "language": "en"}, {"negativePrompt": "dogs", "language": "en"}),
        ({"person_generation": "ALLOW_ADULT", "enhance_prompt": True}, {"personGeneration": "ALLOW_ADULT", "enhancePrompt": True}),
        ({"extra_params": {"guidance_scale": 2.5, "safety_filter_level": "BLOCK_NONE"}}, {"guidanceScale": 2.5, "safetySetting": "BLOCK_NONE"}),
    ],
)  # fmt: skip
def test_imagen_is_asked(members: dict[str, Any], parameters: dict[str, Any]) -> None:
    assert drawn_by_imagen(members) == {
        "instances": [{"prompt": "A cat"}],
        "parameters": {"sampleCount": 1, "includeRaiReason": True, **parameters},
    }
    assert encoded(IMAGEN, members).dropped == ()


@pytest.mark.parametrize(
    ("model", "members", "lost"),
    [
        (IMAGEN, {"size": "1536x1024"}, ("size",)),
        (IMAGEN, {"size": "4096x4096"}, ("size",)),
        (GEMINI, {"size": "256x256"}, ("size",)),
        (GEMINI, {"size": "1000x10"}, ("size",)),
        (IMAGEN, {"output_format": "webp", "output_compression": 5}, ("output_format", "output_compression")),
        (GEMINI, {"output_format": "png", "negative_prompt": "dogs"}, ("output_format", "negative_prompt")),
        (GEMINI, {"response_format": "url"}, ("response_format",)),
        (GEMINI, {"response_format": "b64_json"}, ()),
        (IMAGEN, {"quality": "high", "user": "u", "style": "vivid"}, ("quality", "user", "style")),
        (GEMINI, {"background": "transparent", "moderation": "low"}, ("background", "moderation")),
    ],
)  # fmt: skip
def test_what_is_lost_is_named_or_refused(
    model: str, members: dict[str, Any], lost: tuple[str, ...]
) -> None:
    assert encoded(model, members).dropped == lost
    if lost:
        with pytest.raises(BadRequest, match=f"gemini does not take: {lost[0]}"):
            encoded(model, members, strict=True)


@pytest.mark.parametrize(
    ("model", "members", "place"),
    [
        (GEMINI, {"prompt": ""}, "prompt"),
        (GEMINI, {"prompt": 7}, "prompt"),
        (GEMINI, {"n": 9}, "n"),
        (GEMINI, {"n": 0}, "n"),
        (IMAGEN, {"n": 5}, "n"),
        (IMAGEN, {"size": "large"}, "size"),
        (IMAGEN, {"size": "0x10"}, "size"),
        (IMAGEN, {"output_format": "gif"}, "output_format"),
        (IMAGEN, {"output_compression": "x"}, "output_compression"),
        (IMAGEN, {"add_watermark": "yes"}, "add_watermark"),
        (GEMINI, {"seed": "x"}, "seed"),
    ],
)
def test_what_cannot_be_drawn(model: str, members: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as raised:
        encoded(model, members)
    assert raised.value.param == place


def generated(*parts: Any, reason: str = "STOP", **more: Any) -> bytes:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason}
    return json.dumps({"candidates": [candidate], **more}).encode()


def picture(**more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": PNG}, **more}


def test_geminis_pictures() -> None:
    usage = {
        "promptTokenCount": 5,
        "candidatesTokenCount": 1290,
        "thoughtsTokenCount": 10,
        "totalTokenCount": 1305,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    body = generated(
        {"text": "hm", "thought": True},
        picture(thought=True),
        {"text": "Here it is"},
        picture(),
        {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
        {"inlineData": {"mimeType": "image/png", "data": ""}},
        usageMetadata=usage,
    )

    answer = read_images(body, FACTS)

    told = openai.types.ImagesResponse.model_validate(answer.value)
    assert told.created == 1_790_000_000
    assert answer.value["data"] == [{"b64_json": PNG}]
    assert told.output_format == "png"
    assert answer.value["usage"] == {
        "input_tokens": 5,
        "output_tokens": 1300,
        "total_tokens": 1305,
        "input_tokens_details": {"text_tokens": 5, "image_tokens": 0},
        "output_tokens_details": {"image_tokens": 1290, "text_tokens": 0, "reasoning_tokens": 10},
    }
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 1300)
    assert answer.usage.reasoning_tokens == 10


def test_usage_without_details() -> None:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7}

    value = read_images(generated(picture(), usageMetadata=usage), FACTS).value

    assert value["usage"] == {
        "input_tokens": 5,
        "output_tokens": 7,
        "total_tokens": 12,
        "input_tokens_details": {"text_tokens": 5, "image_tokens": 0},
    }


def test_imagens_pictures() -> None:
    predictions = [
        {"bytesBase64Encoded": PNG, "mimeType": "image/png", "prompt": "A fluffy cat"},
        {"bytesBase64Encoded": PNG},
        {"raiFilteredReason": "one was held back"},
    ]

    answer = read_images(json.dumps({"predictions": predictions}).encode(), FACTS)

    openai.types.ImagesResponse.model_validate(answer.value)
    assert answer.value == {
        "created": 1_790_000_000,
        "data": [{"b64_json": PNG, "revised_prompt": "A fluffy cat"}, {"b64_json": PNG}],
        "output_format": "png",
    }
    assert answer.usage is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (generated(reason="IMAGE_SAFETY"), "IMAGE_SAFETY"),
        (b'{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}', "PROHIBITED_CONTENT"),
        (b'{"predictions": [{"raiFilteredReason": "no AIza-secret"}]}', "no "),
    ],
)
def test_pictures_that_are_held_back(body: bytes, why: str) -> None:
    error = read_images(body, attrs.evolve(FACTS, key=Secret("AIza-secret"))).error

    assert error is not None
    assert (error.status, error.code) == (400, "moderation_blocked")
    assert error.error_class is ErrorClass.CLIENT
    assert error.message.startswith(f"the picture was held back: {why}")
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (generated({"text": "I cannot"}, reason="NO_IMAGE"), "NO_IMAGE"),
        (b"{}", "no reason told"),
    ],
)
def test_answers_without_a_picture(body: bytes, why: str) -> None:
    error = read_images(body, FACTS).error

    assert isinstance(error, UpstreamError)
    assert error.message == f"the answer has no picture: {why}"
    assert error.error_class is not ErrorClass.CLIENT


def test_answers_that_are_none() -> None:
    error = read_images(b'{"error":{"code":400,"message":"no","status":"X"}}', FACTS).error

    assert error is not None
    assert error.message == "no"
    with pytest.raises(UpstreamError):
        read_images(b"[]", FACTS)
