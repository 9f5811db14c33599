"""Batches and files by the real Anthropic SDK: of Anthropic itself as they came, of OpenAI and Gemini translated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import argon2
import httpx
import pytest

from system.batch_upstreams import AnthropicBatches, GeminiBatches
from system.openai_batches import OpenAIBatches
from system.process import Gateway, running
from system.sdk import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import trio

pytestmark = pytest.mark.system

CLAUDE = "claude-sonnet-4-5-20250929"
FLASH = "gemini-2.5-flash"
OPENED: list[anthropic.Anthropic] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
async def claude(nursery: trio.Nursery) -> AnthropicBatches:
    it = AnthropicBatches()
    await nursery.start(it.run)
    return it


@pytest.fixture
async def gemini(nursery: trio.Nursery) -> GeminiBatches:
    it = GeminiBatches()
    await nursery.start(it.run)
    return it


@pytest.fixture
async def openai(nursery: trio.Nursery) -> OpenAIBatches:
    it = OpenAIBatches()
    await nursery.start(it.run)
    return it


def provider(url: str, kind: str, **more: Any) -> dict[str, Any]:
    keys = [{"name": f"{kind}-{n}", "value": f"{kind}-canary-{n * 20}", **more} for n in "ab"]
    network = {"base_url": url, "max_retries": 0, "default_request_timeout_in_seconds": 5}
    return {"keys": keys, "network_config": network}


@pytest.fixture
async def gateway(
    claude: AnthropicBatches, gemini: GeminiBatches, openai: OpenAIBatches, tmp_path: Path
) -> AsyncIterator[Gateway]:
    """Two keys each."""
    providers = {
        "anthropic": provider(claude.url, "anthropic"),
        "gemini": provider(gemini.url, "gemini"),
        "openai": provider(openai.url, "openai"),
    }
    async with running({"providers": providers}, tmp_path) as it:
        yield it
    assert "canary" not in it.text


def sdk(gateway: Gateway, to: str = "") -> anthropic.Anthropic:
    client = anthropic.Anthropic(
        base_url=f"{gateway.url}/anthropic",
        api_key="unused",
        max_retries=0,
        default_headers={"x-model-provider": to} if to else {},
    )
    OPENED.append(client)
    return client


def asking(custom_id: str, model: str = CLAUDE, **more: Any) -> Any:
    message = {"role": "user", "content": [{"type": "text", "text": f"I am {custom_id}"}]}
    params = {"model": model, "max_tokens": 50, "messages": [message], **more}
    return {"custom_id": custom_id, "params": params}


def results(client: anthropic.Anthropic, name: str) -> dict[str, Any]:
    return {one.custom_id: one.result for one in client.messages.batches.results(name)}


async def test_a_batch_of_claude_from_its_beginning_to_its_end(
    gateway: Gateway, claude: AnthropicBatches
) -> None:
    client = sdk(gateway)
    batches = client.beta.messages.batches
    requests = [asking(name, top_k=3) for name in ("one", "bad", "late", "stopped")]
    requests.append(asking("named", f"anthropic/{CLAUDE}"))

    made = await in_thread(batches.create, requests=requests, betas=["output-300k-2026-03-24"])
    early = await in_thread(batches.retrieve, made.id)
    claude.finish()
    claude.piece_bytes = 7
    ended = await in_thread(client.messages.batches.retrieve, made.id)
    found = await in_thread(results, client, made.id)
    gone = await in_thread(batches.delete, made.id)
    with pytest.raises(anthropic.NotFoundError):
        await in_thread(batches.retrieve, made.id)

    assert (made.id, made.processing_status) == ("msgbatch_01", "in_progress")
    assert (early.request_counts.processing, early.results_url) == (5, None)
    assert ended.results_url == "/v1/messages/batches/msgbatch_01/results"
    assert found["one"].message.content[0].text == "Grüße, one 🦀"
    assert {name: one.type for name, one in found.items()} == {
        "one": "succeeded",
        "bad": "errored",
        "late": "expired",
        "stopped": "canceled",
        "named": "succeeded",
    }
    assert (gone.id, gone.type) == (made.id, "message_batch_deleted")
    sent = claude.requests[0]
    assert sent.json["requests"] == [*requests[:4], asking("named")]
    assert sent.path == "/v1/messages/batches"
    assert sent.header("anthropic-beta") == "output-300k-2026-03-24"
    # All but the last, which nobody has any more, by the key that made it.
    assert len({r.header("x-api-key") for r in claude.requests[:-2]}) == 1


async def test_a_batch_goes_on_byte_for_byte(gateway: Gateway, claude: AnthropicBatches) -> None:
    body = '{ "requests": [ {"custom_id": "a",  "params":{"max_tokens":5,"model":"%s","messages":[{"role":"user","content":[{"type":"text","text":"Hé"}]}]}} ] }'
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answer = await client.post(
            "/anthropic/v1/messages/batches",
            content=(body % CLAUDE).encode(),
            headers={"content-type": "application/json", "anthropic-version": "2023-06-01"},
        )

    assert answer.status_code == 200, answer.text
    assert claude.requests[0].body.decode() == body % CLAUDE
    assert answer.json()["type"] == "message_batch"
    assert answer.headers["request-id"]


async def test_batches_of_all_keys_are_listed(gateway: Gateway, claude: AnthropicBatches) -> None:
    client = sdk(gateway)
    for n in range(5):
        await in_thread(client.messages.batches.create, requests=[asking(f"r{n}")])
    # Whichever keys were drawn: both have some.
    spare = {"anthropic-canary-" + n * 20 for n in "ab"} - set(claude.accounts)
    for key in spare:
        claude.accounts[key]["msgbatch_09"] = {
            "id": "msgbatch_09",
            "type": "message_batch",
            "_requests": [],
        }

    def names(**more: Any) -> list[str]:
        return [one.id for one in client.messages.batches.list(limit=2, **more)]

    listed = await in_thread(names)
    stopped = await in_thread(client.messages.batches.cancel, "msgbatch_03")
    with pytest.raises(anthropic.BadRequestError, match="before_id is not supported"):
        await in_thread(names, before_id="msgbatch_03")
    pinned = {"x-bf-api-key": "anthropic-a"}
    whole = await in_thread(lambda: client.messages.batches.list(extra_headers=pinned).data)
    if len(whole) > 1:
        before = await in_thread(names, before_id=whole[-1].id, extra_headers=pinned)
        assert set(before) == {one.id for one in whole[:-1]}

    expected = {f"msgbatch_0{n}" for n in range(1, 6)} | ({"msgbatch_09"} if spare else set())
    assert set(listed) == expected
    assert len(listed) == len(expected)
    assert stopped.processing_status == "canceling"


async def test_files_of_claude(gateway: Gateway, claude: AnthropicBatches) -> None:
    client = sdk(gateway)
    text = b"line\r\n" * 100_000

    made = await in_thread(client.files.upload, file=("söme.txt", text), expires_in_seconds=3600)
    for _ in range(3):
        await in_thread(client.beta.files.upload, file=("b.txt", b"b"))
    seen = await in_thread(client.files.retrieve_metadata, made.id)
    got = await in_thread(lambda: client.beta.files.download(made.id).read())
    listed = await in_thread(lambda: [one.id for one in client.files.list(limit=1)])
    async with httpx.AsyncClient(base_url=gateway.url) as raw:
        old = (await raw.get("/anthropic/v1/files?limit=1")).json()
        path = f"/anthropic/v1/files?limit=9&after_id={old['last_id']}"
        rest = (await raw.get(path)).json()
    gone = await in_thread(client.beta.files.delete, made.id)
    with pytest.raises(anthropic.NotFoundError) as caught:
        await in_thread(client.files.retrieve_metadata, made.id)

    assert (made.type, made.size_bytes, made.filename) == ("file", len(text), "söme.txt")
    assert (seen.id, got) == (made.id, text)
    assert sorted(listed) == ["file_01", "file_02", "file_03", "file_04"]
    assert old["data"][0]["id"] not in [one["id"] for one in rest["data"]]
    assert (gone.id, gone.type) == (made.id, "file_deleted")
    assert caught.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]  # any JSON
    beta = "files-api-2025-04-14"
    assert all(r.header("anthropic-beta") == beta for r in claude.requests)
    assert claude.requests[0].body.count(b"expires_in_seconds") == 1


async def test_a_batch_of_openai_from_its_beginning_to_its_results(
    gateway: Gateway, openai: OpenAIBatches
) -> None:
    client = sdk(gateway, "openai")
    thinking = {"type": "enabled", "budget_tokens": 1024}
    requests = [
        asking("one", "gpt-4o-mini", system="Be kind", top_k=3),
        asking("bad", "gpt-4o-mini"),
    ]
    requests += [asking("late", "openai/gpt-4o-mini", thinking=thinking)]

    raw = await in_thread(client.messages.batches.with_raw_response.create, requests=requests)
    made = raw.parse()
    openai.finish()
    ended = await in_thread(client.messages.batches.retrieve, made.id)
    found = await in_thread(results, client, made.id)

    assert (made.id, made.type, made.processing_status) == (
        "batch_02",
        "message_batch",
        "in_progress",
    )
    assert made.request_counts.processing == 3
    assert raw.headers["x-bf-dropped-params"] == "top_k, reasoning"
    assert raw.headers["request-id"]
    assert (ended.processing_status, ended.ended_at.isoformat()) == (
        "ended",
        "2026-11-27T13:00:00+00:00",
    )
    assert (ended.request_counts.succeeded, ended.request_counts.errored) == (1, 2)
    assert ended.results_url == f"/v1/messages/batches/{made.id}/results?provider=openai"
    assert found["one"].message.content[0].text == "I am one 🦀"
    assert found["one"].message.stop_reason == "end_turn"
    assert found["bad"].error.error.type == "not_found_error"
    assert found["late"].type == "expired"
    upload, create = openai.requests[:2]
    assert upload.path == "/v1/files"
    assert create.json == {
        "input_file_id": "file-01",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    [account] = openai.accounts.values()
    lines = account[made.id]["_requests"]
    assert lines[0]["body"] == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "Be kind"},
            {"role": "user", "content": "I am one"},
        ],
        "max_completion_tokens": 50,
    }


async def test_a_model_says_whose_the_batch_is(gateway: Gateway, openai: OpenAIBatches) -> None:
    requests = [asking("one", "openai/gpt-4o-mini")]

    made = await in_thread(sdk(gateway).messages.batches.create, requests=requests)
    to = {"provider": "openai"}
    stopped = await in_thread(sdk(gateway).messages.batches.cancel, made.id, extra_query=to)

    assert made.id.startswith("batch_")
    assert (stopped.processing_status, stopped.id) == ("canceling", made.id)


async def test_lists_and_files_of_openai(gateway: Gateway, openai: OpenAIBatches) -> None:
    client = sdk(gateway, "openai")
    for n in range(4):
        await in_thread(client.messages.batches.create, requests=[asking(f"r{n}", "gpt-4o")])
    text = b"plain"

    made = await in_thread(client.files.upload, file=("a.txt", text), expires_in_seconds=7200)
    to = {"purpose": "user_data"}
    other = await in_thread(client.beta.files.upload, file=("b.txt", text), extra_body=to)
    batches = await in_thread(lambda: [one.id for one in client.messages.batches.list(limit=1)])
    files = await in_thread(lambda: [one.id for one in client.files.list(limit=2)])
    got = await in_thread(lambda: client.files.download(made.id).read())
    gone = await in_thread(client.files.delete, made.id)
    with pytest.raises(anthropic.BadRequestError, match="ids"):
        await in_thread(client.files.list, ids=["file-01"])
    with pytest.raises(anthropic.BadRequestError, match="batch_delete is not supported"):
        await in_thread(client.messages.batches.delete, batches[0])

    assert (made.type, made.filename, made.size_bytes) == ("file", "a.txt", 5)
    assert made.created_at.isoformat() == "2026-11-27T12:00:00+00:00"
    assert (made.expires_at.timestamp() - made.created_at.timestamp()) == 7200
    assert (got, gone.type) == (text, "file_deleted")
    assert len(batches) == len(set(batches)) == 4
    assert len(files) == len(set(files)) == 6
    kept = {i["id"]: i for account in openai.accounts.values() for i in account.values()}
    assert kept[other.id]["purpose"] == "user_data"


async def test_a_batch_and_a_file_of_gemini(gateway: Gateway, gemini: GeminiBatches) -> None:
    client = sdk(gateway, "gemini")
    requests = [asking(name, FLASH, system="Be kind") for name in ("one", "bad")]

    made = await in_thread(client.messages.batches.create, requests=requests)
    gemini.finish()
    ended = await in_thread(client.messages.batches.retrieve, made.id)
    found = await in_thread(results, client, made.id)
    listed = await in_thread(lambda: [one.id for one in client.messages.batches.list()])
    file = await in_thread(client.files.upload, file=("a.txt", b"text", "text/plain"))
    files = await in_thread(lambda: [one.id for one in client.files.list()])

    assert made.id == "batches-b1"
    assert (ended.processing_status, ended.request_counts.succeeded) == ("ended", 1)
    assert found["one"].message.content[0].text == "Grüße, one 🦀"
    assert found["bad"].error.error.type == "invalid_request_error"
    assert listed == [made.id]
    assert (file.mime_type, file.size_bytes) == ("text/plain", 4)
    assert files == [file.id]
    sent = gemini.requests[0]
    assert sent.header("anthropic-version") is None
    assert (
        "systemInstruction"
        in sent.json["batch"]["inputConfig"]["requests"]["requests"][0]["request"]
    )


async def test_what_is_lost_is_refused_where_the_caller_insists(
    gateway: Gateway, openai: OpenAIBatches, gemini: GeminiBatches
) -> None:
    client = sdk(gateway, "openai")
    requests = [asking("one", "gpt-4o", top_k=3)]
    strict = {"x-bf-strict": "true"}

    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        await in_thread(client.messages.batches.create, requests=requests, extra_headers=strict)

    assert openai.requests == gemini.requests == []


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("PUT", "/anthropic/v1/files", 405, "invalid_request_error"),
        ("GET", "/anthropic/v1/files/a/b", 404, "not_found_error"),
        ("GET", "/anthropic/v1/files/a%2fb", 400, "invalid_request_error"),
        ("GET", "/anthropic/v1/messages/batches/b?provider=nobody", 400, "invalid_request_error"),
        ("GET", "/anthropic/v1/messages/batches/b?provider=groq", 400, "invalid_request_error"),
        ("GET", "/anthropic/v1/messages/batches?after_id=eyJ2IjoyfQ", 400, "invalid_request_error"),
        ("POST", "/anthropic/v1/messages/batches", 400, "invalid_request_error"),
        (
            "GET",
            "/anthropic/v1/messages/batches/none/results?provider=openai",
            404,
            "invalid_request_error",
        ),
    ],
)
async def test_what_cannot_be_is_told_in_anthropics_shape(
    gateway: Gateway, method: str, path: str, status: int, kind: str
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answer = await client.request(method, path)

    assert answer.status_code == status, answer.text
    assert (answer.json()["type"], answer.json()["error"]["type"]) == ("error", kind)
    assert answer.json()["request_id"] == answer.headers["request-id"]
    if status == 405:
        assert answer.headers["allow"] == "POST, GET, OPTIONS"


async def test_nobody_is_let_in_without_a_login(claude: AnthropicBatches, tmp_path: Path) -> None:
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("hunter2")
    auth = {"is_enabled": True, "admin_username": "me", "admin_password": hashed}
    config = {
        "providers": {"anthropic": provider(claude.url, "anthropic")},
        "auth_config": auth | {"disable_auth_on_inference": False},
    }
    async with running(config, tmp_path) as it, httpx.AsyncClient(base_url=it.url) as client:
        shut = await client.get("/anthropic/v1/files")
        spelt = await client.get("/anthropic/v1/file%73")
        let_in = await client.get("/anthropic/v1/files", auth=("me", "hunter2"))

    assert (shut.status_code, shut.json()["error"]["type"]) == (401, "authentication_error")
    assert (spelt.status_code, let_in.status_code) == (401, 200)
