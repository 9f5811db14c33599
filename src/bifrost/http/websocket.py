"""WebSocket on one connection: from its upgrade to its closing handshake, to an ASGI application.

wsproto reads and writes the frames; here are the handshake, the limits and the clock. Whoever calls ``receive`` reads the
connection himself, answers pings and sends them, so an application must have one task in ``receive`` all the time. hypercorn
has all this too, but goes on storing a message that is too large, closes on broken UTF-8 without a word, and asks for no
pong (tried with 0.18). Nothing is compressed: a small frame must not become a large message. Source: RFC 6455.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import trio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, generate_accept_token

from bifrost.errors import BadRequest, InternalError
from bifrost.http.answer import Answer, BadAnswer

if TYPE_CHECKING:
    from hypercorn.typing import (
        ASGIReceiveEvent,
        ASGISendEvent,
        WebsocketAcceptEvent,
        WebsocketScope,
    )

    from bifrost.http.head import Head
    from bifrost.http.lane import Lane
    from bifrost.http.link import Link

__all__ = ["DRAINING", "Socket", "handshake_key"]

READ_BYTES = 64 * 1024

DRAINING = "bifrost.draining"
"""An ASGI extension: a ``trio.Event`` that is set when the server drains, so that an application may close in good order."""


def handshake_key(head: Head) -> bytes:
    """The client's key, if ``head`` asks for what is spoken here. Raises BadRequest: 426 for another version, else 400."""
    lines = {name: value for name, value in head.headers if name.startswith(b"sec-websocket-")}
    if lines.get(b"sec-websocket-version") != b"13":
        told = (("sec-websocket-version", "13"),)
        raise BadRequest("WebSocket version not supported", status=426, headers=told)
    key = lines.get(b"sec-websocket-key", b"")
    try:
        is_key = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        is_key = False
    if not is_key:
        raise BadRequest("malformed WebSocket handshake")
    return key


