"""Pictures to be changed by Gemini's own models: OpenAI's form, or its JSON, becomes a prompt with the pictures in it.

The answer is read as that of any picture (``gemini_images.read_images``). Sources: Gemini API reference, "Image generation",
2026-11; OpenAI API reference, "Create image edit", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs.data_uri import split_data_uri
from bifrost.codecs.inlined import inlined
from bifrost.dialects.fields import Losses, dropped, mapped, sealed
from bifrost.dialects.gemini_contents import IMAGE_TYPES, inline_part, part_at, uploaded_part
from bifrost.dialects.gemini_images import FIELDS, USED, generation, is_imagen
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.value_shape import list_of, obj, text
from bifrost.errors import BadRequest, UnsupportedOperation
from bifrost.schema.chat import ChatRequest
from bifrost.schema.payload import Field, File

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.fields import Fields
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call
    from bifrost.schema.payload import Form, Payload

__all__ = ["EDIT_FIELDS", "encode_edit"]

Object = dict[str, Any]

EDIT_FIELDS: Fields = MappingProxyType(
    {
        **FIELDS,
        "image": mapped("contents", "one or more, in base64"),
        "images": mapped("contents", "of a body in JSON"),
        "mask": dropped("say in the text what is to change"),
        "input_fidelity": dropped(),
        "type": dropped(),
    }
)

MAX_IMAGES = 16

WHOLE = frozenset({"n", "seed", "output_compression", "partial_images"})
"""Fields of a form that are numbers."""


def encode_edit(call: Call, model: str, provider: str) -> Encoded:
    """The request; pictures of a form are encoded while it is sent. Raises BadRequest, UnsupportedOperation for Imagen."""
    if is_imagen(model):
        raise UnsupportedOperation(f"{call.request_type} is not supported by {model}")
    form = call.form
    request = read_plain(call.members) if form is None else _of_form(form)
    losses = Losses()
    if not text(request.members, "prompt"):
        raise BadRequest("prompt must be a text", param="prompt")
    if text(request.members, "response_format") == "url":
        losses.lose("response_format")
    body = generation(request, losses)
    files = [] if form is None else _pictures(form, losses)
    marks = {f"{call.boundary.decode('latin-1')}-{n:02}": file for n, file in enumerate(files)}
    parts = [inline_part(_kind(file), mark) for mark, file in marks.items()]
    if form is None:
        parts = _named(request)
    if not 1 <= len(parts) <= MAX_IMAGES:
        raise BadRequest(f"there must be 1 to {MAX_IMAGES} images", param="image")
    body["contents"][0]["parts"][:0] = parts
    sent = sealed(body, request, losses, call, provider, fields=EDIT_FIELDS, used=USED)
    contents: dict[bytes, Payload] = {mark.encode(): file.content for mark, file in marks.items()}
    return attrs.evolve(sent, body=b"", payload=inlined(sent.body, contents)) if contents else sent


def _of_form(form: Form) -> ChatRequest:
    fields = [part for part in form if isinstance(part, Field)]
    return ChatRequest(messages=(), members=dict(map(_member, fields)), extras={})


def _member(field: Field) -> tuple[str, object]:
    said = field.value.decode("utf-8", "replace")
    is_whole = field.name in WHOLE and said.strip().isascii() and said.strip().isdigit()
    return field.name, int(said) if is_whole and len(said) < 20 else said


def _pictures(form: Form, losses: Losses) -> list[File]:
    """The pictures in ``form``; what else is a file is lost."""
    files = [part for part in form if isinstance(part, File)]
    losses.lose(*(part.name for part in files if part.name not in {"image", "image[]"}))
    return [part for part in files if part.name in {"image", "image[]"}]


def _kind(file: File) -> str:
    said = (file.content_type or b"").partition(b";")[0].strip().decode("latin-1").lower()
    if said in IMAGE_TYPES.values():
        return said
    ending = (file.filename or b"").rpartition(b".")[2].decode("latin-1").lower()
    return IMAGE_TYPES.get(ending, "image/png")


def _named(request: ChatRequest) -> list[Object]:
    """The pictures of a body in JSON: addresses, pictures in base64, files that Gemini has."""
    given = request.members.get("images", request.members.get("image"))
    items = given if isinstance(given, list) else [] if given is None else [given]
    return [_picture(item, place) for item, place in list_of(items, "images")]


def _picture(item: object, place: str) -> Object:
    said: Mapping[str, Any] = {"image_url": item} if isinstance(item, str) else obj(item, place)
    file_id = text(said, "file_id", place)
    if file_id:
        return uploaded_part(file_id)
    url = text(said, "image_url", place)
    if not url:
        raise BadRequest(f"{place}.image_url is required", param=f"{place}.image_url")
    try:
        found = split_data_uri(url)
    except ValueError as error:
        raise BadRequest(f"{place}: {error}", param=place) from error
    if found is None:
        return part_at(url, IMAGE_TYPES, "image/png")
    return inline_part(found[0] or "image/png", found[1])
