"""Chat requests as Cohere takes them: every parameter, every part, each held against the SDK's own types."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, ProviderSettings
from bifrost.dialects.cohere_fields import FIELDS, OWN
from bifrost.dialects.fields import Fate
from bifrost.errors import BadRequest
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Operation, Target
from dialects.cohere_wire import check_chat
from providers.sent import sent_json

KEY = KeySettings(id="k", name="k", value=Secret("co-secret"))
USER = {"role": "user", "content": "hi"}
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {}},
    },
}
BARE = {"type": "function", "function": {"name": "g"}}
SENT = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {}},
    },
}
SENT_BARE = {
    "type": "function",
    "function": {"name": "g", "parameters": {"type": "object", "properties": {}}},
}
STRICT = {"type": "function", "function": {"name": "s", "strict": True}}

SPEC = """audio, frequency_penalty, logit_bias, logprobs, max_completion_tokens, metadata, modalities,
parallel_tool_calls, prediction, presence_penalty, prompt_cache_key, prompt_cache_retention, reasoning, response_format,
safety_identifier, seed, service_tier, stop, store, temperature, top_logprobs, top_p, tool_choice, tools, user, verbosity,
web_search_options, max_tokens, reasoning_effort, reasoning_max_tokens"""


def encoded(
    members: dict[str, Any], *, stream: bool = False, **caller: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body that goes to Cohere, and what was dropped."""
    asked = {"model": "cohere/m", "messages": [USER], **members}
    call = Call(
        id="1",
        operation=Operation.CHAT,
        stream=stream,
        target=Target("cohere", "m"),
        members={name: json.dumps(value).encode() for name, value in asked.items()},
        caller=Caller(**caller),
    )
    request = build_adapter(ProviderSettings(name="cohere")).encode(call, call.target, KEY)
    body = sent_json(request)
    check_chat(body)
    assert (body.pop("model"), body.pop("stream")) == ("m", stream)
    return body, request.dropped_params


def told(*messages: dict[str, Any]) -> tuple[list[Any], tuple[str, ...]]:
    body, dropped = encoded({"messages": [*messages]})
    assert set(body) == {"messages"}
    return body["messages"], dropped


