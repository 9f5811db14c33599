from __future__ import annotations

from random import Random

import pytest

from bifrost.errors import ErrorClass
from bifrost.policy.adaptive import (
    FLOOR,
    ROUTES_MAX,
    Reading,
    Route,
    Routes,
    RouteState,
    draw_route,
    route_chances,
)

GOOD = Reading(latency_s=0.3, completion_tokens=100)
BAD = Reading(error_class=ErrorClass.SERVER)
WEIGHTS = {"a": 1.0, "b": 1.0, "c": 1.0}


def play(route: Route, *, failures: int, successes: int, now_s: float = 0.0) -> None:
    for _ in range(successes):
        route.record(GOOD, now_s)
    for _ in range(failures):
        route.record(BAD, now_s)


def recovering(now_s: float = 100.0) -> Route:
    route = Route()
    route.fail(now_s, now_s)
    assert route.state_at(now_s) is RouteState.RECOVERING
    return route


def test_ten_percent_errors_fail_a_route_and_rest_it() -> None:
    route = Route()
    play(route, failures=1, successes=9)

    assert route.state is RouteState.FAILED
    assert route.by_rate
    assert route.is_closed(9.9)
    assert not route.is_closed(10.0)


def test_a_few_requests_prove_nothing() -> None:
    route = Route()
    play(route, failures=1, successes=8)

    assert route.state is RouteState.HEALTHY


def test_three_percent_degrade_and_heal() -> None:
    route = Route()
    play(route, failures=1, successes=30)
    degraded = route.state

    play(route, failures=0, successes=30)

    assert (degraded, route.state) == (RouteState.DEGRADED, RouteState.HEALTHY)


@pytest.mark.parametrize("error_class", [ErrorClass.CLIENT, ErrorClass.CANCELLED])
def test_the_callers_own_faults_do_not_count(error_class: ErrorClass) -> None:
    route = Route()
    for _ in range(50):
        route.record(Reading(error_class=error_class), 0.0)

    assert route.error_rate() == 0.0


def test_penalty_is_a_tenth_thirty_seconds_after_the_trouble() -> None:
    route = Route()
    play(route, failures=10, successes=90)
    peak = route.penalty(0.0)

    assert peak == 1.0
    assert route.penalty(30.0) <= 0.1 * peak + 1e-9


def test_a_failure_while_recovering_doubles_the_rest_up_to_five_minutes() -> None:
    route, now_s, rests = Route(), 0.0, []
    play(route, failures=1, successes=9)
    for _ in range(6):
        now_s = route.failed_until_s
        assert not route.is_closed(now_s)
        route.record(BAD, now_s)
        rests.append(route.failed_until_s - now_s)

    assert rests == [20, 40, 80, 160, 300, 300]


def test_recovered_by_successes_and_its_share_of_traffic() -> None:
    routes = Routes()
    route = routes.of("a", "m")
    route.fail(1.0, 0.0)
    routes.of("b", "m")
    assert route.state_at(1.0) is RouteState.RECOVERING
    for number in range(20):
        routes.lend("ab"[number % 2], "m")
        route.record(GOOD, 2.0)

    routes.tick(5.0, WEIGHTS)

    assert route.state is RouteState.HEALTHY


def test_not_recovered_without_its_share() -> None:
    routes = Routes()
    route = routes.of("a", "m")
    route.fail(1.0, 0.0)
    assert not route.is_closed(1.0)
    play(route, failures=0, successes=9, now_s=2.0)
    for _ in range(20):
        routes.lend("b", "m")

    routes.tick(5.0, WEIGHTS)

    assert route.state is RouteState.RECOVERING


def test_a_longer_cause_extends_the_rest_and_is_no_longer_by_rate() -> None:
    route = Route()
    play(route, failures=1, successes=9)
    route.fail(60.0, 0.0)

    assert route.failed_until_s == 60.0
    assert not route.by_rate


