"""The real server: threads, locks, failures. The wall clock of the machine, but nothing waits long for it."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest
import trio

from bifrost.config.secret import Secret
from bifrost.store import postgres
from bifrost.store.base import StoreAway, StoreBusy, StoreError
from bifrost.store.config_base import CounterRow
from bifrost.store.config_postgres import POSTGRES_CONFIG_STEPS, postgres_config_store
from bifrost.store.migrate import Brought, Migration
from bifrost.store.postgres import PostgresDatabase
from store.cluster import WITHOUT
from store.config_fakes import NOW_S, put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bifrost.store.config_sql import SqlConfigStore
    from bifrost.store.config_table import Connection
    from store.cluster import Cluster

__test__ = not WITHOUT

TABLE = (Migration(1, "t", "CREATE TABLE t (a TEXT)"),)


@pytest.fixture
async def table(empty_cluster: Cluster) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(empty_cluster.section(), TABLE, timeout_s=5)
    yield database
    await database.aclose()


def insert(connection: Connection, value: str) -> None:
    connection.run("INSERT INTO t VALUES (?)", (value,))


def values(connection: Connection) -> list[str]:
    return [row[0] for row in connection.run("SELECT a FROM t ORDER BY a")]


def sleep(connection: Connection) -> None:
    connection.run("SELECT pg_sleep(60)")


def insert_and_fail(connection: Connection) -> None:
    insert(connection, "lost")
    raise RuntimeError("on purpose")


async def test_a_change_is_there_for_the_next_and_after_connecting_anew(
    table: PostgresDatabase,
) -> None:
    await table.change(partial(insert, value="a"))

    assert await table.look(values) == ["a"]
    await table.aclose()
    assert await table.look(values) == ["a"]


async def test_work_that_fails_changes_nothing(table: PostgresDatabase) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        await table.change(insert_and_fail)

    assert await table.look(values) == []


async def test_a_look_changes_nothing(table: PostgresDatabase) -> None:
    with pytest.raises(StoreAway, match=r"Postgres: ReadOnlySqlTransaction \(25006\)"):
        await table.look(partial(insert, value="a"))


async def test_a_look_sees_one_moment(table: PostgresDatabase, empty_cluster: Cluster) -> None:
    await table.change(partial(insert, value="a"))

    def look(connection: Connection) -> tuple[list[str], list[str]]:
        before = values(connection)
        with empty_cluster.connect() as other:
            other.execute("INSERT INTO t VALUES ('b')")
        return before, values(connection)

    assert await table.look(look) == (["a"], ["a"])
    assert await table.look(values) == ["a", "b"]


async def test_it_connects_anew_when_the_server_has_closed(
    table: PostgresDatabase, empty_cluster: Cluster
) -> None:
    told: list[StoreError | None] = []
    table.on_turn = told.append
    await table.change(partial(insert, value="a"))
    with empty_cluster.connect() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bifrost'"
        )

    assert await table.look(values) == ["a"]
    assert told == []


async def test_a_connection_lost_in_the_midst_is_away_and_then_back(
    table: PostgresDatabase, empty_cluster: Cluster
) -> None:
    told: list[StoreError | None] = []
    table.on_turn = told.append

    def lose(connection: Connection) -> None:
        insert(connection, "lost")
        with empty_cluster.connect() as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bifrost'"
            )
        insert(connection, "never")

    with pytest.raises(StoreAway, match=r"Postgres: AdminShutdown \(57P01\)"):
        await table.change(lose)

    assert isinstance(table.trouble, StoreAway)
    assert await table.look(values) == []
    assert [type(each) for each in told] == [StoreAway, type(None)]


async def test_a_server_that_is_not_there_is_away_and_then_back(
    table: PostgresDatabase,
) -> None:
    here = table.settings
    table.settings = attrs.evolve(here, port=1, password=Secret("hidden"))

    with pytest.raises(StoreAway, match=r"^Postgres: OperationalError$"):
        await table.look(values)
    away = await table.ping()
    table.settings = here

    assert [away, await table.ping()] == [False, True]


async def test_a_statement_without_end_is_cancelled_at_the_server(
    table: PostgresDatabase, empty_cluster: Cluster
) -> None:
    await table.ping()
    table.timeout_s = 0.2
    with pytest.raises(StoreBusy, match=r"did not answer within 0\.2 s"):
        await table.look(sleep)

    table.timeout_s = 5
    # It is the same connection, whose statement was cancelled: the next piece of work had to wait for that only.
    assert await table.look(values) == []


async def test_cancelled_work_is_taken_back(table: PostgresDatabase) -> None:
    started = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def work(connection: Connection) -> None:
        insert(connection, "lost")
        token.run_sync_soon(started.set)
        sleep(connection)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(table.change, work)
        await started.wait()
        nursery.cancel_scope.cancel()

    assert await table.look(values) == []


async def test_work_that_is_given_up_in_its_thread_is_not_committed(
    table: PostgresDatabase,
) -> None:
    reached, go_on = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def work(connection: Connection) -> None:
        insert(connection, "lost")
        token.run_sync_soon(reached.set)
        go_on.wait(5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(table.change, work)
        await reached.wait()
        nursery.cancel_scope.cancel()
    go_on.set()

    assert await table.look(values) == []


async def test_another_gateways_lock_is_busy_and_passes(
    table: PostgresDatabase, empty_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_MS", 50)
    await table.change(partial(insert, value="a"))
    with empty_cluster.connect() as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE t")

        with pytest.raises(StoreBusy, match=r"Postgres: LockNotAvailable \(55P03\)"):
            await table.change(partial(insert, value="b"))

    await table.change(partial(insert, value="c"))
    assert await table.look(values) == ["a", "c"]


async def test_a_value_that_postgres_does_not_know_is_refused(table: PostgresDatabase) -> None:
    with pytest.raises(StoreError, match="Postgres: DataError"):
        await table.change(partial(insert, value="a\0b"))

    assert await table.look(values) == []


async def test_another_encoding_is_refused(empty_cluster: Cluster) -> None:
    with empty_cluster.connect() as other:
        other.execute("DROP DATABASE IF EXISTS latin")
        other.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    database = PostgresDatabase(empty_cluster.section("latin"), TABLE)

    with pytest.raises(StoreAway, match="encoding is LATIN1; it has to be UTF8"):
        await database.look(values)


async def test_two_gateways_migrate_one_after_the_other(empty_cluster: Cluster) -> None:
    first, second = (
        PostgresDatabase(empty_cluster.section(), POSTGRES_CONFIG_STEPS) for _ in range(2)
    )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first.ping)
        nursery.start_soon(second.ping)

    latest = len(POSTGRES_CONFIG_STEPS)
    brought = {first.brought, second.brought}
    assert brought == {Brought(0, latest), Brought(latest, latest)}
    await first.aclose()
    await second.aclose()


async def test_a_newer_database_is_left_alone(table: PostgresDatabase) -> None:
    await table.ping()
    older = PostgresDatabase(table.settings, ())

    with pytest.raises(StoreAway, match=r"newer version \(1\)"):
        await older.look(values)


async def test_a_broken_step_leaves_nothing_behind(empty_cluster: Cluster) -> None:
    broken = (*TABLE, Migration(2, "broken", "CREATE TABLE u (a TEXT); SELECT nonsense"))
    database = PostgresDatabase(empty_cluster.section(), broken)

    with pytest.raises(StoreAway, match="UndefinedColumn"):
        await database.look(values)

    with empty_cluster.connect() as other:
        found = other.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert found.fetchone() == (0,)


async def test_two_gateways_write_one_after_the_other(empty_cluster: Cluster) -> None:
    first, second = (
        PostgresDatabase(empty_cluster.section(), POSTGRES_CONFIG_STEPS) for _ in range(2)
    )
    stores = [postgres_config_store(first), postgres_config_store(second)]
    await first.ping()

    async def write(store: SqlConfigStore, name: str) -> None:
        for count in range(10):
            await store.write([put(f"{name}{count}", unique=(f"n:{name}{count}",))], NOW_S)
            await store.write_counters({each: CounterRow(count, 1.0) for each in "zyx"})

    async with trio.open_nursery() as nursery:
        for store, name in zip(stores, "ab", strict=True):
            nursery.start_soon(write, store, name)

    loaded = await stores[0].load()
    assert len(loaded.nouns) == loaded.revision == 20
    assert [noun.version for noun in loaded.nouns] == list(range(1, 21))
    assert set(loaded.counters.values()) == {CounterRow(9, 1.0)}
    await first.aclose()
    await second.aclose()
