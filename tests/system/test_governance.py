"""Virtual keys, limits and budgets before a running gateway: real SDKs, restarts, and a process that is killed."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
import trio

from system.process import Gateway, openai_provider, running
from system.upstream import Upstream, plain, status, stream, stream_chunks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system

PRICE = {
    "id": "p",
    "scope_kind": "global",
    "match_type": "wildcard",
    "pattern": "*",
    "request_types": ["chat_completion"],
    "pricing_patch": {"input_cost_per_token": 0.001, "output_cost_per_token": 0.001},
}
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
MINE = {"x-bf-vk": "sk-bf-mine"}


def key(name: str = "mine", **more: Any) -> dict[str, Any]:
    config = {"provider": "openai", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}
    said = {"id": name, "name": name, "value": f"sk-bf-{name}", "provider_configs": [config]}
    return said | more


def governed(*keys: dict[str, Any], upstream: Upstream, **more: Any) -> dict[str, Any]:
    governance = {"virtual_keys": list(keys), "pricing_overrides": [PRICE], **more.pop("also", {})}
    return {
        "client": {"drain_timeout_s": 3, **more},
        "providers": {"openai": openai_provider(upstream.url, network_config={"max_retries": 0})},
        "governance": governance,
    }


@asynccontextmanager
async def sdk(gateway: Gateway, value: str = "sk-bf-mine") -> AsyncIterator[Any]:
    """OpenAI's own client, which knows the virtual key as its API key."""
    made = openai.AsyncOpenAI(base_url=f"{gateway.url}/openai", api_key=value, max_retries=0)
    async with made as client:
        yield client


async def used(gateway: Gateway, level: str = "virtual_key") -> dict[str, Any]:
    answer = await gateway.get("/v1/usage", headers=MINE)
    assert answer.status_code == 200, answer.text
    (found,) = [each for each in answer.json()["limits"] if each["level"] == level]
    return dict(found)


async def test_each_denial_is_the_sdk_s_own_error(upstream: Upstream, tmp_path: Path) -> None:
    narrow = [{"provider": "openai", "allowed_models": ["gpt-4o"], "key_ids": ["*"]}]
    keys = (
        key(rate_limit={"request_max_limit": 1, "request_reset_duration": "1h"}),
        key("off", is_active=False),
        key("narrow", provider_configs=narrow),
        key("broke", budget={"max_limit": 0.000001, "reset_duration": "1d"}),
    )
    upstream.scripts["gpt-4o"] = upstream.scripts["gpt-5"] = [plain()]
    denials: dict[str, Any] = {}
    config = governed(*keys, upstream=upstream, enforce_auth_on_inference=True)
    async with running(config, tmp_path) as gateway:
        for name, value, model in (
            ("none", "sk-other", "gpt-4o"),
            ("unknown", "sk-bf-unknown", "gpt-4o"),
            ("served", "sk-bf-mine", "gpt-4o"),
            ("limited", "sk-bf-mine", "gpt-4o"),
            ("off", "sk-bf-off", "gpt-4o"),
            ("model", "sk-bf-narrow", "gpt-5"),
            ("provider", "sk-bf-narrow", "mock/echo"),
            ("once", "sk-bf-broke", "gpt-4o"),
            ("broke", "sk-bf-broke", "gpt-4o"),
        ):
            async with sdk(gateway, value) as client:
                try:
                    await client.chat.completions.create(model=model, **ASK)
                except openai.APIStatusError as error:
                    denials[name] = error
    told = {name: (error.status_code, error.body["type"]) for name, error in denials.items()}
    assert told == {
        "none": (401, "virtual_key_required"),
        "unknown": (401, "virtual_key_required"),
        "limited": (429, "request_limited"),
        "off": (403, "virtual_key_blocked"),
        "model": (403, "model_blocked"),
        "provider": (403, "provider_blocked"),
        "broke": (402, "budget_exceeded"),
    }
    limited = denials["limited"]
    assert isinstance(limited, openai.RateLimitError)
    assert 3500 < int(limited.response.headers["retry-after"]) <= 3600
    assert limited.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert len(upstream.requests) == 2
    assert "sk-bf-" not in gateway.text


