"""Pictures of Google's, asked for in OpenAI's words: by Imagen (``predict``), and by Gemini's own models that draw.

Sources: Gemini API reference, "Image generation" and "ImageConfig"; Vertex AI, "Imagen API", 2026-11.
"""

from __future__ import annotations

import math
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.dialects.fields import Losses, dropped, mapped, sealed
from bifrost.dialects.gemini_answer import read_object
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_parts import finish_of, listed, mapping, usage_of
from bifrost.dialects.hub import Answer
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.scrub import scrubber
from bifrost.dialects.value_shape import boolean, choice, number, text, whole
from bifrost.errors import BadRequest, ErrorClass, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.fields import Fields
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.errors import GatewayError
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest

__all__ = [
    "FIELDS",
    "IMAGEN_FIELDS",
    "USED",
    "encode_images",
    "generation",
    "is_imagen",
    "read_images",
]

Object = dict[str, Any]

FIELDS: Fields = MappingProxyType(
    {
        "prompt": mapped("contents"),
        "n": mapped("generationConfig.candidateCount", "at most 8"),
        "size": mapped(
            "generationConfig.imageConfig.aspectRatio, imageSize", "named where it is met roughly only"
        ),
        "response_format": mapped("", "pictures come in base64: `url` is dropped"),
        "aspect_ratio": mapped("generationConfig.imageConfig.aspectRatio"),
        "image_size": mapped("generationConfig.imageConfig.imageSize"),
        "person_generation": mapped("generationConfig.imageConfig.personGeneration"),
        "seed": mapped("generationConfig.seed"),
        "safety_settings": mapped("safetySettings"),
        "background": dropped(),
        "moderation": dropped(),
        "output_compression": dropped(),
        "output_format": dropped(),
        "partial_images": dropped(),
        "quality": dropped(),
        "style": dropped(),
        "user": dropped(),
    }
)  # fmt: skip
"""Of Gemini's own models."""

IMAGEN_FIELDS: Fields = MappingProxyType(
    {
        "prompt": mapped("instances.prompt"),
        "n": mapped("parameters.sampleCount", "at most 4"),
        "size": mapped(
            "parameters.aspectRatio, sampleImageSize", "named where it is met roughly only"
        ),
        "response_format": mapped("", "pictures come in base64: `url` is dropped"),
        "output_format": mapped("parameters.outputOptions.mimeType", "`webp` is dropped"),
        "output_compression": mapped("parameters.outputOptions.compressionQuality", "of JPEG"),
        "aspect_ratio": mapped("parameters.aspectRatio"),
        "image_size": mapped("parameters.sampleImageSize"),
        "person_generation": mapped("parameters.personGeneration"),
        "seed": mapped("parameters.seed"),
        "negative_prompt": mapped("parameters.negativePrompt"),
        "language": mapped("parameters.language"),
        "enhance_prompt": mapped("parameters.enhancePrompt"),
        "add_watermark": mapped("parameters.addWatermark"),
        "guidance_scale": mapped("parameters.guidanceScale"),
        "safety_filter_level": mapped("parameters.safetySetting"),
        "background": dropped(),
        "moderation": dropped(),
        "partial_images": dropped(),
        "quality": dropped(),
        "style": dropped(),
        "user": dropped(),
    }
)

IMAGEN_OPTIONS: Mapping[str, tuple[str, Callable[[Mapping[str, Any], str], object]]] = {
    "aspect_ratio": ("aspectRatio", text),
    "image_size": ("sampleImageSize", text),
    "person_generation": ("personGeneration", text),
    "seed": ("seed", whole),
    "negative_prompt": ("negativePrompt", text),
    "language": ("language", text),
    "enhance_prompt": ("enhancePrompt", boolean),
    "add_watermark": ("addWatermark", boolean),
    "guidance_scale": ("guidanceScale", number),
    "safety_filter_level": ("safetySetting", text),
}
"""Google's own, by the names that its SDK has for them: what they are called on the wire, and how they are read."""

IMAGE_OPTIONS: Mapping[str, tuple[str, Callable[[Mapping[str, Any], str], object]]] = {
    "aspect_ratio": ("aspectRatio", text),
    "image_size": ("imageSize", text),
    "person_generation": ("personGeneration", text),
}

USED = frozenset({*IMAGE_OPTIONS, "seed", "safety_settings"})

