from __future__ import annotations

import pytest

from bifrost.errors import BadRequest
from bifrost.integrations.async_wish import (
    NOT_FOR_FILES,
    NOT_HERE,
    asks_async,
    polled_id,
    refuse_async,
)


@pytest.mark.parametrize(
    ("sent", "asks"),
    [
        ({}, False),
        ({b"x-bf-vk": b"v"}, False),
        ({b"x-bf-async": b"true"}, True),
        ({b"x-bf-async": b"1"}, True),
        ({b"x-bf-async": b"anything"}, True),
        ({b"x-bf-async": b""}, False),
        ({b"x-bf-async": b" "}, False),
        ({b"x-bf-async": b"0"}, False),
        ({b"x-bf-async": b" False "}, False),
        ({b"x-bf-async-id": b"j"}, True),
        ({b"x-bf-async-id": b" "}, False),
        ({b"x-bf-async-id": b"", b"x-bf-async": b"true"}, True),
        ({b"x-bf-async-id": b"j", b"x-bf-async": b"false"}, True),
        ({b"x-bf-async-job-result-ttl": b"5"}, False),
    ],
)
def test_who_asks_for_a_job(sent: dict[bytes, bytes], asks: bool) -> None:
    assert asks_async(sent) is asks


def test_the_job_that_is_asked_for() -> None:
    assert polled_id({b"x-bf-async-id": b" j-1 "}) == "j-1"
    assert polled_id({b"x-bf-async": b"true"}) == ""


def test_a_route_without_jobs_says_so() -> None:
    refuse_async(((b"x-bf-async", b"false"), (b"x-bf-async", b"true")), NOT_HERE)

    with pytest.raises(BadRequest, match="not supported for batch, file, or container") as caught:
        refuse_async(((b"x-bf-async", b"true"), (b"x-bf-async", b"false")), NOT_FOR_FILES)
    assert caught.value.status == 400
    with pytest.raises(BadRequest, match="not supported on this route"):
        refuse_async(((b"x-bf-async-id", b"j"),), NOT_HERE)
