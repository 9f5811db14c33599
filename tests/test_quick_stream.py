"""A stream that does at once what can be done at once, over real sockets."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from bifrost.quick_stream import QuickStream, has_ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RESET_ON_CLOSE = b"\x01\0\0\0\0\0\0\0"


@pytest.fixture
async def ends() -> AsyncIterator[tuple[trio.SocketStream, trio.SocketStream]]:
    """Two ends of one TCP connection."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    near = await trio.open_tcp_stream("127.0.0.1", port)
    far = await listeners[0].accept()
    await listeners[0].aclose()
    yield near, far
    near.socket.close()
    far.socket.close()


async def test_there_and_back(ends: tuple[trio.SocketStream, trio.SocketStream]) -> None:
    near, far = QuickStream(ends[0]), QuickStream(ends[1])
    await near.send_all(b"hello")
    await near.send_all(bytearray(b" "))
    await near.send_all(memoryview(b"there"))

    assert await far.receive_some(5) == b"hello"
    assert await far.receive_some() == b" there"
    await near.send_eof()
    assert await far.receive_some() == b""


async def test_what_fits_is_sent_without_waiting(
    ends: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await QuickStream(ends[0]).send_all(b"x")

    assert await ends[1].receive_some() == b"x"


async def test_more_than_the_kernel_takes(
    ends: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    data = bytes(range(256)) * 50_000
    heard = bytearray()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(QuickStream(ends[0]).send_all, data)
        while len(heard) < len(data):
            heard += await QuickStream(ends[1]).receive_some()

    assert heard == data
    await QuickStream(ends[0]).wait_send_all_might_not_block()


async def test_a_reader_waits_for_input(
    ends: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    near = QuickStream(ends[0])
    with trio.move_on_after(0.01) as patience:
        await near.receive_some()

    assert patience.cancelled_caught


async def test_a_reader_is_told_of_closing(
    ends: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    near = QuickStream(ends[0])

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await near.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await near.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await near.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await near.send_all(b"x")
    assert has_ended(near.socket)


def reset(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    stream.socket.close()


async def test_a_reset_is_a_break(ends: tuple[trio.SocketStream, trio.SocketStream]) -> None:
    reset(ends[1])
    near = QuickStream(ends[0])

    with pytest.raises(trio.BrokenResourceError):
        await near.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await near.send_all(b"x")


async def test_a_reset_is_an_end(ends: tuple[trio.SocketStream, trio.SocketStream]) -> None:
    reset(ends[1])
    await trio.lowlevel.wait_readable(ends[0].socket)

    assert has_ended(ends[0].socket)


async def test_whether_the_other_side_has_ended(
    ends: tuple[trio.SocketStream, trio.SocketStream],
) -> None:
    near = QuickStream(ends[0])
    assert not has_ended(near.socket)

    await ends[1].send_all(b"unread")
    assert not has_ended(near.socket)
    assert await near.receive_some() == b"unread"

    await ends[1].send_eof()
    await trio.lowlevel.wait_readable(near.socket)
    assert has_ended(near.socket)
