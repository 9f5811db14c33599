"""What is known of the keys' models: asked now and then, after changes, and by whoever wants to know what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.actors.discovery import NOBODY, KeyModels
from bifrost.actors.model_book import EVERY_S, MAX_MODELS, SETTLE_S, ModelBook
from bifrost.config.settings import KeySettings
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from trio.testing import MockClock

KEY = KeySettings(id="a", name="a", models=("*",), blacklisted_models=("old",))


@attrs.define(eq=False)
class Providers:
    """Tells the same models of each provider, and notes who was asked, and when."""

    names: list[str]
    takes_s: float = 0.0
    rows: tuple[KeyModels, ...] | None = None
    asked: list[tuple[float, str]] = attrs.field(factory=list)

    async def tell(self, provider: str) -> tuple[KeyModels, ...]:
        self.asked.append((trio.current_time(), provider))
        await trio.sleep(self.takes_s)
        if self.rows is not None:
            return self.rows
        return (KeyModels(provider=provider, key=KEY, models=({"id": "m"}, {"id": "old"}, {})),)

    def book(self) -> ModelBook:
        return ModelBook(lambda: self.names, self.tell)


async def test_all_are_asked_a_while_after_the_start_and_every_hour(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    them = Providers(["p", "q"])
    book = them.book()
    nursery.start_soon(book.run)
    await trio.sleep(SETTLE_S - 1)
    assert them.asked == []
    await trio.sleep(EVERY_S + 2)
    assert [name for _, name in them.asked] == ["p", "q", "p", "q"]
    (row,) = book.rows("p")
    assert (row.models, row.listed, row.error) == (("m",), ("m", "old"), "")


async def test_a_change_is_asked_about_once_it_has_settled(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    them = Providers(["p"])
    book = them.book()
    nursery.start_soon(book.run)
    await trio.sleep(SETTLE_S + 1)
    for _ in range(3):
        book.tell_changed(["p"])
        assert book.rows("p") == ()
        await trio.sleep(SETTLE_S / 2)
    await trio.sleep(SETTLE_S)
    assert len(them.asked) == 2
    them.names.clear()
    book.tell_changed(["p"])
    await trio.sleep(2 * EVERY_S)
    assert len(them.asked) == 2


async def test_who_wants_to_know_does_not_wait_for_the_hour(autojump_clock: MockClock) -> None:
    them = Providers(["p"], takes_s=5.0)
    book = them.book()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(book.known, "p")
    assert len(them.asked) == 1
    assert (await book.known("p"))[0].models == ("m",)
    assert len(them.asked) == 1


async def test_who_gives_up_leaves_asking_to_the_next(autojump_clock: MockClock) -> None:
    them = Providers(["p"], takes_s=5.0)
    book = them.book()
    found: list[int] = []

    async def wait() -> None:
        found.append(len(await book.known("p")))

    async with trio.open_nursery() as nursery:
        with trio.move_on_after(1):
            async with trio.open_nursery() as hasty:
                hasty.start_soon(book.known, "p")
                await trio.sleep(0.5)
                nursery.start_soon(wait)
    assert found == [1]
    assert [name for _, name in them.asked] == ["p", "p"]


async def test_a_provider_that_went_meanwhile_is_forgotten(autojump_clock: MockClock) -> None:
    them = Providers([])
    book = them.book()
    assert await book.known("p") != ()
    assert book.rows("p") == ()


async def test_what_failed_is_told_with_what_the_key_itself_says(autojump_clock: MockClock) -> None:
    key = attrs.evolve(KEY, models=("mine",))
    error = UpstreamError("x" * 9999)
    them = Providers(["p"])
    them.rows = (
        KeyModels(provider="p", key=key, error=error),
        KeyModels(provider="p", key=NOBODY, error=error),
    )
    named, nobody = await them.book().known("p")
    assert (named.models, len(named.error)) == (("mine",), 512)
    assert (nobody.key_id, nobody.models) == ("", ())


async def test_a_list_without_end_is_cut(autojump_clock: MockClock) -> None:
    them = Providers(["p"])
    many: tuple[dict[str, object], ...] = tuple(
        {"id": str(number)} for number in range(MAX_MODELS + 5)
    )
    them.rows = (KeyModels(provider="p", key=KEY, models=many),)
    (row,) = await them.book().known("p")
    assert len(row.models) == len(row.listed) == MAX_MODELS
