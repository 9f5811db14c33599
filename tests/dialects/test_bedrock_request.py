"""A chat request in Converse's words: row for row, and nothing that botocore would not have sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.dialects.bedrock_fields import FIELDS, Family, family_of
from bifrost.dialects.bedrock_request import encode_converse, encode_count, encode_native
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Target
from dialects.converse import problems

if TYPE_CHECKING:
    from bifrost.dialects.openai_edit import Encoded

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS = "us.anthropic.claude-opus-4-6-v1"
NOVA = "amazon.nova-pro-v1:0"
LLAMA = "meta.llama3-1-70b-instruct-v1:0"
HI = {"role": "user", "content": "Hi"}
SAID = {"role": "user", "content": [{"text": "Hi"}]}
PNG = "iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
MARK = {"type": "ephemeral"}
POINT = {"cachePoint": {"type": "default"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def spec(name: str = "look", description: str = "Function tool", **schema: Any) -> Any:
    return {
        "toolSpec": {
            "name": name,
            "description": description,
            "inputSchema": {"json": schema or {"type": "object"}},
        }
    }


def call_of(*, stream: bool = False, caller: Caller | None = None, **members: Any) -> Call:
    members.setdefault("messages", [HI])
    return Call(
        id="1",
        operation=Operation.CHAT,
        stream=stream,
        target=Target("bedrock", "m"),
        members={name: json.dumps(value).encode() for name, value in members.items()},
        caller=caller or Caller(),
    )


def encode(model: str = CLAUDE, caller: Caller | None = None, **members: Any) -> Encoded:
    sent = encode_converse(call_of(caller=caller, **members), model, "bedrock")
    assert problems(json.loads(sent.body), model) == ""
    return sent


def body_of(model: str = CLAUDE, **members: Any) -> Any:
    return json.loads(encode(model, **members).body)


def user(*parts: Any) -> Any:
    """The blocks of a user's message with ``parts``."""
    [message] = body_of(messages=[{"role": "user", "content": list(parts)}])["messages"]
    return message["content"]


def asked(name: str = "look", call_id: str = "c1", arguments: str = "{}") -> Any:
    function = {"name": name, "arguments": arguments}
    call = {"id": call_id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def result(content: Any = "done", call_id: str = "c1") -> Any:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_the_least() -> None:
    assert body_of() == {"messages": [SAID]}


# System


def test_all_system_messages_are_kept_and_developers_are_among_them() -> None:
    body = body_of(
        messages=[
            {"role": "system", "content": "One."},
            {"role": "developer", "content": [{"type": "text", "text": "Two.", "cache_control": MARK}]},
            HI,
            {"role": "system", "content": "Three."},
        ]
    )  # fmt: skip

    assert body["system"] == [{"text": "One."}, {"text": "Two."}, POINT, {"text": "Three."}]
    assert body["messages"] == [SAID]


def test_a_picture_for_the_system_is_lost_and_named() -> None:
    sent = encode(messages=[{"role": "system", "content": [IMAGE]}, HI])

    assert sent.dropped == ("messages.content.image",)


# Content blocks


@pytest.mark.parametrize(
    ("part", "blocks"),
    [
        ({"type": "text", "text": "Hi"}, [{"text": "Hi"}]),
        ({"type": "text", "text": "Hi", "cache_control": MARK}, [{"text": "Hi"}, POINT]),
        (
            {"type": "text", "text": "Hi", "cache_control": {**MARK, "ttl": "1h"}},
            [{"text": "Hi"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        ),
        ({"cachePoint": {"type": "default"}}, [POINT]),
        (IMAGE, [{"image": {"format": "png", "source": {"bytes": PNG}}}]),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}},
            [{"image": {"format": "jpeg", "source": {"bytes": PNG}}}],
        ),
        ({**IMAGE, "cache_control": MARK}, [{"image": {"format": "png", "source": {"bytes": PNG}}}, POINT]),
    ],
)  # fmt: skip
def test_parts(part: Any, blocks: Any) -> None:
    assert user({"type": "text", "text": "See"}, part) == [{"text": "See"}, *blocks]


