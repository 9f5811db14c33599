from __future__ import annotations

import math

import attrs
import pytest

from bifrost.config.settings import BreakerSettings
from bifrost.errors import ErrorClass
from bifrost.policy.health import (
    CLOSED,
    HEALTHY,
    TRANSITIONS,
    Circuit,
    KeyHealth,
    Phase,
    Signal,
    after_outcome,
    after_probe,
    lent,
    step,
)

RULES = BreakerSettings()


@attrs.define
class Key:
    """A key's health, played through time."""

    health: KeyHealth = HEALTHY
    now_s: float = 100.0
    lease: int = 0
    rules: BreakerSettings = RULES

    def lend(self) -> int:
        assert self.closed_for_s() == 0.0
        self.lease += 1
        self.health = lent(self.health, self.lease, self.now_s, self.rules)
        return self.lease

    def back(self, lease: int, error_class: ErrorClass | None) -> None:
        self.health = after_outcome(
            self.health, error_class, lease_id=lease, now_s=self.now_s, rules=self.rules
        )

    def play(self, *outcomes: ErrorClass | None) -> None:
        for outcome in outcomes:
            self.back(self.lend(), outcome)

    def closed_for_s(self) -> float:
        until_s = self.health.closed_until(self.now_s, self.rules)
        return max(0.0, until_s - self.now_s)


DOWN = ErrorClass.NETWORK


def test_circuit_opens_at_the_fifth_failure_in_a_row() -> None:
    key = Key()
    key.play(DOWN, ErrorClass.SERVER, ErrorClass.TIMEOUT, DOWN)
    assert key.closed_for_s() == 0.0

    key.play(DOWN)

    assert key.closed_for_s() == 10.0


def test_a_success_ends_the_row() -> None:
    key = Key()
    key.play(DOWN, DOWN, DOWN, DOWN, None, DOWN, DOWN, DOWN, DOWN)

    assert key.closed_for_s() == 0.0


def test_one_probe_at_a_time_and_two_successes_close() -> None:
    key = Key()
    key.play(*[DOWN] * 5)
    key.now_s += 10

    first = key.lend()
    assert key.closed_for_s() == 1.0
    key.back(first, None)
    assert key.health.circuit.phase is Phase.HALF_OPEN
    key.play(None)

    assert key.health is HEALTHY


def test_failed_probes_double_the_time_up_to_five_minutes() -> None:
    key = Key()
    key.play(*[DOWN] * 5)
    spans = []
    for _ in range(7):
        spans.append(key.closed_for_s())
        key.now_s += spans[-1]
        key.play(DOWN)

    assert spans == [10, 20, 40, 80, 160, 300, 300]


def test_a_probe_that_says_nothing_makes_room_for_another() -> None:
    key = Key()
    key.play(*[DOWN] * 5)
    key.now_s += 10
    key.play(ErrorClass.CANCELLED)

    assert key.closed_for_s() == 0.0
    assert key.health.circuit.phase is Phase.HALF_OPEN


def test_answers_from_before_the_opening_come_too_late() -> None:
    key = Key()
    early = [key.lend() for _ in range(7)]
    for lease in early[:5]:
        key.back(lease, DOWN)
    key.back(early[5], None)
    assert key.closed_for_s() == 10.0

    key.now_s += 10
    key.lend()
    key.back(early[6], DOWN)

    assert key.health.circuit.phase is Phase.HALF_OPEN


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("signal", Signal)
def test_what_the_table_does_not_list_changes_nothing(phase: Phase, signal: Signal) -> None:
    circuit = Circuit(phase=phase, failures=1, open_s=10.0)

    after = step(circuit, signal, 0.0, RULES)

    assert (after != circuit) is ((phase, signal) in TRANSITIONS)


@pytest.mark.parametrize(
    "error_class",
    [
        ErrorClass.CANCELLED,
        ErrorClass.CLIENT,
        ErrorClass.INTERNAL,
        ErrorClass.NOT_FOUND,
        ErrorClass.DEADLINE,
        ErrorClass.RATE_LIMIT,
    ],
)
def test_what_is_not_the_keys_fault_leaves_it_alone(error_class: ErrorClass) -> None:
    key = Key()
    key.play(*[error_class] * 10)

    assert key.health is HEALTHY


def test_rejection_rests_a_minute_and_the_third_fails_the_key() -> None:
    key = Key()
    failed = []
    for _ in range(3):
        key.play(ErrorClass.AUTH)
        assert key.closed_for_s() == math.inf
        failed.append(key.health.is_failed)
        key.now_s += 60

    assert failed == [False, False, True]
    assert key.closed_for_s() == math.inf


def failed_key() -> Key:
    key = Key()
    for _ in range(3):
        key.play(ErrorClass.AUTH)
        key.now_s += 60
    assert key.health.is_failed
    key.now_s += 240
    return key


def test_rejections_of_the_same_blow_count_once() -> None:
    key = Key()
    leases = [key.lend() for _ in range(10)]
    for lease in leases:
        key.back(lease, ErrorClass.AUTH)

    assert key.health.auth_failures == 1
    assert not key.health.is_failed


def test_a_failed_key_is_tried_by_one_request_every_five_minutes() -> None:
    key = failed_key()

    trial = key.lend()
    assert key.closed_for_s() == math.inf
    key.back(trial, ErrorClass.AUTH)
    key.now_s += 299
    assert key.closed_for_s() == math.inf
    key.now_s += 1
    key.play(None)

    assert key.health is HEALTHY


def test_a_trial_that_was_cancelled_is_repeated() -> None:
    key = failed_key()
    key.play(ErrorClass.CANCELLED, None)

    assert key.health is HEALTHY


@pytest.mark.parametrize("late", [None, ErrorClass.AUTH])
def test_old_answers_do_not_speak_for_a_failed_key(late: ErrorClass | None) -> None:
    key = failed_key()
    before = key.health
    key.back(999, late)

    assert key.health == before


def test_success_of_an_old_request_does_not_end_a_rest() -> None:
    key = Key()
    old = key.lend()
    key.play(ErrorClass.AUTH)
    key.back(old, None)

    assert key.closed_for_s() == math.inf


def test_an_accepted_key_starts_its_row_anew() -> None:
    key = Key()
    key.play(ErrorClass.AUTH)
    key.now_s += 60
    key.play(None)

    assert key.health is HEALTHY


def test_an_empty_account_rests_five_minutes() -> None:
    key = Key()
    leases = [key.lend(), key.lend()]
    key.back(leases[0], ErrorClass.QUOTA)
    key.back(leases[1], ErrorClass.AUTH)
    key.now_s += 299
    assert key.closed_for_s() == math.inf
    key.now_s += 1

    assert key.closed_for_s() == 0.0


def test_model_discovery_clears_a_rejection_but_no_empty_account_and_no_circuit() -> None:
    rejected, empty, broken = failed_key(), Key(), Key()
    empty.play(ErrorClass.QUOTA)
    broken.play(*[DOWN] * 5)

    assert after_probe(rejected.health) is HEALTHY
    assert after_probe(empty.health).rest_cause is ErrorClass.QUOTA
    assert after_probe(broken.health).circuit.phase is Phase.OPEN


def test_an_untouched_circuit_lets_everything_through() -> None:
    assert CLOSED.closed_to_callers_until(5.0, RULES) == 0.0
    assert lent(HEALTHY, 1, 0.0, RULES) is HEALTHY
