"""Chat chunks as Gemini streams: Google's own types take every event, and any cut of the bytes gives the same."""

from __future__ import annotations

import copy
import json
from typing import Any

import attrs
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from bifrost.dialects import gemini_teller
from bifrost.dialects.base import AnswerFacts, Progress
from bifrost.dialects.gemini_teller import GeminiTeller
from bifrost.dialects.gemini_thoughts import unwrapped
from bifrost.dialects.openai_told import ToldStream
from bifrost.dialects.tellings import retold_stream
from bifrost.schema.call import Dialect, Native

Object = dict[str, Any]

THINKING = b'{"thinkingConfig":{"includeThoughts":true}}'
FACTS = AnswerFacts(
    request_type="chat_completion_stream",
    provider="p",
    model_requested="asked",
    sent_s=1.0,
    dialect=Dialect.GEMINI,
    native=Native(dialect=Dialect.GEMINI, members={}),
)
SHOWN = attrs.evolve(
    FACTS, native=Native(dialect=Dialect.GEMINI, members={"generationConfig": THINKING})
)
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 17, "model": "m-1"}
DONE = b"data: [DONE]\n\n"


def frame(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return frame({**HEAD, "choices": [choice]})


def tool(
    index: int | None = None, call_id: str = "", name: str = "", arguments: str = ""
) -> Object:
    function = {"name": name, "arguments": arguments}
    told = {"function": function, "id": call_id}
    return told if index is None else {"index": index, **told}


def tools(*calls: Object) -> bytes:
    return chunk(tool_calls=list(calls))


def run(*pieces: bytes, facts: AnswerFacts = FACTS) -> Progress:
    """Everything that comes of ``pieces``, in one."""
    decoder = retold_stream(facts, ToldStream)
    data, events = b"", 0
    for piece in [*pieces, None]:
        progress = decoder.close(2.0) if piece is None else decoder.feed(piece, 2.0)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error:
            return attrs.evolve(progress, data=data, events=events)
    raise AssertionError("a stream has an end")


def events_of(progress: Progress) -> list[Object]:
    frames = [line.removeprefix(b"data: ") for line in progress.data.split(b"\n\n") if line]
    found: list[Object] = [json.loads(each) for each in frames]
    for event in found:
        types.GenerateContentResponse.model_validate(copy.deepcopy(event))
    assert progress.events == len(found)
    return found


def told(*pieces: bytes, facts: AnswerFacts = FACTS) -> list[Object]:
    """The events of a good stream."""
    progress = run(*pieces, DONE, facts=facts)
    assert progress.done
    return events_of(progress)


def parts(event: Object) -> list[Object]:
    found: list[Object] = event["candidates"][0]["content"]["parts"]
    return found


def called(*pieces: bytes) -> list[Object]:
    """The calls of the last event."""
    return [part["functionCall"] for part in parts(told(*pieces)[-1]) if "functionCall" in part]


def test_texts_as_they_come_and_the_end_with_its_usage() -> None:
    events = told(
        chunk(role="assistant", content=""),
        chunk(content="Hel"),
        chunk(content="lo"),
        chunk("length"),
        frame({**HEAD, "choices": [], "usage": USAGE}),
    )

    head = {"modelVersion": "m-1", "responseId": "c-1"}
    assert events == [
        {
            "candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}, "index": 0}],
            **head,
        },
        {
            "candidates": [{"content": {"parts": [{"text": "lo"}], "role": "model"}, "index": 0}],
            **head,
        },
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": ""}], "role": "model"},
                    "finishReason": "MAX_TOKENS",
                    "index": 0,
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 9,
                "candidatesTokenCount": 3,
                "totalTokenCount": 12,
            },
            **head,
        },
    ]


def test_a_stream_that_says_next_to_nothing() -> None:
    nameless = frame({"choices": [{"delta": {"content": None}}]})

    [event] = told(nameless)

    assert event["candidates"][0]["finishReason"] == "STOP"
    assert event["modelVersion"] == "asked"
    assert len(event["responseId"]) == 24
    assert "usageMetadata" not in event


def test_each_choice_has_its_end() -> None:
    events = told(
        chunk(content="a"), chunk(index=1, content="b"), chunk("stop"), chunk("length", index=1)
    )

    assert [event["candidates"][0]["index"] for event in events[:2]] == [0, 1]
    assert [each["finishReason"] for each in events[2]["candidates"]] == ["STOP", "MAX_TOKENS"]


def test_thoughts_are_shown_to_those_who_ask() -> None:
    pieces = (chunk(reasoning="Hm."), chunk(content="a"))

    assert [parts(event) for event in told(*pieces)] == [[{"text": "a"}], [{"text": ""}]]
    assert [parts(event) for event in told(*pieces, facts=SHOWN)] == [
        [{"text": "Hm.", "thought": True}],
        [{"text": "a"}],
        [{"text": ""}],
    ]


