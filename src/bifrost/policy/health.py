"""Whether a key may be used: its circuit breaker, and its rests after refusals that are the key's own fault.

States are frozen values, and every change is a function from one to the next, with the time as an argument. The circuit
counts failures of the upstream (network, 5xx, time-outs); refusals of the key (401, 403, 402) rest it; 429s are
``policy.limits``' affair. What is the caller's fault, or the gateway's, changes nothing.

A rejected key recovers by itself: its first refusal rests it for 60 s, the third in a row fails it, and then
one request every 300 s is let through as a trial, until one succeeds or model discovery reports that the key works.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from bifrost.errors import ErrorClass
from bifrost.values import Choice, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.config.settings import BreakerSettings

__all__ = [
    "CLOSED",
    "HEALTHY",
    "UPSTREAM_FAILURES",
    "Circuit",
    "KeyHealth",
    "Phase",
    "Signal",
    "after_outcome",
    "after_probe",
    "after_renewal",
    "lent",
    "step",
]

UPSTREAM_FAILURES = frozenset({ErrorClass.NETWORK, ErrorClass.SERVER, ErrorClass.TIMEOUT})
"""What the circuit counts."""

AUTH_REST_S = 60.0
AUTH_FAILURES_MAX = 3
AUTH_TRIAL_EVERY_S = 300.0
QUOTA_REST_S = 300.0
OPEN_MAX_S = 300.0

BUSY_PROBING_S = 1.0
"""When to ask again while a half-open circuit's probes are out: nobody knows when they return."""


