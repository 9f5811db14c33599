"""The work of asynchronous jobs: what was handed in becomes a call, and the call's end the job's result."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.errors import RouteNotFound
from bifrost.http.doors import Doors
from bifrost.http.kept_body import kept_call
from bifrost.integrations.base import Request
from bifrost.integrations.finder import Finder
from bifrost.jobs.serving import serve_job
from bifrost.service import Service

if TYPE_CHECKING:
    from bifrost.schema.call import Call
    from bifrost.schema.job import JobRequest, JobResult

__all__ = ["JobCalls"]


@attrs.frozen(kw_only=True)
class JobCalls:
    """Serves the calls of jobs through ``service``, as if they had come by the paths that ``finder`` knows."""

    finder: Finder
    doors: Doors
    service: Service

    async def run(self, wanted: JobRequest) -> JobResult:
        """Make the call, to its end. The configuration is the one of now. Raises GatewayError."""
        views = self.doors.views
        path, _, query = wanted.route.partition("?")
        found = self.finder.find(path)
        if found is None:
            # Handed in to another version of the gateway.
            raise RouteNotFound(f"Route not found: {wanted.route}")
        secrets = ((name, value.reveal().encode("latin-1")) for name, value in wanted.secrets)
        request = Request(
            id=wanted.request_id,
            route=found[0],
            params=found[1],
            query=query,
            headers=(*wanted.headers, *secrets),
            body=wanted.body,
            body_bytes=len(wanted.body),
            remote_addr=wanted.remote_addr,
            received_s=trio.current_time(),
        )
        async with kept_call(request, views, views.headers.without_required()) as call:
            return await serve_job(self.service, _of_job(call, wanted), views.client)


def _of_job(call: Call, wanted: JobRequest) -> Call:
    """``call`` in its submitter's name, and marked for the log."""
    caller = attrs.evolve(
        call.caller,
        former_virtual_key_hash=wanted.virtual_key_id,
        log_metadata=MappingProxyType({**call.caller.log_metadata, "isAsyncRequest": "true"}),
    )
    return attrs.evolve(call, caller=caller)
