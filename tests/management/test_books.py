"""Counters to the store and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import trio

from bifrost.actors.ledger import Ledger
from bifrost.actors.ledger_messages import Counted
from bifrost.actors.paid_book import KEPT_S
from bifrost.actors.supervisor import supervise
from bifrost.governance.levels import NOTHING, Amounts, Level, Scope
from bifrost.management.books import Books
from bifrost.store.base import StoreAway
from bifrost.store.config_base import CounterRow
from governance.nouns import at, budget, governance, key, limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio.testing import MockClock

T0 = 1_700_000_000.0
LEVELS = (Level(Scope.KEY, "VK", limits("vk", usd=5.0)),)


@attrs.define(eq=False)
class Keeper:
    """Takes what it is told."""

    told: list[Mapping[str, CounterRow]] = attrs.field(factory=list)
    forgotten: set[str] = attrs.field(factory=set)
    flushes: int = 0
    kept: dict[str, CounterRow] = attrs.field(factory=dict)
    is_away: bool = False

    def tell_counters(self, counters: Mapping[str, CounterRow]) -> None:
        self.told.append(counters)

    def tell_forgotten(self, ids: Iterable[str]) -> None:
        self.forgotten |= set(ids)

    def written(self, ids: Iterable[str]) -> Mapping[str, CounterRow]:
        return {name: self.kept[name] for name in ids if name in self.kept}

    async def flush(self) -> None:
        self.flushes += 1
        if self.is_away:
            raise StoreAway("away")


async def spend(ledger: Ledger) -> None:
    async with ledger.hold(LEVELS, Amounts(nano_usd=9)) as held:
        held.spent = Amounts(nano_usd=9)  # type: ignore[union-attr]  # there is room


def books(keeper: Any) -> Books:
    return Books(Ledger(wall=lambda: T0), keeper)


async def test_changes_are_told_every_two_seconds_and_at_the_end(
    autojump_clock: MockClock,
) -> None:
    keeper = Keeper()
    it = books(keeper)
    it.open({"vk:budget": CounterRow(1, T0)})
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, it.ledger, on_crash=lambda *_: None))
        nursery.start_soon(it.run)
        await spend(it.ledger)
        await trio.sleep(3)
        assert keeper.told == [{"vk:budget": CounterRow(10, T0)}]
        await trio.sleep(10)
        assert len(keeper.told) == 1, "nothing changed"
        await spend(it.ledger)
        await it.close()
        nursery.cancel_scope.cancel()
    assert keeper.told[1:] == [{"vk:budget": CounterRow(19, T0)}]
    assert keeper.flushes == 1


async def test_nothing_is_written_over_what_has_not_been_read(autojump_clock: MockClock) -> None:
    """A store that was away from the start has an earlier process's counters: they are added to, not replaced."""
    keeper = Keeper()
    it = books(keeper)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, it.ledger, on_crash=lambda *_: None))
        nursery.start_soon(it.run)
        await spend(it.ledger)
        await trio.sleep(10)
        assert keeper.told == []
        it.open({"vk:budget": CounterRow(1, T0)})
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    assert keeper.told == [{"vk:budget": CounterRow(10, T0)}]


async def test_what_was_paid_for_is_written_with_its_charge(autojump_clock: MockClock) -> None:
    keeper, told = Keeper(), Amounts(tokens=3, nano_usd=9)
    it = books(keeper)
    it.open({"!paid:tokens:old": CounterRow(1, T0 - KEPT_S - 1), "vk:budget": CounterRow(1, T0)})
    assert keeper.forgotten == {"!paid:tokens:old", "!paid:nano_usd:old"}
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, it.ledger, on_crash=lambda *_: None))
        nursery.start_soon(it.run)
        async with it.ledger.hold(LEVELS, Amounts(nano_usd=9)) as held:
            due = it.ledger.paid.claim("openai:file-1", told, T0)
            await trio.sleep(5)
            assert keeper.told == [], "not charged yet"
            held.spent, held.marks = due, frozenset({"openai:file-1"})  # type: ignore[union-attr]  # there is room
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    assert keeper.told == [
        {
            "vk:budget": CounterRow(10, T0),
            "!paid:tokens:openai:file-1": CounterRow(3, T0),
            "!paid:nano_usd:openai:file-1": CounterRow(9, T0),
        }
    ]
    next_one = books(Keeper())
    next_one.open(keeper.told[0])
    assert next_one.ledger.paid.claim("openai:file-1", told, T0) == NOTHING


async def test_an_end_without_its_store_is_an_end(autojump_clock: MockClock) -> None:
    it = books(Keeper(is_away=True))
    it.ledger.close()
    await it.close()
    await books(None).close()


async def test_who_has_no_store_counts_in_memory(autojump_clock: MockClock) -> None:
    it = books(None)
    it.open({"vk:budget": CounterRow(1, T0)})
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, it.ledger, on_crash=lambda *_: None))
        nursery.start_soon(it.run)
        await spend(it.ledger)
        await trio.sleep(60)
        counted = await it.ledger.ask_usage()
        nursery.cancel_scope.cancel()

    assert counted == {"vk:budget": Counted(10, T0)}


async def test_limits_that_are_no_more_are_forgotten_and_those_that_turn_start_anew() -> None:
    keeper = Keeper()
    it = books(keeper)
    it.open({"gone": CounterRow(1, T0), "virtual_key:one:budget": CounterRow(2, T0)})
    it.ledger.close()
    before = governance(
        key(budget=budget(1.0, "1d"), provider_configs=(at("openai", budget=budget(1.0)),))
    )
    after = governance(key(budget=budget(1.0, "1d", aligned=True)))
    it.change(before, after, T0)
    assert keeper.forgotten == {"virtual_key:one:openai:budget"}
    usage = await it.ledger.ask_usage(frozenset({"virtual_key:one:budget"}))
    midnight = T0 - T0 % 86400
    assert usage == {"virtual_key:one:budget": Counted(0, midnight)}
    it.change(after, after, T0 + 5)
    assert await it.ledger.ask_usage(frozenset({"virtual_key:one:budget"})) == usage


async def test_usage_is_what_the_ledger_has_or_what_was_written() -> None:
    it = books(Keeper(kept={"a": CounterRow(1, T0)}))
    it.open({"a": CounterRow(2, T0), "b": CounterRow(3, T0)})
    it.ledger.close()
    ids = frozenset({"a", "b", "never"})
    assert await it.usage(ids, is_live=False) == {"a": Counted(1, T0)}
    live = {"a": Counted(2, T0), "b": Counted(3, T0)}
    assert await it.usage(ids, is_live=True) == live
    alone = books(None)
    alone.open({"a": CounterRow(2, T0)})
    alone.ledger.close()
    assert await alone.usage(ids, is_live=False) == {"a": Counted(2, T0)}
