"""Cohere's chat answers in OpenAI's words, whole and streamed: what each says, and that both say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import openai.types.chat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost.config.secret import Secret
from bifrost.dialects.base import AnswerFacts, StreamDecoder
from bifrost.dialects.cohere_answer import read_chat_answer
from bifrost.dialects.cohere_native import CohereRelay
from bifrost.dialects.cohere_stream import CohereStream
from bifrost.dialects.tellings import retold_stream
from bifrost.errors import ErrorClass, GatewayError, UpstreamError
from bifrost.record import Usage
from dialects.cohere_wire import block, call, event, message_end, message_start, said, stream

RECORDED = Path(__file__).parent.parent / "recorded" / "cohere"

FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="cohere",
    model_requested="command-a",
    sent_s=1.0,
    sent_unix_s=100.5,
    send_extra_fields=False,
    key=Secret("co-secret-key"),
)

USAGE = {
    "billed_units": {"input_tokens": 4, "output_tokens": 3},
    "tokens": {"input_tokens": 70.0, "output_tokens": 3.0},
    "cached_tokens": 64,
}
TOLD_USAGE = {
    "prompt_tokens": 70,
    "completion_tokens": 3,
    "total_tokens": 73,
    "prompt_tokens_details": {"cached_tokens": 64, "cached_read_tokens": 64},
    "billed_units": {"input_tokens": 4, "output_tokens": 3},
}


def whole(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The chat completion that an answer with ``message`` becomes."""
    value = {
        "id": "msg-1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", **message},
        "usage": USAGE,
        **more,
    }
    answer = read_chat_answer(json.dumps(value).encode(), FACTS)
    assert answer.error is None
    openai.types.chat.ChatCompletion.model_validate(answer.value)
    return answer.value


def said_in(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = whole(message, **more)["choices"][0]["message"]
    return told


def test_a_text() -> None:
    value = whole({"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]})

    assert value == {
        "id": "msg-1",
        "object": "chat.completion",
        "created": 100,
        "model": "command-a",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": TOLD_USAGE,
    }


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"content": "Hello"}, {"content": "Hello"}),
        ({"content": []}, {"content": ""}),
        ({}, {"content": ""}),
        (
            {"content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]},
            {"content": "a", "reasoning": "t", "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "t"}]},
        ),
        (
            {"tool_plan": "p", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"b":1,"a":2}'}}, {"id": "d", "function": {"name": "g"}}]},
            {
                "content": None,
                "reasoning": "p",
                "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "p", "id": "tool_plan"}],
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"b":1,"a":2}'}},
                    {"id": "d", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
        ),
    ],
)  # fmt: skip
def test_messages(message: dict[str, Any], told: dict[str, Any]) -> None:
    assert said_in(message) == {"role": "assistant", "refusal": None, **told}


@pytest.mark.parametrize(
    ("reason", "told"),
    [("COMPLETE", "stop"), ("STOP_SEQUENCE", "stop"), ("MAX_TOKENS", "length"), ("TOOL_CALL", "tool_calls"), (None, "stop")],
)  # fmt: skip
def test_finish_reasons(reason: str | None, told: str) -> None:
    assert whole({"content": "a"}, finish_reason=reason)["choices"][0]["finish_reason"] == told


@pytest.mark.parametrize("reason", ["ERROR", "TIMEOUT", "NEWER"])
def test_other_finish_reasons_are_told_as_they_came(reason: str) -> None:
    value = {"id": "m", "finish_reason": reason, "message": {"content": "a"}}

    answer = read_chat_answer(json.dumps(value).encode(), FACTS)

    assert answer.value["choices"][0]["finish_reason"] == reason
    assert "usage" not in answer.value
    assert answer.usage is None


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"tokens": {"input_tokens": 5, "output_tokens": 2}}, {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}),
        ({"billed_units": {"input_tokens": 5, "output_tokens": 2}}, {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "billed_units": {"input_tokens": 5, "output_tokens": 2}}),
        ({"tokens": {"input_tokens": 5}}, {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}),
        ({"tokens": {"input_tokens": True, "output_tokens": -1}, "billed_units": {"search_units": 1}}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "billed_units": {"search_units": 1}}),
    ],
)  # fmt: skip
def test_usage(usage: dict[str, Any], told: dict[str, Any]) -> None:
    assert whole({"content": "a"}, usage=usage)["usage"] == told


