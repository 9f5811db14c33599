"""The statements of the configuration store, in the words that SQLite and Postgres share.

Plain functions over a connection in a transaction, which know no threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import attrs

from bifrost.codecs.json import dumps, loads
from bifrost.config.nouns import Change, Noun, Put, Remove
from bifrost.store.config_base import (
    MAX_BODY_BYTES,
    MAX_COUNTERS,
    MAX_NOUNS,
    MAX_SESSIONS,
    CounterRow,
    Loaded,
    StoreConflict,
    StoreError,
    StoreFull,
    StoreTaken,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "Connection",
    "add_session",
    "end_all_sessions",
    "end_session",
    "find_session",
    "forget_counters",
    "load",
    "write",
    "write_counters",
    "write_settings",
]


class Connection(Protocol):
    """A connection in a transaction; ``?`` stands for a value."""

    def run(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of one statement."""
        ...

    def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """One statement for each of ``rows``."""
        ...


Name = tuple[str, str]

COLUMNS = """kind, id, body, version, file_hash, changed_by_api, is_removed, sealed_with, created_at, updated_at"""
# The counter's row is locked until the end, so whoever else writes waits here and then sees what was written.
NEXT = "UPDATE config_revision SET revision = revision + ? RETURNING revision"
PUT = f"""
INSERT INTO config_nouns ({COLUMNS}, born) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body, version = excluded.version, file_hash = excluded.file_hash,
    changed_by_api = excluded.changed_by_api, is_removed = excluded.is_removed, sealed_with = excluded.sealed_with,
    created_at = excluded.created_at, updated_at = excluded.updated_at, born = excluded.born
"""  # noqa: S608  the columns are ours
MARK = """
UPDATE config_nouns SET body = '{}', version = ?, is_removed = ?, changed_by_api = ?, sealed_with = NULL, updated_at = ?
WHERE kind = ? AND id = ?
"""
COUNT = """
INSERT INTO config_counters VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET used = excluded.used, since = excluded.since
WHERE excluded.since >= config_counters.since
"""
SET = "INSERT INTO config_settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
ADD_SESSION = """
INSERT INTO config_sessions VALUES (?, ?) ON CONFLICT (token_hash) DO UPDATE SET expires_at = excluded.expires_at
"""
CROWDED = """
DELETE FROM config_sessions WHERE token_hash IN
    (SELECT token_hash FROM config_sessions WHERE token_hash <> ? ORDER BY expires_at DESC LIMIT 1000000 OFFSET ?)
"""


def load(connection: Connection) -> Loaded:
    rows = connection.run(f"SELECT {COLUMNS} FROM config_nouns ORDER BY born")  # noqa: S608  a constant
    nouns = [_noun(row) for row in rows]
    counters = connection.run("SELECT id, used, since FROM config_counters")
    return Loaded(
        nouns=tuple(noun for noun in nouns if not noun.is_removed),
        removed=tuple(noun for noun in nouns if noun.is_removed),
        counters={name: CounterRow(used, since) for name, used, since in counters},
        settings=dict(_pairs(connection.run("SELECT name, value FROM config_settings"))),
        revision=cast("int", connection.run("SELECT revision FROM config_revision")[0][0]),
    )


def write(connection: Connection, changes: Sequence[Change], now_s: float) -> tuple[Noun, ...]:
    names = [(change.kind, change.id) for change in changes]
    if len(set(names)) < len(names):
        raise StoreError("a noun comes twice in one write")
    if not changes:
        return ()
    bodies = [_encoded(change) for change in changes]
    latest = cast("int", connection.run(NEXT, (len(changes),))[0][0])
    versions = range(latest - len(changes) + 1, latest + 1)
    present = _present(connection)
    for change in changes:
        _check_version(change, present.get((change.kind, change.id)))
    _check_claims(connection, changes)
    connection.run_many("DELETE FROM config_claims WHERE kind = ? AND id = ?", names)
    made = [
        (change, _made(change, present.get((change.kind, change.id)), version, now_s), body)
        for change, version, body in zip(changes, versions, bodies, strict=True)
        if isinstance(change, Put)
    ]
    # Each statement for all rows at once: over a network it is the round trips that count.
    connection.run_many(PUT, [_row(noun, body, born) for _, (noun, born), body in made])
    claims = [(claim, put.kind, put.id) for put, _, _ in made for claim in put.unique]
    connection.run_many("INSERT INTO config_claims VALUES (?, ?, ?)", claims)
    _remove(connection, changes, present, versions, now_s)
    _check_room(connection)
    return tuple(noun for _, (noun, _), _ in made)


def write_counters(connection: Connection, counters: Mapping[str, CounterRow]) -> None:
    if len(counters) > MAX_COUNTERS:
        raise StoreFull("too many counters")
    # In the order of their names: two writers who lock rows in different orders would wait for each other.
    rows = [(name, row.used, row.since_unix_s) for name, row in sorted(counters.items())]
    connection.run_many(COUNT, rows)


def forget_counters(connection: Connection, ids: Iterable[str]) -> None:
    connection.run_many(
        "DELETE FROM config_counters WHERE id = ?", [(name,) for name in sorted(ids)]
    )


def write_settings(connection: Connection, settings: Mapping[str, str | None]) -> None:
    for name, value in sorted(settings.items()):
        if value is None:
            connection.run("DELETE FROM config_settings WHERE name = ?", (name,))
        else:
            connection.run(SET, (name, value))


