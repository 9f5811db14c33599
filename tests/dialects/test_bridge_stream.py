"""Chat chunks as Responses events: OpenAI's own types and its own accumulator take every stream that is made here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from bifrost.codecs.sse import MAX_EVENT_BYTES
from bifrost.config.secret import Secret
from bifrost.dialects import bridge_stream
from bifrost.dialects.base import AnswerFacts, Progress
from bifrost.dialects.bridge_answer import chat_to_responses
from bifrost.dialects.bridge_output import Output, OutputTooLarge, stem_of
from bifrost.dialects.bridge_stream import ResponsesTeller
from bifrost.dialects.openai_told import ToldStream
from bifrost.errors import ErrorClass, NetworkError, UpstreamError
from bifrost.record import Usage

if TYPE_CHECKING:
    from bifrost.schema.call import RawMembers

FACTS = AnswerFacts(
    request_type="responses_stream", provider="groq", model_requested="m", sent_s=10.0
)
BARE = attrs.evolve(FACTS, send_extra_fields=False)
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
STEM = stem_of("c-1")
EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def frame(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return frame({**HEAD, "choices": [choice]})


HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 17, "model": "m-1"}


def tools(*calls: dict[str, Any], finish: str | None = None) -> bytes:
    return chunk(finish, tool_calls=list(calls))


def tool(
    index: int | None = None,
    call_id: str | None = None,
    name: str | None = None,
    arguments: str | None = None,
) -> dict[str, Any]:
    """What a delta tells of a call, without what it does not."""
    function = {"name": name, "arguments": arguments}
    told = {"index": index, "id": call_id}
    return {
        **{member: value for member, value in told.items() if value is not None},
        "function": {member: value for member, value in function.items() if value is not None},
    }


def run(
    *pieces: bytes, facts: AnswerFacts = BARE, members: RawMembers | None = None
) -> tuple[Progress, Usage | None]:
    """Everything that comes of ``pieces``, in one."""
    decoder = ToldStream(facts, ResponsesTeller(facts, members or {}))
    data, events = b"", 0
    for piece in [*pieces, None]:
        progress = decoder.close(11.0) if piece is None else decoder.feed(piece, 11.0)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error:
            return attrs.evolve(progress, data=data, events=events), decoder.usage
    raise AssertionError("a stream has an end")


def told(data: bytes) -> list[dict[str, Any]]:
    """The events in ``data``: framed under their own names, numbered from nought, and each of OpenAI's type for it."""
    events: list[dict[str, Any]] = []
    for text in data.split(b"\n\n")[:-1]:
        name, line = text.split(b"\n")
        event = json.loads(line.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        EVENT.validate_python(event, strict=True)
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def accumulated(events: list[dict[str, Any]]) -> Response:
    """What OpenAI's own SDK makes of the events; it asserts a good deal on the way."""
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    final: Any = None
    for event in events:
        for made in state.handle_event(EVENT.validate_python(event)):
            final = made
    return cast("Response", final.response)


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def finished(*pieces: bytes, facts: AnswerFacts = BARE) -> list[dict[str, Any]]:
    """The events of a stream that ends well, which agree with one another."""
    progress, _ = run(*pieces, DONE, facts=facts)
    assert progress.error is None
    assert progress.done
    events = told(progress.data)
    assert len(events) == progress.events
    last = events[-1]["response"]
    done = {e["output_index"]: e["item"] for e in events if e["type"].endswith("output_item.done")}
    assert [done[place] for place in sorted(done)] == last["output"]
    ids = [item["id"] for item in last["output"]]
    assert len(set(ids)) == len(ids)
    Response.model_validate(last, strict=True)
    final = accumulated(events)
    assert final.status == last["status"]
    return events


def output(*pieces: bytes) -> list[dict[str, Any]]:
    """The output of the last event, each item without what is the same in all."""
    last = finished(*pieces)[-1]["response"]["output"]
    return [
        {n: v for n, v in item.items() if n not in {"id", "status", "role", "type"}}
        for item in last
    ]


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"call_id": call_id, "name": name, "arguments": arguments}


