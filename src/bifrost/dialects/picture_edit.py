"""Pictures to be changed, as a form or as JSON brings them, for upstreams that want them as addresses inside of JSON.

Source of the shapes: OpenAI API reference, "Create image edit", 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.codecs.inlined import inlined
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.value_shape import list_of, obj, text
from bifrost.errors import BadRequest
from bifrost.schema.chat import ChatRequest
from bifrost.schema.payload import File, Payload

if TYPE_CHECKING:
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call
    from bifrost.schema.payload import Form

__all__ = ["PictureEdit", "data_uri", "read_edit", "with_files"]

IMAGES = frozenset({"image", "image[]"})

TEXTS = frozenset({"prompt", "user"})
"""Fields that are no numbers, whatever they look like."""

SCALAR = re.compile(rb"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?|true|false")

KIND = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}", re.ASCII)

UNNAMED = "image/png"
"""What a file is taken for that does not say what it is: OpenAI's own format."""


@attrs.frozen(kw_only=True)
class PictureEdit:
    """What is asked. Pictures are addresses; that of a file is a data URI with a mark in place of its bytes."""

    request: ChatRequest
    """All but the pictures."""
    images: tuple[str, ...]
    mask: str | None
    _files: Mapping[bytes, Payload]

    def sealed(self, sent: Encoded) -> Encoded:
        """``sent``, whose body names pictures by their addresses, with the files in it."""
        return with_files(sent, self._files)


def with_files(sent: Encoded, files: Mapping[bytes, Payload]) -> Encoded:
    """``sent`` with base64 in place of the marks of ``files``."""
    if not files:
        return sent
    return attrs.evolve(sent, body=b"", payload=inlined(sent.body, files))


def data_uri(file: File, mark: bytes, unnamed: str) -> str:
    """A data URI that has ``mark`` in place of its data; ``unnamed`` is what a file is taken for that does not say it."""
    told = (file.content_type or b"").decode("latin-1").partition(";")[0].strip().lower()
    is_kind = KIND.fullmatch(told) and told != "application/octet-stream"
    return f"data:{told if is_kind else unnamed};base64,{mark.decode('latin-1')}"


def read_edit(call: Call) -> PictureEdit:
    """The pictures of ``call``, and what is to be done with them. Raises BadRequest."""
    return _of_json(call) if call.form is None else _of_form(call.form, call.boundary)


def _of_form(form: Form, boundary: bytes) -> PictureEdit:
    members: dict[str, Any] = {}
    images: list[str] = []
    masks: list[str] = []
    files: dict[bytes, Payload] = {}
    for part in form:
        if not isinstance(part, File):
            members[part.name] = _value(part.name, part.value)
            continue
        if part.name != "mask" and part.name not in IMAGES:
            raise BadRequest(f"{part.name[:64]} cannot be a file", param=part.name[:64])
        mark = b"%b.%d." % (boundary, len(files))
        files[mark] = part.content
        uri = data_uri(part, mark, UNNAMED)
        (masks if part.name == "mask" else images).append(uri)
    request = ChatRequest(messages=(), members=members, extras={})
    mask = masks[-1] if masks else None
    return PictureEdit(request=request, images=tuple(images), mask=mask, files=files)


def _value(name: str, raw: bytes) -> object:
    """A field's text, or the number or truth that it is."""
    if name not in TEXTS and SCALAR.fullmatch(raw):
        return json.loads(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"invalid value for {name[:64]}", param=name[:64], cause=str(error)
        ) from None


def _of_json(call: Call) -> PictureEdit:
    request = read_plain(call.members)
    given = dict(request.members)
    images = given.pop("images", None) or given.pop("image", None)
    mask = given.pop("mask", None)
    items = list_of([images] if isinstance(images, str | dict) else images, "images")
    return PictureEdit(
        request=attrs.evolve(request, members=given),
        images=tuple(_address(item, place) for item, place in items),
        mask=None if mask is None else _address(mask, "mask"),
        files={},
    )


def _address(item: object, place: str) -> str:
    if isinstance(item, str):
        return item
    found = text(obj(item, place), "image_url", place)
    if not found:
        raise BadRequest(f"{place} must have an image_url for this provider", param=place)
    return found
