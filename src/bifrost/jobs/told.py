"""How a job is told to whoever submitted or polls it by ``/v1/async``."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bifrost.codecs.json import dumps, dumps_str, is_utf8, join_object

if TYPE_CHECKING:
    from bifrost.schema.job import Job, JobResult

__all__ = ["job_answer"]


def job_answer(job: Job) -> tuple[int, bytes]:
    """Status and JSON body: 202 while there is no result, 200 from then on, whether it is an answer or an error.

    A result that is JSON is put in as it is, text (a transcript with its times, say) as a string, and what is left, which is
    speech, as ``{"audio": …, "content_type": …}`` in base64.
    """
    members = {
        "id": dumps_str(job.id),
        "status": dumps_str(job.state.value),
        "created_at": _time(job.created_s),
    }
    if job.result is None or job.completed_s is None or job.expires_s is None:
        return 202, join_object(members)
    members |= {
        "completed_at": _time(job.completed_s),
        "expires_at": _time(job.expires_s),
        "status_code": dumps(job.result.status),
        "error" if job.result.is_error else "result": _value(job.result),
    }
    return 200, join_object(members)


def _value(result: JobResult) -> bytes:
    kind = result.content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return result.body
    if kind.startswith("text/") and is_utf8(result.body):
        return dumps(result.body.decode())
    audio = b64encode(result.body).decode("ascii")
    return dumps({"audio": audio, "content_type": result.content_type})


def _time(unix_s: float) -> bytes:
    """RFC 3339, UTC, to the millisecond, as a JSON string."""
    told = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
    return dumps_str(told.replace("+00:00", "Z"))
