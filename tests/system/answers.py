"""Answers as OpenAI gives them, for the scripted upstream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from system.upstream import plain, raw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import trio

    from system.upstream import Behaviour, Received

__all__ = [
    "PICTURE_USAGE",
    "USAGE",
    "batch",
    "completion",
    "embedding",
    "file_object",
    "key_of",
    "named",
    "paged",
    "picture_events",
    "pictures",
    "response",
    "response_events",
    "transcript_events",
    "vector_store",
]

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


def file_object(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "object": "file",
        "bytes": 3,
        "created_at": 1,
        "filename": "f.jsonl",
        "purpose": "batch",
        "status": "processed",
        **more,
    }


def completion(text: str = "Hello", finish: str | None = "stop") -> dict[str, Any]:
    """A legacy completion, or one chunk of it."""
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": text, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


def embedding(vector: str | list[float]) -> dict[str, Any]:
    """One vector, as numbers or as the base64 that SDKs ask for of their own accord."""
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": "m",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


PICTURE_USAGE: dict[str, Any] = {
    **USAGE,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 5},
}


def pictures() -> dict[str, Any]:
    """One picture."""
    return {"created": 1, "data": [{"b64_json": "aGk="}], "usage": PICTURE_USAGE}


def picture_events(kind: str = "image_generation") -> list[dict[str, Any]]:
    """The same streamed; ``kind`` is ``image_edit`` where one is changed."""
    picture = {
        "b64_json": "aGk=",
        "background": "auto",
        "created_at": 1,
        "output_format": "png",
        "quality": "high",
        "size": "1024x1024",
    }
    return [
        {"type": f"{kind}.partial_image", "partial_image_index": 0, **picture},
        {"type": f"{kind}.completed", "usage": PICTURE_USAGE, **picture},
    ]


def transcript_events() -> list[dict[str, Any]]:
    """A streamed transcription."""
    return [
        {"type": "transcript.text.delta", "delta": "Hel", "logprobs": []},
        {"type": "transcript.text.delta", "delta": "lo", "logprobs": []},
        {"type": "transcript.text.done", "text": "Hello", "usage": {"type": "tokens", **USAGE}},
    ]


def batch(state: str = "validating") -> dict[str, Any]:
    """A batch."""
    return {
        "id": "batch_1",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file-1",
        "completion_window": "24h",
        "status": state,
        "created_at": 1,
    }


def vector_store() -> dict[str, Any]:
    """A vector store: nothing the gateway understands."""
    return {
        "id": "vs_1",
        "object": "vector_store",
        "created_at": 1,
        "name": "n",
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
        "status": "completed",
        "usage_bytes": 0,
        "last_active_at": 1,
    }


def paged(has: Mapping[str, Sequence[str]], size: int = 2) -> Behaviour:
    """A list of files for each key, ``size`` a page, as OpenAI cuts them."""

    async def behave(conn: trio.SocketStream, received: Received) -> None:
        names = has[key_of(received)]
        query = dict(parse_qsl(received.path.partition("?")[2]))
        begin = names.index(query["after"]) + 1 if query.get("after") in names else 0
        page = [file_object(name) for name in names[begin : begin + size]]
        more = begin + size < len(names)
        await plain({"object": "list", "data": page, "has_more": more})(conn, received)

    return behave


def key_of(received: Received) -> str:
    """The credential that came."""
    return (received.header("authorization") or "").removeprefix("Bearer ")
