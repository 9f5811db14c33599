"""What Gemini said comes back to it as it said it, whatever of a message its caller keeps."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost.dialects.gemini_answer import read_chat
from bifrost.dialects.gemini_request import encode_chat
from dialects.gemini import FACTS, call_of
from system.gemini_upstream import complaint

HI = {"role": "user", "content": "Hi"}
SIGNATURES = st.none() | st.binary(min_size=1, max_size=40).map(
    lambda raw: base64.b64encode(raw).decode()
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The parts of a turn of Gemini's: words perhaps, then calls, the first with a signature as Gemini 3 gives it."""
    parts: list[dict[str, Any]] = []
    words = draw(st.text(max_size=5))
    if words:
        signature = draw(SIGNATURES)
        parts.append({"text": words, **({"thoughtSignature": signature} if signature else {})})
    for number in range(draw(st.integers(1, 3))):
        arguments = draw(st.dictionaries(st.text(max_size=3), VALUES, max_size=3))
        call = {"id": f"c{number}", "name": "f", "args": arguments}
        signature = draw(SIGNATURES.filter(bool) if number == 0 else SIGNATURES)
        part: dict[str, Any] = {"functionCall": call}
        parts.append(part if signature is None else {**part, "thoughtSignature": signature})
    return parts


@given(turns(), st.booleans())
@settings(deadline=None)
def test_a_turn_comes_back_as_it_was(parts: list[dict[str, Any]], keeps_details: bool) -> None:
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
    body = json.dumps({"candidates": [candidate], "responseId": "r"}).encode()
    message = read_chat(body, FACTS).value["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "x"}
        for call in message["tool_calls"]
    ]
    if not keeps_details:
        del message["reasoning_details"]
        if "text" in parts[0]:
            parts[0].pop("thoughtSignature", None)

    asked = call_of({"messages": [HI, message, *results]})
    sent = json.loads(encode_chat(asked, "gemini-3-pro", "gemini").body)

    assert sent["contents"][1]["parts"] == parts
    assert [list(part["functionCall"]["args"]) for part in sent["contents"][1]["parts"] if "functionCall" in part] == [
        list(part["functionCall"]["args"]) for part in parts if "functionCall" in part
    ]  # fmt: skip
    assert complaint(sent, "gemini-3-pro") is None
