from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json import join_object, split_object
from bifrost.dialects.openai_chat_request import STANDARD, Quirks, effort_for, encode_chat
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Caller, Operation, Target

HI = [{"role": "user", "content": "Hi"}]
OTHERS = Quirks(drops=("prediction", "store"), knows_minimal=False)


def call(
    body: dict[str, Any] | bytes,
    *,
    stream: bool = False,
    passthrough: bool = False,
    strict: bool = False,
) -> Call:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Call(
        id="1",
        operation=Operation.CHAT,
        stream=stream,
        target=Target("p", "m"),
        members=split_object(raw),
        caller=Caller(passthrough_extra_params=passthrough, strict=strict),
    )


def encode(
    body: dict[str, Any], quirks: Quirks = STANDARD, model: str = "m", **how: bool
) -> tuple[Any, tuple[str, ...]]:
    encoded = encode_chat(call({"messages": HI, **body}, **how), model, quirks, provider="p")
    value = json.loads(encoded.body)
    assert value.pop("model") == model
    if value["messages"] == HI:
        del value["messages"]
    return value, encoded.dropped


def test_ordinary_body_passes_byte_for_byte_but_for_its_model() -> None:
    body = b'{"n":2,"model":"p/m","stop":"x","messages":[ {"role":"user",  "content":"\\u00e9 cache_control \\"citations\\""} ],"temperature":1.10,"max_tokens":5,"brand_new":{"a": 1}}'

    encoded = encode_chat(call(body), "m", STANDARD, provider="p")

    assert encoded.body == body.replace(b'"p/m"', b'"m"')
    assert encoded.dropped == ()


def test_nothing_is_changed_in_the_call_itself() -> None:
    asked = call({"messages": HI, "reasoning": {"effort": "low"}, "prediction": 1}, stream=True)
    before = dict(asked.members)

    encode_chat(asked, "m", OTHERS, provider="p")

    assert asked.members == before


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (None, {"include_usage": True}),
        ({"include_usage": False, "include_obfuscation": True}, {"include_usage": True}),
        ({"new": 1}, {"new": 1, "include_usage": True}),
        ("odd", {"include_usage": True}),
    ],
)
def test_streams_always_ask_for_usage_and_never_for_padding(options: Any, sent: Any) -> None:
    value, _ = encode({"stream_options": options}, stream=True)

    assert value == {"stream": True, "stream_options": sent}


def test_plain_calls_keep_what_they_say_of_streams() -> None:
    assert encode({"stream": False, "stream_options": None})[0] == {
        "stream": False,
        "stream_options": None,
    }


