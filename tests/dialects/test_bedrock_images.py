"""Pictures of Bedrock's: what is asked of each family, and what its answers say."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import trio

from bifrost.config.secret import Secret
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bedrock_images import encode_images, read_images
from bifrost.errors import BadRequest, ErrorClass, UnsupportedOperation, UpstreamError
from bifrost.schema.call import Call, Caller, Operation, Target
from bifrost.schema.payload import BytesPayload, Field, File, Form

Op = Operation
NOVA, TITAN = "amazon.nova-canvas-v1:0", "amazon.titan-image-generator-v2:0"
ULTRA = "stability.stable-image-ultra-v1:1"
PNG = BytesPayload(b"\x89PNG")
PICTURE = base64.b64encode(PNG.data).decode()
URI = f"data:image/png;base64,{PICTURE}"
FACTS = AnswerFacts(
    request_type="image_generation",
    provider="bedrock",
    model_requested="m",
    sent_s=1.0,
    sent_unix_s=1_790_000_000.5,
    key=Secret("bedrock-key-1234"),
)


def call(operation: Operation, asked: dict[str, Any] | Form, **caller: Any) -> Call:
    given: dict[str, Any] = (
        {"form": asked}
        if isinstance(asked, tuple)
        else {"members": {name: json.dumps(value).encode() for name, value in asked.items()}}
    )
    target = Target("bedrock", "m")
    return Call(
        id="1",
        boundary=b"random",
        operation=operation,
        stream=False,
        target=target,
        caller=Caller(**caller),
        **given,
    )


def sent(
    operation: Operation, asked: dict[str, Any] | Form, model: str = NOVA
) -> tuple[Any, tuple[str, ...]]:
    found = encode_images(call(operation, asked), model, "bedrock")
    if found.payload is None:
        return json.loads(found.body), found.dropped
    payload = found.payload

    async def read() -> bytes:
        return b"".join([block async for block in payload.blocks()])

    return json.loads(trio.run(read)), found.dropped


def form(*files: str, **fields: str) -> Form:
    return (
        *(File(name, b"a.png", b"image/png", PNG) for name in files),
        *(Field(name, value.encode()) for name, value in fields.items()),
    )


@pytest.mark.parametrize("model", [NOVA, TITAN])
def test_the_least(model: str) -> None:
    body, dropped = sent(Op.IMAGE, {"model": "m", "prompt": "A cat"}, model)

    assert body == {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "A cat"}}
    assert dropped == ()


def test_everything() -> None:
    asked = {
        "model": "m", "prompt": "A cat", "n": 2, "size": "1024x512", "quality": "high", "negative_prompt": "dogs",
        "extra_params": {"cfg_scale": 6.5, "seed": 7}, "style": "PHOTOREALISM", "response_format": "b64_json",
    }  # fmt: skip

    body, dropped = sent(Op.IMAGE, asked)

    assert body == {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "A cat", "negativeText": "dogs", "style": "PHOTOREALISM"},
        "imageGenerationConfig": {
            "numberOfImages": 2, "width": 1024, "height": 512, "quality": "premium", "seed": 7, "cfgScale": 6.5,
        },
    }  # fmt: skip
    assert dropped == ()


@pytest.mark.parametrize(
    ("asked", "dropped"),
    [
        ({"user": "u"}, ("user",)),
        ({"background": "auto", "moderation": "auto"}, ()),
        ({"response_format": "url"}, ("response_format",)),
        ({"style": "vivid"}, ("style",)),
        ({"output_format": "webp"}, ("output_format",)),
    ],
)
def test_what_is_lost(asked: dict[str, Any], dropped: tuple[str, ...]) -> None:
    assert sent(Op.IMAGE, {"prompt": "A cat", **asked})[1] == dropped
    if dropped:
        with pytest.raises(BadRequest, match=f"bedrock does not take: {dropped[0]}"):
            encode_images(call(Op.IMAGE, {"prompt": "x", **asked}, strict=True), NOVA, "bedrock")


@pytest.mark.parametrize(
    ("quality", "told"), [("standard", "standard"), ("low", "standard"), ("hd", "premium")]
)
def test_quality(quality: str, told: str) -> None:
    body, _ = sent(Op.IMAGE, {"prompt": "x", "quality": quality, "size": "auto"})

    assert body["imageGenerationConfig"] == {"quality": told}


@pytest.mark.parametrize(
    ("files", "fields", "task", "parameters"),
    [
        (("image", "mask"), {"prompt": "a hat"}, "INPAINTING", {"image": PICTURE, "text": "a hat", "maskImage": PICTURE}),
        (("image",), {"prompt": "a hat", "mask_prompt": "head"}, "INPAINTING", {"image": PICTURE, "text": "a hat", "maskPrompt": "head"}),
        (("image",), {"prompt": "a hat"}, "IMAGE_VARIATION", {"images": [PICTURE], "text": "a hat"}),
        (("image[]", "image[]"), {"prompt": "a", "similarity_strength": "0.5"}, "IMAGE_VARIATION", {"images": [PICTURE, PICTURE], "text": "a", "similarityStrength": 0.5}),
        (("image", "mask"), {"prompt": "a", "type": "outpainting", "outpainting_mode": "precise"}, "OUTPAINTING", {"image": PICTURE, "text": "a", "maskImage": PICTURE, "outPaintingMode": "PRECISE"}),
        (("image", "mask"), {"prompt": "a", "type": "OUTPAINTING"}, "OUTPAINTING", {"image": PICTURE, "text": "a", "maskImage": PICTURE}),
        (("image",), {"type": "background_removal"}, "BACKGROUND_REMOVAL", {"image": PICTURE}),
    ],
)  # fmt: skip
def test_edits(files: Any, fields: Any, task: str, parameters: Any) -> None:
    body, dropped = sent(Op.IMAGE_EDIT, form(*files, model="m", **fields))

    [name] = [name for name in body if name.endswith("Params")]
    assert (body["taskType"], body[name]) == (task, parameters)
    assert name.lower() == f"{task.replace('_', '').lower()}params"
    assert dropped == ()


def test_fields_of_a_form_are_read() -> None:
    body, dropped = sent(Op.IMAGE_VARIATION, form("image", n="3", size="512x512", user="u"), TITAN)

    assert body["imageGenerationConfig"] == {"numberOfImages": 3, "width": 512, "height": 512}
    assert dropped == ("user",)


def test_cutting_out_needs_no_words() -> None:
    fields = {"type": "background_removal", "prompt": "x", "n": "2"}

    body, dropped = sent(Op.IMAGE_EDIT, form("image", **fields))

    assert body == {"taskType": "BACKGROUND_REMOVAL", "backgroundRemovalParams": {"image": PICTURE}}
    assert dropped == ("prompt", "n")
    _, dropped = sent(Op.IMAGE_VARIATION, form("image", "mask"))
    assert dropped == ("mask",)


@pytest.mark.parametrize("images", [URI, [URI], [{"image_url": URI}]])
def test_an_edit_in_json(images: Any) -> None:
    asked = {"model": "m", "prompt": "a", "images": images, "mask": {"image_url": URI}}

    body, _ = sent(Op.IMAGE_EDIT, asked)

    assert body["inPaintingParams"] == {"image": PICTURE, "text": "a", "maskImage": PICTURE}


@pytest.mark.parametrize(
    ("operation", "asked", "param"),
    [
        (Op.IMAGE, {"prompt": 5}, "prompt"),
        (Op.IMAGE, {"prompt": "x", "size": "big"}, "size"),
        (Op.IMAGE, {"prompt": "x", "size": "0x5"}, "size"),
        (Op.IMAGE, {"prompt": "x", "n": "two"}, "n"),
        (Op.IMAGE_EDIT, form("image", "mask", prompt="x", mask_prompt="y"), "mask"),
        (Op.IMAGE_EDIT, form("image", prompt="x", type="inpainting"), "mask"),
        (Op.IMAGE_EDIT, form("image", "image", "mask", prompt="x"), "image"),
        (Op.IMAGE_EDIT, form("image", prompt="x", type="text_image"), "type"),
        (Op.IMAGE_EDIT, form("image", prompt="x", n="two"), "n"),
        (Op.IMAGE_EDIT, {"prompt": "x"}, "image"),
        (Op.IMAGE_EDIT, {"prompt": "x", "images": ["https://x/a.png"]}, "image[0]"),
        (Op.IMAGE_EDIT, {"prompt": "x", "images": ["data:image/png;base64,*"]}, "image[0]"),
        (Op.IMAGE_EDIT, {"prompt": "x", "images": [{"image_url": URI}], "mask": 5}, "mask"),
    ],
)
def test_what_is_wrong_is_named(operation: Operation, asked: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        sent(operation, asked)

    assert caught.value.param == param


def test_stability() -> None:
    asked = {"prompt": "A cat", "size": "1920x1080", "negative_prompt": "dogs", "seed": 5, "output_format": "jpeg"}  # fmt: skip

    body, dropped = sent(Op.IMAGE, asked, ULTRA)

    assert body == {
        "prompt": "A cat", "seed": 5, "negative_prompt": "dogs", "output_format": "jpeg", "aspect_ratio": "16:9",
    }  # fmt: skip
    assert dropped == ()
    assert sent(Op.IMAGE, {"prompt": "x", "n": 2, "size": "100x99"}, ULTRA) == (
        {"prompt": "x"},
        ("n", "size"),
    )


def test_stability_begins_with_a_picture() -> None:
    edit = form("image", prompt="x", strength="0.5")
    masked = form("image", "mask", prompt="x")

    assert sent(Op.IMAGE_EDIT, edit, ULTRA)[0] == {
        "prompt": "x", "strength": 0.5, "image": PICTURE, "mode": "image-to-image",
    }  # fmt: skip
    assert sent(Op.IMAGE_EDIT, masked, ULTRA)[0] == {"prompt": "x", "image": PICTURE, "mask": PICTURE}  # fmt: skip


def test_other_models_make_no_pictures() -> None:
    with pytest.raises(UnsupportedOperation, match="is not supported by bedrock provider for meta"):
        sent(Op.IMAGE, {"prompt": "x"}, "meta.llama3")


def test_answers() -> None:
    answer = read_images(json.dumps({"images": ["aGk=", None, "eA=="], "error": None}).encode(), FACTS)  # fmt: skip

    assert answer.error is None
    assert answer.value == {
        "created": 1_790_000_000,
        "data": [{"b64_json": "aGk="}, {"b64_json": "eA=="}],
    }


@pytest.mark.parametrize(
    ("body", "text", "status"),
    [
        ({"error": "blocked by our filters bedrock-key-1234"}, r"held back: blocked by our filters \*\*\*", 400),
        ({"images": [None], "finish_reasons": [None, "Filter reason: prompt"]}, "held back: Filter reason", 400),
        ({"seeds": [1]}, "the answer has no picture", 502),
    ],
)  # fmt: skip
def test_what_is_no_picture(body: Any, text: str, status: int) -> None:
    error = read_images(json.dumps(body).encode(), FACTS).error

    assert error is not None
    with pytest.raises(UpstreamError, match=text):
        raise error
    assert (error.status, error.error_class is ErrorClass.CLIENT) == (status, status == 400)


def test_what_is_no_answer_at_all() -> None:
    with pytest.raises(UpstreamError):
        read_images(b"[]", FACTS)
