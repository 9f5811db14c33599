"""The pool's decisions, one message at a time, without a loop."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
import pytest

from actors.fakes import AUTH, OK, SERVER, failed, generation, key, need, rate_limited
from bifrost.actors.mailbox import Reply
from bifrost.actors.messages import (
    Abandon,
    Acquire,
    Applied,
    AttemptOutcome,
    Generation,
    Granted,
    Need,
    PoolView,
    Probe,
    Reconfigure,
    Refusal,
    Refused,
    Settle,
    Snapshot,
)
from bifrost.actors.pool_book import Book
from bifrost.actors.pool_state import PoolState
from bifrost.config.settings import KeySettings, NetworkSettings
from bifrost.errors import ErrorClass
from bifrost.providers.base import RateHint
from bifrost.record import Usage

A, B, C = key("a"), key("b"), key("c")


@attrs.define(eq=False)
class Play:
    """A pool played by hand: who asks gets the key's id or the refusal's reason."""

    state: PoolState
    now_s: float = 1000.0

    @classmethod
    def of(cls, *keys: KeySettings, **more: Any) -> Play:
        return cls(PoolState(Book(generation(*keys, **more), drop_excess=False, max_waiting=9)))

    def ask(self, wish: Need | None = None, **more: Any) -> Reply[Granted | Refused]:
        reply: Reply[Granted | Refused] = Reply()
        asked = {"draw": 0.0, "deadline_s": 1e9} | more
        self.state.handle(Acquire(need=wish or need(), reply=reply, **asked), self.now_s)
        return reply

    def answer(self, wish: Need | None = None, **more: Any) -> Granted | Refused:
        answer = self.ask(wish, **more).peek()
        assert answer is not None
        return answer

    def grant(self, wish: Need | None = None, **more: Any) -> Granted:
        answer = self.answer(wish, **more)
        assert isinstance(answer, Granted)
        return answer

    def settle(self, granted: Granted, outcome: AttemptOutcome = OK) -> None:
        self.state.handle(Settle(lease_id=granted.lease_id, outcome=outcome), self.now_s)

    def attempt(self, outcome: AttemptOutcome = OK, wish: Need | None = None, **more: Any) -> str:
        answer = self.answer(wish, **more)
        if isinstance(answer, Refused):
            return answer.reason
        self.settle(answer, outcome)
        return answer.key_id

    def after_s(self, wish: Need | None = None) -> float | None:
        answer = self.answer(wish)
        assert isinstance(answer, Refused)
        assert answer.reason == Refusal.COOLING_DOWN
        return answer.retry_after_s

    def configure(self, newer: Generation) -> None:
        reply: Reply[Applied] = Reply()
        self.state.handle(Reconfigure(generation=newer, reply=reply), self.now_s)
        assert reply.is_put

    def view(self, wish: Need | None = None) -> PoolView:
        reply: Reply[PoolView] = Reply()
        self.state.handle(Snapshot(reply=reply, need=wish), self.now_s)
        shown = reply.peek()
        assert shown is not None
        return shown


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (need(pin_id="x"), Refusal.UNKNOWN_KEY_ID),
        (need(pin_name="x"), Refusal.UNKNOWN_KEY_NAME),
        (need("other"), Refusal.NO_KEY_FOR_MODEL),
        (need(include_only=frozenset()), Refusal.NO_KEYS),
    ],
)
def test_what_configuration_forbids_is_refused_at_once(wish: Need, reason: str) -> None:
    play = Play.of(key("a", models=("m",)), concurrency=1)

    assert play.attempt(wish=wish) == reason
    play.grant()
    assert play.attempt(wish=wish) == reason


def test_a_pinned_key_is_lent_whatever_its_weight() -> None:
    play = Play.of(A, key("z", weight=0.0))

    assert play.attempt(wish=need(pin_id="z")) == "z"
    assert play.attempt(wish=need(pin_name="name-z", model="m")) == "z"


def test_a_resting_pinned_key_is_not_replaced() -> None:
    play = Play.of(A, B)
    play.attempt(rate_limited(9.0))

    assert play.attempt(wish=need(pin_id="a")) == Refusal.COOLING_DOWN


def test_avoided_keys_are_never_lent_and_disliked_ones_only_alone() -> None:
    play = Play.of(A, B)

    assert play.attempt(avoid=frozenset({"a"})) == "b"
    assert play.attempt(avoid=frozenset({"a", "b"})) == Refusal.EXHAUSTED
    assert play.attempt(prefer_not="a") == "b"
    assert play.attempt(prefer_not="a", avoid=frozenset({"b"})) == "a"


def test_untried_left_counts_usable_keys_only() -> None:
    play = Play.of(A, B, C, key("z", weight=0.0))

    assert play.grant().untried_left == 2
    assert play.grant(tried=frozenset({"b"}), avoid=frozenset({"b"})).untried_left == 1
    play.attempt(rate_limited(9.0))
    assert play.grant(tried=frozenset({"b"})).untried_left == 1


def test_where_all_rest_the_first_to_be_back_gives_the_time() -> None:
    play = Play.of(A, B)
    play.attempt(rate_limited(20.0))
    play.attempt(rate_limited(8.0))

    assert play.after_s() == 8.0


@pytest.mark.parametrize("error_class", [ErrorClass.AUTH, ErrorClass.QUOTA])
def test_no_time_is_told_where_waiting_is_no_use(error_class: ErrorClass) -> None:
    play = Play.of(A)
    play.attempt(failed(error_class))

    assert play.after_s() is None


def test_waiting_for_exactly_as_long_as_told_is_enough() -> None:
    # Sums of floats may fall a hair short of the moment that was meant.
    rng = Random(1)
    for _ in range(300):
        play = Play.of(A)
        play.now_s = rng.uniform(0.0, 1e6)
        play.attempt(rate_limited(rng.uniform(0.1, 60.0)))
        play.now_s += rng.uniform(0.0, 0.1)
        after_s = play.after_s()
        assert after_s is not None
        play.now_s += after_s

        assert play.attempt() == "a"


def test_an_open_circuit_lets_one_probe_through() -> None:
    play = Play.of(A)
    for _ in range(5):
        play.attempt(SERVER)
    assert play.after_s() == 10.0

    play.now_s += 10
    probe = play.grant()
    assert play.after_s() == 1.0
    play.settle(probe)
    play.attempt()

    assert play.view().keys[0].state == "healthy"


def test_an_abandoned_probe_makes_room() -> None:
    play = Play.of(A)
    for _ in range(5):
        play.attempt(SERVER)
    play.now_s += 10
    reply = play.ask()
    play.state.handle(Abandon(reply), play.now_s)

    assert play.attempt() == "a"


def test_a_low_allowance_passes_a_key_over() -> None:
    play = Play.of(A, B)
    rate = RateHint(remaining_tokens=300, reset_tokens_s=30.0)
    play.attempt(AttemptOutcome(status=200, rate=rate))

    assert play.attempt(wish=need(need_tokens=301)) == "b"
    assert play.attempt(wish=need(need_tokens=200)) == "a"
    assert play.attempt(wish=need(need_tokens=200)) == "b"


def test_scarce_keys_are_drawn_less() -> None:
    play = Play.of(A, B)
    rate = RateHint(limit_requests=1000, remaining_requests=40, reset_requests_s=30.0)
    play.attempt(AttemptOutcome(status=200, rate=rate))

    shown = play.view(need())

    assert shown.keys[0].state == "degraded"
    assert shown.keys[0].effective_weight == pytest.approx(0.1)
    assert shown.chances is not None
    assert shown.chances["a"] == pytest.approx(1 / 11)
    assert shown.chances["b"] == pytest.approx(10 / 11)


def test_retry_after_in_the_headers_counts_too() -> None:
    play = Play.of(A)
    play.attempt(failed(ErrorClass.RATE_LIMIT, rate=RateHint(retry_after_s=4.0)))

    assert play.after_s() == 4.0


def test_a_direct_key_takes_a_slot_and_nothing_else() -> None:
    play = Play.of(A, concurrency=1)
    play.attempt(rate_limited(60.0))

    lease = play.grant(need(direct=True))
    assert lease.key is None
    assert lease.key_id == "header-provided"
    assert not play.ask(need(direct=True)).is_put
    play.settle(lease, AUTH)

    assert play.view(need(direct=True)).keys[0].state == "cooling"


def test_keyless_providers_lend_a_blank() -> None:
    play = Play.of(name="mock")

    assert play.attempt() == "keyless"
    assert play.view().keys[0].state == "healthy"


def session(name: str = "s", **more: Any) -> Need:
    return need(session=name, session_ttl_s=3600.0, **more)


def test_a_session_stays_with_its_key_for_an_hour_after_its_last_use() -> None:
    play = Play.of(A, B)
    assert play.attempt(wish=session(), draw=0.9) == "b"
    for _ in range(3):
        play.now_s += 3599
        assert play.attempt(wish=session(), draw=0.0) == "b"

    play.now_s += 3600

    assert play.attempt(wish=session(), draw=0.0) == "a"


def test_two_first_requests_of_a_session_end_on_one_key() -> None:
    play = Play.of(A, B)

    assert play.grant(session(), draw=0.9).key_id == play.grant(session(), draw=0.0).key_id


def test_retries_of_a_session_stay_unless_told_to_avoid_its_key() -> None:
    play = Play.of(A, B)
    play.attempt(SERVER, wish=session())

    assert play.attempt(wish=session(), prefer_not="a") == "a"
    assert play.attempt(wish=session(), avoid=frozenset({"a"})) == "b"
    assert play.attempt(wish=session(), draw=0.9) == "a"


def test_a_resting_sticky_key_is_passed_over_and_kept() -> None:
    play = Play.of(A, B)
    play.attempt(rate_limited(5.0), wish=session())
    assert play.attempt(wish=session()) == "b"

    play.now_s += 5

    assert play.attempt(wish=session(), draw=0.9) == "a"


def test_a_failed_sticky_key_is_forgotten() -> None:
    play = Play.of(A, B)
    for _ in range(3):
        play.attempt(AUTH, wish=session())
        play.now_s += 60
    assert play.attempt(wish=session()) == "b"
    play.state.handle(Probe(key_id="a", ok=True), play.now_s)

    assert play.attempt(wish=session(), draw=0.0) == "b"


def test_a_removed_sticky_key_is_forgotten_and_weight_zero_is_not() -> None:
    play = Play.of(A, B)
    assert play.attempt(wish=session(), draw=0.0) == "a"
    play.configure(generation(attrs.evolve(A, weight=0.0), B, number=2))
    assert play.attempt(wish=session()) == "a"

    play.configure(generation(B, C, number=3))

    assert play.attempt(wish=session(), draw=0.9) == "c"
    assert play.attempt(wish=session(), draw=0.0) == "c"


def test_health_is_kept_for_unchanged_keys_only() -> None:
    play = Play.of(A, B, C)
    for _ in range(3):
        play.attempt(rate_limited(60.0), draw=0.0)
    assert play.after_s() == 60.0

    changed = key("b", value="sk-new")
    play.configure(generation(attrs.evolve(A, weight=5.0), changed, number=2))

    assert [shown.state for shown in play.view().keys] == ["cooling", "healthy"]
    moved = NetworkSettings(base_url="http://elsewhere")
    play.configure(generation(A, changed, number=3, network=moved))
    assert [shown.state for shown in play.view().keys] == ["healthy", "healthy"]


def test_a_lease_of_a_replaced_key_teaches_nothing() -> None:
    play = Play.of(A)
    lease, other = play.grant(), play.grant()
    play.configure(generation(key("a", value="sk-new"), number=2))
    play.settle(lease, AUTH)
    assert play.attempt() == "a"

    play.configure(generation(B, number=3))
    play.settle(other, AUTH)

    assert play.view().keys[0].state == "healthy"
    assert play.view().running == 0


def test_settling_twice_is_settling_once() -> None:
    play = Play.of(A)
    lease = play.grant()
    play.settle(lease)
    play.settle(lease, AUTH)

    shown = play.view()
    assert (shown.settled, shown.running, shown.keys[0].state) == (1, 0, "healthy")


def test_abandoning_a_lease_that_was_read_frees_it_too() -> None:
    play = Play.of(A)
    reply = play.ask()
    play.state.handle(Abandon(reply), play.now_s)
    play.state.handle(Abandon(reply), play.now_s)

    assert (play.view().settled, play.view().running) == (1, 0)


def test_a_waiter_whose_keys_went_to_rest_is_told_at_its_turn() -> None:
    play = Play.of(A, concurrency=1)
    lease = play.grant()
    waiter = play.ask()
    play.settle(lease, rate_limited(9.0))

    assert waiter.peek() == Refused(reason=Refusal.COOLING_DOWN, retry_after_s=9.0)


def test_a_waiter_past_its_deadline_gets_no_slot() -> None:
    play = Play.of(A, concurrency=1)
    lease = play.grant()
    waiter = play.ask(deadline_s=play.now_s + 5)
    assert play.state.wake_s() == play.now_s + 5
    play.now_s += 5
    play.settle(lease)

    assert waiter.peek() == Refused(reason=Refusal.WAIT_DEADLINE)


def test_the_wait_is_told_with_the_grant() -> None:
    play = Play.of(A, concurrency=1)
    lease = play.grant()
    waiter = play.ask()
    play.now_s += 2.5
    play.settle(lease)

    granted = waiter.peek()
    assert isinstance(granted, Granted)
    assert granted.queue_wait_s == 2.5


def test_a_view_says_why_a_key_is_not_eligible() -> None:
    play = Play.of(
        key("off", enabled=False),
        key("blank", value=""),
        key("denied", blacklisted_models=("m",)),
        key("zero", weight=0.0),
        A,
        B,
        C,
    )
    play.attempt(rate_limited(8.0))
    play.attempt(AUTH)

    shown = play.view(need())

    assert shown.chances == {"c": 1.0}
    assert shown.reasons == {
        "off": "disabled",
        "blank": "its value is blank",
        "denied": "blacklisted_models has m",
        "zero": "its weight is 0",
        "a": "cooling: may be used again in 8.0 s",
        "b": "cooling: the upstream does not accept it",
    }
    states = {one.id: one.state for one in shown.keys}
    assert (states["off"], states["blank"], states["b"]) == ("disabled", "blank", "cooling")


def test_a_view_knows_the_sessions_key_and_an_empty_choice() -> None:
    play = Play.of(A, B)
    play.attempt(wish=session(), draw=0.9)

    assert play.view(session()).chances == {"b": 1.0}
    assert play.view(need("m", pin_id="x")).chances == {}


def test_a_view_shows_circuits() -> None:
    play = Play.of(A)
    for _ in range(5):
        play.attempt(SERVER)
    shown = play.view().keys[0]
    assert (shown.state, shown.failures_in_a_row, shown.cool_down_left_s) == ("open", 5, 10.0)
    assert shown.effective_weight == 0.0

    play.now_s += 10

    assert play.view().keys[0].state == "half_open"


def test_offers_are_bounded() -> None:
    play = Play.of(A)
    for number in range(1500):
        play.attempt(wish=need(f"m{number}"))

    assert len(play.state.ring._offers) <= 1024


# Adaptive balancing


def busy(play: Play, failures: dict[str, int], calls: int = 20) -> None:
    """``calls`` leases of each key, of which so many fail."""
    for key_id in "ab":
        for number in range(calls):
            bad = number >= calls - failures.get(key_id, 0)
            play.attempt(SERVER if bad else OK, wish=need(pin_id=key_id))


def test_a_key_with_errors_falls_out_and_comes_back_by_exploration() -> None:
    play = Play.of(A, B, balancing="adaptive")
    busy(play, {"a": 2})
    play.state.on_time(play.now_s)
    assert {play.attempt(draw=number / 50) for number in range(50)} == {"b"}
    shown = play.view(need())
    assert shown.keys[0].state == "failed"
    assert shown.chances == {"b": 1.0}
    assert list(shown.reasons or ()) == ["a"]

    play.now_s += 10
    probes = [play.grant(draw=number / 200) for number in range(200)]
    route = play.state.ring.routes.of("a", "m")
    assert route.probe is not None
    assert play.view().keys[0].state == "recovering"
    for lease in probes:
        play.settle(lease, AttemptOutcome(status=200, usage=Usage(completion_tokens=5)))
    assert route.probe is None


def test_half_an_upstream_beats_none() -> None:
    play = Play.of(A, B, balancing="adaptive")
    busy(play, {"a": 2, "b": 2})

    assert play.attempt() in {"a", "b"}


def test_a_used_up_limit_fails_the_route_until_its_reset() -> None:
    play = Play.of(A, B, balancing="adaptive")
    rate = RateHint(remaining_requests=0, reset_requests_s=20.0)
    play.attempt(AttemptOutcome(status=200, rate=rate), wish=need(pin_id="a"))

    route = play.state.ring.routes.of("a", "m")
    assert route.failed_until_s == play.now_s + 20
    assert play.attempt(draw=0.1) == "b"


def test_an_open_circuit_fails_the_route() -> None:
    play = Play.of(A, B, balancing="adaptive")
    for _ in range(5):
        play.attempt(SERVER, wish=need(pin_id="a"))
    assert play.state.ring.routes.of("a", "m").failed_until_s == play.now_s + 10

    assert play.view(need()).chances == {"b": 1.0}


def test_adaptive_pools_wake_every_five_seconds() -> None:
    play = Play.of(A, balancing="adaptive")
    play.state.on_time(1000.0)

    assert play.state.wake_s() == 1005.0
    assert Play.of(A).state.wake_s() == float("inf")
