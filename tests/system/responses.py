"""What an upstream says by the Responses API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from system.upstream import raw

if TYPE_CHECKING:
    from system.upstream import Behaviour

__all__ = ["USAGE", "named", "response", "response_events"]

USAGE: dict[str, Any] = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}


def response(text: str = "Hello", state: str = "completed") -> dict[str, Any]:
    """A response as OpenAI sends it."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": state,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "m",
        "output": [message],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            **USAGE,
            "input_tokens_details": {"cached_tokens": 1},
            "output_tokens_details": {"reasoning_tokens": 1},
        },
    }


def response_events(text: str = "Hello") -> list[dict[str, Any]]:
    """The same, streamed."""
    item: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant"}
    begun: dict[str, Any] = {**response(), "status": "in_progress", "output": [], "usage": None}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {
            "type": "response.content_part.added",
            **where,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        *(
            {"type": "response.output_text.delta", **where, "delta": letter, "logprobs": []}
            for letter in text
        ),
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.output_item.done", "output_index": 0, "item": response()["output"][0]},
        {"type": "response.completed", "response": response(text)},
    ]
    return [{**event, "sequence_number": n} for n, event in enumerate(events)]


def named(events: list[dict[str, Any]]) -> Behaviour:
    """An answer of named events, ended as HTTP ends it."""
    frames = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()
    head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n"
    return raw(head + b"content-length: %d\r\n\r\n" % len(frames) + frames)
