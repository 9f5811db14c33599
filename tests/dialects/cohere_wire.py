"""What Cohere sends and takes, for tests: events, streams, and requests held against the types of its own SDK."""

from __future__ import annotations

import json
from typing import Any

import pydantic
from cohere.types import (
    ChatMessageV2,
    CitationOptions,
    Document,
    EmbedInput,
    ResponseFormatV2,
    Thinking,
    ToolV2,
)

__all__ = ["check_chat", "check_embed", "event", "message_end", "message_start", "stream"]

MEMBERS: dict[str, Any] = {
    "model": str,
    "messages": list[ChatMessageV2],
    "stream": bool,
    "tools": list[ToolV2],
    "strict_tools": bool,
    "documents": list[str | Document],
    "citation_options": CitationOptions,
    "response_format": ResponseFormatV2,
    "safety_mode": str,
    "max_tokens": int,
    "stop_sequences": list[str],
    "temperature": float,
    "seed": int,
    "frequency_penalty": float,
    "presence_penalty": float,
    "k": int,
    "p": float,
    "logprobs": bool,
    "tool_choice": str,
    "thinking": Thinking,
    "priority": int,
}

EMBED_MEMBERS: dict[str, Any] = {
    "model": str,
    "input_type": str,
    "texts": list[str],
    "images": list[str],
    "inputs": list[EmbedInput],
    "max_tokens": int,
    "output_dimension": int,
    "embedding_types": list[str],
    "truncate": str,
    "priority": int,
}


def check_chat(body: dict[str, Any]) -> None:
    """Hold a chat body against the SDK's types; a member that it does not know is an error."""
    _check(body, MEMBERS)
    ids = {call["id"] for m in body["messages"] for call in m.get("tool_calls", [])}
    for message in body["messages"]:
        content = message.get("content")
        assert content or message["role"] in {"tool", "assistant"}, "an empty message"
        if message["role"] == "tool":
            assert message["tool_call_id"] in ids, "a result of no call"
        for call in message.get("tool_calls", []):
            assert call["function"]["arguments"], "a call without arguments"
    assert body.get("tool_choice") in {None, "REQUIRED", "NONE"}
    assert 0.01 <= body.get("p", 0.5) <= 0.99


def check_embed(body: dict[str, Any]) -> None:
    """The same for embeddings."""
    _check(body, EMBED_MEMBERS)
    assert body["input_type"]


def _check(body: dict[str, Any], members: dict[str, Any]) -> None:
    assert set(body) <= set(members)
    for name, value in body.items():
        pydantic.TypeAdapter(members[name]).validate_python(value)


def event(kind: str, **members: Any) -> bytes:
    """One event, framed."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def said(kind: str, index: int | None = None, **message: Any) -> bytes:
    place = {} if index is None else {"index": index}
    return event(kind, **place, delta={"message": message})


def message_start() -> bytes:
    message = {
        "role": "assistant",
        "content": [],
        "tool_plan": "",
        "tool_calls": [],
        "citations": [],
    }
    return event("message-start", id="msg-1", delta={"message": message})


def message_end(reason: str = "COMPLETE", **more: Any) -> bytes:
    usage = {
        "billed_units": {"input_tokens": 4, "output_tokens": 3},
        "tokens": {"input_tokens": 70, "output_tokens": 3},
        "cached_tokens": 64,
    }
    return event("message-end", delta={"finish_reason": reason, "usage": usage, **more})


def block(index: int, name: str, *texts: str) -> bytes:
    """A block of content, whole."""
    begin = said("content-start", index, content={"type": name, name: ""})
    deltas = (said("content-delta", index, content={name: text}) for text in texts)
    return b"".join([begin, *deltas, event("content-end", index=index)])


def call(index: int, key: str, name: str, *arguments: str) -> bytes:
    """A tool call, whole."""
    function = {"name": name, "arguments": ""}
    begun = {"id": key, "type": "function", "function": function}
    begin = said("tool-call-start", index, tool_calls=begun)
    deltas = (
        said("tool-call-delta", index, tool_calls={"function": {"arguments": text}})
        for text in arguments
    )
    return b"".join([begin, *deltas, event("tool-call-end", index=index)])


def stream(*parts: bytes, reason: str = "COMPLETE", done: bool = True) -> bytes:
    """A whole answer of ``parts``."""
    end = b"data: [DONE]\n\n" if done else b""
    return b"".join([message_start(), *parts, message_end(reason), end])
