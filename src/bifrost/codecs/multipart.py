"""Forms as ``multipart/form-data``, both ways: push style in, a payload out.

The grammar is RFC 2046, section 5.1, as RFC 7578 narrows it; names are escaped as browsers escape them (WHATWG HTML,
section 4.10.22.8): ``%22``, ``%0D`` and ``%0A`` stand for a quote and a line's end, and nothing else is escaped.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

import attrs
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from bifrost.schema.payload import BytesPayload, Field, File, Form, Payload

__all__ = [
    "MAX_PARTS",
    "FormDecoder",
    "FormEvent",
    "InvalidForm",
    "PartEnd",
    "PartHead",
    "boundary_of",
    "encode_form",
    "encode_related",
    "form_content_type",
    "joined",
    "related_content_type",
]

MAX_PARTS = 1000
MAX_HEADER_BYTES = 8 * 1024
"""Of one line in a part's head; a file name has its place there, in percent-encoding."""

MAX_HEADERS = 16
MAX_BOUNDARY_BYTES = 70

BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
"""RFC 2046, section 5.1.1."""

TOKEN = re.compile(rb"[0-9A-Za-z'+_\-.]+")
"""Those of them that a header takes without quotes."""

HARMLESS_ENCODINGS = frozenset({"7bit", "8bit", "binary"})


class InvalidForm(ValueError):
    """The body is no ``multipart/form-data``, or more than may be."""


@attrs.frozen
class PartHead:
    """A part begins. ``filename`` and ``content_type`` are ``None`` where it tells none."""

    name: str
    filename: bytes | None
    content_type: bytes | None

    @property
    def is_file(self) -> bool:
        """Whether it is to be kept as a ``File``: it has a file's name, or its type says that it is no text."""
        return self.filename is not None or not _is_text(self.content_type)


@attrs.frozen
class PartEnd:
    """The part has ended."""


FormEvent: TypeAlias = PartHead | bytes | PartEnd
"""Each part is its head, its bytes in pieces, and its end."""

PART_END = PartEnd()


class FormDecoder:
    """One body being read. Any split of the same bytes gives the same parts.

    The body begins with its first boundary, after one empty line at most: what the grammar allows before it, no client
    sends. What follows the last boundary is passed over.
    """

    def __init__(self, boundary: bytes) -> None:
        """``boundary`` is as ``boundary_of`` gives it."""
        self._opening = b"--" + boundary
        self._held: bytes | None = b""
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=MAX_HEADER_BYTES,
            max_header_count=MAX_HEADERS,
            max_segment_count=MAX_PARTS,
            # Every byte is kept as a letter, for the charset of names is ours to tell.
            header_charset="latin-1",
        )

    def feed(self, data: bytes) -> Iterator[FormEvent]:
        """What has come to light by ``data``; to be read to its end before the next. Raises InvalidForm."""
        if self._held is not None:
            data = self._begin(self._held + data)
        if not data:
            return
        try:
            for event in self._parser.parse(data):
                yield _event(event)
        except MultipartError as error:
            raise InvalidForm(str(error)) from error

    def close(self) -> None:
        """The body has ended. Raises InvalidForm if its last boundary is missing."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise InvalidForm("the last boundary is missing") from error

    def _begin(self, held: bytes) -> bytes:
        """Hold back until the first boundary is there, and nothing but it."""
        text = held.removeprefix(b"\r\n")
        size = len(self._opening)
        if text[:size] != self._opening[: len(text)] and held != b"\r":
            raise InvalidForm("the body does not begin with its boundary")
        is_there = len(text) >= size
        self._held = None if is_there else held
        return text if is_there else b""


def _event(event: MultipartSegment | bytes | None) -> FormEvent:
    if isinstance(event, MultipartSegment):
        return _head(event)
    return PART_END if event is None else event


def _head(segment: MultipartSegment) -> PartHead:
    headers = [(name.lower(), value.strip(" \t")) for name, value in segment.headerlist]
    if any("\n" in value or "\r" in value for _, value in headers):
        raise InvalidForm("a part's header holds a line break")
    if len({name for name, _ in headers}) != len(headers):
        raise InvalidForm("a part has a header twice")
    told = dict(headers)
    encoding = told.get("content-transfer-encoding", "binary").lower()
    if encoding not in HARMLESS_ENCODINGS:
        raise InvalidForm("a part has a content-transfer-encoding")
    params = _params_of(told["content-disposition"].partition(";"))
    return PartHead(
        name=_name(params.get("name")),
        filename=_filename(params),
        content_type=told.get("content-type", "").encode("latin-1") or None,
    )


def _name(raw: bytes | None) -> str:
    if raw is None:
        raise InvalidForm("a part has no name")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidForm("a part's name is not UTF-8") from error


def _filename(params: dict[str, bytes]) -> bytes | None:
    """``filename*`` is not for forms (RFC 7578, section 4.2), yet some clients write it for what is not ASCII."""
    extended = params.get("filename*")
    if extended is None:
        return params.get("filename")
    charset, quote, value = extended.partition(b"'")
    _, second, value = value.partition(b"'")
    if not quote or not second:
        raise InvalidForm("a part's filename* has no charset")
    name = unquote_to_bytes(value)
    return name.decode("latin-1").encode() if charset.lower() == b"iso-8859-1" else name


# Browsers write a backslash as it is, others escape quotes by it. What can be read the first way, is.
PLAIN_PARAM = re.compile(r';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*("[^"]*"|[^;"\\]*)')
ESCAPED_PARAM = re.compile(r';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;"\\]*)')
BACKSLASHED = re.compile(r'\\(["\\])')
PERCENTED = re.compile("%(22|0D|0A)")


def _params_of(split: tuple[str, str, str]) -> dict[str, bytes]:
    """The parameters of a header's value that was split at its first semicolon; names in lower case."""
    _, semicolon, rest = split
    text = (semicolon + rest).rstrip("; \t")
    plain = _params(PLAIN_PARAM, text)
    if plain is not None:
        return {name: _unpercented(value).encode("latin-1") for name, value in plain.items()}
    escaped = _params(ESCAPED_PARAM, text)
    if escaped is None:
        raise InvalidForm("a header's parameters cannot be read")
    return {
        name: BACKSLASHED.sub(r"\1", value).encode("latin-1") for name, value in escaped.items()
    }


