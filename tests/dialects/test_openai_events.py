from __future__ import annotations

import itertools
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.secret import Secret
from bifrost.dialects.base import AnswerFacts, Progress
from bifrost.dialects.openai_events import KINDS, EventStreamDecoder
from bifrost.errors import ErrorClass, NetworkError, UpstreamError
from bifrost.record import Usage
from bifrost.schema.call import Operation

FACTS = AnswerFacts(
    request_type="responses_stream",
    provider="openai",
    model_requested="m",
    sent_s=1.0,
    operation=Operation.RESPONSES,
    key=Secret("sk-secret-key-value"),
)
BARE = attrs.evolve(FACTS, send_extra_fields=False)
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
COMPLETED = {"type": "response.completed", "response": {"id": "r", "usage": USAGE}}
DELTA = {"type": "response.output_text.delta", "delta": "ä"}


def frames(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events)


def run(*pieces: bytes, facts: AnswerFacts = BARE) -> tuple[Progress, Usage | None]:
    """All of it as one: what goes to the caller, how it ended, what it used."""
    decoder = EventStreamDecoder(facts)
    total = Progress()
    for piece in (*pieces, None):
        step = decoder.close(2.0) if piece is None else decoder.feed(piece, 1.5)
        total = Progress(total.data + step.data, total.events + step.events, step.error, step.done)
        if step.done or step.error:
            break
    return total, decoder.usage


def test_events_pass_with_their_names_and_extra_fields() -> None:
    told, usage = run(frames(DELTA, COMPLETED), facts=FACTS)

    first, second, rest = told.data.split(b"\n\n")
    assert rest == b""
    assert first.startswith(b"event: response.output_text.delta\ndata: {")
    body = json.loads(first.partition(b"data: ")[2])
    assert body.pop("extra_fields") == {
        "request_type": "responses_stream",
        "provider": "openai",
        "model_requested": "m",
        "latency": 500,
        "chunk_index": 0,
    }
    assert body == DELTA
    assert json.loads(second.partition(b"data: ")[2])["extra_fields"]["chunk_index"] == 1
    assert (told.done, told.events) == (True, 2)
    assert usage == Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7)


def test_without_extra_fields_an_event_is_the_upstreams() -> None:
    raw = b'event: response.completed\ndata: { "type":"response.completed", "n":1.10 }\n\n'

    assert run(raw)[0] == Progress(raw, 1, done=True)


@pytest.mark.parametrize("operation", list(KINDS))
def test_every_kind_of_stream_ends_at_its_own_event(operation: Operation) -> None:
    facts = attrs.evolve(BARE, operation=operation)
    kind = KINDS[operation]
    end = {"type": min(kind.ends), "usage": USAGE}

    told, usage = run(frames({"type": "x.partial"}, end), facts=facts)

    assert told.done
    assert told.data.endswith(b"data: [DONE]\n\n") is not kind.is_named
    assert (b"event: x.partial\n" in told.data) is kind.is_named
    assert usage == Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7)


def test_several_images_all_come() -> None:
    facts = attrs.evolve(BARE, operation=Operation.IMAGE)
    end = {"type": "image_generation.completed"}

    assert run(frames(end, end), facts=facts)[0].events == 2


@pytest.mark.parametrize("state", ["completed", "incomplete", "failed"])
def test_a_response_ends_in_one_of_three_ways(state: str) -> None:
    told, _ = run(frames({"type": f"response.{state}", "response": {"error": {"message": "x"}}}))

    assert (told.done, told.error) == (True, None)


def test_what_comes_after_the_end_is_ignored() -> None:
    decoder = EventStreamDecoder(BARE)
    decoder.feed(frames(COMPLETED), 1.0)

    assert decoder.feed(frames(DELTA), 1.0) == Progress()
    assert decoder.close(1.0) == Progress()


@pytest.mark.parametrize(
    ("data", "message", "kind"),
    [
        (frames(DELTA), "the stream ended before its end marker", NetworkError),
        (frames(DELTA) + b"data: [DONE]\n\n", "before its end marker", NetworkError),
        (b"", "empty response received", UpstreamError),
        (b"data: nonsense\n\n", "empty response received", UpstreamError),
        (frames({"type": "error", "message": "no sk-secret-key-value"}), "^no ", UpstreamError),
        (frames({"error": {"message": "wrong"}}), "wrong", UpstreamError),
        (b"event: error\ndata: plainly bad\n\n", "plainly bad", UpstreamError),
        (b'{"error":{"message":"unframed"}}\n\n', "unframed", UpstreamError),
    ],
)
def test_bad_ends_are_errors(data: bytes, message: str, kind: type[Exception]) -> None:
    told, _ = run(data)

    assert not told.done
    with pytest.raises(kind, match=message) as caught:
        raise told.error or AssertionError
    assert "sk-secret" not in str(caught.value)


def test_a_rate_limit_in_the_stream_is_classed_as_one() -> None:
    error = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}

    told, _ = run(frames(error))

    assert told.error is not None
    assert told.error.error_class is ErrorClass.RATE_LIMIT


def test_pings_of_the_original_are_dropped() -> None:
    assert b"ping" not in run(frames({"type": "response.ping"}, COMPLETED))[0].data


def test_a_type_cannot_break_the_frame() -> None:
    told, _ = run(frames({"type": "a\n\ndata: {}\r"}, COMPLETED))

    assert told.data.startswith(b"event: a  data: {} \ndata: ")


def test_foreign_extra_fields_are_replaced_and_raw_is_echoed() -> None:
    event = {"type": "x", "extra_fields": {"a": 1}}
    facts = attrs.evolve(FACTS, raw_response=True)

    told, _ = run(frames(event, COMPLETED), facts=facts)

    body = json.loads(told.data.split(b"\n\n")[0].partition(b"data: ")[2])
    assert "a" not in body["extra_fields"]
    assert json.loads(body["extra_fields"]["raw_response"]) == event


def test_an_endless_event_is_an_error() -> None:
    told, _ = run(frames(DELTA), b"data: " + b"x" * 11_000_000)

    assert told.error is not None
    assert "exceeds" in told.error.message
    assert told.events == 1


@given(
    st.lists(
        st.sampled_from([DELTA, {"type": "error", "message": "m"}, {"type": "é\n"}, COMPLETED, 7])
    ),
    st.lists(st.integers(0, 600)),
)
def test_any_split_gives_the_same(events: list[Any], cuts: list[int]) -> None:
    data = frames(*events)
    bounds = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    pieces = [data[a:b] for a, b in itertools.pairwise(bounds)]

    whole, cut = run(data), run(*pieces)

    assert (cut[0].data, cut[0].done, str(cut[0].error), cut[1]) == (
        whole[0].data,
        whole[0].done,
        str(whole[0].error),
        whole[1],
    )
