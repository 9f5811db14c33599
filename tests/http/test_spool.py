"""Bodies on disk: what is written is read, everything is given back on every way out."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from bifrost.errors import BadRequest, BodyTooLarge, Overloaded
from bifrost.http.body import CallerGone
from bifrost.http.spool import MAX_THREADS, MEMORY_BYTES, Spool, open_spool, spooled
from bifrost.schema.payload import BLOCK_BYTES
from http_messages import messages

if TYPE_CHECKING:
    from trio.testing import MockClock

    from bifrost.schema.payload import Payload

LARGE = os.urandom(MEMORY_BYTES + 300_001)


async def read(payload: Payload) -> bytes:
    blocks = [block async for block in payload.blocks()]
    assert all(0 < len(block) <= BLOCK_BYTES for block in blocks)
    return b"".join(blocks)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where temporary files lie, for those of this test to be told from others."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def open_files() -> int:
    """Temporary files that this process holds open; none has a name."""
    assert tempfile.tempdir is not None
    assert not list(Path(tempfile.tempdir).iterdir())
    links = (fd for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink())
    return sum(str(fd.readlink()).startswith(tempfile.tempdir) for fd in links)


def keep(receive: Any, *headers: tuple[bytes, bytes], max_bytes: int = 10_000_000) -> Any:
    return spooled(receive, headers, max_bytes=max_bytes, timeout_s=60)


@pytest.mark.parametrize("size", [0, 1, MEMORY_BYTES, MEMORY_BYTES + 1, len(LARGE)])
async def test_what_is_written_is_read_again_and_again(size: int) -> None:
    data = LARGE[:size]
    sizes: list[int] = []

    parts = [data[i : i + 65_000] for i in range(0, size, 65_000)] or [b""]
    async with spooled(
        messages(*parts), (), max_bytes=size, timeout_s=60, tell_size=sizes.append
    ) as payload:
        assert payload.size == size
        assert await read(payload) == data
        assert await read(payload) == data
        assert open_files() == (size > MEMORY_BYTES)

    assert sizes == [size]
    assert open_files() == 0


async def test_readers_at_once_have_positions_of_their_own() -> None:
    async with keep(messages(LARGE)) as payload:
        first, second = payload.blocks(), payload.blocks()
        pairs = [(await anext(first), await anext(second)) for _ in range(3)]

    assert all(one == other for one, other in pairs)
    assert b"".join(one for one, _ in pairs) == LARGE[: 3 * BLOCK_BYTES]


async def test_slices_of_one_spool() -> None:
    async with open_spool() as spool:
        await spool.write(LARGE)
        await spool.write(b"tail")
        await spool.seal()

        assert spool.size == len(LARGE) + 4
        assert await read(spool.slice(len(LARGE), 4)) == b"tail"
        assert await read(spool.slice(5, 300_000)) == LARGE[5:300_005]
        assert await read(spool.slice(7, 0)) == b""


async def test_body_is_unpacked_on_its_way_to_the_disk() -> None:
    packed = gzip.compress(b"hello" * 1_000_000)

    async with keep(messages(packed), (b"content-encoding", b"gzip")) as payload:
        assert await read(payload) == b"hello" * 1_000_000


async def test_small_body_asks_no_thread() -> None:
    async with open_spool() as spool:
        await spool.write(b"x" * MEMORY_BYTES)
        await spool.seal()
        assert await read(spool.slice(0, 3)) == b"xxx"
        assert spool._file is None


@pytest.mark.parametrize(
    ("receive", "error"),
    [
        (messages(LARGE, b"x" * 10_000_000), BodyTooLarge),
        (messages(LARGE, then="gone"), CallerGone),
    ],
)
async def test_everything_is_given_back_when_the_body_does_not_come(
    receive: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        async with keep(receive):
            raise AssertionError

    assert open_files() == 0


async def test_everything_is_given_back_when_time_is_up(mock_clock: MockClock) -> None:
    """The clock stands still while threads are at work, for nobody to be late but the caller."""

    async def receive() -> Any:
        if open_files():
            mock_clock.jump(61)
        return await parts()

    parts = messages(LARGE, then="silent")

    with pytest.raises(BadRequest) as caught:
        async with keep(receive):
            raise AssertionError

    assert caught.value.status == 408
    assert open_files() == 0


@pytest.mark.parametrize("is_whole", [True, False])
async def test_everything_is_given_back_when_cancelled(is_whole: bool) -> None:
    is_held = trio.Event()
    parts = messages(LARGE, then=None if is_whole else "silent")
    was_read = False

    async def receive() -> Any:
        nonlocal was_read
        if was_read:
            is_held.set()
        was_read = True
        return await parts()

    async def hold() -> None:
        async with keep(receive):
            is_held.set()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold)
        await is_held.wait()
        assert open_files() == 1
        nursery.cancel_scope.cancel()

    assert open_files() == 0


async def test_payload_cannot_be_read_when_its_spool_is_gone() -> None:
    async with keep(messages(LARGE)) as payload:
        blocks = payload.blocks()
        await anext(blocks)

    with pytest.raises(OSError, match="gone"):
        await anext(blocks)


async def test_file_closed_under_a_reader_is_not_read() -> None:
    async with open_spool() as spool:
        await spool.write(LARGE)
        await spool.seal()
        assert spool._file is not None
        os.ftruncate(spool._file.fileno(), 10)
        with pytest.raises(OSError, match="cut short"):
            await spool.read(0, 20)
        spool._file.close()
        with pytest.raises(OSError, match="gone"):
            await spool.read(0, 20)


async def test_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        return open("/dev/full", "r+b", buffering=0)  # noqa: PTH123  it stands in for a function of such a file

    monkeypatch.setattr(tempfile, "TemporaryFile", full)

    with pytest.raises(Overloaded) as caught:
        async with keep(messages(LARGE)):
            raise AssertionError

    assert (caught.value.status, caught.value.cause) == (503, "No space left on device")


async def test_threads_are_bounded() -> None:
    """More spools than threads are written at once, and all of them are written."""
    done = 0

    async def write() -> None:
        nonlocal done
        async with keep(messages(LARGE)) as payload:
            assert payload.size == len(LARGE)
        done += 1

    async with trio.open_nursery() as nursery:
        for _ in range(MAX_THREADS * 2):
            nursery.start_soon(write)

    assert done == MAX_THREADS * 2
    assert open_files() == 0


async def test_spool_that_was_never_written_is_closed() -> None:
    spool = Spool()

    await spool.aclose()

    with pytest.raises(OSError, match="gone"):
        await spool.read(0, 1)


UPLOAD = """
import os, re, trio
from functools import partial
from bifrost.codecs.multipart import encode_form, form_content_type
from bifrost.config.settings import NetworkSettings
from bifrost.http.form import reading_form
from bifrost.providers.base import Origin, UpstreamRequest
from bifrost.transport.base import Limits
from bifrost.transport.pool import connections

