"""Rerank and the counting of tokens at Cohere's, in the gateway's own words for them.

Source: Cohere API reference, "Rerank" v2 and "Tokenize" v1, 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.bridge_request import responses_to_chat
from bifrost.dialects.chat_request import read_chat
from bifrost.dialects.cohere_shape import Object, items_of, opened, refusal, text_at, usage_of
from bifrost.dialects.fields import Field, Losses, dropped, mapped, sealed
from bifrost.dialects.hub import Answer
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.value_shape import list_of
from bifrost.errors import BadRequest
from bifrost.schema.chat import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.schema.call import Call, RawMembers

__all__ = ["FIELDS", "encode_count", "encode_rerank", "read_count", "read_rerank"]

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "documents": mapped("documents", "their texts"),
        "max_tokens_per_doc": mapped("max_tokens_per_doc"),
        "priority": mapped("priority"),
        "query": mapped("query"),
        "return_documents": mapped("", "done by the gateway"),
        "top_n": mapped("top_n"),
        "user": dropped(),
    }
)
"""Of a rerank."""

OWN = ("max_tokens_per_doc", "priority", "relevant_spans")

MAX_TEXT = 65_536
"""Characters that can be counted at once."""


def encode_rerank(call: Call, model: str, provider: str) -> Encoded:
    """The body for ``/v2/rerank``. Raises BadRequest."""
    request = read_plain(call.members)
    used = [name for name in OWN if request.extra(name) is not None]
    documents = list_of(request.members.get("documents"), "documents")
    body: Object = {
        "model": model,
        "query": request.members.get("query"),
        "documents": [_text_of(document) for document, _ in documents],
        **{name: request.extra(name) for name in used},
    }
    if request.members.get("top_n") is not None:
        body["top_n"] = request.members["top_n"]
    return sealed(body, request, Losses(), call, provider, fields=FIELDS, used=used)


def _text_of(document: object) -> object:
    return document.get("text") if isinstance(document, dict) else document


def read_rerank(body: bytes, facts: AnswerFacts) -> Answer:
    """The results, the best first; each with its document, if ``return_documents`` asks for that. Raises UpstreamError."""
    value = opened(body)
    error = refusal(value, body, facts, "results")
    if error is not None:
        return Answer(value=value, body=body, error=error)
    results = sorted(items_of(value["results"]), key=_score, reverse=True)
    if facts.members.get("return_documents") == b"true":
        documents = json.loads(facts.members["documents"])
        results = [_with_document(result, documents) for result in results]
    told: Object = {"id": text_at(value, "id"), "results": results, "model": facts.model_requested}
    usage = usage_of(value.get("meta"))
    return Answer(value={**told, "usage": usage} if usage else told, body=body)


def _score(result: Object) -> float:
    score = result.get("relevance_score")
    return score if isinstance(score, int | float) else 0.0


def _with_document(result: Object, documents: list[object]) -> Object:
    index = result.get("index")
    if type(index) is not int or not 0 <= index < len(documents):
        return result
    document = documents[index]
    return {**result, "document": document if isinstance(document, dict) else {"text": document}}


def encode_count(call: Call, model: str, provider: str) -> Encoded:
    """The body for ``/v1/tokenize``: the words of all messages, a line each. Tools and pictures are not counted.

    Raises BadRequest if that is too much to be counted, or nothing.
    """
    members, dropped_before = _as_chat(call.members)
    request = read_chat(members)
    losses = Losses([*dropped_before])
    for message in request.messages:
        for part in message.parts:
            if not isinstance(part, Text):
                losses.lose("input.content")
    losses.lose(*(name for name in ("tools",) if request.members.get(name)))
    text = "\n".join(message.text for message in request.messages)
    if not text.strip():
        raise BadRequest("input has no text to be counted", param="input")
    if len(text) > MAX_TEXT:
        raise BadRequest(f"input must have at most {MAX_TEXT} characters", param="input")
    refuse_loss(losses.names, call, provider)
    return Encoded(json.dumps({"model": model, "text": text}), tuple(losses.names))


def _as_chat(members: RawMembers) -> tuple[RawMembers, tuple[str, ...]]:
    """The members as chat's: what is to be counted comes in the words of Responses, or in chat's own."""
    if "messages" in members:
        return members, ()
    bridged = responses_to_chat(members)
    return bridged.members, tuple(bridged.dropped)


def read_count(body: bytes, facts: AnswerFacts) -> Answer:
    """How many tokens there are, and which. Raises UpstreamError."""
    value = opened(body)
    error = refusal(value, body, facts, "tokens")
    if error is not None:
        return Answer(value=value, body=body, error=error)
    tokens = value["tokens"]
    told: Object = {
        "object": "response.input_tokens",
        "input_tokens": len(tokens) if isinstance(tokens, list) else 0,
    }
    return Answer(value=told, body=body)
