"""Mistral's streamed transcripts, told as OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.audio import TranscriptionStreamEvent
from pydantic import TypeAdapter

from bifrost.config.settings import ProviderSettings
from bifrost.dialects.base import AnswerFacts, Progress
from bifrost.dialects.mistral_transcript import MistralTranscript
from bifrost.providers.table import build_adapter
from bifrost.record import MediaUsage, Usage
from bifrost.schema.call import Operation

EVENTS: TypeAdapter[Any] = TypeAdapter(TranscriptionStreamEvent)

FACTS = AnswerFacts(
    request_type="transcription_stream",
    provider="mistral",
    model_requested="voxtral",
    sent_s=1.0,
    operation=Operation.TRANSCRIPTION,
    send_extra_fields=False,
)


def frame(**value: Any) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


DONE = frame(
    type="transcription.done",
    model="voxtral",
    text="Hi you",
    language=None,
    usage={
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 7,
        "prompt_audio_seconds": 3,
    },
)
STREAM = b"".join([
    frame(type="transcription.language", audio_language="en"),
    frame(type="transcription.text.delta", text="Hi"),
    frame(type="transcription.text.delta", text=" you"),
    frame(type="transcription.segment", text="Hi you", start=0.0, end=1.5, speaker_id=None),
    DONE,
])  # fmt: skip


def read(pieces: list[bytes]) -> tuple[bytes, Progress, Usage | None]:
    decoder = build_adapter(ProviderSettings(name="mistral")).stream_decoder(FACTS)
    assert isinstance(decoder, MistralTranscript)
    data = b""
    for piece in [*pieces, None]:
        progress = decoder.close(1.5) if piece is None else decoder.feed(piece, 1.5)
        data += progress.data
        if progress.done or progress.error is not None:
            return data, progress, decoder.usage
    raise AssertionError("a stream has an end")


def test_events_are_openais() -> None:
    data, progress, usage = read([STREAM])

    assert progress.done
    assert data.endswith(b"data: [DONE]\n\n")
    values = [json.loads(line[6:]) for line in data.split(b"\n\n")[:-2]]
    assert values[0] == {"type": "transcript.text.delta", "delta": "Hi"}
    assert values[2] == {
        "type": "transcript.text.segment",
        "id": "seg_0",
        "text": "Hi you",
        "start": 0.0,
        "end": 1.5,
        "speaker": "",
    }
    assert (values[3]["type"], values[3]["text"]) == ("transcript.text.done", "Hi you")
    assert values[3]["language"] == "en"
    for value in values[:3]:
        EVENTS.validate_python(value)
    assert usage == Usage(
        prompt_tokens=5,
        completion_tokens=2,
        total_tokens=7,
        media=MediaUsage(audio_ms=3000),
    )


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_split_gives_the_same(at: list[int]) -> None:
    at = sorted(at)
    pieces = [STREAM[a:b] for a, b in zip([0, *at], [*at, len(STREAM)], strict=True)]

    assert read([piece for piece in pieces if piece])[::2] == read([STREAM])[::2]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (STREAM.removesuffix(DONE), "ended before its end marker"),
        (b'data: {"object":"error","message":"no"}\n\n', "no"),
        (b"", "empty response"),
        (b"data: [1]\n\n", "empty response"),
    ],
)
def test_streams_that_fail(sent: bytes, text: str) -> None:
    _, progress, _ = read([sent] if sent else [])

    assert progress.error is not None
    assert text in progress.error.message
