"""Gemini's requests in the words of chat: every part, setting and tool; what is lost is named, what is wrong is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.dialects.chat_request import read_chat
from bifrost.dialects.gemini_incoming import (
    MAX_REQUESTS,
    SETTINGS,
    Incoming,
    read_count,
    read_embed,
    read_embed_batch,
    read_generate,
    thoughts_wanted,
)
from bifrost.dialects.gemini_schema_in import MAX_DEPTH, json_schema
from bifrost.dialects.gemini_signatures import NONE_NEEDED
from bifrost.dialects.gemini_thoughts import wrapped
from bifrost.errors import BadRequest

Object = dict[str, Any]

ASK: list[Object] = [{"role": "user", "parts": [{"text": "hi"}]}]
DETAILS = [{"index": 0, "type": "reasoning.text", "text": "Hm.", "signature": "s+/="}]


def raw(members: Object) -> dict[str, bytes]:
    return {name: json.dumps(value).encode() for name, value in members.items()}


def asked(**members: Any) -> Incoming:
    """A request of these members, read; it is one that encoders of other dialects can read again."""
    incoming = read_generate(raw({"contents": ASK, **members}))
    read_chat(incoming.members)
    return incoming


def said(incoming: Incoming, name: str) -> Any:
    return json.loads(incoming.members[name])


def messages(*contents: Object) -> list[Object]:
    found: list[Object] = said(asked(contents=contents), "messages")
    return found


def content_of(part: Object) -> Any:
    [message] = messages({"parts": [part]})
    return message["content"]


def user(*parts: Object) -> Object:
    return {"role": "user", "parts": [*parts]}


def model(*parts: Object) -> Object:
    return {"role": "model", "parts": [*parts]}


def call(name: str = "f", **more: Any) -> Object:
    return {"functionCall": {"name": name, "args": {}, **more}}


def response(name: str = "f", **more: Any) -> Object:
    return {"functionResponse": {"name": name, "response": {"a": 1}, **more}}


# Contents


def test_the_least_request() -> None:
    incoming = read_generate(raw({"contents": {"parts": {"text": "hi"}}}))

    assert {n: json.loads(v) for n, v in incoming.members.items()} == {
        "messages": [{"role": "user", "content": "hi"}]
    }
    assert (incoming.lost, incoming.max_output_tokens) == ((), None)


@pytest.mark.parametrize(
    "instruction", ["a", {"parts": [{"text": "a"}]}, {"role": "user", "parts": {"text": "a"}}]
)
def test_instructions_come_first(instruction: Any) -> None:
    for name in ("systemInstruction", "system_instruction"):
        told = said(asked(**{name: instruction}), "messages")
        assert told == [{"role": "system", "content": "a"}, {"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ({"text": "a"}, "a"),
        (
            {"inlineData": {"mimeType": "image/png", "data": "-_8"}},
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,+/8="}}],
        ),
        (
            {"inline_data": {"mime_type": "audio/mpeg", "data": "aGk="}},
            [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}],
        ),
        (
            {"inlineData": {"mimeType": "Audio/FLAC; rate=1", "data": "aGk="}},
            [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "flac"}}],
        ),
        (
            {"inlineData": {"mimeType": "video/mp4", "data": "aGk=", "displayName": "a.mp4"}},
            [
                {
                    "type": "file",
                    "file": {"file_data": "data:video/mp4;base64,aGk=", "filename": "a.mp4"},
                }
            ],
        ),
        (
            {"inlineData": {"mimeType": "text/csv", "data": "aGk="}},
            [
                {
                    "type": "file",
                    "file": {"file_data": "hi", "file_type": "text/plain", "filename": "file.csv"},
                }
            ],
        ),
        (
            {"inlineData": {"mimeType": "text/html", "data": "//8="}},
            [
                {
                    "type": "file",
                    "file": {"file_data": "data:text/html;base64,//8=", "filename": "file.html"},
                }
            ],
        ),
        (
            {
                "inlineData": {
                    "mimeType": "text/plain",
                    "data": base64.b64encode(b"data:x").decode(),
                }
            },
            [
                {
                    "type": "file",
                    "file": {
                        "file_data": "data:text/plain;base64,ZGF0YTp4",
                        "filename": "file.plain",
                    },
                }
            ],
        ),
        (
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "gs://a/b"}},
            [{"type": "image_url", "image_url": {"url": "gs://a/b"}}],
        ),
        (
            {"fileData": {"mimeType": "application/pdf", "fileUri": "u", "displayName": "a"}},
            [
                {
                    "type": "file",
                    "file": {"file_url": "u", "filename": "a", "file_type": "application/pdf"},
                }
            ],
        ),
        ({"fileData": {"fileUri": "u"}}, [{"type": "file", "file": {"file_url": "u"}}]),
        ({"executableCode": {"language": "PYTHON", "code": "1"}}, "```python\n1\n```\n"),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}, "1"),
        ({"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "1"}}, "Error: 1"),
        ({"text": "shown by the caller", "thought": True}, "shown by the caller"),
    ],
)
def test_a_part(part: Object, content: Any) -> None:
    assert content_of(part) == content


def test_several_texts_of_a_user_stay_apart() -> None:
    [told] = messages(user({"text": "a"}, {"text": ""}, {"text": "b"}))

    assert told["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_a_run_of_the_models_is_one_message() -> None:
    told = messages(
        user({"text": "x"}),
        model({"text": "Hel"}),
        model({"text": "lo"}),
        model({"text": ""}),
        user({"text": "y"}),
        {"role": "model"},
    )

    assert [message["role"] for message in told] == ["user", "assistant", "user"]
    assert told[1]["content"] == "Hello"


def test_what_the_model_showed_stays() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    [told] = messages(model({"text": "a"}, picture))

    assert [part["type"] for part in told["content"]] == ["text", "image_url"]


# Calls


def test_calls_without_ids_are_numbered_and_answered_by_name_and_order() -> None:
    told = messages(
        model(call("f"), call("g"), call("f")),
        {"role": "function", "parts": [response("g"), response("f"), response("f")]},
        model(call("f")),
        user(response("f", id="unknown"), {"text": "go on"}),
    )

    assert [each["id"] for each in told[0]["tool_calls"]] == ["call_1", "call_2", "call_3"]
    assert [each.get("tool_call_id") for each in told[1:4]] == ["call_2", "call_1", "call_3"]
    assert told[4]["tool_calls"][0]["id"] == "call_4"
    assert told[5]["tool_call_id"] == "call_4"
    assert told[6] == {"role": "user", "content": "go on"}


def test_ids_that_are_given_count() -> None:
    told = messages(
        model(call("f", id="a"), call("f", id="b")), user(response(id="b"), response(id="a"))
    )

    assert [each["tool_call_id"] for each in told[1:]] == ["b", "a"]


def test_an_answer_may_be_given_again() -> None:
    told = messages(model(call("f", id="a")), user(response(id="a")), user(response(id="a")))

    assert [each["tool_call_id"] for each in told[1:]] == ["a", "a"]


def test_arguments_keep_their_order() -> None:
    [told] = messages(model(call("f", args={"b": 1, "a": {"d": 1.5, "c": None}})))

    assert told["tool_calls"][0]["function"] == {
        "name": "f",
        "arguments": '{"b":1,"a":{"d":1.5,"c":null}}',
    }
    assert told["content"] is None


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        ({"response": {"result": [1]}}, '{"result":[1]}'),
        ({"response": {"content": "plain"}}, "plain"),
        ({"response": {"content": {"a": 1}}}, '{"content":{"a":1}}'),
        ({"response": None}, "{}"),
        (
            {"parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
            [
                {"type": "text", "text": '{"a":1}'},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        ),
    ],
)
def test_an_answer_of_a_tool(answer: Object, content: Any) -> None:
    told = messages(model(call()), user(response(**answer)))

    assert told[1] == {"role": "tool", "tool_call_id": "call_1", "content": content}


# Thinking


def test_thoughts_and_their_signatures() -> None:
    [told] = messages(
        model(
            {"text": "H", "thought": True},
            {"text": "m.", "thought": True, "thoughtSignature": "s1"},
            {"text": "More.", "thought": True},
            {"text": "said", "thoughtSignature": "s2"},
            call("f", id="a") | {"thoughtSignature": "s3"},
            call("g", id="b") | {"thoughtSignature": NONE_NEEDED},
        )
    )

    assert told["content"] == "said"
    assert told["reasoning_details"] == [
        {"index": 0, "type": "reasoning.text", "text": "Hm.", "signature": "s1"},
        {"index": 1, "type": "reasoning.text", "text": "More."},
        {"index": 2, "type": "reasoning.encrypted", "id": "thought_signature", "data": "s2"},
        {"index": 3, "type": "reasoning.encrypted", "id": "tool_call_a", "data": "s3"},
    ]


def test_blocks_that_others_want_back_come_out_of_our_signature() -> None:
    signature = base64.urlsafe_b64encode(base64.b64decode(wrapped(DETAILS))).decode()
    [told] = messages(
        model({"text": "Hm.", "thought": True}, call() | {"thoughtSignature": signature})
    )

    assert told["reasoning_details"] == DETAILS


@pytest.mark.parametrize("inner", [b"{", b"{}", b"[1]"])
def test_a_signature_that_only_looks_like_ours_is_somebodys(inner: bytes) -> None:
    signature = base64.b64encode(b"bifrost-thoughts:" + inner).decode()
    [told] = messages(model({"text": "a", "thoughtSignature": signature}))

    assert told["reasoning_details"][0]["data"] == signature


READ = frozenset({"type", "text", "summary", "signature", "data", "id"})
OTHER_NAMES = st.text().filter(lambda name: name not in READ)
"""Members that are only handed on; the others have to be texts."""


@given(st.lists(st.dictionaries(OTHER_NAMES, st.text() | st.integers(-9, 9))))
def test_whatever_is_wrapped_comes_back(details: list[Object]) -> None:
    part = {"text": "a", "thoughtSignature": wrapped(details)}
    [told] = messages(model(part))

    assert told.get("reasoning_details", []) == [
        {"index": index, **detail} for index, detail in enumerate(details)
    ]


# Settings


@pytest.mark.parametrize(
    ("asked", "told"), [("40.0", b"40"), ("40", b"40"), ("40.5", b"40.5"), ("6e136", b"6e+136")]
)
def test_a_count_has_no_point(asked: str, told: bytes) -> None:
    """Google's SDK writes it with one."""
    contents = b'[{"parts":[{"text":"x"}]}]'
    config = b'{"topK":%s}' % asked.encode()

    assert (
        read_generate({"contents": contents, "generationConfig": config}).members["top_k"] == told
    )


