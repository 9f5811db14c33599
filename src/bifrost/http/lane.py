"""HTTP/1.1 on one connection: its requests, one after another, to an ASGI application, and the answers back.

A request to upgrade to WebSocket is the last of them (``http.websocket``).

The application runs in the connection's own task, and whoever calls ``receive`` reads the connection himself: no second
task, no channel between. So a client that leaves is noticed by an application that listens (``http.disconnect``) or that
sends, and a body is read as fast as it is asked for.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import attrs
import trio
from hypercorn.typing import ASGIFramework

from bifrost.errors import BadRequest, GatewayError, InternalError
from bifrost.http.answer import Answer, ServerLines
from bifrost.http.cors import SECURITY_HEADERS
from bifrost.http.head import Head
from bifrost.http.incoming import Incoming
from bifrost.http.reply import CutShort
from bifrost.http.watch import Limits, Post, Watch
from bifrost.http.websocket import Socket
from bifrost.integrations.envelope import error_body, error_headers

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent, HTTPScope

    from bifrost.http.link import Link

__all__ = ["BODY", "GONE", "Lane", "Site"]

READ_BYTES = 64 * 1024
PIECE_BYTES = 64 * 1024
MAX_DROPPED = 10_000
"""Messages to a client that is gone; an application that sends more is stopped."""

GONE = "bifrost.gone"
"""An ASGI extension of this lane: a context manager that calls a function when the client has gone meanwhile.

For an application that would otherwise keep a task waiting in ``receive`` for nothing else; see ``Turn.gone``. Offered
where it works.
"""

BODY = "bifrost.body"
"""Another, offered beside it: the whole body if it is there already, which spares the deadline of waiting for it.

See ``Turn.body_at_hand``.
"""

UNREAD = Head("", b"", b"", "1.1", [])
"""Stands for a request that could not be read."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ClientGone(OSError):
    """The application sends on and on to nobody."""


class Unfinished(Exception):
    """The application returned before its answer was complete."""


@attrs.frozen(kw_only=True)
class Site:
    """What all connections of a server share. ``wall_clock`` gives seconds since 1970."""

    app: ASGIFramework
    on_defect: Callable[[BaseException], None]
    wall_clock: Callable[[], float]
    limits: Limits = attrs.field(factory=Limits)
    watch: Watch = attrs.field(factory=Watch)
    lines: ServerLines = attrs.field(factory=ServerLines)
    root_path: str = ""
    state: dict[str, Any] = attrs.field(factory=dict)


