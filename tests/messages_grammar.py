"""The grammar of a Messages stream, checked event by event, and the message that the events amount to."""

from __future__ import annotations

import json
from typing import Any

from bifrost.codecs.sse import SSEDecoder

__all__ = ["accumulated", "events_of"]

DELTAS = {
    "text": {"text_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set(),
    "tool_use": {"input_json_delta"},
}
MEMBERS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of ``stream``, each of which has its type for a name."""
    found = SSEDecoder().feed(stream)
    for event in found:
        assert json.loads(event.data)["type"] == event.event
    return [json.loads(event.data) for event in found]


def accumulated(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What a whole stream says, after checking that it is one: begun, block after block, told why it ended, ended."""
    first, *middle, delta, last = [event for event in events if event["type"] != "ping"]
    assert first["type"] == "message_start"
    message: dict[str, Any] = first["message"]
    assert message["content"] == []
    assert message["stop_reason"] is None
    is_open = False
    for event in middle:
        is_open = _step(message["content"], event, is_open=is_open)
    assert not is_open
    assert (delta["type"], last) == ("message_delta", {"type": "message_stop"})
    for block in message["content"]:
        if "partial" in block:
            block["input"] = json.loads(block.pop("partial") or "{}")
    return {**message, **delta["delta"], "usage": {**message["usage"], **delta["usage"]}}


def _step(content: list[dict[str, Any]], event: dict[str, Any], *, is_open: bool) -> bool:
    """One event of a block. Whether a block is open after it."""
    match event["type"]:
        case "content_block_start":
            assert not is_open
            assert event["index"] == len(content)
            content.append(dict(event["content_block"]))
            if content[-1]["type"] == "tool_use":
                assert content[-1]["input"] == {}
                assert content[-1]["id"]
                assert content[-1]["name"]
                content[-1]["partial"] = ""
            return True
        case "content_block_delta":
            assert is_open
            assert event["index"] == len(content) - 1
            block, delta = content[-1], event["delta"]
            assert delta["type"] in DELTAS[block["type"]]
            if delta["type"] == "input_json_delta":
                block["partial"] += delta["partial_json"]
            else:
                block[MEMBERS[delta["type"]]] += delta[MEMBERS[delta["type"]]]
            return True
        case kind:
            assert (kind, is_open) == ("content_block_stop", True)
            assert event["index"] == len(content) - 1
            return False
