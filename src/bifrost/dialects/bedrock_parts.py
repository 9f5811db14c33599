"""The parts of a chat message as Converse's content blocks.

Source: AWS, Amazon Bedrock API reference, "ContentBlock", 2026-11. Bytes are base64 in JSON, as they come in a data URI.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, assert_never

import attrs

from bifrost.codecs import json
from bifrost.errors import BadRequest
from bifrost.schema.chat import Audio, CachePoint, Document, Image, Refusal, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bifrost.schema.chat import Message, Part

__all__ = ["CACHE_POINT", "Blocks", "cache_point", "json_result"]

Block = dict[str, object]

CACHE_POINT: Block = {"cachePoint": {"type": "default"}}

TTLS = frozenset({"5m", "1h"})

IMAGES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}

_OFFICE = "application/vnd.openxmlformats-officedocument"

DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE}.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
EXTENSIONS = {**{name: name for name in DOCUMENTS.values()}, "htm": "html", "markdown": "md"}

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_BLANKS = re.compile(r"\s+")

MAX_NAME = 190
"""Characters of a document's name; Converse takes 200, and a number may have to be added."""


@attrs.define(eq=False)
class Blocks:
    """Makes the blocks of one request, whose documents must have names of their own."""

    _names: dict[str, int] = attrs.field(factory=dict, init=False)

    def of_message(self, message: Message) -> list[Block]:
        """The blocks of a message's parts. Raises BadRequest for what Converse has no block for."""
        return [block for part in message.parts for block in self.of_part(part, message.place)]

    def of_part(self, part: Part, place: str) -> Iterator[Block]:
        """The block of ``part`` and, where it is marked, a cache point behind it. A blank text is none: it is refused there."""
        match part:
            case Text() | Refusal():
                if part.text.strip():
                    yield {"text": part.text}
            case Image():
                yield {"image": _image(part, place)}
            case Document():
                yield {"document": self._document(part, place)}
            case CachePoint(raw):
                yield {"cachePoint": dict(raw)}
            case Audio():
                words = "audio input is not supported by Converse"
                raise BadRequest(f"{place}.content: {words}", param=f"{place}.content")
            case _:
                assert_never(part)
        if isinstance(part, Text | Image | Document) and part.cache_control:
            yield cache_point(part.cache_control)

    def _document(self, part: Document, place: str) -> Block:
        source = _source(part, place)
        made: Block = {
            "name": self._name(part.filename),
            "format": _format(part, place),
            "source": source,
        }
        if part.citations:
            made["citations"] = dict(part.citations)
        return made

    def _name(self, filename: str | None) -> str:
        """A name that Converse takes, another for each document."""
        stem = _split_name(filename or "")[0]
        cleaned = _BLANKS.sub(" ", _NOT_IN_NAMES.sub(" ", stem)).strip()[:MAX_NAME] or "document"
        count = self._names[cleaned] = self._names.get(cleaned, 0) + 1
        return cleaned if count == 1 else self._name(f"{cleaned} {count}.x")


def cache_point(mark: Mapping[str, Any]) -> Block:
    """Converse's word for a ``cache_control`` mark."""
    ttl = mark.get("ttl")
    return {"cachePoint": {"type": "default", "ttl": ttl}} if ttl in TTLS else CACHE_POINT


def _image(part: Image, place: str) -> Block:
    where = f"{place}.content.image_url"
    if part.inline is None:
        words = "only base64-encoded images are supported by Converse, as data URIs"
        raise BadRequest(f"{where}: {words}", param=where)
    kind = IMAGES.get(part.inline.media_type)
    if kind is None:
        raise BadRequest(f"{where} must be one of png, jpeg, gif, webp", param=where)
    return {"format": kind, "source": {"bytes": part.inline.data}}


def _source(part: Document, place: str) -> Block:
    if part.inline is not None:
        return {"bytes": part.inline.data}
    if part.text is not None:
        return {"bytes": base64.b64encode(part.text.encode()).decode()}
    if part.url and part.url.startswith("s3://"):
        return {"s3Location": {"uri": part.url}}
    where = f"{place}.content.file"
    words = "only base64-encoded documents and s3:// URLs are supported by Converse"
    raise BadRequest(f"{where}: {words}", param=where)


def _split_name(path: str) -> tuple[str, str]:
    """The last segment of ``path``, and its extension in lower case."""
    name = path.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    return (stem, extension.lower()) if dot and stem else (name, "")


def _format(part: Document, place: str) -> str:
    """By the type that was told, else by the file's name."""
    if part.text is not None:
        return "txt"
    kind = DOCUMENTS.get(part.inline.media_type) if part.inline else None
    extension = _split_name(part.filename or part.url or "")[1]
    found = kind or EXTENSIONS.get(extension)
    if found is None and part.inline and not part.inline.media_type and not extension:
        return "pdf"
    if found is None:
        where = f"{place}.content.file"
        known = ", ".join(DOCUMENTS.values())
        raise BadRequest(f"{where} must be one of {known}", param=where)
    return found


def json_result(text: str) -> Block:
    """What a tool said, as a block: JSON as JSON, which has to be an object there, and all else as text."""
    try:
        value = json.loads(text)
    except json.InvalidJSON:
        return {"text": text}
    if isinstance(value, dict):
        return {"json": json.verbatim(text.encode())}
    member = "results" if isinstance(value, list) else "value"
    return {"json": {member: json.verbatim(text.encode())}}
