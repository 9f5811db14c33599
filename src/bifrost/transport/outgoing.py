"""A payload on its way out: what it announced is what is sent, and what it cannot give is told as ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bifrost.transport.faults import unreadable

if TYPE_CHECKING:
    from bifrost.schema.payload import Payload

__all__ = ["Outgoing"]


class Outgoing(AsyncIterator[bytes]):
    """The blocks of ``payload`` from its beginning, exactly ``size`` bytes of them.

    One byte more would be the beginning of another request. Raises InternalError if they do not come to that, or cannot
    be read.
    """

    def __init__(self, payload: Payload) -> None:
        self._blocks = payload.blocks()
        self._left = payload.size

    async def __anext__(self) -> bytes:
        if not self._left:
            # Nothing is waited for any more: an answer may be there, and the connection is good for another request.
            raise StopAsyncIteration
        try:
            block = await anext(self._blocks, b"")
        except OSError as error:
            raise unreadable(error.strerror or type(error).__name__) from error
        self._left -= len(block)
        if self._left < 0 or not block:
            raise unreadable("the payload is not of the size that it told")
        return block
