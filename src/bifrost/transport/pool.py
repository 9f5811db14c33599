"""Kept connections of one provider under one configuration, and the exchanges that run on them.

A connection is lent to one exchange at a time. The last one given back is the first to be lent (LIFO), so that
the rest can grow old and be closed. Nothing here runs by itself: what is too old is closed when somebody comes by.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from functools import cache, partial
from typing import TYPE_CHECKING, Final

import attrs
import trio
from outcome import Value

from bifrost.config.settings import NetworkSettings
from bifrost.errors import QueueFull, UpstreamTimeout
from bifrost.transport.answer import Answer
from bifrost.transport.dial import Dial, dial_with, tls_context
from bifrost.transport.faults import broken, connect_timeout, deadline_passed, first_byte_timeout
from bifrost.transport.wire import Body, Heads, Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from bifrost.providers.base import Origin, UpstreamRequest
    from bifrost.transport.base import Limits, Patience, UpstreamAnswer
    from bifrost.transport.response import ResponseReader

__all__ = ["MAX_AGE_S", "MAX_IDLE_S", "MAX_WAITING", "Connections", "PoolStatistics", "connections"]

MAX_IDLE_S: Final = 30.0
MAX_AGE_S: Final = 300.0
SWEEP_S: Final = 5.0
"""How often, at most, the connections of all origins are looked through."""

MAX_WAITING: Final = 10_000
"""Exchanges waiting for a connection to one origin: as many as the door lets in."""


@attrs.frozen(kw_only=True)
class PoolStatistics:
    """The pool at one moment; ``created`` and ``reused`` count from its beginning."""

    open: int
    """Connections, those being opened included."""
    idle: int
    waiting: int
    """Exchanges waiting for one."""
    created: int
    reused: int
    """Exchanges begun on a connection that had carried another."""


@attrs.define(eq=False)
class _Host:
    """The connections to one origin. ``open`` counts idle, lent and those being opened."""

    open: int = 0
    idle: deque[Wire] = attrs.field(factory=deque)
    waiting: OrderedDict[trio.lowlevel.Task, None] = attrs.field(factory=OrderedDict)


class Connections:
    """Our own HTTP/1.1 to one provider. Implements ``Upstream``.

    At most ``max_per_host`` connections are open to an origin; who needs one more waits in line, within his
    ``connect_s``.
    """

    def __init__(self, dial: Dial, *, max_per_host: int = 5000) -> None:
        self.heads = Heads()
        self._dial = dial
        self._max_per_host = max_per_host
        self._hosts: dict[Origin, _Host] = {}
        self._is_retired = False
        self._next_sweep_s = 0.0
        self._created = 0
        self._reused = 0

    def open(
        self, request: UpstreamRequest, limits: Limits
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """As ``Upstream.open``. Also raises BadRequest if ``request`` cannot be written, QueueFull if the line is full."""
        return _Opening(self, request, limits)

    def retire(self) -> None:
        """As ``Upstream.retire``: from now on every connection is closed when its exchange ends."""
        self._is_retired = True
        for origin, host in list(self._hosts.items()):
            while host.idle:
                self._drop(origin, host.idle.pop())

    def statistics(self) -> PoolStatistics:
        hosts = self._hosts.values()
        return PoolStatistics(
            open=sum(host.open for host in hosts),
            idle=sum(len(host.idle) for host in hosts),
            waiting=sum(len(host.waiting) for host in hosts),
            created=self._created,
            reused=self._reused,
        )

    def lend_kept(self, origin: Origin, now_s: float) -> Wire | None:
        """A kept connection for one exchange, if there is a live one. Give it back with ``take_back``."""
        host = self._hosts.get(origin)
        while host is not None and host.idle:
            wire = host.idle.pop()
            if _is_usable(wire, now_s) and not wire.line.is_readable():
                self._reused += 1
                return wire
            self._drop(origin, wire)
        return None

    async def lend(self, origin: Origin) -> Wire:
        """A fresh connection for one exchange, or in its turn another's. Give it back with ``take_back``.

        Raises NetworkError, QueueFull.
        """
        host = self._hosts.setdefault(origin, _Host())
        if host.open >= self._max_per_host:
            handed = await self._wait_in_line(host)
            if handed is not None:
                self._reused += 1
                return handed
        else:
            host.open += 1
        return await self._dial_into_slot(origin)

    async def replace(self, origin: Origin, wire: Wire) -> Wire:
        """A fresh connection in the place of one that has died."""
        wire.line.hang_up()
        return await self._dial_into_slot(origin)

    def take_back(self, origin: Origin, wire: Wire, *, is_reusable: bool) -> None:
        """Keep ``wire``, hand it to who waits for one, or close it."""
        now_s = trio.current_time()
        wire.idle_since_s = now_s
        if not is_reusable or self._is_retired or now_s - wire.opened_s >= MAX_AGE_S:
            self._drop(origin, wire)
        elif (host := self._hosts[origin]).waiting:
            _hand(host, wire)
        else:
            host.idle.append(wire)
        if now_s >= self._next_sweep_s:
            self._sweep(now_s)

    async def _dial_into_slot(self, origin: Origin) -> Wire:
        try:
            line = await self._dial(origin)
        except BaseException:
            self._free_slot(origin)
            raise
        self._created += 1
        return Wire(line, opened_s=trio.current_time())

    async def _wait_in_line(self, host: _Host) -> Wire | None:
        """Somebody's connection as he is done with it, or ``None`` for the place of one that was closed."""
        if len(host.waiting) >= MAX_WAITING:
            raise QueueFull("too many requests are waiting for a connection to the provider")
        task = trio.lowlevel.current_task()
        host.waiting[task] = None

        def leave(_: object) -> trio.lowlevel.Abort:
            del host.waiting[task]
            return trio.lowlevel.Abort.SUCCEEDED

        handed: Wire | None = await trio.lowlevel.wait_task_rescheduled(leave)
        return handed

    def _drop(self, origin: Origin, wire: Wire) -> None:
        wire.line.hang_up()
        self._free_slot(origin)

    def _free_slot(self, origin: Origin) -> None:
        host = self._hosts[origin]
        if host.waiting:
            _hand(host, None)
            return
        host.open -= 1
        if not host.open:
            del self._hosts[origin]

    def _sweep(self, now_s: float) -> None:
        self._next_sweep_s = now_s + SWEEP_S
        for origin, host in list(self._hosts.items()):
            while host.idle and not _is_usable(host.idle[0], now_s):
                self._drop(origin, host.idle.popleft())


