"""Structured output of a Claude that has no word for it: a tool that has to be called, whose input is the answer.

Used where Claude is served by others than Anthropic. The tool's name tells it apart in the answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from bifrost.schema.chat import Json

if TYPE_CHECKING:
    from bifrost.schema.chat import ResponseFormat

__all__ = ["StructuredTool", "is_structured", "structured_tool"]

PREFIX = "bf_so_"

SPARE_NAME = "json_response"

SPARE_DESCRIPTION = "Gives the answer in the form that was asked for."

MAX_NAME = 64

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


@attrs.frozen
class StructuredTool:
    """The tool to be offered, and forced."""

    name: str
    description: str
    schema: Json


def structured_tool(wanted: ResponseFormat) -> StructuredTool | None:
    """The tool for an answer in the form ``wanted``; ``None`` if that is no schema."""
    if wanted.kind != "json_schema":
        return None
    schema = wanted.schema or {}
    name = _UNFIT.sub("_", wanted.name or "") or SPARE_NAME
    told = wanted.description or schema.get("description")
    description = told if isinstance(told, str) and told else SPARE_DESCRIPTION
    if schema.get("type") != "object":
        schema = {**schema, "type": "object"}
    return StructuredTool((PREFIX + name)[:MAX_NAME], description, schema)


def is_structured(tool_name: object) -> bool:
    """Whether a call of this tool is an answer in the form that was asked for."""
    return isinstance(tool_name, str) and tool_name.startswith(PREFIX)
