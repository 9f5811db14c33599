from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.secret import Secret
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.openai_chat_answer import decode_chat_answer
from bifrost.errors import ErrorClass, UpstreamError
from bifrost.record import Usage

FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="groq",
    model_requested="m",
    sent_s=10.0,
    received_s=10.1234,
)
BARE = attrs.evolve(FACTS, send_extra_fields=False)
EXTRA = {
    "request_type": "chat_completion",
    "provider": "groq",
    "model_requested": "m",
    "latency": 123,
    "chunk_index": 0,
}


def answer(content: Any = "Hi", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    return {"id": "c", "choices": [choice], **more}


def decode(value: Any, facts: AnswerFacts = FACTS) -> Any:
    return json.loads(decode_chat_answer(json.dumps(value).encode(), facts).body)


def test_answer_passes_with_extra_fields() -> None:
    assert decode(answer()) == {**answer(), "extra_fields": EXTRA}


def test_without_extra_fields_it_is_byte_for_byte_the_upstreams() -> None:
    body = b'\xef\xbb\xbf{ "choices" : [],\n "x":1.10 }\n'

    assert decode_chat_answer(body, BARE).body == body[3:]


def test_verbatim_it_is_the_upstreams_too() -> None:
    facts = attrs.evolve(FACTS, raw_verbatim=True, raw_response=True)
    body = b'{"x":1, "extra_fields":{}}'

    assert decode_chat_answer(body, facts).body == body


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])).filter(
            lambda n: n not in {"error", "message", "detail"}
        ),
        st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-9, 9) | st.none(),
    )
)
def test_any_object_gets_extra_fields_and_choices_and_keeps_all_else(value: dict[str, Any]) -> None:
    told = decode(value)

    assert told == {"choices": [], **value, "extra_fields": EXTRA}


def test_everything_the_gateway_can_tell_is_told() -> None:
    facts = attrs.evolve(
        FACTS,
        model_deployment="dep",
        raw_request=b"no json\xff",
        raw_response=True,
        dropped_params=("store", "user"),
        response_headers=(("x-a", "1"),),
        received_s=None,
    )

    assert decode(answer(), facts)["extra_fields"] == {
        **EXTRA,
        "model_deployment": "dep",
        "latency": 0,
        "raw_request": "no json�",
        "raw_response": answer(),
        "dropped_params": ["store", "user"],
        "provider_response_headers": {"x-a": "1"},
    }


def test_extra_fields_of_a_gateway_behind_give_way() -> None:
    body = json.dumps(answer(extra_fields={"provider": "far"})).encode()

    assert decode_chat_answer(body, FACTS).body.count(b'"extra_fields"') == 1
    assert b"far" not in decode_chat_answer(body, BARE).body


def test_usage_is_read() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    body = json.dumps(answer(usage=usage)).encode()

    told = decode_chat_answer(body, FACTS).usage

    assert told == Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7)
    assert decode_chat_answer(b'{"choices":[],"usage":null}', FACTS).usage is None


def test_list_of_texts_becomes_one_text() -> None:
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    value = answer(texts)
    value["choices"].append(value["choices"][0])

    told = decode(value, BARE)

    assert told["choices"][0]["message"]["content"] == "a\n\nb"
    assert told["choices"][1]["message"]["content"] == texts


@pytest.mark.parametrize(
    "value",
    [
        answer([{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}]),
        answer([{"type": "text", "text": 1}]),
        answer("x", logprobs={"content": [1]}),
        {"choices": [], "content": [1]},
        {"choices": [{"message": 1}], "content": [1]},
        {"choices": [{"message": {"content": {"content": []}}}]},
    ],
)
def test_other_content_stays(value: Any) -> None:
    assert decode(value, BARE) == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty response received from provider"),
        (b" \n", "empty response received from provider"),
        (b"<!DOCTYPE html><p>", "HTML response received from provider"),
        (b"null", "failed to unmarshal response from provider API"),
        (b"[]", "failed to unmarshal response from provider API"),
        (b'{"choices":', "failed to unmarshal response from provider API"),
        (b'{"choices":[],"a":"\xff"}', "failed to unmarshal response from provider API"),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        decode_chat_answer(body, FACTS)

    assert caught.value.message == message
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("value", "status", "error_class"),
    [
        ({"error": {"message": "x KEY-1234", "code": 429}}, 429, ErrorClass.RATE_LIMIT),
        ({"error": {"message": "x KEY-1234"}, "choices": []}, 502, ErrorClass.SERVER),
        ({"message": "x KEY-1234", "type": "invalid_request_error"}, 400, ErrorClass.CLIENT),
        ({"detail": "x KEY-1234"}, 502, ErrorClass.SERVER),
    ],
)
def test_refusal_in_a_200_is_an_error(value: Any, status: int, error_class: ErrorClass) -> None:
    facts = attrs.evolve(FACTS, key=Secret("KEY-1234"))

    told = decode_chat_answer(json.dumps(value).encode(), facts)

    assert told.error is not None
    assert (told.error.status, told.error.error_class) == (status, error_class)
    assert told.error.message == "x ***"


def test_error_that_says_nothing_is_none() -> None:
    assert decode(answer(error=None), BARE) == answer(error=None)
    assert decode(answer(error={"a": 1}), BARE) == answer(error={"a": 1})
