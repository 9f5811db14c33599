"""Bodies that are sent block by block: through our wire, our pool, httpx and the mock."""

from __future__ import annotations

import json
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from bifrost.codecs.multipart import encode_form, form_content_type
from bifrost.config.settings import NetworkSettings, ProviderSettings
from bifrost.errors import InternalError, NetworkError, UpstreamTimeout
from bifrost.providers.base import Origin, UpstreamRequest
from bifrost.schema.payload import BytesPayload, Field, File, Form
from bifrost.transport.base import Limits, Patience, Upstream
from bifrost.transport.httpx import HttpxUpstream
from bifrost.transport.mock import MockUpstream
from bifrost.transport.pool import Connections, connections
from bifrost.transport.wire import Line, Wire, encode_head
from transport.lines import HELLO, ORIGIN, Exchanges, Lines, read_request, request
from transport.payloads import Counted

if TYPE_CHECKING:
    from trio.testing import MockClock

LIMITS = Limits(connect_s=5, first_byte_s=5, idle_s=5)
BLOCK = b"x" * 1000
REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"

DOORS: dict[str, Callable[[], Upstream]] = {
    "ours": lambda: connections(NetworkSettings()),
    "httpx": lambda: HttpxUpstream(ProviderSettings(name="p")),
}


@asynccontextmanager
async def listening(
    serve: Callable[[trio.SocketStream], Awaitable[None]],
) -> AsyncIterator[Origin]:
    """A server on loopback."""

    async def served(stream: trio.SocketStream) -> None:
        try:
            await serve(stream)
        except trio.BrokenResourceError:
            return

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, served, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        yield Origin("http", "127.0.0.1", port)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("door", DOORS)
async def test_payload_goes_out_with_its_length(door: str) -> None:
    server = Exchanges([[HELLO]])
    payload = Counted(os.urandom(100_000), 30)
    upstream = DOORS[door]()

    async with listening(server) as origin:
        for _ in range(2):
            asked = request(payload, origin=origin, headers=((b"content-type", b"audio/wav"),))
            async with upstream.open(asked, LIMITS) as answer:
                assert (answer.status, await answer.read()) == (200, b"hello")
        upstream.retire()

    assert payload.readers == 2
    for whole in server.requests:
        head, _, body = whole.partition(b"\r\n\r\n")
        assert b"content-length: 3000000" in head.lower().split(b"\r\n")
        assert b"chunked" not in head.lower()
        assert body == payload.whole


@pytest.mark.parametrize("door", DOORS)
async def test_early_refusal_of_a_payload_is_read(door: str) -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some(100)
        await stream.send_all(REFUSAL)
        async for _ in stream:
            pass

    payload = Counted(b"x" * 250_000, 100)
    upstream = DOORS[door]()

    async with listening(refuse) as origin:
        async with upstream.open(request(payload, origin=origin), LIMITS) as answer:
            assert (answer.status, await answer.read()) == (413, b"big")
        upstream.retire()


async def test_stale_connection_is_replaced_and_the_payload_replayed(
    nursery: trio.Nursery,
) -> None:
    server = Exchanges([[HELLO]])
    payload = Counted(b"y" * 1000, 100)

    async def serve(stream: trio.abc.Stream) -> None:
        if lines.dialled > 1:
            await server(stream)
            return
        await read_request(stream, bytearray())
        await stream.send_all(HELLO)
        while b"y" not in await stream.receive_some():
            pass
        await stream.aclose()

    lines = Lines(nursery, serve)
    pool = Connections(lines.dial)

    async with pool.open(request(), LIMITS) as answer:
        await answer.read()
    async with pool.open(request(payload), LIMITS) as answer:
        assert await answer.read() == b"hello"

    assert lines.dialled == 2
    assert payload.readers == 2
    assert server.requests[0].endswith(b"\r\n\r\n" + payload.whole)


