"""What Bedrock has only as ``InvokeModel``, in its models' own words: embeddings, ranking. And the list of its models.

Sources: AWS, Amazon Bedrock user guide, "Amazon Titan Text Embeddings models", "Cohere Embed", "Use a reranker model";
API reference, "CountTokens", "ListFoundationModels", 2026-11.
"""

from __future__ import annotations

import base64
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.base import PlainAnswer
from bifrost.dialects.fields import OURS, Losses
from bifrost.dialects.hub import Answer
from bifrost.dialects.openai_answer import checked
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.value_shape import list_of, obj, text, whole, written
from bifrost.errors import BadRequest, UnsupportedOperation, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Object
    from bifrost.schema.call import Call

__all__ = [
    "encode_embedding",
    "encode_list",
    "encode_rerank",
    "read_count",
    "read_embedding",
    "read_list",
    "read_models",
    "read_rerank",
    "relay_count",
]

TITAN, TITAN_V1 = "amazon.titan-embed-text", "amazon.titan-embed-text-v1"
COHERE, COHERE_V3 = "cohere.embed", ("-english-v3", "-multilingual-v3")

COHERE_OWN: Mapping[str, object] = MappingProxyType(
    {"input_type": "search_document", "truncate": None}
)
"""Members of Cohere's own with what they are where nobody says."""

TITAN_OWN: Mapping[str, object] = MappingProxyType({"normalize": None})

TOKENS = "x-amzn-bedrock-input-token-count"
"""A header of every answer of ``InvokeModel``."""


def encode_embedding(call: Call, model: str, provider: str) -> Encoded:
    """Raises BadRequest; UnsupportedOperation for a model that is known for no embeddings."""
    asked = _decoded(call)
    texts = _texts(asked.get("input"))
    encoding = text(asked, "encoding_format")
    if encoding not in {None, "float", "base64"}:
        raise BadRequest("encoding_format must be float or base64", param="encoding_format")
    dimensions = whole(asked, "dimensions")
    if TITAN in model:
        body, own = _titan(texts, dimensions, model), TITAN_OWN
    elif COHERE in model:
        body, own = _cohere(texts, dimensions, model), COHERE_OWN
    else:
        raise UnsupportedOperation(f"unsupported embedding model on {provider}: {model[:200]}")
    return _sent(body, asked, own, ("input", "encoding_format", "dimensions"), call, provider)


def _sent(
    body: Object,
    asked: Object,
    own: Mapping[str, object],
    known: Iterable[str],
    call: Call,
    provider: str,
) -> Encoded:
    """``body`` with what is the model's own; all else that was asked is lost."""
    extras = obj(asked.get("extra_params") or {}, "extra_params")
    for name, default in own.items():
        given = asked.get(name, extras.get(name, default))
        if given is not None:
            body[name] = given
    losses = Losses()
    losses.lose(*(name for name in asked if name not in {*own, *known, *OURS}))
    losses.lose(*(f"extra_params.{name}" for name in extras if name not in own))
    refuse_loss(losses.names, call, provider)
    return Encoded(written(body), tuple(losses.names))


def _decoded(call: Call) -> Object:
    try:
        return {n: json.loads(raw) for n, raw in call.members.items() if raw != b"null"}
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error


def _texts(given: object) -> list[str]:
    if isinstance(given, str):
        given = [given]
    texts = [item for item, _ in list_of(given, "input")]
    if not texts or not all(isinstance(item, str) and item for item in texts):
        words = "input must be a text or a list of texts; tokens are not supported here"
        raise BadRequest(words, param="input")
    return texts


def _titan(texts: list[str], dimensions: int | None, model: str) -> Object:
    if len(texts) > 1:
        words = "Titan embeds one text a request: input must be one text"
        raise BadRequest(words, param="input")
    if dimensions is None:
        return {"inputText": texts[0]}
    if TITAN_V1 in model:
        words = "dimensions is not supported by Titan's first embedding model"
        raise BadRequest(words, param="dimensions")
    return {"inputText": texts[0], "dimensions": dimensions}


def _cohere(texts: list[str], dimensions: int | None, model: str) -> Object:
    if dimensions is None:
        return {"texts": texts}
    if any(sign in model for sign in COHERE_V3):
        words = "dimensions is not supported by Cohere's third embedding models"
        raise BadRequest(words, param="dimensions")
    return {"texts": texts, "output_dimension": dimensions, "embedding_types": ["float"]}


