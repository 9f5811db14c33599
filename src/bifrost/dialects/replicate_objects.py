"""Files of Replicate's, asked for and told in OpenAI's words.

Source: Replicate HTTP API reference, "Files", 2026-11. What a file holds cannot be asked for there.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from bifrost.codecs import json
from bifrost.codecs.multipart import InvalidForm, encode_form, form_content_type
from bifrost.dialects.base import PlainAnswer, Reading
from bifrost.dialects.hub import Answer
from bifrost.dialects.objects import (
    ObjectRequest,
    Wanted,
    deleted,
    file_object,
    listed,
    reading,
    unix_s,
    uploaded,
)
from bifrost.dialects.tellings import told
from bifrost.errors import BadRequest
from bifrost.schema.call import Operation
from bifrost.schema.payload import Field, File

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Object
    from bifrost.dialects.objects import ObjectCoder

__all__ = ["REPLICATE_OBJECTS"]

FILES = "/v1/files"


def _upload(wanted: Wanted) -> ObjectRequest:
    """``purpose`` is kept among the metadata, for Replicate has none of its own."""
    upload, boundary = uploaded(wanted), wanted.call.boundary
    given = upload.file
    kind = given.content_type or b"application/octet-stream"
    form = (
        File("content", given.filename or b"file", kind, given.content),
        Field("metadata", json.dumps({"purpose": upload.purpose})),
    )
    try:
        body = encode_form(form, boundary)
    except InvalidForm as error:
        raise BadRequest("failed to parse request", cause=str(error)) from error
    return ObjectRequest(
        method=b"POST",
        path=FILES,
        body=body,
        content_type=form_content_type(boundary),
        dropped=upload.others,
        reading=reading(lambda value, _: _file(value)),
    )


def _list(wanted: Wanted) -> ObjectRequest:
    """A page is as long as Replicate makes it."""
    cursor = wanted.query.get("after", "")
    return ObjectRequest(
        path=FILES,
        query=(("cursor", cursor),) if cursor else (),
        dropped=tuple(name for name in ("limit", "order", "purpose") if wanted.query.get(name)),
        reading=reading(lambda value, _: _page(value)),
    )


def _page(value: Object) -> Object:
    found = value.get("results")
    items = (
        [_file(item) for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    )
    following = dict(parse_qsl(urlsplit(str(value.get("next") or "")).query)).get("cursor")
    return listed(items, has_more=following is not None, next_cursor=following)


def _file(value: Object) -> Object:
    metadata = value.get("metadata")
    size = value.get("size")
    return file_object(
        id=str(value.get("id") or ""),
        bytes=size if isinstance(size, int) else 0,
        created_at=unix_s(value.get("created_at")),
        expires_at=unix_s(value.get("expires_at")),
        filename=str(value.get("name") or ""),
        purpose=metadata.get("purpose") if isinstance(metadata, dict) else None,
        storage_uri=value["urls"].get("get") if isinstance(value.get("urls"), dict) else None,
        mime_type=value.get("content_type"),
    )


def _retrieve(wanted: Wanted) -> ObjectRequest:
    return ObjectRequest(
        path=f"{FILES}/{wanted.id}", reading=reading(lambda value, _: _file(value))
    )


def _delete(wanted: Wanted) -> ObjectRequest:
    name = wanted.id

    def plain(body: bytes, facts: AnswerFacts) -> PlainAnswer:
        """It is answered with nothing."""
        return told(Answer(value=deleted(name), body=body or b"null"), facts)

    return ObjectRequest(method=b"DELETE", path=f"{FILES}/{name}", reading=Reading(plain=plain))


REPLICATE_OBJECTS: Mapping[Operation, ObjectCoder] = MappingProxyType(
    {
        Operation.FILE_UPLOAD: _upload,
        Operation.FILE_LIST: _list,
        Operation.FILE_RETRIEVE: _retrieve,
        Operation.FILE_DELETE: _delete,
    }
)
