"""Processes that the benchmark starts: each in a session of its own, measured as a tree, stopped by its own id."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "NotReady",
    "cpu_s",
    "free_port",
    "launched",
    "pause",
    "quiet_environment",
    "resident_mib",
    "wait_until_ok",
]

STOP_S = 10.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class NotReady(Exception):
    """A process ended, or did not answer 200 in time."""


def pause(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 - the harness has no event loop that this could block


def quiet_environment() -> dict[str, str]:
    """What a server needs of ours and no more: no proxies, no credentials, no settings of other programs."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def launched(
    command: Sequence[str], *, log: Path, env: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """``command`` running in a new session, all it writes in ``log``; stopped, children too, at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=dict(env), cwd=folder,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process group to end, then insist. The group's id is ours: it is the session we made."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until_ok(process: subprocess.Popen[bytes], port: int, path: str, within_s: float) -> None:
    """Until ``GET path`` answers 200, asking every 5 ms. Raises NotReady."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotReady(f"{_name(process)} ended with {process.returncode} before it answered")
        if _status(port, path) == 200:
            return
        pause(0.005)
    raise NotReady(f"{_name(process)} gave no 200 on {path} within {within_s:g} s")


def _name(process: subprocess.Popen[bytes]) -> str:
    """Its command line, the head of it."""
    return " ".join(map(str, process.args))[:100] if isinstance(process.args, tuple | list) else ""


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def resident_mib(session: int) -> float:
    """Resident memory of all processes of the session, MiB; pages they share count once for each."""
    return sum(int(stat[21]) for stat in _stats(session)) * PAGE / 2**20


def cpu_s(session: int) -> float:
    """User and system time that the session's living processes have used so far, in seconds."""
    return sum(int(stat[11]) + int(stat[12]) for stat in _stats(session)) / TICKS


def _stats(session: int) -> Iterator[list[str]]:
    """The fields of ``/proc/PID/stat`` from the third (state) on. Source: proc_pid_stat(5)."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                yield fields
