"""A chat call as a request to Cohere's ``/v2/chat``.

Source: Cohere API reference, "Chat" v2, 2026-11. What becomes of each parameter stands in ``cohere_fields``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.dialects.chat_request import read_chat
from bifrost.dialects.cohere_fields import FIELDS, OWN
from bifrost.dialects.cohere_messages import tell_messages
from bifrost.dialects.fields import Losses, sealed
from bifrost.dialects.reasoning import DEFAULT_MAX_TOKENS, budget_for
from bifrost.dialects.value_shape import list_of
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bifrost.dialects.cohere_shape import Object
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest, Reasoning, ResponseFormat, Tool, ToolChoice

__all__ = ["encode_chat"]

DYNAMIC_BUDGET = 1024
"""Cohere has no budget at the model's own choice."""

P_BOUNDS = (0.01, 0.99)
"""Of ``p``; OpenAI's goes from 0 to 1, where 1 leaves nothing out."""

NO_PARAMETERS: Object = {"type": "object", "properties": {}}


def encode_chat(call: Call, model: str, provider: str) -> Encoded:
    """The body. Raises BadRequest for what Cohere has no way to say, and for what is lost under ``x-bf-strict``."""
    request = read_chat(call.members)
    losses = Losses()
    messages, documents = tell_messages(request.messages, losses)
    body: Object = {
        "model": model,
        "messages": messages,
        "stream": call.stream,
        **_sampling(request),
        **_tools(request, losses),
        **_reasoning(request),
    }
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format, losses)
    used = _own(request, body)
    if documents:
        given = [item for item, _ in list_of(body.get("documents"), "documents")]
        body["documents"] = [*given, *documents]
    return sealed(body, request, losses, call, provider, fields=FIELDS, used=used)


def _sampling(request: ChatRequest) -> Object:
    members = request.members
    low, high = P_BOUNDS
    told = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "p": None if request.top_p is None else min(max(request.top_p, low), high),
        "stop_sequences": list(request.stop) or None,
        **{
            name: members.get(name)
            for name in ("frequency_penalty", "presence_penalty", "seed", "logprobs")
        },
    }
    return {name: value for name, value in told.items() if value is not None}


def _own(request: ChatRequest, body: Object) -> list[str]:
    """Put Cohere's own parameters into ``body``, over what was made of OpenAI's. Returns the names that were used."""
    used = [name for name in OWN if request.extra(name) is not None]
    for name in used:
        body[OWN[name]] = request.extra(name)
    return used


def _tools(request: ChatRequest, losses: Losses) -> Object:
    for tool in request.other_tools:
        losses.lose(f"tools.{tool.get('type', 'unknown')}")
    offered, choice = _offered(request, losses)
    if not offered:
        if choice == "REQUIRED":
            raise BadRequest("tool_choice needs tools", param="tool_choice")
        return {}
    told: Object = {"tools": [_tool(tool, losses) for tool in offered]}
    if choice is not None:
        told["tool_choice"] = choice
    if all(tool.strict for tool in offered):
        told["strict_tools"] = True
    elif any(tool.strict for tool in offered):
        losses.lose("tools.function.strict")
    return told


def _offered(request: ChatRequest, losses: Losses) -> tuple[Sequence[Tool], str | None]:
    """The tools to be sent, and Cohere's word for the choice among them: it can name none, so only those are sent."""
    choice = request.tool_choice
    match choice.mode if choice else "auto":
        case "none":
            return request.tools, "NONE"
        case "required":
            return request.tools, "REQUIRED"
        case "function" | "allowed" if choice:
            is_required = choice.mode == "function" or choice.is_required
            return _named(request.tools, choice), "REQUIRED" if is_required else None
        case "custom":
            losses.lose("tool_choice")
            return request.tools, None
        case _:
            return request.tools, None


def _named(tools: Sequence[Tool], choice: ToolChoice) -> Sequence[Tool]:
    named = [tool for tool in tools if tool.name in choice.names]
    if not named:
        raise BadRequest("tool_choice names no function of tools", param="tool_choice")
    return named


def _tool(tool: Tool, losses: Losses) -> Object:
    if tool.cache_control is not None:
        losses.lose("tools.cache_control")
    function: Object = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = NO_PARAMETERS if tool.parameters is None else dict(tool.parameters)
    return {"type": "function", "function": function}


def _response_format(wanted: ResponseFormat, losses: Losses) -> Object:
    if wanted.kind == "text":
        return {"type": "text"}
    if wanted.schema is None:
        return {"type": "json_object"}
    if wanted.description is not None:
        losses.lose("response_format.json_schema.description")
    return {"type": "json_object", "schema": dict(wanted.schema)}


def _reasoning(request: ChatRequest) -> Object:
    reasoning = request.reasoning
    return {} if reasoning is None else {"thinking": _thinking(reasoning, request.max_tokens)}


def _thinking(reasoning: Reasoning, max_tokens: int | None) -> Object:
    if reasoning.is_off:
        return {"type": "disabled"}
    budget = _budget(reasoning, max_tokens or DEFAULT_MAX_TOKENS)
    return {"type": "enabled", **({} if budget is None else {"token_budget": budget})}


def _budget(reasoning: Reasoning, max_tokens: int) -> int | None:
    if reasoning.max_tokens is not None:
        return DYNAMIC_BUDGET if reasoning.max_tokens == -1 else reasoning.max_tokens
    return None if reasoning.effort is None else budget_for(reasoning.effort, 1, max_tokens)
