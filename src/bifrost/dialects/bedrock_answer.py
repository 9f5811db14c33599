"""A whole answer of Bedrock's Converse API, read into a chat completion.

Source: AWS, Amazon Bedrock API reference, "Converse" (API of 2023-09-30), 2026-11.
"""

from __future__ import annotations

import hashlib
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from bifrost.codecs import json
from bifrost.dialects.base import PlainAnswer
from bifrost.dialects.bedrock_words import finish_reason_of, openai_usage
from bifrost.dialects.hub import Answer, Object, Written, retold_json, written_object
from bifrost.dialects.openai_answer import checked
from bifrost.dialects.openai_usage import read_usage
from bifrost.dialects.structured_tool import is_structured
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts

__all__ = ["answer_id", "read_converse", "relay_converse", "thought_detail"]

MEDIA = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}


def answer_id(facts: AnswerFacts, seed: bytes) -> str:
    """An id for an answer that comes without one: the same for the same answer to the same request."""
    told = repr((facts.sent_unix_s, facts.sent_s)).encode() + seed
    return f"chatcmpl-{hashlib.sha256(told).hexdigest()[:29]}"


def read_converse(body: bytes, facts: AnswerFacts) -> Answer:
    """The chat completion that ``body``, a 2xx's, is. Raises UpstreamError."""
    value = _object(body)
    reading = _Reading()
    for block, given in zip_longest(_blocks(value), _inputs(body)):
        reading.take(block, given)
    finish = finish_reason_of(value.get("stopReason"))
    if reading.is_answer and not reading.calls and finish == "tool_calls":
        finish = "stop"
    choice = {
        "index": 0,
        "message": reading.message(),
        "logprobs": None,
        "finish_reason": finish,
    }
    usage = value.get("usage")
    told: Object = {
        "id": answer_id(facts, body),
        "object": "chat.completion",
        "created": int(facts.sent_unix_s),
        "model": facts.model_requested,
        "choices": [choice],
        "usage": openai_usage(usage) if isinstance(usage, dict) else None,
    }
    tier = value.get("serviceTier")
    if isinstance(tier, dict) and isinstance(tier.get("type"), str):
        told["service_tier"] = tier["type"]
    return Answer(value=told, body=body)


def relay_converse(body: bytes, facts: AnswerFacts) -> PlainAnswer:  # noqa: ARG001  a NativeCoder's
    """The same for a caller of this dialect: checked, and handed on as it came."""
    value = _object(body)
    _blocks(value)
    usage = value.get("usage")
    told = json.dumps(openai_usage(usage)) if isinstance(usage, dict) else b"null"
    return PlainAnswer(body=body, usage=read_usage(told))


def _object(body: bytes) -> Object:
    value = checked(body, json.loads)
    if not isinstance(value, dict):
        raise _unreadable("not an object")
    return value


def _blocks(value: Object) -> list[Any]:
    match value:
        case {"output": {"message": {"content": list() as content}}}:
            return content
        case _:
            raise _unreadable("no message")


class _Use(msgspec.Struct, gc=False):
    input: msgspec.Raw = msgspec.Raw(b"null")


class _Block(msgspec.Struct, gc=False, rename="camel"):
    tool_use: _Use | None = None


class _Message(msgspec.Struct, gc=False):
    content: list[_Block]


class _Output(msgspec.Struct, gc=False):
    message: _Message


class _Wire(msgspec.Struct, gc=False):
    output: _Output


_decode = json.decoder(_Wire)


def _inputs(body: bytes) -> list[Written | None]:
    """The inputs of tools as they were written, by the blocks that they stand in; none of a body of another shape."""
    if b'"toolUse"' not in body:
        return []
    try:
        blocks = _decode(body).output.message.content
    except json.InvalidJSON:
        return []
    return [None if b.tool_use is None else written_object(bytes(b.tool_use.input)) for b in blocks]


def _unreadable(why: str) -> UpstreamError:
    return UpstreamError("failed to unmarshal response from provider API", cause=why)


@attrs.define(eq=False)
class _Reading:
    """One message being read. Blocks that nothing in OpenAI's dialect stands for are passed over."""

    texts: list[str] = attrs.field(factory=list)
    files: list[Object] = attrs.field(factory=list)
    calls: list[Object] = attrs.field(factory=list)
    details: list[Object] = attrs.field(factory=list)
    is_answer: bool = False
    """Whether the tool was called that stands for a schema of the answer."""

    def take(self, block: Any, given: Written | None) -> None:  # noqa: ANN401  a JSON value
        """Read ``block``; ``given`` is what it gives a tool, as it was written."""
        match block:
            case {"text": str(text)}:
                self.texts.append(text)
            case {"citationsContent": {"content": list() as parts}}:
                self.texts += [told for part in parts if (told := _text_in(part)) is not None]
            case {"toolUse": {"name": str(name)} as call}:
                self._take_call(name, call, given)
            case {"reasoningContent": dict() as thought}:
                detail = thought_detail(thought, len(self.details))
                if detail is not None:
                    self.details.append(detail)
            case {"document": {"source": {"bytes": str(data)}} as document}:
                self.files.append(_file(document, data))
            case _:
                pass

    def _take_call(self, name: str, call: Object, given: Written | None) -> None:
        arguments = retold_json(given or call.get("input") or {})
        if is_structured(name):
            self.is_answer = True
            self.texts.append(arguments)
            return
        function = {"name": name, "arguments": arguments}
        told = {"id": str(call.get("toolUseId") or ""), "type": "function", "function": function}
        self.calls.append(told)

    def message(self) -> Object:
        text = "".join(self.texts)
        content: object = text or None
        if self.files:
            content = [*([{"type": "text", "text": text}] if text else []), *self.files]
        message: Object = {"role": "assistant", "content": content, "refusal": None}
        if self.details:
            thoughts = [detail["text"] for detail in self.details if detail.get("text")]
            message["reasoning"] = "\n".join(thoughts)
            message["reasoning_details"] = self.details
        if self.calls:
            message["tool_calls"] = self.calls
        return message


def _text_in(part: Any) -> str | None:  # noqa: ANN401  a JSON value
    match part:
        case {"text": str(text)}:
            return text
        case _:
            return None


def thought_detail(thought: Object, index: int) -> Object | None:
    """A block of thinking (or a piece of one) as an item of ``reasoning_details``; ``None`` if it says nothing."""
    match thought:
        case {"reasoningText": dict() as told}:
            return thought_detail(told, index)
        case {"redactedContent": str(data)}:
            return {"index": index, "type": "reasoning.encrypted", "data": data}
        case {"text": str()} | {"signature": str()}:
            kept = {n: thought[n] for n in ("text", "signature") if isinstance(thought.get(n), str)}
            return {"index": index, "type": "reasoning.text", **kept}
        case _:
            return None


def _file(document: Object, data: str) -> Object:
    kind = str(document.get("format") or "")
    media = MEDIA.get(kind, "application/octet-stream")
    name = f"{document.get('name') or 'document'}.{kind or 'bin'}"
    file = {"filename": name, "file_data": f"data:{media};base64,{data}"}
    return {"type": "file", "file": file}
