"""JSON in which whole files stand as base64, written block by block: no file is in memory for it."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Mapping

import attrs

from bifrost.codecs.multipart import joined
from bifrost.schema.payload import BLOCK_BYTES, BytesPayload, Payload

__all__ = ["inlined"]

RAW_BYTES = BLOCK_BYTES // 4 * 3
"""Of a file in one block; a multiple of three, so that base64 needs no padding in between."""


def inlined(text: bytes, files: Mapping[bytes, Payload]) -> Payload:
    """``text`` with the base64 of a file wherever the mark stands that it is known by.

    There is at least one; no mark is a part of another, and nobody who has a say in ``text`` can know them.
    """
    marks = re.compile(b"(%b)" % b"|".join(map(re.escape, files)))
    return joined(
        _Base64(files[piece]) if piece in files else BytesPayload(piece)
        for piece in marks.split(text)
    )


@attrs.frozen
class _Base64:
    """A payload in base64, padded. Implements ``Payload``."""

    content: Payload

    @property
    def size(self) -> int:
        return (self.content.size + 2) // 3 * 4

    def blocks(self) -> AsyncIterator[bytes]:
        return _Base64Blocks(self.content.blocks())


class _Base64Blocks(AsyncIterator[bytes]):
    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""
        self._is_over = False

    async def __anext__(self) -> bytes:
        while len(self._rest) < RAW_BYTES and not self._is_over:
            try:
                self._rest += await anext(self._blocks)
            except StopAsyncIteration:
                self._is_over = True
        if not self._rest:
            raise StopAsyncIteration
        raw, self._rest = self._rest[:RAW_BYTES], self._rest[RAW_BYTES:]
        return base64.b64encode(raw)
