"""Streams of predictions: texts as chats and completions, pictures as OpenAI's events."""

from __future__ import annotations

import json
from typing import Any

import attrs
import openai.types.chat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost.codecs.sse import SSEDecoder, unframed
from bifrost.config.secret import Secret
from bifrost.config.settings import ProviderSettings
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.replicate_stream import as_stream
from bifrost.errors import ErrorClass, GatewayError
from bifrost.providers.table import build_adapter
from bifrost.record import Usage
from bifrost.schema.call import Dialect, Operation

ADAPTER = build_adapter(ProviderSettings(name="replicate"))

CHAT = AnswerFacts(
    request_type="chat_completion_stream",
    provider="replicate",
    model_requested="meta/llama",
    sent_s=1.0,
    sent_unix_s=7.5,
    key=Secret("r8-secret"),
)
TEXT = attrs.evolve(CHAT, operation=Operation.TEXT, request_type="text_completion_stream")
IMAGE = attrs.evolve(CHAT, operation=Operation.IMAGE, request_type="image_generation_stream")
EDIT = attrs.evolve(CHAT, operation=Operation.IMAGE_EDIT, request_type="image_edit_stream")


def event(name: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {name}\nid: 1690212292:0\n{lines}\n".encode()


LOGS = event("logs", "Input token count: 3\nOutput token count: 4\n")
DONE = event("done", "{}")
HELLO = b"".join(
    (
        b": hi\n\n",
        event("output", "Hel"),
        event("output", ""),
        LOGS,
        event("output", "lo\n\nyou"),
        DONE,
    )
)


@attrs.frozen
class End:
    data: bytes
    events: int
    is_done: bool
    error: tuple[str, int, ErrorClass] | None
    usage: Usage | None

    @property
    def told(self) -> list[Any]:
        return [json.loads(data) for data in unframed(self.data)]


def read(stream: bytes, facts: AnswerFacts, at: tuple[int, ...] = ()) -> End:
    decoder = ADAPTER.stream_decoder(facts)
    pieces = [stream[a:b] for a, b in zip((0, *at), (*at, len(stream)), strict=True)]
    data, events = b"", 0
    for piece in [*filter(None, pieces), None]:
        progress = decoder.close(2.0) if piece is None else decoder.feed(piece, 2.0)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error is not None:
            return End(data, events, progress.done, _error(progress.error), decoder.usage)
    raise AssertionError("a stream has an end")


def _error(error: GatewayError | None) -> tuple[str, int, ErrorClass] | None:
    return None if error is None else (error.message, error.status, error.error_class)


def test_a_chat() -> None:
    end = read(HELLO, CHAT)

    for chunk in end.told:
        openai.types.chat.ChatCompletionChunk.model_validate(chunk)
    assert (
        "".join(c["choices"][0]["delta"].get("content") or "" for c in end.told) == "Hello\n\nyou"
    )
    assert end.told[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [c["choices"][0]["finish_reason"] for c in end.told] == [None, None, "stop", None]
    assert len({chunk["id"] for chunk in end.told}) == 1
    assert end.told[0]["id"]
    assert end.told[-1]["usage"]["total_tokens"] == 7
    assert end.usage == Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7)
    assert end.is_done
    assert end.data.endswith(b"data: [DONE]\n\n")


def test_a_completion() -> None:
    end = read(HELLO, TEXT)

    # OpenAI's own chunks have no finish reason before the last either, whatever its SDK's types say.
    assert {chunk["object"] for chunk in end.told} == {"text_completion"}
    assert "".join(chunk["choices"][0]["text"] for chunk in end.told) == "Hello\n\nyou"
    assert [c["choices"][0]["finish_reason"] for c in end.told] == [None, None, "stop", None]
    assert end.told[-1]["usage"]["total_tokens"] == 7
    assert end.data.endswith(b"data: [DONE]\n\n")


def test_responses_and_messages_are_told_too() -> None:
    facts = attrs.evolve(CHAT, operation=Operation.RESPONSES)
    assert read(HELLO, facts).told[-1]["type"] == "response.completed"
    facts = attrs.evolve(CHAT, dialect=Dialect.ANTHROPIC)
    assert read(HELLO, facts).told[-1]["type"] == "message_stop"


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (event("output", "a"), ("ended before its end marker", 502, ErrorClass.NETWORK)),
        (b"", ("ended before its end marker", 502, ErrorClass.NETWORK)),
        (b":408: 408 Request Timeout\n\n", ("before its end marker", 502, ErrorClass.NETWORK)),
        (
            event("error", '{"detail": "r8-secret broke"}') + DONE,
            (" broke", 502, ErrorClass.SERVER),
        ),
        (event("error", "broke") + DONE, ("broke", 502, ErrorClass.SERVER)),
        (event("done", '{"reason": "error"}'), ("the prediction failed", 502, ErrorClass.SERVER)),
        (b'{"detail": "gone", "status": 404}', ("gone", 404, ErrorClass.NOT_FOUND)),
        (as_stream(b'{"status": "failed", "error": "broke"}'), ("broke", 502, ErrorClass.SERVER)),
        (as_stream(b"[]"), ("failed to unmarshal", 502, ErrorClass.SERVER)),
        (as_stream(b'{"detail":\n"no", "status": 422}'), ("no", 422, ErrorClass.CLIENT)),
    ],
)
@pytest.mark.parametrize("facts", [CHAT, TEXT, IMAGE], ids=["chat", "text", "image"])
def test_what_is_no_good_end(
    stream: bytes, error: tuple[str, int, ErrorClass], facts: AnswerFacts
) -> None:
    end = read(stream, facts)

    assert not end.is_done
    assert end.error is not None
    assert error[0] in end.error[0]
    assert "r8-secret" not in end.error[0]
    assert end.error[1:] == error[1:]
    assert b"[DONE]" not in end.data


