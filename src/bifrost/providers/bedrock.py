"""Amazon Bedrock: Converse for chat, InvokeModel for the rest; a host for each region, the model in the path.

Source: AWS, Amazon Bedrock API reference and "Amazon Bedrock endpoints and quotas", 2026-11.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import attrs

from bifrost.dialects.bedrock_answer import read_converse, relay_converse
from bifrost.dialects.bedrock_errors import read_refusal
from bifrost.dialects.bedrock_images import encode_images, read_images
from bifrost.dialects.bedrock_invoke import (
    encode_embedding,
    encode_list,
    encode_rerank,
    read_count,
    read_embedding,
    read_list,
    read_models,
    read_rerank,
    relay_count,
)
from bifrost.dialects.bedrock_request import encode_converse, encode_count, encode_native
from bifrost.dialects.bedrock_stream import RelayedFrames, read_converse_stream
from bifrost.dialects.invoke_relay import RelayedChunks, encode_invoked, relay_invoked
from bifrost.dialects.invoke_text import encode_text, read_text, read_text_stream
from bifrost.errors import ConfigurationMissing
from bifrost.providers.aws_signing import authorized
from bifrost.providers.foreign import ForeignCoder, ForeignSpec, NativeCoder
from bifrost.providers.gemini import model_not_found
from bifrost.providers.place import Place, place_of
from bifrost.schema.call import Call, Dialect, Operation

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings
    from bifrost.providers.base import Headers

__all__ = ["BEDROCK"]

DEFAULT_REGION: Final = "us-east-1"

BASE_URL: Final = f"https://bedrock-runtime.{DEFAULT_REGION}.amazonaws.com"
"""Stands for the hosts of all regions; another ``base_url`` is where everything goes."""

ANYWHERE: Final = place_of(BASE_URL)

FRAMES: Final = b"application/vnd.amazon.eventstream"

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-\d{1,2}")

ACTIONS = MappingProxyType(
    {
        Operation.CHAT: "converse",
        Operation.RESPONSES: "converse",
        Operation.COUNT_TOKENS: "count-tokens",
    }
)
"""What is behind the model in the path; behind others ``invoke``."""


def _locate(
    base: Place, operation: Operation, model: str, key: KeySettings, *, stream: bool
) -> Place:
    if operation is Operation.LIST_MODELS:
        return _host(base, "bedrock", key).at("/foundation-models")
    action = ACTIONS.get(operation)
    if action is None:
        return _locate_invoke(base, operation, model, key, stream=stream)
    return _of_model(base, model, key, f"{action}-stream" if stream else action)


def _locate_invoke(
    base: Place,
    operation: Operation,  # noqa: ARG001  a Locate's
    model: str,
    key: KeySettings,
    *,
    stream: bool,
) -> Place:
    """Where bodies go that are in a model's own words, whatever they ask for."""
    return _of_model(base, model, key, "invoke-with-response-stream" if stream else "invoke")


def _of_model(base: Place, model: str, key: KeySettings, action: str) -> Place:
    arn = key.bedrock.arn if key.bedrock is not None else None
    is_whole = not arn or model.startswith("arn:")
    # Escaped or not: whoever stands between may make a step of it.
    if not model.isprintable() or not {".", ".."}.isdisjoint(model.split("/")):
        raise model_not_found(model, "Bedrock")
    name = quote(model if is_whole else f"{arn}/{model}", safe="")
    return _host(base, "bedrock-runtime", key).at(f"/model/{name}/{action}")


def _host(base: Place, service: str, key: KeySettings) -> Place:
    """Where ``service`` is in the key's region; ``base`` itself, if it is the operator's own."""
    if base != ANYWHERE:
        return base
    region = (key.bedrock.region if key.bedrock is not None else "") or DEFAULT_REGION
    if _REGION.fullmatch(region) is None:
        raise ConfigurationMissing(f'key "{key.name}": bedrock_key_config.region is none')
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return attrs.evolve(base, origin=attrs.evolve(base.origin, host=f"{service}.{region}.{suffix}"))


def _credential(key: KeySettings) -> Headers:  # noqa: ARG001  a ForeignSpec's
    """None: the request is signed, or gets its bearer, when it is finished."""
    return ()


def _headers(call: Call, body: bytes) -> Headers:  # noqa: ARG001  a ForeignSpec's
    return ((b"accept", FRAMES),) if call.stream else ()


INVOKED: Final = NativeCoder(
    encode=encode_invoked,
    relay=relay_invoked,
    relay_stream=RelayedChunks,
    locate=_locate_invoke,
)

PICTURES: Final = ForeignCoder(encode=encode_images, read=read_images)

OF_INVOKE = (
    Operation.CHAT,
    Operation.TEXT,
    Operation.EMBEDDING,
    Operation.RERANK,
    Operation.IMAGE,
)
"""What a body of InvokeModel may ask for."""

BEDROCK: Final = ForeignSpec(
    name="bedrock",
    dialect=Dialect.BEDROCK,
    base_url=BASE_URL,
    locate=_locate,
    credential=_credential,
    authorize=authorized,
    headers=_headers,
    read_refusal=read_refusal,
    decode_models=read_models,
    also_native=MappingProxyType(dict.fromkeys(((Dialect.INVOKE, o) for o in OF_INVOKE), INVOKED)),
    coders=MappingProxyType(
        {
            Operation.CHAT: ForeignCoder(
                encode=encode_converse,
                read=read_converse,
                read_stream=read_converse_stream,
                native=NativeCoder(
                    encode=encode_native, relay=relay_converse, relay_stream=RelayedFrames
                ),
            ),
            Operation.COUNT_TOKENS: ForeignCoder(
                encode=encode_count,
                read=read_count,
                native=NativeCoder(encode=encode_native, relay=relay_count),
            ),
            Operation.TEXT: ForeignCoder(
                encode=encode_text, read=read_text, read_stream=read_text_stream
            ),
            Operation.EMBEDDING: ForeignCoder(encode=encode_embedding, read=read_embedding),
            Operation.RERANK: ForeignCoder(encode=encode_rerank, read=read_rerank),
            Operation.IMAGE: PICTURES,
            Operation.IMAGE_EDIT: PICTURES,
            Operation.IMAGE_VARIATION: PICTURES,
            Operation.LIST_MODELS: ForeignCoder(encode=encode_list, read=read_list, method=b"GET"),
        }
    ),
)
"""The row."""
