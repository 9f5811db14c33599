from __future__ import annotations

from typing import Any

import trio

from bifrost.errors import NetworkError
from bifrost.http.relay import Relay
from bifrost.http.reply import Reply
from bifrost.integrations.manners import Manner, manner_of
from bifrost.schema.call import Call, Operation, Surface, Target
from bifrost.service import Began, Chunk, Event, Failed, Finished

TARGET = Target("openai", "m")
BEGAN = Began(headers=(("x-ratelimit-limit", "9"),), target=TARGET, overhead_s=0.000123)
FAILED = Failed(NetworkError("cut"), TARGET)


class Script:
    """An exchange whose events are written down: a number is a pause of so many seconds."""

    def __init__(self, *steps: Event | float) -> None:
        self.steps = list(steps)

    @property
    def call(self) -> Call:
        return Call(id="1", operation=Operation.CHAT, stream=True, target=TARGET)

    @property
    def record(self) -> Any:
        raise AssertionError("the relay reads no record")

    async def receive(self) -> Event:
        await trio.lowlevel.checkpoint()
        while isinstance(self.steps[0], float):
            pause = self.steps[0]
            began = trio.current_time()
            try:
                await trio.sleep(pause)
            finally:
                self.steps[0] = max(0.0, pause - (trio.current_time() - began))
            self.steps.pop(0)
        return self.steps.pop(0)  # type: ignore[return-value]  # the floats are gone

    async def receive_within(self, within_s: float) -> Event | None:
        with trio.move_on_after(within_s):
            return await self.receive()
        return None

    def receive_nowait(self) -> Event | None:
        if not self.steps or isinstance(self.steps[0], float):
            return None
        return self.steps.pop(0)  # type: ignore[return-value]  # not a float


class Wire:
    """What went out."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def send(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.messages.append(message)

    @property
    def status(self) -> int | None:
        return self.messages[0]["status"] if self.messages else None

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def bodies(self) -> list[bytes]:
        return [m["body"] for m in self.messages if m["type"] == "http.response.body"]

    @property
    def is_ended(self) -> bool:
        return not self.messages[-1].get("more_body", True)


def relay(script: Script, keepalive_s: float = 15.0) -> tuple[Relay, Wire]:
    wire = Wire()
    reply = Reply(wire.send, request_id="1", always=[(b"x-request-id", b"1")])
    return Relay(script, reply, keepalive_s, lambda failed: b"data: error\n\n", Manner()), wire


async def test_a_whole_answer_leaves_with_its_headers() -> None:
    it, wire = relay(Script(BEGAN, Chunk(b"{}"), Finished()))

    assert await it.plain() is None

    assert wire.status == 200
    assert wire.headers[b"x-ratelimit-limit"] == b"9"
    assert wire.headers[b"x-bf-overhead-us"] == b"123"
    assert wire.headers[b"content-length"] == b"2"
    assert wire.bodies == [b"{}"]


async def test_a_failed_call_sends_nothing_and_is_handed_back() -> None:
    it, wire = relay(Script(FAILED))

    assert await it.plain() == FAILED
    assert wire.messages == []


async def test_a_failure_before_the_first_event_is_handed_back() -> None:
    it, wire = relay(Script(0.5, FAILED))

    assert await it.stream() == FAILED
    assert wire.messages == []


async def test_events_that_are_there_together_leave_together(autojump_clock: object) -> None:
    it, wire = relay(Script(BEGAN, Chunk(b"a"), Chunk(b"b"), 1.0, Chunk(b"c"), 1.0, Finished()))

    assert await it.stream() is None

    assert wire.bodies == [b"ab", b"c", b""]
    assert wire.is_ended


async def test_the_end_leaves_with_the_last_event() -> None:
    it, wire = relay(Script(BEGAN, Chunk(b"a"), Finished()))

    await it.stream()

    assert wire.bodies == [b"a"]
    assert wire.is_ended


async def test_silence_is_filled_with_comments(autojump_clock: object) -> None:
    it, wire = relay(Script(40.0, BEGAN, Chunk(b"a"), Finished()))

    await it.stream()

    assert wire.status == 200
    assert wire.bodies == [b": ping\n\n", b": ping\n\n", b"a"]


async def test_anthropics_callers_are_kept_with_their_own_pings(autojump_clock: object) -> None:
    it, wire = relay(Script(20.0, BEGAN, Chunk(b"a"), Finished()))
    it.manner = manner_of(Surface.ANTHROPIC)

    assert await it.stream() is None

    assert wire.headers[b"request-id"] == b"1"
    assert wire.bodies == [b'event: ping\ndata: {"type":"ping"}\n\n', b"a"]


async def test_googles_callers_are_kept_with_empty_lines(autojump_clock: object) -> None:
    it, wire = relay(Script(20.0, BEGAN, Chunk(b"a"), Finished()))
    it.manner = manner_of(Surface.GENAI)

    assert await it.stream() is None

    assert wire.bodies == [b"\n\n", b"a"]


async def test_the_id_is_where_the_sdk_looks_for_it() -> None:
    it, wire = relay(Script(BEGAN, Chunk(b"{}"), Finished()))
    it.manner = manner_of(Surface.ANTHROPIC)

    assert await it.plain() is None

    assert wire.headers[b"request-id"] == b"1"


async def test_no_comments_where_they_are_turned_off(autojump_clock: object) -> None:
    it, wire = relay(Script(40.0, BEGAN, Chunk(b"a"), Finished()), keepalive_s=0)

    await it.stream()

    assert wire.bodies == [b"a"]


async def test_a_failure_after_comments_is_told_in_the_stream(autojump_clock: object) -> None:
    it, wire = relay(Script(20.0, FAILED))

    assert await it.stream() is None

    assert wire.bodies == [b": ping\n\n", b"data: error\n\n"]
    assert wire.is_ended


async def test_a_failure_after_events_is_told_in_the_stream() -> None:
    it, wire = relay(Script(BEGAN, Chunk(b"a"), FAILED))

    assert await it.stream() is None

    assert b"".join(wire.bodies) == b"adata: error\n\n"
    assert wire.is_ended
