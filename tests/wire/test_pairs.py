"""A change of the wire is a change of a recorded file, to be seen in its diff."""

from __future__ import annotations

import json

import pytest

from bifrost.dialects.openai_operations import CODERS, OBJECTS
from bifrost.schema.call import Dialect, Operation
from dialects.converse import events_of
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


def test_every_dialect_is_recorded_on_both_sides() -> None:
    calls = [call_of(pair) for pair in PAIRS]
    asked = {
        (call.surface.dialect, call.stream) for call in calls if call.operation is Operation.CHAT
    }
    sent = {(call.target.provider, call.stream) for call in calls}

    # InvokeModel is spoken in the words of each family of models: ``dialects.test_invoke`` has them.
    dialects = {*Dialect} - {Dialect.INVOKE}
    assert asked == {(dialect, stream) for dialect in dialects for stream in (False, True)}
    foreign = {"anthropic", "bedrock", "cohere", "gemini"}
    assert {(name, stream) for name in foreign for stream in (False, True)} <= sent


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_what_is_recorded_can_be_read(pair: Pair) -> None:
    for name, text in pair.recorded().items():
        if name.endswith(".json"):
            json.loads(text)
        if name.endswith(".eventstream"):
            assert events_of(text)
        else:
            assert b"\r" not in text