@pytest.mark.parametrize(
    ("name", "value", "ours"),
    [
        ("maxOutputTokens", 5, {"max_completion_tokens": 5}),
        ("temperature", 0.5, {"temperature": 0.5}),
        ("topP", 0.5, {"top_p": 0.5}),
        ("topK", 40, {"top_k": 40}),
        ("stopSequences", ["a"], {"stop": ["a"]}),
        ("seed", 7, {"seed": 7}),
        ("candidateCount", 2, {"n": 2}),
        ("presencePenalty", 0.1, {"presence_penalty": 0.1}),
        ("frequencyPenalty", 0.1, {"frequency_penalty": 0.1}),
        ("responseLogprobs", True, {"logprobs": True}),
        ("logprobs", 3, {"top_logprobs": 3}),
        ("responseModalities", ["TEXT", "IMAGE"], {"modalities": ["text", "image"]}),
        ("responseModalities", ["TEXT"], {}),
        ("responseModalities", [], {}),
        ("responseMimeType", "text/plain", {}),
        ("responseMimeType", "application/json", {"response_format": {"type": "json_object"}}),
        ("responseMimeType", "text/x.enum", {"response_mime_type": "text/x.enum"}),
        ("responseJsonSchema", {"type": "string"}, {"response_json_schema": {"type": "string"}}),
        ("thinkingConfig", {"thinkingBudget": 9}, {"reasoning": {"max_tokens": 9}}),
        ("thinkingConfig", {"thinkingBudget": -1}, {"reasoning": {"max_tokens": -1}}),
        ("thinkingConfig", {"thinkingBudget": 0}, {"reasoning": {"enabled": False}}),
        ("thinkingConfig", {"thinkingLevel": "LOW"}, {"reasoning": {"effort": "low"}}),
        ("thinkingConfig", {"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, {}),
        ("thinkingConfig", {"includeThoughts": True}, {}),
    ],
)
def test_a_setting(name: str, value: Any, ours: Object) -> None:
    incoming = asked(generationConfig={name: value})

    told = {n: json.loads(v) for n, v in incoming.members.items() if n != "messages"}
    assert told == ours
    assert incoming.lost == ()


def test_every_setting_has_a_test_of_its_own() -> None:
    marks = test_a_setting.pytestmark
    tried = {row[0] for row in marks[0].args[1]}

    assert set(SETTINGS) <= tried


@pytest.mark.parametrize("name", ["responseSchema", "responseJsonSchema", "_responseJsonSchema"])
def test_a_schema_of_the_answer(name: str) -> None:
    config = {"response_mime_type": "application/json", name: {"type": "object"}}

    told = said(asked(generation_config=config), "response_format")

    assert told == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": {"type": "object"}},
    }


def test_the_bound_of_the_output_is_known() -> None:
    assert asked(generationConfig={"maxOutputTokens": 5}).max_output_tokens == 5


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"thinkingConfig": {"includeThoughts": True}}, True),
        ({"thinking_config": {"include_thoughts": True}}, True),
        ({"thinkingConfig": {"includeThoughts": False}}, False),
        ({}, False),
    ],
)
def test_whether_thoughts_are_wanted(config: Object, wanted: bool) -> None:
    assert thoughts_wanted(raw({"contents": ASK, "generation_config": config})) is wanted
    assert not thoughts_wanted(raw({"contents": ASK}))


