"""Load on one route: requests by wrk, streams by ``bench.streams``, single calls by a client of ours."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import attrs

from bench.gateways import Route
from bench.processes import pause
from bench.streams import StreamReport
from bench.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["WrkReport", "call_latencies", "stream_load", "wrk"]

SCRIPT = """\
function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  wrk.headers["Content-Type"] = "application/json"
  file:close()
end

function done(summary, latency, requests)
  local e = summary.errors
  local errors = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format('\\nREPORT {"requests": %d, "seconds": %f, "errors": %d}\\n',
    summary.requests, summary.duration / 1e6, errors))
end
"""
PATIENCE_S = 60.0
READ_BYTES = 1 << 16


@attrs.frozen
class WrkReport:
    """``errors`` are refused connections, broken reads and writes, time-outs and statuses that are not 2xx or 3xx."""

    requests: int
    seconds: float
    errors: int

    @property
    def rate(self) -> float:
        return (self.requests - self.errors) / self.seconds


def wrk(folder: Path, route: Route, body: bytes, *, connections: int, seconds: int) -> WrkReport:
    """Requests one after another on each connection, for so many seconds."""
    script, payload = folder / "post.lua", folder / "body.json"
    script.write_text(SCRIPT)
    payload.write_bytes(body)
    headers = [part for name in route.headers for part in ("-H", f"{name}: {route.headers[name]}")]
    command = [
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)),
        *headers, route.url, "--", str(payload),
    ]  # fmt: skip
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=seconds + PATIENCE_S
    )
    return WrkReport(**json.loads(done.stdout.rpartition("REPORT ")[2]))


def stream_load(
    folder: Path, route: Route, kind: str, *, streams: int, seconds: float
) -> StreamReport:
    """So many streams at a time, for so many seconds."""
    request = folder / "stream.request"
    request.write_bytes(route.request(kind))
    client = [sys.executable, "-m", "bench.streams"]
    done = subprocess.run(
        [*client, str(route.port), str(request), str(streams), str(seconds)],
        check=True, capture_output=True, text=True, timeout=seconds + PATIENCE_S,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    fields: dict[str, Any] = json.loads(done.stdout)
    return StreamReport(**fields)


def call_latencies(
    routes: Mapping[str, Route], *, per_second: float, seconds: float
) -> dict[str, tuple[Sequence[float], int]]:
    """Calls at a fixed rate, to each route in turn, on one connection each: milliseconds, and failures, by name."""
    callers = {name: _Caller(route) for name, route in routes.items()}
    times: dict[str, list[float]] = {name: [] for name in routes}
    start = time.monotonic()
    for number, name in enumerate(_in_turn(routes, int(per_second * seconds))):
        pause(max(0.0, start + number / per_second - time.monotonic()))
        took = callers[name].call()
        if took is not None:
            times[name].append(took)
    for caller in callers.values():
        caller.close()
    return {name: (times[name], callers[name].failures) for name in routes}


def _in_turn(names: Iterable[str], count: int) -> Iterable[str]:
    known = list(names)
    return (known[number % len(known)] for number in range(count))


@attrs.define(eq=False)
class _Caller:
    """A keep-alive connection that is opened, and warmed by three calls, before the first one counts."""

    route: Route
    failures: int = 0
    _request: bytes = b""
    _socket: socket.socket | None = None

    def __attrs_post_init__(self) -> None:
        self._request = self.route.request("plain")
        for _ in range(3):
            self.call()

    def call(self) -> float | None:
        """Milliseconds from the first byte sent to the last one received; None if it failed."""
        try:
            return self._call()
        except OSError:
            self.failures += 1
            self.close()
            return None

    def _call(self) -> float:
        connection = self._socket or socket.create_connection(("127.0.0.1", self.route.port), 30)
        self._socket = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = Answer()
        start = time.perf_counter_ns()
        connection.sendall(self._request)
        while not answer.is_complete:
            data = connection.recv(READ_BYTES)
            if not data:
                raise ConnectionError("closed before the end of an answer")
            answer.feed(data)
        took = (time.perf_counter_ns() - start) / 1e6
        if answer.status != 200:
            raise ConnectionError(f"status {answer.status}")
        return took

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
