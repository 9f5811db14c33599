"""The keys of a pool and what has been learned of them: who is usable now, and who is drawn.

Everything here is lost in a crash and learned again; nothing here counts slots or leases (``pool_book`` does).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from bifrost.actors.messages import Acquire, Granted, Need, Refusal, Refused, TokenRefused
from bifrost.actors.wallet import Wallet
from bifrost.config.secret import Token
from bifrost.config.settings import KeySettings, ProviderSettings
from bifrost.errors import ErrorClass
from bifrost.policy import health
from bifrost.policy.adaptive import Reading, Route, Routes, draw_route
from bifrost.policy.balance import pick
from bifrost.policy.eligibility import KEYLESS, Eligible, base_type, eligible, is_keyless
from bifrost.policy.health import HEALTHY, KeyHealth
from bifrost.policy.limits import KeyLimits
from bifrost.policy.sessions import Sessions
from bifrost.policy.token_sources import TokenSource, own_token, token_source
from bifrost.values import frozen

if TYPE_CHECKING:
    from bifrost.actors.messages import AttemptOutcome
    from bifrost.actors.pool_book import Lent

__all__ = ["Choice", "KeyRing", "KeyState", "Offer", "Survey"]

OFFERS_MAX = 1024
"""Different wishes whose eligible keys are remembered; past it, all are worked out anew."""

HAIR_S = 1e-6
"""A rest counts as over this much early: who sleeps for exactly its length must not come a rounding error too soon."""


@attrs.define(eq=False)
class KeyState:
    """One key, and what its answers have taught."""

    settings: KeySettings
    source: TokenSource | None = None
    """Of the token that is sent in place of the key's value."""
    own_token: Token | None = None
    """Likewise, and the key's for good."""
    health: KeyHealth = HEALTHY
    limits: KeyLimits = attrs.field(factory=KeyLimits, init=False)

    @property
    def id(self) -> str:
        return self.settings.id


@frozen(eq=False)
class Offer:
    """The keys that configuration allows for a wish: ``all`` of them, and those in ``rotation``."""

    eligible: Eligible
    all: tuple[KeyState, ...]
    rotation: tuple[KeyState, ...]


@frozen(eq=False)
class Survey:
    """The keys that can be lent right now, at least one; ``sticky`` is the session's own, if it is among them."""

    usable: Sequence[KeyState]
    sticky: KeyState | None


@frozen(eq=False)
class Choice:
    """A key that was drawn. ``explores`` if its lease is to try out a recovering route."""

    key: KeyState
    untried_left: int
    explores: bool = False


