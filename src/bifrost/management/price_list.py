"""The operator's price list: fetched where it is configured, kept until a newer one comes. Nothing is fetched by default."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import trio

from bifrost.config.sections import PricingSection
from bifrost.policy.pricing import Sheet, SheetError, read_sheet

__all__ = ["NoPrices", "PriceList"]

IDLE_S = 10.0
"""Between two looks at whether a list is configured by now."""

RETRY_S = 300.0
"""After a failure; the list from before is good meanwhile."""

IN_THREAD_BYTES = 256 * 1024


class NoPrices(Exception):
    """There is no list to be had, or it is none. Its text has no address, which may hold a password."""


@attrs.define(eq=False)
class PriceList:
    """Fetches what ``settings`` names. ``take`` gets each list, ``on_failure`` the reason where there was none.

    ``fetch`` gives what is at an address, within bounds of its own; it raises NoPrices.
    """

    settings: Callable[[], PricingSection | None]
    fetch: Callable[[str], Awaitable[bytes]]
    take: Callable[[Sheet], None]
    on_failure: Callable[[str], None]
    _url: str | None = attrs.field(default=None, init=False)
    """Where it was looked for last."""

    async def run(self) -> None:
        """Fetch at once, and then at each interval; a new address at once. Until cancelled."""
        due_s = 0.0
        while True:
            settings = self.settings()
            url = settings.pricing_url if settings else None
            now_s = trio.current_time()
            if settings and url and (url != self._url or now_s >= due_s):
                due_s = now_s + await self._turn(settings)
            await trio.sleep(IDLE_S)

    async def sync(self) -> None:
        """Fetch now. Raises NoPrices."""
        settings = self.settings()
        if settings is None or not settings.pricing_url:
            raise NoPrices("framework.pricing.pricing_url is not set")
        self._url = settings.pricing_url
        self.take(await _read(await self.fetch(settings.pricing_url)))

    async def _turn(self, settings: PricingSection) -> float:
        """One fetch; seconds until the next."""
        try:
            await self.sync()
        except NoPrices as error:
            self.on_failure(str(error))
            return RETRY_S
        return float(settings.pricing_sync_interval)


async def _read(raw: bytes) -> Sheet:
    """A long list is read in a thread: others should not wait for it."""
    try:
        if len(raw) < IN_THREAD_BYTES:
            return read_sheet(raw)
        return await trio.to_thread.run_sync(read_sheet, raw)
    except SheetError as error:
        raise NoPrices(str(error)) from None
