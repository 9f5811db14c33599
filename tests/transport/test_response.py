from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.transport.response import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_INTERIM,
    MAX_SLACK_BYTES,
    ResponseReader,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

Seen = tuple[int, bytes, bool, str | None, bool]


def read(chunks: list[bytes], *, to_head: bool = False, eof: bool = True) -> Seen:
    """Status, body, whether it ended, what was wrong, whether the connection can be kept."""
    reader = ResponseReader(to_head=to_head)
    body = b""
    for chunk in chunks:
        reader.feed(chunk)
        body += reader.take()
    reusable = reader.is_reusable
    if eof:
        reader.feed_eof()
    return reader.status, body, reader.ended, reader.fault, reusable


GOOD: dict[str, tuple[bytes, Seen]] = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", (200, b"hello", True, None, True)),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", (200, b"", True, None, True)),
    "space after length": (OK + b"content-length:  2 \r\n\r\nab", (200, b"ab", True, None, True)),
    "no reason": (b"HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx", (404, b"x", True, None, True)),
    "status beyond the classes": (
        b"HTTP/1.1 999 Request denied\r\nContent-Length: 0\r\n\r\n",
        (999, b"", True, None, True),
    ),
    "chunked": (
        CHUNKED + b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n",
        (200, b"abcde", True, None, True),
    ),
    "chunked in capitals": (
        OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        (200, b"a", True, None, True),
    ),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n", (200, b"a", True, None, True)),
    "line ends in chunks": (
        CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n",
        (200, b"\r\n\r\n", True, None, True),
    ),
    "offers HTTP/2": (
        OK
        + b"Upgrade: h2c\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        (200, b"a", True, None, True),
    ),
    "close": (
        OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na",
        (200, b"a", True, None, False),
    ),
    "close among others": (
        OK + b"Connection: keep-alive, Close\r\nContent-Length: 1\r\n\r\na",
        (200, b"a", True, None, False),
    ),
    "up to the end": (OK + b"Connection: close\r\n\r\nabc", (200, b"abc", True, None, False)),
    "1.0 up to the end": (b"HTTP/1.0 200 OK\r\n\r\nabc", (200, b"abc", True, None, False)),
    "1.0 is not kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
        (200, b"a", True, None, False),
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", True, None, True)),
    "304 with a length": (
        b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n",
        (304, b"", True, None, True),
    ),
    "redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        (302, b"", True, None, True),
    ),
    "100 first": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
        (200, b"a", True, None, True),
    ),
    "103 with a length": (
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\nLink: </x>\r\n\r\n"
        + OK
        + b"Content-Length: 1\r\n\r\na",
        (200, b"a", True, None, True),
    ),
    "bytes after a length": (OK + b"Content-Length: 2\r\n\r\nabX", (200, b"ab", True, None, False)),
    "empty line after a length": (
        OK + b"Content-Length: 2\r\n\r\nab\r\n",
        (200, b"ab", True, None, False),
    ),
    "another response after a length": (
        OK + b"Content-Length: 2\r\n\r\nab" + OK + b"Content-Length: 0\r\n\r\n",
        (200, b"ab", True, None, False),
    ),
    "bytes after no content": (b"HTTP/1.1 204 -\r\n\r\nX", (204, b"", True, None, False)),
    "bytes after chunks": (CHUNKED + b"1\r\na\r\n0\r\n\r\nX", (200, b"a", True, None, False)),
    "empty line after chunks": (
        CHUNKED + b"1\r\na\r\n0\r\n\r\n\r\n",
        (200, b"a", True, None, False),
    ),
    "half a line end after chunks": (
        CHUNKED + b"1\r\na\r\n0\r\n\r\n\r",
        (200, b"a", True, None, False),
    ),
    "another response after chunks": (
        CHUNKED + b"1\r\na\r\n0\r\n\r\n" + CHUNKED + b"1\r\nb\r\n0\r\n\r\n",
        (200, b"a", True, None, False),
    ),
    "an empty response after chunks": (
        CHUNKED + b"1\r\na\r\n0\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
        (200, b"a", True, None, False),
    ),
    "bytes after chunks and close": (
        OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nX",
        (200, b"a", True, None, False),
    ),
}

