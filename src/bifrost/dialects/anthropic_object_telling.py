"""Files and batches of other providers, told in Anthropic's words out of OpenAI's objects.

Sources: Anthropic API reference, "Message Batches" and "Files", 2026-11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from bifrost.codecs import json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Answer, Object

__all__ = [
    "batch_of",
    "file_of",
    "moment",
    "results_path",
    "tell_batch",
    "tell_batches",
    "tell_deleted",
    "tell_file",
    "tell_files",
]

NEVER = "1970-01-01T00:00:00Z"
"""Anthropic's own word for a date that is not known."""

LAST_YEAR_S = 253_402_300_799
"""The end of the year 9999, in Unix seconds."""

DAY_S = 86_400
"""What a batch has, where nothing is said of its end."""

ANY_KIND = "application/octet-stream"

STATUS: Mapping[str, str] = MappingProxyType(
    {
        "cancelling": "canceling",
        "completed": "ended",
        "failed": "ended",
        "cancelled": "ended",
        "expired": "ended",
        "ended": "ended",
    }
)
"""Anthropic's words for OpenAI's; every other state is one in progress."""

ENDS = ("completed_at", "failed_at", "cancelled_at", "expired_at")

REST = MappingProxyType({"cancelled": "canceled", "expired": "expired", "failed": "errored"})
"""What became of requests that are neither completed nor failed, by how their batch ended."""


def results_path(name: str, provider: str) -> str:
    """Where the results of a batch are, below the base URL of Anthropic's SDKs.

    Its provider has to be named, but for the one whom they ask by default.
    """
    of = "" if provider == "anthropic" else f"?provider={quote(provider, safe='')}"
    return f"/v1/messages/batches/{quote(name, safe='')}/results{of}"


def tell_file(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    return json.dumps(file_of(answer.value))


def tell_deleted(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    return json.dumps({"id": answer.value.get("id"), "type": "file_deleted"})


def tell_batch(answer: Answer, facts: AnswerFacts) -> bytes:
    return json.dumps(batch_of(answer.value, facts.provider))


def tell_files(page: Object, provider: str) -> Object:  # noqa: ARG001  as ``tell_batches``
    """A page of files, for SDKs that go on by ``next_page`` and for those that go on by ``after_id``."""
    told = _page(page, [file_of(item) for item in _items(page)])
    return {**told, "next_page": told["last_id"] if told["has_more"] else None}


def tell_batches(page: Object, provider: str) -> Object:
    """A page of batches of ``provider``; its ``last_id`` is what the next page is asked for by."""
    return _page(page, [batch_of(item, provider) for item in _items(page)])


def _items(page: Object) -> list[Object]:
    data = page.get("data")
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def _page(page: Object, items: list[Object]) -> Object:
    return {
        "data": items,
        "has_more": page.get("has_more") is True,
        "first_id": items[0]["id"] if items else None,
        "last_id": page.get("last_id") or (items[-1]["id"] if items else None),
    }


def file_of(value: Object) -> Object:
    """A file. Its type is told only where the provider keeps it."""
    told: Object = {
        "id": value.get("id"),
        "type": "file",
        "filename": value.get("filename") or "",
        "mime_type": value.get("mime_type") or ANY_KIND,
        "size_bytes": _count(value.get("bytes")),
        "created_at": moment(value.get("created_at")) or NEVER,
    }
    expires_at = moment(value.get("expires_at"))
    return told if expires_at is None else {**told, "expires_at": expires_at}


def batch_of(value: Object, provider: str) -> Object:
    """A batch of ``provider``; it has results where OpenAI's has a file of any."""
    name, status = str(value.get("id")), str(value.get("status"))
    ended = next((value[end] for end in ENDS if value.get(end) is not None), None)
    created = value.get("created_at")
    state = STATUS.get(status, "in_progress")
    has_results = value.get("output_file_id") or value.get("error_file_id")
    told: Object = {
        "id": name,
        "type": "message_batch",
        "processing_status": state,
        "request_counts": _counts(value.get("request_counts"), status, state),
        "ended_at": moment(ended) if state == "ended" else None,
        "created_at": moment(created) or NEVER,
        "expires_at": moment(value.get("expires_at")) or _a_day_after(created),
        "archived_at": moment(value.get("archived_at")),
        "cancel_initiated_at": moment(value.get("cancelling_at")),
        "results_url": results_path(name, provider) if has_results else None,
    }
    # Why there are no results: Anthropic's batches cannot fail as a whole, others can.
    return {**told, "errors": value["errors"]} if value.get("errors") else told


def moment(seconds: object) -> str | None:
    """Unix ``seconds`` as RFC 3339 has them; ``None`` for what are none."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if not 0 < seconds <= LAST_YEAR_S:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _a_day_after(created: object) -> str:
    if isinstance(created, int | float) and moment(created) is not None:
        return moment(created + DAY_S) or NEVER
    return NEVER


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _counts(value: object, status: str, state: str) -> Object:
    told = value if isinstance(value, dict) else {}
    succeeded = _count(told.get("succeeded", told.get("completed")))
    counts = {
        "processing": 0,
        "succeeded": succeeded,
        "errored": _count(told.get("failed")),
        "canceled": _count(told.get("canceled")),
        "expired": _count(told.get("expired")),
    }
    rest = max(0, _count(told.get("total")) - sum(counts.values()))
    counts[REST.get(status, "errored") if state == "ended" else "processing"] += rest
    return counts
