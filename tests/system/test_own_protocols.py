"""Providers with protocols of their own, asked by OpenAI's SDK through a running gateway."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from system.process import Gateway, running
from system.sdk import in_thread, sdk
from system.upstream import Behaviour, Upstream, plain, raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system

KEY = "own-canary-aaaaaaaaaaaaaaaaaaaaaaaa"
VOICE = "JBFqnCBsd6RMkjVDRZzb"
SPEAK = f"POST /v1/text-to-speech/{VOICE}"
MESSAGES: list[Any] = [{"role": "user", "content": "Say hello"}]


@pytest.fixture
async def gateway(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway whose providers of these kinds are all the scripted upstream."""
    network = {"base_url": upstream.url, "max_retries": 0}
    config = {
        "providers": {
            name: {"keys": [{"name": name, "value": KEY}], "network_config": network}
            for name in ("elevenlabs", "mistral")
        }
    }
    async with running(config, tmp_path) as it:
        yield it
    assert "canary" not in it.text


def sound(data: bytes) -> Behaviour:
    head = b"HTTP/1.1 200 X\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
    half = len(data) // 2
    chunks = (b"%x\r\n%b\r\n" % (len(part), part) for part in (data[:half], data[half:]))
    return raw(head, *chunks, b"0\r\n\r\n", close=False)


async def test_speech_comes_as_sound_and_as_events(gateway: Gateway, upstream: Upstream) -> None:
    data = bytes(range(256)) * 40
    upstream.scripts[SPEAK] = [sound(data)]
    upstream.scripts[f"{SPEAK}/stream"] = [sound(data)]
    asked = {"model": "elevenlabs/eleven_v3", "input": "hi", "voice": VOICE}

    whole = await in_thread(sdk(gateway).audio.speech.create, **asked)
    streamed = await gateway.post({**asked, "stream_format": "sse"}, "/openai/v1/audio/speech")

    assert whole.content == data
    assert whole.response.headers["content-type"] == "audio/mpeg"
    lines = [line[6:] for line in streamed.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    events = [json.loads(line) for line in lines]
    assert events.pop()["type"] == "speech.audio.done"
    assert b"".join(base64.b64decode(event["audio"]) for event in events) == data
    assert upstream.requests[0].header("xi-api-key") == KEY
    assert upstream.requests[0].json == {"text": "hi", "model_id": "eleven_v3"}


async def test_speech_that_is_cut_has_no_end(gateway: Gateway, upstream: Upstream) -> None:
    head = b"HTTP/1.1 200 X\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
    upstream.scripts[f"{SPEAK}/stream"] = [raw(head, b"1388\r\n" + b"x" * 5000 + b"\r\n")]
    asked = {"model": "elevenlabs/m", "input": "hi", "voice": VOICE, "stream_format": "sse"}

    cut = await gateway.post(asked, "/openai/v1/audio/speech")

    assert "speech.audio.done" not in cut.text
    assert "[DONE]" not in cut.text
    assert '"error"' in cut.text


async def test_a_transcript_by_form(gateway: Gateway, upstream: Upstream) -> None:
    words = [{"text": "Hi", "start": 0, "end": 1, "type": "word"}]
    upstream.scripts["POST /v1/speech-to-text"] = [plain({"text": "Hi", "words": words})]

    answer = await in_thread(
        sdk(gateway).audio.transcriptions.create,
        model="elevenlabs/scribe_v1",
        file=("a.mp3", b"\xff\xfb"),
        language="en",
    )

    assert answer.text == "Hi"
    body = upstream.requests[0].body
    assert b'name="model_id"\r\n\r\nscribe_v1\r\n' in body
    assert b'name="language_code"\r\n\r\nen\r\n' in body


async def test_mistrals_transcripts_are_streamed(gateway: Gateway, upstream: Upstream) -> None:
    events = [
        {"type": "transcription.text.delta", "text": "Hi"},
        {"type": "transcription.done", "text": "Hi", "usage": {"total_tokens": 1}},
    ]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    upstream.scripts["voxtral"] = [raw(head % len(body) + body, close=False)]
    create = sdk(gateway).audio.transcriptions.create

    told = await in_thread(
        lambda: [*create(model="mistral/voxtral", file=("a.mp3", b"\xff"), stream=True)]
    )

    assert [event.type for event in told] == ["transcript.text.delta", "transcript.text.done"]
    assert told[-1].text == "Hi"
