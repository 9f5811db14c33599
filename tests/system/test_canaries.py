"""Secrets everywhere, every route asked, and an upstream that repeats what it was sent: nothing of them comes out anywhere."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from system.process import running

if TYPE_CHECKING:
    from pathlib import Path

    import trio

    from system.upstream import Received, Upstream

pytestmark = pytest.mark.system

KEY = "sk-canary-provider-0123456789abcdef"
OTHER_KEY = "sk-canary-rotated-0123456789abcdef"
HEADER = "canary-extra-header-0123456789"
VIRTUAL = "sk-bf-canary-virtual-0123456789"
PASSWORD = "canary-password-0123456789"
SEALING = "canary-encryption-key-0123456789"
CANARIES = (KEY, OTHER_KEY, HEADER, VIRTUAL, PASSWORD, SEALING)

CONFIG: dict[str, Any] = {
    "encryption_key": SEALING,
    "client": {
        "allow_direct_keys": True,
        "logging_headers": ["authorization", "x-bf-vk", "cookie"],
    },
    "governance": {
        "auth_config": {"admin_username": "root", "admin_password": PASSWORD, "is_enabled": True},
        "virtual_keys": [
            {
                "id": "vk",
                "name": "vk",
                "value": VIRTUAL,
                "provider_configs": [
                    {"provider": "openai", "allowed_models": ["*"], "key_ids": ["*"]}
                ],
            }
        ],
    },
}

ASK: dict[str, Any] = {
    "model": "openai/m",
    "messages": [{"role": "user", "content": "hi"}],
    "input": "hi",
    "prompt": "hi",
    "max_tokens": 5,
}


async def telltale(conn: trio.SocketStream, received: Received) -> None:
    """A refusal with all that came, as a message and as what an error object has besides."""
    # A configured header is what the operator has every upstream of that name see.
    headers = (f"{name}: {value}" for name, value in received.headers if name != "x-extra")
    said = " ".join(headers)
    body = json.dumps({"error": {"message": said, "type": said, "code": said, "param": said}})
    head = (
        f"HTTP/1.1 401 X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    await conn.send_all((head + body).encode())


def filled(template: str, method: str) -> str:
    """A path of somebody who is there, but for what would take him away."""
    provider = "nobody" if method in {"DELETE", "PUT"} else "openai"
    return re.sub(r"\{\w+\}", "x", template.replace("{provider}", provider))


def files(folder: Path) -> bytes:
    """The databases, with what is not in their main files yet."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.db*")))


async def everything(url: str, folder: Path) -> str:
    """What is told by every route that is described, by metrics, and about the house."""
    basic = base64.b64encode(f"root:{PASSWORD}".encode()).decode()
    headers = {"authorization": f"Basic {basic}", "x-bf-vk": VIRTUAL}
    texts: list[str] = []
    async with httpx.AsyncClient(base_url=url, timeout=60, headers=headers) as client:
        told = (await client.get("/openapi.json")).json()
        (key,) = (await client.get("/api/providers/openai/keys")).json()["keys"]
        for template, item in told["paths"].items():
            for method in sorted(item.keys() & {"get", "post", "put", "delete"}):
                path = filled(template, method.upper())
                body = None if method in {"get", "delete"} else ASK
                answer = await client.request(method.upper(), path, json=body)
                texts.append(f"{path} {answer.text} {answer.headers}")
        at = f"/api/providers/openai/keys/{key['id']}"
        for method, path, change in (
            ("PUT", at, {"value": OTHER_KEY}),
            ("GET", at, None),
            ("POST", "/api/providers/openai/keys", {"name": "n", "value": OTHER_KEY, "x": 1}),
            (
                "PUT",
                "/api/config",
                {"auth_config": {"admin_password": {"value": PASSWORD, "x": 1}}},
            ),
            ("GET", "/api/config", None),
            ("GET", "/api/models?provider=openai&unfiltered=true", None),
            ("GET", "/api/providers/openai", None),
            ("POST", "/v1/chat/completions", ASK),
            ("GET", "/metrics", None),
        ):
            answer = await client.request(method, path, json=change)
            texts.append(f"{path} {answer.text} {answer.headers}")
        login = {"username": "root", "password": PASSWORD}
        begun = await client.post("/api/session/login", json=login)
        token = begun.headers["set-cookie"].partition("=")[2].partition(";")[0]
    kept = files(folder)
    assert token.encode() not in kept
    return "\n".join([*texts, kept.decode("latin-1")])


async def test_no_secret_comes_out(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts["*"] = [telltale]
    provider = {
        "keys": [{"name": "one", "value": KEY}],
        "network_config": {
            "base_url": upstream.url,
            "max_retries": 0,
            "extra_headers": {"x-extra": HEADER},
        },
        "failure_threshold": 1_000_000,
    }
    config = {**CONFIG, "providers": {"openai": provider, "mock": {}}}
    async with running(config, tmp_path, "--log-level", "debug") as gateway:
        told = await everything(gateway.url, tmp_path)
    told += gateway.text
    assert any(KEY in str(each.headers) for each in upstream.requests)
    assert any(OTHER_KEY in str(each.headers) for each in upstream.requests)
    for canary in CANARIES:
        at = told.find(canary)
        assert at < 0, told[max(0, at - 400) : at + 100]
