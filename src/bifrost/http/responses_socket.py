"""Responses over WebSocket: each ``response.create`` of a connection becomes a call, one after another; plain ASGI.

Two tasks a connection: one reads what the client says, so that its going is noticed at once, one answers. Between them is a
line of bounded length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import attrs
import trio
from hypercorn.typing import ASGISendCallable

from bifrost.codecs.sse import unframed
from bifrost.errors import BadRequest, ErrorClass, GatewayError, QueueFull, RouteNotFound
from bifrost.http.doors import Doors, Views
from bifrost.http.websocket import DRAINING
from bifrost.integrations.async_wish import NOT_HERE, refuse_async
from bifrost.integrations.base import InferenceRoute, Request
from bifrost.integrations.envelope import error_frame
from bifrost.integrations.finder import Finder
from bifrost.integrations.headers import HeaderLines
from bifrost.integrations.responses_events import marked, read_event, request_body
from bifrost.schema.call import Call, Operation
from bifrost.service import Chunk, Exchange, Failed, Finished, Service

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, WebsocketScope


__all__ = ["ResponsesDoor", "Talk"]

WAITING = 16
"""Events that wait for their turn on one connection."""

WAITING_BYTES = 8 * 1024 * 1024
"""All of them together; an event that finds no other waiting may be as large as a message can be."""

MAX_REFUSALS = 100
"""Events in a row that found the line full; a client that goes on is cut off."""

IDLE_S = 600.0
"""Without an event, and with nothing to answer."""

NORMAL, GOING_AWAY, UNSUPPORTED_DATA, POLICY_VIOLATION = 1000, 1001, 1003, 1008

HANDSHAKE = b"sec-websocket-"
"""Headers of the connection itself, no upstream's concern."""


@attrs.frozen
class ResponsesDoor:
    """Which paths take such connections, and from whom. ``finder`` knows the routes of HTTP; only Responses is looked at."""

    finder: Finder
    doors: Doors
    service: Service

    def route(self, path: str) -> InferenceRoute | None:
        found = self.finder.find(path)
        if found is None or found[0].operation is not Operation.RESPONSES or found[1]:
            return None
        return found[0]

    def open(self, scope: WebsocketScope, connection_id: str) -> Talk:
        """The talk that ``scope`` asks for, if it may be had. Raises RouteNotFound and BadRequest, also with 403 and 505."""
        route = self.route(scope["path"])
        if route is None:
            raise RouteNotFound(f"Route not found: {scope['path'][:256]}")
        if scope["http_version"] != "1.1":
            # hypercorn's own, whose messages have no bound that holds.
            raise BadRequest("WebSocket is served over HTTP/1.1 only", status=505)
        views = self.doors.views
        headers = tuple(scope["headers"])
        origin = next((value for name, value in headers if name == b"origin"), None)
        if origin is not None and not views.cors.allows(origin):
            raise BadRequest("Origin not allowed", status=403, error_class=ErrorClass.DENIED)
        peer = scope["client"]
        remote_addr = peer[0] if peer else ""
        views.headers.read(headers, remote_addr)
        refuse_async(headers, NOT_HERE)
        return Talk(
            route=route,
            doors=self.doors,
            service=self.service,
            headers=tuple(line for line in headers if not line[0].startswith(HANDSHAKE)),
            remote_addr=remote_addr,
            id=connection_id,
            draining=cast("Any", scope["extensions"])[DRAINING],
        )


