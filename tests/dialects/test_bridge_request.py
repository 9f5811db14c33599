"""Responses requests as chat requests: each row of the contract, each refusal, and what is named as lost."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from openai.types.chat.completion_create_params import ResponseFormat
from pydantic import TypeAdapter

from bifrost.codecs import json as codec
from bifrost.dialects.bridge_request import Bridged, responses_to_chat
from bifrost.dialects.openai_chat_request import STANDARD, encode_chat
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Operation, Target

MESSAGES = TypeAdapter(list[ChatCompletionMessageParam])
TOOLS = TypeAdapter(list[ChatCompletionToolUnionParam])
FORMAT: TypeAdapter[ResponseFormat] = TypeAdapter(ResponseFormat)


def bridge(**members: Any) -> Bridged:
    return responses_to_chat({name: json.dumps(value).encode() for name, value in members.items()})


def chat(**members: Any) -> dict[str, Any]:
    """The chat request for a Responses request, whose input may be left out."""
    bridged = bridge(**{"input": "Hi", **members})
    return {name: json.loads(raw) for name, raw in bridged.members.items()}


def messages(*items: Any) -> Any:
    """The messages for the items of an input; chat's own types have them too."""
    made = chat(input=list(items))["messages"]
    MESSAGES.validate_python(made, strict=True)
    return made


def said(role: str, *parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)}


def text(text: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": text}


def call(number: int = 1, **more: Any) -> dict[str, Any]:
    head = {"type": "function_call", "id": f"fc_{number}", "status": "completed"}
    return {**head, "call_id": f"c{number}", "name": "f", "arguments": '{"b":1,"a":2}', **more}


def output(number: int = 1, output: Any = "42") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"c{number}", "output": output}


def chat_call(number: int = 1) -> dict[str, Any]:
    function = {"name": "f", "arguments": '{"b":1,"a":2}'}
    return {"id": f"c{number}", "type": "function", "function": function}


FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
OTHER = {"type": "function", "name": "g", "description": "G.", "parameters": None, "strict": True}


def test_string_input_is_one_user_message() -> None:
    assert chat(input="Hi")["messages"] == [{"role": "user", "content": "Hi"}]


def test_instructions_come_first_as_the_system() -> None:
    made = chat(input=[said("developer", text("B"))], instructions="A")

    assert made["messages"] == [
        {"role": "system", "content": "A"},
        {"role": "system", "content": "B"},
    ]
    assert "instructions" not in made


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"role": "user", "content": "Hi"}, {"role": "user", "content": "Hi"}),
        (said("system", text("S")), {"role": "system", "content": "S"}),
        (said("developer", text("D")), {"role": "system", "content": "D"}),
        (said("assistant", text("A", "output_text")), {"role": "assistant", "content": "A"}),
        (
            said("user", text("a"), text("b")),
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ),
        (
            said("user", {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}),
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]},
        ),
        (
            said("user", {"type": "input_image", "image_url": "data:x", "detail": None, "file_id": None}),
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]},
        ),
        (
            said("user", {"type": "input_file", "file_data": "data:y", "filename": "y.pdf", "file_id": None}),
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:y", "filename": "y.pdf"}}]},
        ),
        (
            said("user", {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]},
        ),
        (
            said("assistant", {"type": "refusal", "refusal": "No."}),
            {"role": "assistant", "content": None, "refusal": "No."},
        ),
        (
            said("assistant", text("Well.", "output_text"), {"type": "refusal", "refusal": "No."}),
            {"role": "assistant", "content": "Well.", "refusal": "No."},
        ),
        (call(), {"role": "assistant", "content": None, "tool_calls": [chat_call()]}),
        (output(), {"role": "tool", "tool_call_id": "c1", "content": "42"}),
        (output(output=[text("42")]), {"role": "tool", "tool_call_id": "c1", "content": "42"}),
        (
            output(output=[text("4"), text("2")]),
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]},
        ),
        (
            {"type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": "ls"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]},
        ),
        (
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "a b"},
            {"role": "tool", "tool_call_id": "c1", "content": "a b"},
        ),
    ],
)  # fmt: skip
def test_item_becomes_a_message(item: dict[str, Any], message: dict[str, Any]) -> None:
    assert messages(item) == [message]


