"""Whole chat answers as Responses: every member that OpenAI's own type asks for, and each row of the contract."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

from bifrost.config.secret import Secret
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bridge_answer import chat_to_responses
from bifrost.dialects.bridge_output import stem_of
from bifrost.errors import ErrorClass, UpstreamError
from bifrost.record import Usage

FACTS = AnswerFacts(
    request_type="responses",
    provider="groq",
    model_requested="m",
    sent_s=10.0,
    received_s=10.1234,
)
BARE = attrs.evolve(FACTS, send_extra_fields=False)
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0, "cached_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": None},
    "cost": 0.5,
}
STEM = stem_of("chatcmpl-1")


def answer(message: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 17, "model": "m-1"}
    return {**head, "choices": [choice], "usage": USAGE, **more}


def bridge(value: Any, facts: AnswerFacts = BARE, **members: Any) -> dict[str, Any]:
    """The Response for the chat answer ``value``; OpenAI's own type takes it."""
    body = json.dumps(value, indent=1).encode()
    request = {name: json.dumps(given).encode() for name, given in members.items()}
    made = chat_to_responses(body, facts, request).body
    Response.model_validate_json(made, strict=True)
    response: dict[str, Any] = json.loads(made)
    return response


def output(message: Any, finish: Any = "stop", **choice: Any) -> Any:
    value = answer(message, finish)
    value["choices"][0].update(choice)
    return bridge(value)["output"]


def part(text: str = "Hi", **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [], **more}


def message(*parts: Any, place: int = 0, status: str = "completed") -> dict[str, Any]:
    head = {"id": f"msg_{STEM}_{place}", "type": "message", "role": "assistant", "status": status}
    return {**head, "content": list(parts)}


def reasoning(text: str) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}]
    return {"id": f"rs_{STEM}_0", "type": "reasoning", "summary": summary, "status": "completed"}