@pytest.mark.parametrize(
    ("file", "document"),
    [
        (
            {"filename": "My  report_(v2).pdf", "file_data": f"data:application/pdf;base64,{PNG}"},
            {"name": "My report (v2)", "format": "pdf", "source": {"bytes": PNG}},
        ),
        ({"file_data": PNG}, {"name": "document", "format": "pdf", "source": {"bytes": PNG}}),
        (
            {"filename": "../a.XLSX", "file_data": PNG},
            {"name": "a", "format": "xlsx", "source": {"bytes": PNG}},
        ),
        (
            {"file_data": "Hello", "file_type": "text/plain"},
            {"name": "document", "format": "txt", "source": {"bytes": "SGVsbG8="}},
        ),
        (
            {"file_url": "s3://my-bucket/deep/notes.md"},
            {"name": "document", "format": "md", "source": {"s3Location": {"uri": "s3://my-bucket/deep/notes.md"}}},
        ),
    ],
)  # fmt: skip
def test_documents(file: Any, document: Any) -> None:
    blocks = user({"type": "text", "text": "Read"}, {"type": "file", "file": file})

    assert blocks == [{"text": "Read"}, {"document": document}]


def test_citations_and_a_mark_of_a_document() -> None:
    part = {
        "type": "file",
        "file": {"file_data": PNG},
        "citations": {"enabled": True},
        "cache_control": MARK,
    }

    [_, document, point] = user({"type": "text", "text": "Read"}, part)

    assert document["document"]["citations"] == {"enabled": True}
    assert point == POINT


def test_documents_of_one_name_get_names_of_their_own() -> None:
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": PNG}}

    blocks = user({"type": "text", "text": "Read"}, file, file, file)

    names = [block["document"]["name"] for block in blocks[1:]]
    assert len(set(names)) == 3
    assert names[0] == "a"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"type": "image_url", "image_url": {"url": "https://x/y.png"}}, "only base64-encoded images"),
        ({"type": "image_url", "image_url": {"url": f"data:image/tiff;base64,{PNG}"}}, "one of png"),
        ({"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}, "audio input"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "only base64-encoded documents"),
        ({"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}}, "only base64-encoded documents"),
        ({"type": "file", "file": {"file_url": "https://x/y.pdf"}}, "only base64-encoded documents"),
        ({"type": "file", "file": {"file_data": PNG, "filename": "a.exe"}}, "one of pdf"),
        ({"type": "file", "file": {"file_data": PNG}}, "a document needs a text"),
    ],
)  # fmt: skip
def test_parts_that_converse_has_no_block_for_are_refused_with_their_place(
    part: Any, text: str
) -> None:
    with pytest.raises(BadRequest, match=text) as caught:
        encode(messages=[{"role": "user", "content": [part]}])

    assert str(caught.value.param).startswith("messages[0]")


# The order of turns


def test_adjacent_messages_of_one_role_are_one_and_blank_ones_none() -> None:
    body = body_of(
        messages=[
            HI,
            {"role": "user", "content": " \n"},
            {"role": "user", "content": "there"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": ""},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            HI,
        ]
    )

    assert body["messages"] == [
        {"role": "user", "content": [{"text": "Hi"}, {"text": "there"}]},
        {"role": "assistant", "content": [{"text": "Hello"}, {"text": "No."}]},
        SAID,
    ]


def test_a_run_of_results_is_one_message_and_comes_before_what_was_said_meanwhile() -> None:
    two = asked()
    two["tool_calls"] += asked("look", "c2", '{"b": 1, "a": [1.0, 2]}')["tool_calls"]
    body = body_of(
        messages=[
            HI,
            two,
            {"role": "user", "content": "Quick!"},
            result("one"),
            result([{"type": "text", "text": "two", "cache_control": MARK}], "c2"),
        ]
    )

    assert body["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "c1", "name": "look", "input": {}}},
        {"toolUse": {"toolUseId": "c2", "name": "look", "input": {"b": 1, "a": [1.0, 2]}}},
    ]
    assert body["messages"][2:] == [
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "one"}], "status": "success"}},
                {"toolResult": {"toolUseId": "c2", "content": [{"text": "two"}], "status": "success"}},
                POINT,
                {"text": "Quick!"},
            ],
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        ('{"b": 1, "a": 2}', [{"json": {"b": 1, "a": 2}}]),
        ("[1, 2]", [{"json": {"results": [1, 2]}}]),
        ("3", [{"json": {"value": 3}}]),
        ("true", [{"json": {"value": True}}]),
        ("done", [{"text": "done"}]),
        ("", [{"text": "(empty)"}]),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], [{"text": "ab"}]),
        ([{"type": "text", "text": "a"}, IMAGE], [{"text": "a"}, {"image": {"format": "png", "source": {"bytes": PNG}}}]),
    ],
)  # fmt: skip
def test_what_a_tool_said(content: Any, blocks: Any) -> None:
    body = body_of(messages=[HI, asked(), result(content)])

    assert body["messages"][2]["content"][0]["toolResult"]["content"] == blocks


