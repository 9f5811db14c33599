"""A change of the wire is a change of a recorded file, to be seen in its diff."""

from __future__ import annotations

import json

import pytest

from bifrost.dialects.openai_operations import CODERS, OBJECTS
from bifrost.schema.call import Operation
from wire.pairs import Pair, call_of, pairs

PAIRS = pairs()


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_the_wire_is_as_recorded(pair: Pair) -> None:
    assert pair.made() == pair.recorded()


def test_every_operation_is_recorded_plain_and_streamed() -> None:
    found = {(call.operation, call.stream) for call in map(call_of, PAIRS)}

    plain = {(name, False) for name in (*CODERS, *OBJECTS, Operation.RELAY)}
    streamed = {(name, True) for name, coder in CODERS.items() if coder.stream is not None}
    assert plain | streamed <= found


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_what_is_recorded_can_be_read(pair: Pair) -> None:
    for name, text in pair.recorded().items():
        if name.endswith(".json"):
            json.loads(text)
        assert b"\r" not in text
