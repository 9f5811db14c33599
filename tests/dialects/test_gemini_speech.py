"""Speech of Gemini's: asked for in OpenAI's words, answered as a WAV file."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.sse import SSEDecoder
from bifrost.dialects.gemini_speech import SpeechEvents, encode_speech, read_speech
from bifrost.errors import BadRequest, ErrorClass, NetworkError, UpstreamError
from bifrost.schema.call import Operation
from dialects.gemini import FACTS, call_of, judge

PCM = bytes(range(100))


def encoded(members: dict[str, Any], **caller: Any) -> Any:
    asked = {"model": "x", "input": "Hi", "voice": "Kore", **members}
    return encode_speech(call_of(asked, Operation.SPEECH, **caller), "tts", "gemini")


def voice(name: str) -> dict[str, Any]:
    return {"prebuiltVoiceConfig": {"voiceName": name}}


TWO = [{"speaker": "Ann", "voice": "Kore"}, {"speaker": "Bob", "voice": {"id": "Puck"}}]


@pytest.mark.parametrize(
    ("members", "config"),
    [
        ({}, {"voiceConfig": voice("Kore")}),
        ({"response_format": "wav", "stream_format": "audio"}, {"voiceConfig": voice("Kore")}),
        ({"response_format": ""}, {"voiceConfig": voice("Kore")}),
        ({"response_format": "pcm"}, {"voiceConfig": voice("Kore")}),
        ({"voice": {"id": "Puck"}}, {"voiceConfig": voice("Puck")}),
        ({"language_code": "de-DE"}, {"voiceConfig": voice("Kore"), "languageCode": "de-DE"}),
        ({"extra_params": {"language_code": "de"}}, {"voiceConfig": voice("Kore"), "languageCode": "de"}),
        ({"voice": TWO}, {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": [
            {"speaker": "Ann", "voiceConfig": voice("Kore")},
            {"speaker": "Bob", "voiceConfig": voice("Puck")},
        ]}}),
    ],
)  # fmt: skip
def test_speech_is_asked_for(members: dict[str, Any], config: dict[str, Any]) -> None:
    sent = encoded(members)

    body = json.loads(sent.body)
    judge(body)
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": config},
    }
    assert sent.dropped == ()


def test_what_is_lost_is_named_or_refused() -> None:
    assert encoded({"speed": 2, "instructions": "softly"}).dropped == ("speed", "instructions")
    with pytest.raises(BadRequest, match="gemini does not take: speed"):
        encoded({"speed": 2}, strict=True)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"input": ""}, "input"),
        ({"input": 7}, "input"),
        ({"response_format": "mp3"}, "response_format"),
        ({"voice": None}, "voice"),
        ({"voice": {"id": 7}}, "voice.id"),
        ({"voice": TWO[:1]}, "voice"),
        ({"voice": [7, 7]}, "voice[0]"),
        ({"voice": [{"voice": "Kore"}, {}]}, "voice[0].speaker"),
        ({"voice": [{"speaker": "A"}, {}]}, "voice[0].voice"),
    ],
)
def test_what_cannot_be_spoken(members: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as raised:
        encoded(members)
    assert raised.value.param == place


def spoken(*parts: Any, **more: Any) -> bytes:
    candidate = {"content": {"parts": list(parts)}, "finishReason": more.pop("reason", "STOP")}
    return json.dumps({"candidates": [candidate], **more}).encode()


def sound(data: bytes, kind: str = "audio/L16;codec=pcm;rate=24000") -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}}


@pytest.mark.parametrize(
    ("kind", "rate"),
    [("audio/L16;codec=pcm;rate=24000", 24_000), ("audio/pcm", 24_000), ("audio/l16; rate=16000", 16_000)],
)  # fmt: skip
def test_samples_become_a_file(kind: str, rate: int) -> None:
    usage = {"promptTokenCount": 2, "candidatesTokenCount": 9}

    answer = read_speech(
        spoken({"text": ""}, sound(PCM[:40], kind), sound(PCM[40:], kind), usageMetadata=usage),
        FACTS,
    )

    assert answer.content_type == b"audio/wav"
    assert answer.content is not None
    with wave.open(io.BytesIO(answer.content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
        assert file.readframes(1000) == PCM
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 9)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (spoken({"text": "no"}, reason="OTHER"), "the answer has no sound: OTHER"),
        (b"{}", "the answer has no sound: no reason told"),
        (b'{"promptFeedback": {"blockReason": "SAFETY"}}', "the text was refused: SAFETY"),
        (b'{"error": {"code": 400, "message": "no", "status": "X"}}', "no"),
    ],
)
def test_silence(body: bytes, why: str) -> None:
    answer = read_speech(body, FACTS)

    assert answer.error is not None
    assert answer.error.message == why
    is_refused = answer.error.error_class is ErrorClass.CLIENT
    assert is_refused is (why in {"no", "the text was refused: SAFETY"})
    assert answer.content is None


def test_answers_that_are_none() -> None:
    broken = {"inlineData": {"mimeType": "audio/pcm", "data": "?"}}
    for body in (b"[]", spoken(sound(PCM, "audio/mpeg")), spoken(broken)):
        with pytest.raises(UpstreamError):
            read_speech(body, FACTS)


BARE = attrs.evolve(FACTS, members={"response_format": b'"pcm"'})


def test_samples_alone_where_they_are_asked_for() -> None:
    answer = read_speech(spoken(sound(PCM)), BARE)

    assert (answer.content, answer.content_type) == (PCM, b"audio/pcm")


def streamed(bare: bool) -> SpeechEvents:
    facts = BARE if bare else FACTS
    return SpeechEvents(
        attrs.evolve(
            facts, operation=Operation.SPEECH, request_type="speech", send_extra_fields=False
        )
    )


USAGE = {"promptTokenCount": 2, "candidatesTokenCount": 9}
WHOLE = b"".join(
    b"data: " + event + b"\r\n\r\n"
    for event in (
        spoken(sound(PCM[:30]), reason=None),
        spoken({"text": ""}, sound(PCM[30:70]), sound(PCM[70:]), reason=None),
        spoken(usageMetadata=USAGE),
    )
)


def told(data: bytes) -> list[Any]:
    decoder = SSEDecoder()
    events = [*decoder.feed(data), *decoder.close()]
    return [json.loads(event.data) for event in events if event.data != b"[DONE]"]


@given(st.booleans(), st.lists(st.integers(0, len(WHOLE)), max_size=6).map(sorted))
def test_a_stream_however_it_is_cut(bare: bool, at: list[int]) -> None:
    stream = streamed(bare)
    pieces = [WHOLE[a:b] for a, b in zip([0, *at], [*at, len(WHOLE)], strict=True)]

    out = [stream.feed(piece, 0.0) for piece in pieces if piece]
    end = stream.close(0.0)

    assert (end.done, end.error) == (True, None)
    *deltas, done = told(b"".join(progress.data for progress in (*out, end)))
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert len(deltas) == 3
    usage = {"input_tokens": 2, "output_tokens": 9, "total_tokens": 11}
    assert done == {"type": "speech.audio.done", "usage": usage}
    content = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    if bare:
        assert content == PCM
    else:
        with wave.open(io.BytesIO(content)) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            assert file.getframerate() == 24_000
        assert content[44:] == PCM


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ((spoken(sound(PCM), reason=None),), NetworkError),
        ((spoken(reason="SAFETY"),), UpstreamError),
        ((b'{"promptFeedback": {"blockReason": "SAFETY"}}',), UpstreamError),
        ((spoken(sound(PCM, "audio/mpeg")),), UpstreamError),
        ((), UpstreamError),
    ],
)
def test_a_stream_that_is_none(events: tuple[bytes, ...], error: type[Exception]) -> None:
    stream = streamed(bare=False)

    fed = stream.feed(b"".join(b"data: " + event + b"\n\n" for event in events), 0.0)
    end = fed if fed.error else stream.close(0.0)

    assert isinstance(end.error, error)