def add_session(
    connection: Connection, token_hash: str, expires_unix_s: float, now_s: float
) -> None:
    connection.run("DELETE FROM config_sessions WHERE expires_at <= ?", (now_s,))
    connection.run(ADD_SESSION, (token_hash, expires_unix_s))
    connection.run(CROWDED, (token_hash, MAX_SESSIONS - 1))


def find_session(connection: Connection, token_hash: str, now_s: float) -> float | None:
    rows = connection.run(
        "SELECT expires_at FROM config_sessions WHERE token_hash = ? AND expires_at > ?",
        (token_hash, now_s),
    )
    return cast("float", rows[0][0]) if rows else None


def end_session(connection: Connection, token_hash: str) -> None:
    connection.run("DELETE FROM config_sessions WHERE token_hash = ?", (token_hash,))


def end_all_sessions(connection: Connection) -> None:
    connection.run("DELETE FROM config_sessions")


# Nouns


@attrs.frozen
class _Present:
    """What is there of a noun: its version, whether it is only a mark, when it was made, what the file said."""

    version: int
    is_removed: bool
    born: int
    created_unix_s: float
    file_hash: str | None


def _present(connection: Connection) -> dict[Name, _Present]:
    rows = connection.run(
        "SELECT kind, id, version, is_removed, born, created_at, file_hash FROM config_nouns"
    )
    return {(kind, noun_id): _Present(*rest) for kind, noun_id, *rest in rows}


def _check_version(change: Change, present: _Present | None) -> None:
    version = None if present is None or present.is_removed else present.version
    if isinstance(change, Remove) and present is not None and change.for_good:
        version = present.version
    if change.expected is not None and change.expected != (version or 0):
        raise StoreConflict(change.kind, change.id, version)


def _check_claims(connection: Connection, changes: Sequence[Change]) -> None:
    """Against each other, and against the claims of nouns that this write leaves alone."""
    touched = {(change.kind, change.id) for change in changes}
    rows = connection.run("SELECT claim, kind, id FROM config_claims")
    taken = {claim: (kind, noun_id) for claim, kind, noun_id in rows}
    held = {claim: holder for claim, holder in taken.items() if holder not in touched}
    for change in changes:
        for claim in change.unique if isinstance(change, Put) else ():
            holder = held.setdefault(claim, (change.kind, change.id))
            if holder != (change.kind, change.id):
                raise StoreTaken(claim, *holder)


def _made(put: Put, former: _Present | None, version: int, now_s: float) -> tuple[Noun, int]:
    """The noun as it will be, and its first version."""
    is_new = former is None or former.is_removed
    noun = Noun(
        kind=put.kind,
        id=put.id,
        body=put.body,
        version=version,
        file_hash=put.file_hash or (former.file_hash if former else None),
        changed_by_api=put.changed_by_api,
        sealed_with=put.sealed_with,
        created_unix_s=now_s if former is None or is_new else former.created_unix_s,
        updated_unix_s=now_s,
    )
    return noun, version if former is None or is_new else former.born


def _row(noun: Noun, body: str, born: int) -> tuple[object, ...]:
    flags = (noun.file_hash, noun.changed_by_api, noun.is_removed, noun.sealed_with)
    times = (noun.created_unix_s, noun.updated_unix_s)
    return (noun.kind, noun.id, body, noun.version, *flags, *times, born)


def _remove(
    connection: Connection,
    changes: Sequence[Change],
    present: Mapping[Name, _Present],
    versions: Sequence[int],
    now_s: float,
) -> None:
    """Take away what is to be removed; of what the file has a mark stays."""
    gone: list[Name] = []
    marked: list[tuple[object, ...]] = []
    for change, version in zip(changes, versions, strict=True):
        name = change.kind, change.id
        former = present.get(name)
        if not isinstance(change, Remove) or former is None:
            continue
        if former.file_hash is None or change.for_good:
            gone.append(name)
        elif not former.is_removed:
            marked.append((version, True, True, now_s, *name))
    connection.run_many("DELETE FROM config_nouns WHERE kind = ? AND id = ?", gone)
    connection.run_many(MARK, marked)


def _check_room(connection: Connection) -> None:
    count = connection.run("SELECT count(*) FROM config_nouns")[0][0]
    if count > MAX_NOUNS:
        raise StoreFull(f"more than {MAX_NOUNS} nouns")


def _encoded(change: Change) -> str:
    """The body in JSON. Everything is looked at before the database is, and whatever it can keep, every engine can."""
    names = (change.id, *(change.unique if isinstance(change, Put) else ()))
    try:
        body = dumps(change.body if isinstance(change, Put) else {})
        "".join(names).encode()
    except (TypeError, UnicodeEncodeError):
        text = f"{change.kind}: a value that is no JSON, or a text that is no Unicode"
        raise StoreError(text) from None
    # Postgres knows no text with a NUL; in the body it is escaped.
    if any("\0" in name for name in names):
        raise StoreError(f"{change.kind}: a name with a NUL character")
    if len(body) > MAX_BODY_BYTES:
        raise StoreFull(f"{change.kind}: more than {MAX_BODY_BYTES} bytes")
    return body.decode()


def _noun(row: Sequence[Any]) -> Noun:
    kind, noun_id, body, version, file_hash, by_api, is_removed, sealed, created, updated = row
    return Noun(
        kind=kind,
        id=noun_id,
        body=loads(body),
        version=version,
        file_hash=file_hash,
        changed_by_api=bool(by_api),
        is_removed=bool(is_removed),
        sealed_with=sealed,
        created_unix_s=created,
        updated_unix_s=updated,
    )


def _pairs(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in rows)
