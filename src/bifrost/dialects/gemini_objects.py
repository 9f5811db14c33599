"""Files and batches of Gemini, asked for and told in OpenAI's words.

Sources: Gemini API reference, "Files" and "Batch API", 2026-11; uploads in one request (``uploadType=multipart``): Google,
"Upload media", 2026-11.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.codecs.multipart import encode_related, related_content_type
from bifrost.dialects.batch_requests import (
    batched,
    check_endpoint,
    inline_requests,
    lost_members,
    own_model,
)
from bifrost.dialects.gemini_parts import listed as objects_in
from bifrost.dialects.gemini_parts import mapping
from bifrost.dialects.gemini_request import encode_chat
from bifrost.dialects.gemini_results import (
    ABSENT,
    BATCHES,
    FILES,
    VERSION,
    content,
    id_of,
    name_of,
    output_of,
)
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
from bifrost.schema.payload import BytesPayload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.dialects.base import AnswerFacts, Reading
    from bifrost.dialects.hub import Object
    from bifrost.dialects.objects import Upload

__all__ = ["GEMINI_OBJECTS"]

PAGE = 100

DEFAULT_MODEL = "gemini-2.5-flash"

JSONL = b"application/jsonl"
"""What the input of a batch has to be."""

FILE_STATUS: Mapping[str, str] = MappingProxyType(
    {"ACTIVE": "processed", "PROCESSING": "processing", "FAILED": "error"}
)

STATUS: Mapping[str, str] = MappingProxyType(
    {
        "PENDING": "in_progress",
        "QUEUED": "in_progress",
        "RUNNING": "in_progress",
        "SUCCEEDED": "completed",
        "PARTIALLY_SUCCEEDED": "completed",
        "FAILED": "failed",
        "CANCELLING": "cancelling",
        "CANCELLED": "cancelled",
        "EXPIRED": "expired",
    }
)
"""By what follows ``BATCH_STATE_``, or ``JOB_STATE_``. Others are told as they come."""

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _one(read: Callable[[Object, AnswerFacts], Object]) -> Reading:
    """Of an answer that is about one object."""
    return reading(read, ABSENT)


def _upload(wanted: Wanted) -> ObjectRequest:
    """Metadata and bytes in one request."""
    upload = uploaded(wanted)
    boundary = wanted.call.boundary
    kind = _kind(upload)
    name = (upload.file.filename or b"").decode("utf-8", "replace")
    about: Object = {"mimeType": kind.decode("latin-1"), **({"displayName": name} if name else {})}
    metadata = BytesPayload(json.dumps({"file": about}))
    parts = ((b"application/json; charset=UTF-8", metadata), (kind, upload.file.content))
    return ObjectRequest(
        method=b"POST",
        path=f"/upload{VERSION}/{FILES}",
        query=(("uploadType", "multipart"),),
        body=encode_related(parts, boundary),
        content_type=related_content_type(boundary),
        dropped=upload.others,
        reading=reading(
            lambda value, _: _file(mapping(value.get("file")) or value, upload.purpose)
        ),
    )


def _kind(upload: Upload) -> bytes:
    if upload.purpose == "batch" or (upload.file.filename or b"").endswith(b".jsonl"):
        return JSONL
    return upload.file.content_type or b"application/octet-stream"


def _file(value: Object, purpose: str | None = None) -> Object:
    state = str(value.get("state") or "ACTIVE")
    return file_object(
        id=id_of(value.get("name")),
        bytes=counted(value.get("sizeBytes")),
        created_at=unix_s(value.get("createTime")),
        expires_at=unix_s(value.get("expirationTime")),
        filename=value.get("displayName") or value.get("name"),
        purpose=purpose or ("batch_output" if value.get("source") == "GENERATED" else None),
        status=FILE_STATUS.get(state, state),
        status_details=mapping(value.get("error")).get("message"),
        storage_uri=value.get("uri"),
        mime_type=value.get("mimeType"),
    )


def _list(wanted: Wanted, family: str, read: Reading, lost: tuple[str, ...]) -> ObjectRequest:
    after = wanted.query.get("after", "")
    if after.startswith(f"{family}-"):
        # Google goes on by its own tokens only: where a page ended is known for as long as it is remembered.
        text = (
            "invalid pagination cursor: where this object stood in the list is not known any more"
        )
        raise BadRequest(text, param="after")
    told = {"pageSize": listing(wanted, PAGE), "pageToken": after}
    return ObjectRequest(
        path=f"{VERSION}/{family}",
        query=tuple((name, str(value)) for name, value in told.items() if value),
        dropped=tuple(name for name in lost if wanted.query.get(name)),
        reading=read,
    )


def _list_files(wanted: Wanted) -> ObjectRequest:
    def page(value: Object, facts: AnswerFacts) -> Object:  # noqa: ARG001  a reading's
        return _page([_file(item) for item in objects_in(value.get("files"))], value)

    return _list(wanted, FILES, reading(page), ("order", "purpose"))


def _list_batches(wanted: Wanted) -> ObjectRequest:
    def page(value: Object, facts: AnswerFacts) -> Object:
        return _page([_batch(item, facts) for item in objects_in(value.get("operations"))], value)

    return _list(wanted, BATCHES, reading(page), ())


def _page(items: list[Object], value: Object) -> Object:
    token = value.get("nextPageToken") or None
    return listed(items, has_more=token is not None, next_cursor=token)


def _retrieve_file(wanted: Wanted) -> ObjectRequest:
    return ObjectRequest(
        path=f"{VERSION}/{_file_name(wanted)}", reading=_one(lambda value, _: _file(value))
    )


def _delete_file(wanted: Wanted) -> ObjectRequest:
    name = _file_name(wanted)
    return ObjectRequest(
        method=b"DELETE",
        path=f"{VERSION}/{name}",
        reading=_one(lambda *_: deleted(id_of(name))),
    )


def _file_name(wanted: Wanted) -> str:
    if results_of(wanted.id) is not None:
        raise no_such_object(wanted.id)
    return name_of(wanted.id, FILES)


def _create(wanted: Wanted) -> ObjectRequest:
    members = wanted.members()
    file = json.loads(members.get("input_file_id", b"null"))
    is_inline = members.get("requests", b"null") not in (b"null", b"[]")
    if file is not None and is_inline:
        raise BadRequest("cannot specify both input_file_id and requests", param="requests")
    if not file and not is_inline:
        text = "either input_file_id or requests must be provided"
        raise BadRequest(text, param="input_file_id")
    check_endpoint(members)
    if file:
        return _batch_of(wanted, members, {"fileName": name_of(str(file), FILES)}, "", ())
    return _inline(wanted, members)


def _inline(wanted: Wanted, members: dict[str, bytes]) -> ObjectRequest:
    """Google wants one model for all."""
    default = own_model(members, wanted) or DEFAULT_MODEL
    items: list[bytes] = []
    model = ""
    dropped: dict[str, None] = {}
    for request in inline_requests(members["requests"], dialect=wanted.call.surface.dialect):
        made = batched(request, wanted, encode_chat, default)
        if model not in ("", made.model):
            text = f"{request.place}: all requests of a batch must be for one model with Gemini"
            raise BadRequest(text, param=request.place)
        model = made.model
        dropped.update(dict.fromkeys(made.sent.dropped))
        body = made.sent.body
        if request.is_native:
            # The path has the model.
            said = json.split_object(body)
            body = json.join_object({n: raw for n, raw in said.items() if n != "model"})
        key = json.dumps({"key": request.custom_id})
        items.append(json.join_object({"request": body, "metadata": key}))
    requests = json.join_object({"requests": json.join_array(items)})
    return _batch_of(wanted, members, {"requests": requests}, model, tuple(dropped))


def _batch_of(
    wanted: Wanted,
    members: dict[str, bytes],
    given: Mapping[str, str | bytes],
    model: str,
    dropped: tuple[str, ...],
) -> ObjectRequest:
    """A batch of the input ``given``."""
    named = model or own_model(members, wanted) or DEFAULT_MODEL
    name = (model or wanted.key.deployments.get(named, named)).removeprefix("models/")
    if _MODEL.fullmatch(name) is None:
        text = f"{name[:128]!r} is no name that a model of Gemini can have"
        raise BadRequest(text, code="model_not_found", param="model")
    shown = json.loads(members.get("display_name", b"null")) or "bifrost-batch"
    source = {n: v if isinstance(v, bytes) else json.dumps(v) for n, v in given.items()}
    batch = {"displayName": json.dumps(str(shown)), "inputConfig": json.join_object(source)}
    lost = dict.fromkeys((*lost_members(members, {"display_name"}), *dropped))
    return ObjectRequest(
        method=b"POST",
        path=f"{VERSION}/models/{name}:batchGenerateContent",
        body=json.join_object({"batch": json.join_object(batch)}),
        content_type=b"application/json",
        dropped=tuple(lost),
        reading=reading(_batch),
    )


def _retrieve_batch(wanted: Wanted) -> ObjectRequest:
    return ObjectRequest(path=f"{VERSION}/{name_of(wanted.id, BATCHES)}", reading=_one(_batch))


def _cancel_batch(wanted: Wanted) -> ObjectRequest:
    """Google answers with nothing: what is told is that it is being cancelled."""
    name = name_of(wanted.id, BATCHES)

    def cancelling(value: Object, facts: AnswerFacts) -> Object:
        if value.get("name"):
            return _batch(value, facts)
        moment = int(facts.sent_unix_s)
        return batch_object(
            id=id_of(name), status="cancelling", cancelling_at=moment, operation_name=name
        )

    return ObjectRequest(method=b"POST", path=f"{VERSION}/{name}:cancel", reading=_one(cancelling))


def _batch(value: Object, facts: AnswerFacts) -> Object:  # noqa: ARG001  a reading's
    """A batch out of the long-running operation that Google has it as, or out of its own object."""
    about = mapping(value.get("metadata")) or value
    name = str(value.get("name") or about.get("name") or "")
    status = _status(value, about)
    file = mapping(about.get("inputConfig")).get("fileName")
    created_at, ended_at = unix_s(about.get("createTime")), unix_s(about.get("endTime"))
    return batch_object(
        id=id_of(name),
        status=status,
        model=about.get("model"),
        input_file_id=id_of(file) if file else None,
        output_file_id=_output_file(name, output_of(value), status),
        created_at=created_at,
        in_progress_at=created_at if status != "validating" else None,
        errors=_errors(value.get("error")),
        request_counts=_counts(mapping(about.get("batchStats"))),
        operation_name=name,
        done=value.get("done"),
        **({f"{status}_at": ended_at} if f"{status}_at" in ENDS else {}),
    )


ENDS = frozenset({"completed_at", "failed_at", "cancelled_at", "expired_at"})


def _status(value: Object, about: Object) -> str:
    state = about.get("state")
    if isinstance(state, str) and state:
        return STATUS.get(state.rpartition("STATE_")[2], state)
    if value.get("error"):
        return "failed"
    return "completed" if value.get("done") is True else "in_progress"


def _output_file(name: str, output: Object, status: str) -> str | None:
    if output.get("responsesFile"):
        return RESULTS + id_of(output["responsesFile"])
    return RESULTS + id_of(name) if output or status == "completed" else None


def _errors(error: object) -> Object | None:
    told = mapping(error)
    if not told:
        return None
    code = str(told.get("status") or told.get("code") or "")
    item = {"code": code, "message": told.get("message"), "param": None, "line": None}
    return {"object": "list", "data": [item]}


def _counts(stats: Object) -> Object:
    names = ("requestCount", "successfulRequestCount", "failedRequestCount", "pendingRequestCount")
    total, succeeded, failed, pending = (counted(stats.get(name)) for name in names)
    return {
        "total": total,
        "completed": succeeded,
        "failed": failed,
        "succeeded": succeeded,
        "pending": pending,
    }


GEMINI_OBJECTS: Mapping[Operation, ObjectCoder] = MappingProxyType(
    {
        Operation.FILE_UPLOAD: _upload,
        Operation.FILE_LIST: _list_files,
        Operation.FILE_RETRIEVE: _retrieve_file,
        Operation.FILE_DELETE: _delete_file,
        Operation.FILE_CONTENT: content,
        Operation.BATCH_CREATE: _create,
        Operation.BATCH_LIST: _list_batches,
        Operation.BATCH_RETRIEVE: _retrieve_batch,
        Operation.BATCH_CANCEL: _cancel_batch,
    }
)
"""The table."""