def test_one_that_was_canceled_has_stopped() -> None:
    for reason in ('{"reason": "canceled"}', "[]", "{"):
        end = read(event("output", "a") + event("done", reason), CHAT)
        assert end.is_done
        assert end.told[-2]["choices"][0]["finish_reason"] == "stop"


def test_a_whole_prediction_as_a_stream() -> None:
    body = b'{"id": "p1", "status": "succeeded",\n "output": ["Hel", "lo"], "metrics": {"input_token_count": 1, "output_token_count": 2}}'

    end = read(as_stream(body), CHAT)

    assert end.told[0]["id"] == "p1"
    assert end.told[0]["choices"][0]["delta"]["content"] == "Hello"
    assert end.usage == Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    assert end.is_done


@pytest.mark.parametrize(
    ("facts", "kind"), [(IMAGE, "image_generation.completed"), (EDIT, "image_edit.completed")]
)
def test_pictures(facts: AnswerFacts, kind: str) -> None:
    stream = b"".join(
        (
            LOGS,
            event("output", "https://x/a.png"),
            event("output", "data:image/png;base64,aGk="),
            DONE,
        )
    )

    end = read(stream, facts)

    plain = [{n: v for n, v in told.items() if n != "extra_fields"} for told in end.told]
    assert plain == [
        {"type": kind, "created_at": 7, "url": "https://x/a.png"},
        {"type": kind, "created_at": 7, "b64_json": "aGk="},
    ]
    assert [told["extra_fields"]["chunk_index"] for told in end.told] == [0, 1]
    assert [found.event for found in SSEDecoder().feed(end.data)] == [kind, kind]
    assert (end.events, end.is_done) == (2, True)
    assert b"[DONE]" not in end.data
    bare = read(stream, attrs.evolve(facts, send_extra_fields=False))
    assert bare.told == plain


def test_pictures_of_a_whole_prediction() -> None:
    end = read(as_stream(b'{"status": "succeeded", "output": ["https://x/", "https://y/"]}'), IMAGE)

    assert [told["url"] for told in end.told] == ["https://x/", "https://y/"]
    assert end.is_done
    for none in (DONE, as_stream(b'{"status": "succeeded", "output": []}')):
        assert read(none, IMAGE).error == (
            "empty response received from provider",
            502,
            ErrorClass.SERVER,
        )


@given(st.data())
@settings(max_examples=60)
def test_any_split_gives_the_same(data: st.DataObject) -> None:
    ends = st.sampled_from([DONE, event("error", '{"detail": "no"}'), b"", b"\n"])
    outputs = data.draw(
        st.lists(st.sampled_from([event("output", "ü"), LOGS, event("x", "y")]), max_size=5)
    )
    stream = b"".join(outputs) + data.draw(ends)
    facts = data.draw(st.sampled_from([CHAT, TEXT, IMAGE, EDIT]))
    at = tuple(sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8))))

    assert read(stream, facts, at) == read(stream, facts)