def test_what_is_geminis_alone_stays() -> None:
    incoming = asked(
        safetySettings=[{"a": 1}], cached_content="cachedContents/1", labels={"a": "b"}
    )

    assert said(incoming, "safety_settings") == [{"a": 1}]
    assert said(incoming, "cached_content") == "cachedContents/1"
    assert said(incoming, "labels") == {"a": "b"}
    assert incoming.lost == ()


# Tools


def test_functions_and_other_tools() -> None:
    incoming = asked(
        tools=[
            {"functionDeclarations": [{"name": "f", "description": "d", "parameters": None}]},
            {
                "function_declarations": [
                    {"name": "g", "parameters": {"type": "OBJECT"}},
                    {"name": "h", "parametersJsonSchema": {"type": "object", "b": 1, "a": 2}},
                ]
            },
            {"googleSearch": {}, "codeExecution": {}},
            {"fileSearch": {"fileSearchStoreNames": ["s"]}},
        ]
    )

    functions = [tool["function"] for tool in said(incoming, "tools")[:3]]
    assert functions == [
        {"name": "f", "description": "d"},
        {"name": "g", "parameters": {"type": "object"}},
        {"name": "h", "parameters": {"type": "object", "b": 1, "a": 2}},
    ]
    assert said(incoming, "tools")[3:] == [
        {"type": "google_search"},
        {"type": "code_execution"},
        {"type": "file_search", "file_search": {"fileSearchStoreNames": ["s"]}},
    ]