def call(place: int, call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    head = {"id": f"fc_{STEM}_{place}", "type": "function_call", "status": "completed"}
    return {**head, "call_id": call_id, "name": name, "arguments": arguments}


def tool_call(call_id: Any = "c1", name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def test_answer_is_a_response_with_the_defaults() -> None:
    assert bridge(answer({"role": "assistant", "content": "Hi"})) == {
        "id": "chatcmpl-1",
        "object": "response",
        "created_at": 17,
        "status": "completed",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": "m-1",
        "output": [message(part())],
        "usage": {
            "cost": 0.5,
            "input_tokens": 9,
            "input_tokens_details": {
                "cached_tokens": 4,
                "audio_tokens": 0,
                "cache_write_tokens": 2,
            },
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 12,
        },
        "background": False,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {},
        "safety_identifier": None,
        "service_tier": "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
        "metadata": {},
        "presence_penalty": 0,
        "frequency_penalty": 0,
    }


def test_values_of_the_request_are_echoed() -> None:
    said: dict[str, Any] = {
        "instructions": "Be brief.",
        "temperature": 0.25,
        "max_output_tokens": 50,
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low"},
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": False,
    }
    told = bridge(
        answer({"content": "Hi"}),
        **said,
        text={"verbosity": "low", "format": None},
        tools=[{"type": "function", "name": "f"}, {"type": "web_search"}],
        top_p=None,
        input="Hi",
        service_tier="flex",
    )

    assert {name: told[name] for name in said} == said
    assert told["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert told["tools"] == [
        {"type": "function", "name": "f", "parameters": None, "strict": None},
        {"type": "web_search"},
    ]
    assert told["top_p"] == 1.0
    assert told["service_tier"] == "flex"
    assert "input" not in told


def test_what_the_upstream_tells_beside_its_choices_is_carried() -> None:
    told = bridge(
        answer({"content": "Hi[1]"}, service_tier="default", citations=["https://x"]),
        service_tier="auto",
    )

    assert (told["service_tier"], told["citations"]) == ("default", ["https://x"])


@pytest.mark.parametrize(
    ("said", "items"),
    [
        ({"content": "Hi"}, [message(part())]),
        ({"content": ""}, []),
        ({"content": None}, []),
        (None, []),
        ("Hi", []),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, [message(part("ab"))]),
        ({"content": [{"type": "image"}, 5, {"type": "text", "text": 5}]}, []),
        ({"content": None, "refusal": "No."}, [message({"type": "refusal", "refusal": "No."})]),
        ({"content": "Hm.", "refusal": "No."}, [message(part("Hm."), {"type": "refusal", "refusal": "No."})]),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, [message({"type": "refusal", "refusal": "No."})]),
        ({"content": "Hi", "reasoning": "hm"}, [reasoning("hm"), message(part(), place=1)]),
        ({"content": "Hi", "reasoning_content": "hm"}, [reasoning("hm"), message(part(), place=1)]),
        (
            {"content": "Hi", "reasoning_details": [{"type": "reasoning.text", "text": "h"}, {"type": "reasoning.summary", "summary": "m"}]},
            [reasoning("hm"), message(part(), place=1)],
        ),
        (
            {"content": "Hi", "reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
            [reasoning("hm"), message(part(), place=1)],
        ),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Hi"}]},
            [reasoning("hm"), message(part(), place=1)],
        ),
        ({"content": [{"type": "thinking", "thinking": "hm"}]}, [reasoning("hm")]),
        (
            {"content": "Hi", "tool_calls": [tool_call("a", "f"), tool_call("b", "g", "")]},
            [message(part()), call(1, "a", "f"), call(2, "b", "g", "")],
        ),
        (
            {"tool_calls": [tool_call("same", "f", "1"), tool_call("same", "f", "2")]},
            [call(0, "same", "f", "1"), call(1, "same", "f", "2")],
        ),
        (
            {"tool_calls": [tool_call(None, "f"), tool_call("", "f")]},
            [call(0, f"call_{STEM}_0"), call(1, f"call_{STEM}_1")],
        ),
        ({"tool_calls": [tool_call(arguments={"b": 1, "a": 2})]}, [call(0, "c1", arguments='{"b":1,"a":2}')]),
        ({"tool_calls": [tool_call(arguments=None), None]}, [call(0, "c1", arguments="")]),
        ({"tool_calls": [{"id": "c1"}]}, [call(0, "c1", "", "")]),
        ({"tool_calls": {"id": "c1"}}, []),
        (
            {"tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]},
            [{"id": f"ctc_{STEM}_0", "type": "custom_tool_call", "status": "completed", "call_id": "c1", "name": "sh", "input": "ls"}],
        ),
    ],
)  # fmt: skip
def test_message_becomes_items(said: Any, items: list[Any]) -> None:
    assert output(said) == items


def test_arguments_nested_beyond_what_can_be_written_are_none() -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"a": deep}

    assert output({"tool_calls": [tool_call(arguments=deep)]}) == [call(0, "c1", arguments="")]


def test_citations_are_flattened() -> None:
    cited = {"url": "https://x", "title": "X", "start_index": 1, "end_index": 2}
    said = {
        "content": "Hi",
        "annotations": [
            {"type": "url_citation", "url_citation": cited},
            {"type": "url_citation", "url_citation": {"url": "https://y", "start_index": "?"}},
            {"type": "file_citation", "file_citation": {}},
            {"type": "url_citation"},
        ],
    }

    bare = {"url": "https://y", "title": "", "start_index": 0, "end_index": 0}
    told = [{"type": "url_citation", **cited}, {"type": "url_citation", **bare}]
    assert output(said) == [message(part(annotations=told))]


def test_logprobs_go_with_the_text() -> None:
    one = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}
    told = {
        "content": [{**one, "top_logprobs": [one, {"token": "x", "logprob": -1, "bytes": None}]}]
    }

    items = output({"content": "Hi"}, logprobs=told)

    tops = [one, {"token": "x", "logprob": -1, "bytes": []}]
    assert items == [message(part(logprobs=[{**one, "top_logprobs": tops}]))]