def test_words_and_adjacent_calls_are_one_message_of_the_assistant() -> None:
    made = messages(
        said("user", text("?")),
        said("assistant", text("Let me see.", "output_text")),
        call(1),
        {"type": "reasoning", "id": "rs_1", "summary": []},
        call(2),
        output(1),
        output(2),
        call(3),
        output(3),
    )

    words = {"role": "assistant", "content": "Let me see."}
    assert made == [
        {"role": "user", "content": "?"},
        {**words, "tool_calls": [chat_call(1), chat_call(2)]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        {"role": "tool", "tool_call_id": "c2", "content": "42"},
        {"role": "assistant", "content": None, "tool_calls": [chat_call(3)]},
        {"role": "tool", "tool_call_id": "c3", "content": "42"},
    ]


def test_words_after_calls_do_not_come_between_them_and_their_outputs() -> None:
    made = messages(call(1), said("assistant", text("Wait.", "output_text")), output(1))

    assert [message["role"] for message in made] == ["assistant", "tool"]
    assert made[0]["content"] == "Wait."


def test_two_messages_of_the_assistant_stay_two() -> None:
    made = messages(
        said("assistant", text("a", "output_text")), said("assistant", text("b", "output_text"))
    )

    assert [message["content"] for message in made] == ["a", "b"]


def test_texts_stay_the_bytes_that_came() -> None:
    raw = rb'[{"role":"user","content":"\u00e9\/"},{"type":"function_call","call_id":"c","name":"f","arguments":"{\u007d"}]'

    made = responses_to_chat({"input": raw}).members["messages"]

    assert rb'"content":"\u00e9\/"' in made
    assert rb'"arguments":"{\u007d"' in made


def test_cache_marks_stay_on_their_parts() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}

    made = chat(input=[said("user", {**text("a"), **mark})], tools=[{**FUNCTION, **mark}])

    assert made["messages"][0]["content"] == [{"type": "text", "text": "a", **mark}]
    assert made["tools"][0]["cache_control"] == mark["cache_control"]


@pytest.mark.parametrize(
    ("members", "made"),
    [
        ({"max_output_tokens": 5}, {"max_completion_tokens": 5}),
        ({"reasoning": {"effort": "low", "summary": None}}, {"reasoning": {"effort": "low"}}),
        ({"reasoning": {"max_tokens": 9}}, {"reasoning": {"max_tokens": 9}}),
        ({"reasoning": {"effort": None}}, {}),
        ({"reasoning": None}, {}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "text"}}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"b": 1, "a": 2}, "strict": True, "description": None}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"b": 1, "a": 2}, "strict": True}}},
        ),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": None}, {}),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 0}, {"logprobs": True, "top_logprobs": 0}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"top_logprobs": 3, "logprobs": False}, {"logprobs": False, "top_logprobs": 3}),
        ({"top_logprobs": 0}, {}),
        ({"background": False, "truncation": "disabled", "previous_response_id": None}, {}),
        ({"conversation": None, "prompt": None, "max_tool_calls": None}, {}),
        ({"tools": []}, {}),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
        ({"tools": None, "tool_choice": None}, {}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
    ],
)  # fmt: skip
def test_member_is_said_in_chats_words(members: dict[str, Any], made: dict[str, Any]) -> None:
    bridged = bridge(input="Hi", **members)

    said = {name: json.loads(raw) for name, raw in bridged.members.items()}
    assert said.pop("messages")
    assert said == made
    assert bridged.dropped == ()
    if "response_format" in made:
        FORMAT.validate_python(made["response_format"], strict=True)


@pytest.mark.parametrize(
    "name",
    [
        *("model", "stream", "metadata", "store", "temperature", "top_p", "service_tier", "user"),
        *("prompt_cache_key", "safety_identifier", "seed", "extra_params", "unheard_of"),
    ],
)
def test_member_that_is_the_same_or_unknown_passes_as_it_came(name: str) -> None:
    raw = b'{"z": 1.10, "a":[]}'

    bridged = responses_to_chat({"input": b'"Hi"', name: raw})

    assert bridged.members[name] == raw
    assert bridged.dropped == ()