def test_arguments_go_as_they_came() -> None:
    arguments = '{"z": 1, "a": {"y": 1e2, "b": 12345678901234567890123}}'

    sent = encode(messages=[HI, asked(arguments=arguments), result()])

    assert arguments.encode() in sent.body


def test_an_id_that_converse_does_not_take_is_another_in_call_and_result() -> None:
    odd = "call/" + "x" * 80

    body = body_of(messages=[HI, asked(call_id=odd), result(call_id=odd)])

    [use] = body["messages"][1]["content"]
    [answered] = body["messages"][2]["content"]
    assert use["toolUse"]["toolUseId"] == answered["toolResult"]["toolUseId"]


@pytest.mark.parametrize(
    ("messages", "text", "param"),
    [
        ([{"role": "system", "content": "x"}], "something from the user", "messages"),
        ([{"role": "assistant", "content": "x"}, HI], "must start with a user", "messages[0]"),
        ([HI, asked()], "have no results", "messages[1]"),
        ([HI, asked(), HI], "no result for the tool call 'c1'", "messages[2]"),
        ([HI, asked(), result(call_id="c2")], "no result for the tool call 'c1'", "messages[2]"),
        ([HI, asked(), result(), result()], "a result of no tool call", "messages[2]"),
        ([HI, result()], "a result of no tool call", "messages[0]"),
        ([HI, asked(), {"role": "tool", "content": "x"}], "tool_call_id is required", "messages[2].tool_call_id"),
        ([HI, asked(call_id="")], "id is required", "messages[1].tool_calls[0].id"),
        ([HI, asked(arguments="{")], "must be a JSON object", "messages[1].tool_calls[0].function.arguments"),
        ([HI, asked(arguments="[]")], "must be a JSON object", "messages[1].tool_calls[0].function.arguments"),
        ([HI, asked(name="a b")], "a tool's name", "messages[1].tool_calls[0]"),
    ],
)  # fmt: skip
def test_conversations_that_converse_refuses(messages: Any, text: str, param: str) -> None:
    with pytest.raises(BadRequest, match=text) as caught:
        encode(messages=messages)

    assert caught.value.param == param


def test_a_custom_tool_is_described_as_the_others_are() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}}

    body = body_of(messages=[HI, {"role": "assistant", "tool_calls": [call]}, result(call_id="c")])

    assert body["messages"][1]["content"][0]["toolUse"]["input"] == {"input": "y"}
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "x"


