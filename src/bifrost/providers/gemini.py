"""Gemini by Google's own API: chat, embeddings, pictures, speech, transcripts, the counting of tokens and the list of models.

Sources: Gemini API reference, "Models", "Authentication" and "Errors", 2026-11.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.config.secret import Token
from bifrost.dialects.gemini_answer import decode_models, read_chat, read_count
from bifrost.dialects.gemini_edits import encode_edit
from bifrost.dialects.gemini_embeddings import encode_embeddings, read_embeddings
from bifrost.dialects.gemini_errors import plain_error
from bifrost.dialects.gemini_images import encode_images, is_imagen, read_images
from bifrost.dialects.gemini_objects import GEMINI_OBJECTS
from bifrost.dialects.gemini_predict import encode_prediction, relay_prediction
from bifrost.dialects.gemini_relay import GeminiRelay, encode_native, encode_native_count, relay
from bifrost.dialects.gemini_request import encode_chat, encode_count
from bifrost.dialects.gemini_results import ABSENT
from bifrost.dialects.gemini_speech import SpeechEvents, encode_speech, read_speech
from bifrost.dialects.gemini_stream import read_stream
from bifrost.dialects.gemini_transcript import (
    TranscriptEvents,
    encode_transcript,
    read_transcript,
)
from bifrost.dialects.openai_edit import Encoded
from bifrost.errors import BadRequest, ConfigurationMissing, ErrorClass, UnsupportedOperation
from bifrost.providers.foreign import ForeignCoder, ForeignSpec, NativeCoder
from bifrost.providers.passthrough import relayed_below
from bifrost.providers.request_headers import header_line
from bifrost.schema.call import Dialect, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.settings import KeySettings
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Answer
    from bifrost.providers.base import Headers
    from bifrost.providers.place import Place
    from bifrost.schema.call import Call

__all__ = [
    "CHAT",
    "EDITS",
    "GEMINI",
    "IMAGES",
    "LIST",
    "credential",
    "method_of",
    "model_not_found",
]

VERSION = "/v1beta"

METHODS: Mapping[tuple[Operation, bool], str] = MappingProxyType(
    {
        (Operation.CHAT, False): "generateContent",
        (Operation.CHAT, True): "streamGenerateContent?alt=sse",
        (Operation.RESPONSES, False): "generateContent",
        (Operation.RESPONSES, True): "streamGenerateContent?alt=sse",
        (Operation.EMBEDDING, False): "batchEmbedContents",
        (Operation.IMAGE, False): "generateContent",
        (Operation.IMAGE_EDIT, False): "generateContent",
        (Operation.SPEECH, False): "generateContent",
        (Operation.SPEECH, True): "streamGenerateContent?alt=sse",
        (Operation.TRANSCRIPTION, False): "generateContent",
        (Operation.TRANSCRIPTION, True): "streamGenerateContent?alt=sse",
        (Operation.COUNT_TOKENS, False): "countTokens",
    }
)
"""By operation, and whether it is a stream."""

PREDICT = "predict"

PAGE = 1000
"""The most models that one answer lists."""

_VERSIONED = re.compile(r"/v\d+[a-z0-9]*$")

_MODEL = re.compile(r"(?:(?:models|tunedModels)/)?[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What a path can hold in one way only."""

CHAT = ForeignCoder(
    encode=encode_chat,
    read=read_chat,
    read_stream=read_stream,
    native=NativeCoder(encode=encode_native, relay=relay, relay_stream=GeminiRelay),
)

IMAGES = ForeignCoder(
    encode=encode_images,
    read=read_images,
    native=NativeCoder(encode=encode_prediction, relay=relay_prediction),
)

EDITS = ForeignCoder(encode=encode_edit, read=read_images)


def method_of(operation: Operation, model: str, *, stream: bool) -> str:
    """What stands behind the model's name: pictures are drawn by another method than Gemini's if Imagen is to do it."""
    if operation is Operation.IMAGE and is_imagen(model):
        return PREDICT
    return METHODS[operation, stream]


def _locate(
    base: Place,
    operation: Operation,
    model: str,
    key: KeySettings,  # noqa: ARG001  others go by it
    *,
    stream: bool,
) -> Place:
    """Below a ``base`` that names a version of the API, or else below ``/v1beta`` of it."""
    if _VERSIONED.search(base.path) is None:
        base = attrs.evolve(base, path=base.path + VERSION)
    if operation is Operation.LIST_MODELS:
        return base.at(f"/models?pageSize={PAGE}")
    if _MODEL.fullmatch(model) is None:
        raise model_not_found(model, "Gemini")
    path = model if "/" in model else f"models/{model}"
    return base.at(f"/{path}:{method_of(operation, model, stream=stream)}")


def model_not_found(model: str, whose: str) -> BadRequest:
    """The error for a name that no path can hold."""
    return BadRequest(
        f"{model[:128]!r} is no name that a model of {whose} can have",
        status=404,
        code="model_not_found",
        param="model",
        error_class=ErrorClass.NOT_FOUND,
    )


def credential(key: KeySettings) -> Headers:
    """A key in Google's own header, a token as a bearer. Raises ConfigurationMissing."""
    value = key.value.reveal().strip()
    if not value:
        return ()
    try:
        if isinstance(key.value, Token):
            return (header_line("authorization", f"Bearer {value}"),)
        return (header_line("x-goog-api-key", value),)
    except ValueError:
        # Not chained: the codec's own error would hold the key.
        raise ConfigurationMissing(
            f'key "{key.name}" holds characters that no header may hold'
        ) from None


def _nothing(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  a list is asked for by its address
    return Encoded(b"", content_type=None)


def _unread(body: bytes, facts: AnswerFacts) -> Answer:  # noqa: ARG001  lists are read by decode_models
    raise UnsupportedOperation("a list of models is no answer to a call")


LIST = ForeignCoder(encode=_nothing, read=_unread, method=b"GET")

GEMINI = ForeignSpec(
    name="gemini",
    dialect=Dialect.GEMINI,
    base_url="https://generativelanguage.googleapis.com",
    locate=_locate,
    coders=MappingProxyType(
        {
            Operation.CHAT: CHAT,
            Operation.EMBEDDING: ForeignCoder(encode=encode_embeddings, read=read_embeddings),
            Operation.COUNT_TOKENS: ForeignCoder(
                encode=encode_count,
                read=read_count,
                native=NativeCoder(encode=encode_native_count, relay=relay),
            ),
            Operation.IMAGE: IMAGES,
            Operation.IMAGE_EDIT: EDITS,
            Operation.SPEECH: ForeignCoder(
                encode=encode_speech, read=read_speech, make_stream=SpeechEvents
            ),
            Operation.TRANSCRIPTION: ForeignCoder(
                encode=encode_transcript, read=read_transcript, make_stream=TranscriptEvents
            ),
            Operation.LIST_MODELS: LIST,
        }
    ),
    objects=GEMINI_OBJECTS,
    absent=ABSENT,
    pages_by_token=True,
    credential=credential,
    has_hosted_tools=True,
    decode_error=plain_error,
    decode_models=decode_models,
    relay_place=relayed_below(VERSION.strip("/")),
)
"""The row."""
