"""Speech of Gemini's: a text to be spoken by one voice or by two, asked for in OpenAI's words and answered as a WAV file.

Source: Gemini API reference, "Speech generation" and "SpeechConfig", 2026-11.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import wave
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.dialects.fields import Losses, dropped, mapped, sealed
from bifrost.dialects.gemini_answer import blocked, read_object
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_parts import listed, mapping, usage_of
from bifrost.dialects.hub import Answer
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.value_shape import list_of, obj, text
from bifrost.errors import BadRequest, ErrorClass, UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.fields import Fields
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest

__all__ = ["FIELDS", "encode_speech", "read_speech"]

Object = dict[str, Any]

FIELDS: Fields = MappingProxyType(
    {
        "input": mapped("contents"),
        "voice": mapped(
            "generationConfig.speechConfig.voiceConfig, multiSpeakerVoiceConfig",
            "a name, or two of `{speaker, voice}`",
        ),
        "response_format": mapped("", "`wav` only, which is what comes without it"),
        "stream_format": mapped("", "`audio` only"),
        "language_code": mapped("generationConfig.speechConfig.languageCode"),
        "instructions": dropped("say it in the text"),
        "speed": dropped(),
        "user": dropped(),
    }
)

SPEAKERS = 2
"""As many as there are where there are several."""

RATE_HZ = 24_000
"""Of the samples, where the answer does not say it; they are of 16 bits, one channel."""

RATE = re.compile(r"rate=([1-9][0-9]{3,5})\b")


def encode_speech(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  the path has the model
    """The body for a text to be spoken. Raises BadRequest for another format than WAV."""
    request = read_plain(call.members)
    if not text(request.members, "input"):
        raise BadRequest("input must be a text", param="input")
    if text(request.members, "response_format") not in {None, "", "wav"}:
        raise BadRequest(
            "response_format must be wav for Gemini, or not be given", param="response_format"
        )
    config = _voices(request)
    language = text({"language_code": request.extra("language_code")}, "language_code")
    if language is not None:
        config["languageCode"] = language
    body: Object = {
        "contents": [{"role": "user", "parts": [{"text": request.members["input"]}]}],
        "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": config},
    }
    used = ("language_code",)
    return sealed(body, request, Losses(), call, provider, fields=FIELDS, used=used)


def _voices(request: ChatRequest) -> Object:
    """``speechConfig`` for one voice, or for two by their speakers' names."""
    given = request.members.get("voice")
    if not isinstance(given, list):
        return {"voiceConfig": _voice(given, "voice")}
    if len(given) != SPEAKERS:
        raise BadRequest(f"voice must have {SPEAKERS} items if it is an array", param="voice")
    told = [_speaker(obj(item, place), place) for item, place in list_of(given, "voice")]
    return {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": told}}


def _speaker(item: Object, place: str) -> Object:
    name = text(item, "speaker", place)
    if not name:
        raise BadRequest(f"{place}.speaker must be a name in the text", param=f"{place}.speaker")
    return {"speaker": name, "voiceConfig": _voice(item.get("voice"), f"{place}.voice")}


def _voice(given: object, place: str) -> Object:
    name = text(given, "id", place) if isinstance(given, dict) else given
    if not isinstance(name, str) or not name:
        raise BadRequest(f"{place} must be the name of a voice of Gemini's", param=place)
    return {"prebuiltVoiceConfig": {"voiceName": name}}


def read_speech(body: bytes, facts: AnswerFacts) -> Answer:
    """A WAV file of all that was spoken. Raises UpstreamError if ``body`` is none of Gemini's answers."""
    told = read_object(body)
    error = refusal_in(told, facts)
    if error is not None:
        return Answer(value={}, body=body, error=error)
    parts = [
        mapping(part.get("inlineData"))
        for candidate in listed(told.get("candidates"))[:1]
        for part in listed(mapping(candidate.get("content")).get("parts"))
    ]
    kinds = [part["mimeType"] for part in parts if isinstance(part.get("mimeType"), str)]
    samples = b"".join(_samples(part) for part in parts)
    if not samples:
        return Answer(value={}, body=body, error=_silence(told))
    usage = usage_of(mapping(told.get("usageMetadata")))
    content = _wav(samples, kinds[0])
    value = {"usage": usage} if usage else {}
    return Answer(value=value, body=body, content=content, content_type=b"audio/wav")


def _samples(part: Object) -> bytes:
    kind, data = part.get("mimeType"), part.get("data")
    if not isinstance(kind, str) or not isinstance(data, str):
        return b""
    if not kind.lower().startswith(("audio/l16", "audio/pcm")):
        raise UpstreamError(f"the answer is no PCM, but {kind[:64]}")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise UpstreamError("failed to unmarshal response from provider API") from None


def _wav(samples: bytes, kind: str) -> bytes:
    rate = RATE.search(kind)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE_HZ if rate is None else int(rate[1]))
        sound.writeframes(samples)
    return file.getvalue()


def _silence(told: Object) -> UpstreamError:
    if blocked(told):
        return UpstreamError(
            f"the text was refused: {told['promptFeedback']['blockReason'][:64]}",
            status=400,
            error_class=ErrorClass.CLIENT,
        )
    ends = [item.get("finishReason") for item in listed(told.get("candidates"))]
    why = next((end for end in ends if isinstance(end, str)), "no reason told")
    return UpstreamError(f"the answer has no sound: {why[:64]}")
