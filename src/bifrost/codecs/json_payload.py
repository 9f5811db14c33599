"""JSON with files in it, as texts in base64: a payload that is written block by block, wherever the files lie."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import attrs

from bifrost.codecs import json
from bifrost.codecs.multipart import Joined
from bifrost.schema.payload import BLOCK_BYTES, BytesPayload, Payload

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["json_payload"]

RAW_BLOCK = BLOCK_BYTES // 4 * 3
"""Bytes that a block in base64 holds."""


def json_payload(value: object) -> Payload:
    """``value`` in JSON: objects, lists, JSON's own values, and payloads in the place of texts.

    Raises TypeError for what is no JSON value.
    """
    pieces: list[Payload] = []
    text = bytearray()
    for piece in _pieces(value):
        if isinstance(piece, bytes):
            text += piece
        else:
            pieces += (BytesPayload(bytes(text)), _Base64(piece))
            text.clear()
    return Joined((*pieces, BytesPayload(bytes(text))))


def _pieces(value: object) -> Iterator[bytes | Payload]:
    """JSON as it is, and what is to be written in base64."""
    match value:
        case dict():
            yield b"{"
            for number, (name, inner) in enumerate(value.items()):
                yield b"%b%b:" % (b"," if number else b"", json.dumps_str(name))
                yield from _pieces(inner)
            yield b"}"
        case list():
            yield b"["
            for number, inner in enumerate(value):
                yield b"," if number else b""
                yield from _pieces(inner)
            yield b"]"
        case _ if hasattr(value, "blocks"):
            yield b'"'
            yield cast("Payload", value)
            yield b'"'
        case _:
            yield json.dumps(value)


@attrs.frozen
class _Base64:
    """What is in ``content``, in base64. Implements ``Payload``."""

    content: Payload

    @property
    def size(self) -> int:
        return (self.content.size + 2) // 3 * 4

    def blocks(self) -> AsyncIterator[bytes]:
        return _Base64Blocks(self.content.blocks())


class _Base64Blocks(AsyncIterator[bytes]):
    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._kept = b""
        self._is_read = False

    async def __anext__(self) -> bytes:
        while not self._is_read and len(self._kept) < RAW_BLOCK:
            block = await anext(self._source, b"")
            self._is_read = not block
            self._kept += block
        raw, self._kept = self._kept[:RAW_BLOCK], self._kept[RAW_BLOCK:]
        if not raw:
            raise StopAsyncIteration
        return base64.b64encode(raw)
