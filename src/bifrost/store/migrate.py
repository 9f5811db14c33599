"""Numbered SQL files, applied in order and once: a database only ever goes forward."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import attrs

from bifrost.store.base import StoreAway

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

__all__ = ["Migration", "migrate", "migrations"]

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


def migrations() -> tuple[Migration, ...]:
    """Those that come with the gateway, ``migrations/NNNN_name.sql``, in their order."""
    found = (
        Migration(int(named[1]), named[2], file.read_text(encoding="utf-8"))
        for file in files("bifrost.store").joinpath("migrations").iterdir()
        if (named := NAME.fullmatch(file.name))
    )
    return tuple(sorted(found, key=lambda each: each.version))


def migrate(connection: apsw.Connection, steps: Sequence[Migration]) -> None:
    """Bring a database to the last of ``steps``, inside the transaction that is open.

    Raises StoreAway if it has been further already: what a newer gateway wrote, an older one must not touch.
    """
    connection.execute(VERSIONS)
    done = {row[0] for row in connection.execute("SELECT version FROM schema_versions")}
    if unknown := done - {step.version for step in steps}:
        text = f"the database is of a newer version ({max(unknown)}) than this gateway knows"
        raise StoreAway(text)
    for step in steps:
        if step.version not in done:
            connection.execute(step.sql)
            connection.execute(
                "INSERT INTO schema_versions (version, name) VALUES (?, ?)",
                (step.version, step.name),
            )
