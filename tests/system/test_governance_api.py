"""Governance by its management API alone, before a running gateway: what is made holds for the next call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest
import trio

from system.process import Gateway, openai_provider, running
from system.test_governance import ASK, PRICE
from system.upstream import plain, status, stream

if TYPE_CHECKING:
    from pathlib import Path

    from system.upstream import Upstream

pytestmark = pytest.mark.system

COST = 0.01
"""Of a call: 10 tokens of a tenth of a cent."""
ONCE = {"max_limit": 0.005, "reset_duration": "1d"}
"""For one call: the first is always let through, and leaves nothing."""
PLENTY = {"max_limit": 100, "reset_duration": "1d"}
OPENAI = {"provider": "openai", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}
GROQ = {**OPENAI, "provider": "groq", "weight": 0}
MODEL = "gpt-4o"


def config(upstream: Upstream) -> dict[str, Any]:
    behaved: dict[str, Any] = {"network_config": {"max_retries": 0}}
    return {
        "client": {"drain_timeout_s": 3},
        "providers": {
            "openai": openai_provider(upstream.url, **behaved),
            "groq": openai_provider(upstream.url, "sk-two", prefix="groq", **behaved),
        },
    }


@attrs.define(eq=False)
class Admin:
    """Who makes and changes things, and asks for them with a virtual key."""

    gateway: Gateway

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        async with httpx.AsyncClient(base_url=self.gateway.url, timeout=30) as client:
            answer = await client.request(method, f"/api/governance/{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def made(self, path: str, **body: Any) -> Any:
        status = 201 if path == "pricing-overrides" else 200
        told = await self.ask("POST", path, body, status)
        (noun,) = [value for name, value in told.items() if name != "message"]
        return noun

    async def key(self, name: str = "mine", **body: Any) -> Any:
        return await self.made(
            "virtual-keys", **{"name": name, "provider_configs": [OPENAI], **body}
        )

    async def prices(self) -> None:
        price = {
            name: value for name, value in PRICE.items() if name not in ("id", "pricing_patch")
        }
        await self.made("pricing-overrides", **price, patch=PRICE["pricing_patch"])

    async def call(self, key: Any, model: str = MODEL, **headers: str) -> tuple[int, str, str]:
        """Its status, and what the error is called and says."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = sent or {"x-bf-vk": key["value"]}
        answer = await self.gateway.post({"model": model, **ASK}, headers=sent)
        if answer.status_code == 200:
            return 200, "", ""
        error = answer.json()["error"]
        return answer.status_code, error["type"], error["message"]

    async def statuses(self, key: Any, number: int) -> list[int]:
        return [(await self.call(key))[0] for _ in range(number)]

    async def used(self, path: str) -> Any:
        """What the limits of a noun stand at, live."""
        (noun,) = (await self.ask("GET", f"{path}?from_memory=true")).values()
        return noun


LEVELS = [
    ("openai", "provider_configs"),
    ("VK", "virtual-keys"),
    ("Team", "teams"),
    ("Customer", "customers"),
]


@pytest.mark.parametrize(("name", "level"), LEVELS, ids=[name for name, _ in LEVELS])
async def test_the_lowest_budget_blocks_until_it_is_raised_or_gone(
    upstream: Upstream, tmp_path: Path, name: str, level: str
) -> None:
    upstream.scripts[MODEL] = [plain()]

    def budget(of: str) -> dict[str, Any]:
        return {"budget": ONCE if of == level else PLENTY}

    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        await admin.prices()
        customer = await admin.made("customers", name="C", **budget("customers"))
        team = await admin.made("teams", name="T", customer_id=customer["id"], **budget("teams"))
        key = await admin.key(
            team_id=team["id"],
            provider_configs=[{**OPENAI, **budget("provider_configs")}],
            **budget("virtual-keys"),
        )
        assert (await admin.call(key))[0] == 200
        status, kind, text = await admin.call(key)
        assert (status, kind) == (402, "budget_exceeded")
        assert f"{name} budget exceeded: 0.0100 >= 0.0050 dollars" in text

        holder = {"teams": team, "customers": customer}.get(level, key)
        path = f"{'virtual-keys' if level == 'provider_configs' else level}/{holder['id']}"

        async def change(budget: dict[str, Any]) -> None:
            body: dict[str, Any] = {"budget": budget}
            if level == "provider_configs":
                body = {level: [{"id": key["provider_configs"][0]["id"], **body}]}
            await admin.ask("PUT", path, body)

        await change({"max_limit": 0.015})
        assert await admin.statuses(key, 2) == [200, 402]
        await change({})
        assert await admin.statuses(key, 2) == [200, 200]
    assert len(upstream.requests) == 4


