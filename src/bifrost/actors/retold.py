"""An answer that is told in other words while it passes: its blocks as the caller is to see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from bifrost.dialects.base import Retelling

__all__ = ["Retold"]


@attrs.define(eq=False)
class Retold:
    """Reads by ``source``, which gives ``b""`` at the body's end, and is read the same way."""

    source: Callable[[], Awaitable[bytes]]
    retelling: Retelling
    _is_over: bool = attrs.field(default=False, init=False)

    async def receive(self) -> bytes:
        """The next block; ``b""`` at the end. Raises GatewayError: the source's, or that what came cannot be told."""
        while not self._is_over:
            data = await self.source()
            self._is_over = not data
            told = self.retelling.feed(data) if data else self.retelling.close()
            if told:
                return told
        return b""
