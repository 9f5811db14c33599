"""A filter of one's own in a running gateway: by the file, by the API, and when it is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from system.process import Gateway, running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

FILTER = """
import attrs

class Fixed:
    def __init__(self, config):
        self.word = config.get("word", "")

    def around(self, inner):
        def fixed(call):
            if "raise" in call.target.model:
                raise RuntimeError("a secret word")
            target = attrs.evolve(call.target, model=f"fixed?text={self.word}")
            return inner(attrs.evolve(call, target=target))
        return fixed

plugin = Fixed
"""
ASK: dict[str, Any] = {"model": "mock/echo", "messages": [{"role": "user", "content": "hi"}]}
AUTH = ("admin", "hunter2-hunter2")


def config(*plugins: dict[str, Any], login: bool = False) -> dict[str, Any]:
    auth = {"admin_username": AUTH[0], "admin_password": AUTH[1], "is_enabled": login}
    auth |= {"disable_auth_on_inference": True}
    return {
        "providers": {"mock": {}},
        "plugins": list(plugins),
        "governance": {"auth_config": auth} if login else {},
    }


def client_of(gateway: Gateway) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=gateway.url, timeout=30)


async def test_a_plugin_by_the_file_and_by_the_api(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILTER)
    mine = {"name": "mine", "enabled": True, "path": "mine.py", "config": {"word": "one"}}
    broken = {"name": "broken", "enabled": True, "path": "nowhere.py"}
    async with running(config(mine, broken, login=True), tmp_path) as gateway:

        async def said() -> str:
            answer = await gateway.post(ASK)
            return str(answer.json()["choices"][0]["message"]["content"])

        words = [await said()]
        listed = (await gateway.get("/api/plugins", auth=AUTH)).json()
        async with client_of(gateway) as client:
            changed = await client.put(
                "/api/plugins/mine", json={"config": {"word": "two"}}, auth=AUTH
            )
            words.append(await said())
            failed = await gateway.post({**ASK, "model": "mock/raise"})
            await client.put("/api/plugins/mine", json={"enabled": False}, auth=AUTH)
            words.append(await said())
            gone = await client.delete("/api/plugins/broken", auth=AUTH)
            unknown = await client.get("/api/plugins/broken", auth=AUTH)

    assert words == ["one", "two", "hi"]
    states = {each["name"]: each["status"] for each in listed["plugins"]}
    assert states["mine"]["status"] == "active"
    assert states["mine"]["types"] == ["exchange"]
    assert (states["broken"]["status"], states["broken"]["logs"]) == (
        "error",
        ["there is no such file"],
    )
    assert changed.json()["plugin"]["status"]["status"] == "active"
    assert (failed.status_code, failed.json()["error"]["message"]) == (500, "internal error")
    assert (gone.status_code, unknown.status_code) == (200, 404)
    assert "a secret word" not in gateway.text


async def test_without_a_login_the_api_takes_no_path(tmp_path: Path) -> None:
    async with running(config(), tmp_path) as gateway, client_of(gateway) as client:
        by_path = await client.post("/api/plugins", json={"name": "x", "path": "x.py"})
        by_name = await client.post("/api/plugins", json={"name": "x"})
        again = await client.post("/api/plugins", json={"name": "x"})
        wrong = await client.post("/api/plugins", json={"name": "y", "placement": "nowhere"})

    assert by_path.status_code == 403
    assert (by_name.status_code, by_name.json()["plugin"]["status"]["status"]) == (201, "error")
    assert again.status_code == 409
    assert wrong.status_code == 400
    assert "placement" in wrong.json()["error"]["message"]
