"""Completions of Bedrock's InvokeModel: asked for in the words of each family of models, and read into OpenAI's.

Source: AWS, Amazon Bedrock user guide, "Inference request parameters and response fields for foundation models", 2026-11.
"""

from __future__ import annotations

import base64
import binascii
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.bedrock_answer import answer_id
from bifrost.dialects.bedrock_frames import ToldFrames
from bifrost.dialects.fields import Losses, mapped, sealed
from bifrost.dialects.hub import Answer, Conversation
from bifrost.dialects.invoke_forms import TEXT_FORMS, text_form_of
from bifrost.dialects.openai_answer import checked
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.value_shape import text
from bifrost.errors import BadRequest, UnsupportedOperation, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bifrost.codecs.eventstream import Frame
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Object, Teller
    from bifrost.dialects.invoke_forms import TextForm
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest

__all__ = [
    "FINISHES",
    "METRICS",
    "counted",
    "encode_text",
    "invoked_object",
    "read_text",
    "read_text_stream",
    "unpacked",
]

FINISHES: Mapping[str, str] = MappingProxyType(
    {
        "complete": "stop",
        "end_turn": "stop",
        "finish": "stop",
        "finished": "stop",
        "stop": "stop",
        "stop_criteria_met": "stop",
        "stop_sequence": "stop",
        "length": "length",
        "max_tokens": "length",
        "content_filtered": "content_filter",
        "error_toxic": "content_filter",
    }
)
"""Why an answer ended, in small letters; another reason is ``stop``."""

METRICS = "amazon-bedrock-invocationMetrics"
"""A member of the last chunk of every stream."""

HEADERS = ("x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count")
"""Of every whole answer."""

COUNTS = (
    ("inputTextTokenCount", "totalOutputTextTokenCount"),
    ("prompt_token_count", "generation_token_count"),
    ("inputTokenCount", "outputTokenCount"),
)
"""Prompt and completion, as Titan, Llama and the metrics have them."""


def encode_text(call: Call, model: str, provider: str) -> Encoded:
    """The body for ``model``. Raises BadRequest; UnsupportedOperation for a model that is known for no completions."""
    form = text_form_of(model)
    if form is None:
        words = "is not known to complete texts; chat_completion is for all models that converse"
        raise UnsupportedOperation(
            f"text_completion is not supported by {provider} provider: {model[:200]} {words}"
        )
    request, row = read_plain(call.members), TEXT_FORMS[form]
    fields = {name: mapped(to) for name, to in row.fields.items()} | {"prompt": mapped(row.prompt)}
    body: dict[str, object] = {row.prompt: _prompt(request)}
    asked = dict(_asked(request, row))
    if row.inside:
        body |= {row.inside: asked} if asked else {}
    else:
        body |= asked
    used = [name for name in row.fields if request.extra(name) is not None]
    return sealed(body, request, Losses(), call, provider, fields=fields, used=used)


def _prompt(request: ChatRequest) -> str:
    given = request.members.get("prompt")
    one = given[0] if isinstance(given, list) and len(given) == 1 else given
    found = text({"prompt": one}, "prompt") if not isinstance(one, list) else None
    if not found:
        words = "prompt must be one text: Bedrock takes no lists and no tokens"
        raise BadRequest(words, param="prompt")
    return found


def _asked(request: ChatRequest, row: TextForm) -> Iterator[tuple[str, object]]:
    for name, to in row.fields.items():
        value = request.extra(name)
        if name == "stop" and isinstance(value, str):
            value = [value]
        if value is not None:
            yield to, value


def invoked_object(body: bytes) -> Object:
    """What a 2xx body says. Raises UpstreamError if it is no object."""
    value = checked(body, json.loads)
    if not isinstance(value, dict):
        raise UpstreamError("failed to unmarshal response from provider API", cause="not an object")
    return value