def test_text_is_told_step_by_step() -> None:
    events = finished(
        chunk(role="assistant", content=""),
        chunk(content="He"),
        chunk(content="llo"),
        chunk("stop"),
        frame({**HEAD, "choices": [], "usage": USAGE}),
    )

    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    at = {"item_id": f"msg_{STEM}_0", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    item = {"id": f"msg_{STEM}_0", "type": "message", "role": "assistant"}
    for event in events:
        del event["type"], event["sequence_number"]
    assert events[2:9] == [
        {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}},
        {**at, "part": {**part, "text": ""}},
        {**at, "delta": "He", "logprobs": []},
        {**at, "delta": "llo", "logprobs": []},
        {**at, "text": "Hello", "logprobs": []},
        {**at, "part": part},
        {"output_index": 0, "item": {**item, "status": "completed", "content": [part]}},
    ]
    assert events[0]["response"] == events[1]["response"]
    assert (events[0]["response"]["status"], events[0]["response"]["usage"]) == (
        "in_progress",
        None,
    )
    assert events[-1]["response"]["usage"]["input_tokens"] == 9


def test_stream_begins_as_it_should_though_no_role_comes() -> None:
    decoder = ToldStream(BARE, ResponsesTeller(BARE, {"instructions": b'"Be\\n' + b'brief."'}))

    first = decoder.feed(chunk(content="Hi"), 10.0)

    assert first.events == 5
    assert types(told(first.data))[:2] == ["created", "in_progress"]
    assert told(first.data)[0]["response"]["instructions"] == "Be\nbrief."


def test_nothing_goes_out_before_the_first_chunk() -> None:
    decoder = ToldStream(BARE, ResponsesTeller(BARE, {}))

    assert decoder.feed(b": ping\n\n", 10.0) == Progress()
    assert decoder.feed(frame({**HEAD, "choices": []}), 10.0) == Progress()


def test_echo_of_a_request_with_line_breaks_stays_on_one_line() -> None:
    progress, _ = run(chunk("stop", content="Hi"), DONE, members={"metadata": b'{\n"a":\r\n"b"}'})

    assert told(progress.data)[0]["response"]["metadata"] == {"a": "b"}


def test_last_event_waits_for_late_usage() -> None:
    decoder = ToldStream(BARE, ResponsesTeller(BARE, {}))

    finish = decoder.feed(chunk("stop", content="Hi"), 11.0)
    late = decoder.feed(frame({"choices": [], "usage": USAGE}), 11.0)
    end = decoder.feed(DONE, 11.0)

    assert types(told(finish.data))[-1] == "output_item.done"
    assert late == Progress()
    assert end.done
    assert end.data.startswith(b"event: response.completed\n")
    assert not end.data.endswith(DONE)
    assert decoder.usage == Usage(prompt_tokens=9, completion_tokens=3, total_tokens=12)


