"""A pool at one moment, as a frozen view: for metrics, the management API and ``explain``. No secret gets in here."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.actors.messages import KeyView, PoolView, Refused
from bifrost.policy.adaptive import RouteState, route_chances
from bifrost.policy.balance import chances
from bifrost.policy.eligibility import KEYLESS, base_type, is_blank
from bifrost.policy.health import Phase

if TYPE_CHECKING:
    from bifrost.actors.key_ring import KeyRing, KeyState
    from bifrost.actors.messages import Need
    from bifrost.actors.pool_book import Book
    from bifrost.policy.limits import Allowance

__all__ = ["outline", "view"]

WORST_FIRST = (RouteState.FAILED, RouteState.RECOVERING, RouteState.DEGRADED)
OUT_OF_ROTATION = frozenset({"disabled", "blank", "failed", "open", "cooling"})


def outline(book: Book) -> PoolView:
    """What the book alone knows: a pool that rests between crashes, or has ended."""
    return PoolView(
        provider=book.generation.settings.name,
        generation=book.generation.number,
        keys=(),
        running=book.running,
        waiting=len(book.line),
        granted=book.granted,
        settled=book.settled,
        is_draining=book.is_draining,
    )


def view(book: Book, ring: KeyRing, need: Need | None, now_s: float) -> PoolView:
    """The whole pool. With ``need``, also how likely each key is to be drawn for it, and why others are not."""
    keys = tuple(_key_view(key, book, ring, now_s) for key in ring.keys.values())
    shown = attrs.evolve(outline(book), keys=keys)
    if need is None or need.direct:
        return shown
    odds = _chances(ring, need, now_s)
    reasons = _reasons(ring, need, now_s)
    return attrs.evolve(shown, chances=MappingProxyType(odds), reasons=MappingProxyType(reasons))


def _key_view(key: KeyState, book: Book, ring: KeyRing, now_s: float) -> KeyView:
    limits, state = key.limits.worst(now_s), _state(key, ring, now_s)
    factor = 0.0 if state in OUT_OF_ROTATION else limits.factor(now_s) * _factor(key, ring)
    return KeyView(
        id=key.id,
        name=key.settings.name,
        state=state,
        in_flight=book.in_flight[key.id],
        weight=key.settings.weight,
        effective_weight=key.settings.weight * factor,
        cool_down_left_s=max(0.0, _rests_until(key, ring, limits, now_s) - now_s),
        failures_in_a_row=key.health.circuit.failures,
        remaining_requests=None if limits.requests is None else limits.requests.remaining,
        remaining_tokens=None if limits.tokens is None else limits.tokens.remaining,
        models=key.settings.models,
        granted=book.granted_by_key[key.id],
    )


def _rests_until(key: KeyState, ring: KeyRing, limits: Allowance, now_s: float) -> float:
    """When a rest is over, as far as that can be said."""
    health, token_s = key.health, _lacks_token_until(key, ring, now_s)
    trial_at_s = health.trial_at_s if health.is_failed else 0.0
    return max(
        limits.closed_until(0, now_s),
        health.rest_until_s,
        health.circuit.open_until_s,
        trial_at_s,
        token_s if token_s < math.inf else 0.0,
    )


def _lacks_token_until(key: KeyState, ring: KeyRing, now_s: float) -> float:
    return 0.0 if key.source is None else ring.wallet.closed_until(key.source, now_s)


def _state(key: KeyState, ring: KeyRing, now_s: float) -> str:
    """The gravest thing that can be said of a key."""
    if not key.settings.enabled:
        return "disabled"
    if key.settings is not KEYLESS and is_blank(key.settings, base_type(ring.settings)):
        return "blank"
    if key.health.is_failed or _lacks_token_until(key, ring, now_s) == math.inf:
        return "failed"
    return _circuit_state(key, now_s) or _resting_state(key, ring, now_s)


def _circuit_state(key: KeyState, now_s: float) -> str | None:
    circuit = key.health.circuit
    if circuit.phase is Phase.CLOSED:
        return None
    is_open = circuit.phase is Phase.OPEN and now_s < circuit.open_until_s
    return "open" if is_open else "half_open"


def _resting_state(key: KeyState, ring: KeyRing, now_s: float) -> str:
    limits = key.limits.worst(now_s)
    if _rests_until(key, ring, limits, now_s) > now_s:
        return "cooling"
    routes = ring.routes.of_key(key.id) if ring.is_adaptive else ()
    states = {route.state_at(now_s) for route in routes}
    worst = next((state for state in WORST_FIRST if state in states), None)
    if worst is not None:
        return worst.value
    return "degraded" if limits.factor(now_s) < 1.0 else "healthy"


def _factor(key: KeyState, ring: KeyRing) -> float:
    """The mean over a key's routes; 1 where nothing was learned, or nothing is to be."""
    routes = ring.routes.of_key(key.id) if ring.is_adaptive else ()
    return sum(route.factor for route in routes) / len(routes) if routes else 1.0


def _chances(ring: KeyRing, need: Need, now_s: float) -> dict[str, float]:
    """Key id to the probability that the next lease for ``need`` is of it."""
    survey = ring.survey(need, frozenset(), now_s)
    if isinstance(survey, Refused):
        return {}
    if survey.sticky is not None:
        return {survey.sticky.id: 1.0}
    keys = survey.usable
    weights = ring.weights(keys, need.model, now_s)
    if ring.is_adaptive:
        odds = route_chances([ring.routes.of(key.id, need.model) for key in keys], weights)
    else:
        odds = chances(weights)
    return {key.id: chance for key, chance in zip(keys, odds, strict=True)}


def _reasons(ring: KeyRing, need: Need, now_s: float) -> dict[str, str]:
    """Key id to why the next lease for ``need`` cannot be of it."""
    offer = ring.offer(need)
    found = {key.id: _why_not_now(key, ring, need, now_s) for key in offer.all}
    idle = {key.id: "its weight is 0" for key in offer.all if key not in offer.rotation}
    resting = {key_id: reason for key_id, reason in found.items() if reason is not None}
    return {**offer.eligible.reasons, **resting, **idle}


def _why_not_now(key: KeyState, ring: KeyRing, need: Need, now_s: float) -> str | None:
    until_s, state = ring.closed_until(key, need, now_s), _state(key, ring, now_s)
    if until_s == math.inf:
        return f"{state}: the upstream does not accept it"
    if until_s > now_s:
        return f"{state}: may be used again in {until_s - now_s:.1f} s"
    if ring.is_adaptive and ring.routes.of(key.id, need.model).is_closed(now_s):
        return f"{state}: too many errors lately, used only where there is nothing better"
    return None