def test_thinking_comes_first_and_byte_for_byte() -> None:
    said = asked()
    said |= {
        "content": "Let me look.",
        "reasoning": "Hm\n…",
        "reasoning_details": [
            {"index": 0, "type": "reasoning.text", "text": "Hm\n…", "signature": "s=="},
            {"index": 1, "type": "reasoning.encrypted", "data": "ZGF0YQ=="},
        ],
    }

    sent = encode(messages=[HI, said, result()])

    assert json.loads(sent.body)["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm\n…", "signature": "s=="}}},
        {"reasoningContent": {"redactedContent": "ZGF0YQ=="}},
        {"text": "Let me look."},
        {"toolUse": {"toolUseId": "c1", "name": "look", "input": {}}},
    ]
    assert sent.dropped == ()


@pytest.mark.parametrize("limit", [{}, {"temperature": 0.5}])
@pytest.mark.parametrize("wish", [{"reasoning_effort": "low"}, {"reasoning": {"max_tokens": 2000}}])
def test_a_loop_that_began_without_thoughts_goes_on_without(wish: Any, limit: Any) -> None:
    """Claude refuses a turn that is to be thought in, and begins with a call."""
    sent = encode(messages=[HI, asked(), result()], **wish, **limit)
    later = encode(messages=[HI, asked(), result(), HI], **wish)
    begun = encode(messages=[HI, {"role": "assistant", "content": "So"}], **wish)

    body = json.loads(sent.body)
    assert "additionalModelRequestFields" not in body
    assert body.get("inferenceConfig", {}) == limit
    assert sent.dropped == begun.dropped == later.dropped == ("reasoning",)


def test_what_needs_no_thoughts_before_calls_is_left() -> None:
    loop: Any = [HI, asked(), result()]
    adaptive = body_of(OPUS, messages=loop, reasoning_effort="low")
    off = body_of(messages=loop, reasoning_effort="none")
    after = body_of(
        messages=[*loop, {"role": "assistant", "content": "So."}, HI], reasoning_effort="low"
    )

    assert adaptive["additionalModelRequestFields"]["thinking"] == {"type": "adaptive"}
    assert off["additionalModelRequestFields"]["thinking"] == {"type": "disabled"}
    assert after["additionalModelRequestFields"]["thinking"]["type"] == "enabled"


@pytest.mark.parametrize(
    ("said", "dropped"),
    [
        ({"reasoning": "Hm"}, ("messages.reasoning",)),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]}, ("messages.reasoning_details",)),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm"}]}, ("messages.reasoning_details",)),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAAAABx"}]}, ("messages.reasoning_details",)),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "AbC=", "id": "tool_call_c1"}]}, ("messages.reasoning_details",)),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "Hm", "signature": "s==", "format": "google-gemini-v1"}]}, ("messages.reasoning_details",)),
        ({"name": "Ann"}, ("messages.name",)),
    ],
)  # fmt: skip
def test_what_of_another_models_turn_cannot_be_told_is_named(said: Any, dropped: Any) -> None:
    sent = encode(messages=[HI, {"role": "assistant", "content": "Hello", **said}, HI])

    assert sent.dropped == dropped


# Parameters


def test_sampling() -> None:
    body = body_of(LLAMA, max_completion_tokens=9, temperature=0.5, top_p=0.9, stop=["a", "b"])

    assert body["inferenceConfig"] == {
        "maxTokens": 9,
        "temperature": 0.5,
        "topP": 0.9,
        "stopSequences": ["a", "b"],
    }


def test_claude_takes_temperature_or_top_p() -> None:
    both = encode(temperature=0.5, top_p=0.9)
    one = encode(top_p=0.9)

    assert json.loads(both.body)["inferenceConfig"] == {"temperature": 0.5}
    assert both.dropped == ("top_p",)
    assert json.loads(one.body)["inferenceConfig"] == {"topP": 0.9}


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", 1.5), ("top_p", 2), ("temperature", -1)]
)
def test_what_converse_has_no_room_for_is_refused(name: str, value: float) -> None:
    members: Any = {name: value}
    with pytest.raises(BadRequest, match=f"{name} must be between 0 and 1"):
        encode(**members)


