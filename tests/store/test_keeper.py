from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

import apsw
import attrs
import pytest
import trio

from bifrost.store import keeper as keeping
from bifrost.store.base import StoreAway, StoreBusy, StoreError, StoreFull
from bifrost.store.config_base import CounterRow, StoreConflict
from bifrost.store.config_sql import SqlConfigStore
from bifrost.store.config_sqlite import CONFIG_STEPS, SqliteConnection
from bifrost.store.keeper import StoreKeeper
from bifrost.store.migrate import migrate
from store.config_fakes import NOW_S, bodies, put, remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

    from bifrost.store.config_table import Connection

T = TypeVar("T")

ONE, TWO = CounterRow(1, 1.0), CounterRow(2, 1.0)


@attrs.define(eq=False)
class Flaky:
    """A database in memory that is away when it is told to be, or for those asks that ``failures`` lists."""

    is_away: bool = False
    failures: deque[StoreError] = attrs.field(factory=deque)
    asks: int = 0
    inner: apsw.Connection = attrs.field(factory=lambda: apsw.Connection(":memory:"))

    def __attrs_post_init__(self) -> None:
        with self.inner:
            migrate(self.inner, CONFIG_STEPS)

    async def change(self, work: Callable[[Connection], T]) -> T:
        self.asks += 1
        await trio.lowlevel.checkpoint()
        if self.is_away:
            raise StoreAway("gone fishing")
        with self.inner:
            value = work(SqliteConnection(self.inner))
        # As in a thread: the change is made, whether or not anybody still waits for it.
        await trio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.popleft()
        return value

    look = change

    async def scrub(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.fixture
def database() -> Flaky:
    return Flaky()


@pytest.fixture
def turns() -> list[StoreError | None]:
    return []


@pytest.fixture
def keeper(database: Flaky, turns: list[StoreError | None]) -> StoreKeeper:
    return StoreKeeper(SqlConfigStore(database), chance=lambda: 0.5, on_turn=turns.append)


async def counters(database: Flaky) -> dict[str, CounterRow]:
    return dict((await SqlConfigStore(database).load()).counters)


async def test_it_serves_what_was_loaded_last_while_the_store_is_away(
    keeper: StoreKeeper, database: Flaky, turns: list[StoreError | None]
) -> None:
    await keeper.write([put("a")], NOW_S)
    loaded = await keeper.load()
    database.is_away = True

    with pytest.raises(StoreAway):
        await keeper.load()

    assert keeper.latest == loaded
    away = keeper.is_away
    database.is_away = False
    await keeper.load()
    assert [away, keeper.is_away] == [True, False]
    assert [type(turn) for turn in turns] == [StoreAway, type(None)]


async def test_nouns_are_refused_at_once_while_it_is_away(
    keeper: StoreKeeper, database: Flaky
) -> None:
    database.is_away = True
    with pytest.raises(StoreAway, match=r"^gone fishing$"):
        await keeper.write([put("a")], NOW_S)
    database.is_away = False
    asks = database.asks

    with pytest.raises(StoreAway, match="the configuration store is away: gone fishing"):
        await keeper.write([put("a")], NOW_S)

    assert database.asks == asks


async def test_what_is_written_is_in_the_latest(keeper: StoreKeeper) -> None:
    await keeper.load()
    await keeper.write([put("a"), put("b")], NOW_S)
    await keeper.write([remove("a"), put("c"), put("b", 2, body={"id": "new"})], NOW_S)

    latest = keeper.latest

    assert latest is not None
    assert latest == await keeper.load()
    assert bodies(latest)["b"] == {"id": "new"}


async def test_a_conflict_is_not_being_away(keeper: StoreKeeper) -> None:
    with pytest.raises(StoreConflict):
        await keeper.write([put("a", 5)], NOW_S)

    assert not keeper.is_away


async def test_counters_are_written_as_they_are_told(
    keeper: StoreKeeper, database: Flaky, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await nursery.start(keeper.run)

    keeper.tell_counters({"a": ONE, "b": ONE})
    await trio.testing.wait_all_tasks_blocked()
    before = await counters(database)
    keeper.tell_forgotten(["a"])
    await trio.testing.wait_all_tasks_blocked()

    assert before == {"a": ONE, "b": ONE}
    assert await counters(database) == {"b": ONE}
    assert keeper.waiting == 0


async def test_it_knows_what_it_has_written(keeper: StoreKeeper, database: Flaky) -> None:
    await SqlConfigStore(database).write_counters({"old": ONE})
    await keeper.load()
    keeper.tell_counters({"a": ONE, "b": TWO})
    assert keeper.written(["old", "a"]) == {"old": ONE}, "what waits is not written yet"
    await keeper.flush()
    assert keeper.written(["old", "a", "b", "never"]) == {"old": ONE, "a": ONE, "b": TWO}
    keeper.tell_counters({"a": TWO})
    keeper.tell_forgotten(["b"])
    database.is_away = True
    with pytest.raises(StoreAway):
        await keeper.flush()
    assert keeper.written(["a", "b"]) == {"a": ONE, "b": TWO}
    database.is_away = False
    await keeper.flush()
    assert keeper.written(["a", "b"]) == {"a": TWO}


async def test_while_it_is_away_the_latest_waits_and_is_written_when_it_is_back(
    keeper: StoreKeeper,
    database: Flaky,
    turns: list[StoreError | None],
    nursery: trio.Nursery,
    autojump_clock: MockClock,
) -> None:
    await nursery.start(keeper.run)
    database.is_away = True
    keeper.tell_counters({"a": ONE, "b": ONE, "c": ONE})
    await trio.sleep(1)
    keeper.tell_counters({"a": TWO, "d": ONE})
    keeper.tell_forgotten(["b", "never"])
    keeper.tell_forgotten(["c"])
    keeper.tell_counters({"c": TWO})
    waiting = keeper.waiting
    asks = database.asks
    await trio.sleep(100)
    tries = database.asks - asks

    database.is_away = False
    await trio.sleep(31)

    assert await counters(database) == {"a": TWO, "c": TWO, "d": ONE}
    assert waiting == 5
    assert 5 <= tries <= 9
    assert keeper.waiting == 0
    assert [type(turn) for turn in turns] == [StoreAway, type(None)]


async def test_it_notices_by_itself_that_the_store_goes_away(
    keeper: StoreKeeper, database: Flaky, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await nursery.start(keeper.run)
    database.is_away = True

    await trio.sleep(31)
    away = keeper.is_away
    database.is_away = False
    await trio.sleep(5)

    assert (away, keeper.is_away) == (True, False)


async def test_what_was_refused_late_is_written_again(keeper: StoreKeeper, database: Flaky) -> None:
    database.failures.append(StoreBusy("who knows"))
    keeper.tell_counters({"a": ONE})
    with pytest.raises(StoreBusy):
        await keeper.flush()
    keeper.tell_counters({"a": TWO})

    await keeper.flush()

    assert await counters(database) == {"a": TWO}


async def test_an_error_that_will_not_pass_is_tried_again_too(
    keeper: StoreKeeper, database: Flaky, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    database.failures.append(StoreError("odd"))
    await nursery.start(keeper.run)
    keeper.tell_counters({"a": ONE})

    await trio.sleep(40)

    assert await counters(database) == {"a": ONE}
    assert keeper.waiting == 0


async def test_cancelled_anywhere_nothing_that_waits_is_lost(database: Flaky) -> None:
    for steps in range(40):
        keeper = StoreKeeper(SqlConfigStore(database), chance=lambda: 0.5)
        keeper.tell_counters({f"c{steps}": ONE})
        keeper.tell_forgotten([f"c{steps - 1}"])
        keeper._waiting.begun = {f"s{steps}": (NOW_S + 1, NOW_S)}
        keeper._waiting.ended = {"x"}
        done = False

        async with trio.open_nursery() as nursery:

            async def flush(keeper: StoreKeeper = keeper) -> None:
                nonlocal done
                await keeper.flush()
                done = True

            nursery.start_soon(flush)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

        if not done:
            assert keeper.waiting == 4
            await keeper.flush()
        assert await counters(database) == {f"c{steps}": ONE}
        assert await keeper.find_session(f"s{steps}", NOW_S) == NOW_S + 1


async def test_counters_are_bounded(keeper: StoreKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_COUNTERS", 2)
    keeper.tell_counters({"a": ONE, "b": ONE})

    keeper.tell_counters({"b": TWO, "c": ONE})

    await keeper.flush()
    assert keeper.lost == 1
    assert (await keeper.load()).counters == {"a": ONE, "b": TWO}


async def test_sessions_go_to_the_store(keeper: StoreKeeper, database: Flaky) -> None:
    await keeper.add_session("a", NOW_S + 9, NOW_S)
    await keeper.add_session("b", NOW_S + 9, NOW_S)
    await keeper.add_session("c", NOW_S + 9, NOW_S)
    await keeper.end_session("a")

    store = SqlConfigStore(database)
    assert [await store.find_session(each, NOW_S) for each in "ab"] == [None, NOW_S + 9]
    assert [await keeper.find_session(each, NOW_S) for each in "ab"] == [None, NOW_S + 9]
    await keeper.end_all_sessions()
    assert await keeper.find_session("b", NOW_S) is None
    assert keeper.waiting == 0


async def test_sessions_hold_while_the_store_is_away(keeper: StoreKeeper, database: Flaky) -> None:
    store = SqlConfigStore(database)
    for name in ("seen", "ended", "unseen"):
        await store.add_session(name, NOW_S + 9, NOW_S)
    for name in ("seen", "ended"):
        await keeper.find_session(name, NOW_S)
    database.is_away = True

    await keeper.add_session("new", NOW_S + 5, NOW_S)
    await keeper.end_session("ended")

    assert await keeper.find_session("new", NOW_S + 1) == NOW_S + 5
    assert await keeper.find_session("new", NOW_S + 5) is None
    assert await keeper.find_session("ended", NOW_S) is None
    assert await keeper.find_session("seen", NOW_S) == NOW_S + 9
    assert await keeper.find_session("seen", NOW_S + 9) is None
    with pytest.raises(StoreAway):
        await keeper.find_session("unseen", NOW_S)
    database.is_away = False
    assert await store.find_session("ended", NOW_S) == NOW_S + 9
    await keeper.flush()
    assert await store.find_session("ended", NOW_S) is None
    assert await store.find_session("new", NOW_S) == NOW_S + 5


async def test_all_sessions_end_even_while_it_is_away(keeper: StoreKeeper, database: Flaky) -> None:
    await keeper.add_session("a", NOW_S + 9, NOW_S)
    database.is_away = True
    await keeper.add_session("b", NOW_S + 9, NOW_S)
    await keeper.end_all_sessions()
    await keeper.add_session("c", NOW_S + 9, NOW_S)

    while_away = [await keeper.find_session(each, NOW_S) for each in "abc"]
    with pytest.raises(StoreAway):
        await keeper.flush()
    database.is_away = False
    await keeper.flush()

    assert while_away == [None, None, NOW_S + 9]
    assert [await keeper.find_session(each, NOW_S) for each in "abc"] == while_away


async def test_sessions_that_end_while_others_are_written_stay_ended(
    keeper: StoreKeeper, database: Flaky
) -> None:
    database.is_away = True
    await keeper.add_session("a", NOW_S + 9, NOW_S)

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(StoreAway):
                await keeper.flush()

        await trio.lowlevel.checkpoint()
        await keeper.end_all_sessions()
    database.is_away = False
    await keeper.flush()

    assert await keeper.find_session("a", NOW_S) is None


async def test_what_comes_after_what_waits_does_not_overtake_it(
    keeper: StoreKeeper, database: Flaky
) -> None:
    database.is_away = True
    await keeper.end_all_sessions()
    database.is_away = False
    await keeper.load()

    await keeper.add_session("a", NOW_S + 9, NOW_S)
    await keeper.flush()

    assert await SqlConfigStore(database).find_session("a", NOW_S) == NOW_S + 9


async def test_sessions_hold_while_they_are_written(keeper: StoreKeeper, database: Flaky) -> None:
    database.is_away = True
    await keeper.end_session("b")
    await keeper.add_session("a", NOW_S + 9, NOW_S)
    database.is_away = False
    found: list[float | None] = []

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.flush)
        await trio.lowlevel.checkpoint()
        found += [await keeper.find_session(each, NOW_S) for each in "ab"]
        await keeper.end_session("a")

    assert found == [NOW_S + 9, None]
    assert await keeper.find_session("a", NOW_S) is None
    await keeper.flush()
    assert await SqlConfigStore(database).find_session("a", NOW_S) is None


async def test_a_session_that_another_gateway_ended_is_not_known_any_more(
    keeper: StoreKeeper, database: Flaky
) -> None:
    await keeper.add_session("a", NOW_S + 9, NOW_S)
    await SqlConfigStore(database).end_session("a")
    await keeper.find_session("a", NOW_S)
    database.is_away = True

    with pytest.raises(StoreAway):
        await keeper.find_session("a", NOW_S)


async def test_waiting_sessions_are_bounded(
    keeper: StoreKeeper, database: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MAX_SESSIONS", 2)
    database.is_away = True
    await keeper.add_session("a", NOW_S + 9, NOW_S)
    await keeper.end_session("b")
    await keeper.end_session("a")

    with pytest.raises(StoreFull, match="too many sessions wait"):
        await keeper.add_session("c", NOW_S + 9, NOW_S)
    with pytest.raises(StoreFull):
        await keeper.end_session("d")


async def test_sessions_known_are_bounded(
    keeper: StoreKeeper, database: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MAX_SESSIONS", 2)
    for name in "abc":
        await keeper.add_session(name, NOW_S + 9, NOW_S)
    database.is_away = True

    assert await keeper.find_session("c", NOW_S) == NOW_S + 9
    with pytest.raises(StoreAway):
        await keeper.find_session("a", NOW_S)
