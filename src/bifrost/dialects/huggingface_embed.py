"""Embeddings by Hugging Face's router: its own task, and those who speak OpenAI's dialect.

Source: Hugging Face, "Feature extraction", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.cohere_embed import packed
from bifrost.dialects.fields import Losses, dropped, mapped, sealed
from bifrost.dialects.hub import Answer
from bifrost.dialects.huggingface_names import HF, asked_of
from bifrost.dialects.openai_answer import checked
from bifrost.dialects.openai_errors import Told, read_error, told_error
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.scrub import scrubber
from bifrost.dialects.value_shape import choice, list_of, whole
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.fields import Fields
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call

__all__ = ["FIELDS", "encode_embed", "read_embed"]

FIELDS: Fields = MappingProxyType(
    {
        "dimensions": mapped("dimensions", "dropped for `hf-inference`"),
        "encoding_format": mapped("", "base64 is made by the gateway"),
        "input": mapped("inputs, input"),
        "user": dropped(),
    }
)

OWN = ("normalize", "prompt_name", "truncate", "truncation_direction")
"""Parameters of the task."""


def encode_embed(call: Call, model: str, provider: str) -> Encoded:
    """The body for texts to be embedded. Raises BadRequest for what is no text."""
    request, losses = read_plain(call.members), Losses()
    by, name = asked_of(model)
    inputs = _texts(request.members.get("input"))
    if request.members.get("encoding_format") is not None:
        choice(request.members, "encoding_format", ("float", "base64"))
    dimensions = whole(request.members, "dimensions")
    found = {name: request.extra(name) for name in OWN}
    own = {name: value for name, value in found.items() if value is not None}
    if by == HF:
        body: dict[str, object] = {"inputs": inputs, **own}
        if dimensions is not None:
            losses.lose("dimensions")
    else:
        body = {"model": name, "input": inputs, **own}
        if dimensions is not None:
            body["dimensions"] = dimensions
    return sealed(body, request, losses, call, provider, fields=FIELDS, used=own)


def _texts(given: object) -> list[str]:
    texts: list[str] = []
    for item, place in list_of([given] if isinstance(given, str) else given, "input"):
        if not isinstance(item, str):
            raise BadRequest(f"{place} must be a text: huggingface takes no tokens", param=place)
        texts.append(item)
    return texts


def read_embed(body: bytes, facts: AnswerFacts) -> Answer:
    """OpenAI's list of embeddings, of a bare list of vectors or of such a list. Raises UpstreamError."""
    value = checked(body, json.loads)
    vectors = _vectors(value)
    if vectors is None:
        told = read_error(value) or Told(message="the answer has no vector for each input")
        return Answer(value={}, body=body, error=told_error(told, None, scrubber(facts.key)))
    if facts.members.get("encoding_format") == b'"base64"':
        vectors = [packed(vector) for vector in vectors]
    usage = value.get("usage") if isinstance(value, dict) else None
    told_: dict[str, Any] = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "model": facts.model_requested,
        "usage": usage if isinstance(usage, dict) else {"prompt_tokens": 0, "total_tokens": 0},
    }
    return Answer(value=told_, body=body)


def _vectors(value: object) -> list[Any] | None:
    """A vector for each input; ``None`` where there is none, or one for each token."""
    match value:
        case {"data": list(data)}:
            found = [item.get("embedding") if isinstance(item, dict) else None for item in data]
        case [int() | float(), *_]:
            found = [value]
        case list():
            found = value
        case _:
            return None
    return found if found and all(_is_vector(item) for item in found) else None


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], int | float)
