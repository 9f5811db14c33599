from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.codecs.json import split_object
from bifrost.dialects.openai_chat_request import STANDARD, Quirks
from bifrost.dialects.openai_json_request import encode_json
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Caller, Operation, Target

OTHERS = Quirks(knows_minimal=False)
GROK = Quirks(is_grok=True)


def call(members: dict[str, Any], operation: Operation = Operation.RESPONSES, **more: Any) -> Call:
    return Call(
        id="c",
        operation=operation,
        target=Target("p", "m"),
        members=split_object(json.dumps(members).encode()),
        **{"stream": False, **more},
    )


def encode(
    members: dict[str, Any], quirks: Quirks = STANDARD, model: str = "m", **more: Any
) -> Any:
    return json.loads(encode_json(call(members, **more), model, quirks, provider="p").body)


def test_members_pass_as_they_came() -> None:
    asked = call({})
    body = b'{"model":"p/m","input": [ 1.10 ],"unknown":{"b":1,"a":2}}'
    asked = call({}, Operation.EMBEDDING)
    asked = Call(
        id="c",
        operation=Operation.EMBEDDING,
        stream=False,
        target=asked.target,
        members=split_object(body),
    )

    sent = encode_json(asked, "m", STANDARD, provider="p").body

    assert sent == b'{"model":"m","input":[ 1.10 ],"unknown":{"b":1,"a":2}}'


@pytest.mark.parametrize(
    ("quirks", "model", "asked", "sent"),
    [
        (STANDARD, "m", {"effort": "minimal"}, {"effort": "minimal"}),
        (OTHERS, "m", {"effort": "minimal"}, {"effort": "low"}),
        (STANDARD, "m", {"max_tokens": 4096}, {"effort": "high"}),
        (STANDARD, "m", {"max_tokens": 9, "effort": "low"}, {"effort": "low"}),
        (Quirks(keeps_extensions=True), "m", {"max_tokens": 9}, {"max_tokens": 9}),
        (GROK, "grok-4", {"effort": "low", "summary": "auto"}, {"summary": "auto"}),
        (GROK, "grok-3-mini", {"effort": "low"}, {"effort": "low"}),
        (STANDARD, "m", None, None),
    ],
)
def test_reasoning(quirks: Quirks, model: str, asked: Any, sent: Any) -> None:
    assert encode({"reasoning": asked}, quirks, model)["reasoning"] == sent


def test_what_is_lost_is_named_or_refused() -> None:
    asked = {"reasoning": {"effort": "low"}}

    assert encode_json(call(asked), "grok-4", GROK, provider="xai").dropped == ("reasoning.effort",)
    with pytest.raises(BadRequest, match=r"xai does not take: reasoning\.effort"):
        encode_json(call(asked, caller=Caller(strict=True)), "grok-4", GROK, provider="xai")


def test_store_is_disabled_where_something_would_be_stored() -> None:
    responses, embedding = call({"store": True}), call({"a": 1}, Operation.EMBEDDING)

    def sent(asked: Call) -> Any:
        body = encode_json(asked, "m", STANDARD, provider="p", disable_store=True).body
        return json.loads(body)

    assert sent(responses)["store"] is False
    assert "store" not in sent(embedding)


def test_a_text_stream_tells_its_usage() -> None:
    sent = encode({"stream": True}, operation=Operation.TEXT, stream=True)

    assert sent["stream_options"] == {"include_usage": True}


def test_extra_params_are_merged_on_request() -> None:
    caller = Caller(passthrough_extra_params=True)

    assert encode({"extra_params": {"top_k": 3}}, caller=caller) == {"model": "m", "top_k": 3}


def test_json_too_deep_to_be_read_is_refused() -> None:
    deep = b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}"
    asked = Call(
        id="c",
        operation=Operation.RESPONSES,
        stream=False,
        target=Target("p", "m"),
        members={"reasoning": deep},
    )

    with pytest.raises(BadRequest, match="Invalid JSON"):
        encode_json(asked, "m", STANDARD, provider="p")


def test_a_model_can_have_another_name_upstream() -> None:
    quirks = Quirks(rename_model=str.upper)

    assert encode({}, quirks)["model"] == "M"