async def slow_upload(payload: Counted, per_block_s: float) -> None:
    """Send ``payload`` to a server that takes a block in ``per_block_s`` and then answers."""

    async def serve(stream: trio.abc.Stream) -> None:
        left = payload.size
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some(1)
        while left:
            await trio.sleep(per_block_s)
            for _ in range(len(payload.block) // 1000):
                left -= len(await stream.receive_some(1000))
        await stream.send_all(HELLO)

    async with trio.open_nursery() as nursery:
        upstream = Connections(partial(_lockstep, nursery, serve))
        async with upstream.open(request(payload), LIMITS) as answer:
            await answer.read()
        nursery.cancel_scope.cancel()


async def _lockstep(
    nursery: trio.Nursery, serve: Callable[[trio.abc.Stream], Awaitable[None]], _: Origin
) -> Line:
    ours, theirs = trio.testing.lockstep_stream_pair()
    nursery.start_soon(serve, theirs)
    await trio.lowlevel.checkpoint()
    return Line(ours, lambda: None)


async def test_limit_is_one_on_progress(autojump_clock: MockClock) -> None:
    await slow_upload(Counted(b"z" * 10_000, 20), per_block_s=4.0)

    assert trio.current_time() == pytest.approx(80, abs=1)


async def test_block_that_is_not_taken_ends_the_attempt(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(UpstreamTimeout, flatten_subgroups=True):
        await slow_upload(Counted(b"z" * 10_000, 20), per_block_s=6.0)

    assert trio.current_time() == pytest.approx(5, abs=0.1)


async def test_httpx_begins_its_limit_anew_with_each_block(autojump_clock: MockClock) -> None:
    """The payload is slow here, for a socket's buffers would hide a slow reader."""

    class Slow(Counted):
        def blocks(self) -> AsyncIterator[bytes]:
            return _Slowly(super().blocks())

    class _Slowly(AsyncIterator[bytes]):
        def __init__(self, blocks: AsyncIterator[bytes]) -> None:
            self._blocks = blocks

        async def __anext__(self) -> bytes:
            await trio.sleep(4)
            return await anext(self._blocks)

    upstream = HttpxUpstream(ProviderSettings(name="p"))
    async with listening(Exchanges([[HELLO]])) as origin:
        async with upstream.open(request(Slow(b"a", 3), origin=origin), LIMITS) as answer:
            assert answer.status == 200
        upstream.retire()

    assert trio.current_time() == pytest.approx(12, abs=1)


FAULTS = {
    "unreadable": Counted(b"x" * 1000, 3, breaks_at=1),
    "too short": Counted(b"x" * 1000, 3, more=1),
    "too long": Counted(b"x" * 1000, 3, more=-1),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_payload_that_fails_is_our_fault(door: str, fault: str) -> None:
    payload = FAULTS[fault]
    server = Exchanges([[HELLO]])
    upstream = DOORS[door]()

    async with listening(server) as origin:
        with pytest.raises(InternalError) as caught:
            async with upstream.open(request(payload, origin=origin), LIMITS):
                pass
        upstream.retire()

    assert server.requests == []
    told = {"Input/output error", "the payload is not of the size that it told"}
    assert caught.value.cause in told


async def test_payload_that_fails_closes_its_connection(nursery: trio.Nursery) -> None:
    lines = Lines(nursery, Exchanges([[HELLO]]))
    pool = Connections(lines.dial)

    with pytest.raises(InternalError):
        async with pool.open(request(Counted(b"x", 3, breaks_at=2)), LIMITS):
            pass

    assert lines.hung_up == [0]


async def test_cut_in_the_middle_of_a_payload_is_an_error(nursery: trio.Nursery) -> None:
    async def cut(stream: trio.abc.Stream) -> None:
        await stream.receive_some(10)
        await stream.aclose()

    pool = Connections(Lines(nursery, cut).dial)
    payload = Counted(b"x" * 1000, 3)

    with pytest.raises(NetworkError):
        async with pool.open(request(payload), LIMITS):
            pass


async def test_empty_payload_is_an_empty_body(nursery: trio.Nursery) -> None:
    server = Exchanges([[HELLO]])
    pool = Connections(Lines(nursery, server).dial)

    async with pool.open(request(BytesPayload(b"")), LIMITS) as answer:
        assert answer.status == 200

    assert server.requests[0].endswith(b"content-length: 0\r\n\r\n")


async def test_wire_alone_heeds_no_progress(nursery: trio.Nursery) -> None:
    asked = request(Counted(b"ab", 2))
    line = await Lines(nursery, Exchanges([[HELLO]])).dial(ORIGIN)
    wire = Wire(line, opened_s=0.0)

    reader = await wire.exchange(encode_head(asked), asked)

    assert reader.take() == b"hello"
    assert wire.is_reusable(reader)


FORM: Form = (
    Field("model", b"echo"),
    File("file", b"a.wav", b"audio/wav", BytesPayload(b"\0" * 300_000)),
)


def form_request(form: Form, content_type: bytes | None = None) -> UpstreamRequest:
    boundary = b"b" * 20
    return UpstreamRequest(
        method=b"POST",
        origin=ORIGIN,
        target=b"/v1/audio/transcriptions",
        headers=((b"content-type", content_type or form_content_type(boundary)),),
        body=encode_form(form, boundary),
    )


async def mock_answer(asked: UpstreamRequest) -> tuple[int, str]:
    mock = MockUpstream(ProviderSettings(name="mock"), wall=lambda: 7.0)
    async with mock.open(asked, LIMITS) as answer:
        return answer.status, json.dumps(json.loads(await answer.read()))


async def test_mock_reads_a_form() -> None:
    status, text = await mock_answer(form_request(FORM))

    assert (status, '"model": "echo"' in text) == (200, True)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (form_request((*FORM, Field("mock", b'{"status": 503}'))), "told to fail with 503"),
        (form_request((*FORM, Field("mock", b"{"))), "the body is no JSON"),
        (form_request(FORM[1:]), "the body has no model"),
        (form_request(FORM, b"audio/wav"), "the body is no form"),
        (form_request(FORM, b"multipart/form-data; boundary=other"), "the body is no form"),
    ],
)
async def test_mock_refuses_what_a_form_cannot_tell(asked: UpstreamRequest, told: str) -> None:
    status, text = await mock_answer(asked)

    assert status in {400, 503}
    assert told in text


@attrs.define(eq=False)
class AtTheLastMoment(trio.abc.Stream):
    """``inner``, whose user has no patience left just as a block has been taken."""

    inner: trio.abc.Stream
    patience: Patience

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)
        if bytes(data) == BLOCK:
            self.patience.look(math.inf)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_what_was_hung_up_on_as_a_block_got_away_is_late_and_not_sent_again(
    nursery: trio.Nursery,
) -> None:
    lines, patience = Lines(nursery, Exchanges([[HELLO]])), Patience()

    async def dial(origin: Origin) -> Line:
        line = await lines.dial(origin)
        return attrs.evolve(line, stream=AtTheLastMoment(line.stream, patience))

    pool, limits = Connections(dial), attrs.evolve(LIMITS, patience=patience)
    async with pool.open(request(), limits) as answer:
        await answer.read()

    with pytest.raises(UpstreamTimeout):
        async with pool.open(request(Counted(BLOCK, 3)), limits):
            pass

    assert (lines.dialled, pool.statistics().open) == (1, 0)
