from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.errors import (
    BadRequest,
    GatewayError,
    InternalError,
    NetworkError,
    NoUsableKey,
    Overloaded,
    QueueFull,
    RouteNotFound,
    UpstreamError,
    UpstreamTimeout,
)
from bifrost.integrations.envelope import (
    error_body,
    error_event,
    error_frame,
    error_headers,
    key_status,
)
from bifrost.schema.call import Call, Operation, Target

CALL = Call(id="c", operation=Operation.CHAT, stream=True, target=Target("openai", "m"))
NOTHING_TOLD = {"type": None, "code": None, "param": None}


def told(error: GatewayError, **more: Any) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(error_body(error, **more))
    return whole


def test_a_plain_error_has_no_more_than_it_needs() -> None:
    assert told(BadRequest("model is required", param="model")) == {
        "is_bifrost_error": False,
        "status_code": 400,
        "error": NOTHING_TOLD | {"message": "model is required", "param": "model"},
        "extra_fields": {},
    }


def test_an_upstreams_error_is_told_whole() -> None:
    error = UpstreamError(
        "slow down",
        status=429,
        type="rate_limit_error",
        code="429",
        param={"name": "n"},
        event_id="e-1",
        cause="upstream said so",
        raw_request=b'{"model":"m"}',
        raw_response=b'{"error":1}',
    )
    attempts = ({"provider": "groq", "attempt": 0},)
    error.key_statuses = statuses = (key_status("k", "groq", None),)

    whole = told(error, call=CALL, target=Target("groq", "x"), attempts=attempts)

    assert whole == {
        "event_id": "e-1",
        "is_bifrost_error": False,
        "status_code": 429,
        "error": {
            "type": "rate_limit_error",
            "code": "429",
            "message": "slow down",
            "param": {"name": "n"},
            "event_id": "e-1",
            "error": "upstream said so",
        },
        "extra_fields": {
            "provider": "groq",
            "model_requested": "x",
            "request_type": "chat_completion_stream",
            "raw_request": {"model": "m"},
            "raw_response": {"error": 1},
            "key_statuses": list(statuses),
            "attempts": list(attempts),
        },
    }


def test_without_a_target_the_calls_own_is_named() -> None:
    assert told(InternalError("x"), call=CALL)["extra_fields"] == {
        "provider": "openai",
        "model_requested": "m",
        "request_type": "chat_completion_stream",
    }


def test_what_a_target_does_not_have_is_left_out() -> None:
    call = Call(id="c", operation=Operation.LIST_MODELS, stream=False, target=Target("", ""))

    assert told(InternalError("x"), call=call)["extra_fields"] == {"request_type": "list_models"}
    assert told(InternalError("x"), target=Target("groq", ""))["extra_fields"] == {
        "provider": "groq"
    }


def test_a_decision_stands_at_the_top_and_in_the_error() -> None:
    whole = told(BadRequest("no", kind="missing_required_headers"))

    assert whole["type"] == "missing_required_headers"
    assert whole["error"]["type"] == "missing_required_headers"


def test_an_error_keeps_a_type_of_its_own_beside_a_decision() -> None:
    whole = told(BadRequest("no", kind="decision", type="own"))

    assert (whole["type"], whole["error"]["type"]) == ("decision", "own")


@pytest.mark.parametrize(
    ("error", "status", "type_", "code", "is_ours"),
    [
        (QueueFull("x"), 429, None, "queue_full", False),
        (Overloaded("x"), 503, None, "overloaded", False),
        (NoUsableKey("x"), 400, None, None, False),
        (UpstreamTimeout("x"), 504, "request_timed_out", None, True),
        (InternalError("x"), 500, None, None, True),
    ],
)
def test_each_error_has_its_status_type_and_code(
    error: GatewayError, status: int, type_: str | None, code: str | None, is_ours: bool
) -> None:
    whole = told(error)

    assert whole["status_code"] == status
    assert whole["error"]["type"] == type_
    assert whole["error"]["code"] == code
    assert whole["is_bifrost_error"] is is_ours


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"<html>\xff", "<html>\ufffd"),
        (b"", ""),
        (b"[1]", [1]),
        (b"[" * 600 + b"]" * 600, "[" * 600 + "]" * 600),
    ],
)
def test_a_raw_answer_is_shown_as_json_or_as_text(raw: bytes, shown: object) -> None:
    assert told(UpstreamError("x", raw_response=raw))["extra_fields"]["raw_response"] == shown


def test_a_parameter_that_json_has_no_word_for_is_left_out() -> None:
    assert told(BadRequest("x", param={1, 2}))["error"]["param"] is None


def test_a_text_that_utf8_cannot_hold_is_told_as_far_as_it_can_be() -> None:
    assert told(RouteNotFound("Route not found: /\udcff"))["error"]["message"].endswith("/?")
    assert told(RouteNotFound("nicht gefunden: ü"))["error"]["message"].endswith("ü")


