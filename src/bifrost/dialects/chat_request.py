"""A chat request's raw members read in full, for upstreams that do not speak OpenAI's dialect.

Whatever has not the shape it should have is refused with its place, before anything is sent: no other dialect has a word
for it. Sources: OpenAI API reference, "Chat completions", 2026-11; the extensions are the gateway's own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.chat_parts import read_parts
from bifrost.dialects.value_shape import boolean, choice, list_of, number, obj, text, whole
from bifrost.errors import BadRequest
from bifrost.schema.chat import (
    ChatRequest,
    Message,
    Reasoning,
    ReasoningDetail,
    ResponseFormat,
    Role,
    Tool,
    ToolCall,
    ToolChoice,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.schema.call import RawMembers

__all__ = ["read_chat"]

Object = dict[str, Any]

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}

MODES: Mapping[str, ToolChoice] = {
    "auto": ToolChoice("auto"),
    "none": ToolChoice("none"),
    "any": ToolChoice("required"),
    "required": ToolChoice("required"),
}

MAX_STOPS = 64


def read_chat(members: RawMembers) -> ChatRequest:
    """The request that ``members`` (OpenAI's dialect with the gateway's extensions) say. Raises BadRequest with the place."""
    try:
        decoded = {name: json.loads(raw) for name, raw in members.items() if raw != b"null"}
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error
    tools, others = _tools(decoded)
    return ChatRequest(
        messages=tuple(
            _message(obj(item, place), place)
            for item, place in list_of(decoded.get("messages"), "messages")
        ),
        tools=tools,
        other_tools=others,
        tool_choice=_tool_choice(decoded.get("tool_choice")),
        parallel_tool_calls=boolean(decoded, "parallel_tool_calls"),
        response_format=_response_format(decoded.get("response_format")),
        reasoning=_reasoning(decoded),
        max_tokens=_limit(decoded),
        temperature=_finite(decoded, "temperature"),
        top_p=_finite(decoded, "top_p"),
        stop=_stop(decoded.get("stop")),
        members=decoded,
        extras=_extras(decoded),
    )


def _extras(decoded: Object) -> Object:
    extras = decoded.get("extra_params")
    return {} if extras is None else obj(extras, "extra_params")


def _limit(decoded: Object) -> int | None:
    """The newer name counts where both are given."""
    for name in ("max_completion_tokens", "max_tokens"):
        value = whole(decoded, name)
        if value is not None:
            if value < 1:
                raise BadRequest(f"{name} must be at least 1", param=name)
            return value
    return None


def _finite(decoded: Object, name: str) -> float | None:
    value = number(decoded, name)
    if value is not None and not math.isfinite(value):
        raise BadRequest(f"{name} must be a number", param=name)
    return value


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    stops = tuple(text({"stop": item}, "stop") or "" for item, _ in list_of(value, "stop"))
    if len(stops) > MAX_STOPS:
        raise BadRequest(f"stop must have at most {MAX_STOPS} items", param="stop")
    return stops


def _message(source: Object, place: str) -> Message:
    role = ROLES[choice(source, "role", ROLES, place)]
    return Message(
        role=role,
        parts=read_parts(source, place),
        name=text(source, "name", place),
        tool_call_id=text(source, "tool_call_id", place),
        tool_calls=tuple(
            _tool_call(obj(item, where), where)
            for item, where in list_of(source.get("tool_calls"), f"{place}.tool_calls")
        ),
        reasoning=text(source, "reasoning", place)
        or text(source, "reasoning_content", place)
        or "",
        reasoning_details=tuple(
            _detail(obj(item, where), where)
            for item, where in list_of(
                source.get("reasoning_details"), f"{place}.reasoning_details"
            )
        ),
        place=place,
    )


def _tool_call(source: Object, place: str) -> ToolCall:
    kind = "custom" if isinstance(source.get("custom"), dict) else "function"
    what = obj(source.get(kind), f"{place}.{kind}")
    member = "input" if kind == "custom" else "arguments"
    arguments = text(what, member, f"{place}.{kind}") or ""
    if kind == "function":
        _check_arguments(arguments, f"{place}.function.arguments")
    return ToolCall(
        id=text(source, "id", place) or "",
        name=_required(what, "name", f"{place}.{kind}"),
        arguments=arguments,
        is_custom=kind == "custom",
    )


def _check_arguments(arguments: str, place: str) -> None:
    """Nothing, or an object: everybody but OpenAI wants one. A call that was cut off has none, and cannot be made up."""
    if not arguments.strip():
        return
    try:
        value = json.loads(arguments.encode("utf-8", "replace"))
    except json.InvalidJSON:
        value = None
    if not isinstance(value, dict):
        raise BadRequest(f"{place} must be a JSON object", param=place)


def _detail(source: Object, place: str) -> ReasoningDetail:
    return ReasoningDetail(
        kind=text(source, "type", place) or "reasoning.text",
        text=text(source, "text", place) or text(source, "summary", place) or "",
        signature=text(source, "signature", place),
        data=text(source, "data", place),
        id=text(source, "id", place),
        raw=source,
    )


def _required(source: Object, name: str, place: str) -> str:
    value = text(source, name, place)
    if not value:
        raise BadRequest(f"{place}.{name} is required", param=f"{place}.{name}")
    return value


def _tools(decoded: Object) -> tuple[tuple[Tool, ...], tuple[Object, ...]]:
    """Functions, and the other tools as they came."""
    functions: list[Tool] = []
    others: list[Object] = []
    for item, place in list_of(decoded.get("tools"), "tools"):
        tool = obj(item, place)
        if isinstance(tool.get("function"), dict):
            functions.append(_tool(tool, place))
        else:
            others.append(tool)
    return tuple(functions), tuple(others)


def _tool(source: Object, place: str) -> Tool:
    where = f"{place}.function"
    function = source["function"]
    parameters = function.get("parameters")
    marks = source.get("cache_control")
    return Tool(
        name=_required(function, "name", where),
        description=text(function, "description", where),
        parameters=None if parameters is None else obj(parameters, f"{where}.parameters"),
        strict=boolean(function, "strict", where),
        cache_control=None if marks is None else obj(marks, f"{place}.cache_control"),
    )


def _tool_choice(value: object) -> ToolChoice | None:
    if value is None:
        return None
    if isinstance(value, str):
        return MODES[choice({"tool_choice": value}, "tool_choice", MODES)]
    source = obj(value, "tool_choice")
    match source.get("type"):
        case "allowed_tools":
            return _allowed(source)
        case "custom":
            named = obj(source.get("custom", source), "tool_choice.custom")
            return ToolChoice("custom", (_required(named, "name", "tool_choice.custom"),))
        case _:
            named = obj(source.get("function", source), "tool_choice.function")
            return ToolChoice("function", (_required(named, "name", "tool_choice.function"),))


def _allowed(source: Object) -> ToolChoice:
    allowed = obj(source.get("allowed_tools", source), "tool_choice.allowed_tools")
    names: list[str] = []
    for item, place in list_of(allowed.get("tools"), "tool_choice.allowed_tools.tools"):
        tool = obj(item, place)
        names.append(_required(obj(tool.get("function", tool), place), "name", place))
    return ToolChoice("allowed", tuple(names), is_required=allowed.get("mode") == "required")


def _response_format(value: object) -> ResponseFormat | None:
    if value is None:
        return None
    source = obj(value, "response_format")
    match choice(source, "type", ("text", "json_object", "json_schema"), "response_format"):
        case "json_schema":
            return _schema_format(source)
        case "json_object":
            return ResponseFormat(kind="json_object")
        case _:
            return ResponseFormat(kind="text")


def _schema_format(source: Object) -> ResponseFormat:
    place = "response_format.json_schema"
    told = obj(source.get("json_schema"), place)
    schema = told.get("schema")
    return ResponseFormat(
        kind="json_schema",
        name=text(told, "name", place),
        description=text(told, "description", place),
        schema={} if schema is None else obj(schema, f"{place}.schema"),
        strict=boolean(told, "strict", place),
    )


def _reasoning(decoded: Object) -> Reasoning | None:
    """The object ``reasoning`` and its aliases, which may not contradict each other."""
    value = decoded.get("reasoning")
    inner = {} if value is None else obj(value, "reasoning")
    effort = _aliased(decoded, inner, "reasoning_effort", "effort")
    budget = _aliased(decoded, inner, "reasoning_max_tokens", "max_tokens")
    if value is None and effort is None and budget is None:
        return None
    return Reasoning(
        effort=text({"effort": effort}, "effort", "reasoning"),
        max_tokens=whole({"max_tokens": budget}, "max_tokens", "reasoning"),
        is_off=effort == "none" or boolean(inner, "enabled", "reasoning") is False,
    )


def _aliased(decoded: Object, inner: Object, alias: str, name: str) -> object:
    if decoded.get(alias) is not None and inner.get(name) is not None:
        words = f"both {alias} and reasoning.{name} cannot be present at the same time"
        raise BadRequest(words, param=alias)
    return inner.get(name) if decoded.get(alias) is None else decoded[alias]
