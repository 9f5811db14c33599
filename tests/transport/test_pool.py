from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bifrost.errors import BadRequest, NetworkError, QueueFull, StreamIdleTimeout, UpstreamTimeout
from bifrost.providers.base import Origin
from bifrost.transport import pool as pool_module
from bifrost.transport.base import Limits, Patience
from bifrost.transport.faults import unconnected
from bifrost.transport.pool import Connections, PoolStatistics
from transport.lines import CUT, HELLO, Exchanges, Lines, read_request, request

if TYPE_CHECKING:
    from bifrost.transport.wire import Line

Step = bytes | float
LIMITS = Limits(connect_s=10, first_byte_s=30, idle_s=60)


def lines_for(nursery: trio.Nursery, *scripts: list[Step]) -> Lines:
    return Lines(nursery, Exchanges(list(scripts) or [[HELLO]]))


async def ask(pool: Connections, limits: Limits = LIMITS) -> bytes:
    async with pool.open(request(), limits) as answer:
        return await answer.read()


async def hold(pool: Connections, *, until: trio.Event) -> None:
    async with pool.open(request(), LIMITS) as answer:
        await answer.read()
        await until.wait()


async def test_answer_has_status_headers_and_body(nursery: trio.Nursery) -> None:
    pool = Connections(lines_for(nursery).dial)

    async with pool.open(request(), LIMITS) as answer:
        assert (answer.status, answer.headers) == (200, ((b"content-length", b"5"),))
        assert await answer.receive() == b"hello"
        assert await answer.receive() == b""


async def test_redirect_is_an_answer(nursery: trio.Nursery) -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://other.test/\r\nContent-Length: 0\r\n\r\n"
    lines = lines_for(nursery, [moved])

    async with Connections(lines.dial).open(request(), LIMITS) as answer:
        assert answer.status == 307

    assert lines.dialled == 1


async def test_connection_is_kept_for_the_next(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery)
    pool = Connections(lines.dial)

    assert [await ask(pool) for _ in range(3)] == [b"hello"] * 3

    assert lines.dialled == 1
    assert pool.statistics() == PoolStatistics(open=1, idle=1, waiting=0, created=1, reused=2)


async def test_last_given_back_is_first_lent(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery)
    pool = Connections(lines.dial)
    first, second = trio.Event(), trio.Event()
    nursery.start_soon(lambda: hold(pool, until=first))
    await wait_all_tasks_blocked()
    nursery.start_soon(lambda: hold(pool, until=second))
    await wait_all_tasks_blocked()
    second.set()
    await wait_all_tasks_blocked()
    first.set()
    await wait_all_tasks_blocked()
    lines.readable = {1}

    await ask(pool)

    assert lines.hung_up == []
    assert pool.statistics().idle == 2


async def test_connections_of_two_origins_are_two(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery)
    pool = Connections(lines.dial)

    for host in ("a", "b", "a"):
        async with pool.open(request(origin=Origin("http", host, 80)), LIMITS) as answer:
            await answer.read()

    assert lines.dialled == 2


@pytest.mark.parametrize(("pause_s", "dialled"), [(29.0, 1), (30.0, 2)])
async def test_idle_connection_grows_too_old(
    nursery: trio.Nursery, autojump_clock: MockClock, pause_s: float, dialled: int
) -> None:
    lines = lines_for(nursery)
    pool = Connections(lines.dial)
    await ask(pool)
    await trio.sleep(pause_s)

    await ask(pool)

    assert lines.dialled == dialled
    assert len(lines.hung_up) == dialled - 1


