"""Batches of OpenAI and Azure whose requests stand in them: a file is made of these, and a batch of the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from system.openai_batches import OpenAIBatches
from system.process import Gateway, openai_provider, running
from system.sdk import in_thread, sdk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import trio

pytestmark = pytest.mark.system

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"


@pytest.fixture
async def upstream(nursery: trio.Nursery) -> OpenAIBatches:
    it = OpenAIBatches()
    await nursery.start(it.run)
    return it


@pytest.fixture
async def gateway(upstream: OpenAIBatches, tmp_path: Path) -> AsyncIterator[Gateway]:
    keys = [f"sk-canary-{n * 20}" for n in "ab"]
    section = openai_provider(upstream.url, *keys, network_config={"max_retries": 0})
    azure = openai_provider(
        upstream.url, "azure-canary", prefix="az", network_config={"max_retries": 0}
    )
    async with running({"providers": {"openai": section, "azure": azure}}, tmp_path) as it:
        yield it
    assert "canary" not in it.text


def asking(custom_id: str, model: str = MODEL, **more: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": f"I am {custom_id}"}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body | more}


def create(gateway: Gateway, **body: Any) -> Any:
    return sdk(gateway).batches.create(
        input_file_id=openai.omit,  # type: ignore[arg-type]  # left out, as a caller may
        completion_window="24h",
        **{"endpoint": CHAT, **body},
    )


def kept(upstream: OpenAIBatches) -> dict[str, Any]:
    return {name: it for account in upstream.accounts.values() for name, it in account.items()}


async def test_requests_become_a_file_and_a_batch_of_it(
    gateway: Gateway, upstream: OpenAIBatches
) -> None:
    requests = [asking("one", seed=7), asking("two", f"openai/{MODEL}"), asking("bad")]

    made = await in_thread(create, gateway, metadata={"a": "b"}, extra_body={"requests": requests})
    upstream.finish()
    ended = await in_thread(sdk(gateway).batches.retrieve, made.id)
    lines = await in_thread(lambda: sdk(gateway).files.content(ended.output_file_id).text)

    assert (made.object, made.status, made.metadata) == ("batch", "validating", {"a": "b"})
    assert made.input_file_id == "file-01"
    assert made.extra_fields["request_type"] == "batch_create"
    assert [json.loads(line)["custom_id"] for line in lines.splitlines()] == ["one", "two"]
    assert kept(upstream)["file-01"]["filename"] == "batch_requests.jsonl"
    told = [json.loads(line) for line in kept(upstream)["file-01"]["_content"].splitlines()]
    assert told[0] == requests[0]
    assert told[1]["body"]["model"] == MODEL
    # Both, and all that follows, by one key.
    assert len({r.header("authorization") for r in upstream.requests}) == 1
    logged = await gateway.wait_for("request completed", 2)
    assert [line["request_type"] for line in logged[:2]] == ["file_upload", "batch_create"]


async def test_a_large_batch_passes(gateway: Gateway, upstream: OpenAIBatches) -> None:
    requests = [asking(f"r{n}", user="x" * 400) for n in range(2000)]
    requests[7]["body"]["messages"][0]["content"] = "long" * 200_000

    made = await in_thread(create, gateway, extra_body={"requests": requests})

    assert made.request_counts.total == 2000
    told = [json.loads(line) for line in kept(upstream)["file-01"]["_content"].splitlines()]
    assert told == requests


async def test_other_endpoints_natively(gateway: Gateway, upstream: OpenAIBatches) -> None:
    body = {"model": "text-embedding-3-small", "input": "Hi"}
    requests = [{"custom_id": "a", "url": "/v1/embeddings", "body": body}]
    asked = {"provider": "openai", "requests": requests, "model": "openai/x"}

    answer = await gateway.post(asked, "/v1/batches")

    assert answer.status_code == 200, answer.text
    assert upstream.requests[1].json["endpoint"] == "/v1/embeddings"
    assert json.loads(kept(upstream)["file-01"]["_content"])["body"] == body


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "either input_file_id or requests array is required for OpenAI batch API"),
        ({"requests": [], "endpoint": CHAT}, "requests must not be empty"),
        ({"requests": {}, "endpoint": CHAT}, "requests must be an array"),
        ({"requests": [asking("a")], "input_file_id": "file-1"}, "cannot specify both"),
        ({"requests": [{"custom_id": "a", "body": {}}]}, "endpoint is required"),
        ({"requests": [asking("a")], "endpoint": "x"}, "endpoint must be a path"),
        ({"requests": [asking("a")], "endpoint": "/v1/embeddings"}, "requests[0].url must be"),
        ({"requests": [asking("a"), asking("b", "gpt-4o")]}, "must be for one model"),
        ({"requests": [asking("a"), asking("a")]}, "stands twice"),
        ({"requests": [asking("a", messages=5, reasoning={"effort": "low"}, reasoning_effort="low")]}, "requests[0].body: both"),
    ],
)  # fmt: skip
async def test_what_cannot_be_a_batch_is_told_before_anything_is_sent(
    gateway: Gateway, upstream: OpenAIBatches, body: Any, text: str
) -> None:
    answer = await gateway.post(body, "/openai/v1/batches")

    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]
    assert upstream.requests == []


async def test_a_batch_that_is_refused_leaves_no_file(
    gateway: Gateway, upstream: OpenAIBatches
) -> None:
    upstream.refusal = (400, "no batches today")

    with pytest.raises(openai.BadRequestError) as caught:
        await in_thread(create, gateway, extra_body={"requests": [asking("a")]})

    assert caught.value.body["message"] == "no batches today"  # type: ignore[index]  # any JSON
    assert kept(upstream) == {}
    assert [r.method for r in upstream.requests] == ["POST", "POST", "DELETE"]
    assert len({r.header("authorization") for r in upstream.requests}) == 1


@pytest.mark.parametrize(("status", "keeps"), [(500, False), (400, True)])
async def test_a_file_that_is_left_is_named(
    gateway: Gateway, upstream: OpenAIBatches, status: int, keeps: bool
) -> None:
    """Nobody knows of a batch that failed with 500 whether it was made."""
    upstream.refusal, upstream.keeps_files = (status, "no"), keeps

    answer = await gateway.post(
        {"requests": [asking("a")], "provider": "openai"}, "/openai/v1/batches"
    )

    assert answer.status_code == status
    text = "no (its input file file-01 is left with openai)"
    assert answer.json()["error"]["message"] == text
    assert "file-01" in kept(upstream)


async def test_a_caller_who_leaves_does_not_stop_it(
    gateway: Gateway, upstream: OpenAIBatches
) -> None:
    upstream.pause_s = 0.3
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/openai/v1/batches", json={"requests": [asking("a")]}, timeout=0.15)
    await gateway.wait_for("request completed", request_type="batch_create")

    assert {it["object"] for it in kept(upstream).values()} == {"file", "batch"}
