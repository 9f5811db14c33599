"""ElevenLabs: speech, transcripts and the list of models.

Source: ElevenLabs API reference, 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.elevenlabs_speech import SoundStream, encode_speech, read_speech
from bifrost.dialects.elevenlabs_transcript import encode_transcript, read_transcript
from bifrost.errors import UpstreamError
from bifrost.providers.foreign import ForeignCoder, ForeignSpec
from bifrost.providers.simple import MAX_MODELS, at_paths, key_in, list_models
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.settings import KeySettings
    from bifrost.providers.base import Headers

__all__ = ["ELEVENLABS"]

PATHS: Mapping[Operation, str] = MappingProxyType(
    {
        Operation.LIST_MODELS: "/v1/models",
        Operation.SPEECH: "/v1/text-to-speech",
        Operation.TRANSCRIPTION: "/v1/speech-to-text",
    }
)


def _credential(key: KeySettings) -> Headers:
    return key_in("xi-api-key", key)


def _models(body: bytes) -> tuple[dict[str, object], ...]:
    """``[{model_id, name, …}]``. Raises UpstreamError."""
    try:
        value = json.loads(body)
    except json.InvalidJSON as error:
        text = "failed to unmarshal response from provider API"
        raise UpstreamError(text, cause=str(error)) from None
    if not isinstance(value, list):
        raise UpstreamError("failed to unmarshal response from provider API")
    models = (item for item in value[:MAX_MODELS] if isinstance(item, dict))
    return tuple({**m, "id": m["model_id"]} for m in models if isinstance(m.get("model_id"), str))


ELEVENLABS = ForeignSpec(
    name="elevenlabs",
    dialect=None,
    base_url="https://api.elevenlabs.io",
    locate=at_paths(PATHS),
    coders=MappingProxyType(
        {
            Operation.LIST_MODELS: list_models(),
            Operation.SPEECH: ForeignCoder(
                encode=encode_speech, read=read_speech, make_stream=SoundStream, may_be_bytes=True
            ),
            Operation.TRANSCRIPTION: ForeignCoder(encode=encode_transcript, read=read_transcript),
        }
    ),
    credential=_credential,
    decode_models=_models,
)
