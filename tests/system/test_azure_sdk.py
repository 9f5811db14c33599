"""OpenAI's own clients of Azure against a running gateway: deployments in paths, stored keys and the caller's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import anthropic
import httpx
import openai
import pytest
import trio

from system.answers import named, response, response_events
from system.anthropic_upstream import claude
from system.process import Gateway, openai_provider, running
from system.sdk import OPENED, in_thread
from system.test_node_sdk import FOLDER, node
from system.upstream import Upstream, chat_answer, plain, status, stream, stream_chunks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system

__all__ = ["node"]

KEY = "azure-canary-aaaaaaaaaaaaaaaaaaaaaaaaaaaa"
OWN = "azure-canary-bbbbbbbbbbbbbbbbbbbbbbbbbbbb"
SECRET = "entra~canary~cccccccccccccccccccccc"
TOKEN = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJjYW5hcnkifQ.canary"
LOGIN = "POST /tenant-1/oauth2/v2.0/token"
VERSION = "2025-09-01"
MESSAGES: list[Any] = [{"role": "user", "content": "Say hello"}]
FORMS = pytest.mark.parametrize("path", ["", "/openai"], ids=["single", "doubled"])


def azure_provider(url: str, **more: Any) -> dict[str, Any]:
    azure = {
        "endpoint": url,
        "deployments": {
            "gpt-4o": "my-gpt",
            "sound": "my-sound",
            "plain": "plain",
            "best": "claude-4",
        },
        "api_version": VERSION,
    }
    return {
        "keys": [{"name": "stored", "value": KEY, "models": ["*"], "azure_key_config": azure}],
        "network_config": {"max_retries": 0},
        **more,
    }


def entra_provider(url: str) -> dict[str, Any]:
    azure = {
        "endpoint": url,
        "client_id": "client-1",
        "client_secret": SECRET,
        "tenant_id": "tenant-1",
        "authority_host": url,
    }
    return {
        "keys": [{"name": "entra", "azure_key_config": azure}],
        "network_config": {"max_retries": 0},
    }


def config(upstream: Upstream, azure: dict[str, Any], **client: Any) -> dict[str, Any]:
    providers = {
        "azure": azure,
        "openai": openai_provider(upstream.url, "sk-canary-openai-aaaaaaaaaaaa"),
    }
    return {"providers": providers, "client": client}


@pytest.fixture
async def gateway(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway with a stored key of Azure, to which callers may bring their own."""
    client = {"allow_direct_keys": True, "allow_private_network": True}
    async with running(config(upstream, azure_provider(upstream.url), **client), tmp_path) as it:
        yield it
    assert "canary" not in it.text


def sdk(gateway: Gateway, path: str = "", **more: Any) -> openai.AzureOpenAI:
    asked = {"api_key": "unused", "api_version": "2024-06-01", "max_retries": 0, **more}
    client = openai.AzureOpenAI(azure_endpoint=gateway.url + path, **asked)
    OPENED.append(client)
    return client


def query_of(path: str) -> dict[str, list[str]]:
    return parse_qs(path.partition("?")[2])


@FORMS
async def test_chat_by_deployment(gateway: Gateway, upstream: Upstream, path: str) -> None:
    create = sdk(gateway, path).chat.completions.create

    answer = await in_thread(create, model="gpt-4o", messages=MESSAGES)

    assert answer.choices[0].message.content == "Hello"
    extra = answer.extra_fields
    assert (extra["provider"], extra["model_requested"]) == ("azure", "gpt-4o")
    assert extra["model_deployment"] == "my-gpt"
    [received] = upstream.requests
    assert received.path == f"/openai/deployments/my-gpt/chat/completions?api-version={VERSION}"
    assert received.header("api-key") == KEY
    assert received.header("authorization") is None
    assert received.json["model"] == "my-gpt"