def test_every_parameter_of_openai_has_a_fate() -> None:
    assert {name.strip() for name in SPEC.split(",")} <= set(FIELDS)
    assert not set(OWN) & set(FIELDS)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": 6}),
        ({"temperature": 0.5}, {"temperature": 0.5}),
        ({"top_p": 0.5}, {"p": 0.5}),
        ({"top_p": 1}, {"p": 0.99}),
        ({"top_p": 0}, {"p": 0.01}),
        ({"stop": "a"}, {"stop_sequences": ["a"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"frequency_penalty": 0.5, "presence_penalty": 0.1}, {"frequency_penalty": 0.5, "presence_penalty": 0.1}),
        ({"seed": 3, "logprobs": True}, {"seed": 3, "logprobs": True}),
        ({"tools": [TOOL]}, {"tools": [SENT]}),
        ({"tools": [BARE]}, {"tools": [SENT_BARE]}),
        ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [SENT]}),
        ({"tools": [TOOL], "tool_choice": "none"}, {"tools": [SENT], "tool_choice": "NONE"}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [SENT], "tool_choice": "REQUIRED"}),
        ({"tools": [TOOL], "tool_choice": "any"}, {"tools": [SENT], "tool_choice": "REQUIRED"}),
        ({"tools": [TOOL, BARE], "tool_choice": {"type": "function", "function": {"name": "g"}}}, {"tools": [SENT_BARE], "tool_choice": "REQUIRED"}),
        ({"tools": [TOOL, BARE], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}}}, {"tools": [SENT]}),
        ({"tools": [TOOL, BARE], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}}}, {"tools": [SENT], "tool_choice": "REQUIRED"}),
        ({"tool_choice": "none"}, {}),
        ({"response_format": {"type": "text"}}, {"response_format": {"type": "text"}}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}}, {"response_format": {"type": "json_object", "schema": {"type": "object"}}}),
        ({"reasoning": {"max_tokens": 7}}, {"thinking": {"type": "enabled", "token_budget": 7}}),
        ({"reasoning_max_tokens": 7}, {"thinking": {"type": "enabled", "token_budget": 7}}),
        ({"reasoning": {"max_tokens": -1}}, {"thinking": {"type": "enabled", "token_budget": 1024}}),
        ({"reasoning": {"effort": "low"}}, {"thinking": {"type": "enabled", "token_budget": 615}}),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled", "token_budget": 3277}}),
        ({"reasoning_effort": "high", "max_tokens": 101}, {"max_tokens": 101, "thinking": {"type": "enabled", "token_budget": 81}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning": {"enabled": False}}, {"thinking": {"type": "disabled"}}),
        ({"reasoning": {"enabled": True}}, {"thinking": {"type": "enabled"}}),
        ({"reasoning_effort": "low", "thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ({"extra_params": {"thinking": {"type": "disabled"}}}, {"thinking": {"type": "disabled"}}),
        ({"safety_mode": "OFF", "log_probs": True}, {"safety_mode": "OFF", "logprobs": True}),
        ({"strict_tool_choice": True}, {"strict_tools": True}),
        ({"top_k": 5}, {"k": 5}),
        ({"extra_params": {"top_k": 5, "priority": 1}}, {"k": 5, "priority": 1}),
        ({"k": 4}, {"k": 4}),
        ({"citation_options": {"mode": "FAST"}, "documents": ["d"]}, {"citation_options": {"mode": "FAST"}, "documents": ["d"]}),
        ({"tools": [STRICT]}, {"tools": [{"type": "function", "function": {"name": "s", "parameters": {"type": "object", "properties": {}}}}], "strict_tools": True}),
    ],
)  # fmt: skip
def test_parameters(given: dict[str, Any], sent: dict[str, Any]) -> None:
    body, dropped = encoded(given)

    assert body.pop("messages") == [USER]
    assert body == sent
    assert dropped == ()


@pytest.mark.parametrize(
    ("given", "dropped"),
    [
        ({name: {"x": 1}}, (name,)) for name, field in FIELDS.items() if field.fate is Fate.DROPPED
    ]
    + [
        ({"n": 1, "store": False, "top_logprobs": 0, "service_tier": "auto"}, ()),
        ({"parallel_tool_calls": True}, ()),
        ({"parallel_tool_calls": False}, ("parallel_tool_calls",)),
        ({"nobody_knows": 1}, ("nobody_knows",)),
        ({"extra_params": {"nobody_knows": 1}}, ("extra_params.nobody_knows",)),
        ({"tools": [TOOL, {"type": "web_search"}]}, ("tools.web_search",)),
        ({"tools": [{"type": "web_search"}]}, ("tools.web_search",)),
        ({"tools": [TOOL, STRICT]}, ("tools.function.strict",)),
        ({"tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}]}, ("tools.cache_control",)),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "c"}}}, ("tool_choice",)),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": {}}}}, ("response_format.json_schema.description",)),
    ],
)  # fmt: skip
def test_what_is_lost_is_named_and_refused_under_strict(
    given: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    if "parallel_tool_calls" in given and isinstance(given["parallel_tool_calls"], dict):
        given = {"parallel_tool_calls": False}

    assert encoded(given)[1] == dropped
    if dropped:
        with pytest.raises(BadRequest, match="cohere does not take"):
            encoded(given, strict=True)
    else:
        encoded(given, strict=True)


def test_extra_params_are_merged_where_that_is_asked_for() -> None:
    given = {"extra_params": {"thinking": {"token_budget": 5}, "model": "x"}, "safety_mode": "OFF"}
    call = Call(
        id="1",
        operation=Operation.CHAT,
        stream=False,
        target=Target("cohere", "m"),
        members={
            name: json.dumps(value).encode()
            for name, value in {"messages": [USER], "odd": 1, **given}.items()
        },
        caller=Caller(passthrough_extra_params=True),
    )

    request = build_adapter(ProviderSettings(name="cohere")).encode(call, call.target, KEY)

    body = sent_json(request)
    assert (body["model"], body["odd"], body["safety_mode"]) == ("m", 1, "OFF")
    assert body["thinking"] == {"token_budget": 5}
    assert request.dropped_params == ()


PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}}
LINKED = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"b": 1, "a": 2}'}}
    ],
}


def assistant(**more: Any) -> dict[str, Any]:
    return {**CALLED, **more}


