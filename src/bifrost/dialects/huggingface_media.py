"""Speech, transcripts and pictures by Hugging Face's router: each inference provider is asked in its own way.

A model is ``<inference provider>/<the provider's own name of it>`` here. Sources: Hugging Face, "Inference Providers" and its
task pages; fal.ai and Together AI, API references, 2026-11.
"""

from __future__ import annotations

import base64
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.fields import Losses, dropped, mapped, sealed
from bifrost.dialects.hub import Answer
from bifrost.dialects.huggingface_names import HF, asked_of
from bifrost.dialects.openai_answer import checked, looks_like_html
from bifrost.dialects.openai_errors import Told, read_error, told_error
from bifrost.dialects.picture_edit import read_edit
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.replicate_answer import pictures_of
from bifrost.dialects.scrub import scrubber
from bifrost.dialects.value_shape import text
from bifrost.errors import BadRequest, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.fields import Fields
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest

__all__ = [
    "EDIT_FIELDS",
    "IMAGE_FIELDS",
    "SPEECH_FIELDS",
    "encode_edit",
    "encode_image",
    "encode_speech",
    "read_pictures",
    "read_speech",
]

Object = dict[str, Any]

IMAGE_FIELDS: Fields = MappingProxyType(
    {
        "prompt": mapped("inputs, prompt"),
        "n": mapped("num_images, n", "dropped for `hf-inference`"),
        "size": mapped("width, height"),
        "response_format": mapped("", "`url` is dropped where pictures come in base64"),
        "output_format": mapped("output_format", "fal-ai's"),
        "background": dropped(),
        "moderation": dropped(),
        "output_compression": dropped(),
        "partial_images": dropped(),
        "quality": dropped(),
        "style": dropped(),
        "user": dropped(),
    }
)

EDIT_FIELDS: Fields = MappingProxyType(
    {
        "image": mapped("inputs, image_url"),
        "images": mapped("inputs, image_url", "in JSON"),
        "mask": mapped("mask_url", "dropped for `hf-inference`"),
        **IMAGE_FIELDS,
    }
)

SPEECH_FIELDS: Fields = MappingProxyType(
    {
        "input": mapped("inputs, text, input"),
        "voice": mapped("voice", "dropped for `hf-inference`"),
        "response_format": mapped("response_format", "together's; dropped for others"),
        "speed": mapped("speed", "dropped for `hf-inference`"),
        "stream_format": mapped("", "`audio` only"),
        "instructions": dropped(),
        "user": dropped(),
    }
)

OF_PICTURES = (
    "guidance_scale",
    "negative_prompt",
    "num_inference_steps",
    "scheduler",
    "seed",
    "strength",
)
"""Parameters of Hugging Face's own for pictures."""

OF_SPEECH = ("generation_parameters", "language")

SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")


def encode_image(call: Call, model: str, provider: str) -> Encoded:
    """The body for a text to be drawn. Raises BadRequest."""
    request, losses = read_plain(call.members), Losses()
    by, name = asked_of(model)
    prompt = text(request.members, "prompt") or ""
    size = _size(request)
    own = _given(request, OF_PICTURES)
    if by == HF:
        body: Object = {"inputs": prompt, "parameters": {**size, **own}}
    elif by == "fal-ai":
        body = {"prompt": prompt, **own, **_fals(request, size)}
    else:
        body = {"model": name, "prompt": prompt, **own, **_openais(request, by, size)}
    _lose_count_and_format(request, by, losses)
    return sealed(body, request, losses, call, provider, fields=IMAGE_FIELDS, used=own)


def encode_edit(call: Call, model: str, provider: str) -> Encoded:
    """The body for a picture made of another. Raises BadRequest."""
    edit = read_edit(call)
    request, losses = edit.request, Losses()
    by, _ = asked_of(model)
    if not edit.images:
        raise BadRequest("at least one image is required", param="image")
    size, own = _size(request), _given(request, OF_PICTURES)
    prompt = _given(request, ("prompt",))
    if by == HF:
        target = {"target_size": size} if size else {}
        body: Object = {"inputs": _inline(edit.images), "parameters": {**prompt, **own, **target}}
        if edit.mask is not None:
            losses.lose("mask")
    else:
        several = {"image_urls": list(edit.images)}
        mask = {} if edit.mask is None else {"mask_url": edit.mask}
        body = {
            **prompt,
            "image_url": edit.images[0],
            **several,
            **mask,
            **own,
            **_fals(request, size),
        }
    _lose_count_and_format(request, by, losses)
    return edit.sealed(sealed(body, request, losses, call, provider, fields=EDIT_FIELDS, used=own))


def _inline(images: tuple[str, ...]) -> str:
    """The base64 of the one picture that a task of Hugging Face's own takes."""
    if len(images) > 1:
        raise BadRequest("this provider takes one image", param="image")
    head, comma, data = images[0].partition(";base64,")
    if not comma or not head.startswith("data:"):
        raise BadRequest("this provider takes no address of an image", param="image")
    return data


