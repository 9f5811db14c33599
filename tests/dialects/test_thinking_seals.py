"""Thoughts that nobody has signed, taken out of what Claude's own callers say: he refuses a request with one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.dialects.thinking_seals import without_unsealed, without_unsealed_content

TEXT: Any = {"type": "text", "text": '"signature":""'}
BARE: Any = {"type": "thinking", "thinking": "Hm", "signature": ""}
SIGNED: Any = {"type": "thinking", "thinking": "Hm", "signature": "s=="}


def thought(**more: Any) -> Any:
    return {"reasoningContent": {"reasoningText": {"text": "Hm", **more}}}


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ([BARE, TEXT], [TEXT]),
        ([SIGNED, BARE, TEXT], [SIGNED, TEXT]),
        ([SIGNED, TEXT], [SIGNED, TEXT]),
        ([BARE], [BARE]),
        ('"signature":""', '"signature":""'),
    ],
)
def test_blocks_of_messages(content: Any, left: Any) -> None:
    other = {"role": "user", "content": [{**BARE, "type": "text"}]}
    raw = json.dumps([{"role": "assistant", "content": content}, other]).encode()

    told, lost = without_unsealed(raw)

    assert json.loads(told) == [{"role": "assistant", "content": left}, other]
    assert lost == (() if left == content else ("messages.content.thinking",))


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ([thought(), {"text": "a"}], [{"text": "a"}]),
        ([thought(signature=""), {"text": "a"}], [{"text": "a"}]),
        ([thought(signature="s"), {"text": "a"}], [thought(signature="s"), {"text": "a"}]),
        ([thought()], [thought()]),
        ([{"text": "a"}], [{"text": "a"}]),
    ],
)
def test_blocks_of_converse(content: Any, left: Any) -> None:
    raw = json.dumps([{"role": "assistant", "content": content}]).encode()

    told, lost = without_unsealed_content(raw)

    assert json.loads(told) == [{"role": "assistant", "content": left}]
    assert lost == (() if left == content else ("messages.content.reasoningContent",))


@pytest.mark.parametrize(
    "raw", [b'{"signature": ""}', b'["signature", {"signature": ""}, 1]', b"["]
)
def test_what_is_no_messages_is_left_for_the_upstream_to_refuse(raw: bytes) -> None:
    assert without_unsealed(raw) == (raw, ())


def test_without_a_sign_nothing_is_looked_at() -> None:
    assert without_unsealed(b"\xff") == (b"\xff", ())
    assert without_unsealed_content(b"\xff") == (b"\xff", ())
