"""One file from a web server, whole and bounded. For what is fetched seldom: httpx over our own transport."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import httpx
import trio

from bifrost.config.settings import NetworkSettings
from bifrost.transport.httpx import LeanTransport
from bifrost.transport.pool import connections

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["NotFetched", "download"]

IDLE_S = 10.0
"""Between two reads."""


class NotFetched(Exception):
    """There is nothing to be had. Its text has no address, which may hold a password."""


async def download(
    url: str, most: int, within_s: float, transport: httpx.AsyncBaseTransport | None = None
) -> bytes:
    """What is at ``url``, at most ``most`` bytes. Certificates are checked, redirects not followed. Raises NotFetched."""
    transport = transport or LeanTransport(connections(NetworkSettings()))
    try:
        with trio.fail_after(within_s):
            async with (
                httpx.AsyncClient(transport=transport, timeout=IDLE_S) as client,
                client.stream("GET", url) as answer,
            ):
                return await _whole(answer, most)
    except trio.TooSlowError:
        raise NotFetched(f"it did not come in {within_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotFetched(f"it cannot be fetched: {type(error).__name__}") from None


async def _whole(answer: httpx.Response, most: int) -> bytes:
    if answer.status_code != 200:
        raise NotFetched(f"its server answers with status {answer.status_code}")
    body = bytearray()
    # httpx says iterator, and means generator: it has to be closed where it is not read to its end.
    pieces = cast("AsyncGenerator[bytes, None]", answer.aiter_bytes())
    async with aclosing(pieces):
        async for data in pieces:
            body += data
            if len(body) > most:
                raise NotFetched(f"it has more than {most} bytes")
    return bytes(body)
