from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from bifrost.errors import NetworkError, StreamIdleTimeout, UpstreamTimeout
from bifrost.transport.answer import Answer
from bifrost.transport.base import Limits, Patience

if TYPE_CHECKING:
    from trio.testing import MockClock

    from bifrost.providers.base import Headers

GZIP: Headers = ((b"content-encoding", b"gzip"), (b"content-length", b"9"), (b"x", b"y"))


@attrs.define
class Script:
    """A source: bytes come at once, numbers are seconds of silence, an error is raised."""

    steps: list[bytes | float | NetworkError]
    cut: bool = False
    hang_up: Callable[[], None] | None = None

    def ready(self) -> bytes | None:
        if not self.steps:
            return b""
        match self.steps[0]:
            case bytes(data):
                del self.steps[0]
                return data
            case NetworkError() as error:
                raise error
            case _:
                return None

    async def wait(self) -> float:
        pause = self.steps[0]
        assert isinstance(pause, float | int)
        await trio.sleep(pause)
        del self.steps[0]
        return trio.current_time()


def answer(
    *steps: bytes | float | NetworkError, headers: Headers = (), limits: Limits | None = None
) -> Answer:
    return Answer(Script(list(steps)), 200, headers, limits or Limits(), 1.5)


async def test_pieces_come_as_they_are_and_end_stays_the_end() -> None:
    got = answer(b"a", b"b")

    assert [await got.receive() for _ in range(4)] == [b"a", b"b", b"", b""]


async def test_read_gives_the_rest() -> None:
    got = answer(b"a", b"b", b"c")
    await got.receive()

    assert await got.read() == b"bc"
    assert await got.read() == b""


async def test_only_waiting_counts_as_waiting(autojump_clock: MockClock) -> None:
    got = answer(b"a", 3.0, b"b", 4.0)
    await got.receive()
    await trio.sleep(100)
    await got.receive()
    await got.read()

    assert got.waited_s == pytest.approx(1.5 + 3 + 4)


async def test_a_wait_that_nobody_waits_out_counts_too(autojump_clock: MockClock) -> None:
    got = answer(9.0, b"a")
    with trio.move_on_after(2.0):
        await got.receive()

    assert got.waited_s == pytest.approx(1.5 + 2)


async def test_silence_is_an_idle_timeout(autojump_clock: MockClock) -> None:
    got = answer(b"a", 59.0, b"b", 61.0, b"c", limits=Limits(idle_s=60))
    assert await got.receive() == b"a"
    assert await got.receive() == b"b"
    begun = trio.current_time()

    with pytest.raises(
        StreamIdleTimeout, match=r"^request timed out \(default is 30 seconds\)"
    ) as caught:
        await got.receive()

    assert "stream_idle_timeout_in_seconds" in caught.value.message
    assert trio.current_time() - begun == pytest.approx(60)
    assert got.waited_s == pytest.approx(1.5 + 59 + 60)


@attrs.define
class Silent:
    """A source that says nothing until it is hung up on."""

    ended: trio.Event = attrs.field(factory=trio.Event)

    def ready(self) -> bytes | None:
        return None

    async def wait(self) -> float:
        await self.ended.wait()
        return trio.current_time()

    def hang_up(self) -> None:
        self.ended.set()


@pytest.mark.parametrize(
    ("deadline_s", "told"), [(math.inf, StreamIdleTimeout), (30.0, UpstreamTimeout)]
)
async def test_who_comes_round_ends_a_wait_by_hanging_up(
    deadline_s: float, told: type[Exception], autojump_clock: MockClock
) -> None:
    patience = Patience()
    limits = Limits(idle_s=60, deadline_s=trio.current_time() + deadline_s, patience=patience)
    got = Answer(Silent(), 200, (), limits, 0.0)

    async def come_round() -> None:
        for _ in range(200):
            await trio.sleep(0.5)
            patience.look(trio.current_time())

    begun_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(come_round)
        with pytest.raises(told) as caught:
            await got.receive()

    assert type(caught.value) is told
    assert 0 <= got.waited_s - min(60, deadline_s) <= 0.5
    assert trio.current_time() - begun_s >= 100


