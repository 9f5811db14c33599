"""Files and batches of Anthropic and Gemini, by OpenAI's own client and natively."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from system.batch_upstreams import AnthropicBatches, GeminiBatches
from system.process import Gateway, running
from system.sdk import in_thread, sdk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import trio

pytestmark = pytest.mark.system

CLAUDE = "claude-sonnet-4-5-20250929"
FLASH = "gemini-2.5-flash"


@pytest.fixture
async def anthropic(nursery: trio.Nursery) -> AnthropicBatches:
    it = AnthropicBatches()
    await nursery.start(it.run)
    return it


@pytest.fixture
async def gemini(nursery: trio.Nursery) -> GeminiBatches:
    it = GeminiBatches()
    await nursery.start(it.run)
    return it


def provider(url: str, kind: str) -> dict[str, Any]:
    keys = [{"name": f"{kind}-{n}", "value": f"{kind}-canary-{n * 20}"} for n in "ab"]
    network = {"base_url": url, "max_retries": 0, "default_request_timeout_in_seconds": 5}
    return {"keys": keys, "network_config": network}


@pytest.fixture
async def gateway(
    anthropic: AnthropicBatches, gemini: GeminiBatches, tmp_path: Path
) -> AsyncIterator[Gateway]:
    """Two keys each."""
    providers = {
        "anthropic": provider(anthropic.url, "anthropic"),
        "gemini": provider(gemini.url, "gemini"),
    }
    async with running({"providers": providers}, tmp_path) as it:
        yield it
    assert "canary" not in it.text


def chat(custom_id: str, model: str, **more: Any) -> dict[str, Any]:
    """A line of OpenAI's batch input."""
    body = {"model": model, "messages": [{"role": "user", "content": f"I am {custom_id}"}]}
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body | more,
    }


def create(gateway: Gateway, to: str, **body: Any) -> Any:
    """``batches.create`` without an input file."""
    return sdk(gateway).batches.create(
        input_file_id=openai.omit,  # type: ignore[arg-type]  # the SDK demands what the door does not
        endpoint="/v1/chat/completions",
        completion_window="24h",
        extra_body={"provider": to, **body},
    )


def content(gateway: Gateway, name: str, to: str) -> list[dict[str, Any]]:
    text = sdk(gateway).files.content(name, extra_query={"provider": to}).text
    return [json.loads(line) for line in text.splitlines()]


def said(line: dict[str, Any]) -> Any:
    return line["response"]["body"]["choices"][0]["message"]["content"]