LINES: dict[str, bytes] = {
    "length twice, differing": b"Content-Length: 2\r\nContent-Length: 3\r\n",
    "length twice": b"Content-Length: 2\r\nContent-Length: 2\r\n",
    "list of lengths": b"Content-Length: 2, 2\r\n",
    "length and chunked": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
    "length with a sign": b"Content-Length: +2\r\n",
    "negative length": b"Content-Length: -2\r\n",
    "empty length": b"Content-Length:\r\n",
    "hexadecimal length": b"Content-Length: 0x2\r\n",
    "endless length": b"Content-Length: 99999999999999999999999\r\n",
    "folded line": b"X: a\r\n b\r\nContent-Length: 2\r\n",
    "space before the colon": b"Content-Length : 2\r\n",
    "space before the first name": b" X: a\r\nContent-Length: 2\r\n",
    "no colon": b"X\r\nContent-Length: 2\r\n",
    "empty name": b": a\r\nContent-Length: 2\r\n",
    "line feed alone": b"X: a\nContent-Length: 2\r\n",
    "carriage return alone": b"X: a\rb\r\nContent-Length: 2\r\n",
    "NUL": b"X: a\0b\r\nContent-Length: 2\r\n",
    "gzip as transfer coding": b"Transfer-Encoding: gzip, chunked\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, gzip\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "nearly chunked": b"Transfer-Encoding: xchunked\r\n",
    "identity": b"Transfer-Encoding: identity\r\n",
    "no length and kept": b"X: a\r\n",
}

HEADS: dict[str, bytes] = {name: OK + lines + b"\r\n" for name, lines in LINES.items()} | {
    "status below 100": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status and reason in one": b"HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n",
    "two spaces": b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Yes\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "lower case": b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "RTSP": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "mail": b"220 smtp.example.com ready\r\n",
    "markup": b"<html><body>Hello</body></html>",
    "empty line first": b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "1.0 and chunked": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "cut in the head": OK + b"Content-Len",
    "nothing": b"",
}

BODIES: dict[str, bytes] = {
    "length cut": OK + b"Content-Length: 3\r\n\r\nab",
    "chunk cut": CHUNKED + b"3\r\nab",
    "no last chunk": CHUNKED + b"2\r\nab\r\n",
    "no last line": CHUNKED + b"2\r\nab\r\n0\r\n",
    "chunk longer than said": CHUNKED + b"2\r\nabXX0\r\n\r\n",
    "chunk size of letters": CHUNKED + b"2\r\nab\r\nzz\r\n",
    "chunk size with 0x": CHUNKED + b"2\r\nab\r\n0x2\r\n",
    "chunk size below zero": CHUNKED + b"2\r\nab\r\n-2\r\n",
    "chunk size with a space": CHUNKED + b"2\r\nab\r\n2 \r\n",
    "endless chunk size": CHUNKED + b"2\r\nab\r\nFFFFFFFFFFFFFFFFF\r\n",
    "chunk with line feed alone": CHUNKED + b"2\r\nab\r\n2\nab",
    "length as trailer": CHUNKED + b"2\r\nab\r\n0\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize(("wire", "seen"), GOOD.values(), ids=GOOD)
def test_any_two_cuts_give_the_same_answer(wire: bytes, seen: Seen) -> None:
    assert read([wire]) == seen
    assert read([wire[i : i + 1] for i in range(len(wire))]) == seen
    for cut in range(1, len(wire)):
        for other in range(cut, min(cut + 7, len(wire))):
            chunks = [wire[:cut], wire[cut:other], wire[other:]]
            assert read([chunk for chunk in chunks if chunk]) == seen


@pytest.mark.parametrize("wire", HEADS.values(), ids=HEADS)
def test_bad_head_is_a_fault_however_it_is_cut(wire: bytes) -> None:
    for step in (1, 2, 3, 5, len(wire) or 1):
        status, body, ended, fault, reusable = read(
            [wire[i : i + step] for i in range(0, len(wire), step)]
        )

        assert (status, body, ended, reusable) == (0, b"", False, False)
        assert fault


@pytest.mark.parametrize("wire", BODIES.values(), ids=BODIES)
def test_bad_body_is_a_fault_after_what_was_good_of_it(wire: bytes) -> None:
    for step in (1, 2, 3, 5, len(wire)):
        status, body, ended, fault, reusable = read(
            [wire[i : i + step] for i in range(0, len(wire), step)]
        )

        assert (status, body, ended, reusable) == (200, b"ab", False, False)
        assert fault


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=60), max_size=8),
    cuts=st.lists(st.integers(0, 2000), max_size=8),
)
def test_chunks_and_cuts_have_nothing_to_do_with_each_other(
    pieces: list[bytes], cuts: list[int]
) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    wire = CHUNKED + chunks + b"0\r\n\r\n"
    edges = sorted({0, len(wire), *(cut % len(wire) for cut in cuts)})

    seen = read([wire[a:b] for a, b in itertools.pairwise(edges)])

    assert seen == (200, b"".join(pieces), True, None, True)