@attrs.define(eq=False, kw_only=True)
class Talk:
    """One accepted connection. Its responses are called ``id-1``, ``id-2`` and so on in records and upstream."""

    route: InferenceRoute
    doors: Doors
    service: Service
    headers: HeaderLines = attrs.field(repr=False)
    remote_addr: str
    id: str
    draining: trio.Event
    _count: int = attrs.field(default=0, init=False)
    _waiting_bytes: int = attrs.field(default=0, init=False)
    _refusals: int = attrs.field(default=0, init=False)
    _patience: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    """Round the wait for the next event."""

    async def run(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer until the client goes, which cancels what runs for it, or is silent for too long, or the gateway drains."""
        line, behind = trio.open_memory_channel[str](WAITING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, receive, send, line, nursery.cancel_scope)
            nursery.start_soon(self._heed_drain)
            code = await self._answer(behind, send)
            await _close(send, code)
            nursery.cancel_scope.cancel()

    async def _listen(
        self,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        line: trio.MemorySendChannel[str],
        connection: trio.CancelScope,
    ) -> None:
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                break
            text = message["text"]
            if text is None:
                await _close(send, UNSUPPORTED_DATA, "events are text")
                break
            if not self._line_up(line, text) and not await self._refuse(send):
                break
        connection.cancel()

    def _line_up(self, line: trio.MemorySendChannel[str], text: str) -> bool:
        """Put an event behind the others; False if the line is full."""
        if self._waiting_bytes and self._waiting_bytes + len(text) > WAITING_BYTES:
            return False
        try:
            line.send_nowait(text)
        except trio.WouldBlock:
            return False
        self._waiting_bytes += len(text)
        self._refusals = 0
        return True

    async def _refuse(self, send: ASGISendCallable) -> bool:
        """Say that the line is full; False if that has been said too often."""
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            await _close(send, POLICY_VIOLATION, "too many events")
            return False
        text = f"at most {WAITING} events may wait on one connection"
        await _say(send, error_frame(QueueFull(text)))
        return True

    async def _heed_drain(self) -> None:
        await self.draining.wait()
        self._patience.cancel()

    async def _answer(self, line: trio.MemoryReceiveChannel[str], send: ASGISendCallable) -> int:
        """Answer one event after another; with what the connection is to be closed."""
        while not self.draining.is_set():
            with trio.move_on_after(IDLE_S) as self._patience:
                text = await line.receive()
            if self._patience.cancelled_caught:
                break
            self._waiting_bytes -= len(text)
            self._count += 1
            response = Response(self, f"{self.id}-{self._count}", self.doors.views, send)
            await response.run(text.encode())
        return GOING_AWAY if self.draining.is_set() else NORMAL


@attrs.define(eq=False)
class Response:
    """The answer to one event."""

    talk: Talk
    id: str
    views: Views
    send: ASGISendCallable
    _call: Call | None = attrs.field(default=None, init=False)
    _stream_id: bytes | None = attrs.field(default=None, init=False)
    _has_begun: bool = attrs.field(default=False, init=False)

    async def run(self, frame: bytes) -> None:
        """Answer, to the end or to an error; neither ends the connection."""
        try:
            call = self._call = self._parsed(frame)
            async with self.talk.service(call) as exchange:
                failure = await self._relay(exchange)
        except GatewayError as error:
            failure = Failed(error)
        if failure is not None:
            await self._tell(failure)

    def _parsed(self, frame: bytes) -> Call:
        event = read_event(frame)
        self._stream_id = event.stream_id
        talk = self.talk
        request = Request(
            id=self.id,
            route=talk.route,
            headers=talk.headers,
            body=request_body(event),
            body_bytes=len(frame),
            remote_addr=talk.remote_addr,
            received_s=trio.current_time(),
        )
        return talk.route.parse(request, self.views.catalog, self.views.headers)

    async def _relay(self, exchange: Exchange) -> Failed | None:
        while True:
            event = exchange.receive_nowait()
            match event if event is not None else await exchange.receive():
                case Chunk(data):
                    for text in unframed(data):
                        await self._say(text)
                        self._has_begun = True
                case Finished():
                    return None
                case Failed() as end:
                    return end
                case _:
                    pass

    async def _tell(self, failure: Failed) -> None:
        attempts = failure.attempts if self.views.client.include_attempts else ()
        frame = error_frame(
            failure.error,
            call=self._call,
            target=failure.target,
            attempts=attempts,
            midway=self._has_begun,
        )
        await self._say(frame)

    async def _say(self, text: bytes) -> None:
        await _say(self.send, marked(text, self._stream_id))


async def _say(send: ASGISendCallable, text: bytes) -> None:
    # What an upstream says is JSON, and its decoder has seen that it is UTF-8.
    message = {"type": "websocket.send", "text": text.decode("utf-8", "replace"), "bytes": None}
    await send(cast("Any", message))


async def _close(send: ASGISendCallable, code: int, reason: str | None = None) -> None:
    await send({"type": "websocket.close", "code": code, "reason": reason})
