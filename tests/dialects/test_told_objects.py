"""What objects tell of their usage: when they are over, of what kind, for whom; and that nothing odd is believed."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.beta.threads import Run
from openai.types.fine_tuning import FineTuningJob
from openai.types.responses import Response

from bifrost.codecs.json import dumps
from bifrost.dialects.told_objects import ID_MAX, Asked, mark_of, told_by_event, told_by_object
from bifrost.record import MediaUsage, ToldUsage, Usage
from bifrost.schema.call import Operation

GET = Asked(provider="openai", model="asked")
POST = attrs.evolve(GET, makes=True, is_new=True)
CHAT = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
INPUT = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
USAGE = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def response(status: str = "completed", **more: Any) -> dict[str, Any]:
    it = {"id": "resp_1", "object": "response", "status": status, "model": "m", "usage": INPUT}
    return it | {"background": True} | more


def run(status: str = "completed", **more: Any) -> dict[str, Any]:
    it = {"id": "run_1", "object": "thread.run", "status": status, "model": "m", "usage": CHAT}
    return it | more


def job(status: str = "succeeded", **more: Any) -> dict[str, Any]:
    it = {"id": "ftjob-1", "object": "fine_tuning.job", "status": status, "trained_tokens": 700}
    return it | {"model": "m"} | more


def video(status: str = "queued", **more: Any) -> dict[str, Any]:
    it = {"id": "video_1", "object": "video", "status": status, "model": "sora", "seconds": "8"}
    return it | more


def told(mark: str, operation: Operation | None, usage: Usage | None, **more: Any) -> ToldUsage:
    return ToldUsage(
        mark=f"openai:{mark}", operation=operation, usage=usage, **({"model": "m"} | more)
    )


def tell(value: object, asked: Asked = GET) -> list[ToldUsage]:
    return told_by_object(dumps(value), asked)


FLEX = told("resp_1", Operation.RESPONSES, USAGE, service="flex")
FILM = Usage(media=MediaUsage(video_ms=8000))
LIST = {"object": "list", "data": [run(), run("queued", usage=None), run(id="run_2")]}
OF_THREAD = attrs.evolve(GET, is_of_object=True)


@pytest.mark.parametrize(
    ("value", "asked", "expected"),
    [
        (response(), GET, [told("resp_1", Operation.RESPONSES, USAGE)]),
        (response("incomplete"), GET, [told("resp_1", Operation.RESPONSES, USAGE)]),
        (response("cancelled"), GET, [told("resp_1", Operation.RESPONSES, USAGE)]),
        (response("failed", service_tier="flex"), GET, [FLEX]),
        (response("queued", usage=None), GET, []),
        (response("in_progress"), GET, []),
        (response(usage=None), GET, []),
        (response(background=False), GET, []),
        (response(background=None), GET, []),
        (response("queued", usage=None), attrs.evolve(GET, begins=True), [ToldUsage(mark="openai:resp_1")]),
        (response(), attrs.evolve(GET, begins=True), [ToldUsage(mark="openai:resp_1")]),
        (response(background=False), attrs.evolve(GET, begins=True), []),
        (run(), GET, [told("run_1", Operation.CHAT, USAGE)]),
        (run("expired"), GET, [told("run_1", Operation.CHAT, USAGE)]),
        (run("requires_action", usage=None), GET, []),
        (run("queued", usage=None), POST, []),
        (run(object="thread.run.step"), GET, []),
        (LIST, OF_THREAD, [told("run_1", Operation.CHAT, USAGE), told("run_2", Operation.CHAT, USAGE)]),
        (LIST, GET, []),
        (job(), GET, [told("ftjob-1", None, Usage(prompt_tokens=700, total_tokens=700))]),
        (job("running", trained_tokens=None), GET, []),
        (job(trained_tokens=True), GET, []),
        (video(), POST, [told("video_1", Operation.VIDEO, FILM, model="sora")]),
        (video(), attrs.evolve(GET, makes=True), [told("video_1", Operation.VIDEO, FILM, model="sora")]),
        (video(seconds="20"), attrs.evolve(POST, seconds=8), [told("video_1", Operation.VIDEO, FILM, model="sora")]),
        (video("completed"), GET, []),
        (video("failed"), POST, []),
        (video(seconds="long"), POST, []),
        ({"id": "rc_1", "object": "response.compaction", "usage": INPUT}, POST, [told("rc_1", Operation.CHAT, USAGE, model="asked")]),
        ({"id": "c", "object": "chat.completion", "usage": CHAT, "model": "m"}, GET, []),
        ({"id": "c", "object": "chat.completion", "usage": CHAT, "model": "m"}, attrs.evolve(GET, makes=True), []),
        ({"id": 1, "object": "thread.run", "status": "completed", "usage": CHAT}, GET, []),
        ({"id": "r", "object": {}, "status": {}, "usage": CHAT}, POST, []),
        ({"id": "r", "object": "thread.run", "status": ["completed"], "usage": CHAT}, GET, []),
        ([run()], GET, []),
        ("run", GET, []),
    ],
)  # fmt: skip
def test_who_tells_what(value: object, asked: Asked, expected: list[ToldUsage]) -> None:
    assert tell(value, asked) == expected


def test_each_model_of_an_eval_is_told() -> None:
    one = {"model_name": "m", "invocation_count": 2, "cached_tokens": 1, **CHAT}
    value = {"id": "evalrun_1", "object": "eval.run", "status": "completed", "per_model_usage": [one, one | {"model_name": "n"}]}  # fmt: skip
    expected = attrs.evolve(USAGE, cached_read_tokens=1)
    assert tell(value) == [
        told("evalrun_1", Operation.CHAT, expected),
        told("evalrun_1", Operation.CHAT, expected, model="n"),
    ]
    assert tell(value | {"status": "in_progress"}) == []
    assert tell(value | {"per_model_usage": [{"prompt_tokens": "many"}]}) == []


@pytest.mark.parametrize(
    ("event", "asked", "expected"),
    [
        (run(), GET, [told("run_1", Operation.CHAT, USAGE)]),
        ({"type": "response.completed", "response": response()}, GET, [told("resp_1", Operation.RESPONSES, USAGE)]),
        ({"type": "response.created", "response": response("queued", usage=None)}, GET, []),
        ({"type": "response.created", "response": response("queued", usage=None)}, attrs.evolve(GET, begins=True), [ToldUsage(mark="openai:resp_1")]),
        ({"type": "response.output_text.delta", "delta": 'say "usage"'}, GET, []),
        ({"type": "message", "id": "m", "object": "x", "usage": CHAT}, POST, []),
    ],
)  # fmt: skip
def test_events_tell_of_the_object_in_them(
    event: object, asked: Asked, expected: list[ToldUsage]
) -> None:
    assert told_by_event(dumps(event), asked) == expected


def test_the_sdk_s_types_have_what_is_read() -> None:
    """Members that would be renamed are noticed when the SDK is brought up to date."""
    assert {"id", "object", "status", "model", "usage", "background", "service_tier"} <= set(Response.model_fields)  # fmt: skip
    assert {"id", "object", "status", "model", "usage"} <= set(Run.model_fields)
    assert {"id", "object", "status", "model", "trained_tokens"} <= set(FineTuningJob.model_fields)


def test_a_long_id_is_remembered_by_its_digest() -> None:
    long = "x" * (ID_MAX + 1)
    assert len(mark_of("openai", long)) < ID_MAX
    assert mark_of("openai", long) != mark_of("openai", long + "x")
    assert mark_of("openai", "resp_1") != mark_of("azure", "resp_1")


def test_an_id_that_a_store_cannot_hold_is_remembered_by_its_digest() -> None:
    marks = {mark_of("openai", odd) for odd in ("a\0", "a\0b", "a\ud800")}
    assert len(marks) == 3
    assert all(mark.isascii() and mark.isprintable() for mark in marks)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "object", "status", "usage", "data", "response", "model"]), inner),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_whatever_comes_is_survived(value: object) -> None:
    tell(value, POST)
    told_by_event(dumps(value), POST)
