"""Forms, files, batches and all that only the provider understands, asked for with the real OpenAI SDK for Python."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
import trio

from system.answers import batch, file_object, key_of, paged, vector_store
from system.conftest import CANARIES
from system.sdk import in_thread, sdk
from system.upstream import Behaviour, Received, Upstream, hang, plain, raw, status

if TYPE_CHECKING:
    from system.process import Gateway

pytestmark = pytest.mark.system

SOUND = bytes(range(256)) * 3000


def parts_of(received: Received) -> dict[str, bytes]:
    """The parts of a form, heads and all, by their names."""
    kind = received.header("content-type") or ""
    boundary = b"--" + kind.partition("boundary=")[2].encode()
    parts = received.body.split(boundary)[1:-1]
    return {part.split(b'name="')[1].split(b'"')[0].decode(): part for part in parts}


async def test_a_transcription_goes_with_all_its_fields(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["POST /v1/audio/transcriptions"] = [plain({"text": "Hello"})]

    answer = await in_thread(
        sdk(gateway).audio.transcriptions.create,
        model="openai/whisper-1",
        file=("söund.mp3", SOUND, "audio/mpeg"),
        language="de",
        temperature=0.5,
        timestamp_granularities=["word", "segment"],
        response_format="verbose_json",
        extra_body={"unknown_field": "kept"},
    )

    assert answer.text == "Hello"
    [received] = upstream.requests
    parts = parts_of(received)
    assert parts["model"].endswith(b"\r\n\r\nwhisper-1\r\n")
    assert SOUND in parts["file"]
    assert "söund.mp3".encode() in parts["file"]
    assert b"audio/mpeg" in parts["file"]
    assert b"\r\n\r\n0.5\r\n" in parts["temperature"]
    assert received.body.count(b'name="timestamp_granularities[]"') == 2
    assert b"kept" in parts["unknown_field"]


@pytest.mark.parametrize(
    ("shape", "kind"), [("srt", "application/x-subrip"), ("text", "text/plain")]
)
async def test_subtitles_come_verbatim(
    gateway: Gateway, upstream: Upstream, shape: Any, kind: str
) -> None:
    told = "1\n00:00 --> 00:01\nHällo\n".encode()
    upstream.scripts["POST /v1/audio/transcriptions"] = [status(200, told, {"content-type": kind})]

    def ask() -> Any:
        create = sdk(gateway).audio.transcriptions.with_raw_response.create
        return create(model="whisper-1", file=("a.mp3", b"x"), response_format=shape)

    answer = await in_thread(ask)

    assert answer.content == told
    assert answer.headers["content-type"] == kind


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_a_form_is_sent_again_when_an_attempt_fails(
    gateway: Gateway, upstream: Upstream
) -> None:
    limited = status(429, {"error": {"message": "slow down"}})
    upstream.scripts["POST /v1/audio/translations"] = [limited, plain({"text": "ok"})]

    answer = await in_thread(
        sdk(gateway).audio.translations.create, model="whisper-1", file=("a.mp3", SOUND)
    )

    assert answer.text == "ok"
    first, second = upstream.requests
    assert SOUND in first.body
    assert SOUND in second.body
    assert first.header("authorization") != second.header("authorization")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_images_are_edited_and_varied(gateway: Gateway, upstream: Upstream) -> None:
    picture = {"created": 1, "data": [{"b64_json": "aGk="}]}
    upstream.scripts["POST /v1/images/edits"] = [plain(picture)]
    upstream.scripts["POST /v1/images/variations"] = [plain(picture)]
    images = sdk(gateway).images

    edited = await in_thread(
        images.edit, model="gpt-image-1", image=[("a.png", b"1"), ("b.png", b"2")], prompt="a hat"
    )
    varied = await in_thread(images.create_variation, model="dall-e-2", image=("a.png", b"1"))

    assert edited.data[0].b64_json == varied.data[0].b64_json == "aGk="
    assert upstream.requests[0].body.count(b'name="image[]"') == 2


@pytest.mark.parametrize(
    ("path", "fields", "files", "text"),
    [
        ("audio/transcriptions", {"model": "m"}, {"other": b"x"}, "file is required"),
        ("audio/transcriptions", {"x": "m"}, {"file": b"x"}, "model is required"),
        ("images/edits", {"model": "m"}, {"image": b"x"}, "prompt cannot be empty"),
        (
            "images/edits",
            {"model": "m", "prompt": "p"},
            {"x": b"x"},
            "at least one image is required",
        ),
        (
            "audio/transcriptions",
            {"model": "m", "stream": "so"},
            {"file": b"x"},
            "invalid stream value",
        ),
    ],
)
async def test_what_a_form_lacks_is_told(
    gateway: Gateway, path: str, fields: dict[str, str], files: dict[str, bytes], text: str
) -> None:
    sent = {name: ("f.bin", content) for name, content in files.items()}
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answer = await client.post(f"/openai/v1/{path}", data=fields, files=sent)
        no_form = await client.post(
            f"/openai/v1/{path}", content=b"x", headers={"content-type": "multipart/form-data"}
        )

    assert (answer.status_code, answer.json()["error"]["message"]) == (400, text)
    assert no_form.json()["error"]["message"] == "failed to parse request"


def by_key(answers: dict[str, dict[str, Any]]) -> Behaviour:
    """Another answer for each key; a 404 for the others."""

    async def behave(conn: trio.SocketStream, received: Received) -> None:
        missing = status(404, {"error": {"message": "no such file", "code": "not_found"}})
        found = answers.get(key_of(received))
        await (missing if found is None else plain(found))(conn, received)

    return behave


async def test_files_go_to_the_key_that_has_them(gateway: Gateway, upstream: Upstream) -> None:
    files = sdk(gateway).files
    upstream.scripts["POST /v1/files"] = [plain(file_object("file-1"))]
    upstream.scripts["GET /v1/files/file-1"] = [plain(file_object("file-1"))]
    content = status(200, SOUND, {"content-type": "application/octet-stream"})
    upstream.scripts["GET /v1/files/file-1/content"] = [content]
    upstream.scripts["DELETE /v1/files/file-1"] = [
        plain({"id": "file-1", "object": "file", "deleted": True})
    ]

    made = await in_thread(files.create, file=("f.jsonl", b"{}\n"), purpose="batch")
    for _ in range(5):
        await in_thread(files.retrieve, "file-1")
    got = await in_thread(lambda: files.content("file-1").read())
    gone = await in_thread(files.delete, "file-1")

    assert (made.id, got, gone.deleted) == ("file-1", SOUND, True)
    assert made.model_extra["extra_fields"]["request_type"] == "file_upload"
    assert len({r.header("authorization") for r in upstream.requests}) == 1
    assert len(upstream.requests) == 8


async def test_an_object_of_an_unknown_key_is_looked_for(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["GET /v1/files/file-9"] = [by_key({CANARIES[1]: file_object("file-9")})]
    upstream.scripts["GET /v1/files/file-none"] = [by_key({})]
    files = sdk(gateway).files

    found = [await in_thread(files.retrieve, "file-9") for _ in range(4)]
    with pytest.raises(openai.NotFoundError):
        await in_thread(files.retrieve, "file-none")

    assert {one.id for one in found} == {"file-9"}
    asked = [r.header("authorization") for r in upstream.requests if "file-9" in r.path]
    assert asked.count(f"Bearer {CANARIES[0]}") <= 1


async def test_the_sdk_pages_through_the_lists_of_all_keys(
    gateway: Gateway, upstream: Upstream
) -> None:
    has = {CANARIES[0]: ["file-a", "file-b", "file-c"], CANARIES[1]: ["file-d", "file-e"]}
    upstream.scripts["GET /v1/files"] = [paged(has)]

    names = await in_thread(lambda: [one.id for one in sdk(gateway).files.list(limit=2)])

    assert names == ["file-a", "file-b", "file-c", "file-d", "file-e"]
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        seen, after = [], ""
        while True:
            page = (await client.get(f"/openai/v1/files?limit=2&after={after}")).json()
            seen += [one["id"] for one in page["data"]]
            if not page["has_more"]:
                break
            after = page["last_id"]
        broken = await client.get("/openai/v1/files?after=eyJ2Ijo5fQ")
    assert seen == names
    assert (broken.status_code, broken.json()["error"]["message"]) == (
        400,
        "invalid pagination cursor",
    )


async def test_batches(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["POST /v1/batches"] = [plain(batch())]
    upstream.scripts["GET /v1/batches/batch_1"] = [plain(batch("completed"))]
    upstream.scripts["POST /v1/batches/batch_1/cancel"] = [plain(batch("cancelling"))]
    batches = sdk(gateway).batches

    made = await in_thread(
        batches.create,
        input_file_id="file-1",
        endpoint="/v1/chat/completions",
        completion_window="24h",
        extra_body={"provider": "openai"},
    )
    seen = await in_thread(batches.retrieve, "batch_1")
    stopped = await in_thread(batches.cancel, "batch_1")

    assert (made.status, seen.status, stopped.status) == ("validating", "completed", "cancelling")
    assert "provider" not in upstream.requests[0].json
    assert len({r.header("authorization") for r in upstream.requests}) == 1


async def test_what_makes_something_is_not_done_twice(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["POST /v1/batches"] = [status(500, {"error": {"message": "oops"}})]
    upstream.scripts["GET /v1/batches/batch_7"] = [status(500, {"error": {"message": "oops"}})]
    batches = sdk(gateway).batches

    with pytest.raises(openai.InternalServerError):
        await in_thread(
            batches.create,
            input_file_id="file-1",
            endpoint="/v1/embeddings",
            completion_window="24h",
        )
    with pytest.raises(openai.InternalServerError):
        await in_thread(batches.retrieve, "batch_7")

    assert [r.method for r in upstream.requests] == ["POST", "GET", "GET"]


async def test_the_rest_of_the_sdk_is_relayed(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["POST /v1/vector_stores"] = [plain(vector_store())]
    upstream.scripts["GET /v1/vector_stores/vs_1"] = [plain(vector_store())]
    client = sdk(gateway)

    made = await in_thread(client.vector_stores.create, name="n")
    seen = await in_thread(client.vector_stores.retrieve, "vs_1")

    assert made.id == seen.id == "vs_1"
    post, get = upstream.requests
    assert post.json == {"name": "n"}
    assert post.header("authorization") == get.header("authorization")
    assert post.header("openai-beta") == "assistants=v2"
    [line] = await gateway.wait_for("request completed", route="/openai/v1/vector_stores/{id}")
    assert line["request_type"] == "passthrough"


async def test_a_relayed_stream_is_relayed_byte_for_byte(
    gateway: Gateway, upstream: Upstream
) -> None:
    events = b'event: thread.run.created\ndata: {"id":"run_1"}\n\nevent: done\ndata: [DONE]\n\n'
    head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    upstream.scripts["POST /v1/threads/thread_1/runs"] = [raw(head + events)]

    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answer = await client.post(
            "/openai/v1/threads/thread_1/runs", json={"assistant_id": "asst_1", "stream": True}
        )

    assert answer.status_code == 200, answer.text
    assert answer.text == events.decode()
    assert answer.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/openai/v1/organization/users", 403),
        ("GET", "/openai/v1/projects", 403),
        ("GET", "/openai/v1/../admin", 400),
        ("GET", "/openai/v1/files/..%2f..%2forganization", 400),
        ("GET", "/openai/v1/vector_stores/%252e%252e/x", 400),
        ("GET", "/openai/v1//evil.example/x", 400),
        ("GET", "/openai/v1/embeddings", 405),
        ("POST", "/openai/V9/what", 404),
    ],
)
async def test_what_is_refused_never_leaves(
    gateway: Gateway, upstream: Upstream, method: str, path: str, code: int
) -> None:
    with trio.fail_after(5):
        conn = await trio.open_tcp_stream("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        async with conn:
            await conn.send_all(
                f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            )
            got = b""
            while data := await conn.receive_some():
                got += data

    assert got.startswith(b"HTTP/1.1 %d " % code), got[:200]
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"application/json" in head
    assert "error" in json.loads(body)
    assert upstream.requests == []


async def test_a_caller_who_leaves_does_not_stop_what_he_made(
    gateway: Gateway, upstream: Upstream
) -> None:
    seen = trio.Event()

    async def slowly(conn: trio.SocketStream, received: Received) -> None:
        seen.set()
        await trio.sleep(1.5)
        await plain(file_object("file-1"))(conn, received)

    upstream.scripts["POST /v1/files"] = [slowly]
    upstream.scripts["GET /v1/files/file-2"] = [hang()]

    async with httpx.AsyncClient(base_url=gateway.url) as client:
        with trio.move_on_after(10) as scope:
            async with trio.open_nursery() as nursery:

                async def upload() -> None:
                    form = {"purpose": "batch"}
                    await client.post("/openai/v1/files", data=form, files={"file": ("f", b"x")})

                nursery.start_soon(upload)
                await seen.wait()
                nursery.cancel_scope.cancel()
    assert not scope.cancelled_caught
    [line] = await gateway.wait_for("request completed", request_type="file_upload")
    assert line["status"] == 200


async def test_files_and_batches_natively_name_their_provider(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["GET /v1/files/file-1"] = [plain(file_object("file-1"))]
    upstream.scripts["POST /v1/batches"] = [plain({"id": "batch_1", "object": "batch"})]

    async with httpx.AsyncClient(base_url=gateway.url) as client:
        named = await client.get("/v1/files/file-1?provider=openai")
        unnamed = await client.get("/v1/files/file-1")
        made = await client.post("/v1/batches", json={"model": "openai/", "input_file_id": "f"})
        other = await client.get("/v1/filesystem?provider=openai")

    assert named.json()["id"] == "file-1"
    assert (unnamed.status_code, unnamed.json()["error"]["message"]) == (
        400,
        "provider query parameter is required",
    )
    assert made.json()["id"] == "batch_1"
    assert other.status_code == 404
    [line] = await gateway.wait_for("request completed", route="/v1/files/{id}", status=200)
    assert line["provider"] == "openai"


async def test_a_response_goes_on_with_the_key_that_has_the_one_before(
    gateway: Gateway, upstream: Upstream
) -> None:
    answers = [{"id": f"resp_{n}", "object": "response", "output": []} for n in range(1, 9)]
    upstream.scripts["m"] = [plain(answer) for answer in answers]
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        before = None
        for _ in answers:
            asked = {"model": "m", "input": "x", "previous_response_id": before}
            before = (await client.post("/openai/v1/responses", json=asked)).json()["id"]

    assert before == "resp_8"
    assert len({r.header("authorization") for r in upstream.requests}) == 1


async def test_a_file_is_no_stream_whatever_is_said(gateway: Gateway, upstream: Upstream) -> None:
    """It was uploaded, and a failure told instead of its id would have the caller upload it again."""
    upstream.scripts["POST /v1/files"] = [plain(file_object("file-1"))]
    path = f"{gateway.url}/openai/v1/files"
    files = {"file": ("a", b"x")}

    async with httpx.AsyncClient() as client:
        by_field = await client.post(path, data={"stream": "true"}, files=files)
        by_query = await client.post(f"{path}?stream=true", files=files)
        by_header = await client.post(path, files=files, headers={"accept": "text/event-stream"})

    assert [answer.json()["id"] for answer in (by_field, by_query, by_header)] == ["file-1"] * 3
