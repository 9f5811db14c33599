"""Streams told in Messages' form: every one keeps to the grammar, and says what the deltas said."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bifrost.dialects.anthropic_teller import AnthropicTeller
from bifrost.dialects.anthropic_telling import tell_message
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.hub import Answer, Conversation
from bifrost.dialects.openai_told import ToldStream
from bifrost.errors import GatewayError
from bifrost.schema.call import Dialect
from messages_grammar import accumulated, events_of

FACTS = AnswerFacts(
    request_type="chat_completion_stream",
    provider="openai",
    model_requested="m",
    sent_s=0.0,
    dialect=Dialect.ANTHROPIC,
)
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 4,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 3, "cached_write_tokens": 2},
}
COUNTED = {
    "input_tokens": 5,
    "cache_read_input_tokens": 3,
    "cache_creation_input_tokens": 2,
    "output_tokens": 4,
}


def streamed(*deltas: dict[str, Any], finish: str | None = "stop") -> list[dict[str, Any]]:
    """The events that ``deltas`` become."""
    talk = Conversation(FACTS, AnthropicTeller(FACTS))
    talk.begin(id="c1", model="m1")
    for delta in deltas:
        talk.say(delta, 1.0)
    talk.say({}, 1.0, finish_reason=finish)
    talk.count_tokens(USAGE)
    talk.end(2.0)
    progress = talk.take()
    assert progress.error is None
    assert progress.done
    events = events_of(progress.data)
    assert progress.events == len(events)
    return events


def message(*deltas: dict[str, Any], finish: str | None = "stop") -> dict[str, Any]:
    return accumulated(streamed(*deltas, finish=finish))


def call(index: int | None, text: str, name: str = "", id_: str = "") -> dict[str, Any]:
    function = {"arguments": text} | ({"name": name} if name else {})
    told: dict[str, Any] = {"function": function} | ({"id": id_} if id_ else {})
    return {"tool_calls": [told if index is None else {"index": index, **told}]}


def detail(**members: Any) -> dict[str, Any]:
    return {"reasoning_details": [{"index": 0, "type": "reasoning.text", **members}]}


def use(id_: str, name: str, input_: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": input_}


def test_words_are_one_block() -> None:
    assert message({"content": "Hel"}, {"content": "lo"}) == {
        "id": "c1",
        "type": "message",
        "role": "assistant",
        "model": "m1",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": COUNTED,
    }


def test_each_delta_is_told_at_once() -> None:
    out: list[bytes] = []
    teller = AnthropicTeller(FACTS)
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}

    teller.tell(chunk, b"", 1.0, out)

    kinds = [event["type"] for event in events_of(b"".join(out))]
    assert kinds == ["message_start", "content_block_start", "content_block_delta"]


def test_an_answer_without_words_has_no_blocks() -> None:
    assert message()["content"] == []


def test_thinking_comes_first_with_its_signature_byte_for_byte() -> None:
    events = streamed(
        {"reasoning": "h", **detail(text="h")},
        {"reasoning": "m", **detail(text="m")},
        detail(signature="EqR+/="),
        {"content": "Yes"},
    )

    assert accumulated(events)["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "EqR+/="},
        {"type": "text", "text": "Yes"},
    ]
    deltas = [e["delta"]["type"] for e in events if e["type"] == "content_block_delta"]
    assert deltas[:3] == ["thinking_delta", "thinking_delta", "signature_delta"]


def test_a_signed_block_is_not_gone_on_with() -> None:
    told = message(detail(text="a", signature="s"), detail(text="b", signature="t"))

    assert told["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "s"},
        {"type": "thinking", "thinking": "b", "signature": "t"},
    ]


def test_a_signature_goes_with_the_thinking_that_came_without_details() -> None:
    told = message({"reasoning": "hm"}, detail(signature="s"), {"content": "a"})

    assert told["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "s"}


def test_blocks_of_thinking_are_told_apart_by_their_index() -> None:
    def of(index: int, text: str) -> dict[str, Any]:
        return {"reasoning_details": [{"index": index, "text": text}]}

    told = message(of(0, "a"), of(0, "b"), of(1, "c"))

    assert [block["thinking"] for block in told["content"]] == ["ab", "c"]


def test_thinking_that_stands_in_the_content_is_thinking() -> None:
    part = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}

    assert message({"content": [part, {"type": "text", "text": "a"}]})["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "a"},
    ]


def test_a_signature_alone_is_a_block() -> None:
    told = message(detail(signature="s"), detail(signature="t"))

    assert [block["signature"] for block in told["content"]] == ["s", "t"]


def test_a_signature_that_its_call_carries_is_no_thinking() -> None:
    detail = {"type": "reasoning.encrypted", "data": "c2ln", "id": "tool_call_c1"}

    assert message({"reasoning_details": [detail]}, {"content": "a"})["content"] == [
        {"type": "text", "text": "a"}
    ]


def test_encrypted_thinking_is_redacted() -> None:
    redacted = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "ZGF0YQ=="}]}

    assert message(redacted, {"content": "a"})["content"] == [
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "text", "text": "a"},
    ]


def test_reasoning_without_details_is_thinking_that_nobody_signed() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}

    assert message({"reasoning": "hm"})["content"] == [thought]
    assert message({"reasoning_content": "hm"})["content"] == [thought]
    summary = {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}
    assert message(summary)["content"] == [thought]


def test_a_refusal_is_text() -> None:
    assert message({"refusal": "No."})["content"] == [{"type": "text", "text": "No."}]


def test_calls_one_after_another_are_told_as_they_grow() -> None:
    deltas = [
        {"content": "Wait"},
        call(0, "", "f", "t0"),
        call(0, '{"a":'),
        call(0, "1}"),
        call(1, "", "g", "t1"),
        call(1, "{}"),
    ]
    events = streamed(*deltas, finish="tool_calls")

    told = accumulated(events)
    assert told["content"] == [
        {"type": "text", "text": "Wait"},
        use("t0", "f", {"a": 1}),
        use("t1", "g", {}),
    ]
    assert told["stop_reason"] == "tool_use"
    pieces = [e["delta"]["partial_json"] for e in events if "partial_json" in e.get("delta", {})]
    assert pieces == ['{"a":', "1}", "{}"]


def test_calls_that_grow_side_by_side_are_told_one_after_another() -> None:
    told = message(
        call(0, "", "f", "t0"),
        call(1, "", "g", "t1"),
        call(0, '{"a":'),
        call(1, '{"b":2}'),
        call(0, "1}"),
        {"content": "after"},
        finish="tool_calls",
    )

    assert told["content"] == [
        use("t0", "f", {"a": 1}),
        use("t1", "g", {"b": 2}),
        {"type": "text", "text": "after"},
    ]


def test_the_next_call_does_not_wait_where_the_first_is_whole() -> None:
    out: list[bytes] = []
    teller = AnthropicTeller(FACTS)
    for delta in (call(0, "{}", "f", "t0"), call(1, '{"b', "g", "t1")):
        choice = {"index": 0, "delta": delta}
        assert teller.tell({"choices": [choice]}, b"", 1.0, out) is None

    kinds = [event["type"] for event in events_of(b"".join(out))]
    begun_twice = ["content_block_start", "content_block_delta"]
    assert kinds == ["message_start", *begun_twice, "content_block_stop", *begun_twice]


def test_calls_without_an_index_go_by_their_id() -> None:
    told = message(
        call(None, '{"a":', "f", "t0"),
        call(None, "1}"),
        call(None, "{}", "f", "t1"),
        finish="tool_calls",
    )

    assert told["content"] == [use("t0", "f", {"a": 1}), use("t1", "f", {})]


def test_a_call_whose_name_comes_late_waits_for_it() -> None:
    told = message(call(0, '{"a":'), call(0, "1}", "f", ""), finish="tool_calls")

    [block] = told["content"]
    assert (block["name"], block["input"]) == ("f", {"a": 1})
    assert block["id"].startswith("toolu_")


def test_a_call_without_a_name_is_none() -> None:
    assert message(call(0, "{}"), {"content": "a"})["content"] == [{"type": "text", "text": "a"}]


def test_a_call_that_goes_on_after_its_end_is_an_error() -> None:
    out: list[bytes] = []
    teller = AnthropicTeller(FACTS)
    deltas = [call(0, "{}", "f", "t0"), {"content": "a"}, call(0, " "), call(0, "{}")]

    *fine, error = [teller.tell({"choices": [{"delta": delta}]}, b"", 1.0, out) for delta in deltas]

    assert fine == [None, None, None]
    assert isinstance(error, GatewayError)
    assert "went on" in error.message


def test_what_waits_is_bounded() -> None:
    out: list[bytes] = []
    teller = AnthropicTeller(FACTS, 2000)
    teller.tell({"choices": [{"delta": call(0, "{", "f", "t0")}]}, b"", 1.0, out)

    error = teller.tell({"choices": [{"delta": call(1, "x" * 2000, "g")}]}, b"", 1.0, out)

    assert error is not None
    assert "exceeds 2000" in error.message


def test_of_several_choices_the_first_counts() -> None:
    out: list[bytes] = []
    teller = AnthropicTeller(FACTS)
    for index, word in ((1, "a"), (0, "b"), (1, "c")):
        choice = {"index": index, "delta": {"content": word}, "finish_reason": "stop"}
        teller.tell({"choices": [choice, "odd"]}, b"", 1.0, out)
    teller.finish({}, b"null", 2.0, out)

    told = accumulated(events_of(b"".join(out)))
    assert told["content"] == [{"type": "text", "text": "ac"}]
    assert told["id"].startswith("msg_")
    assert told["model"] == "m"
    assert told["usage"]["output_tokens"] == 0


REASONS = [
    ("stop", "end_turn"),
    ("length", "max_tokens"),
    ("content_filter", "refusal"),
    ("function_call", "tool_use"),
    ("compaction", "compaction"),
    (None, "end_turn"),
]


def test_why_it_stopped() -> None:
    for reason, expected in REASONS:
        assert message({"content": "a"}, finish=reason)["stop_reason"] == expected


def test_a_server_that_says_stop_for_calls_is_put_right() -> None:
    assert message(call(0, "{}", "f", "t0"), finish="stop")["stop_reason"] == "tool_use"
    assert message(call(0, "{}", "f", "t0"), finish="length")["stop_reason"] == "max_tokens"


def test_a_stop_sequence_is_named() -> None:
    out: list[bytes] = []
    teller = AnthropicTeller(FACTS)
    choice = {"delta": {"content": "a"}, "finish_reason": "stop", "stop": "END"}
    teller.tell({"choices": [choice], "service_tier": "priority"}, b"", 1.0, out)
    teller.finish({}, b"null", 2.0, out)

    told = accumulated(events_of(b"".join(out)))
    assert (told["stop_reason"], told["stop_sequence"]) == ("stop_sequence", "END")
    assert told["usage"]["service_tier"] == "priority"


def test_an_openai_stream_is_told_whole() -> None:
    def chunk(delta: Any, finish: str | None = None, **more: Any) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return b"data: %b\n\n" % json.dumps({"id": "c", "choices": choices, **more}).encode()

    body = chunk({"role": "assistant", "content": ""}) + chunk({"content": "Hi"})
    body += chunk({}, "stop") + b'data: {"choices":[],"usage":%b}\n\ndata: [DONE]\n\n' % (
        json.dumps(USAGE).encode()
    )
    decoder = ToldStream(FACTS, AnthropicTeller(FACTS))

    told = b"".join(decoder.feed(body[n : n + 7], 1.0).data for n in range(0, len(body), 7))

    assert accumulated(events_of(told))["usage"] == COUNTED
    assert decoder.usage is not None
    assert decoder.usage.total_tokens == 14


WORDS = st.sampled_from(["a", "bc", "", "{", "}", '"', "x y"])
CALLS = st.builds(
    call,
    st.sampled_from([0, 1, 2, None]),
    st.sampled_from(["", "{}", '{"a":', "1}", "}", " "]),
    st.sampled_from(["", "f", "g"]),
    st.sampled_from(["", "t0", "t1"]),
)
DELTAS = st.one_of(
    st.builds(lambda text: {"content": text}, WORDS),
    st.builds(lambda text: {"reasoning": text}, WORDS),
    st.builds(lambda text, sign: detail(text=text, signature=sign), WORDS, WORDS),
    st.builds(lambda data: {"reasoning_details": [{"data": data}]}, WORDS),
    CALLS,
    st.dictionaries(st.sampled_from(["content", "tool_calls", "reasoning_details"]), WORDS),
)


@given(st.lists(DELTAS, max_size=12))
def test_whatever_is_said_keeps_to_the_grammar(deltas: list[dict[str, Any]]) -> None:
    out: list[bytes] = []
    teller = AnthropicTeller(FACTS)
    for delta in deltas:
        chunk = {"id": "c", "choices": [{"index": 0, "delta": delta}]}
        if teller.tell(chunk, b"", 1.0, out) is not None:
            return
    teller.finish({}, b"null", 2.0, out)

    events = events_of(b"".join(out))
    for event in events:
        if event["type"] == "content_block_delta":
            event["delta"].update({"partial_json": ""} if "partial_json" in event["delta"] else {})
    told = accumulated(events)

    said = "".join(b["text"] for b in told["content"] if b["type"] == "text")
    assert said == "".join(str(d.get("content") or "") for d in deltas)
    assert teller.count == len(events)


PIECES = st.lists(st.sampled_from(["ab", "c ", "d"]), min_size=1, max_size=3)


@given(PIECES, PIECES, st.integers(0, 3))
def test_a_stream_and_a_whole_answer_say_the_same(
    thoughts: list[str], words: list[str], calls: int
) -> None:
    arguments = [json.dumps({"n": n}) for n in range(calls)]
    deltas = [
        *(detail(text=text) for text in thoughts),
        detail(signature="s"),
        *({"content": text} for text in words),
        *(call(n, text, "f", f"t{n}") for n, text in enumerate(arguments)),
    ]
    whole = {
        "content": "".join(words),
        **detail(text="".join(thoughts), signature="s"),
        "tool_calls": [call(n, t, "f", f"t{n}")["tool_calls"][0] for n, t in enumerate(arguments)],
    }
    choices = [{"message": whole, "finish_reason": "stop"}]
    answer = Answer(
        value={"id": "c1", "model": "m1", "choices": choices, "usage": USAGE}, body=b"{}"
    )

    assert message(*deltas) == json.loads(tell_message(answer, FACTS))
