from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bifrost.store.config_postgres import POSTGRES_CONFIG_STEPS, postgres_config_store
from bifrost.store.config_sqlite import CONFIG_STEPS, sqlite_config_store
from bifrost.store.postgres import PostgresDatabase
from bifrost.store.sqlite import SqliteFile
from store.cluster import ENGINES, WITHOUT, Cluster, cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from bifrost.store.config_sql import SqlConfigStore


@pytest.fixture
async def config_file(tmp_path: Path) -> AsyncIterator[SqliteFile]:
    file = SqliteFile(tmp_path / "config.db", steps=CONFIG_STEPS, overwrites=True)
    yield file
    await file.aclose()


@pytest.fixture(scope="session")
def served_cluster() -> Iterator[Cluster]:
    with cluster() as found:
        yield found


@pytest.fixture
def empty_cluster(served_cluster: Cluster) -> Cluster:
    served_cluster.empty()
    return served_cluster


@pytest.fixture
async def database(empty_cluster: Cluster) -> AsyncIterator[PostgresDatabase]:
    found = PostgresDatabase(empty_cluster.section(), POSTGRES_CONFIG_STEPS)
    yield found
    await found.aclose()


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlConfigStore]:
    """An empty store, of each engine."""
    if request.param == "sqlite":
        file = SqliteFile(tmp_path / "config.db", steps=CONFIG_STEPS, overwrites=True)
        yield sqlite_config_store(file)
        await file.aclose()
    else:
        cluster: Cluster = request.getfixturevalue("empty_cluster")
        database = PostgresDatabase(cluster.section(), POSTGRES_CONFIG_STEPS)
        yield postgres_config_store(database)
        await database.aclose()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if WITHOUT:
        terminalreporter.write_line(
            "POSTGRES WAS NOT TESTED: BIFROST_TESTS_WITHOUT_POSTGRES is set", red=True, bold=True
        )
