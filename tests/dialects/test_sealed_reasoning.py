"""Sealed thinking through the Responses API and back: nothing of it changes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bridge_answer import tell_response
from bifrost.dialects.bridge_request import responses_to_chat
from bifrost.dialects.bridge_stream import ResponsesTeller
from bifrost.dialects.hub import Answer, Conversation
from bifrost.dialects.sealed_reasoning import seal, unseal
from bifrost.errors import BadRequest

FACTS = AnswerFacts(
    request_type="responses",
    provider="anthropic",
    model_requested="m",
    sent_s=1.0,
    send_extra_fields=False,
)
TEXT = {"type": "reasoning.text", "text": "hm", "signature": "sig+/="}
EMPTY = {"type": "reasoning.text", "text": "", "signature": "sig2"}
REDACTED = {"type": "reasoning.encrypted", "data": "abc"}


def test_a_signature_is_the_encrypted_content() -> None:
    assert seal([{**TEXT, "index": 3}], "hm") == "sig+/="
    assert unseal("sig+/=", "hm") == [TEXT]
    assert unseal("data", "") == [{"type": "reasoning.encrypted", "data": "data"}]


def test_what_is_not_sealed_has_none() -> None:
    assert seal([{"type": "reasoning.text", "text": "hm"}], "hm") is None
    assert seal([], "hm") is None


DETAIL = st.fixed_dictionaries(
    {"type": st.sampled_from(["reasoning.text", "reasoning.encrypted"])},
    optional={"text": st.text(), "signature": st.text(), "data": st.text(), "id": st.text()},
)


@given(st.lists(DETAIL, min_size=1, max_size=3))
def test_every_seal_can_be_undone(details: list[dict[str, Any]]) -> None:
    text = "".join(detail.get("text", "") for detail in details)

    sealed = seal(details, text)

    if sealed is not None and sealed.startswith("bifrost."):
        assert unseal(sealed, text) == details


@pytest.mark.parametrize("inner", [b"", b"x", b"{}", b"[1]", b"[" * 300 + b"]" * 300])
def test_a_broken_seal_is_refused_with_its_place(inner: bytes) -> None:
    content = "bifrost." + base64.urlsafe_b64encode(inner).decode()
    item = {"type": "reasoning", "summary": [], "encrypted_content": content}

    with pytest.raises(BadRequest) as caught:
        to_chat([item])

    assert caught.value.param == "input[0].encrypted_content"


def to_chat(items: list[Any], *, keeps: bool = True) -> tuple[list[Any], tuple[str, ...]]:
    members = {"input": json.dumps(items).encode(), "include": b'["reasoning.encrypted_content"]'}
    bridged = responses_to_chat(members, keeps_reasoning=keeps)
    return json.loads(bridged.members["messages"]), bridged.dropped


def numbered(*details: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"index": index, **detail} for index, detail in enumerate(details)]


def answer(*details: dict[str, Any], **message: Any) -> list[dict[str, Any]]:
    """The items of a whole answer with these thoughts."""
    told = {"role": "assistant", "reasoning_details": numbered(*details), **message}
    value = {"id": "i", "choices": [{"index": 0, "message": told, "finish_reason": "stop"}]}
    response = tell_response(Answer(value=value, body=b"{}"), FACTS)
    items: list[dict[str, Any]] = json.loads(response)["output"]
    return items


def streamed(*deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of a stream of ``deltas``."""
    conversation = Conversation(FACTS, ResponsesTeller(FACTS, {}))
    conversation.begin(id="i")
    for delta in deltas:
        conversation.say(delta, 2.0)
    conversation.say({}, 2.0, finish_reason="stop")
    conversation.end(2.0)
    *_, last = (frame for frame in conversation.take().data.split(b"\n\n") if frame)
    items: list[dict[str, Any]] = json.loads(last.partition(b"data: ")[2])["response"]["output"]
    return items


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "details", [[TEXT], [REDACTED], [EMPTY], [TEXT, REDACTED, EMPTY], [REDACTED, TEXT, TEXT]]
)
def test_thoughts_come_back_as_they_were(details: list[Any]) -> None:
    items = answer(*details, content="Let me see", tool_calls=[CALL])

    (message,), dropped = to_chat(items)

    assert message["reasoning_details"] == numbered(*details)
    assert message["content"] == "Let me see"
    assert [call["id"] for call in message["tool_calls"]] == ["c"]
    assert dropped == ()
    assert [item["type"] for item in items[: len(details)]] == ["reasoning"] * len(details)


def test_a_stream_of_thoughts_is_the_whole_one() -> None:
    deltas: list[dict[str, Any]] = [
        {"reasoning": "h", "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "h"}]},
        {"reasoning": "m", "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "m"}]},
        {"reasoning_details": [{"index": 0, "type": "reasoning.text", "signature": "sig+/="}]},
        {"reasoning_details": [{"index": 1, **REDACTED}]},
        {"reasoning_details": [{"index": 2, "type": "reasoning.text", "signature": "sig2"}]},
        {"content": "x"},
    ]  # fmt: skip

    items = streamed(*deltas)

    assert items == answer(TEXT, REDACTED, EMPTY, content="x")
    assert to_chat(items)[0][0]["reasoning_details"] == numbered(TEXT, REDACTED, EMPTY)


def test_thoughts_without_a_seal_are_one_item_as_ever() -> None:
    items = answer({"type": "reasoning.summary", "summary": "s"}, reasoning="hm", content="x")

    assert items[0]["summary"] == [{"type": "summary_text", "text": "s"}]
    assert "encrypted_content" not in items[0]
    assert to_chat(items)[1] == ("input.reasoning",)


def test_data_beside_a_text_of_its_own_is_one_item() -> None:
    items = answer(REDACTED, reasoning="hm", content="x")

    assert [item["type"] for item in items] == ["reasoning", "message"]
    assert items[0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert to_chat(items)[0][0]["reasoning_details"] == numbered(REDACTED)


def reasoning(signature: str) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": "hm"}]
    return {"type": "reasoning", "summary": summary, "encrypted_content": signature}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


FUNCTION_CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


def test_thoughts_belong_to_what_comes_after_them() -> None:
    messages, dropped = to_chat(
        [reasoning("1"), said("a"), reasoning("2"), said("b"), reasoning("3"), FUNCTION_CALL]
    )

    signatures = [[d["signature"] for d in m["reasoning_details"]] for m in messages]
    assert signatures == [["1"], ["2", "3"]]
    assert [m["content"] for m in messages] == ["a", "b"]
    assert dropped == ()


def test_thoughts_that_led_to_nothing_are_lost() -> None:
    messages, dropped = to_chat([said("a"), reasoning("1"), {"role": "user", "content": "x"}])

    assert [m.get("reasoning_details") for m in messages] == [None, None]
    assert dropped == ("input.reasoning",)


def test_upstreams_of_openais_own_chat_lose_them_as_ever() -> None:
    messages, dropped = to_chat([reasoning("1"), said("a")], keeps=False)

    assert "reasoning_details" not in messages[0]
    assert dropped == ("input.reasoning", "include.reasoning.encrypted_content")
