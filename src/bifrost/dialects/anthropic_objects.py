"""Files and batches of Anthropic, asked for and told in OpenAI's words.

Sources: Anthropic API reference, "Message Batches" and "Files", 2026-11.
"""

from __future__ import annotations

import re
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.codecs.multipart import encode_form, form_content_type
from bifrost.dialects.anthropic_answer import read_answer
from bifrost.dialects.anthropic_errors import STATUSES
from bifrost.dialects.anthropic_request import encode_messages
from bifrost.dialects.base import Reading
from bifrost.dialects.batch_requests import (
    batched,
    check_endpoint,
    inline_requests,
    lost_members,
    own_model,
)
from bifrost.dialects.batch_results import ResultLines, told_error, told_result
from bifrost.dialects.objects import (
    RESULTS,
    ObjectCoder,
    ObjectRequest,
    Wanted,
    batch_object,
    counted,
    deleted,
    file_object,
    listed,
    listing,
    no_such_object,
    reading,
    results_of,
    unix_s,
    uploaded,
)
from bifrost.errors import BadRequest
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.dialects.base import AnswerFacts, Retelling
    from bifrost.dialects.hub import Object

__all__ = ["ANTHROPIC_OBJECTS", "FILES", "FILES_BETA"]

FILES = "/v1/files"
BATCHES = "/v1/messages/batches"

FILES_BETA = ((b"anthropic-beta", b"files-api-2025-04-14"),)

NATIVE_URLS = ("/v1/messages",)

FILES_PAGE = 1000
BATCHES_PAGE = 100

STATUS: Mapping[str, str] = MappingProxyType({"ended": "completed", "canceling": "cancelling"})
"""OpenAI's words; others are the same in both."""

NATIVE_STATUS: Mapping[str, str] = MappingProxyType({"canceling": "cancelling"})

ENDED = "ended"

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")

NOT_RUN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "canceled": ("batch_cancelled", "This request was not run: its batch was cancelled."),
        "expired": ("batch_expired", "This request was not run before its batch expired."),
    }
)
"""Results that are none: OpenAI's code, and a sentence."""


def _plain(read: Callable[[Object], Object]) -> Reading:
    return reading(lambda value, _: read(value))


def _upload(wanted: Wanted) -> ObjectRequest:
    """Of the form the file alone: Anthropic's files have no purpose."""
    upload = uploaded(wanted)
    boundary = wanted.call.boundary
    return ObjectRequest(
        method=b"POST",
        path=FILES,
        body=encode_form((upload.file,), boundary),
        content_type=form_content_type(boundary),
        headers=FILES_BETA,
        dropped=upload.others,
        reading=_plain(partial(_file, purpose=upload.purpose)),
    )


def _file(value: Object, purpose: str | None = None) -> Object:
    return file_object(
        id=value.get("id"),
        bytes=counted(value.get("size_bytes")),
        created_at=unix_s(value.get("created_at")),
        filename=value.get("filename"),
        purpose=purpose,
        mime_type=value.get("mime_type"),
        downloadable=value.get("downloadable"),
    )


def _list_query(wanted: Wanted, most: int) -> tuple[tuple[str, str], ...]:
    told = {"after_id": wanted.query.get("after"), "limit": listing(wanted, most)}
    return tuple((name, str(value)) for name, value in told.items() if value)


def _lost_of_list(wanted: Wanted) -> tuple[str, ...]:
    """The newest come first, whoever's they are."""
    query = wanted.query
    order = ("order",) if query.get("order", "desc") != "desc" else ()
    return (*order, *(("purpose",) if query.get("purpose") else ()))