@pytest.mark.parametrize("streamed", [False, True])
async def test_five_hundred_at_once_on_a_budget_for_a_hundred(
    upstream: Upstream, tmp_path: Path, streamed: bool
) -> None:
    """A call costs 15 tokens of a tenth of a cent; its estimate is its prompt by bytes and the five that it allows."""
    upstream.scripts["gpt-4o"] = [stream() if streamed else plain()]
    limit = {"max_limit": 1.5, "reset_duration": "1d"}
    statuses: list[int] = []
    async with running(governed(key(budget=limit), upstream=upstream), tmp_path) as gateway:

        async def call(client: httpx.AsyncClient) -> None:
            body = {"model": "gpt-4o", "stream": streamed, **ASK}
            answer = await client.post("/openai/v1/chat/completions", json=body, headers=MINE)
            statuses.append(answer.status_code)

        bounds = httpx.Limits(max_connections=500)
        client = httpx.AsyncClient(base_url=gateway.url, timeout=120, limits=bounds)
        async with client, trio.open_nursery() as nursery:
            for _ in range(500):
                nursery.start_soon(call, client)
        spent = (await used(gateway))["budget"]
    served = statuses.count(200)
    assert set(statuses) == {200, 402}
    assert spent["held"] == 0
    each = spent["current_usage"] / served
    # At most one call more than the budget is worth, whoever many there were.
    assert spent["current_usage"] <= 1.5 + each
    assert served >= 20