async def test_a_batch_of_claude_from_its_beginning_to_its_results(
    gateway: Gateway, anthropic: AnthropicBatches
) -> None:
    native = {
        "model": CLAUDE,
        "max_tokens": 10,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    requests = [
        chat("one", f"anthropic/{CLAUDE}", max_tokens=50, seed=7),
        {"custom_id": "native", "params": native},
        {"custom_id": "by-url", "url": "/v1/messages", "body": native},
        *(chat(name, CLAUDE) for name in ("bad", "late", "stopped")),
    ]
    batches = sdk(gateway).batches

    made = await in_thread(create, gateway, "anthropic", requests=requests)
    anthropic.finish()
    anthropic.piece_bytes = 7
    ended = await in_thread(batches.retrieve, made.id, extra_query={"provider": "anthropic"})
    lines = await in_thread(content, gateway, ended.output_file_id, "anthropic")

    assert (made.id, made.object, made.status) == ("msgbatch_01", "batch", "in_progress")
    assert made.request_counts.total == 6
    assert made.extra_fields["dropped_params"] == ["seed"]
    assert made.output_file_id is None
    assert (ended.status, ended.processing_status) == ("completed", "ended")
    assert ended.output_file_id == "batch-results-msgbatch_01"
    assert (ended.created_at, ended.completed_at) == (1795780800, 1795784400)
    assert (ended.request_counts.completed, ended.request_counts.failed) == (1, 1)
    sent = anthropic.requests[0].json["requests"]
    assert sent[1]["params"] == sent[2]["params"] == native
    assert sent[0]["params"]["max_tokens"] == 50
    found = {line["custom_id"]: line for line in lines}
    assert [line["custom_id"] for line in lines] == [r["custom_id"] for r in reversed(requests)]
    assert said(found["one"]) == "Grüße, one 🦀"
    assert said(found["native"]) == "Grüße, native 🦀"
    assert found["one"]["response"]["body"]["usage"]["total_tokens"] == 16
    assert found["bad"]["response"]["status_code"] == 400
    assert found["bad"]["error"]["code"] == "invalid_request_error"
    assert found["late"]["error"]["code"] == "batch_expired"
    assert found["stopped"]["response"] is None
    # All by the key that made it.
    assert len({r.header("x-api-key") for r in anthropic.requests}) == 1


async def test_the_results_natively(gateway: Gateway, anthropic: AnthropicBatches) -> None:
    requests = [chat(name, CLAUDE) for name in ("one", "bad", "late", "stopped")]
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        asked = {"provider": "anthropic", "requests": requests}
        made = (await client.post("/v1/batches", json=asked)).json()
        path = f"/v1/batches/{made['id']}"
        early = await client.get(f"{path}/results?provider=anthropic")
        anthropic.finish()
        ended = (await client.get(f"{path}?provider=anthropic")).json()
        told = await client.get(f"{path}/results?provider=anthropic")
        none = await client.get("/v1/batches/msgbatch_none/results?provider=anthropic")

    assert ended["status"] == "ended"
    assert (early.status_code, early.json()["error"]["message"]) == (
        400,
        "batch results not available: output_file_id is empty (batch may not be completed)",
    )
    assert none.status_code == 404
    assert told.headers["content-type"] == "application/json"
    answer = told.json()
    assert answer["batch_id"] == made["id"]
    assert {r["custom_id"]: r["result"]["type"] for r in answer["results"]} == {
        "one": "succeeded",
        "bad": "errored",
        "late": "expired",
        "stopped": "canceled",
    }
    assert answer["extra_fields"] == {"request_type": "batch_results", "provider": "anthropic"}


async def test_results_that_break_off_have_no_end(
    gateway: Gateway, anthropic: AnthropicBatches
) -> None:
    """Far too many for one block, so that the answer has begun when it breaks off."""
    requests = [chat(f"r{n}", CLAUDE, user="x" * 200) for n in range(1500)]
    made = await in_thread(create, gateway, "anthropic", requests=requests)
    anthropic.finish()

    lines = await in_thread(content, gateway, f"batch-results-{made.id}", "anthropic")
    anthropic.cuts = True
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        for path in (
            f"/openai/v1/files/batch-results-{made.id}/content",
            f"/v1/batches/{made.id}/results",
        ):
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(path, params={"provider": "anthropic"})

    assert [line["custom_id"] for line in lines] == [r["custom_id"] for r in reversed(requests)]


async def test_what_is_lost_is_refused_where_the_caller_insists(
    gateway: Gateway, anthropic: AnthropicBatches
) -> None:
    body = {"provider": "anthropic", "metadata": {"a": "b"}, "requests": [chat("a", CLAUDE)]}
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answer = await client.post("/v1/batches", json=body, headers={"x-bf-strict": "true"})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "metadata")
    assert anthropic.requests == []


async def test_claude_s_batches_are_listed_and_cancelled(
    gateway: Gateway, anthropic: AnthropicBatches
) -> None:
    for n in range(5):
        await in_thread(create, gateway, "anthropic", requests=[chat(f"r{n}", CLAUDE)])
    batches = sdk(gateway).batches

    def names() -> list[str]:
        return [one.id for one in batches.list(limit=2, extra_query={"provider": "anthropic"})]

    listed = await in_thread(names)
    stopped = await in_thread(batches.cancel, "msgbatch_03", extra_body={"provider": "anthropic"})

    assert sorted(listed) == [f"msgbatch_0{n}" for n in range(1, 6)]
    assert (stopped.id, stopped.status) == ("msgbatch_03", "cancelling")
    assert stopped.cancelling_at == 1795784400


