"""As much HTTP/1.1 as a load client needs: a request's bytes, and where an answer ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "post"]

CHUNKED_END = b"0\r\n\r\n"


def post(port: int, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a POST to 127.0.0.1."""
    fields = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


@attrs.define
class Answer:
    """One answer as it arrives. ``feed`` gives the bytes after the head, framing included.

    A chunked end is looked for in the last bytes, so a body must not end a read with those bytes itself: JSON and
    server-sent events, which have no carriage return, do not.
    """

    status: int = 0
    is_complete: bool = False
    until_close: bool = False
    _head: bytes = b""
    _tail: bytes = b""
    _left: int | None = None

    def feed(self, data: bytes) -> bytes:
        if self.status:
            return self._count(data)
        self._head += data
        head, found, body = self._head.partition(b"\r\n\r\n")
        if not found:
            return b""
        self._read_head(head.lower())
        return self._count(body)

    def _read_head(self, head: bytes) -> None:
        self.status = int(head.split(b" ", 2)[1])
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name == b"content-length":
                self._left = int(value)
            if name == b"transfer-encoding":
                return
        self.until_close = self._left is None

    def _count(self, body: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(body)
            self.is_complete = self._left <= 0
        elif not self.until_close:
            self._tail = (self._tail + body[-len(CHUNKED_END) :])[-len(CHUNKED_END) :]
            self.is_complete = self._tail == CHUNKED_END
        return body