async def test_busy_connection_grows_too_old(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    lines = lines_for(nursery)
    pool = Connections(lines.dial)

    for _ in range(31):
        await ask(pool)
        await trio.sleep(10)

    assert lines.dialled == 2


async def test_connection_that_grew_old_in_use_is_not_kept(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    pool = Connections(lines_for(nursery).dial)

    async with pool.open(request(), LIMITS) as answer:
        await answer.read()
        await trio.sleep(300)

    assert pool.statistics().open == 0


async def test_old_connections_of_other_origins_are_swept(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    lines = lines_for(nursery)
    pool = Connections(lines.dial)
    await ask(pool)
    await trio.sleep(31)

    async with pool.open(request(origin=Origin("http", "other", 80)), LIMITS) as answer:
        await answer.read()

    assert lines.hung_up == [0]
    assert pool.statistics().open == 1


async def test_connection_with_input_while_idle_is_not_used(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery)
    pool = Connections(lines.dial)
    await ask(pool)
    lines.readable = {0}

    await ask(pool)

    assert (lines.dialled, lines.hung_up) == (2, [0])


UNKEPT: dict[str, list[Step]] = {
    "says close": [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na"],
    "more than the body": [HELLO + b"!"],
    "version 1.0": [b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"],
    "up to the end": [b"HTTP/1.0 200 OK\r\n\r\na", CUT],
}


@pytest.mark.parametrize("script", UNKEPT.values(), ids=UNKEPT)
async def test_connection_is_not_kept_after(nursery: trio.Nursery, script: list[Step]) -> None:
    lines = lines_for(nursery, script)
    pool = Connections(lines.dial)

    await ask(pool)

    assert lines.hung_up == [0]
    assert pool.statistics().open == 0


async def test_connection_with_unread_body_is_closed(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery, [HELLO[:-2]])
    pool = Connections(lines.dial)

    async with pool.open(request(), LIMITS) as answer:
        await answer.receive()

    assert lines.hung_up == [0]
    assert pool.statistics().open == 0


async def test_connection_is_kept_if_the_user_fails_after_the_end(nursery: trio.Nursery) -> None:
    pool = Connections(lines_for(nursery).dial)

    with pytest.raises(KeyError):
        async with pool.open(request(), LIMITS) as answer:
            await answer.read()
            raise KeyError

    assert pool.statistics().idle == 1


async def test_stale_connection_is_replaced_once(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery, [HELLO, CUT], [HELLO])
    pool = Connections(lines.dial)
    await ask(pool)
    await wait_all_tasks_blocked()

    assert await ask(pool) == b"hello"

    assert (lines.dialled, lines.hung_up) == (2, [0])
    assert pool.statistics() == PoolStatistics(open=1, idle=1, waiting=0, created=2, reused=1)


async def test_replacement_that_dies_too_is_an_error(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery, [HELLO], [CUT], [CUT])
    pool = Connections(lines.dial)
    await ask(pool)

    with pytest.raises(NetworkError) as caught:
        await ask(pool)

    assert caught.value.cause == "connection closed"
    assert caught.value.sent
    assert (lines.dialled, lines.hung_up) == (2, [0, 1])
    assert pool.statistics().open == 0


async def test_fresh_connection_that_dies_is_not_replaced(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery, [CUT])

    with pytest.raises(NetworkError, match=r"^failed to execute HTTP request to provider API$"):
        await ask(Connections(lines.dial))

    assert lines.dialled == 1


async def test_kept_connection_that_began_to_answer_is_not_replaced(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery, [HELLO], [b"H", CUT], [HELLO])
    pool = Connections(lines.dial)
    await ask(pool)

    with pytest.raises(NetworkError):
        await ask(pool)

    assert lines.dialled == 1


async def test_failed_replacement_leaves_nothing_open(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery, [HELLO], [CUT])

    async def dial_once(origin: Origin) -> Line:
        return await (refuse if lines.dialled else lines.dial)(origin)

    pool = Connections(dial_once)
    await ask(pool)

    with pytest.raises(NetworkError) as caught:
        await ask(pool)

    assert not caught.value.sent
    assert pool.statistics().open == 0


async def refuse(_: Origin) -> Line:
    await trio.lowlevel.checkpoint()
    raise unconnected("refused")


FAULTS: dict[str, tuple[list[Step], str]] = {
    "not HTTP": ([b"220 ready\r\n"], "not an HTTP/1.1 response"),
    "cut in the head": ([b"HTTP/1.1 200", CUT], "connection closed in the middle of the head"),
    "cut in the body": ([HELLO[:-1], CUT], "connection closed before the body was complete"),
    "cut in a chunk": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", CUT],
        "connection closed before the body was complete",
    ),
    "bad chunk": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n"],
        "invalid chunked body: Invalid character in chunk size",
    ),
    "no length": ([b"HTTP/1.1 200 OK\r\n\r\n"], "response has neither a length nor an end"),
}


@pytest.mark.parametrize(("script", "cause"), FAULTS.values(), ids=FAULTS)
async def test_misbehaviour_is_a_network_error(
    nursery: trio.Nursery, autojump_clock: MockClock, script: list[Step], cause: str
) -> None:
    lines = lines_for(nursery, script)
    pool = Connections(lines.dial)

    with pytest.raises(NetworkError) as caught:
        await ask(pool)

    assert caught.value.cause == cause
    assert trio.current_time() < 1
    assert lines.hung_up == [0]
    assert pool.statistics().open == 0


SILENCES: dict[str, tuple[list[Step], float, float, str]] = {
    "connecting": ([HELLO], 11.0, 10.0, "connect_timeout_s"),
    "before the head": ([31.0, HELLO], 0.0, 30.0, "default_request_timeout_in_seconds"),
    "within the head": ([HELLO[:20], 31.0], 5.0, 35.0, "default_request_timeout_in_seconds"),
    "dribbling head": (
        [step for c in HELLO for step in (bytes([c]), 2.0)],
        0.0,
        30.0,
        "default_request",
    ),
    "within the body": ([20.0, HELLO[:-1], 61.0], 0.0, 80.0, "stream_idle_timeout_in_seconds"),
}


@pytest.mark.parametrize(
    ("script", "connect_s", "after_s", "setting"), SILENCES.values(), ids=SILENCES
)
async def test_each_silence_has_its_own_limit(
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    script: list[Step],
    connect_s: float,
    after_s: float,
    setting: str,
) -> None:
    lines = lines_for(nursery, script)
    lines.connect_s = connect_s
    pool = Connections(lines.dial)

    with pytest.raises(UpstreamTimeout, match=setting) as caught:
        await ask(pool)

    assert caught.value.message.startswith("request timed out (default is 30 seconds)")
    assert isinstance(caught.value, StreamIdleTimeout) == setting.startswith("stream")
    assert trio.current_time() == pytest.approx(after_s)
    assert pool.statistics().open == 0


def looked_at(nursery: trio.Nursery, deadline_s: float = math.inf) -> Limits:
    """Limits that somebody comes round to look at, twice a second."""
    patience = Patience()

    async def look() -> None:
        for _ in range(400):
            await trio.sleep(0.5)
            patience.look(trio.current_time())

    nursery.start_soon(look)
    return attrs.evolve(LIMITS, patience=patience, deadline_s=deadline_s)


@pytest.mark.parametrize(
    ("script", "after_s", "setting"),
    [(script, after_s, setting) for script, connect_s, after_s, setting in SILENCES.values() if connect_s <= 10],
    ids=[name for name in SILENCES if name != "connecting"],
)  # fmt: skip
async def test_a_kept_connection_that_is_silent_is_hung_up_on(
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    script: list[Step],
    after_s: float,
    setting: str,
) -> None:
    lines = lines_for(nursery, [HELLO], script)
    pool = Connections(lines.dial)
    limits = looked_at(nursery)
    await ask(pool, limits)

    with pytest.raises(UpstreamTimeout, match=setting) as caught:
        await ask(pool, limits)

    # What is waited for is not connecting here.
    late_s = trio.current_time() - (30.0 if after_s == 35.0 else after_s)
    assert isinstance(caught.value, StreamIdleTimeout) == setting.startswith("stream")
    assert 0 <= late_s <= 0.5
    assert lines.dialled == 1
    assert pool.statistics().open == 0


@pytest.mark.parametrize("size", [10, 300_000])
async def test_who_takes_no_request_on_a_kept_connection_is_hung_up_on(
    nursery: trio.Nursery, autojump_clock: MockClock, size: int
) -> None:
    async def deaf(stream: trio.abc.Stream) -> None:
        await read_request(stream, bytearray())
        await stream.send_all(HELLO)
        await trio.sleep_forever()

    pool = Connections(Lines(nursery, deaf).dial)
    limits = looked_at(nursery)
    await ask(pool, limits)

    with pytest.raises(UpstreamTimeout, match="default_request_timeout_in_seconds"):
        async with pool.open(request(b"x" * size), limits):
            pass

    assert pool.statistics().open == 0


async def test_a_kept_connection_that_died_is_replaced_though_somebody_looks(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    lines = lines_for(nursery, [HELLO], [CUT], [HELLO])
    pool = Connections(lines.dial)
    limits = looked_at(nursery)

    assert [await ask(pool, limits) for _ in range(2)] == [b"hello"] * 2

    assert (lines.dialled, lines.hung_up) == (2, [0])


async def test_a_deadline_in_the_past_sends_nothing_though_somebody_looks(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    server = Exchanges([[HELLO]])
    pool = Connections(Lines(nursery, server).dial)
    await ask(pool)

    with pytest.raises(UpstreamTimeout, match="total_timeout_s"):
        await ask(pool, looked_at(nursery, deadline_s=trio.current_time()))

    assert len(server.requests) == 1


@pytest.mark.parametrize("script", [[40.0], [HELLO[:-1], 40.0]])
async def test_deadline_ends_whatever_is_going_on(
    nursery: trio.Nursery, autojump_clock: MockClock, script: list[Step]
) -> None:
    pool = Connections(lines_for(nursery, script).dial)
    limits = Limits(deadline_s=trio.current_time() + 25)

    with pytest.raises(UpstreamTimeout, match="total_timeout_s"):
        await ask(pool, limits)

    assert trio.current_time() == pytest.approx(25)
    assert pool.statistics().open == 0


async def test_deadline_in_the_past_sends_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    server = Exchanges([[HELLO]])
    pool = Connections(Lines(nursery, server).dial)
    await ask(pool)

    with pytest.raises(UpstreamTimeout):
        await ask(pool, Limits(deadline_s=trio.current_time() - 1))

    assert len(server.requests) == 1


async def test_waiting_is_counted_from_connecting_to_the_last_byte(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    lines = lines_for(nursery, [2.0, HELLO[:-1], 3.0, HELLO[-1:]])
    lines.connect_s = 1.0

    async with Connections(lines.dial).open(request(), LIMITS) as answer:
        assert answer.waited_s == pytest.approx(3)
        await trio.sleep(1)
        await answer.read()
        assert answer.waited_s == pytest.approx(5)


STAGES: dict[str, tuple[list[Step], float]] = {
    "connecting": ([HELLO], 1000.0),
    "waiting for the head": ([1000.0], 0.0),
    "waiting for the body": ([HELLO[:-1], 1000.0], 0.0),
}


@pytest.mark.parametrize(("script", "connect_s"), STAGES.values(), ids=STAGES)
async def test_cancellation_closes_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock, script: list[Step], connect_s: float
) -> None:
    lines = lines_for(nursery, script)
    lines.connect_s = connect_s
    pool = Connections(lines.dial)

    with trio.move_on_after(5) as scope:
        await ask(pool)

    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(5)
    assert len(lines.hung_up) == lines.dialled
    assert pool.statistics() == PoolStatistics(
        open=0, idle=0, waiting=0, created=lines.dialled, reused=0
    )


async def test_one_more_than_allowed_waits_for_a_connection_and_gets_it(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    lines = lines_for(nursery, [5.0, HELLO])
    pool = Connections(lines.dial, max_per_host=2)

    async with trio.open_nursery() as askers:
        for _ in range(3):
            askers.start_soon(ask, pool)
        await wait_all_tasks_blocked()
        assert pool.statistics() == PoolStatistics(open=2, idle=0, waiting=1, created=2, reused=0)

    assert trio.current_time() == pytest.approx(10)
    assert pool.statistics() == PoolStatistics(open=2, idle=2, waiting=0, created=2, reused=1)


async def test_who_waits_gets_the_place_of_a_closed_connection(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    lines = lines_for(nursery, [5.0, HELLO[:-1], CUT], [HELLO])
    pool = Connections(lines.dial, max_per_host=1)

    async def fail() -> None:
        with pytest.raises(NetworkError):
            await ask(pool)

    async with trio.open_nursery() as askers:
        askers.start_soon(fail)
        await wait_all_tasks_blocked()
        askers.start_soon(ask, pool)

    assert (lines.dialled, lines.hung_up) == (2, [0])
    assert pool.statistics().open == 1


async def test_waiting_for_a_connection_has_a_limit(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    pool = Connections(lines_for(nursery, [20.0, HELLO]).dial, max_per_host=1)

    async with trio.open_nursery() as askers:
        askers.start_soon(ask, pool)
        await wait_all_tasks_blocked()
        with pytest.raises(UpstreamTimeout, match="connect_timeout_s"):
            await ask(pool)
        assert trio.current_time() == pytest.approx(10)
        assert pool.statistics().waiting == 0

    assert pool.statistics().idle == 1


async def test_line_is_bounded(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_WAITING", 1)
    pool = Connections(lines_for(nursery, [5.0, HELLO]).dial, max_per_host=1)

    async with trio.open_nursery() as askers:
        for _ in range(2):
            askers.start_soon(ask, pool)
            await wait_all_tasks_blocked()
        with pytest.raises(QueueFull):
            await ask(pool)

    assert pool.statistics().idle == 1


async def test_line_is_first_come_first_served(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    pool = Connections(lines_for(nursery, [1.0, HELLO]).dial, max_per_host=1)
    order: list[int] = []

    async def note(number: int) -> None:
        await ask(pool)
        order.append(number)

    async with trio.open_nursery() as askers:
        for number in range(6):
            askers.start_soon(note, number)
            await wait_all_tasks_blocked()

    assert order == list(range(6))


async def test_cancelled_heir_of_a_connection_does_not_lose_it(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    pool = Connections(lines_for(nursery).dial, max_per_host=1)
    scope = trio.CancelScope()

    async def heir() -> None:
        with scope:
            await ask(pool)

    async with pool.open(request(), LIMITS) as answer:
        await answer.read()
        nursery.start_soon(heir)
        await wait_all_tasks_blocked()
    scope.cancel()
    await wait_all_tasks_blocked()

    assert scope.cancelled_caught
    assert pool.statistics().open == 0
    assert await ask(pool) == b"hello"


async def test_failed_connection_leaves_nothing_open() -> None:
    pool = Connections(refuse)

    with pytest.raises(NetworkError) as caught:
        await ask(pool)

    assert caught.value.message.startswith(
        "network error occurred while connecting to provider API"
    )
    assert not caught.value.sent
    assert pool.statistics().open == 0


async def test_request_that_cannot_be_written_takes_no_connection(nursery: trio.Nursery) -> None:
    lines = lines_for(nursery)

    with pytest.raises(BadRequest):
        async with Connections(lines.dial).open(request(headers=((b"a", b"b\r\n"),)), LIMITS):
            pytest.fail("it was opened")

    assert lines.dialled == 0


async def test_retired_pool_closes_what_is_idle_and_lets_the_rest_end(
    nursery: trio.Nursery,
) -> None:
    lines = lines_for(nursery)
    pool = Connections(lines.dial)
    release = trio.Event()
    for start in (lambda: hold(pool, until=release), lambda: hold(pool, until=trio.Event())):
        nursery.start_soon(start)
        await wait_all_tasks_blocked()
    async with pool.open(request(), LIMITS) as answer:
        await answer.read()

    pool.retire()

    assert lines.hung_up == [2]
    assert pool.statistics().open == 2
    release.set()
    await wait_all_tasks_blocked()
    assert sorted(lines.hung_up) == [0, 2]
    assert await ask(pool) == b"hello"
    assert pool.statistics().open == 1
    nursery.cancel_scope.cancel()


async def test_answer_kept_beyond_its_end_reads_nobody_elses(nursery: trio.Nursery) -> None:
    other = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"
    pool = Connections(lines_for(nursery, [HELLO], [other]).dial)
    async with pool.open(request(), LIMITS) as old:
        await old.read()

    async with pool.open(request(), LIMITS) as new:
        assert await old.read() == b""
        assert await new.read() == b"secret"
