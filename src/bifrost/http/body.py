"""Reading a caller's body, bounded in bytes and in time: whole, or part by part."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import trio

from bifrost.codecs.coding import CodingError, Decoder, decoder_for
from bifrost.errors import BadRequest, BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypercorn.typing import ASGIReceiveCallable

    from bifrost.integrations.headers import HeaderLines

__all__ = ["BodyParts", "CallerGone", "UnpackedParts", "in_time", "read_body", "tell_nobody"]


class CallerGone(Exception):
    """The caller hung up before its request was whole: there is nobody to answer."""


class BodyParts:
    """A body as it comes. ``size`` counts what has come so far, its coding still on."""

    __slots__ = ("_has_ended", "_max_bytes", "_receive", "size")

    def __init__(
        self, receive: ASGIReceiveCallable, announced: bytes | None, max_bytes: int
    ) -> None:
        """``announced`` is the ``content-length`` that came: raises BodyTooLarge to refuse a large body unread."""
        if announced is not None and announced.isdigit() and int(announced) > max_bytes:
            raise _too_large(max_bytes)
        self._receive = receive
        self._max_bytes = max_bytes
        self._has_ended = False
        self.size = 0

    async def take(self) -> bytes | None:
        """The next part, maybe empty; ``None`` when the body has ended. Raises BodyTooLarge, CallerGone."""
        if self._has_ended:
            return None
        message = await self._receive()
        if message["type"] != "http.request":
            raise CallerGone
        part = message["body"]
        self.size += len(part)
        if self.size > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._has_ended = not message["more_body"]
        return part


class UnpackedParts:
    """A body as it comes, without its ``content-encoding``; no more of it in memory than a piece of the decoder's.

    ``tell_size`` hears the size of the body as it came, once it is whole.
    """

    def __init__(
        self,
        receive: ASGIReceiveCallable,
        headers: HeaderLines,
        max_bytes: int,
        tell_size: Callable[[int], None],
    ) -> None:
        """``max_bytes`` bounds the body both packed and unpacked. Raises BodyTooLarge, BadRequest for an unknown coding."""
        told = dict(reversed(headers))  # the first of a name counts
        self._parts = BodyParts(receive, told.get(b"content-length"), max_bytes)
        self._decoder = _decoder(told.get(b"content-encoding", b"").decode("latin-1"))
        self._max_bytes = max_bytes
        self._tell_size = tell_size
        self._unpacked = 0

    async def take(self) -> bytes | None:
        """As ``BodyParts.take``. Also raises BadRequest for what is not packed as it says."""
        decoder = self._decoder
        part = await (self._parts.take() if decoder is None else self._take_unpacked(decoder))
        if part is None:
            self._tell_size(self._parts.size)
        return part

    async def _take_unpacked(self, decoder: Decoder) -> bytes | None:
        piece: bytes | None
        try:
            if decoder.pending:
                await trio.lowlevel.checkpoint()
                piece = decoder.feed(b"")
            elif (part := await self._parts.take()) is None:
                decoder.close()
                return None
            else:
                piece = decoder.feed(part)
        except CodingError as error:
            raise _unreadable(error) from error
        self._unpacked += len(piece)
        if self._unpacked > self._max_bytes:
            raise BodyTooLarge(
                f"decompressed request body exceeds max allowed size of {self._max_bytes} bytes"
            )
        return piece


async def read_body(
    receive: ASGIReceiveCallable,
    announced: bytes | None,
    *,
    max_bytes: int,
    timeout_s: float,
    at_hand: Callable[[], bytes | None] | None = None,
) -> bytes:
    """The whole body, its coding still on. ``announced`` is the ``content-length`` that came.

    ``at_hand``, where a server offers it, gives a body that is there already: small ones come with their heads, and a
    deadline would cost more than reading them. Raises BodyTooLarge, BadRequest (408) if it is not there after
    ``timeout_s``, CallerGone.
    """
    parts = BodyParts(receive, announced, max_bytes)
    body = None if at_hand is None else at_hand()
    if body is None:
        with trio.move_on_after(timeout_s):
            return await _collect(parts)
        raise _timed_out()
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


@contextlib.contextmanager
def in_time(timeout_s: float) -> Iterator[None]:
    """Raises BadRequest (408) when what is inside takes longer than that."""
    with trio.move_on_after(timeout_s) as scope:
        yield
    if scope.cancelled_caught:
        raise _timed_out()


def tell_nobody(_: int) -> None:
    """For who does not want to know how large a body was."""


async def _collect(parts: BodyParts) -> bytes:
    held: list[bytes] = []
    while (part := await parts.take()) is not None:
        held.append(part)
    return held[0] if len(held) == 1 else b"".join(held)


def _decoder(coding: str) -> Decoder | None:
    try:
        return decoder_for(coding)
    except CodingError as error:
        raise _unreadable(error) from error


def _unreadable(error: CodingError) -> BadRequest:
    return BadRequest(f"invalid compressed request body: {error}")


def _timed_out() -> BadRequest:
    return BadRequest("timed out while reading the request body", status=408)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"request body exceeds max allowed size of {max_bytes} bytes")
