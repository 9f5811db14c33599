from __future__ import annotations

import attrs
import pytest

from bifrost.codecs.json import loads
from bifrost.jobs.told import job_answer
from bifrost.schema.job import Job, JobResult, JobState

PENDING = Job(
    id="j",
    state=JobState.PENDING,
    operation="chat_completion",
    route="/v1/async/chat/completions",
    model="m",
    virtual_key_id="vk",
    created_s=1_800_000_000.5,
)


def over(result: JobResult) -> Job:
    return attrs.evolve(
        PENDING,
        state=JobState.FAILED if result.is_error else JobState.COMPLETED,
        completed_s=1_800_000_001.0,
        expires_s=1_800_003_601.0,
        result=result,
    )


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.PROCESSING])
def test_while_there_is_no_result_it_is_202(state: JobState) -> None:
    status, body = job_answer(attrs.evolve(PENDING, state=state))

    assert status == 202
    assert loads(body) == {
        "id": "j",
        "status": state.value,
        "created_at": "2027-01-15T08:00:00.500Z",
    }


def test_a_json_result_is_put_in_as_it_is() -> None:
    status, body = job_answer(over(JobResult(status=200, body=b'{"a": [1.50]}')))

    assert status == 200
    assert b'"result":{"a": [1.50]}' in body
    assert loads(body) == {
        "id": "j",
        "status": "completed",
        "created_at": "2027-01-15T08:00:00.500Z",
        "completed_at": "2027-01-15T08:00:01.000Z",
        "expires_at": "2027-01-15T09:00:01.000Z",
        "status_code": 200,
        "result": {"a": [1.5]},
    }


def test_an_error_is_told_with_its_own_status() -> None:
    failed = JobResult(status=429, body=b'{"error":{"message":"slow"}}', is_error=True)

    status, body = job_answer(over(failed))

    told = loads(body)
    assert (status, told["status"], told["status_code"]) == (200, "failed", 429)
    assert told["error"] == {"error": {"message": "slow"}}
    assert "result" not in told


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("audio/mpeg", b"\xff\xfb", {"audio": "//s=", "content_type": "audio/mpeg"}),
        ("text/vtt; charset=utf-8", b"a\n", "a\n"),
        ("text/plain", b"\xff", {"audio": "/w==", "content_type": "text/plain"}),
        ("Application/JSON; charset=utf-8", b"[1]", [1]),
        ("application/problem+json", b"{}", {}),
    ],
)  # fmt: skip
def test_a_result_that_is_no_json_is_wrapped(kind: str, body: bytes, told: object) -> None:
    answer = job_answer(over(JobResult(status=200, body=body, content_type=kind)))[1]

    assert loads(answer)["result"] == told
