"""Streams of chat as Responses events: however they are cut, and whatever they say, they tell it in whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bridge_stream import ResponsesTeller
from bifrost.dialects.openai_told import ToldStream

RECORDED = sorted((Path(__file__).parent.parent / "recorded").glob("*.sse"))

FACTS = AnswerFacts(request_type="responses_stream", provider="p", model_requested="m", sent_s=1.0)

VARIANTS = (
    FACTS,
    attrs.evolve(FACTS, ends_without_done=True),
    attrs.evolve(FACTS, send_extra_fields=False),
    attrs.evolve(FACTS, raw_response=True, raw_request=b"{}"),
)

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def read(pieces: list[bytes], facts: AnswerFacts = FACTS) -> tuple[Any, ...]:
    """All that a stream came to."""
    decoder = ToldStream(facts, ResponsesTeller(facts, {"temperature": b"0.5"}))
    data, events = b"", 0
    for piece in [*pieces, None]:
        progress = decoder.close(1.5) if piece is None else decoder.feed(piece, 1.5)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error is not None:
            return data, events, progress.done, str(progress.error), decoder.usage
    raise AssertionError("a stream has an end")


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    return [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]


def events_in(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(frame.split(b"\ndata: ")[1]) for frame in data.split(b"\n\n")[:-1]]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_stream_cut_at_every_place(path: Path) -> None:
    stream = path.read_bytes()

    for facts in VARIANTS:
        whole = read([stream], facts)
        assert read([stream[i : i + 1] for i in range(len(stream))], facts) == whole
        for at in range(0, len(stream), 7):
            assert read(cut(stream, [at]), facts) == whole


TEXT = st.text(max_size=6)

ARGUMENTS = st.dictionaries(st.sampled_from("ab"), TEXT, max_size=2).map(json.dumps)


@attrs.frozen
class Said:
    """What a model says, and one way of streaming it: ``deltas``."""

    reasoning: str
    text: str
    calls: list[tuple[str, str]]
    deltas: list[dict[str, Any]]


@st.composite
def sayings(draw: st.DrawFn) -> Said:
    reasoning, text = draw(st.lists(TEXT, max_size=3)), draw(st.lists(TEXT, max_size=3))
    names = draw(st.lists(st.sampled_from(["f", "g"]), max_size=3))
    arguments = [draw(ARGUMENTS) for _ in names]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning": piece} for piece in reasoning]
    deltas += [{"content": piece} for piece in text]
    begun: list[dict[str, Any]] = []
    rests: list[list[dict[str, Any]]] = []
    for index, name in enumerate(names):
        at = sorted(draw(st.lists(st.integers(0, len(arguments[index])), max_size=2)))
        first, *rest = cut(arguments[index].encode("ascii"), at)
        function = {"name": name, "arguments": first.decode()}
        begun.append({"index": index, "id": f"c{index}", "type": "function", "function": function})
        rests.append(
            [{"index": index, "function": {"arguments": piece.decode()}} for piece in rest]
        )
    order = draw(st.permutations([i for i, rest in enumerate(rests) for _ in rest]))
    told = begun + [rests[index].pop(0) for index in order]
    while told:
        size = draw(st.integers(1, len(told)))
        deltas.append({"tool_calls": told[:size]})
        told = told[size:]
    return Said("".join(reasoning), "".join(text), list(zip(names, arguments, strict=True)), deltas)


def chunks(said: Said) -> bytes:
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 17, "model": "m"}
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in said.deltas
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    frames = [json.dumps({**head, "choices": [choice]}) for choice in choices]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    frames += [json.dumps({**head, "choices": [], "usage": usage}), "[DONE]"]
    return "".join(f"data: {frame}\n\n" for frame in frames).encode()


@given(sayings(), st.data())
@settings(max_examples=60, deadline=None)
def test_any_cut_gives_the_same_events(said: Said, data: st.DataObject) -> None:
    stream = chunks(said)
    at = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))

    assert read(cut(stream, at)) == read([stream])


@given(sayings())
@settings(max_examples=100, deadline=None)
def test_the_sdk_hears_what_the_model_said(said: Said) -> None:
    events = events_in(read([chunks(said)])[0])

    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    heard: list[Any] = []
    for event in events:
        heard += state.handle_event(EVENT.validate_python(event, strict=True))

    final = heard[-1].response
    calls = [item for item in final.output if item.type == "function_call"]
    thoughts = [item for item in final.output if item.type == "reasoning"]
    assert final.output_text == said.text
    assert [(call.name, call.arguments) for call in calls] == said.calls
    assert "".join(part.text for item in thoughts for part in item.summary) == said.reasoning
    assert final.usage.total_tokens == 3


@given(sayings())
@settings(max_examples=60, deadline=None)
def test_deltas_come_to_what_the_done_events_say(said: Said) -> None:
    events = events_in(read([chunks(said)])[0])

    deltas: dict[str, str] = {}
    done: dict[str, str] = {}
    for event in events:
        kind, _, step = event["type"].rpartition(".")
        if step == "delta":
            deltas[event["item_id"]] = deltas.get(event["item_id"], "") + event["delta"]
        elif kind in {"response.output_text", "response.reasoning_summary_text"}:
            done[event["item_id"]] = event["text"]
        elif kind == "response.function_call_arguments":
            done[event["item_id"]] = event["arguments"]
    assert {item: text for item, text in done.items() if text} == deltas
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
