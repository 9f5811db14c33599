"""Claude's requests as Vertex takes them."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from bifrost.dialects.anthropic_vertex import encode_claude, encode_native_claude
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Dialect, Native
from dialects.gemini import call_of

HI: list[Any] = [{"role": "user", "content": "Hi"}]
MODEL = "claude-sonnet-4-5@20250929"


def native(**members: Any) -> Call:
    raw = {name: json.dumps(value).encode() for name, value in members.items()}
    return attrs.evolve(call_of({}), native=Native(dialect=Dialect.ANTHROPIC, members=raw))


def said(call: Call) -> Any:
    encode = encode_claude if call.native is None else encode_native_claude
    return json.loads(encode(call, MODEL, "vertex").body)


def test_the_version_is_in_the_body_and_the_model_is_not() -> None:
    body = said(call_of({"messages": HI, "max_tokens": 5}))

    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in body
    assert body["max_tokens"] == 5


def test_a_schema_is_asked_for_by_a_tool() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wish = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    body = said(call_of({"messages": HI, "response_format": wish}))

    assert "output_config" not in body
    assert len(body["tools"]) == 1


def test_a_callers_own_words_go_but_for_what_vertex_refuses() -> None:
    call = native(model="x", region="eu", fallbacks=[], messages=HI, later=1, tools=7)

    assert said(call) == {
        "messages": HI, "later": 1, "tools": 7, "anthropic_version": "vertex-2023-10-16",
    }  # fmt: skip
    assert said(native(anthropic_version="v", messages=HI))["anthropic_version"] == "v"


def test_the_search_is_the_one_that_vertex_has() -> None:
    tools = [{"type": "web_search_20260209", "name": "web_search"}, {"name": "f"}, 7]

    assert said(native(messages=HI, tools=tools))["tools"] == [
        {"type": "web_search_20250305", "name": "web_search"}, {"name": "f"}, 7,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]},
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        {"mcp_servers": [{"url": "https://x.example"}]},
    ],
)
def test_what_vertex_has_not_is_refused(more: Any) -> None:
    with pytest.raises(BadRequest, match="Claude on Vertex has no"):
        said(native(messages=HI, **more))