CITATION = {
    "start": 2,
    "end": 4,
    "text": "lo",
    "content_index": 1,
    "sources": [
        {"type": "tool", "id": "", "tool_output": {}},
        {"type": "document", "id": "d1", "document": {"title": "T", "url": "https://x.example/"}},
    ],
    "type": "TEXT_CONTENT",
}


def test_citations_are_annotations_of_the_whole_text() -> None:
    planned = {"start": 0, "end": 1, "text": "p", "sources": [], "type": "PLAN"}
    bare = {"start": 1, "end": 2, "text": "e", "sources": [{"type": "document", "id": "d2"}]}
    content = [{"type": "text", "text": "He"}, {"type": "text", "text": "llolo"}]

    message = said_in({"content": content, "citations": [CITATION, planned, bare]})

    assert message["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"start_index": 4, "end_index": 6, "title": "T", "url": "https://x.example/"},
            "citation": CITATION,
        },
        {
            "type": "url_citation",
            "url_citation": {"start_index": 1, "end_index": 2, "title": "d2", "url": ""},
            "citation": bare,
        },
    ]  # fmt: skip
    assert message["citations"] == [planned]


def test_citations_of_no_sound_place_begin_at_the_first_character() -> None:
    [annotation] = said_in({"content": "a", "citations": [{"content_index": 9, "start": "x"}]})[
        "annotations"
    ]

    assert annotation["url_citation"] == {"start_index": 0, "end_index": 0, "title": "", "url": ""}


def test_logprobs_are_of_a_text_each() -> None:
    logprobs = [
        {"text": "Hé", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]},
        {"text": "x", "token_ids": [3]},
        {"text": "y", "logprobs": ["-1"]},
    ]

    told = whole({"content": "Hé"}, logprobs=logprobs)["choices"][0]["logprobs"]

    assert told == {
        "content": [{"token": "Hé", "logprob": -0.75, "bytes": [72, 195, 169], "top_logprobs": []}],
        "refusal": None,
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "empty response"),
        (b"[]", "failed to unmarshal"),
        (b"{", "failed to unmarshal"),
        (b"<html>", "HTML response"),
    ],
)
def test_what_is_no_answer(body: bytes, text: str) -> None:
    with pytest.raises(UpstreamError, match=text):
        read_chat_answer(body, FACTS)


@pytest.mark.parametrize(
    ("body", "text"),
    [({"message": None, "detail": "no"}, "no"), ({"id": "x"}, "the answer has no message")],
)
def test_a_refusal_inside_a_200(body: dict[str, Any], text: str) -> None:
    answer = read_chat_answer(json.dumps(body).encode(), FACTS)

    assert answer.error is not None
    assert answer.error.message == text


# Streams


@attrs.frozen
class End:
    """All that a stream came to."""

    data: bytes
    events: int
    is_done: bool
    error: tuple[str, int] | None
    usage: Usage | None


def read(pieces: list[bytes], decoder: StreamDecoder) -> End:
    data, events = b"", 0
    for piece in [*pieces, None]:
        progress = decoder.close(1.5) if piece is None else decoder.feed(piece, 1.5)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error is not None:
            error = progress.error
            told = None if error is None else (error.message, error.status)
            return End(data, events, progress.done, told, decoder.usage)
    raise AssertionError("a stream has an end")


def translating() -> StreamDecoder:
    return retold_stream(FACTS, CohereStream.of)


def chunks(data: bytes) -> list[dict[str, Any]]:
    lines = [line[6:] for line in data.split(b"\n\n") if line]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def gathered(data: bytes) -> dict[str, Any]:
    """The message that the deltas come to, and what ends it."""
    message: dict[str, Any] = {}
    texts = {"content": "", "reasoning": ""}
    calls: dict[int, dict[str, Any]] = {}
    details: dict[int, dict[str, Any]] = {}
    end: dict[str, Any] = {}
    for chunk in chunks(data):
        openai.types.chat.ChatCompletionChunk.model_validate(chunk)
        [choice] = chunk["choices"]
        delta = choice["delta"]
        for name in texts:
            texts[name] += delta.get(name) or ""
        message.setdefault("annotations", []).extend(delta.get("annotations", []))
        for part in delta.get("tool_calls", []):
            known = calls.setdefault(part["index"], part | {"function": {"arguments": ""}})
            arguments = known["function"]["arguments"] + part["function"]["arguments"]
            known["function"] |= {**part["function"], "arguments": arguments}
        for part in delta.get("reasoning_details", []):
            one = details.setdefault(part["index"], {**part, "text": ""})
            one["text"] += part["text"]
        end["finish_reason"] = choice["finish_reason"] or end.get("finish_reason")
        end["usage"] = chunk.get("usage") or end.get("usage")
    message |= texts | {"tool_calls": [calls[n] for n in sorted(calls)]}
    return {**message, "reasoning_details": [details[n] for n in sorted(details)], **end}