@pytest.mark.parametrize(
    ("model", "fields", "dropped"),
    [
        (CLAUDE, {"top_k": 5}, ()),
        (NOVA, {"inferenceConfig": {"topK": 5}}, ()),
        (LLAMA, None, ("top_k",)),
    ],
)
def test_top_k(model: str, fields: Any, dropped: Any) -> None:
    sent = encode(model, top_k=5)

    assert json.loads(sent.body).get("additionalModelRequestFields") == fields
    assert sent.dropped == dropped


@pytest.mark.parametrize("top", [True, False])
def test_members_of_converse_by_their_own_names(top: bool) -> None:
    own = {
        "guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "1"},
        "performanceConfig": {"latency": "optimized"},
        "promptVariables": {"a": {"text": "b"}},
        "requestMetadata": {"team": "x"},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }

    sent = encode(**(own if top else {"extra_params": own}))

    assert json.loads(sent.body) == {"messages": [SAID], **own}
    assert sent.dropped == ()


@pytest.mark.parametrize(
    "name", ["additionalModelRequestFields", "additionalModelRequestFieldPaths"]
)
def test_fields_for_the_model_merge_with_reasoning(name: str) -> None:
    body = body_of(
        reasoning_effort="low",
        max_tokens=4096,
        extra_params={name: {"anthropic_beta": ["x"], "thinking": {"display": "omitted"}}},
    )

    assert body["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 1484, "display": "omitted"},
        "anthropic_beta": ["x"],
    }


@pytest.mark.parametrize(
    ("tier", "sent"), [("auto", None), ("default", {"type": "default"}), ("flex", {"type": "flex"})]
)
def test_service_tier(tier: str, sent: Any) -> None:
    assert body_of(service_tier=tier).get("serviceTier") == sent


def test_a_tier_that_is_none_is_refused() -> None:
    with pytest.raises(BadRequest, match="service_tier must be one of auto, default, flex"):
        encode(service_tier="scale")


DROPPED: dict[str, Any] = {
    "audio": {"voice": "x"},
    "frequency_penalty": 1,
    "logit_bias": {"1": 2},
    "logprobs": True,
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": 1,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "safety_identifier": "s",
    "seed": 1,
    "store": True,
    "top_logprobs": 2,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
    "unheard_of": 1,
}


def test_what_converse_has_not_is_dropped_and_named() -> None:
    sent = encode(**DROPPED)

    assert json.loads(sent.body) == {"messages": [SAID]}
    assert set(sent.dropped) == set(DROPPED)


def test_or_refused() -> None:
    with pytest.raises(BadRequest, match="bedrock does not take: seed"):
        encode(seed=1, caller=Caller(strict=True))


def test_extra_params_go_through_if_asked() -> None:
    sent = encode(
        extra_params={"serviceTier": {"type": "flex"}},
        requestMetadata={"a": "b"},
        caller=Caller(passthrough_extra_params=True),
    )

    assert json.loads(sent.body)["serviceTier"] == {"type": "flex"}
    assert sent.dropped == ()


def test_every_field_of_openai_has_its_fate() -> None:
    spec = """audio frequency_penalty logit_bias logprobs max_completion_tokens metadata modalities parallel_tool_calls
    prediction presence_penalty prompt_cache_key prompt_cache_retention reasoning response_format safety_identifier seed
    service_tier stream_options stop store temperature top_logprobs top_p tool_choice tools user verbosity
    web_search_options max_tokens reasoning_effort reasoning_max_tokens n"""

    assert set(spec.split()) <= set(FIELDS)


# Tools


def test_tools() -> None:
    full = {
        "type": "function",
        "function": {
            "name": "find",
            "description": "Finds.",
            "parameters": {"type": "object", "properties": {"z": {}, "a": {}}, "$defs": {}},
            "strict": True,
        },
        "cache_control": MARK,
    }

    sent = encode(tools=[TOOL, full, {"type": "web_search"}])

    tools = json.loads(sent.body)["toolConfig"]
    schema = full["function"]["parameters"]  # type: ignore[index]  # a literal of many kinds
    assert tools == {"tools": [spec(), spec("find", "Finds.", **schema), POINT]}
    assert list(tools["tools"][1]["toolSpec"]["inputSchema"]["json"]["properties"]) == ["z", "a"]
    assert sent.dropped == ("tools", "tools.function.strict")


