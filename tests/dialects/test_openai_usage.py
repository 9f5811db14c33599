from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.dialects.openai_usage import UsageSum, read_usage
from bifrost.record import Usage


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)),
        ({"prompt_tokens": 1, "completion_tokens": 2}, Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)),
        ({"total_tokens": 3.0}, Usage(total_tokens=3)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(prompt_tokens=5, total_tokens=5, cached_read_tokens=4)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_read_tokens": 4}}, Usage(prompt_tokens=5, total_tokens=5, cached_read_tokens=4)),
        ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 4}}, Usage(completion_tokens=5, total_tokens=5, reasoning_tokens=4)),
        ({"completion_tokens": 5, "reasoning_tokens": 4}, Usage(completion_tokens=5, total_tokens=5, reasoning_tokens=4)),
        ({"prompt_tokens": 1, "prompt_tokens_details": None}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"prompt_tokens": -1, "completion_tokens": True, "total_tokens": "9"}, None),
        ({"prompt_tokens": 2**60, "total_tokens": 1.5}, None),
        ({}, None),
        (None, None),
        ([1], None),
    ],
)  # fmt: skip
def test_usage_is_read_leniently(told: Any, usage: Usage | None) -> None:
    assert read_usage(json.dumps(told).encode()) == usage


def test_untold_usage_is_null() -> None:
    total = UsageSum()
    total.add(b"null")

    assert total.usage is None
    assert total.encoded() == b"null"


def test_single_telling_stays_byte_for_byte() -> None:
    total = UsageSum()
    raw = b'{ "prompt_tokens":1, "cost": 1.10 }'
    total.add(raw)

    assert total.encoded() == raw


def test_counters_never_fall_and_details_are_the_last() -> None:
    total = UsageSum()
    total.add(b'{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"a":1}')
    total.add(b'{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8,"b":2}')

    assert json.loads(total.encoded()) == {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 10,
        "b": 2,
    }
    assert total.usage == Usage(prompt_tokens=9, completion_tokens=5, total_tokens=10)