IMAGEN_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
RATIOS = (*IMAGEN_RATIOS, "2:3", "3:2", "4:5", "5:4", "21:9")

SIZES = ("1K", "2K", "4K")
"""Each twice as wide and high as the one before. The first is what is made anyhow, and some models know no other."""

EDGE = 1024
"""Pixels of the first one's sides, where it is square."""

ROUGH = math.log(1.02)
"""Two ratios that are nearer are one: 16:9 is 1344x768 at Google, which is 7:4."""

SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")

MAX_IMAGEN = 4
MAX_CANDIDATES = 8

MIME_TYPES = {"png": "image/png", "jpeg": "image/jpeg"}
FORMATS = (*MIME_TYPES, "webp")

MAX_REASON = 300
"""Characters of why there is no picture."""


def is_imagen(model: str) -> bool:
    """Whether ``model`` is asked by ``predict``: all others are by ``generateContent``."""
    return model.rpartition("/")[2].startswith("imagen")


def encode_images(call: Call, model: str, provider: str) -> Encoded:
    """The body for a text to be drawn. Raises BadRequest."""
    request, losses = read_plain(call.members), Losses()
    if not text(request.members, "prompt"):
        raise BadRequest("prompt must be a text", param="prompt")
    if text(request.members, "response_format") == "url":
        losses.lose("response_format")
    if is_imagen(model):
        body, fields, used = _prediction(request, losses), IMAGEN_FIELDS, frozenset(IMAGEN_OPTIONS)
    else:
        body, fields, used = generation(request, losses), FIELDS, USED
    return sealed(body, request, losses, call, provider, fields=fields, used=used)


def _prediction(request: ChatRequest, losses: Losses) -> Object:
    # Imagen's own count is 4, OpenAI's is 1. Without the reason nothing says that a picture was held back.
    asked: Object = {"sampleCount": _count(request, MAX_IMAGEN) or 1, "includeRaiReason": True}
    asked |= _sized(request, IMAGEN_RATIOS, SIZES[:2], "sampleImageSize", losses)
    asked |= _options(request, IMAGEN_OPTIONS)
    output = _output(request, losses)
    if output:
        asked["outputOptions"] = output
    return {"instances": [{"prompt": request.members["prompt"]}], "parameters": asked}


def _output(request: ChatRequest, losses: Losses) -> Object:
    """``outputOptions``. Only of JPEG is there a quality."""
    quality = whole(request.members, "output_compression")
    given = request.members.get("output_format")
    name = None if given is None else choice(request.members, "output_format", FORMATS)
    if name not in {None, *MIME_TYPES}:
        losses.lose("output_format")
    if quality is not None and name != "jpeg":
        losses.lose("output_compression")
    output: Object = {"mimeType": MIME_TYPES[name]} if name in MIME_TYPES else {}
    return (
        output if quality is None or name != "jpeg" else {**output, "compressionQuality": quality}
    )


def generation(request: ChatRequest, losses: Losses) -> Object:
    """The body for Gemini's own models to draw by ``prompt``. Raises BadRequest."""
    config: Object = {"responseModalities": ["IMAGE"]}
    image = _sized(request, RATIOS, SIZES, "imageSize", losses) | _options(request, IMAGE_OPTIONS)
    if image:
        config["imageConfig"] = image
    count = _count(request, MAX_CANDIDATES)
    if count not in {None, 1}:
        config["candidateCount"] = count
    config |= _options(request, {"seed": ("seed", whole)})
    parts = [{"text": request.members["prompt"]}]
    body: Object = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
    settings = request.extra("safety_settings")
    return body if settings is None else {**body, "safetySettings": settings}


def _count(request: ChatRequest, most: int) -> int | None:
    count = whole(request.members, "n")
    if count is not None and not 1 <= count <= most:
        raise BadRequest(f"n must be between 1 and {most} for this model", param="n")
    return count


def _options(
    request: ChatRequest,
    options: Mapping[str, tuple[str, Callable[[Mapping[str, Any], str], object]]],
) -> Object:
    found = {to: read({name: request.extra(name)}, name) for name, (to, read) in options.items()}
    return {name: value for name, value in found.items() if value is not None}