async def test_usage_outlives_a_stop_and_a_kill(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts["gpt-4o"] = [plain()]
    config = governed(
        key(rate_limit={"request_max_limit": 1000, "request_reset_duration": "1d"}),
        upstream=upstream,
    )

    async def some(gateway: Gateway, number: int) -> None:
        for _ in range(number):
            await gateway.post({"model": "gpt-4o", **ASK}, headers=MINE)

    async def requests(gateway: Gateway) -> int:
        return int((await used(gateway))["rate_limit"]["requests"]["current_usage"])

    async with running(config, tmp_path) as gateway:
        await some(gateway, 7)
    async with running(config, tmp_path) as gateway:
        assert await requests(gateway) == 7, "a stop loses nothing"
        await some(gateway, 5)
        # The books are written every two seconds.
        await trio.sleep(4)
        await some(gateway, 3)
        gateway.process.send_signal(signal.SIGKILL)
        await gateway.wait()
    async with running(config, tmp_path) as gateway:
        assert 12 <= await requests(gateway) <= 15


async def test_a_stream_that_is_cut_is_charged_and_a_refusal_is_not(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts["gpt-4o"] = [stream(stream_chunks()[:2], done=False, end=False), status(500)]
    config = governed(key(budget={"max_limit": 9, "reset_duration": "1d"}), upstream=upstream)
    async with running(config, tmp_path) as gateway:
        await gateway.post({"model": "gpt-4o", "stream": True, **ASK}, headers=MINE)
        first = (await used(gateway))["budget"]["current_usage"]
        await gateway.post({"model": "gpt-4o", **ASK}, headers=MINE)
        second = (await used(gateway))["budget"]["current_usage"]
        lines = await gateway.wait_for("request completed", 2, virtual_key_id="mine")
    assert first > 0
    assert second == first
    assert lines[0]["cost_estimated"] is True
    assert lines[0]["cost_usd"] == first


async def test_limits_are_changed_by_the_file_while_it_runs(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts["gpt-4o"] = [plain()]

    def config(limit: int) -> dict[str, Any]:
        rate = {"request_max_limit": limit, "request_reset_duration": "1h"}
        return governed(key(rate_limit=rate), upstream=upstream)

    async with running(config(1), tmp_path) as gateway:
        body = {"model": "gpt-4o", **ASK}
        answers = [await gateway.post(body, headers=MINE) for _ in range(2)]
        gateway.reconfigure(config(3))
        await gateway.wait_for("configuration reloaded")
        answers += [await gateway.post(body, headers=MINE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 200, 200, 429]


async def test_a_login_guards_inference_and_metrics(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts["gpt-4o"] = [plain()]
    auth = {"admin_username": "admin", "admin_password": "hunter2-hunter2", "is_enabled": True}
    config = governed(key(), upstream=upstream, also={"auth_config": auth})
    body = {"model": "gpt-4o", **ASK}
    async with running(config, tmp_path) as gateway:
        nobody = await gateway.post(body)
        someone = await gateway.post(body, headers=MINE)
        admin = await gateway.post(body, auth=("admin", "hunter2-hunter2"))
        wrong = await gateway.post(body, auth=("admin", "hunter3"))
        metrics = [
            await gateway.get("/metrics"),
            await gateway.get("/metrics", auth=("admin", "hunter2-hunter2")),
        ]
        health = await gateway.get("/health")
        models = [
            await gateway.get("/openai/v1/models"),
            await gateway.get("/openai/v1/models", headers=MINE),
        ]
    statuses = [answer.status_code for answer in (nobody, someone, admin, wrong, health)]
    assert statuses == [401, 200, 200, 401, 200]
    assert nobody.json()["error"]["message"] == "Unauthorized"
    assert [answer.status_code for answer in metrics] == [401, 200]
    # The upstream has no list of models, but that is asked for with a key only.
    assert [answer.status_code for answer in models] == [401, 502]
    assert "hunter2" not in gateway.text
    assert b"hunter2-hunter2" not in (tmp_path / "config.db").read_bytes()


async def test_without_a_login_the_management_is_this_machine_s(
    upstream: Upstream, tmp_path: Path
) -> None:
    async with running(governed(upstream=upstream), tmp_path) as gateway:
        port = gateway.url.rsplit(":", 1)[1]
        answers = [
            await gateway.get("/metrics"),
            await gateway.get("/metrics", headers={"host": f"evil.example:{port}"}),
            await gateway.get("/metrics", headers={"origin": "https://evil.example"}),
            await gateway.get("/metrics", headers={"origin": f"http://localhost:{port}"}),
        ]
    assert [answer.status_code for answer in answers] == [200, 403, 403, 200]


async def test_a_store_that_is_away_from_the_start_and_comes_back(
    upstream: Upstream, tmp_path: Path
) -> None:
    """What the file says is served meanwhile; who may be known to the store alone is asked to come again, never sent away."""
    upstream.scripts["gpt-4o"] = [plain()]
    place = tmp_path / "store"
    place.mkdir()
    (place / "config.db").mkdir()
    config = governed(key(), upstream=upstream)
    config["config_store"] = {"config": {"path": str(place / "config.db")}}
    body = {"model": "gpt-4o", **ASK}
    async with running(config, tmp_path) as gateway:
        known = await gateway.post(body, headers=MINE)
        unknown = await gateway.post(body, headers={"x-bf-vk": "sk-bf-other"})
        ready = await gateway.get("/ready")
        health = await gateway.get("/health")
        metrics = await gateway.get("/metrics")
        (place / "config.db").rmdir()
        await gateway.wait_for("store is back")
        await gateway.wait_for("configuration reloaded")
        later = await gateway.post(body, headers={"x-bf-vk": "sk-bf-other"})
        again = await gateway.post(body, headers=MINE)
        ready_later = await gateway.get("/ready")
    assert known.status_code == 200
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (
        503,
        "virtual_keys_not_loaded",
    )
    assert (ready.status_code, ready.json()["stores"]) == (200, {"config": "not available"})
    assert health.status_code == 503
    assert 'bifrost_store_up{store="config"} 0.0' in metrics.text
    assert (later.status_code, again.status_code) == (403, 200)
    assert "stores" not in ready_later.json()
