"""Hugging Face's router and hub, asked by OpenAI's own client through a running gateway."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import openai
import pytest

from system.process import Gateway, running
from system.sdk import in_thread, sdk
from system.upstream import Upstream, plain, raw, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system

KEY = "hf-canary-aaaaaaaaaaaaaaaaaaaaaaaa"
HUB = "GET /api/models/org/m"


@pytest.fixture
async def gateway(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    """Router and hub are the scripted upstream."""
    network = {"base_url": upstream.url, "max_retries": 0}
    section = {"keys": [{"name": "h", "value": KEY}], "network_config": network}
    async with running({"providers": {"huggingface": section}}, tmp_path) as it:
        yield it
    assert "canary" not in it.text


def mapped(by: str, name: str, task: str) -> Any:
    told = {by: {"providerId": name, "task": task, "status": "live"}}
    return plain({"id": "org/m", "inferenceProviderMapping": told})


async def test_embeddings_of_its_own_servers(gateway: Gateway, upstream: Upstream) -> None:
    path = "POST /hf-inference/models/org/m/pipeline/feature-extraction"
    upstream.scripts[path] = [status(200, b"[[0.5, 1.0], [2.0, 3.0]]")]

    answer = await in_thread(
        sdk(gateway).embeddings.create, model="huggingface/hf-inference/org/m", input=["a", "b"]
    )

    # The SDK asks for base64, which the gateway makes.
    assert [item.embedding for item in answer.data] == [[0.5, 1.0], [2.0, 3.0]]
    assert upstream.requests[0].json == {"inputs": ["a", "b"]}
    assert upstream.requests[0].header("authorization") == f"Bearer {KEY}"


async def test_the_hub_is_asked_what_others_call_it(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts[HUB] = [mapped("nebius", "own/x", "text-to-image")]
    path = "POST /nebius/v1/images/generations"
    upstream.scripts[path] = [plain({"created": 1, "data": [{"b64_json": "aGk="}]})]
    generate = sdk(gateway).images.generate

    answer = await in_thread(generate, model="huggingface/nebius/org/m", prompt="p")
    with pytest.raises(openai.BadRequestError) as caught:
        await in_thread(generate, model="huggingface/fal-ai/org/m", prompt="p")

    assert answer.data[0].b64_json == "aGk="
    assert [(r.method, r.path.partition("?")[0]) for r in upstream.requests[:2]] == [
        ("GET", "/api/models/org/m"),
        ("POST", "/nebius/v1/images/generations"),
    ]
    assert upstream.requests[1].json["model"] == "own/x"
    assert caught.value.code == "unsupported_operation"


async def test_a_model_that_the_hub_has_not(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts[HUB] = [status(404, {"error": "Repository not found"})]

    with pytest.raises(openai.NotFoundError, match="Repository not found"):
        await in_thread(sdk(gateway).images.generate, model="huggingface/fal-ai/org/m", prompt="p")


async def test_sound_both_ways(gateway: Gateway, upstream: Upstream) -> None:
    data = bytes(range(256)) * 20
    path = "POST /hf-inference/models/org/m"
    head = b"HTTP/1.1 200 X\r\ncontent-type: audio/flac\r\ncontent-length: %d\r\n\r\n"
    upstream.scripts[path] = [raw(head % len(data) + data, close=False), plain({"text": "Hi"})]
    audio = sdk(gateway).audio
    model = "huggingface/hf-inference/org/m"

    spoken = await in_thread(audio.speech.create, model=model, input="hi", voice="x")
    written = await in_thread(
        audio.transcriptions.create,
        model=model,
        file=("a.flac", io.BytesIO(data), "audio/flac"),
    )

    assert spoken.content == data
    assert spoken.response.headers["content-type"] == "audio/flac"
    assert written.text == "Hi"
    assert upstream.requests[1].body == data
    assert upstream.requests[1].header("content-type") == "audio/flac"


async def test_a_picture_changed(gateway: Gateway, upstream: Upstream) -> None:
    head = b"HTTP/1.1 200 X\r\ncontent-type: image/png\r\ncontent-length: 4\r\n\r\n"
    upstream.scripts["POST /hf-inference/models/org/m"] = [raw(head + b"\x89PNG", close=False)]

    answer = await in_thread(
        sdk(gateway).images.edit,
        model="huggingface/hf-inference/org/m",
        image=("a.png", io.BytesIO(b"hi"), "image/png"),
        prompt="p",
    )

    assert answer.data[0].b64_json == "iVBORw=="
    assert upstream.requests[0].json == {"inputs": "aGk=", "parameters": {"prompt": "p"}}