@FORMS
async def test_chat_streamed(gateway: Gateway, upstream: Upstream, path: str) -> None:
    filtered = {"id": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
    upstream.scripts["my-gpt"] = [stream([filtered, *stream_chunks()])]
    create = sdk(gateway, path).chat.completions.create

    def ask() -> list[Any]:
        return list(create(model="gpt-4o", messages=MESSAGES, stream=True))

    chunks = await in_thread(ask)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert {chunk.id for chunk in chunks} == {"chatcmpl-1"}
    assert chunks[-1].usage.total_tokens == 10


@FORMS
async def test_embeddings(gateway: Gateway, upstream: Upstream, path: str) -> None:
    item = {"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    upstream.scripts["plain"] = [plain({"object": "list", "data": [item], "usage": usage})]

    answer = await in_thread(
        sdk(gateway, path).embeddings.create, model="plain", input="x", encoding_format="float"
    )

    assert answer.data[0].embedding == [1.0, 2.0]
    [received] = upstream.requests
    assert received.path.startswith("/openai/deployments/plain/embeddings?")


@FORMS
async def test_responses_are_azures_by_the_client(
    gateway: Gateway, upstream: Upstream, path: str
) -> None:
    upstream.scripts["my-gpt"] = [plain(response()), named(response_events())]
    create = sdk(gateway, path).responses.create

    answer = await in_thread(create, model="gpt-4o", input="Hi")
    events = await in_thread(lambda: list(create(model="gpt-4o", input="Hi", stream=True)))

    assert answer.output_text == "Hello"
    assert events[-1].type == "response.completed"
    assert [r.path for r in upstream.requests] == ["/openai/v1/responses?api-version=preview"] * 2
    assert {r.header("api-key") for r in upstream.requests} == {KEY}


async def test_the_generally_available_form(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["my-gpt"] = [plain(response()), plain(chat_answer())]
    client = openai.OpenAI(
        base_url=gateway.url + "/openai/openai/v1/", api_key="unused", max_retries=0
    )
    OPENED.append(client)

    answer = await in_thread(client.responses.create, model="azure/gpt-4o", input="Hi")
    chat = await in_thread(client.chat.completions.create, model="azure/gpt-4o", messages=MESSAGES)

    assert answer.output_text == "Hello"
    assert chat.extra_fields["provider"] == "azure"


async def test_images(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["plain"] = [plain({"created": 1, "data": [{"b64_json": "aGk="}]})]

    answer = await in_thread(sdk(gateway).images.generate, model="plain", prompt="a cat")

    assert answer.data[0].b64_json == "aGk="
    assert upstream.requests[0].path.startswith("/openai/deployments/plain/images/generations?")


@FORMS
async def test_transcriptions(gateway: Gateway, upstream: Upstream, path: str) -> None:
    where = "/openai/deployments/my-sound/audio/transcriptions"
    upstream.scripts[f"POST {where}"] = [plain({"text": "hello"})]

    answer = await in_thread(
        sdk(gateway, path).audio.transcriptions.create,
        model="sound",
        file=("a.wav", b"RIFF", "audio/wav"),
    )

    assert answer.text == "hello"
    [received] = upstream.requests
    assert received.path == f"{where}?api-version={VERSION}"
    assert b'name="model"\r\n\r\nmy-sound\r\n' in received.body
    assert b"RIFF" in received.body


async def test_a_client_of_one_deployment(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["GET /openai/models"] = [plain({"object": "list", "data": [{"id": "gpt-4o"}]})]
    client = sdk(gateway, azure_deployment="gpt-4o")

    answer = await in_thread(client.chat.completions.create, model="whatever", messages=MESSAGES)
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        listed = await http.get("/openai/deployments/gpt-4o/models")

    assert answer.extra_fields["model_requested"] == "gpt-4o"
    assert {model["id"] for model in listed.json()["data"]} == {
        "azure/gpt-4o", "azure/sound", "azure/plain", "azure/best",
    }  # fmt: skip


async def test_a_deployment_of_another_provider(gateway: Gateway, upstream: Upstream) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        answer = await http.post(
            "/openai/deployments/openai/gpt-5/chat/completions", json={"messages": MESSAGES}
        )

    assert answer.json()["extra_fields"]["provider"] == "openai"
    [received] = upstream.requests
    assert (received.path, received.json["model"]) == ("/v1/chat/completions", "gpt-5")


# The SDK itself leaves its generators to the collector under trio.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
async def test_async_client(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["my-gpt"] = [plain(), stream()]
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=gateway.url, api_key="unused", api_version="2024-06-01", max_retries=0
    ) as client:
        create = client.chat.completions.create
        answer = await create(model="gpt-4o", messages=MESSAGES)
        chunks = [c async for c in await create(model="gpt-4o", messages=MESSAGES, stream=True)]

    assert answer.choices[0].message.content == "Hello"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"


async def test_files_and_batches(gateway: Gateway, upstream: Upstream) -> None:
    file = {"id": "file-1", "object": "file", "bytes": 2, "created_at": 1, "filename": "a.jsonl"}
    batch = {"id": "batch_1", "object": "batch", "status": "validating", "input_file_id": "file-1"}
    upstream.scripts |= {
        "POST /openai/files": [plain({**file, "purpose": "batch", "status": "processed"})],
        "POST /openai/batches": [plain(batch)],
    }
    client = sdk(gateway)

    made = await in_thread(client.files.create, file=("a.jsonl", b"{}"), purpose="batch")
    begun = await in_thread(
        client.batches.create,
        input_file_id="file-1",
        endpoint="/v1/chat/completions",
        completion_window="24h",
    )

    assert (made.id, begun.id) == ("file-1", "batch_1")
    assert [r.path for r in upstream.requests] == [
        f"/openai/files?api-version={VERSION}",
        f"/openai/batches?api-version={VERSION}",
    ]
    assert {r.header("api-key") for r in upstream.requests} == {KEY}


async def test_files_with_a_key_of_ones_own(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["GET /openai/files"] = [plain({"object": "list", "data": []})]
    client = sdk(
        gateway,
        api_key=OWN,
        api_version="2025-02-02",
        default_headers={"x-bf-azure-endpoint": upstream.url},
    )

    assert (await in_thread(client.files.list)).data == []

    [received] = upstream.requests
    assert received.path == "/openai/files?api-version=2025-02-02"
    assert received.header("api-key") == OWN


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/openai/deployments/d", "invalid azure deployment path"),
        ("/openai/deployments/chat/completions", "missing deployment id"),
        ("/openai/openai/deployments//chat/completions", "missing deployment id"),
        ("/openai/deployments/best/embeddings", "embedding is not supported by azure provider"),
        ("/openai/deployments/d/images/variations", "has to be multipart/form-data"),
    ],
)
async def test_what_cannot_be_served_is_told(gateway: Gateway, path: str, text: str) -> None:
    asked = {"messages": MESSAGES, "input": "x"}
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        answer = await http.post(path, json=asked)
        wrong = await http.get("/openai/deployments/d/chat/completions")

    assert answer.status_code == 400
    assert text in json.dumps(answer.json()["error"])
    assert wrong.status_code == 405


async def test_metrics_have_the_template_of_a_path(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        for name in ("a1", "b2"):
            await http.post(
                f"/openai/deployments/{name}/chat/completions", json={"messages": MESSAGES}
            )
        metrics = (await http.get("/metrics")).text

    assert "/openai/deployments/{path}/chat/completions" in metrics
    assert "/openai/deployments/a1" not in metrics


# Deployments of Claude

CLAUDES = "/anthropic/v1/messages"


def serve_claude(upstream: Upstream) -> None:
    upstream.scripts |= {f"POST {CLAUDES}{path}": [claude()] for path in ("", "/count_tokens")}


async def test_claude_by_openais_client(gateway: Gateway, upstream: Upstream) -> None:
    serve_claude(upstream)
    client = sdk(gateway)
    create = client.chat.completions.create

    answer = await in_thread(create, model="best", messages=MESSAGES)
    chunks = await in_thread(lambda: list(create(model="best", messages=MESSAGES, stream=True)))
    response = await in_thread(client.responses.create, model="best", input="Hi")
    events = await in_thread(
        lambda: list(client.responses.create(model="best", input="Hi", stream=True))
    )

    assert answer.choices[0].message.content == "Hello"
    assert answer.extra_fields["model_deployment"] == "claude-4"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert chunks[-1].usage.total_tokens == 34
    assert response.output_text == "Hello"
    assert events[-1].type == "response.completed"
    assert [(r.path, r.json["model"]) for r in upstream.requests] == [(CLAUDES, "claude-4")] * 4
    assert {r.header("x-api-key") for r in upstream.requests} == {KEY}
    assert {r.header("api-key") for r in upstream.requests} == {None}


async def test_claude_by_anthropics_client(gateway: Gateway, upstream: Upstream) -> None:
    serve_claude(upstream)
    said = [{"type": "text", "text": "Hi"}]
    ask: Any = {"model": "azure/best", "messages": [{"role": "user", "content": said}]}
    with anthropic.Anthropic(
        base_url=f"{gateway.url}/anthropic", api_key="unused", max_retries=0
    ) as client:

        def streamed() -> str:
            with client.messages.stream(max_tokens=64, **ask) as stream:
                return stream.get_final_text()

        counted = await in_thread(client.messages.count_tokens, **ask)
        text = await in_thread(streamed)

    assert (counted.input_tokens, text) == (14, "Hello")
    assert [r.path for r in upstream.requests] == [f"{CLAUDES}/count_tokens", CLAUDES]
    assert [r.json["model"] for r in upstream.requests] == ["claude-4"] * 2
    raw = b'{"model":"azure/best", "max_tokens":64,"messages":[{"role":"user","content":[{"type":"text","text":"h\\u0069"}]}], "top_k": 5}'
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        answer = await http.post("/anthropic/v1/messages", content=raw)
    assert upstream.requests[-1].body == raw.replace(b"azure/best", b"claude-4").replace(
        b", ", b","
    ).replace(b'k": ', b'k":')
    assert answer.json()["content"] == [{"type": "text", "text": "Hello"}]


async def test_claude_by_a_token_of_entra(upstream: Upstream, tmp_path: Path) -> None:
    told = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}
    upstream.scripts[LOGIN] = [plain(told)]
    serve_claude(upstream)
    async with running(config(upstream, entra_provider(upstream.url)), tmp_path) as gateway:
        # This Claude knows keys only.
        with pytest.raises(openai.AuthenticationError):
            await in_thread(
                sdk(gateway).chat.completions.create, model="claude-4", messages=MESSAGES
            )
        assert upstream.requests[-1].header("authorization") == f"Bearer {TOKEN}"
        assert upstream.requests[-1].path == CLAUDES


# A key of the caller's own


@FORMS
async def test_a_key_of_ones_own(gateway: Gateway, upstream: Upstream, path: str) -> None:
    client = sdk(
        gateway,
        path,
        api_key=OWN,
        api_version="2025-02-02",
        default_headers={"x-bf-azure-endpoint": upstream.url},
    )

    answer = await in_thread(client.chat.completions.create, model="his", messages=MESSAGES)

    assert answer.choices[0].message.content == "Hello"
    [received] = upstream.requests
    assert received.path == "/openai/deployments/his/chat/completions?api-version=2025-02-02"
    assert received.header("api-key") == OWN


async def test_a_token_of_ones_own(gateway: Gateway, upstream: Upstream) -> None:
    client = sdk(
        gateway,
        api_key=None,
        azure_ad_token=TOKEN,
        default_headers={"x-bf-azure-endpoint": upstream.url},
    )

    await in_thread(client.chat.completions.create, model="his", messages=MESSAGES)

    [received] = upstream.requests
    assert received.header("authorization") == f"Bearer {TOKEN}"
    assert received.header("api-key") is None


async def test_a_private_endpoint_is_refused_unless_permitted(
    upstream: Upstream, tmp_path: Path
) -> None:
    azure = azure_provider(upstream.url)
    async with running(config(upstream, azure, allow_direct_keys=True), tmp_path) as gateway:
        client = sdk(gateway, api_key=OWN, default_headers={"x-bf-azure-endpoint": upstream.url})
        with pytest.raises(openai.BadRequestError, match="private address") as caught:
            await in_thread(client.chat.completions.create, model="his", messages=MESSAGES)

    assert caught.value.param == "x-bf-azure-endpoint"
    assert upstream.requests == []
    assert "canary" not in gateway.text


# Entra


def granted(token: str = TOKEN, expires_in: int = 3600) -> Any:
    return plain({"token_type": "Bearer", "access_token": token, "expires_in": expires_in})


async def test_a_service_principal_logs_in_before_the_first_call(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts[LOGIN] = [granted()]
    azure = entra_provider(upstream.url)
    async with running(config(upstream, azure), tmp_path) as gateway:
        create = sdk(gateway).chat.completions.create
        answer = await in_thread(create, model="gpt-4o", messages=MESSAGES)

    assert answer.choices[0].message.content == "Hello"
    login, call = upstream.requests
    assert parse_qs(login.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client-1"],
        "client_secret": [SECRET],
        "scope": ["https://cognitiveservices.azure.com/.default"],
    }
    assert call.header("authorization") == f"Bearer {TOKEN}"
    assert call.header("api-key") is None
    assert "canary" not in gateway.text


async def test_a_login_that_refuses_is_logged_and_served_when_it_does_not(
    upstream: Upstream, tmp_path: Path
) -> None:
    echo = {"error": "invalid_client", "error_description": f"bad secret {SECRET}"}
    upstream.scripts[LOGIN] = [status(401, echo), granted()]
    azure = entra_provider(upstream.url)
    async with running(config(upstream, azure), tmp_path) as gateway:
        [line] = await gateway.wait_for("token not fetched")
        create = sdk(gateway, max_retries=5).chat.completions.create
        answer = await in_thread(create, model="gpt-4o", messages=MESSAGES)

    assert line["reason"] == "no token: 401 invalid_client: bad secret ***"
    assert answer.choices[0].message.content == "Hello"
    assert "canary" not in gateway.text


async def test_a_reload_brings_another_principal(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts[LOGIN] = [granted("one")]
    upstream.scripts["POST /tenant-2/oauth2/v2.0/token"] = [granted("two")]
    azure = entra_provider(upstream.url)
    async with running(config(upstream, azure), tmp_path) as gateway:
        azure["keys"][0]["azure_key_config"]["tenant_id"] = "tenant-2"
        gateway.reconfigure(config(upstream, azure))
        await gateway.wait_for("configuration reloaded")
        create = sdk(gateway, max_retries=5).chat.completions.create
        await in_thread(create, model="gpt-4o", messages=MESSAGES)

        gateway.reconfigure(config(upstream, azure_provider(upstream.url)))
        await gateway.wait_for("configuration reloaded", 2)
        await in_thread(create, model="gpt-4o", messages=MESSAGES)

    one, two = (r for r in upstream.requests if r.path.startswith("/openai/"))
    assert one.header("authorization") == "Bearer two"
    assert (two.header("api-key"), two.header("authorization")) == (KEY, None)


# The client for Node


@pytest.mark.node
@FORMS
async def test_the_node_client(node: str, gateway: Gateway, upstream: Upstream, path: str) -> None:
    upstream.scripts |= {
        "plain": [plain(), stream(), plain()],
        "POST /openai/deployments/my-sound/audio/transcriptions": [plain({"text": "hello"})],
        "my-gpt": [plain(response())],
    }
    with trio.fail_after(60):
        done = await trio.run_process(
            [node, str(FOLDER / "azure.mjs"), gateway.url + path, upstream.url],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)

    assert found["plain"] == {"text": "Hello", "provider": "azure"}
    assert found["stream"] == "Hello"
    assert found["transcription"] == "hello"
    assert found["response"] == "Hello"
    assert found["own"] == "Hello"
    assert found["baseURL"] == "Hello"
    assert upstream.requests[-2].header("api-key") == "his-own-key-1234"