def test_nova_has_no_cache_points_among_tools() -> None:
    sent = encode(NOVA, tools=[{**TOOL, "cache_control": MARK}])

    assert json.loads(sent.body)["toolConfig"] == {"tools": [spec()]}
    assert sent.dropped == ("tools.cache_control",)


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
    ],
)
def test_a_schema_is_always_one_of_an_object(parameters: Any, schema: Any) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": parameters}}

    [sent] = body_of(tools=[tool])["toolConfig"]["tools"]

    assert sent["toolSpec"]["inputSchema"]["json"] == schema


def test_a_schema_of_something_else_is_refused() -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "array"}}}
    with pytest.raises(BadRequest, match="must be the schema of an object"):
        encode(tools=[tool])


OTHER = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("choice", "names", "sent"),
    [
        ("auto", ["look", "other"], None),
        ("none", [], None),
        ("required", ["look", "other"], {"any": {}}),
        ("any", ["look", "other"], {"any": {}}),
        ({"type": "function", "function": {"name": "other"}}, ["look", "other"], {"tool": {"name": "other"}}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}},
            ["other"],
            {"any": {}},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "other"}}]}},
            ["other"],
            None,
        ),
    ],
)  # fmt: skip
def test_tool_choice(choice: Any, names: list[str], sent: Any) -> None:
    config = body_of(tools=[TOOL, OTHER], tool_choice=choice).get("toolConfig", {"tools": []})

    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == names
    assert config.get("toolChoice") == sent


def test_a_choice_of_a_custom_tool_is_lost_and_one_of_no_tool_refused() -> None:
    sent = encode(tools=[TOOL], tool_choice={"type": "custom", "custom": {"name": "x"}})
    assert sent.dropped == ("tool_choice",)

    with pytest.raises(BadRequest, match="there is no tool 'x'"):
        encode(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "x"}})


@pytest.mark.parametrize("members", [{}, {"tools": [TOOL], "tool_choice": "none"}])
def test_tools_of_the_conversation_are_described_if_nobody_else_does(members: Any) -> None:
    body = body_of(messages=[HI, asked(), result()], **members)

    assert body["toolConfig"] == {"tools": [spec(type="object", properties={})]}


# An answer by a schema


def test_a_schema_is_a_tool_that_has_to_be_called() -> None:
    schema = {"type": "object", "properties": {"z": {"type": "string"}}, "required": ["z"]}
    wanted = {"name": "my answer", "schema": schema, "description": "So."}

    body = body_of(tools=[TOOL], response_format={"type": "json_schema", "json_schema": wanted})

    assert body["toolConfig"] == {
        "tools": [spec("bf_so_my_answer", "So.", **schema), spec()],
        "toolChoice": {"tool": {"name": "bf_so_my_answer"}},
    }


def test_its_name_is_short_enough() -> None:
    wanted = {"name": "x" * 64, "schema": {"type": "object"}}
    body = body_of(response_format={"type": "json_schema", "json_schema": wanted})

    assert len(body["toolConfig"]["toolChoice"]["tool"]["name"]) == 64


@pytest.mark.parametrize(("kind", "dropped"), [("text", ()), ("json_object", ("response_format",))])
def test_other_forms(kind: str, dropped: Any) -> None:
    assert encode(response_format={"type": kind}).dropped == dropped


# Reasoning (every cell of the tables)


def thinking(budget: int) -> Any:
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


OFF = {"thinking": {"type": "disabled"}}