def _hand(host: _Host, wire: Wire | None) -> None:
    """To the first in line. A task once woken cannot be cancelled any more before it has got it."""
    task, _ = host.waiting.popitem(last=False)
    trio.lowlevel.reschedule(task, Value(wire))


def _has_died(wire: Wire, reader: ResponseReader) -> bool:
    """Whether the upstream closed ``wire``, which had been kept, while the request was on its way."""
    return reader.fault is not None and not reader.started and wire.exchanges > 1


def _is_usable(wire: Wire, now_s: float) -> bool:
    return now_s - wire.idle_since_s < MAX_IDLE_S and now_s - wire.opened_s < MAX_AGE_S


class _Opening:
    """One exchange, from a connection to its return. A class of its own, for it stands on the hot path."""

    __slots__ = ("_is_connected", "_limits", "_pool", "_reader", "_request", "_wire")

    def __init__(self, pool: Connections, request: UpstreamRequest, limits: Limits) -> None:
        self._pool = pool
        self._request = request
        self._limits = limits
        self._wire: Wire | None = None
        self._reader: ResponseReader | None = None
        self._is_connected = False

    async def __aenter__(self) -> Answer:
        try:
            head = self._pool.heads.encode(self._request)
            return await self._open(head, trio.current_time())
        except BaseException:
            self._give_back()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_back()

    async def _open(self, head: bytes, begun_s: float) -> Answer:
        self._wire = wire = self._pool.lend_kept(self._request.origin, begun_s)
        reader = None if wire is None else await self._ask_kept(wire, head, begun_s)
        if wire is None or reader is None or _has_died(wire, reader):
            wire, reader = await self._ask_fresh(head, wire)
        if reader.fault is not None:
            raise broken(reader.fault)
        waited_s = wire.received_s - begun_s
        return Answer(Body(wire, reader), reader.status, reader.headers, self._limits, waited_s)

    async def _ask_kept(self, wire: Wire, head: bytes, begun_s: float) -> ResponseReader:
        """On a kept connection, which is hung up on when it is late, if somebody looks; else the wait is cancelled."""
        patience, until_s = self._limits.patience, self._until_s(begun_s)
        if patience is None:
            with trio.CancelScope(deadline=until_s) as scope:
                return await self._exchange(wire, head, partial(self._put_off, scope))
            raise self._timeout()
        if until_s <= begun_s:
            raise self._timeout()
        patience.begin(until_s, wire.line.hang_up)
        try:
            reader = await self._exchange(wire, head, partial(self._wait_on, patience, wire))
        finally:
            patience.rest()
        if patience.is_over:
            raise self._timeout()
        return reader

    async def _ask_fresh(self, head: bytes, dead: Wire | None) -> tuple[Wire, ResponseReader]:
        """On a fresh connection, or one handed over in the line; in the place of a ``dead`` one, if there is one."""
        with trio.CancelScope() as scope:
            wire = await self._connect(scope, dead)
            reader = await self._exchange(wire, head, partial(self._put_off, scope))
            if dead is None and _has_died(wire, reader):
                wire = await self._connect(scope, wire)
                reader = await self._exchange(wire, head, partial(self._put_off, scope))
            return wire, reader
        raise self._timeout()

    async def _connect(self, scope: trio.CancelScope, dead: Wire | None) -> Wire:
        pool, origin = self._pool, self._request.origin
        self._is_connected, self._wire = False, None
        scope.deadline = min(trio.current_time() + self._limits.connect_s, self._limits.deadline_s)
        wire = await (pool.lend(origin) if dead is None else pool.replace(origin, dead))
        self._wire = wire
        self._put_off(scope)
        return wire

    async def _exchange(
        self, wire: Wire, head: bytes, progress: Callable[[], None]
    ) -> ResponseReader:
        self._is_connected = True
        self._reader = None
        if self._limits.on_sent is not None:
            self._limits.on_sent()
        self._reader = await wire.exchange(head, self._request, progress)
        return self._reader

    def _put_off(self, scope: trio.CancelScope) -> None:
        """From now on the answer's first byte is waited for."""
        scope.deadline = self._until_s(trio.current_time())

    def _wait_on(self, patience: Patience, wire: Wire) -> None:
        """Likewise, where somebody looks. Not anew where he has hung up: a block may have got away in the same moment."""
        if not patience.is_over:
            patience.begin(self._until_s(trio.current_time()), wire.line.hang_up)

    def _until_s(self, since_s: float) -> float:
        return min(since_s + self._limits.first_byte_s, self._limits.deadline_s)

    def _give_back(self) -> None:
        wire, reader, self._wire = self._wire, self._reader, None
        if wire is not None:
            is_reusable = reader is not None and wire.is_reusable(reader)
            self._pool.take_back(self._request.origin, wire, is_reusable=is_reusable)

    def _timeout(self) -> UpstreamTimeout:
        if trio.current_time() >= self._limits.deadline_s:
            return deadline_passed()
        if self._is_connected:
            return first_byte_timeout(self._limits.first_byte_s)
        return connect_timeout(self._limits.connect_s)


def connections(settings: NetworkSettings) -> Connections:
    """The connections of one configuration. Reads the system's certificates: not on the hot path.

    Raises ConfigurationMissing if ``ca_cert_pem`` cannot be read.
    """
    is_plain = not settings.ca_cert_pem and not settings.insecure_skip_verify
    dial = dial_with(_plain_context() if is_plain else tls_context(settings))
    return Connections(dial, max_per_host=settings.max_conns_per_host)


@cache
def _plain_context() -> ssl.SSLContext:
    """What all providers go by that say nothing of certificates. To read the system's takes 25 ms and more."""
    return tls_context(NetworkSettings())
