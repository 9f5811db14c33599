"""Whole answers in Gemini's dialect: Google's own types take every one of them."""

from __future__ import annotations

import base64
import copy
import json
import struct
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json import dumps
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.gemini_signatures import NONE_NEEDED, split_id
from bifrost.dialects.gemini_telling import tell_generated
from bifrost.dialects.gemini_thoughts import unwrapped, without_ours, wrapped
from bifrost.dialects.gemini_words import finish_of
from bifrost.dialects.hub import Answer
from bifrost.dialects.tellings import telling_of, told
from bifrost.errors import UpstreamError
from bifrost.schema.call import Dialect, Native, Operation

Object = dict[str, Any]

SHOWN = Native(
    dialect=Dialect.GEMINI,
    members={"generationConfig": b'{"thinkingConfig":{"includeThoughts":true}}'},
)
HIDDEN = Native(dialect=Dialect.GEMINI, members={})
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4, "text_tokens": 6, "image_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
}


def facts(
    operation: Operation = Operation.CHAT, native: Native = HIDDEN, **members: bytes
) -> AnswerFacts:
    return AnswerFacts(
        request_type=operation.value,
        provider="p",
        model_requested="asked",
        sent_s=1.0,
        operation=operation,
        dialect=Dialect.GEMINI,
        native=native,
        members=members,
    )


def answer(message: Object, finish: object = "stop", **more: Any) -> Object:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "c-1", "model": "m", "choices": [choice], **more}


def tell(value: Object, of: AnswerFacts | None = None) -> Object:
    plain = told(Answer(value=value, body=dumps(value)), of or facts())
    assert plain.error is None
    found: Object = json.loads(plain.body)
    return found


def generated(value: Object, native: Native = HIDDEN) -> Object:
    """The answer as it is told, which Google's own type takes."""
    found = tell(value, facts(native=native))
    types.GenerateContentResponse.model_validate(copy.deepcopy(found))
    return found


def candidate(message: Object, finish: object = "stop", native: Native = HIDDEN) -> Object:
    [only] = generated(answer(message, finish), native)["candidates"]
    found: Object = only
    return found


def parts(message: Object, native: Native = HIDDEN) -> list[Object]:
    found: list[Object] = candidate(message, native=native)["content"]["parts"]
    return found


def call(name: str = "f", arguments: object = "{}", call_id: str = "a") -> Object:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_an_answer() -> None:
    assert generated(answer({"role": "assistant", "content": "Hello"}, usage=USAGE)) == {
        "candidates": [
            {
                "content": {"parts": [{"text": "Hello"}], "role": "model"},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "modelVersion": "m",
        "responseId": "c-1",
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 3,
            "totalTokenCount": 14,
            "thoughtsTokenCount": 2,
            "cachedContentTokenCount": 4,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 6},
                {"modality": "IMAGE", "tokenCount": 3},
            ],
        },
    }


def test_each_choice_is_a_candidate() -> None:
    value = answer({"content": "a"})
    value["choices"].append({"index": 1, "message": {"content": "b"}, "finish_reason": "length"})

    first, second = generated(value)["candidates"]

    assert (first["index"], second["index"], second["finishReason"]) == (0, 1, "MAX_TOKENS")


@pytest.mark.parametrize("value", [{}, {"choices": None}, {"choices": [1]}, {"usage": 1}])
def test_an_answer_that_says_nothing(value: Object) -> None:
    found = tell(value)

    assert (found["candidates"], found["modelVersion"]) == ([], "asked")
    assert len(found["responseId"]) == 24


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("stop", "STOP"),
        ("length", "MAX_TOKENS"),
        ("tool_calls", "STOP"),
        ("function_call", "STOP"),
        ("content_filter", "SAFETY"),
        ("RECITATION", "RECITATION"),
        ("compaction", "OTHER"),
        ("X" * 65, "OTHER"),
        (None, "STOP"),
        ("", "STOP"),
        (1, "STOP"),
    ],
)
def test_why_it_ended(reason: object, ours: str) -> None:
    assert finish_of(reason) == ours


def test_nothing_said_is_an_empty_text() -> None:
    assert parts({"content": None}) == [{"text": ""}]
    assert candidate({}, "content_filter")["finishReason"] == "SAFETY"


