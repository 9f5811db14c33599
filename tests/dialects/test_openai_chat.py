from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from bifrost.codecs.sse import MAX_EVENT_BYTES
from bifrost.config.secret import Secret
from bifrost.dialects.base import AnswerFacts, Progress
from bifrost.dialects.openai_chat import ChatStreamDecoder
from bifrost.errors import ErrorClass, NetworkError, UpstreamError
from bifrost.record import Usage

FACTS = AnswerFacts(
    request_type="chat_completion_stream", provider="openai", model_requested="m", sent_s=10.0
)
BARE = attrs.evolve(FACTS, send_extra_fields=False)
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def frame(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def chunk(
    text: str = "Hi", finish: str | None = None, index: int = 0, **more: Any
) -> dict[str, Any]:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 17, "model": "m-1"}
    return {**head, "choices": [choice], **more}


def run(
    *pieces: bytes, facts: AnswerFacts = FACTS, now_s: float = 11.0
) -> tuple[Progress, Usage | None]:
    """Everything that comes of ``pieces``, in one."""
    decoder = ChatStreamDecoder(facts)
    data, events = b"", 0
    for piece in pieces:
        progress = decoder.feed(piece, now_s)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error:
            return attrs.evolve(progress, data=data, events=events), decoder.usage
    progress = decoder.close(now_s)
    return attrs.evolve(
        progress, data=data + progress.data, events=events + progress.events
    ), decoder.usage


def told(progress: Progress) -> list[Any]:
    """The values of the data frames, ``[DONE]`` left out."""
    frames = progress.data.split(b"\n\n")[:-1]
    return [json.loads(f.removeprefix(b"data: ")) for f in frames if f != b"data: [DONE]"]


def test_chunks_pass_with_extra_fields_and_a_closing_chunk_has_the_usage() -> None:
    decoder = ChatStreamDecoder(FACTS)

    first = decoder.feed(frame(chunk("Go")), 10.25)
    second = decoder.feed(frame(chunk("od", "stop")), 10.75)
    usage = decoder.feed(frame({"id": "c-1", "choices": [], "usage": USAGE}), 10.8)
    end = decoder.feed(DONE, 11.0)

    extra = {"request_type": "chat_completion_stream", "provider": "openai", "model_requested": "m"}
    assert told(first) == [
        {**chunk("Go"), "extra_fields": {**extra, "latency": 250, "chunk_index": 0}}
    ]
    assert told(second) == [
        {**chunk("od", "stop"), "extra_fields": {**extra, "latency": 500, "chunk_index": 1}}
    ]
    assert usage == Progress()
    assert end.data.endswith(DONE)
    assert end.done
    assert told(end) == [
        {
            "id": "c-1",
            "object": "chat.completion.chunk",
            "created": 17,
            "model": "m-1",
            "choices": [{"index": 0, "delta": {}}],
            "usage": USAGE,
            "extra_fields": {**extra, "latency": 1000, "chunk_index": 2},
        }
    ]
    assert (first.events, second.events, end.events) == (1, 1, 1)
    assert decoder.usage == Usage(prompt_tokens=9, completion_tokens=3, total_tokens=12)


def test_chunk_is_relayed_byte_for_byte_before_the_splice() -> None:
    odd = b'{"id" : "c-1", "choices":[ {"delta":{"content":"\\u00e9\xc3\xa9","x":1.10}} ], "new":{"a":1} } '

    progress = ChatStreamDecoder(FACTS).feed(b"data: " + odd + b"\n\n", 10.0)

    assert progress.data.startswith(b"data: " + odd.rstrip()[:-1] + b',"extra_fields":{')


def test_without_extra_fields_chunks_are_the_upstreams() -> None:
    progress, _ = run(frame(chunk()), DONE, facts=BARE)

    closing = {**chunk(), "choices": [{"index": 0, "delta": {}}], "usage": None}
    assert told(progress) == [chunk(), closing]


@pytest.mark.parametrize(
    "delta",
    [
        {"role": "assistant"},
        {"refusal": "No."},
        {"reasoning": "hm", "reasoning_details": [{"index": 0}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]},
        {"audio": {"data": "AAAA"}},
        {},
    ],
)
def test_every_kind_of_delta_passes(delta: dict[str, Any]) -> None:
    sent = {**chunk(), "choices": [{"index": 1, "delta": delta, "finish_reason": None}]}

    progress, _ = run(frame(sent), facts=BARE)

    assert told(progress) == [sent]


