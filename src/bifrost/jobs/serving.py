"""A job's call, served like any other: what the work of a job is, once its request has become a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bifrost.errors import InternalError
from bifrost.integrations.manners import manner_of
from bifrost.schema.job import JobResult
from bifrost.service import Began, Chunk, Failed, Finished, Service

if TYPE_CHECKING:
    from bifrost.config.settings import ClientSettings
    from bifrost.schema.call import Call

__all__ = ["MIB", "serve_job", "too_large"]

MIB = 1024 * 1024

JSON = "application/json"


async def serve_job(service: Service, call: Call, client: ClientSettings) -> JobResult:
    """The end of ``call``, which is no stream, with its own content type. No more is read than a job may have.

    Raises Overloaded and ShuttingDown if the door is closed, InternalError for an answer that is too large.
    """
    blocks: list[bytes] = []
    left = client.async_job_max_result_mb * MIB
    status, kind = 200, JSON
    async with service(call) as exchange:
        while True:
            event = await exchange.receive()
            match event:
                case Began() as began:
                    status, kind = began.status, began.content_type or JSON
                case Chunk(data):
                    left -= len(data)
                    if left < 0:
                        raise too_large(client)
                    blocks.append(data)
                case Finished():
                    return JobResult(status=status, body=b"".join(blocks), content_type=kind)
                case Failed():
                    return _failure(event, call, client)
                case _:
                    assert_never(event)


def too_large(client: ClientSettings) -> InternalError:
    """What a job fails with whose answer is more than ``client`` allows."""
    most = f"{client.async_job_max_result_mb} MiB (client.async_job_max_result_mb)"
    return InternalError(f"the job's result is larger than {most}")


def _failure(failed: Failed, call: Call, client: ClientSettings) -> JobResult:
    attempts = failed.attempts if client.include_attempts else ()
    tell = manner_of(call.surface).body
    body = tell(failed.error, call=call, target=failed.target, attempts=attempts)
    return JobResult(status=failed.error.status, body=body, is_error=True)
