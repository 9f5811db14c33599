"""Governance as a filter, in both places.

Round the exchange it says who calls and where the call may go; round each hop it admits, holds an estimate, and charges what
was spent, however the hop ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import attrs

from bifrost.actors.ledger import Held, Ledger
from bifrost.actors.ledger_messages import Counted, NotAdmitted
from bifrost.actors.mailbox import ActorDied
from bifrost.actors.telling import may_tell, read_whole
from bifrost.errors import GatewayError, ProviderUnavailable
from bifrost.governance.admission import NoAccess, access, key_of
from bifrost.governance.charging import charge
from bifrost.governance.levels import Amounts, Level, general_levels, told
from bifrost.governance.model import Limit, VirtualKey
from bifrost.governance.policy import Policy
from bifrost.governance.tab import Tab
from bifrost.integrations.targets import undecided
from bifrost.policy.pricing import OutputSizes, ToldCosts, base_name
from bifrost.schema.call import Call
from bifrost.service import Denied, Exchange, Service, Unanswered

if TYPE_CHECKING:
    from types import TracebackType

    from bifrost.governance.policy import Terms
    from bifrost.record import Bill
    from bifrost.service import Hop, HopOutcome, HopService

__all__ = ["NOT_LOADED", "Governor"]

ONE = Amounts(requests=1)
"""Enough to ask whether there is any room at all."""

UNKNOWN = frozenset({"virtual_key_not_found", "virtual_key_required"})
NOT_LOADED = "virtual keys cannot be looked up at the moment, for the configuration store is away"

NOTHING_COUNTED: Mapping[str, Counted] = {}


@attrs.define(eq=False)
class Governor:
    """Two filters, and what they share. ``policy`` is replaced as a whole; hops under way end by the one they began with.

    ``draw`` is chance, in [0, 1); ``wall`` the calendar's clock; ``on_warning`` hears of rules that could not be asked.
    """

    ledger: Ledger
    policy: Policy
    draw: Callable[[], float]
    wall: Callable[[], float]
    on_warning: Callable[[str], None]
    is_complete: bool = True
    """Whether all virtual keys are known. Until the store has been read once, an unknown one may be good."""
    sizes: OutputSizes = attrs.field(factory=OutputSizes)
    """How long answers have been, for estimates."""
    costs: ToldCosts = attrs.field(factory=ToldCosts)
    """What they cost by their providers' own word, likewise."""

    # Round the exchange

    def around(self, inner: Service) -> Service:
        """``inner``, for calls whose caller is known and whose targets are chosen."""

        def governed(call: Call) -> AbstractAsyncContextManager[Exchange]:
            policy = self.policy
            key = key_of(policy.governance, call)
            if key is not None:
                call = attrs.evolve(call, identity=policy.identity_of(key))
                key = key if key.is_active else None
            if not policy.table.rules and (key is None or not policy.table.is_bare(call.target)):
                return inner(call)
            counters = policy.table.counters(call, key)
            if counters:
                return _Asking(self, policy, inner, call, key, counters)
            return inner(self._routed(policy, call, key, NOTHING_COUNTED))

        return governed

    def _routed(
        self, policy: Policy, call: Call, key: VirtualKey | None, counted: Mapping[str, Counted]
    ) -> Call:
        """``call`` as rules and weights send it."""
        now_unix_s = self.wall()

        def used(limit: Limit) -> float:
            found = counted.get(limit.id)
            if found is None or limit.period.is_over(found.since_unix_s, now_unix_s):
                return 0.0
            return 100.0 * found.used / limit.amount

        routed = policy.table.route(call, key, used=used, draw=self.draw())
        for warning in routed.warnings:
            self.on_warning(warning)
        return routed.applied(call)

    # Round each hop

    def around_hop(self, inner: HopService) -> HopService:
        """``inner``, for hops that are admitted."""

        async def governed(hop: Hop) -> HopOutcome:
            policy = self.policy
            if policy.is_idle and hop.target.provider and not hop.call.virtual_key_hash:
                return await inner(hop)
            return await self._admit(policy, hop, inner)

        return governed

    async def _admit(self, policy: Policy, hop: Hop, inner: HopService) -> HopOutcome:
        held, target = policy.governance, hop.target
        general = general_levels(held, target, base_name(target.model)) if held.is_limiting else ()
        found = access(held, hop.call, target, enforce=policy.enforce)
        if isinstance(found, NoAccess):
            if not self.is_complete and found.error.kind in UNKNOWN and hop.call.virtual_key_hash:
                return Unanswered(ProviderUnavailable(NOT_LOADED, code="virtual_keys_not_loaded"))
            return await self._refuse(found, general, hop)
        if not target.provider:
            return Denied(undecided(hop.call), ends_chain=True)
        if found.include_only is not None:
            hop.include_only = found.include_only
        key = found.key
        levels = general if key is None else general + policy.levels_of(key, target.provider)
        if key is None and not levels:
            return await inner(hop)
        terms = policy.terms(hop.call, target, self.sizes)
        if not levels:
            return await self._billed(hop, inner, terms)
        return await self._within(levels, hop, inner, terms)

    async def _refuse(self, found: NoAccess, general: tuple[Level, ...], hop: Hop) -> Denied:
        """The refusal; before it come the limits of provider and model, which are looked at first, unless a key is lacking."""
        is_lacking = found.error.kind == "virtual_key_required"
        if (
            general
            and not is_lacking
            and (over := await self.ledger.ask_room(general, ONE)) is not None
        ):
            return Denied(told(over.level, over.violations))
        if not hop.target.provider and not found.ends_chain:
            return Denied(undecided(hop.call), ends_chain=True)
        return Denied(found.error, found.ends_chain)

    async def _within(
        self, levels: tuple[Level, ...], hop: Hop, inner: HopService, terms: Terms
    ) -> HopOutcome:
        """The hop, with its estimate held on every level until it is over."""
        amounts = terms.amounts
        if not amounts.nano_usd:
            expected = self.costs.expected(hop.target.provider, hop.target.model)
            amounts = attrs.evolve(amounts, nano_usd=expected)
        async with self.ledger.hold(levels, amounts) as held:
            if isinstance(held, GatewayError):
                return Unanswered(held)
            if isinstance(held, NotAdmitted):
                return Denied(told(held.level, held.violations), held.level.ends_chain)
            return await self._billed(hop, inner, terms, held)

    async def _billed(
        self, hop: Hop, inner: HopService, terms: Terms, held: Held | None = None
    ) -> HopOutcome:
        """The hop with its bill, however it ends: an attempt is entered before the hop is left. ``held`` learns what was spent."""
        tab = Tab(terms.told_cost) if may_tell(hop.call) else None
        if tab is not None:
            hop.on_told, hop.call = tab.hear, read_whole(hop.call)
        try:
            return await inner(hop)
        finally:
            goes_on = hop.call.is_background
            bill = charge(hop.attempts, terms.operation, terms.estimate, terms, goes_on=goes_on)
            if tab is not None:
                bill = self._settled(tab, bill, held)
            hop.bill = bill
            if held is not None:
                held.spent = Amounts(
                    requests=bill.requests, tokens=bill.tokens, nano_usd=bill.nano_usd
                )
            self._learn(hop, max(1, terms.facts.choices))

    def _settled(self, tab: Tab, bill: Bill, held: Held | None) -> Bill:
        """``bill`` with what ``tab`` has heard of. What is held for is written down together with its charge."""
        paid = self.ledger.paid
        bill = tab.settled(bill, paid, self.wall())
        if held is None:
            paid.write(tab.marks)
        else:
            held.marks = tab.marks
        return bill

    def _learn(self, hop: Hop, choices: int) -> None:
        """How long an answer was, of so many asked for at once, and what it cost: for those to come."""
        provider, model = hop.target.provider, hop.target.model
        for attempt in hop.attempts:
            usage = attempt.usage
            if attempt.error_class is None and usage is not None:
                self.sizes.note(provider, model, usage.completion_tokens // choices)
                if usage.cost_nano_usd:
                    self.costs.note(provider, model, usage.cost_nano_usd)


@attrs.define(eq=False)
class _Asking:
    """An exchange whose routing depends on what is used up, which is asked for first."""

    _governor: Governor
    _policy: Policy
    _service: Service
    _call: Call
    _key: VirtualKey | None
    _counters: frozenset[str]
    _inner: AbstractAsyncContextManager[Exchange] | None = attrs.field(default=None, init=False)

    async def __aenter__(self) -> Exchange:
        try:
            counted = await self._governor.ledger.ask_usage(self._counters)
        except ActorDied:
            # Rules then see nothing used; whether there is room is asked again at each hop.
            counted = NOTHING_COUNTED
        call = self._governor._routed(self._policy, self._call, self._key, counted)  # noqa: SLF001  its own other half
        self._inner = self._service(call)
        return await self._inner.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        assert self._inner is not None  # noqa: S101  entered before
        return await self._inner.__aexit__(kind, error, trace)  # noqa: ASYNC102  the inner one ends here
