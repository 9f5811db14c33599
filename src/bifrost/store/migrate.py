"""Numbered SQL files, applied in order and once: a database only ever goes forward."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import attrs

from bifrost.store.base import StoreAway

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import apsw

__all__ = ["Brought", "Migration", "ahead", "migrate", "migrations", "versions"]

NAME = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")

VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_versions (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
) STRICT
"""


@attrs.frozen
class Migration:
    """One step. ``sql`` may hold several statements, but none that begins or ends a transaction."""

    version: int
    name: str
    sql: str = attrs.field(repr=False)


@attrs.frozen
class Brought:
    """From which version to which a database was brought; 0 is an empty one."""

    before: int
    after: int

    @classmethod
    def by(cls, done: Collection[int], steps: Sequence[Migration]) -> Brought:
        """What the ``steps`` did that were not ``done``."""
        return cls(max(done, default=0), max((step.version for step in steps), default=0))


def migrations(folder: str = "migrations") -> tuple[Migration, ...]:
    """Those that come with the gateway, ``NNNN_name.sql`` of ``folder``, in their order."""
    found = (
        Migration(int(named[1]), named[2], file.read_text(encoding="utf-8"))
        for file in files("bifrost.store").joinpath(folder).iterdir()
        if (named := NAME.fullmatch(file.name))
    )
    return tuple(sorted(found, key=lambda each: each.version))


def migrate(connection: apsw.Connection, steps: Sequence[Migration]) -> Brought:
    """Bring a database to the last of ``steps``, inside the transaction that is open.

    Raises StoreAway if it has been further already: what a newer gateway wrote, an older one must not touch.
    """
    connection.execute(VERSIONS)
    done = versions(connection)
    for step in ahead(done, steps):
        connection.execute(step.sql)
        connection.execute(
            "INSERT INTO schema_versions (version, name) VALUES (?, ?)",
            (step.version, step.name),
        )
    return Brought.by(done, steps)


def versions(connection: apsw.Connection) -> set[int]:
    """The steps that are done; none in a database that was never brought anywhere."""
    there = "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_versions'"
    if not connection.execute(there).get:
        return set()
    return {int(row[0]) for row in connection.execute("SELECT version FROM schema_versions")}


def ahead(done: Collection[int], steps: Sequence[Migration]) -> tuple[Migration, ...]:
    """Those of ``steps`` that are not ``done``. Raises StoreAway if something is done that is not among them."""
    if unknown := set(done) - {step.version for step in steps}:
        text = f"the database is of a newer version ({max(unknown)}) than this gateway knows"
        raise StoreAway(text)
    return tuple(step for step in steps if step.version not in done)
