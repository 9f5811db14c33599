"""A gateway that is killed while it writes, and what the next one finds."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bifrost.store.config_postgres import POSTGRES_CONFIG_STEPS, postgres_config_store
from bifrost.store.config_sqlite import CONFIG_STEPS, sqlite_config_store
from bifrost.store.postgres import PostgresDatabase
from bifrost.store.sqlite import SqliteFile
from store.cluster import ENGINES

if TYPE_CHECKING:
    from pathlib import Path

    from store.cluster import Cluster

WRITER = """
import itertools, sys
import trio
from bifrost.config.nouns import ANY, Put
from bifrost.config.sections import PostgresSection
from bifrost.store.config_base import CounterRow
from bifrost.store.config_postgres import POSTGRES_CONFIG_STEPS, postgres_config_store
from bifrost.store.config_sqlite import CONFIG_STEPS, sqlite_config_store
from bifrost.store.postgres import PostgresDatabase
from bifrost.store.sqlite import SqliteFile
from pathlib import Path

async def main(engine, where):
    if engine == "sqlite":
        store = sqlite_config_store(SqliteFile(Path(where), steps=CONFIG_STEPS))
    else:
        section = PostgresSection(
            host="127.0.0.1", port=int(where), user="bifrost", db_name="postgres", ssl_mode="disable"
        )
        store = postgres_config_store(PostgresDatabase(section, POSTGRES_CONFIG_STEPS))
    for count in itertools.count(1):
        body = {"count": count, "filler": "x" * 20_000}
        await store.write(
            [
                Put(kind="team", id=name, body=body, unique=(f"name:{name}:{count}",))
                for name in "abc"
            ],
            float(count),
        )
        await store.write_counters({name: CounterRow(count, 1.0) for name in "xyz"})
        print(count, flush=True)

trio.run(main, *sys.argv[1:])
"""
WRITES = 15


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_was_answered_is_there_and_nothing_by_halves(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "sqlite":
        answered = _killed_after(WRITES, engine, str(tmp_path / "config.db"))
        file = SqliteFile(tmp_path / "config.db", steps=CONFIG_STEPS)
        loaded = await sqlite_config_store(file).load()
        checked = await file.look(lambda db: list(db.execute("PRAGMA integrity_check")))
        await file.aclose()
        assert checked == [("ok",)]
    else:
        cluster: Cluster = request.getfixturevalue("empty_cluster")
        answered = _killed_after(WRITES, engine, str(cluster.port))
        database = PostgresDatabase(cluster.section(), POSTGRES_CONFIG_STEPS)
        loaded = await postgres_config_store(database).load()
        await database.aclose()
    (count,) = {noun.body["count"] for noun in loaded.nouns}
    (used,) = {row.used for row in loaded.counters.values()}
    assert len(loaded.nouns) == len(loaded.counters) == 3
    assert used in (count, count - 1)  # type: ignore[operator]  # read from the database
    assert used in (answered, answered + 1)
    assert loaded.revision == count * 3  # type: ignore[operator]  # read from the database


def _killed_after(writes: int, *arguments: str) -> int:
    """The last count that the writer has answered for, when it was killed in the midst of more."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) == writes:
                break
        writer.kill()
        rest = writer.stdout.read().split()
    return int(rest[-1]) if rest else writes