@pytest.mark.parametrize(
    ("model", "members", "fields", "limit"),
    [
        (CLAUDE, {}, None, None),
        (CLAUDE, {"reasoning_effort": "minimal", "max_tokens": 4096}, thinking(1100), 4096),
        (CLAUDE, {"reasoning_effort": "low", "max_tokens": 4096}, thinking(1484), 4096),
        (CLAUDE, {"reasoning_effort": "medium", "max_tokens": 4096}, thinking(2329), 4096),
        (CLAUDE, {"reasoning_effort": "high", "max_tokens": 4096}, thinking(3481), 4096),
        (CLAUDE, {"reasoning_effort": "low"}, thinking(10470), 64000),
        (CLAUDE, {"reasoning": {"max_tokens": 2000}}, thinking(2000), 64000),
        (CLAUDE, {"reasoning": {"max_tokens": 2000, "effort": "low"}, "max_tokens": 3000}, thinking(2000), 3000),
        (CLAUDE, {"reasoning": {"max_tokens": 1024}, "max_tokens": 1025}, thinking(1024), 1025),
        (CLAUDE, {"reasoning": {"max_tokens": -1}, "max_tokens": 3000}, thinking(1024), 3000),
        (CLAUDE, {"reasoning": {"max_tokens": 64000}}, thinking(64000), 65024),
        (CLAUDE, {"reasoning": {"max_tokens": 0}}, OFF, None),
        (CLAUDE, {"reasoning": {"enabled": True}, "max_tokens": 4096}, thinking(2329), 4096),
        (CLAUDE, {"reasoning": {}}, OFF, None),
        (CLAUDE, {"reasoning": {"enabled": False}}, OFF, None),
        (CLAUDE, {"reasoning_effort": "none"}, OFF, None),
        (OPUS, {"reasoning_effort": "minimal"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, 128000),
        (OPUS, {"reasoning_effort": "max", "max_tokens": 9}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, 9),
        (OPUS, {"reasoning": {"max_tokens": 2000}}, thinking(2000), 128000),
        (NOVA, {"reasoning_effort": "minimal"}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None),
        (NOVA, {"reasoning_effort": "medium", "max_tokens": 9}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, 9),
        (NOVA, {"reasoning_effort": "high", "max_tokens": 9}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}, None),
        (NOVA, {"reasoning": {"max_tokens": 500}, "max_tokens": 1000}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, 1000),
        (NOVA, {"reasoning": {"max_tokens": 0}}, {"reasoningConfig": {"type": "disabled"}}, None),
        (NOVA, {"reasoning_effort": "none"}, {"reasoningConfig": {"type": "disabled"}}, None),
        ("openai.gpt-oss-120b-1:0", {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}, None),
        ("openai.gpt-oss-120b-1:0", {"reasoning_effort": "none"}, {"reasoning_effort": "low"}, None),
        (LLAMA, {"reasoning": {"max_tokens": 2000}}, {"reasoning_config": {"type": "enabled", "budget_tokens": 2000}}, None),
        (LLAMA, {"reasoning": {"max_tokens": -1}}, {"reasoning_config": {"type": "enabled", "budget_tokens": 1024}}, None),
        (LLAMA, {"reasoning": {"max_tokens": 0}}, {"reasoning_config": {"type": "disabled"}}, None),
        (LLAMA, {"reasoning_effort": "none"}, {"reasoning_config": {"type": "disabled"}}, None),
    ],
)  # fmt: skip
def test_reasoning(model: str, members: Any, fields: Any, limit: int | None) -> None:
    body = body_of(model, **members)

    assert body.get("additionalModelRequestFields") == fields
    assert body.get("inferenceConfig", {}).get("maxTokens") == limit


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"reasoning": {"max_tokens": 1023}}, "reasoning.max_tokens must be >= 1024 for anthropic"),
        ({"reasoning": {"max_tokens": 2000}, "max_tokens": 2000}, "must be greater than 2000"),
        ({"reasoning_effort": "low", "max_tokens": 1024}, "must be greater than 1024"),
        ({"reasoning_effort": "low", "max_tokens": 1000}, "greater than 1024 for reasoning"),
        ({"reasoning_effort": "low", "tools": [TOOL], "tool_choice": "required"}, "tool_choice: no tool can be forced"),
        (
            {"reasoning_effort": "low", "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
            "response_format: no tool can be forced",
        ),
    ],
)  # fmt: skip
def test_thinking_that_there_is_no_room_for_is_refused(members: Any, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        encode(**members)


@pytest.mark.parametrize(
    ("model", "members", "dropped"),
    [
        (CLAUDE, {"reasoning_effort": "low", "temperature": 0.5, "top_k": 5}, ("temperature", "top_k")),
        (CLAUDE, {"reasoning_effort": "low", "temperature": 1}, ()),
        (CLAUDE, {"reasoning_effort": "low", "top_p": 0.5}, ("top_p",)),
        (CLAUDE, {"reasoning_effort": "low", "top_p": 0.95}, ()),
        (NOVA, {"reasoning_effort": "high", "temperature": 0.5, "top_p": 1, "max_tokens": 5}, ("max_completion_tokens", "temperature", "top_p")),
        (LLAMA, {"reasoning_effort": "low"}, ("reasoning_effort",)),
        (LLAMA, {"reasoning": {"effort": "low"}}, ("reasoning.effort",)),
    ],
)  # fmt: skip
def test_what_does_not_go_with_thinking_is_left_out_and_named(
    model: str, members: Any, dropped: Any
) -> None:
    assert encode(model, **members).dropped == dropped


@pytest.mark.parametrize(
    ("model", "family"),
    [
        (CLAUDE, Family.CLAUDE),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-haiku",
            Family.CLAUDE,
        ),
        (NOVA, Family.NOVA),
        ("openai.gpt-oss-20b-1:0", Family.GPT_OSS),
        (LLAMA, Family.OTHER),
    ],
)
def test_families(model: str, family: Family) -> None:
    assert family_of(model) is family


