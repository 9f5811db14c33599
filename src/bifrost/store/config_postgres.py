"""The configuration store in a Postgres database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.store.config_sql import SqlConfigStore
from bifrost.store.migrate import Migration, migrations

if TYPE_CHECKING:
    from bifrost.store.postgres import PostgresDatabase

__all__ = ["POSTGRES_CONFIG_STEPS", "postgres_config_store"]

POSTGRES_CONFIG_STEPS: tuple[Migration, ...] = migrations("postgres_migrations")
"""What ``PostgresDatabase`` brings its database to."""


def postgres_config_store(database: PostgresDatabase) -> SqlConfigStore:
    """The store in ``database``, which has the steps ``POSTGRES_CONFIG_STEPS``.

    Several gateways may use it: nouns are written one writer after another, each against the versions it has seen, and a
    counter has the amount of whoever wrote it last.
    """
    return SqlConfigStore(database)
