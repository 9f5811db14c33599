"""AWS's event stream: our frames are botocore's frames, both ways, however the bytes are split."""

from __future__ import annotations

import struct
import uuid
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.eventstream import (
    MAX_FRAME,
    BrokenFrame,
    Frame,
    FrameDecoder,
    HeaderValue,
    Timestamp,
    encode_frame,
)

LONGS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(
    st.booleans(),
    LONGS,
    st.binary(max_size=50),
    st.text(max_size=50),
    st.builds(Timestamp, LONGS),
    st.uuids(),
)
NAMES = st.text(min_size=1, max_size=20)
FRAMES = st.builds(Frame, st.dictionaries(NAMES, VALUES, max_size=5), st.binary(max_size=200))


def encoded(frames: list[Frame]) -> bytes:
    return b"".join(encode_frame(frame.headers, frame.payload) for frame in frames)


def decode(*pieces: bytes) -> list[Frame]:
    decoder = FrameDecoder()
    frames = [frame for piece in pieces for frame in decoder.feed(piece)]
    assert decoder.is_between
    return frames


def frame(headers: bytes, payload: bytes = b"") -> bytes:
    """A frame with these bytes for headers and right checksums."""
    lengths = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    whole = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


@given(st.lists(FRAMES, max_size=4), st.data())
def test_any_split_gives_the_frames_that_were_written(
    frames: list[Frame], data: st.DataObject
) -> None:
    stream = encoded(frames)
    at = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    pieces = [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]

    found = decode(*pieces)

    assert found == frames
    assert b"".join(one.raw for one in found) == stream


def botocores(value: HeaderValue) -> object:
    match value:
        case Timestamp(ms):
            return ms
        case uuid.UUID():
            return value.bytes
        case _:
            return value


@given(st.lists(FRAMES, min_size=1, max_size=4))
def test_botocore_reads_what_we_write(frames: list[Frame]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(encoded(frames))

    events = list(buffer)

    assert [event.payload for event in events] == [one.payload for one in frames]
    assert [event.headers for event in events] == [
        {name: botocores(value) for name, value in one.headers.items()} for one in frames
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"\x00", True),
        (b"\x01", False),
        (b"\x02\xff", -1),
        (b"\x03\x01\x00", 256),
        (b"\x04\x00\x01\x00\x00", 65536),
        (b"\x05" + b"\x00" * 7 + b"\x07", 7),
        (b"\x06\x00\x02hi", b"hi"),
        (b"\x07\x00\x02hi", "hi"),
        (b"\x08" + b"\x00" * 7 + b"\x07", Timestamp(7)),
        (b"\x09" + bytes(range(16)), uuid.UUID(bytes=bytes(range(16)))),
    ],
)
def test_headers_of_all_types(written: bytes, value: HeaderValue) -> None:
    stream = frame(b"\x01x" + written, b"{}")

    [found] = decode(stream)

    assert found.headers == {"x": value}
    assert found.text("x") == (value if isinstance(value, str) else "")
    [event] = (buffer := EventStreamBuffer()).add_data(stream) or buffer
    assert event.headers == {"x": botocores(value)}


GOOD = encode_frame({":event-type": "x"}, b"{}")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"\x00" * 12, "the prelude's checksum is wrong"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "a frame's checksum is wrong"),
        (GOOD[:8] + bytes([GOOD[8] ^ 1]) + GOOD[9:], "the prelude's checksum is wrong"),
        (frame(b"\x01x\x07\x00\x09hi"), "a frame's headers are none"),
        (frame(b"\x01x\x05\x00"), "a frame's headers are none"),
        (frame(b"\x01x\x09\x00"), "a frame's headers are none"),
        (frame(b"\x01x"), "a frame's headers are none"),
        (frame(b"\x01\xff\x00"), "a frame's headers are none"),
        (frame(b"\x01x\x00\x01x\x00"), "a frame has a header twice"),
        (frame(b"\x01x\x0a"), "a header has the unknown type 10"),
    ],
)
def test_what_is_no_frame_ends_the_stream_after_the_good_ones(bad: bytes, why: str) -> None:
    for stream in (GOOD + bad, GOOD + bad + GOOD):
        decoder = FrameDecoder()
        with pytest.raises(BrokenFrame, match=why) as caught:
            decoder.feed(stream)
        assert len(caught.value.frames) == 1


def prelude(length: int, headers: int) -> bytes:
    lengths = struct.pack(">II", length, headers)
    return lengths + struct.pack(">I", zlib.crc32(lengths))


@pytest.mark.parametrize(
    ("length", "headers", "why"),
    [
        (MAX_FRAME + 1, 0, "more than 16777216 bytes"),
        (15, 0, "contradict"),
        (20, 5, "contradict"),
        (2**20, 2**17 + 1, "contradict"),
    ],
)
def test_a_frame_that_cannot_be_is_refused_at_its_prelude(
    length: int, headers: int, why: str
) -> None:
    with pytest.raises(BrokenFrame, match=why):
        FrameDecoder().feed(prelude(length, headers))


def test_a_frame_that_is_cut_off_is_seen() -> None:
    decoder = FrameDecoder()

    assert len(decoder.feed(GOOD + GOOD[:20])) == 1
    assert not decoder.is_between


@pytest.mark.parametrize(
    "headers",
    [{"": True}, {"x" * 256: True}, {"x": 2**63}, {"x": "x" * 2**15}, {"x": Timestamp(2**63)}],
)
def test_what_no_frame_can_hold_is_not_written(headers: dict[str, HeaderValue]) -> None:
    with pytest.raises(ValueError, match="a header's"):
        encode_frame(headers, b"")


def test_a_frame_that_is_too_long_is_not_written() -> None:
    with pytest.raises(ValueError, match="that long"):
        encode_frame({}, b"x" * MAX_FRAME)
