"""Google's refusals: that a refused key is told as one, and all else as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.config.secret import Secret
from bifrost.dialects.gemini_errors import plain_error
from bifrost.errors import ErrorClass
from bifrost.providers.errors import decode_error

REASON = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
KEY: dict[str, Any] = {
    "error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [REASON, 7],
    }
}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
QUOTA = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota",
        "status": "RESOURCE_EXHAUSTED",
        "details": [RETRY],
    }
}
WRONG = {"error": {"code": 400, "message": "Unknown name", "status": "INVALID_ARGUMENT"}}


def told(status: int, value: Any) -> Any:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return decode_error(status, (), plain_error(status, body), Secret("AIza-secret-key"))


@pytest.mark.parametrize(
    ("status", "value", "error_class", "code", "kind"),
    [
        (400, KEY, ErrorClass.AUTH, "API_KEY_INVALID", "INVALID_ARGUMENT"),
        (400, [KEY], ErrorClass.AUTH, "API_KEY_INVALID", "INVALID_ARGUMENT"),
        (429, QUOTA, ErrorClass.RATE_LIMIT, "429", "RESOURCE_EXHAUSTED"),
        (429, [QUOTA], ErrorClass.RATE_LIMIT, "429", "RESOURCE_EXHAUSTED"),
        (400, WRONG, ErrorClass.CLIENT, "400", "INVALID_ARGUMENT"),
        (403, {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}, ErrorClass.AUTH, "403", "PERMISSION_DENIED"),
        (404, {"error": {"code": 404, "message": "no", "status": "NOT_FOUND"}}, ErrorClass.NOT_FOUND, "404", "NOT_FOUND"),
        (500, {"error": {"code": 500, "message": "no", "status": "INTERNAL"}}, ErrorClass.SERVER, "500", "INTERNAL"),
        (503, {"error": {"code": 503, "message": "no", "status": "UNAVAILABLE"}}, ErrorClass.SERVER, "503", "UNAVAILABLE"),
        (503, b"", ErrorClass.SERVER, None, None),
        (502, b"<html>no</html>", ErrorClass.SERVER, None, None),
        (400, b"API_KEY_INVALID", ErrorClass.CLIENT, None, None),
        (400, ["API_KEY_INVALID"], ErrorClass.CLIENT, None, None),
        (400, {"error": {"message": "API_KEY_INVALID", "details": "x"}}, ErrorClass.CLIENT, None, None),
    ],
)  # fmt: skip
def test_refusals(
    status: int, value: Any, error_class: ErrorClass, code: str | None, kind: str | None
) -> None:
    error = told(status, value)

    assert (error.status, error.error_class) == (status, error_class)
    assert (error.code, error.type) == (code, kind)


def test_when_to_come_back() -> None:
    assert told(429, QUOTA).retry_after_s == 34.5


def test_texts_of_a_list_are_joined() -> None:
    assert told(400, [WRONG, WRONG]).message == "Unknown name\nUnknown name"
