"""The head of one HTTP/1.1 request, checked as strictly as a gateway behind other proxies must. Pure.

llhttp (httptools 0.9) reads the header lines. As tried, it refuses bare line ends, folded lines, control characters, names
that are no tokens, a repeated or odd ``content-length`` and one beside ``transfer-encoding``. It takes, so own checks
stand here: more than one space in the request line, HTTP/0.9 and 2.0, ICE, no or two hosts, codings other than chunked,
chunked in HTTP/1.0, and heads, targets and header lists of any size. Sources: RFC 9112, RFC 9110.
"""

from __future__ import annotations

import httptools

from bifrost.errors import BadRequest
from bifrost.values import frozen

__all__ = ["CHUNKED", "HEAD_END", "MAX_HEADERS", "MAX_HEAD_BYTES", "MAX_TARGET_BYTES", "PREFACE", "Head", "parse_head"]  # fmt: skip

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
MAX_TARGET_BYTES = 16 * 1024

HEAD_END = b"\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
"""What an HTTP/2 client with prior knowledge begins with (RFC 9113, section 3.4), up to where it looks like a head."""

CHUNKED = -1

VERSIONS = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}
SPECIAL = frozenset(
    b"connection content-length expect host http2-settings transfer-encoding upgrade".split()
)
MAX_LENGTH_DIGITS = 18

TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TARGET_BYTES = bytes(range(0x21, 0x7F))
HOST_BYTES = b"!$%&'()*+,-.:;=[]_~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ALLOW = (("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),)

Headers = list[tuple[bytes, bytes]]


@frozen
class Head:
    """A request's head. Header names are lower-cased, values stripped; their order is the client's."""

    method: str
    path: bytes
    """As it came, percent-encoding and all."""
    query: bytes
    version: str
    """``1.1`` or ``1.0``; ``2`` for the preface."""
    headers: Headers
    length: int = 0
    """Of the body, in bytes; ``CHUNKED`` if it says so itself."""
    persists: bool = True
    """The client would send another request on the connection."""
    expects: bool = False
    """The client waits for ``100 Continue``."""
    is_foreign: bool = False
    """Not for HTTP/1.1: the preface of HTTP/2, a request to upgrade to it or to websocket."""

    @property
    def asks_websocket(self) -> bool:
        return self.is_foreign and any(
            name == b"upgrade" and value.lower() == b"websocket" for name, value in self.headers
        )


class _Sink:
    """What llhttp calls."""

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: Headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip()))


def parse_head(head: bytes) -> Head:
    """Take apart ``head``, from its request line to the empty line at its end.

    Raises BadRequest: 400, 405 (CONNECT), 414, 417, 431, 501 (method, transfer coding) or 505.
    """
    if head == PREFACE:
        return Head("PRI", b"*", b"", "2", [], is_foreign=True)
    if head.count(b"\n") - 2 > MAX_HEADERS:
        raise BadRequest("too many header lines", status=431)
    method, target, version = _request_line(head)
    headers = _header_lines(head, method)
    framing: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in SPECIAL:
            framing.setdefault(name, []).append(value)
    target = _settle_host(target, version, framing.get(b"host", []), headers)
    path, _, query = target.partition(b"?")
    options = _options(framing.get(b"connection", []))
    return Head(
        method.decode("ascii"),
        path,
        query,
        version,
        headers,
        _length(framing, version),
        b"close" not in options and (version == "1.1" or b"keep-alive" in options),
        b"expect" in framing and _expects(framing[b"expect"], version),
        b"upgrade" in framing and _is_foreign(method, version, framing, options),
    )


def _request_line(head: bytes) -> tuple[bytes, bytes, str]:
    parts = head[: head.find(b"\r\n")].split(b" ")
    if len(parts) != 3:
        raise BadRequest("malformed request line")
    method, target, protocol = parts
    if len(target) > MAX_TARGET_BYTES:
        raise BadRequest("request target is too long", status=414)
    version = VERSIONS.get(protocol)
    if version is None:
        raise _wrong_version(protocol)
    if not method or method.translate(None, TOKEN_BYTES):
        raise BadRequest("malformed request line")
    if method == b"CONNECT":
        raise BadRequest("Method not allowed: CONNECT", status=405, headers=ALLOW)
    if target.translate(None, TARGET_BYTES):
        raise BadRequest("the request target holds a control character or one beyond ASCII")
    if not target.startswith(b"/") and not (target == b"*" and method == b"OPTIONS"):
        _authority(target)
    return method, target, version