def test_what_is_told_once_stands_in_the_closing_chunk_only() -> None:
    facts = attrs.evolve(
        FACTS,
        model_deployment="dep",
        raw_request=b'{\n"model":"m"}',
        raw_response=True,
        dropped_params=("store",),
        response_headers=(("x-a", "é"),),
    )
    sent = chunk(usage=None)

    progress, _ = run(frame(sent), DONE, facts=facts)

    first, closing = (one["extra_fields"] for one in told(progress))
    assert json.loads(first.pop("raw_response")) == sent
    assert set(first) == {
        "request_type",
        "provider",
        "model_requested",
        "model_deployment",
        "latency",
        "chunk_index",
    }
    assert closing["raw_request"] == {"model": "m"}
    assert closing["dropped_params"] == ["store"]
    assert closing["provider_response_headers"] == {"x-a": "é"}


def test_verbatim_chunks_keep_usage_and_foreign_extra_fields() -> None:
    sent = chunk(usage=USAGE, extra_fields={"provider": "far"})

    progress, usage = run(
        frame(sent), DONE, facts=attrs.evolve(FACTS, raw_verbatim=True, raw_response=True)
    )

    assert told(progress)[0] == sent
    assert usage is not None


@pytest.mark.parametrize("facts", [FACTS, BARE])
def test_extra_fields_of_a_gateway_behind_give_way(facts: AnswerFacts) -> None:
    progress, _ = run(frame(chunk(extra_fields={"provider": "far"})), DONE, facts=facts)

    assert progress.data.count(b"extra_fields") == (2 if facts is FACTS else 0)
    assert b"far" not in progress.data


def test_usage_inside_chunks_moves_to_the_closing_one_with_maxima() -> None:
    early = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    late = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "cost": {"total": 1}}

    progress, usage = run(frame(chunk(usage=early)), frame(chunk(usage=late)), DONE, facts=BARE)

    *chunks, closing = told(progress)
    assert chunks == [chunk(usage=None)] * 2
    assert closing["usage"] == {**early, "cost": {"total": 1}}
    assert usage == Usage(prompt_tokens=9, completion_tokens=5, total_tokens=14)


def test_chunks_without_choices_are_absorbed_and_lend_no_empty_names() -> None:
    azure = {"id": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}

    progress, _ = run(frame(azure), frame({"ping": 1}), frame(chunk()), DONE, facts=BARE)

    assert [one["id"] for one in told(progress)] == ["c-1", "c-1"]


def test_names_of_the_wrong_type_are_replaced() -> None:
    progress, _ = run(frame(chunk(id=5, created=2**70, model=None)), DONE, facts=BARE)

    closing = told(progress)[-1]
    assert (closing["id"], closing["created"], closing["model"]) == ("", 0, "m")


def test_usage_alone_is_an_answer() -> None:
    progress, _ = run(frame({"id": "c-1", "choices": [], "usage": USAGE}), DONE)

    assert progress.done
    assert told(progress)[0]["usage"] == USAGE


def test_nothing_counts_after_done() -> None:
    decoder = ChatStreamDecoder(FACTS)

    end = decoder.feed(frame(chunk()) + DONE + frame(chunk("tardy")), 11.0)

    assert b"tardy" not in end.data
    assert decoder.feed(frame(chunk("later")), 11.0) == Progress()
    assert decoder.close(11.0) == Progress()


@pytest.mark.parametrize("stream", [b"", b": ping\n\n", DONE, frame({"choices": []}), b"data:\n\n"])
def test_stream_of_nothing_is_an_error(stream: bytes) -> None:
    progress, _ = run(stream)

    assert isinstance(progress.error, UpstreamError)
    assert progress.error.message == "empty response received from provider"
    assert progress.error.status == 502
    assert not progress.done


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"data: {nonsense\n\n", "failed to unmarshal response from provider API"),
        (b"data: {nonsense\n\n" + DONE, "failed to unmarshal response from provider API"),
        (
            b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
            "failed to unmarshal response from provider API",
        ),
        (b"<html>", "provider returned non-SSE response for streaming request"),
        (
            b'{"choices":[{"message":{}}]}',
            "provider returned non-SSE response for streaming request",
        ),
    ],
)
def test_stream_of_garbage_is_an_error(stream: bytes, message: str) -> None:
    progress, _ = run(stream)

    assert progress.error is not None
    assert progress.error.message == message
    assert progress.data == b""


def test_garbage_between_chunks_is_skipped_and_counted() -> None:
    decoder = ChatStreamDecoder(FACTS)

    progress = decoder.feed(frame(chunk()) + b"data: {x\n\ndata:\n\n" + frame(chunk()) + DONE, 11.0)

    assert progress.done
    assert decoder.skipped == 1
    assert progress.events == 3


def test_cut_stream_never_looks_complete() -> None:
    progress, usage = run(
        frame(chunk("Go")) + frame(chunk("", "stop", usage=USAGE)) + b'data: {"id":'
    )

    assert isinstance(progress.error, NetworkError)
    assert "[DONE]" not in progress.data.decode()
    assert len(told(progress)) == 2
    assert usage is not None


