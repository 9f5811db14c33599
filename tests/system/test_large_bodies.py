"""Two hundred megabytes up and two hundred down: what passes through the gateway does not stay in it."""

from __future__ import annotations

import hashlib
import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio

from system.process import openai_provider, running
from system.sdk import in_thread, sdk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from system.process import Gateway

pytestmark = pytest.mark.system

SIZE = 200 * 1024 * 1024
SMALL = 3 * 1024 * 1024
"""Enough for a spool to go to disk: what the first one costs is there before anything is measured."""

MAY_GROW_KIB = 30 * 1024
WHOLE_S = 15.0

BLOCK = bytes(range(251)) * 4177
"""About 1 MiB, of a length that no buffer has: a block lost, doubled or out of order is another hash."""

ANSWER = (
    b'{"id":"file-1","object":"file","bytes":1,"created_at":1,"filename":"f","purpose":"batch"'
    b',"status":"processed"}'
)
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
FILE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"


def slice_of(begin: int, size: int) -> bytes:
    """So many bytes of an endless file."""
    at = begin % len(BLOCK)
    return (BLOCK[at:] + BLOCK * (size // len(BLOCK) + 1))[:size]


def digest_of(size: int) -> str:
    found = hashlib.sha256()
    for begin in range(0, size, len(BLOCK)):
        found.update(BLOCK[: size - begin])
    return found.hexdigest()


class Endless(io.RawIOBase):
    """A file of ``size`` bytes that is nowhere."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = slice_of(self._at, min(len(buffer), self._size - self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


@attrs.define(eq=False)
class Counting:
    """An upstream that keeps nothing: of an uploaded file the size and the hash, of a download not even that."""

    port: int = 0
    uploaded: list[tuple[int, str]] = attrs.field(factory=list)
    chunked: bool = False
    """Whether what is downloaded has no length."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        serving = partial(trio.serve_listeners, self._converse, [listener])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serving)
            task_status.started()

    async def _converse(self, conn: trio.SocketStream) -> None:
        rest = b""
        async with conn:
            while (found := await _until(conn, rest, b"\r\n\r\n")) is not None:
                head, rest = found
                if head.startswith(b"POST"):
                    rest = await self._take(conn, head.lower(), rest)
                    await conn.send_all(JSON_HEAD % len(ANSWER) + ANSWER)
                else:
                    size = int(head.split(b"/file-")[1].split(b"/")[0])
                    await self._give(conn, size)

    async def _take(self, conn: trio.SocketStream, head: bytes, rest: bytes) -> bytes:
        """One form, its file last."""
        left = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        boundary = head.split(b"boundary=")[1].split(b"\r\n")[0]
        for mark in (b"filename=", b"\r\n\r\n"):
            found = await _until(conn, rest, mark)
            assert found is not None
            before, rest = found
            left -= len(before)
        tail = b"\r\n--" + boundary + b"--\r\n"
        size, digest = left - len(tail), hashlib.sha256()
        taken = 0
        while taken < size:
            data = rest or await conn.receive_some(1 << 18)
            assert data
            part, rest = data[: size - taken], data[size - taken :]
            digest.update(part)
            taken += len(part)
        while len(rest) < len(tail):
            rest += await conn.receive_some()
        assert rest[: len(tail)].lower() == tail
        self.uploaded.append((taken, digest.hexdigest()))
        return rest[len(tail) :]

    async def _give(self, conn: trio.SocketStream, size: int) -> None:
        framing = b"transfer-encoding: chunked" if self.chunked else b"content-length: %d" % size
        await conn.send_all(FILE_HEAD + framing + b"\r\n\r\n")
        for begin in range(0, size, len(BLOCK)):
            data = BLOCK[: size - begin]
            await conn.send_all(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)
        if self.chunked:
            await conn.send_all(b"0\r\n\r\n")


async def _until(conn: trio.SocketStream, data: bytes, mark: bytes) -> tuple[bytes, bytes] | None:
    """What comes up to and with ``mark``, and what is there beyond it; ``None`` if the other side is done."""
    while mark not in data:
        more = await conn.receive_some()
        if not more:
            return None
        data += more
    before, mark, rest = data.partition(mark)
    return before + mark, rest


@attrs.frozen
class Memory:
    """A process's resident memory, in KiB, as Linux counts it."""

    pid: int

    def now(self) -> int:
        return self._line("VmRSS")

    def peak(self) -> int:
        """Since the last ``forget_peak``."""
        return self._line("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def children(self) -> str:
        return Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()

    def _line(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        [found] = [line for line in lines if line.startswith(f"{name}:")]
        return int(found.split()[1])


@pytest.fixture
async def counting(nursery: trio.Nursery) -> Counting:
    it = Counting()
    await nursery.start(it.run)
    return it


@pytest.fixture
async def large(counting: Counting, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway that takes large bodies, warmed by one small one each way."""
    config = {
        "client": {"max_request_body_size_mb": 300},
        "providers": {"openai": openai_provider(f"http://127.0.0.1:{counting.port}")},
    }
    async with running(config, tmp_path, fresh=True) as it:
        await in_thread(upload, it, SMALL)
        await in_thread(download, it, SMALL)
        yield it


def upload(gateway: Gateway, size: int) -> Any:
    content = io.BufferedReader(Endless(size), len(BLOCK))
    return sdk(gateway).files.create(file=("f.jsonl", content), purpose="batch")


def download(gateway: Gateway, size: int) -> tuple[int, str]:
    """Size and hash of what came."""
    taken, digest = 0, hashlib.sha256()
    content = sdk(gateway).files.with_streaming_response.content
    with content(f"file-{size}") as answer:
        for part in answer.iter_bytes():
            taken += len(part)
            digest.update(part)
    return taken, digest.hexdigest()


async def test_an_upload_passes_through(large: Gateway, counting: Counting) -> None:
    memory = Memory(large.process.pid)
    memory.forget_peak()
    before = memory.now()

    with trio.fail_after(WHOLE_S):
        made = await in_thread(upload, large, SIZE)

    assert made.id == "file-1"
    assert counting.uploaded[-1] == (SIZE, digest_of(SIZE))
    assert memory.peak() - before < MAY_GROW_KIB
    assert memory.children() == ""


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
async def test_a_download_passes_through(large: Gateway, counting: Counting, chunked: bool) -> None:
    memory = Memory(large.process.pid)
    counting.chunked = chunked
    memory.forget_peak()
    before = memory.now()

    with trio.fail_after(WHOLE_S):
        got = await in_thread(download, large, SIZE)

    assert got == (SIZE, digest_of(SIZE))
    assert memory.peak() - before < MAY_GROW_KIB
    assert memory.children() == ""
