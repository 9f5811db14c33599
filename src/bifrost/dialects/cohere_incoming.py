"""Requests of Cohere's API in the words of OpenAI's, for upstreams that do not speak Cohere's.

What has a word there gets it; other members keep their names, so that whoever is asked either knows them or names them as
lost. Sources: Cohere API reference, "Chat", "Embed" and "Rerank" v2, "Tokenize" v1, 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.cohere_shape import TOOL_PLAN, Object
from bifrost.dialects.value_shape import choice, list_of, obj, text, written
from bifrost.errors import BadRequest
from bifrost.schema.call import Names, RawMembers

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "NAMES",
    "TOKENIZE_NAMES",
    "Incoming",
    "read_chat",
    "read_embed",
    "read_rerank",
    "read_tokenize",
]

RENAMED = {
    "k": "top_k",
    "max_tokens": "max_completion_tokens",
    "p": "top_p",
    "stop_sequences": "stop",
}

NAMES: Names = MappingProxyType(
    {
        **{to: name for name, to in RENAMED.items()},
        "dimensions": "output_dimension",
        "input": "texts",
        "reasoning": "thinking",
    }
)
"""What Cohere calls otherwise, by OpenAI's names."""

TOKENIZE_NAMES: Names = MappingProxyType({"input": "text"})
"""Where a text is counted."""

CHOICES = {"REQUIRED": "required", "NONE": "none"}

ROLES = ("system", "user", "assistant", "tool")

SPARE_NAME = "response"
"""What the schema of an answer is called: Cohere's have no names, OpenAI's need one."""


@attrs.frozen
class Incoming:
    """``members`` in OpenAI's words, and the names of what they have no word for."""

    members: RawMembers
    lost: tuple[str, ...] = ()


def read_chat(request: RawMembers) -> Incoming:
    """What ``request``, the members of a chat body, asks for. Raises BadRequest with the place."""
    source = _decoded(request)
    lost: dict[str, None] = {}
    told: Object = {}
    for name, value in source.items():
        match name:
            case "messages":
                told[name] = [_message(obj(m, at), at, lost) for m, at in list_of(value, name)]
            case "tools":
                told[name] = _tools(value, is_strict=source.get("strict_tools") is True)
            case "strict_tools":
                if value is True and not source.get("tools"):
                    lost[name] = None
            case "tool_choice":
                told[name] = CHOICES[choice(source, name, CHOICES)]
            case "response_format":
                told[name] = _response_format(obj(value, name))
            case "thinking":
                told["reasoning"] = _reasoning(obj(value, name), lost)
            case _:
                told[RENAMED.get(name, name)] = value
    return Incoming(_encoded(told), tuple(lost))


def _decoded(request: RawMembers) -> Object:
    """All members that are not null, decoded. Raises BadRequest."""
    try:
        return {name: json.loads(raw) for name, raw in request.items() if raw != b"null"}
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error


def _encoded(told: Object) -> RawMembers:
    return {name: written(value) for name, value in told.items()}


def _message(source: Object, place: str, lost: dict[str, None]) -> Object:
    role = choice(source, "role", ROLES, place)
    if role == "assistant":
        return _assistant(source, place, lost)
    told: Object = {"role": role, "content": _content(source, place)}
    if role == "tool":
        told["tool_call_id"] = text(source, "tool_call_id", place) or ""
    return told


def _content(source: Object, place: str) -> object:
    """A string as it came, or parts."""
    content = source.get("content")
    if content is None or isinstance(content, str):
        return content
    return [_part(obj(item, at), at) for item, at in list_of(content, f"{place}.content")]


def _part(source: Object, place: str) -> Object:
    match choice(source, "type", ("text", "image_url", "document"), place):
        case "text":
            return {"type": "text", "text": text(source, "text", place) or ""}
        case "image_url":
            return {"type": "image_url", "image_url": source.get("image_url")}
        case _:
            document = obj(source.get("document"), f"{place}.document")
            # What it holds is of any shape: as text, every model can read it.
            return {"type": "text", "text": written(document).decode()}


