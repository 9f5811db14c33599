"""Files of Replicate's: what is asked, and what is made of the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.config.settings import KeySettings
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.objects import ObjectRequest, Wanted
from bifrost.dialects.replicate_objects import REPLICATE_OBJECTS
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Operation, Relay, Target
from bifrost.schema.payload import BytesPayload, Field, File

FILE = {
    "id": "NGZi",
    "name": "a.txt",
    "content_type": "text/plain",
    "size": 5,
    "metadata": {"purpose": "vision"},
    "created_at": "2026-11-27T12:00:00.000Z",
    "expires_at": "2026-11-28T12:00:00.000Z",
    "urls": {"get": "https://api.replicate.com/v1/files/NGZi"},
}


def asked(operation: Operation, name: str = "", query: str = "", **more: Any) -> ObjectRequest:
    call = Call(
        id="c",
        operation=operation,
        stream=False,
        target=Target("replicate", ""),
        ids=(name,) if name else (),
        boundary=b"bound",
        **more,
    )
    relay = Relay(method="GET", path="/v1/files", query=query)
    key = KeySettings(id="k", name="k")
    return REPLICATE_OBJECTS[operation](
        Wanted(call=call, relay=relay, key=key, provider="replicate")
    )


def read(request: ObjectRequest, value: Any) -> Any:
    facts = AnswerFacts(
        request_type="x", provider="replicate", model_requested="", sent_s=0.0, operation=Operation.FILE_LIST, send_extra_fields=False,
    )  # fmt: skip
    assert request.reading.plain is not None
    body = b"" if value is None else json.dumps(value).encode()
    return json.loads(request.reading.plain(body, facts).body)


@pytest.mark.parametrize(
    ("operation", "name", "query", "method", "path", "sent"),
    [
        (Operation.FILE_LIST, "", "limit=5", b"GET", "/v1/files", {}),
        (Operation.FILE_LIST, "", "after=cD0y", b"GET", "/v1/files", {"cursor": "cD0y"}),
        (Operation.FILE_RETRIEVE, "NGZi", "", b"GET", "/v1/files/NGZi", {}),
        (Operation.FILE_DELETE, "NGZi", "", b"DELETE", "/v1/files/NGZi", {}),
    ],
)
def test_where_it_is_asked(
    operation: Operation, name: str, query: str, method: bytes, path: str, sent: dict[str, str]
) -> None:
    request = asked(operation, name, query)

    assert (request.method, request.path, dict(request.query)) == (method, path, sent)
    assert request.dropped == (("limit",) if "limit" in query else ())


def test_what_is_told() -> None:
    told = read(asked(Operation.FILE_RETRIEVE, "NGZi"), FILE)

    assert told == {
        "id": "NGZi", "object": "file", "bytes": 5, "created_at": 1795780800, "expires_at": 1795867200,
        "filename": "a.txt", "purpose": "vision", "status": "processed", "storage_backend": "api",
        "storage_uri": "https://api.replicate.com/v1/files/NGZi", "mime_type": "text/plain",
    }  # fmt: skip
    bare = read(asked(Operation.FILE_RETRIEVE, "NGZi"), {})
    assert (bare["id"], bare["bytes"], bare["purpose"]) == ("", 0, "user_data")
    assert read(asked(Operation.FILE_DELETE, "NGZi"), None)["deleted"] is True


def test_pages() -> None:
    request = asked(Operation.FILE_LIST)

    page = read(
        request, {"next": "https://api.replicate.com/v1/files?cursor=cD0y", "results": [FILE, 5]}
    )
    assert (page["has_more"], page["next_cursor"], len(page["data"])) == (True, "cD0y", 1)
    last: Any
    for last in ({"next": None, "results": []}, {"results": 5}):
        page = read(request, last)
        assert (page["has_more"], page["data"]) == (False, [])


async def test_uploads_keep_what_they_are_for() -> None:
    file = File("file", b"a.txt", b"text/plain", BytesPayload(b"hello"))
    form = (Field("purpose", b"vision"), Field("provider", b"replicate"), file, Field("x", b"y"))

    request = asked(Operation.FILE_UPLOAD, form=form)

    assert not isinstance(request.body, bytes)
    body = b"".join([block async for block in request.body.blocks()])
    assert b'name="content"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n' in body
    assert b'name="metadata"\r\n\r\n{"purpose":"vision"}\r\n' in body
    assert request.content_type == b"multipart/form-data; boundary=bound"
    assert request.dropped == ("x",)


def test_uploads_that_are_none() -> None:
    with pytest.raises(BadRequest, match="file is required"):
        asked(Operation.FILE_UPLOAD, form=())
    broken = File("file", None, b"a/b\r\nx: y", BytesPayload(b""))
    with pytest.raises(BadRequest, match="failed to parse"):
        asked(Operation.FILE_UPLOAD, form=(broken,))
