"""The doors to asynchronous jobs: headers on the inference routes, and routes of their own below ``/v1/async``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs
import trio
from hypercorn.typing import ASGIReceiveCallable, HTTPScope

from bifrost.codecs.json import loads
from bifrost.errors import BadRequest, GatewayError, InternalError, MethodNotAllowed
from bifrost.http.body import BodyParts, CallerGone, in_time, read_body
from bifrost.http.doors import Doors, Views
from bifrost.http.kept_body import kept_call
from bifrost.http.reply import Reply
from bifrost.integrations.async_wish import polled_id
from bifrost.integrations.base import Request, unpack
from bifrost.integrations.finder import Finder, Found
from bifrost.integrations.headers import HeaderLines
from bifrost.integrations.manners import manner_of
from bifrost.jobs.headers import sift
from bifrost.jobs.pending import pending_object
from bifrost.jobs.room import Jobs
from bifrost.jobs.told import job_answer
from bifrost.schema.call import Surface
from bifrost.schema.job import JobRequest, result_ttl_s
from bifrost.schema.payload import Field

if TYPE_CHECKING:
    from bifrost.integrations.base import InferenceRoute
    from bifrost.schema.call import Call
    from bifrost.schema.job import Job

__all__ = ["PREFIX", "AsyncJobs"]

MIB = 1024 * 1024

JSON_TYPE = (b"content-type", b"application/json")

PREFIX = "/v1/async/"

NATIVE = "/v1/"
"""Where the routes are whose calls those below ``PREFIX`` hand in."""

OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "completions": "text completions",
        "chat/completions": "chat completions",
        "responses": "responses",
        "embeddings": "embeddings",
        "audio/speech": "speech",
        "audio/transcriptions": "transcriptions",
        "images/generations": "image generations",
        "images/edits": "image edits",
        "images/variations": "image variations",
        "rerank": "rerank",
    }
)
"""What ``PREFIX`` has below it, and how the refusal of a stream calls it."""

NO_STREAM = "streaming is not supported for async requests"
NO_STORE = "async operations not available: logs store not configured"


@attrs.frozen(kw_only=True)
class AsyncJobs:
    """Takes jobs and shows them. ``finder`` knows the routes whose calls can be handed in.

    Without ``jobs`` there is no store to keep them.
    """

    finder: Finder
    doors: Doors
    jobs: Jobs | None

    async def serve(
        self,
        found: Found,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        reply: Reply,
    ) -> None:
        """Answer a request to a route whose headers ask for a job, in the route's own shape."""
        try:
            await self._by_header(
                _Asked(scope["path"], found, scope, receive, reply, self.doors.views)
            )
        except CallerGone:
            return
        except GatewayError as error:
            await _refuse(reply, error, found[0].integration.surface)

    async def serve_path(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply
    ) -> bool:
        """Answer a request to ``/v1/async/…``; false, and nothing done, if there is no such route."""
        wanted = scope["path"].removeprefix(PREFIX)
        name, job_id = (wanted, "") if wanted in OPERATIONS else _parted(wanted)
        path = NATIVE + name
        found = self.finder.find(path)
        if self.jobs is None or name not in OPERATIONS or found is None:
            return False
        reply.template = PREFIX + name + ("/{id}" if job_id else "")
        asked = _Asked(path, found, scope, receive, reply, self.doors.views)
        try:
            await self._by_path(asked, self.jobs, name, job_id)
        except CallerGone:
            pass
        except GatewayError as error:
            await _refuse(reply, error, Surface.NATIVE)
        return True

    def by_path(self) -> dict[str, InferenceRoute]:
        """Paths that ``serve_path`` takes jobs at, with the routes whose calls these are; none without a store."""
        if self.jobs is None:
            return {}
        found = {PREFIX + name: self.finder.find(NATIVE + name) for name in OPERATIONS}
        return {path: of_call[0] for path, of_call in found.items() if of_call is not None}

    async def _by_path(self, asked: _Asked, jobs: Jobs, name: str, job_id: str) -> None:
        allowed = "GET" if job_id else "POST"
        if asked.scope["method"] != allowed:
            asked.reply.always.append((b"allow", f"{allowed}, OPTIONS".encode()))
            raise MethodNotAllowed(f"Method not allowed: {asked.reply.template}")
        if job_id:
            job = await asked.poll(jobs, job_id)
        else:
            no_stream = f"stream is not supported for async {OPERATIONS[name]}"
            job = await asked.submit(jobs, no_stream)
        status, body = job_answer(job)
        await asked.reply.whole(status, [JSON_TYPE, *_marks(job)], body)

    async def _by_header(self, asked: _Asked) -> None:
        if self.jobs is None:
            raise InternalError(NO_STORE, status=503)
        job_id = polled_id(asked.sent)
        if job_id:
            await asked.pass_over_body()
            job = await asked.poll(self.jobs, job_id)
        else:
            job = await asked.submit(self.jobs, NO_STREAM)
        result = job.result
        if result is None:
            body = pending_object(
                job,
                asked.found[0].integration.surface.dialect,
                extra_fields=asked.views.client.send_extra_fields,
            )
            await asked.reply.whole(200, [JSON_TYPE, *_marks(job)], body)
            return
        kind = (b"content-type", result.content_type.encode("latin-1", "replace"))
        await asked.reply.whole(result.status, [kind, *_marks(job)], result.body)