# The other ways in


def test_tokens_are_counted_of_a_responses_request() -> None:
    members: Any = {"input": "Hi", "instructions": "Be kind.", "reasoning": {"effort": "low"}}
    call = call_of(**members, messages=None)
    sent = encode_count(call, CLAUDE, "bedrock")

    body = json.loads(sent.body)
    assert body["input"]["converse"]["system"] == [{"text": "Be kind."}]
    assert set(body["input"]["converse"]) == {"messages", "system", "additionalModelRequestFields"}
    assert problems(body, CLAUDE, "CountTokens") == ""


def test_a_caller_of_converse_is_passed_on_as_he_spoke() -> None:
    call = call_of()
    members = {"messages": b'[ {"role": "user"} ]', "unheardOf": b"1.50"}
    native = Native(dialect=Dialect.BEDROCK, members=members)

    sent = encode_native(attrs.evolve(call, native=native), CLAUDE, "bedrock")

    assert sent.body == b'{"messages":[ {"role": "user"} ],"unheardOf":1.50}'
    assert encode_native(call, CLAUDE, "bedrock").body == b"{}"


def test_a_thought_that_nobody_signed_is_left_out_for_claude_and_named() -> None:
    thought = b'{"reasoningContent":{"reasoningText":{"text":"Hm"}}}'
    members = {"messages": b'[{"role":"assistant","content":[%b,{"text":"a"}]}]' % thought}
    asked = attrs.evolve(call_of(), native=Native(dialect=Dialect.BEDROCK, members=members))

    sent = encode_native(asked, CLAUDE, "bedrock")

    assert json.loads(sent.body)["messages"][0]["content"] == [{"text": "a"}]
    assert sent.dropped == ("messages.content.reasoningContent",)
    strict = attrs.evolve(asked, caller=Caller(strict=True))
    with pytest.raises(BadRequest, match="does not take"):
        encode_native(strict, CLAUDE, "bedrock")
    assert encode_native(strict, NOVA, "bedrock").dropped == ()
