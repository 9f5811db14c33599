"""Payloads that tell who reads them, and such as fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import attrs
import trio


@attrs.define
class Counted:
    """``count`` blocks of ``block``. Counts its readers, and can be broken before a block or lie about its size."""

    block: bytes
    count: int
    readers: int = 0
    breaks_at: int | None = None
    more: int = 0
    before: Callable[[], None] = lambda: None

    @property
    def size(self) -> int:
        return len(self.block) * self.count + self.more

    @property
    def whole(self) -> bytes:
        return self.block * self.count

    def blocks(self) -> AsyncIterator[bytes]:
        self.readers += 1
        return _Blocks(self)


class _Blocks(AsyncIterator[bytes]):
    def __init__(self, payload: Counted) -> None:
        self._payload = payload
        self._at = 0

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self._at == self._payload.breaks_at:
            raise OSError(5, "Input/output error")
        if self._at == self._payload.count:
            raise StopAsyncIteration
        self._payload.before()
        self._at += 1
        return self._payload.block