@pytest.mark.parametrize(
    ("chunks", "is_whole"),
    [
        ([chunk(), chunk("", "stop")], True),
        ([chunk("", "stop")], True),
        ([chunk()], False),
        ([chunk(index=1), chunk(), chunk("", "stop", 1)], False),
        ([chunk(index=1), chunk(), chunk("", "stop", 1), chunk("", "stop")], True),
    ],
)
def test_upstream_without_done_ends_at_its_finish_reasons(
    chunks: list[Any], is_whole: bool
) -> None:
    facts = attrs.evolve(FACTS, ends_without_done=True)

    progress, _ = run(*map(frame, chunks), frame({"choices": [], "usage": USAGE}), facts=facts)

    assert progress.done is is_whole
    assert (progress.error is None) is is_whole
    assert progress.data.endswith(DONE) is is_whole


def test_last_frame_needs_no_blank_line() -> None:
    progress, _ = run(frame(chunk()) + b"data: [DONE]")

    assert progress.done


def test_several_chunks_on_the_lines_of_one_event_are_told_apart() -> None:
    lines = frame(chunk("a"))[:-1] + frame(chunk("b"))[:-1] + DONE

    progress, _ = run(lines, facts=BARE)

    assert [one["choices"][0]["delta"].get("content") for one in told(progress)] == ["a", "b", None]
    assert progress.done


def test_one_chunk_on_several_lines_leaves_on_one() -> None:
    pretty = json.dumps(chunk(), indent=1).replace("\n", "\ndata: ")

    progress, _ = run(f"data: {pretty}\n\n".encode(), DONE)

    assert progress.data.count(b"\n") == 6
    assert told(progress)[0]["choices"] == chunk()["choices"]


@pytest.mark.parametrize(
    ("event", "status", "error_class", "message"),
    [
        (frame({"error": {"message": "slow down", "code": 429}}), 429, ErrorClass.RATE_LIMIT, "slow down"),
        (frame({**chunk(), "error": {"message": "boom", "code": 502}}), 502, ErrorClass.SERVER, "boom"),
        (frame({"error": {"message": "no", "type": "invalid_request_error"}}), 400, ErrorClass.CLIENT, "no"),
        (frame({"error": "overloaded"}), 502, ErrorClass.SERVER, "overloaded"),
        (frame({"object": "error", "message": "gone", "code": 404}), 404, ErrorClass.NOT_FOUND, "gone"),
        (b"event: error\n" + frame({"message": "bad"}), 502, ErrorClass.SERVER, "bad"),
        (b"event: error\ndata: plain words\n\n", 502, ErrorClass.SERVER, "plain words"),
        (b'{"error":{"message":"bare","code":"invalid_api_key"}}\n', 401, ErrorClass.AUTH, "bare"),
        (frame({"error": {"code": "insufficient_quota"}}), 402, ErrorClass.QUOTA, "provider API error (status 402)"),
    ],
)  # fmt: skip
def test_error_inside_the_stream_ends_it(
    event: bytes, status: int, error_class: ErrorClass, message: str
) -> None:
    progress, _ = run(frame(chunk()) + event + frame(chunk("late")) + DONE)

    assert progress.error is not None
    assert (progress.error.status, progress.error.error_class) == (status, error_class)
    assert progress.error.message == message
    assert len(told(progress)) == 1
    assert not progress.done


def test_error_member_that_says_nothing_is_none() -> None:
    progress, _ = run(frame(chunk(error=None)), frame(chunk(error={"x": 1})), DONE, facts=BARE)

    assert progress.done


def test_key_is_scrubbed_from_errors_in_the_stream() -> None:
    facts = attrs.evolve(FACTS, key=Secret("my-odd-key"))

    progress, _ = run(frame({"error": {"message": "my-odd-key is bad"}}), facts=facts)

    assert progress.error is not None
    assert progress.error.message == "*** is bad"


def test_endless_event_is_an_error_and_what_came_before_it_is_kept() -> None:
    progress, _ = run(frame(chunk()) + b"data: " + b"x" * (MAX_EVENT_BYTES + 1))

    assert isinstance(progress.error, NetworkError)
    assert progress.error.message.startswith("Error reading stream: ")
    assert progress.events == 1


def test_end_before_an_endless_event_is_the_end() -> None:
    progress, _ = run(frame(chunk()) + DONE + b"data: " + b"x" * (MAX_EVENT_BYTES + 1))

    assert progress.done


def test_last_event_just_over_the_limit_is_an_error() -> None:
    progress, _ = run(frame(chunk()), b"data: " + b"x" * (MAX_EVENT_BYTES - 5))

    assert isinstance(progress.error, NetworkError)
    assert progress.events == 1