def test_tools_are_nested_with_the_order_of_their_schemas_kept() -> None:
    schema = b'{"type":"object","properties":{"z":{},"a":{}},"required":["z", "a"]}'
    tool = b'{"type":"function","name":"f","strict":null,"parameters":%b}' % schema

    made = responses_to_chat({"input": b'"Hi"', "tools": b"[%b]" % tool}).members["tools"]

    assert made == b'[{"type":"function","function":{"name":"f","parameters":%b}}]' % schema
    TOOLS.validate_json(made, strict=True)


@pytest.mark.parametrize(
    ("choice", "made", "names", "lost"),
    [
        (None, None, ["f", "g"], ()),
        ("none", "none", ["f", "g"], ()),
        ("required", "required", ["f", "g"], ()),
        ({"type": "function", "name": "g"}, {"type": "function", "function": {"name": "g"}}, ["f", "g"], ()),
        ({"type": "function", "name": "h"}, None, ["f", "g"], ("tool_choice",)),
        ({"type": "custom", "name": "f"}, None, ["f", "g"], ("tool_choice",)),
        ({"type": "file_search"}, None, ["f", "g"], ("tool_choice",)),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}, {"type": "mcp"}]}, "required", ["g"], ()),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, None, [], ("tool_choice",)),
    ],
)  # fmt: skip
def test_tool_choice(choice: Any, made: Any, names: list[str], lost: tuple[str, ...]) -> None:
    more = {} if choice is None else {"tool_choice": choice}

    bridged = bridge(input="Hi", tools=[FUNCTION, OTHER], parallel_tool_calls=False, **more)

    said = {name: json.loads(raw) for name, raw in bridged.members.items()}
    assert [tool["function"]["name"] for tool in said.get("tools", [])] == names
    assert said.get("tool_choice") == made
    assert said.get("parallel_tool_calls") == (False if names else None)
    assert bridged.dropped == lost


