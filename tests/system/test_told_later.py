"""What a provider tells later is paid for once: results of batches and answers in the background, across a restart."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx
import openai
import pytest

from system.batch_upstreams import AnthropicBatches
from system.openai_batches import OpenAIBatches
from system.process import Gateway, openai_provider, running
from system.upstream import Upstream, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import trio

pytestmark = pytest.mark.system

MODEL = "gpt-4o-mini"
CLAUDE = "claude-sonnet-4-5-20250929"
CHAT: Final = "/v1/chat/completions"
MINE = {"x-bf-vk": "sk-bf-mine"}

RESULT = 10 * 0.0005
"""Ten tokens a result, at the price of batches."""


@pytest.fixture
async def upstream(nursery: trio.Nursery) -> OpenAIBatches:
    it = OpenAIBatches()
    await nursery.start(it.run)
    return it


def config(upstream: Upstream, budget: float) -> dict[str, Any]:
    price = {
        "id": "p",
        "scope_kind": "global",
        "match_type": "wildcard",
        "pattern": "*",
        "request_types": ["chat_completion", "responses"],
        "pricing_patch": {
            "input_cost_per_token": 0.001,
            "output_cost_per_token": 0.001,
            "input_cost_per_token_batches": 0.0005,
            "output_cost_per_token_batches": 0.0005,
        },
    }
    key = {
        "id": "mine",
        "name": "mine",
        "value": "sk-bf-mine",
        "provider_configs": [{"provider": "openai", "allowed_models": ["*"], "key_ids": ["*"]}],
        "budget": {"max_limit": budget, "reset_duration": "1d"},
    }
    return {
        "client": {"drain_timeout_s": 3},
        "providers": {"openai": openai_provider(upstream.url, network_config={"max_retries": 0})},
        "governance": {"virtual_keys": [key], "pricing_overrides": [price]},
    }


@asynccontextmanager
async def sdk(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own client, which knows the virtual key as its API key."""
    url = f"{gateway.url}/openai"
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-bf-mine", max_retries=0) as client:
        yield client


async def spent(gateway: Gateway) -> float:
    answer = await gateway.get("/v1/usage", headers=MINE)
    (found,) = [each for each in answer.json()["limits"] if each["level"] == "virtual_key"]
    assert found["budget"]["held"] == 0
    return float(found["budget"]["current_usage"])


def asking(custom_id: str) -> dict[str, Any]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


async def finished_batch(client: openai.AsyncOpenAI, upstream: OpenAIBatches) -> Any:
    requests = [asking(name) for name in ("one", "two", "three", "bad")]
    made = await client.batches.create(
        input_file_id=openai.omit,  # type: ignore[arg-type]  # left out, as a caller may
        endpoint=CHAT,
        completion_window="24h",
        extra_body={"requests": requests},
    )
    upstream.finish()
    return await client.batches.retrieve(made.id)


async def test_the_results_of_a_batch_are_paid_for_once(
    upstream: OpenAIBatches, tmp_path: Path
) -> None:
    run = partial(running, config(upstream, budget=0.1), tmp_path)
    async with run() as gateway, sdk(gateway) as client:
        batch = await finished_batch(client, upstream)
        assert await spent(gateway) == 0, "nothing is told yet"
        await client.files.content(batch.output_file_id)
        first = await spent(gateway)
        assert first == pytest.approx(3 * RESULT)
        await client.files.content(batch.output_file_id)
        natively = f"/v1/batches/{batch.id}/results?provider=openai"
        told = await gateway.get(natively, headers=MINE)
        assert len(told.json()["results"]) == 4
        assert await spent(gateway) == first
        lines = await gateway.wait_for("request completed", 1, request_type="file_content")
        assert lines[0]["cost_usd"] == first
        assert "cost_estimated" not in lines[0]
    async with run() as gateway, sdk(gateway) as client:
        await client.files.content(batch.output_file_id)
        assert await spent(gateway) == first, "a restart forgets nothing"
        page = await gateway.get("/api/governance/budgets")
        assert page.json()["count"] == 1, "and what is paid for is no budget"


async def test_claude_s_results_are_one_thing_by_every_route(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    upstream = AnthropicBatches(piece_bytes=50)
    await nursery.start(upstream.run)
    governed = config(upstream, budget=1.0)
    network = {"base_url": upstream.url, "max_retries": 0}
    governed["providers"] = {
        "anthropic": {"keys": [{"name": "a", "value": "x"}], "network_config": network}
    }
    (key,) = governed["governance"]["virtual_keys"]
    key["provider_configs"][0]["provider"] = "anthropic"
    content = [{"type": "text", "text": "hi"}]
    ask = {"model": CLAUDE, "max_tokens": 10, "messages": [{"role": "user", "content": content}]}
    requests = [{"custom_id": name, "params": ask} for name in ("one", "two", "bad")]
    async with running(governed, tmp_path) as gateway:
        body = {"provider": "anthropic", "requests": requests}
        made = (await gateway.post(body, "/v1/batches", headers=MINE)).json()
        upstream.finish()
        native = await gateway.get(
            f"/anthropic/v1/messages/batches/{made['id']}/results",
            headers={"x-api-key": "sk-bf-mine", "range": "bytes=0-99"},
        )
        assert native.text.count("input_tokens") == 2
        first = await spent(gateway)
        assert first == pytest.approx(2 * 16 * 0.0005)
        for path in (
            f"/v1/batches/{made['id']}/results",
            f"/v1/files/batch-results-{made['id']}/content",
        ):
            told = await gateway.get(f"{path}?provider=anthropic", headers=MINE)
            assert told.text.count('prompt_tokens":') == 2
            assert await spent(gateway) == first


def response(state: str, usage: object = None) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": state,
        "background": True,
        "model": f"{MODEL}-2024-07-18",
        "output": [],
        "usage": usage,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
    }


USAGE = {
    "input_tokens": 40,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 60,
}


async def test_an_answer_in_the_background_is_paid_for_once_in_sum(
    upstream: OpenAIBatches, tmp_path: Path
) -> None:
    upstream.extra["/v1/responses"] = status(200, response("queued"))
    upstream.extra["/v1/responses/resp_1"] = status(200, response("in_progress"))
    run = partial(running, config(upstream, budget=0.05), tmp_path)
    async with run() as gateway, sdk(gateway) as client:
        begun = await client.responses.create(model=MODEL, input="hi", background=True)
        assert begun.status == "queued"
        prompt = await spent(gateway)
        assert 0 < prompt < 0.04
        await client.responses.retrieve("resp_1")
        assert await spent(gateway) == prompt, "it is not over"
    upstream.extra["/v1/responses/resp_1"] = status(200, response("completed", USAGE))
    async with run() as gateway, sdk(gateway) as client:
        done = await client.responses.retrieve("resp_1")
        assert done.usage is not None
        assert await spent(gateway) == pytest.approx(0.06), "what was paid before is part of it"
        with pytest.raises(openai.APIStatusError) as caught:
            await client.responses.retrieve("resp_1")
        assert caught.value.status_code == httpx.codes.PAYMENT_REQUIRED
    generous = config(upstream, budget=1.0)
    async with running(generous, tmp_path) as gateway, sdk(gateway) as client:
        await client.responses.retrieve("resp_1")
        assert await spent(gateway) == pytest.approx(0.06)
