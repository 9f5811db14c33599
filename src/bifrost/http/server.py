"""Serving the front over sockets: HTTP/1.1 and WebSocket by the lane, HTTP/2 by hypercorn's own connections.

Binding, TLS and lifespan are hypercorn's too, and its ``Config`` says how.
"""

from __future__ import annotations

import logging
import ssl
import time
from typing import TYPE_CHECKING, Any, cast

import attrs
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import repr_socket_addr

from bifrost.http.answer import ServerLines
from bifrost.http.lane import Lane, Site
from bifrost.http.link import Link, Replayed, TLSStream, link_of
from bifrost.http.watch import Limits

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from hypercorn.typing import ASGIFramework

__all__ = ["serve"]

BREATH_S = 0.1
"""Before the next try to accept, when the process has no file or memory left for a connection."""


def _log_defect(defect: BaseException) -> None:
    logging.getLogger("bifrost.http").error("defect in the application", exc_info=defect)


async def serve(
    app: ASGIFramework,
    config: Config,
    shutdown: trio.Event | Callable[[], Awaitable[object]],
    *,
    limits: Limits | None = None,
    on_defect: Callable[[BaseException], None] = _log_defect,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app`` until ``shutdown``; gives the URLs once it listens, with the ports that port 0 came to.

    Then nobody new is let in, idle connections are closed, and what runs has ``config.graceful_timeout`` to end.
    ``on_defect`` hears what the application, or a connection, let out. Raises OSError if it cannot bind, and what the
    application's lifespan fails with.
    """
    state: dict[str, Any] = {}
    lifespan = Lifespan(ASGIWrapper(app), config, state)
    async with trio.open_nursery() as nursery:
        await nursery.start(lifespan.handle_lifespan)
        await _at_lifespan(lifespan.wait_for_startup)
        site = Site(
            app=app,
            on_defect=on_defect,
            wall_clock=time.time,
            limits=limits or Limits(),
            lines=ServerLines(
                b"bifrost" if config.include_server_header else None,
                date=config.include_date_header,
            ),
            root_path=config.root_path,
            state=state,
        )
        until = shutdown.wait if isinstance(shutdown, trio.Event) else shutdown
        await Server(site, config).run(until, task_status)
        await _at_lifespan(lifespan.wait_for_shutdown)
        nursery.cancel_scope.cancel()


async def _at_lifespan(step: Callable[[], Awaitable[None]]) -> None:
    """Take a ``step``; an application that has returned from its lifespan already does without it."""
    try:
        await step()
    except (trio.ClosedResourceError, trio.BrokenResourceError):
        return


@attrs.define(eq=False)
class Server:
    """Lets connections in, and sees them out."""

    site: Site
    config: Config
    _context: WorkerContext = attrs.field(factory=lambda: WorkerContext(None), init=False)
    _links: set[Link] = attrs.field(factory=set, init=False)
    """All that are open; as many as ``room`` lets in."""
    _room: trio.Semaphore = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._room = trio.Semaphore(self.site.limits.connections)

    async def run(
        self, until: Callable[[], Awaitable[object]], task_status: trio.TaskStatus[list[str]]
    ) -> None:
        """Listen ``until`` it returns, then drain."""
        doors = _open_doors(self.config)
        watch = self.site.watch
        async with trio.open_nursery() as beside:
            beside.start_soon(watch.run)
            async with trio.open_nursery() as connections:
                try:
                    async with trio.open_nursery() as listening:
                        for door in doors:
                            listening.start_soon(self._accept, door, connections)
                        task_status.started([door.url for door in doors])
                        await until()
                        listening.cancel_scope.cancel()
                finally:
                    for door in doors:
                        door.listener.socket.close()
                watch.drain()
                await self._context.terminated.set()
                beside.start_soon(self._end_late, connections.cancel_scope)
            beside.cancel_scope.cancel()

    async def _end_late(self, connections: trio.CancelScope) -> None:
        await trio.sleep(self.config.graceful_timeout)
        connections.cancel()
        # hypercorn sends in a shield: only a closed socket gets it out of there.
        for link in tuple(self._links):
            link.hang_up(True)

    async def _accept(self, door: _Door, connections: trio.Nursery) -> None:
        while True:
            await self._room.acquire()
            stream = None
            while stream is None:
                try:
                    stream = await door.listener.accept()
                except OSError as error:
                    self.site.on_defect(error)
                    await trio.sleep(BREATH_S)
            connections.start_soon(self._connection, stream, door.tls)

    async def _connection(self, stream: trio.SocketStream, tls: ssl.SSLContext | None) -> None:
        """The whole life of one connection. However it fails, no other hears of it."""
        try:
            link = link_of(stream if tls is None else _over_tls(stream, tls))
            self._links.add(link)
            try:
                await self._speak(link)
            finally:
                self._links.discard(link)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, OSError):
            # The client went away, or did not get through the handshake.
            pass
        except* Exception as defects:  # noqa: BLE001  the connection's root
            self.site.on_defect(defects)
        finally:
            stream.socket.close()
            self._room.release()

    async def _speak(self, link: Link) -> None:
        replay = b""
        if isinstance(link.stream, trio.SSLStream):
            with trio.fail_after(self.config.ssl_handshake_timeout):
                await link.stream.do_handshake()
            is_ours = link.stream.selected_alpn_protocol() != "h2"
        else:
            is_ours = True
        if is_ours:
            replay = await Lane(self.site, link).run()
            if not replay:
                return
        await self._speak_by_hypercorn(link, replay)

    async def _speak_by_hypercorn(self, link: Link, replay: bytes) -> None:
        stream = Replayed(link, replay, self.site.limits.write_stall_s)
        await TCPServer(
            ASGIWrapper(self.site.app),
            self.config,
            self._context,
            cast("Any", ConnectionState(self.site.state.copy())),
            cast("TLSStream", stream),
        ).run()


@attrs.frozen
class _Door:
    """A socket that listens."""

    listener: trio.SocketListener
    tls: ssl.SSLContext | None
    url: str


def _open_doors(config: Config) -> tuple[_Door, ...]:
    """Bind and listen as ``config`` says. Raises OSError, and ValueError for QUIC, which is not served."""
    if config.quic_bind:
        raise ValueError("QUIC is not served")
    tls = config.create_ssl_context()
    sockets = config.create_sockets()
    return (
        *(_listen(sock, tls, config.backlog) for sock in sockets.secure_sockets),
        *(_listen(sock, None, config.backlog) for sock in sockets.insecure_sockets),
    )


def _listen(sock: socket.socket, tls: ssl.SSLContext | None, backlog: int) -> _Door:
    sock.listen(backlog)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    where = repr_socket_addr(sock.family, sock.getsockname())
    return _Door(listener, tls, f"{'http' if tls is None else 'https'}://{where}")


def _over_tls(stream: trio.SocketStream, tls: ssl.SSLContext) -> TLSStream:
    return trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
