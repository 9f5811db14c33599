from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from bifrost.errors import BadRequest, NetworkError
from bifrost.providers.base import Headers, Origin, UpstreamRequest
from bifrost.transport.wire import (
    MAX_KNOWN,
    MAX_KNOWN_BYTES,
    SMALL_BODY_BYTES,
    Body,
    Heads,
    Line,
    Wire,
    encode_head,
)
from transport.lines import HELLO, ORIGIN, close_now, read_request, request

if TYPE_CHECKING:
    from bifrost.transport.response import ResponseReader

LARGE = b"x" * (SMALL_BODY_BYTES + 1)
REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"


def wire_on(stream: trio.abc.Stream) -> Wire:
    return Wire(Line(stream, lambda: None), opened_s=0.0)


async def exchange(wire: Wire, asked: UpstreamRequest) -> ResponseReader:
    return await wire.exchange(encode_head(asked), asked)


HEADS: dict[str, tuple[UpstreamRequest, bytes]] = {
    "a post": (
        request(b"{}", headers=((b"authorization", b"Bearer k"), (b"accept", b"*/*"))),
        (
            b"POST /v1/x HTTP/1.1\r\nauthorization: Bearer k\r\naccept: */*\r\n"
            b"host: upstream.test\r\ncontent-length: 2\r\n\r\n"
        ),
    ),
    "a get": (
        request(b"", method=b"GET"),
        b"GET /v1/x HTTP/1.1\r\nhost: upstream.test\r\n\r\n",
    ),
    "an empty post": (
        request(b""),
        b"POST /v1/x HTTP/1.1\r\nhost: upstream.test\r\ncontent-length: 0\r\n\r\n",
    ),
    "own host": (
        request(b"", method=b"GET", headers=((b"host", b"other"),)),
        b"GET /v1/x HTTP/1.1\r\nhost: other\r\n\r\n",
    ),
    "the connection's own headers": (
        request(
            b"",
            method=b"GET",
            headers=(
                (b"connection", b"close"),
                (b"transfer-encoding", b"chunked"),
                (b"content-length", b"7"),
                (b"expect", b"100-continue"),
                (b"a", b"b"),
            ),
        ),
        b"GET /v1/x HTTP/1.1\r\na: b\r\nhost: upstream.test\r\n\r\n",
    ),
    "another port": (
        request(b"", method=b"GET", origin=Origin("http", "h", 8080)),
        b"GET /v1/x HTTP/1.1\r\nhost: h:8080\r\n\r\n",
    ),
    "https and its port": (
        request(b"", method=b"GET", origin=Origin("https", "h", 443)),
        b"GET /v1/x HTTP/1.1\r\nhost: h\r\n\r\n",
    ),
    "version 6 address": (
        request(b"", method=b"GET", origin=Origin("http", "::1", 81)),
        b"GET /v1/x HTTP/1.1\r\nhost: [::1]:81\r\n\r\n",
    ),
    "name in another script": (
        request(b"", method=b"GET", origin=Origin("http", "bücher.test", 80)),
        b"GET /v1/x HTTP/1.1\r\nhost: xn--bcher-kva.test\r\n\r\n",
    ),
}


@pytest.mark.parametrize(("asked", "head"), HEADS.values(), ids=HEADS)
def test_head_is_written(asked: UpstreamRequest, head: bytes) -> None:
    assert encode_head(asked) == head


@pytest.mark.parametrize("asked", [asked for asked, _ in HEADS.values()], ids=HEADS)
def test_a_usual_head_is_the_same_when_it_is_written_again(asked: UpstreamRequest) -> None:
    heads = Heads()
    usual = attrs.evolve(asked, is_usual=True)
    longer = attrs.evolve(usual, body=b"x" * 1234)

    for each in (usual, longer, usual, attrs.evolve(usual, origin=Origin("http", "other", 1))):
        assert heads.encode(each) == encode_head(each)


def test_heads_that_differ_in_a_line_are_told_apart() -> None:
    heads = Heads()
    for number in range(MAX_KNOWN + 5):
        asked = request(headers=((b"authorization", b"%d" % number),))
        asked = attrs.evolve(asked, is_usual=True)
        assert heads.encode(asked) == encode_head(asked)

    assert heads.known <= MAX_KNOWN


def test_what_is_not_usual_or_is_too_long_is_not_remembered() -> None:
    heads = Heads()
    heads.encode(request())
    long = request(headers=((b"x", b"y" * MAX_KNOWN_BYTES),))
    heads.encode(attrs.evolve(long, is_usual=True))

    assert heads.known == 0


def test_a_bad_usual_head_is_refused_each_time() -> None:
    heads = Heads()
    asked = attrs.evolve(request(headers=((b"a", b"b\nx: y"),)), is_usual=True)
    for _ in range(2):
        with pytest.raises(BadRequest):
            heads.encode(asked)


