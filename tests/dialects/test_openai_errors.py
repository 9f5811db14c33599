from __future__ import annotations

from typing import Any

import pytest

from bifrost.dialects.openai_errors import (
    MAX_TEXT,
    Told,
    classify,
    read_error,
    read_error_body,
    told_error,
)
from bifrost.dialects.scrub import scrubber
from bifrost.errors import ErrorClass

C = ErrorClass


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c", "param": "p", "event_id": "e"}}, Told(message="m", type="t", code="c", param="p", event_id="e")),
        ({"error": {"message": "m", "code": 429}, "event_id": "e"}, Told(message="m", code="429", status=429, event_id="e")),
        ({"error": {"message": "m", "code": True, "param": ["a"]}, "status_code": 503}, Told(message="m", param=["a"], status=503)),
        ({"error": {"message": "m", "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "34.5s"}]}}, Told(message="m", type="RESOURCE_EXHAUSTED", retry_after_s=34.5)),
        ({"error": {"message": "m", "details": ["x", {"retryDelay": "soon"}, {"retryDelay": 3}, {"retryDelay": "1.2.3s"}]}}, Told(message="m")),
        ({"error": {"type": "t"}}, Told(type="t")),
        ({"error": {"x": 1}}, None),
        ({"error": {}}, None),
        ({"error": None}, None),
        ({"code": "invalid argument", "error": "text"}, Told(message="text", code="invalid argument")),
        ({"error": ["a", "b"]}, Told(message="a; b")),
        ([{"error": {"message": "a", "code": 400}}, {"error": {"message": "b"}}, 7], Told(message="a\nb", code="400", status=400)),
        ([{"x": 1}], None),
        ([1], None),
        ({"object": "error", "message": "m", "type": "NotFoundError", "code": 404}, Told(message="m", type="NotFoundError", code="404", status=404)),
        ({"message": {"detail": [{"loc": ["body", 0, "x"], "msg": "bad"}]}, "status": "422"}, Told(message="bad [body.0.x]", status=422)),
        ({"message": {"x": 1}, "detail": "d"}, Told(message="d")),
        ({"detail": "d", "type": "t", "code": 7}, Told(message="d", type="t", code="7")),
        ({"detail": [{"loc": ["a"], "msg": "x"}, {"loc": [], "msg": "y"}, {"msg": "z"}, 5]}, Told(message="x [a]; y; z")),
        ({"detail": {"message": "d"}}, Told(message="d")),
        ({"choices": []}, None),
        ("text", None),
        (None, None),
    ],
)  # fmt: skip
def test_every_shape_is_read(value: Any, told: Told | None) -> None:
    assert read_error(value) == told


def test_endless_texts_are_cut() -> None:
    told = read_error({"error": {"message": "x" * 9999, "code": "y" * 999}})

    assert told is not None
    assert len(told.message) == MAX_TEXT + 1
    assert len(told.code or "") == 200


def test_bytes_that_are_no_json_tell_nothing() -> None:
    assert read_error_body(b"<html>") is None
    assert read_error_body(b'{"error":"x"}') == Told(message="x")


@pytest.mark.parametrize(
    ("status", "told", "error_class"),
    [
        (401, Told(), C.AUTH),
        (401, Told(message="rate limit"), C.AUTH),
        (403, Told(message="forbidden"), C.AUTH),
        (403, Told(code="model_not_found", message="no access to model"), C.NOT_FOUND),
        (403, Told(code="model_permission_blocked_project"), C.NOT_FOUND),
        (403, Told(message="Rate limit reached"), C.RATE_LIMIT),
        (400, Told(message="Incorrect API key provided: xai-***"), C.AUTH),
        (400, Told(code="model_decommissioned"), C.NOT_FOUND),
        (402, Told(), C.QUOTA),
        (429, Told(code="insufficient_quota"), C.QUOTA),
        (403, Told(type="insufficient_quota"), C.QUOTA),
        (429, Told(), C.RATE_LIMIT),
        (429, Told(message="context"), C.RATE_LIMIT),
        (400, Told(message="Too Many Requests"), C.RATE_LIMIT),
        (503, Told(type="throttling"), C.RATE_LIMIT),
        (500, Told(code="rate_limit_exceeded"), C.RATE_LIMIT),
        (400, Told(message="context length limit exceeded"), C.CLIENT),
        (400, Told(message="limit exceeded", code="context_length_exceeded"), C.CLIENT),
        (400, Told(message="the token limit of the model: limit exceeded"), C.CLIENT),
        (413, Told(message="Limit 6000 tokens per minute", code="rate_limit_exceeded"), C.CLIENT),
        (404, Told(), C.NOT_FOUND),
        (404, Told(message="rate limit"), C.NOT_FOUND),
        (409, Told(message="requests per"), C.NOT_FOUND),
        (408, Told(), C.SERVER),
        (400, Told(), C.CLIENT),
        (422, Told(), C.CLIENT),
        (418, Told(), C.CLIENT),
        (500, Told(), C.SERVER),
        (529, Told(type="overloaded_error"), C.SERVER),
        (302, Told(), C.SERVER),
        (999, Told(), C.SERVER),
        (None, Told(message="boom"), C.SERVER),
        (None, Told(type="server_error"), C.SERVER),
        (200, Told(type="authentication_error"), C.AUTH),
        (None, Told(type="invalid_request_error"), C.CLIENT),
        (None, Told(code="model_not_found"), C.NOT_FOUND),
        (None, Told(type="NotFoundError"), C.NOT_FOUND),
        (None, Told(type="tokens"), C.RATE_LIMIT),
        (None, Told(type="RESOURCE_EXHAUSTED"), C.RATE_LIMIT),
        (None, Told(code="insufficient_quota"), C.QUOTA),
    ],
)  # fmt: skip
def test_failures_are_told_apart(status: int | None, told: Told, error_class: ErrorClass) -> None:
    assert classify(status, told) is error_class


@pytest.mark.parametrize(
    ("status", "told", "shown"),
    [
        (404, Told(message="m", status=500), 404),
        (None, Told(message="m", status=503), 503),
        (None, Told(message="rate limit"), 429),
        (None, Told(message="m"), 502),
        (302, Told(message="m"), 502),
    ],
)
def test_status_is_the_upstreams_own_or_an_honest_one(
    status: int | None, told: Told, shown: int
) -> None:
    assert told_error(told, status, scrubber(None)).status == shown


def test_blank_message_gets_a_text() -> None:
    error = told_error(Told(message=" "), 418, scrubber(None))

    assert error.message == "provider API error (status 418)"


def test_every_text_of_an_error_is_scrubbed() -> None:
    told = Told(message="K", type="K", code="K", param={"K": "K"}, event_id="K", retry_after_s=2.0)

    error = told_error(
        told, 400, lambda text: text.replace("K", "*"), cause="K", raw_response=b"K\xff"
    )

    assert (error.message, error.type, error.code, error.event_id, error.cause) == ("*",) * 5
    assert error.param == {"*": "*"}
    assert error.raw_response == "*\ufffd".encode()
    assert error.retry_after_s == 2.0
    assert told_error(told, 400, str, retry_after_s=1.0).retry_after_s == 1.0