@pytest.mark.parametrize(
    ("body", "sent", "dropped"),
    [
        ({"reasoning_effort": "minimal"}, {"reasoning_effort": "minimal"}, ()),
        ({"reasoning": {"effort": "minimal"}}, {"reasoning_effort": "minimal"}, ()),
        ({"reasoning": {"effort": "high", "max_tokens": 9}}, {"reasoning_effort": "high"}, ("reasoning.max_tokens",)),
        ({"reasoning": {"max_tokens": 2000}}, {"reasoning_effort": "medium"}, ()),
        ({"reasoning": {"max_tokens": 2000}, "max_completion_tokens": 2000}, {"reasoning_effort": "high", "max_completion_tokens": 2000}, ()),
        ({"reasoning": {"max_tokens": 2000}, "max_tokens": 10000}, {"reasoning_effort": "low", "max_tokens": 10000}, ()),
        ({"reasoning": {"max_tokens": 9, "effort": None}, "max_tokens": "x"}, {"reasoning_effort": "low", "max_tokens": "x"}, ()),
        ({"reasoning": {"max_tokens": -1}}, {}, ()),
        ({"reasoning": {"max_tokens": "x"}}, {}, ("reasoning.max_tokens",)),
        ({"reasoning": {"enabled": False}}, {"reasoning_effort": "none"}, ()),
        ({"reasoning": {"enabled": True}}, {}, ()),
        ({"reasoning": {}}, {}, ()),
        ({"reasoning": None}, {}, ()),
        ({"reasoning": "odd"}, {"reasoning": "odd"}, ()),
        ({"reasoning": {"effort": "low", "exclude": True}}, {"reasoning_effort": "low"}, ("reasoning.exclude",)),
        ({"reasoning_max_tokens": 4000}, {"reasoning_effort": "high"}, ()),
        ({"reasoning_max_tokens": None}, {}, ()),
        ({"reasoning_max_tokens": 4000, "reasoning_effort": "low"}, {"reasoning_effort": "low"}, ("reasoning_max_tokens",)),
        ({"reasoning_max_tokens": 9, "reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}, ("reasoning_max_tokens",)),
        ({"reasoning": {"max_tokens": 9}, "reasoning_effort": "low"}, {"reasoning_effort": "low"}, ("reasoning.max_tokens",)),
    ],
)  # fmt: skip
def test_reasoning_becomes_an_effort(body: Any, sent: Any, dropped: tuple[str, ...]) -> None:
    assert encode(body) == (sent, dropped)


def test_effort_stands_where_the_object_stood() -> None:
    body = b'{"a":1,"reasoning":{"effort":"low"},"b":2}'

    encoded = encode_chat(call(body), "m", STANDARD, provider="p").body

    assert encoded == b'{"a":1,"reasoning_effort":"low","b":2,"model":"m"}'


@pytest.mark.parametrize(
    ("alias", "name"), [("reasoning_effort", "effort"), ("reasoning_max_tokens", "max_tokens")]
)
@pytest.mark.parametrize("quirks", [STANDARD, Quirks(keeps_extensions=True)])
def test_saying_it_twice_is_refused(alias: str, name: str, quirks: Quirks) -> None:
    text = f"both {alias} and reasoning.{name} cannot be present at the same time"

    with pytest.raises(BadRequest, match=text):
        encode({alias: 1, "reasoning": {name: 1}}, quirks)


@pytest.mark.parametrize(
    ("budget", "max_tokens", "effort"),
    [
        (0, 100, "none"),
        (-5, 100, "none"),
        (5, 0, "medium"),
        (5, 1, "high"),
        (1, 4096, "low"),
        (1024, 4096, "low"),
        (1025, 4096, "medium"),
        (2458, 4096, "medium"),
        (2459, 4096, "high"),
        (9999, 4096, "high"),
    ],
)
def test_budget_stands_for_an_effort(budget: int, max_tokens: int, effort: str) -> None:
    assert effort_for(budget, max_tokens) == effort


def test_own_extensions_are_taken_out_and_named() -> None:
    mark = {"type": "ephemeral"}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "a", "cache_control": mark}, {"cachePoint": {"type": "default"}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "x", "file_type": "pdf", "file_url": "u"}, "citations": {"enabled": True}}]},
        {"role": "assistant", "content": "b", "reasoning": "r", "reasoning_details": [{"index": 0}]},
        {"role": "user", "content": "c", "cache_control": None},
        {"role": "user", "content": "plain"},
    ]  # fmt: skip
    tools = [
        {
            "type": "function",
            "function": {"name": "f", "parameters": {"z": 1, "a": 2}},
            "cache_control": mark,
        }
    ]

    value, dropped = encode({"messages": messages, "tools": tools})

    assert value["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": "a"}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "x"}}]},
        {"role": "assistant", "content": "b", "reasoning": "r"},
        {"role": "user", "content": "c"},
        {"role": "user", "content": "plain"},
    ]
    assert list(value["tools"][0]["function"]["parameters"]) == ["z", "a"]
    assert "cache_control" not in value["tools"][0]
    assert set(dropped) == {
        "cache_control",
        "cachePoint",
        "citations",
        "file_type",
        "file_url",
        "reasoning_details",
    }


@pytest.mark.parametrize(
    "messages",
    [
        '{"cache_control":1}',
        '["cache_control"]',
        '[{"content":["citations"]}]',
        '[{"content":{"citations":1}}]',
        '[{"role":"user","name":"citations"}]',
        '[{"content":[{"type":"file","file":"file_url"}]}]',
        '[{"content":[{"type":"citations"}]}]',
    ],
)
def test_what_only_looks_like_an_extension_stays(messages: str) -> None:
    body = f'{{"model":"m","messages":{messages}}}'.encode()

    assert encode_chat(call(body), "m", STANDARD, provider="p").body == body


