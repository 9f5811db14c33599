"""OpenAI's own client against a gateway before Vertex: a plain key, and a service account that logs in first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from system.gemini_upstream import answer, strict, strict_stream
from system.process import Gateway, running
from system.sdk import OPENED, in_thread
from system.upstream import Upstream, plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system

KEY = "AIza-canary-bbbbbbbbbbbbbbbbbbbbbbbbbb"
TOKEN = "ya29.canary-cccccccccccccccccccccccc"
HI: list[Any] = [{"role": "user", "content": "Say hello"}]
GOOGLES = "/v1/projects/my-project/locations/us-central1/publishers/google/models"


def robot(url: str) -> str:
    """The credentials of a service account whose tokens are given out at ``url``."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "robot@my-project.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": pem,
            "token_uri": f"{url}/token",
        }
    )


@pytest.fixture(params=["key", "token"])
async def gateway(
    upstream: Upstream, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Gateway]:
    own: dict[str, Any] = {"project_id": "my-project", "region": "us-central1"}
    key: dict[str, Any] = {"name": "one", "models": ["*"], "vertex_key_config": own}
    if request.param == "key":
        key["value"] = KEY
    else:
        own["auth_credentials"] = robot(upstream.url)
        token = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        upstream.scripts["POST /token"] = [plain(token)]
    vertex = {"keys": [key], "network_config": {"base_url": upstream.url, "max_retries": 0}}
    async with running({"providers": {"vertex": vertex}}, tmp_path) as it:
        yield it
    assert "canary" not in it.text


def sdk(gateway: Gateway) -> openai.OpenAI:
    client = openai.OpenAI(base_url=f"{gateway.url}/openai/v1", api_key="unused", max_retries=0)
    OPENED.append(client)
    return client


def proved(upstream: Upstream) -> str:
    """The path of the last request, whose credential is checked and taken off."""
    received = upstream.requests[-1]
    path, _, query = received.path.partition("?")
    pairs = [pair for pair in query.split("&") if pair and not pair.startswith("key=")]
    if any(request.path == "/token" for request in upstream.requests):
        assert received.header("authorization") == f"Bearer {TOKEN}"
        assert "key=" not in query
    else:
        assert f"key={KEY}" in query
        assert received.header("authorization") is None
    return "?".join([path, *(["&".join(pairs)] if pairs else [])])


async def test_gemini(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts[f"POST {GOOGLES}/gemini-2.5-flash:generateContent"] = [
        strict(answer({"text": "Hello"}))
    ]

    told = await in_thread(
        sdk(gateway).chat.completions.create, model="vertex/gemini-2.5-flash", messages=HI
    )

    assert told.choices[0].message.content == "Hello"
    assert proved(upstream) == f"{GOOGLES}/gemini-2.5-flash:generateContent"


async def test_gemini_streamed(gateway: Gateway, upstream: Upstream) -> None:
    events = [answer({"text": "Hel"}, reason=None), answer({"text": "lo"})]
    upstream.scripts[f"POST {GOOGLES}/gemini-3-pro:streamGenerateContent"] = [strict_stream(events)]
    create = sdk(gateway).chat.completions.create

    def ask() -> list[Any]:
        return list(create(model="vertex/gemini-3-pro", messages=HI, stream=True))

    chunks = await in_thread(ask)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert proved(upstream).endswith(":streamGenerateContent?alt=sse")


async def test_an_open_model(gateway: Gateway, upstream: Upstream) -> None:
    told = await in_thread(
        sdk(gateway).chat.completions.create, model="vertex/meta/llama-maas", messages=HI
    )

    assert told.choices[0].message.content == "Hello"
    assert proved(upstream).endswith("/endpoints/openapi/chat/completions")
    assert upstream.requests[-1].json["model"] == "meta/llama-maas"


async def test_claude(gateway: Gateway, upstream: Upstream) -> None:
    claudes = GOOGLES.replace("google", "anthropic")
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    upstream.scripts[f"POST {claudes}/claude-x:rawPredict"] = [plain(message)]

    told = await in_thread(
        sdk(gateway).chat.completions.create, model="vertex/claude-x", messages=HI
    )

    assert told.choices[0].message.content == "Hello"
    assert told.usage.total_tokens == 5
    assert proved(upstream) == f"{claudes}/claude-x:rawPredict"
    assert upstream.requests[-1].json["anthropic_version"] == "vertex-2023-10-16"


async def test_embeddings(gateway: Gateway, upstream: Upstream) -> None:
    one = {"embeddings": {"values": [0.5, 0.25], "statistics": {"token_count": 2}}}
    upstream.scripts[f"POST {GOOGLES}/text-embedding-005:predict"] = [plain({"predictions": [one]})]

    told = await in_thread(
        sdk(gateway).embeddings.create, model="vertex/text-embedding-005", input="a"
    )

    assert told.data[0].embedding == [0.5, 0.25]
    assert told.usage.total_tokens == 2
    assert proved(upstream) == f"{GOOGLES}/text-embedding-005:predict"
