"""The doors to jobs and the work behind them, over a store in memory and a service that answers as it is told."""

from __future__ import annotations

import gzip
import hashlib
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest
import trio

from bifrost.codecs.json import dumps, loads
from bifrost.config.load import parse_config
from bifrost.errors import RouteNotFound, UpstreamError
from bifrost.http.async_jobs import OPERATIONS, AsyncJobs
from bifrost.http.doors import Doors, compile_views
from bifrost.http.job_calls import JobCalls
from bifrost.http.reply import Reply
from bifrost.integrations import azure, native, openai
from bifrost.integrations.finder import Finder, Found
from bifrost.jobs.room import Jobs, JobWatch
from bifrost.schema.call import Call, Operation
from bifrost.schema.payload import Field, File
from bifrost.service import Began, Chunk, Event, Exchange, Failed, Finished
from bifrost.store.sqlite_jobs import SqliteJobStore
from http_messages import messages
from store.fakes import InlineDatabase, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

    from bifrost.record import CallRecord

FINDER = Finder.of((*openai.ROUTES, *native.ROUTES), azure.find_deployment)


def _found(path: str) -> Found:
    found = FINDER.find(path.partition("?")[0])
    assert found is not None
    return found


CHAT = "/openai/v1/chat/completions"
GOOD: dict[str, Any] = {"model": "openai/m", "messages": [{"role": "user", "content": "hi"}]}
TAKES_S = 10.0


@attrs.define(eq=False)
class Upstream:
    """A service: every call takes ``TAKES_S`` and ends with ``end``."""

    end: tuple[Event, ...] = (Chunk(b'{"a":1}'), Finished())
    content_type: str | None = None
    calls: list[Call] = attrs.field(factory=list)
    files: list[bytes] = attrs.field(factory=list)

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[Exchange]:
        self.calls.append(call)
        for part in call.form or ():
            if isinstance(part, File):
                self.files.append(b"".join([block async for block in part.content.blocks()]))
        await trio.sleep(TAKES_S)
        began = Began(
            headers=(), target=call.target, overhead_s=0.0, content_type=self.content_type
        )
        yield Script(call, [began, *self.end])


@attrs.define(eq=False)
class Script:
    call: Call
    events: list[Event]

    @property
    def record(self) -> CallRecord:
        raise NotImplementedError

    async def receive(self) -> Event:
        return self.events.pop(0)

    async def receive_within(self, within_s: float) -> Event | None:
        raise NotImplementedError

    def receive_nowait(self) -> Event | None:
        raise NotImplementedError


@attrs.define(eq=False)
class Answer:
    status: int = 0
    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytes = b""

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {n.decode(): v.decode() for n, v in message["headers"]}
        else:
            self.body += message["body"]

    @property
    def json(self) -> Any:
        return loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


@attrs.define(eq=False)
class Desk:
    door: AsyncJobs
    upstream: Upstream
    database: InlineDatabase
    templates: list[str] = attrs.field(factory=list)

    async def by_header(self, body: Any = GOOD, path: str = CHAT, **headers: str) -> Answer:
        scope, receive = _asked("POST", path, body, headers)
        answer = Answer()
        await self.door.serve(_found(path), scope, receive, self._reply(answer))
        return answer

    async def by_path(
        self, path: str, body: Any = GOOD, method: str = "POST", **headers: str
    ) -> Answer | None:
        scope, receive = _asked(method, f"/v1/async/{path}", body, headers)
        answer = Answer()
        reply = self._reply(answer)
        is_there = await self.door.serve_path(scope, receive, reply)
        self.templates.append(reply.template)
        return answer if is_there else None

    async def poll(self, path: str, job_id: str, **headers: str) -> Answer:
        answer = await self.by_path(f"{path}/{job_id}", b"", "GET", **headers)
        assert answer is not None
        return answer

    def _reply(self, answer: Answer) -> Reply:
        return Reply(answer, request_id="req", always=[])