def test_words_refusals_pictures_and_sound() -> None:
    message = {
        "content": [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "data:image/webp;base64,aGk="}},
            {"type": "image_url", "image_url": "data:;base64,aGk="},
        ],
        "images": [{"image_url": {"url": "https://x/y.png"}}, {"image_url": {"url": "data:x"}}],
        "refusal": "no",
        "audio": {"data": "aGk="},
    }

    assert parts(message) == [
        {"text": "a"},
        {"text": "no"},
        {"inlineData": {"mimeType": "image/webp", "data": "aGk="}},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"fileData": {"mimeType": "image/*", "fileUri": "https://x/y.png"}},
        {"fileData": {"mimeType": "image/*", "fileUri": "data:x"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
    ]


def test_calls() -> None:
    message = {
        "content": "a",
        "tool_calls": [
            call(arguments='{"b":1,"a":2}'),
            call("g", "", ""),
            call("h", {"x": 1}, "c"),
            call(""),
        ],
    }

    text, first, second, third = parts(message)

    assert text == {"text": "a"}
    assert json.dumps(first["functionCall"]) == json.dumps(
        {"id": "a", "name": "f", "args": {"b": 1, "a": 2}}
    )
    assert second["functionCall"]["args"] == {}
    assert second["functionCall"]["id"].startswith("call_")
    assert third["functionCall"] == {"id": "c", "name": "h", "args": {"x": 1}}


def test_arguments_are_told_as_they_were_written() -> None:
    arguments = '{"z":12345678901234567890123, "a":1.0,\n "e":1E+2}'
    function = {"name": "f", "arguments": arguments}
    called = {"id": "c", "type": "function", "function": function}
    value = {"choices": [{"message": {"tool_calls": [called]}}]}

    body = tell_generated(
        Answer(value=value, body=b"{}"),
        AnswerFacts(request_type="chat_completion", provider="p", model_requested="m", sent_s=0.0),
    )

    assert b'"args":{"z":12345678901234567890123,"a":1.0,"e":1E+2}' in body


@pytest.mark.parametrize("arguments", ["{", "[1]", '"x"'])
def test_a_call_that_is_none_is_told_as_gemini_tells_it(arguments: str) -> None:
    found = told(
        Answer(value=answer({"tool_calls": [call(arguments=arguments)]}, "tool_calls"), body=b""),
        facts(),
    )
    [only] = json.loads(found.body)["candidates"]

    assert only["finishReason"] == "MALFORMED_FUNCTION_CALL"
    assert only["finishMessage"].startswith("Malformed function call: f(")
    assert only["content"]["parts"] == [{"text": ""}]


# Thinking

BLOCK = {"index": 0, "type": "reasoning.text", "text": "Hm.", "signature": "s=="}
SECRET = {"index": 1, "type": "reasoning.encrypted", "data": "x"}


def test_thoughts_are_shown_to_those_who_ask() -> None:
    message = {"content": "a", "reasoning": "Hm."}

    assert parts(message) == [{"text": "a"}]
    assert parts(message, SHOWN) == [{"text": "Hm.", "thought": True}, {"text": "a"}]


def test_blocks_that_have_to_come_back_go_with_the_first_call() -> None:
    message = {"tool_calls": [call(), call("g")], "reasoning_details": [BLOCK, SECRET]}

    first, second = parts(message)

    assert unwrapped(first["thoughtSignature"]) == [BLOCK, SECRET]
    assert "thoughtSignature" not in second


def test_without_a_call_they_have_a_part_of_their_own() -> None:
    text, own = parts({"content": "a", "reasoning_details": [BLOCK]})

    assert text == {"text": "a"}
    assert own["text"] == ""
    assert unwrapped(own["thoughtSignature"]) == [BLOCK]


def test_blocks_that_nobody_knows_again_stay_here() -> None:
    assert parts({"content": "a", "reasoning_details": [{**BLOCK, "signature": None}, 1]}) == [
        {"text": "a"}
    ]


def test_geminis_own_signatures_stand_where_gemini_puts_them() -> None:
    own = {"type": "reasoning.encrypted", "id": "tool_call_b", "data": "c2ln"}
    of_text = {"type": "reasoning.encrypted", "id": "thought_signature", "data": "dGV4dA=="}
    message = {
        "content": "x",
        "tool_calls": [call(call_id="a_ts_-_8"), call("g", call_id="b")],
        "reasoning_details": [own, of_text],
    }

    text, first, second, last = parts(message)

    assert text == {"text": "x"}
    assert (first["functionCall"]["id"], first["thoughtSignature"]) == ("a", "+/8=")
    assert (second["functionCall"]["id"], second["thoughtSignature"]) == ("b", "c2ln")
    assert last == {"text": "", "thoughtSignature": "dGV4dA=="}


@pytest.mark.parametrize("call_id", ["a", "_ts_x", "a_ts_", "a_ts_x", ""])
def test_an_id_without_a_signature(call_id: str) -> None:
    assert split_id(call_id) == (call_id, None)


def test_gemini_never_sees_our_signatures() -> None:
    ours = wrapped([BLOCK]).replace("+", "-").replace("/", "_")
    raw = b'[{"parts":[{"thoughtSignature":"%b"},{"thoughtSignature":"c2ln"}]}]' % ours.encode()

    assert json.loads(without_ours(raw)) == [
        {"parts": [{"thoughtSignature": NONE_NEEDED}, {"thoughtSignature": "c2ln"}]}
    ]
    assert without_ours(b'["c2ln"]') == b'["c2ln"]'


# What else there is


def test_citations() -> None:
    cited = {"url": "https://x", "title": "X", "start_index": 1, "end_index": 2}
    message = {"content": "a", "annotations": [{"type": "url_citation", "url_citation": cited}]}

    assert candidate(message)["citationMetadata"] == {
        "citationSources": [{"startIndex": 1, "endIndex": 2, "uri": "https://x", "title": "X"}]
    }


@pytest.mark.parametrize("top", [[], [{"token": "b", "logprob": -2.0}]])
def test_logprobs(top: list[Object]) -> None:
    value = answer({"content": "a"})
    value["choices"][0]["logprobs"] = {
        "content": [{"token": "a", "logprob": -0.5, "top_logprobs": top}]
    }

    result = generated(value)["candidates"][0]["logprobsResult"]

    assert result["chosenCandidates"] == [{"token": "a", "logProbability": -0.5}]
    assert result.get("topCandidates", []) == (
        [{"candidates": [{"token": "b", "logProbability": -2.0}]}] if top else []
    )


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "content tool_calls function name arguments id reasoning_details text data signature audio images".split()  # noqa: SIM905  a list of names
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(JSON, JSON)
def test_whatever_an_upstream_says_is_told(message: Any, usage: Any) -> None:
    value = answer(message, usage=usage)
    try:
        body = dumps(value)
    except TypeError:
        return
    plain = telling_of(facts()).plain(Answer(value=json.loads(body), body=body), facts())

    [only] = json.loads(plain)["candidates"]
    assert only["content"]["parts"]


# Counts and embeddings


def test_a_count() -> None:
    assert tell({"input_tokens": 7}, facts(Operation.COUNT_TOKENS)) == {"totalTokens": 7}
    with pytest.raises(UpstreamError):
        tell({"input_tokens": True}, facts(Operation.COUNT_TOKENS))


def embedded(asked: bytes, *vectors: object) -> Object:
    data = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return tell({"data": data}, facts(Operation.EMBEDDING, input=asked))


def test_embeddings() -> None:
    packed = base64.b64encode(struct.pack("<2f", 1.0, 2.5)).decode()

    assert embedded(b'"a"', [1, 2.5]) == {"embedding": {"values": [1, 2.5]}}
    assert embedded(b'["a","b"]', [1, 2.5], packed) == {
        "embeddings": [{"values": [1, 2.5]}, {"values": [1.0, 2.5]}]
    }


@pytest.mark.parametrize(
    ("asked", "vectors"),
    [
        (b'"a"', []),
        (b'"a"', [[1], [2]]),
        (b'["a"]', [[1], [2]]),
        (b'"a"', ["!"]),
        (b'"a"', [None]),
        (b'"a"', ["aGk="]),
    ],
)
def test_embeddings_that_are_none(asked: bytes, vectors: list[object]) -> None:
    with pytest.raises(UpstreamError):
        embedded(asked, *vectors)


@pytest.mark.parametrize("data", [None, [1]])
def test_an_answer_without_embeddings(data: object) -> None:
    with pytest.raises(UpstreamError):
        tell({"data": data}, facts(Operation.EMBEDDING, input=b'"a"'))