async def test_budgets_are_shared_and_left_by_switching(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts[MODEL] = [plain()]
    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        await admin.prices()
        customer = await admin.made("customers", name="C", budget=ONCE)
        red, blue = [
            await admin.made("teams", name=name, customer_id=customer["id"])
            for name in ("red", "blue")
        ]
        first, second = [
            await admin.key(name, team_id=team["id"]) for name, team in (("1", red), ("2", blue))
        ]
        assert (await admin.call(first))[0] == 200
        assert (await admin.call(second))[:2] == (402, "budget_exceeded")
        await admin.ask("PUT", f"teams/{blue['id']}", {"customer_id": None})
        assert (await admin.call(second))[0] == 200

        poor = await admin.made("teams", name="poor", budget=ONCE)
        for key in (first, second):
            await admin.ask("PUT", f"virtual-keys/{key['id']}", {"team_id": poor["id"]})
        assert (await admin.call(first))[0] == 200
        assert "Team budget exceeded" in (await admin.call(second))[2]
        await admin.ask("PUT", f"virtual-keys/{second['id']}", {"team_id": blue["id"]})
        assert (await admin.call(second))[0] == 200
        other = await admin.made("customers", name="D")
        moved = await admin.ask("PUT", f"virtual-keys/{first['id']}", {"customer_id": other["id"]})
        assert moved["virtual_key"]["team_id"] is None
        assert (await admin.call(first))[0] == 200


async def test_a_provider_that_is_used_up_is_passed_over(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts[MODEL] = [plain()]
    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        await admin.prices()
        key = await admin.key(provider_configs=[{**OPENAI, "budget": ONCE}, GROQ])
        assert await admin.statuses(key, 2) == [200, 200]
        status, kind, text = await admin.call(key, f"openai/{MODEL}")
        assert (status, kind) == (402, "budget_exceeded")
        assert "openai budget exceeded" in text
        assert (await admin.call(key, f"groq/{MODEL}"))[0] == 200
        limited = {"budget": {"max_limit": 0.001, "reset_duration": "1d"}}
        await admin.ask("PUT", "providers/groq", limited)
        assert await admin.statuses(key, 2) == [200, 402]
        await admin.ask("DELETE", "providers/groq")
        assert (await admin.call(key))[0] == 200
    keys = [request.header("authorization") for request in upstream.requests]
    assert len(set(keys)) == 2
    assert keys[0] != keys[1]


async def test_limits_of_requests_and_tokens(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts[MODEL] = [plain()]
    tokens = {"token_max_limit": 10, "token_reset_duration": "1h"}
    requests = {"request_max_limit": 1, "request_reset_duration": "1h"}
    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        denials = []
        for name, limit in (("t", tokens), ("r", requests), ("b", tokens | requests)):
            key = await admin.key(name, rate_limit=limit)
            assert (await admin.call(key))[0] == 200
            denials.append((await admin.call(key))[:2])
        assert denials == [(429, "token_limited"), (429, "request_limited"), (429, "rate_limited")]

        short = {"request_max_limit": 3, "request_reset_duration": "5s"}
        key = await admin.key("short", rate_limit=short)
        assert await admin.statuses(key, 4) == [200, 200, 200, 429]
        with trio.fail_after(20):
            while (await admin.call(key))[0] == 429:
                await trio.sleep(0.2)

        model = await admin.made("model-configs", model_name=MODEL, rate_limit=requests)
        free = await admin.key("free")
        assert await admin.statuses(free, 2) == [200, 429]
        await admin.ask("DELETE", f"model-configs/{model['id']}")
        assert await admin.statuses(free, 2) == [200, 200]


async def test_what_fails_costs_nothing_and_a_stream_at_its_end(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts[MODEL] = [status(500), status(400), stream()]
    limit = {"request_max_limit": 9, "request_reset_duration": "1d"}
    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        await admin.prices()
        key = await admin.key(budget=PLENTY, rate_limit=limit)
        path = f"virtual-keys/{key['id']}"
        assert await admin.statuses(key, 2) == [500, 400]
        none = await admin.used(path)
        await gateway.post(
            {"model": MODEL, "stream": True, **ASK}, headers={"x-bf-vk": key["value"]}
        )
        some = await admin.used(path)
    assert none["budget"]["current_usage"] == none["rate_limit"]["request_current_usage"] == 0
    assert some["budget"]["current_usage"] > 0
    assert some["rate_limit"]["request_current_usage"] == 1


async def test_a_key_is_switched_off_and_known_by_four_headers(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts[MODEL] = [plain()]
    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        key = await admin.key()
        path = f"virtual-keys/{key['id']}"
        await admin.ask("PUT", path, {"is_active": False})
        assert (await admin.call(key))[:2] == (403, "virtual_key_blocked")
        await admin.ask("PUT", path, {"is_active": True})
        value = key["value"]
        ways: list[dict[str, str]] = [
            {"x_bf_vk": value},
            {"authorization": f"Bearer {value}"},
            {"authorization": f"bearer {value}"},
            {"x_api_key": value},
            {"x_goog_api_key": value},
        ]
        answers = [(await admin.call(None, **way))[0] for way in ways]
        wrong = await admin.call(None, x_bf_vk="sk-bf-nobody")
        await admin.ask("DELETE", path)
        gone = await admin.call(key)
    assert answers == [200] * 5
    assert wrong[:2] == gone[:2] == (403, "virtual_key_not_found")
    assert value not in gateway.text


async def test_what_goes_takes_its_limits_along_and_leaves_the_others(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts[MODEL] = [plain()]
    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        await admin.prices()
        customer = await admin.made("customers", name="C", budget=ONCE)
        team = await admin.made("teams", name="T", customer_id=customer["id"], budget=PLENTY)
        key = await admin.key(
            team_id=team["id"],
            budget=PLENTY,
            provider_configs=[{**OPENAI, "budget": PLENTY}],
        )
        assert await admin.statuses(key, 2) == [200, 402]
        assert (await admin.ask("GET", "budgets"))["count"] == 4
        await admin.ask("DELETE", f"customers/{customer['id']}")
        assert (await admin.call(key))[0] == 200
        left = [(await admin.ask("GET", "budgets"))["count"]]
        await admin.ask("DELETE", f"teams/{team['id']}")
        assert (await admin.call(key))[0] == 200
        shown = (await admin.ask("GET", f"virtual-keys/{key['id']}"))["virtual_key"]
        left.append((await admin.ask("GET", "budgets"))["count"])
        await admin.ask("DELETE", f"virtual-keys/{key['id']}")
        left.append((await admin.ask("GET", "budgets"))["count"])
    assert shown["team_id"] is shown["customer_id"] is None
    assert left == [3, 2, 0]
    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        for many in ("virtual-keys", "teams", "customers", "budgets"):
            assert (await admin.ask("GET", many))["count"] == 0


async def test_usage_outlives_a_restart_and_a_change(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts[MODEL] = [plain()]
    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        await admin.prices()
        key = await admin.key(budget={"max_limit": 1, "reset_duration": "1M"})
        path = f"virtual-keys/{key['id']}"
        assert await admin.statuses(key, 3) == [200] * 3
        await admin.ask("PUT", path, {"budget": {"max_limit": 2}, "description": "richer"})
        live = (await admin.used(path))["budget"]
        with trio.fail_after(20):
            # The books are written every two seconds.
            while True:
                written = (await admin.ask("GET", path))["virtual_key"]["budget"]
                if written == live:
                    break
                await trio.sleep(0.2)
        assert await admin.statuses(key, 1) == [200]
    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        stored = (await admin.ask("GET", path))["virtual_key"]
        assert (await admin.used(path)) == stored
        assert await admin.statuses(key, 1) == [200]
        aligned = await admin.ask("PUT", path, {"budget": {"calendar_aligned": True}})
        turned = (await admin.used(path))["budget"]
    assert live["current_usage"] == 3 * COST
    assert live["max_limit"] == 2
    assert stored["description"] == "richer"
    assert stored["budget"]["current_usage"] == 4 * COST
    assert aligned["virtual_key"]["budget"]["calendar_aligned"] is True
    assert turned["current_usage"] == 0
    assert turned["last_reset"][8:] == "01T00:00:00.000+00:00"


async def test_rules_route_the_next_call(upstream: Upstream, tmp_path: Path) -> None:
    models = ("fast", "spent", "of-team", "of-all")
    for name in (MODEL, *models):
        upstream.scripts[name] = [plain()]

    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        await admin.prices()
        team = await admin.made("teams", name="T")
        key = await admin.key(
            team_id=team["id"],
            provider_configs=[{**OPENAI, "budget": {"max_limit": 0.1, "reset_duration": "1d"}}],
        )

        async def rule(name: str, expression: str, **more: Any) -> Any:
            target = {"provider": "openai", "model": name}
            return await admin.made(
                "routing-rules", name=name, cel_expression=expression, targets=[target], **more
            )

        async def routed(**headers: str) -> str | None:
            before = len(upstream.requests)
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            status = (await admin.call(None, f"openai/{MODEL}", x_bf_vk=key["value"], **sent))[0]
            assert status == 200
            return upstream.requests[before].model

        bad = {"name": "bad", "cel_expression": "model ==", "targets": [{"model": "x"}]}
        told = await admin.ask("POST", "routing-rules", bad, 400)
        assert told["error"]["message"].startswith("cel_expression: ")
        assert await routed() == MODEL
        fast = await rule("fast", 'headers["X-Speed"] == "fast"')
        assert await routed(x_speed="fast") == "fast"
        assert await routed() == MODEL
        await admin.ask("PUT", f"routing-rules/{fast['id']}", {"enabled": False})
        assert await routed(x_speed="fast") == MODEL
        spent = await rule("spent", "budget_used > 90.0", priority=-1)
        assert await routed() == MODEL
        change = {"cel_expression": "budget_used > 40"}
        await admin.ask("PUT", f"routing-rules/{spent['id']}", change)
        assert await routed() == "spent"
        await admin.ask("DELETE", f"routing-rules/{spent['id']}")
        await rule("of-all", "")
        assert await routed() == "of-all"
        await rule("of-team", "true", scope="team", scope_id=team["id"])
        assert await routed() == "of-team"


async def test_a_provider_goes_and_whoever_names_it_is_there_at_the_next_start(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts[MODEL] = [plain()]
    own = {"custom_provider_config": {"base_provider_type": "openai"}}
    lab = {**OPENAI, "provider": "lab", "weight": None}

    async with running(config(upstream), tmp_path) as gateway:
        admin = Admin(gateway)
        await admin.ask("POST", "virtual-keys", {"name": "k", "provider_configs": [lab]}, 400)
        path = "../providers"
        await admin.ask("POST", path, {"provider": "lab", **own})
        key = await admin.key(provider_configs=[OPENAI, lab])
        await admin.ask("DELETE", f"{path}/lab")
        renamed = await admin.ask("PUT", f"virtual-keys/{key['id']}", {"name": "renamed"})
        assert [c["provider"] for c in renamed["virtual_key"]["provider_configs"]] == [
            "openai",
            "lab",
        ]
        assert await admin.statuses(key, 1) == [200]

    async with running(config(upstream), tmp_path) as gateway:
        assert await Admin(gateway).statuses(key, 1) == [200]
