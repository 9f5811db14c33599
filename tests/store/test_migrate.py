from __future__ import annotations

import apsw
import pytest

from bifrost.store.base import StoreAway
from bifrost.store.migrate import Migration, migrate, migrations

ONE = Migration(1, "one", "CREATE TABLE one (a); INSERT INTO one VALUES (1);")
TWO = Migration(2, "two", "INSERT INTO one VALUES (2);")


def test_the_files_are_numbered_without_a_gap() -> None:
    assert [step.version for step in migrations()] == list(range(1, len(migrations()) + 1))
    assert migrations()[0].name == "async_jobs"


def test_each_step_is_applied_once_and_in_order() -> None:
    connection = apsw.Connection(":memory:")

    migrate(connection, [ONE])
    migrate(connection, [ONE, TWO])
    migrate(connection, [ONE, TWO])

    assert list(connection.execute("SELECT a FROM one")) == [(1,), (2,)]
    versions = list(connection.execute("SELECT version, name, applied_at FROM schema_versions"))
    assert [row[:2] for row in versions] == [(1, "one"), (2, "two")]
    assert all(str(row[2]).endswith("Z") for row in versions)


def test_a_newer_database_is_left_alone() -> None:
    connection = apsw.Connection(":memory:")
    migrate(connection, [ONE, TWO])

    with pytest.raises(StoreAway, match=r"newer version \(2\)"):
        migrate(connection, [ONE])
