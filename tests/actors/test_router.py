"""The road from call to events, over real pools: the invariants of retries, fallback, streams, deadlines and drain.

Numbers such as T-6 are those of the list of invariants that the project keeps for its routing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio

from actors.fakes import key, provider
from actors.scripted import (
    NEVER,
    REFUSED,
    Answer,
    Seen,
    built,
    by_key,
    by_order,
    call,
    chunk,
    completion,
    house,
    listen,
    refusal,
    streamed,
)
from bifrost.actors.messages import Acquire, Settle
from bifrost.actors.router import Router
from bifrost.codecs.sse import DONE
from bifrost.config.secret import Secret
from bifrost.config.settings import (
    BreakerSettings,
    ClientSettings,
    CustomProviderSettings,
    NetworkSettings,
)
from bifrost.errors import (
    BadRequest,
    ConfigurationMissing,
    DeadlineExceeded,
    ErrorClass,
    NetworkError,
    Overloaded,
    ProviderUnavailable,
    QueueFull,
    ShuttingDown,
    UnsupportedOperation,
    UpstreamError,
)
from bifrost.record import Outcome
from bifrost.schema.call import Caller
from bifrost.schema.payload import LARGE_BYTES
from bifrost.service import Answered, Began, Denied, Failed, Hop, HopOutcome, HopService

if TYPE_CHECKING:
    from trio.testing import MockClock


def network(**more: Any) -> NetworkSettings:
    return NetworkSettings(**more)


# Answers


async def test_a_plain_answer_and_its_record(autojump_clock: MockClock) -> None:
    async with house((provider(key("a")), completion("Hello"))) as at:
        heard = await listen(at, call())

        assert b"Hello" in heard.data
        assert heard.error is None
        record = heard.record
        assert (record.outcome, record.status, record.provider) == (Outcome.SUCCESS, 200, "openai")
        assert (record.key_id, record.usage.total_tokens, record.retries) == ("a", 5, 0)
        assert at.seen[0].key == "sk-a"
        assert await at.quiet()


async def test_a_stream_and_its_record(autojump_clock: MockClock) -> None:
    async with house((provider(key("a")), streamed(chunk("one"), 2.0, chunk("two")))) as at:
        heard = await listen(at, call(stream=True))

        assert heard.data.endswith(DONE)
        assert heard.data.count(b"data: ") == 5
        record = heard.record
        assert record.events == 4
        assert record.upstream_s == record.inter_event_s == pytest.approx(2.0)
        assert await at.quiet()


async def test_an_unknown_provider(autojump_clock: MockClock) -> None:
    async with house((provider(key("a")), completion())) as at:
        unknown = await listen(at, call("nowhere/m"))
        assert isinstance(unknown.error, ConfigurationMissing)


async def test_an_operation_that_a_provider_may_not_do(autojump_clock: MockClock) -> None:
    custom = CustomProviderSettings(
        base_provider_type="openai", allowed_requests={"chat_completion_stream": True}
    )
    settings = provider(
        key("a"), name="mine", custom=custom, network=network(base_url="http://mine.invalid")
    )
    async with house((settings, completion())) as at:
        heard = await listen(at, call("mine/m"))

        assert isinstance(heard.error, UnsupportedOperation)
        assert not at.seen


# Retries


@pytest.mark.parametrize(("draw", "factor"), [(0.0, 0.8), (0.5, 1.0), (0.999999, 1.2)])
async def test_back_off_is_the_sequence_that_was_configured(
    draw: float, factor: float, autojump_clock: MockClock
) -> None:
    """T-4. The key's circuit is kept out of it."""
    settings = provider(
        key("a"),
        network=network(max_retries=8, retry_backoff_initial=500, retry_backoff_max=5000),
        retry_budget=0.0,
        breaker=BreakerSettings(failure_threshold=100),
    )
    async with house((settings, refusal(500)), rng=Chance(draw)) as at:
        await listen(at, call())
        gaps = [b.at_s - a.at_s for a, b in pairwise(at.seen)]

    assert gaps == pytest.approx([min(min(0.5 * 2**n, 5.0) * factor, 5.0) for n in range(8)])


