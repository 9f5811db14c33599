"""The operator's price list: fetched, kept, and fetched again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
import trio

from bifrost.config.sections import PricingSection
from bifrost.management.price_list import IN_THREAD_BYTES, NoPrices, PriceList
from bifrost.policy.pricing import Sheet

if TYPE_CHECKING:
    from trio.testing import MockClock


SHEET = b'{"openai/gpt-x": {"provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6}}'
URL = "http://prices.example/sheet.json?token=secret"


@attrs.define(eq=False)
class Site:
    """Gives what it is told to, and keeps what came of it. ``None``: it is not there."""

    body: bytes | None = SHEET
    settings: PricingSection | None = None
    asked: list[float] = attrs.field(factory=list)
    sheets: list[Sheet] = attrs.field(factory=list)
    failures: list[str] = attrs.field(factory=list)

    async def fetch(self, url: str) -> bytes:
        self.asked.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.body is None:
            raise NoPrices("it cannot be fetched")
        return self.body

    def offer(self) -> PriceList:
        return PriceList(
            lambda: self.settings, self.fetch, self.sheets.append, self.failures.append
        )


async def test_nothing_is_fetched_by_default(autojump_clock: MockClock) -> None:
    site = Site()
    with trio.move_on_after(1000):
        await site.offer().run()
    assert site.asked == []
    with pytest.raises(NoPrices, match="pricing_url is not set"):
        await site.offer().sync()


async def test_a_list_is_fetched_at_once_and_at_each_interval(autojump_clock: MockClock) -> None:
    site = Site(settings=PricingSection(pricing_url=URL, pricing_sync_interval=3600))
    with trio.move_on_after(8000):
        await site.offer().run()
    assert site.asked == [0.0, 3600.0, 7200.0]
    assert [len(sheet) for sheet in site.sheets] == [1, 1, 1]


async def test_after_a_failure_it_is_tried_again_sooner(autojump_clock: MockClock) -> None:
    site = Site(None, PricingSection(pricing_url=URL))
    with trio.move_on_after(700):
        await site.offer().run()
    assert len(site.asked) == 3
    assert site.failures == ["it cannot be fetched"] * 3
    assert site.sheets == []


async def test_a_new_address_is_asked_at_once(autojump_clock: MockClock) -> None:
    site = Site(settings=PricingSection(pricing_url=URL))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(site.offer().run)
        await trio.sleep(100)
        site.settings = PricingSection(pricing_url="http://other.example/")
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert len(site.asked) == 2


async def test_what_is_no_list() -> None:
    site = Site(b"[]", PricingSection(pricing_url=URL))
    with pytest.raises(NoPrices, match="no object"):
        await site.offer().sync()


async def test_a_long_list_is_read_in_a_thread() -> None:
    site = Site(SHEET + b" " * IN_THREAD_BYTES, PricingSection(pricing_url=URL))
    await site.offer().sync()
    assert len(site.sheets) == 1