async def test_a_wait_that_ends_in_time_is_not_hung_up_on(autojump_clock: MockClock) -> None:
    patience, source = Patience(), Silent()
    got = Answer(source, 200, (), Limits(idle_s=60, patience=patience), 0.0)
    with trio.move_on_after(59):
        await got.receive()
    patience.look(trio.current_time() + 1000)

    assert not source.ended.is_set()
    assert not patience.is_over


async def test_idle_limit_does_not_run_while_nobody_reads(autojump_clock: MockClock) -> None:
    got = answer(b"a", 1.0, b"b", limits=Limits(idle_s=60))
    await got.receive()
    await trio.sleep(1000)

    assert await got.receive() == b"b"


async def test_deadline_is_told_from_silence(autojump_clock: MockClock) -> None:
    limits = Limits(idle_s=60, deadline_s=trio.current_time() + 10)

    with pytest.raises(UpstreamTimeout, match="total_timeout_s") as caught:
        await answer(11.0, limits=limits).receive()

    assert not isinstance(caught.value, StreamIdleTimeout)


async def test_failure_goes_on() -> None:
    got = answer(b"a", NetworkError("cut"))
    await got.receive()

    with pytest.raises(NetworkError, match="cut"):
        await got.receive()


async def test_body_beyond_the_limit_is_refused() -> None:
    with pytest.raises(NetworkError) as caught:
        await answer(b"abc", b"def", limits=Limits(max_body_bytes=5)).read()

    assert caught.value.cause == "response body exceeds 5 bytes"


@given(body=st.binary(max_size=500), step=st.integers(1, 50))
async def test_coding_is_taken_off_whatever_the_pieces(body: bytes, step: int) -> None:
    packed = gzip.compress(body)
    got = answer(*(packed[i : i + step] for i in range(0, len(packed), step)), headers=GZIP)

    assert await got.read() == body
    assert got.headers == ((b"x", b"y"),)


async def test_flushed_event_is_given_before_the_body_ends(autojump_clock: MockClock) -> None:
    packer = zlib.compressobj(wbits=31)
    event = packer.compress(b"data: 1\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    got = answer(event, 5.0, packer.compress(b"data: 2\n\n") + packer.flush(), headers=GZIP)

    assert await got.receive() == b"data: 1\n\n"
    assert trio.current_time() == 0
    assert await got.receive() == b"data: 2\n\n"
    assert await got.receive() == b""


async def test_small_body_that_unpacks_to_much_comes_in_pieces_and_within_the_limit() -> None:
    packed = gzip.compress(b"\0" * 20_000_000)
    pieces = answer(packed, headers=GZIP)
    assert 0 < len(await pieces.receive()) <= 1_000_000

    with pytest.raises(NetworkError, match="failed to execute"):
        await answer(packed, headers=GZIP, limits=Limits(max_body_bytes=1_000_000)).read()


@pytest.mark.parametrize("packed", [gzip.compress(b"hello")[:-3], b"no gzip at all"])
async def test_broken_coding_is_a_network_error(packed: bytes) -> None:
    with pytest.raises(NetworkError, match=r"^failed to decompress provider's response$"):
        await answer(packed, headers=GZIP).read()


def test_unknown_coding_is_a_network_error() -> None:
    with pytest.raises(NetworkError, match=r"^failed to decompress provider's response$"):
        answer(headers=((b"content-encoding", b"compress"),))


async def test_empty_body_needs_no_coding() -> None:
    assert await answer(headers=GZIP).read() == b""


async def test_identity_changes_nothing() -> None:
    headers: Headers = ((b"content-encoding", b"identity"), (b"content-length", b"1"))
    got = answer(b"a", headers=headers)

    assert got.headers == headers
    assert await got.read() == b"a"
