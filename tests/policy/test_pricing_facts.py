from __future__ import annotations

import base64
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.policy.pricing_cost import CallFacts
from bifrost.policy.pricing_facts import MEDIA_TOKENS_MAX, call_facts, media_in
from bifrost.schema.call import Call, Operation, Relay, Target
from bifrost.schema.payload import BytesPayload, Field, File

PICTURE = base64.b64encode(bytes(range(256)) * 40).decode()


def call(operation: Operation, members: dict[str, Any] | None = None, **more: Any) -> Call:
    raw = {name: json.dumps(value).encode() for name, value in (members or {}).items()}
    given_: dict[str, Any] = {"id": "1", "stream": False, "target": Target("p", "m")}
    return Call(operation=operation, members=raw, **given_ | more)


def test_a_chats_facts() -> None:
    messages = [{"role": "user", "content": "Hi"}]
    asked = call(
        Operation.CHAT,
        {"messages": messages, "n": 2, "service_tier": "priority", "size": "1x1"},
        max_output_tokens=7,
    )

    assert call_facts(asked) == CallFacts(
        text_bytes=len(json.dumps(messages)) + len('2"priority""1x1"'),
        max_output_tokens=7,
        choices=2,
        service="priority",
    )


@pytest.mark.parametrize(
    ("members", "facts"),
    [
        ({"size": "1024x512", "quality": "low"}, CallFacts(pixels=1024 * 512, quality="low")),
        ({"size": "auto", "quality": "hd", "n": 3}, CallFacts(quality="high", choices=3)),
        ({"size": "0x512", "quality": "standard"}, CallFacts(quality="medium")),
        ({"size": 7, "quality": "x" * 99, "n": -1}, CallFacts()),
        ({"n": None, "service_tier": "default"}, CallFacts()),
        ({"n": "²"}, CallFacts()),
    ],
)
def test_an_images_facts(members: dict[str, Any], facts: CallFacts) -> None:
    found = call_facts(call(Operation.IMAGE, members))

    assert attrs.evolve(found, operation=Operation.CHAT, text_bytes=0) == facts


@pytest.mark.parametrize(
    ("raw", "characters"), [(b'"Gr\\u00fc\xc3\x9fe"', 5), (b"7", 0), (b'"', 0)]
)
def test_characters_to_be_spoken_are_counted(raw: bytes, characters: int) -> None:
    asked = attrs.evolve(call(Operation.SPEECH), members={"input": raw})

    assert call_facts(asked).characters == characters


def test_a_form_is_its_fields_and_its_images() -> None:
    form = (
        Field("prompt", b"a cat"),
        Field("n", b"2"),
        Field("n", b"3"),
        Field("size", b"512x512"),
        File("image", b"a.png", b"image/png", BytesPayload(bytes(10**6))),
    )
    facts = call_facts(call(Operation.IMAGE_EDIT, form=form, body_bytes=10**6))

    assert (facts.text_bytes, facts.media_tokens) == (len("a cat2512x512"), MEDIA_TOKENS_MAX)
    assert (facts.choices, facts.pixels) == (2, 512 * 512)


def test_sound_is_guessed_by_its_bytes() -> None:
    form = (File("file", b"a.mp3", b"audio/mpeg", BytesPayload(bytes(160_000))),)
    facts = call_facts(call(Operation.TRANSCRIPTION, form=form, body_bytes=160_000))

    assert (facts.audio_ms, facts.text_bytes, facts.media_tokens) == (10_000, 0, 0)


def test_a_relayed_body_is_not_looked_into() -> None:
    relay = Relay(method="POST", path="/v1/x")

    assert call_facts(call(Operation.RELAY, relay=relay, body_bytes=40)).text_bytes == 40
    assert call_facts(call(Operation.RELAY, relay=relay, body_bytes=10**8)).text_bytes == 8192


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
        {"type": "input_audio", "input_audio": {"data": PICTURE, "format": "wav"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PICTURE}"}},
        {"type": "image", "source": {"type": "base64", "data": PICTURE}},
        {"image": {"format": "png", "source": {"bytes": PICTURE}}},
    ],
)
def test_media_are_no_text(part: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": [part, {"type": "text", "text": "what?"}, part]}]
    raw = json.dumps(messages)

    assert media_in(raw.encode()) == (2 * len(PICTURE), 2 * MEDIA_TOKENS_MAX)
    facts = call_facts(call(Operation.CHAT, {"messages": messages}))
    assert facts.text_bytes == len(raw) - 2 * len(PICTURE)
    assert facts.media_tokens == 2 * MEDIA_TOKENS_MAX


@pytest.mark.parametrize(
    "text",
    [
        '{"data": "' + "word " * 1000 + '"}',
        '{"text": "base64,' + "say \\n" * 1000 + '"}',
        '{"data": "' + "a" * 500 + '"}',
        '{"data": {"rows": "' + "a" * 500 + '"}}',
        '{"data": "' + "a" * 1500 + " word" * 1000 + '"}',
        '{"data": "' + "a" * 3000 + " word" * 100 + '"}',
        "base64," + "a" * 5000,
        '"data":',
    ],
)  # fmt: skip
def test_text_is_text(text: str) -> None:
    assert media_in(text.encode()) == (0, 0)


def test_a_small_picture_counts_by_its_bytes() -> None:
    assert media_in(b'{"data": "' + b"a" * 2000 + b'"}') == (2000, 500)


@given(
    st.lists(st.sampled_from([b'"data":', b"base64,", b'"', b" ", b"x" * 1024, b"data:", b"\\"]))
)
def test_no_more_is_media_than_there_is(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    size, tokens = media_in(raw)

    assert 0 <= size <= len(raw)
    assert 0 <= tokens <= size // 4
