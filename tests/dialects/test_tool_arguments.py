"""Calls of tools in a conversation: whatever dialect they are told in, the same of them is taken and the same refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bifrost.dialects.anthropic_request import encode_messages
from bifrost.dialects.anthropic_vertex import encode_claude
from bifrost.dialects.bedrock_request import encode_converse
from bifrost.dialects.cohere_chat_request import encode_chat as encode_cohere
from bifrost.dialects.gemini_request import encode_chat as encode_gemini
from bifrost.dialects.replicate_request import encode_chat as encode_replicate
from bifrost.errors import BadRequest
from bifrost.providers.table import FOREIGN, MIXED
from bifrost.schema.call import Call, Operation, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.dialects.openai_edit import Encoded

    Encode = Callable[[Call, str, str], Encoded]
    Find = Callable[[Any], Any]


def _input(body: Any) -> Any:
    return body["messages"][1]["content"][0]["input"]


def _converse(body: Any) -> Any:
    return body["messages"][1]["content"][0]["toolUse"]["input"]


def _gemini(body: Any) -> Any:
    return body["contents"][1]["parts"][0]["functionCall"]["args"]


def _cohere(body: Any) -> Any:
    return json.loads(body["messages"][1]["tool_calls"][0]["function"]["arguments"])


DIALECTS: dict[str, tuple[Encode, Find | None]] = {
    "anthropic": (encode_messages, _input),
    "azure": (encode_messages, _input),
    "vertex": (encode_claude, _input),
    "bedrock": (encode_converse, _converse),
    "gemini": (encode_gemini, _gemini),
    "cohere": (encode_cohere, _cohere),
    "replicate": (encode_replicate, None),
}
"""How a chat is encoded, and where the arguments are in it; nowhere, where calls are lost."""

SILENT = {"elevenlabs", "huggingface"}
"""Those that do not chat, or in OpenAI's own dialect."""

TELLING = sorted(name for name, (_, found) in DIALECTS.items() if found is not None)


def sent(name: str, kind: str, **what: Any) -> Any:
    encode, found = DIALECTS[name]
    call = {"id": "c1", "type": kind, kind: {"name": "f", **what}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]
    asked = Call(
        id="1",
        operation=Operation.CHAT,
        stream=False,
        target=Target(name, "m"),
        members={"messages": json.dumps(messages).encode()},
    )
    body = encode(asked, "m", name).body
    return found(json.loads(body)) if found else None


def test_every_dialect_is_here() -> None:
    assert {*FOREIGN, *MIXED} - SILENT <= set(DIALECTS)


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", '"x"', "5", "x", "null"])
@pytest.mark.parametrize("name", DIALECTS)
def test_arguments_that_are_no_object_are_refused_with_their_place(
    name: str, arguments: str
) -> None:
    place = "messages[1].tool_calls[0].function.arguments"

    with pytest.raises(BadRequest) as caught:
        sent(name, "function", arguments=arguments)

    assert (caught.value.message, caught.value.param) == (f"{place} must be a JSON object", place)


@pytest.mark.parametrize(
    ("arguments", "told"), [("", {}), (" ", {}), ('{"b":1,"a":2}', {"b": 1, "a": 2})]
)
@pytest.mark.parametrize("name", TELLING)
def test_arguments(name: str, arguments: str, told: Any) -> None:
    found = sent(name, "function", arguments=arguments)

    assert [*found.items()] == [*told.items()]


@pytest.mark.parametrize("name", TELLING)
def test_the_text_of_a_custom_tool_is_the_member_of_an_object(name: str) -> None:
    assert sent(name, "custom", input='{"cut') == {"input": '{"cut'}
