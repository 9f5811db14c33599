"""Chat said in Gemini's dialect: every row of what becomes of what, judged by Google's own types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.dialects.fields import Fate
from bifrost.dialects.gemini_fields import FIELDS
from bifrost.dialects.gemini_request import encode_chat, encode_count, encode_flat_count
from bifrost.dialects.gemini_signatures import NONE_NEEDED, bare_id, signed_id
from bifrost.errors import BadRequest
from bifrost.schema.call import Operation
from dialects.gemini import PNG, SIGNATURE, call_of, said, sent

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CHAT_FIELDS = (
    "audio, frequency_penalty, logit_bias, logprobs, max_completion_tokens, metadata, modalities, parallel_tool_calls,"
    " prediction, presence_penalty, prompt_cache_key, prompt_cache_retention, reasoning, response_format,"
    " safety_identifier, seed, service_tier, stop, store, temperature, top_logprobs, top_p, tool_choice, tools, user,"
    " verbosity, web_search_options, max_tokens, reasoning_effort, reasoning_max_tokens"
)


def user(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


def called(call_id: str = "c1", arguments: str = '{"city":"Rome"}', **more: Any) -> dict[str, Any]:
    function = {"name": "weather", "arguments": arguments}
    call = {"id": call_id, "type": "function", "function": function}
    return {"role": "assistant", "tool_calls": [call], **more}


def result(call_id: str = "c1", content: Any = "sunny") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


HI = {"role": "user", "content": "Hi"}


def test_every_field_of_chat_is_in_the_table() -> None:
    assert set(CHAT_FIELDS.split(", ")) <= set(FIELDS)


@pytest.mark.parametrize(
    ("members", "config"),
    [
        ({"max_completion_tokens": 5}, {"maxOutputTokens": 5}),
        ({"max_tokens": 5}, {"maxOutputTokens": 5}),
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "topP": 0.5}),
        ({"presence_penalty": 1, "frequency_penalty": -1}, {"presencePenalty": 1, "frequencyPenalty": -1}),
        ({"top_k": 3}, {"topK": 3}),
        ({"extra_params": {"top_k": 3}}, {"topK": 3}),
        ({"seed": 7}, {"seed": 7}),
        ({"stop": "x"}, {"stopSequences": ["x"]}),
        ({"n": 2}, {"candidateCount": 2}),
        ({"n": 1}, {}),
        ({"modalities": ["audio"], "top_logprobs": 2}, {"responseModalities": ["AUDIO"], "responseLogprobs": True, "logprobs": 2}),
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"top_logprobs": 30}, {"responseLogprobs": True, "logprobs": 20}),
        ({"logprobs": False, "top_logprobs": 0}, {}),
        ({"modalities": ["text"]}, {}),
        ({"modalities": ["text", "image"]}, {"responseModalities": ["TEXT", "IMAGE"]}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": ["string", "null"]}}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": ["string", "null"]}},
        ),
        (
            {"response_mime_type": "text/x.enum", "extra_params": {"response_json_schema": {"type": "string"}}},
            {"responseMimeType": "text/x.enum", "responseJsonSchema": {"type": "string"}},
        ),
    ],
)  # fmt: skip
def test_parameters(members: dict[str, Any], config: dict[str, Any]) -> None:
    assert said(**members).get("generationConfig", {}) == config
    assert sent(**members).dropped == ()


def test_what_goes_as_it_comes() -> None:
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]

    body = said(safety_settings=settings, cached_content="cachedContents/1", labels={"a": "b"})

    assert body["safetySettings"] == settings
    assert (body["cachedContent"], body["labels"]) == ("cachedContents/1", {"a": "b"})


@pytest.mark.parametrize(
    "name", sorted(name for name, field in FIELDS.items() if field.fate is Fate.DROPPED)
)
def test_what_gemini_has_not_is_named_or_refused(name: str) -> None:
    value: Any = False if name == "parallel_tool_calls" else {"x": 1}
    if name == "store":
        value = True

    assert sent(**{name: value}).dropped == (name,)
    with pytest.raises(BadRequest, match=f"gemini does not take: {name}"):
        sent(**{name: value}, caller={"strict": True})


def test_extra_params_pass_through_where_asked() -> None:
    extra = {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}, "top_k": 2}
    asked = {"passthrough_extra_params": True}

    body = json.loads(sent(extra_params=extra, seed=1, caller=asked).body)

    assert body["generationConfig"] == {
        "seed": 1, "topK": 2, "mediaResolution": "MEDIA_RESOLUTION_LOW",
    }  # fmt: skip
    assert sent(extra_params=extra).dropped == ("extra_params.generationConfig",)


@pytest.mark.parametrize(
    ("part", "there"),
    [
        ({"type": "text", "text": "Hi"}, {"text": "Hi"}),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:;base64,{PNG}"}},
            {"inlineData": {"mimeType": "image/jpeg", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png?b=c.gif"}},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a.png?b=c.gif"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://b/o"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "gs://b/o"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": PNG}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": PNG}},
            {"inlineData": {"mimeType": "audio/mpeg", "data": PNG}},
        ),
        (
            {"type": "file", "file": {"file_data": PNG}},
            {"inlineData": {"mimeType": "application/pdf", "data": PNG}},
        ),
        (
            {"type": "file", "file": {"file_data": PNG, "file_type": "image/png"}},
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ),
        (
            {"type": "file", "file": {"file_url": "https://x.example/a.mp4"}},
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://x.example/a.mp4"}},
        ),
        (
            {"type": "file", "file": {"file_url": "https://x.example/a"}},
            {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.example/a"}},
        ),
        (
            {"type": "file", "file": {"file_id": "files/abc"}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ),
        ({"type": "file", "file": {"file_id": "gs://b/o"}}, {"fileData": {"fileUri": "gs://b/o"}}),
        ({"type": "file", "file": {"file_data": "data:text/plain,a%20b"}}, {"text": "a b"}),
    ],
)
def test_parts(part: Any, there: Any) -> None:
    assert said(messages=user(part))["contents"] == [{"role": "user", "parts": [there]}]
    assert sent(messages=user(part)).dropped == ()


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            "messages.content.image_url.detail",
        ),
        (
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
            "messages.content.cache_control",
        ),
        ({"cachePoint": {"type": "default"}}, "messages.content.cachePoint"),
        (
            {"type": "file", "file": {"file_data": PNG}, "citations": {"enabled": True}},
            "messages.content.citations",
        ),
    ],
)
def test_what_parts_lose(part: Any, lost: str) -> None:
    assert sent(messages=user({"type": "text", "text": "a"}, part)).dropped == (lost,)


def test_all_that_is_said_by_system_and_developer_comes_first() -> None:
    messages = [
        {"role": "system", "content": "a"},
        HI,
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
    ]

    body = said(messages=messages)

    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_a_picture_of_the_system_is_lost_and_a_name_too() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    messages = [{"role": "system", "content": [image]}, {**HI, "name": "Ann"}]

    assert sent(messages=messages).dropped == ("messages.content", "messages.name")


def test_where_only_the_system_speaks_it_is_the_user() -> None:
    body = said(messages=[{"role": "system", "content": "Say hello"}])

    assert body == {"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]}


def test_a_loop_of_tools() -> None:
    messages = [
        HI,
        {"role": "assistant", "content": "Let me see"},
        {**called(), "tool_calls": [*called()["tool_calls"], *called("c2", "")["tool_calls"]]},
        result("c2", '{"sky":"grey"}'),
        result("c1"),
        HI,
    ]

    body = said(messages=messages, tools=[WEATHER])

    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Let me see"},
                {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Rome"}}},
                {"functionCall": {"id": "c2", "name": "weather", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c2", "name": "weather", "response": {"sky": "grey"}}},
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"content": "sunny"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "Hi"}]},
    ]  # fmt: skip
    parameters = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}
    declared = {"name": "weather", "description": "The weather", "parameters": parameters}
    assert body["tools"] == [{"functionDeclarations": [declared]}]


@pytest.mark.parametrize(
    ("content", "response"),
    [("", {}), ("[1]", {"content": "[1]"}), ('{"b":1,"a":2}', {"b": 1, "a": 2}), (None, {})],
)
def test_results(content: Any, response: Any) -> None:
    body = said(messages=[HI, called(), result("c1", content)])

    [part] = body["contents"][-1]["parts"]
    assert part["functionResponse"]["response"] == response
    assert list(part["functionResponse"]["response"]) == list(response)


def test_pictures_in_results_are_for_models_that_see_them() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    messages = [HI, called(), result("c1", [{"type": "text", "text": "see"}, image])]

    told = said("gemini-3-pro", messages=messages)["contents"][-1]["parts"][0]["functionResponse"]

    assert told["parts"] == [{"inlineData": {"mimeType": "image/png", "data": PNG}}]
    assert sent(messages=messages).dropped == ("messages.content",)


def test_a_custom_tools_input_is_its_argument() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    messages = [HI, {"role": "assistant", "tool_calls": [call]}, result("c")]

    assert said(messages=messages)["contents"][1]["parts"][0]["functionCall"] == {
        "id": "c", "name": "sh", "args": {"input": "ls"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], "messages must say something"),
        ([{"role": "user", "content": ""}], "messages must say something"),
        ([called(), result()], "cannot begin with a call"),
        ([HI, called()], "the call 'c1' of 'weather' is not followed by"),
        ([HI, called(), HI], r"messages\[1\]: the call 'c1'"),
        ([HI, called(), called("c2")], "not followed by a tool message"),
        ([HI, result()], r"messages\[1\]: no call of the assistant message before it has the id 'c1'"),
        ([HI, called(), result(), result()], "no call of the assistant message"),
        ([HI, {**called(), "tool_calls": called()["tool_calls"] * 2}, result()], "two calls have the id"),
        (user({"type": "file", "file": {"file_id": "file-abc"}}), "file_id must be"),
        (user({"type": "image_url", "image_url": {"url": "data:image/png;base64,?"}}), "no base64"),
        (user({"type": "image_url", "image_url": {"url": "picture.png"}}), "must be an http"),
    ],
)  # fmt: skip
def test_conversations_that_make_no_sense_are_refused(messages: Any, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        sent(messages=messages)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"n": 9}, "n must be between 1 and 8"),
        ({"n": 0}, "n must be between 1 and 8"),
        ({"stop": list("abcdef")}, "at most 5"),
        ({"tools": [{"type": "function", "function": {"name": "1x"}}]}, "no name that Gemini takes"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "'x' is not among tools"),
        ({"seed": "x"}, "seed must be a number"),
    ],
)  # fmt: skip
def test_values_that_gemini_would_refuse(members: Any, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        sent(**members)


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("none", {"mode": "NONE"}),
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        ("any", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "weather"}}, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "weather"}}]}}, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]}}, {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]}),
    ],
)  # fmt: skip
def test_choices_of_tools(choice: Any, config: Any) -> None:
    body = said(tools=[WEATHER], tool_choice=choice)

    assert body["toolConfig"] == {"functionCallingConfig": config}


def test_choices_without_tools_and_of_custom_ones_are_named() -> None:
    assert sent(tool_choice="auto").dropped == ()
    assert sent(tool_choice="required").dropped == ("tool_choice",)
    custom = {"type": "custom", "custom": {"name": "sh"}}
    assert sent(tools=[WEATHER], tool_choice=custom).dropped == ("tool_choice",)


@pytest.mark.parametrize(
    ("tool", "there"),
    [
        ({"type": "google_search"}, {"googleSearch": {}}),
        ({"type": "web_search_preview"}, {"googleSearch": {}}),
        ({"google_search": {"timeRangeFilter": {}}}, {"googleSearch": {"timeRangeFilter": {}}}),
        ({"codeExecution": {}}, {"codeExecution": {}}),
        ({"type": "code_interpreter"}, {"codeExecution": {}}),
        ({"type": "url_context"}, {"urlContext": {}}),
    ],
)
def test_googles_own_tools(tool: Any, there: Any) -> None:
    assert said(tools=[tool])["tools"] == [there]


def test_modalities_that_gemini_has_not_are_named() -> None:
    assert sent(modalities=["text", "smell"]).dropped == ("modalities",)


def test_functions_may_have_no_description_and_no_parameters() -> None:
    tool = {"type": "function", "function": {"name": "now"}}

    assert said(tools=[tool])["tools"] == [{"functionDeclarations": [{"name": "now"}]}]


def test_other_tools_are_named_and_searches_wished_for() -> None:
    tools = [{"type": "computer_use"}, {"magic": {}}, {**WEATHER, "cache_control": {"type": "x"}}]
    lost = ("tools.cache_control", "tools.computer_use", "tools.unknown")
    assert sent("gemini-3-pro", tools=tools).dropped == lost

    assert said(web_search_options=True)["tools"] == [{"googleSearch": {}}]
    asked: dict[str, Any] = {"web_search_options": {"search_context_size": "low"}}
    assert said(**asked)["tools"] == [{"googleSearch": {}}]
    assert sent(**asked).dropped == ("web_search_options.search_context_size",)
    both = said("gemini-3-pro", tools=[WEATHER], web_search_options={})["tools"]
    assert [list(tool) for tool in both] == [["functionDeclarations"], ["googleSearch"]]


def test_googles_own_tools_give_way_to_functions_where_a_model_takes_not_both() -> None:
    asked: Any = {
        "tools": [WEATHER, {"type": "web_search"}, {"codeExecution": {}}],
        "web_search_options": {"search_context_size": "low"},
    }

    assert [list(tool) for tool in said(**asked)["tools"]] == [["functionDeclarations"]]
    assert sent(**asked).dropped == (
        "tools.web_search",
        "tools.codeExecution",
        "web_search_options",
    )


def parts_of(model: str, message: dict[str, Any], call_id: str = "c1") -> Any:
    return said(model, messages=[HI, message, result(call_id)])["contents"][1]["parts"]


@pytest.mark.parametrize(
    "model", ["gemini-3-pro", "gemini-flash-latest", "tuned", "gemini-2.5-pro"]
)
def test_signatures_come_back_by_the_id_alone_or_by_the_details_alone(model: str) -> None:
    by_id = signed_id("c1", SIGNATURE)
    detail = {"type": "reasoning.encrypted", "id": "tool_call_c1", "data": SIGNATURE, "index": 0}

    first = parts_of(model, called(by_id), by_id)
    second = parts_of(model, called(reasoning_details=[detail]))

    assert by_id != "c1"
    assert bare_id(by_id) == "c1"
    for [part] in (first, second):
        assert part["thoughtSignature"] == SIGNATURE
        assert part["functionCall"]["id"] == "c1"


def test_a_call_that_gemini_did_not_make_says_so_to_those_who_insist() -> None:
    two = {**called(), "tool_calls": [*called()["tool_calls"], *called("c2")["tool_calls"]]}
    messages = [HI, two, result(), result("c2")]

    first, second = said("gemini-3-pro", messages=messages)["contents"][1]["parts"]
    assert first["thoughtSignature"] == NONE_NEEDED
    assert "thoughtSignature" not in second
    [older] = parts_of("gemini-2.5-flash", called())
    assert "thoughtSignature" not in older


def test_a_signature_of_the_text_comes_back_with_it_and_no_other_block_does() -> None:
    own = {"type": "reasoning.encrypted", "id": "thought_signature", "data": SIGNATURE}
    others = [
        {"type": "reasoning.encrypted", "id": "rs_1", "data": "b3RoZXI="},
        {"type": "reasoning.text", "text": "hm", "signature": "c2ln"},
    ]
    message = {"role": "assistant", "content": "Hello", "reasoning_details": [*others, own]}

    assert said(messages=[HI, message, HI])["contents"][1]["parts"] == [
        {"text": "Hello", "thoughtSignature": SIGNATURE}
    ]
    silent = {**message, "content": None}
    assert said(messages=[HI, silent, HI])["contents"][1]["parts"] == [
        {"text": "", "thoughtSignature": SIGNATURE}
    ]
    foreign = {**message, "reasoning_details": others}
    assert said(messages=[HI, foreign, HI])["contents"][1]["parts"] == [{"text": "Hello"}]


@pytest.mark.parametrize("call_id", ["a_ts_", "_ts_YQ", "a_ts_!", "a_ts_a", "plain"])
def test_ids_that_only_look_signed_stay(call_id: str) -> None:
    assert bare_id(call_id) == call_id


@pytest.mark.parametrize("signature", [None, "", "no base64!", "YQ", "YR=="])
def test_signatures_that_would_not_come_back_the_same_hang_on_no_id(signature: str | None) -> None:
    assert signed_id("c1", signature) == "c1"


LOW, HIGH = 1024, 8192


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-2.5-flash", {"effort": "low"}, {"thinkingBudget": 3686, "includeThoughts": True}),
        ("gemini-2.5-flash", {"effort": "none"}, {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-flash", {"enabled": False}, {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-flash", {"max_tokens": 0}, {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-flash", {"max_tokens": -1}, {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.5-flash", {"effort": "low", "max_tokens": 9}, {"thinkingBudget": 9, "includeThoughts": True}),
        ("gemini-2.5-flash", {"enabled": True}, {"includeThoughts": True}),
        ("gemini-2.5-flash-lite", {"effort": "minimal"}, {"thinkingBudget": 1113, "includeThoughts": True}),
        ("gemini-2.5-pro", {"effort": "high"}, {"thinkingBudget": 26240, "includeThoughts": True}),
        ("gemini-2.5-pro", {"effort": "none"}, {"thinkingBudget": 128, "includeThoughts": False}),
        ("gemini-2.0-flash-thinking", {"effort": "medium"}, {"thinkingBudget": 4070, "includeThoughts": True}),
        ("gemini-flash-latest", {"effort": "medium"}, {"thinkingBudget": 4070, "includeThoughts": True}),
        ("gemini-3-pro-preview", {"effort": "minimal"}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3-pro-preview", {"effort": "medium"}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3-pro-preview", {"effort": "none"}, {"thinkingLevel": "LOW", "includeThoughts": False}),
        ("gemini-3-flash", {"effort": "minimal"}, {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-3.1-flash", {"effort": "odd"}, {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-10-pro", {"effort": "odd"}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3-flash", {"effort": "none"}, {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-3-flash", {"max_tokens": 2000}, {"thinkingBudget": 2000, "includeThoughts": True}),
    ],
)  # fmt: skip
def test_thinking(model: str, reasoning: Any, config: Any) -> None:
    assert said(model, reasoning=reasoning)["generationConfig"]["thinkingConfig"] == config
    assert sent(model, reasoning=reasoning).dropped == ()


@pytest.mark.parametrize(
    ("model", "budget"),
    [("gemini-2.5-pro", 127), ("gemini-2.5-flash", 24577), ("gemini-2.5-flash-lite", 511), ("gemini-3-pro", -2)],
)  # fmt: skip
def test_budgets_that_no_model_takes(model: str, budget: int) -> None:
    with pytest.raises(BadRequest, match=r"reasoning\.max_tokens must be"):
        sent(model, reasoning={"max_tokens": budget})


def test_models_that_do_not_think_lose_the_wish() -> None:
    model = "gemini-2.0-flash"

    assert sent(model, reasoning_effort="high").dropped == ("reasoning_effort",)
    assert sent(model, reasoning={"effort": "high"}).dropped == ("reasoning",)
    assert sent(model, reasoning_effort="none").dropped == ()
    assert "generationConfig" not in said(model, reasoning_effort="high")


def test_counting_takes_chat_and_responses() -> None:
    chat = call_of({"messages": [HI], "temperature": 1}, Operation.COUNT_TOKENS)
    tool = {"type": "function", "name": "weather"}
    responses = call_of(
        {"input": "Hi", "instructions": "Be kind", "tools": [tool, {"type": "file_search"}]},
        Operation.COUNT_TOKENS,
    )
    content = {"role": "user", "parts": [{"text": "Hi"}]}

    assert json.loads(encode_count(chat, "models/m", "gemini").body) == {
        "generateContentRequest": {"model": "models/m", "contents": [content]}
    }
    counted = encode_flat_count(responses, "m", "vertex")
    assert json.loads(counted.body) == {
        "contents": [content],
        "systemInstruction": {"parts": [{"text": "Be kind"}]},
        "tools": [{"functionDeclarations": [{"name": "weather"}]}],
    }
    assert counted.dropped == ("tools.file_search",)


def test_arguments_go_as_they_were_written() -> None:
    arguments = '{"z":12345678901234567890123,"a":1.0}'
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "y"},
    ]

    body = encode_chat(call_of({"messages": messages}), "gemini-2.5-flash", "gemini").body

    assert f'"args":{arguments}'.encode() in body
