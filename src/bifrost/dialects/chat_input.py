"""A chat request as the input of OpenAI's Responses API: what its tokens are counted by.

Only what a count goes by is told: messages, tools and the form that the answer is to have. Source: OpenAI API reference,
"Get input token counts", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.chat_request import read_chat
from bifrost.schema.chat import Audio, CachePoint, Document, Image, Refusal, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bifrost.schema.call import RawMembers
    from bifrost.schema.chat import ChatRequest, Inline, Message, Part, Tool, ToolChoice

__all__ = ["chat_as_input"]

Object = dict[str, Any]


def chat_as_input(members: RawMembers) -> tuple[RawMembers, tuple[str, ...]]:
    """The members of a Responses request that says the same, and what of the count is lost. Raises BadRequest."""
    request = read_chat(members)
    lost: dict[str, None] = {}
    told: Object = {
        "input": [item for message in request.messages for item in _items(message, lost)]
    }
    lost |= dict.fromkeys(f"tools.{tool.get('type')}" for tool in request.other_tools)
    if request.tools:
        told["tools"] = [_tool(tool) for tool in request.tools]
        told |= _choice(request.tool_choice)
    told |= _format(request)
    return {name: json.dumps(value) for name, value in told.items()}, tuple(lost)


def _items(message: Message, lost: dict[str, None]) -> Iterator[Object]:
    if message.reasoning_details:
        lost["reasoning_details"] = None
    if message.role == "tool":
        output = _contents(message, lost)
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": output}
        return
    if message.parts:
        yield {"type": "message", "role": message.role, "content": _contents(message, lost)}
    for call in message.tool_calls:
        said = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
        yield {"type": "function_call", **said}


def _contents(message: Message, lost: dict[str, None]) -> list[Object]:
    is_output = message.role == "assistant"
    told = (_content(part, lost, is_output=is_output) for part in message.parts)
    return [part for part in told if part is not None]


def _content(part: Part, lost: dict[str, None], *, is_output: bool) -> Object | None:
    match part:
        case Text(text=text):
            return {"type": "output_text" if is_output else "input_text", "text": text}
        case Refusal(text=text):
            return {"type": "refusal", "refusal": text}
        case Image(url=url, inline=inline, detail=detail):
            told = {"image_url": _uri(inline, "image/png") if inline else url}
            return {"type": "input_image", **told, "detail": detail or "auto"}
        case Document():
            return _file(part)
        case Audio():
            lost["messages.content.input_audio"] = None
        case CachePoint():
            lost["messages.content.cachePoint"] = None
    return None


def _file(file: Document) -> Object:
    if file.text is not None:
        return {"type": "input_text", "text": file.text}
    if file.inline is not None:
        data = _uri(file.inline, "application/pdf")
        return {
            "type": "input_file",
            "filename": file.filename or "document.pdf",
            "file_data": data,
        }
    where = {"file_url": file.url} if file.url else {"file_id": file.file_id}
    return {"type": "input_file", **where}


def _uri(inline: Inline, spare: str) -> str:
    return f"data:{inline.media_type or spare};base64,{inline.data}"


def _tool(tool: Tool) -> Object:
    told: Object = {"type": "function", "name": tool.name, "parameters": tool.parameters or {}}
    if tool.description is not None:
        told["description"] = tool.description
    return {**told, "strict": tool.strict or False}


def _choice(choice: ToolChoice | None) -> Object:
    match choice:
        case None:
            return {}
        case _ if choice.mode == "function":
            return {"tool_choice": {"type": "function", "name": choice.names[0]}}
        case _ if choice.mode in {"auto", "none", "required"}:
            return {"tool_choice": choice.mode}
        case _:
            return {}


def _format(request: ChatRequest) -> Object:
    wanted = request.response_format
    if wanted is None or wanted.kind != "json_schema":
        return {}
    told = {"type": "json_schema", "name": wanted.name or "response", "schema": wanted.schema}
    return {"text": {"format": told}}
