"""The statements of the job store: plain functions over a connection in a transaction, which know no threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bifrost.codecs.json import dumps, loads
from bifrost.schema.job import Claim, Job, JobRequest, JobResult, JobState
from bifrost.store.base import JobBounds, JobCounts, StoreFull

if TYPE_CHECKING:
    import apsw

__all__ = ["add", "claim", "counts", "fail_processing", "find", "finish", "release", "sweep"]

Headers = tuple[tuple[bytes, bytes], ...]

ADD = """
INSERT INTO async_jobs (id, status, request_type, route, model, request_id, remote_addr, virtual_key_id, needs_secret,
    result_ttl, created_at, bytes)
VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
PENDING = """
SELECT seq, id, needs_secret, request_id, request_type, route, model, headers, body, virtual_key_id, remote_addr, result_ttl
FROM async_jobs JOIN async_job_requests USING (seq) WHERE status = 'pending' ORDER BY seq LIMIT ?
"""
RELEASE = """
UPDATE async_jobs SET status = 'pending'
WHERE status = 'processing' AND id NOT IN (SELECT value FROM json_each(?))
"""
END = """
UPDATE async_jobs SET status = :status, completed_at = :now, expires_at = :now + result_ttl, status_code = :code,
    content_type = :type, bytes = :bytes, response = :response, error = :error
WHERE status = 'processing' AND id = ifnull(:id, id)
"""
FIND = """
SELECT id, status, request_type, route, model, virtual_key_id, created_at, completed_at, expires_at, status_code,
    content_type, coalesce(response, error)
FROM async_jobs WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)
"""
SWEEP = """
DELETE FROM async_jobs WHERE seq IN
    (SELECT seq FROM async_jobs WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
"""
FORGET = """
DELETE FROM async_job_requests WHERE seq IN
    (SELECT seq FROM async_jobs WHERE status = 'processing' AND id = ifnull(?, id))
"""


def add(
    connection: apsw.Connection, job_id: str, request: JobRequest, bounds: JobBounds, now_s: float
) -> Job:
    headers = _encode(request.headers)
    size = len(headers) + len(request.body)
    held = counts(connection)
    if held.open_jobs >= bounds.max_open:
        raise StoreFull("too many asynchronous jobs are waiting")
    if held.stored_bytes + size > bounds.max_stored_bytes:
        raise StoreFull("the store of asynchronous jobs is full")
    what = (request.operation, request.route, request.model, request.request_id)
    whose = (request.remote_addr, request.virtual_key_id, bool(request.secrets))
    connection.execute(ADD, (job_id, *what, *whose, request.result_ttl_s, now_s, size))
    connection.execute(
        "INSERT INTO async_job_requests VALUES (?, ?, ?)",
        (connection.last_insert_rowid(), headers, request.body),
    )
    return Job(
        id=job_id,
        state=JobState.PENDING,
        operation=request.operation,
        route=request.route,
        model=request.model,
        virtual_key_id=request.virtual_key_id,
        created_s=now_s,
    )


def claim(connection: apsw.Connection, limit: int) -> tuple[Claim, ...]:
    rows = list(connection.execute(PENDING, (limit,)))
    connection.executemany(
        "UPDATE async_jobs SET status = 'processing' WHERE seq = ?", [(row[0],) for row in rows]
    )
    return tuple(_claim(*row[1:]) for row in rows)


def release(connection: apsw.Connection, running: frozenset[str]) -> int:
    connection.execute(RELEASE, (dumps(sorted(running)).decode(),))
    return connection.changes()


def finish(connection: apsw.Connection, job_id: str, result: JobResult, now_s: float) -> bool:
    return _end(connection, job_id, result, now_s) == 1


def fail_processing(connection: apsw.Connection, result: JobResult, now_s: float) -> int:
    return _end(connection, None, result, now_s)


def find(connection: apsw.Connection, job_id: str, now_s: float) -> Job | None:
    row = connection.execute(FIND, (job_id, now_s)).fetchone()
    return None if row is None else _job(*row)


def sweep(connection: apsw.Connection, limit: int, now_s: float) -> int:
    connection.execute(SWEEP, (now_s, limit))
    return connection.changes()


def counts(connection: apsw.Connection) -> JobCounts:
    row = connection.execute("SELECT open_jobs, stored_bytes FROM async_job_counts").fetchone()
    open_jobs, stored_bytes = cast("tuple[int, int]", row)
    return JobCounts(open_jobs=open_jobs, stored_bytes=stored_bytes)


def _end(connection: apsw.Connection, job_id: str | None, result: JobResult, now_s: float) -> int:
    """End that processing job, or every one; how many there were."""
    connection.execute(FORGET, (job_id,))
    ending = {
        "id": job_id,
        "status": (JobState.FAILED if result.is_error else JobState.COMPLETED).value,
        "now": now_s,
        "code": result.status,
        "type": result.content_type,
        "bytes": len(result.body),
        "response": None if result.is_error else result.body,
        "error": result.body if result.is_error else None,
    }
    connection.execute(END, ending)
    return connection.changes()


def _claim(
    job_id: str,
    needs_secret: int,
    request_id: str,
    operation: str,
    route: str,
    model: str,
    headers: bytes,
    body: bytes,
    virtual_key_id: str,
    remote_addr: str,
    ttl_s: int,
) -> Claim:
    request = JobRequest(
        request_id=request_id,
        operation=operation,
        route=route,
        model=model,
        body=body,
        headers=_decode(headers),
        virtual_key_id=virtual_key_id,
        remote_addr=remote_addr,
        result_ttl_s=ttl_s,
    )
    return Claim(id=job_id, request=request, needs_secret=bool(needs_secret))


def _job(
    job_id: str,
    status: str,
    operation: str,
    route: str,
    model: str,
    virtual_key_id: str,
    created_s: float,
    completed_s: float | None,
    expires_s: float | None,
    code: int | None,
    content_type: str | None,
    body: bytes | None,
) -> Job:
    state, result = JobState(status), None
    if body is not None and code is not None and content_type is not None:
        is_error = state is JobState.FAILED
        result = JobResult(status=code, body=body, content_type=content_type, is_error=is_error)
    return Job(
        id=job_id,
        state=state,
        operation=operation,
        route=route,
        model=model,
        virtual_key_id=virtual_key_id,
        created_s=created_s,
        completed_s=completed_s,
        expires_s=expires_s,
        result=result,
    )


def _encode(headers: Headers) -> bytes:
    """As JSON: a header's bytes are Latin-1 to everybody who ever gave them a name."""
    return dumps([[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers])


def _decode(headers: bytes) -> Headers:
    return tuple(
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in loads(headers)
    )