def test_errors_lower_the_factor() -> None:
    routes = Routes()
    play(routes.of("a", "m"), failures=1, successes=30)
    play(routes.of("b", "m"), failures=0, successes=30)

    routes.tick(0.0, WEIGHTS)

    assert routes.of("a", "m").factor < 0.6
    assert routes.of("b", "m").factor == 1.0


@pytest.mark.parametrize("streamed", [False, True])
def test_the_slower_of_two_loses_weight(streamed: bool) -> None:
    routes = Routes()
    for key_id, latency_s in (("a", 0.2), ("b", 2.0), ("c", 0.2)):
        for _ in range(12):
            reading = Reading(latency_s=latency_s, first_event_s=latency_s, streamed=streamed)
            routes.of(key_id, "m").record(reading, 0.0)

    routes.tick(0.0, WEIGHTS)

    factors = [routes.of(key_id, "m").factor for key_id in "abc"]
    assert factors[0] == factors[2] == 1.0
    assert factors[1] < 0.75


def test_latency_of_one_route_alone_is_no_penalty() -> None:
    routes = Routes()
    play(routes.of("a", "m"), failures=0, successes=20)
    routes.of("a", "m").record(Reading(streamed=True), 0.0)

    routes.tick(0.0, WEIGHTS)

    assert routes.of("a", "m").factor == 1.0
    assert routes.of("a", "m").stream.samples == 0


def test_more_than_a_fair_share_costs_a_little() -> None:
    routes = Routes()
    routes.of("b", "m")
    for _ in range(10):
        routes.lend("a", "m")

    routes.tick(0.0, WEIGHTS)

    assert 0.9 < routes.of("a", "m").factor < 1.0


def test_momentum_lifts_a_recovering_route() -> None:
    slow, quick = recovering(), recovering()
    slow.record(BAD, 100.0)
    quick.record(BAD, 100.0)
    for route in (slow, quick):
        assert not route.is_closed(route.failed_until_s)
    play(quick, failures=0, successes=20, now_s=121.0)

    assert quick.score(121.0, 1.0, 0.0) < slow.score(121.0, 1.0, 0.0)


def test_the_factor_has_a_floor() -> None:
    route_set = Routes()
    route = route_set.of("a", "m")
    route.share = 1.0
    play(route, failures=30, successes=0)

    assert route.score(0.0, 1.0, 0.5) == pytest.approx(0.75 / 0.75)
    route_set.tick(0.0, WEIGHTS)
    assert route.factor >= FLOOR


def test_exploration_takes_a_quarter_and_leaves_probed_routes_alone() -> None:
    steady, weak = Route(), recovering()
    rng = Random(3)

    drawn = [draw_route([steady, weak], [1.0, 0.0], rng.random()) for _ in range(4000)]
    explored = sum(explores for _, explores in drawn)
    weak.probe = 7
    later = {draw_route([steady, weak], [1.0, 0.0], rng.random()) for _ in range(500)}

    assert 900 < explored < 1100
    assert {index for index, explores in drawn if explores} == {1}
    assert later == {(0, False)}


def test_route_chances_say_what_draws_do() -> None:
    steady, weak = Route(), recovering()

    assert route_chances([steady, weak], [1.0, 1.0]) == (0.375, 0.625)
    assert route_chances([steady, steady], [3.0, 1.0]) == (0.75, 0.25)


def test_jitter_never_revives_a_zero() -> None:
    rng = Random(3)

    drawn = {draw_route([Route(), Route()], [0.0, 1.0], rng.random())[0] for _ in range(500)}

    assert drawn == {1}


def test_routes_are_bounded_and_forgotten_with_their_key() -> None:
    routes = Routes()
    first = routes.of("a", "m")
    for number in range(ROUTES_MAX):
        routes.lend("b", f"m{number}")

    assert routes.of("a", "m") is not first
    assert len(routes.of_key("b")) == ROUTES_MAX - 1
    routes.forget("b")
    assert routes.of_key("b") == ()
