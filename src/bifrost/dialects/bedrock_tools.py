"""Tools in Converse: those of the caller, the one that stands for a schema of the answer, and which has to be called.

Source: AWS, Amazon Bedrock API reference, "ToolConfiguration", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.dialects.bedrock_fields import Family
from bifrost.dialects.bedrock_messages import checked_name
from bifrost.dialects.bedrock_parts import cache_point
from bifrost.dialects.structured_tool import structured_tool
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bifrost.dialects.fields import Losses
    from bifrost.schema.chat import ChatRequest, ResponseFormat, Tool

__all__ = ["tool_config"]

Block = dict[str, object]

NO_PARAMETERS: Block = {"type": "object", "properties": {}}


def tool_config(
    request: ChatRequest,
    called: Sequence[str],
    family: Family,
    losses: Losses,
    *,
    thinks: bool,
) -> Block | None:
    """Converse's ``toolConfig``; ``None`` without tools. ``called`` are the names in the conversation.

    Raises BadRequest for a tool that cannot be, and for one that is forced on a model that thinks.
    """
    if request.other_tools:
        losses.lose("tools")
    tools = list(_offered(request))
    specs = [spec for tool in tools for spec in _specs(tool, family, losses)]
    answer = _answer_tool(request.response_format, losses)
    if answer is not None:
        specs.insert(0, {"toolSpec": answer})
    names = {tool.name for tool in tools}
    # Converse refuses calls in a conversation whose tools it does not know.
    specs += [_unknown(name) for name in called if name not in names]
    if not specs:
        return None
    choice = {"tool": {"name": answer["name"]}} if answer else _choice(request, names, losses)
    if choice is None:
        return {"tools": specs}
    if thinks:
        words = "no tool can be forced, nor an answer by a schema, while the model thinks"
        param = "response_format" if answer else "tool_choice"
        raise BadRequest(f"{param}: {words}; leave reasoning out", param=param)
    return {"tools": specs, "toolChoice": choice}


def _offered(request: ChatRequest) -> Sequence[Tool]:
    """The tools that may be called."""
    choice = request.tool_choice
    if choice is None:
        return request.tools
    if choice.mode == "none":
        return ()
    if choice.mode == "allowed":
        return [tool for tool in request.tools if tool.name in choice.names]
    return request.tools


def _specs(tool: Tool, family: Family, losses: Losses) -> list[Block]:
    spec: Block = {
        "name": checked_name(tool.name, "tools"),
        "description": tool.description or "Function tool",
        "inputSchema": {"json": _schema(tool.parameters, f"tools: {tool.name}.parameters")},
    }
    if tool.strict:
        losses.lose("tools.function.strict")
    if not tool.cache_control:
        return [{"toolSpec": spec}]
    if family is Family.NOVA:
        losses.lose("tools.cache_control")
        return [{"toolSpec": spec}]
    return [{"toolSpec": spec}, cache_point(tool.cache_control)]


def _schema(schema: Mapping[str, object] | None, place: str) -> Mapping[str, object]:
    """A schema of an object, for Converse takes no other."""
    if not schema:
        return NO_PARAMETERS
    if "type" not in schema:
        return {"type": "object", **schema}
    if schema["type"] != "object":
        raise BadRequest(f"{place} must be the schema of an object", param=place)
    return schema


def _unknown(name: str) -> Block:
    spec = {
        "name": name,
        "description": "Function tool",
        "inputSchema": {"json": NO_PARAMETERS},
    }
    return {"toolSpec": spec}


def _answer_tool(wanted: ResponseFormat | None, losses: Losses) -> Block | None:
    if wanted is None or wanted.kind == "text":
        return None
    tool = structured_tool(wanted)
    if tool is None:
        losses.lose("response_format")
        return None
    return {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": {"json": _schema(wanted.schema, "response_format.json_schema.schema")},
    }


def _choice(request: ChatRequest, names: set[str], losses: Losses) -> Block | None:
    choice = request.tool_choice
    if choice is None:
        return None
    match choice.mode:
        case "required":
            return {"any": {}} if names else None
        case "allowed":
            return {"any": {}} if names and choice.is_required else None
        case "function":
            if choice.names[0] not in names:
                words = f"tool_choice: there is no tool {choice.names[0][:64]!r}"
                raise BadRequest(words, param="tool_choice")
            return {"tool": {"name": choice.names[0]}}
        case "custom":
            losses.lose("tool_choice")
            return None
        case _:
            return None
