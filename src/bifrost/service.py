"""A service and its filters: every extension point of the gateway, on one page.

A *service* serves a call: entering it starts the exchange, leaving it ends it, whatever the reason. A *filter*
stands round the exchange (once a call), a *hop filter* round each hop (once for each target tried). A filter with
nothing to do for a call returns the inner service itself: no layer, no cost.

Events come out of an exchange in this order: ``Began`` (at most once), any number of ``Chunk``, then exactly one of
``Finished`` and ``Failed``. A plain answer is a stream of one chunk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import attrs

from bifrost.errors import GatewayError
from bifrost.record import AttemptRecord, Bill, CallRecord, ToldUsage, Usage
from bifrost.schema.call import Call, Target
from bifrost.values import frozen

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

__all__ = [
    "Answered",
    "Began",
    "Chunk",
    "Denied",
    "Event",
    "Exchange",
    "Failed",
    "Filter",
    "Finished",
    "Hop",
    "HopFilter",
    "HopOutcome",
    "HopService",
    "Service",
    "Unanswered",
    "chain",
    "chain_hops",
]


@frozen(kw_only=True)
class Began:
    """The first event: a hop has committed to answer. ``headers`` are the upstream's, filtered for the caller."""

    headers: tuple[tuple[str, str], ...]
    target: Target
    overhead_s: float
    """The gateway's own time from receipt to here."""
    status: int = 200
    """The upstream's, of the 2xx kind; of an answer that is passed on verbatim also a redirect's."""
    content_type: str | None = None
    """Of an answer that is neither JSON nor a stream of events: its chunks are bytes, as many as it takes.

    Empty where there is none to tell.
    """
    length: int | None = None
    """Bytes of such an answer, where the upstream told."""
    at_once: bool = False
    """Whether the head of such an answer goes out now, before there is anything of its body."""


@frozen
class Chunk:
    """Bytes for the caller in its own dialect: a whole body, one or more whole events of a stream, or a block of bytes."""

    data: bytes


@frozen
class Finished:
    """The normal end."""


@frozen
class Failed:
    """The other end. Before ``Began`` it is an ordinary error; after it, an error inside the stream."""

    error: GatewayError
    target: Target | None = None
    """Whose failure it was, where one target's."""
    attempts: tuple[dict[str, object], ...] = ()
    """For ``client.include_attempts``."""


Event = Began | Chunk | Finished | Failed


class Exchange(Protocol):
    """A call being served."""

    @property
    def call(self) -> Call: ...

    @property
    def record(self) -> CallRecord:
        """The account of it. Complete once the service that gave it has been left; an error before."""
        ...

    async def receive(self) -> Event:
        """The next event. Nothing comes after ``Finished`` or ``Failed``."""
        ...

    def receive_nowait(self) -> Event | None:
        """The next event if it is there already: what arrives together may leave together."""
        ...

    async def receive_within(self, within_s: float) -> Event | None:
        """The next event; ``None`` if there is none for so long, or up to half a second longer."""
        ...


class Service(Protocol):
    """Serves calls."""

    def __call__(self, call: Call) -> AbstractAsyncContextManager[Exchange]:
        """Enter to start the exchange. Leaving before its end cancels it and waits until it is over.

        Raises Overloaded or ShuttingDown on entry if the door is closed; all else comes as ``Failed``.
        """
        ...


Filter = Callable[[Service], Service]
"""Round the exchange: wraps the inner service, once, when the gateway is composed."""


@attrs.define
class Hop:
    """One target of an exchange, from admission to outcome. Filters may narrow it before it is attempted."""

    call: Call
    target: Target
    index: int
    hops_left: int = 0
    """Targets after this one: whether a fallback stands ready."""
    include_only: frozenset[str] | None = None
    """Keys this hop may use, by id or name; ``None`` all."""
    send: Callable[[Event], Awaitable[None]] = attrs.field(kw_only=True)
    """Hands an event to the caller. A filter that copies what passes wraps it."""
    attempts: list[AttemptRecord] = attrs.field(factory=list, kw_only=True)
    """What was tried so far; complete once the hop is over, however it ends."""
    bill: Bill | None = attrs.field(default=None, kw_only=True)
    """What it cost, from whoever counts."""
    on_told: Callable[[ToldUsage, str], None] | None = attrs.field(default=None, kw_only=True)
    """Hears what answers tell of things begun before, with the id of the key: set by whoever counts, if he wants to know."""


@frozen
class Answered:
    """The hop's answer has gone to the caller, to its end."""

    usage: Usage | None = None


@frozen
class Unanswered:
    """The hop failed, before or after it had begun to answer."""

    error: GatewayError


@frozen
class Denied:
    """A filter refused the hop; ``ends_chain`` if no other target may be tried either."""

    error: GatewayError
    ends_chain: bool = False


HopOutcome = Answered | Unanswered | Denied
HopService = Callable[[Hop], Awaitable[HopOutcome]]
HopFilter = Callable[[HopService], HopService]
"""Round each hop: wraps the inner hop service, once, when the gateway is composed."""


def chain(filters: tuple[Filter, ...], inner: Service) -> Service:
    """``inner`` within ``filters``; the first is the outermost."""
    for wrap in reversed(filters):
        inner = wrap(inner)
    return inner


def chain_hops(filters: tuple[HopFilter, ...], inner: HopService) -> HopService:
    """As ``chain``, round a hop."""
    for wrap in reversed(filters):
        inner = wrap(inner)
    return inner
