"""Pictures to be changed by Gemini: of a form, and of a body in JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs
import pytest

from bifrost.dialects.gemini_edits import encode_edit
from bifrost.errors import BadRequest, UnsupportedOperation
from bifrost.schema.call import Operation
from bifrost.schema.payload import BytesPayload, Field, File, Form
from dialects.gemini import PNG, call_of, judge

EDIT = Operation.IMAGE_EDIT


def picture(name: str = "image", filename: bytes = b"a.png", kind: bytes | None = None) -> File:
    return File(name, filename, kind, BytesPayload(filename))


def of_form(*parts: File, model: str = "gemini-2.5-flash-image", **fields: str) -> Any:
    said = {"model": model, "prompt": "Make it blue", **fields}
    form: Form = (*(Field(name, value.encode()) for name, value in said.items()), *parts)
    call = attrs.evolve(call_of({}, EDIT), form=form, boundary=b"0123")
    return encode_edit(call, model, "gemini")


def of_json(members: dict[str, Any], **caller: Any) -> Any:
    asked = {"model": "x", "prompt": "Make it blue", **members}
    return encode_edit(call_of(asked, EDIT, **caller), "gemini-2.5-flash-image", "gemini")


async def body_of(sent: Any) -> Any:
    if sent.payload is None:
        return json.loads(sent.body)
    return json.loads(b"".join([block async for block in sent.payload.blocks()]))


async def test_pictures_of_a_form_stand_before_the_text() -> None:
    pictures = (
        picture("image[]"),
        picture("image[]", b"b.jpg"),
        picture("image[]", b"c", b"image/webp"),
    )

    sent = of_form(*pictures, n="2", size="1536x1024", quality="high", output_format="png")

    body = await body_of(sent)
    judge(body)
    kinds = ("image/png", "image/jpeg", "image/webp")
    names = (b"a.png", b"b.jpg", b"c")
    assert body["contents"][0]["parts"] == [
        *(
            {"inlineData": {"mimeType": kind, "data": base64.b64encode(name).decode()}}
            for kind, name in zip(kinds, names, strict=True)
        ),
        {"text": "Make it blue"},
    ]
    config = body["generationConfig"]
    assert config["candidateCount"] == 2
    assert config["imageConfig"] == {"aspectRatio": "3:2"}
    assert set(sent.dropped) == {"quality", "output_format"}


async def test_a_mask_is_lost() -> None:
    sent = of_form(picture(), picture("mask"), response_format="url")

    assert set(sent.dropped) == {"mask", "response_format"}
    assert len((await body_of(sent))["contents"][0]["parts"]) == 2


async def test_pictures_in_json() -> None:
    images = [
        {"image_url": f"data:image/png;base64,{PNG}"},
        {"image_url": "https://pictures.example/a.jpg"},
        {"file_id": "files/abc"},
        f"data:;base64,{PNG}",
    ]

    sent = of_json({"images": images})

    body = await body_of(sent)
    judge(body)
    uri = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://pictures.example/a.jpg"}},
        {"fileData": {"fileUri": uri}},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"text": "Make it blue"},
    ]
    assert sent.dropped == ()
    one = of_json({"image": {"image_url": f"data:image/png;base64,{PNG}"}})
    assert len((await body_of(one))["contents"][0]["parts"]) == 2


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({}, "image"),
        ({"images": [{}]}, "images[0].image_url"),
        ({"images": [7]}, "images[0]"),
        ({"images": [{"image_url": "data:image/png,x"}]}, "images[0]"),
        ({"images": [{"file_id": "file-1"}]}, "file.file_id"),
        ({"images": [f"data:;base64,{PNG}"] * 17}, "image"),
        ({"prompt": "", "images": [f"data:;base64,{PNG}"]}, "prompt"),
    ],
)
def test_what_cannot_be_changed(members: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as raised:
        of_json(members)
    assert raised.value.param == place


def test_imagen_changes_nothing() -> None:
    with pytest.raises(UnsupportedOperation):
        of_form(picture(), model="imagen-4.0-generate-001")


def test_what_is_lost_is_refused_if_the_caller_insists() -> None:
    with pytest.raises(BadRequest, match="does not take: input_fidelity"):
        of_json({"image": f"data:;base64,{PNG}", "input_fidelity": "high"}, strict=True)