def _asked(method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[Any, Any]:
    lines = [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
    path, _, query = path.partition("?")
    scope = {
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": lines,
        "client": ("10.0.0.9", 1),
    }
    data = body if isinstance(body, bytes) else dumps(body)
    return scope, messages(data[:5], data[5:])


@asynccontextmanager
async def desk(*, has_store: bool = True, **client: Any) -> AsyncIterator[Desk]:
    providers = {"openai": {"keys": [{"name": "a", "value": "sk-a"}]}}
    config = parse_config(dumps({"client": client, "providers": providers}).decode(), {})
    doors, upstream, database = Doors(compile_views(config)), Upstream(), InlineDatabase()
    numbers = count(1)

    def fail(*what: object) -> None:
        raise AssertionError(what)

    jobs = Jobs(
        store=SqliteJobStore(database),
        work=JobCalls(finder=FINDER, doors=doors, service=upstream).run,
        client=config.client,
        watch=JobWatch(on_defect=fail, on_trouble=fail, on_lost=fail),
        wall=trio.current_time,
        new_id=lambda: f"job-{next(numbers)}",
    )
    door = AsyncJobs(finder=FINDER, doors=doors, jobs=jobs if has_store else None)
    async with trio.open_nursery() as nursery:
        await nursery.start(jobs.run)
        yield Desk(door, upstream, database)
        nursery.cancel_scope.cancel()


# By header


async def test_pending_then_the_answer_itself(autojump_clock: MockClock) -> None:
    async with desk() as it:
        handed = await it.by_header(x_bf_async="true")
        await trio.sleep(TAKES_S / 2)
        meanwhile = await it.by_header(b"no JSON at all", x_bf_async_id="job-1")
        await trio.sleep(TAKES_S)
        done = await it.by_header(b"", x_bf_async_id="job-1", x_bf_async="true")

    assert (handed.status, handed.json["id"], handed.json["choices"]) == (200, "job-1", [])
    assert handed.json["model"] == "openai/m"
    assert handed.headers["x-bf-async-status"] == "pending"
    assert (meanwhile.status, meanwhile.json["choices"]) == (200, [])
    assert meanwhile.headers["x-bf-async-status"] == "processing"
    assert (done.status, done.body) == (200, b'{"a":1}')
    assert done.headers["x-bf-async-id"] == "job-1"
    assert done.headers["content-type"] == "application/json"
    assert done.headers["cache-control"] == "no-store"
    assert len(it.upstream.calls) == 1


async def test_a_failed_job_is_answered_with_its_own_status(autojump_clock: MockClock) -> None:
    async with desk() as it:
        it.upstream.end = (Failed(UpstreamError("slow down", status=429)),)
        await it.by_header(x_bf_async="true")
        await trio.sleep(TAKES_S + 1)
        told = await it.by_header(x_bf_async_id="job-1")

    assert (told.status, told.message, told.json["status_code"]) == (429, "slow down", 429)
    assert told.headers["x-bf-async-status"] == "failed"


async def test_speech_is_answered_as_it_is(autojump_clock: MockClock) -> None:
    speech = {"model": "openai/tts", "input": "hi", "voice": "alloy"}
    async with desk() as it:
        it.upstream.end = (Chunk(b"\xff\xfb"), Finished())
        it.upstream.content_type = "audio/mpeg"
        handed = await it.by_header(speech, "/openai/v1/audio/speech", x_bf_async="true")
        await trio.sleep(TAKES_S + 1)
        by_header = await it.by_header(b"", "/openai/v1/audio/speech", x_bf_async_id="job-1")
        by_path = await it.poll("audio/speech", "job-1")

    assert handed.json["object"] == "audio.speech"
    assert (by_header.headers["content-type"], by_header.body) == ("audio/mpeg", b"\xff\xfb")
    assert by_path.json["result"] == {"audio": "//s=", "content_type": "audio/mpeg"}


@pytest.mark.parametrize(
    ("body", "path", "status", "message"),
    [
        ({**GOOD, "stream": True}, CHAT, 400, "streaming is not supported for async requests"),
        ({"model": "openai/m"}, CHAT, 400, "messages is required for chat completion"),
        (b"[", CHAT, 400, "Invalid JSON"),
    ],
)
async def test_mistakes_are_told_at_once(
    body: Any, path: str, status: int, message: str, autojump_clock: MockClock
) -> None:
    async with desk() as it:
        answer = await it.by_header(body, path, x_bf_async="true")

    assert (answer.status, answer.message) == (status, message)
    assert it.database.states() == {}


async def test_extra_fields_can_be_switched_off(autojump_clock: MockClock) -> None:
    async with desk(send_extra_fields=False) as it:
        answer = await it.by_header(x_bf_async="true")

    assert "extra_fields" not in answer.json


async def test_an_unknown_job_and_another_operation_are_not_told_apart(
    autojump_clock: MockClock,
) -> None:
    async with desk() as it:
        await it.by_header(x_bf_async="true")
        unknown = await it.by_header(x_bf_async_id="job-2")
        other = await it.by_header(path="/openai/v1/responses", x_bf_async_id="job-1")
        odd = await it.by_header(x_bf_async_id="../job-1")

    for answer in (unknown, other, odd):
        assert (answer.status, answer.message) == (404, "job not found or expired")


async def test_without_a_store_there_are_no_jobs(autojump_clock: MockClock) -> None:
    text = "async operations not available: logs store not configured"
    async with desk(has_store=False) as it:
        for headers in ({"x_bf_async": "true"}, {"x_bf_async_id": "job-1"}):
            answer = await it.by_header(**headers)
            assert (answer.status, answer.message) == (503, text)
        assert await it.by_path("chat/completions") is None


async def test_a_caller_who_hangs_up_before_his_request_is_whole_gets_nothing(
    autojump_clock: MockClock,
) -> None:
    answer = Answer()
    async with desk() as it:
        scope, _ = _asked("POST", CHAT, b"", {"x_bf_async": "true"})
        gone = messages(b"{", then="gone")
        await it.door.serve(_found(CHAT), scope, gone, Reply(answer, request_id="r", always=[]))
        scope["path"] = "/v1/async/chat/completions"
        gone = messages(b"{", then="gone")
        assert await it.door.serve_path(scope, gone, Reply(answer, request_id="r", always=[]))

    assert answer.status == 0
    assert it.database.states() == {}


# By route


async def test_every_operation_has_its_route() -> None:
    assert {f"/v1/{name}" for name in OPERATIONS} <= FINDER.exact.keys()


async def test_handed_in_and_asked_for(autojump_clock: MockClock) -> None:
    async with desk() as it:
        handed = await it.by_path("chat/completions")
        await trio.sleep(TAKES_S + 1)
        done = await it.poll("chat/completions", "job-1")
        other = await it.poll("embeddings", "job-1")

    assert handed is not None
    assert (handed.status, handed.json["id"], handed.json["status"]) == (202, "job-1", "pending")
    assert (done.status, done.json["status"], done.json["result"]) == (200, "completed", {"a": 1})
    assert (other.status, other.message) == (404, "job not found or expired")
    assert it.templates == [
        "/v1/async/chat/completions",
        "/v1/async/chat/completions/{id}",
        "/v1/async/embeddings/{id}",
    ]
    assert it.upstream.calls[0].route == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("completions", {"prompt": "x"}, "text completions"),
        ("chat/completions", {"messages": [{"role": "user", "content": "x"}]}, "chat completions"),
        ("responses", {"input": "x"}, "responses"),
        ("audio/speech", {"input": "x", "voice": "v"}, "speech"),
        ("images/generations", {"prompt": "x"}, "image generations"),
        ("images/edits", {"prompt": "x"}, "image edits"),
    ],
)
async def test_a_stream_is_refused_by_name(
    path: str, body: dict[str, Any], words: str, autojump_clock: MockClock
) -> None:
    async with desk() as it:
        answer = await it.by_path(path, {"model": "openai/m", "stream": True, **body})

    assert answer is not None
    assert (answer.status, answer.message) == (400, f"stream is not supported for async {words}")