F: Object = {"type": "function", "function": {"name": "f"}}
G: Object = {"type": "function", "function": {"name": "g"}}


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "AUTO"}, "auto"),
        ({"mode": "VALIDATED"}, "auto"),
        ({"mode": "NONE", "allowedFunctionNames": ["f"]}, "none"),
        ({"mode": "ANY"}, "required"),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, F),
        (
            {"mode": "ANY", "allowed_function_names": ["f", "g"]},
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [F, G]}},
        ),
        (
            {"allowedFunctionNames": ["g"]},
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [G]}},
        ),
    ],
)
def test_which_function_is_to_be_called(config: Object, choice: Any) -> None:
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
    incoming = asked(tools=tools, toolConfig={"functionCallingConfig": config})

    assert said(incoming, "tool_choice") == choice


@pytest.mark.parametrize("config", [{}, {"functionCallingConfig": {"mode": "AUTO"}}])
def test_without_functions_there_is_nothing_to_choose(config: Object) -> None:
    assert "tool_choice" not in asked(toolConfig=config).members


# Losses and mistakes


@pytest.mark.parametrize(
    ("members", "lost"),
    [
        ({"serviceTier": "x", "other": 1, "none": None, "empty": []}, ("serviceTier", "other")),
        ({"generationConfig": {"speechConfig": {"a": 1}}}, ("generationConfig.speechConfig",)),
        (
            {"generationConfig": {"thinkingConfig": {"new": 1}}},
            ("generationConfig.thinkingConfig.new",),
        ),
        (
            {"contents": [user({"text": "a", "videoMetadata": {"fps": 1}})]},
            ("contents.parts.videoMetadata",),
        ),
        (
            {"contents": [user({"text": "a"}, {"toolCall": {"a": 1}})]},
            ("contents.parts.toolCall",),
        ),
        (
            {"contents": [model(call()), user(response(scheduling="SILENT"))]},
            ("contents.parts.functionResponse.scheduling",),
        ),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}]},
            ("tools.functionDeclarations.behavior",),
        ),
        ({"toolConfig": {"retrievalConfig": {"a": 1}}}, ("toolConfig.retrievalConfig",)),
    ],
)
def test_what_no_word_is_for_is_named(members: Object, lost: tuple[str, ...]) -> None:
    assert asked(**members).lost == lost


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"contents": []}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": [{"role": "user"}]}, "contents"),
        ({"contents": 1}, "contents"),
        ({"contents": [1]}, "contents[0]"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [user({})]}, "contents[0].parts[0]"),
        ({"contents": [user({"text": 1})]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": "x"}]}, "contents[0].parts"),
        (
            {"contents": [user({"inlineData": {"mimeType": "image/png", "data": "a"}})]},
            "contents[0].parts[0].inlineData.data",
        ),
        (
            {"contents": [user({"inlineData": {"mimeType": "a,b", "data": "aGk="}})]},
            "contents[0].parts[0].inlineData.mimeType",
        ),
        (
            {"contents": [user({"inlineData": {"data": "aGk="}})]},
            "contents[0].parts[0].inlineData.mimeType",
        ),
        (
            {"contents": [user({"fileData": {"mimeType": "a/b"}})]},
            "contents[0].parts[0].fileData.fileUri",
        ),
        ({"contents": [user(response())]}, "contents[0].parts[0].functionResponse"),
        (
            {"contents": [model({"functionCall": {"args": {}}})]},
            "contents[0].parts[0].functionCall.name",
        ),
        (
            {"contents": [model({"functionCall": {"name": "f", "args": 1}})]},
            "contents[0].parts[0].functionCall.args",
        ),
        (
            {"systemInstruction": {"parts": [{"inlineData": {}}]}},
            "systemInstruction.parts[0]",
        ),
        ({"systemInstruction": 1}, "systemInstruction"),
        ({"generationConfig": 1}, "generationConfig"),
        ({"generationConfig": {"temperature": "x"}}, "generationConfig.temperature"),
        ({"generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences[0]"),
        ({"generationConfig": {"responseSchema": 1}}, "generationConfig.responseSchema"),
        ({"generationConfig": {"responseJsonSchema": 1}}, "generationConfig.responseJsonSchema"),
        ({"tools": [{"googleSearch": 1}]}, "tools[0].googleSearch"),
        (
            {"tools": [{"functionDeclarations": [{}]}]},
            "tools[0].functionDeclarations[0].name",
        ),
        (
            {"toolConfig": {"functionCallingConfig": {"mode": "x"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
        (
            {"toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["x"]}}},
            "toolConfig.functionCallingConfig.allowedFunctionNames",
        ),
    ],
)
def test_a_mistake_has_its_place(members: Object, place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_generate(raw({"contents": ASK, **members}))

    assert caught.value.param == place
    assert caught.value.status == 400


def test_what_cannot_be_decoded_or_written_is_refused() -> None:
    with pytest.raises(BadRequest, match="Invalid JSON"):
        read_generate({"contents": b"[\xff]"})
    deep = b'{"type":"x","a":' + b"[" * 300 + b"]" * 300 + b"}"
    with pytest.raises(BadRequest, match="nested too deeply"):
        read_generate(
            raw({"contents": ASK})
            | {
                "tools": b'[{"functionDeclarations":[{"name":"f","parametersJsonSchema":%b}]}]'
                % deep
            }
        )


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                """role parts text thought thoughtSignature inlineData mimeType data fileData functionCall name args id
            functionResponse response functionDeclarations parameters type properties items mode
            functionCallingConfig thinkingConfig""".split()  # noqa: SIM905  a list of names
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"contents": JSON},
        optional=dict.fromkeys(
            ("systemInstruction", "generationConfig", "tools", "toolConfig", "labels"), JSON
        ),
    )
)
def test_anything_is_read_or_refused(members: Object) -> None:
    try:
        incoming = read_generate(raw(members))
    except BadRequest:
        return
    assert json.loads(incoming.members["messages"])


# Schemas


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "string"}, {"type": "string"}),
        ({"type": "TYPE_UNSPECIFIED"}, {}),
        ({"type": ["STRING", "NULL", 1]}, {"type": ["string", "null", 1]}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        (
            {"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"anyOf": [{"type": "STRING"}], "nullable": True},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        ({"nullable": True}, {}),
        ({"type": "NUMBER", "format": "float"}, {"type": "number", "format": "float"}),
        (
            {"type": "ARRAY", "min_items": "1", "maxItems": 2, "items": {"type": "INTEGER"}},
            {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer"}},
        ),
        (
            {"type": "ARRAY", "items": [{"type": "BOOLEAN"}]},
            {"type": "array", "items": [{"type": "boolean"}]},
        ),
        ({"example": 1, "title": "t", "default": None}, {"examples": [1], "title": "t"}),
        (
            {
                "properties": {"b": {"type": "NULL"}, "a_b": True},
                "propertyOrdering": ["a_b", "x", 1],
            },
            {"properties": {"a_b": True, "b": {"type": "null"}}},
        ),
        (
            {"defs": {"T": {"type": "STRING"}}, "ref": "#/$defs/T", "additionalProperties": False},
            {
                "$defs": {"T": {"type": "string"}},
                "$ref": "#/$defs/T",
                "additionalProperties": False,
            },
        ),
    ],
)
def test_a_schema(theirs: Object, ours: Object) -> None:
    told = json_schema(theirs, "s")

    assert json.dumps(told) == json.dumps(ours)


@pytest.mark.parametrize(
    ("theirs", "place"),
    [
        (1, "s"),
        ({"items": 1}, "s.items"),
        ({"properties": {"a": 1}}, "s.properties.a"),
        ({"anyOf": {}}, "s.anyOf"),
    ],
)
def test_what_is_no_schema(theirs: Any, place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        json_schema(theirs, "s")

    assert caught.value.param == place


def test_a_schema_has_a_bottom() -> None:
    deep: Object = {}
    for _ in range(MAX_DEPTH):
        deep = {"items": deep}

    with pytest.raises(BadRequest, match="nested too deeply"):
        json_schema(deep, "s")


# Counts and embeddings


@pytest.mark.parametrize(
    "body",
    [
        {"contents": ASK},
        {"generateContentRequest": {"model": "models/m", "contents": ASK}},
        {"generate_content_request": {"contents": ASK}},
    ],
)
def test_what_is_counted_is_a_chat(body: Object) -> None:
    incoming = read_count(raw(body))

    assert said(incoming, "messages") == [{"role": "user", "content": "hi"}]
    assert incoming.lost == ()


def test_one_text_to_embed() -> None:
    incoming = read_embed(
        raw(
            {
                "model": "models/m",
                "content": {"parts": [{"text": "a"}, {"text": "b"}]},
                "output_dimensionality": 4,
                "taskType": "CLUSTERING",
                "title": "t",
                "new": 1,
            }
        )
    )

    assert {n: json.loads(v) for n, v in incoming.members.items()} == {
        "input": "a\nb",
        "dimensions": 4,
        "task_type": "CLUSTERING",
        "title": "t",
    }
    assert incoming.lost == ("new",)


def one(text: str, **more: Any) -> Object:
    return {"content": {"parts": [{"text": text}]}, **more}


def test_many_texts_to_embed() -> None:
    config = {"embedContentConfig": {"outputDimensionality": 4}}
    incoming = read_embed_batch(raw({"requests": [one("a", **config), one("b", **config)], "x": 1}))

    assert said(incoming, "input") == ["a", "b"]
    assert said(incoming, "dimensions") == 4
    assert incoming.lost == ("x",)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "requests"),
        ({"requests": [{}]}, "requests[0].content"),
        ({"requests": [one("")]}, "requests[0].content"),
        ({"requests": [one("a"), one("b", outputDimensionality=4)]}, "requests"),
        ({"requests": [one("a", outputDimensionality="x")]}, "requests[0].outputDimensionality"),
        ({"requests": [one("a")] * (MAX_REQUESTS + 1)}, "requests"),
    ],
)
def test_a_mistake_in_a_batch(body: Object, place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_embed_batch(raw(body))

    assert caught.value.param == place
