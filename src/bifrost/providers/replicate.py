"""Replicate: chat, completions and pictures as predictions that are waited for.

A prediction is made by one request and, where it takes longer than that request may, asked for by others. An attempt is one
request; so each asks with ``Prefer: wait`` to be answered when the prediction is done, which Replicate does for up to a
minute. Its streams are at an address of their own, and are not there. Source: Replicate HTTP API reference, 2026-11.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.replicate_answer import read_chat_answer, read_images, read_text_answer
from bifrost.dialects.replicate_request import VERSION, encode_chat, encode_image, encode_text
from bifrost.errors import BadRequest, UpstreamError
from bifrost.providers.foreign import ForeignCoder, ForeignSpec
from bifrost.providers.simple import MAX_MODELS, bearer, list_models
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings
    from bifrost.providers.base import Headers
    from bifrost.providers.place import Place
    from bifrost.schema.call import Call

__all__ = ["REPLICATE"]

WAIT = (b"prefer", b"wait=60")
"""Seconds; Replicate's own most."""

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def _locate(
    base: Place,
    operation: Operation,
    model: str,
    key: KeySettings,
    *,
    stream: bool,  # noqa: ARG001  others go by it
) -> Place:
    """By the model's version, by a deployment of the key's own, or by its name."""
    if operation is Operation.LIST_MODELS:
        return base.at("/v1/models")
    if VERSION.fullmatch(model):
        return base.at("/v1/predictions")
    if NAME.fullmatch(model) is None:
        raise BadRequest("a model of replicate is owner/name, or a version", param="model")
    kind = "deployments" if model in key.deployments.values() else "models"
    return base.at(f"/v1/{kind}/{model}/predictions")


def _headers(call: Call, body: bytes) -> Headers:  # noqa: ARG001  a row's
    return () if call.operation is Operation.LIST_MODELS else (WAIT,)


def _models(body: bytes) -> tuple[dict[str, object], ...]:
    """``{results: [{owner, name, …}]}``, the first page. Raises UpstreamError."""
    try:
        value = json.loads(body)
    except json.InvalidJSON as error:
        text = "failed to unmarshal response from provider API"
        raise UpstreamError(text, cause=str(error)) from None
    results = value.get("results") if isinstance(value, dict) else None
    if not isinstance(results, list):
        raise UpstreamError("failed to unmarshal response from provider API")
    models = (item for item in results[:MAX_MODELS] if isinstance(item, dict))
    named = ({**model, "id": f"{model.get('owner')}/{model.get('name')}"} for model in models)
    return tuple(model for model in named if NAME.fullmatch(model["id"]))


REPLICATE = ForeignSpec(
    name="replicate",
    dialect=None,
    base_url="https://api.replicate.com",
    locate=_locate,
    coders=MappingProxyType(
        {
            Operation.LIST_MODELS: list_models(),
            Operation.CHAT: ForeignCoder(encode=encode_chat, read=read_chat_answer),
            Operation.TEXT: ForeignCoder(encode=encode_text, read=read_text_answer),
            Operation.IMAGE: ForeignCoder(encode=encode_image, read=read_images),
        }
    ),
    credential=bearer,
    headers=_headers,
    decode_models=_models,
)
