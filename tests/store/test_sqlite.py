"""The real file: threads, locks, failures. The wall clock of the machine, but nothing waits for it."""

from __future__ import annotations

import stat
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest
import trio

from bifrost.schema.job import JobState
from bifrost.store.base import JobCounts, StoreAway, StoreBusy
from bifrost.store.migrate import Migration
from bifrost.store.one_thread import MAX_WAITING
from bifrost.store.sqlite import SqliteFile
from bifrost.store.sqlite_jobs import SqliteJobStore
from store.fakes import WIDE, answer, refusal, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TABLE = (Migration(1, "t", "CREATE TABLE t (a)"),)
ENDLESS = """
WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT count(*) FROM n
"""


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[SqliteFile]:
    file = SqliteFile(tmp_path / "inner" / "logs.db", steps=TABLE, timeout_s=5, busy_s=0.01)
    yield file
    await file.aclose()


def insert(connection: apsw.Connection, value: object) -> None:
    connection.execute("INSERT INTO t VALUES (?)", (str(value),))


def values(connection: apsw.Connection) -> list[object]:
    return [row[0] for row in connection.execute("SELECT a FROM t")]


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def insert_and_fail(connection: apsw.Connection) -> None:
    insert(connection, "lost")
    raise RuntimeError("on purpose")


async def test_a_change_is_there_for_the_next_and_after_opening_anew(file: SqliteFile) -> None:
    await file.change(partial(insert, value="a"))

    assert await file.look(values) == ["a"]
    await file.aclose()
    assert await file.look(values) == ["a"]


async def test_whoever_watches_is_told_when_it_goes_and_when_it_is_back(tmp_path: Path) -> None:
    told: list[str | None] = []
    path = tmp_path / "inner" / "logs.db"
    path.parent.touch()
    file = SqliteFile(path, on_turn=lambda why: told.append(None if why is None else str(why)))

    troubles = [file.trouble]
    answers = [await file.ping(), await file.ping()]
    troubles.append(file.trouble)
    path.parent.unlink()
    answers.append(await file.ping())
    troubles.append(file.trouble)

    assert answers == [False, False, True]
    assert [type(trouble) for trouble in troubles] == [type(None), StoreAway, type(None)]
    assert told == ["the store's file: File exists", None]
    await file.aclose()


async def test_work_that_fails_changes_nothing(file: SqliteFile) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        await file.change(insert_and_fail)

    assert await file.look(values) == []


async def test_nobody_else_may_read_the_file(file: SqliteFile) -> None:
    await file.change(partial(insert, value="a"))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.path.parent.iterdir()}
    assert modes == dict.fromkeys(["logs.db", "logs.db-shm", "logs.db-wal", "logs.db.lock"], 0o600)
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


async def test_it_is_durable_and_checks_references(file: SqliteFile) -> None:
    pragmas = await file.look(
        lambda db: [db.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys")]
    )

    assert pragmas == ["wal", 2, 1]


async def test_a_second_gateway_is_kept_out_until_the_first_is_gone(file: SqliteFile) -> None:
    second = SqliteFile(file.path, steps=TABLE)
    await file.change(partial(insert, value="a"))

    with pytest.raises(StoreAway, match="in use by another gateway"):
        await second.look(values)

    await file.aclose()
    assert await second.look(values) == ["a"]
    await second.aclose()


async def test_somebody_elses_lock_is_busy_and_passes(file: SqliteFile) -> None:
    await file.change(partial(insert, value="a"))
    shell = apsw.Connection(str(file.path))
    shell.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreBusy, match="SQLite: Busy"):
        await file.change(partial(insert, value="b"))
    assert await file.look(values) == ["a"]

    shell.execute("ROLLBACK")
    shell.close()
    await file.change(partial(insert, value="b"))


async def test_a_statement_without_end_is_ended(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "a.db", steps=TABLE, timeout_s=0.1)
    await file.aclose()

    with pytest.raises(StoreBusy, match=r"did not answer within 0\.1 s"):
        await file.look(lambda db: db.execute(ENDLESS).fetchall())

    file.timeout_s = 5
    assert await file.look(values) == []
    await file.aclose()


async def test_what_is_given_up_on_is_not_committed(file: SqliteFile) -> None:
    await file.look(values)
    inserted, go_on = threading.Event(), threading.Event()

    def insert_slowly(connection: apsw.Connection) -> None:
        insert(connection, "late")
        inserted.set()
        go_on.wait(5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(file.change, insert_slowly)
        await trio.to_thread.run_sync(inserted.wait)
        nursery.cancel_scope.cancel()
    go_on.set()

    assert await file.look(values) == []


async def test_the_line_is_bounded(file: SqliteFile) -> None:
    go_on = threading.Event()
    turned_away = 0

    async def wait_in_line() -> None:
        nonlocal turned_away
        try:
            await file.look(lambda _: go_on.wait(5))
        except StoreBusy:
            turned_away += 1
            go_on.set()

    async with trio.open_nursery() as nursery:
        for _ in range(MAX_WAITING + 2):
            nursery.start_soon(wait_in_line)

    assert turned_away == 1


async def test_a_file_that_is_no_database_is_told_without_its_content(file: SqliteFile) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(b"sk-secret" * 1000)

    with pytest.raises(StoreAway) as caught:
        await file.look(values)

    assert str(caught.value) == "SQLite: NotADB"
    file.path.unlink()
    assert await file.look(values) == []


async def test_a_place_that_cannot_be_is_away_and_may_come_back(file: SqliteFile) -> None:
    file.path.parent.write_text("a file where a folder should be")

    with pytest.raises(StoreAway, match=r"the store's file: (File exists|Not a directory)"):
        await file.look(values)

    file.path.parent.unlink()
    assert await file.look(values) == []


async def test_a_newer_database_is_away_and_left_to_whoever_knows_it(file: SqliteFile) -> None:
    older = SqliteFile(file.path, steps=())
    await file.look(values)
    await file.aclose()

    for _ in range(2):
        with pytest.raises(StoreAway, match="newer version"):
            await older.look(values)

    assert await file.look(values) == []


async def test_a_full_disk_is_away_and_takes_nothing_half(file: SqliteFile) -> None:
    await file.look(values)

    def fill(connection: apsw.Connection) -> None:
        connection.pragma("max_page_count", 1)
        insert(connection, "x" * 100_000)

    with pytest.raises(StoreAway, match="SQLite: Full"):
        await file.change(fill)

    assert await file.look(values) == []


async def test_descriptors_are_given_back(file: SqliteFile) -> None:
    before = descriptors()
    await file.change(partial(insert, value="a"))
    await file.aclose()
    await file.aclose()

    assert descriptors() <= before


async def test_a_job_through_the_whole_store(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "logs.db")
    store = SqliteJobStore(file)
    await store.add("a", request(b"1"), WIDE, 0.0)
    await store.add("b", request(b"2"), WIDE, 0.0)
    await file.aclose()

    assert [claim.id for claim in await store.claim(5)] == ["a", "b"]
    assert await store.release(frozenset({"a"})) == 1
    assert [claim.id for claim in await store.claim(5)] == ["b"]
    assert await store.finish("a", answer(), 1.0)
    assert not await store.finish("a", answer(b"again"), 1.0)
    assert await store.fail_processing(refusal(), 1.0) == 1
    found = [await store.find(name, 2.0) for name in "abc"]
    assert [job and job.state for job in found] == [JobState.COMPLETED, JobState.FAILED, None]
    assert await store.sweep(9, 1e9) == 2
    assert await store.counts() == JobCounts(open_jobs=0, stored_bytes=0)
    await file.aclose()
