"""Files that stand in JSON, in base64: written as they are read, block by block, and never in memory as a whole."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import attrs

from bifrost.schema.payload import BLOCK_BYTES, BytesPayload, JoinedPayload, Payload

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Base64Payload", "inlined"]

PIECE_BYTES = BLOCK_BYTES // 4 * 3
"""What is encoded at a time; a multiple of three, so that base64 needs no padding in between."""


@attrs.frozen
class Base64Payload:
    """``source`` in base64, padded. Implements ``Payload``."""

    source: Payload = attrs.field(repr=False)

    @property
    def size(self) -> int:
        return (self.source.size + 2) // 3 * 4

    def blocks(self) -> AsyncIterator[bytes]:
        return _Base64Blocks(self.source.blocks())


class _Base64Blocks(AsyncIterator[bytes]):
    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks = blocks
        self._held = bytearray()

    async def __anext__(self) -> bytes:
        while len(self._held) < PIECE_BYTES:
            block = await anext(self._blocks, b"")
            if not block:
                break
            self._held += block
        piece = bytes(self._held[:PIECE_BYTES])
        del self._held[:PIECE_BYTES]
        if not piece:
            raise StopAsyncIteration
        return base64.b64encode(piece)


def inlined(body: bytes, files: Mapping[str, Payload]) -> Payload:
    """The JSON ``body`` with each string that names one of ``files`` replaced by what is in it, in base64.

    The names stand in ``body`` in the order of ``files``, and are ASCII that nobody can foresee: whoever could would
    have the file put where he likes.
    """
    pieces: list[Payload] = []
    for name, content in files.items():
        before, found, body = body.partition(b'"%b"' % name.encode("ascii"))
        if not found:
            raise ValueError("a file has no place in the body")
        pieces += (BytesPayload(before + b'"'), Base64Payload(content), BytesPayload(b'"'))
    return JoinedPayload((*pieces, BytesPayload(body)))
