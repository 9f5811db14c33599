from __future__ import annotations

from typing import Any

import pytest
import trio

from bifrost.errors import BadRequest, BodyTooLarge
from bifrost.http.body import CallerGone, read_body


def messages(*parts: bytes, then: str | None = None) -> Any:
    """An ASGI ``receive`` that gives ``parts``, or hangs up (``then="gone"``) or falls silent after them."""
    queue = list(parts)

    async def receive() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        if queue:
            part = queue.pop(0)
            more = bool(queue) or then is not None
            return {"type": "http.request", "body": part, "more_body": more}
        if then == "gone":
            return {"type": "http.disconnect"}
        await trio.sleep_forever()
        raise AssertionError

    return receive


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


async def test_a_caller_that_hangs_up_is_gone() -> None:
    with pytest.raises(CallerGone):
        await read(messages(b"ab", then="gone"))


async def test_a_caller_that_falls_silent_is_told_so(autojump_clock: object) -> None:
    with pytest.raises(BadRequest) as caught:
        await read(messages(b"ab", then="silent"))

    assert caught.value.status == 408
