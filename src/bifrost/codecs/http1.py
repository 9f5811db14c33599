"""HTTP/1.1 requests, as a server reads them: a strict head, and bodies by length or in chunks. Push style, no I/O.

Whatever two parties could read differently is refused, for that is what request smuggling lives on: repeated or signed
lengths, a length beside a transfer coding, other codings than ``chunked``, folded lines, bare line ends, spaces before a
colon. Source: RFC 9112, sections 2 to 7 and 11.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import attrs

__all__ = ["MAX_HEAD_BYTES", "BadRequestHead", "ChunkedBody", "Head", "head_end", "parse_head"]

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
MAX_TARGET_BYTES = 16 * 1024
MAX_CHUNK_LINE_BYTES = 256
MAX_TRAILER_BYTES = 16 * 1024

HEAD_END = b"\r\n\r\n"

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\n[ \t]")
"""Control characters, line ends that are only half of one, and folded lines."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP/1\.([01])")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]*)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\x09\x20-\x7e]*)?")

_WATCHED = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"}
)


class BadRequestHead(ValueError):
    """Bytes that are no request one can trust; the connection ends with ``status``."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@attrs.frozen(kw_only=True)
class Head:
    """A request without its body. ``content_length`` is ``None`` for a chunked one; without a body it is 0."""

    method: str
    raw_path: bytes
    query: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    content_length: int | None
    keep_alive: bool
    expects_continue: bool
    upgrades: bool

    @property
    def path(self) -> str:
        """Percent-decoded, as ASGI has it; what is no UTF-8 is kept by surrogates' stand-ins."""
        if b"%" not in self.raw_path:
            return self.raw_path.decode("ascii")
        return unquote_to_bytes(self.raw_path).decode("utf-8", "replace")


def head_end(buffer: bytearray) -> int:
    """Where the head at the beginning of ``buffer`` ends; -1 if it has not all come. Raises BadRequestHead (431)."""
    end = buffer.find(HEAD_END, 0, MAX_HEAD_BYTES)
    if end < 0:
        if len(buffer) >= MAX_HEAD_BYTES:
            raise BadRequestHead("request head too large", 431)
        return -1
    return end + len(HEAD_END)


def parse_head(data: bytes) -> Head:
    """The head in ``data``, which ends with its empty line. Raises BadRequestHead."""
    if _FORBIDDEN.search(data) is not None:
        raise BadRequestHead("invalid character or line end in request head")
    lines = data[: -len(HEAD_END)].split(b"\r\n")
    method, target, minor = _request_line(lines[0])
    if len(lines) - 1 > MAX_HEADERS:
        raise BadRequestHead("too many request headers", 431)
    headers, watched = _headers(lines)
    raw_path, query = _target(method, target)
    length = _length(watched, minor)
    connection = _tokens(watched.get(b"connection", ()))
    _check_host(watched, minor)
    return Head(
        method=method.decode("ascii"),
        raw_path=raw_path,
        query=query,
        version="1.1" if minor else "1.0",
        headers=headers,
        content_length=length,
        keep_alive=(b"close" not in connection) if minor else (b"keep-alive" in connection),
        expects_continue=minor == 1 and b"100-continue" in _tokens(watched.get(b"expect", ())),
        upgrades=b"upgrade" in watched and b"upgrade" in connection,
    )


def _request_line(line: bytes) -> tuple[bytes, bytes, int]:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequestHead("invalid request line")
    method, target, minor = match.groups()
    if len(target) > MAX_TARGET_BYTES:
        raise BadRequestHead("request target too long", 414)
    return method, target, int(minor)


def _headers(
    lines: list[bytes],
) -> tuple[list[tuple[bytes, bytes]], dict[bytes, tuple[bytes, ...]]]:
    """All headers, names in lower case; and the values of those that decide about the message itself."""
    headers: list[tuple[bytes, bytes]] = []
    watched: dict[bytes, tuple[bytes, ...]] = {}
    for line in lines[1:]:
        raw, colon, value = line.partition(b":")
        name = _name(raw)
        if not colon or name is None:
            raise BadRequestHead("invalid header line")
        value = value.strip(b" \t")
        headers.append((name, value))
        if name in _WATCHED:
            watched[name] = (*watched.get(name, ()), value)
    return headers, watched


