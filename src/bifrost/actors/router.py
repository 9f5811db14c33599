"""The router: one task for each exchange, with the loop over hops, the tries inside a hop, and the door.

The router's nursery owns the work, the one who dispatched it owns the wish for it: leaving ``dispatch`` cancels the
exchange and waits until its task is over, so no task outlives its caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.actors.exchange import LiveExchange, LiveHop, failed
from bifrost.actors.hop import HopRunner, Means
from bifrost.errors import GatewayError, InternalError, Overloaded, ShuttingDown
from bifrost.policy.plan import plan
from bifrost.policy.retry import Fail, Finish, NextHop, after_hop
from bifrost.schema.call import Call, Target
from bifrost.service import (
    Answered,
    Denied,
    Exchange,
    Failed,
    Finished,
    Hop,
    HopFilter,
    HopOutcome,
    HopService,
    Unanswered,
    chain_hops,
)

if TYPE_CHECKING:
    from types import TracebackType

    from bifrost.actors.objects import Objects


__all__ = ["Router"]

ROUND_S = 0.5
"""Between two looks at the waits of all exchanges; so much later than told may they end."""

LEAVE_S = 5.0
"""How long leaving an exchange waits for its task, which has nothing left to do but clean up."""


@attrs.define(eq=False)
class Router:
    """Takes exchanges. ``dispatch`` is the innermost ``Service``.

    ``means`` may be changed while it runs; exchanges under way see it at their next hop. ``on_defect`` hears of exceptions
    that are bugs.
    """

    means: Means
    on_defect: Callable[[BaseException, Call], None]
    hop_filters: tuple[HopFilter, ...] = ()
    _live: set[LiveExchange] = attrs.field(factory=set, init=False)
    _closing: trio.Event = attrs.field(factory=trio.Event, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _runner: HopRunner = attrs.field(init=False)
    _around_hop: HopService = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._runner = HopRunner(self.means)
        self._around_hop = chain_hops(self.hop_filters, self._innermost)

    @property
    def objects(self) -> Objects:
        """Which key has which of a provider's objects."""
        return self._runner.objects

    @property
    def inflight(self) -> int:
        """Exchanges being served."""
        return len(self._live)

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until ``close``; then until the last exchange is over."""
        async with trio.open_nursery() as nursery, trio.open_nursery() as rounds:
            self._nursery = nursery
            rounds.start_soon(self._look_round)
            task_status.started()
            await self._closing.wait()
            await self.wait_idle()
            rounds.cancel_scope.cancel()

    async def _look_round(self) -> None:
        """Walk round the exchanges, whose waits may have lasted too long, until cancelled."""
        while True:
            await trio.sleep(ROUND_S)
            self._look(trio.current_time())

    def _look(self, now_s: float) -> None:
        # Not in the round itself, whose frame would keep the last exchange until the next.
        for live in tuple(self._live):
            live.look(now_s)

    def close(self) -> None:
        """Take no more exchanges. ``run`` returns when those there are have ended."""
        self._closing.set()

    async def wait_idle(self) -> None:
        """Until nothing is being served. Meant for after ``close``."""
        while self._live:
            await next(iter(self._live)).done.wait()

    def hurry(self) -> None:
        """End what is still under way: a 503, or an error event in a stream."""
        for live in tuple(self._live):
            live.hurry()

    def dispatch(self, call: Call) -> _Dispatch:
        """Enter to start ``call``, leave to be rid of it. Raises Overloaded or ShuttingDown on entry."""
        return _Dispatch(self, call)

    def _admit(self, call: Call) -> LiveExchange:
        if self._closing.is_set() or self._nursery is None:
            raise ShuttingDown("gateway is shutting down")
        if len(self._live) >= self.means.client.max_inflight:
            raise Overloaded("gateway is overloaded", retry_after_s=1.0)
        live = LiveExchange(call, call.received_s, self.means.wall())
        self._live.add(live)
        self._nursery.start_soon(self._serve, live, name="exchange")
        return live

    async def _serve(self, live: LiveExchange) -> None:
        """The root of an exchange's task: whatever happens becomes its last event and its record."""
        error: GatewayError | None = None
        is_told = False
        try:
            end: Finished | Failed | None = None
            with live.scope:
                end = await self._hops(live)
            if end is None:
                end = failed(live.why_cancelled(), None, live.hops)
            error = None if isinstance(end, Finished) else end.error
            is_told = True
            await live.end(end)
        except Exception as defect:  # noqa: BLE001  the task's root: one bad exchange must not end its siblings
            self.on_defect(defect, live.call)
            error = InternalError("internal error")
            is_told = True
            await live.end(failed(error, None, live.hops))
        finally:
            self._live.discard(live)
            live.close(error if is_told else ShuttingDown("gateway is shutting down"))

    async def _hops(self, live: LiveExchange) -> Finished | Failed:
        first_error: tuple[GatewayError, Target] | None = None
        targets = plan(live.call, self.means.pools)
        for index, target in enumerate(targets):
            outcome = await self._hop(live, target, index, len(targets) - index - 1)
            error = None if isinstance(outcome, Answered) else outcome.error
            match after_hop(
                error,
                committed=live.committed,
                ends_chain=isinstance(outcome, Denied) and outcome.ends_chain,
                hops_left=len(targets) - index - 1,
                fallback_on=self.means.client.fallback_on,
            ):
                case Finish():
                    return Finished()
                case Fail(primary=primary) if error is not None:
                    told, whose = first_error if primary and first_error else (error, target)
                    return failed(told, whose, live.hops)
                case NextHop() if error is not None:
                    first_error = first_error or (error, target)
        raise AssertionError("the last hop finishes or fails")

    async def _hop(self, live: LiveExchange, target: Target, index: int, left: int) -> HopOutcome:
        hop = LiveHop(live.call, target, index, left, send=live.send, live=live)
        live.hops.append(hop)
        return await self._around_hop(hop)

    async def _innermost(self, hop: Hop) -> HopOutcome:
        assert isinstance(hop, LiveHop)  # noqa: S101  filters hand on the hop they were given
        error = await self._runner.run(hop)
        return Answered(hop.live.usage) if error is None else Unanswered(error)


@attrs.define(eq=False)
class _Dispatch:
    """An exchange as a context: entering counts it in, leaving it cancels what is left of it."""

    _router: Router
    _call: Call
    _live: LiveExchange | None = None

    async def __aenter__(self) -> Exchange:
        self._live = self._router._admit(self._call)  # noqa: SLF001  the router's own other half
        return self._live

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        live = self._live
        if live is None or live.done.is_set():
            return
        live.leave()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LEAVE_S):
            await live.done.wait()
