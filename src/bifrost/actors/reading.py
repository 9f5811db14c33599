"""Bodies of which only the beginning is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.errors import GatewayError

if TYPE_CHECKING:
    from bifrost.transport.base import UpstreamAnswer

__all__ = ["ERROR_BODY_BYTES", "read_some"]

ERROR_BODY_BYTES = 256 * 1024
"""Of a refusal no more is read: it is told to the caller, not relayed."""


async def read_some(answer: UpstreamAnswer, room: int = ERROR_BODY_BYTES) -> tuple[bytes, bool]:
    """The beginning of a body, and whether that is all of it; what breaks off is taken as far as it came."""
    parts: list[bytes] = []
    try:
        while room > 0 and (data := await answer.receive()):
            parts.append(data[:room])
            room -= len(data)
    except GatewayError:
        # The status is the answer that matters; a body that breaks off does not change it.
        return b"".join(parts), False
    return b"".join(parts), room > 0
