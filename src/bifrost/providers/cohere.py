"""Cohere: chat, embeddings, rerank, the counting of tokens and the list of models.

Source: Cohere API reference, v2 and v1, 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.cohere_answer import read_chat_answer
from bifrost.dialects.cohere_chat_request import encode_chat
from bifrost.dialects.cohere_embed import encode_embed, read_embed
from bifrost.dialects.cohere_native import CohereRelay, encode_native, relay_holding
from bifrost.dialects.cohere_rerank import (
    encode_count,
    encode_rerank,
    read_count,
    read_rerank,
)
from bifrost.dialects.cohere_shape import items_of, text_at
from bifrost.dialects.cohere_stream import CohereStream
from bifrost.errors import UpstreamError
from bifrost.providers.foreign import ForeignCoder, ForeignSpec, NativeCoder
from bifrost.providers.simple import MAX_MODELS, at_paths, bearer, list_models
from bifrost.schema.call import Dialect, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COHERE"]

PATHS: Mapping[Operation, str] = MappingProxyType(
    {
        Operation.LIST_MODELS: "/v1/models?page_size=1000",
        Operation.CHAT: "/v2/chat",
        Operation.RESPONSES: "/v2/chat",
        Operation.EMBEDDING: "/v2/embed",
        Operation.RERANK: "/v2/rerank",
        Operation.COUNT_TOKENS: "/v1/tokenize",
    }
)


def _models(body: bytes) -> tuple[dict[str, object], ...]:
    """``{models: [{name, endpoints, context_length, …}]}``. Raises UpstreamError."""
    try:
        value = json.loads(body)
    except json.InvalidJSON as error:
        text = "failed to unmarshal response from provider API"
        raise UpstreamError(text, cause=str(error)) from None
    if not isinstance(value, dict) or not isinstance(value.get("models"), list):
        raise UpstreamError("failed to unmarshal response from provider API")
    models = items_of(value["models"][:MAX_MODELS])
    return tuple({**model, "id": model["name"]} for model in models if text_at(model, "name"))


COHERE = ForeignSpec(
    name="cohere",
    dialect=Dialect.COHERE,
    base_url="https://api.cohere.ai",
    locate=at_paths(PATHS),
    coders=MappingProxyType(
        {
            Operation.LIST_MODELS: list_models(),
            Operation.CHAT: ForeignCoder(
                encode=encode_chat,
                read=read_chat_answer,
                read_stream=CohereStream.of,
                native=NativeCoder(
                    encode=encode_native,
                    relay=relay_holding("message"),
                    relay_stream=CohereRelay,
                ),
            ),
            Operation.EMBEDDING: ForeignCoder(
                encode=encode_embed,
                read=read_embed,
                native=NativeCoder(encode=encode_native, relay=relay_holding("embeddings")),
            ),
            Operation.RERANK: ForeignCoder(
                encode=encode_rerank,
                read=read_rerank,
                native=NativeCoder(encode=encode_native, relay=relay_holding("results")),
            ),
            Operation.COUNT_TOKENS: ForeignCoder(
                encode=encode_count,
                read=read_count,
                native=NativeCoder(encode=encode_native, relay=relay_holding("tokens")),
            ),
        }
    ),
    credential=bearer,
    decode_models=_models,
)
