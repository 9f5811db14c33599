"""What the lane sees of a socket, and a stream that gives again what was read already."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from bifrost.http.link import Link, Replayed, link_of
from bifrost.http.watch import Post, Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def pair() -> AsyncIterator[tuple[trio.SocketStream, trio.SocketStream]]:
    """The server's end and the client's, on loopback."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        client = await trio.testing.open_stream_to_socket_listener(listener)
        server = await listener.accept()
        async with client, server:
            yield server, client


async def test_a_link_knows_both_ends(pair: tuple[trio.SocketStream, trio.SocketStream]) -> None:
    server, client = pair

    link = link_of(server)

    assert link.client == client.socket.getsockname()
    assert link.server == server.socket.getsockname()
    assert link.scheme == "http"


async def test_a_link_tells_whether_its_client_has_gone(
    pair: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    server, client = pair
    link = link_of(server)
    assert link.can_tell
    assert not link.has_ended()
    await client.send_all(b"x")
    await trio.lowlevel.wait_readable(server.socket)
    assert not link.has_ended()
    assert await link.stream.receive_some() == b"x"

    await client.aclose()

    await trio.lowlevel.wait_readable(server.socket)
    assert link.has_ended()


async def test_who_was_hung_up_on_has_gone(
    pair: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    """The watch asks in the same round in which it hangs up; an error would end it, and the server with it."""
    server, _ = pair
    link = link_of(server)
    watch, post = Watch(), Post(link)
    calls: list[str] = []
    post.write_until_s = -1.0
    post.on_gone = lambda: calls.append("gone")
    watch.enter(post)

    watch._round(0.0)
    watch._round(1.0)

    assert calls == ["gone"]
    assert link.has_ended()


async def test_a_link_that_cannot_tell_says_no() -> None:
    stream, _ = trio.testing.memory_stream_pair()

    link = Link(stream=stream, hang_up=lambda _: None)

    assert (link.can_tell, link.has_ended()) == (False, False)


async def test_a_socket_of_the_file_system_has_no_addresses() -> None:
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        link = link_of(trio.SocketStream(ours))

        assert (link.client, link.server) == (None, None)


async def test_hanging_up_looks_like_an_end(
    pair: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    server, client = pair

    link_of(server).hang_up(False)

    assert await client.receive_some() == b""


async def test_a_reset_looks_like_none(pair: tuple[trio.SocketStream, trio.SocketStream]) -> None:
    server, client = pair
    link = link_of(server)

    link.hang_up(True)
    link.hang_up(True)

    with pytest.raises(trio.BrokenResourceError) as caught:
        await client.receive_some()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ECONNRESET


async def test_who_waits_for_the_stream_is_told(
    pair: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    server, _ = pair
    link = link_of(server)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_expect_closed, server)
        await trio.testing.wait_all_tasks_blocked()
        link.hang_up(False)


async def _expect_closed(stream: trio.SocketStream) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()


async def test_a_client_that_has_gone_has_no_link(
    pair: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    server, _ = pair
    server.socket.close()

    with pytest.raises(OSError, match="descriptor"):
        link_of(server)


# Replayed


def replayed(data: bytes, stall_s: float = 5.0) -> tuple[Replayed, trio.abc.Stream, list[bool]]:
    near, far = trio.testing.lockstep_stream_pair()
    hangs: list[bool] = []
    return Replayed(Link(stream=near, hang_up=hangs.append), data, stall_s), far, hangs


@given(st.binary(min_size=1, max_size=30), st.integers(1, 40))
def test_what_was_read_comes_again_and_then_the_rest(data: bytes, size: int) -> None:
    async def main() -> None:
        stream, far, _ = replayed(data)
        heard = b""
        while len(heard) < len(data):
            heard += await stream.receive_some(size)
        assert heard == data
        async with trio.open_nursery() as nursery:
            nursery.start_soon(far.send_all, b"more")
            assert await stream.receive_some() == b"more"

    trio.run(main)


async def test_without_a_bound_all_comes_at_once() -> None:
    stream, _, _ = replayed(b"abc")

    assert await stream.receive_some() == b"abc"


async def test_a_client_that_takes_nothing_is_hung_up_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stream, _, hangs = replayed(b"", stall_s=5.0)

    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x")

    assert hangs == [True]
    assert trio.current_time() == pytest.approx(5.0)


async def test_sending_and_closing_go_through(autojump_clock: trio.testing.MockClock) -> None:
    stream, far, hangs = replayed(b"")

    async def send() -> None:
        await stream.wait_send_all_might_not_block()
        await stream.send_all(b"x")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        assert await far.receive_some(1) == b"x"
    await stream.aclose()

    assert await far.receive_some() == b""
    assert not hangs


async def test_all_else_is_asked_of_the_stream_inside(
    pair: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    server, _ = pair
    stream = Replayed(link_of(server), b"", 5.0)

    assert stream.socket is server.socket
    # By this hypercorn tells that there is no TLS.
    assert not hasattr(stream, "do_handshake")
