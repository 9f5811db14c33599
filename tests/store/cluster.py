"""A Postgres of the tests' own: started once, by ``scripts/postgres-for-tests``, and stopped with them.

Where its programs are missing its tests fail, unless ``BIFROST_TESTS_WITHOUT_POSTGRES`` says that they are to be left out;
then the summary of the run has a line about it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import psycopg

from bifrost.config.sections import PostgresSection

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ENGINES", "WITHOUT", "Cluster", "cluster"]

WITHOUT = bool(os.environ.get("BIFROST_TESTS_WITHOUT_POSTGRES"))
ENGINES = ("sqlite",) if WITHOUT else ("sqlite", "postgres")
SCRIPT = Path(__file__).parents[2] / "scripts" / "postgres-for-tests"
START_S = 60


@attrs.frozen
class Cluster:
    port: int

    def section(self, db_name: str = "postgres") -> PostgresSection:
        return PostgresSection(
            host="127.0.0.1", port=self.port, user="bifrost", db_name=db_name, ssl_mode="disable"
        )

    def connect(self, db_name: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="bifrost", dbname=db_name, autocommit=True
        )

    def empty(self) -> None:
        """Nothing is in it any more, and nobody is connected."""
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bifrost'"
            )
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")


@contextmanager
def cluster() -> Iterator[Cluster]:
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="bifrost-postgres-") as folder:
        # Not pytest's own folders: only their owner may enter them, and Postgres is not run by root.
        log = Path(folder, "log")
        with log.open("wb") as output:
            server = subprocess.Popen([SCRIPT, folder, str(port)], stdout=output, stderr=output)
        try:
            yield _awaited(Cluster(port), server, log)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=START_S)


def _awaited(there: Cluster, server: subprocess.Popen[bytes], log: Path) -> Cluster:
    end_s = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < end_s:
        try:
            there.connect().close()
        except psycopg.OperationalError:
            time.sleep(0.05)  # noqa: TID251  a real process gives no event to wait for
        else:
            return there
    raise AssertionError(f"no Postgres for the tests:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
