"""Whole answers of Gemini's dialect, read into OpenAI's words. Source: Gemini API reference, 2026-11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.gemini_arguments import keep_arguments
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_parts import (
    CandidateReader,
    finish_of,
    listed,
    logprobs_of,
    mapping,
    usage_of,
)
from bifrost.dialects.hub import Answer
from bifrost.dialects.openai_answer import BOM, checked
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts

__all__ = [
    "blocked",
    "decode_models",
    "decode_publisher_models",
    "head_of",
    "read_chat",
    "read_count",
    "read_object",
]

Object = dict[str, Any]

MAX_MODELS = 100_000


def read_object(body: bytes) -> Object:
    """The JSON object ``body``. Raises UpstreamError if it is none."""
    value = checked(body.removeprefix(BOM), json.loads)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # As Google wraps errors, and streams that did not ask for events.
    if not isinstance(value, dict):
        raise UpstreamError("failed to unmarshal response from provider API")
    return value


def head_of(told: Object, facts: AnswerFacts) -> Object:
    """Who answered, as far as ``told`` says it."""
    response_id, model = told.get("responseId"), told.get("modelVersion")
    return {
        "id": f"chatcmpl-{response_id}" if isinstance(response_id, str) and response_id else None,
        "model": model if isinstance(model, str) and model else None,
        "created": int(facts.sent_unix_s),
    }


def blocked(told: Object) -> bool:
    """Whether the prompt itself was refused."""
    return isinstance(mapping(told.get("promptFeedback")).get("blockReason"), str)


def read_chat(body: bytes, facts: AnswerFacts) -> Answer:
    """A chat completion. Raises UpstreamError if ``body`` is no JSON object."""
    told = read_object(body)
    keep_arguments(told, body)
    error = refusal_in(told, facts)
    if error is not None:
        return Answer(value={}, body=body, error=error)
    head = {name: value for name, value in head_of(told, facts).items() if value is not None}
    value: Object = {"id": "", "object": "chat.completion", "model": facts.model_requested, **head}
    candidates = listed(told.get("candidates")) or [_none(told)]
    seed = value["id"]
    value["choices"] = [
        _choice(candidate, seed, place) for place, candidate in enumerate(candidates)
    ]
    usage = usage_of(mapping(told.get("usageMetadata")))
    if usage:
        value["usage"] = usage
    return Answer(value=value, body=body)


def _none(told: Object) -> Object:
    """In place of a candidate where there is none: nothing was said, and why."""
    return {"finishReason": "SAFETY" if blocked(told) else "STOP"}


def _choice(candidate: Object, seed: str, place: int) -> Object:
    index = candidate.get("index")
    index = index if type(index) is int else place
    reader = CandidateReader(f"{seed} {index}")
    said = reader.read(candidate)
    calls = said.pop("tool_calls", None)
    message = {"role": "assistant", "content": None, "refusal": None, **said}
    if calls is not None:
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name != "index"} for call in calls
        ]
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs_of(candidate),
        "finish_reason": reader.finish or finish_of("STOP"),
    }


def read_count(body: bytes, facts: AnswerFacts) -> Answer:
    """How many tokens a request has, as OpenAI's ``input_tokens`` tells it. Raises UpstreamError."""
    told = read_object(body)
    error = refusal_in(told, facts)
    if error is not None:
        return Answer(value={}, body=body, error=error)
    count = told.get("totalTokens", 0)
    return Answer(value={"object": "response.input_tokens", "input_tokens": count}, body=body)


def decode_models(body: bytes) -> tuple[Object, ...]:
    """The models that can be called, named without ``models/``. Raises UpstreamError if ``body`` is no list of models."""
    return _models(body, "models", "models/")


def decode_publisher_models(body: bytes) -> tuple[Object, ...]:
    """The same of Vertex: what Google publishes there. Raises UpstreamError."""
    return _models(body, "publisherModels", "publishers/google/models/")


def _models(body: bytes, member: str, prefix: str) -> tuple[Object, ...]:
    told = read_object(body)
    models = told.get(member, [])
    if not isinstance(models, list) or (member not in told and told):
        raise UpstreamError("failed to unmarshal response from provider API")
    return tuple(
        {**model, "id": str(model["name"]).removeprefix(prefix), "owned_by": "google"}
        for model in listed(models[:MAX_MODELS])
        if model.get("name")
    )