@pytest.mark.parametrize(
    ("given", "sent", "dropped"),
    [
        ({"role": "developer", "content": "s"}, {"role": "system", "content": "s"}, ()),
        ({"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "user", "content": "a"}, ()),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, ()),
        ({"role": "user", "content": [PNG]}, {"role": "user", "content": [PNG]}, ()),
        ({"role": "user", "content": [LINKED]}, {"role": "user", "content": [LINKED]}, ()),
        ({"role": "user", "name": "n", "content": "a"}, {"role": "user", "content": "a"}, ("messages.name",)),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}]}, {"role": "user", "content": "a"}, ("messages.content.input_audio",)),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}}]}, {"role": "user", "content": "a"}, ("messages.content.file",)),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "file", "file": {"file_data": "data:text/plain;base64,//8="}}]}, {"role": "user", "content": "a"}, ("messages.content.file",)),
        ({"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}, {"role": "user", "content": "a"}, ("messages.content.cache_control",)),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"cachePoint": {"type": "default"}}]}, {"role": "user", "content": "a"}, ("messages.content.cachePoint",)),
        ({"role": "system", "content": [{"type": "text", "text": "a"}, LINKED]}, {"role": "system", "content": "a"}, ("messages.content.image_url",)),
        ({"role": "assistant", "content": "a"}, {"role": "assistant", "content": "a"}, ()),
        ({"role": "assistant", "content": None, "refusal": "no"}, {"role": "assistant", "content": "no"}, ()),
        (CALLED, {"role": "assistant", "tool_calls": CALLED["tool_calls"]}, ()),
        (assistant(reasoning="plan"), {"role": "assistant", "tool_plan": "plan", "tool_calls": CALLED["tool_calls"]}, ()),
        ({"role": "assistant", "content": "a", "reasoning": "t"}, {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]}, ()),
        (
            assistant(content="a", reasoning="tp", reasoning_details=[{"index": 0, "type": "reasoning.text", "text": "t"}, {"index": 1, "type": "reasoning.text", "text": "p", "id": "tool_plan"}]),
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}], "tool_plan": "p", "tool_calls": CALLED["tool_calls"]},
            (),
        ),
        (
            {"role": "assistant", "content": "a", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}, {"type": "reasoning.text", "text": "t", "signature": "s"}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]},
            ("messages.reasoning_details.data", "messages.reasoning_details.signature"),
        ),
    ],
)  # fmt: skip
def test_messages(given: dict[str, Any], sent: dict[str, Any], dropped: tuple[str, ...]) -> None:
    assert told(given) == ([sent], dropped)


def test_empty_arguments_are_an_empty_object() -> None:
    function = {"name": "f", "arguments": ""}
    called = assistant(tool_calls=[{"id": "c1", "type": "function", "function": function}])

    [message], _ = told(called)

    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("content", "sent", "dropped"),
    [
        ("42", "42", ()),
        ("", "", ()),
        ([{"type": "text", "text": "4"}, {"type": "text", "text": "2"}], [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}], ()),
        ([{"type": "file", "file": {"file_data": "row", "file_type": "text/plain", "filename": "r.txt"}}], [{"type": "document", "document": {"id": "r.txt", "data": {"text": "row", "title": "r.txt"}}}], ()),
        ([{"type": "text", "text": "4"}, LINKED], "4", ("messages.content.image_url",)),
        ([LINKED], "", ("messages.content.image_url",)),
    ],
)  # fmt: skip
def test_results_of_tools(content: Any, sent: Any, dropped: tuple[str, ...]) -> None:
    messages, lost = told(CALLED, {"role": "tool", "tool_call_id": "c1", "content": content})

    assert messages[1] == {"role": "tool", "tool_call_id": "c1", "content": sent}
    assert lost == dropped


def test_files_of_plain_text_are_documents_behind_those_that_were_given() -> None:
    data = base64.b64encode("naïve".encode()).decode().rstrip("=")
    file = {"type": "file", "file": {"file_data": f"data:text/plain;base64,{data}"}}
    named = {
        "type": "file",
        "file": {"file_data": "b", "file_type": "text/plain", "filename": "b.txt"},
    }
    content = [{"type": "text", "text": "q"}, file, named]

    body, dropped = encoded(
        {"messages": [{"role": "user", "content": content}], "documents": ["first"]}
    )

    assert body["messages"] == [{"role": "user", "content": "q"}]
    assert body["documents"] == [
        "first",
        {"id": "doc:0", "data": {"text": "naïve"}},
        {"id": "b.txt", "data": {"text": "b", "title": "b.txt"}},
    ]
    assert dropped == ()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"messages": [{"role": "user", "content": ""}]}, r"messages\[0\].content has nothing"),
        ({"messages": [{"role": "assistant", "content": None}]}, r"messages\[0\].content has nothing"),
        ({"messages": [CALLED, {"role": "tool", "content": "x"}]}, r"messages\[1\].tool_call_id is required"),
        ({"tool_choice": "required"}, "tool_choice needs tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "names no function"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"reasoning": {"effort": "low"}, "reasoning_effort": "low"}, "cannot be present at the same time"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "file", "file": {"file_data": "b", "file_type": "text/plain"}}]}], "documents": {}}, "documents must be an array"),
    ],
)  # fmt: skip
def test_what_cohere_would_refuse_is_refused_first(given: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        encoded(given)


def test_streams_are_asked_for() -> None:
    assert encoded({}, stream=True)[0] == {"messages": [USER]}
