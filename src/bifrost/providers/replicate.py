"""Replicate: chat, completions, pictures and files. What is asked for is a prediction, which is waited for or streamed.

A prediction is begun by one request and asked for by others (``providers.predictions``). ``Prefer: wait`` holds the first one
for a short while: most of what is fast is done by then, and what is not has its name early enough to be called off.
Source: Replicate HTTP API reference, 2026-11.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.replicate_answer import read_chat_answer, read_images, read_text_answer
from bifrost.dialects.replicate_objects import REPLICATE_OBJECTS
from bifrost.dialects.replicate_request import (
    VERSION,
    encode_chat,
    encode_edit,
    encode_image,
    encode_text,
)
from bifrost.dialects.replicate_stream import PictureStream, PredictionStream
from bifrost.errors import BadRequest, UpstreamError
from bifrost.providers.foreign import ForeignCoder, ForeignSpec, own_last
from bifrost.providers.predictions import Prediction
from bifrost.providers.simple import MAX_MODELS, bearer, list_models
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings, NetworkSettings
    from bifrost.providers.base import FollowUp, Headers, UpstreamRequest
    from bifrost.providers.place import Place
    from bifrost.schema.call import Call

__all__ = ["REPLICATE"]

WAIT = (b"prefer", b"wait=1")
"""Seconds, from 1 to 60. An operator or a caller may say otherwise."""

PREDICTED = frozenset(
    {Operation.CHAT, Operation.RESPONSES, Operation.TEXT, Operation.IMAGE, Operation.IMAGE_EDIT}
)

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
    if call.operation not in PREDICTED:
        return ()
    # What begins a stream answers in JSON, and at once.
    return ((b"accept", b"application/json"),) if call.stream else (WAIT,)


def _join(lines: Headers, own: Headers, network: NetworkSettings) -> Headers:
    """Whoever asks for another wait has it."""
    if any(name == b"prefer" for name, _ in lines):
        own = tuple(line for line in own if line[0] != b"prefer")
    return own_last(lines, own, network)


def _follow_up(call: Call, request: UpstreamRequest, base: Place) -> FollowUp | None:
    return Prediction.of(call, request, base) if call.operation in PREDICTED else None


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
            Operation.CHAT: ForeignCoder(
                encode=encode_chat, read=read_chat_answer, read_stream=PredictionStream.of
            ),
            Operation.TEXT: ForeignCoder(
                encode=encode_text, read=read_text_answer, read_stream=PredictionStream.of
            ),
            Operation.IMAGE: ForeignCoder(
                encode=encode_image, read=read_images, make_stream=PictureStream
            ),
            Operation.IMAGE_EDIT: ForeignCoder(
                encode=encode_edit, read=read_images, make_stream=PictureStream
            ),
        }
    ),
    credential=bearer,
    follow_up=_follow_up,
    headers=_headers,
    join=_join,
    decode_models=_models,
    objects=REPLICATE_OBJECTS,
    pages_by_token=True,
)
