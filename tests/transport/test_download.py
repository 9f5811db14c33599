from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from bifrost.transport.download import NotFetched, download

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

URL = "http://files.example/a?token=secret"


async def got(answer: Callable[[httpx.Request], httpx.Response]) -> bytes:
    return await download(URL, 10, 5.0, httpx.MockTransport(answer))


async def test_a_file() -> None:
    assert await got(lambda _: httpx.Response(200, content=b"0123456789")) == b"0123456789"


def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"no route to {request.url}")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: httpx.Response(404), "status 404"),
        (lambda _: httpx.Response(301, headers={"location": "http://x/"}), "status 301"),
        (lambda _: httpx.Response(200, content=b"0123456789a"), "more than 10 bytes"),
        (refused, "ConnectError"),
    ],
)
async def test_what_is_not_to_be_had(
    answer: Callable[[httpx.Request], httpx.Response], told: str
) -> None:
    with pytest.raises(NotFetched, match=told) as error:
        await got(answer)
    assert "secret" not in str(error.value)


async def test_what_does_not_come(autojump_clock: MockClock) -> None:
    async def silent(_: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    with pytest.raises(NotFetched, match="did not come in 5 s"):
        await download(URL, 10, 5.0, httpx.MockTransport(silent))