@pytest.mark.parametrize(
    ("finish", "status", "incomplete", "error", "item"),
    [
        ("stop", "completed", None, None, "completed"),
        ("tool_calls", "completed", None, None, "completed"),
        (None, "completed", None, None, "completed"),
        ("eos", "completed", None, None, "completed"),
        (["odd"], "completed", None, None, "completed"),
        ("length", "incomplete", "max_output_tokens", None, "incomplete"),
        ("content_filter", "incomplete", "content_filter", None, "incomplete"),
        ("error", "failed", None, "server_error", "incomplete"),
    ],
)
def test_finish_reason_gives_the_status(
    finish: Any, status: str, incomplete: str | None, error: str | None, item: str
) -> None:
    told = bridge(answer({"content": "Hi", "reasoning": "hm"}, finish))

    assert told["status"] == status
    assert told["incomplete_details"] == (incomplete and {"reason": incomplete})
    assert (told["error"] or {}).get("code") == error
    assert [entry["status"] for entry in told["output"]] == ["completed", item]


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (None, None),
        ("odd", None),
        ({"prompt_tokens_details": {"cached_tokens": 1}}, None),
        (
            {"prompt_tokens": 1, "prompt_tokens_details": {"cached_write_tokens": "?"}},
            {
                "input_tokens": 1,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 1,
            },
        ),
    ],
)
def test_usage_is_told_in_whole_or_not_at_all(usage: Any, told: Any) -> None:
    assert bridge(answer({"content": "Hi"}, usage=usage))["usage"] == told


def test_usage_goes_into_the_record() -> None:
    body = json.dumps(answer({"content": "Hi"})).encode()

    assert chat_to_responses(body, FACTS, {}).usage == Usage(
        prompt_tokens=9,
        completion_tokens=3,
        total_tokens=12,
        cached_read_tokens=4,
        cached_write_tokens=2,
        reasoning_tokens=2,
        cost_nano_usd=500_000_000,
    )


@pytest.mark.parametrize("choices", [[], None, {}, ["odd"], 5])
def test_answer_without_choices_has_an_empty_output(choices: Any) -> None:
    assert bridge({"choices": choices, "id": "x"})["output"] == []


def test_what_the_upstream_leaves_out_is_made_up_the_same_way_each_time() -> None:
    value = {"choices": [{"message": {"content": "Hi"}}], "created": "odd", "model": 5}

    told = bridge(value)

    assert told["id"].startswith("resp_")
    assert (told["created_at"], told["model"]) == (0, "m")
    assert bridge(value) == told
    assert bridge({**value, "x": 1})["id"] != told["id"]


def test_extra_fields_stand_last() -> None:
    facts = attrs.evolve(
        FACTS,
        raw_request=b'{"a":1}',
        raw_response=True,
        raw_verbatim=True,
        dropped_params=("truncation",),
        response_headers=(("x-id", "1"),),
    )

    told = bridge(answer({"content": "Hi"}), facts)

    assert list(told)[-1] == "extra_fields"
    assert told["extra_fields"] == {
        "request_type": "responses",
        "provider": "groq",
        "model_requested": "m",
        "latency": 123,
        "chunk_index": 0,
        "raw_request": {"a": 1},
        "raw_response": answer({"content": "Hi"}),
        "dropped_params": ["truncation"],
        "provider_response_headers": {"x-id": "1"},
    }


def test_bom_is_taken_off() -> None:
    body = b"\xef\xbb\xbf" + json.dumps(answer({"content": "Hi"})).encode()

    assert json.loads(chat_to_responses(body, BARE, {}).body)["output"] == [message(part())]


def test_refusal_inside_a_200_is_an_error_without_the_key() -> None:
    facts = attrs.evolve(FACTS, key=Secret("sk-very-secret"))
    body = b'{"error":{"message":"slow down, sk-very-secret","code":"rate_limit_exceeded"}}'

    told = chat_to_responses(body, facts, {})

    assert told.error is not None
    assert told.error.error_class is ErrorClass.RATE_LIMIT
    assert "very-secret" not in told.error.message


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "empty response received from provider"),
        (b"<html>", "HTML response received from provider"),
        (b"[]", "failed to unmarshal response from provider API"),
        (b'{"choices":[],"x":1e999}', "failed to unmarshal response from provider API"),
        (b'{"choices":[],"x":"\xff"}', "failed to unmarshal response from provider API"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_an_error(body: bytes, text: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        chat_to_responses(body, FACTS, {})

    assert caught.value.message == text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("message", "content", "type", "text", "thinking", "refusal", "reasoning"),
                    *("tool_calls", "function", "custom", "id", "name", "arguments", "index"),
                    *("reasoning_details", "annotations", "url_citation", "logprobs", "token"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON, JSON, JSON)
@settings(deadline=None)
def test_garbage_is_a_response_too(choice: Any, message: Any, odd: Any) -> None:
    choices = [{**(choice if isinstance(choice, dict) else {}), "message": message}]

    bridge({"choices": choices, "id": odd, "model": odd, "created": odd, "usage": odd})
