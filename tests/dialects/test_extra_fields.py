from __future__ import annotations

import json
import sys

import pytest

from bifrost.dialects import extra_fields
from bifrost.dialects.base import AnswerFacts


def test_names_are_escaped_and_empty_ones_left_out() -> None:
    facts = AnswerFacts(request_type="r", provider="", model_requested='a"\n/é', sent_s=0.0)

    told = json.loads(b"{%b1}}" % extra_fields.begin(facts))

    assert told == {
        "extra_fields": {"request_type": "r", "model_requested": 'a"\n/é', "latency": 1}
    }


def test_even_with_no_names_it_is_sound() -> None:
    facts = AnswerFacts(request_type="", provider="", model_requested="", sent_s=0.0)

    assert extra_fields.begin(facts) == b'"extra_fields":{"latency":'


def test_a_name_as_long_as_a_body_is_not_kept() -> None:
    name = "m" * 100_000
    facts = AnswerFacts(request_type="r", provider="p", model_requested=name, sent_s=0.0)
    known = sys.getrefcount(name)

    assert json.loads(b"{%b1}}" % extra_fields.begin(facts))

    assert sys.getrefcount(name) == known


@pytest.mark.parametrize(("to_s", "expected"), [(1.0004, 0), (1.0006, 1), (2.5, 1500), (0.5, 0)])
def test_latency_is_whole_milliseconds_and_never_negative(to_s: float, expected: int) -> None:
    assert extra_fields.milliseconds(1.0, to_s) == expected


@pytest.mark.parametrize(
    ("body", "value"), [(b'{"a":\n1}', b'{"a": 1}'), (b"text\n", b'"text\\n"'), (b"", b'""')]
)
def test_raw_body_is_told_on_one_line(body: bytes, value: bytes) -> None:
    assert extra_fields.raw_json(body) == value
