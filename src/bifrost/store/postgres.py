"""A Postgres database: one connection, used by one thread at a time, a transaction for each piece of work.

The connection is made by the first who needs it and anew after a failure. Whatever it waits for has an end: the server's
own limits on statements and locks, TCP's on a peer that says nothing, and ours on the whole.

Its commits are durable as the server is told (``synchronous_commit``). A connection that breaks during a commit leaves
open whether it was made: whoever has to know asks again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import attrs
import psycopg
import trio
from psycopg import errors

from bifrost.config.sections import PostgresSection
from bifrost.store.base import StoreAway, StoreBusy, StoreError
from bifrost.store.migrate import Brought, Migration, ahead
from bifrost.store.one_thread import OLDER, OneThread

if TYPE_CHECKING:
    from bifrost.store.config_table import Connection

__all__ = ["PostgresDatabase"]

T = TypeVar("T")

CONNECT_S = 5
CANCEL_S = 2.0
AGAIN_S = 0.1
STATEMENT_MS = 8_000
LOCK_MS = 5_000
"""For another gateway's transaction to end."""
IDLE_MS = 15_000
"""A transaction whose gateway has stopped is ended by the server, so that others can write."""

CHANGE = "BEGIN"
LOOK = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

MIGRATION_LOCK = 0x62_69_66_72_6F_73_74  # "bifrost"
VERSIONS = """
CREATE TABLE IF NOT EXISTS config_schema_versions (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
"""

TRANSIENT = (
    errors.QueryCanceled,
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.IdleInTransactionSessionTimeout,
)


@attrs.define(eq=False)
class _Turn:
    """One piece of work in its thread. What is under way when it is given up is cancelled at the server."""

    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _ended: threading.Event = attrs.field(factory=threading.Event, init=False)
    _connection: psycopg.Connection | None = attrs.field(default=None, init=False)
    _is_void: bool = attrs.field(default=False, init=False)

    def begin(self, connection: psycopg.Connection) -> None:
        with self._lock:
            self._connection = connection

    def check(self) -> None:
        if self._is_void:
            raise StoreBusy("the store was given up on")

    def end(self) -> None:
        with self._lock:
            self._connection = None
        self._ended.set()

    def give_up(self) -> None:
        self._is_void = True
        if self._connection is not None:
            # It asks the server over a connection of its own, so not in the event loop's thread.
            trio.lowlevel.start_thread_soon(self._cancel, lambda _: None)

    def _cancel(self) -> None:
        # Again, until it is over: a request that comes between two statements is lost.
        while not self._ended.is_set():
            # Under the lock, so that it is this turn's statement that is cancelled and not the next one's.
            with self._lock, suppress(psycopg.Error):
                if self._connection is not None:
                    self._connection.cancel_safe(timeout=CANCEL_S)
            self._ended.wait(AGAIN_S)


