"""Gemini's callers before Gemini's upstream: everything as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.dialects.gemini_relay import (
    GeminiRelay,
    encode_native,
    encode_native_count,
    encode_native_flat_count,
    relay,
)
from bifrost.errors import BadRequest, ErrorClass, UpstreamError
from bifrost.record import Usage
from bifrost.schema.call import Operation
from dialects.gemini import FACTS, call_of, native_of
from dialects.test_gemini_stream import USAGE, body_of, event, fed

CONTENTS = [{"parts": [{"text": "Hi"}]}]


def test_requests_go_as_they_came_without_a_model() -> None:
    call = native_of({"model": "other", "contents": CONTENTS, "newField": {"a": 1}})

    body = encode_native(call, "gemini-x", "gemini").body

    assert body == b'{"contents":[{"parts": [{"text": "Hi"}]}],"newField":{"a": 1}}'


def test_only_gemini_is_gemini() -> None:
    with pytest.raises(BadRequest):
        encode_native(call_of({}), "gemini-x", "gemini")


def test_counts_name_the_model_that_is_asked() -> None:
    flat = native_of({"contents": CONTENTS}, Operation.COUNT_TOKENS)
    whole = {"generateContentRequest": {"model": "models/other", "contents": CONTENTS}}
    deep = native_of(whole, Operation.COUNT_TOKENS)

    assert json.loads(encode_native_count(flat, "x", "gemini").body) == {"contents": CONTENTS}
    assert json.loads(encode_native_count(deep, "models/x", "gemini").body) == {
        "generateContentRequest": {"model": "models/x", "contents": CONTENTS}
    }
    for asked in (flat, deep):
        body = encode_native_flat_count(asked, "x", "vertex").body
        assert json.loads(body) == {"contents": CONTENTS}
    with pytest.raises(BadRequest, match="must be an object"):
        encode_native_count(native_of({"generateContentRequest": 7}), "x", "gemini")


def test_answers_come_as_they_came() -> None:
    body = json.dumps(event({"text": "a"}, reason="STOP", usageMetadata=USAGE)).encode()

    answer = relay(body, FACTS)

    assert (answer.body, answer.error) == (body, None)
    assert answer.usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
    assert relay(b'{"totalTokens":3}', FACTS).usage is None
    with pytest.raises(UpstreamError):
        relay(b"x", FACTS)


def test_streams_come_as_they_came() -> None:
    events = [event({"text": "a"}), event(reason="STOP", usageMetadata=USAGE)]
    decoder = GeminiRelay(FACTS)

    progress = fed(decoder, [body_of(*events)])

    assert progress.done
    assert progress.events == 2
    assert progress.data == body_of(*events, crlf=False)
    assert decoder.usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


@pytest.mark.parametrize(
    ("events", "text", "error_class"),
    [
        ([event({"text": "a"})], "before its end marker", ErrorClass.NETWORK),
        ([], "empty response", ErrorClass.SERVER),
        ([event(), {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}], "busy", ErrorClass.SERVER),
        ([{"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1}]}], "before its end marker", ErrorClass.NETWORK),
    ],
)  # fmt: skip
def test_ends_that_are_none(events: Any, text: str, error_class: ErrorClass) -> None:
    progress = fed(GeminiRelay(FACTS), [body_of(*events)])

    assert progress.error is not None
    assert text in progress.error.message
    assert progress.error.error_class is error_class


def test_a_blocked_prompt_is_an_end_and_garbage_without_framing_an_error() -> None:
    blocked = body_of({"promptFeedback": {"blockReason": "SAFETY"}})

    assert fed(GeminiRelay(FACTS), [blocked, b"data: x\n\n"]).done
    error = fed(GeminiRelay(FACTS), [b"upstream connect error\n\n"]).error
    assert error is not None
    assert "upstream connect error" in error.message
