"""Anthropic's answers in OpenAI's words, streamed and whole: both say the same, however the bytes are cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from bifrost.config.secret import Secret
from bifrost.dialects.anthropic_answer import read_answer, read_count
from bifrost.dialects.anthropic_relay import RelayStream, relay_answer
from bifrost.dialects.anthropic_stream import read_stream
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.chat_teller import ChatTeller
from bifrost.errors import ErrorClass, NetworkError, UpstreamError
from bifrost.record import Usage

RECORDED = Path(__file__).parent.parent / "recorded" / "anthropic"
STREAMS = sorted(RECORDED.glob("*.sse"))
WHOLE = sorted(RECORDED.glob("*.json"))
FACTS = AnswerFacts(
    request_type="chat_completion_stream",
    provider="anthropic",
    model_requested="m",
    sent_s=1.0,
    sent_unix_s=1_790_000_000.5,
    send_extra_fields=False,
)
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk="


@attrs.frozen
class End:
    """All that a stream came to."""

    data: bytes
    events: int
    error: tuple[str, int, ErrorClass, type] | None
    usage: Usage | None


def run(decoder: Any, pieces: list[bytes]) -> End:
    data, events = b"", 0
    for piece in [*pieces, None]:
        progress = decoder.close(1.5) if piece is None else decoder.feed(piece, 1.5)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error is not None:
            e = progress.error
            told = None if e is None else (e.message, e.status, e.error_class, type(e))
            return End(data, events, told, decoder.usage)
    raise AssertionError("a stream has an end")


def read(*pieces: bytes, facts: AnswerFacts = FACTS) -> End:
    return run(read_stream(facts, ChatTeller(facts)), list(pieces))


def relayed(*pieces: bytes) -> End:
    return run(RelayStream(FACTS), list(pieces))


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def chunks_of(end: End) -> list[Any]:
    lines = [line[6:] for line in end.data.split(b"\n\n") if line and line != b"data: [DONE]"]
    return [json.loads(line) for line in lines]


def frames(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def summed(chunks: list[Any]) -> Any:
    """The message that ``chunks`` add up to, as OpenAI's SDK adds them."""
    state: Any = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    snapshot = state.current_completion_snapshot.to_dict()
    return snapshot["choices"][0]


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_the_recorded_are_what_anthropics_sdk_reads(path: Path) -> None:
    Message.model_validate_json(path.read_bytes())


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_recorded_events_are_what_anthropics_sdk_reads(path: Path) -> None:
    lines = [line[6:] for line in path.read_text().split("\n") if line.startswith("data: ")]
    for event in map(json.loads, lines):
        if event["type"] not in {"ping", "error"}:
            EVENT.validate_python(event)


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_a_stream_adds_up_to_the_whole_answer(path: Path) -> None:
    whole = read_answer(path.read_bytes(), FACTS).value
    chunks = chunks_of(read(path.with_suffix(".sse").read_bytes()))

    ChatCompletion.model_validate(whole)
    message, told = whole["choices"][0]["message"], summed(chunks)
    for name in ("content", "reasoning"):
        assert (told["message"].get(name) or None) == message.get(name)
    assert told["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert chunks[-1]["usage"] == whole["usage"]
    assert {chunk["id"] for chunk in chunks} == {whole["id"]}
    assert {chunk["model"] for chunk in chunks} == {whole["model"]}
    for name in ("annotations", "reasoning_details"):
        assert (told["message"].get(name) or []) == message.get(name, [])
    calls = [(c["id"], c["function"]) for c in told["message"].get("tool_calls") or []]
    assert [(i, f["name"], json.loads(f["arguments"])) for i, f in calls] == [
        (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"]))
        for c in message.get("tool_calls", [])
    ]


def test_a_text() -> None:
    end = read(recorded("text.sse"))

    first, *_, last, closing = chunks_of(end)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "Hello"}
    assert first["service_tier"] == "default"
    assert last["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert closing["usage"]["total_tokens"] == 40
    assert end.data.endswith(b"data: [DONE]\n\n")
    assert end.error is None


def test_thinking_and_tools() -> None:
    end = read(recorded("thinking-tools.sse"))

    deltas = [chunk["choices"][0]["delta"] for chunk in chunks_of(end)]
    details = [d["reasoning_details"][0] for d in deltas if "reasoning_details" in d]
    assert details[:3] == [
        {"index": 0, "type": "reasoning.text", "text": "Two cities."},
        {"index": 0, "type": "reasoning.text", "text": "\nTwo calls."},
        {"index": 0, "type": "reasoning.text", "signature": SIGNATURE},
    ]
    assert [d["index"] for d in details] == [0, 0, 0, 1, 2, 2]
    assert details[3]["type"] == "reasoning.encrypted"
    assert "".join(d.get("reasoning") or "" for d in deltas) == "Two cities.\nTwo calls.\nNow."
    calls = [d["tool_calls"][0] for d in deltas if "tool_calls" in d]
    assert calls[0] == {
        "index": 0,
        "id": "toolu_01T1x1fJ34qAmk2tNTrN7Up6",
        "type": "function",
        "function": {"name": "weather", "arguments": ""},
    }
    told = ["".join(c["function"]["arguments"] for c in calls if c["index"] == n) for n in (0, 1)]
    assert told == ['{"city": "Rome", "days": 1.0}', "{}"]
    assert end.usage == Usage(
        prompt_tokens=1209,
        completion_tokens=189,
        total_tokens=1398,
        cached_read_tokens=1000,
        cached_write_tokens=188,
        reasoning_tokens=99,
    )


def test_citations_of_the_web_are_annotations() -> None:
    whole = read_answer(recorded("web-search.json"), FACTS).value

    message = whole["choices"][0]["message"]
    cited = {
        "url": "https://example.org/w",
        "title": "Weather",
        "start_index": 8,
        "end_index": 12,
    }
    assert message["annotations"] == [{"type": "url_citation", "url_citation": cited}]
    assert message["content"] == "I look. Sun."
    assert whole["usage"]["completion_tokens_details"] == {"num_search_queries": 1}
    assert whole["usage"]["prompt_tokens"] == 2700


def test_the_tool_that_stands_for_a_schema_is_the_answer() -> None:
    whole = read_answer(recorded("structured.json"), FACTS).value["choices"][0]

    assert whole["message"]["content"] == '{"n":"Oslo"}'
    assert whole["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("compaction", "compaction"),
        (None, "stop"),
    ],
)
def test_ends(stop_reason: Any, finish_reason: str) -> None:
    body = {"content": [], "stop_reason": stop_reason, "stop_sequence": "X"}
    stream = frames(
        {"type": "message_start", "message": {"id": "i", "usage": {"input_tokens": 1}}},
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}},
        {"type": "message_stop"},
    )

    choice = read_answer(json.dumps(body).encode(), FACTS).value["choices"][0]

    assert (choice["finish_reason"], choice["stop"]) == (finish_reason, "X")
    assert chunks_of(read(stream))[0]["choices"][0]["finish_reason"] == finish_reason


