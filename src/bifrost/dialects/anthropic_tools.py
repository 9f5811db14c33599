"""Tools and the choice among them, as Anthropic takes them.

Sources: Anthropic API reference, "Messages"; "Tool use", and the pages of its own tools, 2026-11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bifrost.dialects.anthropic_content import Block, marked
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from bifrost.dialects.fields import Losses
    from bifrost.schema.chat import ChatRequest, Json, Tool, ToolChoice

__all__ = ["choice_of", "tools_of"]

ANTHROPICS_OWN = re.compile(r"[a-z_]+_20\d{6}|mcp_toolset")
"""The type of a tool of Anthropic's: it goes as it came."""

NEWER = re.compile(r"claude-(?:(?:opus|sonnet)-4-[6-9]|[a-z]+-[5-9])")
"""Models that know the tools of 2026 beside the basic ones."""

WITH_CODE = ("web_search_2026", "web_fetch_2026")
"""Tools that bring code execution along, so that asking for it as well is refused."""

SEARCH = ("max_uses", "allowed_domains", "blocked_domains", "user_location", "cache_control")


def tools_of(request: ChatRequest, model: str, losses: Losses) -> list[Block]:
    """All tools that are to be sent. Of allowed ones only those: Anthropic has no word for the choice itself."""
    functions = [_function(tool, losses) for tool in request.tools]
    choice = request.tool_choice
    if choice is not None and choice.mode == "allowed":
        functions = [tool for tool in functions if tool["name"] in choice.names]
    others = [made for tool in request.other_tools if (made := _other(tool, model, losses))]
    if any(str(tool.get("type")).startswith(WITH_CODE) for tool in others):
        others = [tool for tool in others if tool.get("name") != "code_execution"]
    return [*functions, *others]


def _function(tool: Tool, losses: Losses) -> Block:
    if tool.strict:
        losses.lose("tools.function.strict")
    block: Block = {"name": tool.name}
    if tool.description:
        block["description"] = tool.description
    return marked({**block, "input_schema": _input_schema(tool.parameters)}, tool.cache_control)


def _input_schema(parameters: Json | None) -> Block:
    """The schema as it came: prompt caches go by its bytes. It has to be an object's."""
    if not parameters:
        return {"type": "object", "properties": {}}
    schema = dict(parameters)
    return schema if schema.get("type") == "object" else {**schema, "type": "object"}


def _other(tool: Json, model: str, losses: Losses) -> Block | None:
    """A tool that is no function; ``None`` and a loss if Anthropic has nothing like it. Raises BadRequest."""
    kind = str(tool.get("type"))
    if ANTHROPICS_OWN.fullmatch(kind) or ("type" not in tool and "input_schema" in tool):
        return dict(tool)
    if kind in REFUSED:
        raise BadRequest(f"unsupported tool type: {kind}", param="tools")
    make = HOSTED.get(kind)
    if make is None:
        losses.lose(f"tools.{kind[:100]}")
        return None
    return make(tool, model, losses)


REFUSED = frozenset({"file_search", "image_generation"})


def _web_search(tool: Json, model: str, losses: Losses) -> Block:
    version = "20260209" if NEWER.search(model) else "20250305"
    filters = tool.get("filters")
    domains = filters if isinstance(filters, dict) else {}
    told = {**domains, **tool}
    _lose_rest(tool, (*SEARCH, "filters"), losses)
    made = {name: told[name] for name in SEARCH if told.get(name) is not None}
    location = made.get("user_location")
    if isinstance(location, dict) and isinstance(location.get("approximate"), dict):
        made["user_location"] = {"type": "approximate", **location["approximate"]}
    return {"type": f"web_search_{version}", "name": "web_search", **made}


def _web_fetch(tool: Json, model: str, losses: Losses) -> Block:
    version = "20260309" if NEWER.search(model) else "20250910"
    kept = ("max_uses", "allowed_domains", "blocked_domains", "citations", "max_content_tokens")
    _lose_rest(tool, kept, losses)
    made = {name: tool[name] for name in kept if tool.get(name) is not None}
    return {"type": f"web_fetch_{version}", "name": "web_fetch", **made}


def _computer(tool: Json, model: str, losses: Losses) -> Block:
    is_newer = NEWER.search(model) or "opus-4-5" in model
    kind = "computer_20251124" if is_newer else "computer_20250124"
    _lose_rest(tool, ("display_width", "display_height", "environment"), losses)
    size = {
        f"display_{side}_px": tool[f"display_{side}"]
        for side in ("width", "height")
        if f"display_{side}" in tool
    }
    return {"type": kind, "name": "computer", **size}


def _fixed(kind: str, name: str) -> Callable[[Json, str, Losses], Block]:
    def make(tool: Json, model: str, losses: Losses) -> Block:  # noqa: ARG001  as the others
        _lose_rest(tool, (), losses)
        return {"type": kind, "name": name}

    return make


HOSTED: Mapping[str, Callable[[Any, str, Any], Block]] = {
    "web_search": _web_search,
    "web_search_preview": _web_search,
    "web_fetch": _web_fetch,
    "computer_use_preview": _computer,
    "code_interpreter": _fixed("code_execution_20250825", "code_execution"),
    "memory": _fixed("memory_20250818", "memory"),
    "tool_search": _fixed("tool_search_tool_bm25_20251119", "tool_search_tool_bm25"),
    "local_shell": _fixed("bash_20250124", "bash"),
}


def _lose_rest(tool: Json, kept: Collection[str], losses: Losses) -> None:
    losses.lose(
        *(
            f"tools.{name}"
            for name, value in tool.items()
            if name not in {"type", "name", *kept} and value not in (None, {}, [])
        )
    )


def choice_of(request: ChatRequest, tools: list[Block], losses: Losses) -> Block | None:
    """The choice among ``tools``; ``None`` where nothing is to be said of it."""
    if not tools:
        if request.tool_choice is not None and request.tool_choice.mode not in {"auto", "none"}:
            losses.lose("tool_choice")
        return None
    made = None if request.tool_choice is None else _choice(request.tool_choice, losses)
    if request.parallel_tool_calls is False and (made is None or made["type"] != "none"):
        return {**(made or {"type": "auto"}), "disable_parallel_tool_use": True}
    return made


def _choice(choice: ToolChoice, losses: Losses) -> Block:
    match choice.mode:
        case "required":
            return {"type": "any"}
        case "function":
            return {"type": "tool", "name": choice.names[0]}
        case "allowed":
            return {"type": "any" if choice.is_required else "auto"}
        case "custom":
            losses.lose("tool_choice")
            return {"type": "auto"}
        case _:
            return {"type": choice.mode}
