"""An upstream that answers every route of the OpenAI API sensibly, whatever it is asked."""

from __future__ import annotations

import json
from typing import Any

from system.upstream import Behaviour, Received, Upstream, chat_answer, plain, raw, status, stream

__all__ = ["OpenAILike"]

DOCUMENT = {"object": "list", "data": [], "has_more": False}
PICTURES = {"created": 1, "data": [{"b64_json": "aGk="}]}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [],
    "usage": None,
}
FILE = {"id": "file-1", "object": "file", "bytes": 1, "filename": "a", "purpose": "batch"}
BATCH = {"id": "batch_1", "object": "batch", "status": "validating"}

ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": chat_answer(),
    "/v1/completions": {
        "id": "cmpl-1",
        "object": "text_completion",
        "choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}],
    },
    "/v1/responses": RESPONSE,
    "/v1/responses/input_tokens": {"object": "response.input_tokens", "input_tokens": 3},
    "/v1/rerank": {"results": [{"index": 0, "relevance_score": 0.5}]},
    "/v1/moderations": {"id": "modr-1", "results": []},
    "/v1/audio/transcriptions": {"text": "Hello"},
    "/v1/audio/translations": {"text": "Hello"},
    "/v1/images/generations": PICTURES,
    "/v1/images/edits": PICTURES,
    "/v1/images/variations": PICTURES,
    "/v1/models": {"object": "list", "data": [{"id": "m", "object": "model"}]},
    "/openai/models": {"object": "list", "data": [{"id": "m", "object": "model"}]},
    "/v1/files": FILE,
    "/v1/batches": BATCH,
}

LAST_EVENTS: dict[str, dict[str, Any]] = {
    "/v1/responses": {"type": "response.completed", "response": RESPONSE},
    "/v1/audio/speech": {"type": "speech.audio.done", "usage": None},
    "/v1/audio/transcriptions": {"type": "transcript.text.done", "text": "Hello"},
    "/v1/audio/translations": {"type": "transcript.text.done", "text": "Hello"},
    "/v1/images/generations": {"type": "image_generation.completed", "b64_json": "aGk="},
    "/v1/images/edits": {"type": "image_edit.completed", "b64_json": "aGk="},
}

STREAMED = {"/v1/chat/completions", "/v1/completions", *LAST_EVENTS}


class OpenAILike(Upstream):
    """Plain, or as events where those are asked for."""

    def _next(self, received: Received) -> Behaviour:
        path = received.path.partition("?")[0]
        if received.method == "HEAD":
            head = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
            return raw(head, close=False)
        if received.method == "GET" and path in {"/v1/files", "/v1/batches"}:
            return plain(DOCUMENT)
        if received.method == "GET" and path.startswith("/v1/batches/"):
            return plain({**BATCH, "status": "completed", "output_file_id": "file-1"})
        if path.endswith("/content"):
            return status(200, b"x", {"content-type": "application/octet-stream"})
        if path in STREAMED and _asks_stream(received):
            return _stream(path)
        if path == "/v1/audio/speech":
            return status(200, b"\xff\xfb", {"content-type": "audio/mpeg"})
        if path == "/v1/embeddings":
            return plain(_embeddings(received))
        return plain(ANSWERS.get(path) or {"id": "x-1", "object": "thing"})


def _embeddings(received: Received) -> dict[str, Any]:
    """One vector for each text, or for what is no list of texts."""
    asked = received.json.get("input")
    number = len(asked) if isinstance(asked, list) else 1
    return {"object": "list", "data": [{"index": n, "embedding": [0.5]} for n in range(number)]}


def _stream(path: str) -> Behaviour:
    if path == "/v1/chat/completions":
        return stream()
    if path == "/v1/completions":
        choice = {"index": 0, "text": "Hello", "finish_reason": "stop"}
        return stream([{"id": "cmpl-1", "object": "text_completion", "choices": [choice]}])
    last = LAST_EVENTS[path]
    frame = f"event: {last['type']}\ndata: {json.dumps(last)}\n\n".encode()
    head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    return raw(head % len(frame) + frame, close=False)


def _asks_stream(received: Received) -> bool:
    """By a member or a field; whatever else the body is."""
    if b'name="stream"\r\n\r\ntrue' in received.body:
        return True
    try:
        body = json.loads(received.body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(body, dict):
        return False
    return body.get("stream") is True or body.get("stream_format") == "sse"
