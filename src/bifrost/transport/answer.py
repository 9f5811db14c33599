"""An answer being read: limits in time and size, codings taken off. What it reads from is a ``Source``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

from bifrost.codecs.coding import CodingError, Decoder, decoder_for
from bifrost.transport.faults import deadline_passed, idle_timeout, too_large, undecodable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.providers.base import Headers
    from bifrost.transport.base import Limits

__all__ = ["Answer", "Source"]


class Source(Protocol):
    """The body of a response as it comes, its codings still on."""

    def ready(self) -> bytes | None:
        """Bytes that are there; ``b""`` if the body has ended in good order; ``None`` if one has to wait.

        Raises NetworkError if it was cut short or is malformed.
        """
        ...

    async def wait(self) -> float:
        """Wait until ``ready`` may have more to say. Gives the time, on trio's clock, when that was."""
        ...

    @property
    def hang_up(self) -> Callable[[], None] | None:
        """Ends a ``wait``, and the answer with it, at once; ``None`` where only cancelling does."""
        ...


class Answer:
    """A response whose head has come. Implements ``UpstreamAnswer``.

    Where a coding is taken off, ``content-encoding`` and ``content-length`` are gone from ``headers``.
    """

    __slots__ = ("_decoder", "_limits", "_source", "headers", "status", "waited_s")

    def __init__(
        self, source: Source, status: int, headers: Headers, limits: Limits, waited_s: float
    ) -> None:
        """Raises NetworkError if the body's coding is unknown."""
        self.status = status
        self.headers = headers
        self.waited_s = waited_s
        self._source = source
        self._limits = limits
        self._decoder = _decoder_of(headers)
        if self._decoder is not None:
            self.headers = tuple(
                pair for pair in headers if pair[0] not in {b"content-encoding", b"content-length"}
            )

    async def receive(self) -> bytes:
        """As ``UpstreamAnswer.receive``. Does not wait, nor is it a checkpoint, if bytes are at hand."""
        while (data := self._next()) is None:
            await self._wait()
        return data

    async def read(self) -> bytes:
        """As ``UpstreamAnswer.read``."""
        parts: list[bytes] = []
        size = 0
        while data := await self.receive():
            size += len(data)
            if size > self._limits.max_body_bytes:
                raise too_large(self._limits.max_body_bytes)
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next(self) -> bytes | None:
        if self._decoder is None:
            return self._source.ready()
        try:
            return self._decoded(self._decoder)
        except CodingError as error:
            raise undecodable(str(error)) from error

    def _decoded(self, decoder: Decoder) -> bytes | None:
        while True:
            data = b"" if decoder.pending else self._source.ready()
            if data is None:
                return None
            if not data and not decoder.pending:
                decoder.close()
                return b""
            if out := decoder.feed(data):
                return out

    async def _wait(self) -> None:
        limits = self._limits
        begun_s = trio.current_time()
        limit_s = begun_s + limits.idle_s
        until_s = min(limit_s, limits.deadline_s)
        patience, hang_up = limits.patience, self._source.hang_up
        if patience is None or hang_up is None:
            with trio.CancelScope(deadline=until_s) as scope:
                await self._source_waits(begun_s)
            is_over = scope.cancelled_caught
        else:
            patience.begin(until_s, hang_up)
            try:
                await self._source_waits(begun_s)
            finally:
                patience.rest()
            is_over = patience.is_over
        if is_over:
            raise idle_timeout(limits.idle_s) if limit_s < limits.deadline_s else deadline_passed()

    async def _source_waits(self, begun_s: float) -> None:
        ended_s: float | None = None
        try:
            ended_s = await self._source.wait()
        finally:
            # Also when the caller leaves meanwhile.
            self.waited_s += (trio.current_time() if ended_s is None else ended_s) - begun_s


def _decoder_of(headers: Headers) -> Decoder | None:
    for name, value in headers:
        if name == b"content-encoding":
            try:
                return decoder_for(value.decode("latin-1"))
            except CodingError as error:
                raise undecodable(str(error)) from error
    return None