@pytest.mark.parametrize("path", ["", "chat", "moderations", "foo/job-1", "/chat/completions"])
async def test_there_are_no_other_routes(path: str) -> None:
    async with desk() as it:
        assert await it.by_path(path) is None


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("chat/completions", "GET", "POST, OPTIONS"),
        ("chat/completions/job-1", "POST", "GET, OPTIONS"),
        ("rerank/job-1", "DELETE", "GET, OPTIONS"),
    ],
)
async def test_the_wrong_method(path: str, method: str, allowed: str) -> None:
    async with desk() as it:
        answer = await it.by_path(path, method=method)

    assert answer is not None
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


# What a job takes along


async def test_the_submitter_s_wishes_come_along(autojump_clock: MockClock) -> None:
    async with desk(allow_direct_keys=True, prometheus_labels=["team"]) as it:
        await it.by_path(
            "chat/completions",
            authorization="Bearer sk-direct",
            x_bf_vk="sk-bf-mine",
            x_bf_prom_team="red",
            x_bf_lh_note="n",
            x_bf_session_id="s",
        )
        await trio.sleep(1)
        [call] = it.upstream.calls

    caller = call.caller
    assert call.id == "req"
    assert caller.direct_key is not None
    assert caller.direct_key.reveal() == "sk-direct"
    assert caller.virtual_key is None
    assert call.virtual_key_hash == hashlib.sha256(b"sk-bf-mine").hexdigest()
    assert (caller.prom_labels, caller.session_id) == ({"team": "red"}, "s")
    assert caller.log_metadata == {"note": "n", "isAsyncRequest": "true"}
    assert caller.remote_addr == "10.0.0.9"