def test_blocks_of_thinking_are_put_together_and_come_back_signed() -> None:
    def detail(**more: Any) -> bytes:
        return chunk(reasoning_details=[{"index": 0, "type": "reasoning.text", **more}])

    secret = {"type": "reasoning.encrypted", "data": "x", "id": None}
    *_, last = told(
        detail(text="H"),
        detail(text="m."),
        detail(signature="s=="),
        chunk(reasoning_details=[secret, 1]),
        tools(tool(0, "a", "f", "{}")),
    )

    [part] = parts(last)
    assert unwrapped(part["thoughtSignature"]) == [
        {"index": 0, "type": "reasoning.text", "text": "Hm.", "signature": "s=="},
        {"type": "reasoning.encrypted", "data": "x"},
    ]


@pytest.mark.parametrize(
    "deltas",
    [
        [[tool(0, "a", "f", '{"x"')], [tool(1, "b", "g", "{}")], [tool(0, arguments=":1}")]],
        [[tool(None, "a", "f", '{"x"')], [tool(arguments=":1}")], [tool(None, "b", "g", "{}")]],
        [[tool(0, "a", "f", '{"x":1}'), tool(0, "b", "g", "{}")]],
        [[tool(0, "a", "f", '{"x"')], [tool(0, "a", "f", ":1}")], [tool(1, "b", "g", "{}")]],
        [[tool(0, "a", "", '{"x"')], [tool(0, "", "f", ":1}")], [tool(1, "b", "g", "{}")]],
        [[tool(None, "a", "f", '{"x"')], [tool(None, "a", "", ":1}")], [tool(None, "b", "g")]],
    ],
)
def test_calls_however_they_grow(deltas: list[list[Object]]) -> None:
    assert called(*(tools(*delta) for delta in deltas)) == [
        {"id": "a", "name": "f", "args": {"x": 1}},
        {"id": "b", "name": "g", "args": {}},
    ]


def test_calls_without_an_id_get_one_and_those_without_a_name_are_none() -> None:
    [call] = called(tools(tool(0, "", "f", "{}")), tools(tool(1, "x", "", "{}")))

    assert call["id"] == "call_c-1_0"


def test_a_call_that_is_cut_is_malformed() -> None:
    *_, last = told(tools(tool(0, "a", "f", '{"x"')), chunk("length"))

    assert last["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"
    assert last["candidates"][0]["finishMessage"] == 'Malformed function call: f({"x")'


def test_citations_and_logprobs() -> None:
    cited = {"url": "https://x", "title": "X", "start_index": 1, "end_index": 2}
    citation = {"type": "url_citation", "url_citation": cited}
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}]}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": logprobs}

    first, last = told(frame({**HEAD, "choices": [choice]}), chunk(annotations=[citation]))

    chosen = first["candidates"][0]["logprobsResult"]["chosenCandidates"]
    assert chosen == [{"token": "a", "logProbability": -0.5}]
    assert last["candidates"][0]["citationMetadata"]["citationSources"][0]["uri"] == "https://x"


def test_what_waits_for_the_end_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini_teller, "MAX_KEPT", 100)

    progress = run(
        chunk(content="a"), tools(tool(0, "a", "f", "x" * 60)), tools(tool(0, arguments="x" * 60))
    )

    assert progress.error is not None
    assert progress.error.status == 502
    assert len(events_of(progress)) == 1


def test_a_stream_that_is_cut_short_has_no_end() -> None:
    progress = run(chunk(content="a"))

    assert progress.error is not None
    assert len(events_of(progress)) == 1


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "content tool_calls index function name arguments id reasoning_details text data annotations".split()  # noqa: SIM905  a list of names
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_whatever_an_upstream_says_is_told(deltas: list[Any]) -> None:
    teller = GeminiTeller(FACTS)
    out: list[bytes] = []

    for delta in deltas:
        chunk = {**HEAD, "choices": [{"index": 0, "delta": delta}, 1]}
        assert teller.tell(chunk, b"", 1.0, out) is None
    teller.finish(HEAD, b"null", 1.0, out)

    assert teller.count == len(out)
    assert json.loads(out[-1][6:])["candidates"][0]["finishReason"]


@given(st.lists(st.integers(0, 900), max_size=6))
def test_any_cut_of_the_bytes_gives_the_same(at: list[int]) -> None:
    whole = b"".join(
        (
            chunk(reasoning="Hm."),
            chunk(content="héllo"),
            tools(tool(0, "a", "f", '{"x":1}')),
            chunk("tool_calls"),
            frame({**HEAD, "choices": [], "usage": USAGE}),
            DONE,
        )
    )
    places = sorted(min(place, len(whole)) for place in at)
    cut = [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]

    assert run(*cut) == run(whole)