def test_an_event_is_the_body_and_nothing_after_it() -> None:
    error = UpstreamError("cut\noff", cause="a\r\nb")

    event = error_event(error, call=CALL, target=Target("groq", "x"), attempts=({"n": 1},))

    assert event == b"data: %b\n\n" % error_body(
        error, call=CALL, target=Target("groq", "x"), attempts=({"n": 1},)
    )
    assert event.count(b"\n") == 2


@pytest.mark.parametrize(
    ("wait_s", "line"),
    [
        (0.0, b"1"),
        (0.2, b"1"),
        (2.0, b"2"),
        (2.001, b"3"),
        (float("inf"), b"86400"),
        (-5.0, b"1"),
    ],
)
def test_who_may_come_back_is_told_when(wait_s: float, line: bytes) -> None:
    assert error_headers(QueueFull("x", retry_after_s=wait_s)) == [(b"retry-after", line)]
    assert error_headers(Overloaded("x", retry_after_s=wait_s)) == [(b"retry-after", line)]


def test_other_statuses_have_no_retry_after_of_ours() -> None:
    assert error_headers(UpstreamError("x", status=500, retry_after_s=3.0)) == []
    assert error_headers(QueueFull("x")) == []


def test_the_upstreams_headers_go_along_but_for_the_time_to_come_back() -> None:
    sent = (("x-ratelimit-remaining", "0"), ("Retry-After", "7"), ("x-name", "\u4e00"))

    lines = error_headers(UpstreamError("x", status=429, retry_after_s=2.5, headers=sent))

    assert lines == [
        (b"x-ratelimit-remaining", b"0"),
        (b"x-name", b"?"),
        (b"retry-after", b"3"),
    ]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    message=st.text(st.characters(codec=None)),
    cause=st.none() | st.text(st.characters(codec=None)),
    param=ANY_JSON,
    raw=st.none() | st.binary(),
)
def test_any_error_can_be_told(
    message: str, cause: str | None, param: object, raw: bytes | None
) -> None:
    error = UpstreamError(message, cause=cause, param=param, raw_response=raw)

    whole = told(error, call=CALL)

    assert isinstance(whole["error"]["message"], str)
    assert whole["status_code"] == 502


def frame(error: GatewayError, **more: Any) -> Any:
    return json.loads(error_frame(error, **more))


@pytest.mark.parametrize(
    ("error", "midway", "status", "type_", "code"),
    [
        (BadRequest("x"), False, 400, "invalid_request_error", "invalid_request_error"),
        (InternalError("x"), False, 500, "server_error", "server_error"),
        (QueueFull("x"), False, 429, "server_error", "queue_full"),
        (NetworkError("x"), False, 502, "server_error", "server_error"),
        (NetworkError("x"), True, 502, "server_error", "upstream_connection_error"),
        (UpstreamTimeout("x"), True, 504, "request_timed_out", "request_timed_out"),
        (UpstreamError("x", status=401, type="t", code="c"), True, 401, "t", "c"),
        (BadRequest("x", kind="decided"), False, 400, "decided", "decided"),
    ],
)
def test_a_frame_always_has_type_and_code(
    error: GatewayError, midway: bool, status: int, type_: str, code: str
) -> None:
    told = frame(error, midway=midway)

    assert (told["type"], told["status"]) == ("error", status)
    assert (told["error"]["type"], told["error"]["code"]) == (type_, code)
    assert told["error"]["message"] == "x"


def test_a_frame_tells_whose_failure_it_was_and_when_to_come_back() -> None:
    call = Call(id="1", operation=Operation.RESPONSES, stream=True, target=Target("openai", "m"))
    error = UpstreamError("x", status=429, retry_after_s=2.5, headers=(("x-a", "b"),))

    told = frame(error, call=call, target=Target("groq", "n"), attempts=({"key": "k"},))

    assert told["error"]["headers"] == {"x-a": "b", "retry-after": "3"}
    assert told["extra_fields"] == {
        "provider": "groq",
        "model_requested": "n",
        "request_type": "responses_stream",
        "attempts": [{"key": "k"}],
    }


@pytest.mark.parametrize(
    ("operation", "begin"),
    [
        (Operation.CHAT, b"data: {"),
        (Operation.SPEECH, b"data: {"),
        (Operation.RESPONSES, b"event: error\ndata: {"),
        (Operation.IMAGE, b"event: error\ndata: {"),
        (Operation.IMAGE_EDIT, b"event: error\ndata: {"),
    ],
)
def test_an_error_in_a_stream_has_a_name_where_the_other_events_have(
    operation: Operation, begin: bytes
) -> None:
    call = attrs.evolve(CALL, operation=operation)

    assert error_event(NetworkError("cut"), call=call).startswith(begin)
