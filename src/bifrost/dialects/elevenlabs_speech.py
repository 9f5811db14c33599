"""Speech of ElevenLabs: asked for in OpenAI's words; the sound comes as it is, or as OpenAI's events.

Source: ElevenLabs API reference, "Create speech", "Create speech with timing" and "Stream speech", 2026-11.
"""

from __future__ import annotations

import base64
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects import extra_fields
from bifrost.dialects.base import NOTHING, AnswerFacts, Progress
from bifrost.dialects.fields import Losses, dropped, mapped, sealed
from bifrost.dialects.hub import Answer
from bifrost.dialects.openai_answer import checked
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.value_shape import boolean, number, obj, text
from bifrost.errors import BadRequest, UpstreamError
from bifrost.record import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.fields import Field
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest

__all__ = ["FIELDS", "SoundStream", "encode_speech", "read_speech"]

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "input": mapped("text"),
        "instructions": dropped(),
        "language_code": mapped("language_code"),
        "response_format": mapped("output_format", "in the query"),
        "speed": mapped("voice_settings.speed"),
        "stream_format": mapped("", "`sse`: the gateway makes OpenAI's events of the sound"),
        "user": dropped(),
        "voice": mapped("", "in the path: a voice's id"),
    }
)

SETTINGS = ("stability", "similarity_boost", "style", "use_speaker_boost")
"""Of a voice, as a caller may give them by themselves."""

OWN = (
    "seed",
    "previous_text",
    "next_text",
    "previous_request_ids",
    "next_request_ids",
    "apply_text_normalization",
    "apply_language_text_normalization",
    "pronunciation_dictionary_locators",
)

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "mp3": "mp3_44100_128",
        "opus": "opus_48000_64",
        "pcm": "pcm_24000",
        "wav": "wav_24000",
    }
)
"""OpenAI's formats. PCM has the rate of OpenAI's own."""

OWN_FORMAT = re.compile(r"[a-z0-9]+(?:_[0-9]+){1,2}")

VOICE = re.compile(r"[\w-]{1,128}", re.ASCII)

BLOCK_BYTES = 4095
"""Sound in one event; a multiple of three, so that base64 needs no padding in between."""


def encode_speech(call: Call, model: str, provider: str) -> Encoded:
    """The body, path and query of a text to be spoken. Raises BadRequest for a voice or a format that there cannot be."""
    request = read_plain(call.members)
    used = [name for name in OWN if request.extra(name) is not None]
    body: dict[str, Any] = {
        "text": text(request.members, "input"),
        "model_id": model,
        **{name: request.extra(name) for name in used},
    }
    settings = _settings(request)
    if settings:
        body["voice_settings"] = settings
    if request.members.get("language_code") is not None:
        body["language_code"] = text(request.members, "language_code")
    used += ["voice_settings", "with_timestamps", *SETTINGS]
    sent = sealed(body, request, Losses(), call, provider, fields=FIELDS, used=used)
    query = (("output_format", _format(request)),)
    return attrs.evolve(sent, path=_path(request, stream=call.stream), query=query)


def _settings(request: ChatRequest) -> dict[str, Any]:
    given = request.extra("voice_settings")
    settings = {} if given is None else dict(obj(given, "voice_settings"))
    settings |= {n: request.extra(n) for n in SETTINGS if request.extra(n) is not None}
    speed = number(request.members, "speed")
    return settings if speed is None else {**settings, "speed": speed}


def _format(request: ChatRequest) -> str:
    asked = text(request.members, "response_format") or "mp3"
    found = FORMATS.get(asked, asked if OWN_FORMAT.fullmatch(asked) else None)
    if found is None:
        allowed = ", ".join(FORMATS)
        raise BadRequest(f"response_format must be one of {allowed}", param="response_format")
    return found


def _path(request: ChatRequest, *, stream: bool) -> str:
    voice = request.members.get("voice")
    key = text(voice, "id", "voice") if isinstance(voice, dict) else voice
    if not isinstance(key, str) or VOICE.fullmatch(key) is None:
        raise BadRequest("voice must be the id of a voice", param="voice")
    if stream:
        return f"/{quote(key)}/stream"
    timed = boolean({"with_timestamps": request.extra("with_timestamps")}, "with_timestamps")
    return f"/{quote(key)}/with-timestamps" if timed else f"/{quote(key)}"


def read_speech(body: bytes, facts: AnswerFacts) -> Answer:  # noqa: ARG001  a coder's
    """Speech with its timing: ``audio`` in base64, as it came, and which character is said when. Raises UpstreamError."""
    value = checked(body, json.loads)
    if not isinstance(value, dict) or not isinstance(value.get("audio_base64"), str):
        raise UpstreamError("failed to unmarshal response from provider API")
    return Answer(value={"audio": value.pop("audio_base64"), **value}, body=body)


@attrs.define(eq=False)
class SoundStream:
    """Sound in, OpenAI's events of speech out. Implements ``StreamDecoder``.

    Blocks are of one size wherever the bytes are cut. The body's good end is the stream's; nothing at all is an error.
    """

    facts: AnswerFacts
    usage: Usage | None = attrs.field(default=None, init=False)
    _rest: bytes = attrs.field(default=b"", init=False)
    _count: int = attrs.field(default=0, init=False)
    _last_s: float = attrs.field(init=False)
    _extra: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._last_s = self.facts.sent_s
        self._extra = extra_fields.begin(self.facts)

    def feed(self, data: bytes, now_s: float) -> Progress:
        """The events of whole blocks."""
        self._rest += data
        end = len(self._rest) - len(self._rest) % BLOCK_BYTES
        blocks, self._rest = self._rest[:end], self._rest[end:]
        if not blocks:
            return NOTHING
        out = [
            self._audio(blocks[at : at + BLOCK_BYTES], now_s) for at in range(0, end, BLOCK_BYTES)
        ]
        return Progress(b"".join(out), len(out))

    def close(self, now_s: float) -> Progress:
        """What is left, and the end."""
        if not self._count and not self._rest:
            return Progress(error=UpstreamError("empty response received from provider"))
        out = [self._audio(self._rest, now_s)] if self._rest else []
        out.append(self._event({"type": "speech.audio.done", "usage": None}, now_s))
        return Progress(b"".join((*out, sse.DONE)), len(out), done=True)

    def _audio(self, block: bytes, now_s: float) -> bytes:
        audio = base64.b64encode(block).decode()
        return self._event({"type": "speech.audio.delta", "audio": audio}, now_s)

    def _event(self, value: dict[str, Any], now_s: float) -> bytes:
        data = json.dumps(value)
        if self.facts.send_extra_fields:
            latency_ms = extra_fields.milliseconds(self._last_s, now_s)
            once = b"" if self._count else extra_fields.rest(self.facts, None)
            extra = b'%b%d,"chunk_index":%d%b}' % (self._extra, latency_ms, self._count, once)
            data = json.splice(data, extra)
        self._count += 1
        self._last_s = now_s
        return sse.data_frame(data)
