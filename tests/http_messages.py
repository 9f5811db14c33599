"""ASGI's ``receive``, scripted."""

from __future__ import annotations

from typing import Any

import trio


def messages(*parts: bytes, then: str | None = None) -> Any:
    """An ASGI ``receive`` that gives ``parts``, or hangs up (``then="gone"``) or falls silent after them."""
    queue = list(parts)

    async def receive() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        if queue:
            part = queue.pop(0)
            more = bool(queue) or then is not None
            return {"type": "http.request", "body": part, "more_body": more}
        if then == "gone":
            return {"type": "http.disconnect"}
        await trio.sleep_forever()
        raise AssertionError

    return receive