@attrs.frozen
class _Asked:
    """One request for a job."""

    path: str
    """Of the route whose call it is, as it would have been asked for without a job."""
    found: Found
    scope: HTTPScope
    receive: ASGIReceiveCallable
    reply: Reply
    views: Views
    headers: HeaderLines = attrs.field(init=False)
    sent: Mapping[bytes, bytes] = attrs.field(init=False)
    """The first of each name."""

    @headers.default
    def _lines(self) -> HeaderLines:
        return tuple(self.scope["headers"])

    @sent.default
    def _firsts(self) -> Mapping[bytes, bytes]:
        return dict(reversed(self.headers))

    @property
    def remote_addr(self) -> str:
        peer = self.scope["client"]
        return peer[0] if peer else ""

    async def poll(self, jobs: Jobs, job_id: str) -> Job:
        # What is required is required of calls, and this makes none.
        rules = self.views.headers.without_required()
        caller = rules.read(self.headers, self.remote_addr)
        return await jobs.poll(job_id, self.found[0].operation.value, caller.virtual_key_hash)

    async def submit(self, jobs: Jobs, no_stream: str) -> Job:
        """Hand the request in. It is parsed for its mistakes only: whoever runs the job parses it again."""
        body = await self._body()
        request = Request(
            id=self.reply.request_id,
            route=self.found[0],
            params=self.found[1],
            query=self.scope["query_string"].decode("latin-1"),
            headers=self.headers,
            body=body,
            body_bytes=self.reply.request_bytes,
            remote_addr=self.remote_addr,
            received_s=trio.current_time(),
        )
        async with kept_call(request, self.views, self.views.headers) as call:
            if call.stream:
                raise BadRequest(no_stream, param="stream")
            wanted = self._wanted(call, body)
        return await jobs.submit(wanted)

    def _wanted(self, call: Call, body: bytes) -> JobRequest:
        kept = sift(self.headers, self.views.headers)
        wish = self.sent.get(b"x-bf-async-job-result-ttl", b"").decode("latin-1")
        return JobRequest(
            request_id=call.id,
            operation=call.operation.value,
            route=self._route(call),
            model=_model(call),
            body=body,
            headers=kept.headers,
            secrets=kept.secrets,
            virtual_key_id=call.virtual_key_hash,
            remote_addr=self.remote_addr,
            result_ttl_s=result_ttl_s(wish, self.views.client.async_job_result_ttl),
        )

    def _route(self, call: Call) -> str:
        """What the call is made by again: its path, and where a key of the caller's own goes by it the query."""
        query = self.scope["query_string"].decode("latin-1")
        return f"{self.path}?{query}" if query and call.caller.azure is not None else self.path

    async def _body(self) -> bytes:
        """All of it, without its coding."""
        client = self.views.client
        max_bytes = min(client.max_request_body_size_mb, client.async_job_max_body_mb) * MIB
        body = await read_body(
            self.receive,
            self.sent.get(b"content-length"),
            max_bytes=max_bytes,
            timeout_s=client.body_timeout_s,
        )
        self.reply.request_bytes = len(body)
        coding = self.sent.get(b"content-encoding")
        return body if coding is None else unpack(body, coding.decode("latin-1"), max_bytes)

    async def pass_over_body(self) -> None:
        """Read it off, so that the connection can be kept; it says nothing."""
        client = self.views.client
        max_bytes = client.max_request_body_size_mb * MIB
        parts = BodyParts(self.receive, self.sent.get(b"content-length"), max_bytes)
        with in_time(client.body_timeout_s):
            while await parts.take() is not None:
                pass
        self.reply.request_bytes = parts.size


def _parted(wanted: str) -> tuple[str, str]:
    name, _, job_id = wanted.rpartition("/")
    return name, job_id


def _model(call: Call) -> str:
    """The model as the caller wrote it."""
    raw = call.members.get("model")
    if raw is not None:
        return str(loads(raw))
    named = [p for p in call.form or () if isinstance(p, Field) and p.name == "model"]
    return named[-1].value.decode() if named else call.target.model


def _marks(job: Job) -> list[tuple[bytes, bytes]]:
    """For whoever cannot tell from the body: speech has none to look into."""
    return [
        (b"cache-control", b"no-store"),
        (b"x-bf-async-id", job.id.encode("latin-1")),
        (b"x-bf-async-status", job.state.value.encode()),
    ]


async def _refuse(reply: Reply, error: GatewayError, surface: Surface) -> None:
    manner = manner_of(surface)
    lines = manner.with_id([JSON_TYPE, *manner.headers(error)], reply.request_id)
    await reply.whole(error.status, lines, manner.sign(manner.body(error), reply.request_id))
