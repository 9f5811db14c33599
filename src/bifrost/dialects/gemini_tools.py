"""Tools in Gemini's dialect. Source: Gemini API reference, "Tool" and "ToolConfig", 2026-11."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.dialects.gemini_schema import parameters
from bifrost.dialects.gemini_thinking import generation_of
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.fields import Losses
    from bifrost.schema.chat import ChatRequest, Tool, ToolChoice

__all__ = ["put_tools"]

Object = dict[str, Any]

OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "google_search": "googleSearch",
        "web_search": "googleSearch",
        "web_search_preview": "googleSearch",
        "code_execution": "codeExecution",
        "code_interpreter": "codeExecution",
        "url_context": "urlContext",
        "google_maps": "googleMaps",
    }
)
"""Tools that Google runs itself, by the type or the member they are asked for by."""

MIXES = 3
"""The generation from which Google's tools and functions go together."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")


def put_tools(request: ChatRequest, model: str, body: Object, losses: Losses) -> None:
    """Put ``tools`` and ``toolConfig`` into ``body``. Raises BadRequest for a function that Gemini could not call."""
    tools: list[Object] = []
    if request.tools:
        functions = [_declaration(tool, losses) for tool in request.tools]
        tools.append({"functionDeclarations": functions})
    tools += _others(request, model, losses)
    if tools:
        body["tools"] = tools
    choice = request.tool_choice
    if choice is None:
        return
    config = _choice(choice, request, losses)
    if config is not None:
        body["toolConfig"] = {"functionCallingConfig": config}


def _declaration(tool: Tool, losses: Losses) -> Object:
    if _NAME.fullmatch(tool.name) is None:
        raise BadRequest(
            f"tools: {tool.name[:128]!r} is no name that Gemini takes: a letter or an underscore, then at most 127 letters,"
            " digits, underscores, dots, colons and dashes",
            param="tools",
        )
    if tool.cache_control is not None:
        losses.lose("tools.cache_control")
    said: Object = {"name": tool.name}
    if tool.description:
        said["description"] = tool.description
    if tool.parameters is not None:
        said |= parameters(tool.parameters, losses, "tools.function.parameters")
    return said


def _others(request: ChatRequest, model: str, losses: Losses) -> list[Object]:
    """Google's own tools; none beside functions for models that refuse the two together, for those the caller runs himself."""
    found: Object = {}
    asked: list[str] = []
    for tool in request.other_tools:
        name = _other_name(tool)
        said = f"tools.{str(tool.get('type', name or 'unknown'))[:100]}"
        if name is None:
            losses.lose(said)
        else:
            told = next((value for key, value in tool.items() if key != "type"), None)
            is_own = tool.get("type") is None and isinstance(told, dict)
            found[name] = told if is_own else {}
            asked.append(said)
    options = request.members.get("web_search_options")
    if options is not None:
        found.setdefault("googleSearch", {})
        asked.append("web_search_options")
    if found and request.tools and (generation_of(model) or MIXES) < MIXES:
        losses.lose(*asked)
        return []
    if isinstance(options, dict):
        losses.lose(*(f"web_search_options.{name}" for name in options))
    return [{name: value} for name, value in found.items()]


def _other_name(tool: Mapping[str, Any]) -> str | None:
    """What Gemini calls a tool told by its type, or told in Gemini's own way: ``{"google_search": {}}``."""
    kind = tool.get("type")
    if isinstance(kind, str):
        return OTHERS.get(kind)
    told = next(iter(tool), "")
    return OTHERS.get(told) or (told if told in OTHERS.values() else None)


def _choice(choice: ToolChoice, request: ChatRequest, losses: Losses) -> Object | None:
    if not request.tools or choice.mode == "custom":
        if choice.mode not in {"auto", "none"}:
            losses.lose("tool_choice")
        return None
    known = {tool.name for tool in request.tools}
    unknown = [name for name in choice.names if name not in known]
    if unknown:
        raise BadRequest(f"tool_choice: {unknown[0]!r} is not among tools", param="tool_choice")
    match choice.mode:
        case "none":
            return {"mode": "NONE"}
        case "auto":
            return {"mode": "AUTO"}
        case "required":
            return {"mode": "ANY"}
        case "function" | "allowed":
            # VALIDATED is AUTO within names: those alone may be called, and none has to be.
            is_must = choice.mode == "function" or choice.is_required
            mode = "ANY" if is_must else "VALIDATED"
            return {"mode": mode, "allowedFunctionNames": list(choice.names)}
