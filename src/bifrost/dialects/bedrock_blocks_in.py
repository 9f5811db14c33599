"""Converse's content blocks, one by one, as what OpenAI's chat API makes of a message.

A block that chat has no word for is left out and named. Source: AWS, Amazon Bedrock API reference, "ContentBlock", 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from bifrost.dialects.bedrock_answer import MEDIA, thought_detail
from bifrost.dialects.value_shape import list_of, obj, text, written
from bifrost.errors import BadRequest

__all__ = ["Turn", "read_turn"]

Object = dict[str, Any]

Lose = Callable[[str], None]
"""Is told the name of what is left out."""

OFFICE = "application/vnd.openxmlformats-officedocument"

TYPES = {
    **MEDIA,
    "doc": "application/msword",
    "docx": f"{OFFICE}.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{OFFICE}.spreadsheetml.sheet",
}


@attrs.define(eq=False)
class Turn:
    """What one message says, sorted by where chat has it. ``results`` are whole messages of role ``tool``."""

    parts: list[Object] = attrs.field(factory=list)
    calls: list[Object] = attrs.field(factory=list)
    details: list[Object] = attrs.field(factory=list)
    results: list[Object] = attrs.field(factory=list)

    def content(self) -> object:
        """The parts as a message's content: a lone text is a string."""
        match self.parts:
            case [{"type": "text", "text": str(words), **rest}] if not rest:
                return words
            case _:
                return self.parts


def read_turn(content: object, place: str, lose: Lose) -> Turn:
    """The turn that ``content``, a list of blocks, is. Raises BadRequest with the place."""
    turn = Turn()
    for item, where in list_of(content, place):
        block = obj(item, where)
        kind = next((name for name, value in block.items() if value is not None), "")
        _take(turn, kind, block, where, lose)
    return turn


def _take(turn: Turn, kind: str, block: Object, place: str, lose: Lose) -> None:
    match kind:
        case "toolUse":
            turn.calls.append(_call(obj(block[kind], f"{place}.{kind}"), f"{place}.{kind}"))
        case "toolResult":
            turn.results.append(_result(obj(block[kind], f"{place}.{kind}"), place, lose))
        case "reasoningContent":
            detail = thought_detail(obj(block[kind], f"{place}.{kind}"), len(turn.details))
            if detail is not None:
                turn.details.append(detail)
        case "cachePoint":
            _mark(turn, obj(block[kind], f"{place}.{kind}"), lose)
        case _:
            part = _part(kind, block, place, lose)
            if part is not None:
                turn.parts.append(part)


def _mark(turn: Turn, point: Object, lose: Lose) -> None:
    """A cache point is a mark on what is before it."""
    mark: Object = {"type": "ephemeral"}
    if isinstance(point.get("ttl"), str):
        mark["ttl"] = point["ttl"]
    if turn.parts:
        turn.parts[-1]["cache_control"] = mark
    elif turn.results:
        last = turn.results[-1]
        parts = last["content"]
        last["content"] = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
        last["content"][-1]["cache_control"] = mark
    else:
        lose("cachePoint")


def _part(kind: str, block: Object, place: str, lose: Lose) -> Object | None:
    """A part of chat's; ``None``, and named, if there is none like it."""
    match kind, block.get(kind):
        case "text", str(words):
            return {"type": "text", "text": words}
        case "guardContent", {"text": {"text": str(words)}}:
            return {"type": "text", "text": words}
        case "image", {"format": str(form), "source": {"bytes": str(data)}}:
            url = f"data:image/{form};base64,{data}"
            return {"type": "image_url", "image_url": {"url": url}}
        case "document", dict() as document:
            return _document(document, f"{place}.document", lose)
        case "text", _:
            raise BadRequest(f"{place}.text must be a string", param=f"{place}.text")
        case _:
            lose(f"messages.content.{kind[:64] or 'block'}")
            return None


def _document(document: Object, place: str, lose: Lose) -> Object | None:
    form = text(document, "format", place) or ""
    name = text(document, "name", place) or "document"
    file: Object = {"filename": f"{name}.{form}" if form else name}
    match document.get("source"):
        case {"bytes": str(data)}:
            media = TYPES.get(form, "application/octet-stream")
            file["file_data"] = f"data:{media};base64,{data}"
        case {"text": str(words)}:
            file |= {"file_data": words, "file_type": "text/plain"}
        case {"s3Location": {"uri": str(uri)}}:
            file["file_url"] = uri
        case _:
            lose("messages.content.document")
            return None
    told: Object = {"type": "file", "file": file}
    if isinstance(document.get("citations"), dict):
        told["citations"] = document["citations"]
    return told


def _call(call: Object, place: str) -> Object:
    """A call. Its input is written as it came, key for key."""
    arguments = written(obj(call.get("input") or {}, f"{place}.input")).decode()
    function = {"name": _required(call, "name", place), "arguments": arguments}
    return {"id": _required(call, "toolUseId", place), "type": "function", "function": function}


def _result(result: Object, place: str, lose: Lose) -> Object:
    where = f"{place}.toolResult"
    parts: list[Object] = []
    for item, inner in list_of(result.get("content"), f"{where}.content"):
        block = obj(item, inner)
        if "json" in block:
            parts.append({"type": "text", "text": written(block["json"]).decode()})
            continue
        part = _part(next(iter(block), ""), block, inner, lose)
        if part is not None:
            parts.append(part)
    if result.get("status") == "error":
        lose("messages.content.toolResult.status")
    content = Turn(parts=parts).content() or ""
    return {
        "role": "tool",
        "tool_call_id": _required(result, "toolUseId", where),
        "content": content,
    }


def _required(source: Object, name: str, place: str) -> str:
    value = text(source, name, place)
    if not value:
        raise BadRequest(f"{place}.{name} is required", param=f"{place}.{name}")
    return value
