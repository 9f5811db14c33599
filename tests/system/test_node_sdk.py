"""The real OpenAI SDK for Node against a running gateway."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from system.answers import (
    batch,
    completion,
    embedding,
    file_object,
    named,
    paged,
    picture_events,
    pictures,
    response,
    response_events,
    transcript_events,
    vector_store,
)
from system.conftest import CANARIES
from system.upstream import Upstream, plain, status, stream, stream_chunks

if TYPE_CHECKING:
    from system.process import Gateway
    from system.upstream import Behaviour

pytestmark = [pytest.mark.system, pytest.mark.node]

FOLDER = Path(__file__).parent / "node"
INSTALL_S = 180


@pytest.fixture(scope="module")
def node() -> str:
    """The system's Node, with the SDK installed beside the script."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no Node.js on this machine: the Node SDK cannot be driven")
    if not (FOLDER / "node_modules" / "openai").exists():
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=INSTALL_S)
    return node


async def drive(node: str, gateway: Gateway, script: str = "drive") -> dict[str, Any]:
    with trio.fail_after(60):
        done = await trio.run_process(
            [node, str(FOLDER / f"{script}.mjs"), gateway.url + "/openai"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_the_node_sdk(node: str, gateway: Gateway, upstream: Upstream) -> None:
    limited = status(429, {"error": {"message": "slow", "code": "rate_limit_exceeded"}})
    upstream.scripts |= {
        "streamed": [stream()],
        "limited": [limited],
        "broken": [stream(stream_chunks()[:2], done=False, end=False)],
        "endless": [stream(stream_chunks() * 500, pause_s=0.05)],
        "/v1/models": [status(200, {"object": "list", "data": [{"id": "gpt-4o"}]})],
    }

    found = await drive(node, gateway)

    assert found["plain"] == {"text": "Hello", "provider": "openai"}
    assert found["stream"] == {"text": "Hello", "total": 10}
    assert found["accumulated"] == "Hello"
    assert found["limited"]["name"] == found["limitedStream"]["name"] == "RateLimitError"
    assert found["broken"]["name"] == "APIError"
    assert found["missing"] == {"name": "BadRequestError", "status": 400, "code": None}
    assert "openai/gpt-4o" in found["models"]
    lines = await gateway.wait_for("request completed", model="endless")
    assert [line["status"] for line in lines] == [499]


SOUND = b"\x00\x01\xff"
LIMITED = status(429, {"error": {"message": "slow", "code": "rate_limit_exceeded"}})
HAS = {CANARIES[0]: ["file-a", "file-b", "file-c"], CANARIES[1]: ["file-d", "file-e"]}
KINDS = [event["type"] for event in response_events()]


def operations() -> dict[str, list[Any]]:
    """What the upstream has to say to ``operations.mjs``."""
    written = [{**completion(text, None), "usage": None} for text in ("Hel", "lo")]
    return {
        "plain": [plain(response())],
        "streamed": [named(response_events())],
        "chat-only": [stream()],
        "broken": [named(response_events()[:4])],
        "limited": [LIMITED],
        "endless": [named_for_ever()],
        "counted": [plain({"object": "response.input_tokens", "input_tokens": 11})],
        "completed": [plain(completion())],
        "written": [stream([*written, completion("")])],
        "embedded": [plain(embedding("AACAPwAAAEA="))],
        "omni-moderation-latest": [plain({"id": "modr-1", "model": "m", "results": []})],
        "drawn": [plain(pictures())],
        "drawing": [named(picture_events())],
        "POST /v1/images/edits": [plain(pictures()), named(picture_events("image_edit"))],
        "spoken": [status(200, SOUND, {"content-type": "audio/mpeg"})],
        "POST /v1/audio/transcriptions": [plain({"text": "Hello"}), stream(transcript_events())],
        "POST /v1/audio/translations": [plain({"text": "Hello"})],
        "POST /v1/files": [plain(file_object("file-1"))],
        "GET /v1/files/file-1": [plain(file_object("file-1"))],
        "GET /v1/files/file-1/content": [
            status(200, SOUND, {"content-type": "application/octet-stream"})
        ],
        "DELETE /v1/files/file-1": [plain({"id": "file-1", "object": "file", "deleted": True})],
        "GET /v1/files/file-none": [status(404, {"error": {"message": "no", "code": "none"}})],
        "GET /v1/files": [paged(HAS)],
        "POST /v1/batches": [plain(batch())],
        "GET /v1/batches/batch_1": [plain(batch("completed"))],
        "POST /v1/batches/batch_1/cancel": [plain(batch("cancelling"))],
        "POST /v1/vector_stores": [plain(vector_store())],
        "GET /v1/vector_stores/vs_1": [plain(vector_store())],
    }


def named_for_ever() -> Behaviour:
    """A response that never comes to its end."""
    begun, *_ = response_events()
    return stream([begun] * 1000, pause_s=0.05)


async def test_every_operation_of_the_node_sdk(
    node: str, gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts |= operations()

    found = await drive(node, gateway, "operations")

    text = {"text": "Hello", "total": 7, "type": "responses"}
    assert found.pop("response") == text
    assert found.pop("responseStream") == KINDS
    helped = {"written": "Hello", "text": "Hello", "status": "completed"}
    assert found.pop("responseHelper") == helped
    assert found.pop("bridged") == "Hello"
    assert found.pop("inputTokens") == 11
    assert found.pop("completion") == found.pop("completionStream") == "Hello"
    assert found.pop("embedding") == [1, 2]
    assert found.pop("moderation") == "modr-1"
    assert found.pop("image") == found.pop("edit") == "aGk="
    assert found.pop("imageStream") == [event["type"] for event in picture_events()]
    assert found.pop("editStream") == [event["type"] for event in picture_events("image_edit")]
    assert found.pop("speech") == SOUND.hex()
    assert found.pop("transcription") == found.pop("translation") == "Hello"
    assert found.pop("transcriptionStream") == [event["type"] for event in transcript_events()]
    kept = {"id": "file-1", "again": "file-1", "content": SOUND.hex(), "deleted": True}
    assert found.pop("file") == kept
    assert found.pop("files") == [name for names in HAS.values() for name in names]
    assert found.pop("batch") == ["validating", "completed", "cancelling"]
    assert found.pop("vectorStore") == "vs_1"
    assert found == {
        "responseBroken": {"name": "APIError", "status": None, "code": None},
        "responseError": {"name": "RateLimitError", "status": 429, "code": "rate_limit_exceeded"},
        "missing": {"name": "BadRequestError", "status": 400, "code": None},
        "unsupported": {"name": "BadRequestError", "status": 400, "code": "unsupported_operation"},
        "noFile": {"name": "NotFoundError", "status": 404, "code": "none"},
        "limited": {"name": "RateLimitError", "status": 429, "code": "rate_limit_exceeded"},
    }
    lines = await gateway.wait_for("request completed", model="endless")
    assert [line["status"] for line in lines] == [499]
