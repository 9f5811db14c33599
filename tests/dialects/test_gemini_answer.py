"""Gemini's whole answers in OpenAI's words: every kind of part, every way to end, and what was used."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from bifrost.dialects.gemini_answer import decode_models, read_chat, read_count
from bifrost.dialects.gemini_signatures import bare_id, signed_id
from bifrost.errors import ErrorClass, UpstreamError
from bifrost.record import MediaUsage, Usage
from dialects.gemini import FACTS, PNG, SIGNATURE


def answered(*parts: Any, reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason}
    return {
        "candidates": [{**candidate, **more.pop("candidate", {})}],
        "responseId": "r1",
        "modelVersion": "gemini-2.5-flash-001",
        **more,
    }


def read(told: Any) -> Any:
    answer = read_chat(json.dumps(told).encode(), FACTS)
    assert answer.error is None
    ChatCompletion.model_validate(answer.value)
    return answer.value


def message_of(*parts: Any, **more: Any) -> Any:
    message = read(answered(*parts, **more))["choices"][0]["message"]
    return {name: value for name, value in message.items() if value not in (None, "assistant")}


def test_the_head() -> None:
    value = read(answered({"text": "Hello"}))

    assert value["id"] == "chatcmpl-r1"
    assert (value["object"], value["created"]) == ("chat.completion", 1_790_000_000)
    assert value["model"] == "gemini-2.5-flash-001"
    assert read({"candidates": [{}]})["model"] == "gemini-2.5-flash"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"text": "Hel"}, {"text": "lo"}], {"content": "Hello"}),
        (
            [{"text": "hm", "thought": True}, {"text": "m", "thought": True}, {"text": "Hello"}],
            {
                "content": "Hello",
                "reasoning": "hmm",
                "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "hmm"}],
            },
        ),
        (
            [{"text": "a", "thought": True, "thoughtSignature": SIGNATURE}, {"text": "b", "thought": True}],
            {
                "reasoning": "ab",
                "reasoning_details": [
                    {"index": 0, "type": "reasoning.text", "text": "a", "signature": SIGNATURE},
                    {"index": 1, "type": "reasoning.text", "text": "b"},
                ],
            },
        ),
        (
            [{"text": "Hello", "thoughtSignature": SIGNATURE}],
            {
                "content": "Hello",
                "reasoning_details": [{"index": 0, "type": "reasoning.encrypted", "data": SIGNATURE, "id": "thought_signature"}],
            },
        ),
        ([{"functionResponse": {"response": {"output": "x"}}}], {"content": "x"}),
        ([{"functionResponse": {"response": {"a": 1}}}], {"content": '{"a":1}'}),
        ([{"executableCode": {"language": "PYTHON", "code": "print(1)\n"}}], {"content": "\n```python\nprint(1)\n```\n"}),
        ([{"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}], {"content": "1"}),
        ([{"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "1"}}], {"content": "Error: 1"}),
        (
            [{"inlineData": {"mimeType": "image/png", "data": PNG}}, {"inlineData": {"data": PNG}}, {"inlineData": {}}],
            {
                "images": [
                    {"index": 0, "type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"index": 1, "type": "image_url", "image_url": {"url": f"data:application/octet-stream;base64,{PNG}"}},
                ]
            },
        ),
        ([{}, {"text": 1}, {"odd": True}], {}),
    ],
)  # fmt: skip
def test_parts(parts: Any, message: Any) -> None:
    assert message_of(*parts) == message


def test_sound() -> None:
    audio = read_chat(
        json.dumps(answered({"inlineData": {"mimeType": "audio/wav", "data": PNG}})).encode(), FACTS
    ).value["choices"][0]["message"]["audio"]

    assert (audio["data"], audio["transcript"]) == (PNG, "")


def test_calls_keep_their_signatures_in_both_places() -> None:
    call = {"id": "c1", "name": "weather", "args": {"b": 1, "a": "é"}}
    value = read(answered({"functionCall": call, "thoughtSignature": SIGNATURE}))
    choice = value["choices"][0]

    [told] = choice["message"]["tool_calls"]
    assert told["id"] == signed_id("c1", SIGNATURE)
    assert told["type"] == "function"
    assert told["function"] == {"name": "weather", "arguments": '{"b":1,"a":"\\u00e9"}'}
    assert "index" not in told
    assert choice["message"]["reasoning_details"] == [
        {"index": 0, "type": "reasoning.encrypted", "data": SIGNATURE, "id": "tool_call_c1"}
    ]
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == "tool_calls"


ARGUMENTS = '{"z":12345678901234567890123,"a":1.0,"e":1E+2,"b":[0.10],"n":{"y":-0.0,"x":1}}'


@pytest.mark.parametrize("wrap", ["%s", "[%s]"])
@pytest.mark.parametrize(
    ("args", "arguments"),
    [(ARGUMENTS, ARGUMENTS), ('{ "b" :\n 1,\r\n"a": "x  y" }', '{"b":1,"a":"x  y"}'), ("7", "{}"), ("null", "{}")],
)  # fmt: skip
def test_arguments_are_told_as_they_were_written(args: str, arguments: str, wrap: str) -> None:
    """Decoded, numbers beyond 64 bits would be rounded."""
    call = f'{{"functionCall": {{"name": "f", "args": {args}}}}}'
    body = f'{{"candidates": [{{"content": {{"parts": [{{"text": "a"}}, {call}]}}}}]}}'

    value = read_chat(wrap.replace("%s", body).encode(), FACTS).value

    told = value["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert told == arguments


def test_arguments_of_an_odd_answer_are_told_all_the_same() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    value = read(answered("no part", call, {"functionCall": 7}))

    told = value["choices"][0]["message"]["tool_calls"][0]["function"]
    assert told == {"name": "f", "arguments": '{"a":1}'}


def test_calls_without_ids_get_different_ones() -> None:
    call = {"functionCall": {"name": "weather"}}
    value = read(answered(call, call))

    first, second = value["choices"][0]["message"]["tool_calls"]
    assert first["id"] != second["id"]
    assert bare_id(first["id"]) == first["id"]
    assert first["function"]["arguments"] == "{}"
    assert read(answered(call, call)) == value


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("STOP", "stop"),
        ("OTHER", "stop"),
        ("MALFORMED_FUNCTION_CALL", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("UNEXPECTED_TOOL_CALL", "tool_calls"),
        (None, "stop"),
    ],
)
def test_reasons(reason: str | None, told: str) -> None:
    value = read({"candidates": [{"finishReason": reason}]})

    [choice] = value["choices"]
    assert choice["finish_reason"] == told
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": None}


def test_a_reason_without_a_word_stays() -> None:
    body = b'{"candidates":[{"finishReason":"NEW_ONE"}]}'

    assert read_chat(body, FACTS).value["choices"][0]["finish_reason"] == "NEW_ONE"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "content_filter"),
        ({"candidates": []}, "stop"),
        ({"candidates": None, "promptFeedback": {}}, "stop"),
    ],
)
def test_no_candidate_is_an_empty_message(told: Any, reason: str) -> None:
    [choice] = read(told)["choices"]

    assert (choice["finish_reason"], choice["message"]["content"]) == (reason, None)


def test_several_candidates() -> None:
    told = answered({"text": "a"})
    told["candidates"] += [{**answered({"text": "b"})["candidates"][0], "index": 5}]

    choices = read(told)["choices"]

    assert [(c["index"], c["message"]["content"]) for c in choices] == [(0, "a"), (5, "b")]


def test_pages_are_cited() -> None:
    chunks = [{"web": {"uri": "https://x.example", "title": "X"}}, {"retrievedContext": {}}]
    body = answered({"text": "a"}, candidate={"groundingMetadata": {"groundingChunks": chunks}})

    [message] = [
        choice["message"] for choice in read_chat(json.dumps(body).encode(), FACTS).value["choices"]
    ]

    assert message["annotations"] == [
        {"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "X"}}
    ]


def test_logprobs() -> None:
    token = {"token": "é", "tokenId": 1, "logProbability": -0.5}
    result = {"chosenCandidates": [token, token], "topCandidates": [{"candidates": [token]}]}

    [choice] = read(answered({"text": "é"}, candidate={"logprobsResult": result}))["choices"]

    told = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    assert choice["logprobs"] == {
        "content": [{**told, "top_logprobs": [told]}, {**told, "top_logprobs": []}],
        "refusal": None,
    }


def test_usage_by_modality() -> None:
    metadata = {
        "promptTokenCount": 20,
        "toolUsePromptTokenCount": 4,
        "cachedContentTokenCount": 5,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 34,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 12},
            {"modality": "IMAGE", "tokenCount": 8},
            {"modality": "NEW", "tokenCount": 1},
        ],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
    }
    answer = read_chat(json.dumps(answered({"text": "a"}, usageMetadata=metadata)).encode(), FACTS)

    assert answer.value["usage"] == {
        "prompt_tokens": 24,
        "completion_tokens": 10,
        "total_tokens": 34,
        "prompt_tokens_details": {
            "text_tokens": 12, "image_tokens": 8, "cached_tokens": 5, "cached_read_tokens": 5,
        },
        "completion_tokens_details": {"text_tokens": 7, "reasoning_tokens": 3},
    }  # fmt: skip
    assert answer.usage == Usage(
        prompt_tokens=24,
        completion_tokens=10,
        total_tokens=34,
        cached_read_tokens=5,
        reasoning_tokens=3,
        media=MediaUsage(image_in_tokens=8),
    )
    assert "usage" not in read(answered({"text": "a"}, usageMetadata={"trafficType": "X"}))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"[1,2]", b'"x"', b"{"])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        read_chat(body, FACTS)


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_error_in_a_good_status(wrapped: bool) -> None:
    error: Any = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}
    body = json.dumps([error] if wrapped else error).encode()

    for read_it in (read_chat, read_count):
        told = read_it(body, FACTS).error
        assert told is not None
        assert (told.status, told.message) == (429, "slow down")
        assert told.error_class is ErrorClass.RATE_LIMIT


def test_counts() -> None:
    answer = read_count(b'{"totalTokens":31,"promptTokensDetails":[]}', FACTS)

    assert answer.value == {"object": "response.input_tokens", "input_tokens": 31}


def test_lists_of_models() -> None:
    body = b'{"models":[{"name":"models/gemini-x","displayName":"X"},{"name":""},7,{"name":"tunedModels/y"}]}'

    assert decode_models(body) == (
        {"name": "models/gemini-x", "displayName": "X", "id": "gemini-x", "owned_by": "google"},
        {"name": "tunedModels/y", "id": "tunedModels/y", "owned_by": "google"},
    )
    assert decode_models(b"{}") == ()
    for wrong in (b'{"data":[]}', b'{"models":7}', b"x"):
        with pytest.raises(UpstreamError):
            decode_models(wrong)
