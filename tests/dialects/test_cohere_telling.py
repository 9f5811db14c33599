"""Answers told to Cohere's callers, whole and streamed, held against the types of Cohere's own SDK."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import attrs
import pydantic
import pytest
from cohere.types import EmbedByTypeResponse
from cohere.v2.types import V2ChatResponse, V2ChatStreamResponse, V2RerankResponse
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs import sse
from bifrost.config.settings import KeySettings, ProviderSettings
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.cohere_teller import CohereTeller
from bifrost.dialects.hub import Answer
from bifrost.dialects.tellings import told as tell
from bifrost.errors import UnsupportedOperation, UpstreamError
from bifrost.providers.table import build_adapter
from bifrost.record import Usage
from bifrost.schema.call import Call, Dialect, Native, Operation, Surface, Target

FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="openai",
    model_requested="m",
    sent_s=1.0,
    dialect=Dialect.COHERE,
)
EVENTS: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(V2ChatStreamResponse)

USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 2},
}
TOLD_USAGE = {
    "billed_units": {"input_tokens": 7, "output_tokens": 3},
    "tokens": {"input_tokens": 7, "output_tokens": 3},
    "cached_tokens": 2,
}
CALLS = [
    {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"b":1,"a":2}'}},
    {"id": "d", "type": "function", "function": {"name": "g", "arguments": ""}},
]


def whole(message: dict[str, Any], reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": reason, **more}
    value = {"id": "x", "choices": [choice], "usage": USAGE}
    plain = tell(Answer(value=value, body=b"{}"), FACTS)
    told: dict[str, Any] = json.loads(plain.body)
    V2ChatResponse.model_validate(told)
    assert told.pop("id") == "x"
    return told


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"content": "a"}, {"content": [{"type": "text", "text": "a"}]}),
        ({"content": None}, {"content": [{"type": "text", "text": ""}]}),
        ({"content": None, "refusal": "no"}, {"content": [{"type": "text", "text": "no"}]}),
        ({"content": "a", "reasoning": "t"}, {"content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]}),
        ({"content": "a", "reasoning_content": "t"}, {"content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]}),
        (
            {"content": None, "reasoning": "tp", "reasoning_details": [{"type": "reasoning.text", "text": "t"}, {"type": "reasoning.text", "text": "p", "id": "tool_plan"}], "tool_calls": CALLS},
            {"content": [{"type": "thinking", "thinking": "t"}], "tool_plan": "p", "tool_calls": [CALLS[0], {"id": "d", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
        ),
        (
            {"content": "a", "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}]},
            {"content": [{"type": "text", "text": "a"}], "citations": [{"start": 0, "end": 1, "text": "", "sources": [{"type": "document", "id": "u", "document": {"url": "u", "title": "t"}}], "type": "TEXT_CONTENT"}]},
        ),
        (
            {"content": "a", "citations": [{"start": 0, "type": "PLAN"}], "annotations": [{"type": "url_citation", "url_citation": {"start_index": 5, "end_index": 6}, "citation": {"text": "x", "content_index": 3}}]},
            {"content": [{"type": "text", "text": "a"}], "citations": [{"text": "x", "start": 5, "end": 6}, {"start": 0, "type": "PLAN"}]},
        ),
    ],
)  # fmt: skip
def test_messages(message: dict[str, Any], told: dict[str, Any]) -> None:
    value = whole(message)

    assert value["message"] == {"role": "assistant", **told}
    assert value["usage"] == TOLD_USAGE


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "COMPLETE"),
        ("length", "MAX_TOKENS"),
        ("tool_calls", "TOOL_CALL"),
        ("function_call", "TOOL_CALL"),
        ("content_filter", "ERROR"),
        ("TIMEOUT", "TIMEOUT"),
        ("odd", "ODD"),
        (None, "COMPLETE"),
    ],
)
def test_finish_reasons(reason: str | None, told: str) -> None:
    assert whole({"content": "a"}, reason)["finish_reason"] == told


def test_whoever_calls_tools_is_done_with_them() -> None:
    assert whole({"tool_calls": CALLS}, "stop")["finish_reason"] == "TOOL_CALL"


def test_logprobs() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}

    assert whole({"content": "a"}, logprobs=logprobs)["logprobs"] == [
        {"text": "a", "token_ids": [], "logprobs": [-0.5]}
    ]


def test_an_answer_of_nothing() -> None:
    told = json.loads(tell(Answer(value={"choices": None}, body=b"{}"), FACTS).body)

    assert told["finish_reason"] == "COMPLETE"
    assert len(told["id"]) == 32
    assert "usage" not in told


def test_billed_units_are_the_upstreams_own() -> None:
    value = {"choices": [], "usage": {**USAGE, "billed_units": {"search_units": 1}}}

    told = json.loads(tell(Answer(value=value, body=b"{}"), FACTS).body)

    assert told["usage"]["billed_units"] == {"search_units": 1}


# Embeddings and rerank


def embedded(data: Any, **members: Any) -> dict[str, Any]:
    facts = attrs.evolve(
        FACTS,
        operation=Operation.EMBEDDING,
        members={n: json.dumps(v).encode() for n, v in {"input": ["a"], **members}.items()},
    )
    value = {"data": data, "usage": {"prompt_tokens": 4}}
    plain = tell(Answer(value=value, body=b"{}"), facts)
    told: dict[str, Any] = json.loads(plain.body)
    EmbedByTypeResponse.model_validate(told)
    assert plain.usage == Usage(prompt_tokens=4, total_tokens=4)
    return told


PACKED = base64.b64encode(struct.pack("<2f", 0.5, 1.0)).decode()


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (None, {"float": [[0.5, 1]]}),
        (["float"], {"float": [[0.5, 1]]}),
        (["base64"], {"base64": [PACKED]}),
        (["float", "base64"], {"float": [[0.5, 1]], "base64": [PACKED]}),
        (["int8"], {"float": [[0.5, 1]]}),
    ],
)
def test_embeddings(kinds: Any, told: dict[str, Any]) -> None:
    for vector in ([0.5, 1], PACKED):
        value = embedded([{"embedding": vector}], embedding_types=kinds)
        assert value["embeddings"] == told
        assert (value["texts"], value["response_type"]) == (["a"], "embeddings_by_type")
        assert value["meta"] == {"billed_units": {"input_tokens": 4}}


@pytest.mark.parametrize("vector", ["x", "AAAAAAA=", None, 5])
def test_what_is_no_vector(vector: Any) -> None:
    with pytest.raises(UpstreamError, match="failed to unmarshal"):
        embedded([{"embedding": vector}])


def test_reranks() -> None:
    results = [{"index": 1, "relevance_score": 0.5, "document": {"text": "b"}}]
    facts = attrs.evolve(FACTS, operation=Operation.RERANK)
    usage = {"billed_units": {"search_units": 1}}

    for more, meta in (({}, None), ({"usage": usage}, {"meta": usage})):
        value = {"id": "r", "results": results, **more}
        told = json.loads(tell(Answer(value=value, body=b"{}"), facts).body)
        V2RerankResponse.model_validate(told)
        assert told == {
            "id": "r",
            "results": [{"index": 1, "relevance_score": 0.5}],
            **(meta or {}),
        }


def test_tokens_that_only_cohere_could_name_are_asked_of_nobody_else() -> None:
    call = Call(
        id="1",
        operation=Operation.COUNT_TOKENS,
        stream=False,
        target=Target("openai", "m"),
        members={"model": b'"m"', "input": b'"a"'},
        native=Native(dialect=Dialect.COHERE, members={}),
        surface=Surface.COHERE,
    )
    adapter = build_adapter(ProviderSettings(name="openai"))

    with pytest.raises(UnsupportedOperation, match="cannot be told in the dialect of cohere"):
        adapter.encode(call, call.target, KeySettings(id="k", name="k"))


# Streams


def streamed(*deltas: dict[str, Any], **usage: Any) -> list[dict[str, Any]]:
    """The events that choices of ``deltas`` come to."""
    teller = CohereTeller(FACTS)
    out: list[bytes] = []
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        choice |= {
            name: delta.pop(name)
            for name in ("finish_reason", "logprobs", "index")
            if name in delta
        }
        teller.tell({"id": "x", "choices": [choice]}, b"", 1.0, out)
    teller.finish({"id": "x"}, json.dumps(usage or None).encode(), 1.0, out)
    assert teller.count == len(out) - 1
    assert out[-1] == sse.DONE
    decoder = sse.SSEDecoder()
    events = decoder.feed(b"".join(out))[:-1]
    values = [json.loads(event.data) for event in events]
    assert [event.event for event in events] == [value["type"] for value in values]
    for value in values:
        EVENTS.validate_python(value)
    return values


def kinds(values: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    return [(value["type"], value.get("index")) for value in values]


def test_blocks_begin_and_end_in_their_order() -> None:
    values = streamed(
        {"role": "assistant", "content": ""},
        {"reasoning": "t"},
        {"reasoning": "u"},
        {"content": "a"},
        {"content": "b", "logprobs": {"content": [{"token": "b", "logprob": -1.0}]}},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"b"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "id": "d", "function": {"name": "g"}}]},
        {"finish_reason": "tool_calls"},
        **USAGE,
    )

    assert kinds(values) == [
        ("message-start", None),
        ("content-start", 0),
        ("content-delta", 0),
        ("content-delta", 0),
        ("content-end", 0),
        ("content-start", 1),
        ("content-delta", 1),
        ("content-delta", 1),
        ("content-end", 1),
        ("tool-call-start", 0),
        ("tool-call-delta", 0),
        ("tool-call-delta", 0),
        ("tool-call-end", 0),
        ("tool-call-start", 1),
        ("tool-call-delta", 1),
        ("tool-call-end", 1),
        ("message-end", None),
    ]
    assert values[0]["id"] == "x"
    assert values[1]["delta"]["message"]["content"] == {"type": "thinking", "thinking": ""}
    assert values[7]["logprobs"] == {"text": "b", "token_ids": [], "logprobs": [-1.0]}
    assert values[14]["delta"]["message"]["tool_calls"]["function"]["arguments"] == "{}"
    assert values[-1]["delta"] == {"finish_reason": "TOOL_CALL", "usage": TOLD_USAGE}


def test_plans_and_citations() -> None:
    plan = {"index": 0, "type": "reasoning.text", "text": "p", "id": "tool_plan"}
    cited = {"url": "u", "title": "t", "start_index": 0, "end_index": 1}

    values = streamed(
        {"reasoning": "p", "reasoning_details": [plan]},
        {"content": "a", "annotations": [{"type": "url_citation", "url_citation": cited}]},
        {"refusal": "no"},
    )

    assert kinds(values) == [
        ("message-start", None),
        ("tool-plan-delta", None),
        ("content-start", 0),
        ("content-delta", 0),
        ("citation-start", 0),
        ("citation-end", 0),
        ("content-delta", 0),
        ("content-end", 0),
        ("message-end", None),
    ]
    assert values[1]["delta"]["message"] == {"tool_plan": "p"}
    assert values[-1]["delta"] == {"finish_reason": "COMPLETE", "usage": None}


def test_calls_without_ids_and_choices_that_do_not_count() -> None:
    values = streamed(
        {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        {"index": 1, "content": "not mine"},
        {"tool_calls": [{"id": "x", "function": {"name": "g", "arguments": "{}"}}]},
    )

    calls = [v["delta"]["message"]["tool_calls"] for v in values if v["type"] == "tool-call-start"]
    assert [(call["id"], call["function"]["name"]) for call in calls] == [("x_0", "f"), ("x", "g")]
    assert "content-start" not in {value["type"] for value in values}


def test_a_stream_of_nothing() -> None:
    assert kinds(streamed()) == [("message-start", None), ("message-end", None)]


PIECES = st.lists(
    st.one_of(
        st.text(max_size=4).map(lambda text: {"content": text}),
        st.text(max_size=4).map(lambda text: {"reasoning": text}),
        st.text(max_size=4).map(lambda text: {"refusal": text}),
    ),
    max_size=8,
)


@given(PIECES)
def test_the_events_come_to_the_whole_answer(pieces: list[dict[str, Any]]) -> None:
    values = streamed(*(dict(piece) for piece in pieces))

    said = {"text": "", "thinking": ""}
    depth = 0
    for value in values:
        depth += {"content-start": 1, "content-end": -1}.get(value["type"], 0)
        assert 0 <= depth <= 1
        if value["type"] == "content-delta":
            for name, text in value["delta"]["message"]["content"].items():
                said[name] += text
    told = [(n, t) for piece in pieces for n, t in piece.items()]
    assert said["thinking"] == "".join(text for name, text in told if name == "reasoning")
    assert said["text"] == "".join(text for name, text in told if name != "reasoning")
