"""Chat answers told in Bedrock's dialect, of upstreams that spoke another: whole, and as frames of ConverseStream.

Source: AWS, Amazon Bedrock API reference, "Converse" and "ConverseStream" (API of 2023-09-30), 2026-11.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.codecs.eventstream import encode_frame
from bifrost.dialects.anthropic_teller import AnthropicTeller
from bifrost.dialects.anthropic_words import said_in, thoughts_of
from bifrost.dialects.bedrock_words import stop_reason_of, token_usage
from bifrost.dialects.bridge_reading import Saying, call_deltas
from bifrost.dialects.extra_fields import milliseconds
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bifrost.dialects.anthropic_words import Thought
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Answer, Object

__all__ = [
    "ConverseTeller",
    "InvokeTeller",
    "event_frame",
    "exception_frame",
    "tell_converse",
    "tell_token_count",
]

JSON = "application/json"


def event_frame(kind: str, payload: bytes) -> bytes:
    """An event of a stream."""
    headers = {":event-type": kind, ":content-type": JSON, ":message-type": "event"}
    return encode_frame(headers, payload)


def exception_frame(kind: str, payload: bytes) -> bytes:
    """A failure in a stream; nothing comes after it."""
    headers = {":exception-type": kind, ":content-type": JSON, ":message-type": "exception"}
    return encode_frame(headers, payload)


def tell_converse(answer: Answer, facts: AnswerFacts) -> bytes:
    """Converse's answer of a chat ``answer``. The first choice counts: Converse knows no others."""
    value = answer.value
    choices = value.get("choices")
    choice = (_object(choices[0]) if isinstance(choices, list) and choices else None) or {}
    said = _object(choice.get("message")) or {}
    calls = [*_calls(said, hashlib.sha256(answer.body).hexdigest()[:22])]
    message = {"role": "assistant", "content": [*_words(said), *calls]}
    told: Object = {
        "output": {"message": message},
        "stopReason": stop_reason_of(choice.get("finish_reason"), has_calls=bool(calls)),
        "usage": token_usage(_object(value.get("usage"))),
        "metrics": {"latencyMs": milliseconds(facts.sent_s, facts.received_s or facts.sent_s)},
    }
    return json.dumps(told)


def _object(value: object) -> Object | None:
    return value if isinstance(value, dict) else None


def _words(message: Object) -> Iterator[Object]:
    """What was thought and said, in Converse's order."""
    for thought in thoughts_of(message):
        yield {"reasoningContent": _thought(thought)}
    for saying, text in said_in(message):
        if saying is Saying.REASONING:
            yield {"reasoningContent": {"reasoningText": {"text": text}}}
        else:
            yield {"text": text}


def _thought(thought: Thought) -> Object:
    if thought.data:
        return {"redactedContent": _blob(thought.data)}
    signed = {"signature": thought.signature} if thought.signature else {}
    return {"reasoningText": {"text": thought.text, **signed}}


def _blob(data: str) -> str:
    """Bytes are base64 in JSON. Other providers' data is it already; what is not, is made it."""
    try:
        base64.b64decode(data, validate=True)
    except ValueError:
        return base64.b64encode(data.encode("utf-8", "replace")).decode()
    return data


def _calls(message: Object, stem: str) -> Iterator[Object]:
    """What was called. What has no name cannot be."""
    for number, call in enumerate(call_deltas(message)):
        if call.name:
            told = {"toolUseId": call.id or f"tooluse_{stem}{number}", "name": call.name}
            yield {"toolUse": {**told, "input": _input(call.text)}}


def _input(arguments: str) -> object:
    """A tool's arguments as they came, key for key; what is no object has no place in a message."""
    raw = arguments.encode("utf-8", "replace")
    try:
        json.split_object(raw)
        json.loads(raw)
    except json.InvalidJSON:
        return {}
    return json.verbatim(raw)


def tell_token_count(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    """The count that a Responses count becomes. Raises UpstreamError if it is none."""
    count = answer.value.get("input_tokens")
    if type(count) is not int:
        raise UpstreamError("failed to unmarshal response from provider API")
    return json.dumps({"inputTokens": count})


@attrs.define(eq=False)
class ConverseTeller(AnthropicTeller):
    """Chat chunks in, frames of ConverseStream out. Implements ``Teller``.

    Blocks come in the order and with the bounds that Messages have; only what an event is called differs.
    """

    def finish(self, head: Object, usage: bytes, now_s: float, out: list[bytes]) -> None:
        self._end_blocks(head, out)
        finish = self._last.get("finish_reason")
        reason = stop_reason_of(finish, has_calls=bool(self._calls))
        self._put("messageStop", {"stopReason": reason})
        told = {
            "usage": token_usage(_object(json.loads(usage))),
            "metrics": {"latencyMs": milliseconds(self.facts.sent_s, now_s)},
        }
        self._put("metadata", told)

    def _write(self, kind: str, **members: Any) -> None:  # noqa: ANN401  JSON values
        index = {"contentBlockIndex": members.get("index", 0)}
        match kind, members:
            case "message_start", _:
                self._put("messageStart", {"role": "assistant"})
            case "content_block_start", {"content_block": {"type": "tool_use"} as head}:
                use = {"toolUseId": head["id"], "name": head["name"]}
                self._put("contentBlockStart", {"start": {"toolUse": use}, **index})
            case "content_block_start", {"content_block": {"data": str(data)}}:
                thought = {"redactedContent": _blob(data)}
                self._put("contentBlockDelta", {"delta": {"reasoningContent": thought}, **index})
            case "content_block_delta", {"delta": delta}:
                self._put("contentBlockDelta", {"delta": _delta(delta), **index})
            case "content_block_stop", _:
                self._put("contentBlockStop", index)
            case _:  # Others begin with their first delta.
                pass

    def _put(self, kind: str, value: Object) -> None:
        self._out.append(event_frame(kind, json.dumps(value)))
        self.count += 1


def _delta(delta: Object) -> Object:
    match delta:
        case {"text": text}:
            return {"text": text}
        case {"thinking": text}:
            return {"reasoningContent": {"text": text}}
        case {"signature": signature}:
            return {"reasoningContent": {"signature": signature}}
        case _:
            return {"toolUse": {"input": delta["partial_json"]}}


@attrs.define(eq=False)
class InvokeTeller(AnthropicTeller):
    """Events of Messages in the frames that ``InvokeModelWithResponseStream`` has for them. Implements ``Teller``."""

    def _write(self, kind: str, **members: Any) -> None:  # noqa: ANN401  JSON values
        told = base64.b64encode(json.dumps({"type": kind, **members})).decode()
        self._out.append(event_frame("chunk", json.dumps({"bytes": told})))
        self.count += 1