class Phase(Choice):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Signal(Choice):
    """What a circuit reacts to."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIME_UP = "time_up"
    """It was open for long enough, and a request is there to probe with."""
    PROBE_SUCCESS = "probe_success"
    PROBE_FAILURE = "probe_failure"


@frozen(kw_only=True)
class Circuit:
    """A circuit breaker. ``failures`` are in a row; ``probes`` are the leases that try it out while half-open."""

    phase: Phase = Phase.CLOSED
    failures: int = 0
    successes: int = 0
    open_until_s: float = 0.0
    open_s: float = 0.0
    """How long it was opened for, the last time."""
    probes: frozenset[int] = frozenset()

    def closed_to_callers_until(self, now_s: float, rules: BreakerSettings) -> float:
        """When to ask again; 0.0 if it lets a request through now."""
        if self.phase is Phase.OPEN and now_s < self.open_until_s:
            return self.open_until_s
        if self.phase is Phase.HALF_OPEN and len(self.probes) >= rules.half_open_max:
            return now_s + BUSY_PROBING_S
        return 0.0


CLOSED = Circuit()


def _forget_failures(_circuit: Circuit, _now_s: float, _rules: BreakerSettings) -> Circuit:
    return CLOSED


def _count_failure(circuit: Circuit, now_s: float, rules: BreakerSettings) -> Circuit:
    counted = attrs.evolve(circuit, failures=circuit.failures + 1)
    if counted.failures < rules.failure_threshold:
        return counted
    return _opened(counted, now_s, rules.open_seconds)


def _half_open(circuit: Circuit, _now_s: float, _rules: BreakerSettings) -> Circuit:
    return attrs.evolve(circuit, phase=Phase.HALF_OPEN, successes=0, probes=frozenset())


def _count_success(circuit: Circuit, _now_s: float, rules: BreakerSettings) -> Circuit:
    if circuit.successes + 1 >= rules.success_to_close:
        return CLOSED
    return attrs.evolve(circuit, successes=circuit.successes + 1)


def _reopen(circuit: Circuit, now_s: float, rules: BreakerSettings) -> Circuit:
    counted = attrs.evolve(circuit, failures=circuit.failures + 1)
    return _opened(counted, now_s, min(2 * circuit.open_s, max(OPEN_MAX_S, rules.open_seconds)))


def _opened(circuit: Circuit, now_s: float, open_s: float) -> Circuit:
    return attrs.evolve(
        circuit, phase=Phase.OPEN, open_until_s=now_s + open_s, open_s=open_s, probes=frozenset()
    )


TRANSITIONS: Mapping[tuple[Phase, Signal], Callable[[Circuit, float, BreakerSettings], Circuit]] = {
    (Phase.CLOSED, Signal.SUCCESS): _forget_failures,
    (Phase.CLOSED, Signal.FAILURE): _count_failure,
    (Phase.OPEN, Signal.TIME_UP): _half_open,
    (Phase.HALF_OPEN, Signal.PROBE_SUCCESS): _count_success,
    (Phase.HALF_OPEN, Signal.PROBE_FAILURE): _reopen,
}
"""Whatever is not listed changes nothing: answers to requests sent before a circuit opened come too late to count."""


def step(circuit: Circuit, signal: Signal, now_s: float, rules: BreakerSettings) -> Circuit:
    """``circuit`` after ``signal``."""
    transition = TRANSITIONS.get((circuit.phase, signal))
    return circuit if transition is None else transition(circuit, now_s, rules)


@frozen(kw_only=True)
class KeyHealth:
    """All that speaks against using a key, except its rate limits."""

    circuit: Circuit = CLOSED
    rest_until_s: float = 0.0
    rest_cause: ErrorClass | None = None
    """AUTH or QUOTA."""
    auth_failures: int = 0
    """Refusals in a row. Those of requests that were under way together count once."""
    is_failed: bool = False
    trial_at_s: float = 0.0
    """When a failed key is tried again."""
    trial: int | None = None
    """The lease that tries it."""

    def closed_until(self, now_s: float, rules: BreakerSettings) -> float:
        """When to ask again: 0.0 for now, infinite where nobody can say and waiting is no use."""
        if self is HEALTHY:
            return 0.0
        if self.is_failed:
            if self.trial is not None or now_s < self.trial_at_s:
                return math.inf
        elif now_s < self.rest_until_s:
            return math.inf
        return self.circuit.closed_to_callers_until(now_s, rules)

    def rests_for(self, cause: ErrorClass, now_s: float) -> bool:
        return self.rest_cause is cause and now_s < self.rest_until_s


HEALTHY = KeyHealth()


def lent(health: KeyHealth, lease_id: int, now_s: float, rules: BreakerSettings) -> KeyHealth:
    """``health`` after the key was lent out: the lease may be a probe, or the trial of a failed key."""
    if health is HEALTHY:
        return health
    circuit = health.circuit
    if circuit.phase is Phase.OPEN:
        circuit = step(circuit, Signal.TIME_UP, now_s, rules)
    if circuit.phase is Phase.HALF_OPEN:
        circuit = attrs.evolve(circuit, probes=circuit.probes | {lease_id})
    trial = lease_id if health.is_failed else None
    return attrs.evolve(health, circuit=circuit, trial=trial)


def after_outcome(
    health: KeyHealth,
    error_class: ErrorClass | None,
    *,
    lease_id: int,
    now_s: float,
    rules: BreakerSettings,
) -> KeyHealth:
    """``health`` after lease ``lease_id`` ended in ``error_class`` (``None``: a success)."""
    if health is HEALTHY and error_class is None:
        return health
    circuit = _circuit_after(health.circuit, error_class, lease_id, now_s, rules)
    was_trial = health.trial == lease_id
    health = attrs.evolve(health, circuit=circuit, trial=None if was_trial else health.trial)
    if error_class is ErrorClass.AUTH:
        health = _rejected(health, now_s, was_trial=was_trial)
    elif error_class is ErrorClass.QUOTA:
        health = _rested(health, ErrorClass.QUOTA, now_s + QUOTA_REST_S)
    elif error_class is None:
        health = _accepted(health, now_s, was_trial=was_trial)
    return HEALTHY if health == HEALTHY else health


def _circuit_after(
    circuit: Circuit,
    error_class: ErrorClass | None,
    lease_id: int,
    now_s: float,
    rules: BreakerSettings,
) -> Circuit:
    was_probe = lease_id in circuit.probes
    if was_probe:
        circuit = attrs.evolve(circuit, probes=circuit.probes - {lease_id})
    if error_class is None:
        signal = Signal.PROBE_SUCCESS if was_probe else Signal.SUCCESS
    elif error_class in UPSTREAM_FAILURES:
        signal = Signal.PROBE_FAILURE if was_probe else Signal.FAILURE
    else:
        return circuit
    return step(circuit, signal, now_s, rules)


def _rejected(health: KeyHealth, now_s: float, *, was_trial: bool) -> KeyHealth:
    if health.is_failed:
        return attrs.evolve(health, trial_at_s=now_s + AUTH_TRIAL_EVERY_S) if was_trial else health
    if health.rests_for(ErrorClass.AUTH, now_s):
        return health
    count = health.auth_failures + 1
    health = attrs.evolve(health, auth_failures=count)
    if count < AUTH_FAILURES_MAX:
        return _rested(health, ErrorClass.AUTH, now_s + AUTH_REST_S)
    return attrs.evolve(
        health,
        is_failed=True,
        trial_at_s=now_s + AUTH_TRIAL_EVERY_S,
        rest_until_s=0.0,
        rest_cause=None,
    )


def _rested(health: KeyHealth, cause: ErrorClass, until_s: float) -> KeyHealth:
    if until_s <= health.rest_until_s:
        return health
    return attrs.evolve(health, rest_until_s=until_s, rest_cause=cause)


def _accepted(health: KeyHealth, now_s: float, *, was_trial: bool) -> KeyHealth:
    """A success clears what it proves wrong: not a rest or a failure that began after its request was sent."""
    if (health.is_failed and not was_trial) or now_s < health.rest_until_s:
        return health
    return KeyHealth(circuit=health.circuit)


def after_renewal(health: KeyHealth) -> KeyHealth:
    """``health`` after the key's token was replaced: a refusal of the old one rests it no longer.

    It stays counted, so that a key that is refused with every token fails all the same.
    """
    if health.rest_cause is not ErrorClass.AUTH:
        return health
    return attrs.evolve(health, rest_until_s=0.0, rest_cause=None)


def after_probe(health: KeyHealth) -> KeyHealth:
    """``health`` after model discovery found the key accepted: refusals are forgotten, an empty account is not."""
    if health.rest_cause is ErrorClass.QUOTA:
        return attrs.evolve(health, auth_failures=0, is_failed=False, trial=None)
    return HEALTHY if health.circuit is CLOSED else KeyHealth(circuit=health.circuit)