async def test_a_job_of_a_virtual_key_is_shown_to_it_alone(autojump_clock: MockClock) -> None:
    async with desk() as it:
        await it.by_path("chat/completions", x_bf_vk="sk-bf-mine")
        mine = await it.poll("chat/completions", "job-1", x_bf_vk="sk-bf-mine")
        same = await it.poll("chat/completions", "job-1", authorization="Bearer sk-bf-mine")
        theirs = await it.poll("chat/completions", "job-1", x_bf_vk="sk-bf-theirs")
        nobody = await it.by_header(x_bf_async_id="job-1")

    assert (mine.status, same.status) == (202, 202)
    assert (theirs.status, nobody.status) == (404, 404)


async def test_what_is_required_is_required_of_those_who_hand_in(autojump_clock: MockClock) -> None:
    async with desk(required_headers=["x-tenant"]) as it:
        refused = await it.by_header(x_bf_async="true")
        taken = await it.by_header(x_bf_async="true", x_tenant="t")
        await trio.sleep(TAKES_S + 1)
        done = await it.by_header(x_bf_async_id="job-1")

    assert (refused.status, refused.message) == (400, "missing required headers: x-tenant")
    assert (taken.status, done.body) == (200, b'{"a":1}')


async def test_the_time_to_live_counts_from_the_end(autojump_clock: MockClock) -> None:
    async with desk(async_job_result_ttl=100) as it:
        await it.by_path("chat/completions", x_bf_async_job_result_ttl="5")
        await it.by_path("chat/completions", x_bf_async_job_result_ttl="never")
        await trio.sleep(TAKES_S + 4)
        short = await it.poll("chat/completions", "job-1")
        await trio.sleep(2)
        over = await it.poll("chat/completions", "job-1")
        other = await it.poll("chat/completions", "job-2")

    assert (short.status, over.status, other.status) == (200, 404, 200)


async def test_a_packed_body_is_kept_unpacked(autojump_clock: MockClock) -> None:
    async with desk() as it:
        packed = gzip.compress(dumps(GOOD))
        answer = await it.by_header(packed, x_bf_async="true", content_encoding="gzip")
        await trio.sleep(TAKES_S + 1)

    assert answer.status == 200
    assert loads(it.upstream.calls[0].members["messages"]) == GOOD["messages"]


@pytest.mark.parametrize("length", ["2000000", "10"])
async def test_a_body_that_is_too_large(length: str, autojump_clock: MockClock) -> None:
    async with desk(async_job_max_body_mb=1) as it:
        answer = await it.by_header(b"x" * 1_100_000, x_bf_async="true", content_length=length)

    assert answer.status == 413