def _wrong_version(protocol: bytes) -> BadRequest:
    if len(protocol) == 8 and protocol.startswith(b"HTTP/") and protocol[5:6].isdigit():
        return BadRequest("HTTP version not supported", status=505)
    return BadRequest("malformed request line")


def _header_lines(head: bytes, method: bytes) -> Headers:
    sink = _Sink()
    parser = httptools.HttpRequestParser(sink)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        # Its word for a head that asks for an upgrade; the head itself is good.
        return sink.headers
    except httptools.HttpParserInvalidMethodError:
        raise BadRequest(f"Method not implemented: {method[:32].decode()}", status=501) from None
    except httptools.HttpParserError as error:
        raise BadRequest("malformed request head", cause=str(error)) from error
    return sink.headers


def _settle_host(target: bytes, version: str, hosts: list[bytes], headers: Headers) -> bytes:
    """Check the host; the target in origin form. A target that names a host replaces it: RFC 9112, section 3.2.2."""
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise BadRequest("exactly one host header is wanted")
    if hosts and hosts[0].translate(None, HOST_BYTES):
        raise BadRequest("invalid host header")
    if target.startswith((b"/", b"*")):
        return target
    authority, target = _authority(target)
    headers[:] = [line for line in headers if line[0] != b"host"]
    headers.insert(0, (b"host", authority))
    return target


def _authority(target: bytes) -> tuple[bytes, bytes]:
    """The authority and the origin form of an absolute ``target``. Raises BadRequest for any other form."""
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() not in {b"http", b"https"}:
        raise BadRequest("malformed request target")
    ends = [end for end in (rest.find(b"/"), rest.find(b"?")) if end >= 0]
    end = min(ends, default=len(rest))
    authority, origin = rest[:end], rest[end:]
    if not authority or authority.translate(None, HOST_BYTES):
        raise BadRequest("malformed request target")
    return authority, origin if origin.startswith(b"/") else b"/" + origin


def _length(framing: dict[bytes, list[bytes]], version: str) -> int:
    """How the body is told from what follows: RFC 9112, section 6.3, without its leniencies."""
    lengths = framing.get(b"content-length", [])
    codings = framing.get(b"transfer-encoding", [])
    if codings:
        if lengths or version == "1.0" or len(codings) > 1:
            raise BadRequest("ambiguous length of the request body")
        if codings[0].lower() != b"chunked":
            raise BadRequest("transfer-encoding not implemented", status=501)
        return CHUNKED
    if not lengths:
        return 0
    length = lengths[0]
    if len(lengths) > 1 or not length.isdigit() or len(length) > MAX_LENGTH_DIGITS:
        raise BadRequest("ambiguous length of the request body")
    return int(length)


def _options(lines: list[bytes]) -> frozenset[bytes]:
    if not lines:
        return frozenset()
    return frozenset(option.strip() for line in lines for option in line.lower().split(b","))


def _expects(lines: list[bytes], version: str) -> bool:
    if [line.lower() for line in lines] != [b"100-continue"]:
        raise BadRequest("expectation failed", status=417)
    return version == "1.1"


def _is_foreign(
    method: bytes, version: str, framing: dict[bytes, list[bytes]], options: frozenset[bytes]
) -> bool:
    """Whether an ``upgrade`` is one that is taken up. Others may be ignored: RFC 9110, section 7.8.

    With a body it never is: whoever forwards the request must not disagree with us on where the body ends.
    """
    if (
        version != "1.1"
        or b"upgrade" not in options
        or framing.keys() & {b"content-length", b"transfer-encoding"}
    ):
        return False
    match [line.lower() for line in framing[b"upgrade"]]:
        case [b"websocket"]:
            return method == b"GET"
        case [b"h2c"]:
            return len(framing.get(b"http2-settings", [])) == 1
        case _:
            return False
