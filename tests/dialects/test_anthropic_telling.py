"""Whole answers told in Messages' form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.dialects.anthropic_telling import tell_count, tell_message
from bifrost.dialects.anthropic_words import usage_of
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.hub import Answer
from bifrost.dialects.openai_chat_answer import decode_chat_answer
from bifrost.dialects.tellings import retold
from bifrost.errors import UpstreamError
from bifrost.schema.call import Dialect, Operation

FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="openai",
    model_requested="m",
    sent_s=0.0,
    dialect=Dialect.ANTHROPIC,
    send_extra_fields=False,
)


def told(message: Any, finish: str = "stop", **more: Any) -> dict[str, Any]:
    value = {"choices": [{"message": message, "finish_reason": finish}], **more}
    body = json.dumps(value).encode()
    found: dict[str, Any] = json.loads(tell_message(Answer(value=value, body=body), FACTS))
    return found


def call(arguments: Any, name: str = "f", id_: str = "t") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_signature_that_its_call_carries_is_no_thinking() -> None:
    """Gemini's: whoever gets it back as a redacted thought of Claude's would refuse it."""
    details = [
        {"type": "reasoning.encrypted", "data": "c2ln", "id": "tool_call_c1"},
        {"type": "reasoning.encrypted", "data": "ZGF0YQ==", "id": "rs_1"},
    ]

    answer = told({"reasoning_details": details, "tool_calls": [call("{}", id_="c1_ts_c2ln")]})

    assert answer["content"] == [
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "tool_use", "id": "c1_ts_c2ln", "name": "f", "input": {}},
    ]


def test_everything_in_its_order() -> None:
    details = [
        {"type": "reasoning.text", "text": "hm", "signature": "s"},
        {"type": "reasoning.encrypted", "data": "ZGF0YQ=="},
        {"type": "reasoning.summary", "summary": "so"},
        {"type": "reasoning.text"},
        "odd",
    ]
    message = {"content": "Hi", "reasoning_details": details, "tool_calls": [call('{"b":1,"a":2}')]}

    answer = told(message, "tool_calls", id="c", model="m1", service_tier="standard")

    assert answer["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "thinking", "thinking": "so", "signature": ""},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"b": 1, "a": 2}},
    ]
    assert [*answer["content"][4]["input"]] == ["b", "a"]
    assert (answer["id"], answer["model"], answer["stop_reason"]) == ("c", "m1", "tool_use")
    assert answer["usage"]["service_tier"] == "standard"


def test_arguments_are_the_bytes_that_came() -> None:
    value = {
        "choices": [{"message": {"tool_calls": [call('{"n":12345678901234567890,\n"x":1.50}')]}}]
    }

    assert b'"input":{"n":12345678901234567890, "x":1.50}' in tell_message(
        Answer(value=value, body=b"{}"), FACTS
    )


@pytest.mark.parametrize("arguments", ["", "{", "[1]", "null", None, "[" * 9999])
def test_arguments_that_are_no_object_are_an_empty_one(arguments: Any) -> None:
    [block] = told({"content": None, "tool_calls": [call(arguments)]})["content"]

    assert block["input"] == {}


def test_a_call_without_an_id_gets_one_and_one_without_a_name_is_none() -> None:
    [block] = told({"tool_calls": [call("{}", id_=""), call("{}", name="")]})["content"]

    assert block["id"].startswith("toolu_")


@pytest.mark.parametrize("message", [None, {}, {"content": None}, {"content": ""}, "odd"])
def test_content_is_a_list_even_of_nothing(message: Any) -> None:
    answer = told(message)

    assert answer["content"] == []
    assert answer["id"].startswith("msg_")
    assert answer["model"] == "m"
    assert answer["usage"]["input_tokens"] == 0


def test_an_answer_without_choices_is_a_message_all_the_same() -> None:
    answer = json.loads(tell_message(Answer(value={"choices": []}, body=b"{}"), FACTS))

    assert (answer["content"], answer["stop_reason"]) == ([], "end_turn")


def test_a_signature_goes_with_the_thinking_that_came_without_it() -> None:
    details = [{"type": "reasoning.text", "signature": "s"}]

    assert told({"reasoning": "hm", "reasoning_details": details})["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"}
    ]


def test_reasoning_and_a_refusal() -> None:
    answer = told({"reasoning": "hm", "content": None, "refusal": "No."}, "content_filter")

    assert answer["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "No."},
    ]
    assert answer["stop_reason"] == "refusal"


USAGES: list[tuple[Any, tuple[int, int, int, int]]] = [
    (None, (0, 0, 0, 0)),
    ({"prompt_tokens": 9, "completion_tokens": 2}, (9, 0, 0, 2)),
    ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}, (5, 4, 0, 0)),
    (
        {
            "prompt_tokens": 9,
            "prompt_tokens_details": {"cached_read_tokens": 4, "cached_write_tokens": 3},
        },
        (2, 4, 3, 0),
    ),
    ({"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}, (0, 4, 0, 0)),
]


@pytest.mark.parametrize(("usage", "expected"), USAGES)
def test_what_was_cached_is_not_input(usage: Any, expected: tuple[int, int, int, int]) -> None:
    counts = usage_of(usage)

    names = (
        "input_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "output_tokens",
    )
    assert tuple(counts[name] for name in names) == expected


def test_what_was_thought_is_counted() -> None:
    usage = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}

    assert usage_of(usage)["output_tokens_details"] == {"thinking_tokens": 4}


def test_a_tier_that_anthropic_does_not_know_is_not_told() -> None:
    assert "service_tier" not in usage_of(None, "flex")


def test_an_answer_of_openais_is_told_and_counted() -> None:
    body = b'{"id":"c","choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3}}'

    answer = retold(decode_chat_answer(body, FACTS), body, FACTS)

    assert json.loads(answer.body)["content"] == [{"type": "text", "text": "Hi"}]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3


def test_a_count() -> None:
    facts = FACTS
    assert facts.operation is Operation.CHAT
    answer = Answer(value={"object": "response.input_tokens", "input_tokens": 7}, body=b"")

    assert tell_count(answer, facts) == b'{"input_tokens":7}'


def test_a_count_that_is_none_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        tell_count(Answer(value={"input_tokens": None}, body=b""), FACTS)