EVERYTHING = stream(
    block(0, "thinking", "let ", "me"),
    block(1, "text", "He", "llo"),
    said("citation-start", 0, citations={**CITATION, "start": 0, "end": 2}),
    event("citation-end", index=0),
    said("tool-plan-delta", tool_plan="I will "),
    said("tool-plan-delta", tool_plan="look"),
    call(0, "c1", "f", '{"b":', "1}"),
    call(1, "c2", "g"),
    event("debug", prompt="x"),
    event("something-new"),
    reason="TOOL_CALL",
)


def test_deltas_come_to_the_whole_answer() -> None:
    end = read([EVERYTHING], translating())

    told = gathered(end.data)

    assert end.is_done
    assert end.data.endswith(b"data: [DONE]\n\n")
    assert end.usage == Usage(
        prompt_tokens=70, completion_tokens=3, total_tokens=73, cached_read_tokens=64
    )
    message = said_in(
        {
            "content": [{"type": "thinking", "thinking": "let me"}, {"type": "text", "text": "Hello"}],
            "tool_plan": "I will look",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"b":1}'}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
            "citations": [{**CITATION, "start": 0, "end": 2}],
        }
    )  # fmt: skip
    assert (told["content"], told["reasoning"]) == (message["content"], message["reasoning"])
    assert told["reasoning_details"] == message["reasoning_details"]
    assert told["annotations"] == message["annotations"]
    assert [{k: v for k, v in c.items() if k != "index"} for c in told["tool_calls"]] == message[
        "tool_calls"
    ]
    assert told["finish_reason"] == "tool_calls"
    assert told["usage"] == TOLD_USAGE


