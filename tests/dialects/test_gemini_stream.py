"""Gemini's streams in OpenAI's words, and relayed to those who speak Gemini's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat._completions import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from bifrost.dialects.gemini_answer import read_chat
from bifrost.dialects.gemini_relay import GeminiRelay
from bifrost.dialects.gemini_stream import read_stream
from bifrost.dialects.tellings import retold_stream
from bifrost.errors import ErrorClass
from bifrost.record import Usage
from bifrost.schema.call import Operation
from dialects.gemini import FACTS, SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.dialects.base import Progress, StreamDecoder

STREAMING = attrs.evolve(FACTS, request_type="chat_completion_stream", send_extra_fields=False)
RECORDED = sorted((Path(__file__).parent.parent / "recorded" / "gemini").glob("*.sse"))
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def event(*parts: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-x", **more}


def body_of(*events: Any, crlf: bool = True) -> bytes:
    end = b"\r\n\r\n" if crlf else b"\n\n"
    return b"".join(b"data: " + json.dumps(item).encode() + end for item in events)


def fed(decoder: StreamDecoder, pieces: list[bytes]) -> Progress:
    """All that came of ``pieces`` and the body's end."""
    data, events = b"", 0
    for piece in [*pieces, None]:
        progress = decoder.close(1.0) if piece is None else decoder.feed(piece, 1.0)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error is not None:
            return attrs.evolve(progress, data=data, events=events)
    raise AssertionError("a stream has an end")


def told(*events: Any) -> tuple[list[Any], Progress, Usage | None]:
    decoder = retold_stream(STREAMING, read_stream)
    progress = fed(decoder, [body_of(*events)])
    lines = progress.data.decode().split("\n\n")
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    return chunks, progress, decoder.usage


