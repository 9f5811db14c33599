"""OpenAI's files and batches in Anthropic's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.dialects.anthropic_object_telling import (
    batch_of,
    file_of,
    moment,
    results_path,
    tell_batch,
    tell_batches,
    tell_deleted,
    tell_file,
    tell_files,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.hub import Answer
from bifrost.dialects.objects import batch_object

FACTS = AnswerFacts(request_type="x", provider="openai", model_requested="", sent_s=0.0)
MADE, MADE_TOLD, DAY_AFTER = 1795780800, "2026-11-27T12:00:00Z", "2026-11-28T12:00:00Z"
NONE = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}


def counts(total: int, completed: int = 0, failed: int = 0, **more: int) -> dict[str, int]:
    return {"total": total, "completed": completed, "failed": failed, **more}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("validating", "in_progress"),
        ("in_progress", "in_progress"),
        ("finalizing", "in_progress"),
        ("something new", "in_progress"),
        ("cancelling", "canceling"),
        ("completed", "ended"),
        ("failed", "ended"),
        ("cancelled", "ended"),
        ("expired", "ended"),
    ],
)
def test_states(status: str, state: str) -> None:
    told = batch_of(batch_object(id="b", status=status, created_at=MADE, completed_at=9), "openai")

    assert told["processing_status"] == state
    assert (told["ended_at"] is not None) == (state == "ended")


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        ("in_progress", counts(5, 2, 1), {"processing": 2, "succeeded": 2, "errored": 1}),
        ("completed", counts(3, 2, 1), {"succeeded": 2, "errored": 1}),
        ("cancelled", counts(5, 2, 1), {"succeeded": 2, "errored": 1, "canceled": 2}),
        ("expired", counts(5, 2, 1), {"succeeded": 2, "errored": 1, "expired": 2}),
        ("failed", counts(5), {"errored": 5}),
        ("completed", counts(4, 1, 1, expired=1, canceled=1), {"succeeded": 1, "errored": 1, "expired": 1, "canceled": 1}),
        ("in_progress", counts(2, -1), {"processing": 2}),
        ("in_progress", None, {}),
    ],
)  # fmt: skip
def test_every_request_is_counted_once(status: str, said: Any, told: dict[str, int]) -> None:
    batch = {**batch_object(id="b", status=status), "request_counts": said}

    assert batch_of(batch, "openai")["request_counts"] == NONE | told


def test_a_batch() -> None:
    value = batch_object(
        id="batch_1",
        status="completed",
        created_at=MADE,
        completed_at=MADE + 1,
        cancelling_at=MADE,
        output_file_id="file-1",
        errors={"data": []},
    )

    told = json.loads(tell_batch(Answer(value=value, body=b""), FACTS))

    assert told == {
        "id": "batch_1",
        "type": "message_batch",
        "processing_status": "ended",
        "request_counts": NONE,
        "ended_at": "2026-11-27T12:00:01Z",
        "created_at": MADE_TOLD,
        "expires_at": DAY_AFTER,
        "archived_at": None,
        "cancel_initiated_at": MADE_TOLD,
        "results_url": "/v1/messages/batches/batch_1/results?provider=openai",
        "errors": {"data": []},
    }


def test_a_batch_without_files_has_no_results() -> None:
    told = batch_of(batch_object(id="b", status="failed"), "openai")

    assert told["results_url"] is None
    assert told["created_at"] == told["expires_at"] == "1970-01-01T00:00:00Z"


def test_only_anthropic_s_results_need_no_name() -> None:
    assert results_path("a/b", "anthropic") == "/v1/messages/batches/a%2Fb/results"
    assert results_path("a", "my own") == "/v1/messages/batches/a/results?provider=my%20own"


def test_a_file() -> None:
    value = {"id": "f", "bytes": 5, "filename": "a", "created_at": MADE, "expires_at": MADE + 86400}

    told = json.loads(tell_file(Answer(value=value, body=b""), FACTS))

    assert told == {
        "id": "f",
        "type": "file",
        "filename": "a",
        "mime_type": "application/octet-stream",
        "size_bytes": 5,
        "created_at": MADE_TOLD,
        "expires_at": DAY_AFTER,
    }
    assert "expires_at" not in file_of({"id": "f"})
    deleted = tell_deleted(Answer(value={"id": "f"}, body=b""), FACTS)
    assert json.loads(deleted) == {"id": "f", "type": "file_deleted"}


@pytest.mark.parametrize("value", [None, True, "5", -1, 0, 1e15])
def test_what_is_no_moment(value: object) -> None:
    assert moment(value) is None


def test_pages_say_how_to_go_on() -> None:
    page = {"data": [{"id": "a"}, 5, {"id": "b"}], "has_more": True, "last_id": "cursor"}

    files, batches = tell_files(page, "openai"), tell_batches(page, "openai")

    assert [one["id"] for one in files["data"]] == ["a", "b"]
    assert (files["first_id"], files["last_id"], files["next_page"]) == ("a", "cursor", "cursor")
    assert [one["type"] for one in batches["data"]] == ["message_batch"] * 2
    assert "next_page" not in batches
    last = tell_files({"data": [{"id": "a"}], "has_more": False}, "openai")
    assert (last["last_id"], last["next_page"], last["has_more"]) == ("a", None, False)
    assert tell_files({"data": None}, "openai")["data"] == []