def _assistant(source: Object, place: str, lost: dict[str, None]) -> Object:
    told: Object = {"role": "assistant"}
    texts, details = _said(source, place)
    told["content"] = "".join(texts) if texts else None
    if details:
        told["reasoning"] = "".join(detail["text"] for detail in details)
        told["reasoning_details"] = [{"index": n, **each} for n, each in enumerate(details)]
    if source.get("tool_calls"):
        told["tool_calls"] = [
            _tool_call(obj(item, at), at)
            for item, at in list_of(source["tool_calls"], f"{place}.tool_calls")
        ]
    if source.get("citations"):
        lost["messages.citations"] = None
    return told


def _said(source: Object, place: str) -> tuple[list[str], list[Object]]:
    """What was said, and what was thought: blocks of thinking, and the plan for tools."""
    texts: list[str] = []
    details: list[Object] = []
    content = source.get("content")
    if isinstance(content, str):
        texts.append(content)
        content = None
    for item, at in list_of(content, f"{place}.content"):
        block = obj(item, at)
        if choice(block, "type", ("text", "thinking"), at) == "text":
            texts.append(text(block, "text", at) or "")
        else:
            thought = text(block, "thinking", at) or ""
            details.append({"type": "reasoning.text", "text": thought})
    plan = text(source, "tool_plan", place)
    if plan:
        details.append({"type": "reasoning.text", "text": plan, "id": TOOL_PLAN})
    return texts, details


def _tool_call(source: Object, place: str) -> Object:
    function = obj(source.get("function"), f"{place}.function")
    return {
        "id": text(source, "id", place) or "",
        "type": "function",
        "function": {
            "name": text(function, "name", f"{place}.function") or "",
            "arguments": text(function, "arguments", f"{place}.function") or "{}",
        },
    }


def _tools(value: object, *, is_strict: bool) -> list[Object]:
    tools: list[Object] = []
    for item, place in list_of(value, "tools"):
        tool = obj(item, place)
        function = obj(tool.get("function"), f"{place}.function")
        strict = {"strict": True} if is_strict else {}
        tools.append({**tool, "type": "function", "function": {**function, **strict}})
    return tools


def _response_format(source: Object) -> Object:
    """``schema`` is what the guides call it, ``json_schema`` what the SDK does."""
    kind = choice(source, "type", ("text", "json_object"), "response_format")
    schema = source.get("json_schema") or source.get("schema")
    if kind == "text" or schema is None:
        return {"type": kind}
    named = {"name": SPARE_NAME, "schema": obj(schema, "response_format.json_schema")}
    return {"type": "json_schema", "json_schema": named}


def _reasoning(source: Object, lost: dict[str, None]) -> Object:
    kind = choice(source, "type", ("enabled", "disabled"), "thinking")
    budget = source.get("token_budget")
    if kind == "disabled":
        if budget is not None:
            lost["thinking.token_budget"] = None
        return {"enabled": False}
    return {"enabled": True} if budget is None else {"max_tokens": budget}


def read_embed(request: RawMembers) -> Incoming:
    """What the members of an embed body ask for. Raises BadRequest."""
    source = _decoded(request)
    inputs = [*_inputs(source)]
    told: Object = {"model": source.get("model"), "input": inputs}
    for name, value in source.items():
        if name == "output_dimension":
            told["dimensions"] = value
        elif name not in {"texts", "images", "inputs", "model"}:
            told[name] = value
    return Incoming(_encoded(told))


def _inputs(source: Object) -> Iterator[object]:
    for item, place in list_of(source.get("texts"), "texts"):
        yield text({"text": item}, "text", place)
    for item, _ in list_of(source.get("images"), "images"):
        yield {"content": [{"type": "image_url", "image_url": {"url": item}}]}
    for item, place in list_of(source.get("inputs"), "inputs"):
        yield obj(item, place)


def read_rerank(request: RawMembers) -> Incoming:
    """The members of a rerank body: the gateway's own words are Cohere's. Raises BadRequest."""
    return Incoming({name: raw for name, raw in request.items() if raw != b"null"})


def read_tokenize(request: RawMembers) -> Incoming:
    """What the members of a tokenize body ask for: a count of one text. Raises BadRequest."""
    told = dict(request)
    told["input"] = told.pop("text", b"null")
    return Incoming(told)
