"""A chat request read in full: what is understood, and that every wrong shape is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.dialects.chat_request import read_chat
from bifrost.errors import BadRequest
from bifrost.schema.chat import (
    Audio,
    CachePoint,
    ChatRequest,
    Document,
    Image,
    Inline,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)

PNG = "iVBORw0KGgo="


def read(**members: Any) -> ChatRequest:
    members.setdefault("messages", [{"role": "user", "content": "Hi"}])
    return read_chat({name: json.dumps(value).encode() for name, value in members.items()})


def part_of(part: Any) -> Any:
    return read(messages=[{"role": "user", "content": [part]}]).messages[0].parts[0]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"type": "text", "text": "Hi"}, Text(text="Hi")),
        (
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
            Text(text="Hi", cache_control={"type": "ephemeral"}),
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            Image(inline=Inline("image/png", PNG)),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            Image(url="https://x/y.png", detail="low"),
        ),
        ({"type": "image_url", "image_url": "https://x/y.png"}, Image(url="https://x/y.png")),
        (
            {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
            Audio(data=PNG, format="wav"),
        ),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}"}},
            Document(inline=Inline("application/pdf", PNG)),
        ),
        (
            {"type": "file", "file": {"file_data": PNG, "filename": "a.pdf"}},
            Document(inline=Inline("", PNG), filename="a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_data": "plain words", "file_type": "text/plain"}},
            Document(text="plain words"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain,two%20words"}},
            Document(text="two words"),
        ),
        (
            {
                "type": "file",
                "file": {"file_url": "https://x/a.pdf"},
                "citations": {"enabled": True},
            },
            Document(url="https://x/a.pdf", citations={"enabled": True}),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Document(file_id="file-1")),
        ({"type": "refusal", "refusal": "No"}, Refusal("No")),
        ({"cachePoint": {"type": "default"}}, CachePoint({"type": "default"})),
    ],
)
def test_parts(part: Any, told: Any) -> None:
    assert part_of(part) == told


def test_empty_words_are_no_part() -> None:
    messages = [
        {"role": "user", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": ""}]},
        {"role": "assistant", "content": None, "refusal": "No"},
    ]

    assert [message.parts for message in read(messages=messages).messages] == [
        (),
        (),
        (Refusal("No"),),
    ]


def test_developers_are_the_system() -> None:
    assert (
        read(messages=[{"role": "developer", "content": "Be brief"}]).messages[0].role == "system"
    )


def test_assistant_with_calls_and_thinking() -> None:
    detail = {"type": "reasoning.text", "text": "hm", "signature": "s/+=", "index": 0}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"b":1,"a":2}'}}
    custom = {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "free"}}

    message = read(
        messages=[
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [call, custom],
                "reasoning": "hm",
                "reasoning_details": [detail],
            }
        ]
    ).messages[0]

    assert message.tool_calls == (
        ToolCall(id="c1", name="f", arguments='{"b":1,"a":2}'),
        ToolCall(id="c2", name="g", arguments="free", is_custom=True),
    )
    assert message.reasoning == "hm"
    assert message.reasoning_details[0].signature == "s/+="
    assert message.reasoning_details[0].raw == detail


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("any", ToolChoice("required")),
        ("required", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("function", ("f",))),
        ({"type": "function", "name": "f"}, ToolChoice("function", ("f",))),
        ({"type": "custom", "custom": {"name": "g"}}, ToolChoice("custom", ("g",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            ToolChoice("allowed", ("f",), is_required=True),
        ),
    ],
)
def test_tool_choice(choice: Any, told: ToolChoice) -> None:
    assert read(tool_choice=choice).tool_choice == told


def test_tools_that_are_no_functions_stay_as_they_are() -> None:
    parameters = {"type": "object", "properties": {}}
    function = {"name": "f", "parameters": parameters, "strict": True}
    search = {"type": "web_search", "max_uses": 2}

    request = read(tools=[{"type": "function", "function": function}, search])

    assert request.tools == (Tool(name="f", parameters=parameters, strict=True),)
    assert request.other_tools == (search,)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"type": "text"}, ResponseFormat(kind="text")),
        ({"type": "json_object"}, ResponseFormat(kind="json_object")),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
            ResponseFormat(kind="json_schema", name="x", schema={"type": "object"}),
        ),
    ],
)
def test_response_format(given: Any, told: ResponseFormat) -> None:
    assert read(response_format=given).response_format == told


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, Reasoning(effort="high")),
        ({"reasoning_effort": "none"}, Reasoning(effort="none", is_off=True)),
        ({"reasoning_max_tokens": 2048}, Reasoning(max_tokens=2048)),
        ({"reasoning": {"effort": "low", "max_tokens": 9}}, Reasoning(effort="low", max_tokens=9)),
        ({"reasoning": {"enabled": False}}, Reasoning(is_off=True)),
        ({"reasoning": {}}, Reasoning()),
    ],
)
def test_reasoning(members: Any, told: Reasoning | None) -> None:
    assert read(**members).reasoning == told


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 7),
        ({"max_tokens": 5.0}, 5),
        ({}, None),
    ],
)
def test_limit(members: Any, told: int | None) -> None:
    assert read(**members).max_tokens == told


@pytest.mark.parametrize(("stop", "told"), [("a", ("a",)), (["a", "b"], ("a", "b")), ([], ())])
def test_stop(stop: Any, told: tuple[str, ...]) -> None:
    assert read(stop=stop).stop == told


def test_extras_are_found_in_either_place() -> None:
    request = read(top_k=3, extra_params={"safety": 1})

    assert (request.extra("top_k"), request.extra("safety"), request.extra("none")) == (3, 1, None)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"messages": {}}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": "data:image/png;base64,!"}],
                    }
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "input_audio", "input_audio": {"data": "no base64"}}],
                    }
                ]
            },
            "messages[0].content[0].input_audio.data",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
            "messages[0].content[0].file",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
        ({"stop": 5}, "stop"),
        ({"stop": ["x"] * 65}, "stop"),
        ({"reasoning": "deep"}, "reasoning"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"reasoning": {"effort": "low"}, "reasoning_effort": "low"}, "reasoning_effort"),
        ({"extra_params": []}, "extra_params"),
    ],
)
def test_wrong_shapes_are_refused_with_their_place(members: Any, place: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**members)

    assert refused.value.param == place


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(BadRequest, match="Invalid JSON"):
        read_chat({"messages": b"[", "model": b'"x"'})