def _params(grammar: re.Pattern[str], text: str) -> dict[str, str] | None:
    params: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = grammar.match(text, at)
        if found is None or found[1].lower() in params:
            return None
        value = found[2].rstrip(" \t")
        params[found[1].lower()] = value[1:-1] if value.startswith('"') else value
        at = found.end()
        while text.startswith((" ", "\t"), at):
            at += 1
    return params


def _unpercented(value: str) -> str:
    return PERCENTED.sub(lambda found: chr(int(found[1], 16)), value)


def boundary_of(content_type: bytes) -> bytes:
    """The boundary that a ``content-type`` names. Raises InvalidForm if it is no form's, or none is named."""
    split = content_type.decode("latin-1").partition(";")
    if split[0].strip().lower() != "multipart/form-data":
        raise InvalidForm("content-type is not multipart/form-data")
    boundary = _params_of(split).get("boundary", b"")
    if not BOUNDARY.fullmatch(boundary):
        raise InvalidForm("content-type names no boundary that can be used")
    return boundary


def form_content_type(boundary: bytes) -> bytes:
    """The ``content-type`` that goes with ``encode_form``."""
    return b"multipart/form-data; boundary=" + _quoted(boundary)


def related_content_type(boundary: bytes) -> bytes:
    """The ``content-type`` that goes with ``encode_related``."""
    return b"multipart/related; boundary=" + _quoted(boundary)


def _quoted(boundary: bytes) -> bytes:
    return boundary if TOKEN.fullmatch(boundary) else b'"%b"' % boundary


def encode_form(form: Form, boundary: bytes) -> Payload:
    """``form`` as a payload of known size. Files are read when it is, block by block.

    ``boundary`` is one that the form's authors cannot know: whoever does can write it into a file, and
    parts of his own behind it. ``decode(encode(form)) == form``, but that a name in which ``%22``, ``%0D`` or ``%0A``
    stands literally is read as a browser's escape. Raises InvalidForm for a content type with a line break in it,
    ValueError for a boundary that is none.
    """
    if not BOUNDARY.fullmatch(boundary):
        raise ValueError("not a boundary")
    pieces: list[Payload] = []
    text = bytearray()
    for part in form:
        text += _part_head(part, boundary)
        if isinstance(part, Field):
            text += part.value
        else:
            pieces += (BytesPayload(bytes(text)), part.content)
            text.clear()
        text += b"\r\n"
    text += b"--" + boundary + b"--\r\n"
    return joined((*pieces, BytesPayload(bytes(text))))


def encode_related(parts: Iterable[tuple[bytes, Payload]], boundary: bytes) -> Payload:
    """``parts``, each a content type and what is of it, as ``multipart/related`` (RFC 2387): parts without names.

    ``boundary`` and errors are as those of ``encode_form``.
    """
    if not BOUNDARY.fullmatch(boundary):
        raise ValueError("not a boundary")
    pieces: list[Payload] = []
    for kind, content in parts:
        if b"\r" in kind or b"\n" in kind:
            raise InvalidForm("a part's content type holds a line break")
        head = b"--%b\r\nContent-Type: %b\r\n\r\n" % (boundary, kind)
        pieces += (BytesPayload(head), content, BytesPayload(b"\r\n"))
    return joined((*pieces, BytesPayload(b"--" + boundary + b"--\r\n")))


def _part_head(part: Field | File, boundary: bytes) -> bytes:
    lines = [
        b"--" + boundary,
        b'Content-Disposition: form-data; name="' + _escaped(part.name.encode()) + b'"',
    ]
    if isinstance(part, File) and part.filename is not None:
        lines[1] += b'; filename="' + _escaped(part.filename) + b'"'
    if part.content_type is not None:
        if b"\r" in part.content_type or b"\n" in part.content_type:
            raise InvalidForm("a part's content type holds a line break")
        lines.append(b"Content-Type: " + part.content_type)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _escaped(name: bytes) -> bytes:
    return name.replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")


def _is_text(content_type: bytes | None) -> bool:
    if content_type is None:
        return True
    kind = content_type.partition(b";")[0].strip().lower()
    return kind.startswith(b"text/") or kind == b"application/json" or kind.endswith(b"+json")


def joined(pieces: Iterable[Payload]) -> Payload:
    """Payloads one behind another."""
    return _Joined(tuple(pieces))


@attrs.frozen
class _Joined:
    """Payloads one behind another. Implements ``Payload``."""

    pieces: tuple[Payload, ...]

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    def blocks(self) -> AsyncIterator[bytes]:
        return _JoinedBlocks(self.pieces)


class _JoinedBlocks(AsyncIterator[bytes]):
    def __init__(self, pieces: Iterable[Payload]) -> None:
        self._pieces = iter(pieces)
        self._blocks: AsyncIterator[bytes] | None = None

    async def __anext__(self) -> bytes:
        while True:
            if self._blocks is None:
                piece = next(self._pieces, None)
                if piece is None:
                    raise StopAsyncIteration
                self._blocks = piece.blocks()
            block = await anext(self._blocks, b"")
            if block:
                return block
            self._blocks = None
