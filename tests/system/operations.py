"""Every operation that has a model, as the OpenAI SDK for Python asks for it: the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs

from system.answers import (
    completion,
    embedding,
    named,
    picture_events,
    pictures,
    response,
    response_events,
    transcript_events,
)
from system.upstream import Behaviour, plain, status, stream, stream_chunks

if TYPE_CHECKING:
    import openai

__all__ = ["OPERATIONS", "SOUND", "STREAMS", "Asked", "streamed"]

SOUND = bytes(range(256)) * 300
FILE = ("a.mp3", SOUND, "audio/mpeg")
PICTURE = ("a.png", b"\x89PNG", "image/png")
ASK: Any = [{"role": "user", "content": "Say hello"}]


@attrs.frozen(kw_only=True)
class Asked:
    """One operation. ``good`` is a sound answer of the upstream, which the SDK reads as ``expected``."""

    name: str
    path: str
    ask: Callable[..., Any]
    """Takes a client, and the model and what more there is by name."""
    read: Callable[[Any], object]
    good: Callable[[], Behaviour]
    expected: object
    events: tuple[dict[str, Any], ...] = ()
    """Of its stream, if it has one."""
    provider: str = "frail"
    has_names: bool = False
    """Whether its events have names of their own, and no ``[DONE]`` comes behind them."""


def _text(client: openai.OpenAI, **more: Any) -> Any:
    return client.completions.create(prompt="Say", **more)


def _response_text(answer: Any) -> object:
    return answer.output_text


def _picture(answer: Any) -> object:
    return answer.data[0].b64_json


def _completed() -> tuple[dict[str, Any], ...]:
    """As OpenAI streams it: what it has used in a chunk of its own, without choices."""
    words = (("Hel", None), ("lo", "stop"))
    chunks = ({**completion(*word), "usage": None} for word in words)
    return (*chunks, {**completion(), "choices": []})


def _plain(answer: dict[str, Any]) -> Callable[[], Behaviour]:
    return lambda: plain(answer)


OPERATIONS: tuple[Asked, ...] = (
    Asked(
        name="chat",
        path="/v1/chat/completions",
        ask=lambda client, **more: client.chat.completions.create(messages=ASK, **more),
        read=lambda answer: answer.choices[0].message.content,
        good=plain,
        expected="Hello",
        events=tuple(stream_chunks()),
    ),
    Asked(
        name="text",
        path="/v1/completions",
        ask=_text,
        read=lambda answer: answer.choices[0].text,
        good=_plain(completion()),
        expected="Hello",
        events=_completed(),
    ),
    Asked(
        name="responses",
        path="/v1/responses",
        ask=lambda client, **more: client.responses.create(input="Hi", **more),
        read=_response_text,
        good=_plain(response()),
        expected="Hello",
        events=tuple(response_events()),
        has_names=True,
    ),
    Asked(
        name="bridged",
        path="/v1/chat/completions",
        provider="groq",
        ask=lambda client, **more: client.responses.create(input="Hi", **more),
        read=_response_text,
        good=plain,
        expected="Hello",
        events=tuple(stream_chunks()),
    ),
    Asked(
        name="embedding",
        path="/v1/embeddings",
        ask=lambda client, **more: client.embeddings.create(input="x", **more),
        read=lambda answer: answer.data[0].embedding,
        good=_plain(embedding("AACAPwAAAEA=")),
        expected=[1.0, 2.0],
    ),
    Asked(
        name="moderation",
        path="/v1/moderations",
        ask=lambda client, **more: client.moderations.create(input="x", **more),
        read=lambda answer: answer.id,
        good=_plain({"id": "modr-1", "model": "m", "results": []}),
        expected="modr-1",
    ),
    Asked(
        name="speech",
        path="/v1/audio/speech",
        ask=lambda client, **more: client.audio.speech.create(voice="alloy", input="Hi", **more),
        read=lambda answer: answer.read(),
        good=lambda: status(200, SOUND, {"content-type": "audio/mpeg"}),
        expected=SOUND,
    ),
    Asked(
        name="transcription",
        path="/v1/audio/transcriptions",
        ask=lambda client, **more: client.audio.transcriptions.create(file=FILE, **more),
        read=lambda answer: answer.text,
        good=_plain({"text": "Hello"}),
        expected="Hello",
        events=tuple(transcript_events()),
    ),
    Asked(
        name="translation",
        path="/v1/audio/translations",
        ask=lambda client, **more: client.audio.translations.create(file=FILE, **more),
        read=lambda answer: answer.text,
        good=_plain({"text": "Hello"}),
        expected="Hello",
    ),
    Asked(
        name="image",
        path="/v1/images/generations",
        ask=lambda client, **more: client.images.generate(prompt="a cat", **more),
        read=_picture,
        good=_plain(pictures()),
        expected="aGk=",
        events=tuple(picture_events()),
        has_names=True,
    ),
    Asked(
        name="image-edit",
        path="/v1/images/edits",
        ask=lambda client, **more: client.images.edit(prompt="a hat", image=PICTURE, **more),
        read=_picture,
        good=_plain(pictures()),
        expected="aGk=",
        events=tuple(picture_events("image_edit")),
        has_names=True,
    ),
    Asked(
        name="image-variation",
        path="/v1/images/variations",
        ask=lambda client, **more: client.images.create_variation(image=PICTURE, **more),
        read=_picture,
        good=_plain(pictures()),
        expected="aGk=",
    ),
)

STREAMS = tuple(asked for asked in OPERATIONS if asked.events)
"""Those that stream."""


def streamed(asked: Asked, events: Iterable[dict[str, Any]] | None = None) -> Behaviour:
    """Its stream, whole or as far as ``events``."""
    told = list(asked.events if events is None else events)
    return named(told) if asked.has_names else stream(told)
