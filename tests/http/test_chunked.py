"""The chunked coding: what is taken, what is refused, and that no split of the bytes matters."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.errors import BadRequest
from bifrost.http.chunked import MAX_SLACK_BYTES, ChunkedBody


def fed(*pieces: bytes) -> tuple[bytes, bytes, bool]:
    """The body, what followed it, and whether it ended."""
    body = ChunkedBody()
    parts: list[bytes] = []
    rest = b""
    for piece in pieces:
        rest = rest + piece if body.ended else body.feed(piece, parts)
    return b"".join(parts), rest, body.ended


def coded(chunks: list[bytes], trailers: bytes = b"") -> bytes:
    framed = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk)
    return framed + b"0\r\n" + trailers + b"\r\n"


def test_extensions_and_trailers_are_read_over() -> None:
    raw = b"3;a=b\r\nabc\r\n000;x\r\nx-sum: 1\r\n\r\nGET"

    assert fed(raw) == (b"abc", b"GET", True)


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"x\r\n",
        b"0x3\r\nabc\r\n",
        b"-3\r\nabc",
        b"+3\r\nabc",
        b" 3\r\nabc",
        b"3 \r\nabc",
        b"3\nabc\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabcX",
        b"3\r\nabc\n\r\n",
        b"3;a\0\r\nabc\r\n",
        b"3;a\nb\r\nabc\r\n",
        b"00000000000000003\r\nabc\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\nx: a\nb: c\r\n\r\n",
    ],
)
def test_what_is_not_the_coding_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        fed(raw)
    with pytest.raises(BadRequest):
        fed(*(raw[at : at + 1] for at in range(len(raw))))


def test_what_is_beside_the_chunks_has_a_bound() -> None:
    with pytest.raises(BadRequest):
        fed(b"0\r\n" + b"x: y\r\n" * MAX_SLACK_BYTES)
    with pytest.raises(BadRequest):
        fed(b"1;" + b"x" * 2 * MAX_SLACK_BYTES)


def test_a_body_that_has_not_ended() -> None:
    assert fed(b"5\r\nab") == (b"ab", b"", False)


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    after=st.binary(max_size=10),
    cuts=st.lists(st.integers(0, 300), max_size=6),
)
def test_any_split_gives_the_same_body(chunks: list[bytes], after: bytes, cuts: list[int]) -> None:
    raw = coded(chunks, b"x-t: v\r\n") + after
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(edges)]

    assert fed(*pieces) == (b"".join(chunks), after, True)


@given(st.binary(max_size=60))
def test_noise_is_taken_or_refused_and_nothing_else(noise: bytes) -> None:
    try:
        body, _, _ = fed(noise)
    except BadRequest:
        return
    assert len(body) <= len(noise)
