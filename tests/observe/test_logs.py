"""Log lines: rendered at once, written aside, bounded, and never with a secret."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal

import pytest
import trio

from bifrost.config.secret import Secret
from bifrost.observe import logs as module
from bifrost.observe.logs import BATCH_S, FLUSH_S, LEVELS, Logs, Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "sk-canary-value"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    for fd in (read, write):
        os.close(fd)


def written(pipe: tuple[int, int]) -> bytes:
    try:
        return os.read(pipe[0], 1 << 20)
    except BlockingIOError:
        return b""


def logs(pipe: tuple[int, int], level: str = "debug", style: Literal["json", "pretty"] = "json") -> Logs:  # fmt: skip
    return Logs(LEVELS[level], style, Sink(pipe[1]))


def test_a_line(pipe: tuple[int, int]) -> None:
    logs(pipe).info("started", port=1, label="ä")

    line = json.loads(written(pipe))
    assert (line["event"], line["level"], line["port"], line["label"]) == (
        "started",
        "info",
        1,
        "ä",
    )
    assert line["timestamp"].endswith("Z")


def test_levels(pipe: tuple[int, int]) -> None:
    log = logs(pipe, "warning")
    for write in (log.debug, log.info, log.warning, log.error):
        write("x")

    assert [json.loads(line)["level"] for line in written(pipe).splitlines()] == [
        "warning",
        "error",
    ]
    assert log.is_on("error")
    assert not log.is_on("info")


@pytest.mark.parametrize("style", ["json", "pretty"])
@pytest.mark.parametrize(
    "fields",
    [
        {"key": Secret(CANARY)},
        {"api_key": CANARY},
        {"Authorization": CANARY},
        {"db_password": CANARY},
        {"client_secret": CANARY},
        {"access_token": CANARY},
        {"headers": {"x-api-key": CANARY, "x": "y"}},
        {"deep": {"list": [Secret(CANARY)]}},
    ],
)
def test_secrets_are_masked(
    pipe: tuple[int, int], style: Literal["json", "pretty"], fields: dict[str, Any]
) -> None:
    logs(pipe, style=style).info("x", **fields)

    line = written(pipe)
    assert CANARY.encode() not in line
    assert b"***" in line


@pytest.mark.parametrize("style", ["json", "pretty"])
def test_a_value_cannot_make_a_line(
    pipe: tuple[int, int], style: Literal["json", "pretty"]
) -> None:
    logs(pipe, style=style).info("x\ny", agent="a\nevent=forged", lone="\ud800", at=3j, n=True)

    assert written(pipe).count(b"\n") == 1


def test_what_json_has_no_word_for_is_told_as_text(pipe: tuple[int, int]) -> None:
    logs(pipe).info("x", agent="\ud800", deep={1: Secret(CANARY)}, size=2**70)

    line = json.loads(written(pipe))
    assert (line["event"], line["agent"], line["size"]) == ("x", "?", str(2**70))
    assert CANARY not in str(line)


def test_pretty(pipe: tuple[int, int]) -> None:
    logs(pipe, style="pretty").warning("it happened", who="me", what="two words", n=1)

    assert written(pipe).partition(b" ")[2] == b'warning it happened who=me what="two words" n=1\n'


async def test_lines_are_gathered_and_written_together(
    pipe: tuple[int, int], autojump_clock: trio.testing.MockClock
) -> None:
    log = logs(pipe)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.sink.run)
        log.info("one")
        log.info("two")
        assert written(pipe) == b""
        await trio.lowlevel.wait_readable(pipe[0])
        assert trio.current_time() == pytest.approx(BATCH_S)
        assert written(pipe).count(b"\n") == 2
        nursery.cancel_scope.cancel()


async def test_what_waits_at_the_end_is_written(pipe: tuple[int, int]) -> None:
    log = logs(pipe)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.sink.run)
        log.info("last")
        assert written(pipe) == b""
        nursery.cancel_scope.cancel()
    log.info("after")

    assert [json.loads(line)["event"] for line in written(pipe).splitlines()] == ["last", "after"]


async def test_what_does_not_fit_is_dropped_and_counted(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 2)
    log = logs(pipe)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.sink.run)
        for _ in range(5):
            log.info("x")
        assert log.sink.dropped == 3
        nursery.cancel_scope.cancel()

    assert written(pipe).count(b"\n") == 2


async def test_the_bytes_that_wait_have_a_bound(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    log = logs(pipe)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.sink.run)
        log.info("x", text="y" * 2000)
        log.info("short")
        assert log.sink.dropped == 1
        nursery.cancel_scope.cancel()

    assert b"short" in written(pipe)


async def test_after_a_batch_there_is_room_again(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 1)
    log = logs(pipe)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.sink.run)
        for n in range(3):
            log.info("x", n=n)
            await trio.lowlevel.wait_readable(pipe[0])
            assert json.loads(written(pipe))["n"] == n
        nursery.cancel_scope.cancel()

    assert log.sink.dropped == 0


async def test_a_reader_that_does_not_read_holds_nobody_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The thread stands in a full pipe; the end does not wait for it longer than it must."""
    read, write = os.pipe()
    log = Logs(LEVELS["info"], "json", Sink(write))
    async with trio.open_nursery() as nursery:
        await nursery.start(log.sink.run)
        log.info("x", text="y" * (1 << 20))
        await trio.lowlevel.wait_readable(read)
        log.info("never written")
        nursery.cancel_scope.cancel()

    assert trio.current_time() == pytest.approx(BATCH_S + FLUSH_S)
    os.close(read)  # frees the thread: its write fails
    os.close(write)


def test_a_log_that_cannot_be_written_stops_nobody(pipe: tuple[int, int]) -> None:
    read, write = os.pipe()
    os.close(read)
    os.close(write)

    Logs(LEVELS["info"], "json", Sink(write)).info("into nothing")
