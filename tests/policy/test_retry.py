from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.errors import (
    BadRequest,
    Cancelled,
    ConfigurationMissing,
    DeadlineExceeded,
    ErrorClass,
    GatewayError,
    InternalError,
    NetworkError,
    NoUsableKey,
    ProviderUnavailable,
    QueueFull,
    ShuttingDown,
    StreamIdleTimeout,
    UnsupportedOperation,
    UpstreamError,
    UpstreamTimeout,
)
from bifrost.policy.retry import (
    Backoff,
    Fail,
    Finish,
    History,
    NextHop,
    Over,
    Retry,
    RetryBudget,
    RetryRules,
    after_hop,
    verdict,
)

BACKOFF = Backoff(500, 5000)
RULES = RetryRules(
    max_retries=2, backoff=BACKOFF, retry_on_timeout=False, retry_after_cap_s=60.0, sticky=False
)
STICKY = RetryRules(
    max_retries=2, backoff=BACKOFF, retry_on_timeout=False, retry_after_cap_s=60.0, sticky=True
)


def upstream(
    status: int, error_class: ErrorClass, retry_after_s: float | None = None
) -> UpstreamError:
    return UpstreamError(
        "refused", status=status, error_class=error_class, retry_after_s=retry_after_s
    )


def decide(
    error: GatewayError,
    *,
    history: History | None = None,
    rules: RetryRules = RULES,
    key_id: str | None = "a",
    untried_left: int = 0,
    patience_s: float = float("inf"),
    draw: float = 0.5,
) -> Retry | Over:
    return verdict(
        error,
        history or History(),
        rules,
        key_id=key_id,
        untried_left=untried_left,
        patience_s=patience_s,
        draw=draw,
    )


@pytest.mark.parametrize(
    ("draw", "expected_ms"),
    [
        (0.0, [400, 800, 1600, 3200, 4000, 4000, 4000, 4000]),
        (0.5, [500, 1000, 2000, 4000, 5000, 5000, 5000, 5000]),
        (1 - 1e-12, [600, 1200, 2400, 4800, 5000, 5000, 5000, 5000]),
    ],
)
def test_back_off_sequence(draw: float, expected_ms: list[int]) -> None:
    delays = [round(BACKOFF.delay_s(retry, draw) * 1000) for retry in range(8)]

    assert delays == expected_ms


@given(retry=st.integers(0, 10_000), draw=st.floats(0, 1, exclude_max=True))
def test_back_off_never_exceeds_its_maximum(retry: int, draw: float) -> None:
    assert 0 < BACKOFF.delay_s(retry, draw) <= 5.0


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 529, 520, 524])
def test_server_failures_are_retried_after_a_back_off(status: int) -> None:
    decision = decide(upstream(status, ErrorClass.SERVER))

    assert decision == Retry(after_s=0.5, costs=True, avoid=frozenset(), prefer_not="a")


@pytest.mark.parametrize(
    "error",
    [
        upstream(501, ErrorClass.SERVER),
        upstream(400, ErrorClass.CLIENT),
        upstream(404, ErrorClass.NOT_FOUND),
        upstream(422, ErrorClass.CLIENT),
        UpstreamTimeout("slow"),
        StreamIdleTimeout("silent"),
        Cancelled("gone"),
        DeadlineExceeded("late"),
        InternalError("defect"),
        NoUsableKey("none"),
        BadRequest("wrong"),
    ],
)
def test_what_is_never_retried(error: GatewayError) -> None:
    assert decide(error, untried_left=3) == Over()


def test_network_failures_are_retried() -> None:
    assert isinstance(decide(NetworkError("refused")), Retry)


def test_timeouts_are_retried_only_on_wish() -> None:
    wishing = RetryRules(
        max_retries=2, backoff=BACKOFF, retry_on_timeout=True, retry_after_cap_s=60, sticky=False
    )

    assert isinstance(decide(UpstreamTimeout("slow"), rules=wishing), Retry)


def test_retries_end_at_their_maximum() -> None:
    error = upstream(500, ErrorClass.SERVER)

    assert isinstance(decide(error, history=History(retries=1)), Retry)
    assert decide(error, history=History(retries=2)) == Over()


@pytest.mark.parametrize(
    ("status", "error_class"),
    [(429, ErrorClass.RATE_LIMIT), (401, ErrorClass.AUTH), (402, ErrorClass.QUOTA)],
)
def test_a_refused_key_gives_way_to_an_untried_one_at_once_and_free(
    status: int, error_class: ErrorClass
) -> None:
    history = History(retries=2, tried=frozenset({"b"}))

    decision = decide(upstream(status, error_class, 30.0), history=history, untried_left=1)

    assert decision == Retry(after_s=0.0, costs=False, avoid=frozenset({"a", "b"}))


def test_a_lone_rate_limited_key_is_waited_for() -> None:
    decision = decide(upstream(429, ErrorClass.RATE_LIMIT, 7.0))

    assert decision == Retry(after_s=7.0, costs=True, avoid=frozenset(), prefer_not="a")


def test_a_sticky_call_waits_for_its_key_though_others_are_free() -> None:
    decision = decide(upstream(429, ErrorClass.RATE_LIMIT, 7.0), rules=STICKY, untried_left=4)

    assert decision == Retry(after_s=7.0, costs=True, avoid=frozenset(), prefer_not="a")


