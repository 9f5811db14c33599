"""Pictures asked for as of Imagen (``predict``), whoever is to draw them; and Imagen itself, asked as its caller said it.

Sources: Gemini API reference, "Imagen"; Vertex AI, "Imagen API", 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.base import PlainAnswer
from bifrost.dialects.fields import Losses
from bifrost.dialects.gemini_answer import read_object
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_images import encode_images, is_imagen, read_images
from bifrost.dialects.gemini_incoming import Incoming, decoded
from bifrost.dialects.gemini_parts import listed
from bifrost.dialects.gemini_reading import Object, lose_unknown, message, required
from bifrost.dialects.gemini_relay import encode_native
from bifrost.dialects.value_shape import boolean, list_of, number, text, whole, written
from bifrost.errors import BadRequest, UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Answer
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call, RawMembers

__all__ = ["encode_prediction", "fit_model", "read_predict", "relay_prediction", "tell_predictions"]

Read = Callable[[Mapping[str, Any], str, str], object]

PLACE = "parameters"

OWN: Mapping[str, Read] = MappingProxyType(
    {
        "sampleImageSize": text,
        "personGeneration": text,
        "seed": whole,
        "negativePrompt": text,
        "language": text,
        "enhancePrompt": boolean,
        "addWatermark": boolean,
        "guidanceScale": number,
        "safetySetting": text,
    }
)
"""What others than Imagen have no word for."""

SILENT = frozenset({"includeRaiReason", "includeSafetyAttributes"})
"""What asks for more words in the answer, not for another picture."""

SIZES: Mapping[str, str] = MappingProxyType(
    {"1:1": "1024x1024", "3:2": "1536x1024", "2:3": "1024x1536"}
)
"""OpenAI's, by their ratios."""

NEAR: Mapping[str, str] = MappingProxyType(
    {"16:9": "3:2", "4:3": "3:2", "9:16": "2:3", "3:4": "2:3"}
)
"""The nearest of them to Imagen's others."""

FORMATS: Mapping[str, str] = MappingProxyType({"image/png": "png", "image/jpeg": "jpeg"})

IN_BASE64 = ("gpt-image", "chatgpt-image")
"""Beginnings of models whose pictures come in base64 anyhow, and that do not want to be asked for it."""


def read_predict(members: RawMembers) -> Incoming:
    """A ``predict`` request as one for pictures: one instance with a ``prompt``. Raises BadRequest."""
    losses = Losses()
    source = decoded(members)
    losses.lose(*(name for name in source if name not in {"instances", PLACE, "model"}))
    instances = [*list_of(source.get("instances"), "instances")]
    if len(instances) != 1:
        raise BadRequest("instances must have one item, with a prompt", param="instances")
    instance = message(*instances[0])
    told: Object = {"prompt": required(instance, "prompt", "instances[0]")}
    # A picture to start from is a part of what is asked: whoever cannot be told of it is not asked at all.
    lose_unknown(instance, ("prompt",), "instances", losses)
    told |= _parameters(message(source.get(PLACE, {}), PLACE), losses)
    return Incoming({name: written(value) for name, value in told.items()}, tuple(losses.names))


def _parameters(asked: Object, losses: Losses) -> Object:
    count = whole(asked, "sampleCount", PLACE)
    told: Object = {} if count is None else {"n": count}
    told |= _size(asked, losses)
    told |= _output(message(asked.get("outputOptions", {}), f"{PLACE}.outputOptions"), losses)
    for name, read in OWN.items():
        if read(asked, name, PLACE) not in {None, ""}:
            losses.lose(f"{PLACE}.{name}")
    known = {*OWN, *SILENT, "sampleCount", "aspectRatio", "outputOptions"}
    lose_unknown(asked, known, PLACE, losses)
    return told


def _size(asked: Object, losses: Losses) -> Object:
    ratio = text(asked, "aspectRatio", PLACE)
    if not ratio:
        return {}
    if ratio not in SIZES:
        losses.lose(f"{PLACE}.aspectRatio")
    found = SIZES.get(NEAR.get(ratio, ratio))
    return {} if found is None else {"size": found}


def _output(asked: Object, losses: Losses) -> Object:
    place = f"{PLACE}.outputOptions"
    lose_unknown(asked, ("mimeType", "compressionQuality"), place, losses)
    kind, quality = text(asked, "mimeType", place), whole(asked, "compressionQuality", place)
    told: Object = {}
    if kind is not None and kind in FORMATS:
        told["output_format"] = FORMATS[kind]
    elif kind:
        losses.lose(f"{place}.mimeType")
    return told if quality is None else {**told, "output_compression": quality}


def fit_model(members: RawMembers, model: str) -> RawMembers:
    """``members`` so that ``model`` gives its pictures in base64: there is no other way to tell them."""
    if model.rpartition("/")[2].startswith(IN_BASE64):
        return members
    return {**members, "response_format": b'"b64_json"'}


def encode_prediction(call: Call, model: str, provider: str) -> Encoded:
    """The request as its caller said it, to a model that is asked by ``predict``; to others in their own words."""
    if is_imagen(model):
        return encode_native(call, model, provider)
    return encode_images(call, model, provider)


def relay_prediction(body: bytes, facts: AnswerFacts) -> PlainAnswer:
    """The answer to it: Imagen's as it came. Raises UpstreamError if it is no JSON object."""
    if is_imagen(facts.model_deployment or facts.model_requested):
        return PlainAnswer(body=body, error=refusal_in(read_object(body), facts))
    answer = read_images(body, facts)
    if answer.error is not None:
        return PlainAnswer(body=body, error=answer.error)
    return PlainAnswer(body=tell_predictions(answer, facts), usage=answer.usage)


def tell_predictions(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    """The answer to ``predict`` that OpenAI's object of pictures becomes. Raises UpstreamError if one is not in base64."""
    kind = answer.value.get("output_format")
    mime_type = f"image/{kind}" if isinstance(kind, str) and kind else "image/png"
    pictures = listed(answer.value.get("data"))
    if not pictures:
        raise UpstreamError("failed to unmarshal response from provider API")
    return json.dumps({"predictions": [_prediction(picture, mime_type) for picture in pictures]})


def _prediction(picture: Object, mime_type: str) -> Object:
    data, revised = picture.get("b64_json"), picture.get("revised_prompt")
    if not isinstance(data, str) or not data:
        raise UpstreamError("the provider gave the address of a picture, which cannot be told here")
    told: Object = {"mimeType": mime_type, "bytesBase64Encoded": data}
    return {**told, "prompt": revised} if isinstance(revised, str) and revised else told
