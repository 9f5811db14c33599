from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.dialects.openai_usage import UsageSum, read_duration, read_usage
from bifrost.record import MediaUsage, Usage


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
        ({"prompt_tokens": 1, "num_search_queries": 2}, Usage(prompt_tokens=1, total_tokens=1, searches=2)),
        ({"prompt_tokens": 1, "completion_tokens_details": {"num_search_queries": 3}}, Usage(prompt_tokens=1, total_tokens=1, searches=3)),
        ({"prompt_tokens": 1, "billed_units": {"search_units": 1.0}}, Usage(prompt_tokens=1, total_tokens=1, searches=1)),
        ({"prompt_tokens": 1, "billed_units": [1]}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"prompt_tokens": 1, "num_search_queries": "2", "billed_units": {"search_units": 9}}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"prompt_tokens": 1, "cost": 0.0012345678901}, Usage(prompt_tokens=1, total_tokens=1, cost_nano_usd=1_234_568)),
        ({"prompt_tokens": 1, "cost": 3}, Usage(prompt_tokens=1, total_tokens=1, cost_nano_usd=3_000_000_000)),
        ({"prompt_tokens": 1, "cost": {"input_tokens_cost": 0.1, "total_cost": 0.3}}, Usage(prompt_tokens=1, total_tokens=1, cost_nano_usd=300_000_000)),
        ({"prompt_tokens": 1, "cost": {"total_cost": "0.3"}}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"prompt_tokens": 1, "cost": -1}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"prompt_tokens": 1, "cost": True}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"prompt_tokens": 1, "cost": 10**7}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"prompt_tokens": 1, "cost_in_usd_ticks": 318319005}, Usage(prompt_tokens=1, total_tokens=1, cost_nano_usd=31_831_901)),
        ({"prompt_tokens": 1, "cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.5}}, Usage(prompt_tokens=1, total_tokens=1, cost_nano_usd=500_000_000)),
        ({"prompt_tokens": 1, "cost": 0.1, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.5}}, Usage(prompt_tokens=1, total_tokens=1, cost_nano_usd=600_000_000)),
        ({"prompt_tokens": 1, "cost": 0.1, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.5}}, Usage(prompt_tokens=1, total_tokens=1, cost_nano_usd=100_000_000)),
        ({"prompt_tokens": 1, "cost": 0.1, "is_byok": True, "cost_details": None}, Usage(prompt_tokens=1, total_tokens=1, cost_nano_usd=100_000_000)),
        ({"prompt_tokens": 1, "cost_in_usd_ticks": "9"}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 4, "image_tokens": 3}}, Usage(prompt_tokens=9, total_tokens=9, media=MediaUsage(audio_in_tokens=4, image_in_tokens=3))),
        ({"output_tokens": 9, "output_tokens_details": {"audio_tokens": 4, "image_tokens": 3}}, Usage(completion_tokens=9, total_tokens=9, media=MediaUsage(audio_out_tokens=4, image_out_tokens=3))),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": "?"}}, Usage(prompt_tokens=9, total_tokens=9)),
        ({"type": "duration", "seconds": 8.5}, Usage(media=MediaUsage(audio_ms=8500))),
        ({"prompt_tokens": 1, "prompt_audio_seconds": 3}, Usage(prompt_tokens=1, total_tokens=1, media=MediaUsage(audio_ms=3000))),
        ({"prompt_tokens": 1, "seconds": True}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"prompt_tokens": 1, "seconds": 1e9}, Usage(prompt_tokens=1, total_tokens=1)),
        ({"seconds": "long"}, None),
        ({}, None),
        (None, None),
        ([1], None),
    ],
)  # fmt: skip
def test_usage_is_read_leniently(told: Any, usage: Usage | None) -> None:
    assert read_usage(json.dumps(told).encode()) == usage


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (b"8.47", Usage(media=MediaUsage(audio_ms=8470))),
        (b'"8.47"', Usage(media=MediaUsage(audio_ms=8470))),
        (b'"long"', None),
        (b"0", None),
        (b"null", None),
        (b"[]", None),
        (b"x", None),
    ],
)
def test_a_transcripts_length_is_usage(raw: bytes, usage: Usage | None) -> None:
    assert read_duration(raw) == usage


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
