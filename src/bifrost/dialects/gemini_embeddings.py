"""Embeddings of Gemini (``batchEmbedContents``) and of Vertex (``predict``).

Sources: Gemini API reference, "Embeddings"; Vertex AI, "Text embeddings API", 2026-11.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.fields import Losses, sealed
from bifrost.dialects.gemini_answer import read_object
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_fields import EMBEDDING_FIELDS, USED_BY_EMBEDDINGS
from bifrost.dialects.gemini_parts import listed, mapping
from bifrost.dialects.hub import Answer
from bifrost.dialects.value_shape import choice, list_of, obj, text, whole
from bifrost.errors import BadRequest, UpstreamError
from bifrost.schema.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call, RawMembers

__all__ = ["encode_embeddings", "encode_prediction", "read_embeddings", "read_predictions"]

Object = dict[str, Any]

FORMATS = ("float", "base64")


def encode_embeddings(call: Call, model: str, provider: str) -> Encoded:
    """The body of ``batchEmbedContents``. Raises BadRequest."""
    request, texts = _read(call.members)
    shared: Object = {"model": f"models/{model.removeprefix('models/')}"}
    more = _options(request, ("taskType", "title", "outputDimensionality"))
    requests = [{**shared, "content": {"parts": [{"text": text}]}, **more} for text in texts]
    return _sealed({"requests": requests}, request, call, provider)


def encode_prediction(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  the path has the model
    """The body of Vertex's ``predict``. Raises BadRequest."""
    request, texts = _read(call.members)
    more = _options(request, ("task_type", "title", "outputDimensionality"))
    asked: Object = {"autoTruncate": True}
    if "outputDimensionality" in more:
        asked["outputDimensionality"] = more.pop("outputDimensionality")
    instances = [{"content": text, **more} for text in texts]
    return _sealed({"instances": instances, "parameters": asked}, request, call, provider)


def _sealed(body: Object, request: ChatRequest, call: Call, provider: str) -> Encoded:
    return sealed(
        body,
        request,
        Losses(),
        call,
        provider,
        fields=EMBEDDING_FIELDS,
        used=USED_BY_EMBEDDINGS,
    )


def _read(members: RawMembers) -> tuple[ChatRequest, list[str]]:
    """The request's members, decoded, and its texts."""
    try:
        decoded = {name: json.loads(raw) for name, raw in members.items() if raw != b"null"}
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error
    given = decoded.get("input")
    texts = [given] if isinstance(given, str) else [item for item, _ in list_of(given, "input")]
    if not texts or not all(isinstance(item, str) and item for item in texts):
        raise BadRequest("input must be a text or a list of texts for Gemini", param="input")
    if "encoding_format" in decoded:
        choice(decoded, "encoding_format", FORMATS)
    extras = decoded.get("extra_params")
    extras = {} if extras is None else obj(extras, "extra_params")
    return ChatRequest(messages=(), members=decoded, extras=extras), texts


def _options(request: ChatRequest, names: tuple[str, str, str]) -> Object:
    """Task, title and size under these names, those that are given."""
    found = (
        *(text({name: request.extra(name)}, name) for name in ("task_type", "title")),
        whole(request.members, "dimensions"),
    )
    return {name: value for name, value in zip(names, found, strict=True) if value is not None}


def read_embeddings(body: bytes, facts: AnswerFacts) -> Answer:
    """OpenAI's list of embeddings. Raises UpstreamError."""
    told = read_object(body)
    counted = mapping(told.get("usageMetadata")).get("promptTokenCount")
    return _answer(told, body, listed(told.get("embeddings")), "tokenCount", counted, facts)


def read_predictions(body: bytes, facts: AnswerFacts) -> Answer:
    """The same of Vertex. Raises UpstreamError."""
    told = read_object(body)
    found = [mapping(item.get("embeddings")) for item in listed(told.get("predictions"))]
    return _answer(told, body, found, "token_count", None, facts)


def _answer(
    told: Object, body: bytes, found: list[Object], count: str, counted: object, facts: AnswerFacts
) -> Answer:
    error = refusal_in(told, facts)
    if error is not None:
        return Answer(value={}, body=body, error=error)
    is_base64 = facts.members.get("encoding_format") == b'"base64"'
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(item, is_base64=is_base64)}
        for index, item in enumerate(found)
    ]
    if type(counted) is not int:
        statistics = (mapping(item.get("statistics")) for item in found)
        counted = sum(number for item in statistics if type(number := item.get(count)) is int)
    value: Object = {
        "object": "list",
        "data": data,
        "model": facts.model_requested,
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }
    return Answer(value=value, body=body)


def _vector(item: Mapping[str, Any], *, is_base64: bool) -> object:
    values = item.get("values")
    if not isinstance(values, list):
        raise UpstreamError("failed to unmarshal response from provider API")
    if not is_base64:
        return values
    try:
        packed = struct.pack(f"<{len(values)}f", *values)
    except (struct.error, OverflowError):
        raise UpstreamError("failed to unmarshal response from provider API") from None
    return base64.b64encode(packed).decode()