class Chance(Random):
    """A source of chance that always says the same."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def random(self) -> float:
        return self.value


async def test_a_server_error_is_retried_after_a_back_off(autojump_clock: MockClock) -> None:
    """T-4, T-5."""
    settings = provider(key("a"), network=network(max_retries=2))
    script = by_order(refusal(500), refusal(503), completion("third"))
    async with house((settings, script), rng=Chance(0.5)) as at:
        heard = await listen(at, call())

        assert b"third" in heard.data
        assert [s.at_s - at.seen[0].at_s for s in at.seen] == pytest.approx([0.0, 0.5, 1.5])
        assert heard.record.retries == 2
        assert heard.record.backoff_s == pytest.approx(1.5)
        assert await at.quiet()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("answer", "attempts", "error_class"),
    [
        (refusal(400), 1, ErrorClass.CLIENT),
        (refusal(404), 1, ErrorClass.NOT_FOUND),
        (refusal(422), 1, ErrorClass.CLIENT),
        (refusal(500), 3, ErrorClass.SERVER),
        (refusal(502), 3, ErrorClass.SERVER),
        (REFUSED, 3, ErrorClass.NETWORK),
        (NEVER, 1, ErrorClass.TIMEOUT),
    ],
)
async def test_what_is_retried_by_class(
    stream: bool, answer: Answer, attempts: int, error_class: ErrorClass, autojump_clock: MockClock
) -> None:
    """T-5: time-outs are not retried, nor what the caller did wrong."""
    async with house((provider(key("a"), key("b"), key("c")), answer)) as at:
        heard = await listen(at, call(stream=stream))

        assert heard.error is not None
        assert heard.error.error_class is error_class
        assert len(at.seen) == attempts
        assert len(heard.ends) == 1
        assert await at.quiet()


async def test_a_time_out_is_retried_where_configured(autojump_clock: MockClock) -> None:
    settings = provider(key("a"), retry_on_timeout=True)
    async with house((settings, by_order(NEVER, completion()))) as at:
        heard = await listen(at, call())

        assert heard.error is None
        assert len(at.seen) == 2


async def test_a_rate_limited_key_rests_for_as_long_as_it_said(autojump_clock: MockClock) -> None:
    """T-6."""
    limited: list[float] = []

    def script(seen: Seen) -> Answer:
        if seen.key == "sk-a" and not limited:
            limited.append(seen.at_s)
            return refusal(429, retry_after_s=7)
        return completion()

    settings = provider(key("a", weight=1e9), key("b", weight=1e-9))
    async with house((settings, script)) as at:
        await listen(at, call())
        assert [s.key for s in at.seen] == ["sk-a", "sk-b"]
        assert at.seen[1].at_s == limited[0]
        while trio.current_time() < limited[0] + 6.9:
            await listen(at, call())
            await trio.sleep(0.5)
        assert {s.key for s in at.seen[1:]} == {"sk-b"}
        await trio.sleep(1.0)
        await listen(at, call())
        assert at.seen[-1].key == "sk-a"


async def test_a_refused_key_is_rotated_at_once_and_costs_no_retry(
    autojump_clock: MockClock,
) -> None:
    """T-7."""
    settings = provider(key("a", weight=1e9), key("b", weight=1.0), network=network(max_retries=0))
    async with house((settings, by_key(a=refusal(401), b=completion()))) as at:
        heard = await listen(at, call())

        assert heard.error is None
        assert [s.key for s in at.seen] == ["sk-a", "sk-b"]
        assert at.seen[0].at_s == at.seen[1].at_s
        assert [a.error_class for hop in heard.record.hops for a in hop.attempts] == [
            ErrorClass.AUTH,
            None,
        ]


async def test_all_keys_refused_tells_the_upstreams_own_error(autojump_clock: MockClock) -> None:
    async with house((provider(key("a"), key("b")), refusal(401, message="bad key"))) as at:
        heard = await listen(at, call())

        assert isinstance(heard.error, UpstreamError)
        assert heard.error.status == 401
        assert len(at.seen) == 2


async def test_the_retry_budget_does_not_amplify_an_outage(autojump_clock: MockClock) -> None:
    settings = provider(
        *(key(f"k{n}") for n in range(3)),
        network=network(max_retries=5, retry_backoff_initial=1, retry_backoff_max=1),
        retry_budget=0.2,
    )
    async with house((settings, refusal(400, message="x"))) as at:
        at.upstreams["openai"].script = lambda _: REFUSED
        async with trio.open_nursery() as nursery:
            for _ in range(300):
                nursery.start_soon(listen, at, call())

        # The first tries, the floor of ten a second, and a fifth of the traffic.
        assert len(at.seen) < 300 * 1.5


async def test_without_a_budget_all_retries_are_made(autojump_clock: MockClock) -> None:
    settings = provider(key("a"), network=network(max_retries=1), retry_budget=0.0)
    async with house((settings, by_order(REFUSED, completion()))) as at:
        assert (await listen(at, call())).error is None


# The commitment rule


async def test_a_failure_in_place_of_the_first_event_is_retried(autojump_clock: MockClock) -> None:
    """T-8."""
    broken = streamed(NetworkError("cut"), whole=False)
    async with house((provider(key("a")), by_order(broken, streamed(chunk("ok"))))) as at:
        heard = await listen(at, call(stream=True))

        assert b"ok" in heard.data
        assert heard.error is None
        assert len(at.seen) == 2


async def test_a_failure_behind_the_first_event_is_told_in_the_stream(
    autojump_clock: MockClock,
) -> None:
    """T-8: nothing is tried again, and the stream does not look whole."""
    broken = streamed(chunk("half"), 1.0, NetworkError("cut"), whole=False)
    async with house((provider(key("a")), broken), (provider(key("g"), name="groq"), streamed())) as at:  # fmt: skip
        heard = await listen(at, call("openai/m", "groq/m", stream=True))

        assert b"half" in heard.data
        assert DONE not in heard.data
        assert isinstance(heard.error, NetworkError)
        assert len(at.seen) == 1
        assert heard.record.outcome is Outcome.ERROR
        assert await at.quiet()


async def test_an_end_without_its_sign_is_a_cut(autojump_clock: MockClock) -> None:
    cut = streamed(chunk("half"), whole=False)
    async with house((provider(key("a")), cut)) as at:
        heard = await listen(at, call(stream=True))

        assert heard.error is not None
        assert DONE not in heard.data


async def test_an_empty_stream_is_a_failure_and_retried(autojump_clock: MockClock) -> None:
    """T-8."""
    async with house((provider(key("a")), by_order(streamed(b": ping\n\n", whole=False), streamed()))) as at:  # fmt: skip
        heard = await listen(at, call(stream=True))

        assert heard.error is None
        assert len(at.seen) == 2


async def test_comments_do_not_commit(autojump_clock: MockClock) -> None:
    """T-8."""
    pinged = streamed(b": ping\n\n", NetworkError("cut"), whole=False)
    async with house((provider(key("a")), by_order(pinged, streamed(chunk("ok"))))) as at:
        heard = await listen(at, call(stream=True))

        assert heard.error is None
        assert b"ok" in heard.data


async def test_json_in_place_of_a_stream(autojump_clock: MockClock) -> None:
    async with house((provider(key("a")), completion())) as at:
        heard = await listen(at, call(stream=True))

        assert isinstance(heard.error, UpstreamError)
        assert "non-SSE" in heard.error.message


async def test_a_slow_caller_stops_the_reading_and_is_counted(autojump_clock: MockClock) -> None:
    pieces: list[Any] = []
    for n in range(40):
        pieces += [chunk(str(n)), 0.001]

    async def pause() -> None:
        await trio.sleep(1.0)

    async with house((provider(key("a")), streamed(*pieces))) as at:
        heard = await listen(at, call(stream=True), pause=pause)

        assert heard.error is None
        assert heard.record.downstream_s > 20
        assert heard.record.overhead_s < 1


# Leaving


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.5, 2.5, 3.5])
@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_leaves_nothing_behind(
    after_s: float, stream: bool, autojump_clock: MockClock
) -> None:
    """T-9: before connect, while connecting, in the back-off, before and inside the answer."""
    slow = (
        streamed(chunk("a"), 10.0, chunk("b"), delay_s=1.0) if stream else completion(delay_s=10.0)
    )
    script = by_order(Answer(delay_s=1.0, error=NetworkError("no")), slow)
    settings = provider(key("a"), network=network(retry_backoff_initial=1000))
    async with house((settings, script)) as at:
        with trio.move_on_after(after_s):
            dispatch = at.router.dispatch(call(stream=stream))
            async with dispatch as exchange:
                while True:
                    await exchange.receive()

        record = exchange.record
        assert record.outcome is Outcome.CANCELLED
        assert record.status == 499
        # Waiting for the upstream is not the gateway's own time because nobody waits with it any more.
        assert record.upstream_s + record.backoff_s == pytest.approx(after_s)
        assert record.overhead_s == pytest.approx(0)
        assert await at.quiet()


async def test_who_leaves_a_race_waited_for_both_at_once(autojump_clock: MockClock) -> None:
    settings = provider(key("a"), key("b"), hedge_after_ms=100)
    async with house((settings, NEVER)) as at:
        with trio.move_on_after(3.0):
            async with at.router.dispatch(call()) as exchange:
                await exchange.receive()

        assert len(exchange.record.hops[0].attempts) == 2
        assert exchange.record.upstream_s == pytest.approx(3.0)


async def test_who_leaves_the_line_gives_up_his_place(autojump_clock: MockClock) -> None:
    """T-9."""
    settings = provider(key("a"), concurrency=1)
    async with house((settings, completion(delay_s=10.0))) as at:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, at, call())
            await trio.sleep(1)
            with trio.move_on_after(1):
                await listen(at, call())
            view = await at.pools["openai"].ask_snapshot()
            assert (view.running, view.waiting) == (1, 0)
        assert len(at.seen) == 1
        assert await at.quiet()


# Lines and deadlines


async def test_a_full_line_drops_where_configured(autojump_clock: MockClock) -> None:
    """T-10."""
    settings = provider(key("a"), concurrency=1, buffer_size=1)
    client = ClientSettings(drop_excess_requests=True)
    async with house((settings, completion(delay_s=5.0)), client=client) as at:
        heard: list[Any] = []

        async def one() -> None:
            heard.append(
                (
                    await listen(
                        at,
                        call(),
                    ),
                    trio.current_time(),
                )
            )

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(one)
        dropped = [at_s for each, at_s in heard if isinstance(each.error, QueueFull)]
        assert len(dropped) == 1
        assert len(at.seen) == 2


async def test_a_line_is_served_in_order(autojump_clock: MockClock) -> None:
    """T-10."""
    settings = provider(key("a"), concurrency=1)
    async with house((settings, completion(delay_s=5.0))) as at:
        order: list[int] = []

        async def one(n: int) -> None:
            await trio.sleep(n * 0.1)
            await listen(at, call())
            order.append(n)

        async with trio.open_nursery() as nursery:
            for n in range(4):
                nursery.start_soon(one, n)
        assert order == [0, 1, 2, 3]


async def test_a_deadline_in_the_line_is_the_callers_and_no_fallback(
    autojump_clock: MockClock,
) -> None:
    """T-10."""
    settings = provider(key("a"), concurrency=1)
    other = (provider(key("g"), name="groq"), completion())
    async with (
        house((settings, completion(delay_s=20.0)), other) as at,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(listen, at, call())
        await trio.sleep(1)
        heard = await listen(at, call("openai/m", "groq/m", within_s=2.0))
        assert isinstance(heard.error, DeadlineExceeded)
        assert heard.error.status == 504
        assert not at.upstreams["groq"].seen


async def test_a_deadline_ends_an_attempt(autojump_clock: MockClock) -> None:
    async with house((provider(key("a")), streamed(chunk("a"), 100.0, chunk("b")))) as at:
        heard = await listen(at, call(stream=True, within_s=5.0))

        assert heard.error is not None
        assert heard.error.status == 504
        assert trio.current_time() == pytest.approx(5.0, abs=0.01)
        assert await at.quiet()


@pytest.mark.parametrize(
    ("limits", "is_looked_after"),
    [
        ({}, True),
        ({"default_request_timeout_in_seconds": 3}, False),
        ({"total_timeout_s": 3.9}, False),
        ({"total_timeout_s": 4.0}, True),
    ],
)
async def test_a_short_limit_has_a_deadline_of_its_own(
    limits: dict[str, Any], is_looked_after: bool, autojump_clock: MockClock
) -> None:
    settings = provider(key("a"), network=network(**limits))
    async with house((settings, completion())) as at:
        await listen(at, call())
        assert [seen.is_looked_after for seen in at.seen] == [is_looked_after]


async def test_a_stuck_upstream_delays_nobody_else(autojump_clock: MockClock) -> None:
    """T-11."""
    stuck = by_key(a=NEVER, b=completion())
    settings = provider(key("a", models=("slow",)), key("b", models=("fast",)))
    other = (provider(key("g"), name="groq"), completion())
    async with house((settings, stuck), other) as at, trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(listen, at, call("openai/slow"))
        await trio.sleep(0.1)
        began_s = trio.current_time()
        for target in ("openai/fast", "groq/m"):
            assert (await listen(at, call(target))).error is None
        assert trio.current_time() == began_s
        nursery.cancel_scope.cancel()


async def test_the_door_has_a_bound(autojump_clock: MockClock) -> None:
    client = ClientSettings(max_inflight=1)
    async with house((provider(key("a")), completion(delay_s=5.0)), client=client) as at:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, at, call())
            await trio.sleep(1)
            with pytest.raises(Overloaded):
                await listen(at, call())
        assert (await listen(at, call())).error is None


# Crashes and changes


@pytest.mark.parametrize("kind", [Acquire, Settle])
async def test_a_crash_of_the_pool_loses_no_call(
    kind: type[object], autojump_clock: MockClock
) -> None:
    """T-12."""
    async with house((provider(key("a"), concurrency=2), completion(delay_s=1.0))) as at:
        at.crashes.plan(kind, 2)
        heard: list[Any] = []

        async def one() -> None:
            heard.append(await listen(at, call()))

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(one)
        assert len(heard) == 6
        assert all(len(each.ends) == 1 for each in heard)
        assert len(at.crashes.log) == 2
        assert await at.quiet()


async def test_a_pool_that_goes_on_crashing_harms_no_other_and_comes_back(
    autojump_clock: MockClock,
) -> None:
    """T-13."""
    other = (provider(key("g"), name="groq"), completion())
    async with house((provider(key("a")), completion()), other) as at:
        at.crashes.plan(Acquire, 6)
        with trio.move_on_after(20):
            for _ in range(8):
                await listen(at, call())
        broken = await listen(at, call())
        assert isinstance(broken.error, ProviderUnavailable)
        at.crashes.left.clear()
        assert (await listen(at, call("groq/m"))).error is None
        await trio.sleep(40)
        assert (await listen(at, call())).error is None


async def test_a_new_configuration_under_load_fails_nothing(autojump_clock: MockClock) -> None:
    """T-14."""
    async with house((provider(key("k0"), concurrency=50), completion(delay_s=0.1))) as at:
        upstream = at.upstreams["openai"]
        acked: dict[str, float] = {}
        heard: list[Any] = []

        async def one(n: int) -> None:
            await trio.sleep(n * 0.002)
            heard.append(await listen(at, call()))

        async def change() -> None:
            for n in range(1, 11):
                await trio.sleep(0.2)
                fresh = built(provider(key(f"k{n}"), concurrency=50), upstream, n + 1)
                await at.pools["openai"].ask_reconfigure(fresh, drop_excess=False)
                acked[f"sk-k{n - 1}"] = trio.current_time()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            for n in range(1000):
                nursery.start_soon(one, n)
        assert [each.error for each in heard] == [None] * 1000
        assert all(s.at_s <= acked.get(s.key, 1e9) for s in upstream.seen)
        assert await at.quiet()


async def test_a_provider_that_goes_lets_its_waiters_fall_back(autojump_clock: MockClock) -> None:
    """T-15."""
    other = (provider(key("g"), name="groq"), completion("other"))
    async with house((provider(key("a"), concurrency=1), completion("own", delay_s=10.0)), other) as at:  # fmt: skip
        heard: list[Any] = []

        async def one() -> None:
            heard.append(await listen(at, call("openai/m", "groq/m")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            await trio.sleep(1)
            nursery.start_soon(one)
            await trio.sleep(1)
            await at.pools["openai"].ask_drain()
        assert [each.record.provider for each in heard] == ["groq", "openai"]
        assert all(each.error is None for each in heard)


# Fallback


@pytest.mark.parametrize(
    ("first", "falls"),
    [
        (refusal(500), True),
        (refusal(429), True),
        (refusal(401), True),
        (refusal(404), True),
        (REFUSED, True),
        (NEVER, True),
    ],
)
async def test_what_falls_back(first: Answer, falls: bool, autojump_clock: MockClock) -> None:
    """T-16."""
    other = (provider(key("g"), name="groq"), completion("other"))
    async with house((provider(key("a")), first), other) as at:
        heard = await listen(at, call("openai/m", "groq/m"))

        assert (heard.error is None) is falls
        assert heard.record.fallback_index == 1
        assert await at.quiet()


async def test_the_error_told_is_the_primarys(autojump_clock: MockClock) -> None:
    """T-16."""
    other = (provider(key("g"), name="groq"), refusal(500, message="second"))
    async with house((provider(key("a")), refusal(503, message="first")), other) as at:
        heard = await listen(at, call("openai/m", "groq/m"))

        assert heard.error is not None
        assert heard.error.message == "first"
        assert heard.blamed == "openai"


async def test_the_callers_own_key_reaches_no_other_provider(autojump_clock: MockClock) -> None:
    """T-16."""
    caller = Caller(direct_key=Secret("sk-direct"))
    other = (provider(key("g"), name="groq"), completion())
    async with house((provider(key("a")), refusal(500)), other) as at:
        await listen(at, call("openai/m", "groq/m", caller=caller))

        assert {s.key for s in at.upstreams["openai"].seen} == {"sk-direct"}
        assert {s.key for s in at.upstreams["groq"].seen} == {"sk-g"}


async def test_pins_hold_for_the_primary_alone(autojump_clock: MockClock) -> None:
    """T-3, T-16."""
    caller = Caller(key_id="b", key_name="name-a")
    other = (provider(key("g"), name="groq"), completion())
    async with house((provider(key("a"), key("b")), refusal(500)), other) as at:
        heard = await listen(at, call("openai/m", "groq/m", caller=caller))

        assert {s.key for s in at.upstreams["openai"].seen} == {"sk-b"}
        assert heard.record.provider == "groq"


@pytest.mark.parametrize(
    ("caller", "told"),
    [
        (Caller(key_id="zz"), 'no supported key found with id "zz" for provider: openai and model: m'),
        (Caller(key_name="zz"), 'no supported key found with name "zz" for provider: openai and model: m'),
    ],
)  # fmt: skip
async def test_an_unknown_pin_is_told(caller: Caller, told: str, autojump_clock: MockClock) -> None:
    """T-3."""
    async with house((provider(key("a")), completion())) as at:
        heard = await listen(at, call(caller=caller))

        assert heard.error is not None
        assert heard.error.message == told


async def test_no_key_for_a_model_is_told(autojump_clock: MockClock) -> None:
    async with house((provider(key("a", models=("x",))), completion())) as at:
        heard = await listen(at, call())

        assert heard.error is not None
        assert heard.error.status == 400
        assert heard.error.message == "no keys found that support model: m"


async def test_a_session_stays_with_its_key(autojump_clock: MockClock) -> None:
    """T-17."""
    caller = Caller(session_id="s")
    async with house((provider(*(key(f"k{n}") for n in range(5))), completion())) as at:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(listen, at, call(caller=caller))
        first = {s.key for s in at.seen}
        assert len(first) == 1
        for _ in range(5):
            await trio.sleep(3000)
            await listen(at, call(caller=caller))
        assert {s.key for s in at.seen} == first


# Hedging


async def test_a_hedge_races_a_silent_first_try(autojump_clock: MockClock) -> None:
    settings = provider(key("a", weight=1e9), key("b", weight=1e-9), hedge_after_ms=100)
    script = by_key(a=completion("slow", delay_s=5.0), b=completion("fast", delay_s=1.0))
    async with house((settings, script)) as at:
        heard = await listen(at, call())

        assert b"fast" in heard.data
        assert trio.current_time() == pytest.approx(1.1)
        attempts = heard.record.hops[0].attempts
        assert {(a.key_id, a.hedge, a.error_class) for a in attempts} == {
            ("a", False, ErrorClass.CANCELLED),
            ("b", True, None),
        }
        assert await at.quiet()


async def test_no_hedge_for_an_answer_in_time(autojump_clock: MockClock) -> None:
    settings = provider(key("a"), key("b"), hedge_after_ms=100)
    async with house((settings, completion(delay_s=0.05))) as at:
        await listen(at, call())

        assert len(at.seen) == 1


async def test_a_hedge_never_waits_for_a_slot_and_its_failure_is_nobodys_news(
    autojump_clock: MockClock,
) -> None:
    settings = provider(key("a"), key("b"), hedge_after_ms=100, concurrency=1)
    async with house((settings, completion(delay_s=1.0))) as at:
        heard = await listen(at, call())

        assert heard.error is None
        assert len(at.seen) == 1
        assert await at.quiet()


async def test_a_hedged_stream_has_one_voice(autojump_clock: MockClock) -> None:
    settings = provider(key("a", weight=1e9), key("b", weight=1e-9), hedge_after_ms=100)
    script = by_key(
        a=streamed(chunk("AA"), 1.0, chunk("AA"), delay_s=0.5),
        b=streamed(chunk("BB"), delay_s=0.4),
    )
    async with house((settings, script)) as at:
        heard = await listen(at, call(stream=True))

        assert (b"AA" in heard.data) != (b"BB" in heard.data)
        assert heard.error is None
        assert await at.quiet()


async def test_when_both_of_a_race_fail_the_firsts_error_counts(autojump_clock: MockClock) -> None:
    settings = provider(
        key("a", weight=1e9), key("b", weight=1e-9),
        hedge_after_ms=100, network=network(max_retries=0),
    )  # fmt: skip
    script = by_key(
        a=refusal(400, message="first", delay_s=1.0), b=refusal(500, message="hedge", delay_s=0.2)
    )
    async with house((settings, script)) as at:
        heard = await listen(at, call())

        assert heard.error is not None
        assert heard.error.message == "first"


# Filters round a hop


async def test_a_filter_may_deny_a_hop(autojump_clock: MockClock) -> None:
    def deny(inner: HopService) -> HopService:
        async def around(hop: Hop) -> HopOutcome:
            if hop.target.provider == "openai":
                return Denied(BadRequest("not you"))
            return await inner(hop)

        return around

    other = (provider(key("g"), name="groq"), completion())
    async with house((provider(key("a")), completion()), other, hop_filters=(deny,)) as at:
        heard = await listen(at, call("openai/m", "groq/m"))

        assert not at.upstreams["openai"].seen
        assert heard.error is None or heard.error.message == "not you"


async def test_a_denial_may_end_the_chain(autojump_clock: MockClock) -> None:
    def deny(inner: HopService) -> HopService:
        async def around(hop: Hop) -> HopOutcome:
            return Denied(BadRequest("none at all"), ends_chain=True)

        return around

    other = (provider(key("g"), name="groq"), completion())
    async with house((provider(key("a")), completion()), other, hop_filters=(deny,)) as at:
        heard = await listen(at, call("openai/m", "groq/m"))

        assert not at.seen
        assert heard.error is not None
        assert heard.error.message == "none at all"


async def test_a_defect_is_an_error_to_its_caller_and_harms_no_other(
    autojump_clock: MockClock,
) -> None:
    def break_once(inner: HopService) -> HopService:
        async def around(hop: Hop) -> HopOutcome:
            if hop.target.model == "bad":
                raise ValueError("secret")
            return await inner(hop)

        return around

    async with house((provider(key("a")), completion()), hop_filters=(break_once,)) as at:
        heard = await listen(at, call("openai/bad"))

        assert heard.error is not None
        assert (heard.error.status, heard.error.message) == (500, "internal error")
        assert [type(each) for each in at.defects] == [ValueError]
        assert heard.record.outcome is Outcome.ERROR
        assert (await listen(at, call())).error is None


async def test_an_outcome_carries_the_usage(autojump_clock: MockClock) -> None:
    seen: list[HopOutcome] = []

    def look(inner: HopService) -> HopService:
        async def around(hop: Hop) -> HopOutcome:
            outcome = await inner(hop)
            seen.append(outcome)
            return outcome

        return around

    async with house((provider(key("a")), completion()), hop_filters=(look,)) as at:
        await listen(at, call())

    assert isinstance(seen[0], Answered)
    assert seen[0].usage is not None


# The end


async def test_a_closed_door_lets_those_inside_finish(autojump_clock: MockClock) -> None:
    """T-21."""
    async with house((provider(key("a")), completion(delay_s=5.0))) as at:
        heard: list[Any] = []

        async def one() -> None:
            heard.append(await listen(at, call()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            await trio.sleep(1)
            at.router.close()
            assert at.router.is_closing
            with pytest.raises(ShuttingDown):
                await listen(at, call())
            await at.router.wait_idle()
        assert heard[0].error is None


@pytest.mark.parametrize("stream", [False, True])
async def test_hurrying_tells_everybody_why(stream: bool, autojump_clock: MockClock) -> None:
    """T-21."""
    answer = streamed(chunk("a"), 1e6) if stream else completion(delay_s=1e6)
    settings = provider(key("a"), network=network(stream_idle_timeout_in_seconds=3600, default_request_timeout_in_seconds=3600))  # fmt: skip
    async with house((settings, answer)) as at:
        heard: list[Any] = []

        async def one() -> None:
            heard.append(await listen(at, call(stream=stream)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            await trio.sleep(1)
            at.router.close()
            at.router.hurry()
            await at.router.wait_idle()
        assert isinstance(heard[0].error, ShuttingDown)
        assert heard[0].error.status == 503
        assert await at.quiet()


async def test_before_it_runs_a_router_takes_nobody(
    house_means: Any, autojump_clock: MockClock
) -> None:
    router = Router(house_means, on_defect=lambda *_: None)

    with pytest.raises(ShuttingDown):
        async with router.dispatch(call()):
            pass


@pytest.fixture
async def house_means() -> Any:
    async with house((provider(key("a")), completion())) as at:
        return at.means


async def test_a_caller_that_takes_nothing_is_given_up(autojump_clock: MockClock) -> None:
    pieces: list[Any] = []
    for n in range(40):
        pieces += [chunk(str(n)), 0.001]
    async with house((provider(key("a")), streamed(*pieces))) as at:
        async with at.router.dispatch(call(stream=True, within_s=10.0)) as exchange:
            assert isinstance(await exchange.receive(), Began)
            await trio.sleep(100)
            assert await at.quiet()
        assert exchange.record.outcome is Outcome.ERROR


async def test_a_caller_that_was_given_up_and_comes_back_finds_the_end(
    autojump_clock: MockClock,
) -> None:
    pieces = [part for n in range(40) for part in (chunk(str(n)), 0.001)]
    async with house((provider(key("a")), streamed(*pieces))) as at:
        async with at.router.dispatch(call(stream=True, within_s=10.0)) as exchange:
            await trio.sleep(100)
            with trio.fail_after(10):
                while not isinstance(event := await exchange.receive(), Failed):
                    pass
        assert isinstance(event.error, DeadlineExceeded)


async def test_a_record_is_there_only_at_the_end(autojump_clock: MockClock) -> None:
    async with house((provider(key("a")), completion())) as at:
        async with at.router.dispatch(call()) as exchange:
            with pytest.raises(RuntimeError):
                _ = exchange.record
            assert exchange.receive_nowait() is None
        assert exchange.record.outcome is Outcome.CANCELLED


async def test_no_secret_is_in_records_errors_or_snapshots(autojump_clock: MockClock) -> None:
    """T-25."""
    canary = "sk-canary-1234567890"
    echoing = by_order(
        refusal(401, message=f"Incorrect API key provided: {canary}"),
        refusal(500, message=f"with {canary}"),
    )
    settings = provider(key("a", value=canary), network=network(max_retries=1))
    async with house((settings, echoing)) as at:
        for stream in (False, True):
            heard = await listen(at, call(stream=stream))
            told = repr((heard.error, heard.ends, heard.record, str(heard.error)))
            assert canary not in told
        assert canary not in repr(await at.pools["openai"].ask_snapshot())
        assert canary not in repr(at.router)


async def test_same_seed_same_trace(autojump_clock: MockClock) -> None:
    """T-24."""

    async def trace() -> list[tuple[str, str]]:
        def script(seen: Seen) -> Answer:
            return refusal(500) if len(seen.body) % 3 else completion()

        settings = provider(*(key(f"k{n}") for n in range(4)))
        async with house((settings, script), seed=7) as at:
            began_s = trio.current_time()
            for n in range(20):
                await listen(at, call(f"openai/{'m' * n}"))
            return [(f"{s.at_s - began_s:.6f}", s.key) for s in at.seen]

    assert await trace() == await trace()


async def test_no_locks_in_actors_and_policy(autojump_clock: MockClock) -> None:
    """T-23: whoever owns state is an actor; nobody else waits for it with a lock."""
    from pathlib import Path  # noqa: PLC0415  one use

    import bifrost  # noqa: PLC0415  as above

    root = Path(bifrost.__file__).parent
    sources = [p.read_text() for room in ("actors", "policy") for p in (root / room).glob("*.py")]
    for lock in ("trio.Lock", "trio.Semaphore", "trio.CapacityLimiter", "threading"):
        assert not any(lock in source for source in sources)


@pytest.mark.parametrize(("body_bytes", "is_here"), [(LARGE_BYTES - 1, True), (LARGE_BYTES, False)])
async def test_a_large_body_is_said_in_a_thread(body_bytes: int, is_here: bool) -> None:
    """In another dialect it takes up to a second, which others should not wait for."""
    members = call().members
    threads: list[int] = []

    class Noting(Mapping[str, bytes]):
        """Members that note who asks for them."""

        def __getitem__(self, name: str) -> bytes:
            return members[name]

        def __iter__(self) -> Iterator[str]:
            threads.append(threading.get_ident())
            return iter(members)

        def __len__(self) -> int:
            return len(members)

    async with house((provider(key("a")), completion())) as at:
        heard = await listen(at, attrs.evolve(call(), members=Noting(), body_bytes=body_bytes))

    assert heard.error is None
    assert {thread == threading.get_ident() for thread in threads} == {is_here}
