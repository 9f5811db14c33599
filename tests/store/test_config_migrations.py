"""Every version of the tables that was ever released can be brought to the present one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from bifrost.store.base import StoreAway
from bifrost.store.config_postgres import POSTGRES_CONFIG_STEPS, postgres_config_store
from bifrost.store.config_sqlite import CONFIG_STEPS, sqlite_config_store
from bifrost.store.migrate import Brought
from bifrost.store.postgres import PostgresDatabase
from bifrost.store.sqlite import SqliteFile
from store.cluster import WITHOUT
from store.config_fakes import NOW_S, bodies, put

if TYPE_CHECKING:
    from pathlib import Path

    from store.cluster import Cluster

VERSIONS = range(len(CONFIG_STEPS) + 1)

RELEASED = {
    "sqlite": ["ef0fcb96d086a817"],
    "postgres": ["a170c3f23537f4f1"],
}
"""A step that somebody's database has gone through is never changed: a change is another step."""


@pytest.mark.parametrize("before", VERSIONS)
async def test_sqlite_comes_forward_from_each_version(before: int, tmp_path: Path) -> None:
    path = tmp_path / "config.db"
    older = SqliteFile(path, steps=CONFIG_STEPS[:before])
    await older.ping()
    if before == len(CONFIG_STEPS):
        await sqlite_config_store(older).write([put("a")], NOW_S)
    await older.aclose()

    newer = SqliteFile(path, steps=CONFIG_STEPS)
    store = sqlite_config_store(newer)
    await store.write([put("b")], NOW_S)

    assert newer.brought == Brought(before, len(CONFIG_STEPS))
    kept = ["a", "b"] if before == len(CONFIG_STEPS) else ["b"]
    assert list(bodies(await store.load())) == kept
    await newer.aclose()


class TestPostgres:
    __test__ = not WITHOUT

    @pytest.mark.parametrize("before", VERSIONS)
    async def test_it_comes_forward_from_each_version(
        self, before: int, empty_cluster: Cluster
    ) -> None:
        older = PostgresDatabase(empty_cluster.section(), POSTGRES_CONFIG_STEPS[:before])
        await older.ping()
        if before == len(CONFIG_STEPS):
            await postgres_config_store(older).write([put("a")], NOW_S)
        await older.aclose()

        newer = PostgresDatabase(empty_cluster.section(), POSTGRES_CONFIG_STEPS)
        store = postgres_config_store(newer)
        await store.write([put("b")], NOW_S)

        assert newer.brought == Brought(before, len(CONFIG_STEPS))
        kept = ["a", "b"] if before == len(CONFIG_STEPS) else ["b"]
        assert list(bodies(await store.load())) == kept
        await newer.aclose()

    async def test_a_guest_leaves_it_as_it_is(self, empty_cluster: Cluster) -> None:
        guest = PostgresDatabase(empty_cluster.section(), POSTGRES_CONFIG_STEPS, is_guest=True)
        with pytest.raises(StoreAway, match="older version"):
            await postgres_config_store(guest).load()
        gateway = PostgresDatabase(empty_cluster.section(), POSTGRES_CONFIG_STEPS)
        await postgres_config_store(gateway).write([put("a")], NOW_S)

        assert list(bodies(await postgres_config_store(guest).load())) == ["a"]

        await guest.aclose()
        await gateway.aclose()


def test_a_released_step_is_never_changed() -> None:
    found = {
        name: [hashlib.sha256(step.sql.encode()).hexdigest()[:16] for step in steps]
        for name, steps in (("sqlite", CONFIG_STEPS), ("postgres", POSTGRES_CONFIG_STEPS))
    }

    assert found == RELEASED


def test_both_engines_have_the_same_steps() -> None:
    assert [(step.version, step.name) for step in CONFIG_STEPS] == [
        (step.version, step.name) for step in POSTGRES_CONFIG_STEPS
    ]
