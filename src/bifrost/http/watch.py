"""Time limits of all connections, kept by one task that walks round, so that no request pays for a deadline of its own.

A cancel scope with a deadline costs as much as a tenth of a small request's whole service.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import trio

from bifrost.http.link import Link

__all__ = ["ROUND_S", "Limits", "Post", "Watch"]

ROUND_S = 0.5
"""Between two rounds; limits, and the news that a client has gone, are late by up to this."""


@attrs.frozen(kw_only=True)
class Limits:
    """What one connection, or all of them, may take."""

    connections: int = 20_000
    """Open at once; beyond it nobody is let in until one has left."""
    head_s: float = 30.0
    """From the first byte of a request's head (of a connection, for the first) to its last."""
    idle_s: float = 75.0
    """Between two requests."""
    body_stall_s: float = 120.0
    """Between two reads of a body that the application waits for."""
    write_stall_s: float = 120.0
    """For a client to take one piece (64 KiB) of an answer."""
    linger_s: float = 2.0
    """For a client to read an answer that came before its request was whole."""
    linger_bytes: int = 1024 * 1024
    """Of such a request, how much more is read over."""
    ahead_bytes: int = 64 * 1024
    """Of requests ahead of their turn, how much is read before the end of the connection is no longer looked for."""
    message_bytes: int = 100 * 1024 * 1024
    """Of one WebSocket message."""
    ping_s: float = 30.0
    """Silence on a WebSocket before its client is asked for a sign of life; and as long again for it to come."""


@attrs.define(eq=False)
class Post:
    """One connection's place on the round.

    ``scope`` is cancelled when ``quiet_until_s`` has passed, and the link is hung up on when ``write_until_s`` has.
    """

    link: Link
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    is_idle: bool = False
    """Between two requests: to be closed at once when the server drains."""
    quiet_until_s: float = math.inf
    write_until_s: float = math.inf
    on_gone: Callable[[], object] | None = None
    """To be called, once, when the client is found gone while nobody reads from it."""


@attrs.define(eq=False)
class Watch:
    """Who is connected, and for how long he may be silent. Holds one Post a connection, bounded by ``Limits``."""

    is_draining: bool = False
    drained: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set with ``is_draining``, for who waits for it."""
    _posts: set[Post] = attrs.field(factory=set, init=False)

    def enter(self, post: Post) -> None:
        """Begin to watch a connection."""
        self._posts.add(post)

    def leave(self, post: Post) -> None:
        """Watch a connection no longer."""
        self._posts.discard(post)

    def drain(self) -> None:
        """No request is to follow on any connection: idle ones end now, others with their answer."""
        self.is_draining = True
        self.drained.set()
        for post in self._posts:
            if post.is_idle:
                post.scope.cancel()

    async def run(self) -> None:
        """Walk round until cancelled."""
        while True:
            await trio.sleep(ROUND_S)
            self._round(trio.current_time())

    def _round(self, now_s: float) -> None:
        for post in tuple(self._posts):
            if post.write_until_s < now_s:
                post.link.hang_up(True)
            elif post.quiet_until_s < now_s:
                post.scope.cancel()
            if post.on_gone is not None and post.link.has_ended():
                on_gone, post.on_gone = post.on_gone, None
                on_gone()