def test_the_first_delta_has_the_role_and_all_have_the_head() -> None:
    told = chunks(read([stream(block(0, "text", "a"))], translating()).data)

    assert told[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    for chunk in told:
        assert (chunk["id"], chunk["model"], chunk["created"]) == ("msg-1", "command-a", 100)


def test_logprobs_come_with_their_text() -> None:
    item = {"text": "a", "token_ids": [1], "logprobs": [-0.5]}
    delta = {"message": {"content": {"text": "a"}}}

    told = chunks(
        read(
            [stream(event("content-delta", index=0, delta=delta, logprobs=item))], translating()
        ).data
    )

    assert told[1]["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.5


def test_arguments_that_were_never_closed_are_json_all_the_same() -> None:
    function = {"name": "f", "arguments": ""}
    begun = said(
        "tool-call-start", tool_calls={"id": "c", "type": "function", "function": function}
    )

    told = gathered(read([stream(begun, reason="TOOL_CALL")], translating()).data)

    assert told["tool_calls"][0]["function"]["arguments"] == "{}"


def test_events_without_names_are_known_by_their_types() -> None:
    bare = b"\n\n".join(line for line in EVERYTHING.replace(b"event: ", b": ").split(b"\n\n"))

    assert read([bare], translating()) == read([EVERYTHING], translating())
    assert read([bare], CohereRelay(FACTS)).is_done


FAILURES = [
    (message_start() + block(0, "text", "a"), "Error reading stream: the stream ended before its end marker", 502),
    (b"", "Error reading stream: the stream ended before its end marker", 502),
    (message_start() + message_end("ERROR", error="co-secret-key is tired"), None, 502),
    (message_start() + b'event: error\ndata: {"message":"too many requests"}\n\n', "too many requests", 429),
    (message_start() + b'{"message":"broken"}\n\n', "broken", 502),
    (message_start() + b"event: error\ndata: oh\n\n", "oh", 502),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "text", "status"), FAILURES)
def test_streams_that_fail(sent: bytes, text: str | None, status: int) -> None:
    for decoder in (translating(), CohereRelay(FACTS)):
        end = read([sent], decoder)

        assert not end.is_done
        assert b"[DONE]" not in end.data
        assert end.error is not None
        if isinstance(decoder, CohereRelay) and not sent:
            assert end.error == ("empty response received from provider", 502)
            continue
        assert end.error[1] == status
        assert text is None or end.error[0] == text
        assert "co-secret-key" not in end.error[0]


def test_a_failure_after_much_was_said_counts_what_was_used() -> None:
    decoder = translating()

    read([message_start() + message_end("ERROR", error="tired")], decoder)

    assert decoder.usage is not None
    assert decoder.usage.prompt_tokens == 70


def test_what_cannot_be_read_is_passed_over() -> None:
    odd = b"".join([
        b"data: {\n\n", b"data: 1\n\n", b'data: {"type": "content-delta"}\n\n', b"data: \n\n",
        event("content-delta", index="x", delta={"message": {"content": 5}}),
        event("tool-call-delta", delta={"message": {"tool_calls": {"function": {"arguments": ""}}}}),
        event("citation-start", delta={"message": {}}),
        said("tool-plan-delta", tool_plan=""),
    ])  # fmt: skip

    assert read([stream(odd)], translating()) == read([stream()], translating())


# Laws

PARTS = st.lists(
    st.one_of(
        st.text(max_size=5).map(lambda t: ("text", t)),
        st.text(max_size=5).map(lambda t: ("thinking", t)),
    ),
    max_size=5,
)


@given(PARTS, st.data())
@settings(max_examples=60)
def test_any_split_gives_the_same(parts: list[tuple[str, str]], data: st.DataObject) -> None:
    sent = stream(*(block(n, *part) for n, part in enumerate(parts)), call(0, "c", "f", "{}"))
    at = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))
    pieces = [sent[a:b] for a, b in zip([0, *at], [*at, len(sent)], strict=True)]

    for decoder in (translating, lambda: CohereRelay(FACTS)):
        assert read([p for p in pieces if p], decoder()) == read([sent], decoder())


@given(PARTS)
@settings(max_examples=60)
def test_the_aggregate_is_the_whole(parts: list[tuple[str, str]]) -> None:
    told = gathered(
        read([stream(*(block(n, *p) for n, p in enumerate(parts)))], translating()).data
    )
    message = said_in({"content": [{"type": kind, kind: text} for kind, text in parts]})

    assert told["content"] == message["content"]
    assert told["reasoning"] == message.get("reasoning", "")
    assert told["reasoning_details"] == message.get("reasoning_details", [])


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.sse")), ids=lambda path: path.stem)
def test_recorded_streams_cut_at_every_place(path: Path) -> None:
    sent = path.read_bytes()

    for make in (translating, lambda: CohereRelay(FACTS)):
        end = read([sent], make())
        assert end.is_done
        assert end.usage is not None
        assert read([sent[i : i + 1] for i in range(len(sent))], make()) == end
    told = gathered(read([sent], translating()).data)
    wanted = json.loads(path.with_suffix(".json").read_bytes())
    message = read_chat_answer(json.dumps(wanted).encode(), FACTS).value["choices"][0]["message"]
    assert told["content"] == (message["content"] or "")
    assert told["reasoning"] == message.get("reasoning", "")
    assert len(told["tool_calls"]) == len(message.get("tool_calls", []))


# The relay


def test_a_relayed_stream_is_what_came() -> None:
    end = read([EVERYTHING], CohereRelay(FACTS))

    assert end.data == EVERYTHING
    assert end.events == EVERYTHING.count(b"event: ")
    assert end.usage is not None
    assert end.usage.total_tokens == 73


def test_a_relayed_stream_ends_as_cohere_ends_it() -> None:
    end = read([stream(block(0, "text", "a"), done=False)], CohereRelay(FACTS))

    assert end.data == stream(block(0, "text", "a"))
    assert end.is_done


def test_an_error_is_classified() -> None:
    decoder = CohereRelay(FACTS)

    error: GatewayError | None = decoder.feed(
        b'event: error\ndata: {"message": "invalid api token", "type": "unauthorized"}\n\n', 1.0
    ).error

    assert error is not None
    assert error.error_class is ErrorClass.AUTH
