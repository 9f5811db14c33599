from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import pytest

from bifrost.codecs.json import loads
from bifrost.config.settings import ClientSettings
from bifrost.errors import InternalError, ShuttingDown, UpstreamError
from bifrost.jobs.serving import MIB, serve_job
from bifrost.schema.call import Call, Operation, Target
from bifrost.schema.job import JobResult
from bifrost.service import Began, Chunk, Event, Exchange, Failed, Finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bifrost.record import CallRecord

CALL = Call(id="c", operation=Operation.CHAT, stream=False, target=Target("openai", "m"))
CLIENT = ClientSettings(async_job_max_result_mb=1)
BEGAN = Began(headers=(), target=CALL.target, overhead_s=0.0)


@attrs.define(eq=False)
class Script:
    """An exchange that goes as it is written, and notes whether it was left."""

    call: Call
    events: deque[Event]
    is_closed: bool = False
    is_left: bool = False

    @property
    def record(self) -> CallRecord:
        raise NotImplementedError

    async def receive(self) -> Event:
        return self.events.popleft()

    async def receive_within(self, within_s: float) -> Event | None:
        raise NotImplementedError

    def receive_nowait(self) -> Event | None:
        return self.events.popleft() if self.events else None

    @asynccontextmanager
    async def serve(self, call: Call) -> AsyncIterator[Exchange]:
        assert call is self.call
        if self.is_closed:
            raise ShuttingDown("gateway is shutting down")
        try:
            yield self
        finally:
            self.is_left = True


async def ended(*events: Event, client: ClientSettings = CLIENT) -> JobResult:
    script = Script(CALL, deque(events))
    try:
        return await serve_job(script.serve, CALL, client)
    finally:
        assert script.is_left


async def test_an_answer_is_the_result() -> None:
    result = await ended(BEGAN, Chunk(b'{"a":'), Chunk(b"1}"), Finished())

    assert result == JobResult(status=200, body=b'{"a":1}')


@pytest.mark.parametrize("shows", [False, True])
async def test_a_failure_is_told_as_to_any_caller(shows: bool) -> None:
    failed = Failed(UpstreamError("no", status=418), Target("groq", "m"), ({"key": "k"},))

    result = await ended(failed, client=ClientSettings(include_attempts=shows))

    told = loads(result.body)
    assert (result.status, result.is_error, told["error"]["message"]) == (418, True, "no")
    names = {"provider": "groq", "model_requested": "m", "request_type": "chat_completion"}
    assert told["extra_fields"] == names | ({"attempts": [{"key": "k"}]} if shows else {})


async def test_no_more_is_read_than_a_job_may_have() -> None:
    with pytest.raises(InternalError, match="larger than 1 MiB"):
        await ended(BEGAN, Chunk(b"x" * MIB), Chunk(b"x"))


async def test_bytes_keep_their_content_type() -> None:
    began = attrs.evolve(BEGAN, status=201, content_type="audio/mpeg", length=4)

    result = await ended(began, Chunk(b"\xff\xfb"), Chunk(b"ab"), Finished())

    assert result == JobResult(status=201, body=b"\xff\xfbab", content_type="audio/mpeg")


async def test_bytes_that_break_off_are_a_failure() -> None:
    began = attrs.evolve(BEGAN, content_type="audio/mpeg")

    result = await ended(began, Chunk(b"\xff"), Failed(UpstreamError("cut")))

    assert (result.status, result.is_error, result.content_type) == (502, True, "application/json")


async def test_a_closed_door_is_the_caller_s_to_see() -> None:
    script = Script(CALL, deque(), is_closed=True)

    with pytest.raises(ShuttingDown):
        await serve_job(script.serve, CALL, CLIENT)
