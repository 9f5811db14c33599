"""One connection, under a clock of the test's own: requests in, an application in the middle, answers out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest
import trio
import trio.testing

from bifrost.http.answer import BadAnswer, ServerLines
from bifrost.http.lane import Lane, Site, Unfinished
from bifrost.http.link import Link
from bifrost.http.watch import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

GET = b"GET /a%20b?q HTTP/1.1\r\nhost: h\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello"
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


def connect(nursery: trio.Nursery, app: Any, limits: Limits = LIMITS) -> Client:
    """Start a lane with ``app``; its client."""
    near, far = trio.testing.memory_stream_pair()
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

    async def run() -> None:
        client.replay = await Lane(site, Link(stream=near, hang_up=hang_up)).run()

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
