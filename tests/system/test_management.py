"""The management API of a gateway in a process of its own: what is changed holds at once, after a restart too, and hurts no call."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio

from system.process import Gateway, openai_provider, running
from system.upstream import plain

if TYPE_CHECKING:
    from pathlib import Path

    from system.upstream import Received, Upstream

pytestmark = pytest.mark.system

PASSWORD = "correct horse"


def config(upstream: Upstream, *keys: str, **more: Any) -> dict[str, Any]:
    return {"providers": {"openai": openai_provider(upstream.url, *keys)}, **more}


async def send(
    gateway: Gateway, method: str, path: str, body: Any = None, **headers: str
) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
        return await client.request(method, f"/api{path}", json=body, headers=names)


async def test_a_provider_from_its_making_to_its_end(upstream: Upstream, tmp_path: Path) -> None:
    async with running(config(upstream), tmp_path) as gateway:
        made = await send(
            gateway,
            "POST",
            "/providers",
            {"provider": "Groq", "network_config": {"base_url": upstream.url}},
        )
        assert made.status_code == 200, made.text
        told = made.json()
        assert (told["name"], told["provider_status"], told["status"]) == (
            "groq",
            "active",
            "unknown",
        )
        assert told["network_config"]["base_url"] == upstream.url
        assert told["network_config"]["max_retries"] == 2
        assert "keys" not in told
        again = await send(gateway, "POST", "/providers", {"provider": "groq"})
        assert again.status_code == 409

        key = await send(
            gateway, "POST", "/providers/groq/keys", {"name": "g", "value": "gsk-0123456789abcdef"}
        )
        assert key.status_code == 200, key.text
        assert key.json()["value"] == {
            "value": f"gsk-{'*' * 24}cdef",
            "env_var": "",
            "from_env": False,
        }
        ask = {"model": "groq/m", "messages": [{"role": "user", "content": "hi"}]}
        assert (await gateway.post(ask)).status_code == 200
        listed = (await send(gateway, "GET", "/providers")).json()
        assert [each["name"] for each in listed["providers"]] == ["groq", "openai"]
        assert listed["total"] == 2
        gone = await send(gateway, "DELETE", "/providers/groq")
        assert gone.json()["provider_status"] == "deleted"
        assert (await send(gateway, "GET", "/providers/groq")).status_code == 404
        assert (await send(gateway, "GET", "/keys")).json()["total"] == 1
        assert (await gateway.post(ask)).status_code == 400


async def test_a_key_s_secret_is_told_by_its_ends_and_sent_back_unchanged(
    upstream: Upstream, tmp_path: Path
) -> None:
    async with running(config(upstream, "sk-first-0123456789"), tmp_path) as gateway:
        listed = (await send(gateway, "GET", "/providers/openai/keys")).json()
        (told,) = listed["keys"]
        path = f"/providers/openai/keys/{told['id']}"
        assert told["value"]["value"] == f"sk-f{'*' * 24}6789"
        changed = await send(gateway, "PUT", path, {**told, "weight": 0.5})
        assert changed.status_code == 200, changed.text
        assert changed.json()["weight"] == 0.5

        ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        assert (await gateway.post(ask)).status_code == 200
        assert upstream.requests[-1].header("authorization") == "Bearer sk-first-0123456789"
        rotated = await send(gateway, "PUT", path, {"value": "sk-second-0123456789"})
        assert rotated.json()["weight"] == 0.5
        assert (await gateway.post(ask)).status_code == 200
        assert upstream.requests[-1].header("authorization") == "Bearer sk-second-0123456789"

        assert (await send(gateway, "PUT", path, {"enabled": False})).status_code == 200
        assert (await gateway.post(ask)).status_code != 200
        assert (await send(gateway, "DELETE", path)).json()["id"] == told["id"]
        assert (await send(gateway, "GET", path)).status_code == 404


async def test_what_the_file_may_not_say_the_api_may_not_either(
    upstream: Upstream, tmp_path: Path
) -> None:
    async with running(config(upstream), tmp_path) as gateway:
        for method, path, body, said in (
            ("POST", "/providers", {"provider": "nobody"}, "an unknown provider"),
            (
                "POST",
                "/providers",
                {"provider": "groq", "custom_provider_config": {"base_provider_type": "openai"}},
                "custom_provider_config: found the name of the built-in provider groq",
            ),
            (
                "POST",
                "/providers",
                {"provider": "mine", "custom_provider_config": {"base_provider_type": "runway"}},
                "custom_provider_config.base_provider_type: found unsupported",
            ),
            (
                "PUT",
                "/providers/openai",
                {"concurrency_and_buffer_size": {"concurrency": 9, "buffer_size": 8}},
                "concurrency_and_buffer_size.concurrency: found 9; allowed: at most buffer_size",
            ),
            ("PUT", "/providers/openai", {"retry_bugdet": 1}, "retry_bugdet: found an unknown key"),
            ("PUT", "/providers/openai", {"nonsense": None}, "nonsense: found an unknown key"),
            ("PUT", "/providers/openai", {"name": "groq"}, "name: found another name"),
            ("PUT", "/providers/openai", {"keys": [{}]}, "/api/providers/openai/keys"),
            ("POST", "/providers/openai/keys", {"name": "k"}, "value: found nothing"),
            ("POST", "/providers/openai/keys", {"value": "sk-x"}, "name: found nothing"),
            (
                "POST",
                "/providers/openai/keys",
                {"name": "k", "value": "abcd" + "*" * 24 + "wxyz"},
                "value: found a redacted value",
            ),
            ("PUT", "/config", {"client_config": {"log_retention_days": 0}}, "log_retention_days"),
            ("PUT", "/config", {"client": {}}, "client: found an unknown key"),
            (
                "PUT",
                "/config",
                {"auth_config": {"is_enabled": True}},
                "auth username and password must be provided",
            ),
        ):
            answer = await send(gateway, method, path, body)
            assert answer.status_code == 400, (path, body, answer.text)
            assert said in answer.json()["error"]["message"], answer.text
        names = {"name": "key-0", "value": "sk-other"}
        assert (await send(gateway, "POST", "/providers/openai/keys", names)).status_code == 409
        async with httpx.AsyncClient(base_url=gateway.url) as client:
            broken = await client.post("/api/providers", content=b"{")
        assert (broken.status_code, broken.json()["error"]["message"]) == (400, "Invalid JSON")
        assert (await send(gateway, "GET", "/providers")).json()["total"] == 1


async def test_who_is_late_is_told(upstream: Upstream, tmp_path: Path) -> None:
    async with running(config(upstream), tmp_path) as gateway:
        first = await send(gateway, "GET", "/providers/openai")
        seen = first.headers["etag"]
        change = {"send_back_raw_request": True}
        assert (
            await send(gateway, "PUT", "/providers/openai", change, If_Match=seen)
        ).status_code == 200
        late = await send(gateway, "PUT", "/providers/openai", {"retry_budget": 0}, If_Match=seen)
        assert late.status_code == 409
        assert "its version is" in late.json()["error"]["message"]
        now = await send(gateway, "GET", "/providers/openai")
        assert now.json()["send_back_raw_request"] is True
        assert now.json()["retry_budget"] == 0.2
        whole = (await send(gateway, "GET", "/config")).headers["etag"]
        body = {"client_config": {"max_inflight": 77}}
        assert (await send(gateway, "PUT", "/config", body, If_Match=whole)).status_code == 200
        assert (await send(gateway, "PUT", "/config", body, If_Match=whole)).status_code == 409


async def test_the_house_s_configuration(upstream: Upstream, tmp_path: Path) -> None:
    async with running(config(upstream), tmp_path) as gateway:
        before = (await send(gateway, "GET", "/config")).json()
        assert before["is_db_connected"] is True
        assert before["client_config"]["max_inflight"] == 10000
        assert before["restart_required"] == {"required": False, "reasons": []}
        assert before["framework_config"] == {"pricing_url": None, "pricing_sync_interval": 86400}
        body = {"client_config": {"required_headers": ["x-team"], "log_retention_days": 7}}
        done = await send(gateway, "PUT", "/config", body)
        assert done.json()["status"] == "success", done.text
        ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        assert (await gateway.post(ask)).status_code == 400
        after = (await send(gateway, "GET", "/config")).json()
        assert after["restart_required"] == {"required": True, "reasons": ["log_retention_days"]}
        assert after["client_config"]["max_inflight"] == 10000
        # All of it may be sent back.
        assert (await send(gateway, "PUT", "/config", after)).status_code == 200
        assert (await send(gateway, "GET", "/version")).json().startswith("v")

    async with running(config(upstream), tmp_path) as gateway:
        again = (await send(gateway, "GET", "/config")).json()
        assert again["client_config"]["required_headers"] == ["x-team"]
        assert again["restart_required"]["required"] is False


async def test_without_a_store_there_is_only_to_look(upstream: Upstream, tmp_path: Path) -> None:
    alone = config(upstream, config_store={"enabled": False})
    async with running(alone, tmp_path) as gateway:
        (told,) = (await send(gateway, "GET", "/providers")).json()["providers"]
        assert told["name"] == "openai"
        assert (await send(gateway, "GET", "/config")).json()["is_db_connected"] is False
        refused = await send(gateway, "PUT", "/providers/openai", {"retry_budget": 0})
        assert refused.status_code == 403
        assert "config_store" in refused.json()["error"]["message"]
        gateway.reconfigure({**alone, "providers": {"mock": {}}})
        await gateway.wait_for("configuration reloaded")
        with trio.fail_after(5):
            while (await send(gateway, "GET", "/providers/mock")).status_code != 200:
                await trio.sleep(0.05)


async def test_a_login_from_its_making_to_its_end(upstream: Upstream, tmp_path: Path) -> None:
    async with running(config(upstream), tmp_path) as gateway:
        off = (await send(gateway, "GET", "/session/is-auth-enabled")).json()
        assert off == {"is_auth_enabled": False, "has_valid_token": False}
        nobody = {"username": "root", "password": PASSWORD}
        refused = await send(gateway, "POST", "/session/login", nobody)
        assert (refused.status_code, refused.json()["error"]["message"]) == (
            403,
            "Authentication is not enabled",
        )
        auth = {"admin_username": "root", "admin_password": PASSWORD, "is_enabled": True}
        assert (await send(gateway, "PUT", "/config", {"auth_config": auth})).status_code == 200
        assert (await send(gateway, "GET", "/config")).status_code == 401

        wrong = await send(gateway, "POST", "/session/login", {**nobody, "password": "x"})
        assert wrong.json()["error"]["message"] == "Invalid username or password"
        begun = await send(gateway, "POST", "/session/login", nobody, X_Forwarded_Proto="https")
        assert begun.json() == {"message": "Login successful"}
        cookie = begun.headers["set-cookie"]
        for word in ("HttpOnly", "SameSite=Lax", "Path=/", "Secure", "Max-Age=2592000"):
            assert word in cookie
        token = cookie.partition("=")[2].partition(";")[0]
        assert token.startswith("bf-session-")
        held = {"Cookie": f"token={token}"}
        told = (await send(gateway, "GET", "/config", **held)).json()
        assert told["auth_config"]["admin_password"]["value"] == "<redacted>"
        assert (await send(gateway, "GET", "/session/is-auth-enabled", **held)).json() == {
            "is_auth_enabled": True,
            "has_valid_token": True,
        }
        # The same again is no new password: the session goes on.
        same = {"auth_config": told["auth_config"]}
        assert (await send(gateway, "PUT", "/config", same, **held)).status_code == 200
        assert (await send(gateway, "GET", "/config", **held)).status_code == 200
        assert (await send(gateway, "POST", "/session/logout", **held)).status_code == 200
        assert (await send(gateway, "GET", "/config", **held)).status_code == 401
        assert (
            await send(gateway, "GET", "/config", Authorization=f"Bearer {token}")
        ).status_code == 401
    assert PASSWORD not in gateway.text


async def test_the_administrator_s_credentials_never_go_upstream(
    upstream: Upstream, tmp_path: Path
) -> None:
    auth = {"admin_username": "root", "admin_password": PASSWORD, "is_enabled": True}
    client = {"allow_direct_keys": True}
    whole = config(upstream, auth_config=auth, client=client)
    pair = base64.b64encode(f"root:{PASSWORD}".encode()).decode()
    ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    for disabled in (False, True):
        folder = tmp_path / str(disabled)
        folder.mkdir()
        whole["auth_config"] = {**auth, "disable_auth_on_inference": disabled}
        async with running(whole, folder) as gateway:
            login = {"username": "root", "password": PASSWORD}
            begun = await send(gateway, "POST", "/session/login", login)
            token = begun.headers["set-cookie"].partition("=")[2].partition(";")[0]
            upstream.requests.clear()
            for value in (f"Bearer {token}", f"Basic {pair}", f"Bearer {pair}"):
                headers = {"Authorization": value}
                cookie = {"Cookie": f"token={token}"}
                assert (await gateway.post(ask, headers=headers)).status_code == 200
                for path in ("/openai/v1/conversations/c", "/openai_passthrough/v1/things"):
                    await gateway.get(path, headers={**headers, **cookie})
            assert len(upstream.requests) == 9
            for received in upstream.requests:
                assert received.header("authorization") == "Bearer sk-one"
                assert received.header("cookie") is None
                assert token not in str(received.headers)
                assert pair not in str(received.headers)
            if disabled:
                own = {"Authorization": "Bearer sk-my-own"}
                await gateway.post(ask, headers=own)
                assert upstream.requests[-1].header("authorization") == "Bearer sk-my-own"


CALLS = 1000


async def test_keys_are_rotated_under_a_thousand_calls_and_none_fails(
    upstream: Upstream, tmp_path: Path
) -> None:
    may_end = trio.Event()

    async def late(conn: trio.SocketStream, received: Received) -> None:
        await may_end.wait()
        await plain()(conn, received)

    upstream.scripts["m"] = [late]
    statuses: list[int] = []
    ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    async with running(config(upstream, "sk-a", "sk-b"), tmp_path) as gateway:
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(base_url=gateway.url, timeout=90, limits=limits) as client,
            trio.open_nursery() as nursery,
        ):

            async def call() -> None:
                answer = await client.post("/openai/v1/chat/completions", json=ask)
                statuses.append(answer.status_code)

            async def call_many(so_far: int) -> None:
                for _ in range(CALLS // 2):
                    nursery.start_soon(call)
                with trio.fail_after(90):
                    while len(upstream.of("m")) < so_far + CALLS // 2:
                        await trio.sleep(0.05)

            await call_many(0)
            first, second = await _rotate(gateway)
            await call_many(CALLS // 2)
            assert (await send(gateway, "DELETE", f"/providers/openai/keys/{first}")).is_success
            change = {"enabled": False}
            path = f"/providers/openai/keys/{second}"
            assert (await send(gateway, "PUT", path, change)).is_success
            may_end.set()
    assert statuses == [200] * CALLS


async def _rotate(gateway: Gateway) -> tuple[str, str]:
    """Another key comes, the first gets a new value; their ids."""
    keys = (await send(gateway, "GET", "/providers/openai/keys")).json()["keys"]
    new = {"name": "third", "value": "sk-c"}
    assert (await send(gateway, "POST", "/providers/openai/keys", new)).is_success
    path = f"/providers/openai/keys/{keys[0]['id']}"
    assert (await send(gateway, "PUT", path, {"value": "sk-a2"})).is_success
    return keys[0]["id"], keys[1]["id"]
