"""Requests of the Messages API in the words of chat: each member, each block, and what is named as lost."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json import split_object
from bifrost.dialects.anthropic_incoming import read_messages
from bifrost.dialects.chat_request import read_chat
from bifrost.errors import BadRequest

USER = {"role": "user", "content": "hi"}
MARK = {"type": "ephemeral"}
PICTURE = {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}


def members(**more: Any) -> dict[str, bytes]:
    return split_object(json.dumps({"model": "m", "messages": [USER], **more}).encode())


def told(**more: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    incoming = read_messages(members(**more))
    found = {name: json.loads(raw) for name, raw in incoming.members.items()}
    assert found.pop("model") == "m"
    return found, incoming.lost


def messages(*blocks: dict[str, Any], role: str = "user") -> tuple[list[Any], tuple[str, ...]]:
    """What one message of ``blocks`` becomes."""
    found, lost = told(messages=[{"role": role, "content": [*blocks]}])
    return found["messages"], lost


MEMBERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 5}, {"max_completion_tokens": 5}),
    (
        {"temperature": 0.5, "top_p": 0.5, "top_k": 3},
        {"temperature": 0.5, "top_p": 0.5, "top_k": 3},
    ),
    ({"stop_sequences": ["a"]}, {"stop": ["a"]}),
    ({"stop_sequences": []}, {}),
    ({"stream": True}, {"stream": True}),
    ({"service_tier": "auto"}, {"service_tier": "auto"}),
    ({"service_tier": "standard_only"}, {"service_tier": "default"}),
    ({"metadata": {"user_id": "u"}}, {"user": "u"}),
    ({"metadata": {}}, {}),
    ({"thinking": {"type": "enabled", "budget_tokens": 9}}, {"reasoning": {"max_tokens": 9}}),
    ({"thinking": {"type": "adaptive"}}, {"reasoning": {"max_tokens": -1}}),
    ({"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}),
    ({"output_config": {"effort": "low"}}, {"reasoning": {"effort": "low"}}),
    (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        {"reasoning": {"effort": "max"}},
    ),
    ({"tool_choice": {"type": "auto"}}, {"tool_choice": "auto"}),
    ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
    (
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        {"tool_choice": "required", "parallel_tool_calls": False},
    ),
    (
        {"tool_choice": {"type": "tool", "name": "f"}},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    ({"tools": []}, {}),
    ({"tools": None, "container": "c"}, {"container": "c"}),
    ({"mcp_servers": [{"name": "x"}]}, {"mcp_servers": [{"name": "x"}]}),
    ({"context_management": {"edits": []}}, {"context_management": {"edits": []}}),
]


@pytest.mark.parametrize(("sent", "expected"), MEMBERS)
def test_a_member_has_its_word_in_chat_or_keeps_its_name(
    sent: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert told(**sent) == ({"messages": [USER], **expected}, ())


@pytest.mark.parametrize("name", ["output_format", "output_config"])
def test_the_form_of_the_answer(name: str) -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    form = {"type": "json_schema", "schema": schema}

    found, lost = told(**{name: form if name == "output_format" else {"format": form}})

    inner = {"name": "response", "schema": schema}
    assert found["response_format"] == {"type": "json_schema", "json_schema": inner}
    assert [*found["response_format"]["json_schema"]["schema"]["properties"]] == ["b", "a"]
    assert lost == ()


def test_tools_are_functions_and_those_of_the_provider_stay_as_they_came() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    tool = {
        "name": "f",
        "description": "d",
        "input_schema": {"type": "object"},
        "strict": True,
        "cache_control": MARK,
        "defer_loading": True,
    }

    found, lost = told(tools=[tool, search, {"type": "custom", "name": "g"}])

    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    assert found["tools"] == [
        {"type": "function", "function": function, "cache_control": MARK},
        search,
        {"type": "function", "function": {"name": "g"}},
    ]
    assert lost == ("tools.defer_loading",)


def test_the_system_prompt_is_the_first_message() -> None:
    marked = {"type": "text", "text": "b", "cache_control": MARK}

    assert told(system="be")[0]["messages"] == [{"role": "system", "content": "be"}, USER]
    blocks, _ = told(system=[{"type": "text", "text": "a"}, marked])
    assert blocks["messages"][0]["content"] == [{"type": "text", "text": "a"}, marked]
    assert told(system="")[0]["messages"] == [USER]
    assert told(system=[])[0]["messages"] == [USER]


def test_a_system_message_in_the_conversation_stays_there() -> None:
    found, _ = told(messages=[USER, {"role": "system", "content": "be"}])

    assert found["messages"] == [USER, {"role": "system", "content": "be"}]


FILE = {"type": "file"}
PARTS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "text", "text": "a"}, "a"),
    (
        {"type": "text", "text": "a", "cache_control": MARK},
        [{"type": "text", "text": "a", "cache_control": MARK}],
    ),
    (
        {"type": "image", "source": PICTURE},
        [{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,aGk="}}],
    ),
    (
        {"type": "image", "source": {"type": "url", "url": "https://x/y"}, "cache_control": MARK},
        [{"type": "image_url", "image_url": {"url": "https://x/y"}, "cache_control": MARK}],
    ),
    (
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        [{**FILE, "file": {"file_id": "file_1"}}],
    ),
    (
        {
            "type": "document",
            "source": {"type": "base64", "data": "aGk="},
            "title": "t",
            "citations": {"enabled": True},
        },
        [
            {
                **FILE,
                "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "t"},
                "citations": {"enabled": True},
            }
        ],
    ),
    (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
        [{**FILE, "file": {"file_data": "d", "file_type": "text/plain"}}],
    ),
    (
        {"type": "document", "source": {"type": "url", "url": "https://x/y"}},
        [{**FILE, "file": {"file_url": "https://x/y"}}],
    ),
    (
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        [{**FILE, "file": {"file_id": "file_1"}}],
    ),
    ({"type": "document", "source": {"type": "content", "content": "d"}}, "d"),
    (
        {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": "d"}]},
        },
        "d",
    ),
    (
        {
            "type": "search_result",
            "title": "t",
            "source": "s",
            "content": [{"type": "text", "text": "found"}],
        },
        [{"type": "text", "text": "t\ns"}, {"type": "text", "text": "found"}],
    ),
    ({"type": "text", "text": ""}, "..."),
]


@pytest.mark.parametrize(("block", "content"), PARTS)
def test_a_block_is_a_part(block: dict[str, Any], content: Any) -> None:
    assert messages(block) == ([{"role": "user", "content": content}], ())
    # And every part is one that the gateway reads.
    read_chat(read_messages(members(messages=[{"role": "user", "content": [block]}])).members)


LOST: list[tuple[dict[str, Any], str]] = [
    ({"type": "container_upload", "file_id": "f"}, "messages.content.container_upload"),
    ({"type": "of_next_year"}, "messages.content.of_next_year"),
    ({"type": "image", "source": {"type": "new"}}, "messages.content.image.new"),
    ({"type": "document", "source": {"type": "new"}}, "messages.content.document.new"),
    (
        {"type": "text", "text": "a", "citations": [{"type": "char_location"}]},
        "messages.content.text.citations",
    ),
    (
        {"type": "document", "source": {"type": "url", "url": "https://x"}, "context": "c"},
        "messages.content.document.context",
    ),
    (
        {"type": "search_result", "content": [], "citations": {"enabled": True}},
        "messages.content.search_result.citations",
    ),
    (
        {"type": "image", "source": PICTURE, "transformations": {"x": 1}},
        "messages.content.image.transformations",
    ),
    (
        {"type": "tool_result", "tool_use_id": "t", "is_error": True},
        "messages.content.tool_result.is_error",
    ),
    (
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference"}]},
        "messages.content.tool_result.tool_reference",
    ),
    (
        {"type": "tool_result", "tool_use_id": "t", "content": [{}]},
        "messages.content.tool_result.untyped",
    ),
]


@pytest.mark.parametrize(("block", "name"), LOST)
def test_what_chat_has_no_word_for_is_named(block: dict[str, Any], name: str) -> None:
    assert messages(block)[1] == (name,)


LOST_MEMBERS: list[tuple[dict[str, Any], str]] = [
    ({"metadata": {"user_id": "u", "x": 1}}, "metadata.x"),
    ({"thinking": {"type": "adaptive", "display": "omitted"}}, "thinking.display"),
    ({"output_config": {"task_budget": 1}}, "output_config.task_budget"),
    (
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}},
        "output_config.effort",
    ),
    ({"output_format": {"type": "grammar"}}, "output_format"),
    ({"tool_choice": {"type": "some"}}, "tool_choice.some"),
    ({"thinking": {"type": "between_tools"}}, "thinking.between_tools"),
    ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format"),
]


@pytest.mark.parametrize(("sent", "name"), LOST_MEMBERS)
def test_what_a_member_says_besides_is_named(sent: dict[str, Any], name: str) -> None:
    assert told(**sent)[1] == (name,)


def test_a_turn_of_the_assistant_is_one_message_with_its_thinking_byte_for_byte() -> None:
    signature = "a\\u00fc+/=="
    raw = (
        b'[{"role":"assistant","content":[{"type":"thinking","thinking":"h\\u006dm","signature":"%b"},'
        b'{"type":"redacted_thinking","data":"ZGF0YQ=="},{"type":"text","text":"a"},'
        b'{"type":"tool_use","id":"t1","name":"f","input":{"z": 1.50, "a": 12345678901234567890}}]}]'
    ) % signature.encode()

    told_ = read_messages({"messages": raw}).members["messages"]

    assert b'"signature":"%b"' % signature.encode() in told_
    assert b'"text":"h\\u006dm"' in told_
    [message] = json.loads(told_)
    assert message["content"] == "a"
    assert [d["type"] for d in message["reasoning_details"]] == [
        "reasoning.text",
        "reasoning.encrypted",
    ]
    assert [d["index"] for d in message["reasoning_details"]] == [0, 1]
    assert message["reasoning_details"][1]["data"] == "ZGF0YQ=="
    arguments = '{"z": 1.50, "a": 12345678901234567890}'
    assert message["tool_calls"] == [
        {"id": "t1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    ]


def test_thinking_that_nobody_signed_has_no_signature() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": ""}

    [message], _ = messages(block, role="assistant")

    assert message["content"] is None
    assert message["reasoning_details"] == [{"index": 0, "type": "reasoning.text", "text": "hm"}]


def test_a_mark_on_a_call_is_named() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "cache_control": MARK}
    block |= {"caller": {"type": "direct"}}

    [message], lost = messages(block, role="assistant")

    assert message["tool_calls"][0]["function"]["arguments"] == "{}"
    assert lost == ("messages.content.tool_use.cache_control",)


def test_results_of_tools_come_before_what_the_user_says_with_them() -> None:
    found, lost = messages(
        {"type": "tool_result", "tool_use_id": "t1", "content": "one", "is_error": False},
        {
            "type": "tool_result",
            "tool_use_id": "t2",
            "content": [{"type": "text", "text": "two"}, {"type": "image", "source": PICTURE}],
            "cache_control": MARK,
        },
        {"type": "text", "text": "go on"},
    )

    picture = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,aGk="}}
    two = [{"type": "text", "text": "two"}, {**picture, "cache_control": MARK}]
    assert found == [
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": two},
        {"role": "user", "content": "go on"},
    ]
    assert lost == ()


def test_a_result_that_says_nothing_is_a_result() -> None:
    found, _ = messages({"type": "tool_result", "tool_use_id": "t", "cache_control": MARK})

    assert found == [{"role": "tool", "tool_call_id": "t", "content": ""}]


@pytest.mark.parametrize("content", ["", [], [{"type": "container_upload"}]])
def test_a_user_never_says_nothing(content: Any) -> None:
    found, _ = told(messages=[{"role": "user", "content": content}])

    assert found["messages"] == [{"role": "user", "content": "..."}]


def test_an_assistant_that_says_nothing_is_left_out() -> None:
    found, lost = told(
        messages=[USER, {"role": "assistant", "content": [{"type": "server_tool_use"}]}, USER]
    )

    assert found["messages"] == [USER, USER]
    assert lost == ("messages.content.server_tool_use",)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": 1, "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [USER, {"role": "user", "content": [{}]}]}, "messages[1].content[0].type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
        "messages[0].content[0].source",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "f"}]}]},
        "messages[0]",
    ),
    (
        {
            "messages": [
                {"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "t"}]}
            ]
        },
        "messages[0]",
    ),
    (
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "x"}],
                }
            ]
        },
        "messages[0].content[0].input",
    ),
    ({"system": [{"type": "thinking", "thinking": "x"}]}, "system"),
    ({"system": 5}, "system"),
    ({"tools": {}}, "tools"),
    ({"tools": [{}]}, "tools[0].name"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ({"stop_sequences": "x"}, "stop_sequences"),
]


@pytest.mark.parametrize(("sent", "place"), BAD)
def test_a_wrong_shape_is_refused_with_its_place(sent: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        told(**sent)

    assert caught.value.param == place
    assert place in caught.value.message


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    with pytest.raises(BadRequest, match="Invalid JSON"):
        read_messages({"messages": b'[{"role":"user","content":%b}]' % deep})


NAMES = st.sampled_from(
    [
        "type",
        "text",
        "role",
        "content",
        "source",
        "data",
        "tool_use_id",
        "id",
        "name",
        "input",
        "thinking",
        "signature",
        "url",
        "media_type",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
KINDS = st.sampled_from(
    [
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
        "search_result",
        "base64",
        "url",
        "x",
    ]
)
BLOCK = st.dictionaries(NAMES, JSON | KINDS, max_size=6).flatmap(
    lambda block: KINDS.map(lambda kind: {**block, "type": kind})
)


@given(st.sampled_from(["user", "assistant"]), st.lists(BLOCK, max_size=4) | JSON)
def test_whatever_comes_is_read_or_refused(role: str, content: Any) -> None:
    with contextlib.suppress(BadRequest):
        found, _ = told(messages=[{"role": role, "content": content}])
        assert {message["role"] for message in found["messages"]} <= {"user", "assistant", "tool"}
