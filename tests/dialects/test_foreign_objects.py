"""Files and batches of Anthropic and Gemini: what is asked, and what is made of the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.config.settings import KeySettings
from bifrost.dialects.anthropic_objects import ANTHROPIC_OBJECTS
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.gemini_objects import GEMINI_OBJECTS
from bifrost.dialects.objects import ObjectRequest, Wanted, counted, unix_s
from bifrost.errors import BadRequest, ErrorClass, UpstreamError
from bifrost.schema.call import Call, Operation, Relay, Surface, Target
from bifrost.schema.payload import BytesPayload, Field, File

CODERS = {"anthropic": ANTHROPIC_OBJECTS, "gemini": GEMINI_OBJECTS}
KEY = KeySettings(id="k", name="k")


def asked(
    provider: str,
    operation: Operation,
    name: str = "",
    *,
    query: str = "",
    body: Any = None,
    **more: Any,
) -> ObjectRequest:
    call = Call(
        id="c",
        operation=operation,
        stream=False,
        target=Target(provider, ""),
        ids=(name,) if name else (),
        boundary=b"bound",
        **more,
    )
    relay = Relay(
        method="GET",
        path="/v1/x",
        query=query,
        body=b"" if body is None else json.dumps(body).encode(),
    )
    return CODERS[provider][operation](Wanted(call=call, relay=relay, key=KEY, provider=provider))


def facts(operation: Operation, provider: str) -> AnswerFacts:
    return AnswerFacts(
        request_type=operation.value,
        provider=provider,
        model_requested="",
        sent_s=0.0,
        sent_unix_s=1000.0,
        operation=operation,
        send_extra_fields=False,
    )


def read(provider: str, operation: Operation, value: Any, name: str = "x", **more: Any) -> Any:
    """OpenAI's object of the upstream's ``value``."""
    reading = asked(provider, operation, name, **more).reading
    assert reading.plain is not None
    return json.loads(reading.plain(json.dumps(value).encode(), facts(operation, provider)).body)


def retold(provider: str, name: str, body: bytes) -> list[Any]:
    reading = asked(provider, Operation.FILE_CONTENT, name).reading
    assert reading.retell is not None
    retelling = reading.retell(facts(Operation.FILE_CONTENT, provider))
    told = retelling.feed(body) + retelling.close()
    return [json.loads(line) for line in told.splitlines()]


@pytest.mark.parametrize(
    ("provider", "operation", "name", "query", "method", "path", "sent"),
    [
        ("anthropic", Operation.FILE_LIST, "", "limit=5000&after=file_1", b"GET", "/v1/files", {"after_id": "file_1", "limit": "1000"}),
        ("anthropic", Operation.FILE_LIST, "", "limit=many", b"GET", "/v1/files", {"limit": "30"}),
        ("anthropic", Operation.FILE_RETRIEVE, "file_1", "", b"GET", "/v1/files/file_1", {}),
        ("anthropic", Operation.FILE_DELETE, "file_1", "", b"DELETE", "/v1/files/file_1", {}),
        ("anthropic", Operation.FILE_CONTENT, "file_1", "", b"GET", "/v1/files/file_1/content", {}),
        ("anthropic", Operation.FILE_CONTENT, "batch-results-msgbatch_1", "", b"GET", "/v1/messages/batches/msgbatch_1/results", {}),
        ("anthropic", Operation.BATCH_LIST, "", "limit=0", b"GET", "/v1/messages/batches", {"limit": "1"}),
        ("anthropic", Operation.BATCH_RETRIEVE, "msgbatch_1", "", b"GET", "/v1/messages/batches/msgbatch_1", {}),
        ("anthropic", Operation.BATCH_CANCEL, "msgbatch_1", "", b"POST", "/v1/messages/batches/msgbatch_1/cancel", {}),
        ("gemini", Operation.FILE_LIST, "", "limit=5000&after=tok", b"GET", "/v1beta/files", {"pageSize": "100", "pageToken": "tok"}),
        ("gemini", Operation.FILE_RETRIEVE, "files-a-b", "", b"GET", "/v1beta/files/a-b", {}),
        ("gemini", Operation.FILE_RETRIEVE, "a-b", "", b"GET", "/v1beta/files/a-b", {}),
        ("gemini", Operation.FILE_DELETE, "files-a", "", b"DELETE", "/v1beta/files/a", {}),
        ("gemini", Operation.FILE_CONTENT, "batch-results-batches-b", "", b"GET", "/v1beta/batches/b", {}),
        ("gemini", Operation.FILE_CONTENT, "batch-results-files-f", "", b"GET", "/download/v1beta/files/f:download", {"alt": "media"}),
        ("gemini", Operation.BATCH_LIST, "", "", b"GET", "/v1beta/batches", {}),
        ("gemini", Operation.BATCH_RETRIEVE, "batches-b", "", b"GET", "/v1beta/batches/b", {}),
        ("gemini", Operation.BATCH_CANCEL, "batches-b", "", b"POST", "/v1beta/batches/b:cancel", {}),
    ],
)  # fmt: skip
def test_where_it_is_asked(
    provider: str,
    operation: Operation,
    name: str,
    query: str,
    method: bytes,
    path: str,
    sent: dict[str, str],
) -> None:
    request = asked(provider, operation, name, query=query)

    assert (request.method, request.path, dict(request.query)) == (method, path, sent)


@pytest.mark.parametrize("provider", CODERS)
@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "x" * 300, "batch-results-x"])
def test_an_id_that_nothing_has_is_not_found(provider: str, name: str) -> None:
    with pytest.raises(BadRequest) as told:
        asked(provider, Operation.FILE_RETRIEVE, name)

    assert (told.value.status, told.value.error_class) == (404, ErrorClass.NOT_FOUND)


def test_gemini_s_names_need_a_rest() -> None:
    with pytest.raises(BadRequest):
        asked("gemini", Operation.FILE_RETRIEVE, "files-")


def upload(provider: str, **fields: bytes) -> ObjectRequest:
    file = File("file", b"in.jsonl", b"text/plain", BytesPayload(b"{}\n"))
    form = (*(Field(name, value) for name, value in fields.items()), file)
    return asked(provider, Operation.FILE_UPLOAD, form=form)


async def sent_body(request: ObjectRequest) -> bytes:
    assert not isinstance(request.body, bytes)
    return b"".join([block async for block in request.body.blocks()])


async def test_anthropic_is_sent_the_file_alone() -> None:
    request = upload("anthropic", purpose=b"batch", **{"expires_after[seconds]": b"60"})

    body = await sent_body(request)
    assert request.content_type == b"multipart/form-data; boundary=bound"
    assert body.count(b"--bound\r\n") == 1
    assert b'name="file"; filename="in.jsonl"\r\nContent-Type: text/plain\r\n\r\n{}\n\r\n' in body
    assert request.headers == ((b"anthropic-beta", b"files-api-2025-04-14"),)
    assert request.dropped == ("expires_after[seconds]",)


async def test_gemini_is_sent_metadata_and_file() -> None:
    request = upload("gemini", purpose=b"batch")

    assert request.content_type == b"multipart/related; boundary=bound"
    assert await sent_body(request) == (
        b"--bound\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
        b'{"file":{"mimeType":"application/jsonl","displayName":"in.jsonl"}}\r\n'
        b"--bound\r\nContent-Type: application/jsonl\r\n\r\n{}\n\r\n--bound--\r\n"
    )


@pytest.mark.parametrize("provider", CODERS)
def test_an_upload_needs_its_file(provider: str) -> None:
    with pytest.raises(BadRequest, match="file is required"):
        asked(provider, Operation.FILE_UPLOAD, form=())


def test_what_lists_cannot_do_is_named() -> None:
    assert asked("anthropic", Operation.FILE_LIST, query="order=asc&purpose=batch").dropped == (
        "order",
        "purpose",
    )
    assert asked("anthropic", Operation.FILE_LIST, query="order=desc").dropped == ()
    assert asked("gemini", Operation.FILE_LIST, query="order=asc").dropped == ("order",)
    with pytest.raises(BadRequest, match="invalid pagination cursor"):
        asked("gemini", Operation.BATCH_LIST, query="after=batches-1")


@pytest.mark.parametrize(
    ("status", "is_native", "told"),
    [
        ("in_progress", False, "in_progress"),
        ("canceling", False, "cancelling"),
        ("canceling", True, "cancelling"),
        ("ended", False, "completed"),
        ("ended", True, "ended"),
        ("dreaming", False, "dreaming"),
    ],
)
def test_states_of_anthropic_s_batches(status: str, is_native: bool, told: str) -> None:
    surface = Surface.NATIVE if is_native else Surface.OPENAI
    value = {"id": "msgbatch_1", "processing_status": status, "request_counts": None}

    batch = read("anthropic", Operation.BATCH_RETRIEVE, value, surface=surface)

    assert (batch["status"], batch["processing_status"]) == (told, status)
    assert (batch["output_file_id"] is not None) == (status == "ended")
    assert batch["endpoint"] == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("state", "told", "ends"),
    [
        ("BATCH_STATE_PENDING", "in_progress", None),
        ("JOB_STATE_RUNNING", "in_progress", None),
        ("BATCH_STATE_SUCCEEDED", "completed", "completed_at"),
        ("BATCH_STATE_FAILED", "failed", "failed_at"),
        ("BATCH_STATE_CANCELLED", "cancelled", "cancelled_at"),
        ("BATCH_STATE_EXPIRED", "expired", "expired_at"),
        ("BATCH_STATE_DREAMING", "BATCH_STATE_DREAMING", None),
    ],
)
def test_states_of_gemini_s_batches(state: str, told: str, ends: str | None) -> None:
    about = {"state": state, "endTime": "2026-11-27T13:00:00Z", "batchStats": {"requestCount": "3"}}

    batch = read("gemini", Operation.BATCH_RETRIEVE, {"name": "batches/b", "metadata": about})

    assert (batch["id"], batch["status"], batch["request_counts"]["total"]) == (
        "batches-b",
        told,
        3,
    )
    assert [n for n in batch if n.endswith("_at") and batch[n]] == ([ends] if ends else [])


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"name": "batches/b", "error": {"code": 3, "message": "no"}}, "failed"),
        (
            {"name": "batches/b", "done": True, "response": {"responsesFile": "files/f"}},
            "completed",
        ),
        ({"name": "batches/b"}, "in_progress"),
    ],
)
def test_a_batch_without_a_state(value: dict[str, Any], told: str) -> None:
    batch = read("gemini", Operation.BATCH_RETRIEVE, value)

    assert batch["status"] == told
    if told == "failed":
        assert batch["errors"]["data"][0] == {
            "code": "3",
            "message": "no",
            "param": None,
            "line": None,
        }
    if told == "completed":
        assert batch["output_file_id"] == "batch-results-files-f"


def test_pages() -> None:
    page = read(
        "gemini", Operation.FILE_LIST, {"files": [{"name": "files/a"}, 1], "nextPageToken": "t"}
    )
    assert (page["data"][0]["id"], page["last_id"], page["has_more"]) == (
        "files-a",
        "files-a",
        True,
    )
    assert page["next_cursor"] == "t"
    assert read("gemini", Operation.BATCH_LIST, {}) == {
        "object": "list",
        "data": [],
        "has_more": False,
    }
    assert read("anthropic", Operation.FILE_LIST, {"data": None})["data"] == []
    assert (
        read("anthropic", Operation.FILE_LIST, {"data": [{"id": "f"}], "has_more": True})["last_id"]
        == "f"
    )


def test_what_else_is_read() -> None:
    generated = {
        "name": "files/g",
        "source": "GENERATED",
        "state": "FAILED",
        "error": {"message": "no"},
    }
    file = read("gemini", Operation.FILE_RETRIEVE, generated)
    assert (file["purpose"], file["status"], file["status_details"]) == (
        "batch_output",
        "error",
        "no",
    )
    assert read("gemini", Operation.FILE_DELETE, {}, "files-g") == {
        "id": "files-g",
        "object": "file",
        "deleted": True,
    }
    stopped = read("gemini", Operation.BATCH_CANCEL, {}, "batches-b")
    assert (stopped["status"], stopped["cancelling_at"]) == ("cancelling", 1000)
    assert (
        read("gemini", Operation.BATCH_CANCEL, {"name": "batches/b", "done": True}, "b")["status"]
        == "completed"
    )
    with pytest.raises(UpstreamError):
        read("gemini", Operation.BATCH_RETRIEVE, [])


def line(provider: str, value: Any) -> Any:
    name = "batch-results-files-f" if provider == "gemini" else "batch-results-b"
    [told] = retold(
        provider, name, value if isinstance(value, bytes) else json.dumps(value).encode()
    )
    return told


@pytest.mark.parametrize(
    ("provider", "value", "status", "code"),
    [
        ("anthropic", b"nonsense", 502, "unreadable_result"),
        ("anthropic", {"custom_id": "a"}, 502, "unreadable_result"),
        ("anthropic", {"custom_id": "a", "result": {"type": "succeeded"}}, 502, "unreadable_result"),
        ("anthropic", {"custom_id": "a", "result": {"type": "succeeded", "message": {"x": 1}}}, 502, "unreadable_result"),
        ("anthropic", {"custom_id": "a", "result": {"type": "succeeded", "message": {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}}}, 529, "overloaded_error"),
        ("anthropic", {"custom_id": "a", "result": {"type": "errored", "error": {"type": "rate_limit_error", "message": "x"}}}, 429, "rate_limit_error"),
        ("anthropic", {"custom_id": "a", "result": {"type": "errored"}}, 500, "api_error"),
        ("gemini", b"[]", 502, "unreadable_result"),
        ("gemini", b"nonsense", 502, "unreadable_result"),
        ("gemini", {"key": "a", "error": {"code": 8, "message": "x"}}, 429, "8"),
        ("gemini", {"key": "a", "error": {"code": 503, "status": "UNAVAILABLE"}}, 503, "UNAVAILABLE"),
        ("gemini", {"key": "a"}, 500, "unknown_error"),
    ],
)  # fmt: skip
def test_results_that_are_errors(provider: str, value: Any, status: int, code: str) -> None:
    told = line(provider, value)

    assert told["response"]["status_code"] == status
    assert told["response"]["body"]["error"]["type"] == told["error"]["code"] == code
    assert told["error"]["message"]


def test_results_inline() -> None:
    name = "batch-results-batches-b"
    response = {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}
    items = [
        {"metadata": {"key": "a"}, "response": response},
        {"metadata": {}, "error": {"code": 13}},
    ]
    whole = {"metadata": {"output": {"inlinedResponses": {"inlinedResponses": items}}}}

    first, second = retold("gemini", name, json.dumps(whole).encode())

    assert first["response"]["body"]["choices"][0]["message"]["content"] == "hi"
    assert (second["custom_id"], second["response"]["status_code"]) == ("", 500)
    with pytest.raises(BadRequest, match="not available"):
        retold("gemini", name, b"{}")
    with pytest.raises(UpstreamError, match="broke"):
        retold("gemini", name, b'{"error":{"code":500,"message":"it broke"}}')


def test_a_model_that_no_path_can_hold() -> None:
    with pytest.raises(BadRequest, match="is no name"):
        asked("gemini", Operation.BATCH_CREATE, body={"model": "../x", "input_file_id": "files-f"})


def test_a_body_has_to_be_an_object() -> None:
    with pytest.raises(BadRequest, match="failed to parse"):
        asked("gemini", Operation.BATCH_CREATE, body=[])


def test_betas_of_all_requests_are_asked_for_together() -> None:
    part = {"type": "file", "file": {"file_id": "file_1"}}
    body = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": [part]}]}
    requests = [{"custom_id": "a", "body": body}]

    request = asked(
        "anthropic", Operation.BATCH_CREATE, body={"requests": requests, "metadata": {"a": "b"}}
    )

    assert dict(request.headers)[b"anthropic-beta"] == b"files-api-2025-04-14"
    assert request.dropped == ("metadata",)


@pytest.mark.parametrize(
    ("value", "count"), [("12", 12), (7, 7), (None, 0), ("-1", 0), ("9" * 30, 0)]
)
def test_counts(value: object, count: int) -> None:
    assert counted(value) == count


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("2026-11-27T12:00:00Z", 1795780800),
        ("2026-11-27T12:00:00", 1795780800),
        (None, None),
        (3, None),
    ],
)
def test_moments(moment: object, seconds: int | None) -> None:
    assert unix_s(moment) == seconds


def test_every_coder_is_of_a_known_operation() -> None:
    assert set(ANTHROPIC_OBJECTS) == set(GEMINI_OBJECTS)