async def test_files_of_anthropic(gateway: Gateway, anthropic: AnthropicBatches) -> None:
    files, to = sdk(gateway).files, {"provider": "anthropic"}
    text = b"line\r\n" * 100_000

    made = await in_thread(
        files.create, file=("söme.txt", text), purpose="user_data", extra_body=to
    )
    for _ in range(3):
        await in_thread(files.create, file=("b.txt", b"b"), purpose="assistants", extra_body=to)
    seen = await in_thread(files.retrieve, made.id, extra_query=to)
    got = await in_thread(lambda: files.content(made.id, extra_query=to).read())
    listed = await in_thread(lambda: [one.id for one in files.list(limit=1, extra_query=to)])
    gone = await in_thread(files.delete, made.id, extra_query=to)
    with pytest.raises(openai.NotFoundError):
        await in_thread(files.retrieve, made.id, extra_query=to)

    assert (made.object, made.bytes, made.filename) == ("file", len(text), "söme.txt")
    assert (made.purpose, made.status, made.created_at) == ("user_data", "processed", 1795780800)
    assert (seen.id, got) == (made.id, text)
    assert sorted(listed) == ["file_01", "file_02", "file_03", "file_04"]
    assert (gone.id, gone.deleted) == (made.id, True)


async def test_a_batch_of_gemini_with_its_requests_in_it(
    gateway: Gateway, gemini: GeminiBatches
) -> None:
    native = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    requests = [
        chat("one", f"gemini/{FLASH}", temperature=0.5, user="u"),
        {"custom_id": "native", "params": native},
        *(chat(name, FLASH) for name in ("bad", "denied")),
    ]
    batches, to = sdk(gateway).batches, {"provider": "gemini"}

    made = await in_thread(create, gateway, "gemini", requests=requests)
    with pytest.raises(openai.BadRequestError, match="not available"):
        await in_thread(content, gateway, f"batch-results-{made.id}", "gemini")
    gemini.finish()
    ended = await in_thread(batches.retrieve, made.id, extra_query=to)
    lines = await in_thread(content, gateway, ended.output_file_id, "gemini")

    assert (made.id, made.status) == ("batches-b1", "in_progress")
    assert made.extra_fields["dropped_params"] == ["user"]
    assert gemini.requests[0].path == f"/v1beta/models/{FLASH}:batchGenerateContent"
    assert (ended.status, ended.output_file_id) == ("completed", "batch-results-batches-b1")
    assert (ended.request_counts.total, ended.request_counts.failed) == (4, 2)
    assert (ended.created_at, ended.completed_at) == (1795780800, 1795784400)
    assert [line["custom_id"] for line in lines] == ["one", "native", "bad", "denied"]
    assert [said(line) for line in lines[:2]] == ["Grüße, one 🦀", "Grüße, native 🦀"]
    assert [line["response"]["status_code"] for line in lines] == [200, 200, 400, 429]
    assert lines[3]["error"]["code"] == "RESOURCE_EXHAUSTED"


async def test_a_batch_of_gemini_by_a_file(gateway: Gateway, gemini: GeminiBatches) -> None:
    request = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    keys = ("a", "bad", "z")
    lines = b"".join(json.dumps({"key": k, "request": request}).encode() + b"\n" for k in keys)
    client, to = sdk(gateway), {"provider": "gemini"}

    file = await in_thread(
        client.files.create, file=("in.jsonl", lines), purpose="batch", extra_body=to
    )
    made = await in_thread(
        client.batches.create,
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        extra_body={"provider": "gemini", "model": "gemini-2.5-pro"},
    )
    gemini.finish()
    gemini.piece_bytes = 11
    ended = await in_thread(client.batches.retrieve, made.id, extra_query=to)
    told = await in_thread(content, gateway, ended.output_file_id, "gemini")
    with pytest.raises(openai.BadRequestError, match="are the content of batch-results-files-f3-x"):
        await in_thread(content, gateway, f"batch-results-{made.id}", "gemini")

    assert gemini.requests[1].path == "/v1beta/models/gemini-2.5-pro:batchGenerateContent"
    assert made.input_file_id == file.id == "files-f1-x"
    assert ended.output_file_id == "batch-results-files-f3-x"
    assert [line["custom_id"] for line in told] == list(keys)
    assert said(told[2]) == "Grüße, z 🦀"
    assert len({r.header("x-goog-api-key") for r in gemini.requests}) == 1
    async with httpx.AsyncClient(base_url=gateway.url) as native:
        answer = await native.get(f"/v1/batches/{made.id}/results?provider=gemini")
    assert [one["result"]["type"] for one in answer.json()["results"]] == [
        "succeeded",
        "errored",
        "succeeded",
    ]


