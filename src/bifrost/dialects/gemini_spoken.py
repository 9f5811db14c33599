"""A text to be spoken that is asked for as of Gemini, by whoever is to speak it; and the sound told as Gemini tells it.

Gemini's sound is bare samples, which is what OpenAI calls ``pcm``: 24 kHz, 16 bits, one channel. Sources: Gemini API
reference, "Speech generation"; OpenAI API reference, "Create speech", 2026-11.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.fields import Losses
from bifrost.dialects.gemini_contents_in import read_system, words_of
from bifrost.dialects.gemini_incoming import CONFIG, Incoming, decoded
from bifrost.dialects.gemini_reading import Object, camel, lose_unknown, message, one_or_many
from bifrost.dialects.value_shape import text, written
from bifrost.errors import BadRequest, UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.hub import Answer
    from bifrost.schema.call import RawMembers

__all__ = ["SpokenAnswer", "read_spoken", "tell_spoken", "wants_sound"]

KNOWN = frozenset({"contents", "systemInstruction", CONFIG, "model"})

ONLY_SOUND = ["AUDIO"]

SPEECH = f"{CONFIG}.speechConfig"

DEFAULT_VOICE = "alloy"
"""OpenAI's; Gemini's callers need not name one."""

KIND = "audio/L16;codec=pcm;rate=24000"


def wants_sound(members: RawMembers) -> bool:
    """Whether a ``generateContent`` request asks for sound and nothing else. Raises BadRequest."""
    config = decoded({n: raw for n, raw in members.items() if camel(n) == CONFIG}).get(CONFIG, {})
    return message(config, CONFIG).get("responseModalities") == ONLY_SOUND


def read_spoken(members: RawMembers) -> Incoming:
    """Such a request as one for speech. Raises BadRequest."""
    losses = Losses()
    source = decoded(members)
    losses.lose(*(name for name, said in source.items() if name not in KNOWN and said))
    config = message(source.get(CONFIG, {}), CONFIG)
    lose_unknown(config, ("responseModalities", "speechConfig"), CONFIG, losses)
    turns = one_or_many(source.get("contents"), "contents")
    words = "\n".join(filter(None, (words_of(item, place) for item, place in turns)))
    if not words:
        raise BadRequest("contents must have text to be spoken", param="contents")
    told = {"input": words, "voice": _voice(config, losses), "response_format": "pcm"}
    system = read_system(source.get("systemInstruction", ""))
    if system:
        told["instructions"] = system
    return Incoming({name: written(value) for name, value in told.items()}, tuple(losses.names))


def _voice(config: Object, losses: Losses) -> str:
    speech = message(config.get("speechConfig", {}), SPEECH)
    if speech.get("multiSpeakerVoiceConfig"):
        where = f"{SPEECH}.multiSpeakerVoiceConfig"
        raise BadRequest("there can be one voice only, but with Gemini", param=where)
    lose_unknown(speech, ("voiceConfig", "multiSpeakerVoiceConfig"), SPEECH, losses)
    place = f"{SPEECH}.voiceConfig"
    voice = message(speech.get("voiceConfig", {}), place)
    lose_unknown(voice, ("prebuiltVoiceConfig",), place, losses)
    prebuilt = message(voice.get("prebuiltVoiceConfig", {}), f"{place}.prebuiltVoiceConfig")
    return text(prebuilt, "voiceName", f"{place}.prebuiltVoiceConfig") or DEFAULT_VOICE


@attrs.define(eq=False)
class SpokenAnswer:
    """Samples in, Gemini's answer out, block by block. Implements ``Retelling``."""

    facts: AnswerFacts
    _rest: bytes = attrs.field(default=b"", init=False)
    _has_begun: bool = attrs.field(default=False, init=False)

    def feed(self, data: bytes) -> bytes:
        """More samples, as far as they fill whole characters of base64."""
        self._rest += data
        end = len(self._rest) - len(self._rest) % 3
        block, self._rest = self._rest[:end], self._rest[end:]
        return self._begun() + base64.b64encode(block) if block else b""

    def close(self) -> bytes:
        """The rest. Raises UpstreamError where there was nothing at all."""
        if not self._has_begun and not self._rest:
            raise UpstreamError("empty response received from provider")
        begun = self._begun()
        ended = _around(self.facts)[1]
        return begun + base64.b64encode(self._rest) + ended

    def _begun(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        return _around(self.facts)[0]


def _around(facts: AnswerFacts) -> tuple[bytes, bytes]:
    """What stands before the base64 of an answer, and behind it."""
    model = json.dumps_str(facts.model_requested)
    before = b'{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"%b","data":"'
    behind = b'"}}],"role":"model"},"finishReason":"STOP","index":0}],"modelVersion":%b}'
    return before % KIND.encode("ascii"), behind % model


def tell_spoken(answer: Answer, facts: AnswerFacts) -> bytes:
    """The same of a whole answer. Raises UpstreamError if it has no sound."""
    sound = answer.value.get("audio")
    if answer.content is not None:
        sound = base64.b64encode(answer.content).decode("ascii")
    if not isinstance(sound, str) or not sound:
        raise UpstreamError("failed to unmarshal response from provider API")
    before, behind = _around(facts)
    return before + json.dumps_str(sound)[1:-1] + behind