def test_arguments_of_a_whole_answer_are_as_they_came() -> None:
    body = b'{"content":[{"type":"tool_use","id":"t","name":"f","input":{"b": 1.0,\n"a":1e3}},{"type":"tool_use","id":"u","name":"g","input":null}]}'

    calls = read_answer(body, FACTS).value["choices"][0]["message"]["tool_calls"]

    assert [call["function"]["arguments"] for call in calls] == ['{"b": 1.0, "a":1e3}', "{}"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html>", b"{}", b'{"content":1}', b'{"input_tokens":', b"\xff"],
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        read_answer(body, FACTS)
    with pytest.raises(UpstreamError):
        read_count(body, FACTS)


OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'


@pytest.mark.parametrize("read_it", [read_answer, read_count, relay_answer])
def test_an_error_in_a_good_status_is_one(read_it: Any) -> None:
    error = read_it(OVERLOADED, FACTS).error

    assert (error.status, error.error_class) == (529, ErrorClass.SERVER)


def test_a_count() -> None:
    assert read_count(b'{"input_tokens":14}', FACTS).value == {
        "object": "response.input_tokens",
        "input_tokens": 14,
    }


# How streams end.


@pytest.mark.parametrize("how", [read, relayed])
def test_an_error_midway_ends_the_stream(how: Any) -> None:
    end = how(recorded("error-midway.sse"))

    assert end.error == ("Overloaded", 529, ErrorClass.SERVER, UpstreamError)
    assert b"Hel" in end.data
    assert not end.data.endswith(b"[DONE]\n\n")


@pytest.mark.parametrize("how", [read, relayed])
def test_a_stream_that_is_cut_is_an_error(how: Any) -> None:
    end = how(recorded("cut.sse"))

    assert end.error is not None
    assert end.error[3] is NetworkError


@pytest.mark.parametrize("how", [read, relayed])
def test_nothing_is_no_answer(how: Any) -> None:
    assert how(b"").error is not None
    assert how(b"event: ping\ndata: {}\n\n").data == b""


@pytest.mark.parametrize(
    ("kind", "status", "error_class"),
    [
        ("invalid_request_error", 400, ErrorClass.CLIENT),
        ("authentication_error", 401, ErrorClass.AUTH),
        ("billing_error", 402, ErrorClass.QUOTA),
        ("permission_error", 403, ErrorClass.AUTH),
        ("not_found_error", 404, ErrorClass.NOT_FOUND),
        ("request_too_large", 413, ErrorClass.CLIENT),
        ("rate_limit_error", 429, ErrorClass.RATE_LIMIT),
        ("api_error", 500, ErrorClass.SERVER),
        ("timeout_error", 504, ErrorClass.SERVER),
        ("overloaded_error", 529, ErrorClass.SERVER),
        ("new_error", 502, ErrorClass.SERVER),
    ],
)
def test_errors_in_a_stream_have_their_status(
    kind: str, status: int, error_class: ErrorClass
) -> None:
    end = read(frames({"type": "error", "error": {"type": kind, "message": "no"}}))

    assert end.error == ("no", status, error_class, UpstreamError)
    assert end.data == b""


def test_an_error_does_not_tell_the_key() -> None:
    facts = attrs.evolve(FACTS, key=Secret("sk-ant-secret"))
    told = b'event: error\ndata: {"error":{"message":"bad sk-ant-secret"}}\n\n'

    end = read(told, facts=facts)
    odd = read(b"event: error\ndata: odd sk-ant-secret\n\n", facts=facts)

    for found in (end, odd):
        assert found.error is not None
        assert "secret" not in found.error[0]


def test_what_is_unknown_is_passed_over() -> None:
    start = {"type": "content_block_start", "index": 0}
    delta = {"type": "content_block_delta", "index": 0}
    stream = frames(
        {"type": "message_start", "message": {"id": "i", "usage": "?"}},
        {"type": "message_start"},
        {"type": "news"},
        [],
        {**start, "content_block": {"type": "news"}},
        {**delta, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {**delta, "delta": {"type": "text_delta", "text": "x"}},
        {**start, "index": "0", "content_block": {"type": "text", "text": "x"}},
        {**delta, "index": 9, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_stop", "index": 9},
        {**start, "index": 1, "content_block": {"type": "text", "text": "A"}},
        {**delta, "index": 1, "delta": {"type": "text_delta", "text": None}},
        {**delta, "index": 1, "delta": {"type": "news"}},
        {"type": "message_delta", "delta": None, "usage": {"output_tokens": -1}},
        {"type": "message_stop"},
    )

    end = read(stream)

    assert [c["choices"][0]["delta"].get("content") for c in chunks_of(end)] == ["A", None, None]
    assert end.usage is None
    assert end.error is None


def test_tools_and_thoughts_that_come_whole() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    tool = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    odd = {"type": "tool_use", "id": "t", "name": "bf_so_x", "input": {"a": 1}}
    stream = frames(
        *({"type": "content_block_start", "index": n, "content_block": b} for n, b in enumerate([thinking, tool, odd])),
        *({"type": "content_block_stop", "index": n} for n in range(3)),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    )  # fmt: skip

    choice = summed(chunks_of(read(stream)))

    detail = {"index": 0, "type": "reasoning.text", "text": "hm", "signature": "s"}
    assert choice["message"]["reasoning_details"] == [detail]
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    assert choice["message"]["content"] == '{"a":1}'
    assert choice["finish_reason"] == "tool_calls"


# The dialect itself.


def test_the_dialect_itself_is_relayed_as_it_came() -> None:
    end = relayed(recorded("thinking-tools.sse"))

    assert end.data == recorded("thinking-tools.sse").partition(b"\n\n")[2]
    assert end.usage == read(recorded("thinking-tools.sse")).usage
    assert end.error is None
    plain = relay_answer(recorded("thinking-tools.json"), FACTS)
    assert plain.body == recorded("thinking-tools.json")
    assert plain.usage == end.usage


def test_a_count_is_relayed() -> None:
    plain = relay_answer(b'{"input_tokens": 14}', FACTS)

    assert (plain.body, plain.usage) == (b'{"input_tokens": 14}', None)


def test_odd_events_are_not_relayed() -> None:
    end = relayed(b"data: x\n\n", b"data: []\n\n", frames({"type": "a\nb"}), frames({"type": "message_stop"}))  # fmt: skip

    assert end.data == b'event: message_stop\ndata: {"type": "message_stop"}\n\n'


# Any split.


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("how", [read, relayed])
def test_recorded_stream_cut_at_every_place(how: Any, path: Path) -> None:
    stream = path.read_bytes()
    whole = how(stream)

    assert how(*(stream[i : i + 1] for i in range(len(stream)))) == whole
    for at in range(0, len(stream), 11):
        assert how(stream[:at], stream[at:]) == whole


PIECES = st.lists(st.text(max_size=5), max_size=5)


@given(st.lists(PIECES, min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=8))
def test_deltas_of_tools_reassemble(tools: list[list[str]], at: list[int]) -> None:
    events: list[Any] = []
    for n, pieces in enumerate(tools):
        block = {"type": "tool_use", "id": f"t{n}", "name": f"f{n}", "input": {}}
        events.append({"type": "content_block_start", "index": n, "content_block": block})
        for piece in pieces:
            delta = {"type": "input_json_delta", "partial_json": piece}
            events.append({"type": "content_block_delta", "index": n, "delta": delta})
        events.append({"type": "content_block_stop", "index": n})
    stream = frames(*events, {"type": "message_stop"})
    cuts = sorted(min(place, len(stream)) for place in at)
    pieces_of = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    calls = summed(chunks_of(read(*pieces_of)))["message"]["tool_calls"]

    assert [call["function"]["arguments"] for call in calls] == ["".join(p) or "{}" for p in tools]
