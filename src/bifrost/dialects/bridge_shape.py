"""Reading what a caller sent, piece by piece: every wrong shape is a BadRequest that names its place.

Values stay the bytes that came; only what steers the reading is decoded.
"""

from __future__ import annotations

from typing import NoReturn

from bifrost.codecs import json
from bifrost.errors import BadRequest

__all__ = ["NULL", "array", "given", "members", "refuse", "required_text", "text_or_none"]

NULL = b"null"


def refuse(place: str, complaint: str) -> NoReturn:
    """Raise BadRequest: ``complaint`` goes on from the name of the ``place`` (``input[2].role``)."""
    raise BadRequest(f"{place} {complaint}", param=place)


def members(raw: bytes, place: str) -> dict[str, bytes]:
    """The members of the object ``raw``, without those that are null."""
    if not raw.startswith(b"{"):
        refuse(place, "must be an object")
    return {name: value for name, value in json.split_object(raw).items() if value != NULL}


def array(raw: bytes, place: str) -> list[bytes]:
    if not raw.startswith(b"["):
        refuse(place, "must be an array")
    return json.split_array(raw)


def given(source: dict[str, bytes], name: str, place: str) -> bytes:
    """The member ``name``, which has to be there."""
    if name not in source:
        refuse(f"{place}.{name}", "is required")
    return source[name]


def required_text(source: dict[str, bytes], name: str, place: str) -> bytes:
    """As ``given``, and it is a string; still as JSON."""
    raw = given(source, name, place)
    if not raw.startswith(b'"'):
        refuse(f"{place}.{name}", "must be a string")
    return raw


def text_or_none(source: dict[str, bytes], name: str, place: str) -> str | None:
    """The string in member ``name``; ``None`` if there is no such member."""
    if name not in source:
        return None
    return str(json.loads(required_text(source, name, place)))