@pytest.mark.parametrize(
    "header",
    [
        (b"a", b"b\r\nx: y"),
        (b"a", b"b\nx: y"),
        (b"a", b"b\rx"),
        (b"a", b"b\0"),
        (b"a\r\nx", b"b"),
        (b"a: b\r\nx", b"b"),
        (b"a b", b"c"),
        (b"a:", b"b"),
        (b"", b"b"),
        ("ä".encode(), b"b"),
    ],
)
def test_header_that_would_be_read_as_something_else_is_refused(
    header: tuple[bytes, bytes],
) -> None:
    headers: Headers = (header,)

    with pytest.raises(BadRequest) as caught:
        encode_head(request(headers=headers))

    assert caught.value.message == "failed to create HTTP request to provider API"
    assert caught.value.cause in {
        "a header holds a line break or a NUL",
        "a header's name is not a token",
    }


@pytest.mark.parametrize("target", [b"/a b", b"/a\r\nx: y", b"/a\0", b"", "/ä".encode(), b"/a\tb"])
def test_target_that_would_end_the_line_is_refused(target: bytes) -> None:
    asked = UpstreamRequest(method=b"GET", origin=ORIGIN, target=target, headers=())

    with pytest.raises(BadRequest):
        encode_head(asked)


@pytest.mark.parametrize("method", [b"GET /x HTTP/1.1\r\nA: b\r\n\r\nGET", b"", b"G T"])
def test_method_that_is_no_token_is_refused(method: bytes) -> None:
    asked = UpstreamRequest(method=method, origin=ORIGIN, target=b"/", headers=())

    with pytest.raises(BadRequest):
        encode_head(asked)


@pytest.mark.parametrize("host", ["a..ü", "x\r\ny"])
def test_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(BadRequest):
        encode_head(request(origin=Origin("http", host, 80)))


async def test_small_request_is_one_piece() -> None:
    sent: list[bytes] = []

    async def note(*, data: bytes = b"") -> None:
        await trio.lowlevel.checkpoint()
        sent.append(bytes(stream.send_stream.get_data_nowait()))

    stream, _ = trio.testing.memory_stream_pair()
    stream.send_stream.send_all_hook = note
    stream.receive_stream.put_data(HELLO)

    reader = await exchange(wire_on(stream), request(b"{}" * 100))

    assert sent == [encode_head(request(b"{}" * 100)) + b"{}" * 100]
    assert reader.take() == b"hello"


async def test_large_request_arrives_whole() -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    arrived = b""

    async def serve() -> None:
        nonlocal arrived
        arrived = await read_request(theirs, bytearray())
        await theirs.send_all(HELLO)

    wire = wire_on(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        reader = await exchange(wire, request(LARGE))

    assert arrived.endswith(LARGE)
    assert (reader.status, reader.take()) == (200, b"hello")
    assert wire.is_reusable(reader)


@pytest.mark.parametrize("then_closes", [True, False])
async def test_refusal_is_read_while_the_request_is_still_being_written(then_closes: bool) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()

    async def serve() -> None:
        await theirs.receive_some(100)
        for i in range(len(REFUSAL)):
            await theirs.send_all(REFUSAL[i : i + 1])
        if then_closes:
            await theirs.aclose()

    wire = wire_on(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        reader = await exchange(wire, request(LARGE))

    assert (reader.status, reader.take()) == (413, b"big")
    assert not wire.is_reusable(reader)


async def test_refusal_that_never_ends_is_not_read_for_ever() -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    sent = 0

    async def serve() -> None:
        nonlocal sent
        await theirs.send_all(b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await theirs.send_all(chunk)
            sent += len(chunk)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        nursery.start_soon(exchange, wire_on(ours), request(LARGE))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert 256 * 1024 <= sent < 400 * 1024


async def test_success_does_not_cut_the_writing_short() -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    arrived = bytearray()

    async def serve() -> None:
        await theirs.send_all(HELLO[:40])
        while len(arrived) < len(encode_head(request(LARGE)) + LARGE):
            arrived.extend(await theirs.receive_some(1000))
        await theirs.send_all(HELLO[40:])

    wire = wire_on(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        reader = await exchange(wire, request(LARGE))
        while not reader.ended:
            await wire.pull(reader)

    assert arrived.endswith(LARGE)
    assert wire.is_reusable(reader)


async def test_answer_before_a_broken_pipe_counts() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(REFUSAL)
    theirs.receive_stream.close()
    await theirs.aclose()
    wire = wire_on(ours)

    async def break_pipe() -> None:
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError

    ours.send_stream.send_all_hook = break_pipe

    reader = await exchange(wire, request(b"{}"))

    assert (reader.status, reader.take()) == (413, b"big")
    assert not wire.is_reusable(reader)


async def test_reset_is_told_in_the_systems_words() -> None:
    ours, _ = trio.testing.memory_stream_pair()

    async def reset() -> None:
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError from ConnectionResetError(104, "Connection reset by peer")

    ours.receive_stream.receive_some_hook = reset

    reader = await exchange(wire_on(ours), request())

    assert reader.fault == "Connection reset by peer"
    assert not reader.started


async def test_body_of_a_wire_that_was_hung_up_is_an_error_and_no_end() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(HELLO[:-2])
    wire = wire_on(ours)
    body = Body(wire, await exchange(wire, request()))
    close_now(ours)

    assert body.ready() == b"hello"[:3]
    assert body.ready() is None
    await body.wait()
    with pytest.raises(NetworkError) as caught:
        body.ready()

    assert caught.value.message == "failed to execute HTTP request to provider API"
    assert caught.value.cause == "connection broken"
