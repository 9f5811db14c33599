"""The doorway to what a machine gives those who log in on it: its environment, its files, and services that only it has."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import attrs
import trio

from bifrost.config.settings import NetworkSettings
from bifrost.providers.login_steps import Answer
from bifrost.transport.pool import Connections, connections

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bifrost.providers.base import UpstreamRequest
    from bifrost.transport.base import Limits, UpstreamAnswer

__all__ = ["Machine", "ThisMachine"]

MAX_FILE_BYTES = 256 * 1024
"""Of a file of credentials; a longer one is none."""

READERS = 2
"""Threads that read such files at a time; the others wait."""


class Machine(Protocol):
    """Where the gateway runs, as far as logins go by it."""

    @property
    def environ(self) -> Mapping[str, str]: ...

    def wall(self) -> float:
        """Unix time, in seconds."""
        ...

    def open(
        self, request: UpstreamRequest, limits: Limits
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """As ``Upstream.open``, past every proxy."""
        ...

    async def read(self, path: str) -> Answer:
        """A file's bytes; 404 if it is not there, 403 if it is no file, too long, or not to be read.

        Cancellation leaves at once: a thread that hangs on a dead disk is left to itself.
        """
        ...


@attrs.define(eq=False)
class ThisMachine:
    """The real one. Reads certificates when a service is asked for the first time."""

    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    _clock: Callable[[], float] = time.time
    _connections: Connections | None = attrs.field(default=None, init=False)
    _limiter: trio.CapacityLimiter = attrs.field(
        factory=lambda: trio.CapacityLimiter(READERS), init=False
    )

    def wall(self) -> float:
        return self._clock()

    def open(
        self, request: UpstreamRequest, limits: Limits
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        if self._connections is None:
            self._connections = connections(NetworkSettings())
        return self._connections.open(request, limits)

    async def read(self, path: str) -> Answer:
        return await trio.to_thread.run_sync(
            _read, Path(path), limiter=self._limiter, abandon_on_cancel=True
        )

    def retire(self) -> None:
        """Close the connections that are kept here; the providers' upstreams are not this one's."""
        if self._connections is not None:
            self._connections.retire()


def _read(path: Path) -> Answer:
    try:
        if path.exists() and not path.is_file():
            return Answer(403)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return Answer(404)
    except (OSError, ValueError):
        return Answer(403)
    return Answer(403) if len(data) > MAX_FILE_BYTES else Answer(200, data)