@lru_cache(maxsize=1024)
def _name(raw: bytes) -> bytes | None:
    """``raw`` in lower case if it is a header's name."""
    return raw.lower() if _TOKEN.fullmatch(raw) else None


def _target(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    if method == b"CONNECT":
        raise BadRequestHead("CONNECT is not served", 405)
    if not target.startswith(b"/") and target != b"*":
        absolute = _ABSOLUTE.match(target)
        if absolute is None:
            raise BadRequestHead("invalid request target")
        target = target[absolute.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path, query


def _length(watched: dict[bytes, tuple[bytes, ...]], minor: int) -> int | None:
    lengths, codings = watched.get(b"content-length"), watched.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None or minor == 0:
            raise BadRequestHead("transfer-encoding beside content-length, or in HTTP/1.0")
        if len(codings) != 1 or codings[0].lower() != b"chunked":
            raise BadRequestHead("unsupported transfer-encoding")
        return None
    if lengths is None:
        return 0
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 15:
        raise BadRequestHead("invalid content-length")
    return int(lengths[0])


def _check_host(watched: dict[bytes, tuple[bytes, ...]], minor: int) -> None:
    hosts = watched.get(b"host", ())
    if len(hosts) > 1 or (minor == 1 and not hosts):
        raise BadRequestHead("exactly one host header is required")


def _tokens(values: tuple[bytes, ...]) -> frozenset[bytes]:
    if not values:
        return frozenset()
    return frozenset(token.strip(b" \t").lower() for v in values for token in v.split(b","))


@attrs.define
class ChunkedBody:
    """The chunked coding, taken off. ``feed`` gives what it found and how many bytes it used; past ``is_done`` none."""

    is_done: bool = False
    _left: int = 0
    """Of the chunk under way, its line end included."""
    _line: bytearray = attrs.field(factory=bytearray)
    _trailer_bytes: int = -1
    """Once the last chunk is seen: how much trailer there was so far."""

    def feed(self, data: bytes | memoryview) -> tuple[list[bytes], int]:
        """Take ``data``. Raises BadRequestHead."""
        view, parts, used = memoryview(data), list[bytes](), 0
        while used < len(view) and not self.is_done:
            if self._left > 0:
                taken = self._take_data(view[used:], parts)
            else:
                taken = self._take_line(view[used:])
            used += taken
        return parts, used

    def _take_data(self, view: memoryview, parts: list[bytes]) -> int:
        """Of a chunk's data and the line end behind it."""
        data_left = self._left - 2
        if data_left > 0:
            part = bytes(view[:data_left])
            parts.append(part)
            self._left -= len(part)
            return len(part)
        if view[0] != b"\r\n"[-self._left]:
            raise BadRequestHead("chunk longer than its size")
        self._left -= 1
        return 1

    def _take_line(self, view: memoryview) -> int:
        end = bytes(view[: MAX_CHUNK_LINE_BYTES + 1]).find(b"\n")
        taken = len(view[: MAX_CHUNK_LINE_BYTES + 1]) if end < 0 else end + 1
        self._line += view[:taken]
        if len(self._line) > MAX_CHUNK_LINE_BYTES:
            raise BadRequestHead("chunk line too long")
        if end >= 0:
            line, self._line = bytes(self._line), bytearray()
            self._read_line(line)
        return taken

    def _read_line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n") or _FORBIDDEN.search(line) is not None:
            raise BadRequestHead("invalid chunk line")
        if self._trailer_bytes >= 0:
            self._read_trailer(line)
            return
        match = _CHUNK_SIZE.fullmatch(line[:-2])
        if match is None:
            raise BadRequestHead("invalid chunk size")
        size = int(match[1], 16)
        if size == 0:
            self._trailer_bytes = 0
        else:
            self._left = size + 2

    def _read_trailer(self, line: bytes) -> None:
        """Trailers are bounded and dropped."""
        self._trailer_bytes += len(line)
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise BadRequestHead("trailers too large", 431)
        self.is_done = line == b"\r\n"