MB = 1024 * 1024
PART = b"x" * 65536
HEAD = b'--b\\r\\nContent-Disposition: form-data; name="file"; filename="a"\\r\\n\\r\\n'

def peak():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]) // 1024

async def sink(counts, stream):
    seen = 0
    async for data in stream:
        seen += len(data)
        if data.endswith(b"--\\r\\n"):
            counts.append(seen)
            await stream.send_all(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            seen = 0

def caller(size):
    left = size // len(PART) + 1
    async def receive():
        nonlocal left
        await trio.lowlevel.checkpoint()
        left -= 1
        if left == size // len(PART):
            return {"type": "http.request", "body": HEAD, "more_body": True}
        if left < 0:
            return {"type": "http.request", "body": b"\\r\\n--b--\\r\\n", "more_body": False}
        return {"type": "http.request", "body": PART, "more_body": True}
    return receive

async def upload(size, upstream, origin):
    headers = ((b"content-type", b"multipart/form-data; boundary=b"),)
    async with reading_form(caller(size), headers, max_bytes=2 * size, timeout_s=600) as form:
        request = UpstreamRequest(
            method=b"POST", origin=origin, target=b"/", body=encode_form(form, b"c"),
            headers=((b"content-type", form_content_type(b"c")),),
        )
        for _ in range(2):
            async with upstream.open(request, Limits()) as answer:
                assert answer.status == 200

async def main():
    counts = []
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, partial(sink, counts), 0, host="127.0.0.1"))
        origin = Origin("http", "127.0.0.1", listeners[0].socket.getsockname()[1])
        upstream = connections(NetworkSettings())
        await upload(4 * MB, upstream, origin)
        before = peak()
        await upload(64 * MB, upstream, origin)
        print(peak() - before, counts[-1] // MB)
        nursery.cancel_scope.cancel()

trio.run(main)
"""


def test_large_upload_does_not_stand_in_memory() -> None:
    """Twice 64 MB out to a real socket, and the process grows by less than 8."""
    run = subprocess.run(
        [sys.executable, "-c", UPLOAD], capture_output=True, text=True, check=True, timeout=60
    )

    grown_mb, arrived_mb = map(int, run.stdout.split())
    assert grown_mb < 8
    assert arrived_mb == 64