def _said(value: Object) -> tuple[str, object] | None:
    """The text of an answer or of a piece of one, and why it ended; ``None`` if it has none."""
    match value:
        case {"results": [{"outputText": str(said), **more}, *_]}:
            return said, more.get("completionReason")
        case {"outputText": str(said)}:
            return said, value.get("completionReason")
        case {"generation": str(said)} | {"completion": str(said)}:
            return said, value.get("stop_reason")
        case {"outputs": [{"text": str(said), **more}, *_]}:
            return said, more.get("stop_reason")
        case {"generations": [{"text": str(said), **more}, *_]}:
            return said, more.get("finish_reason")
        case {"text": str(said)}:
            return said, value.get("finish_reason")
        case {"is_finished": True}:
            return "", value.get("finish_reason")
        case _:
            return None


def _finish(reason: object) -> str:
    return FINISHES.get(reason.lower(), "stop") if isinstance(reason, str) else "stop"


def counted(value: Object, facts: AnswerFacts | None = None) -> Object:
    """Usage in OpenAI's words, as the answer ``value`` or its headers have it; empty where they have none."""
    for prompt, completion in COUNTS:
        if type(value.get(prompt)) is int:
            made = value.get(completion)
            return _usage(value[prompt], made if type(made) is int else _of_results(value))
    headers = dict(facts.response_headers) if facts is not None else {}
    told = [headers.get(name, "") for name in HEADERS]
    if any(each.isascii() and each.isdigit() and len(each) < 16 for each in told):
        return _usage(*(int(each) if each.isdigit() else 0 for each in told))
    return {}


def _of_results(value: Object) -> int:
    """What Titan counts of each of its results."""
    results = value.get("results")
    items = results if isinstance(results, list) else []
    counts = (item.get("tokenCount") for item in items if isinstance(item, dict))
    return sum(count for count in counts if type(count) is int)


def _usage(prompt: int, completion: int) -> Object:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def read_text(body: bytes, facts: AnswerFacts) -> Answer:
    """The completion that ``body``, a 2xx's, is. Raises UpstreamError."""
    value = invoked_object(body)
    said = _said(value)
    if said is None:
        raise UpstreamError("failed to unmarshal response from provider API", cause="no text")
    choice = {"index": 0, "text": said[0], "logprobs": None, "finish_reason": _finish(said[1])}
    usage = counted(value, facts)
    told: Object = {
        "id": answer_id(facts, body),
        "object": "text_completion",
        "created": int(facts.sent_unix_s),
        "model": facts.model_requested,
        "choices": [choice],
    }
    return Answer(value={**told, "usage": usage} if usage else told, body=body)


def unpacked(frame: Frame) -> Any:  # noqa: ANN401  any JSON value
    """What the ``chunk`` that is in ``frame`` says; ``None`` if it is none, or no JSON."""
    try:
        value = json.loads(frame.payload)
        return json.loads(base64.b64decode(value["bytes"], validate=True))
    except (json.InvalidJSON, binascii.Error, LookupError, TypeError, ValueError):
        return None


@attrs.define(eq=False)
class TextStream(ToldFrames):
    """Tells ``conversation`` the chunks of InvokeModelWithResponseStream. The last of them has the metrics."""

    def _tell(self, frame: Frame, now_s: float) -> None:
        value = unpacked(frame)
        if isinstance(value, dict):
            self._take_chunk(value, frame.payload, now_s)

    def _take_chunk(self, value: Object, raw: bytes, now_s: float) -> None:
        said = _said(value)
        if said is not None:
            words, reason = said
            ended = _finish(reason) if reason is not None else None
            self._reason = ended or self._reason
            self.conversation.say({"content": words}, now_s, raw=raw, finish_reason=ended)
        metrics = value.get(METRICS)
        usage = counted(metrics) if isinstance(metrics, dict) else {}
        if not usage:
            return
        self.conversation.count_tokens(usage)
        if self._reason is None:
            self.conversation.say({}, now_s, raw=raw, finish_reason="stop")
        self.conversation.end(now_s)


def read_text_stream(facts: AnswerFacts, teller: Teller) -> TextStream:
    """A decoder that tells ``teller``."""
    return TextStream(facts, Conversation(facts, teller))
