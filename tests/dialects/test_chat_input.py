"""A chat as the input of Responses, for a count of its tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.codecs.json import split_object
from bifrost.dialects.chat_input import chat_as_input

CALL = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def told(messages: list[Any], **more: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    raw = split_object(json.dumps({"messages": messages, **more}).encode())
    members, lost = chat_as_input(raw)
    return {name: json.loads(value) for name, value in members.items()}, lost


def test_a_conversation_with_tools() -> None:
    found, lost = told(
        [
            {"role": "system", "content": "be"},
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": "wait",
                "refusal": "no",
                "tool_calls": [CALL],
                "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
            },
            {"role": "tool", "tool_call_id": "t", "content": "done"},
        ],
        max_completion_tokens=5,
    )

    said = [{"type": "output_text", "text": "wait"}, {"type": "refusal", "refusal": "no"}]
    assert found == {
        "input": [
            {
                "type": "message",
                "role": "system",
                "content": [{"type": "input_text", "text": "be"}],
            },
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "message", "role": "assistant", "content": said},
            {"type": "function_call", "call_id": "t", "name": "f", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "t",
                "output": [{"type": "input_text", "text": "done"}],
            },
        ]
    }
    assert lost == ("reasoning_details",)


FILE = {"type": "file"}
PARTS: list[tuple[dict[str, Any], dict[str, Any] | None, tuple[str, ...]]] = [
    (
        {"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}},
        {"type": "input_image", "image_url": "https://x", "detail": "low"},
        (),
    ),
    (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"},
        (),
    ),
    (
        {**FILE, "file": {"file_data": "aGk=", "filename": "a.pdf"}},
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,aGk=",
        },
        (),
    ),
    (
        {**FILE, "file": {"file_data": "words", "file_type": "txt"}},
        {"type": "input_text", "text": "words"},
        (),
    ),
    (
        {**FILE, "file": {"file_url": "https://x"}},
        {"type": "input_file", "file_url": "https://x"},
        (),
    ),
    ({**FILE, "file": {"file_id": "f"}}, {"type": "input_file", "file_id": "f"}, ()),
    (
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        None,
        ("messages.content.input_audio",),
    ),
    ({"cachePoint": {"type": "default"}}, None, ("messages.content.cachePoint",)),
]


@pytest.mark.parametrize(("part", "expected", "lost"), PARTS)
def test_parts(
    part: dict[str, Any], expected: dict[str, Any] | None, lost: tuple[str, ...]
) -> None:
    found, named = told([{"role": "user", "content": [part]}])

    assert found["input"][0]["content"] == ([expected] if expected else [])
    assert named == lost


CHOICES: list[tuple[Any, dict[str, Any]]] = [
    (None, {}),
    ("required", {"tool_choice": "required"}),
    (
        {"type": "function", "function": {"name": "f"}},
        {"tool_choice": {"type": "function", "name": "f"}},
    ),
    ({"type": "custom", "custom": {"name": "f"}}, {}),
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES)
def test_tools_and_their_choice(choice: Any, expected: dict[str, Any]) -> None:
    tools = [
        {"type": "function", "function": {"name": "f", "description": "d", "strict": True}},
        {"type": "bash"},
    ]

    found, lost = told([], tools=tools, tool_choice=choice)

    tool = {"type": "function", "name": "f", "parameters": {}, "description": "d", "strict": True}
    assert found == {"input": [], "tools": [tool], **expected}
    assert lost == ("tools.bash",)


def test_the_form_of_the_answer() -> None:
    schema = {"name": "n", "schema": {"type": "object"}}
    wanted = {"type": "json_schema", "json_schema": schema}

    assert told([], response_format=wanted)[0]["text"] == {
        "format": {"type": "json_schema", **schema}
    }
    assert told([], response_format={"type": "text"})[0] == {"input": []}
