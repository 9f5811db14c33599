"""A text to be spoken that is asked for as of Gemini, and the sound as Gemini tells it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from bifrost.dialects.gemini_spoken import SpokenAnswer, read_spoken, tell_spoken, wants_sound
from bifrost.dialects.hub import Answer
from bifrost.errors import BadRequest, UpstreamError
from dialects.gemini import FACTS

ASK = [{"parts": [{"text": "Hello"}]}]


def raw(members: dict[str, Any]) -> dict[str, bytes]:
    return {name: json.dumps(value).encode() for name, value in members.items()}


def config(**more: Any) -> dict[str, Any]:
    return {"responseModalities": ["AUDIO"], **more}


@pytest.mark.parametrize(
    ("members", "wants"),
    [
        ({"generationConfig": {"responseModalities": ["AUDIO"]}}, True),
        ({"generation_config": {"response_modalities": ["AUDIO"]}}, True),
        ({"generationConfig": {"responseModalities": ["TEXT", "AUDIO"]}}, False),
        ({"generationConfig": {"speechConfig": {}}}, False),
        ({}, False),
    ],
)
def test_who_wants_sound(members: dict[str, Any], wants: bool) -> None:
    assert wants_sound(raw(members)) is wants


def voice(name: str) -> dict[str, Any]:
    return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}


@pytest.mark.parametrize(
    ("more", "members", "lost"),
    [
        ({}, {"voice": "alloy"}, ()),
        ({"generationConfig": config(speechConfig=voice("nova"))}, {"voice": "nova"}, ()),
        ({"systemInstruction": {"parts": [{"text": "Softly"}]}}, {"voice": "alloy", "instructions": "Softly"}, ()),
        ({"contents": [*ASK, {"parts": [{"text": "you"}]}]}, {"voice": "alloy", "input": "Hello\nyou"}, ()),
        ({"generationConfig": config(temperature=1, speechConfig={"languageCode": "de"}), "labels": {"a": "b"}},
         {"voice": "alloy"}, ("labels", "generationConfig.temperature", "generationConfig.speechConfig.languageCode")),
    ],
)  # fmt: skip
def test_a_request_is_read(more: Any, members: Any, lost: tuple[str, ...]) -> None:
    asked = {"contents": ASK, "generationConfig": config(), **more}

    incoming = read_spoken(raw(asked))

    told = {name: json.loads(value) for name, value in incoming.members.items()}
    assert told == {"input": "Hello", "response_format": "pcm", **members}
    assert incoming.lost == lost


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({}, "contents"),
        ({"contents": [{"parts": [{"inlineData": {}}]}]}, "contents[0].parts[0]"),
        ({"contents": ASK, "generationConfig": config(speechConfig={"multiSpeakerVoiceConfig": {"x": 1}})},
         "generationConfig.speechConfig.multiSpeakerVoiceConfig"),
    ],
)  # fmt: skip
def test_what_cannot_be_spoken(asked: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as raised:
        read_spoken(raw(asked))
    assert raised.value.param == place


def sound_in(body: bytes) -> bytes:
    """The sound, as Google's own types read it."""
    told = types.GenerateContentResponse.model_validate(json.loads(body))
    [candidate] = told.candidates or []
    assert candidate.finish_reason == types.FinishReason.STOP
    assert candidate.content is not None
    [part] = candidate.content.parts or []
    assert part.inline_data is not None
    assert part.inline_data.mime_type == "audio/L16;codec=pcm;rate=24000"
    return part.inline_data.data or b""


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=8))
def test_sound_is_told_however_it_is_cut(pieces: list[bytes]) -> None:
    answer = SpokenAnswer(FACTS)

    body = b"".join([*map(answer.feed, pieces), answer.close()])

    assert sound_in(body) == b"".join(pieces)


def test_nothing_is_no_sound() -> None:
    with pytest.raises(UpstreamError):
        SpokenAnswer(FACTS).close()


def test_whole_answers() -> None:
    audio = base64.b64encode(b"ab").decode()

    assert sound_in(tell_spoken(Answer(value={"audio": audio}, body=b""), FACTS)) == b"ab"
    assert sound_in(tell_spoken(Answer(value={}, body=b"", content=b"cd"), FACTS)) == b"cd"
    with pytest.raises(UpstreamError):
        tell_spoken(Answer(value={"audio": 7}, body=b""), FACTS)
