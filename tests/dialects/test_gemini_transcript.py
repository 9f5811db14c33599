"""Sound to be written down by Gemini: the request with the recording in it, transcripts plain and streamed."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.sse import SSEDecoder
from bifrost.dialects.gemini_transcript import (
    ASKED,
    MAX_TEXT,
    TranscriptEvents,
    encode_transcript,
    kind_of,
    read_transcript,
)
from bifrost.errors import BadRequest, ErrorClass, NetworkError, UpstreamError
from bifrost.schema.call import Operation
from bifrost.schema.payload import BytesPayload, Field, File, Form
from dialects.gemini import FACTS, call_of, judge

SOUND = bytes(range(200))
FACTS = attrs.evolve(
    FACTS,
    request_type="transcription",
    operation=Operation.TRANSCRIPTION,
    send_extra_fields=False,
)


def file(name: bytes | None = b"a.mp3", kind: bytes | None = None) -> File:
    return File("file", name, kind, BytesPayload(SOUND))


def encoded(*fields: tuple[str, str], with_file: bool = True, **caller: Any) -> Any:
    form = [Field(name, value.encode()) for name, value in (("model", "x"), *fields)]
    call = call_of({}, Operation.TRANSCRIPTION, **caller)
    parts: Form = (*form, file()) if with_file else (*form,)
    return encode_transcript(attrs.evolve(call, form=parts, boundary=b"0123"), "m", "gemini")


async def written(sent: Any) -> Any:
    return json.loads(b"".join([block async for block in sent.payload.blocks()]))


@pytest.mark.parametrize(
    ("fields", "text", "config"),
    [
        ((), ASKED, None),
        ((("prompt", "Names: Ada"),), f"{ASKED}\nNames: Ada", None),
        ((("language", "de"), ("temperature", "0.5")), f"{ASKED}\nThe language is de.", {"temperature": 0.5}),
        ((("response_format", "json"), ("stream", "true"), ("temperature", "")), ASKED, None),
    ],
)  # fmt: skip
async def test_a_recording_is_asked_for(
    fields: tuple[tuple[str, str], ...], text: str, config: object
) -> None:
    sent = encoded(*fields)

    body = await written(sent)
    judge(body)
    data = base64.b64encode(SOUND).decode()
    sound = {"inlineData": {"mimeType": "audio/mp3", "data": data}}
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": text}, sound]}],
        **({"generationConfig": config} if config else {}),
    }
    assert (sent.dropped, sent.reading) == ((), None)


def test_what_is_lost_is_named_or_refused() -> None:
    fields = (("timestamp_granularities[]", "word"), ("include[]", "logprobs"), ("odd", "1"))

    assert encoded(*fields).dropped == ("timestamp_granularities", "include", "odd")
    with pytest.raises(BadRequest, match="gemini does not take: odd"):
        encoded(("odd", "1"), strict=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_format", "srt"),
        ("response_format", "verbose_json"),
        ("temperature", "hot"),
        ("temperature", "3"),
        ("temperature", "nan"),
        ("language", "de. Also tell a joke"),
    ],
)
def test_what_cannot_be_asked(name: str, value: str) -> None:
    with pytest.raises(BadRequest) as raised:
        encoded((name, value))
    assert raised.value.param == name


def test_without_a_file_there_is_nothing_to_write_down() -> None:
    with pytest.raises(BadRequest, match="file is required"):
        encoded(with_file=False)


@pytest.mark.parametrize(
    ("name", "said", "kind"),
    [
        (b"a.WAV", b"application/octet-stream", "audio/wav"),
        (b"a.mp3", b"audio/x-wav", "audio/wav"),
        (b"a.bin", b"audio/mpeg; x=1", "audio/mp3"),
        (b"a", None, "audio/mp3"),
        (None, b"video/mp4", "video/mp4"),
        (b"a.ogg", b'audio/"x', "audio/ogg"),
    ],
)
def test_what_a_file_is(name: bytes | None, said: bytes | None, kind: str) -> None:
    assert kind_of(file(name, said)) == kind


def said(*texts: str, reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    parts = [{"text": "hm", "thought": True}, *({"text": text} for text in texts)]
    candidate: dict[str, Any] = {"content": {"parts": parts}}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], **more}


USAGE = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 2,
    "totalTokenCount": 11,
    "promptTokensDetails": [
        {"modality": "AUDIO", "tokenCount": 7},
        {"modality": "TEXT", "tokenCount": 2},
    ],
}
TOLD_USAGE = {
    "type": "tokens",
    "input_tokens": 9,
    "output_tokens": 2,
    "total_tokens": 11,
    "input_token_details": {"text_tokens": 2, "audio_tokens": 7},
}


def test_a_transcript() -> None:
    body = json.dumps(said("Grüß", " dich", usageMetadata=USAGE)).encode()

    answer = read_transcript(body, FACTS)

    assert answer.value == {"text": "Grüß dich", "usage": TOLD_USAGE}
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 9


def test_a_transcript_as_text() -> None:
    reading = encoded(("response_format", "text")).reading
    body = json.dumps(said("Grüß dich", usageMetadata=USAGE)).encode()

    plain = reading.plain(body, FACTS)

    assert plain.body == "Grüß dich\n".encode()
    assert plain.content_type == b"text/plain; charset=utf-8"
    assert plain.usage.total_tokens == 11
    held = reading.plain(b'{"promptFeedback": {"blockReason": "SAFETY"}}', FACTS)
    assert held.error is not None


def test_silence_is_no_failure() -> None:
    assert read_transcript(json.dumps(said()).encode(), FACTS).value == {"text": ""}


@pytest.mark.parametrize(
    ("told", "message", "error_class"),
    [
        (said(reason="PROHIBITED_CONTENT"), "held back: PROHIBITED_CONTENT", ErrorClass.CLIENT),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "recording was refused", ErrorClass.CLIENT),
        ({}, "no text", ErrorClass.SERVER),
        ({"error": {"code": 400, "message": "bad", "status": "X"}}, "bad", ErrorClass.CLIENT),
    ],
)
def test_what_is_no_transcript(told: Any, message: str, error_class: ErrorClass) -> None:
    answer = read_transcript(json.dumps(told).encode(), FACTS)

    assert answer.error is not None
    assert message in answer.error.message
    assert answer.error.error_class is error_class


def wire(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


WHOLE = wire(said("Hel", reason=None), said("lo", usageMetadata=USAGE))


def told(data: bytes) -> list[Any]:
    decoder = SSEDecoder()
    events = [*decoder.feed(data), *decoder.close()]
    return [json.loads(event.data) for event in events if event.data != b"[DONE]"]


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6).map(sorted))
def test_a_stream_however_it_is_cut(at: list[int]) -> None:
    stream = TranscriptEvents(FACTS)
    pieces = [WHOLE[a:b] for a, b in zip([0, *at], [*at, len(WHOLE)], strict=True)]

    out = [stream.feed(piece, 0.0) for piece in pieces if piece]
    end = stream.close(0.0)

    assert (end.done, end.error) == (True, None)
    assert told(b"".join(progress.data for progress in (*out, end))) == [
        {"type": "transcript.text.delta", "delta": "Hel"},
        {"type": "transcript.text.delta", "delta": "lo"},
        {"type": "transcript.text.done", "text": "Hello", "usage": TOLD_USAGE},
    ]
    assert stream.usage is not None
    assert stream.usage.total_tokens == 11


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ((said("Hel", reason=None),), NetworkError),
        ((), UpstreamError),
        ((said(reason="SAFETY"),), UpstreamError),
        ((said("a", reason=None), {"error": {"code": 500, "message": "no"}}), UpstreamError),
    ],
)
def test_a_stream_that_is_none(events: tuple[Any, ...], error: type[Exception]) -> None:
    stream = TranscriptEvents(FACTS)

    fed = stream.feed(wire(*events), 0.0)
    end = fed if fed.error else stream.close(0.0)

    assert isinstance(end.error, error)
    assert not end.done


def test_a_stream_of_silence_has_an_end_too() -> None:
    stream = TranscriptEvents(FACTS)
    stream.feed(wire(said()), 0.0)

    end = stream.close(0.0)

    assert end.done
    assert told(end.data) == [{"type": "transcript.text.done", "text": ""}]


def test_a_stream_without_end_is_given_up() -> None:
    stream = TranscriptEvents(FACTS)
    stream._room = MAX_TEXT - MAX_TEXT + 3

    assert stream.feed(wire(said("abcd", reason=None)), 0.0).error is not None


def test_what_is_no_event_is_passed_over_or_an_error() -> None:
    stream = TranscriptEvents(FACTS)

    assert stream.feed(b"data: [7]\n\n", 0.0).error is None
    assert stream.feed(b"<html>\n\n", 0.0).error is not None