class Lane:
    """One connection."""

    def __init__(self, site: Site, link: Link) -> None:
        self.site = site
        self.incoming = Incoming()
        self.is_ended = False
        """Nothing more will come from the client."""
        self.is_broken = False
        """Nothing more can be sent to it: it is gone, or a message was cut short."""
        self._link = link
        self._stream = link.stream
        self.post = Post(link)
        self._is_first = True

    async def run(self) -> bytes:
        """Serve until the connection is over. Leaves it open only for another protocol, whose bytes it then gives."""
        watch = self.site.watch
        watch.enter(self.post)
        try:
            replay = await self._requests()
            if not replay:
                await self._close()
        except BaseException:
            self._link.hang_up(True)
            raise
        finally:
            watch.leave(self.post)
        return replay

    async def pull(self) -> None:
        """Wait for input, and take it in."""
        try:
            data = await self._stream.receive_some(READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.is_ended = self.is_broken = True
            return
        if data:
            self.incoming.feed(bytes(data))
        else:
            self.is_ended = True

    async def write(self, data: bytes) -> None:
        """Send all of ``data``; that it could not be sent is told by ``is_broken``."""
        if self.is_broken:
            return
        try:
            if len(data) <= PIECE_BYTES:
                await self._write_piece(data)
            else:
                view = memoryview(data)
                for at in range(0, len(data), PIECE_BYTES):
                    await self._write_piece(view[at : at + PIECE_BYTES])
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.is_broken = True
        except BaseException:
            # Whoever is cancelled here leaves half a message behind: nothing may follow it.
            self.is_broken = True
            raise

    def abort(self, *, reset: bool) -> None:
        """End the connection now, as nobody could take for a good end."""
        self.is_broken = True
        self._link.hang_up(reset)

    async def _write_piece(self, piece: bytes | memoryview) -> None:
        post = self.post
        post.write_until_s = trio.current_time() + self.site.limits.write_stall_s
        try:
            await self._stream.send_all(piece)
        finally:
            post.write_until_s = math.inf

    async def _requests(self) -> bytes:
        """Serve requests while the client and we want to; the bytes for another protocol, if one was asked for."""
        try:
            with self.post.scope as scope:
                while (head := await self._next_head()) is not None:
                    if head.is_foreign:
                        return await self._switch(head)
                    if not await self._serve(head):
                        return b""
        except BadRequest as refusal:
            await self.refuse(refusal)
            return b""
        if scope.cancel_called and not self.post.is_idle and not self.is_ended:
            await self.refuse(BadRequest("timed out while reading the request head", status=408))
        return b""

    async def _switch(self, head: Head) -> bytes:
        """Serve a WebSocket; give the bytes of anything else."""
        if not head.asks_websocket:
            return self.incoming.replay
        await Socket(self, self._link, head, self.incoming.take_ahead()).serve()
        return b""

    async def _next_head(self) -> Head | None:
        """Wait for the next request; None when there will be none."""
        head = self.incoming.next_head()
        if head is not None:
            return head
        post, limits = self.post, self.site.limits
        is_waiting = not self.incoming.ahead_bytes
        post.is_idle = is_waiting
        is_fresh = self._is_first or not is_waiting
        post.quiet_until_s = trio.current_time() + (limits.head_s if is_fresh else limits.idle_s)
        self._is_first = False
        while head is None:
            await self.pull()
            if self.is_ended or post.scope.cancel_called:
                return None
            head = self.incoming.next_head()
            # An empty line behind a body is no beginning of a head.
            if head is None and is_waiting and self.incoming.ahead_bytes:
                is_waiting = post.is_idle = False
                post.quiet_until_s = trio.current_time() + limits.head_s
        post.quiet_until_s = math.inf
        post.is_idle = False
        return head

    async def _serve(self, head: Head) -> bool:
        """Answer one request; whether another may follow."""
        turn = Turn(self, head)
        defect: Exception | None = None
        try:
            await self.site.app(self._scope(head, turn), turn.receive, turn.send)
        except Exception as error:  # noqa: BLE001  the request's root: a defect is told, not let out
            defect = error
        turn.is_over = True
        answer = turn.answer
        if defect is None and not answer.is_ended and not turn.is_left:
            defect = Unfinished("the application returned before its answer was complete")
        if defect is not None and not _is_farewell(defect):
            self.site.on_defect(defect)
        if not answer.is_started:
            await self._stand_in(turn)
            return False
        if not answer.is_ended or self.is_broken:
            self.abort(reset=not answer.is_delimited)
            return False
        may_go_on = answer.persists and not self.site.watch.is_draining
        return may_go_on and not self.is_ended

    async def _stand_in(self, turn: Turn) -> None:
        """Answer instead of an application that did not."""
        if self.incoming.fault is not None:
            await self.refuse(self.incoming.fault, turn.head)
        elif not turn.is_left:
            await self.refuse(InternalError("internal error"), turn.head)

    def _scope(self, head: Head, turn: Turn) -> HTTPScope:
        path = head.path.decode("ascii")
        site, link = self.site, self._link
        return {
            "type": "http",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "http_version": head.version,
            "method": head.method,
            "scheme": link.scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": head.path,
            "query_string": head.query,
            "root_path": site.root_path,
            "headers": head.headers,
            "client": link.client,
            "server": link.server,
            "state": cast("Any", site.state.copy()),
            "extensions": cast("Any", turn.extensions()) if link.can_tell else {},
        }

    async def refuse(self, error: GatewayError, head: Head = UNREAD) -> None:
        """Answer a request that the application does not get to see, or did not answer. The last on this connection."""
        answer = Answer(head)
        body = error_body(error)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *error_headers(error),
            *SECURITY_HEADERS,
        ]
        lines = self.site.lines.at(self.site.wall_clock())
        answer.accept(
            {"type": "http.response.start", "status": error.status, "headers": headers},
            lines,
            may_persist=False,
        )
        await self.write(
            answer.accept(
                {"type": "http.response.body", "body": body, "more_body": False},
                lines,
                may_persist=False,
            )
        )

    async def _close(self) -> None:
        """Close, so that a client can read the answer although not all of its request was read: RFC 9112, section 9.6."""
        with trio.move_on_after(self.site.limits.linger_s):
            if not self.is_broken and not self.is_ended and self._has_unread():
                await self.linger()
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._stream.aclose()
        self._link.hang_up(False)

    def _has_unread(self) -> bool:
        return not self.incoming.ended or self.incoming.ahead_bytes > 0

    async def linger(self) -> None:
        """End our side, and read over what is still to come of the client's, up to a bound."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            left = self.site.limits.linger_bytes
            while left > 0 and (data := await self._stream.receive_some(READ_BYTES)):
                left -= len(data)


class Turn:
    """One request and its answer, as the application has it: ``receive`` and ``send`` of ASGI."""

    __slots__ = (
        "_dropped",
        "_is_body_told",
        "_is_continue_due",
        "_lane",
        "_pulled",
        "_pulling",
        "answer",
        "head",
        "is_left",
        "is_over",
    )

    def __init__(self, lane: Lane, head: Head) -> None:
        self.head = head
        self.answer = Answer(head)
        self.is_left = False
        """The client is gone, as far as the application is concerned."""
        self.is_over = False
        """The application has returned."""
        self._lane = lane
        self._dropped = 0
        self._is_body_told = False
        self._is_continue_due = head.expects
        self._pulled: trio.Event | None = None
        self._pulling: trio.CancelScope | None = None

    async def receive(self) -> ASGIReceiveEvent:
        """The next of the body; after it, the disconnect, when there is one, or when the answer is complete."""
        if not self._is_body_told:
            await self._body()
            incoming = self._lane.incoming
            data = b"" if self._is_deaf() else incoming.take()
            if data or (incoming.ended and not self._is_deaf()):
                self._is_body_told = incoming.ended
                return {"type": "http.request", "body": data, "more_body": not incoming.ended}
        else:
            await self._until_left()
        self._leave()
        # An application that goes on asking must not keep everybody else waiting.
        await trio.lowlevel.checkpoint()
        return {"type": "http.disconnect"}

    async def send(self, message: ASGISendEvent) -> None:
        """Send what ``message`` comes to. To a client that is gone nothing is sent, and nothing said of it."""
        lane = self._lane
        if self.is_left or self.is_over or lane.is_broken:
            await self._drop()
            return
        site = lane.site
        answer = self.answer
        may_persist = lane.incoming.ended and not site.watch.is_draining
        data = answer.accept(message, site.lines.at(site.wall_clock()), may_persist=may_persist)
        if data:
            await lane.write(data)
        self._heed(lane)

    def _heed(self, lane: Lane) -> None:
        """See, after a message is out, whether the turn or the connection has ended with it."""
        if lane.is_broken:
            self._leave()
        elif self.answer.is_ended and self._pulling is not None:
            self._pulling.cancel()

    def extensions(self) -> dict[str, object]:
        """What an application gets beside ``receive`` and ``send``."""
        return {GONE: self.gone, BODY: self.body_at_hand}

    def gone(self, call: Callable[[], object] | None = None) -> _Gone:
        """A context in which ``call`` is called once if the client goes, up to a watch's round later. Nothing is read.

        Without ``call`` the application itself is cancelled. That is the end of the connection, whose own scope serves:
        it costs the request none.
        """

        def leave() -> None:
            self._lane.is_ended = True
            self._leave()
            (call or self._give_up)()

        return _Gone(self._lane.post, leave)

    def body_at_hand(self) -> bytes | None:
        """The whole body, if it has come to its end and nothing of it was received; else ``receive`` gives it."""
        incoming = self._lane.incoming
        if self._is_body_told or not incoming.ended or self._is_deaf():
            return None
        self._is_body_told = True
        return incoming.take()

    def _give_up(self) -> None:
        if self.answer.is_started and not self.answer.is_ended:
            self._lane.abort(reset=not self.answer.is_delimited)
        self._lane.post.scope.cancel()

    def _is_deaf(self) -> bool:
        """Nothing that comes now belongs to this request, or can be believed."""
        return self.is_left or self.is_over or self.answer.is_ended

    async def _body(self) -> None:
        """Wait until there is something of the body, or it is over with it."""
        incoming, limits = self._lane.incoming, self._lane.site.limits
        while not incoming.ended and not self._is_deaf() and not incoming.has_body:
            if incoming.fault is not None or self._lane.is_ended:
                self.is_left = True
                return
            if self._is_continue_due:
                await self._continue()
            if not await self._pull(limits.body_stall_s):
                self.is_left = True

    async def _continue(self) -> None:
        self._is_continue_due = False
        if not self.answer.is_started:
            await self._lane.write(CONTINUE)

    async def _until_left(self) -> None:
        """Wait for the client to go. What it sends meanwhile is ahead of its turn, and read up to a bound."""
        lane = self._lane
        bound = lane.site.limits.ahead_bytes
        while not lane.is_ended and not self._is_deaf():
            await self._pull(math.inf, is_full=lane.incoming.ahead_bytes >= bound)

    async def _pull(self, within_s: float, *, is_full: bool = False) -> bool:
        """Wait for input, or for the end of this turn; False if ``within_s`` passed first. One reads for all who wait."""
        if self._pulled is not None:
            await self._pulled.wait()
            return True
        self._pulled = trio.Event()
        try:
            with trio.move_on_after(within_s) as self._pulling:
                if is_full:
                    await trio.sleep_forever()
                await self._lane.pull()
        finally:
            is_late = self._pulling is not None and self._pulling.cancelled_caught
            self._pulling = None
            self._pulled.set()
            self._pulled = None
        return not is_late

    def _leave(self) -> None:
        """From now on nothing is sent; whoever waits for the client is told."""
        self.is_left = True
        if self._pulling is not None:
            self._pulling.cancel()

    async def _drop(self) -> None:
        self._leave()
        self._dropped += 1
        if self._dropped > MAX_DROPPED:
            raise ClientGone("the client is gone")
        await trio.lowlevel.checkpoint()


class _Gone:
    """Has a post look out for the client's going, for as long as the context lasts."""

    __slots__ = ("_leave", "_post")

    def __init__(self, post: Post, leave: Callable[[], object]) -> None:
        self._post = post
        self._leave = leave

    def __enter__(self) -> None:
        self._post.on_gone = self._leave

    def __exit__(self, *_: object) -> None:
        self._post.on_gone = None


def _is_farewell(defect: Exception) -> bool:
    """Whether ``defect`` is only our own word to an application that sends to nobody, or its word that it has cut."""
    if isinstance(defect, ExceptionGroup):
        return defect.split((ClientGone, CutShort))[1] is None
    return isinstance(defect, (ClientGone, CutShort))
