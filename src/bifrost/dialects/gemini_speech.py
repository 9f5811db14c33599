"""Speech of Gemini's: a text to be spoken by one voice or by two, asked for in OpenAI's words and answered as a WAV file.

A stream is OpenAI's events with pieces of the same file, whose head cannot say then how long it is, or of bare samples.

Source: Gemini API reference, "Speech generation" and "SpeechConfig", 2026-11.
"""

from __future__ import annotations

import base64
import re
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.dialects.fields import Losses, dropped, mapped, sealed
from bifrost.dialects.gemini_answer import blocked, read_object
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_events import GeminiEvents, counts_of, first_parts
from bifrost.dialects.gemini_parts import listed, mapping, usage_of
from bifrost.dialects.hub import Answer
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.value_shape import list_of, obj, text
from bifrost.errors import BadRequest, ErrorClass, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.fields import Fields
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.errors import GatewayError
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest

__all__ = ["FIELDS", "SpeechEvents", "encode_speech", "read_speech"]

Object = dict[str, Any]

FIELDS: Fields = MappingProxyType(
    {
        "input": mapped("contents"),
        "voice": mapped(
            "generationConfig.speechConfig.voiceConfig, multiSpeakerVoiceConfig",
            "a name, or two of `{speaker, voice}`",
        ),
        "response_format": mapped(
            "", "`wav`, which is what comes without it, or `pcm`: 24 kHz, 16 bits, one channel"
        ),
        "stream_format": mapped("", "`sse` for OpenAI's events, in each a piece of the sound"),
        "language_code": mapped("generationConfig.speechConfig.languageCode"),
        "instructions": dropped("say it in the text"),
        "speed": dropped(),
        "user": dropped(),
    }
)

PCM = b'"pcm"'

FORMATS = frozenset({None, "", "wav", "pcm"})

UNSAID = 0xFFFF_FFFF
"""In place of a length in the head of a file that is still being written."""

SPEAKERS = 2
"""As many as there are where there are several."""

RATE_HZ = 24_000
"""Of the samples, where the answer does not say it; they are of 16 bits, one channel."""

RATE = re.compile(r"rate=([1-9][0-9]{3,5})\b")


def encode_speech(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  the path has the model
    """The body for a text to be spoken. Raises BadRequest for a format that is neither WAV nor bare samples."""
    request = read_plain(call.members)
    if not text(request.members, "input"):
        raise BadRequest("input must be a text", param="input")
    if text(request.members, "response_format") not in FORMATS:
        raise BadRequest(
            "response_format must be wav or pcm for Gemini, or not be given",
            param="response_format",
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
    """A file of all that was spoken. Raises UpstreamError if ``body`` is none of Gemini's answers."""
    told = read_object(body)
    error = refusal_in(told, facts)
    if error is not None:
        return Answer(value={}, body=body, error=error)
    sounds = [*_sounds(told)]
    samples = b"".join(_samples(sound) for sound in sounds)
    if not samples:
        return Answer(value={}, body=body, error=_silence(told))
    usage = usage_of(mapping(told.get("usageMetadata")))
    value = {"usage": usage} if usage else {}
    if _is_bare(facts):
        return Answer(value=value, body=body, content=samples, content_type=b"audio/pcm")
    content = _head(sounds[0]["mimeType"], len(samples)) + samples
    return Answer(value=value, body=body, content=content, content_type=b"audio/wav")


def _is_bare(facts: AnswerFacts) -> bool:
    """Whether samples are asked for without the head of a file."""
    return facts.members.get("response_format") == PCM


def _sounds(told: Object) -> Iterator[Object]:
    """What is said, a piece at a time: each has a ``mimeType``, and its ``data`` in base64."""
    for part in first_parts(told):
        sound = mapping(part.get("inlineData"))
        if isinstance(sound.get("mimeType"), str) and isinstance(sound.get("data"), str):
            yield sound


@attrs.define(eq=False)
class SpeechEvents(GeminiEvents):
    """A streamed answer as OpenAI's events of speech."""

    def _pieces(self, told: Object) -> Iterator[Object]:
        for sound in _sounds(told):
            samples = _samples(sound)
            if samples:
                is_first = not self._count and not _is_bare(self.facts)
                head = _head(sound["mimeType"], None) if is_first else b""
                audio = base64.b64encode(head + samples).decode("ascii")
                yield {"type": "speech.audio.delta", "audio": audio}

    def _last(self) -> Object:
        return {"type": "speech.audio.done", "usage": counts_of(self._counts) or None}

    def _nothing(self, told: Object) -> GatewayError:
        return _silence(told)


def _samples(sound: Object) -> bytes:
    kind = sound["mimeType"]
    if not kind.lower().startswith(("audio/l16", "audio/pcm")):
        raise UpstreamError(f"the answer is no PCM, but {kind[:64]}")
    try:
        return base64.b64decode(sound["data"], validate=True)
    except ValueError:
        raise UpstreamError("failed to unmarshal response from provider API") from None


def _head(kind: str, size: int | None) -> bytes:
    """What a WAV file begins with, before ``size`` bytes of samples; ``None`` if that is not known yet."""
    found = RATE.search(kind)
    rate = RATE_HZ if found is None else int(found[1])
    whole = UNSAID if size is None else size + 36
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    data = struct.pack("<I", UNSAID if size is None else size)
    return b"RIFF" + struct.pack("<I", whole) + b"WAVEfmt " + form + b"data" + data


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
