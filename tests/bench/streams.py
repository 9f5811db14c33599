"""The stream client: so many streams at a time for so many seconds, one process, raw sockets.

``python -m bench.streams PORT REQUEST_FILE STREAMS SECONDS`` prints one JSON object: ``chunks`` (``data:`` lines seen),
``streams`` ended whole, ``errors``, ``seconds``, and ``delays_ms``, how long each stamped event was on its way.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import attrs

from bench.wire import Answer

__all__ = ["Counter", "StreamReport", "read_streams"]

DATA = b"data:"
DONE = b"[DONE]"
STAMP = re.compile(rb"@(\d{6,20});")
LONGEST_STAMP = 24
READ_BYTES = 1 << 18


@attrs.define
class Counter:
    """Counts ``data:`` lines and stamps in pieces of a stream, whatever the cuts between them."""

    chunks: int = 0
    is_done: bool = False
    delays_ms: list[float] = attrs.field(factory=list)
    _tail: bytes = b""
    _unstamped: bytes = b""

    def feed(self, data: bytes, now_ns: int) -> None:
        self.chunks += (self._tail[-(len(DATA) - 1) :] + data).count(DATA)
        self.is_done = self.is_done or DONE in self._tail + data
        self._tail = (self._tail + data)[-(len(DONE) - 1) :]
        self._read_stamps(data, now_ns)

    def _read_stamps(self, data: bytes, now_ns: int) -> None:
        text = self._unstamped + data
        end = 0
        for found in STAMP.finditer(text):
            self.delays_ms.append((now_ns - int(found[1])) / 1e6)
            end = found.end()
        self._unstamped = text[max(end, len(text) - LONGEST_STAMP) :]


@attrs.frozen
class StreamReport:
    chunks: int
    streams: int
    errors: int
    seconds: float
    delays_ms: Sequence[float] = ()


@attrs.define(eq=False)
class _Reader:
    """One connection: a stream, and when it has ended whole, the next."""

    port: int
    request: bytes
    selector: selectors.BaseSelector
    chunks: int = 0
    streams: int = 0
    errors: int = 0
    delays_ms: list[float] = attrs.field(factory=list)
    _socket: socket.socket | None = None
    _answer: Answer = attrs.field(factory=Answer)
    _counter: Counter = attrs.field(factory=Counter)

    def begin(self) -> None:
        """Ask for a stream, on the open connection or a new one."""
        self._answer, self._counter = Answer(), Counter()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), 10)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(self._socket, selectors.EVENT_READ, self)
        self._socket.sendall(self.request)

    def read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(READ_BYTES)
        except OSError:
            data = b""
        if data:
            self._counter.feed(self._answer.feed(data), time.monotonic_ns())
            if self._answer.is_complete:
                self._end()
        else:
            self.close()
            self._end()

    def _end(self) -> None:
        """Book the stream that has ended and ask for the next one."""
        is_whole = self._answer.status == 200 and self._counter.is_done
        self.streams += is_whole
        self.errors += not is_whole
        self.book()
        self.begin()

    def book(self) -> None:
        self.chunks += self._counter.chunks if self._answer.status == 200 else 0
        self.delays_ms += self._counter.delays_ms

    def close(self) -> None:
        if self._socket is not None:
            self.selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


def read_streams(port: int, request: bytes, count: int, seconds: float) -> StreamReport:
    """Keep ``count`` streams going. Those still open at the end are cut; what they delivered counts."""
    selector = selectors.DefaultSelector()
    readers = [_Reader(port, request, selector) for _ in range(count)]
    start = time.monotonic()
    for reader in readers:
        reader.begin()
    while (left := start + seconds - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            cast("_Reader", key.data).read()
    elapsed = time.monotonic() - start
    for reader in readers:
        reader.book()
        reader.close()
    return StreamReport(
        chunks=sum(reader.chunks for reader in readers),
        streams=sum(reader.streams for reader in readers),
        errors=sum(reader.errors for reader in readers),
        seconds=elapsed,
        delays_ms=[round(delay, 3) for reader in readers for delay in reader.delays_ms],
    )


if __name__ == "__main__":
    port_text, file, streams_text, seconds_text = sys.argv[1:]
    report = read_streams(
        int(port_text), Path(file).read_bytes(), int(streams_text), float(seconds_text)
    )
    sys.stdout.write(json.dumps(attrs.asdict(report)))