def test_header_names_are_lower_case_and_values_bare() -> None:
    reader = ResponseReader()
    reader.feed(
        OK + b"X-Id:  a b \t\r\nSET-cookie: 1\r\nSet-Cookie: 2\r\nX:\r\nContent-Length: 0\r\n\r\n"
    )

    assert reader.headers == (
        (b"x-id", b"a b"),
        (b"set-cookie", b"1"),
        (b"set-cookie", b"2"),
        (b"x", b""),
        (b"content-length", b"0"),
    )


def test_trailers_are_not_headers() -> None:
    reader = ResponseReader()
    reader.feed(CHUNKED + b"0\r\nX-Late: 1\r\n\r\n")

    assert reader.headers == ((b"transfer-encoding", b"chunked"),)


@pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked", b"X: y"])
def test_answer_to_head_has_no_body(framing: bytes) -> None:
    assert read([OK + framing + b"\r\n\r\n"], to_head=True) == (200, b"", True, None, True)


def test_what_follows_an_answer_to_head_spoils_the_connection() -> None:
    wire = OK + b"Content-Length: 1\r\n\r\na"

    assert read([wire], to_head=True) == (200, b"", True, None, False)


def test_nothing_is_said_of_an_open_connection() -> None:
    assert read([CHUNKED + b"2\r\na"], eof=False) == (200, b"a", False, None, False)


def test_what_comes_after_a_fault_is_ignored() -> None:
    reader = ResponseReader()
    reader.feed(b"nonsense")
    fault = reader.fault
    reader.feed(OK + b"Content-Length: 0\r\n\r\n")

    assert (reader.status, reader.fault) == (0, fault)


@pytest.mark.parametrize(("extra", "is_good"), [(0, True), (1, False)])
@pytest.mark.parametrize("step", [1000, 10**6])
def test_head_has_a_greatest_size(extra: int, is_good: bool, step: int) -> None:
    begin, end = OK + b"X: ", b"\r\nContent-Length: 0\r\n\r\n"
    wire = begin + b"a" * (MAX_HEAD_BYTES - len(begin) - len(end) + extra) + end

    fault = read([wire[i : i + step] for i in range(0, len(wire), step)])[3]

    assert (fault is None) == is_good


def test_head_without_end_is_given_up() -> None:
    reader = ResponseReader()
    while reader.fault is None:
        reader.feed(OK if not reader.started else b"X: aaaaaaaaaaaa\r\n" * 100)

    assert reader.fault == "response head is too large"


@pytest.mark.parametrize(("lines", "is_good"), [(MAX_HEADERS, True), (MAX_HEADERS + 1, False)])
def test_head_has_a_greatest_number_of_lines(lines: int, is_good: bool) -> None:
    wire = OK + b"X: a\r\n" * (lines - 1) + b"Content-Length: 0\r\n\r\n"

    assert (read([wire])[3] is None) == is_good


@pytest.mark.parametrize(("number", "is_good"), [(MAX_INTERIM, True), (MAX_INTERIM + 1, False)])
def test_interim_responses_are_counted(number: int, is_good: bool) -> None:
    wire = b"HTTP/1.1 102 Wait\r\n\r\n" * number + OK + b"Content-Length: 0\r\n\r\n"

    assert (read([wire])[3] is None) == is_good


FLOODS: dict[str, tuple[bytes, bytes, bytes]] = {
    "one chunk's extension": (CHUNKED + b"1;", b"x" * 100, b""),
    "extensions of many chunks": (CHUNKED, b"1;" + b"x" * 100 + b"\r\na\r\n", b""),
    "trailers": (CHUNKED + b"0\r\n", b"X: abcdefghij\r\n", b""),
}


@pytest.mark.parametrize(("begin", "again", "end"), FLOODS.values(), ids=FLOODS)
def test_flood_beside_the_chunks_is_given_up(begin: bytes, again: bytes, end: bytes) -> None:
    reader = ResponseReader()
    reader.feed(begin)
    fed = 0
    while reader.fault is None:
        reader.feed(again)
        reader.take()
        fed += len(again)

    assert reader.fault == "too much beside the chunks of the body"
    assert fed < 2 * MAX_SLACK_BYTES


def test_smallest_chunks_are_no_flood() -> None:
    wire = CHUNKED + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n"

    assert read([wire[i : i + 4096] for i in range(0, len(wire), 4096)])[1:4] == (
        b"a" * 50_000,
        True,
        None,
    )


def test_body_held_is_what_take_gives() -> None:
    reader = ResponseReader()
    reader.feed(CHUNKED + b"2\r\nab\r\n3\r\ncde\r\n")

    assert reader.body_held == 5
    assert reader.take() == b"abcde"
    assert reader.body_held == 0
    assert reader.take() == b""
