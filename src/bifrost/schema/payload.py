"""Bodies that are not JSON: raw bytes and forms, sent as often as there are attempts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, TypeAlias

import attrs

__all__ = ["BLOCK_BYTES", "LARGE_BYTES", "BytesPayload", "Field", "File", "Form", "Payload"]

BLOCK_BYTES = 256 * 1024
"""The most that one block of a payload holds."""

LARGE_BYTES = 256 * 1024
"""A body from here on is read and said anew in one of trio's threads: with 30 MiB it takes up to a second, which others
should not wait for. A smaller one takes 10 ms at most, most of them far less than the way to a thread and back."""


class Payload(Protocol):
    """A body of known size that can be read again and again, also by several readers at once.

    It may lie in a file: it is good for as long as whoever received it keeps it, which is until the exchange is over.
    """

    @property
    def size(self) -> int:
        """In bytes: what all blocks come to."""
        ...

    def blocks(self) -> AsyncIterator[bytes]:
        """From its beginning, in pieces of one to ``BLOCK_BYTES`` bytes; an empty payload has none.

        Each iterator has a position of its own and holds nothing that would have to be closed. Raises OSError where
        the body lies in a file that cannot be read.
        """
        ...


class _Blocks(AsyncIterator[bytes]):
    """Slices of bytes that are in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    async def __anext__(self) -> bytes:
        begin = self._at
        if begin >= len(self._data):
            raise StopAsyncIteration
        self._at = begin + BLOCK_BYTES
        return self._data[begin : self._at]


@attrs.frozen
class BytesPayload:
    """A payload in memory."""

    data: bytes = attrs.field(repr=False)

    @property
    def size(self) -> int:
        return len(self.data)

    def blocks(self) -> AsyncIterator[bytes]:
        return _Blocks(self.data)


@attrs.frozen
class Field:
    """One value of a form, in memory. ``content_type`` is the part's own, as it came; most have none."""

    name: str
    value: bytes = attrs.field(repr=False)
    content_type: bytes | None = None


@attrs.frozen
class File:
    """One file of a form. ``filename`` is as the caller spells it, in whatever charset: nothing to open a file by.

    ``None`` is a part without a file name whose content type says that it is no text.
    """

    name: str
    filename: bytes | None
    content_type: bytes | None
    content: Payload


Form: TypeAlias = tuple[Field | File, ...]
"""The parts in their order; a name may stand more than once."""
