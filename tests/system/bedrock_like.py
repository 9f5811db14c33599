"""A strict Bedrock: it takes what botocore would have sent, and refuses all else as AWS does."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from dialects.converse import event, exception, problems
from system.upstream import Behaviour, Received, Upstream, raw, status

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BedrockLike", "answer", "chunks", "failed", "frames", "refused"]

PATH = re.compile(
    r"/model/([^/]+)/(converse|converse-stream|count-tokens|invoke|invoke-with-response-stream)"
)

KINDS = {
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "count-tokens": "CountTokens",
}

USAGE = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}
HELLO = ({"text": "Hello"},)


def answer(*content: Any, stop: str = "end_turn", usage: Any = USAGE) -> Behaviour:
    """A good answer of Converse."""
    message = {"role": "assistant", "content": list(content or HELLO)}
    value = {"output": {"message": message}, "stopReason": stop, "usage": usage}
    return status(200, {**value, "metrics": {"latencyMs": 5}})


def refused(code: int, name: str, message: str) -> Behaviour:
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/"}
    return status(code, {"message": message}, headers)


def frames(*middle: bytes, stop: str = "end_turn", end: bool = True) -> Behaviour:
    """A stream, cut into pieces of seven bytes; without its end, if that is not wanted."""
    deltas = middle or tuple(
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})
        for text in ("Hel", "lo")
    )
    parts = [event("messageStart", {"role": "assistant"}), *deltas]
    if end:
        parts.append(event("messageStop", {"stopReason": stop}))
        parts.append(event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 5}}))
    return _streamed(b"".join(parts))


def chunks(*values: Any) -> Behaviour:
    """What InvokeModelWithResponseStream says, a chunk for each of ``values``; the last has the metrics."""
    metrics = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 3}}
    told = [*values[:-1], {**values[-1], **metrics}]
    packed = (base64.b64encode(json.dumps(value).encode()).decode() for value in told)
    return _streamed(b"".join(event("chunk", {"bytes": each}) for each in packed))


def failed(name: str, *before: bytes) -> Behaviour:
    """A stream that tells an exception."""
    return _streamed(b"".join((*before, exception(name, "it went wrong"))))


def _streamed(body: bytes) -> Behaviour:
    head = (
        b"HTTP/1.1 200 X\r\ncontent-type: application/vnd.amazon.eventstream\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return raw(head, *chunks, b"0\r\n\r\n", close=False)


class BedrockLike(Upstream):
    """Scripts are by model id; without one every model says Hello."""

    def _next(self, received: Received) -> Behaviour:
        if received.path == "/foundation-models":
            return status(200, {"modelSummaries": [{"modelId": "anthropic.claude-x-v1:0"}]})
        found = PATH.fullmatch(received.path)
        if found is None:
            return refused(404, "UnknownOperationException", received.path)
        model, action = unquote(found[1]), found[2]
        wrong = self._wrong(received, found[1], action)
        if wrong:
            return refused(400, "ValidationException", wrong)
        script: Sequence[Behaviour] = self.scripts.get(model, ())
        if not script:
            return _spare(action)
        return self.scripts[model].pop(0) if len(script) > 1 else script[0]

    def _wrong(self, received: Received, name: str, action: str) -> str:
        """What AWS would have against the request."""
        if quote(unquote(name), safe="") != name:
            return f"{name} is not encoded once"
        if not (received.header("authorization") or "").startswith(
            ("Bearer ", "AWS4-HMAC-SHA256 ")
        ):
            return "no credential"
        wanted = "application/vnd.amazon.eventstream" if "stream" in action else "application/json"
        if received.header("accept") != wanted:
            return f"accept is {received.header('accept')}"
        if action.startswith("invoke"):
            return ""
        return problems(json.loads(received.body), unquote(name), KINDS[action])


def _spare(action: str) -> Behaviour:
    match action:
        case "converse":
            return answer()
        case "converse-stream":
            return frames()
        case "count-tokens":
            return status(200, {"inputTokens": 5})
        case _:
            return status(200, {"embedding": [0.5, -1.0], "inputTextTokenCount": 4})
