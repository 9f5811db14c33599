"""A SQLite file: one connection, used by one thread at a time, a transaction for each piece of work.

The connection is opened by the first who needs it and anew after a failure, so that a disk that was away for a while
needs no restart. A file has one gateway: a lock beside it says so, and goes with the process however that ends.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw
import attrs

from bifrost.store.base import StoreAway, StoreBusy, StoreError
from bifrost.store.migrate import Brought, Migration, ahead, migrate, migrations, versions
from bifrost.store.one_thread import OLDER, OneThread

__all__ = ["SqliteFile"]

T = TypeVar("T")

BUSY_S = 5.0
"""For somebody else's lock on the file (a shell, a backup) to go."""
MAX_WAL_BYTES = 64 * 1024 * 1024

CHANGE = "BEGIN IMMEDIATE"
LOOK = "BEGIN DEFERRED"

TRANSIENT = (apsw.BusyError, apsw.LockedError, apsw.InterruptError)


@attrs.define(eq=False)
class _Turn:
    """One piece of work in its thread. ``give_up`` is called from another: what is not committed by then will not be."""

    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _connection: apsw.Connection | None = attrs.field(default=None, init=False)
    _is_void: bool = attrs.field(default=False, init=False)

    def begin(self, connection: apsw.Connection) -> None:
        with self._lock:
            self._connection = connection

    def check(self) -> None:
        if self._is_void:
            raise StoreBusy("the store was given up on")

    def end(self) -> None:
        with self._lock:
            self._connection = None

    def give_up(self) -> None:
        self._is_void = True
        # Under the lock, so that it is this turn's statement that is interrupted and not the next one's.
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()


@attrs.define(eq=False)
class SqliteFile(OneThread):
    """The file at ``path``, brought to the last of ``steps`` when it is opened."""

    path: Path
    steps: Sequence[Migration] = attrs.field(factory=migrations)
    busy_s: float = BUSY_S
    overwrites: bool = False
    """What is deleted is overwritten: it may have been a secret that is kept sealed from now on."""
    brought: Brought | None = attrs.field(default=None, init=False)
    """What opening it did to its tables."""
    _connection: apsw.Connection | None = attrs.field(default=None, init=False)
    _lock_fd: int | None = attrs.field(default=None, init=False)

    async def change(self, work: Callable[[apsw.Connection], T]) -> T:
        """``work``'s value; what it wrote is on disk by then. It runs in a thread, in a transaction of its own.

        Raises StoreBusy and StoreAway. Cancelled, it is taken back, unless it was being committed.
        """
        return await self._take(work, CHANGE)

    async def look(self, work: Callable[[apsw.Connection], T]) -> T:
        """The same for ``work`` that only reads: it waits for no other process that writes."""
        return await self._take(work, LOOK)

    async def ping(self) -> bool:
        """Whether the file can be read."""
        try:
            await self.look(_ping)
        except StoreError:
            return False
        return True

    async def scrub(self) -> None:
        """Bring the log of changes into the file and empty it. With ``overwrites`` nothing of what was deleted is left then.

        Raises StoreBusy if somebody else is reading, and StoreAway.
        """
        turn = _Turn()
        await self.take_turn(partial(self._in_thread, _checkpoint, None, turn), turn)

    async def aclose(self) -> None:
        """Close it, within a bounded time and even when cancelled. It opens again if it is asked for anything more."""
        await self.close_by(self._close)

    async def _take(self, work: Callable[[apsw.Connection], T], begin: str) -> T:
        turn = _Turn()
        return await self.take_turn(partial(self._in_thread, work, begin, turn), turn)

    # In the thread

    def _in_thread(self, work: Callable[[apsw.Connection], T], begin: str | None, turn: _Turn) -> T:
        try:
            connection = self._opened()
            turn.begin(connection)
            try:
                if begin is None:
                    return work(connection)
                return _transaction(connection, work, begin, turn.check)
            finally:
                turn.end()
        except TRANSIENT as error:
            raise StoreBusy(_why(error)) from error
        except (apsw.Error, OSError) as error:
            # A connection that failed is not worth asking again; a new one may find the disk back.
            self._close()
            raise StoreAway(_why(error)) from error

    def _opened(self) -> apsw.Connection:
        if self._connection is None:
            if not self.is_guest:
                self._lock()
            try:
                self._connection = self._visit() if self.is_guest else self._open()
            except BaseException:
                self._close()
                raise
        return self._connection

    def _lock(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file of its own: closing any descriptor of the database would drop SQLite's locks on it.
        fd = _private_file(self.path.with_name(f"{self.path.name}.lock"))
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise StoreAway("the database is in use by another gateway") from None
        self._lock_fd = fd

    def _open(self) -> apsw.Connection:
        # Prompts and answers are in it. SQLite gives its other files the same mode.
        os.close(_private_file(self.path))
        connection = apsw.Connection(str(self.path))
        try:
            connection.set_busy_timeout(int(self.busy_s * 1000))
            connection.pragma("journal_mode", "wal")
            # In WAL mode less than FULL forgets the latest commits when the power fails; a job might then run twice.
            connection.pragma("synchronous", "full")
            connection.pragma("foreign_keys", "on")
            connection.pragma("journal_size_limit", MAX_WAL_BYTES)
            connection.pragma("secure_delete", "on" if self.overwrites else "off")
            steps = partial(migrate, steps=self.steps)
            self.brought = _transaction(connection, steps, CHANGE, _go_on)
        except BaseException:
            connection.close()
            raise
        return connection

    def _visit(self) -> apsw.Connection:
        # Read-only would not do: a reader of a WAL file has to write down that it reads.
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(int(self.busy_s * 1000))
            connection.pragma("query_only", "on")
            _transaction(connection, partial(_check_versions, steps=self.steps), LOOK, _go_on)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(apsw.Error):
                connection.close()
        fd, self._lock_fd = self._lock_fd, None
        if fd is not None:
            os.close(fd)


def _transaction(
    connection: apsw.Connection,
    work: Callable[[apsw.Connection], T],
    begin: str,
    check: Callable[[], None],
) -> T:
    connection.execute(begin)
    try:
        check()
        value = work(connection)
        check()
        connection.execute("COMMIT")
    finally:
        # SQLite has already rolled back by itself after some errors.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return value


def _check_versions(connection: apsw.Connection, steps: Sequence[Migration]) -> None:
    if ahead(versions(connection), steps):
        raise StoreAway(OLDER)


def _checkpoint(connection: apsw.Connection) -> None:
    ((is_busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if is_busy:
        raise StoreBusy("the store is being read")


def _ping(connection: apsw.Connection) -> None:
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _go_on() -> None:
    """Nobody gives up on an opening: what it did stands for the next who comes."""


def _private_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _why(error: apsw.Error | OSError) -> str:
    """What failed, without the statement or a value of it."""
    if isinstance(error, OSError):
        return f"the store's file: {error.strerror}"
    return f"SQLite: {type(error).__name__.removesuffix('Error')}"
