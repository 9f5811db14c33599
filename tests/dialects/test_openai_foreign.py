"""Chat requests of foreign callers on their way to upstreams of OpenAI's dialect: what is made fit, and what is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.codecs.json import split_object
from bifrost.dialects.openai_chat_request import STANDARD, Quirks, encode_chat
from bifrost.dialects.openai_foreign import is_reasoning_model
from bifrost.dialects.openai_operations import CODERS
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Target

if TYPE_CHECKING:
    from bifrost.dialects.openai_edit import Encoded

ASK = [{"role": "user", "content": "hi"}]
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
TOOL = {"type": "function", "function": {"name": "f"}}


def call(lost: tuple[str, ...] = (), caller: Caller | None = None, **members: Any) -> Call:
    raw = split_object(json.dumps({"model": "m", "messages": ASK, **members}).encode())
    return Call(
        id="c",
        operation=Operation.CHAT,
        stream=False,
        target=Target("openai", "m"),
        members=raw,
        native=Native(dialect=Dialect.ANTHROPIC, members={}),
        lost=lost,
        caller=caller or Caller(),
    )


def sent(
    asked: Call, model: str = "m", quirks: Quirks = STANDARD, provider: str = "openai"
) -> tuple[dict[str, Any], tuple[str, ...]]:
    encoded: Encoded = encode_chat(asked, model, quirks, provider=provider)
    body = json.loads(encoded.body)
    assert body.pop("model") == model
    return body, encoded.dropped


def test_members_of_other_dialects_are_named() -> None:
    asked = call(("messages.content.x",), mcp_servers=[{}], top_k=3, temperature=0.5)

    body, dropped = sent(asked)

    assert body == {"messages": ASK, "temperature": 0.5}
    assert dropped == ("mcp_servers", "top_k", "messages.content.x")


def test_strict_callers_are_refused_instead() -> None:
    with pytest.raises(BadRequest, match="top_k"):
        sent(call(caller=Caller(strict=True), top_k=3))
    with pytest.raises(BadRequest, match=r"messages\.content\.x"):
        sent(call(("messages.content.x",), caller=Caller(strict=True)))


def test_they_stay_where_the_caller_says_so_or_the_provider_knows_them() -> None:
    merging = Caller(passthrough_extra_params=True)

    assert sent(call(caller=merging, top_k=3))[0]["top_k"] == 3
    assert sent(call(top_k=3), quirks=Quirks(also_takes=("top_k",)))[0]["top_k"] == 3


def test_callers_of_openais_own_dialect_are_not_touched() -> None:
    asked = attrs.evolve(call(top_k=3, tools=[{"type": "web_search"}]), native=None)

    body, dropped = sent(asked)

    assert body["top_k"] == 3
    assert body["tools"] == [{"type": "web_search"}]
    assert dropped == ()


def test_tools_that_a_provider_runs_itself_are_named() -> None:
    body, dropped = sent(call(tools=[TOOL, {"type": "web_search_20250305", "name": "w"}]))

    assert body["tools"] == [TOOL]
    assert dropped == ("tools.web_search_20250305",)


def test_without_a_tool_there_is_none_to_choose() -> None:
    body, dropped = sent(
        call(tools=[{"type": "bash"}], tool_choice="auto", parallel_tool_calls=False)
    )

    assert body == {"messages": ASK}
    assert dropped == ("tools.bash",)


def test_a_long_user_is_named_and_left_out() -> None:
    assert sent(call(user="u" * 64))[0]["user"] == "u" * 64
    assert sent(call(user="u" * 65)) == ({"messages": ASK}, ("user",))


REASONING: list[tuple[str, Any, str | None, tuple[str, ...]]] = [
    ("gpt-4o", {"max_tokens": 2000}, None, ("reasoning",)),
    ("gpt-4o", {"effort": "low"}, None, ("reasoning",)),
    ("gpt-4o", {"enabled": False}, None, ()),
    ("o3", {"effort": "low"}, "low", ()),
    ("gpt-5-mini", {"effort": "max"}, "high", ()),
    ("gpt-5", {"max_tokens": 4096}, "high", ()),
    ("gpt-5", {"max_tokens": -1}, None, ()),
    ("gpt-5", {"enabled": False}, None, ("reasoning",)),
    ("gpt-5.1", {"enabled": False}, "none", ()),
    ("gpt-5", "odd", None, ()),
]


@pytest.mark.parametrize(("model", "wish", "effort", "lost"), REASONING)
def test_only_models_that_reason_are_told_how_much(
    model: str, wish: Any, effort: str | None, lost: tuple[str, ...]
) -> None:
    body, dropped = sent(call(reasoning=wish), model)

    assert body.get("reasoning_effort") == effort
    assert dropped == lost


def test_whoever_is_not_openai_is_told_what_was_wished() -> None:
    assert sent(call(reasoning={"effort": "low"}), "qwen", provider="vllm")[0] == {
        "messages": ASK,
        "reasoning_effort": "low",
    }


@pytest.mark.parametrize(
    ("model", "is_one"),
    [
        ("o1", True),
        ("o3-mini", True),
        ("ft:o4-mini:x", False),
        ("gpt-5", True),
        ("gpt-5.2-codex", True),
        ("openai/gpt-oss-120b", True),
        ("gpt-4o", False),
        ("gpt-4.1", False),
        ("turbo1", False),
    ],
)
def test_which_models_reason(model: str, is_one: bool) -> None:
    assert is_reasoning_model(model) is is_one


def result(id_: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def test_pictures_of_tools_are_shown_behind_all_results() -> None:
    text = {"type": "text", "text": "a"}
    messages = [result("1", [text, PICTURE]), result("2", [PICTURE]), *ASK]

    body, _ = sent(call(messages=messages))

    assert body["messages"] == [
        result("1", [text]),
        result("2", "The pictures are in the next message."),
        {"role": "user", "content": [PICTURE, PICTURE]},
        *ASK,
    ]
    last, _ = sent(call(messages=[*ASK, result("1", [PICTURE])]))
    assert last["messages"][-1] == {"role": "user", "content": [PICTURE]}


def test_files_have_a_name_and_plain_text_is_text() -> None:
    def file(**members: str) -> dict[str, Any]:
        return {"type": "file", "file": members}

    parts = [
        file(file_data="data:application/pdf;base64,aGk="),
        file(file_id="f"),
        {**file(file_data="words", file_type="text/plain"), "cache_control": {"type": "ephemeral"}},
    ]

    body, dropped = sent(call(messages=[{"role": "user", "content": parts}]))

    assert body["messages"][0]["content"] == [
        file(file_data="data:application/pdf;base64,aGk=", filename="document.pdf"),
        file(file_id="f"),
        {"type": "text", "text": "words"},
    ]
    assert dropped == ("cache_control",)


def test_a_document_elsewhere_is_refused_with_its_place() -> None:
    part = {"type": "file", "file": {"file_url": "https://x"}}

    with pytest.raises(BadRequest) as caught:
        sent(call(messages=[{"role": "user", "content": [part]}]))

    assert caught.value.param == "messages[0].content[0]"


def test_thinking_of_before_is_named_and_not_sent() -> None:
    detail = {"index": 0, "type": "reasoning.text", "text": "hm", "signature": "s"}
    message = {"role": "assistant", "content": "a", "reasoning_details": [detail]}

    body, dropped = sent(call(messages=[*ASK, message]))

    assert body["messages"][1] == {"role": "assistant", "content": "a"}
    assert dropped == ("reasoning_details",)


def test_a_count_is_asked_for_as_responses_have_it() -> None:
    asked = attrs.evolve(call(("x",), tools=[TOOL]), operation=Operation.COUNT_TOKENS)

    encoded = CODERS[Operation.COUNT_TOKENS].encode(asked, "gpt", STANDARD, provider="openai")

    body = json.loads(encoded.body)
    assert body["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    ]
    assert body["model"] == "gpt"
    assert "messages" not in body
    assert encoded.dropped == ("x",)


def test_a_count_of_openais_own_callers_goes_as_it_came() -> None:
    asked = attrs.evolve(
        call(), operation=Operation.COUNT_TOKENS, native=None, members={"input": b'"hi"'}
    )

    encoded = CODERS[Operation.COUNT_TOKENS].encode(asked, "gpt", STANDARD, provider="openai")

    assert json.loads(encoded.body) == {"input": "hi", "model": "gpt"}


@pytest.mark.parametrize(
    ("provider", "is_kept"), [("openai", False), ("azure", False), ("vllm", True)]
)
def test_thoughts_in_words_are_not_for_openai(provider: str, is_kept: bool) -> None:
    """Of a conversation that another model began: OpenAI knows no such member, whoever calls."""
    message = {"role": "assistant", "content": "a", "reasoning": "Hm"}
    for native in (Native(dialect=Dialect.COHERE, members={}), None):
        asked = attrs.evolve(call(messages=[*ASK, message, *ASK]), native=native)

        body, dropped = sent(asked, provider=provider)

        assert ("reasoning" in body["messages"][1]) is is_kept
        assert dropped == (() if is_kept else ("reasoning",))