@pytest.mark.parametrize(
    ("members", "lost"),
    [
        ({"reasoning": {"effort": "low", "summary": "auto"}}, ("reasoning.summary",)),
        ({"text": {"verbosity": "low", "tone": "dry"}}, ("text.tone",)),
        ({"truncation": "auto"}, ("truncation",)),
        ({"max_tool_calls": 3, "context_management": []}, ("max_tool_calls", "context_management")),
        ({"include": ["reasoning.encrypted_content"]}, ("include.reasoning.encrypted_content",)),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, ("tools.web_search", "tool_choice")),
        ({"tools": [{"type": "custom", "name": "sh"}, {"type": "custom", "name": "py"}]}, ("tools.custom",)),
        ({"tools": [{**FUNCTION, "defer_loading": True}]}, ("tools.defer_loading",)),
        ({"input": [{"type": "reasoning", "summary": []}, call()]}, ("input.reasoning",)),
        ({"input": [{**said("assistant"), "phase": "commentary"}]}, ("input.phase",)),
        ({"input": [said("user", {**text("a"), "annotations": [], "odd": 1})]}, ("input.content.odd",)),
        ({"messages": []}, ("messages",)),
        ({"max_output_tokens": 5, "max_completion_tokens": 6}, ("max_completion_tokens",)),
    ],
)  # fmt: skip
def test_what_chat_cannot_say_is_named(members: dict[str, Any], lost: tuple[str, ...]) -> None:
    assert bridge(**{"input": "Hi", **members}).dropped == lost


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"background": "yes"}, "background"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": {}}, "input"),
        ({"input": ["Hi"]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"type": 5}]}, "input[0].type"),
        ({"input": [call(), {"type": "web_search_call"}]}, "input[1].type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "message", "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"role": "tool", "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [said("user", 5)]}, "input[0].content[0]"),
        ({"input": [said("user", {"text": "a"})]}, "input[0].content[0].type"),
        ({"input": [said("user", {"type": "input_video"})]}, "input[0].content[0].type"),
        ({"input": [said("user", {"type": "input_text"})]}, "input[0].content[0].text"),
        ({"input": [said("user", text(5))]}, "input[0].content[0].text"),  # type: ignore[arg-type]  # a text in place of a list is the case
        ({"input": [said("user", {"type": "input_image"})]}, "input[0].content[0].image_url"),
        ({"input": [said("user", {"type": "input_image", "file_id": "f"})]}, "input[0].content[0].file_id"),
        ({"input": [said("user", {"type": "input_audio"})]}, "input[0].content[0].input_audio"),
        ({"input": [said("user", {"type": "input_audio", "input_audio": 1})]}, "input[0].content[0].input_audio"),
        ({"input": [said("assistant", {"type": "refusal"})]}, "input[0].content[0].refusal"),
        ({"input": [said("user", {"type": "refusal", "refusal": "No."})]}, "input[0].content"),
        ({"input": [output(output=[{"type": "refusal", "refusal": "No."}])]}, "input[0].output"),
        ({"input": [output(output=None)]}, "input[0].output"),
        ({"input": [call(call_id=None)]}, "input[0].call_id"),
        ({"input": [call(arguments={})]}, "input[0].arguments"),
        ({"input": [call(name=5)]}, "input[0].name"),
        ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "n"}]}, "input[0].input"),
        ({"instructions": ["a"]}, "instructions"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"reasoning": "low"}, "reasoning"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"text": []}, "text"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"text": {"format": {}}}, "text.format.type"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": 1}}}, "text.format.schema"),
        ({"include": "all"}, "include"),
        ({"include": [None]}, "include[0]"),
        ({"tools": {}}, "tools"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [FUNCTION, {"type": "function", "function": {"name": "f"}}]}, "tools[1].name"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.mode"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "tool_choice.tools"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function"}]}}, "tool_choice.tools[0].name"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_by_its_place(members: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        bridge(**{"input": "Hi", **members})

    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_request_without_input_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        responses_to_chat({"model": b'"m"'})

    assert caught.value.param == "input"


def test_refused_type_is_told() -> None:
    with pytest.raises(BadRequest, match="'web_search_call' cannot be sent"):
        bridge(input=[{"type": "web_search_call"}])


def test_it_goes_on_through_the_providers_quirks() -> None:
    members = {
        "model": b'"groq/m"',
        "input": b'"Hi"',
        "reasoning": b'{"effort":"high"}',
        "stream": b"true",
    }
    call = Call(
        id="1",
        operation=Operation.CHAT,
        stream=True,
        target=Target("groq", "m"),
        members=responses_to_chat(members).members,
    )

    body = json.loads(encode_chat(call, "m", STANDARD, provider="groq").body)

    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "reasoning_effort": "high",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip

WORDS = st.sampled_from(
    [
        *("message", "function_call", "function_call_output", "custom_tool_call", "reasoning"),
        *("item_reference", "user", "assistant", "input_text", "output_text", "input_image"),
        *("input_file", "input_audio", "refusal", "function", "allowed_tools", "auto", "required"),
        *("json_schema", "text", "json_object", "c1"),
    ]
)

NAMES = st.sampled_from(
    [
        *("type", "role", "content", "call_id", "name", "arguments", "output", "input", "text"),
        *("image_url", "input_audio", "refusal", "tools", "mode", "format", "schema", "effort"),
        *("verbosity", "id", "parameters"),
    ]
)

SHAPES = st.recursive(
    WORDS | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)

MEMBERS = st.sampled_from(
    [
        *("input", "instructions", "tools", "tool_choice", "text", "reasoning", "include"),
        *("background", "truncation", "previous_response_id", "max_output_tokens", "top_logprobs"),
        *("parallel_tool_calls", "messages", "logprobs", "conversation", "prompt", "metadata"),
    ]
)


@given(st.dictionaries(MEMBERS, SHAPES, max_size=6), SHAPES)
@settings(deadline=None)
def test_garbage_is_translated_or_refused(members: dict[str, Any], input_: Any) -> None:
    source = {
        name: json.dumps(value).encode() for name, value in {**members, "input": input_}.items()
    }

    with contextlib.suppress(BadRequest):
        bridged = responses_to_chat(source)

        made = codec.loads(codec.join_object(bridged.members))
        assert isinstance(made["messages"], list)


@given(st.binary(max_size=40), MEMBERS)
@settings(deadline=None)
def test_bytes_that_are_no_json_raise_nothing_else(raw: bytes, name: str) -> None:
    with contextlib.suppress(BadRequest):
        assert responses_to_chat({"input": b'"Hi"', name: raw}).members["messages"]


def test_nesting_without_end_is_refused() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    for name in ("input", "tools", "text"):
        with pytest.raises(BadRequest):
            responses_to_chat({"input": b'"Hi"', name: deep})