@attrs.define(eq=False)
class KeyRing:
    """The keys of one provider under one configuration at a time."""

    settings: ProviderSettings
    wallet: Wallet = attrs.field(factory=Wallet)
    """Read here, and filled by others."""
    keys: dict[str, KeyState] = attrs.field(factory=dict, init=False)
    routes: Routes = attrs.field(factory=Routes, init=False)
    sessions: Sessions = attrs.field(factory=Sessions, init=False)
    _offers: dict[object, Offer] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.reload(self.settings)

    @property
    def is_adaptive(self) -> bool:
        return self.settings.balancing == "adaptive"

    def reload(self, settings: ProviderSettings) -> None:
        """Take ``settings``. What was learned of a key stays if its id, its value and the upstream's address do."""
        moved = settings.network.base_url != self.settings.network.base_url
        old, self.keys, self.settings = self.keys, {}, settings
        self._offers.clear()
        for key in (KEYLESS,) if is_keyless(settings) else settings.keys:
            known = old.pop(key.id, None)
            if known is not None and not moved and _is_same(known.settings, key):
                known.settings = key
                self.keys[key.id] = known
            else:
                base = base_type(settings)
                self.keys[key.id] = KeyState(key, token_source(key, base), own_token(key, base))
                self.routes.forget(key.id)
        for key_id in old:
            self.routes.forget(key_id)

    def offer(self, need: Need) -> Offer:
        """The keys that configuration allows for ``need``."""
        wish = (need.model, need.operation, need.pin_id, need.pin_name, need.include_only)
        found = self._offers.get(wish)
        if found is None:
            if len(self._offers) >= OFFERS_MAX:
                self._offers.clear()
            found = self._offers[wish] = self._work_out(need)
        return found

    def _work_out(self, need: Need) -> Offer:
        passed = eligible(self.settings, need)
        return Offer(
            passed,
            tuple(self.keys[key.id] for key in passed.keys),
            tuple(self.keys[key.id] for key in passed.rotation()),
        )

    def survey(self, need: Need, avoid: frozenset[str], now_s: float) -> Survey | Refused:
        """Who can be lent for ``need`` right now, the keys in ``avoid`` left out.

        COOLING_DOWN carries the time to the end of the first rest, unless nobody can say when that will be (a rejected
        key, an empty account): waiting is then no use.
        """
        offer = self.offer(need)
        if offer.eligible.missing is not None:
            return Refused(reason=offer.eligible.missing.value)
        offered = offer.rotation
        if avoid:
            offered = tuple(key for key in offered if key.id not in avoid)
        usable, soonest_s = self.usable(offered, need, now_s)
        sticky = self._sticky(offer, need, avoid, now_s)
        if usable or sticky is not None:
            return Survey(usable, sticky)
        if not offered:
            return Refused(reason=Refusal.EXHAUSTED)
        after_s = soonest_s - now_s if soonest_s < math.inf else None
        return Refused(reason=Refusal.COOLING_DOWN, retry_after_s=after_s)

    def usable(
        self, offered: Sequence[KeyState], need: Need, now_s: float
    ) -> tuple[Sequence[KeyState], float]:
        """Those of ``offered`` that do not rest, and when the first of the others has rested enough.

        Routes that failed only for their error rate serve where there is nothing better: half an upstream beats none.
        """
        found: list[KeyState] = []
        spare: list[KeyState] = []
        soonest_s, is_adaptive = math.inf, self.is_adaptive
        for key in offered:
            until_s = self.closed_until(key, need, now_s)
            if until_s > now_s:
                soonest_s = min(soonest_s, until_s)
            elif is_adaptive and self.routes.of(key.id, need.model).is_closed(now_s):
                spare.append(key)
            else:
                found.append(key)
        return found or spare, soonest_s

    def closed_until(self, key: KeyState, need: Need, now_s: float) -> float:
        """When ``key`` may be asked for again; 0.0 if it can be lent now."""
        until_s = 0.0
        if key.health is not HEALTHY:
            until_s = key.health.closed_until(now_s, self.settings.breaker)
        if not key.limits.is_fresh:
            limits = key.limits.of(need.model)
            until_s = max(until_s, limits.closed_until(need.need_tokens, now_s))
        if key.source is not None:
            until_s = max(until_s, self.wallet.closed_until(key.source, now_s))
        if self.is_adaptive:
            route = self.routes.of(key.id, need.model)
            if route.is_closed(now_s) and not route.by_rate:
                until_s = max(until_s, route.failed_until_s)
        return until_s if until_s > now_s + HAIR_S else 0.0

    def _sticky(
        self, offer: Offer, need: Need, avoid: frozenset[str], now_s: float
    ) -> KeyState | None:
        """The owner's or the session's key, if it can be lent. Passed over while it rests; forgotten if gone or failed."""
        if need.owner is not None and len(offer.all) > 1:
            owner = next((key for key in offer.all if key.id == need.owner), None)
            if owner is not None and owner.id not in avoid:
                is_closed = self.closed_until(owner, need, now_s) > now_s
                return None if is_closed else owner
        if need.session is None or len(offer.all) < 2:
            return None
        bound = self.sessions.key_of(need.session, now_s)
        if bound is None:
            return None
        key = next((key for key in offer.all if key.id == bound), None)
        if key is None or key.health.is_failed:
            self.sessions.drop(need.session)
            return None
        if bound in avoid or self.closed_until(key, need, now_s) > now_s:
            return None
        return key

    def choose(self, ask: Acquire, survey: Survey, now_s: float) -> Choice:
        """Whom to lend. ``prefer_not`` gives way to the session: its retries stay unless told to avoid the key."""
        key, explores = survey.sticky, False
        if key is None:
            key, explores = self._draw(ask, survey.usable, now_s)
        if ask.need.session is not None:
            self._bind(ask.need, ask.need.session, key, now_s)
        untried = sum(other.id not in ask.tried for other in survey.usable if other is not key)
        return Choice(key, untried, explores)

    def _draw(
        self, ask: Acquire, usable: Sequence[KeyState], now_s: float
    ) -> tuple[KeyState, bool]:
        if ask.prefer_not is not None:
            usable = [key for key in usable if key.id != ask.prefer_not] or usable
        if len(usable) == 1:
            return usable[0], False
        model = ask.need.model
        weights = self.weights(usable, model, now_s)
        if not self.is_adaptive:
            return usable[pick(weights, ask.draw)], False
        routes = [self.routes.of(key.id, model) for key in usable]
        index, explores = draw_route(routes, weights, ask.draw)
        return usable[index], explores

    def weights(self, keys: Sequence[KeyState], model: str, now_s: float) -> list[float]:
        """What each of ``keys`` is drawn by."""
        weights = [
            key.settings.weight
            if key.limits.is_fresh
            else key.settings.weight * key.limits.of(model).factor(now_s)
            for key in keys
        ]
        if self.is_adaptive:
            factors = (self.routes.of(key.id, model).factor for key in keys)
            weights = [weight * factor for weight, factor in zip(weights, factors, strict=True)]
        return weights

    def _bind(self, need: Need, session: str, key: KeyState, now_s: float) -> None:
        """Keep the session with its key, or with the one just drawn if it has none."""
        if len(self.offer(need).all) < 2:
            return
        if self.sessions.key_of(session, now_s) in {None, key.id}:
            self.sessions.bind(session, key.id, now_s + need.session_ttl_s)

    def lendable(self, key: KeyState) -> KeySettings:
        """``key`` as it is sent: with its token, where it has one."""
        token = key.own_token if key.source is None else self.wallet.token(key.source)
        return key.settings if token is None else attrs.evolve(key.settings, value=token)

    def renewed(self, source: TokenSource) -> None:
        """There is a new token of ``source``."""
        for key in self.keys.values():
            if key.source == source:
                key.health = health.after_renewal(key.health)

    def refused_token(self, lent: Lent, outcome: AttemptOutcome) -> TokenRefused | None:
        """The token that was not accepted, if ``lent`` ended so."""
        settings = lent.granted.key
        if settings is None or not isinstance(settings.value, Token):
            return None
        key = self.keys.get(settings.id)
        if key is None or key.source is None or outcome.status not in key.source.refused_by:
            return None
        return TokenRefused(key.source, settings.value)

    def lend(self, choice: Choice, granted: Granted, need: Need, now_s: float) -> None:
        """``choice`` went out as ``granted``."""
        key = choice.key
        key.health = health.lent(key.health, granted.lease_id, now_s, self.settings.breaker)
        key.limits.spend(need.model, need.need_tokens)
        if self.is_adaptive:
            route = self.routes.lend(key.id, need.model)
            if choice.explores:
                route.probe = granted.lease_id

    def learn(self, lent: Lent, outcome: AttemptOutcome, now_s: float) -> None:
        """A lease came back. Of a caller's own key, or one replaced meanwhile, there is nothing to learn."""
        settings = lent.granted.key
        key = self.keys.get(lent.granted.key_id)
        if settings is None or key is None or not _is_same(key.settings, settings):
            return
        if outcome.error_class is ErrorClass.AUTH and self._is_outdated(key, settings):
            return
        key.health = health.after_outcome(
            key.health,
            outcome.error_class,
            lease_id=lent.granted.lease_id,
            now_s=now_s,
            rules=self.settings.breaker,
        )
        _learn_limits(key.limits, lent.need.model, outcome, now_s)
        if self.is_adaptive:
            self._learn_route(key, lent, outcome, now_s)

    def _is_outdated(self, key: KeyState, lent: KeySettings) -> bool:
        """Whether the token that was lent is the key's no more: its refusal says nothing of the next."""
        return key.source is not None and self.wallet.token(key.source) != lent.value

    def _learn_route(
        self, key: KeyState, lent: Lent, outcome: AttemptOutcome, now_s: float
    ) -> None:
        model = lent.need.model
        route = self.routes.of(key.id, model)
        if route.probe == lent.granted.lease_id:
            route.probe = None
        route.record(_reading(outcome), now_s)
        self._fail_route(route, key, model, now_s)

    def _fail_route(self, route: Route, key: KeyState, model: str, now_s: float) -> None:
        """A limit used up, or a circuit open, fails the route for as long."""
        circuit = key.health.circuit
        until_s = key.limits.of(model).closed_until(1, now_s)
        if circuit.phase is health.Phase.OPEN:
            until_s = max(until_s, circuit.open_until_s)
        if until_s > now_s:
            route.fail(until_s, now_s)

    def probed(self, key_id: str) -> None:
        """Model discovery found the key accepted. That it was not says little: some may not list models."""
        key = self.keys.get(key_id)
        if key is not None:
            key.health = health.after_probe(key.health)

    def tick(self, now_s: float) -> None:
        """Weigh the routes anew."""
        self.routes.tick(now_s, {key.id: key.settings.weight for key in self.keys.values()})


def _is_same(one: KeySettings, other: KeySettings) -> bool:
    """Whether ``other``, which may be lent with a token, is the key that is configured as ``one``."""
    return one is other or (
        one.id == other.id
        and (one.value == other.value or isinstance(other.value, Token))
        and one.url == other.url
        and one.azure == other.azure
        and one.vertex == other.vertex
        and one.bedrock == other.bedrock
    )


def _learn_limits(limits: KeyLimits, model: str, outcome: AttemptOutcome, now_s: float) -> None:
    rate = outcome.rate
    if rate is not None:
        limits.learn(model, rate, now_s)
    if outcome.error_class is ErrorClass.RATE_LIMIT:
        after_s = outcome.retry_after_s
        if after_s is None and rate is not None:
            after_s = rate.retry_after_s
        limits.refuse(model, after_s, now_s)
    elif outcome.error_class is None:
        limits.succeed(model, now_s)


def _reading(outcome: AttemptOutcome) -> Reading:
    return Reading(
        error_class=outcome.error_class,
        latency_s=outcome.latency_s,
        first_event_s=outcome.first_event_s,
        streamed=outcome.streamed,
        completion_tokens=0 if outcome.usage is None else outcome.usage.completion_tokens,
    )