def deltas(chunks: list[Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def test_words_then_why_it_ended_then_usage() -> None:
    chunks, progress, usage = told(
        event({"text": "Hel"}), event({"text": "lo"}, reason="STOP", usageMetadata=USAGE)
    )

    assert progress.done
    assert deltas(chunks) == [
        {"role": "assistant", "content": "Hel"}, {"content": "lo"}, {}, {},
    ]  # fmt: skip
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop", None]
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-r1"}
    assert {chunk["model"] for chunk in chunks} == {"gemini-x"}
    assert chunks[-1]["usage"]["total_tokens"] == 5
    assert usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
    assert progress.data.endswith(b"data: [DONE]\n\n")


def test_calls_of_several_events_are_counted_through() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    chunks, _, _ = told(event({**call, "thoughtSignature": SIGNATURE}), event(call, reason="STOP"))

    calls = [call for delta in deltas(chunks) for call in delta.get("tool_calls", [])]
    assert [call["index"] for call in calls] == [0, 1]
    assert calls[0]["id"].partition("_ts_")[2]
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_reason_in_every_event_is_told_once() -> None:
    chunks, progress, _ = told(*(event({"text": word}, reason="STOP") for word in "abc"))

    assert progress.done
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [
        None, None, None, "stop", None,
    ]  # fmt: skip


def test_events_that_say_nothing_are_passed_over_and_late_usage_counts() -> None:
    chunks, progress, usage = told(
        {"usageMetadata": {"promptTokenCount": 3}},
        event({"text": "a"}, reason="MAX_TOKENS"),
        {"usageMetadata": USAGE, "modelVersion": "gemini-x"},
        {"candidates": "odd"},
    )

    assert progress.done
    assert deltas(chunks)[0] == {"role": "assistant", "content": "a"}
    assert chunks[1]["choices"][0]["finish_reason"] == "length"
    assert usage is not None
    assert usage.total_tokens == 5


def test_a_blocked_prompt_is_an_empty_answer() -> None:
    chunks, progress, _ = told({"promptFeedback": {"blockReason": "SAFETY"}, "responseId": "r1"})

    assert progress.done
    assert deltas(chunks)[0] == {"role": "assistant"}
    assert chunks[0]["choices"][0]["finish_reason"] == "content_filter"


def test_several_candidates_each_with_its_end() -> None:
    second = {
        "candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}]
    }
    chunks, progress, _ = told(event({"text": "a"}), second, event(reason="SAFETY"))

    assert progress.done
    ends = {
        chunk["choices"][0]["index"]: chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]
    }
    assert ends == {0: "content_filter", 1: "stop"}


def of_two(index: int, *parts: Any, reason: str | None = None) -> dict[str, Any]:
    made = event(*parts, reason=reason)
    made["candidates"][0]["index"] = index
    return made


TWO = attrs.evolve(STREAMING, members={"n": b"2"})


@pytest.mark.parametrize(
    "make", [lambda: retold_stream(TWO, read_stream), lambda: GeminiRelay(TWO)]
)
@pytest.mark.parametrize(
    ("events", "is_whole"),
    [
        ((of_two(0, {"text": "a"}, reason="STOP"),), False),
        ((of_two(0, {"text": "a"}, reason="STOP"), of_two(1, {"text": "b"})), False),
        ((of_two(0, {"text": "a"}, reason="STOP"), of_two(1, {"text": "b"}, reason="STOP")), True),
        (({"promptFeedback": {"blockReason": "SAFETY"}},), True),
    ],
)  # fmt: skip
def test_a_stream_is_cut_before_all_candidates_have_begun(
    make: Callable[[], StreamDecoder], events: Any, is_whole: bool
) -> None:
    progress = fed(make(), [body_of(*events)])

    assert progress.done is is_whole
    assert (progress.error is None) is is_whole


def test_arguments_are_told_as_they_were_written() -> None:
    written = '{"z":12345678901234567890123,"a":1.0}'
    call = f'{{"functionCall":{{"name":"f","args":{written}}}}}'
    candidate = f'{{"content":{{"parts":[{call}]}},"finishReason":"STOP"}}'
    told = f'data: {{"candidates":[{candidate}]}}\n\n'.encode()

    progress = fed(retold_stream(STREAMING, read_stream), [told])

    first = json.loads(progress.data.split(b"\n")[0].removeprefix(b"data: "))
    [made] = first["choices"][0]["delta"]["tool_calls"]
    assert made["function"]["arguments"] == written


@pytest.mark.parametrize(
    ("events", "text", "error_class"),
    [
        ([event({"text": "a"})], "ended before its end marker", ErrorClass.NETWORK),
        ([{"usageMetadata": USAGE}], "empty response", ErrorClass.SERVER),
        ([], "empty response", ErrorClass.SERVER),
        (
            [event({"text": "a"}), {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}, event(reason="STOP")],
            "overloaded",
            ErrorClass.SERVER,
        ),
        ([[{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}]], "slow", ErrorClass.RATE_LIMIT),
        ([{"candidates": [{"index": n} for n in range(99)]}], "too many candidates", ErrorClass.SERVER),
    ],
)  # fmt: skip
def test_ends_that_are_none(events: Any, text: str, error_class: ErrorClass) -> None:
    _, progress, _ = told(*events)

    assert not progress.done
    assert progress.error is not None
    assert text in progress.error.message
    assert progress.error.error_class is error_class
    assert b"[DONE]" not in progress.data


def test_an_error_without_framing_and_garbage() -> None:
    decoder = retold_stream(STREAMING, read_stream)
    good = body_of(event({"text": "a"}))

    progress = fed(decoder, [good, b"data: {garbage\n\n", b"upstream connect error\n\n"])

    assert progress.error is not None
    assert "upstream connect error" in progress.error.message


def test_responses_are_told_from_the_same_stream() -> None:
    facts = attrs.evolve(
        STREAMING, operation=Operation.RESPONSES, members={"model": b'"m"', "input": b'"Hi"'}
    )
    decoder = retold_stream(facts, read_stream)
    events = (event({"text": "hm", "thought": True}), event({"text": "Hello"}, reason="STOP"))

    progress = fed(decoder, [body_of(*events)])

    assert progress.done
    assert b"event: response.completed" in progress.data
    assert b"Hello" in progress.data


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_streams_cut_at_every_place_are_the_same(path: Path) -> None:
    stream = path.read_bytes()

    makers: tuple[Callable[[], StreamDecoder], ...] = (
        lambda: retold_stream(STREAMING, read_stream),
        lambda: GeminiRelay(STREAMING),
    )
    for make in makers:
        whole = fed(make(), [stream])
        assert whole.error is None or "cut" in path.stem or "error" in path.stem
        for at in range(0, len(stream), 11):
            assert _bare(fed(make(), [stream[:at], stream[at:]])) == _bare(whole)
        assert _bare(fed(make(), [stream[i : i + 1] for i in range(len(stream))])) == _bare(whole)


def _bare(progress: Progress) -> Any:
    return progress.data, progress.events, progress.done, progress.error and progress.error.message


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_streams_are_googles(path: Path) -> None:
    for line in path.read_text().splitlines():
        if line.startswith("data: ") and '"error"' not in line:
            types.GenerateContentResponse.model_validate(json.loads(line[6:]))


PARTS = st.one_of(
    st.builds(lambda text: {"text": text}, st.text(max_size=4)),
    st.builds(lambda text: {"text": text, "thought": True}, st.text(max_size=4)),
    st.builds(
        lambda args, call_id: {"functionCall": {"name": "f", "args": args, **call_id}},
        st.dictionaries(st.text(max_size=2), st.integers(-9, 9), max_size=2),
        st.sampled_from([{}, {"id": "c"}]),
    ),
    st.just({"functionCall": {"name": "g", "args": {}}, "thoughtSignature": SIGNATURE}),
    st.just({"text": "signed", "thoughtSignature": SIGNATURE}),
)


@given(st.lists(st.lists(PARTS, max_size=3), min_size=1, max_size=4), st.data())
@settings(max_examples=150, deadline=None)
def test_a_stream_put_together_is_the_whole_answer(parts: Any, data: st.DataObject) -> None:
    events = [event(*some) for some in parts]
    events[-1]["candidates"][0]["finishReason"] = "STOP"
    events[-1]["usageMetadata"] = USAGE
    whole = read_chat(
        json.dumps(event(*(p for some in parts for p in some), reason="STOP", usageMetadata=USAGE)).encode(),
        FACTS,
    ).value  # fmt: skip
    stream = body_of(*events)
    at = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]

    progress = fed(retold_stream(STREAMING, read_stream), pieces)

    assert progress.done
    state: Any = ChatCompletionStreamState()
    for line in progress.data.decode().split("\n\n"):
        if line.startswith("data: {"):
            state.handle_chunk(ChatCompletionChunk.model_validate(json.loads(line[6:])))
    made = state.current_completion_snapshot.to_dict()
    [choice], [expected] = made["choices"], whole["choices"]
    message, other = choice["message"], expected["message"]
    assert (message.get("content") or None) == other["content"]
    assert choice["finish_reason"] == expected["finish_reason"]
    assert message.get("reasoning", "") == other.get("reasoning", "")
    assert [_call(c) for c in message.get("tool_calls") or ()] == [
        _call(c) for c in other.get("tool_calls", ())
    ]
    assert _signatures(message) == _signatures(other)
    assert made["usage"] == whole["usage"]


def _call(call: Any) -> Any:
    return call["id"], call["function"]["name"], call["function"]["arguments"]


def _signatures(message: Any) -> list[Any]:
    found = message.get("reasoning_details") or ()
    return [(d.get("id"), d["data"]) for d in found if d["type"] == "reasoning.encrypted"]
