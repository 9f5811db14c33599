"""Whole answers told in Cohere's dialect, of upstreams that spoke another.

Sources: Cohere API reference, "Chat", "Embed" and "Rerank" v2, 2026-11.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.bridge_reading import call_deltas
from bifrost.dialects.cohere_embed import packed
from bifrost.dialects.cohere_shape import Object, items_of, object_at, text_at
from bifrost.dialects.cohere_words import (
    Voice,
    citations_of,
    logprobs_told,
    reason_told,
    spoken,
    usage_told,
)
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Answer

__all__ = ["tell_embed", "tell_message", "tell_rerank"]


def tell_message(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    """The answer that a chat completion becomes. The first choice counts: Cohere knows no others."""
    value = answer.value
    choice = next(iter(items_of(value.get("choices"))), {})
    said = object_at(choice, "message")
    stem = _stem(answer)
    calls = [*_calls(said, stem)]
    told: Object = {
        "id": text_at(value, "id") or stem,
        "finish_reason": reason_told(choice.get("finish_reason"), has_tools=bool(calls)),
        "message": {"role": "assistant", **_message(said, calls)},
    }
    usage = usage_told(value.get("usage"))
    logprobs = logprobs_told(choice.get("logprobs"))
    told |= {"usage": usage} if usage else {}
    told |= {"logprobs": logprobs} if logprobs else {}
    return json.dumps(told)


def _stem(answer: Answer) -> str:
    return hashlib.sha256(answer.body).hexdigest()[:32]


def _message(said: Object, calls: list[Object]) -> Object:
    said_in = [*spoken(said)]
    texts = [text for voice, text in said_in if voice is Voice.TEXT]
    plan = "".join(text for voice, text in said_in if voice is Voice.PLAN)
    content: list[Object] = [
        {"type": "thinking", "thinking": text} for voice, text in said_in if voice is Voice.THINKING
    ]
    if texts or not calls:
        content.append({"type": "text", "text": "".join(texts)})
    citations = [*citations_of(said)]
    told: Object = {"content": content} if content else {}
    told |= {"tool_plan": plan} if plan else {}
    told |= {"tool_calls": calls} if calls else {}
    return told | ({"citations": citations} if citations else {})


def _calls(said: Object, stem: str) -> Iterator[Object]:
    for number, call in enumerate(call_deltas(said)):
        function = {"name": call.name, "arguments": call.text or "{}"}
        yield {"id": call.id or f"{stem}_{number}", "type": "function", "function": function}


def tell_embed(answer: Answer, facts: AnswerFacts) -> bytes:
    """Embeddings by their types, of a list of vectors: floats, and base64 where that was asked for. Raises UpstreamError."""
    vectors = [_vector(item.get("embedding")) for item in items_of(answer.value.get("data"))]
    kinds = _kinds(facts)
    embeddings: Object = dict(object_at(answer.value, "embeddings"))
    if "float" in kinds or not kinds & {"base64", *embeddings}:
        embeddings["float"] = vectors
    if "base64" in kinds:
        embeddings["base64"] = [packed(vector) for vector in vectors]
    told: Object = {
        "id": text_at(answer.value, "id") or _stem(answer),
        "response_type": "embeddings_by_type",
        "embeddings": embeddings,
        "texts": _texts(facts),
    }
    return json.dumps({**told, "meta": _meta(answer)})


def _kinds(facts: AnswerFacts) -> set[str]:
    value = _member(facts, "embedding_types")
    return {kind for kind in value if isinstance(kind, str)} if isinstance(value, list) else set()


def _texts(facts: AnswerFacts) -> list[str]:
    value = _member(facts, "input")
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _member(facts: AnswerFacts, name: str) -> object:
    value: object = json.loads(facts.members.get(name, b"null"))
    return value


def _vector(value: object) -> list[object]:
    """A vector; one that came packed, unpacked."""
    if isinstance(value, list):
        return value
    try:
        raw = base64.b64decode(str(value), validate=True)
        return [*struct.unpack(f"<{len(raw) // 4}f", raw)]
    except (ValueError, struct.error):
        raise UpstreamError("failed to unmarshal response from provider API") from None


def _meta(answer: Answer) -> Object:
    usage = object_at(answer.value, "usage")
    billed = object_at(usage, "billed_units")
    return {"billed_units": billed or {"input_tokens": usage.get("prompt_tokens", 0)}}


def tell_rerank(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    """The results; what an upstream told of the documents themselves Cohere does not tell."""
    results = [
        {name: result[name] for name in ("index", "relevance_score") if name in result}
        for result in items_of(answer.value.get("results"))
    ]
    told: Object = {"id": text_at(answer.value, "id") or _stem(answer), "results": results}
    billed = object_at(answer.value, "usage", "billed_units")
    return json.dumps({**told, "meta": {"billed_units": billed}} if billed else told)
