"""A path as it came on the wire, made fit to be sent on below an upstream's base path.

Servers and proxies on the way may normalise a path, or decode it once more than they should. So what means something
else to one of them than to us is refused, and what is left has one spelling.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from bifrost.errors import BadRequest

__all__ = ["MAX_PATH", "safe_path"]

MAX_PATH: Final = 2048
"""Bytes."""

_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")

_PLAIN = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@/-]+")
"""What RFC 3986, section 3.3, lets stand in a path as it is, but for ``;``, which some servers cut segments at."""

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")

_TELLING = {
    "/": "an encoded slash",
    "\\": "a backslash",
    "%": "an encoded percent sign",
    "?": "an encoded question mark",
    "#": "a fragment",
    ";": "a semicolon",
}
"""Characters that may begin something else, for whoever decodes the path."""


def safe_path(raw_path: bytes) -> str:
    """``raw_path`` in its one spelling: ASCII, percent-encoded only where it must be, without a slash at its end.

    Wherever it is appended to a base path, and however often it is decoded, it stays below the base. ``raw_path`` comes
    without its query. Raises BadRequest for everything that could climb, be read in two ways, or name another host;
    414 if it is longer than ``MAX_PATH`` bytes.
    """
    if len(raw_path) > MAX_PATH:
        raise BadRequest(f"the path must have at most {MAX_PATH} bytes", status=414)
    if raw_path[:1] != b"/":
        _refuse("must begin with a slash")
    if b"?" in raw_path:
        _refuse("must come without its query")
    if not raw_path.isascii():
        _refuse("must be percent-encoded ASCII")
    path = _one_spelling(raw_path.decode("ascii"))
    _check_segments(path)
    return path.removesuffix("/") or "/"


def _one_spelling(path: str) -> str:
    """Each character decoded, judged, and encoded again if it must be."""
    if _PLAIN.fullmatch(path):
        return path
    plain, *encoded = path.split("%")
    spelt = [*map(_spelt, plain)]
    for part in encoded:
        found = _ENCODED.match(f"%{part}")
        if found is None:
            _refuse("has a percent sign without two hexadecimal digits")
        spelt += [_spelt(chr(int(found[1], 16)), was_encoded=True), *map(_spelt, part[2:])]
    return "".join(spelt)


def _spelt(char: str, *, was_encoded: bool = False) -> str:
    if char in _TELLING and (was_encoded or char != "/"):
        _refuse(f"must not hold {_TELLING[char]}")
    if not (char.isascii() and char.isprintable()):
        _refuse("must not hold control characters, nor any beyond ASCII")
    if _UNRESERVED.fullmatch(char) or (not was_encoded and _PLAIN.fullmatch(char)):
        return char
    return f"%{ord(char):02X}"


def _check_segments(path: str) -> None:
    if "//" in path:
        _refuse("must not hold an empty segment")
    for segment in path.split("/"):
        # Blanks and further dots are trimmed by some file systems.
        if segment and not segment.replace("%20", "").strip("."):
            _refuse("must not hold a segment of dots")


def _refuse(what: str) -> NoReturn:
    raise BadRequest(f"the path {what}")
