"""The ledger: nothing is spent without a hold, and what was charged is what the counters stand at, crashes or not."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from bifrost.actors.ledger import Held, Ledger
from bifrost.actors.ledger_book import LedgerBook
from bifrost.actors.ledger_messages import Admit, Counted, LedgerMessage, NotAdmitted
from bifrost.actors.supervisor import supervise
from bifrost.errors import ProviderUnavailable
from bifrost.governance.levels import NOTHING, Amounts, Level, Scope
from governance.nouns import limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

    from bifrost.governance.model import Limits

T0 = 1_700_000_000.0
ONE = Amounts(requests=1, tokens=10, nano_usd=1_000_000_000)


def level(what: Limits, name: str = "VK", scope: Scope = Scope.KEY) -> Level:
    return Level(scope, name, what)


def vk(**more: float | str) -> tuple[Level, ...]:
    return (level(limits("vk", **more)),)  # type: ignore[arg-type]  # told through


def used(book: LedgerBook, name: str) -> tuple[int, int]:
    found = book.usage(None)[name]
    return found.used, found.held


# The book


def test_a_hold_is_counted_until_it_is_charged() -> None:
    book = LedgerBook()
    levels = vk(usd=10.0, requests=5)
    held = book.hold(levels, ONE, T0)
    assert used(book, "vk:budget") == (0, 1_000_000_000)
    book.charge(held.hold_id, Amounts(requests=1, tokens=7, nano_usd=250), T0)
    assert used(book, "vk:budget") == (250, 0)
    assert used(book, "vk:rate_limit:requests") == (1, 0)
    book.charge(held.hold_id, ONE, T0)
    assert used(book, "vk:budget") == (250, 0), "a hold ends once"


def test_where_nothing_is_held_any_room_is_enough() -> None:
    book = LedgerBook()
    levels = vk(usd=0.01)
    assert book.violation(levels, ONE, T0) is None
    held = book.hold(levels, ONE, T0)
    found = book.violation(levels, ONE, T0)
    assert found is not None
    (violation,) = found.violations
    assert violation.used > violation.limit
    assert violation.left_s == 1.0, "the others' holds will be charged or let go soon"
    book.charge(held.hold_id, NOTHING, T0)
    assert book.violation(levels, ONE, T0) is None


def test_a_look_begins_no_time() -> None:
    book = LedgerBook()
    levels = vk(requests=1, every="1h")
    assert book.violation(levels, ONE, T0) is None
    assert book.usage(None) == {}
    book.charge(book.hold(levels, ONE, T0).hold_id, Amounts(requests=1), T0)
    assert book.violation(levels, ONE, T0 + 4000) is None
    assert book.usage(None)["vk:rate_limit:requests"] == Counted(1, T0), "nor a second one"


def test_what_is_used_up_says_when_it_starts_anew() -> None:
    book = LedgerBook()
    levels = vk(requests=1, every="1h")
    book.charge(book.hold(levels, ONE, T0).hold_id, Amounts(requests=1), T0)
    found = book.violation(levels, ONE, T0 + 600)
    assert found is not None
    assert (found.violations[0].used, found.violations[0].left_s) == (1, 3000.0)
    assert book.violation(levels, ONE, T0 + 3600) is None
    book.hold(levels, ONE, T0 + 3600)
    assert used(book, "vk:rate_limit:requests") == (0, 1)


def test_halves_of_a_rate_limit_are_told_together() -> None:
    book = LedgerBook()
    levels = vk(requests=1, tokens=5)
    book.charge(book.hold(levels, ONE, T0).hold_id, ONE, T0)
    found = book.violation(levels, ONE, T0)
    assert found is not None
    assert [each.unit.value for each in found.violations] == ["token", "request"]


def test_rate_limits_come_before_budgets_in_each_scope() -> None:
    provider = level(limits("p", usd=1.0), "openai", Scope.PROVIDER)
    own = level(limits("v", usd=1.0), "VK")
    team = level(limits("t", requests=1), "Team")
    book = LedgerBook()
    levels = (provider, own, team)
    book.charge(book.hold(levels, ONE, T0).hold_id, Amounts(requests=1, nano_usd=10**10), T0)
    told = []
    for some in (levels, (own, team), (own,)):
        found = book.violation(some, ONE, T0)
        assert found is not None
        told.append(found.level.name)
    assert told == ["openai", "Team", "VK"]


def test_a_hold_that_outlives_its_period_is_charged_to_the_next() -> None:
    book = LedgerBook()
    levels = vk(usd=10.0, every="1h")
    held = book.hold(levels, ONE, T0)
    book.charge(held.hold_id, ONE, T0 + 4000)
    found = book.usage(None)["vk:budget"]
    assert (found.used, found.since_unix_s, found.held) == (10**9, T0 + 4000, 0)


def test_a_limit_that_two_levels_share_counts_a_call_once() -> None:
    book = LedgerBook()
    shared = limits("shared", usd=5.0)
    held = book.hold((level(shared, "Team"), level(shared, "Customer")), ONE, T0)
    assert used(book, "shared:budget") == (0, ONE.nano_usd)
    book.charge(held.hold_id, ONE, T0)
    assert used(book, "shared:budget") == (ONE.nano_usd, 0)


def test_a_clock_that_was_ahead_does_not_keep_a_limit_used_up() -> None:
    book = LedgerBook()
    levels, years = vk(requests=1, every="1h"), 50 * 365 * 86400.0
    book.charge(book.hold(levels, ONE, T0 + years).hold_id, ONE, T0 + years)
    found = book.violation(levels, ONE, T0)
    assert found is not None, "what is used is used"
    assert found.violations[0].left_s == 3600.0
    assert book.take_changes() == {"vk:rate_limit:requests": Counted(1, T0)}
    assert book.violation(levels, ONE, T0 + 3600) is None


def test_a_counter_stays_what_a_database_can_keep() -> None:
    book = LedgerBook()
    book.restore({"vk:budget": Counted(2**63 - 2, T0)})
    book.charge(book.hold(vk(usd=1.0), ONE, T0).hold_id, Amounts(nano_usd=10**18), T0)
    assert used(book, "vk:budget") == (2**63 - 1, 0)


def test_a_hold_of_a_forgotten_limit_is_none_of_its_successor_s() -> None:
    book = LedgerBook()
    former = book.hold(vk(usd=1.0), ONE, T0)
    book.forget({"vk:budget"})
    book.hold(vk(usd=1.0), ONE, T0)
    book.charge(former.hold_id, ONE, T0)
    assert used(book, "vk:budget") == (0, ONE.nano_usd)


def test_a_forgotten_counter_stays_forgotten() -> None:
    book = LedgerBook()
    held = book.hold(vk(usd=1.0), ONE, T0)
    book.forget({"vk:budget"})
    book.charge(held.hold_id, ONE, T0)
    assert book.usage(None) == {}
    assert book.take_changes() == {}


def test_a_counter_that_is_started_anew_keeps_its_holds() -> None:
    book = LedgerBook()
    levels = vk(usd=10.0)
    book.charge(book.hold(levels, ONE, T0).hold_id, ONE, T0)
    held = book.hold(levels, ONE, T0)
    book.restart({"vk:budget": T0 + 5, "new": T0})
    assert book.usage(None) == {
        "vk:budget": Counted(0, T0 + 5, ONE.nano_usd),
        "new": Counted(0, T0),
    }
    book.charge(held.hold_id, NOTHING, T0 + 5)
    assert used(book, "vk:budget") == (0, 0)


def test_changes_are_taken_once() -> None:
    book = LedgerBook()
    book.restore({"vk:budget": Counted(5, T0)})
    assert book.take_changes() == {}
    levels = vk(usd=10.0)
    book.charge(book.hold(levels, ONE, T0).hold_id, Amounts(nano_usd=3), T0)
    assert book.take_changes() == {"vk:budget": Counted(8, T0)}
    assert book.take_changes() == {}


AMOUNTS = st.builds(
    Amounts,
    requests=st.integers(0, 3),
    tokens=st.integers(0, 1000),
    nano_usd=st.integers(0, 10**10),
)


@given(
    steps=st.lists(st.tuples(st.sampled_from("hhcf"), AMOUNTS, st.integers(0, 9)), max_size=60),
    usd=st.floats(0.5, 20),
)
def test_counters_stand_at_the_sum_of_their_charges(
    steps: list[tuple[str, Amounts, int]], usd: float
) -> None:
    """Whatever is admitted and charged in whatever order; and holds are those that are out."""
    book, levels = LedgerBook(), vk(usd=usd, tokens=10_000, requests=50)
    out: dict[int, Amounts] = {}
    spent = NOTHING
    for what, amounts, which in steps:
        if what == "h" and book.violation(levels, amounts, T0) is None:
            out[book.hold(levels, amounts, T0).hold_id] = amounts
        elif what != "h" and out:
            hold_id = sorted(out)[which % len(out)]
            del out[hold_id]
            charge = amounts if what == "c" else NOTHING
            book.charge(hold_id, charge, T0)
            spent = Amounts(
                requests=spent.requests + charge.requests,
                tokens=spent.tokens + charge.tokens,
                nano_usd=spent.nano_usd + charge.nano_usd,
            )
    for limit in levels[0].limits.all:
        found = book.usage(None).get(limit.id, Counted(0, T0))
        assert found.used == spent.of(limit.unit)
        assert found.held == sum(amounts.of(limit.unit) for amounts in out.values())


# The actor


@attrs.define(eq=False)
class Crashing:
    """Makes the ledger crash at some of its messages."""

    when: Callable[[LedgerMessage], bool]
    crashes: int = 0

    def __call__(self, message: LedgerMessage) -> None:
        if self.when(message):
            self.crashes += 1
            raise RuntimeError("scripted")


@asynccontextmanager
async def running(
    fault: Callable[[LedgerMessage], None] | None = None, *, at_s: float = T0
) -> AsyncIterator[Ledger]:
    ledger = Ledger(wall=lambda: at_s + trio.current_time(), fault=fault)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, ledger, on_crash=lambda *_: None))
        yield ledger
        nursery.cancel_scope.cancel()


async def spend(ledger: Ledger, levels: tuple[Level, ...], amounts: Amounts) -> bool:
    async with ledger.hold(levels, amounts) as held:
        if not isinstance(held, Held):
            return False
        await trio.sleep(1)
        held.spent = amounts
        return True


async def test_five_hundred_at_once_spend_what_a_hundred_may(autojump_clock: MockClock) -> None:
    levels, admitted = vk(usd=100.0), []

    async def call(ledger: Ledger) -> None:
        admitted.append(await spend(ledger, levels, ONE))

    async with running() as ledger:
        async with trio.open_nursery() as nursery:
            for _ in range(500):
                nursery.start_soon(call, ledger)
        counted = (await ledger.ask_usage())["vk:budget"]
    assert sum(admitted) == 100
    assert (counted.used, counted.held) == (100 * ONE.nano_usd, 0)


async def test_room_is_asked_for_without_taking_it(autojump_clock: MockClock) -> None:
    levels = vk(requests=1)
    async with running() as ledger:
        assert await ledger.ask_room(levels, ONE) is None
        assert await ledger.ask_room(levels, ONE) is None
        assert await spend(ledger, levels, ONE)
        assert isinstance(await ledger.ask_room(levels, ONE), NotAdmitted)


async def test_who_is_cancelled_while_asking_holds_nothing(autojump_clock: MockClock) -> None:
    async with running() as ledger:
        entered = False
        with trio.move_on_at(trio.current_time()):
            async with ledger.hold(vk(usd=1.0), ONE):
                entered = True
        assert not entered
        await wait_all_tasks_blocked()
        assert (await ledger.ask_usage())["vk:budget"].held == 0


async def test_who_is_cancelled_while_holding_spends_what_he_said(
    autojump_clock: MockClock,
) -> None:
    async with running() as ledger:
        with trio.move_on_after(1):
            async with ledger.hold(vk(usd=9.0), ONE) as held:
                assert isinstance(held, Held)
                held.spent = Amounts(nano_usd=7)
                await trio.sleep_forever()
        assert (await ledger.ask_usage())["vk:budget"] == Counted(7, T0, 0)


async def test_an_ask_that_dies_is_asked_again(autojump_clock: MockClock) -> None:
    fault = Crashing(lambda message: isinstance(message, Admit) and fault.crashes < 2)
    async with running(fault) as ledger:
        assert await spend(ledger, vk(usd=9.0), ONE)
        assert (await ledger.ask_usage())["vk:budget"].used == ONE.nano_usd
    assert fault.crashes == 2


async def test_a_broken_ledger_admits_nobody_and_loses_no_charge(
    autojump_clock: MockClock,
) -> None:
    broken = [False]
    async with running(Crashing(lambda _: broken[0])) as ledger:
        async with ledger.hold(vk(usd=9.0), ONE) as held:
            assert isinstance(held, Held)
            held.spent = ONE
            broken[0] = True
            for _ in range(4):
                async with ledger.hold(vk(usd=9.0), ONE) as refused:
                    assert isinstance(refused, ProviderUnavailable)
            states = [ledger.is_broken]
        broken[0] = False
        await trio.sleep(60)
        states.append(ledger.is_broken)
        assert states == [True, False]
        assert (await ledger.ask_usage())["vk:budget"] == Counted(ONE.nano_usd, T0, 0)


async def test_after_its_end_charges_are_still_counted(autojump_clock: MockClock) -> None:
    async with running() as ledger:
        holding = ledger.hold(vk(usd=9.0), ONE)
        held = await holding.__aenter__()
        assert isinstance(held, Held)
    held.spent = ONE
    await holding.__aexit__(None, None, None)
    assert await ledger.ask_changes() == {"vk:budget": Counted(ONE.nano_usd, T0, 0)}


async def test_counters_are_restored_restarted_and_forgotten(autojump_clock: MockClock) -> None:
    ledger = Ledger(wall=lambda: T0)
    ledger.restore({"a": Counted(1, T0), "b": Counted(2, T0)})
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, ledger, on_crash=lambda *_: None))
        assert await ledger.ask_usage(frozenset({"a", "none"})) == {"a": Counted(1, T0)}
        ledger.tell_restart({"a": T0 + 1})
        ledger.tell_forget(frozenset({"b"}))
        assert await ledger.ask_changes() == {"a": Counted(0, T0 + 1)}
        assert await ledger.ask_usage() == {"a": Counted(0, T0 + 1)}
        nursery.cancel_scope.cancel()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_whatever_crashes_and_whoever_leaves_the_sums_hold(seed: int) -> None:
    """Calls that are cancelled at any moment, a ledger that crashes at any message: the book balances."""
    spent = trio.run(partial(simulate, seed), clock=trio.testing.MockClock(autojump_threshold=0))
    assert spent


async def simulate(seed: int) -> bool:
    rng = random.Random(seed)
    levels = vk(usd=50.0, requests=40, tokens=10_000)
    total = [0, 0]
    fault = Crashing(lambda _: rng.random() < 0.05)

    async def call(ledger: Ledger) -> None:
        amounts = Amounts(requests=1, tokens=rng.randrange(100), nano_usd=rng.randrange(2 * 10**9))
        with trio.move_on_after(rng.random() * 3):
            await trio.sleep(rng.random())
            async with ledger.hold(levels, ONE) as held:
                if not isinstance(held, Held):
                    return
                await trio.sleep(rng.random() * 2)
                held.spent = amounts
                total[0] += amounts.nano_usd
                total[1] += 1
                await trio.sleep(rng.random())

    async with running(fault) as ledger:
        async with trio.open_nursery() as nursery:
            for _ in range(120):
                nursery.start_soon(call, ledger)
        await trio.sleep(100)
        fault.when = lambda _: False
        await trio.sleep(100)
        counted = await ledger.ask_usage()
    # Expiry is not at stake: the simulation is shorter than a day.
    assert counted["vk:budget"].used == total[0]
    assert counted["vk:rate_limit:requests"].used == total[1]
    assert all(each.held == 0 for each in counted.values())
    return True
