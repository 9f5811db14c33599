"""What one client sends: heads and bodies, in any split."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.errors import BadRequest
from bifrost.http.head import MAX_HEAD_BYTES, MAX_TARGET_BYTES, PREFACE
from bifrost.http.incoming import Incoming

GET = b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"


def requests(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Path and body of each request in ``pieces``."""
    incoming = Incoming()
    found: list[tuple[bytes, bytes]] = []
    body: bytes | None = None
    for piece in pieces:
        incoming.feed(piece)
        while True:
            if body is None:
                head = incoming.next_head()
                if head is None:
                    break
                found.append((head.path, b""))
                body = b""
            body += incoming.take()
            if not incoming.ended:
                break
            found[-1] = (found[-1][0], body)
            body = None
    return found


@given(
    order=st.lists(st.sampled_from([GET, POST, CHUNKED, b"\r\n" + GET]), max_size=5),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_any_split_gives_the_same_requests(order: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(order)
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(edges)]
    wanted = {GET: (b"/a", b""), POST: (b"/b", b"hello"), CHUNKED: (b"/c", b"hi")}

    assert requests(pieces) == [wanted[each.lstrip()] for each in order]


def test_byte_by_byte() -> None:
    raw = POST + CHUNKED + GET

    found = requests([raw[at : at + 1] for at in range(len(raw))])

    assert found == [(b"/b", b"hello"), (b"/c", b"hi"), (b"/a", b"")]


def test_a_fault_in_a_body_is_kept_and_nothing_after_it_believed() -> None:
    incoming = Incoming()
    incoming.feed(CHUNKED[: CHUNKED.index(b"2\r\n")] + b"zz\r\n")
    assert incoming.next_head() is not None

    incoming.feed(b"0\r\n\r\n" + GET)

    assert incoming.fault is not None
    assert not incoming.ended
    assert not incoming.has_body


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"G" * (MAX_TARGET_BYTES + 100), 414),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\nhost: h\n\n", 400),
        (b"\r\n" * 9 + GET, 400),
        (b"\n" + GET, 400),
    ],
)
def test_what_can_become_no_head_is_refused_at_once(raw: bytes, status: int) -> None:
    incoming = Incoming()
    incoming.feed(raw)

    with pytest.raises(BadRequest) as caught:
        incoming.next_head()

    assert caught.value.status == status


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nhost: h"])
def test_a_bare_line_feed_is_seen_in_a_later_piece(first: bytes) -> None:
    incoming = Incoming()
    incoming.feed(first)
    assert incoming.next_head() is None

    incoming.feed(b"\nx: y\n")

    with pytest.raises(BadRequest):
        incoming.next_head()


def test_all_of_a_foreign_request_is_there_to_be_read_anew() -> None:
    raw = PREFACE + b"SM\r\n\r\n"
    incoming = Incoming()
    incoming.feed(raw)

    head = incoming.next_head()

    assert head is not None
    assert head.is_foreign
    assert incoming.replay == raw


def test_the_preface_is_not_taken_behind_a_request() -> None:
    incoming = Incoming()
    incoming.feed(GET + PREFACE)
    assert incoming.next_head() is not None

    with pytest.raises(BadRequest) as caught:
        incoming.next_head()

    assert caught.value.status == 505


@given(
    noise=st.lists(
        st.one_of(
            st.sampled_from([GET, POST, CHUNKED, CHUNKED[:60], b"\r\n", b"\n", b"2\r\nhi\r\n"]),
            st.binary(max_size=20),
        ),
        max_size=6,
    ),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_any_split_of_anything_gives_the_same_requests_before_it_is_refused(
    noise: list[bytes], cuts: list[int]
) -> None:
    """What is refused may be refused sooner or later, but no request is seen in one split and not in the other."""
    raw = b"".join(noise)
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]

    whole, split = until_refused([raw]), until_refused([raw[a:b] for a, b in pairwise(edges)])

    assert whole[: len(split)] == split[: len(whole)]


def until_refused(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Path and body of each request that came whole before anything was refused."""
    incoming = Incoming()
    found: list[tuple[bytes, bytes]] = []
    path: bytes | None = None
    body = b""
    try:
        for piece in pieces:
            incoming.feed(piece)
            while True:
                if path is None:
                    head = incoming.next_head()
                    if head is None:
                        break
                    path = head.path
                body += incoming.take()
                if not incoming.ended:
                    break
                found.append((path, body))
                path, body = None, b""
    except BadRequest as refusal:
        assert 400 <= refusal.status < 600  # noqa: PT017  either way is good
    return found


def test_a_foreign_request_behind_another_is_replayed_alone() -> None:
    upgrade = b"GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nxx"
    incoming = Incoming()
    incoming.feed(POST + upgrade)
    assert incoming.next_head() is not None
    assert incoming.take() == b"hello"

    head = incoming.next_head()

    assert head is not None
    assert head.is_foreign
    assert incoming.replay == upgrade
