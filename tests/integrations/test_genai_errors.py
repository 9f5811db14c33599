from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.errors import BadRequest, GatewayError, QueueFull, UpstreamError
from bifrost.integrations.genai_errors import STATUSES, genai_body, genai_event
from bifrost.integrations.manners import manner_at, manner_of
from bifrost.schema.call import Call, Operation, Surface, Target

CALL = Call(id="1", operation=Operation.CHAT, stream=False, target=Target("openai", "m"))


def told(error: GatewayError, **more: Any) -> dict[str, Any]:
    body = json.loads(genai_body(error, **more))
    assert [*body] == ["error"]
    found: dict[str, Any] = body["error"]
    return found


@pytest.mark.parametrize(
    ("status", "name"), [*STATUSES.items(), (418, "INVALID_ARGUMENT"), (599, "INTERNAL")]
)
def test_a_status_has_its_name(status: int, name: str) -> None:
    assert told(GatewayError("x", status=status)) == {
        "code": status,
        "message": "x",
        "status": name,
        "details": [],
    }


def test_googles_own_name_stays() -> None:
    assert told(UpstreamError("x", status=400, type="FAILED_PRECONDITION"))["status"] == (
        "FAILED_PRECONDITION"
    )
    assert told(UpstreamError("x", status=400, type="other"))["status"] == "INVALID_ARGUMENT"


def test_whose_failure_it_was() -> None:
    error = UpstreamError("x", status=500, code="boom")
    other = Target("groq", "n")

    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "bifrost"}
    assert told(error, call=CALL)["details"] == [
        {**info, "reason": "boom", "metadata": {"provider": "openai", "model": "m"}}
    ]
    assert told(error, call=CALL, target=other)["details"][0]["metadata"]["provider"] == "groq"
    assert told(error)["details"] == [{**info, "reason": "boom", "metadata": {}}]


def test_what_is_wrong_has_its_place() -> None:
    [detail] = told(BadRequest("no", param="contents[0]"))["details"]

    assert detail == {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "contents[0]", "description": "no"}],
    }


def test_when_to_come_back() -> None:
    *_, detail = told(QueueFull("x", retry_after_s=0.2))["details"]

    assert detail == {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": "1s",
    }
    assert told(UpstreamError("x", status=500, retry_after_s=1))["details"] == []


def test_odd_texts_are_told() -> None:
    assert told(BadRequest("\ud800", param="\ud800"))["message"] == "?"


def test_a_stream_ends_with_the_same() -> None:
    error = BadRequest("x")

    assert genai_event(error) == b"data: " + genai_body(error) + b"\n\n"


def test_it_is_how_the_door_speaks() -> None:
    manner = manner_of(Surface.GENAI)

    assert (manner.body, manner.event) == (genai_body, genai_event)
    assert manner_at("/genai/v1beta/x") is manner
    assert manner_at("/genai_passthrough/x") is not manner
