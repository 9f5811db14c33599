from __future__ import annotations

import gzip
from typing import Any

import pytest

from bifrost.errors import BadRequest, BodyTooLarge
from bifrost.http.body import CallerGone, UnpackedParts, read_body
from http_messages import messages


async def read(receive: Any, announced: bytes | None = None, max_bytes: int = 10) -> bytes:
    return await read_body(receive, announced, max_bytes=max_bytes, timeout_s=60)


async def test_parts_are_joined() -> None:
    assert await read(messages(b"ab", b"", b"cd")) == b"abcd"


async def test_a_body_of_exactly_the_bound_is_read() -> None:
    assert await read(messages(b"0123456789"), b"10") == b"0123456789"


async def test_an_announced_length_above_the_bound_is_refused_unread() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        await read(messages(then="silent"), b"11")

    assert caught.value.status == 413


async def test_a_body_that_grows_above_the_bound_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        await read(messages(b"012345", b"678910"))


async def test_a_length_that_is_no_number_is_left_to_the_body() -> None:
    assert await read(messages(b"abc"), b"x") == b"abc"


async def test_a_body_that_is_at_hand_needs_no_waiting() -> None:
    receive = messages(then="silent")

    assert (
        await read_body(receive, None, max_bytes=3, timeout_s=1, at_hand=lambda: b"abc") == b"abc"
    )
    with pytest.raises(BodyTooLarge):
        await read_body(receive, None, max_bytes=2, timeout_s=1, at_hand=lambda: b"abc")


async def test_a_body_that_is_not_at_hand_is_waited_for() -> None:
    body = await read_body(
        messages(b"ab", b"c"), None, max_bytes=3, timeout_s=1, at_hand=lambda: None
    )

    assert body == b"abc"


async def test_a_caller_that_hangs_up_is_gone() -> None:
    with pytest.raises(CallerGone):
        await read(messages(b"ab", then="gone"))


async def test_a_caller_that_falls_silent_is_told_so(autojump_clock: object) -> None:
    with pytest.raises(BadRequest) as caught:
        await read(messages(b"ab", then="silent"))

    assert caught.value.status == 408


async def unpacked(receive: Any, coding: bytes, max_bytes: int = 100_000) -> tuple[bytes, int]:
    """What came, and the size it came in."""
    sizes: list[int] = []
    headers = ((b"content-encoding", coding),) if coding else ()
    parts = UnpackedParts(receive, headers, max_bytes, sizes.append)
    data = b""
    while (part := await parts.take()) is not None:
        data += part
    assert len(sizes) == 1
    return data, sizes[0]


def one_by_one(data: bytes) -> Any:
    return messages(*(data[i : i + 1] for i in range(len(data))))


@pytest.mark.parametrize("coding", [b"", b"identity"])
async def test_parts_without_coding_are_as_they_come(coding: bytes) -> None:
    assert await unpacked(one_by_one(b"hello"), coding) == (b"hello", 5)


async def test_parts_are_unpacked() -> None:
    packed = gzip.compress(b"hello" * 1000)

    assert await unpacked(one_by_one(packed), b"GZIP") == (b"hello" * 1000, len(packed))


async def test_unpacked_body_is_bounded_while_it_grows() -> None:
    packed = gzip.compress(b"x" * 10_000_000)
    assert len(packed) < 20_000

    with pytest.raises(BodyTooLarge) as caught:
        await unpacked(messages(packed), b"gzip")

    told = "decompressed request body exceeds max allowed size of 100000 bytes"
    assert caught.value.message == told


async def test_pieces_that_are_pending_are_given_before_more_is_read() -> None:
    packed = gzip.compress(b"x" * 3_000_000)

    data, size = await unpacked(messages(packed), b"gzip", 3_000_000)

    assert (len(data), size) == (3_000_000, len(packed))


@pytest.mark.parametrize(
    ("coding", "data"),
    [(b"gzip", b"no gzip"), (b"gzip", gzip.compress(b"x")[:-1]), (b"lzma", b"x")],
)
async def test_what_is_not_packed_as_it_says_is_refused(coding: bytes, data: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        await unpacked(messages(data), coding)

    assert caught.value.status == 400
    assert caught.value.message.startswith("invalid compressed request body: ")
