"""Embeddings of Cohere's: asked for in OpenAI's words, and answered in them.

Source: Cohere API reference, "Embed" v2, 2026-11.
"""

from __future__ import annotations

import base64
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.dialects.cohere_shape import Object, object_at, opened, refusal, text_at, usage_of
from bifrost.dialects.fields import Field, Losses, dropped, mapped, sealed
from bifrost.dialects.hub import Answer
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.value_shape import choice, list_of, obj, whole
from bifrost.errors import BadRequest, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest

__all__ = ["FIELDS", "encode_embed", "packed", "read_embed"]

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "dimensions": mapped("output_dimension"),
        "encoding_format": mapped("", "base64 is made by the gateway"),
        "input": mapped("texts", "parts of text and images: `inputs`"),
        "user": dropped(),
    }
)

OWN = ("input_type", "embedding_types", "truncate", "max_tokens", "priority", "images", "inputs")
"""Cohere's parameters that OpenAI has not."""

MAX_INPUTS = 96
"""Of one call."""

DEFAULT_INPUT_TYPE = "search_document"


def encode_embed(call: Call, model: str, provider: str) -> Encoded:
    """The body for ``/v2/embed``. Raises BadRequest for what can be no input, or is more than one call may have."""
    request = read_plain(call.members)
    used = [name for name in OWN if request.extra(name) is not None]
    body: Object = {
        "model": model,
        "input_type": DEFAULT_INPUT_TYPE,
        "embedding_types": ["float"],
        **_inputs(request),
        **{name: request.extra(name) for name in used},
    }
    dimensions = whole(request.members, "dimensions")
    if dimensions is not None:
        body["output_dimension"] = dimensions
    if request.members.get("encoding_format") is not None:
        choice(request.members, "encoding_format", ("float", "base64"))
    return sealed(body, request, Losses(), call, provider, fields=FIELDS, used=used)


def _inputs(request: ChatRequest) -> Object:
    given = request.members.get("input")
    items = [*list_of([given] if isinstance(given, str) else given, "input")]
    if len(items) > MAX_INPUTS:
        raise BadRequest(f"input must have at most {MAX_INPUTS} items", param="input")
    if not items:
        return {}
    if all(isinstance(item, str) for item, _ in items):
        return {"texts": [item for item, _ in items]}
    return {"inputs": [_input(item, place) for item, place in items]}


def _input(item: object, place: str) -> Object:
    """One input: a text, a part of text or image, or several parts under ``content``."""
    if isinstance(item, str):
        return {"content": [{"type": "text", "text": item}]}
    if not isinstance(item, dict):
        raise BadRequest(f"{place} must be a text: cohere takes no tokens", param=place)
    content = item.get("content")
    if content is None:
        return {"content": [_part(item, place)]}
    parts = [_part(obj(part, at), at) for part, at in list_of(content, f"{place}.content")]
    return {"content": parts}


def _part(part: Object, place: str) -> Object:
    if choice(part, "type", ("text", "image_url"), place) == "text":
        return {"type": "text", "text": text_at(part, "text")}
    given = part.get("image_url")
    url = given if isinstance(given, str) else text_at(object_at(given), "url")
    return {"type": "image_url", "image_url": {"url": url}}


def read_embed(body: bytes, facts: AnswerFacts) -> Answer:
    """OpenAI's list of embeddings; those of other types than floats are beside it, in ``embeddings``.

    Raises UpstreamError if ``body`` is no such answer.
    """
    value = opened(body)
    error = refusal(value, body, facts, "embeddings")
    if error is not None:
        return Answer(value=value, body=body, error=error)
    kinds = _kinds(value["embeddings"])
    vectors = kinds.get("float") or next(iter(kinds.values()), [])
    if facts.members.get("encoding_format") == b'"base64"' and "float" in kinds:
        vectors = [packed(vector) for vector in vectors]
    told: Object = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "model": facts.model_requested,
        "usage": _usage(value.get("meta")),
    }
    others = {name: rows for name, rows in kinds.items() if name != "float"}
    return Answer(value={**told, "embeddings": others} if others else told, body=body)


def _kinds(embeddings: object) -> Mapping[str, list[object]]:
    """The vectors by their type; a bare list is of floats, as answers to requests without types have it."""
    if isinstance(embeddings, list):
        return {"float": embeddings}
    found = object_at(embeddings)
    return {name: rows for name, rows in found.items() if isinstance(rows, list) and rows}


def packed(vector: object) -> str:
    """A vector as OpenAI packs it: base64 of little-endian 32-bit floats. Raises UpstreamError if it is none."""
    try:
        numbers = [*vector] if isinstance(vector, list) else [vector]
        raw = struct.pack(f"<{len(numbers)}f", *numbers)
    except (struct.error, OverflowError, TypeError):
        raise UpstreamError("failed to unmarshal response from provider API") from None
    return base64.b64encode(raw).decode()


def _usage(meta: object) -> Object:
    usage = usage_of(meta) or {"prompt_tokens": 0, "total_tokens": 0}
    return {name: count for name, count in usage.items() if name != "completion_tokens"}