def test_upstream_that_knows_them_gets_the_extensions() -> None:
    body = {
        "messages": [{"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}}],
        "reasoning": {"max_tokens": 5},
    }

    assert encode(body, Quirks(keeps_extensions=True)) == (body, ())
    assert encode({"reasoning_max_tokens": 5}, Quirks(keeps_extensions=True)) == (
        {"reasoning_max_tokens": 5},
        (),
    )


@pytest.mark.parametrize(
    ("quirks", "model", "body", "sent", "dropped"),
    [
        (OTHERS, "m", {"prediction": {}, "store": None, "user": "u" * 99}, {"user": "u" * 99}, ("prediction",)),
        (OTHERS, "m", {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}, ()),
        (OTHERS, "m", {"reasoning": {"effort": "minimal"}}, {"reasoning_effort": "low"}, ()),
        (Quirks(estimates_effort=False), "m", {"reasoning": {"max_tokens": 5}}, {}, ("reasoning.max_tokens",)),
        (Quirks(old_max_tokens=True), "m", {"max_completion_tokens": 5}, {"max_tokens": 5}, ()),
        (Quirks(old_max_tokens=True), "m", {"max_tokens": 9, "max_completion_tokens": 5}, {"max_tokens": 5}, ("max_tokens",)),
        (Quirks(old_max_tokens=True), "m", {"max_tokens": 9}, {"max_tokens": 9}, ()),
        (Quirks(any_tool=True), "m", {"tool_choice": {"type": "function"}}, {"tool_choice": "any"}, ("tool_choice",)),
        (Quirks(any_tool=True), "m", {"tool_choice": "auto"}, {"tool_choice": "auto"}, ()),
        (Quirks(user_from_cache_key=True), "m", {"prompt_cache_key": "k"}, {"user": "k"}, ()),
        (Quirks(user_from_cache_key=True), "m", {"prompt_cache_key": "k", "user": ""}, {"user": "k"}, ()),
        (Quirks(user_from_cache_key=True, drops=("prompt_cache_key",)), "m", {"prompt_cache_key": "k", "user": "u"}, {"user": "u"}, ("prompt_cache_key",)),
        (Quirks(user_from_cache_key=True), "m", {"prompt_cache_key": {"deep": 1}}, {"prompt_cache_key": {"deep": 1}}, ()),
        (Quirks(is_grok=True), "grok-4", {"presence_penalty": 1, "frequency_penalty": 1, "stop": "x", "reasoning_effort": "low"}, {}, ("presence_penalty", "frequency_penalty", "stop", "reasoning_effort")),
        (Quirks(is_grok=True), "grok-3", {"presence_penalty": 1, "frequency_penalty": 1, "stop": "x", "reasoning_effort": "low"}, {"frequency_penalty": 1, "stop": "x"}, ("presence_penalty", "reasoning_effort")),
        (Quirks(is_grok=True), "grok-3-mini", {"presence_penalty": 1, "stop": "x", "reasoning_effort": "low"}, {"reasoning_effort": "low"}, ("presence_penalty", "stop")),
        (Quirks(is_grok=True), "grok-4-fast-non-reasoning", {"stop": "x"}, {"stop": "x"}, ()),
        (Quirks(is_grok=True), "grok-2", {"stop": "x"}, {"stop": "x"}, ()),
    ],
)  # fmt: skip
def test_quirks(quirks: Quirks, model: str, body: Any, sent: Any, dropped: tuple[str, ...]) -> None:
    assert encode(body, quirks, model) == (sent, dropped)


def test_reasoning_text_is_not_given_back_to_who_refuses_it() -> None:
    messages = [{"role": "assistant", "reasoning": "r"}, {"role": "user", "reasoning": "kept"}]

    value, dropped = encode({"messages": messages}, Quirks(drops_reasoning_text=True))

    assert value["messages"] == [{"role": "assistant"}, {"role": "user", "reasoning": "kept"}]
    assert dropped == ("reasoning",)


@pytest.mark.parametrize(
    ("body", "sent", "query"),
    [
        ({"project": "a b"}, {}, (("project", "a b"),)),
        ({"extra_params": {"project": "a"}}, {}, (("project", "a"),)),
        (
            {"extra_params": {"project": "a", "x": 1}},
            {"extra_params": {"x": 1}},
            (("project", "a"),),
        ),
        ({"extra_params": {"project": 1}}, {"extra_params": {"project": 1}}, ()),
        ({"extra_params": [1]}, {"extra_params": [1]}, ()),
        ({}, {}, ()),
    ],
)
def test_extras_that_belong_into_the_query(body: Any, sent: Any, query: Any) -> None:
    encoded = encode_chat(call(body), "m", Quirks(query_params=("project",)), provider="p")

    assert json.loads(encoded.body) == {**sent, "model": "m"}
    assert encoded.query == query


def test_renamed_model() -> None:
    encoded = encode_chat(call({}), "a/b", Quirks(rename_model=str.upper), provider="p")

    assert json.loads(encoded.body) == {"model": "A/B"}


def test_extra_params_pass_as_sent_without_the_header() -> None:
    assert encode({"extra_params": {"a": 1}}) == ({"extra_params": {"a": 1}}, ())


def test_extra_params_merge_deeply_and_win_but_not_over_the_route() -> None:
    body = {"top_k": 1, "deep": {"a": 1, "b": {"c": 1, "d": 1}}, "list": [1]}
    extra = {
        "z": 1,
        "top_k": 2,
        "deep": {"b": {"c": 2}, "e": 3},
        "list": [2],
        "prediction": 1,
        "model": "evil",
        "MODEL": "evil",
        "models": ["evil"],
        "stream": False,
        "fallbacks": [],
        "provider": "evil",
        "stream_options": {"include_usage": False, "x": 1},
    }

    value, dropped = encode({**body, "extra_params": extra}, OTHERS, stream=True, passthrough=True)

    assert value == {
        "top_k": 2,
        "deep": {"a": 1, "b": {"c": 2, "d": 1}, "e": 3},
        "list": [2],
        "prediction": 1,
        "stream": True,
        "stream_options": {"include_usage": True, "x": 1},
        "z": 1,
    }
    assert dropped == ()


def test_extra_params_that_are_no_object_pass() -> None:
    assert encode({"extra_params": "x"}, passthrough=True) == ({"extra_params": "x"}, ())


def test_very_deep_extra_params_replace_instead_of_merging() -> None:
    def nested(levels: int, leaf: dict[str, Any]) -> dict[str, Any]:
        return {"d": nested(levels - 1, leaf)} if levels else leaf

    body = {**nested(40, {"a": 1}), "extra_params": nested(40, {"b": 1})}

    value, _ = encode(body, passthrough=True)

    assert value == nested(40, {"b": 1})


def test_store_can_be_forbidden() -> None:
    encoded = encode_chat(call({"store": True}), "m", STANDARD, provider="p", disable_store=True)

    assert json.loads(encoded.body) == {"store": False, "model": "m"}


def test_strict_caller_loses_nothing() -> None:
    with pytest.raises(BadRequest, match="p does not take: prediction, store") as caught:
        encode({"prediction": 1, "store": True}, OTHERS, strict=True)

    assert caught.value.status == 400
    assert caught.value.param == "prediction"
    assert encode({"seed": 1}, OTHERS, strict=True) == ({"seed": 1}, ())


@pytest.mark.parametrize("raw", [b"1e999", b'{"a":' * 2000 + b"1" + b"}" * 2000])
def test_members_that_cannot_be_read_are_no_crash(raw: bytes) -> None:
    asked = call({"reasoning_max_tokens": 5})
    members = {**asked.members, "max_tokens": raw, "reasoning": raw}
    odd = Call(
        id="1", operation=Operation.CHAT, stream=False, target=Target("p", "m"), members=members
    )

    if raw.startswith(b"{"):
        with pytest.raises(BadRequest, match="Invalid JSON"):
            encode_chat(odd, "m", STANDARD, provider="p")
    else:
        assert b"1e999" in encode_chat(odd, "m", STANDARD, provider="p").body


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
            lambda name: (
                name not in {"reasoning", "reasoning_max_tokens", "model", "messages", "tools"}
            )
        ),
        st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.none()),
    )
)
def test_unknown_members_always_pass(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()

    encoded = encode_chat(call(raw), "m", STANDARD, provider="p").body

    assert encoded == join_object({**split_object(raw), "model": b'"m"'})
