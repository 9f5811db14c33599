"""The door to upstreams: an ``UpstreamRequest`` in, an open answer out.

Three stand behind it: our lean HTTP/1.1 (``pool``), httpx for proxies and HTTP/2 (``httpx``), and the built-in
provider's (``mock``). Foreign exceptions end here: what comes out is of ``bifrost.errors``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from bifrost.values import frozen

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bifrost.providers.base import Headers, UpstreamRequest

__all__ = ["Limits", "Patience", "Upstream", "UpstreamAnswer"]


class Patience:
    """A limit to one wait after another, kept by somebody who comes round to ``look``; so it may be late by his round.

    A cancel scope with a deadline costs 15 us, and a token of a stream is waited for twice.
    """

    __slots__ = ("_end", "_until_s", "is_over")

    def __init__(self) -> None:
        self.is_over = False
        """Whether the wait that was begun last was ended."""
        self._until_s = math.inf
        self._end: Callable[[], object] | None = None

    def begin(self, until_s: float, end: Callable[[], object]) -> None:
        """Begin to wait; past ``until_s``, on trio's clock, ``end`` is called once, to wake who waits."""
        self.is_over = False
        self._until_s, self._end = until_s, end

    def rest(self) -> None:
        """The wait is over, whatever ended it."""
        self._until_s, self._end = math.inf, None

    def look(self, now_s: float) -> None:
        """End the wait if it is time."""
        if now_s >= self._until_s and self._end is not None:
            end, self.is_over = self._end, True
            self.rest()
            end()


@frozen(kw_only=True)
class Limits:
    """Bounds of one attempt, each told apart. Seconds, except ``deadline_s`` (absolute, trio's clock) and bytes."""

    connect_s: float = 10.0
    first_byte_s: float = 30.0
    """From the request being written to the end of the response's head; writing counts.

    While a ``Payload`` is written it is a limit on progress: each block has to be taken within it, and the head to come
    within it after the last one.
    """
    idle_s: float = 60.0
    """Between two reads of the body; runs only while ``receive`` waits."""
    deadline_s: float = float("inf")
    """For the whole attempt."""
    max_body_bytes: int = 256 * 1024 * 1024
    """Of a decoded body read whole by ``read``."""
    on_sent: Callable[[], None] | None = None
    """Called as the request begins to be written: from then on the upstream may be at work on it."""
    patience: Patience | None = None
    """Keeps ``first_byte_s`` and ``idle_s`` of a connection that can be hung up on; else each wait has a deadline of its own."""


class UpstreamAnswer(Protocol):
    """A response whose head has come. Header names are lower case; codings of the body are taken off."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    @property
    def waited_s(self) -> float:
        """Seconds spent so far waiting for the upstream: connecting, writing, reading."""
        ...

    async def receive(self) -> bytes:
        """The next bytes of the body, at least one; ``b""`` when it has ended in good order.

        Raises NetworkError if it was cut short or is malformed, StreamIdleTimeout or UpstreamTimeout if it is silent.
        """
        ...

    async def read(self) -> bytes:
        """The rest of the body. Raises as ``receive``, and NetworkError past ``max_body_bytes``."""
        ...


class Upstream(Protocol):
    """All connections of one provider under one configuration."""

    def open(
        self, request: UpstreamRequest, limits: Limits
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """Send ``request`` and wait for the head of its answer; leaving gives the connection back or closes it.

        Cancellation closes the connection at once. A request that died on a stale kept connection before any byte
        of an answer is sent again once, on a fresh one. Raises NetworkError, UpstreamTimeout.
        """
        ...

    def retire(self) -> None:
        """Take no idle connection from now on and close those there are; answers under way run to their end.

        Does not block. Called when a configuration is replaced and at drain.
        """
        ...
