"""The real OpenAI SDK for Node against a running gateway."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from system.upstream import Upstream, status, stream, stream_chunks

if TYPE_CHECKING:
    from system.process import Gateway

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


async def drive(node: str, gateway: Gateway) -> dict[str, Any]:
    with trio.fail_after(60):
        done = await trio.run_process(
            [node, str(FOLDER / "drive.mjs"), gateway.url + "/openai"],
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