@attrs.frozen
class _Connection:
    """As ``config_table`` wants it."""

    _inner: psycopg.Connection
    _check: Callable[[], None]

    def run(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        self._check()
        cursor = self._inner.execute(_own(sql), values)
        return cursor.fetchall() if cursor.description else []

    def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self._check()
        with self._inner.cursor() as cursor:
            cursor.executemany(_own(sql), rows)


@attrs.define(eq=False)
class PostgresDatabase(OneThread):
    """The database of ``settings``, brought to the last of ``steps`` when it is opened."""

    settings: PostgresSection
    steps: Sequence[Migration]
    brought: Brought | None = attrs.field(default=None, init=False)
    """What opening it did to its tables."""
    _connection: psycopg.Connection | None = attrs.field(default=None, init=False)

    async def change(self, work: Callable[[Connection], T]) -> T:
        """``work``'s value; what it wrote is committed by then. It runs in a thread, in a transaction of its own.

        Raises StoreBusy and StoreAway. Cancelled, it is taken back, unless it was being committed.
        """
        return await self._take(work, CHANGE)

    async def look(self, work: Callable[[Connection], T]) -> T:
        """The same for ``work`` that only reads: it sees one moment, and waits for nobody who writes."""
        return await self._take(work, LOOK)

    async def ping(self) -> bool:
        """Whether the database can be read."""
        try:
            await self.look(lambda connection: connection.run("SELECT 1"))
        except StoreError:
            return False
        return True

    async def scrub(self) -> None:
        """Write the table of nouns anew, without former rows. The server's own logs may still have them."""
        turn = _Turn()
        await self.take_turn(partial(self._in_thread, _vacuum, None, turn), turn)

    async def aclose(self) -> None:
        """Close it, within a bounded time and even when cancelled. It opens again if it is asked for anything more."""
        await self.close_by(self._close)

    async def _take(self, work: Callable[[Connection], T], begin: str) -> T:
        turn = _Turn()
        return await self.take_turn(partial(self._in_thread, work, begin, turn), turn)

    # In the thread

    def _in_thread(self, work: Callable[[Connection], T], begin: str | None, turn: _Turn) -> T:
        try:
            connection = self._begun(begin or CHANGE)
            turn.begin(connection)
            try:
                if begin is None:
                    connection.execute("COMMIT")
                    return work(_Connection(connection, turn.check))
                return _transaction(connection, work, turn.check)
            finally:
                turn.end()
        except TRANSIENT as error:
            raise StoreBusy(_why(error)) from error
        except errors.DataError as error:
            raise StoreError(_why(error)) from error
        except psycopg.Error as error:
            self._close()
            raise StoreAway(_why(error)) from error

    def _begun(self, begin: str) -> psycopg.Connection:
        """A connection with a transaction open. One that the server has closed meanwhile shows here, and is replaced."""
        if self._connection is not None:
            try:
                self._connection.execute(_own(begin))
            except psycopg.OperationalError:
                self._close()
            else:
                return self._connection
        self._connection = self._open()
        self._connection.execute(_own(begin))
        return self._connection

    def _open(self) -> psycopg.Connection:
        connection = psycopg.connect(
            autocommit=True, prepare_threshold=None, **_address(self.settings)
        )
        try:
            _check_encoding(connection)
            for name, limit_ms in (
                ("statement_timeout", STATEMENT_MS),
                ("lock_timeout", LOCK_MS),
                ("idle_in_transaction_session_timeout", IDLE_MS),
            ):
                connection.execute("SELECT set_config(%s, %s, false)", (name, str(limit_ms)))
            if self.is_guest:
                _check_versions(connection, self.steps)
            else:
                with connection.transaction():
                    self.brought = _migrate(connection, self.steps)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _transaction(
    connection: psycopg.Connection, work: Callable[[Connection], T], check: Callable[[], None]
) -> T:
    try:
        value = work(_Connection(connection, check))
        check()
        connection.execute("COMMIT")
    except BaseException:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        raise
    return value


def _vacuum(connection: Connection) -> None:
    connection.run("VACUUM FULL config_nouns")


def _check_encoding(connection: psycopg.Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreAway(f"the database's encoding is {encoding}; it has to be UTF8")


def _migrate(connection: psycopg.Connection, steps: Sequence[Migration]) -> Brought:
    """In a transaction, and one gateway after another: the lock goes when the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    connection.execute(VERSIONS)
    done = _versions(connection)
    for step in ahead(done, steps):
        connection.execute(_own(step.sql))
        connection.execute(
            "INSERT INTO config_schema_versions (version, name) VALUES (%s, %s)",
            (step.version, step.name),
        )
    return Brought.by(done, steps)


def _check_versions(connection: psycopg.Connection, steps: Sequence[Migration]) -> None:
    ((table,),) = connection.execute("SELECT to_regclass('config_schema_versions')")
    if ahead(set() if table is None else _versions(connection), steps):
        raise StoreAway(OLDER)


def _versions(connection: psycopg.Connection) -> set[int]:
    return {row[0] for row in connection.execute("SELECT version FROM config_schema_versions")}


def _address(settings: PostgresSection) -> dict[str, Any]:
    password = settings.password.reveal() if settings.password else ""
    return {
        "host": settings.host,
        "port": settings.port,
        "user": settings.user,
        **({"password": password} if password else {}),
        "dbname": settings.db_name,
        "sslmode": settings.ssl_mode,
        "client_encoding": "UTF8",
        "application_name": "bifrost",
        "connect_timeout": CONNECT_S,
        "tcp_user_timeout": STATEMENT_MS,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
    }


def _own(sql: str) -> LiteralString:
    """With Postgres' sign for a value. All statements are ours, and none has a question mark or a per cent in it else."""
    return sql.replace("?", "%s")


def _why(error: psycopg.Error) -> str:
    """What failed, without the statement or a value of it."""
    name = type(error).__name__
    return f"Postgres: {name}" if error.sqlstate is None else f"Postgres: {name} ({error.sqlstate})"
