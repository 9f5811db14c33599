"""Content codings taken off, push style: gzip, deflate, br, zstd.

A ``Decoder`` gives its output in pieces of bounded size, so that a small body that unpacks to gigabytes never stands
in memory: who reads it counts the pieces and stops. Names: RFC 9110, section 8.4.1; br: RFC 7932; zstd: RFC 9659.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

import brotli
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "CODINGS",
    "PIECE_BYTES",
    "CodingError",
    "DecodedTooLarge",
    "Decoder",
    "decode_whole",
    "decoder_for",
]

PIECE_BYTES = 256 * 1024
"""About as much as one ``feed`` gives; an engine may overshoot by its own block, at most 4 MiB."""

ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""What a receiver has to support, and no more (RFC 9659, section 3)."""

ZSTD_STEP_BYTES = 128
"""zstandard has no bound on output. Four bytes of input can be a block of 128 KiB, so 128 are 4 MiB at most."""

SLICE_BYTES = 64 * 1024

GZIP_WBITS = 16 + zlib.MAX_WBITS


class CodingError(ValueError):
    """The body is not what its coding says, or the coding is unknown."""


class DecodedTooLarge(ValueError):
    """The body unpacks to more than it may."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"decompressed body exceeds max allowed size of {max_bytes} bytes")
        self.max_bytes = max_bytes


class _Engine(Protocol):
    """One compressed stream of one library. ``rest`` is input it has not taken yet, also past its end."""

    rest: bytes

    @property
    def ended(self) -> bool: ...

    @property
    def has_more(self) -> bool:
        """Whether ``decode(b"")`` may give output without further input."""
        ...

    def decode(self, data: bytes) -> bytes: ...


class _Inflate:
    """zlib's three formats."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)
        self.rest = b""
        self.has_more = False

    @property
    def ended(self) -> bool:
        return self._inner.eof

    def decode(self, data: bytes) -> bytes:
        out = self._inner.decompress(data, PIECE_BYTES)
        self.rest = self._inner.unused_data if self.ended else self._inner.unconsumed_tail
        # A full piece may leave the end of a match inside zlib, with all input taken.
        self.has_more = not self.ended and len(out) >= PIECE_BYTES
        return out


class _Deflate:
    """``deflate`` is zlib's format by the book, and bare deflate from some servers: the first two bytes tell.

    Bare deflate can begin like a zlib header only with a stored block whose padding is not zero: nobody writes that.
    """

    def __init__(self) -> None:
        self._inner: _Inflate | None = None
        self._first = b""
        self.rest = b""

    @property
    def ended(self) -> bool:
        return self._inner is not None and self._inner.ended

    @property
    def has_more(self) -> bool:
        return self._inner is not None and self._inner.has_more

    def decode(self, data: bytes) -> bytes:
        if self._inner is None:
            data = self._first + data
            if len(data) < 2:
                self._first, self.rest = data, b""
                return b""
            is_zlib = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._inner = _Inflate(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        out = self._inner.decode(data)
        self.rest = self._inner.rest
        return out


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Decompressor()
        self.rest = b""
        self.has_more = False

    @property
    def ended(self) -> bool:
        return bool(self._inner.is_finished())

    def decode(self, data: bytes) -> bytes:
        # Before it has given all of the last input, it takes none.
        self.rest, data = (data, b"") if self.has_more else (b"", data)
        out: bytes = self._inner.process(data, output_buffer_limit=PIECE_BYTES)
        # After a full piece it says that it takes more while the end of the stream is still unread inside.
        is_full = len(out) >= PIECE_BYTES or not self._inner.can_accept_more_data()
        self.has_more = is_full and not self.ended
        return out


class _Zstd:
    def __init__(self) -> None:
        unpacker = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
        self._inner = unpacker.decompressobj()
        self.rest = b""
        self.has_more = False

    @property
    def ended(self) -> bool:
        return self._inner.eof

    def decode(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        size = begin = 0
        while begin < len(data) and size < PIECE_BYTES and not self.ended:
            parts.append(self._inner.decompress(data[begin : begin + ZSTD_STEP_BYTES]))
            begin += ZSTD_STEP_BYTES
            size += len(parts[-1])
        self.rest = (self._inner.unused_data if self.ended else b"") + data[begin:]
        return b"".join(parts)


class Decoder:
    """One body being unpacked. Any split of the input gives the same output, joined."""

    def __init__(self, engine: Callable[[], _Engine], *, repeats: bool) -> None:
        self._new = engine
        self._engine = engine()
        self._repeats = repeats
        self._rest = b""
        self._began = False

    @property
    def pending(self) -> bool:
        """Whether there is more to get by ``feed(b"")`` before anything else is fed."""
        return bool(self._rest) or self._engine.has_more

    def feed(self, data: bytes) -> bytes:
        """The next piece; ``b""`` if it takes more input to give any. Raises CodingError."""
        held = self._rest + data
        self._began = self._began or bool(held)
        try:
            return self._step(held)
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise CodingError(str(error)) from error

    def _step(self, held: bytes) -> bytes:
        while held or self._engine.has_more:
            if self._engine.ended:
                self._begin_next()
            out = self._engine.decode(held)
            held = self._rest = self._engine.rest
            if out:
                return out
        return b""

    def _begin_next(self) -> None:
        # gzip members and zstd frames may follow one another (RFC 1952, 2.2; RFC 8878, 3.1).
        if not self._repeats:
            raise CodingError("data after the end of the compressed body")
        self._engine = self._new()

    def close(self) -> None:
        """The input has ended. Raises CodingError if the body has not; an empty one is taken for an empty body."""
        if self._began and (self.pending or not self._engine.ended):
            raise CodingError("compressed body is cut short")


def _gzip() -> Decoder:
    return Decoder(lambda: _Inflate(GZIP_WBITS), repeats=True)


CODINGS: Mapping[str, Callable[[], Decoder]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": lambda: Decoder(_Deflate, repeats=False),
    "br": lambda: Decoder(_Brotli, repeats=False),
    "zstd": lambda: Decoder(_Zstd, repeats=True),
}


def decoder_for(coding: str) -> Decoder | None:
    """A fresh decoder for a ``content-encoding``; ``None`` for none or ``identity``. Raises CodingError if unknown.

    A list of several codings is unknown: nobody sends one who was not asked to.
    """
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return None
    make = CODINGS.get(name)
    if make is None:
        raise CodingError(f"unsupported content coding {name[:40]!r}")
    return make()


def decode_whole(coding: str, body: bytes, max_bytes: int) -> bytes:
    """``body`` without its coding. Raises CodingError, and DecodedTooLarge beyond ``max_bytes``.

    Never holds more than ``max_bytes`` and one piece of output.
    """
    decoder = decoder_for(coding)
    pieces = (body,) if decoder is None else _pieces(decoder, body)
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise DecodedTooLarge(max_bytes)
        parts.append(piece)
    return b"".join(parts)


def _pieces(decoder: Decoder, body: bytes) -> Iterator[bytes]:
    # In slices: each step copies what it leaves of its input.
    for begin in range(0, len(body), SLICE_BYTES):
        yield decoder.feed(body[begin : begin + SLICE_BYTES])
        while decoder.pending:
            yield decoder.feed(b"")
    decoder.close()