def test_usage_inside_a_chunk_is_taken_too() -> None:
    choice = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}

    events = finished(frame({**HEAD, "choices": [choice], "usage": USAGE}))

    assert events[-1]["response"]["usage"]["output_tokens"] == 3


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning": "hm"},
        {"reasoning_content": "hm"},
        {"reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "hm"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
    ],
)
def test_reasoning_is_an_item_of_its_own(delta: dict[str, Any]) -> None:
    events = finished(chunk(**delta), chunk(content="Hi"), chunk("stop"))

    assert types(events)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
    ]
    reasoning, message = events[-1]["response"]["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert (reasoning["id"], message["id"]) == (f"rs_{STEM}_0", f"msg_{STEM}_1")


def test_refusal_is_a_part_of_the_message() -> None:
    events = finished(chunk(content="Well."), chunk(refusal="N"), chunk("stop", refusal="o."))

    assert types(events)[4:11] == [
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
    ]
    assert events[-1]["response"]["output"][0]["content"][1] == {
        "type": "refusal",
        "refusal": "No.",
    }


def test_citations_and_logprobs_are_told_and_kept() -> None:
    one = {"token": "Hi", "logprob": -0.5, "bytes": [72], "top_logprobs": []}
    cited = {"url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
    choice = {"index": 0, "delta": {"content": "Hi"}, "logprobs": {"content": [one]}}
    silent = {"index": 0, "delta": {"content": ""}, "logprobs": {"content": [one]}}
    annotations = [{"type": "url_citation", "url_citation": cited}]

    events = finished(
        frame({**HEAD, "choices": [silent]}),
        frame({**HEAD, "choices": [choice]}),
        frame({**HEAD, "choices": [silent]}),
        chunk("stop", annotations=annotations),
    )

    assert types(events)[4:6] == ["output_text.delta", "output_text.annotation.added"]
    assert events[4]["logprobs"] == [one]
    assert events[5]["annotation"] == {"type": "url_citation", **cited}
    part = events[-1]["response"]["output"][0]["content"][0]
    assert (part["logprobs"], part["annotations"]) == ([one, one], [events[5]["annotation"]])


def test_first_tool_ends_the_text_and_all_are_done_at_the_finish_reason() -> None:
    events = finished(
        chunk(content="Hi"),
        tools(tool(0, "a", "f", ""), tool(1, "b", "g", "{")),
        tools(tool(1, arguments="}"), tool(0, arguments="{1}")),
        chunk("tool_calls"),
    )

    assert types(events)[5:] == [
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert events[8]["item"] == {
        "id": f"fc_{STEM}_1",
        "type": "function_call",
        "status": "in_progress",
        "call_id": "a",
        "name": "f",
        "arguments": "",
    }
    assert events[-1]["response"]["output"][1:] == [
        {**events[8]["item"], "status": "completed", "arguments": "{1}"},
        {**events[9]["item"], "status": "completed", "arguments": "{}"},
    ]


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        ([[tool(0, "a", "f")]], [call("a", "f", "")]),
        ([[tool(7, "a", "f", "1")], [tool(3, "b", "g", "2")], [tool(7, arguments="3")]], [call("a", "f", "13"), call("b", "g", "2")]),
        # the id with every delta, and the name too
        ([[tool(0, "a", "f", "1")], [tool(0, "a", "f", "2")]], [call("a", "f", "12")]),
        # another id with each delta
        ([[tool(0, "a", "f", "1")], [tool(0, "z", arguments="2")]], [call("a", "f", "12")]),
        # one index for all
        ([[tool(0, "a", "f", "1"), tool(0, "b", "f", "2")], [tool(0, arguments="3")]], [call("a", "f", "1"), call("b", "f", "23")]),
        ([[tool(0, None, "f", "1")], [tool(0, None, "g", "2")]], [call(f"call_{STEM}_0", "f", "1"), call(f"call_{STEM}_1", "g", "2")]),
        # no index
        ([[tool(None, "a", "f", "1")], [tool(None, "b", "g", "2")], [tool(None, "a", arguments="3")]], [call("a", "f", "13"), call("b", "g", "2")]),
        ([[tool(None, "a", "f", "1")], [tool(arguments="2")]], [call("a", "f", "12")]),
        ([[tool(None, None, "f", "1")], [tool(None, None, "g", "2")]], [call(f"call_{STEM}_0", "f", "1"), call(f"call_{STEM}_1", "g", "2")]),
        # the name, or the id, after the arguments have begun
        ([[tool(0, "a", arguments="1")], [tool(0, name="f", arguments="2")]], [call("a", "f", "12")]),
        ([[tool(0, None, "f", "1")], [tool(0, "a", arguments="2")]], [call(f"call_{STEM}_0", "f", "12")]),
        # never a name
        ([[tool(0, "a", arguments="1")]], [call("a", "", "1")]),
        ([[tool(arguments="1")]], [call(f"call_{STEM}_0", "", "1")]),
    ],
)  # fmt: skip
def test_calls_are_put_together_however_they_come(
    pieces: list[list[dict[str, Any]]], calls: list[dict[str, Any]]
) -> None:
    assert output(*(tools(*piece) for piece in pieces), chunk("tool_calls")) == calls


def test_custom_tools_are_called_too() -> None:
    first = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "l"}}

    events = finished(tools(first), tools({"index": 0, "custom": {"input": "s"}}), chunk("stop"))

    assert types(events)[2:6] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
    ]
    assert events[-1]["response"]["output"][0]["input"] == "ls"


def test_words_after_calls_are_another_message() -> None:
    made = output(
        chunk(content="a"),
        tools(tool(0, "x", "f", "1")),
        chunk(content="b"),
        tools(tool(0, arguments="2")),
        chunk("tool_calls"),
    )

    assert [item.get("arguments") or item["content"][0]["text"] for item in made] == [
        "a",
        "12",
        "b",
    ]


