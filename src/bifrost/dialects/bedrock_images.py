"""Pictures of Bedrock's: drawn, changed and varied by Amazon's models (Titan, Nova Canvas) and by Stability's.

Sources: AWS, Amazon Bedrock user guide, "Amazon Titan Image Generator", "Amazon Nova Canvas", "Stability AI models", 2026-11.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.codecs.data_uri import split_data_uri
from bifrost.dialects.fields import OURS, SILENT, Losses, dropped, mapped
from bifrost.dialects.hub import Answer
from bifrost.dialects.invoke_text import invoked_object
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.picture_edit import with_files
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.scrub import scrubber
from bifrost.dialects.value_shape import list_of, obj, text, whole, written
from bifrost.errors import BadRequest, ErrorClass, UnsupportedOperation, UpstreamError
from bifrost.schema.call import Operation
from bifrost.schema.payload import File

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.fields import Fields
    from bifrost.schema.call import Call
    from bifrost.schema.payload import Form, Payload

__all__ = ["FIELDS", "encode_images", "read_images"]

Object = dict[str, Any]

FIELDS: Fields = MappingProxyType(
    {
        "prompt": mapped("textToImageParams.text, or that of the task"),
        "n": mapped("imageGenerationConfig.numberOfImages"),
        "size": mapped("imageGenerationConfig.width, height", "of Stability's models `aspect_ratio`"),
        "quality": mapped("imageGenerationConfig.quality", "`high`, `hd`: premium; others: standard"),
        "image": mapped("image, images of the task's parameters"),
        "mask": mapped("maskImage", "black is what is changed, other than OpenAI's"),
        "type": mapped("taskType", "of an edit: `inpainting`, `outpainting`, `background_removal`, `image_variation`"),
        "negative_prompt": mapped("negativeText"),
        "mask_prompt": mapped("maskPrompt"),
        "outpainting_mode": mapped("outPaintingParams.outPaintingMode"),
        "similarity_strength": mapped("imageVariationParams.similarityStrength"),
        "seed": mapped("imageGenerationConfig.seed"),
        "cfg_scale": mapped("imageGenerationConfig.cfgScale"),
        "response_format": mapped("", "pictures come in base64: `url` is dropped"),
        "style": mapped("textToImageParams.style", "of Nova Canvas, by its own words"),
        "output_format": dropped("of Stability's models it is mapped"),
        "background": dropped(),
        "input_fidelity": dropped(),
        "moderation": dropped(),
        "output_compression": dropped(),
        "partial_images": dropped(),
        "user": dropped(),
    }
)  # fmt: skip

AMAZONS = ("titan-image", "nova-canvas")
STABILITYS = ("stability.",)

TASKS: Mapping[str, str] = MappingProxyType(
    {
        "TEXT_IMAGE": "textToImageParams",
        "INPAINTING": "inPaintingParams",
        "OUTPAINTING": "outPaintingParams",
        "BACKGROUND_REMOVAL": "backgroundRemovalParams",
        "IMAGE_VARIATION": "imageVariationParams",
    }
)
"""What a task's parameters are called."""

NUMBERS = frozenset({"n", "seed"})
FRACTIONS = frozenset({"cfg_scale", "similarity_strength", "strength"})
"""Fields of a form that are no texts."""

PREMIUM = frozenset({"high", "hd", "premium"})

RATIOS = frozenset({"16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"})

MAX_PIXELS = 100_000


def encode_images(call: Call, model: str, provider: str) -> Encoded:
    """The body for ``model``. Raises BadRequest; UnsupportedOperation for a model that is known for no pictures."""
    lowered = model.lower()
    files: dict[bytes, Payload] = {}
    asked = _asked(call, files)
    losses = Losses()
    if any(sign in lowered for sign in AMAZONS):
        body, used = _amazon(call.operation, asked, losses), AMAZON_USED
    elif any(sign in lowered for sign in STABILITYS):
        body, used = _stability(asked, losses), STABILITY_USED
    else:
        raise UnsupportedOperation(
            f"{call.request_type} is not supported by {provider} provider for {model[:200]}"
        )
    losses.lose(*(n for n, v in asked.items() if n not in used | OURS and not _is_silent(n, v)))
    losses.lose(*call.lost)
    refuse_loss(losses.names, call, provider)
    return with_files(Encoded(written(body), tuple(losses.names)), files)


def _is_silent(name: str, value: object) -> bool:
    return isinstance(value, str | int) and value in SILENT.get(name, ())


