"""The operator's price list: fetched, kept, and fetched again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import httpx
import pytest
import trio

from bifrost.config.sections import PricingSection
from bifrost.management.price_list import NotFetched, PriceList
from bifrost.policy.pricing import Sheet

if TYPE_CHECKING:
    from trio.testing import MockClock


SHEET = b'{"openai/gpt-x": {"provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6}}'
URL = "http://prices.example/sheet.json?token=secret"


@attrs.define(eq=False)
class Site:
    """Answers as it is told, and what came of it."""

    answer: Callable[[httpx.Request], httpx.Response]
    settings: PricingSection | None = None
    asked: list[float] = attrs.field(factory=list)
    sheets: list[Sheet] = attrs.field(factory=list)
    failures: list[str] = attrs.field(factory=list)

    def offer(self) -> PriceList:
        def respond(request: httpx.Request) -> httpx.Response:
            self.asked.append(trio.current_time())
            return self.answer(request)

        def client() -> httpx.AsyncClient:
            return httpx.AsyncClient(transport=httpx.MockTransport(respond))

        return PriceList(lambda: self.settings, client, self.sheets.append, self.failures.append)


def good(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=SHEET)


def broken(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route to prices.example?token=secret")


async def test_nothing_is_fetched_by_default(autojump_clock: MockClock) -> None:
    site = Site(good)
    with trio.move_on_after(1000):
        await site.offer().run()
    assert site.asked == []
    with pytest.raises(NotFetched, match="pricing_url is not set"):
        await site.offer().sync()


async def test_a_list_is_fetched_at_once_and_at_each_interval(autojump_clock: MockClock) -> None:
    site = Site(good, PricingSection(pricing_url=URL, pricing_sync_interval=3600))
    with trio.move_on_after(8000):
        await site.offer().run()
    assert site.asked == [0.0, 3600.0, 7200.0]
    assert [len(sheet) for sheet in site.sheets] == [1, 1, 1]


async def test_after_a_failure_it_is_tried_again_sooner(autojump_clock: MockClock) -> None:
    site = Site(broken, PricingSection(pricing_url=URL))
    with trio.move_on_after(700):
        await site.offer().run()
    assert len(site.asked) == 3
    assert site.failures == ["the price list cannot be fetched: ConnectError"] * 3
    assert site.sheets == []


async def test_a_new_address_is_asked_at_once(autojump_clock: MockClock) -> None:
    site = Site(good, PricingSection(pricing_url=URL))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(site.offer().run)
        await trio.sleep(100)
        site.settings = PricingSection(pricing_url="http://other.example/")
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: httpx.Response(404), "answers with status 404"),
        (lambda _: httpx.Response(301, headers={"location": "http://x"}), "answers with status 301"),
        (lambda _: httpx.Response(200, content=b"[]"), "no object"),
        (lambda _: httpx.Response(200, content=b" " * (33 * 2**20)), "too long"),
    ],
)  # fmt: skip
async def test_what_is_no_list(
    answer: Callable[[httpx.Request], httpx.Response], told: str, autojump_clock: MockClock
) -> None:
    site = Site(answer, PricingSection(pricing_url=URL))
    with pytest.raises(NotFetched, match=told) as refused:
        await site.offer().sync()
    assert "secret" not in str(refused.value)
