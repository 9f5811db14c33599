from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bench.streams import Counter
from bench.upstream import EVENTS, stream_text
from bench.wire import Answer, post

STREAM = b'data: {"content":"@1000000;"}\n\ndata: {"content":"@3000000;"}\n\ndata: [DONE]\n\n'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(STREAM)
    + STREAM
    + b"\r\n0\r\n\r\n"
)
SIZED = b"HTTP/1.1 429 Too Many\r\nContent-Length: 2\r\n\r\nno"


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(st.integers(min_value=0)))
def test_any_split_of_a_stream_gives_the_same_counts(cuts: list[int]) -> None:
    counter = Counter()

    for piece in _pieces(STREAM, cuts):
        counter.feed(piece, 5_000_000)

    assert (counter.chunks, counter.is_done, counter.delays_ms) == (3, True, [4.0, 2.0])


@given(st.lists(st.integers(min_value=0)))
def test_any_split_of_a_chunked_answer_ends_it_at_its_last_byte(cuts: list[int]) -> None:
    answer = Answer()
    seen = []

    for piece in _pieces(CHUNKED, cuts):
        answer.feed(piece)
        seen.append(answer.is_complete)

    assert answer.status == 200
    # A cut at the very start or end gives an empty piece, so "complete" may come twice, but never before all is there.
    complete_from = seen.index(True)
    assert b"".join(_pieces(CHUNKED, cuts)[: complete_from + 1]) == CHUNKED


@given(st.lists(st.integers(min_value=0)))
def test_any_split_of_an_answer_with_a_length(cuts: list[int]) -> None:
    answer = Answer()

    body = b"".join([answer.feed(piece) for piece in _pieces(SIZED, cuts)])

    assert (answer.status, answer.is_complete, body) == (429, True, b"no")


def test_answer_of_neither_kind_lasts_until_the_connection_closes() -> None:
    answer = Answer()

    answer.feed(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome")

    assert answer.until_close
    assert not answer.is_complete


def test_stream_of_the_mock_has_its_number_of_events() -> None:
    counter = Counter()

    counter.feed(stream_text().encode(), 0)

    assert counter.chunks == EVENTS
    assert counter.is_done


def test_request_names_its_length() -> None:
    request = post(8080, "/v1/x", {"X-One": "1"}, b"{}")

    assert request.startswith(b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n")
    assert b"\r\nContent-Length: 2\r\nX-One: 1\r\n\r\n{}" in request