def _sized(
    request: ChatRequest, ratios: tuple[str, ...], sizes: tuple[str, ...], to: str, losses: Losses
) -> Object:
    """The nearest that there is to OpenAI's ``size``, which is lost where that is not near."""
    size = text(request.members, "size")
    if size is None or size == "auto":
        return {}
    found = SIZE.fullmatch(size)
    if found is None:
        raise BadRequest("size must be auto or <width>x<height>", param="size")
    width, height = int(found[1]), int(found[2])
    asked = math.log(width / height)
    ratio = min(ratios, key=lambda ratio: abs(_log(ratio) - asked))
    step = round(math.log2(math.sqrt(width * height) / EDGE))
    known = min(max(step, 0), len(sizes) - 1)
    if abs(_log(ratio) - asked) > ROUGH or step != known:
        losses.lose("size")
    return {"aspectRatio": ratio, **({to: sizes[known]} if known else {})}


def _log(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return math.log(int(width) / int(height))


def read_images(body: bytes, facts: AnswerFacts) -> Answer:
    """OpenAI's object of pictures in base64. Raises UpstreamError if ``body`` is no JSON object."""
    told = read_object(body)
    error = refusal_in(told, facts)
    if error is not None:
        return Answer(value={}, body=body, error=error)
    pictures = [*_predicted(told), *_generated(told)]
    if not pictures:
        return Answer(value={}, body=body, error=_nothing(told, facts))
    value: Object = {
        "created": int(facts.sent_unix_s),
        "data": [picture for picture, _ in pictures],
    }
    kind = pictures[0][1]
    if isinstance(kind, str) and kind.startswith("image/"):
        value["output_format"] = kind.removeprefix("image/")
    usage = _usage(usage_of(mapping(told.get("usageMetadata"))))
    return Answer(value={**value, "usage": usage} if usage else value, body=body)


def _predicted(told: Object) -> Iterator[tuple[Object, object]]:
    """Imagen's pictures, each with what it is; ``prompt`` is what became of the caller's."""
    for item in listed(told.get("predictions")):
        data, revised = item.get("bytesBase64Encoded"), item.get("prompt")
        if isinstance(data, str) and data:
            more = {"revised_prompt": revised} if isinstance(revised, str) and revised else {}
            yield {"b64_json": data, **more}, item.get("mimeType")


def _generated(told: Object) -> Iterator[tuple[Object, object]]:
    """Gemini's. What it draws while it thinks is no answer."""
    for candidate in listed(told.get("candidates")):
        for part in listed(mapping(candidate.get("content")).get("parts")):
            drawn = mapping(part.get("inlineData"))
            data, kind = drawn.get("data"), drawn.get("mimeType")
            is_thought = part.get("thought") is True
            is_picture = isinstance(kind, str) and kind.startswith("image/")
            if is_picture and not is_thought and isinstance(data, str) and data:
                yield {"b64_json": data}, kind


def _nothing(told: Object, facts: AnswerFacts) -> GatewayError:
    """Why there is no picture: it was held back, or none was made."""
    held = [
        mapping(told.get("promptFeedback")).get("blockReason"),
        *(item.get("raiFilteredReason") for item in listed(told.get("predictions"))),
    ]
    ends = [item.get("finishReason") for item in listed(told.get("candidates"))]
    held += [end for end in ends if isinstance(end, str) and finish_of(end) == "content_filter"]
    reasons = [reason for reason in held if isinstance(reason, str) and reason]
    if reasons:
        why = scrubber(facts.key)(reasons[0])[:MAX_REASON]
        return UpstreamError(
            f"the picture was held back: {why}",
            status=400,
            type="image_generation_user_error",
            code="moderation_blocked",
            error_class=ErrorClass.CLIENT,
        )
    end = next((end for end in ends if isinstance(end, str)), "no reason told")
    return UpstreamError(f"the answer has no picture: {end[:MAX_REASON]}")


def _usage(usage: Object) -> Object:
    """Usage as OpenAI tells it of pictures."""
    if not usage:
        return {}
    given = usage.get("prompt_tokens_details", {})
    drawn = given.get("image_tokens", 0)
    counts = {
        "input_tokens": usage["prompt_tokens"],
        "output_tokens": usage["completion_tokens"],
        "total_tokens": usage["total_tokens"],
    }
    words = max(0, usage["prompt_tokens"] - drawn)
    made = usage.get("completion_tokens_details", {})
    return {
        **counts,
        "input_tokens_details": {"text_tokens": words, "image_tokens": drawn, **given},
        **(
            {"output_tokens_details": {"image_tokens": 0, "text_tokens": 0, **made}} if made else {}
        ),
    }