def _asked(call: Call, files: dict[bytes, Payload]) -> Object:
    """What is asked, by OpenAI's names, out of a form or of JSON; pictures under ``image`` and ``mask``.

    A form's are marks, by which they stand in ``files``.
    """
    if call.form is not None:
        return _of_form(call.form, call.boundary, files)
    request = read_plain(call.members)
    asked = {**request.members, **request.extras}
    given = asked.pop("images", asked.pop("image", None))
    if given is not None:
        items = given if isinstance(given, list) else [given]
        asked["image"] = [_inline(item, place) for item, place in list_of(items, "image")]
    if asked.get("mask") is not None:
        asked["mask"] = _inline(asked["mask"], "mask")
    return asked


def _inline(given: object, place: str) -> str:
    """The base64 of a picture that is in the request itself."""
    url = given if isinstance(given, str) else obj(given, place).get("image_url")
    try:
        found = split_data_uri(url) if isinstance(url, str) else None
    except ValueError as error:
        raise BadRequest(f"{place}: {error}", param=place) from None
    if found is None:
        raise BadRequest(f"{place} must be a picture in a data: URI", param=place)
    return found[1]


def _of_form(form: Form, boundary: bytes, files: dict[bytes, Payload]) -> Object:
    asked: Object = {}
    for part in form:
        name = part.name.removesuffix("[]")
        if not isinstance(part, File):
            asked[name] = _value(name, part.value)
            continue
        mark = b"%b.%d." % (boundary, len(files))
        files[mark] = part.content
        if name == "image":
            asked.setdefault("image", []).append(mark.decode("latin-1"))
        else:
            asked[name] = mark.decode("latin-1")
    return asked


def _value(name: str, raw: bytes) -> object:
    """A field of a form. Raises BadRequest for a number that is none."""
    try:
        words = raw.decode()
        if name in NUMBERS:
            return int(words)
        return float(words) if name in FRACTIONS else words
    except ValueError as error:
        raise BadRequest(f"invalid value for {name}", param=name, cause=str(error)) from error


AMAZON_USED = frozenset(
    [
        "prompt", "n", "size", "quality", "image", "mask", "type", "negative_prompt", "mask_prompt",
        "outpainting_mode", "similarity_strength", "seed", "cfg_scale", "response_format", "style",
    ]
)  # fmt: skip


def _amazon(operation: Operation, asked: Object, losses: Losses) -> Object:
    task = _task(operation, asked)
    parameters = TASK_PARAMETERS[task](asked, losses)
    body: Object = {"taskType": task, TASKS[task]: parameters}
    _common(asked, losses)
    config = {} if task == "BACKGROUND_REMOVAL" else _config(asked)
    return {**body, "imageGenerationConfig": config} if config else body


def _common(asked: Object, losses: Losses) -> None:
    if text(asked, "response_format") == "url":
        losses.lose("response_format")


def _task(operation: Operation, asked: Object) -> str:
    if operation is Operation.IMAGE:
        return "TEXT_IMAGE"
    if operation is Operation.IMAGE_VARIATION:
        return "IMAGE_VARIATION"
    kind = (text(asked, "type") or "").upper()
    if kind:
        if kind not in TASKS or kind == "TEXT_IMAGE":
            known = ", ".join(name.lower() for name in TASKS if name != "TEXT_IMAGE")
            raise BadRequest(f"type must be one of {known}", param="type")
        return kind
    is_masked = asked.get("mask") is not None or asked.get("mask_prompt") is not None
    return "INPAINTING" if is_masked else "IMAGE_VARIATION"


def _present(**members: object) -> Object:
    return {name: value for name, value in members.items() if value is not None}


def _words(asked: Object) -> Object:
    return _present(text=text(asked, "prompt"), negativeText=text(asked, "negative_prompt"))


def _drawn(asked: Object, losses: Losses) -> Object:
    if asked.get("style") in {"vivid", "natural"}:
        # OpenAI's own.
        losses.lose("style")
        return _words(asked)
    return _words(asked) | _present(style=text(asked, "style"))


def _picture(asked: Object) -> object:
    pictures = asked.get("image") or []
    if len(pictures) != 1:
        raise BadRequest("there must be one image for this task", param="image")
    return pictures[0]


def _painted(asked: Object, losses: Losses) -> Object:  # noqa: ARG001  a task's
    masked = _present(maskImage=asked.get("mask"), maskPrompt=text(asked, "mask_prompt"))
    if len(masked) != 1:
        words = "this task needs either mask or mask_prompt, which says what is not to stay"
        raise BadRequest(words, param="mask")
    return {"image": _picture(asked), **_words(asked), **masked}


