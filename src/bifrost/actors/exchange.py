"""An exchange while it is being served: its channel of events, its scope, and what it has cost so far."""

from __future__ import annotations

import attrs
import trio

from bifrost.actors.events import Events
from bifrost.errors import Cancelled, DeadlineExceeded, GatewayError, ShuttingDown
from bifrost.record import AttemptRecord, CallRecord, HopRecord, Outcome, Usage
from bifrost.schema.call import Call, Target
from bifrost.service import Chunk, Event, Failed, Hop
from bifrost.transport.base import Patience

__all__ = ["EVENT_BUFFER", "EXACT_S", "LiveExchange", "LiveHop", "Tally"]

EVENT_BUFFER = 8
"""Events between the router and a slow caller; past it the upstream is read no further."""


EXACT_S = 4.0
"""A limit to a wait that is shorter has a deadline of its own: the round of those that look would make it much longer."""


@attrs.define
class Tally:
    """Waits of an exchange, by whom they were for, and its events. Seconds."""

    queue_wait_s: float = 0.0
    backoff_s: float = 0.0
    upstream_s: float = 0.0
    downstream_s: float = 0.0
    events: int = 0
    first_event_s: float | None = None
    """On trio's clock."""
    last_event_s: float = 0.0
    retries: int = 0

    def count(self, events: int, now_s: float) -> None:
        """Note ``events`` events of the answer that came in one read."""
        if not events:
            return
        if self.first_event_s is None:
            self.first_event_s = now_s
        self.events += events
        self.last_event_s = now_s

    def waited_s(self) -> float:
        return self.queue_wait_s + self.backoff_s + self.upstream_s + self.downstream_s