class Socket:
    """One WebSocket, as an application has it: ``receive`` for one task, ``send`` for any number."""

    def __init__(self, lane: Lane, link: Link, head: Head, ahead: bytes) -> None:
        self._lane = lane
        self._link = link
        self._head = head
        self._ahead = ahead
        self._key = handshake_key(head)
        self._answer = Answer(head)
        self._wire: Connection | None = None
        """Once the upgrade is accepted."""
        self._events: deque[Event] = deque()
        self._message = bytearray()
        self._sending = trio.Lock()
        self._is_connect_told = False
        self._end_code: int | None = None
        """Why nothing more is received."""
        self._is_breached = False
        """What comes from here on is not understood."""

    async def serve(self) -> None:
        """Have the application serve it, and take leave of the client. The last on its connection."""
        site = self._lane.site
        code, defect = CloseReason.NORMAL_CLOSURE, None
        try:
            await site.app(self._scope(), self.receive, self.send)
        except Exception as error:  # noqa: BLE001  the connection's root: a defect is told, not let out
            code, defect = CloseReason.INTERNAL_ERROR, error
        if defect is not None:
            site.on_defect(defect)
        if self._wire is not None:
            await self._close(code, None)
            await self._take_leave(self._wire)
        elif not self._answer.is_ended:
            await self._fail()

    async def receive(self) -> ASGIReceiveEvent:
        """``websocket.connect``; once accepted, one message after another; then ``websocket.disconnect``."""
        if not self._is_connect_told:
            self._is_connect_told = True
            return {"type": "websocket.connect"}
        wire = self._accepted()
        while self._end_code is None:
            if not self._events:
                await self._read(wire)
            elif (message := await self._take(self._events.popleft())) is not None:
                return message
        # An application that goes on asking must not keep everybody else waiting.
        await trio.lowlevel.checkpoint()
        return {"type": "websocket.disconnect", "code": self._end_code}

    async def send(self, message: ASGISendEvent) -> None:
        """Accept, refuse, say something or close. What is said to a client that is gone, or after a close, is dropped."""
        match message["type"]:
            case "websocket.accept" if self._wire is None:
                await self._accept(message)
            case "websocket.send":
                data, text = message.get("bytes"), message.get("text")
                whole = TextMessage(text or "") if data is None else BytesMessage(data)
                await self._transmit(whole)
            case "websocket.close" if self._wire is not None:
                code = message.get("code", CloseReason.NORMAL_CLOSURE)
                await self._close(code, message.get("reason"))
            case "websocket.close":
                await self._refuse_with(403, [(b"content-length", b"0")], b"")
            case "websocket.http.response.start" | "websocket.http.response.body" as kind:
                plain = {**message, "type": kind.removeprefix("websocket.")}
                await self._answer_with(cast("ASGISendEvent", plain))
            case kind:
                raise BadAnswer(f"unexpected message {kind}")

    # The upgrade

    def _scope(self) -> WebsocketScope:
        head, link, site = self._head, self._link, self._lane.site
        path = head.path.decode("ascii")
        offered = b",".join(v for n, v in head.headers if n == b"sec-websocket-protocol")
        extensions = {"websocket.http.response": {}, DRAINING: site.watch.drained}
        return {
            "type": "websocket",
            "asgi": {"spec_version": "2.3", "version": "3.0"},
            "http_version": head.version,
            "scheme": "wss" if link.scheme == "https" else "ws",
            "path": unquote(path),
            "raw_path": head.path,
            "query_string": head.query,
            "root_path": site.root_path,
            "headers": head.headers,
            "client": link.client,
            "server": link.server,
            "subprotocols": [p.strip() for p in offered.decode("latin-1").split(",") if p.strip()],
            "state": cast("Any", site.state.copy()),
            "extensions": cast("Any", extensions),
        }

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        lines = [(b"sec-websocket-accept", generate_accept_token(self._key))]
        if protocol := message.get("subprotocol"):
            lines.append((b"sec-websocket-protocol", protocol.encode("ascii")))
        lines.extend(message.get("headers", ()))
        site = self._lane.site
        head = self._answer.switch(lines, site.lines.at(site.wall_clock()))
        wire = self._wire = Connection(ConnectionType.SERVER)
        await self._lane.write(head)
        if self._ahead:
            self._feed(wire, self._ahead)

    def _accepted(self) -> Connection:
        if self._wire is None:
            raise BadAnswer("the upgrade is not accepted")
        return self._wire

    async def _refuse_with(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        await self._answer_with(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await self._answer_with({"type": "http.response.body", "body": body, "more_body": False})

    async def _answer_with(self, message: ASGISendEvent) -> None:
        """Pass on a part of the answer that refuses the upgrade."""
        if self._wire is not None:
            raise BadAnswer("the upgrade is accepted already")
        site = self._lane.site
        lines = site.lines.at(site.wall_clock())
        await self._lane.write(self._answer.accept(message, lines, may_persist=False))

    async def _fail(self) -> None:
        """The application returned without having accepted or refused in full."""
        if self._answer.is_started:
            self._lane.abort(reset=not self._answer.is_delimited)
        else:
            await self._lane.refuse(InternalError("internal error"), self._head)

    # Messages

    async def _read(self, wire: Connection) -> None:
        """Wait for input, and take it in. A silent client is asked for a sign of life, once."""
        ping_s = self._lane.site.limits.ping_s
        data = None
        for is_asked in (False, True):
            with trio.move_on_after(ping_s):
                data = await self._receive_some()
            if data is not None or is_asked:
                break
            await self._transmit(Ping())
        if data:
            self._feed(wire, data)
        else:
            self._end_code = CloseReason.ABNORMAL_CLOSURE
            self._lane.is_ended = True
            # Whoever does not even answer a ping is not waited for.
            self._lane.is_broken |= data is None

    async def _receive_some(self) -> bytes:
        try:
            return bytes(await self._link.stream.receive_some(READ_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._lane.is_broken = True
            return b""

    def _feed(self, wire: Connection, data: bytes) -> None:
        wire.receive_data(data)
        self._events.extend(wire.events())

    async def _take(self, event: Event) -> ASGIReceiveEvent | None:
        """Heed ``event``; the message that it completes."""
        if isinstance(event, Message):
            return await self._piece(event)
        if isinstance(event, Ping):
            await self._transmit(event.response())
        elif isinstance(event, CloseConnection):
            # Told while nobody is closing, it is wsproto's word for what it does not understand.
            self._is_breached = self._accepted().state is ConnectionState.OPEN
            await self._close(event.code, event.reason)
            self._end_code = event.code
        return None

    async def _piece(self, event: Message[Any]) -> ASGIReceiveEvent | None:
        limit = self._lane.site.limits.message_bytes
        piece = event.data.encode() if isinstance(event.data, str) else event.data
        if len(self._message) + len(piece) > limit:
            self._message.clear()
            self._is_breached = True
            self._end_code = CloseReason.MESSAGE_TOO_BIG
            await self._close(self._end_code, f"messages may have {limit} bytes")
            return None
        self._message += piece
        if not event.message_finished:
            return None
        whole = bytes(self._message)
        self._message.clear()
        if isinstance(event, TextMessage):
            return {"type": "websocket.receive", "bytes": None, "text": whole.decode()}
        return {"type": "websocket.receive", "bytes": whole, "text": None}

    async def _transmit(self, event: Event) -> None:
        """Send a frame, unless none may follow the last: frames leave in the order in which they are made."""
        wire = self._accepted()
        async with self._sending:
            try:
                data = wire.send(event)
            except LocalProtocolError:
                return
            await self._lane.write(bytes(data))

    # The end

    async def _close(self, code: int, reason: str | None) -> None:
        await self._transmit(CloseConnection(code, reason))

    async def _take_leave(self, wire: Connection) -> None:
        """Give the client a moment to read our last words and to say its own: RFC 6455, section 7.1.1."""
        if self._lane.is_broken:
            self._lane.abort(reset=True)
        elif self._is_breached:
            with trio.move_on_after(self._lane.site.limits.linger_s):
                await self._lane.linger()
        else:
            with trio.move_on_after(self._lane.site.limits.linger_s):
                await self._until_closed(wire)

    async def _until_closed(self, wire: Connection) -> None:
        left = self._lane.site.limits.linger_bytes
        while wire.state is ConnectionState.LOCAL_CLOSING and left > 0:
            data = await self._receive_some()
            if not data:
                return
            left -= len(data)
            wire.receive_data(data)
            if any(isinstance(event, CloseConnection) for event in wire.events()):
                return
