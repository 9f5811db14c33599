"""Bodies too large for memory: the beginning in it, then a temporary file without a name.

The file lies where Python's ``tempfile`` puts it (``TMPDIR`` says otherwise; a ``tmpfs`` there is memory after all), and
is gone with its descriptor, however the process ends. It is written and read in trio's threads, a block at a time.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, Any, TypeVar

import attrs
import trio

from bifrost.errors import Overloaded
from bifrost.http.body import UnpackedParts, in_time, tell_nobody
from bifrost.schema.payload import BLOCK_BYTES, Payload

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable

    from bifrost.integrations.headers import HeaderLines

__all__ = ["MEMORY_BYTES", "Spool", "open_spool", "spooled"]

MEMORY_BYTES = 1024 * 1024
"""Up to this a spool is in memory, and no thread is asked."""

MAX_THREADS = 8
"""That touch files at a time, of all spools together; the others wait."""

CLOSE_S = 2.0
"""For a file to be closed, which frees its blocks; after that it is left to its thread."""

T = TypeVar("T")

_threads: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("spool threads")


class Spool:
    """Bytes that are written once, sealed, and then read as often as one likes, by several readers at once."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self._written = 0
        self._is_closed = False

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._written + len(self._held)

    async def write(self, data: bytes) -> None:
        """Append. Waits for the disk, so that who sends faster is slowed down. Raises Overloaded if it is full or broken.

        Like all that runs in a thread, the writing of a block is not cut short by cancellation.
        """
        self._held += data
        if self._file is None:
            if len(self._held) <= MEMORY_BYTES:
                return
            self._file = await _put(_open_file)
        while len(self._held) >= BLOCK_BYTES:
            await self._write_block(self._file)

    async def seal(self) -> None:
        """All has been written: from now on it can be read. Raises as ``write``."""
        if self._file is not None:
            while self._held:
                await self._write_block(self._file)

    def slice(self, begin: int, size: int) -> Payload:
        """So many bytes from ``begin``, to be read when the spool is sealed and until it is closed."""
        return _Slice(self, begin, size)

    async def read(self, begin: int, size: int) -> bytes:
        """Exactly so many bytes from ``begin``. Raises OSError, also when the spool has been closed."""
        if self._is_closed:
            raise OSError(errno.EBADF, "the request body is gone")
        file = self._file
        if file is None:
            await trio.lowlevel.checkpoint()
            return bytes(self._held[begin : begin + size])
        return await _in_thread(lambda: _read_file(file, begin, size))

    async def aclose(self) -> None:
        """Give memory and disk back. Not cut short by cancellation, but takes ``CLOSE_S`` at most."""
        self._is_closed = True
        self._held.clear()
        file, self._file = self._file, None
        if file is not None:
            with trio.move_on_after(CLOSE_S, shield=True):
                await trio.to_thread.run_sync(
                    file.close, abandon_on_cancel=True, limiter=_limiter()
                )

    async def _write_block(self, file: IO[bytes]) -> None:
        block = bytes(self._held[:BLOCK_BYTES])
        await _put(lambda: _write_file(file, block))
        del self._held[:BLOCK_BYTES]
        self._written += len(block)


@attrs.frozen(eq=False)
class _Slice:
    """A part of a spool. Implements ``Payload``."""

    spool: Spool = attrs.field(repr=False)
    begin: int
    size: int

    def blocks(self) -> AsyncIterator[bytes]:
        return _SliceBlocks(self)


class _SliceBlocks(AsyncIterator[bytes]):
    def __init__(self, source: _Slice) -> None:
        self._spool = source.spool
        self._at = source.begin
        self._end = source.begin + source.size

    async def __anext__(self) -> bytes:
        size = min(BLOCK_BYTES, self._end - self._at)
        if not size:
            raise StopAsyncIteration
        block = await self._spool.read(self._at, size)
        self._at += size
        return block


@asynccontextmanager
async def open_spool() -> AsyncIterator[Spool]:
    """An empty spool; leaving gives all of it back."""
    spool = Spool()
    try:
        yield spool
    finally:
        await spool.aclose()


@asynccontextmanager
async def spooled(
    receive: ASGIReceiveCallable,
    headers: HeaderLines,
    *,
    max_bytes: int,
    timeout_s: float,
    tell_size: Callable[[int], None] = tell_nobody,
) -> AsyncIterator[Payload]:
    """A request's body without its coding, once all of it is there; it can be read until this is left.

    ``max_bytes`` bounds it packed and unpacked, ``timeout_s`` the time until it is there. ``tell_size`` hears how large
    it came. Raises BodyTooLarge, BadRequest (400 for a coding that cannot be taken off, 408), CallerGone, and Overloaded
    where the disk takes no more.
    """
    parts = UnpackedParts(receive, headers, max_bytes, tell_size)
    async with open_spool() as spool:
        with in_time(timeout_s):
            while (part := await parts.take()) is not None:
                await spool.write(part)
            await spool.seal()
        yield spool.slice(0, spool.size)


async def _put(work: Callable[[], T]) -> T:
    try:
        return await _in_thread(work)
    except OSError as error:
        raise Overloaded("no room to keep the request body", cause=error.strerror) from error


async def _in_thread(work: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(work, limiter=_limiter())


def _limiter() -> trio.CapacityLimiter:
    try:
        return _threads.get()
    except LookupError:
        limiter = trio.CapacityLimiter(MAX_THREADS)
        _threads.set(limiter)
        return limiter


def _open_file() -> IO[bytes]:
    # Unbuffered: what is written are blocks already.
    file: IO[Any] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  the spool closes it
    return file


def _write_file(file: IO[bytes], block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[file.write(left) :]


def _read_file(file: IO[bytes], begin: int, size: int) -> bytes:
    if file.closed:
        raise OSError(errno.EBADF, "the request body is gone")
    block = os.pread(file.fileno(), size, begin)
    if len(block) < size:
        raise OSError(errno.EIO, "the temporary file has been cut short")
    return block
