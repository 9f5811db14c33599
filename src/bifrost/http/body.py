"""Reading a caller's body: whole, bounded in bytes and in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from bifrost.errors import BadRequest, BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypercorn.typing import ASGIReceiveCallable

__all__ = ["CallerGone", "read_body"]


class CallerGone(Exception):
    """The caller hung up before its request was whole: there is nobody to answer."""


async def read_body(
    receive: ASGIReceiveCallable,
    announced: bytes | None,
    *,
    max_bytes: int,
    timeout_s: float,
    at_hand: Callable[[], bytes | None] | None = None,
) -> bytes:
    """The whole body. ``announced`` is the ``content-length`` that came, to refuse a large one unread.

    ``at_hand``, where a server offers it, gives a body that is there already: small ones come with their heads, and a
    deadline would cost more than reading them. Raises BodyTooLarge, BadRequest (408) if it is not there after ``timeout_s``, CallerGone.
    """
    if announced is not None and announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    body = None if at_hand is None else at_hand()
    if body is None:
        with trio.move_on_after(timeout_s):
            return await _collect(receive, max_bytes)
        raise BadRequest("timed out while reading the request body", status=408)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


async def _collect(receive: ASGIReceiveCallable, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise CallerGone
        part = message["body"]
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        parts.append(part)
        if not message["more_body"]:
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"request body exceeds max allowed size of {max_bytes} bytes")
