"""What prices go by besides the configuration: the day, the list that comes with the house, and the operator's own."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import trio

from bifrost.management.price_list import NoPrices
from bifrost.policy.pricing import load
from bifrost.policy.pricing_sheet import MAX_SHEET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.governance.policy import Policy

__all__ = ["fetch_prices", "keep_prices", "today"]

PRICES_S = 10.0
"""Between two looks at the calendar, and at whether prices are wanted by now."""

PRICE_LIST_S = 45.0
"""For the operator's price list to come."""


def today() -> date:
    """In UTC: prices begin on days."""
    return datetime.fromtimestamp(time.time(), UTC).date()


async def keep_prices(policy: Callable[[], Policy]) -> None:
    """Have the list of prices there before somebody asks for one, and say each day what day it is. Until cancelled.

    ``policy`` gives the one of now.
    """
    is_loaded = False
    while True:
        prices, governance = policy().prices, policy().governance
        if not is_loaded and (governance.virtual_keys or governance.is_limiting):
            # It takes half a second and some memory, so who counts nothing goes without.
            await trio.to_thread.run_sync(load)
            is_loaded = True
        prices.turn_to(today())
        await trio.sleep(PRICES_S)


async def fetch_prices(url: str) -> bytes:
    """What is at ``url``, within bounds. Raises NoPrices."""
    # Few ask for a list, and all would wait for the import.
    from bifrost.transport.download import NotFetched, download  # noqa: PLC0415  as said

    try:
        return await download(url, MAX_SHEET_BYTES, PRICE_LIST_S)
    except NotFetched as error:
        raise NoPrices(str(error)) from None