async def test_a_route_that_this_gateway_does_not_know() -> None:
    config = parse_config("{}", {})
    calls = JobCalls(finder=Finder({}), doors=Doors(compile_views(config)), service=Upstream())

    with pytest.raises(RouteNotFound, match="Route not found: /openai/v1/chat/completions"):
        await calls.run(request())


# Forms

LARGE = bytes(range(256)) * 3000


def form(**fields: str) -> tuple[bytes, str]:
    sent = httpx.Request(
        "POST",
        "http://h/",
        data={"model": "openai/whisper-1", **fields},
        files={"file": ("a.wav", LARGE, "audio/wav")},
    )
    return sent.read(), sent.headers["content-type"]


async def test_a_form_is_kept_as_it_came(autojump_clock: MockClock) -> None:
    body, kind = form(response_format="srt")
    async with desk() as it:
        it.upstream.end = (Chunk(b"1\n00:00 --> 00:01\nhi\n"), Finished())
        it.upstream.content_type = "text/plain; charset=utf-8"
        handed = await it.by_path(
            "audio/transcriptions", body, content_type=kind, content_length=str(len(body))
        )
        await trio.sleep(TAKES_S + 1)
        done = await it.poll("audio/transcriptions", "job-1")
        raw = await it.by_header(b"", "/openai/v1/audio/transcriptions", x_bf_async_id="job-1")

    assert handed is not None
    assert handed.status == 202
    [call] = it.upstream.calls
    assert call.operation is Operation.TRANSCRIPTION
    assert call.form is not None
    assert [part for part in call.form if isinstance(part, Field)] == [
        Field("model", b"openai/whisper-1"),
        Field("response_format", b"srt"),
    ]
    assert it.upstream.files == [LARGE]
    assert call.boundary.startswith(b"bifrost-")
    assert done.json["result"] == "1\n00:00 --> 00:01\nhi\n"
    assert (raw.headers["content-type"], raw.body) == (
        "text/plain; charset=utf-8",
        b"1\n00:00 --> 00:01\nhi\n",
    )


async def test_a_form_s_stream_is_refused_and_its_model_told(autojump_clock: MockClock) -> None:
    streamed, its_kind = form(stream="true")
    plain, kind = form()
    async with desk() as it:
        refused = await it.by_path("audio/transcriptions", streamed, content_type=its_kind)
        await it.by_path("audio/transcriptions", plain, content_type=kind)
        rows = it.database.rows("SELECT model, route FROM async_jobs")

    assert refused is not None
    assert refused.message == "stream is not supported for async transcriptions"
    assert rows == [("openai/whisper-1", "/v1/audio/transcriptions")]


async def test_a_model_that_was_not_named_is_the_route_s_own(autojump_clock: MockClock) -> None:
    async with desk() as it:
        path = "/openai/v1/moderations"
        answer = await it.by_header({"input": "x"}, path, x_bf_async="true")

    assert answer.json["model"] == "omni-moderation-latest"


async def test_a_job_with_a_resource_of_ones_own_keeps_its_version(
    autojump_clock: MockClock,
) -> None:
    path = "/openai/deployments/d/chat/completions?api-version=2025-01-01"
    own = {"x_bf_azure_endpoint": "https://his.example", "api_key": "his-own"}
    async with desk(allow_direct_keys=True) as it:
        await it.by_header(GOOD, path, x_bf_async="true", **own)
        await trio.sleep(TAKES_S + 1)

    [call] = it.upstream.calls
    key = call.caller.own_key("azure")
    assert key is not None
    assert key.azure is not None
    assert (key.value.reveal(), key.azure.endpoint) == ("his-own", "https://his.example")
    assert key.azure.api_version == "2025-01-01"


async def test_a_deployment_s_path_says_the_model_of_its_job_too(
    autojump_clock: MockClock,
) -> None:
    async with desk() as it:
        path = "/openai/deployments/gpt/chat/completions"
        answer = await it.by_header({**GOOD, "model": "other"}, path)
        await trio.sleep(60 * TAKES_S)

    assert answer.status == 200
    assert [call.target.model for call in it.upstream.calls] == ["gpt"]