@attrs.define(eq=False)
class LiveExchange:
    """The router's side and the caller's side of one exchange; between them are at most ``EVENT_BUFFER`` events.

    ``committed`` is the router's one flag: an event of the answer has been sent, so nothing may be tried again.
    """

    call: Call
    started_s: float
    started_unix_s: float
    scope: trio.CancelScope = attrs.field(init=False)
    tally: Tally = attrs.field(factory=Tally, init=False)
    hops: list[LiveHop] = attrs.field(factory=list, init=False)
    committed: bool = attrs.field(default=False, init=False)
    usage: Usage | None = attrs.field(default=None, init=False)
    done: trio.Event = attrs.field(factory=trio.Event, init=False)
    _left: bool = attrs.field(default=False, init=False)
    _hurried: bool = attrs.field(default=False, init=False)
    _record: CallRecord | None = attrs.field(default=None, init=False)
    _events: Events = attrs.field(factory=lambda: Events(EVENT_BUFFER), init=False)
    _lull: Patience | None = attrs.field(default=None, init=False)
    _patiences: list[Patience] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.scope = trio.CancelScope(deadline=self.call.deadline_s)

    # The caller's side

    async def receive(self) -> Event:
        return await self._events.get()

    def receive_nowait(self) -> Event | None:
        return self._events.get_nowait()

    async def receive_within(self, within_s: float) -> Event | None:
        if within_s < EXACT_S:
            with trio.move_on_after(within_s):
                return await self._events.get()
            return None
        lull = self._lull or self.patience()
        self._lull = lull
        lull.begin(trio.current_time() + within_s, self._events.nudge)
        try:
            return await self._events.get_or_nudge()
        finally:
            lull.rest()

    @property
    def record(self) -> CallRecord:
        if self._record is None:
            raise RuntimeError("an exchange has no record before it is over")
        return self._record

    def leave(self) -> None:
        """The caller wants no more: whatever is under way for it is cancelled."""
        self._left = True
        self.scope.cancel()

    # The router's side

    def patience(self) -> Patience:
        """One more to be looked at on each round."""
        patience = Patience()
        self._patiences.append(patience)
        return patience

    def look(self, now_s: float) -> None:
        """Another round: end the waits that have lasted too long."""
        for patience in self._patiences:
            patience.look(now_s)

    async def send(self, event: Event) -> None:
        """Hand ``event`` to the caller; waits while it is slow, and counts that wait as the caller's."""
        if type(event) is Chunk:
            self.committed = True
        if not self._events.put_nowait(event):
            began_s = trio.current_time()
            await self._events.put(event)
            self.tally.downstream_s += trio.current_time() - began_s

    def hurry(self) -> None:
        """The grace of a drain is over: end now, and tell the caller why."""
        self._hurried = True
        self.scope.cancel()

    def why_cancelled(self) -> GatewayError:
        """What a cancelled scope meant."""
        if self._left:
            return Cancelled("Request cancelled: client disconnected")
        if self._hurried:
            return ShuttingDown("gateway is shutting down")
        return DeadlineExceeded("Request timed out: deadline exceeded")

    async def end(self, event: Event) -> None:
        """Send the last event, unless nobody listens; a caller that takes none of it for long is given up."""
        if not self._left and not self._events.put_nowait(event):
            await self._end_slowly(event)

    async def _end_slowly(self, event: Event) -> None:
        self.scope = trio.CancelScope()
        with trio.move_on_after(LAST_EVENT_S), self.scope:
            await self.send(event)
            return
        # He may only have been slow: whoever takes the rest then would wait for its end for ever.
        self._events.put_last(event)

    def close(self, error: GatewayError | None) -> None:
        """Write the record. Nothing is sent after it.

        The hops know the exchange. They are let go, for what is in a ring stays, body and all, until the collector comes:
        at 100 KB a body that was 60 MiB and more.
        """
        self._record = self._account(error)
        self.hops.clear()
        self.done.set()

    def overhead_s(self, upstream_s: float) -> float:
        """The gateway's own time so far; ``upstream_s`` is what the attempt under way has waited."""
        total_s = trio.current_time() - self.started_s
        return max(0.0, total_s - self.tally.waited_s() - upstream_s)

    def _account(self, error: GatewayError | None) -> CallRecord:
        call, tally = self.call, self.tally
        last = self.hops[-1] if self.hops else None
        attempt = last.attempts[-1] if last and last.attempts else None
        first_s = tally.first_event_s
        return CallRecord(
            call_id=call.id,
            request_type=call.request_type,
            route=call.route,
            stream=call.stream,
            outcome=_outcome(error),
            status=200 if error is None else error.status,
            error_class=None if error is None else error.error_class,
            error_code=None if error is None else error.code,
            error_message=None if error is None else error.message,
            provider=last.target.provider if last else call.target.provider,
            model=last.target.model if last else call.target.model,
            hops=tuple(hop.account() for hop in self.hops),
            fallback_index=last.index if last else 0,
            retries=max(0, len(last.attempts) - 1) if last else 0,
            key_id=attempt.key_id if attempt else "",
            key_name=attempt.key_name if attempt else "",
            usage=self.usage,
            started_unix_s=self.started_unix_s,
            total_s=trio.current_time() - self.started_s,
            queue_wait_s=tally.queue_wait_s,
            backoff_s=tally.backoff_s,
            upstream_s=tally.upstream_s,
            downstream_s=tally.downstream_s,
            first_event_s=None if first_s is None else first_s - self.started_s,
            events=tally.events,
            inter_event_s=0.0 if first_s is None else tally.last_event_s - first_s,
            body_bytes=call.body_bytes,
            identity=call.identity,
            routing=call.routing,
            remote_addr=call.caller.remote_addr,
            user_agent=call.caller.user_agent,
            traceparent=call.caller.traceparent,
            prom_labels=call.caller.prom_labels,
            log_metadata=call.caller.log_metadata,
        )


LAST_EVENT_S = 30.0


def _outcome(error: GatewayError | None) -> Outcome:
    if error is None:
        return Outcome.SUCCESS
    return Outcome.CANCELLED if isinstance(error, Cancelled) else Outcome.ERROR


@attrs.define(eq=False, kw_only=True)
class LiveHop(Hop):
    """A hop with what the router keeps of it; filters see a ``Hop``."""

    live: LiveExchange

    def account(self) -> HopRecord:
        return HopRecord(
            provider=self.target.provider,
            model=self.target.model,
            attempts=tuple(self.attempts),
            bill=self.bill,
        )


def failed(error: GatewayError, target: Target | None, hops: list[LiveHop]) -> Failed:
    """The event for ``error``, with the attempts that led to it."""
    return Failed(error, target, tuple(_told(hop, a) for hop in hops for a in hop.attempts))


def _told(hop: LiveHop, attempt: AttemptRecord) -> dict[str, object]:
    return {
        "provider": hop.target.provider,
        "model": hop.target.model,
        "key_id": attempt.key_id,
        "status": attempt.status,
        "code": attempt.code,
        "error_class": None if attempt.error_class is None else attempt.error_class.value,
        "latency_ms": round(attempt.upstream_s * 1000),
    }
