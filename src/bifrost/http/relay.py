"""From an exchange's events to one HTTP answer: the status line waits for the first real event, silence gets comments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from bifrost.http.reply import Reply
from bifrost.integrations.manners import Manner
from bifrost.service import Began, Chunk, Event, Exchange, Failed, Finished

if TYPE_CHECKING:
    from bifrost.http.reply import HeaderLines

__all__ = ["Relay"]

JSON_TYPE = (b"content-type", b"application/json")

COALESCE_BYTES = 256 * 1024
"""Chunks that are there already leave in one write, up to here."""


@attrs.define(eq=False)
class Relay:
    """Writes one exchange to ``reply``.

    ``error_event`` tells a failure inside a stream, ``manner`` how streams are framed.
    """

    exchange: Exchange
    reply: Reply
    keepalive_s: float
    error_event: Callable[[Failed], bytes]
    manner: Manner

    async def plain(self) -> Failed | None:
        """A whole answer. Returns the failure instead, where there was one: nothing has been sent then."""
        headers: HeaderLines = []
        body = b""
        while True:
            # What is there already is taken without letting everybody else run first.
            event = self.exchange.receive_nowait()
            match event if event is not None else await self.exchange.receive():
                case Began(content_type=str() as kind) as began:
                    await self._bytes(began, kind)
                    return None
                case Began() as began:
                    headers = self._lines(began)
                case Chunk(data):
                    body = data
                case Finished():
                    await self.reply.whole(200, [JSON_TYPE, *headers], body)
                    return None
                case Failed() as end:
                    return end

    def _lines(self, began: Began) -> HeaderLines:
        return self.manner.with_id(answer_lines(began), self.reply.request_id)

    async def _bytes(self, began: Began, kind: str) -> None:
        """Blocks as they come. Where they break off the answer is marked as cut: nothing may look like its end then."""
        typed = [(b"content-type", kind.encode("latin-1", "replace"))] if kind else []
        await self.reply.start_bytes(began.status, [*typed, *answer_lines(began)], began.length)
        if began.at_once:
            await self.reply.part(b"")
        while True:
            event = self.exchange.receive_nowait()
            match event if event is not None else await self.exchange.receive():
                case Chunk(data):
                    if data:
                        await self.reply.part(data)
                case Finished():
                    await self.reply.end()
                    return
                case Failed():
                    self.reply.is_cut = True
                    return
                case Began():
                    pass

    async def stream(self) -> Failed | None:
        """An event stream. Returns a failure that came before the head was out; a later one is told in the stream."""
        headers: HeaderLines = []
        while True:
            match await self._next():
                case None:
                    await self._keep_alive()
                case Began(content_type=str() as kind) as began if not self.reply.is_started:
                    await self._bytes(began, kind)
                    return None
                case Began() as began:
                    headers = self._lines(began)
                case Chunk(data):
                    end = await self._forward(data, headers)
                    if end is not None:
                        return await self._end(end)
                case Finished() | Failed() as end:
                    return await self._end(end)

    async def _next(self) -> Event | None:
        """The next event; ``None`` after ``keepalive_s`` of silence."""
        event = self.exchange.receive_nowait()
        if event is not None:
            return event
        if self.keepalive_s <= 0:
            return await self.exchange.receive()
        return await self.exchange.receive_within(self.keepalive_s)

    async def _forward(self, data: bytes, headers: HeaderLines) -> Finished | Failed | None:
        """Write ``data`` and whatever is there behind it in one go; the end, if that was there too."""
        parts, size, end = [data], len(data), None
        while size < COALESCE_BYTES and (event := self.exchange.receive_nowait()) is not None:
            if isinstance(event, Chunk):
                parts.append(event.data)
                size += len(event.data)
            elif isinstance(event, Finished | Failed):
                end = event
                break
        if not self.reply.is_started:
            await self.reply.start_stream(headers, self.manner.stream_type)
        joined = b"".join(parts)
        if isinstance(end, Finished):
            await self.reply.end(joined)
        else:
            await self.reply.part(joined)
        return end

    async def _keep_alive(self) -> None:
        if not self.reply.is_started:
            lines = self.manner.with_id([], self.reply.request_id)
            await self.reply.start_stream(lines, self.manner.stream_type)
        if self.manner.ping:
            await self.reply.part(self.manner.ping)

    async def _end(self, end: Finished | Failed) -> Failed | None:
        if isinstance(end, Failed):
            if not self.reply.is_started:
                return end
            await self.reply.end(self.error_event(end))
        elif not self.reply.is_ended:
            await self.reply.end()
        return None


def answer_lines(began: Began) -> HeaderLines:
    """What the upstream's headers and the gateway's own figure look like to the caller."""
    lines = [
        (name.encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in began.headers
    ]
    lines.append((b"x-bf-overhead-us", b"%d" % round(began.overhead_s * 1_000_000)))
    return lines
