"""The messages of a chat request as Cohere takes them.

Source: Cohere API reference, "Chat" v2, and its guides to tool use, retrieval and reasoning, 2026-11.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.cohere_shape import TOOL_PLAN
from bifrost.errors import BadRequest
from bifrost.schema.chat import Audio, CachePoint, Document, Image, Message, Refusal, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.dialects.cohere_shape import Object
    from bifrost.dialects.fields import Losses
    from bifrost.schema.chat import Part, ReasoningDetail, ToolCall

__all__ = ["tell_messages"]

LOST = {
    Audio: "messages.content.input_audio",
    CachePoint: "messages.content.cachePoint",
    Document: "messages.content.file",
    Image: "messages.content.image_url",
}
"""Parts that not every message can have, by the name of their loss."""


def tell_messages(messages: Iterable[Message], losses: Losses) -> tuple[list[Object], list[Object]]:
    """The messages, and the documents that were among their parts: Cohere has those beside the messages.

    Raises BadRequest for a message that Cohere would refuse as empty, or for its missing tool call.
    """
    documents: list[Object] = []
    return [_message(message, documents, losses) for message in messages], documents


def _message(message: Message, documents: list[Object], losses: Losses) -> Object:
    if message.name is not None:
        losses.lose("messages.name")
    match message.role:
        case "assistant":
            return _assistant(message, losses)
        case "tool":
            return _tool(message, losses)
        case role:
            return {"role": role, "content": _said(message, documents, losses)}


def _said(message: Message, documents: list[Object], losses: Losses) -> str | list[Object]:
    """What a user or the system says: one text as a string. Plain text files become documents."""
    blocks: list[Object] = []
    for part in message.parts:
        if isinstance(part, Document) and message.role == "user":
            document = _document(part, len(documents))
            if document is not None:
                documents.append(document)
                continue
        block = _block(part, losses, takes_images=message.role == "user")
        if block is not None:
            blocks.append(block)
    if not blocks:
        raise BadRequest(f"{message.place}.content has nothing for cohere", param=message.place)
    return _plain(blocks)


def _plain(blocks: list[Object]) -> str | list[Object]:
    """One text is a string."""
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        text: str = blocks[0]["text"]
        return text
    return blocks


def _block(part: Part, losses: Losses, *, takes_images: bool) -> Object | None:
    if getattr(part, "cache_control", None) is not None:
        losses.lose("messages.content.cache_control")
    match part:
        case Text(text=text) | Refusal(text):
            return {"type": "text", "text": text}
        case Image() if takes_images:
            return {"type": "image_url", "image_url": _image(part)}
        case _:
            losses.lose(LOST[type(part)])
            return None


def _image(image: Image) -> Object:
    inline = image.inline
    url = f"data:{inline.media_type};base64,{inline.data}" if inline else image.url
    return {"url": url, **({"detail": image.detail} if image.detail else {})}


def _document(part: Document, count: int) -> Object | None:
    """A document for the model to cite, of a file of plain text; ``None`` if it is another."""
    text = part.text if part.text is not None else _decoded(part)
    if text is None:
        return None
    data = {"text": text, **({"title": part.filename} if part.filename else {})}
    return {"id": part.filename or f"doc:{count}", "data": data}


def _decoded(part: Document) -> str | None:
    inline = part.inline
    if inline is None or not inline.media_type.startswith("text/"):
        return None
    try:
        return base64.b64decode(inline.data + "=" * (-len(inline.data) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _assistant(message: Message, losses: Losses) -> Object:
    told: Object = {"role": "assistant"}
    thoughts, plan = _reasoning(message, losses)
    blocks = [_block(part, losses, takes_images=False) for part in message.parts]
    content = [*thoughts, *(block for block in blocks if block is not None)]
    if plan:
        told["tool_plan"] = plan
    if content:
        told["content"] = _plain(content)
    if message.tool_calls:
        told["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if len(told) == 1:
        raise BadRequest(f"{message.place}.content has nothing for cohere", param=message.place)
    return told


def _reasoning(message: Message, losses: Losses) -> tuple[list[Object], str]:
    """Blocks of thinking, and the plan for the tools that were called.

    A text without details is the plan where there are calls: every model takes that.
    """
    details = message.reasoning_details
    if not details:
        if message.tool_calls:
            return [], message.reasoning
        text = message.reasoning
        return [{"type": "thinking", "thinking": text}] if text else [], ""
    readable = [detail for detail in details if _is_readable(detail, losses)]
    plan = "".join(detail.text for detail in readable if detail.id == TOOL_PLAN)
    thoughts = [
        {"type": "thinking", "thinking": detail.text}
        for detail in readable
        if detail.id != TOOL_PLAN
    ]
    return thoughts, plan


def _is_readable(detail: ReasoningDetail, losses: Losses) -> bool:
    """Whether there are words in it; what only another provider can read is lost."""
    if detail.data is not None:
        losses.lose("messages.reasoning_details.data")
    if detail.signature is not None:
        losses.lose("messages.reasoning_details.signature")
    return bool(detail.text)


def _tool_call(call: ToolCall) -> Object:
    arguments = call.arguments if call.arguments.strip() else "{}"
    if call.is_custom:
        # A tool of free text has no equal: its text is the only member of an object.
        arguments = json.dumps({"input": call.arguments}).decode()
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _tool(message: Message, losses: Losses) -> Object:
    if not message.tool_call_id:
        place = f"{message.place}.tool_call_id"
        raise BadRequest(f"{place} is required", param=place)
    blocks = [_result(part, n, losses) for n, part in enumerate(message.parts)]
    content = [block for block in blocks if block is not None]
    # A tool may have nothing to say; the message has to be there all the same.
    told = _plain(content) if content else ""
    return {"role": "tool", "tool_call_id": message.tool_call_id, "content": told}


def _result(part: Part, n: int, losses: Losses) -> Object | None:
    """What a tool gave back: a text, or a document that can be cited."""
    document = _document(part, n) if isinstance(part, Document) else None
    if document is not None:
        return {"type": "document", "document": document}
    return _block(part, losses, takes_images=False)