def read_embedding(body: bytes, facts: AnswerFacts) -> Answer:
    """OpenAI's list of what ``body`` has. Raises UpstreamError."""
    value = _object(body)
    match value:
        case {"embedding": list() as vector}:
            vectors = [vector]
        case {"embeddings": {"float": list() as found}} | {"embeddings": list() as found}:
            vectors = found
        case _:
            raise _unreadable("no embeddings")
    in_base64 = facts.members.get("encoding_format") == b'"base64"'
    tokens = _tokens(value, facts)
    told: Object = {
        "object": "list",
        "data": [_embedding(vector, index, in_base64) for index, vector in enumerate(vectors)],
        "model": facts.model_requested,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Answer(value=told, body=body)


def _embedding(vector: object, index: int, in_base64: bool) -> Object:
    told = vector
    if in_base64:
        try:
            numbers: Any = vector
            packed = struct.pack(f"<{len(numbers)}f", *numbers)
        except (struct.error, TypeError, OverflowError):
            raise _unreadable("an embedding is no list of numbers") from None
        told = base64.b64encode(packed).decode()
    return {"object": "embedding", "index": index, "embedding": told}


def _tokens(value: Object, facts: AnswerFacts) -> int:
    told = value.get("inputTextTokenCount")
    if type(told) is int:
        return told
    sent = dict(facts.response_headers).get(TOKENS, "")
    return int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 16 else 0


def encode_rerank(call: Call, model: str, provider: str) -> Encoded:
    """Raises BadRequest."""
    asked = _decoded(call)
    documents = [
        str(item.get("text", "")) if isinstance(item, dict) else str(item)
        for item, _ in list_of(asked.get("documents"), "documents")
    ]
    body: Object = {"query": asked.get("query"), "documents": documents}
    if "top_n" in asked:
        body["top_n"] = asked["top_n"]
    own: dict[str, object] = {}
    if "cohere." in model:
        own = {"api_version": 2, "max_tokens_per_doc": None}
    known = ("query", "documents", "top_n", "return_documents")
    return _sent(body, asked, own, known, call, provider)


def read_rerank(body: bytes, facts: AnswerFacts) -> Answer:
    """The ranking, best first; with the documents, where they were wanted. Raises UpstreamError."""
    results = _object(body).get("results")
    if not isinstance(results, list) or not all(_is_result(item) for item in results):
        raise _unreadable("no results")
    documents = _wanted_documents(facts)
    ranked: list[Object] = []
    for item in sorted(results, key=lambda item: -item["relevance_score"]):
        told: Object = {"index": item["index"], "relevance_score": item["relevance_score"]}
        if item["index"] < len(documents):
            told["document"] = documents[item["index"]]
        ranked.append(told)
    return Answer(value={"results": ranked, "model": facts.model_requested}, body=body)


def _is_result(item: object) -> bool:
    match item:
        case {"index": int(index), "relevance_score": int() | float()}:
            return index >= 0
        case _:
            return False


def _wanted_documents(facts: AnswerFacts) -> list[Object]:
    if facts.members.get("return_documents") != b"true":
        return []
    given = json.loads(facts.members.get("documents", b"[]"))
    return [item if isinstance(item, dict) else {"text": item} for item in given]


def read_count(body: bytes, facts: AnswerFacts) -> Answer:  # noqa: ARG001  a ForeignCoder's
    """What ``CountTokens`` says, as the Responses API counts. Raises UpstreamError."""
    count = _object(body).get("inputTokens")
    if type(count) is not int:
        raise _unreadable("no count")
    return Answer(value={"object": "response.input_tokens", "input_tokens": count}, body=body)


def relay_count(body: bytes, facts: AnswerFacts) -> PlainAnswer:
    """The same for a caller of this dialect. Raises UpstreamError."""
    read_count(body, facts)
    return PlainAnswer(body=body)


def encode_list(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  a ForeignCoder's
    """Nothing: it is asked by the path alone."""
    return Encoded(b"", content_type=None)


def read_list(body: bytes, facts: AnswerFacts) -> Answer:  # noqa: ARG001  a ForeignCoder's
    """The models as OpenAI lists them. Raises UpstreamError."""
    return Answer(value={"object": "list", "data": list(read_models(body))}, body=body)


def read_models(body: bytes) -> tuple[Object, ...]:
    """Of ``ListFoundationModels``. Raises UpstreamError."""
    models = _object(body).get("modelSummaries")
    if not isinstance(models, list):
        raise _unreadable("no models")
    return tuple(_model(item) for item in models if isinstance(item, dict) and item.get("modelId"))


def _model(item: Object) -> Object:
    told = {
        "id": item["modelId"],
        "object": "model",
        "name": item.get("modelName"),
        "owned_by": item.get("providerName"),
    }
    return {name: value for name, value in told.items() if value is not None}


def _object(body: bytes) -> Object:
    value = checked(body, json.loads)
    if not isinstance(value, dict):
        raise _unreadable("not an object")
    return value


def _unreadable(why: str) -> UpstreamError:
    return UpstreamError("failed to unmarshal response from provider API", cause=why)
