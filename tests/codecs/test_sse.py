from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.sse import (
    COMMENT_PING,
    DONE,
    EventTooLarge,
    SSEDecoder,
    SSEEvent,
    data_frame,
    event_frame,
    unframed,
)


def decode(*pieces: bytes, max_event_bytes: int = 10_000) -> list[SSEEvent]:
    decoder = SSEDecoder(max_event_bytes)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [SSEEvent(None, b"a"), SSEEvent(None, b"b")]),
        (b"data:a\n\n", [SSEEvent(None, b"a")]),
        (b"data:  a\n\n", [SSEEvent(None, b" a")]),
        (b"data: a\r\n\r\ndata: b\r\r", [SSEEvent(None, b"a"), SSEEvent(None, b"b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [SSEEvent(None, b"a")]),
        (b"data: a\ndata: b\n\n", [SSEEvent(None, b"a\nb")]),
        (b"event: x\nid: 7\nretry: 9\ndata: a\n\n", [SSEEvent("x", b"a")]),
        (b"event: x\n\ndata: a\n\n", [SSEEvent(None, b"a")]),
        (b": comment\n\n:\n\ndata: a\n: b\n\n", [SSEEvent(None, b"a")]),
        (b"data\n\n", [SSEEvent(None, b"")]),
        (b"data: a", [SSEEvent(None, b"a")]),
        (b"data: a\n", [SSEEvent(None, b"a")]),
        (b"\n\n\ndata: a\n\n\n\n\n", [SSEEvent(None, b"a")]),
        (b"unknown: x\nid\nretry\n\n", []),
        (b'{"error": 1}\n', [SSEEvent(None, b'{"error": 1}', is_raw=True)]),
        (b'{\n  "a": 1\n}', [SSEEvent(None, b'{\n  "a": 1\n}', is_raw=True)]),
        (b"Bad Gateway\n\n", [SSEEvent(None, b"Bad Gateway", is_raw=True)]),
        (b"data: a\nnonsense\n\n", [SSEEvent(None, b"a\nnonsense", is_raw=True)]),
        (b"", []),
        (COMMENT_PING + DONE, [SSEEvent(None, b"[DONE]")]),
    ],
    ids=repr,
)
def test_stream_is_read_the_same_however_it_is_cut(stream: bytes, events: list[SSEEvent]) -> None:
    assert decode(stream) == events
    assert decode(*[stream[i : i + 1] for i in range(len(stream))]) == events
    for at in range(len(stream) + 1):
        assert decode(stream[:at], b"", stream[at:]) == events


ODD_BYTES = st.lists(
    st.sampled_from([b"data: ", b"data:", b"\n", b"\r", b"\r\n", b":", b"event: e", b"x", b"\xff"]),
    max_size=25,
).map(b"".join)


@given(ODD_BYTES | st.binary(max_size=80), st.data())
def test_any_bytes_cut_anywhere_give_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert decode(*pieces) == decode(stream)


@given(st.lists(st.binary(max_size=40), max_size=40))
def test_no_more_than_one_event_is_ever_kept(pieces: list[bytes]) -> None:
    decoder = SSEDecoder(30)
    try:
        for piece in pieces:
            decoder.feed(piece)
            assert sum(map(len, decoder._parts)) <= 31
    except EventTooLarge:
        assert decoder._parts == []


@pytest.mark.parametrize(
    "pieces", [(b"data: a\n\ndata: " + b"x" * 99,), (b"data: a\n\n", b"x" * 99)]
)
def test_event_without_end_is_refused_and_those_before_it_kept(pieces: tuple[bytes, ...]) -> None:
    decoder = SSEDecoder(50)
    events: list[SSEEvent] = []

    with pytest.raises(EventTooLarge, match="event exceeds 50 bytes") as caught:
        for piece in pieces:
            events += decoder.feed(piece)

    assert events + caught.value.events == [SSEEvent(None, b"a")]


def test_whole_event_that_is_too_long_is_refused() -> None:
    with pytest.raises(EventTooLarge):
        SSEDecoder(50).feed(b"data: " + b"x" * 99 + b"\n\n")


def test_last_event_of_just_over_the_limit_is_refused_at_the_end() -> None:
    decoder = SSEDecoder(10)
    decoder.feed(b"data: 12345")

    with pytest.raises(EventTooLarge):
        decoder.close()


def test_long_event_in_many_pieces_is_joined_once() -> None:
    decoder = SSEDecoder()
    for _ in range(1000):
        assert decoder.feed(b"data: line\n") == []

    assert decoder.feed(b"\n") == [SSEEvent(None, b"\n".join([b"line"] * 1000))]


def test_frames_are_read_back_as_they_were_written() -> None:
    written = data_frame(b"a\nb") + event_frame("error", b"c") + data_frame(b"d") + DONE

    assert decode(written) == [
        SSEEvent(None, b"a\nb"),
        SSEEvent("error", b"c"),
        SSEEvent(None, b"d"),
        SSEEvent(None, b"[DONE]"),
    ]


@given(st.lists(st.binary().map(lambda data: b"{" + data.translate(None, b"\r\n\0") + b"}")))
def test_frames_of_ours_are_unframed(bodies: list[bytes]) -> None:
    named = b"".join(event_frame("word", body) for body in bodies)
    plain = COMMENT_PING + b"".join(data_frame(body) for body in bodies) + DONE

    assert unframed(named) == unframed(plain) == bodies
