"""The operator's price list: fetched where it is configured, kept until a newer one comes. Nothing is fetched by default."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

import attrs
import httpx
import trio

from bifrost.config.sections import PricingSection
from bifrost.policy.pricing import Sheet, SheetError, read_sheet
from bifrost.policy.pricing_sheet import MAX_SHEET_BYTES

__all__ = ["NotFetched", "PriceList"]

FETCH_S = 45.0
IDLE_S = 10.0
"""Between two looks at whether a list is configured by now."""
RETRY_S = 300.0
"""After a failure; the list from before is good meanwhile."""


class NotFetched(Exception):
    """There is no list to be had, or it is none. Its text has no address, which may hold a password."""


@attrs.define(eq=False)
class PriceList:
    """Fetches what ``settings`` names. ``take`` gets each list, ``on_failure`` the reason where there was none.

    ``client`` makes the HTTP client; a list is read up to 32 MiB, in 45 s.
    """

    settings: Callable[[], PricingSection | None]
    client: Callable[[], httpx.AsyncClient]
    take: Callable[[Sheet], None]
    on_failure: Callable[[str], None]
    _url: str | None = attrs.field(default=None, init=False)
    """Where the list in use came from."""

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
        """Fetch now. Raises NotFetched."""
        settings = self.settings()
        if settings is None or not settings.pricing_url:
            raise NotFetched("framework.pricing.pricing_url is not set")
        sheet = await self._fetched(settings.pricing_url)
        self._url = settings.pricing_url
        self.take(sheet)

    async def _turn(self, settings: PricingSection) -> float:
        """One fetch; seconds until the next."""
        try:
            await self.sync()
        except NotFetched as error:
            self.on_failure(str(error))
            self._url = settings.pricing_url
            return RETRY_S
        return float(settings.pricing_sync_interval)

    async def _fetched(self, url: str) -> Sheet:
        import httpx  # noqa: PLC0415  few ask for a list, and all would wait for the import

        raw = bytearray()
        try:
            with trio.fail_after(FETCH_S):
                async with self.client() as client, client.stream("GET", url) as answer:
                    if answer.status_code != 200:
                        raise NotFetched(f"the price list answers with status {answer.status_code}")
                    async with aclosing(answer.aiter_bytes()) as pieces:
                        async for data in pieces:
                            raw += data
                            if len(raw) > MAX_SHEET_BYTES:
                                raise NotFetched("the price list is too long")
        except trio.TooSlowError:
            raise NotFetched(f"the price list did not come in {FETCH_S:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotFetched(f"the price list cannot be fetched: {type(error).__name__}") from None
        try:
            return await trio.to_thread.run_sync(read_sheet, bytes(raw))
        except SheetError as error:
            raise NotFetched(str(error)) from None
