"""A store for the merge to be tried against: the real tables, in memory, and means that are no secret."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import apsw
import attrs

from bifrost.config.fingerprints import Fingerprints
from bifrost.config.merge import Means, Merged, merge
from bifrost.config.nouns import ANY, Body, Noun, Put, Remove, claims
from bifrost.store import config_table
from bifrost.store.config_sqlite import CONFIG_STEPS, SqliteConnection
from bifrost.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Kept", "PlainPasswords"]


class PlainPasswords:
    """Hashes that anybody can read."""

    def hash(self, password: str) -> str:
        return password if password.startswith("hash of ") else f"hash of {password}"

    def fits(self, hashed: str, password: str) -> bool:
        return hashed in (password, f"hash of {password}")


def _values() -> Callable[[], str]:
    count = itertools.count(1)
    return lambda: f"sk-bf-{next(count)}"


@attrs.define(eq=False)
class Kept:
    """What is kept, and what a start, or somebody at the API, makes of it."""

    connection: SqliteConnection = attrs.field(init=False)
    means: Means = attrs.field(
        factory=lambda: Means(Fingerprints(), PlainPasswords(), _values()), init=False
    )

    def __attrs_post_init__(self) -> None:
        inner = apsw.Connection(":memory:")
        with inner:
            migrate(inner, CONFIG_STEPS)
        self.connection = SqliteConnection(inner)

    def look(self, tree: object) -> Merged:
        loaded = config_table.load(self.connection)
        return merge(tree, loaded.nouns, loaded.removed, self.means)

    def start(self, tree: object) -> Merged:
        """Merge and write."""
        merged = self.look(tree)
        config_table.write(self.connection, merged.changes, 1.0)
        return merged

    def api_puts(self, kind: str, noun_id: str, body: Body) -> None:
        put = Put(kind=kind, id=noun_id, body=body, expected=ANY, unique=claims(kind, body))
        config_table.write(self.connection, [put], 2.0)

    def api_changes(self, kind: str, noun_id: str, **members: Any) -> None:
        self.api_puts(kind, noun_id, {**self.noun(kind, noun_id).body, **members})

    def api_removes(self, kind: str, noun_id: str) -> None:
        config_table.write(self.connection, [Remove(kind=kind, id=noun_id)], 2.0)

    @property
    def nouns(self) -> dict[tuple[str, str], Noun]:
        return {(noun.kind, noun.id): noun for noun in config_table.load(self.connection).nouns}

    def noun(self, kind: str, noun_id: str) -> Noun:
        return self.nouns[kind, noun_id]