def test_what_comes_after_the_finish_reason_is_told_all_the_same() -> None:
    made = output(
        chunk("stop", content="a", tool_calls=[tool(0, "x", "f", "1")]),
        tools(tool(0, arguments="too late")),
        chunk(content="b"),
    )

    assert [item.get("arguments") or item["content"][0]["text"] for item in made] == ["a", "1", "b"]


@pytest.mark.parametrize(
    ("finish", "status", "reason", "statuses"),
    [
        ("stop", "completed", None, ["completed", "completed"]),
        ("length", "incomplete", "max_output_tokens", ["completed", "incomplete"]),
        ("content_filter", "incomplete", "content_filter", ["completed", "incomplete"]),
        ("error", "failed", None, ["completed", "incomplete"]),
    ],
)
def test_finish_reason_names_the_last_event(
    finish: str, status: str, reason: str | None, statuses: list[str]
) -> None:
    events = finished(chunk(reasoning="hm"), chunk(content="Hi"), chunk(finish))

    assert types(events)[-1] == status
    response = events[-1]["response"]
    assert response["incomplete_details"] == (reason and {"reason": reason})
    assert bool(response["error"]) is (status == "failed")
    assert [item["status"] for item in response["output"]] == statuses


def test_of_several_choices_the_first_to_come_counts() -> None:
    events = finished(
        chunk(index=1, content="a"),
        chunk(index=0, content="b"),
        chunk("length", index=0),
        chunk("stop", index=1),
    )

    assert types(events)[-1] == "completed"
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "a"


def test_what_the_upstream_tells_beside_its_choices_is_carried() -> None:
    choice = {"delta": {"content": "Hi[1]"}, "finish_reason": "stop"}

    events = finished(
        frame({"choices": [choice], "citations": ["https://x"], "service_tier": "default"})
    )

    response = events[-1]["response"]
    assert (response["citations"], response["service_tier"]) == (["https://x"], "default")
    assert response["id"].startswith("resp_")
    assert (response["model"], response["created_at"]) == ("m", 0)


def test_extra_fields_stand_in_every_event() -> None:
    facts = attrs.evolve(
        FACTS, raw_response=True, raw_verbatim=True, raw_request=b"{}", dropped_params=("n",)
    )
    decoder = ToldStream(facts, ResponsesTeller(facts, {}))
    content = chunk("stop", content="Hi")

    first = told(decoder.feed(content, 10.25).data)
    last = told_from(decoder.feed(DONE, 11.0).data)

    extra = {"request_type": "responses_stream", "provider": "groq", "model_requested": "m"}
    raw = content.removeprefix(b"data: ").strip().decode()
    assert [event["extra_fields"] for event in first] == [
        {**extra, "latency": 250, "chunk_index": 0, "raw_response": raw},
        *({**extra, "latency": 0, "chunk_index": index} for index in range(1, len(first))),
    ]
    assert last["extra_fields"] == {
        **extra,
        "latency": 1000,
        "chunk_index": len(first),
        "raw_request": {},
        "dropped_params": ["n"],
    }


def told_from(data: bytes) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(data.split(b"data: ")[1])
    return event


def test_stream_of_nothing_but_usage_is_an_empty_response() -> None:
    events = finished(frame({**HEAD, "choices": [], "usage": USAGE}))

    assert types(events) == ["created", "in_progress", "completed"]
    assert events[-1]["response"]["id"] == "c-1"


def test_error_inside_the_stream_ends_it() -> None:
    facts = attrs.evolve(BARE, key=Secret("sk-very-secret"))
    error = {"error": {"message": "sk-very-secret: overloaded", "code": "rate_limit_exceeded"}}

    progress, _ = run(chunk(content="Hi"), frame(error), chunk(content="more"), facts=facts)

    assert types(told(progress.data))[-1] == "output_text.delta"
    assert isinstance(progress.error, UpstreamError)
    assert progress.error.error_class is ErrorClass.RATE_LIMIT
    assert "very-secret" not in progress.error.message


def test_error_first_of_all_comes_alone() -> None:
    progress, _ = run(frame({"error": {"message": "no"}}))

    assert progress.error is not None
    assert progress.data == b""