def _outpainted(asked: Object, losses: Losses) -> Object:
    mode = text(asked, "outpainting_mode")
    return _painted(asked, losses) | _present(outPaintingMode=mode and mode.upper())


def _cut_out(asked: Object, losses: Losses) -> Object:
    losses.lose(*(name for name in ("prompt", "n", "size", "quality") if asked.get(name)))
    return {"image": _picture(asked)}


def _varied(asked: Object, losses: Losses) -> Object:
    if asked.get("mask") is not None:
        losses.lose("mask")
    pictures = asked.get("image") or []
    if not pictures:
        raise BadRequest("at least one image is required", param="image")
    strength = asked.get("similarity_strength")
    return {"images": pictures, **_words(asked), **_present(similarityStrength=strength)}


TASK_PARAMETERS: Mapping[str, Callable[[Object, Losses], Object]] = MappingProxyType(
    {
        "TEXT_IMAGE": _drawn,
        "INPAINTING": _painted,
        "OUTPAINTING": _outpainted,
        "BACKGROUND_REMOVAL": _cut_out,
        "IMAGE_VARIATION": _varied,
    }
)


def _config(asked: Object) -> Object:
    config = _present(
        numberOfImages=whole(asked, "n"), seed=whole(asked, "seed"), cfgScale=asked.get("cfg_scale")
    )
    size = _size(asked)
    if size is not None:
        config |= {"width": size[0], "height": size[1]}
    quality = text(asked, "quality")
    if quality not in {None, "auto"}:
        config["quality"] = "premium" if quality in PREMIUM else "standard"
    return config


def _size(asked: Object) -> tuple[int, int] | None:
    """Width and height. Raises BadRequest for what is neither that nor ``auto``."""
    given = text(asked, "size")
    if given in {None, "", "auto"}:
        return None
    sides = str(given).split("x")
    if len(sides) == 2 and all(s.isascii() and s.isdigit() and len(s) < 6 for s in sides):
        width, height = (int(side) for side in sides)
        if width and height:
            return width, height
    raise BadRequest("size must be auto, or width and height: 1024x1024", param="size")


STABILITY_OWN = ("seed", "negative_prompt", "aspect_ratio", "output_format", "mode", "strength")
STABILITY_USED = frozenset({"prompt", "n", "size", "image", "mask", "response_format", *STABILITY_OWN})  # fmt: skip


def _stability(asked: Object, losses: Losses) -> Object:
    """Stability's models take the words at the top, and one picture to begin with."""
    body = _present(prompt=text(asked, "prompt"))
    body |= _present(**{name: asked.get(name) for name in STABILITY_OWN})
    if asked.get("image"):
        body["image"] = _picture(asked)
        if asked.get("mask") is not None:
            body["mask"] = asked["mask"]
        elif "strength" in body:
            body.setdefault("mode", "image-to-image")
    if asked.get("n") not in {None, 1}:
        losses.lose("n")
    _common(asked, losses)
    ratio = _ratio(asked)
    if ratio in RATIOS:
        body.setdefault("aspect_ratio", ratio)
    elif ratio is not None:
        losses.lose("size")
    return body


def _ratio(asked: Object) -> str | None:
    size = _size(asked)
    if size is None:
        return None
    common = math.gcd(*size)
    return f"{size[0] // common}:{size[1] // common}"


def read_images(body: bytes, facts: AnswerFacts) -> Answer:
    """The pictures, in base64. One that was held back is a refusal, if there is no other. Raises UpstreamError."""
    value = invoked_object(body)
    images = value.get("images")
    found = [image for image in images if isinstance(image, str) and image] if isinstance(images, list) else []  # fmt: skip
    told: Object = {
        "created": int(facts.sent_unix_s),
        "data": [{"b64_json": image} for image in found],
    }
    return Answer(value=told, body=body, error=None if found else _refusal(value, facts))


def _refusal(value: Object, facts: AnswerFacts) -> UpstreamError:
    """Why there is no picture."""
    reasons = value.get("finish_reasons")
    why = next((r for r in reasons if isinstance(r, str)), "") if isinstance(reasons, list) else ""
    told = value.get("error")
    words = why or (told if isinstance(told, str) else "")
    if not words:
        return UpstreamError("the answer has no picture", cause=json.dumps([*value][:9]).decode())
    return UpstreamError(
        f"the picture was held back: {scrubber(facts.key)(words)[:500]}",
        status=400,
        type="image_generation_user_error",
        code="moderation_blocked",
        error_class=ErrorClass.CLIENT,
    )
