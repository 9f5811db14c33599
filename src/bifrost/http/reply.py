"""Writing one HTTP answer over ASGI: its head once, then its body; and what it came to, for the meter."""

from __future__ import annotations

import attrs
from hypercorn.typing import ASGISendCallable, ASGISendEvent

__all__ = ["REQUEST_ID", "CutShort", "HeaderLines", "Reply"]

EVENT_STREAM = b"text/event-stream"

REQUEST_ID = "bifrost.request_id"
"""The request's id, in the scope of what Quart serves."""

HeaderLines = list[tuple[bytes, bytes]]


class CutShort(Exception):
    """An answer broke off after its head was out: the server is to cut the connection, for the caller to see it."""


@attrs.define(eq=False)
class Reply:
    """One answer. ``always`` are header lines that every answer to this request carries."""

    _send: ASGISendCallable
    request_id: str = attrs.field(kw_only=True)
    always: HeaderLines = attrs.field(kw_only=True)
    template: str = "_unmatched"
    """The route's, for the meter: paths themselves are without number."""
    status: int | None = None
    """Once the head is out."""
    request_bytes: int = 0
    body_bytes: int = 0
    is_ended: bool = False
    is_cut: bool = False
    """Its body broke off after the head was out."""
    is_accounted: bool = False
    """Whether an exchange was started for it, whose record tells of it."""

    @property
    def is_started(self) -> bool:
        return self.status is not None

    async def whole(self, status: int, headers: HeaderLines, body: bytes) -> None:
        """Head and body at once."""
        lines = [*headers, (b"content-length", b"%d" % len(body)), *self.always]
        await self._start(status, lines)
        await self._body(body, more=False)

    async def start_stream(self, headers: HeaderLines, kind: bytes = EVENT_STREAM) -> None:
        """The head of an event stream; ``kind`` is its content type."""
        lines = [
            (b"content-type", kind),
            (b"cache-control", b"no-cache"),
            *headers,
            *self.always,
        ]
        await self._start(200, lines)

    async def start_bytes(self, status: int, headers: HeaderLines, length: int | None) -> None:
        """The head of an answer whose body follows block by block: ``length`` bytes of it, if that is known."""
        told = [] if length is None else [(b"content-length", b"%d" % length)]
        await self._start(status, [*headers, *told, *self.always])

    async def part(self, data: bytes) -> None:
        """More of a stream; goes out at once, and waits while the caller is slow."""
        await self._body(data, more=True)

    async def end(self, data: bytes = b"") -> None:
        """The end of a stream, in good order."""
        await self._body(data, more=False)

    async def pass_on(self, message: ASGISendEvent) -> None:
        """Another application's message, with the lines of ``always`` added to its head."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self.always]
        elif message["type"] == "http.response.body":
            self.body_bytes += len(message["body"])
        await self._send(message)

    async def _start(self, status: int, headers: HeaderLines) -> None:
        self.status = status
        await self._send(
            {"type": "http.response.start", "status": status, "headers": headers, "trailers": False}
        )

    async def _body(self, data: bytes, *, more: bool) -> None:
        self.body_bytes += len(data)
        self.is_ended = not more
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