@pytest.mark.parametrize("error_class", [ErrorClass.AUTH, ErrorClass.QUOTA])
def test_a_sticky_call_gives_up_on_a_key_that_is_not_accepted(error_class: ErrorClass) -> None:
    assert decide(upstream(401, error_class), rules=STICKY, untried_left=4) == Over()


def test_a_wait_above_the_cap_is_not_waited() -> None:
    assert decide(upstream(429, ErrorClass.RATE_LIMIT, 61.0)) == Over()


def test_a_wait_beyond_patience_is_not_waited() -> None:
    assert decide(upstream(429, ErrorClass.RATE_LIMIT, 7.0), patience_s=6.9) == Over()


def test_retry_after_does_not_delay_another_key() -> None:
    decision = decide(upstream(503, ErrorClass.SERVER, 20.0), untried_left=1)

    assert isinstance(decision, Retry)
    assert decision.after_s == 0.5


def test_resting_keys_are_waited_for_without_back_off() -> None:
    error = ProviderUnavailable("all keys are cooling down", retry_after_s=3.0)

    decision = decide(error, key_id=None)

    assert decision == Retry(after_s=3.0, costs=True, avoid=frozenset(), prefer_not=None)


@pytest.mark.parametrize(
    "error", [QueueFull("full", retry_after_s=1.0), ShuttingDown("bye"), ProviderUnavailable("?")]
)
def test_other_refusals_of_a_pool_are_final(error: GatewayError) -> None:
    assert decide(error, key_id=None) == Over()


FALL_BACK = [
    NetworkError("refused"),
    UpstreamTimeout("slow"),
    *(upstream(s, ErrorClass.SERVER) for s in (408, 409, 500, 501, 503, 529)),
    upstream(401, ErrorClass.AUTH),
    upstream(402, ErrorClass.QUOTA),
    upstream(404, ErrorClass.NOT_FOUND),
    upstream(429, ErrorClass.RATE_LIMIT),
    QueueFull("full"),
    NoUsableKey("none"),
    ConfigurationMissing("no provider"),
    UnsupportedOperation("no such thing"),
    ProviderUnavailable("resting"),
    InternalError("defect"),
]


@pytest.mark.parametrize("error", FALL_BACK, ids=lambda e: f"{type(e).__name__}-{e.status}")
def test_failures_that_go_on_to_the_next_target(error: GatewayError) -> None:
    assert hop(error) == NextHop()
    assert hop(error, hops_left=0) == Fail(primary=True)


def hop(
    error: GatewayError | None,
    *,
    committed: bool = False,
    ends_chain: bool = False,
    hops_left: int = 1,
    fallback_on: str = "server",
) -> Finish | Fail | NextHop:
    return after_hop(
        error,
        committed=committed,
        ends_chain=ends_chain,
        hops_left=hops_left,
        fallback_on="all" if fallback_on == "all" else "server",
    )


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_callers_own_mistake_ends_the_chain_unless_all_is_wished(status: int) -> None:
    error = upstream(status, ErrorClass.CLIENT)

    assert hop(error) == Fail(primary=False)
    assert hop(error, fallback_on="all") == NextHop()


@pytest.mark.parametrize("error", [Cancelled("gone"), DeadlineExceeded("late")])
def test_a_caller_gone_or_out_of_time_ends_the_chain(error: GatewayError) -> None:
    assert hop(error, fallback_on="all") == Fail(primary=False)


def test_nothing_is_tried_after_the_first_event() -> None:
    assert hop(NetworkError("cut"), committed=True) == Fail(primary=False)


def test_a_denial_of_the_virtual_key_itself_ends_the_chain() -> None:
    assert hop(NetworkError("x"), ends_chain=True) == Fail(primary=False)


def test_an_answer_finishes() -> None:
    assert hop(None) == Finish()


def test_a_quiet_gateway_retries_as_configured() -> None:
    budget = RetryBudget(0.2)

    budget.request(0.0)

    assert all(budget.take(0.0) for _ in range(100))
    assert not budget.take(0.0)


def test_retries_stay_below_their_share_of_traffic() -> None:
    budget = RetryBudget(0.2)
    for n in range(10_000):
        budget.request(n / 1000)

    granted = sum(budget.take(9.9) for _ in range(10_000))

    assert granted == 2000


def test_the_budget_recovers_as_time_passes() -> None:
    budget = RetryBudget(0.2)
    while budget.take(0.0):
        pass

    assert not budget.take(9.0)
    assert budget.take(10.0)


def test_a_ratio_of_zero_turns_the_budget_off() -> None:
    budget = RetryBudget(0.0)

    assert all(budget.take(0.0) for _ in range(10_000))


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=200))
def test_the_budget_counts_only_its_window(events: list[tuple[float, bool]]) -> None:
    budget = RetryBudget(0.2)
    for now_s, is_retry in sorted(events):
        budget.take(now_s) if is_retry else budget.request(now_s)

    assert len(budget._buckets) <= budget.window_s
    assert budget._requests == sum(bucket[1] for bucket in budget._buckets)