@pytest.mark.parametrize(
    ("pieces", "is_done"),
    [
        ([chunk(content="Hi")], False),
        ([chunk("stop", content="Hi")], True),
    ],
)
def test_upstream_without_end_marker_ends_at_its_finish_reason(
    pieces: list[bytes], is_done: bool
) -> None:
    progress, _ = run(*pieces, facts=attrs.evolve(BARE, ends_without_done=True))

    assert progress.done is is_done
    assert (types(told(progress.data))[-1] == "completed") is is_done


def test_cut_stream_is_an_error() -> None:
    progress, _ = run(chunk("stop", content="Hi"))

    assert isinstance(progress.error, NetworkError)
    assert not progress.done


def test_events_that_are_no_chunks_are_skipped_and_counted() -> None:
    decoder = ToldStream(BARE, ResponsesTeller(BARE, {}))
    for data in (
        b"data: nonsense\n\n",
        b'data: {"choices":[{"index":0,"delta":{"content":1e999}}]}\n\n',
    ):
        assert decoder.feed(data, 11.0) == Progress()

    assert decoder.skipped == 2
    assert isinstance(decoder.feed(DONE, 11.0).error, UpstreamError)


def test_odd_deltas_are_passed_over() -> None:
    odd = frame({**HEAD, "choices": [{"index": None, "delta": "odd"}]})

    assert types(finished(odd, chunk("stop"))) == ["created", "in_progress", "completed"]


def test_too_large_an_event_is_an_error() -> None:
    progress, _ = run(chunk(content="Hi"), b"data: " + b"x" * (MAX_EVENT_BYTES + 9))

    assert isinstance(progress.error, NetworkError)
    assert types(told(progress.data))[-1] == "output_text.delta"


def test_too_large_an_output_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_stream, "MAX_KEPT", 2000)

    progress, _ = run(chunk(content="a"), *(chunk(content="b" * 100) for _ in range(20)))

    assert isinstance(progress.error, UpstreamError)
    assert progress.error.message == "Error reading stream: output exceeds 2000 characters"
    assert types(told(progress.data)).count("output_text.delta") == 10


@pytest.mark.parametrize(
    "message",
    [
        {"content": "x" * 2000},
        {"reasoning": "x" * 2000},
        {"annotations": [{"type": "url_citation", "url_citation": {"url": "x" * 2000}}]},
        {"tool_calls": [tool(0, "x" * 2000)]},
        {"tool_calls": [tool(0, "a", "x" * 2000)]},
        {"tool_calls": [tool(0, "a", "f", "x" * 2000)]},
        {"tool_calls": [tool(0, f"{index}", f"f{index}") for index in range(4)]},
        {"tool_calls": [tool(index) for index in range(4)]},
    ],
)
def test_all_that_is_kept_counts(message: dict[str, Any]) -> None:
    told: list[Any] = []

    with pytest.raises(OutputTooLarge):
        Output("x", 1600).take(message, None, told.append)


def test_probabilities_that_are_kept_count() -> None:
    one = {"token": "Hi", "logprob": -0.5, "top_logprobs": [{}] * 20}

    told: list[Any] = []

    with pytest.raises(OutputTooLarge):
        Output("x", 1600).take({"content": "Hi"}, {"content": [one]}, told.append)


def test_nothing_comes_after_the_end() -> None:
    decoder = ToldStream(BARE, ResponsesTeller(BARE, {}))
    decoder.feed(chunk("stop", content="Hi") + DONE, 11.0)

    assert decoder.feed(chunk(content="more"), 11.0) == Progress()
    assert decoder.close(11.0) == Progress()


def test_stream_and_whole_answer_come_to_the_same() -> None:
    function = {"name": "f", "arguments": '{"a":1}'}
    message: dict[str, Any] = {
        "reasoning": "hm",
        "content": "Hi",
        "tool_calls": [{"index": 0, "id": "a", "function": function}],
    }
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    whole = {**HEAD, "choices": [choice], "usage": USAGE}
    members = {"temperature": b"0.5"}

    progress, _ = run(
        chunk("length", **message),
        frame({**HEAD, "choices": [], "usage": USAGE}),
        DONE,
        members=members,
    )

    body = chat_to_responses(json.dumps(whole).encode(), BARE, members).body
    assert told(progress.data)[-1]["response"] == json.loads(body)
