"""The tool that stands for structured output where Claude has no word for it."""

from __future__ import annotations

from typing import Any

import pytest

from bifrost.dialects.structured_tool import StructuredTool, is_structured, structured_tool
from bifrost.schema.chat import ResponseFormat

OBJECT = {"type": "object", "properties": {}}
SPARE = "Gives the answer in the form that was asked for."


@pytest.mark.parametrize(
    ("told", "tool"),
    [
        ({"name": "city", "schema": OBJECT}, StructuredTool("bf_so_city", SPARE, OBJECT)),
        ({"name": "a b/c", "description": "D", "schema": OBJECT}, StructuredTool("bf_so_a_b_c", "D", OBJECT)),
        ({"schema": {**OBJECT, "description": "S"}}, StructuredTool("bf_so_json_response", "S", {**OBJECT, "description": "S"})),
        ({"name": "x" * 99, "schema": {}}, StructuredTool("bf_so_" + "x" * 58, SPARE, {"type": "object"})),
    ],
)  # fmt: skip
def test_the_tool_for_a_schema(told: Any, tool: StructuredTool) -> None:
    made = structured_tool(ResponseFormat(kind="json_schema", **told))

    assert made == tool
    assert is_structured(tool.name)


def test_there_is_none_without_a_schema() -> None:
    assert structured_tool(ResponseFormat(kind="json_object")) is None
    assert not is_structured("weather")
    assert not is_structured(None)
