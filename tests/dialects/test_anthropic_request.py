"""Chat requests as Messages requests: every row of what becomes of them, and nothing that Anthropic would refuse."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json import split_object
from bifrost.dialects.anthropic_fields import ANTHROPIC_FIELDS
from bifrost.dialects.anthropic_request import (
    ClaudeHost,
    encode_count,
    encode_messages,
    encode_native,
)
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Target
from system.anthropic_rules import complaint, signature_of

if TYPE_CHECKING:
    from bifrost.dialects.openai_edit import Encoded

MODEL = "claude-sonnet-4-5"
PNG = "iVBORw0KGgo="
HI = {"role": "user", "content": "Hi"}
HI_BLOCK = [{"type": "text", "text": "Hi"}]
MARK = {"type": "ephemeral", "ttl": "1h"}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells it",
        "parameters": {"type": "object", "properties": {"z": {"type": "string"}, "a": {}}},
    },
}
CALLED = {
    "role": "assistant",
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"z":"1"}'}}
    ],
}
ANSWERED = {"role": "tool", "tool_call_id": "c1", "content": "Sun"}
LISTED = (
    "audio, frequency_penalty, logit_bias, logprobs, max_completion_tokens, metadata, modalities, parallel_tool_calls,"
    " prediction, presence_penalty, prompt_cache_key, prompt_cache_retention, reasoning, response_format,"
    " safety_identifier, seed, service_tier, stop, store, temperature, top_logprobs, top_p, tool_choice, tools, user,"
    " verbosity, web_search_options"
)


def call(members: dict[str, Any], *, stream: bool = False, **caller: Any) -> Call:
    told = {"model": "anthropic/x", "messages": [HI], **members}
    return Call(
        id="1",
        operation=Operation.CHAT,
        stream=stream,
        target=Target("anthropic", MODEL),
        members={name: json.dumps(value).encode() for name, value in told.items()},
        caller=Caller(**caller),
    )


def encode(model: str = MODEL, **members: Any) -> Encoded:
    sent = encode_messages(call(members), model, "anthropic")
    assert complaint(json.loads(sent.body)) is None
    return sent


def body_of(model: str = MODEL, **members: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode(model, **members).body)
    return found


def content(*parts: Any, role: str = "user") -> Any:
    return body_of(messages=[{"role": role, "content": list(parts)}])["messages"][0]["content"]


def test_a_plain_request() -> None:
    assert body_of() == {
        "model": MODEL,
        "max_tokens": 64_000,
        "messages": [{"role": "user", "content": HI_BLOCK}],
    }


def test_every_listed_field_is_in_the_table() -> None:
    assert set(LISTED.split(", ")) <= set(ANTHROPIC_FIELDS)


@pytest.mark.parametrize(
    ("members", "sent"),
    [
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9, "max_tokens": 8}, {"max_tokens": 9}),
        ({"temperature": 0.5}, {"temperature": 0.5}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"stop": "x"}, {"stop_sequences": ["x"]}),
        ({"stop": ["x", "y"]}, {"stop_sequences": ["x", "y"]}),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"safety_identifier": "u"}, {"metadata": {"user_id": "u"}}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"service_tier": "standard_only"}, {"service_tier": "standard_only"}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"top_k": 5}, {"top_k": 5}),
        ({"extra_params": {"top_k": 5, "inference_geo": "us"}}, {"top_k": 5, "inference_geo": "us"}),
        ({"speed": "fast"}, {"speed": "fast"}),
        ({"cache_control": MARK}, {"cache_control": MARK}),
        ({"context_management": {"edits": []}}, {"context_management": {"edits": []}}),
        ({"response_format": {"type": "text"}}, {}),
        ({"n": 1, "store": False, "logprobs": False}, {}),
        ({"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}}),
    ],
)  # fmt: skip
def test_parameters(members: dict[str, Any], sent: dict[str, Any]) -> None:
    found = encode(**members)

    body = json.loads(found.body)
    assert body == {**body_of(), **sent}
    assert found.dropped == ()


@pytest.mark.parametrize(
    ("members", "dropped"),
    [
        ({"temperature": 0.5, "top_p": 0.5}, ("top_p",)),
        ({"temperature": 0.5, "reasoning_effort": "low"}, ("temperature",)),
        ({"temperature": 1, "top_p": 0.9, "reasoning_effort": "low"}, ("top_p",)),
        ({"top_k": 5, "reasoning_effort": "low"}, ("top_k",)),
        ({"stop": ["\n", "x"]}, ("stop",)),
        ({"user": "u", "safety_identifier": "v"}, ("safety_identifier",)),
        ({"service_tier": "flex"}, ("service_tier",)),
        ({"response_format": {"type": "json_object"}}, ("response_format",)),
        ({"extra_params": {"foo": 1}}, ("extra_params.foo",)),
        ({"thinking": {"type": "disabled"}, "reasoning": {"effort": "low"}}, ("reasoning",)),
        ({"tool_choice": "required"}, ("tool_choice",)),
        ({"foo": 1}, ("foo",)),
        *(({name: 2}, (name,)) for name, field in ANTHROPIC_FIELDS.items() if field.fate.value == "dropped"),
    ],
)  # fmt: skip
def test_what_is_dropped_is_named_and_refused_under_strict(
    members: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    assert encode(**members).dropped == dropped
    with pytest.raises(BadRequest, match="anthropic does not take"):
        encode_messages(call(members, strict=True), MODEL, "anthropic")


def test_extra_params_are_merged_where_the_caller_wants_it() -> None:
    wanted = {"extra_params": {"foo": 1, "top_k": 3}}

    sent = encode_messages(call(wanted, passthrough_extra_params=True), MODEL, "anthropic")

    assert json.loads(sent.body).items() >= {"foo": 1, "top_k": 3}.items()
    assert sent.dropped == ()


def test_models_since_4_7_take_no_sampling() -> None:
    sent = encode("claude-opus-4-7", temperature=0.5, top_k=1)

    assert {"temperature", "top_k"}.isdisjoint(json.loads(sent.body))
    assert sent.dropped == ("temperature",)


# Messages.


def test_all_of_the_system_is_kept_in_order() -> None:
    marked = [{"type": "text", "text": "Two", "cache_control": MARK}]
    system = [
        {"role": "system", "content": "One"},
        HI,
        {"role": "developer", "content": marked},
        {"role": "system", "content": ""},
    ]

    body = body_of(messages=system)

    assert body["system"] == [{"type": "text", "text": "One"}, *marked]
    assert body["messages"] == [{"role": "user", "content": HI_BLOCK}]


def test_one_text_of_the_system_is_a_string() -> None:
    assert body_of(messages=[{"role": "system", "content": "One"}, HI])["system"] == "One"


def test_a_mark_on_the_message_is_one_on_its_text() -> None:
    messages = [{"role": "system", "content": "One", "cache_control": MARK}, HI]

    assert body_of(messages=messages)["system"] == [
        {"type": "text", "text": "One", "cache_control": MARK}
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "text", "text": "a"}, {"type": "text", "text": "a"}),
        (
            {"type": "text", "text": "a", "cache_control": MARK},
            {"type": "text", "text": "a", "cache_control": MARK},
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}, "cache_control": MARK},
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}, "cache_control": MARK},
        ),
        (
            {"type": "file", "file": {"file_url": "https://x/a.pdf", "filename": "a.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}, "title": "a.pdf"},
        ),
        (
            {"type": "file", "file": {"file_data": "words", "file_type": "text/plain"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/csv;base64,YSxi"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        ),
        (
            {"type": "file", "file": {"file_data": PNG}, "citations": {"enabled": True}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PNG},
                "citations": {"enabled": True},
            },
        ),
        (
            {"type": "file", "file": {"file_data": f"data:image/png;base64,{PNG}"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        (
            {"type": "file", "file": {"file_id": "file_1"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        ),
    ],
)  # fmt: skip
def test_blocks(part: Any, block: Any) -> None:
    assert content(part) == [block]


def test_bedrocks_mark_is_one_on_the_block_before() -> None:
    point = {"cachePoint": {"type": "default"}}

    assert content({"type": "text", "text": "a"}, point) == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    ]
    sent = encode(messages=[{"role": "user", "content": [point, {"type": "text", "text": "a"}]}])
    assert sent.dropped == ("messages.content.cachePoint",)


@pytest.mark.parametrize(
    ("part", "dropped"),
    [
        ({"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}, "messages.content.input_audio"),
        ({"type": "image_url", "image_url": {"url": "https://x/y", "detail": "low"}}, "messages.content.image_url.detail"),
    ],
)  # fmt: skip
def test_parts_without_a_block_are_named(part: Any, dropped: str) -> None:
    words = {"type": "text", "text": "a"}

    assert encode(messages=[{"role": "user", "content": [part, words]}]).dropped == (dropped,)


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ({"type": "image_url", "image_url": {"url": f"data:image/tiff;base64,{PNG}"}}, "messages\\[0\\].content has an image of type 'image/tiff'"),
        ({"type": "image_url", "image_url": {"url": "gs://b/o"}}, "cannot fetch"),
        ({"type": "file", "file": {"file_data": f"data:application/zip;base64,{PNG}"}}, "a file of type 'application/zip'"),
        ({"type": "file", "file": {"file_data": "data:text/csv;base64,/w=="}}, "not UTF-8"),
    ],
)  # fmt: skip
def test_parts_that_cannot_be_sent_are_refused_with_their_place(part: Any, complaint: str) -> None:
    with pytest.raises(BadRequest, match=complaint):
        encode(messages=[{"role": "user", "content": [part]}])


def test_the_assistant_and_the_system_say_words_only() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://x/y"}}
    file = {"type": "file", "file": {"file_url": "https://x/y"}}
    messages = [
        {"role": "system", "content": [picture, {"type": "text", "text": "S"}]},
        HI,
        {"role": "assistant", "content": [file, {"type": "text", "text": "a"}]},
    ]

    sent = encode(messages=messages)

    assert sent.dropped == ("messages.content.image_url", "messages.content.file")


def test_messages_of_one_role_are_one_and_empty_ones_none() -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "  "},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": None, "refusal": "d \n"},
    ]

    told = [
        (m["role"], [b["text"] for b in m["content"]]) for m in body_of(messages=messages)["messages"]
    ]  # fmt: skip

    assert told == [("user", ["a", "b"]), ("assistant", ["c", "d"])]


@pytest.mark.parametrize(
    "messages", [[], [{"role": "system", "content": "x"}], [{"role": "user", "content": " "}]]
)
def test_nothing_said_is_refused(messages: Any) -> None:
    with pytest.raises(BadRequest, match="messages must have one"):
        encode(messages=messages)


def test_results_of_tools_go_together_in_order_and_first() -> None:
    two = {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": ""}}
    called = {
        "role": "assistant",
        "content": "Let me see",
        "tool_calls": [*CALLED["tool_calls"], two],
    }
    picture = [
        {"type": "text", "text": "Look", "cache_control": MARK},
        {"type": "image_url", "image_url": {"url": "https://x/y"}},
    ]
    messages = [
        HI,
        called,
        ANSWERED,
        {"role": "user", "content": "Well?"},
        {"role": "tool", "tool_call_id": "c2", "content": picture},
    ]  # fmt: skip

    _, assistant, user = body_of(messages=messages, tools=[WEATHER])["messages"]

    assert assistant["content"] == [
        {"type": "text", "text": "Let me see"},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"z": "1"}},
        {"type": "tool_use", "id": "c2", "name": "weather", "input": {}},
    ]
    assert user["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "Sun"},
        {
            "type": "tool_result",
            "tool_use_id": "c2",
            "content": [
                {"type": "text", "text": "Look", "cache_control": MARK},
                {"type": "image", "source": {"type": "url", "url": "https://x/y"}},
            ],
        },
        {"type": "text", "text": "Well?"},
    ]


def test_empty_results_and_marks_on_them() -> None:
    marked = {**ANSWERED, "cache_control": MARK}
    empty = {**ANSWERED, "content": ""}

    assert body_of(messages=[HI, CALLED, marked])["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "Sun", "cache_control": MARK}
    ]
    assert body_of(messages=[HI, CALLED, empty])["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1"}
    ]


def test_arguments_go_byte_for_byte() -> None:
    function = {"name": "f", "arguments": '{"b": 1.0, "a": 12345678901234567890123}'}
    called = {"role": "assistant", "tool_calls": [{"id": "c1", "function": function}]}

    sent = encode(messages=[HI, called, ANSWERED])

    assert b'"input":{"b": 1.0, "a": 12345678901234567890123}' in sent.body


def test_custom_calls_are_objects_of_their_text() -> None:
    called = {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "custom": {"name": "f", "input": "x"}}],
    }

    _, assistant, _ = body_of(messages=[HI, called, ANSWERED])["messages"]

    assert assistant["content"][0]["input"] == {"input": "x"}


@pytest.mark.parametrize(
    ("messages", "place", "complaint"),
    [
        ([HI, CALLED], "messages[1]", "that no message after it answers"),
        ([HI, CALLED, HI], "messages[1]", "that no message after it answers"),
        ([HI, ANSWERED], "messages[0]", "which the message before did not make"),
        ([HI, CALLED, {"role": "tool", "content": "x"}], "messages[2].tool_call_id", "is required"),
        (
            [HI, {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{"}}]}],
            "messages[1].tool_calls[0].function.arguments",
            "must be a JSON object",
        ),
        (
            [HI, {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "[]"}}]}],
            "messages[1].tool_calls[0].function.arguments",
            "must be a JSON object",
        ),
        (
            [HI, {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}],
            "messages[1].tool_calls[0].id",
            "is required",
        ),
    ],
)  # fmt: skip
def test_what_would_be_refused_is_refused_with_its_place(
    messages: Any, place: str, complaint: str
) -> None:
    with pytest.raises(BadRequest, match=complaint) as caught:
        encode(messages=messages)

    assert caught.value.param == place


def test_names_of_speakers_are_lost() -> None:
    assert encode(messages=[{**HI, "name": "Ann"}]).dropped == ("messages.name",)


# Thinking that comes back.


def thought(text: str, **more: Any) -> dict[str, Any]:
    return {
        "index": 0,
        "type": "reasoning.text",
        "text": text,
        "signature": signature_of(text),
        **more,
    }


@pytest.mark.parametrize(
    ("details", "blocks", "dropped"),
    [
        ([thought("hm")], [{"type": "thinking", "thinking": "hm", "signature": signature_of("hm")}], ()),
        ([thought("")], [{"type": "thinking", "thinking": "", "signature": signature_of("")}], ()),
        (
            [{"type": "reasoning.encrypted", "data": "Redacted1"}, thought("b", index=1)],
            [{"type": "redacted_thinking", "data": "Redacted1"}, {"type": "thinking", "thinking": "b", "signature": signature_of("b")}],
            (),
        ),
        (
            # As a stream told them, kept piece by piece.
            [
                {"index": 0, "type": "reasoning.text", "text": "h"},
                {"index": 0, "type": "reasoning.text", "text": "m"},
                {"index": 0, "type": "reasoning.text", "signature": signature_of("hm")},
                {"index": 1, "type": "reasoning.text", "text": "b"},
                {"index": 1, "type": "reasoning.text", "signature": signature_of("b")},
            ],
            [
                {"type": "thinking", "thinking": "hm", "signature": signature_of("hm")},
                {"type": "thinking", "thinking": "b", "signature": signature_of("b")},
            ],
            (),
        ),
        ([{"type": "reasoning.text", "text": "unsealed"}], [], ("messages.reasoning_details",)),
        ([{"type": "reasoning.summary", "summary": "s"}], [], ("messages.reasoning_details",)),
        ([thought("x", format="openai-responses-v1")], [], ("messages.reasoning_details",)),
        ([thought("x", format="anthropic-claude-v1")], [{"type": "thinking", "thinking": "x", "signature": signature_of("x")}], ()),
        ([{"type": "reasoning.encrypted", "data": "gAAAAABx"}], [], ("messages.reasoning_details",)),
        ([{"type": "reasoning.encrypted", "data": "AbC=", "id": "tool_call_c1"}], [], ("messages.reasoning_details",)),
        ([{"type": "reasoning.encrypted", "data": "AbC=", "id": "thought_signature"}], [], ("messages.reasoning_details",)),
    ],
)  # fmt: skip
def test_thoughts_come_first_as_they_were(details: Any, blocks: Any, dropped: Any) -> None:
    said = {"role": "assistant", "content": "a", "reasoning": "hm", "reasoning_details": details}

    sent = encode(messages=[HI, said, HI])

    found = json.loads(sent.body)["messages"][1]["content"]
    assert found == [*blocks, {"type": "text", "text": "a"}]
    assert sent.dropped == dropped


@pytest.mark.parametrize("asked", ["functions.weather:0", "call 1", "a/b+c=", "ü"])
def test_other_providers_ids_become_ones_that_are_taken(asked: str) -> None:
    function = {"name": "weather", "arguments": "{}"}
    tool_calls = [{"id": asked, "type": "function", "function": function}]
    called = {"role": "assistant", "tool_calls": tool_calls}

    found = body_of(messages=[HI, called, {**ANSWERED, "tool_call_id": asked}])["messages"]

    use, result = found[1]["content"][0]["id"], found[2]["content"][0]["tool_use_id"]
    assert use == result
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", use)


def test_thoughts_without_a_seal_are_lost() -> None:
    said = {"role": "assistant", "content": "a", "reasoning": "hm"}

    assert encode(messages=[HI, said, HI]).dropped == ("messages.reasoning",)


def test_thoughts_alone_are_no_turn() -> None:
    said = {"role": "assistant", "reasoning_details": [thought("x")]}

    assert len(body_of(messages=[HI, said])["messages"]) == 1


def test_a_tool_loop_begun_without_thoughts_goes_on_without() -> None:
    sent = encode(messages=[HI, CALLED, ANSWERED], reasoning_effort="low", tools=[WEATHER])

    assert "thinking" not in json.loads(sent.body)
    assert sent.dropped == ("reasoning",)


def test_a_tool_loop_with_thoughts_goes_on_thinking() -> None:
    called = {**CALLED, "reasoning_details": [thought("x")]}

    for messages in ([HI, called, ANSWERED], [HI, {"role": "assistant", "content": "a"}, HI]):
        sent = encode(messages=messages, reasoning_effort="low", tools=[WEATHER])
        assert json.loads(sent.body)["thinking"]["type"] == "enabled"
        assert sent.dropped == ()


# How much is thought.


@pytest.mark.parametrize(
    ("model", "members", "thinking", "effort", "max_tokens"),
    [
        (MODEL, {"reasoning_effort": "minimal", "max_tokens": 4096}, 1100, None, 4096),
        (MODEL, {"reasoning_effort": "low", "max_tokens": 4096}, 1484, None, 4096),
        (MODEL, {"reasoning_effort": "medium", "max_tokens": 4096}, 2329, None, 4096),
        (MODEL, {"reasoning_effort": "high", "max_tokens": 4096}, 3481, None, 4096),
        (MODEL, {"reasoning": {"enabled": True}, "max_tokens": 4096}, 2329, None, 4096),
        (MODEL, {"reasoning": {"max_tokens": 1024}}, 1024, None, 64_000),
        (MODEL, {"reasoning": {"max_tokens": -1}}, 1024, None, 64_000),
        (MODEL, {"reasoning": {"max_tokens": 64_000}}, 64_000, None, 65_024),
        (MODEL, {"reasoning": {"max_tokens": 2000, "effort": "high"}}, 2000, None, 64_000),
        (MODEL, {"reasoning_effort": "none"}, "disabled", None, 64_000),
        (MODEL, {"reasoning": {}}, "disabled", None, 64_000),
        (MODEL, {"reasoning": {"enabled": False, "effort": "high"}}, "disabled", None, 64_000),
        ("claude-opus-4-5", {"reasoning_effort": "high", "max_tokens": 4096}, 3481, "high", 4096),
        ("claude-opus-4-5", {"reasoning_effort": "minimal", "max_tokens": 4096}, 1100, "low", 4096),
        ("claude-opus-4-5", {"reasoning_max_tokens": 2000}, 2000, None, 64_000),
        ("claude-opus-4-6", {"reasoning_effort": "minimal"}, "adaptive", "low", 128_000),
        ("claude-opus-4-6", {"reasoning_effort": "max"}, "adaptive", "max", 128_000),
        ("claude-opus-4-6", {"reasoning_max_tokens": 2000}, 2000, None, 128_000),
        ("claude-opus-4-7", {"reasoning_effort": "high"}, "adaptive", "high", 4096),
        ("claude-opus-5", {"reasoning_max_tokens": 1024}, "adaptive", "low", 4096),
        ("claude-3-haiku-20240307", {"reasoning_effort": "high"}, 3481, None, 4096),
        (MODEL, {"thinking": {"type": "enabled", "budget_tokens": 64_000}}, 64_000, None, 65_024),
    ],
)  # fmt: skip
def test_how_much_is_thought(
    model: str, members: Any, thinking: int | str, effort: str | None, max_tokens: int
) -> None:
    body = body_of(model, **members)

    told: Any = {"type": thinking}
    if isinstance(thinking, int):
        told = {"type": "enabled", "budget_tokens": thinking}
    assert body["thinking"] == told
    assert body.get("output_config", {}).get("effort") == effort
    assert body["max_tokens"] == max_tokens


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"reasoning_max_tokens": 1023}, "reasoning.max_tokens must be >= 1024 for anthropic"),
        ({"reasoning_max_tokens": 0}, "reasoning.max_tokens must be >= 1024 for anthropic"),
        ({"reasoning_max_tokens": 2000, "max_tokens": 2000}, "must be greater than the budget"),
        ({"reasoning_effort": "low", "max_tokens": 1000}, "max_tokens must be greater than 1024"),
        ({"reasoning_effort": "low", "tools": [WEATHER], "tool_choice": "required"}, "cannot force a tool"),
    ],
)  # fmt: skip
def test_thoughts_that_cannot_be_had(members: Any, complaint: str) -> None:
    with pytest.raises(BadRequest, match=complaint):
        encode(**members)


# Tools.


def tools_in(*tools: Any, model: str = MODEL) -> Any:
    return body_of(model, tools=list(tools))["tools"]


def test_functions() -> None:
    bare = {"type": "function", "function": {"name": "f"}, "cache_control": MARK}
    typeless = {"type": "function", "function": {"name": "g", "parameters": {"properties": {}}}}

    made = tools_in(WEATHER, bare, typeless)

    assert made == [
        {
            "name": "weather",
            "description": "Tells it",
            "input_schema": WEATHER["function"]["parameters"],
        },
        {
            "name": "f",
            "input_schema": {"type": "object", "properties": {}},
            "cache_control": MARK,
        },
        {"name": "g", "input_schema": {"properties": {}, "type": "object"}},
    ]
    assert list(made[0]["input_schema"]["properties"]) == ["z", "a"]


def test_strictness_is_lost() -> None:
    strict = {"type": "function", "function": {"name": "f", "strict": True}}

    assert encode(tools=[strict]).dropped == ("tools.function.strict",)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ("any", {"type": "any"}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "tool", "name": "weather"}),
        ({"type": "custom", "custom": {"name": "x"}}, {"type": "auto"}),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"name": "weather"}]}, {"type": "auto"}),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"name": "weather"}]}, {"type": "any"}),
    ],
)  # fmt: skip
def test_choices(choice: Any, sent: Any) -> None:
    other = {"type": "function", "function": {"name": "other"}}

    body = body_of(tools=[WEATHER, other], tool_choice=choice)
    single = body_of(tools=[WEATHER, other], tool_choice=choice, parallel_tool_calls=False)

    assert body["tool_choice"] == sent
    is_allowed = isinstance(choice, dict) and choice["type"] == "allowed_tools"
    assert [t["name"] for t in body["tools"]] == ["weather", "other"][: 1 if is_allowed else 2]
    disabled = {} if choice == "none" else {"disable_parallel_tool_use": True}
    assert single["tool_choice"] == {**sent, **disabled}


def test_one_tool_at_a_time_without_a_choice() -> None:
    sent = {"type": "auto", "disable_parallel_tool_use": True}

    assert body_of(tools=[WEATHER], parallel_tool_calls=False)["tool_choice"] == sent
    assert "tool_choice" not in body_of(parallel_tool_calls=False, tool_choice="auto")


@pytest.mark.parametrize(
    ("tool", "model", "sent"),
    [
        ({"type": "bash_20250124", "name": "bash"}, MODEL, {"type": "bash_20250124", "name": "bash"}),
        ({"type": "web_search", "max_uses": 2, "filters": {"allowed_domains": ["x"]}}, MODEL,
         {"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "allowed_domains": ["x"]}),
        ({"type": "web_search", "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}}}, "claude-opus-4-6",
         {"type": "web_search_20260209", "name": "web_search", "user_location": {"type": "approximate", "city": "Oslo"}}),
        ({"type": "web_fetch", "max_uses": 1}, MODEL, {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 1}),
        ({"type": "computer_use_preview", "display_width": 8, "display_height": 6}, "claude-opus-4-5",
         {"type": "computer_20251124", "name": "computer", "display_width_px": 8, "display_height_px": 6}),
        ({"type": "computer_use_preview"}, MODEL, {"type": "computer_20250124", "name": "computer"}),
        ({"type": "code_interpreter"}, MODEL, {"type": "code_execution_20250825", "name": "code_execution"}),
        ({"type": "memory"}, MODEL, {"type": "memory_20250818", "name": "memory"}),
    ],
)  # fmt: skip
def test_tools_that_are_no_functions(tool: Any, model: str, sent: Any) -> None:
    assert tools_in(tool, model=model) == [sent]


def test_code_comes_with_the_newer_search() -> None:
    made = tools_in({"type": "web_search"}, {"type": "code_interpreter"}, model="claude-opus-4-6")

    assert [tool["name"] for tool in made] == ["web_search"]


def test_tools_that_anthropic_has_not() -> None:
    assert encode(tools=[{"type": "teapot"}]).dropped == ("tools.teapot",)
    assert encode(tools=[{"type": "local_shell", "x": 1}]).dropped == ("tools.x",)
    with pytest.raises(BadRequest, match="unsupported tool type: file_search"):
        encode(tools=[{"type": "file_search"}])


# Structured output, and other hosts.

CITY = {
    "type": "json_schema",
    "json_schema": {"name": "city", "schema": {"type": "object", "properties": {"n": {}}}},
}


def test_a_schema_for_the_answer() -> None:
    body = body_of("claude-opus-4-6", response_format=CITY, reasoning_effort="low")

    schema = {"type": "object", "properties": {"n": {}}, "additionalProperties": False}
    assert body["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": schema},
    }


def test_no_schema_beside_citations() -> None:
    file = {"type": "file", "file": {"file_data": PNG}, "citations": {"enabled": True}}

    sent = encode(response_format=CITY, messages=[{"role": "user", "content": [file]}])

    assert sent.dropped == ("response_format",)


VERTEX = ClaudeHost(
    has_formats=False,
    version="vertex-2023-10-16",
    betas_in_body=True,
    without_betas=frozenset({"files-api-2025-04-14"}),
)


def test_another_host_has_a_tool_for_a_schema() -> None:
    sent = encode_messages(call({"response_format": CITY, "tools": [WEATHER]}), MODEL, "v", VERTEX)

    body = json.loads(sent.body)
    assert "model" not in body
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert body["tools"][1] == {
        "name": "bf_so_city",
        "description": "Gives the answer in the form that was asked for.",
        "input_schema": CITY["json_schema"]["schema"],  # type: ignore[index]  # a literal of many kinds
    }
    assert body["tool_choice"] == {"type": "tool", "name": "bf_so_city"}
    with pytest.raises(BadRequest, match="response_format cannot be had while"):
        wanted = {"response_format": CITY, "reasoning_effort": "low"}
        encode_messages(call(wanted), MODEL, "v", VERTEX)


@pytest.mark.parametrize(
    ("members", "betas"),
    [
        ({}, []),
        ({"reasoning_effort": "low"}, ["interleaved-thinking-2025-05-14"]),
        ({"speed": "fast"}, ["fast-mode-2026-02-01"]),
        ({"tools": [{"type": "computer_use_preview"}]}, ["computer-use-2025-01-24"]),
        ({"tools": [{"name": "t", "input_schema": {"type": "object"}, "defer_loading": True}]}, ["advanced-tool-use-2025-11-20"]),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, ["context-management-2025-06-27"]),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, ["compact-2026-01-12"]),
        ({"cache_control": {"type": "ephemeral", "scope": "global"}}, ["prompt-caching-scope-2026-01-05"]),
        ({"mcp_servers": [{"type": "url"}]}, ["mcp-client-2025-11-20"]),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}, ["files-api-2025-04-14"]),
    ],
)  # fmt: skip
def test_features_are_asked_for(members: Any, betas: list[str]) -> None:
    headers = dict(encode_messages(call(members), MODEL, "anthropic").headers)
    elsewhere = encode_messages(call(members), MODEL, "v", VERTEX)

    assert headers == ({b"anthropic-beta": ",".join(betas).encode()} if betas else {})
    kept = [beta for beta in betas if not beta.startswith("files")]
    assert json.loads(elsewhere.body).get("anthropic_beta", []) == kept
    assert elsewhere.headers == ()


# Counting, and the dialect itself.


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "system", "content": "S"}, HI], "temperature": 2, "seed": 1},
        {"input": "Hi", "instructions": "S", "max_output_tokens": 5},
    ],
)
def test_a_count_asks_for_what_counts(members: Any) -> None:
    asked = call(members, stream=True, strict=True)
    if "input" in members:
        told = {name: raw for name, raw in asked.members.items() if name != "messages"}
        asked = attrs.evolve(asked, members=told)

    sent = encode_count(asked, MODEL, "anthropic")

    assert json.loads(sent.body) == {
        "model": MODEL,
        "system": "S",
        "messages": [{"role": "user", "content": HI_BLOCK}],
    }
    assert sent.dropped == ()


def test_the_dialect_itself_goes_as_it_came() -> None:
    raw = b'{"model":"x","max_tokens": 5,"messages":[ ],"new_thing":{"a":1.0}}'
    native = Native(dialect=Dialect.ANTHROPIC, members=split_object(raw))

    sent = encode_native(attrs.evolve(call({}), native=native), MODEL, "anthropic")

    assert sent.body == raw.replace(b'"x"', b'"claude-sonnet-4-5"').replace(b": 5", b":5")
    with pytest.raises(BadRequest):
        encode_native(call({}), MODEL, "anthropic")


def test_a_thought_that_nobody_signed_is_left_out_and_named() -> None:
    blocks = b'{"type":"thinking","thinking":"Hm","signature":""},{"type":"text","text":"a"}'
    members = {"messages": b'[{"role":"assistant","content":[%b]}]' % blocks}
    native = Native(dialect=Dialect.ANTHROPIC, members=members)
    asked = attrs.evolve(call({}), native=native)

    sent = encode_native(asked, MODEL, "anthropic")

    assert json.loads(sent.body)["messages"][0]["content"] == [{"type": "text", "text": "a"}]
    assert sent.dropped == ("messages.content.thinking",)
    with pytest.raises(BadRequest, match=r"does not take: messages\.content\.thinking"):
        encode_native(attrs.evolve(asked, caller=Caller(strict=True)), MODEL, "anthropic")


def test_a_schema_nested_beyond_measure_is_a_bad_request() -> None:
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(400):
        deep = {"items": deep}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}

    with pytest.raises(BadRequest, match="nested too deeply"):
        encode(tools=[tool])


WORDS = st.text(st.characters(codec="ascii"), min_size=1, max_size=8)
SAID = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "developer"]), "content": WORDS}
)


@given(st.lists(SAID, max_size=8), st.sampled_from(["low", "high", None]), st.booleans())
def test_any_conversation_is_one_that_anthropic_takes(
    messages: Any, effort: str | None, one: bool
) -> None:
    """The words come through in order, none is lost, and roles take turns."""
    more = {"reasoning_effort": effort} if effort else {}
    told: dict[str, Any] = {
        "messages": [HI, *messages],
        "tools": [WEATHER],
        "parallel_tool_calls": not one,
        **more,
    }

    body = body_of(**told)

    for side, roles in (("user", {"user"}), ("assistant", {"assistant"})):
        sent = [b["text"] for m in body["messages"] if m["role"] == side for b in m["content"]]
        said = [m["content"] for m in [HI, *messages] if m["role"] in roles]
        kept = [text for text in said if text.strip()]
        assert [text.rstrip() for text in sent] == [text.rstrip() for text in kept]


@given(st.dictionaries(WORDS, st.integers() | WORDS | st.none(), max_size=4))
def test_arguments_come_through_in_their_order(arguments: Any) -> None:
    function = {"name": "f", "arguments": json.dumps(arguments)}
    called = {"role": "assistant", "tool_calls": [{"id": "c1", "function": function}]}

    _, assistant, _ = body_of(messages=[HI, called, ANSWERED])["messages"]

    assert list(assistant["content"][0]["input"].items()) == list(arguments.items())