def _fals(request: ChatRequest, size: Object) -> Object:
    """As fal.ai has it; in ``sync_mode`` pictures come as data URIs."""
    told: Object = {"image_size": size} if size else {}
    told |= _renamed(request, {"n": "num_images", "output_format": "output_format"})
    return {**told, "sync_mode": True} if _wants_base64(request) else told


def _openais(request: ChatRequest, by: str, size: Object) -> Object:
    """As those have it who speak OpenAI's dialect; some spell the size in one word, and some base64 in another."""
    told: Object = {"size": request.members["size"]} if by == "nscale" and size else dict(size)
    told |= _renamed(request, {"n": "n"})
    return {**told, "response_format": "base64" if by == "together" else "b64_json"}


def _lose_count_and_format(request: ChatRequest, by: str, losses: Losses) -> None:
    if by == HF and request.members.get("n") not in {None, 1}:
        losses.lose("n")
    if by != "fal-ai":
        if request.members.get("response_format") == "url":
            losses.lose("response_format")
        if request.members.get("output_format") is not None:
            losses.lose("output_format")


def _wants_base64(request: ChatRequest) -> bool:
    return request.members.get("response_format") == "b64_json"


def _size(request: ChatRequest) -> Object:
    given = text(request.members, "size")
    if given is None or given == "auto":
        return {}
    found = SIZE.fullmatch(given)
    if found is None:
        raise BadRequest("size must be auto or <width>x<height>", param="size")
    return {"width": int(found[1]), "height": int(found[2])}


def _given(request: ChatRequest, names: tuple[str, ...]) -> Object:
    found = {name: request.extra(name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _renamed(request: ChatRequest, names: Mapping[str, str]) -> Object:
    found = {to: request.members.get(name) for name, to in names.items()}
    return {to: value for to, value in found.items() if value is not None}


def encode_speech(call: Call, model: str, provider: str) -> Encoded:
    """The body for a text to be spoken. Raises BadRequest."""
    request, losses = read_plain(call.members), Losses()
    by, name = asked_of(model)
    said = text(request.members, "input") or ""
    own = _given(request, OF_SPEECH)
    asked = _renamed(request, {"voice": "voice", "speed": "speed"})
    if by == HF:
        body: Object = {"inputs": said, **({"parameters": own} if own else {})}
        losses.lose(*asked)
    elif by == "fal-ai":
        body = {"text": said, **asked, **own}
    else:
        body = {
            "model": name,
            "input": said,
            **asked,
            **own,
            **_given(request, ("response_format",)),
        }
    if by in {HF, "fal-ai"} and request.members.get("response_format") is not None:
        losses.lose("response_format")
    return sealed(body, request, losses, call, provider, fields=SPEECH_FIELDS, used=own)


def read_speech(body: bytes, facts: AnswerFacts) -> Answer:
    """JSON that came instead of sound: a refusal, or the address of nothing. Raises UpstreamError."""
    value = checked(body, json.loads)
    if not isinstance(value, dict):
        raise UpstreamError("failed to unmarshal response from provider API")
    told = read_error(value) or Told(message="the answer has no sound")
    return Answer(value={}, body=body, error=told_error(told, None, scrubber(facts.key)))


def read_pictures(body: bytes, facts: AnswerFacts) -> Answer:
    """The pictures in a JSON answer, or the one that the answer is. Raises UpstreamError."""
    if body.lstrip()[:1] not in {b"{", b"["}:
        return _picture(body, facts)
    value = checked(body, json.loads)
    match value:
        case {"images": list(images)}:
            data = pictures_of([item.get("url") for item in images if isinstance(item, dict)])
        case {"data": list(data_)}:
            data = [_openai_picture(item) for item in data_ if isinstance(item, dict)]
        case _:
            data = []
    if not data:
        told = read_error(value) or Told(message="the answer has no picture")
        return Answer(value={}, body=body, error=told_error(told, None, scrubber(facts.key)))
    return Answer(value={"created": int(facts.sent_unix_s), "data": data}, body=body)


def _openai_picture(item: Object) -> Object:
    known = {name: item.get(name) for name in ("b64_json", "url", "revised_prompt")}
    return {name: value for name, value in known.items() if value is not None}


def _picture(body: bytes, facts: AnswerFacts) -> Answer:
    if not body or looks_like_html(body):
        raise UpstreamError(
            "HTML response received from provider"
            if body
            else "empty response received from provider"
        )
    data = [{"b64_json": base64.b64encode(body).decode()}]
    # Bytes are no JSON to be echoed: what is made of them says it all.
    return Answer(value={"created": int(facts.sent_unix_s), "data": data}, body=b"null")
