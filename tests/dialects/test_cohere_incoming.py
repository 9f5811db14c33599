"""Requests of Cohere's API in OpenAI's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json import split_object
from bifrost.dialects.chat_request import read_chat as read_openai
from bifrost.dialects.cohere_incoming import (
    Incoming,
    read_chat,
    read_embed,
    read_rerank,
    read_tokenize,
)
from bifrost.dialects.cohere_messages import tell_messages
from bifrost.dialects.fields import Losses
from bifrost.errors import BadRequest

USER = {"role": "user", "content": "hi"}
LINKED = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"b":1,"a":2}'}}


def raw(members: dict[str, Any]) -> dict[str, bytes]:
    return split_object(json.dumps(members).encode())


def decoded(incoming: Incoming) -> dict[str, Any]:
    return {name: json.loads(value) for name, value in incoming.members.items()}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"max_tokens": 5, "p": 0.5, "k": 3}, {"max_completion_tokens": 5, "top_p": 0.5, "top_k": 3}),
        ({"temperature": 0.1, "seed": 1, "frequency_penalty": 0.2, "presence_penalty": 0.3, "logprobs": True, "stream": True}, {"temperature": 0.1, "seed": 1, "frequency_penalty": 0.2, "presence_penalty": 0.3, "logprobs": True, "stream": True}),
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}),
        ({"tools": [TOOL], "tool_choice": "REQUIRED"}, {"tools": [TOOL], "tool_choice": "required"}),
        ({"tools": [TOOL], "tool_choice": "NONE"}, {"tools": [TOOL], "tool_choice": "none"}),
        ({"tools": [TOOL], "strict_tools": True}, {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}]}),
        ({"strict_tools": False}, {}),
        ({"response_format": {"type": "text"}}, {"response_format": {"type": "text"}}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"response_format": {"type": "json_object", "schema": {"a": 1}}}, {"response_format": {"type": "json_schema", "json_schema": {"name": "response", "schema": {"a": 1}}}}),
        ({"response_format": {"type": "json_object", "json_schema": {"a": 1}}}, {"response_format": {"type": "json_schema", "json_schema": {"name": "response", "schema": {"a": 1}}}}),
        ({"thinking": {"type": "enabled"}}, {"reasoning": {"enabled": True}}),
        ({"thinking": {"type": "enabled", "token_budget": 9}}, {"reasoning": {"max_tokens": 9}}),
        ({"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}),
        ({"documents": ["d"], "safety_mode": "OFF", "temperature": None}, {"documents": ["d"], "safety_mode": "OFF"}),
    ],
)  # fmt: skip
def test_members(given: dict[str, Any], told: dict[str, Any]) -> None:
    incoming = read_chat(raw({"model": "m", "messages": [USER], **given}))

    assert decoded(incoming) == {"model": "m", "messages": [USER], **told}
    assert incoming.lost == ()


@pytest.mark.parametrize(
    ("given", "lost"),
    [
        ({"strict_tools": True}, "strict_tools"),
        ({"thinking": {"type": "disabled", "token_budget": 5}}, "thinking.token_budget"),
        ({"messages": [{"role": "assistant", "content": "a", "citations": [{"start": 0}]}]}, "messages.citations"),
    ],
)  # fmt: skip
def test_what_has_no_word_is_named(given: dict[str, Any], lost: str) -> None:
    assert read_chat(raw({"model": "m", "messages": [USER], **given})).lost == (lost,)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"role": "system", "content": "s"}, {"role": "system", "content": "s"}),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, LINKED]}, {"role": "user", "content": [{"type": "text", "text": "a"}, LINKED]}),
        ({"role": "assistant", "content": "a"}, {"role": "assistant", "content": "a"}),
        ({"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, {"role": "assistant", "content": "ab"}),
        (
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}], "tool_plan": "p", "tool_calls": [CALL]},
            {
                "role": "assistant", "content": None, "reasoning": "tp", "tool_calls": [CALL],
                "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "t"}, {"index": 1, "type": "reasoning.text", "text": "p", "id": "tool_plan"}],
            },
        ),
        ({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]}, {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
        ({"role": "tool", "tool_call_id": "c", "content": "42"}, {"role": "tool", "tool_call_id": "c", "content": "42"}),
        (
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "a"}, {"type": "document", "document": {"id": "d", "data": {"x": 1}}}]},
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": '{"id":"d","data":{"x":1}}'}]},
        ),
    ],
)  # fmt: skip
def test_messages(message: dict[str, Any], told: dict[str, Any]) -> None:
    assert decoded(read_chat(raw({"messages": [message]})))["messages"] == [told]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"messages": {}}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"role": "narrator"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "sound"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": 5}]}]}, "messages[0].tool_calls[0].function"),
        ({"messages": [{"role": "tool", "content": [{"type": "document"}]}]}, "messages[0].content[0].document"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
    ],
)  # fmt: skip
def test_what_has_not_its_shape_is_refused_with_its_place(
    given: dict[str, Any], place: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        read_chat(raw(given))
    assert caught.value.param == place


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(BadRequest, match="Invalid JSON"):
        read_chat({"messages": b"[1e999999999999999999999x]"})


def test_embeddings() -> None:
    inputs = [{"content": [{"type": "text", "text": "b"}, LINKED]}]
    given = {"model": "m", "texts": ["a"], "images": ["data:,"], "inputs": inputs}
    more = {"input_type": "search_query", "output_dimension": 5, "embedding_types": ["float"]}

    assert decoded(read_embed(raw({**given, **more}))) == {
        "model": "m",
        "input": [
            "a",
            {"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            *inputs,
        ],
        "dimensions": 5,
        "input_type": "search_query",
        "embedding_types": ["float"],
    }
    with pytest.raises(BadRequest, match=r"texts\[0\].text must be a string"):
        read_embed(raw({"texts": [5]}))


def test_reranks_and_counts() -> None:
    assert decoded(read_rerank(raw({"query": "q", "top_n": None}))) == {"query": "q"}
    assert decoded(read_tokenize(raw({"model": "m", "text": "t"}))) == {"model": "m", "input": "t"}


WORDS = st.text(min_size=1, max_size=5)
ASSISTANTS = st.builds(
    lambda texts, thoughts, plan: {
        "role": "assistant",
        "content": [
            *({"type": "thinking", "thinking": text} for text in thoughts),
            {"type": "text", "text": texts},
        ],
        **({"tool_plan": plan, "tool_calls": [CALL]} if plan else {}),
    },
    WORDS,
    st.lists(WORDS, max_size=3),
    st.text(max_size=5),
)
MESSAGES = st.lists(
    st.one_of(
        WORDS.map(lambda text: {"role": "user", "content": text}),
        WORDS.map(lambda text: {"role": "tool", "tool_call_id": "c", "content": text}),
        ASSISTANTS,
    ),
    min_size=1,
    max_size=5,
)


@given(MESSAGES)
def test_there_and_back_again(messages: list[dict[str, Any]]) -> None:
    """What Cohere's caller says is what Cohere would be told, had it gone by OpenAI's words."""
    incoming = read_chat(raw({"messages": messages}))

    told, documents = tell_messages(read_openai(incoming.members).messages, losses := Losses())

    def blocks(message: dict[str, Any]) -> dict[str, Any]:
        content = message["content"]
        spelt = [{"type": "text", "text": content}] if isinstance(content, str) else content
        return {**message, "content": spelt}

    assert [*map(blocks, told)] == [*map(blocks, messages)]
    assert (documents, losses.names) == ([], [])
