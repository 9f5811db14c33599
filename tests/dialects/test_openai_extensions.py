"""The gateway's own marks on what goes to OpenAI's servers: signatures behind the ids of calls."""

from __future__ import annotations

import json

import pytest

from bifrost.dialects.openai_extensions import bare_ids

SIGNATURE = "CiQB0e2Kb-_" * 30


@pytest.mark.parametrize("name", ["id", "tool_call_id", "call_id"])
def test_signatures_behind_ids_are_taken_off(name: str) -> None:
    raw = json.dumps([{name: f"call_1_ts_{SIGNATURE}", "name": "f"}]).encode()

    assert json.loads(bare_ids(raw)) == [{name: "call_1", "name": "f"}]


@pytest.mark.parametrize(
    "item",
    [
        {"id": "call_ts_1"},
        {"id": "plain"},
        {"content": f'"id": "call_1_ts_{SIGNATURE}"'},
        {"arguments": json.dumps({"id": f"x_ts_{SIGNATURE}"})},
        {"name": f"call_1_ts_{SIGNATURE}"},
    ],
)
def test_nothing_else_is_touched(item: dict[str, str]) -> None:
    raw = json.dumps([item]).encode()

    assert bare_ids(raw) == raw
