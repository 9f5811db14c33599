"""ElevenLabs: speech and transcripts, asked for in OpenAI's words and answered in them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import openai.types.audio
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, ProviderSettings
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.elevenlabs_speech import BLOCK_BYTES, SoundStream
from bifrost.errors import BadRequest, ErrorClass, UpstreamError
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Operation, Target
from bifrost.schema.payload import BytesPayload, Field, File, Form, Payload
from providers.sent import sent_json

if TYPE_CHECKING:
    from bifrost.providers.base import UpstreamRequest

ADAPTER = build_adapter(ProviderSettings(name="elevenlabs"))
KEY = KeySettings(id="k", name="k", value=Secret("xi-secret"))
VOICE = "JBFqnCBsd6RMkjVDRZzb"


def facts(operation: Operation, **more: Any) -> AnswerFacts:
    return AnswerFacts(
        request_type=operation.value,
        provider="elevenlabs",
        model_requested="m",
        sent_s=1.0,
        operation=operation,
        **more,
    )


def speech(members: dict[str, Any], *, stream: bool = False, **caller: Any) -> UpstreamRequest:
    asked = {"model": "elevenlabs/m", "input": "hi", "voice": VOICE, **members}
    call = Call(
        id="1",
        operation=Operation.SPEECH,
        stream=stream,
        target=Target("elevenlabs", "m"),
        members={name: json.dumps(value).encode() for name, value in asked.items()},
        caller=Caller(**caller),
    )
    return ADAPTER.encode(call, call.target, KEY)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"speed": 1.1}, {"voice_settings": {"speed": 1.1}}),
        ({"stability": 0.5, "speed": 1, "voice_settings": {"style": 0.2}}, {"voice_settings": {"style": 0.2, "stability": 0.5, "speed": 1}}),
        ({"extra_params": {"similarity_boost": 0.1, "use_speaker_boost": True}}, {"voice_settings": {"similarity_boost": 0.1, "use_speaker_boost": True}}),
        ({"seed": 5, "previous_text": "a", "next_text": "b"}, {"seed": 5, "previous_text": "a", "next_text": "b"}),
        ({"language_code": "de", "apply_text_normalization": "off"}, {"language_code": "de", "apply_text_normalization": "off"}),
        ({"voice": {"id": VOICE}}, {}),
    ],
)  # fmt: skip
def test_speech_is_asked_for(given: dict[str, Any], sent: dict[str, Any]) -> None:
    request = speech(given)

    assert request.target == f"/v1/text-to-speech/{VOICE}?output_format=mp3_44100_128".encode()
    assert sent_json(request) == {"text": "hi", "model_id": "m", **sent}
    assert request.dropped_params == ()
    headers = dict(request.headers)
    assert headers[b"xi-api-key"] == b"xi-secret"
    assert b"authorization" not in headers
    assert headers[b"accept"] == b"*/*"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("mp3", "mp3_44100_128"),
        ("opus", "opus_48000_64"),
        ("pcm", "pcm_24000"),
        ("wav", "wav_24000"),
        ("ulaw_8000", "ulaw_8000"),
    ],
)
def test_formats(asked: str, told: str) -> None:
    assert speech({"response_format": asked}).target.endswith(f"?output_format={told}".encode())


def test_streams_and_timings_have_paths_of_their_own() -> None:
    streamed = speech({"stream_format": "sse"}, stream=True)
    timed = speech({"with_timestamps": True})

    assert streamed.target.startswith(f"/v1/text-to-speech/{VOICE}/stream?".encode())
    assert timed.target.startswith(f"/v1/text-to-speech/{VOICE}/with-timestamps?".encode())
    assert streamed.dropped_params == timed.dropped_params == ()


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"voice": "../x"}, "voice"),
        ({"voice": None}, "voice"),
        ({"voice": 5}, "voice"),
        ({"response_format": "flac"}, "response_format"),
        ({"voice_settings": 5}, "voice_settings"),
        ({"speed": "fast"}, "speed"),
        ({"with_timestamps": "yes"}, "with_timestamps"),
    ],
)
def test_what_cannot_be_spoken(given: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        speech(given)
    assert caught.value.param == place


def test_what_is_lost_is_named() -> None:
    given = {"instructions": "softly", "odd": 1}

    assert speech(given).dropped_params == ("instructions", "odd")
    with pytest.raises(BadRequest, match="elevenlabs does not take: instructions, odd"):
        speech(given, strict=True)


def test_sound_is_relayed_but_for_streams() -> None:
    assert ADAPTER.answers_in_bytes(Operation.SPEECH, b"audio/mpeg")
    assert not ADAPTER.answers_in_bytes(Operation.SPEECH, b"audio/mpeg", stream=True)
    assert not ADAPTER.answers_in_bytes(Operation.SPEECH, b"application/json")
    assert not ADAPTER.answers_in_bytes(Operation.TRANSCRIPTION, b"audio/mpeg")


def test_speech_with_its_timing() -> None:
    body = b'{"audio_base64": "aGk=", "alignment": {"characters": ["h"]}}'

    plain = ADAPTER.decode_plain(body, facts(Operation.SPEECH, send_extra_fields=False))

    assert json.loads(plain.body) == {"audio": "aGk=", "alignment": {"characters": ["h"]}}
    with pytest.raises(UpstreamError):
        ADAPTER.decode_plain(b"{}", facts(Operation.SPEECH))


def streamed(pieces: list[bytes]) -> tuple[bytes, int]:
    decoder = ADAPTER.stream_decoder(facts(Operation.SPEECH))
    assert isinstance(decoder, SoundStream)
    assert decoder.usage is None
    progress = [*(decoder.feed(piece, 2.0) for piece in pieces), decoder.close(2.0)]
    assert [each.error for each in progress] == [None] * len(progress)
    assert progress[-1].done
    return b"".join(each.data for each in progress), sum(each.events for each in progress)


@given(st.binary(min_size=1, max_size=3 * BLOCK_BYTES), st.data())
def test_any_split_of_the_sound_gives_the_same_events(sound: bytes, data: st.DataObject) -> None:
    at = sorted(data.draw(st.lists(st.integers(0, len(sound)), max_size=6)))
    pieces = [sound[a:b] for a, b in zip([0, *at], [*at, len(sound)], strict=True)]

    told, events = streamed([piece for piece in pieces if piece])

    assert (told, events) == streamed([sound])
    assert told.endswith(b"data: [DONE]\n\n")
    values = [json.loads(line[6:]) for line in told.split(b"\n\n")[:-2]]
    assert events == len(values)
    assert b"".join(base64.b64decode(value["audio"]) for value in values[:-1]) == sound
    assert values[-1]["type"] == "speech.audio.done"
    assert values[0]["extra_fields"]["provider"] == "elevenlabs"


def test_no_sound_is_an_error_and_extra_fields_can_be_left_out() -> None:
    silent = ADAPTER.stream_decoder(facts(Operation.SPEECH)).close(1.0)
    bare = ADAPTER.stream_decoder(facts(Operation.SPEECH, send_extra_fields=False))

    assert silent.error is not None
    assert bare.feed(b"x", 1.0).data == b""
    assert bare.close(1.0).data.startswith(
        b'data: {"type":"speech.audio.delta","audio":"eA=="}\n\n'
    )


# Transcripts

SOUND = File("file", b"a.mp3", b"audio/mpeg", BytesPayload(b"\xff\xfb"))


def transcript(*parts: Field | File, **caller: Any) -> UpstreamRequest:
    form: Form = (Field("model", b"elevenlabs/scribe_v1"), SOUND, *parts)
    call = Call(
        id="1",
        operation=Operation.TRANSCRIPTION,
        stream=False,
        target=Target("elevenlabs", "scribe_v1"),
        form=form,
        boundary=b"xyz",
        caller=Caller(**caller),
    )
    return ADAPTER.encode(call, call.target, KEY)


def text_of(request: UpstreamRequest) -> str:
    body = request.body

    async def read(payload: Payload) -> bytes:
        return b"".join([block async for block in payload.blocks()])

    assert not isinstance(body, bytes)
    return trio.run(read, body).decode("latin-1")


def test_a_transcript_is_asked_for() -> None:
    request = transcript(
        Field("language", b"de"),
        Field("timestamp_granularities[]", b"word"),
        Field("temperature", b"0"),
        Field("diarize", b"true"),
        Field("response_format", b"verbose_json"),
    )

    text = text_of(request)
    assert request.target == b"/v1/speech-to-text"
    assert dict(request.headers)[b"content-type"] == b"multipart/form-data; boundary=xyz"
    for name, value in [
        ("model_id", "scribe_v1"),
        ("language_code", "de"),
        ("timestamps_granularity", "word"),
        ("temperature", "0"),
        ("diarize", "true"),
    ]:
        assert f'name="{name}"\r\n\r\n{value}\r\n' in text
    assert 'name="file"; filename="a.mp3"' in text
    assert "response_format" not in text
    assert 'name="model"' not in text
    assert request.dropped_params == ()


def test_what_a_transcript_loses() -> None:
    lost = (Field("prompt", b"names"), Field("timestamp_granularities[]", b"segment"))

    assert transcript(*lost).dropped_params == ("prompt", "timestamp_granularities[]")
    with pytest.raises(BadRequest, match="elevenlabs does not take"):
        transcript(*lost, strict=True)
    with pytest.raises(BadRequest, match="response_format must be"):
        transcript(Field("response_format", b"srt"))


def test_a_transcript_is_told() -> None:
    words = [
        {"text": "Hi", "start": 0.1, "end": 0.4, "type": "word", "speaker_id": "s0"},
        {"text": " ", "start": 0.4, "end": 0.5, "type": "spacing"},
        {"text": "you", "start": 0.5, "end": 0.9, "type": "word"},
    ]
    body = {"language_code": "eng", "language_probability": 0.9, "text": "Hi you", "words": words}

    plain = ADAPTER.decode_plain(
        json.dumps(body).encode(), facts(Operation.TRANSCRIPTION, send_extra_fields=False)
    )

    told = json.loads(plain.body)
    openai.types.audio.TranscriptionVerbose.model_validate(told)
    assert told == {
        "text": "Hi you",
        "language": "eng",
        "duration": 0.9,
        "words": [
            {"word": "Hi", "start": 0.1, "end": 0.4, "speaker": "s0"},
            {"word": "you", "start": 0.5, "end": 0.9},
        ],
    }
    bare = ADAPTER.decode_plain(b'{"text": "Hi"}', facts(Operation.TRANSCRIPTION))
    assert json.loads(bare.body)["text"] == "Hi"


def test_what_is_no_transcript() -> None:
    refused = ADAPTER.decode_plain(b'{"detail": {"message": "no"}}', facts(Operation.TRANSCRIPTION))
    odd = ADAPTER.decode_plain(b"{}", facts(Operation.TRANSCRIPTION))

    assert refused.error is not None
    assert odd.error is not None
    assert (refused.error.message, odd.error.message) == ("no", "the answer has no text")
    with pytest.raises(UpstreamError):
        ADAPTER.decode_plain(b"[]", facts(Operation.TRANSCRIPTION))


@pytest.mark.parametrize(
    ("status", "body", "message", "error_class"),
    [
        (401, {"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}, "Invalid API key", ErrorClass.AUTH),
        (422, {"detail": [{"loc": ["body", "text"], "msg": "field required", "type": "x"}]}, "field required [body.text]", ErrorClass.CLIENT),
        (429, {"detail": {"message": "busy"}}, "busy", ErrorClass.RATE_LIMIT),
    ],
)  # fmt: skip
def test_refusals(status: int, body: Any, message: str, error_class: ErrorClass) -> None:
    error = ADAPTER.decode_error(status, (), json.dumps(body).encode(), KEY)

    assert (error.message, error.status, error.error_class) == (message, status, error_class)


def test_models() -> None:
    body = b'[{"model_id": "eleven_v3", "name": "Eleven v3"}, {"name": "x"}, 5]'

    assert ADAPTER.decode_models(body) == (
        {"model_id": "eleven_v3", "name": "Eleven v3", "id": "eleven_v3"},
    )
    for bad in (b"{", b"{}"):
        with pytest.raises(UpstreamError):
            ADAPTER.decode_models(bad)
    request = ADAPTER.encode(
        Call(id="1", operation=Operation.LIST_MODELS, stream=False, target=Target("e", "")),
        Target("e", ""),
        KEY,
    )
    assert (request.method, request.target) == (b"GET", b"/v1/models")
