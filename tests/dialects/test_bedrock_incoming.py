"""Converse requests in the words of chat, and chat's answers in the words of Converse: what botocore sends and reads."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from botocore.exceptions import EventStreamError
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.eventstream import FrameDecoder
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bedrock_incoming import Incoming, read_converse_request, read_count_request
from bifrost.dialects.bedrock_request import encode_converse
from bifrost.dialects.bedrock_telling import (
    ConverseTeller,
    InvokeTeller,
    exception_frame,
    tell_converse,
    tell_token_count,
)
from bifrost.dialects.hub import Answer
from bifrost.errors import BadRequest, UpstreamError
from bifrost.schema.call import Call, Dialect, Operation, Target
from dialects.converse import events_of, parsed, problems

HI = {"role": "user", "content": [{"text": "Hi"}]}
PNG = "iVBORw0KGgo="
POINT = {"cachePoint": {"type": "default"}}
MARK = {"type": "ephemeral"}


def incoming(**members: Any) -> Incoming:
    members.setdefault("messages", [HI])
    raw = {name: json.dumps(value).encode() for name, value in members.items()}
    return read_converse_request(raw, "openai/gpt-5")


def told(**members: Any) -> Any:
    return {n: json.loads(raw) for n, raw in incoming(**members).members.items()}


def messages(*given_messages: Any, **more: Any) -> Any:
    assert problems({"messages": list(given_messages), **more}) == ""
    return told(messages=list(given_messages), **more)["messages"]


def test_the_least() -> None:
    assert told() == {"model": "openai/gpt-5", "messages": [{"role": "user", "content": "Hi"}]}
    assert incoming().lost == ()


def test_system() -> None:
    system = [
        {"text": "One."},
        POINT,
        {"guardContent": {"text": {"text": "Two."}}},
    ]

    assert messages(HI, system=system)[0] == {
        "role": "system",
        "content": [
            {"type": "text", "text": "One.", "cache_control": MARK},
            {"type": "text", "text": "Two."},
        ],
    }


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"image": {"format": "png", "source": {"bytes": PNG}}}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
        (
            {"document": {"format": "pdf", "name": "a", "source": {"bytes": PNG}, "citations": {"enabled": True}}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}, "citations": {"enabled": True}},
        ),
        (
            {"document": {"name": "a", "source": {"text": "Hello"}}},
            {"type": "file", "file": {"filename": "a", "file_data": "Hello", "file_type": "text/plain"}},
        ),
        (
            {"document": {"format": "md", "name": "a", "source": {"s3Location": {"uri": "s3://my-bucket/a.md"}}}},
            {"type": "file", "file": {"filename": "a.md", "file_url": "s3://my-bucket/a.md"}},
        ),
    ],
)  # fmt: skip
def test_blocks(block: Any, part: Any) -> None:
    [message] = messages({"role": "user", "content": [{"text": "See"}, block]})

    assert message["content"] == [{"type": "text", "text": "See"}, part]


@pytest.mark.parametrize(
    ("block", "lost"),
    [
        ({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://my-bucket/a"}}}}, "messages.content.image"),
        ({"video": {"format": "mp4", "source": {"bytes": PNG}}}, "messages.content.video"),
        ({"document": {"format": "txt", "name": "a", "source": {"content": [{"text": "x"}]}}}, "messages.content.document"),
        ({"unheardOf": 1}, "messages.content.unheardOf"),
        ({}, "messages.content.block"),
        ({"toolUse": {"toolUseId": "c", "name": "x", "input": {}}}, "messages.content.toolUse"),
        ({"reasoningContent": {"reasoningText": {"text": "Hm"}}}, "messages.content.reasoningContent"),
        ({"reasoningContent": {}}, None),
    ],
)  # fmt: skip
def test_blocks_that_chat_has_no_word_for_are_named(block: Any, lost: str | None) -> None:
    found = incoming(messages=[{"role": "user", "content": [{"text": "Hi"}, block]}])

    assert found.lost == ((lost,) if lost else ())
    assert json.loads(found.members["messages"]) == [{"role": "user", "content": "Hi"}]


def test_a_turn_with_a_tool() -> None:
    said = [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "ZGF0YQ=="}},
        {"text": "I look."},
        {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"z": 1, "a": 2}}},
    ]
    results = [
        {"text": "Quick!"},
        {"toolResult": {"toolUseId": "c1", "content": [{"json": {"b": 1}}]}},
    ]
    found = messages(
        HI, {"role": "assistant", "content": said}, {"role": "user", "content": results}
    )

    assert found[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning": "Hm",
            "reasoning_details": [
                {"index": 0, "type": "reasoning.text", "text": "Hm", "signature": "s"},
                {"index": 1, "type": "reasoning.encrypted", "data": "ZGF0YQ=="},
            ],
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"z":1,"a":2}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"b":1}'},
        {"role": "user", "content": "Quick!"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "made"),
    [
        ([{"text": "done"}], "done"),
        ([], ""),
        ([{"text": "a"}, {"json": {}}], [{"type": "text", "text": "a"}, {"type": "text", "text": "{}"}]),
        (
            [{"image": {"format": "png", "source": {"bytes": PNG}}}],
            [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
        ),
    ],
)  # fmt: skip
def test_results(content: Any, made: Any) -> None:
    result = {"toolResult": {"toolUseId": "c", "content": content}}

    [message] = messages({"role": "user", "content": [result]})

    assert message == {"role": "tool", "tool_call_id": "c", "content": made}


def test_a_result_that_is_marked_or_failed() -> None:
    result = {"toolResult": {"toolUseId": "c", "content": [{"text": "x"}], "status": "error"}}
    found = incoming(messages=[{"role": "user", "content": [result, POINT]}])

    assert json.loads(found.members["messages"])[0]["content"] == [
        {"type": "text", "text": "x", "cache_control": MARK}
    ]
    assert found.lost == ("messages.content.toolResult.status",)
    first = incoming(messages=[{"role": "user", "content": [POINT, {"text": "Hi"}]}])
    assert first.lost == ("cachePoint",)


def test_a_mark_with_a_time() -> None:
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    [message] = messages({"role": "user", "content": [{"text": "Hi"}, point]})

    assert message["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


SPEC = {"name": "look", "description": "Looks.", "inputSchema": {"json": {"type": "object"}}}


def test_tools_and_sampling() -> None:
    found = told(
        inferenceConfig={"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]},
        toolConfig={
            "tools": [{"toolSpec": SPEC}, POINT, {"toolSpec": {"name": "now", "inputSchema": {}}}],
            "toolChoice": {"tool": {"name": "look"}},
        },
        serviceTier={"type": "flex"},
    )

    function = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}
    assert found["tools"] == [
        {"type": "function", "function": function, "cache_control": MARK},
        {"type": "function", "function": {"name": "now"}},
    ]
    assert found["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert found["max_completion_tokens"] == 9
    assert (found["temperature"], found["top_p"], found["stop"]) == (0.5, 0.9, ["x"])
    assert found["service_tier"] == "flex"


@pytest.mark.parametrize(
    ("choice", "made"), [({"auto": {}}, "auto"), ({"any": {}}, "required"), (None, None)]
)
def test_choices(choice: Any, made: Any) -> None:
    config = {"tools": [{"toolSpec": SPEC}], "toolChoice": choice}

    assert told(toolConfig=config).get("tool_choice") == made


def test_the_callers_bound_is_known() -> None:
    assert incoming(inferenceConfig={"maxTokens": 9}).max_tokens == 9
    assert incoming(inferenceConfig={"maxTokens": "9"}).max_tokens is None
    assert incoming().max_tokens is None


@pytest.mark.parametrize(
    ("members", "made"),
    [
        ({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}}}, {"max_tokens": 2000}),
        ({"additionalModelRequestFields": {"thinking": {"type": "disabled"}}}, {"enabled": False}),
        ({"additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}}, {"enabled": True, "effort": "low"}),
        ({"additionalModelRequestFields": {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}}}, {"enabled": True, "effort": "low"}),
        ({"additionalModelRequestFields": {"reasoning_config": {"type": "enabled", "budget_tokens": 9}}}, {"max_tokens": 9}),
        ({"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}}, {"effort": "high"}),
        ({"additionalModelRequestFields": {"reasoningConfig": {"type": "disabled"}}}, {"enabled": False}),
        ({"additionalModelRequestFields": {"reasoning_effort": "low"}}, {"effort": "low"}),
        ({"outputConfig": {"effort": "low"}}, {"effort": "low"}),
    ],
)  # fmt: skip
def test_thinking(members: Any, made: Any) -> None:
    assert told(**members)["reasoning"] == made
    assert incoming(**members).lost == ()


def test_top_k_and_what_else_is_for_the_model_alone() -> None:
    fields = {"top_k": 5, "x": 1, "thinking": 3, "output_config": 1, "reasoningConfig": 1, "inferenceConfig": {}}  # fmt: skip
    found = incoming(additionalModelRequestFields=fields)

    assert found.members["top_k"] == b"5"
    assert found.lost == tuple(f"additionalModelRequestFields.{n}" for n in fields if n != "top_k")
    nova = told(additionalModelRequestFields={"inferenceConfig": {"topK": 7}})
    assert nova["top_k"] == 7


def test_an_answer_by_a_schema() -> None:
    schema = {"schema": '{"type":"object"}', "name": "fact", "description": "So."}
    form = {"type": "json_schema", "structure": {"jsonSchema": schema}}

    assert told(outputConfig={"textFormat": form})["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "fact", "schema": {"type": "object"}, "description": "So."},
    }


def test_what_chat_has_not_is_named() -> None:
    found = incoming(
        guardrailConfig={"guardrailIdentifier": "g", "guardrailVersion": "1"},
        requestMetadata={"a": "b"},
        performanceConfig={"latency": "optimized"},
        inferenceConfig={"topA": 1},
        toolConfig={"tools": [{"systemTool": {"name": "x"}}]},
        promptVariables=None,
    )

    assert found.lost == (
        "guardrailConfig",
        "requestMetadata",
        "performanceConfig",
        "inferenceConfig.topA",
        "toolConfig.tools.systemTool",
    )


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": 5}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": 5}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"toolResult": {}}]}]}, "messages[0].content[0].toolResult.toolUseId"),
        ({"messages": [{"role": "assistant", "content": [{"toolUse": {"name": "x", "input": [1]}}]}]}, "messages[0].content[0].toolUse.input"),
        ({"inferenceConfig": 5}, "inferenceConfig"),
        ({"toolConfig": {"tools": [{"toolSpec": {}}]}}, "toolConfig.tools[0].toolSpec.name"),
        ({"toolConfig": {"tools": [{"toolSpec": SPEC}], "toolChoice": {"x": 1}}}, "toolConfig.toolChoice"),
        ({"outputConfig": {"textFormat": {}}}, "outputConfig.textFormat"),
        ({"outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}}}, "outputConfig.textFormat"),
    ],
)  # fmt: skip
def test_wrong_shapes_are_refused_with_their_place(members: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        incoming(**members)

    assert caught.value.param == param


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(BadRequest, match="Invalid JSON"):
        read_converse_request({"messages": b"["}, "m")


@pytest.mark.parametrize("given_input", [b"{}", b'{"converse":5}', b'{"invokeModel":{}}', b"5"])
def test_a_count_is_of_a_conversation(given_input: bytes) -> None:
    with pytest.raises(BadRequest, match=r"input\.converse is required"):
        read_count_request({"input": given_input}, "m")


def test_a_count() -> None:
    body = {"converse": {"messages": [HI]}}

    found = read_count_request({"input": json.dumps(body).encode()}, "m")

    assert json.loads(found.members["messages"]) == [{"role": "user", "content": "Hi"}]


# There and back

TEXT = st.text(min_size=1, max_size=10).filter(str.strip)
INPUT = st.dictionaries(st.text(max_size=5), st.integers(0, 99) | st.text(max_size=5), max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> list[Any]:
    """Turns as Converse wants them."""
    turns: list[Any] = [{"role": "user", "content": [{"text": draw(TEXT)}]}]
    for number in range(draw(st.integers(0, 3))):
        call = {"toolUseId": f"c{number}", "name": "look", "input": draw(INPUT)}
        said: list[Any] = [{"text": draw(TEXT)}, {"toolUse": call}]
        if draw(st.booleans()):
            thought = {"text": draw(TEXT), "signature": "s"}
            said.insert(0, {"reasoningContent": {"reasoningText": thought}})
        result = {
            "toolUseId": f"c{number}",
            "content": [{"json": draw(INPUT)}],
            "status": "success",
        }
        image = {"image": {"format": "png", "source": {"bytes": PNG}}}
        answers: list[Any] = [{"toolResult": result}, {"text": draw(TEXT)}, image]
        turns += [{"role": "assistant", "content": said}, {"role": "user", "content": answers}]
    return turns


@given(conversations())
def test_a_conversation_there_and_back_is_the_same(turns: list[Any]) -> None:
    there = incoming(
        messages=turns, system=[{"text": "Be kind."}], inferenceConfig={"maxTokens": 9}
    )
    call = Call(
        id="1",
        operation=Operation.CHAT,
        stream=False,
        target=Target("bedrock", "m"),
        members=there.members,
    )

    back = json.loads(encode_converse(call, "meta.llama3", "bedrock").body)

    assert there.lost == ()
    assert back["messages"] == turns
    assert back["system"] == [{"text": "Be kind."}]


# Telling

FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="openai",
    model_requested="gpt-5",
    sent_s=1.0,
    received_s=1.25,
    dialect=Dialect.BEDROCK,
)


def answered(message: Any, finish: str = "stop", usage: Any = None) -> Any:
    value = {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}
    body = tell_converse(Answer(value=value, body=b"{}"), FACTS)
    parsed(body)
    return json.loads(body)


def test_an_answer() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 4, "cached_write_tokens": 2}}  # fmt: skip

    assert answered({"content": "Hello"}, usage=usage) == {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": 3,
            "outputTokens": 3,
            "totalTokens": 12,
            "cacheReadInputTokens": 4,
            "cacheWriteInputTokens": 2,
        },
        "metrics": {"latencyMs": 250},
    }


def function(arguments: str, call_id: str | None = "c1", name: str = "look") -> Any:
    return {"id": call_id, "function": {"name": name, "arguments": arguments}}


def test_the_order_of_an_answer() -> None:
    message = {
        "reasoning": "Hm",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm", "signature": "s"},
            {"type": "reasoning.encrypted", "data": "not base64!"},
            {"type": "reasoning.text", "text": ""},
        ],
        "content": "Hello",
        "tool_calls": [function('{"z":1,"a":1.0}'), function("[]", None), function("{", name="")],
    }

    made = answered(message, "tool_calls")

    *words, one, two = made["output"]["message"]["content"]
    assert words == [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "bm90IGJhc2U2NCE="}},
        {"text": "Hello"},
    ]
    assert one == {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"z": 1, "a": 1.0}}}
    assert two["toolUse"]["input"] == {}
    assert two["toolUse"]["toolUseId"].startswith("tooluse_")


def test_plain_reasoning_and_a_refusal() -> None:
    made = answered({"reasoning_content": "Hm", "refusal": "No."}, "content_filter")

    assert made["output"]["message"]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm"}}},
        {"text": "No."},
    ]
    assert made["stopReason"] == "content_filtered"


@pytest.mark.parametrize(
    ("finish", "calls", "stop"),
    [
        ("stop", [], "end_turn"),
        ("stop", [function("{}")], "tool_use"),
        ("tool_calls", [function("{}")], "tool_use"),
        ("function_call", [], "tool_use"),
        ("length", [function("{}")], "max_tokens"),
        ("unheard", [], "end_turn"),
        (None, [], "end_turn"),
    ],
)
def test_ends(finish: Any, calls: Any, stop: str) -> None:
    assert answered({"content": "x", "tool_calls": calls}, finish)["stopReason"] == stop


@pytest.mark.parametrize("choices", [None, [], [5], [{"message": None}]])
def test_an_answer_without_a_message_says_nothing(choices: Any) -> None:
    body = tell_converse(Answer(value={"choices": choices}, body=b"{}"), FACTS)

    assert json.loads(body)["output"]["message"]["content"] == []


def test_a_count_told() -> None:
    answer = Answer(value={"input_tokens": 5}, body=b"")

    assert tell_token_count(answer, FACTS) == b'{"inputTokens":5}'
    with pytest.raises(UpstreamError):
        tell_token_count(Answer(value={}, body=b""), FACTS)


def streamed(*deltas: Any, finish: str = "stop", usage: bytes = b"null") -> list[Any]:
    teller = ConverseTeller(FACTS)
    out: list[bytes] = []
    for delta in deltas:
        chunk = {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        assert teller.tell(chunk, b"", 1.1, out) is None
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    teller.tell(last, b"", 1.1, out)
    teller.finish({}, usage, 1.5, out)
    assert teller.count == len(out)
    return events_of(b"".join(out))


def test_a_stream() -> None:
    usage = b'{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}'

    events = streamed({"role": "assistant", "content": ""}, {"content": "Hi"}, usage=usage)

    assert events == [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {
            "metadata": {
                "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10},
                "metrics": {"latencyMs": 500},
            }
        },
    ]


def call_delta(index: int, arguments: str, call_id: str = "") -> Any:
    named = {"id": call_id} if call_id else {}
    told_function = {"arguments": arguments} | ({"name": "look"} if call_id else {})
    return {"tool_calls": [{"index": index, **named, "function": told_function}]}


def test_a_stream_of_everything_has_its_blocks_one_after_another() -> None:
    events = streamed(
        {"reasoning_details": [{"index": 0, "text": "Hm"}], "reasoning": "Hm"},
        {"reasoning_details": [{"index": 0, "signature": "s"}]},
        {"reasoning_details": [{"index": 1, "type": "reasoning.encrypted", "data": "ZGF0YQ=="}]},
        {"content": "So."},
        call_delta(0, "", "c1"),
        call_delta(1, "", "c2"),
        call_delta(0, '{"a":1}'),
        call_delta(1, "{}"),
        finish="tool_calls",
    )

    deltas = [(e["contentBlockDelta"]["contentBlockIndex"], e["contentBlockDelta"]["delta"]) for e in events if "contentBlockDelta" in e]  # fmt: skip
    starts = [e["contentBlockStart"] for e in events if "contentBlockStart" in e]
    assert deltas == [
        (0, {"reasoningContent": {"text": "Hm"}}),
        (0, {"reasoningContent": {"signature": "s"}}),
        (1, {"reasoningContent": {"redactedContent": b"data"}}),
        (2, {"text": "So."}),
        (3, {"toolUse": {"input": '{"a":1}'}}),
        (4, {"toolUse": {"input": "{}"}}),
    ]
    assert starts == [
        {"contentBlockIndex": 3, "start": {"toolUse": {"toolUseId": "c1", "name": "look"}}},
        {"contentBlockIndex": 4, "start": {"toolUse": {"toolUseId": "c2", "name": "look"}}},
    ]
    stops = [e["contentBlockStop"]["contentBlockIndex"] for e in events if "contentBlockStop" in e]
    assert stops == [0, 1, 2, 3, 4]
    assert events[-2] == {"messageStop": {"stopReason": "tool_use"}}


def test_a_stream_of_invoke_has_anthropics_events_in_frames() -> None:
    teller = InvokeTeller(attrs.evolve(FACTS, dialect=Dialect.INVOKE))
    out: list[bytes] = []
    teller.tell({"choices": [{"index": 0, "delta": {"content": "Hi"}}]}, b"", 1.1, out)
    teller.finish({}, b"null", 1.5, out)

    events = events_of(b"".join(out), "InvokeModelWithResponseStream")

    kinds = [json.loads(event["chunk"]["bytes"])["type"] for event in events]
    assert kinds == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip


def test_an_exception_is_what_botocore_raises() -> None:
    frame = exception_frame("throttlingException", b'{"message":"slow"}')

    with pytest.raises(EventStreamError, match=r"\(throttlingException\).*slow"):
        events_of(frame)
    assert len(FrameDecoder().feed(frame)) == 1
