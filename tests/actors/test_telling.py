"""Which answers are listened to, how they are read as they pass, and that what is kept of them is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.actors import telling
from bifrost.actors.telling import Telling, may_tell, read_whole
from bifrost.codecs.json import dumps
from bifrost.codecs.sse import data_frame
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Relay, Target

if TYPE_CHECKING:
    from bifrost.record import ToldUsage

OPENAI = Target("openai", "")
RUN = {
    "id": "run_1",
    "object": "thread.run",
    "status": "completed",
    "model": "m",
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
LINE = {"custom_id": "a", "response": {"body": {"model": "m", "usage": RUN["usage"]}}}


def relayed(path: str, method: str = "GET", route: str = "", **more: Any) -> Call:
    relay = Relay(method=method, path=path, **more)
    return Call(
        id="c", operation=Operation.RELAY, stream=False, target=OPENAI, relay=relay, route=route
    )


def of(operation: Operation, *ids: str, **members: bytes) -> Call:
    return Call(
        id="c", operation=operation, stream=False, target=OPENAI, ids=ids, members=members
    )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "listened"),
    [
        (of(Operation.CHAT), False),
        (of(Operation.RESPONSES), False),
        (of(Operation.RESPONSES, background=b"true"), True),
        (of(Operation.RESPONSES, background=b"false"), False),
        (of(Operation.EMBEDDING, background=b"true"), False),
        (of(Operation.FILE_CONTENT, "file-1"), True),
        (of(Operation.FILE_UPLOAD), False),
        (of(Operation.BATCH_RESULTS, "b"), True),
        (relayed("/v1/threads/t/runs/r"), True),
        (relayed("/v1/chat/completions", "POST", is_generation=True, verbatim=True), False),
        (relayed("/v1/responses", "POST", is_generation=True, verbatim=True), True),
        (relayed("/v1/responses/resp_1", verbatim=True), True),
    ],
)
def test_which_answers_are_listened_to(call: Call, listened: bool) -> None:
    assert may_tell(call) == listened
    assert (Telling.of(call, OPENAI, lambda _: None) is not None) == listened


def test_results_are_read_as_a_whole() -> None:
    """Else whoever reads half a line at a time would pay nothing."""
    ranged = (("range", "bytes=0-9"), ("if-range", "x"), ("accept", "*/*"))
    caller = Caller(extra_headers=ranged)
    native = Native(dialect=Dialect.ANTHROPIC, members={}, headers=ranged)
    asked = attrs.evolve(of(Operation.FILE_CONTENT, "f"), caller=caller, native=native)
    whole = read_whole(asked)
    assert whole.caller.extra_headers == (("accept", "*/*"),)
    assert whole.native is not None
    assert whole.native.headers == (("accept", "*/*"),)
    film = attrs.evolve(relayed("/v1/videos/v/content"), caller=caller)
    assert read_whole(film) is film


def hear(call: Call, kind: bytes, *pieces: bytes, provider: str = "openai") -> list[ToldUsage]:
    heard: list[ToldUsage] = []
    it = Telling.of(call, Target(provider, "asked"), heard.append)
    assert it is not None
    it.begins(kind)
    for piece in pieces:
        it.passes(piece)
    it.ends()
    return heard


def marks(told: list[ToldUsage]) -> list[str]:
    return [each.mark for each in told]


RETRIEVED = relayed("/v1/threads/t/runs/run_1", route="/openai/v1/threads/{id}/runs/{id}")


def test_json_is_read_as_a_whole() -> None:
    body = dumps(RUN)
    assert marks(hear(RETRIEVED, b"application/json", body[:20], body[20:])) == ["openai:run_1"]
    assert hear(RETRIEVED, b"video/mp4", body) == []


def test_what_is_too_long_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "JSON_BYTES_MAX", 100)
    assert hear(RETRIEVED, b"application/json", dumps(RUN)) == []


def test_each_object_of_a_stream_is_told_once() -> None:
    frames = b"".join(data_frame(dumps(each)) for each in (RUN | {"status": "queued"}, RUN, RUN))
    for size in (1, 7, len(frames)):
        pieces = [frames[n : n + size] for n in range(0, len(frames), size)]
        assert marks(hear(RETRIEVED, b"text/event-stream", *pieces)) == ["openai:run_1"]


@pytest.mark.parametrize(
    ("call", "mark"),
    [
        (of(Operation.FILE_CONTENT, "file-1"), "openai:file-1"),
        (of(Operation.FILE_CONTENT, "batch-results-b1", "b1"), "openai:b1"),
        (of(Operation.BATCH_RESULTS, "b1"), "openai:b1"),
        (relayed("/v1/files/file%2D1/content", verbatim=True), "openai:file-1"),
        (relayed("/v1/messages/batches/b1/results", verbatim=True), "openai:b1"),
    ],
)
def test_results_have_one_mark_by_every_route(call: Call, mark: str) -> None:
    data = dumps(LINE) + b"\n" + dumps(LINE)
    for kind in (b"application/octet-stream", b"application/json"):
        found = hear(call, kind, data[:30], data[30:])
        assert marks(found) == [mark, mark]
        assert {each.service for each in found} == {"batch"}


def test_a_file_that_is_none_of_results_is_let_be() -> None:
    call = of(Operation.FILE_CONTENT, "file-1")
    assert hear(call, b"text/csv", b"a\nb\nc\n", dumps(LINE)) == []


def test_a_film_that_is_made_longer_costs_what_is_added() -> None:
    film = {"id": "video_2", "object": "video", "status": "queued", "model": "sora", "seconds": "20"}  # fmt: skip
    body = dumps({"video": {"id": "video_1"}, "prompt": "on", "seconds": "8"})
    for path, length_ms in (("/v1/videos/extensions", 8000), ("/v1/videos", 20_000)):
        call = relayed(path, "POST", f"/openai{path}", body=body)
        (told,) = hear(call, b"application/json", dumps(film))
        assert told.usage is not None
        assert told.usage.media is not None
        assert told.usage.media.video_ms == length_ms


def test_what_a_new_request_used_is_told_and_what_is_asked_again_is_not() -> None:
    compacted = {"id": "rc_1", "object": "response.compaction", "usage": RUN["usage"]}
    call = relayed("/v1/responses/compact", "POST", "/openai/v1/responses/compact")
    (told,) = hear(call, b"application/json", dumps(compacted))
    assert (told.mark, told.model) == ("openai:rc_1", "asked")
    kept = RUN | {"id": "chatcmpl-1", "object": "chat.completion"}
    for method in ("GET", "POST"):
        again = relayed("/v1/chat/completions/chatcmpl-1", method, "/openai/v1/chat/completions/{id}")  # fmt: skip
        assert hear(again, b"application/json", dumps(kept)) == []


def test_native_results_are_charged_to_the_batch() -> None:
    native = Native(dialect=Dialect.ANTHROPIC, members={})
    call = attrs.evolve(of(Operation.BATCH_RESULTS, "msgbatch_1"), native=native)
    line = {"custom_id": "a", "result": {"type": "succeeded", "message": {"model": "claude", "usage": {"input_tokens": 3, "output_tokens": 2}}}}  # fmt: skip
    assert marks(hear(call, b"application/x-jsonl", dumps(line), provider="anthropic")) == ["anthropic:msgbatch_1"]  # fmt: skip
