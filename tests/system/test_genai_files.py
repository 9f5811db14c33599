"""Files by Google's own SDK, through the gateway to an upstream where each key has an account of its own."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from system.batch_upstreams import GeminiBatches
from system.gemini_upstream import answer, strict
from system.process import Gateway, running
from system.sdk import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import trio

pytestmark = pytest.mark.system

KEYS = tuple(f"gemini-canary-{n * 20}" for n in "abc")
MIB = 1024 * 1024


@pytest.fixture
async def gemini(nursery: trio.Nursery) -> GeminiBatches:
    it = GeminiBatches()
    await nursery.start(it.run)
    return it


def config(url: str, **client: Any) -> dict[str, Any]:
    """Three keys, so that a request without its key would hardly ever be lucky."""
    network = {"base_url": url, "max_retries": 0, "default_request_timeout_in_seconds": 5}
    keys = [{"name": value[-1], "value": value} for value in KEYS]
    providers = {"gemini": {"keys": keys, "network_config": network}, "mock": {}}
    return {"providers": providers, "client": client}


@pytest.fixture
async def gateway(gemini: GeminiBatches, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(config(gemini.url), tmp_path) as it:
        yield it
    assert "canary" not in it.text


@pytest.fixture
def client(gateway: Gateway) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=f"{gateway.url}/genai")
    with genai.Client(api_key="unused", http_options=options) as it:
        yield it


async def test_a_file_from_its_upload_to_its_end(
    client: genai.Client, gemini: GeminiBatches
) -> None:
    content = bytes(range(256)) * (4 * 1024 * 17)

    def upload() -> types.File:
        asking = types.UploadFileConfig(mime_type="application/pdf", display_name="Grüße")
        return client.files.upload(file=io.BytesIO(content), config=asking)

    file = await in_thread(upload)

    assert file.display_name == "Grüße"
    assert file.size_bytes == len(content) > 2 * 8 * MIB
    # The beginning and three parts, all with one key.
    uploads = [r for r in gemini.requests if r.path.startswith("/upload/")]
    assert len(uploads) == 4
    assert len({r.header("x-goog-api-key") for r in uploads}) == 1
    assert file.name
    [kept] = [a[file.name]["_content"] for a in gemini.accounts.values() if file.name in a]
    assert kept == content

    for _ in range(8):
        assert (await in_thread(client.files.get, name=file.name)).name == file.name
    gets = [r for r in gemini.requests if r.method == "GET"]
    assert {r.header("x-goog-api-key") for r in gets} == {uploads[0].header("x-goog-api-key")}
    await in_thread(client.files.delete, name=file.name)
    with pytest.raises(errors.ClientError, match="PERMISSION_DENIED"):
        await in_thread(client.files.get, name=file.name)


async def test_a_request_that_names_a_file_goes_to_its_key(
    client: genai.Client, gemini: GeminiBatches
) -> None:
    asking = types.UploadFileConfig(mime_type="text/plain")
    file = await in_thread(client.files.upload, file=io.BytesIO(b"words"), config=asking)
    path = "/v1beta/models/gemini-2.5-flash:generateContent"
    gemini.extra[path] = strict(answer({"text": "read"}))

    for _ in range(6):
        told = await in_thread(
            client.models.generate_content, model="gemini-2.5-flash", contents=["Sum up", file]
        )
        assert told.text == "read"

    [owner] = [key for key, account in gemini.accounts.items() if file.name in account]
    asked = [r for r in gemini.requests if r.path == path]
    assert {r.header("x-goog-api-key") for r in asked} == {owner}


async def test_a_file_that_nobody_has_heard_of_is_looked_for_with_every_key(
    client: genai.Client, gateway: Gateway, gemini: GeminiBatches
) -> None:
    account = gemini.accounts[KEYS[2]]
    kept = gemini._kept(account, {"mimeType": "video/mp4", "source": "GENERATED"}, b'{"a": 1}')

    told = await in_thread(client.files.get, name=kept["name"])

    assert told.source == types.FileSource.GENERATED
    content = await in_thread(client.files.download, file=kept["name"])
    assert json.loads(content) == {"a": 1}
    answered = await in_thread(httpx.get, f"{gateway.url}/genai/v1beta/files/nobodys")
    assert answered.status_code == 403
    assert answered.json()["error"]["status"] == "PERMISSION_DENIED"


async def test_the_list_is_of_all_keys(client: genai.Client, gemini: GeminiBatches) -> None:
    names = []
    for key, count in zip(KEYS, (3, 0, 2), strict=True):
        for _ in range(count):
            kept = gemini._kept(gemini.accounts[key], {"mimeType": "text/plain"}, b"x")
            names.append(kept["name"])

    def listed() -> list[str | None]:
        return [file.name for file in client.files.list(config={"page_size": 2})]

    assert await in_thread(listed) == names
    # From now on each is known.
    seen = len(gemini.requests)
    await in_thread(client.files.get, name=names[-1])
    assert len(gemini.requests) == seen + 1


async def test_an_upload_goes_on_by_its_token_alone(gemini: GeminiBatches, tmp_path: Path) -> None:
    """Google's SDK sends no key with the parts; the caller's own key is remembered with the upload."""
    lines = {
        "x-goog-api-key": "AIza-callers-own-canary",
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": "4",
        "x-goog-upload-header-content-type": "text/plain",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "gateway.example:8443",
    }
    command = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
    async with running(config(gemini.url, allow_direct_keys=True), tmp_path) as gateway:
        start = f"{gateway.url}/genai/upload/v1beta/files"
        begun = await in_thread(httpx.post, start, headers=lines, json={})
        url = httpx.URL(begun.headers["x-goog-upload-url"])
        here = f"{gateway.url}{url.raw_path.decode()}"
        ended = await in_thread(httpx.post, here, headers=command, content=b"text")

    assert (url.scheme, url.host, url.port) == ("https", "gateway.example", 8443)
    assert url.path == "/genai/upload/v1beta/files"
    assert ended.status_code == 200, ended.text
    assert ended.headers["x-goog-upload-status"] == "final"
    for told in (str(begun.headers), str(ended.headers), gateway.text):
        assert "canary" not in told
        assert "upstream-upload" not in told
    assert list(gemini.accounts) == ["AIza-callers-own-canary"]


@pytest.mark.parametrize("path", ["?upload_id=nobodys", "?upload_id=upstream-upload-1"])
async def test_an_upload_that_nobody_has_begun(gateway: Gateway, path: str) -> None:
    told = await in_thread(
        httpx.post, f"{gateway.url}/genai/upload/v1beta/files{path}", content=b"x"
    )

    assert told.status_code == 404
    assert told.json()["error"]["status"] == "NOT_FOUND"
    # So that Google's SDK does not try again for a minute.
    assert told.headers["x-goog-upload-status"] == "cancelled"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "v1beta/files/x", 405),
        ("GET", "upload/v1beta/files", 405),
        ("GET", "v1beta/files/x:copy", 404),
        ("POST", "v1beta/files:register", 404),
        ("GET", "v1beta/files/a/b", 404),
    ],
)
async def test_what_is_no_route(gateway: Gateway, method: str, path: str, status: int) -> None:
    told = await in_thread(httpx.request, method, f"{gateway.url}/genai/{path}")

    assert told.status_code == status
    assert told.json()["error"]["code"] == status


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"x-model-provider": "mock"}, "not supported by mock provider"),
        ({"x-model-provider": "nobody"}, "there is no provider"),
        ({"x-bf-async": "true"}, "async"),
    ],
)
async def test_what_is_refused(gateway: Gateway, headers: dict[str, str], text: str) -> None:
    told = await in_thread(httpx.get, f"{gateway.url}/genai/v1beta/files", headers=headers)

    assert told.status_code == 400
    assert text in told.json()["error"]["message"]


async def test_a_page_token_that_is_none(gateway: Gateway) -> None:
    told: Any = await in_thread(httpx.get, f"{gateway.url}/genai/v1beta/files?pageToken=eyJ2IjoyfQ")

    assert told.status_code == 400
    assert "cursor" in told.json()["error"]["message"]
