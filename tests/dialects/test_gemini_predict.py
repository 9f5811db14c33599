"""Pictures asked for as of Imagen: read into OpenAI's words, told back, and to Imagen itself as they came."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from bifrost.dialects.gemini_predict import (
    encode_prediction,
    fit_model,
    read_predict,
    relay_prediction,
    tell_predictions,
)
from bifrost.dialects.hub import Answer
from bifrost.errors import BadRequest, UpstreamError
from bifrost.schema.call import Dialect, Native, Operation
from dialects.gemini import FACTS, PNG, call_of, judge, judge_prediction

IMAGEN = "imagen-4.0-generate-001"


def raw(members: dict[str, Any]) -> dict[str, bytes]:
    return {name: json.dumps(value).encode() for name, value in members.items()}


def read(parameters: dict[str, Any] | None = None, **more: Any) -> tuple[Any, tuple[str, ...]]:
    asked = {"instances": [{"prompt": "A cat"}], "parameters": parameters, **more}
    incoming = read_predict(raw(asked))
    return {name: json.loads(value) for name, value in incoming.members.items()}, incoming.lost


@pytest.mark.parametrize(
    ("parameters", "members", "lost"),
    [
        (None, {}, ()),
        ({"sampleCount": 2, "includeRaiReason": True}, {"n": 2}, ()),
        ({"aspect_ratio": "1:1"}, {"size": "1024x1024"}, ()),
        ({"aspectRatio": "16:9"}, {"size": "1536x1024"}, ("parameters.aspectRatio",)),
        ({"aspectRatio": "9:1"}, {}, ("parameters.aspectRatio",)),
        ({"outputOptions": {"mimeType": "image/jpeg", "compressionQuality": 75}}, {"output_format": "jpeg", "output_compression": 75}, ()),
        ({"outputOptions": {"mimeType": "image/gif"}}, {}, ("parameters.outputOptions.mimeType",)),
        ({"negativePrompt": "dogs", "seed": 7, "odd": 1}, {}, ("parameters.seed", "parameters.negativePrompt", "parameters.odd")),
    ],
)  # fmt: skip
def test_a_request_is_read(parameters: Any, members: Any, lost: tuple[str, ...]) -> None:
    assert read(parameters) == ({"prompt": "A cat", **members}, lost)


def test_a_picture_to_begin_with_is_no_small_loss() -> None:
    told = read(instances=[{"prompt": "x", "image": {"bytesBase64Encoded": PNG}}], more=1)

    assert told[1] == ("more", "instances.image")


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({}, "instances"),
        ({"instances": [{"prompt": "a"}, {"prompt": "b"}]}, "instances"),
        ({"instances": [{"content": "a"}]}, "instances[0].prompt"),
        ({"instances": ["a"]}, "instances[0]"),
        ({"instances": [{"prompt": "a"}], "parameters": {"sampleCount": "2"}}, "parameters.sampleCount"),
        ({"instances": [{"prompt": "a"}], "parameters": {"seed": "x"}}, "parameters.seed"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn(asked: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as raised:
        read_predict(raw(asked))
    assert raised.value.param == place


@pytest.mark.parametrize(
    ("model", "asks"),
    [("gpt-image-1", False), ("openai/chatgpt-image-latest", False), ("dall-e-3", True)],
)
def test_pictures_are_wanted_in_base64(model: str, asks: bool) -> None:
    assert ("response_format" in fit_model({}, model)) is asks


def test_pictures_are_told() -> None:
    data = [{"b64_json": PNG}, {"b64_json": PNG, "revised_prompt": "A black cat"}]
    answer = Answer(value={"data": data, "output_format": "jpeg"}, body=b"")

    assert json.loads(tell_predictions(answer, FACTS)) == {
        "predictions": [
            {"mimeType": "image/jpeg", "bytesBase64Encoded": PNG},
            {"mimeType": "image/jpeg", "bytesBase64Encoded": PNG, "prompt": "A black cat"},
        ]
    }


@pytest.mark.parametrize("data", [None, [], [{"url": "https://pictures.example/1"}]])
def test_what_is_no_picture(data: Any) -> None:
    with pytest.raises(UpstreamError):
        tell_predictions(Answer(value={"data": data}, body=b""), FACTS)


def native() -> Any:
    asked = {"instances": [{"prompt": "A cat"}], "parameters": {"sampleCount": 1, "seed": 7}}
    incoming = read_predict(raw(asked))
    call = call_of({}, Operation.IMAGE)
    told = Native(dialect=Dialect.GEMINI, members=raw(asked))
    return attrs.evolve(call, members=incoming.members, lost=incoming.lost, native=told), asked


def test_imagen_is_asked_as_it_was_said() -> None:
    call, asked = native()

    sent = encode_prediction(call, IMAGEN, "gemini")

    assert json.loads(sent.body) == asked
    judge_prediction(json.loads(sent.body))
    assert sent.dropped == ()
    body = b'{"predictions": [{"bytesBase64Encoded": "x", "odd": 1.0}]}'
    facts = attrs.evolve(FACTS, model_requested=IMAGEN)
    assert relay_prediction(body, facts).body == body
    refused = b'{"error": {"code": 400, "message": "no", "status": "X"}}'
    assert relay_prediction(refused, facts).error is not None


def test_other_models_of_googles_are_asked_in_their_own_words() -> None:
    call, _ = native()

    sent = encode_prediction(call, "gemini-2.5-flash-image", "gemini")

    judge(json.loads(sent.body))
    assert sent.dropped == ("parameters.seed",)
    drawn = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    body = json.dumps({"candidates": [{"content": {"parts": [drawn]}}]}).encode()
    told = json.loads(relay_prediction(body, FACTS).body)
    assert told == {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": PNG}]}
    assert relay_prediction(b"{}", FACTS).error is not None


def test_whoever_cannot_be_told_of_a_picture_is_not_asked() -> None:
    call, _ = native()

    with pytest.raises(BadRequest, match=r"does not know instances\.image"):
        encode_prediction(
            attrs.evolve(call, lost=("instances.image",)), "gemini-2.5-flash-image", "gemini"
        )
