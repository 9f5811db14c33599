"""One connection, under a clock of the test's own: requests in, an application in the middle, answers out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost.http.answer import BadAnswer, ServerLines
from bifrost.http.lane import BODY, GONE, Lane, Site, Unfinished
from bifrost.http.link import Link
from bifrost.http.watch import ROUND_S, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

GET = b"GET /a%20b?q HTTP/1.1\r\nhost: h\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello"
LAST = b"GET /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
SHARDS = (
    GET,
    POST,
    b"POST / HTTP/1.1\r\nhost: h\r\n",
    b"transfer-encoding: chunked\r\n",
    b"content-length: 3\r\n",
    b"expect: 100-continue\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
)
LIMITS = Limits(body_stall_s=20.0, write_stall_s=10.0)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with path and body."""
    body = scope["path"].encode()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += b" " + message["body"]
        more = message["more_body"]
    await say(send, body)


async def say(send: Any, body: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body, "more_body": more})


@attrs.define(eq=False)
class Client:
    """The far end of a lane that runs."""

    stream: trio.StapledStream[Any, Any]
    site: Site
    defects: list[BaseException]
    hangs: list[bool]
    replay: bytes | None = None

    async def says(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def hears(self, until: bytes) -> bytes:
        """Everything up to, and with, ``until``."""
        heard = b""
        with trio.fail_after(1000):
            while until not in heard:
                data = await self.stream.receive_some()
                assert data, heard
                heard += data
        return heard

    async def hears_all(self) -> bytes:
        """Everything up to the end of the connection."""
        heard = b""
        with trio.fail_after(1000):
            while data := await self.stream.receive_some():
                heard += data
        return heard


def connect(
    nursery: trio.Nursery,
    app: Any,
    limits: Limits = LIMITS,
    *,
    has_ended: Callable[[], bool] | None = None,
    is_full: bool = False,
) -> Client:
    """Start a lane with ``app``; its client. With ``is_full``, whoever sends waits for who reads."""
    near: Any
    far: Any
    pair = trio.testing.lockstep_stream_pair if is_full else trio.testing.memory_stream_pair
    near, far = pair()
    defects: list[BaseException] = []
    hangs: list[bool] = []
    site = Site(
        app=app,
        on_defect=defects.append,
        wall_clock=lambda: 0.0,
        limits=limits,
        lines=ServerLines(None, date=False),
        state={"k": 1},
    )

    def hang_up(reset: bool) -> None:
        hangs.append(reset)
        near.send_stream.close()
        near.receive_stream.close()

    client = Client(far, site, defects, hangs)
    link = Link(stream=near, hang_up=hang_up)
    if has_ended is not None:
        link = attrs.evolve(link, has_ended=has_ended, can_tell=True)

    async def run() -> None:
        client.replay = await Lane(site, link).run()

    nursery.start_soon(site.watch.run)
    nursery.start_soon(run)
    return client


@pytest.fixture
def with_client(nursery: trio.Nursery) -> Callable[..., Client]:
    def opened(app: Any = echo, limits: Limits = LIMITS) -> Client:
        return connect(nursery, app, limits)

    return opened


async def test_requests_one_after_another(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(GET)
    assert (await client.hears(b"/a b ")).startswith(b"HTTP/1.1 200 OK\r\n")
    await client.says(POST[:-2])
    await client.says(POST[-2:])
    assert b"/b " in await client.hears(b"lo")

    await client.says(GET + POST + GET.replace(b"host", b"connection: close\r\nhost"))

    heard = await client.hears_all()
    assert heard.count(b"HTTP/1.1 200 OK") == 3
    assert heard.count(b"connection: close") == 1
    assert client.hangs == [False]
    assert not client.defects


async def test_a_chunked_body_that_comes_slowly(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(b"POST /c HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n")
    for piece in (b"2\r\n", b"hi\r\n", b"0\r\n", b"\r\n"):
        await trio.sleep(5)
        await client.says(piece)

    assert b"hi" in await client.hears(b"hi")


async def test_continue_is_said_when_the_body_is_wanted(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(b"POST /b HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")  # fmt: skip
    assert await client.hears(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

    await client.says(b"ok")

    assert (await client.hears(b"/b ok")).startswith(b"HTTP/1.1 200")


async def test_a_malformed_head_is_answered_in_the_callers_dialect(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: x\r\n\r\n")

    heard = await client.hears_all()

    assert heard.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"message":"' in heard
    assert b"x-content-type-options: nosniff" in heard


async def test_a_malformed_body_is_answered_too(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")

    heard = await client.hears_all()

    assert heard.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"malformed chunked request body" in heard


@pytest.mark.parametrize("sent", [b"GET / HT", b""])
async def test_a_head_that_does_not_come(
    with_client: Callable[..., Client], sent: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(sent)

    heard = await client.hears_all()

    assert heard.startswith(b"HTTP/1.1 408 ") is bool(sent)
    assert trio.current_time() < LIMITS.head_s + 5


async def test_silence_between_two_requests(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(GET)
    await client.hears(b"/a b ")

    assert await client.hears_all() == b""
    assert LIMITS.idle_s - 1 < trio.current_time() < LIMITS.idle_s + 5


async def test_a_body_that_stalls(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(POST[:-2])

    assert await client.hears_all() == b""
    assert not client.defects


async def test_a_client_that_takes_nothing_is_hung_up_on() -> None:
    """The stream's ``send_all`` waits for the reader, as a full socket does."""
    near, far = trio.testing.lockstep_stream_pair()
    hangs: list[bool] = []

    def hang_up(reset: bool) -> None:
        hangs.append(reset)
        cast("Any", near.send_stream).close()
        cast("Any", near.receive_stream).close()

    site = Site(app=echo, on_defect=lambda _: None, wall_clock=lambda: 0.0, limits=LIMITS)
    clock = trio.testing.MockClock(autojump_threshold=0.01)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.watch.run)
            nursery.start_soon(Lane(site, Link(stream=near, hang_up=hang_up)).run)
            await far.send_all(GET)
            await trio.sleep(LIMITS.write_stall_s + 3)
            nursery.cancel_scope.cancel()

    await trio.to_thread.run_sync(lambda: trio.run(main, clock=clock))
    assert hangs[0]


async def test_an_application_hears_that_its_client_has_gone(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    heard: list[str] = []
    done = trio.Event()

    async def listen(scope: Any, receive: Any, send: Any) -> None:
        heard.extend([(await receive())["type"] for _ in range(3)])
        await say(send, b"to nobody")
        done.set()

    client = with_client(listen)
    await client.says(GET)
    await trio.sleep(1)

    await client.stream.aclose()

    await done.wait()
    assert heard == ["http.request", "http.disconnect", "http.disconnect"]
    await trio.testing.wait_all_tasks_blocked()
    assert not client.defects


async def test_an_application_that_has_answered_hears_disconnect(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    heard: list[str] = []

    async def listen(scope: Any, receive: Any, send: Any) -> None:
        await receive()

        async def keep() -> None:
            heard.append((await receive())["type"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep)
            nursery.start_soon(keep)
            await trio.sleep(1)
            await say(send, b"done")

    client = with_client(listen)
    await client.says(GET)
    await client.hears(b"done")
    await trio.testing.wait_all_tasks_blocked()

    assert heard == ["http.disconnect", "http.disconnect"]
    await client.says(GET)
    await client.hears(b"done")


async def test_requests_ahead_of_their_turn_are_read_up_to_a_bound(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        with trio.move_on_after(3):
            await receive()
        await say(send, b"slow")

    client = with_client(slow, Limits(ahead_bytes=10))
    await client.says(GET)
    await trio.sleep(1)
    await client.says(GET)

    assert (await client.hears(b"slow")).endswith(b"slow")
    assert (await client.hears(b"slow")).endswith(b"slow")


async def test_who_sends_on_to_nobody_is_stopped(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    ended = trio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        try:
            await say(send, b"x", more=True)
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            ended.set()

    client = with_client(endless)
    await client.says(GET)
    await client.hears(b"x")
    await client.stream.aclose()

    with trio.fail_after(100):
        await ended.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert client.defects == []


async def test_a_crash_before_the_answer_is_a_500(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("secret")

    client = with_client(broken)
    await client.says(GET)

    heard = await client.hears_all()
    assert heard.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in heard
    assert [type(each) for each in client.defects] == [ValueError]


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_crash_inside_the_answer_never_looks_like_its_end(
    with_client: Callable[..., Client], version: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await say(send, b"half", more=True)
        raise ValueError

    client = with_client(broken)
    await client.says(GET.replace(b"HTTP/1.1", b"HTTP/" + version))

    heard = await client.hears_all()
    assert not heard.endswith(b"0\r\n\r\n")
    # Without chunks only a reset tells the client.
    assert client.hangs[0] is (version == b"1.0")


async def test_returning_too_soon_is_a_defect(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def lazy(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    client = with_client(lazy)
    await client.says(GET)

    assert (await client.hears_all()).startswith(b"HTTP/1.1 500 ")
    assert [type(each) for each in client.defects] == [Unfinished]


async def test_a_bad_message_is_a_defect(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def wrong(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.body", "body": b"x"})

    client = with_client(wrong)
    await client.says(GET)

    assert (await client.hears_all()).startswith(b"HTTP/1.1 500 ")
    assert [type(each) for each in client.defects] == [BadAnswer]


async def test_what_the_application_does_not_read_is_not_the_next_request(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await say(send, b"no")

    client = with_client(deaf)
    await client.says(POST[:-1])

    heard = await client.hears_all()
    assert b"connection: close\r\n" in heard
    assert heard.endswith(b"no")


async def test_a_drain_ends_the_idle_and_lets_others_finish(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await trio.sleep(5)
        await say(send, b"slow")

    client = with_client(slow)
    await client.says(GET)
    await trio.sleep(1)
    client.site.watch.drain()

    heard = await client.hears_all()
    assert heard.endswith(b"slow")
    assert b"connection: close" in heard


async def test_a_drain_closes_an_idle_connection(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await trio.testing.wait_all_tasks_blocked()

    client.site.watch.drain()

    assert await client.hears_all() == b""
    assert trio.current_time() < LIMITS.head_s


async def test_another_protocol_is_left_to_who_speaks_it(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    raw = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nxx"
    await client.says(raw)
    await trio.testing.wait_all_tasks_blocked()

    assert client.replay == raw
    assert not client.hangs


async def test_a_large_answer_leaves_in_pieces(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def large(scope: Any, receive: Any, send: Any) -> None:
        await say(send, b"x" * 200_000)

    client = with_client(large)
    await client.says(GET.replace(b"host", b"connection: close\r\nhost"))

    assert (await client.hears_all()).count(b"x") == 200_000


async def test_cancellation_leaves_no_connection_behind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def stuck(scope: Any, receive: Any, send: Any) -> None:
        await trio.sleep(math.inf)

    async with trio.open_nursery() as nursery:
        client = connect(nursery, stuck)
        await client.says(GET)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()

    assert client.hangs == [True]


async def test_the_scope_that_an_application_sees(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    scopes: list[Any] = []

    async def look(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await say(send, b"seen")

    client = with_client(look)
    await client.says(GET)
    await client.hears(b"seen")

    scope = scopes[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"q")
    assert scope["state"] == {"k": 1}
    assert scope["state"] is not client.site.state


# Kinds of requests, on the wire


@pytest.mark.parametrize(
    ("first", "ends"),
    [
        (b"HEAD /a HTTP/1.1\r\nhost: h\r\n\r\n", b"content-length: 2\r\n\r\n"),
        (b"GET /204 HTTP/1.1\r\nhost: h\r\n\r\n", b"204 No Content\r\n\r\n"),
        (b"GET /304 HTTP/1.1\r\nhost: h\r\n\r\n", b"304 Not Modified\r\n\r\n"),
        (b"GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", b"keep-alive\r\n\r\nok"),
        (b"\r\n\r\nGET /a HTTP/1.1\r\nhost: h\r\n\r\n", b"content-length: 2\r\n\r\nok"),
    ],
)
async def test_the_next_answer_begins_where_this_one_ends(
    with_client: Callable[..., Client],
    first: bytes,
    ends: bytes,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        status = {"/204": 204, "/304": 304}.get(scope["path"], 200)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    client = with_client(answer)
    await client.says(first + LAST)

    heard = await client.hears_all()
    assert heard.count(b"HTTP/1.1 ") == 2
    before, _, _ = heard.rpartition(b"HTTP/1.1 200 OK")
    assert before.endswith(ends)


async def test_an_old_client_is_answered_once(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def parts(scope: Any, receive: Any, send: Any) -> None:
        await say(send, b"a", more=True)
        await send({"type": "http.response.body", "body": b"b"})

    client = with_client(parts)
    await client.says(b"GET / HTTP/1.0\r\n\r\n" + GET)

    assert (await client.hears_all()).endswith(b"connection: close\r\n\r\nab")


@pytest.mark.parametrize("length", [b"5", b"0"])
async def test_no_continue_is_said_where_no_body_is_wanted(
    with_client: Callable[..., Client], length: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await say(send, b"no")
        await receive()

    client = with_client(refuse)
    await client.says(b"POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: %b\r\n\r\n" % length)  # fmt: skip

    heard = await client.hears_all()
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert heard.endswith(b"connection: close\r\n\r\nno")


async def test_a_request_smuggled_behind_a_refused_one_is_never_seen(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + GET)  # fmt: skip

    heard = await client.hears_all()
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"HTTP/1.1 ") == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(SHARDS), st.binary(max_size=20)), max_size=12))
def test_whatever_comes_the_connection_ends_and_nothing_breaks(pieces: list[bytes]) -> None:
    """Each answer is one of ours, nothing hangs beyond the limits, and no defect is told."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    found: list[bytes] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            client = connect(nursery, echo)
            for piece in pieces:
                await client.says(piece)
            heard = await client.hears_all()
            found.extend(line for line in heard.splitlines() if line.startswith(b"HTTP/1.1 "))
            assert not client.defects
            nursery.cancel_scope.cancel()

    trio.run(main, clock=clock)
    statuses = {line.split()[1] for line in found}
    assert statuses <= {b"100", b"200", b"400", b"405", b"408", b"414", b"417", b"431", b"501", b"505"}  # fmt: skip


# Limits


async def test_an_empty_line_behind_a_body_is_no_beginning_of_a_head(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(GET)
    await client.hears(b"/a b ")
    await trio.sleep(1)

    await client.says(b"\r\n")

    assert await client.hears_all() == b""
    assert LIMITS.idle_s - 1 < trio.current_time() < LIMITS.idle_s + 5


async def test_a_head_that_comes_a_byte_at_a_time_has_no_more_time_for_it(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(GET)
    await client.hears(b"/a b ")
    await trio.sleep(50)
    for byte in b"GET / HTTP/1.1\r\nhost: ":
        await client.says(bytes([byte]))
        await trio.sleep(1)

    assert (await client.hears_all()).startswith(b"HTTP/1.1 408 ")
    assert 80 <= trio.current_time() < 80 + 2


async def test_a_body_may_take_long_while_something_comes(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(b"POST /b HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n")
    for _ in range(9):
        await trio.sleep(LIMITS.body_stall_s - 1)
        await client.says(b"x")

    assert (await client.hears(b"/b" + b" x" * 9)).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_leaves_inside_its_body_gets_no_answer(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.says(POST[:-1])
    await client.stream.send_eof()

    assert await client.hears_all() == b""
    assert not client.defects


async def test_what_is_left_of_a_request_is_read_over(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await say(send, b"no")

    client = with_client(deaf, Limits(linger_bytes=10))
    await client.says(POST[:-4])
    await client.hears(b"no")
    began = trio.current_time()

    await client.says(b"e" * 10)
    await trio.testing.wait_all_tasks_blocked()

    assert client.hangs == [False]
    assert trio.current_time() == began


async def test_a_stall_is_told_to_who_listens_too(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    heard: list[str] = []

    async def both(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        async with trio.open_nursery() as inside:
            inside.start_soon(say, send, b"x")
            heard.append((await receive())["type"])

    client = connect(nursery, both, is_full=True)
    await client.says(GET)
    await trio.sleep(LIMITS.write_stall_s + 2)

    assert heard == ["http.disconnect"]
    assert client.hangs[0] is True
    assert not client.defects


async def test_nothing_follows_half_a_message(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        with trio.move_on_after(1):
            await say(send, b"half")
        await send({"type": "http.response.body", "body": b"more"})

    client = connect(nursery, hasty, is_full=True)
    await client.says(GET)

    await trio.sleep(5)

    assert client.hangs
    with pytest.raises(trio.BrokenResourceError):
        await client.says(GET)


async def test_a_defect_after_the_connection_broke_is_told_and_not_answered(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        with trio.move_on_after(1):
            await receive()
        raise ValueError

    client = with_client(fails)
    client.stream.receive_stream.close()
    await client.says(POST[: -len(b"hello")].replace(b"host", b"expect: 100-continue\r\nhost"))
    await trio.sleep(5)

    assert [type(each) for each in client.defects] == [ValueError]
    assert client.hangs


async def test_a_farewell_in_a_group_is_no_defect_and_all_else_is(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await say(send, b"x", more=True)
        await receive()
        await receive()
        async with trio.open_nursery() as inside:
            inside.start_soon(_send_on, send)
            if scope["path"] == "/b":
                inside.start_soon(_fail)
                await trio.sleep(2)

    client, other = with_client(endless), with_client(endless)
    for each, said in ((client, GET), (other, POST)):
        await each.says(said)
        await each.hears(b"x")
        await each.stream.aclose()
    await trio.sleep(5)

    assert not client.defects
    assert len(other.defects) == 1


async def _send_on(send: Any) -> None:
    while True:
        await send({"type": "http.response.body", "body": b"x", "more_body": True})


async def _fail() -> None:
    await trio.lowlevel.checkpoint()
    raise ValueError


# The client's going, seen by the watch


async def test_an_application_may_have_itself_told_that_its_client_has_gone(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    has_gone = False
    ended: list[float] = []

    async def work(scope: Any, receive: Any, send: Any) -> None:
        with trio.CancelScope() as wish, scope["extensions"][GONE](wish.cancel):
            await trio.sleep(1000)
        ended.append(trio.current_time())
        await say(send, b"to nobody")

    client = connect(nursery, work, has_ended=lambda: has_gone)
    await client.says(GET)
    await trio.sleep(10)

    has_gone = True
    await trio.sleep(5)

    assert len(ended) == 1
    assert 10 <= ended[0] <= 10 + 2 * ROUND_S
    assert not client.defects
    assert await client.hears_all() == b""


async def test_an_application_may_have_itself_cancelled_when_its_client_has_gone(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    has_gone = False
    ended: list[float] = []

    async def work(scope: Any, receive: Any, send: Any) -> None:
        with scope["extensions"][GONE]():
            try:
                await trio.sleep(1000)
            finally:
                ended.append(trio.current_time())
        await say(send, b"never reached")

    client = connect(nursery, work, has_ended=lambda: has_gone)
    await client.says(GET)
    await trio.sleep(10)

    has_gone = True
    await trio.sleep(5)

    assert len(ended) == 1
    assert 10 <= ended[0] <= 10 + 2 * ROUND_S
    assert not client.defects
    assert await client.hears_all() == b""


async def test_a_body_that_came_with_its_head_is_at_hand(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def look(scope: Any, receive: Any, send: Any) -> None:
        at_hand = scope["extensions"][BODY]
        await say(send, repr((at_hand(), at_hand())).encode())

    client = connect(nursery, look, has_ended=lambda: False)
    await client.says(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")

    await client.hears(b"(b'abc', None)")


async def test_a_body_that_is_still_to_come_is_received(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def look(scope: Any, receive: Any, send: Any) -> None:
        at_hand = scope["extensions"][BODY]()
        await say(send, repr((at_hand, (await receive())["body"])).encode())

    client = connect(nursery, look, has_ended=lambda: False)
    await client.says(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nab")

    await client.hears(b"(None, b'ab')")


async def test_nobody_is_told_of_it_once_the_work_is_done(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    has_gone = False
    calls: list[str] = []

    async def work(scope: Any, receive: Any, send: Any) -> None:
        with scope["extensions"][GONE](lambda: calls.append("gone")):
            await trio.sleep(3)
        await trio.sleep(3)
        await say(send, b"done")

    client = connect(nursery, work, has_ended=lambda: has_gone)
    await client.says(GET)
    await trio.sleep(4)
    has_gone = True

    await client.hears(b"done")
    assert not calls


async def test_where_it_cannot_be_told_it_is_not_offered(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def look(scope: Any, receive: Any, send: Any) -> None:
        await say(send, b"%d" % len(scope["extensions"]))

    client = with_client(look)
    await client.says(GET)

    assert (await client.hears(b"0")).endswith(b"\r\n\r\n0")
