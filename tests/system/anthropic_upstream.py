"""An upstream that speaks Anthropic's Messages API: as strict as the real one, and of few words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from system.anthropic_rules import complaint, signature_of
from system.upstream import raw, status

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trio

    from system.upstream import Behaviour, Received

__all__ = ["THOUGHT", "claude", "claude_refuses"]

THOUGHT = "The weather of a city: I call the tool."
MODELS = {
    "data": [
        {
            "type": "model",
            "id": "claude-sonnet-4-5-20250929",
            "display_name": "Claude Sonnet 4.5",
            "created_at": "2025-09-29T00:00:00Z",
        }
    ],
    "has_more": False,
    "first_id": "claude-sonnet-4-5-20250929",
    "last_id": "claude-sonnet-4-5-20250929",
}


def claude() -> Behaviour:
    """Answers what is asked: models, counts, messages in one piece and as a stream."""

    async def behave(conn: trio.SocketStream, received: Received) -> None:
        await _answer(received)(conn, received)

    return behave


def claude_refuses(kind: str, code: int, **headers: str) -> Behaviour:
    """An error in Anthropic's shape."""
    return status(code, _error(kind, f"It is {kind}"), headers)


def _error(kind: str, text: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_1"}


def _answer(received: Received) -> Behaviour:
    if received.header("anthropic-version") != "2023-06-01" or not received.header("x-api-key"):
        return claude_refuses("authentication_error", 401)
    if received.path == "/v1/models?limit=1000":
        return status(200, MODELS)
    body, path = received.json, received.path.removeprefix("/anthropic")
    if path == "/v1/messages/count_tokens":
        wrong = complaint({**body, "max_tokens": 1}) if "max_tokens" not in body else "max_tokens"
        return _refused(wrong) if wrong else status(200, {"input_tokens": 14})
    if path != "/v1/messages":
        return claude_refuses("not_found_error", 404)
    wrong = complaint(body)
    if wrong is not None:
        return _refused(wrong)
    message = _message(body)
    return _streamed(message) if body.get("stream") else status(200, message)


def _refused(text: str) -> Behaviour:
    return status(400, _error("invalid_request_error", text))


def _message(body: dict[str, Any]) -> dict[str, Any]:
    content = list(_content(body))
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": "tool_use" if content[-1]["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 20,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 0,
            "output_tokens": 9,
        },
    }


def _content(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    last = body["messages"][-1]["content"]
    if body.get("thinking", {}).get("type") in {"enabled", "adaptive"}:
        yield {"type": "thinking", "thinking": THOUGHT, "signature": signature_of(THOUGHT)}
        yield {"type": "redacted_thinking", "data": "RedactedEmwK"}
    result = next((block for block in last if block["type"] == "tool_result"), None)
    pictures = [block["source"]["media_type"] for block in last if block["type"] == "image"]
    if result is not None:
        yield {"type": "text", "text": f"It is {result['content']}"}
    elif body.get("tools"):
        yield {"type": "text", "text": "I look."}
        tool = {"type": "tool_use", "id": "toolu_1", "name": body["tools"][0]["name"]}
        yield {**tool, "input": {"city": "Oslo", "days": 2}}
    elif pictures:
        yield {"type": "text", "text": f"A picture of type {pictures[0]}"}
    elif "format" in body.get("output_config", {}):
        yield {"type": "text", "text": '{"name":"Oslo","country":"Norway"}'}
    else:
        yield {"type": "text", "text": "Hello"}


def _streamed(message: dict[str, Any]) -> Behaviour:
    body = b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
        for event in _events(message)
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n"
    half = len(body) // 2
    return raw(head, body[:half], 0.01, body[half:])


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = {**message["usage"], "output_tokens": 1}
    yield {
        "type": "message_start",
        "message": {**message, "content": [], "stop_reason": None, "usage": usage},
    }
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": _begun(block)}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}
    yield {"type": "message_stop"}


def _begun(block: dict[str, Any]) -> dict[str, Any]:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match block:
        case {"type": "text", "text": text}:
            for piece in (text[:3], text[3:]):
                yield {"type": "text_delta", "text": piece}
        case {"type": "thinking", "thinking": text, "signature": signature}:
            for piece in (text[:9], text[9:]):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": signature}
        case {"type": "tool_use", "input": value}:
            told = json.dumps(value)
            for piece in ("", told[:5], told[5:]):
                yield {"type": "input_json_delta", "partial_json": piece}
        case _:
            pass
