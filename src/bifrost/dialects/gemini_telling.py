"""Whole answers told in Gemini's dialect, of upstreams that spoke another.

Source: Google, Gemini API reference, "GenerateContentResponse", "Counting tokens", "Embeddings", 2026-11.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.bridge_reading import call_deltas
from bifrost.dialects.gemini_incoming import thoughts_wanted
from bifrost.dialects.gemini_words import (
    MALFORMED,
    Called,
    call_parts,
    citations_of,
    details_of,
    finish_of,
    logprobs_result,
    media_parts,
    said_parts,
    usage_of,
)
from bifrost.dialects.openai_stream import sound
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Answer, Object

__all__ = ["shows_thoughts", "tell_count", "tell_embedding", "tell_generated"]

UNREADABLE = "failed to unmarshal response from provider API"


def tell_generated(answer: Answer, facts: AnswerFacts) -> bytes:
    """The ``GenerateContentResponse`` that a chat ``answer`` becomes: a candidate for each choice."""
    value = answer.value
    stem = hashlib.sha256(answer.body).hexdigest()[:24]
    choices = value.get("choices")
    told: Object = {
        "candidates": [
            _candidate(choice, index, stem, thoughts=shows_thoughts(facts))
            for index, choice in enumerate(choices if isinstance(choices, list) else ())
            if isinstance(choice, dict)
        ],
        "modelVersion": sound(value.get("model"), "") or facts.model_requested,
        "responseId": sound(value.get("id"), "") or stem,
    }
    usage = usage_of(value.get("usage"))
    return json.dumps(told if usage is None else {**told, "usageMetadata": usage})


def shows_thoughts(facts: AnswerFacts) -> bool:
    """Whether the caller wants to see what the model thinks: Gemini shows it to those who ask for it."""
    return facts.native is not None and thoughts_wanted(facts.native.members)


def _candidate(choice: Object, index: int, stem: str, *, thoughts: bool) -> Object:
    said = choice.get("message")
    message = said if isinstance(said, dict) else {}
    calls = [
        Called(id=call.id or f"call_{stem}{number}", name=call.name, arguments=call.text)
        for number, call in enumerate(call_deltas(message))
        if call.name
    ]
    called, failure = call_parts(calls, details_of(message))
    parts = [*said_parts(message, thoughts=thoughts), *media_parts(message), *called]
    candidate: Object = {
        "content": {"parts": parts or [{"text": ""}], "role": "model"},
        "finishReason": MALFORMED if failure else finish_of(choice.get("finish_reason")),
        "index": index,
        **logprobs_result(choice),
    }
    if failure:
        candidate["finishMessage"] = failure
    citations = citations_of(message)
    return candidate if citations is None else {**candidate, "citationMetadata": citations}


def tell_count(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    """The ``CountTokensResponse`` that a count becomes. Raises UpstreamError if it is none."""
    count = answer.value.get("input_tokens")
    if type(count) is not int:
        raise UpstreamError(UNREADABLE)
    return json.dumps({"totalTokens": count})


def tell_embedding(answer: Answer, facts: AnswerFacts) -> bytes:
    """The answer to ``embedContent`` or, where a list was asked for, to ``batchEmbedContents``.

    Raises UpstreamError if there are not as many embeddings as texts.
    """
    items = answer.value.get("data")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UpstreamError(UNREADABLE)
    embeddings = [{"values": _values(item.get("embedding"))} for item in items]
    asked = facts.members.get("input", b"")
    if asked.startswith(b"["):
        if len(embeddings) != len(json.split_array(asked)):
            raise UpstreamError(
                "the provider gave another number of embeddings than it was asked for"
            )
        return json.dumps({"embeddings": embeddings})
    if len(embeddings) != 1:
        raise UpstreamError("the provider gave another number of embeddings than it was asked for")
    return json.dumps({"embedding": embeddings[0]})


def _values(vector: object) -> list[object]:
    """The numbers of a vector; some servers send base64 of little-endian 32-bit floats, whatever they are asked for."""
    if isinstance(vector, list):
        return vector
    if not isinstance(vector, str) or not vector:
        raise UpstreamError(UNREADABLE)
    try:
        raw = base64.b64decode(vector, validate=True)
        return [*struct.unpack(f"<{len(raw) // 4}f", raw)]
    except (ValueError, struct.error):
        raise UpstreamError(UNREADABLE) from None