async def test_files_of_gemini(gateway: Gateway, gemini: GeminiBatches) -> None:
    files, to = sdk(gateway).files, {"provider": "gemini"}
    text = bytes(range(256)) * 4000

    made = await in_thread(
        files.create, file=("a.bin", text, "image/png"), purpose="vision", extra_body=to
    )
    for _ in range(4):
        await in_thread(files.create, file=("b.txt", b"b"), purpose="user_data", extra_body=to)
    seen = await in_thread(files.retrieve, made.id, extra_query=to)
    listed = await in_thread(lambda: [one.id for one in files.list(limit=2, extra_query=to)])
    with pytest.raises(openai.BadRequestError, match="doesn't support direct content download"):
        await in_thread(lambda: files.content(made.id, extra_query=to).read())
    gone = await in_thread(files.delete, made.id, extra_query=to)
    with pytest.raises(openai.NotFoundError):
        await in_thread(files.retrieve, made.id, extra_query=to)

    assert (made.id, made.bytes, made.filename) == ("files-f1-x", len(text), "a.bin")
    assert (made.purpose, made.status) == ("vision", "processed")
    assert (seen.id, seen.expires_at) == (made.id, 1795953600)
    assert sorted(listed) == [f"files-f{n}-x" for n in range(1, 6)]
    assert (gone.id, gone.deleted) == (made.id, True)


async def test_raw_clients_page_by_cursors(gateway: Gateway, gemini: GeminiBatches) -> None:
    for _ in range(5):
        await in_thread(create, gateway, "gemini", requests=[chat("a", FLASH)])
    seen, after = [], ""
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        while True:
            query = {"provider": "gemini", "limit": "2", "after": after}
            page = (await client.get("/v1/batches", params=query)).json()
            seen += [one["id"] for one in page["data"]]
            if not page["has_more"]:
                break
            after = page["next_cursor"]
        unknown = {"provider": "gemini", "after": "batches-nobody"}
        lost = await client.get("/openai/v1/batches", params=unknown)

    assert sorted(seen) == [f"batches-b{n}" for n in range(1, 6)]
    assert lost.status_code == 400
    assert lost.json()["error"]["param"] == "after"


async def test_a_batch_of_gemini_is_cancelled(gateway: Gateway, gemini: GeminiBatches) -> None:
    made = await in_thread(create, gateway, "gemini", requests=[chat("a", FLASH)])

    stopped = await in_thread(
        sdk(gateway).batches.cancel, made.id, extra_body={"provider": "gemini"}
    )
    seen = await in_thread(
        sdk(gateway).batches.retrieve, made.id, extra_query={"provider": "gemini"}
    )

    assert (stopped.id, stopped.status) == (made.id, "cancelling")
    assert stopped.endpoint == "/v1/chat/completions"
    assert seen.status == "cancelled"


@pytest.mark.parametrize(
    ("to", "body", "text"),
    [
        ("anthropic", {"input_file_id": "file_1"}, "requests array is required for Anthropic batch API"),
        ("anthropic", {}, "requests array is required for Anthropic batch API"),
        ("anthropic", {"requests": []}, "requests must not be empty"),
        ("anthropic", {"requests": [chat("a b", CLAUDE)]}, "letters, digits"),
        ("anthropic", {"requests": [chat("a", CLAUDE), chat("a", CLAUDE)]}, "stands twice"),
        ("anthropic", {"requests": [chat("a", CLAUDE, messages="x")]}, "requests[0].body"),
        ("gemini", {}, "either input_file_id or requests must be provided"),
        (
            "gemini",
            {"input_file_id": "files-1", "requests": [chat("a", FLASH)]},
            "cannot specify both input_file_id and requests",
        ),
        ("gemini", {"requests": [chat("a", FLASH), chat("b", "gemini-2.5-pro")]}, "one model"),
        ("gemini", {"endpoint": "/v1/embeddings", "requests": [chat("a", FLASH)]}, "endpoint"),
    ],
)  # fmt: skip
async def test_what_cannot_be_a_batch_is_told(
    gateway: Gateway,
    anthropic: AnthropicBatches,
    gemini: GeminiBatches,
    to: str,
    body: Any,
    text: str,
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answer = await client.post("/openai/v1/batches", json={"provider": to, **body})

    assert answer.status_code == 400, answer.text
    assert text in answer.json()["error"]["message"]
    assert anthropic.requests == gemini.requests == []
