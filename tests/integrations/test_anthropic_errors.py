"""Failures in Anthropic's shape."""

from __future__ import annotations

import json

import pytest

from bifrost.errors import (
    BadRequest,
    GatewayError,
    NetworkError,
    Overloaded,
    QueueFull,
    UnsupportedOperation,
    UpstreamError,
    UpstreamTimeout,
)
from bifrost.integrations.anthropic_errors import anthropic_body, anthropic_event, signed
from bifrost.integrations.manners import manner_at, manner_of
from bifrost.schema.call import Call, Operation, Surface, Target

CALL = Call(id="req-1", operation=Operation.CHAT, stream=True, target=Target("openai", "m"))

TYPES: list[tuple[GatewayError, str]] = [
    (BadRequest("x"), "invalid_request_error"),
    (UnsupportedOperation("x"), "invalid_request_error"),
    (BadRequest("x", status=422), "invalid_request_error"),
    (BadRequest("x", status=401), "authentication_error"),
    (BadRequest("x", status=402), "billing_error"),
    (BadRequest("x", status=403), "permission_error"),
    (BadRequest("x", status=404), "not_found_error"),
    (BadRequest("x", status=408), "timeout_error"),
    (BadRequest("x", status=409), "conflict_error"),
    (BadRequest("x", status=413), "request_too_large"),
    (QueueFull("x"), "rate_limit_error"),
    (UpstreamError("x", status=500), "api_error"),
    (NetworkError("x"), "api_error"),
    (Overloaded("x"), "overloaded_error"),
    (UpstreamError("x", status=529), "overloaded_error"),
    (UpstreamTimeout("x"), "timeout_error"),
    (UpstreamError("x", status=400, type="rate_limit_error"), "rate_limit_error"),
    (UpstreamError("x", status=429, type="requests"), "rate_limit_error"),
]


@pytest.mark.parametrize(("error", "kind"), TYPES)
def test_its_type_goes_by_its_status_or_is_anthropics_own(error: GatewayError, kind: str) -> None:
    told = json.loads(anthropic_body(error, call=CALL))

    assert told == {
        "type": "error",
        "error": {"type": kind, "message": "x"},
        "request_id": "req-1",
    }


def test_without_a_call_it_is_signed_by_whoever_knows_the_id() -> None:
    body = anthropic_body(BadRequest("\udcff"))

    assert "request_id" not in json.loads(body)
    assert json.loads(signed(body, "r"))["request_id"] == "r"


def test_in_a_stream_it_is_an_event() -> None:
    event = anthropic_event(BadRequest("x"), call=CALL)

    head, data, *rest = event.split(b"\n")
    assert head == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["error"]["message"] == "x"
    assert rest == [b"", b""]


def test_who_is_spoken_to_how() -> None:
    anthropics = manner_of(Surface.ANTHROPIC)

    assert anthropics.ping == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert manner_at("/anthropic/v1/none") is anthropics
    assert manner_at("/anthropic") is anthropics
    for path in ("/anthropics", "/openai/v1/x", "/", "", "*"):
        assert manner_at(path) is manner_of(Surface.OPENAI)


def test_the_id_stands_where_the_sdk_looks_for_it_but_an_upstreams_own_stays() -> None:
    manner = manner_of(Surface.ANTHROPIC)
    upstreams = [(b"request-id", b"up")]

    assert manner.with_id([], "r") == [(b"request-id", b"r")]
    assert manner.with_id(upstreams, "r") == upstreams
    assert manner_of(Surface.OPENAI).with_id([], "r") == []
    assert manner_of(Surface.OPENAI).sign(b"{}", "r") == b"{}"
