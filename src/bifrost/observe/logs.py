"""Process logs: structured lines, rendered at once and written by a task of their own.

A pipe that nobody reads must not stop the gateway: lines wait in a bounded buffer, a thread writes them in batches, and
what does not fit is dropped and counted.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import attrs
import orjson
import trio

from bifrost.config.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Entry = dict[str, Any]

__all__ = ["LEVELS", "Logs", "Sink"]

LEVELS = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40}

MAX_LINES = 20_000
MAX_BYTES = 16 * 1024 * 1024
BATCH_S = 0.05
"""How long lines are gathered before they are written together."""
FLUSH_S = 2.0

_SECRET_NAMES = re.compile(
    r"authorization|api[-_]?key$|password|secret|token$|credential", re.IGNORECASE
)
STARS = "***"


@attrs.define(eq=False)
class Sink:
    """Where lines go: a file descriptor. ``dropped`` counts what the buffer had no room for.

    Before ``run`` and after it lines are written directly.
    """

    fd: int = 2
    dropped: int = 0
    _lines: deque[bytes] = attrs.field(factory=deque, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _is_running: bool = attrs.field(default=False, init=False)
    _arrived: trio.Event = attrs.field(factory=trio.Event, init=False)

    def put(self, line: bytes) -> None:
        """Take one line. Never waits while ``run`` is at work; the newest is dropped when the buffer is full."""
        if not self._is_running:
            _write(self.fd, line)
            return
        if len(self._lines) >= MAX_LINES or self._bytes + len(line) > MAX_BYTES:
            self.dropped += 1
            return
        self._lines.append(line)
        self._bytes += len(line)
        if not self._arrived.is_set():
            self._arrived.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; then what is left, within ``FLUSH_S``."""
        self._is_running = True
        limiter = trio.CapacityLimiter(1)
        task_status.started()
        try:
            while True:
                await self._arrived.wait()
                await trio.sleep(BATCH_S)
                await self._write_batch(limiter)
        finally:
            with trio.move_on_after(FLUSH_S, shield=True):
                await self._write_batch(limiter)
            self._is_running = False

    async def _write_batch(self, limiter: trio.CapacityLimiter) -> None:
        self._arrived = trio.Event()
        if not self._lines:
            return
        batch = b"".join(self._lines)
        self._lines.clear()
        # Still counted until it is out, so that a stuck reader cannot make us hold two buffers full.
        await trio.to_thread.run_sync(
            partial(_write, self.fd, batch), abandon_on_cancel=True, limiter=limiter
        )
        self._bytes = sum(map(len, self._lines))


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except OSError:
            # A log that cannot be written (closed pipe, full disk) must not take the gateway with it.
            return


class _Stamper:
    """Tells the time, ISO 8601 in UTC to the microsecond. The part to the second is written once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._told = ""

    def now(self) -> str:
        second, rest_ns = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._second = second
            self._told = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._told}.{rest_ns // 1000:06}Z"


@attrs.define(eq=False)
class Logs:
    """The log, by level. Lines below ``level`` cost a comparison and nothing else."""

    level: int
    style: Literal["json", "pretty"]
    sink: Sink
    _stamp: _Stamper = attrs.field(factory=_Stamper, init=False)

    def is_on(self, level: str) -> bool:
        """Whether lines of ``level`` are written."""
        return LEVELS[level] >= self.level

    def line(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """One line."""
        if self.is_on(level):
            entry = {"level": level, **fields, "event": event, "timestamp": self._stamp.now()}
            _mask(entry)
            self.sink.put(_RENDERERS[self.style](entry))

    def debug(self, event: str, **fields: object) -> None:
        self.line("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        self.line("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self.line("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self.line("error", event, fields)


def _mask(entry: Entry) -> None:
    """The last line of defence: a field with the name of a secret is not written, whatever is in it.

    A ``Secret`` under another name is for ``_default``.
    """
    for name, value in entry.items():
        if type(value) is dict:
            entry[name] = {key: STARS if _is_secret(str(key)) else v for key, v in value.items()}
        if name not in _harmless and _is_secret(name):
            entry[name] = STARS


_harmless: set[str] = set()
"""Names that were looked at before and are no secret's."""

MAX_HARMLESS = 1024


def _is_secret(name: str) -> bool:
    if _SECRET_NAMES.search(name) is not None:
        return True
    if len(_harmless) < MAX_HARMLESS:
        _harmless.add(name)
    return False


def _default(value: object) -> object:
    return STARS if isinstance(value, Secret) else str(value)


def _render_json(entry: Entry) -> bytes:
    try:
        return orjson.dumps(entry, default=_default, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, ValueError):
        # Lone surrogates and the like, out of a caller's header: told as far as they can be.
        safe = {
            name: str(value).encode("utf-8", "replace").decode() for name, value in entry.items()
        }
        return orjson.dumps(safe, option=orjson.OPT_APPEND_NEWLINE)


def _render_pretty(entry: Entry) -> bytes:
    """``time level event name=value …``; values are JSON, so no line break of a caller's starts a line of ours."""
    time, level, event = entry.pop("timestamp"), entry.pop("level"), entry.pop("event")
    fields = " ".join(f"{name}={_value(value)}" for name, value in entry.items())
    return f"{time} {level:<7} {_plain(event)} {fields}\n".encode("utf-8", "replace")


def _value(value: object) -> str:
    if isinstance(value, str) and value.isalnum():
        return value
    try:
        return orjson.dumps(value, default=_default).decode()
    except (TypeError, ValueError):
        return repr(str(value))


def _plain(text: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(text))


_RENDERERS: Mapping[str, Callable[[Entry], bytes]] = {
    "json": _render_json,
    "pretty": _render_pretty,
}