def _page(value: Object, read: Callable[[Object], Object]) -> Object:
    data = value.get("data")
    items = (
        [read(item) for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    )
    return listed(items, has_more=value.get("has_more") is True)


def _list_files(wanted: Wanted) -> ObjectRequest:
    return ObjectRequest(
        path=FILES,
        query=_list_query(wanted, FILES_PAGE),
        headers=FILES_BETA,
        dropped=_lost_of_list(wanted),
        reading=_plain(partial(_page, read=_file)),
    )


def _retrieve_file(wanted: Wanted) -> ObjectRequest:
    return ObjectRequest(
        path=f"{FILES}/{_file_id(wanted)}", headers=FILES_BETA, reading=_plain(_file)
    )


def _delete_file(wanted: Wanted) -> ObjectRequest:
    name = _file_id(wanted)
    return ObjectRequest(
        method=b"DELETE",
        path=f"{FILES}/{name}",
        headers=FILES_BETA,
        reading=_plain(lambda value: deleted(str(value.get("id") or name))),
    )


def _file_id(wanted: Wanted) -> str:
    """Raises BadRequest for what comes of a batch: there is no file of it."""
    name = wanted.id
    if results_of(name) is not None:
        raise no_such_object(name)
    return name


def _content(wanted: Wanted) -> ObjectRequest:
    batch = results_of(wanted.id)
    if batch is None:
        return ObjectRequest(
            path=f"{FILES}/{wanted.id}/content", headers=FILES_BETA, reading=Reading()
        )
    return ObjectRequest(path=f"{BATCHES}/{batch}/results", reading=Reading(retell=_results))


def _results(facts: AnswerFacts) -> Retelling:
    return ResultLines(partial(told_line, facts=facts))


def told_line(line: bytes, facts: AnswerFacts) -> Object:
    """A line of Anthropic's results as one of OpenAI's; what cannot be read is told as an error of that line."""
    try:
        members = json.split_object(line)
        custom_id = str(json.loads(members["custom_id"]))
        result = json.split_object(members["result"])
        kind = json.loads(result["type"])
    except (json.InvalidJSON, KeyError):
        text = "this line of the results cannot be read"
        return told_error("", 502, "unreadable_result", text)
    if kind == "succeeded":
        message = result.get("message", b"")
        return told_result(custom_id, lambda: read_answer(message, facts))
    if kind in NOT_RUN:
        return told_error(custom_id, None, *NOT_RUN[kind])
    return _failed(custom_id, json.loads(result.get("error", b"null")))


def _failed(custom_id: str, error: object) -> Object:
    """``error`` is as a refusal's body has it, or what is in one."""
    while isinstance(error, dict) and isinstance(error.get("error"), dict):
        error = error["error"]
    told = error if isinstance(error, dict) else {}
    kind = str(told.get("type") or "api_error")
    message = str(told.get("message") or "the request failed")
    return told_error(custom_id, STATUSES.get(kind, 500), kind, message)


def _create(wanted: Wanted) -> ObjectRequest:
    members = wanted.members()
    if members.get("input_file_id", b"null") != b"null" or "requests" not in members:
        raise BadRequest("requests array is required for Anthropic batch API", param="requests")
    check_endpoint(members, NATIVE_URLS)
    items: list[bytes] = []
    dropped = dict.fromkeys(lost_members(members))
    betas: dict[bytes, None] = {}
    for request in inline_requests(members["requests"], NATIVE_URLS):
        if _CUSTOM_ID.fullmatch(request.custom_id) is None:
            at = f"{request.place}.custom_id"
            text = f"{at} must be 1 to 64 letters, digits, _ or - for Anthropic"
            raise BadRequest(text, param=at)
        made = batched(request, wanted, encode_messages, own_model(members, wanted))
        dropped.update(dict.fromkeys(made.sent.dropped))
        betas.update(dict.fromkeys(b for n, v in made.sent.headers for b in v.split(b",")))
        custom_id = json.dumps(request.custom_id)
        items.append(json.join_object({"custom_id": custom_id, "params": made.sent.body}))
    return ObjectRequest(
        method=b"POST",
        path=BATCHES,
        body=json.join_object({"requests": json.join_array(items)}),
        content_type=b"application/json",
        headers=((b"anthropic-beta", b",".join(betas)),) if betas else (),
        dropped=tuple(dropped),
        reading=_batch_reading(wanted),
    )


def _batch_reading(wanted: Wanted) -> Reading:
    return _plain(partial(_batch, is_native=wanted.is_native))


def _list_batches(wanted: Wanted) -> ObjectRequest:
    return ObjectRequest(
        path=BATCHES,
        query=_list_query(wanted, BATCHES_PAGE),
        reading=_plain(partial(_page, read=partial(_batch, is_native=wanted.is_native))),
    )


def _retrieve_batch(wanted: Wanted) -> ObjectRequest:
    return ObjectRequest(path=f"{BATCHES}/{wanted.id}", reading=_batch_reading(wanted))


def _cancel_batch(wanted: Wanted) -> ObjectRequest:
    return ObjectRequest(
        method=b"POST",
        path=f"{BATCHES}/{wanted.id}/cancel",
        reading=_batch_reading(wanted),
    )


def _batch(value: Object, *, is_native: bool) -> Object:
    status = str(value.get("processing_status"))
    words = NATIVE_STATUS if is_native else STATUS
    ended_at = unix_s(value.get("ended_at"))
    cancelling_at = unix_s(value.get("cancel_initiated_at"))
    created_at = unix_s(value.get("created_at"))
    return batch_object(
        id=value.get("id"),
        status=words.get(status, status),
        processing_status=status,
        output_file_id=f"{RESULTS}{value.get('id')}" if status == ENDED else None,
        created_at=created_at,
        in_progress_at=created_at,
        expires_at=unix_s(value.get("expires_at")),
        completed_at=ended_at,
        cancelling_at=cancelling_at,
        cancelled_at=ended_at if cancelling_at is not None else None,
        archived_at=unix_s(value.get("archived_at")),
        request_counts=_counts(value.get("request_counts")),
        results_url=value.get("results_url"),
    )


def _counts(value: object) -> Object:
    told = value if isinstance(value, dict) else {}
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    pending, succeeded, errored, canceled, expired = (counted(told.get(name)) for name in names)
    return {
        "total": pending + succeeded + errored + canceled + expired,
        "completed": succeeded,
        "failed": errored,
        "succeeded": succeeded,
        "expired": expired,
        "canceled": canceled,
        "pending": pending,
    }


ANTHROPIC_OBJECTS: Mapping[Operation, ObjectCoder] = MappingProxyType(
    {
        Operation.FILE_UPLOAD: _upload,
        Operation.FILE_LIST: _list_files,
        Operation.FILE_RETRIEVE: _retrieve_file,
        Operation.FILE_DELETE: _delete_file,
        Operation.FILE_CONTENT: _content,
        Operation.BATCH_CREATE: _create,
        Operation.BATCH_LIST: _list_batches,
        Operation.BATCH_RETRIEVE: _retrieve_batch,
        Operation.BATCH_CANCEL: _cancel_batch,
    }
)
"""The table."""
