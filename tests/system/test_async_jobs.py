"""Asynchronous jobs of a real process: by the OpenAI SDK's own methods, by route, over a drain, a kill and a lost disk."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
import trio

from system.answers import response
from system.process import Gateway, for_all_of, openai_provider, running
from system.sdk import in_thread, sdk
from system.upstream import Behaviour, Received, Upstream, chat_answer, plain, raw, status

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

ASYNC = {"x-bf-async": "true"}
GOOD: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
ROUTE = "/v1/async/chat/completions"
NATIVE = {**GOOD, "model": "openai/gpt-4o"}
DIRECT = "sk-direct-canary-dddddddddddddddd"
VIRTUAL = "sk-bf-canary-eeeeeeeeeeeeeeeeeeeeee"


def config(upstream: Upstream, **client: Any) -> dict[str, Any]:
    more: dict[str, Any] = {"network_config": {"max_retries": 0}}
    return {"client": client, "providers": {"openai": openai_provider(upstream.url, **more)}}


async def ended(gateway: Gateway, job_id: str, route: str = ROUTE, **more: Any) -> Any:
    """What the route says of the job, once it is over."""
    with trio.fail_after(30):
        while (answer := await gateway.get(f"{route}/{job_id}", **more)).status_code == 202:
            await trio.sleep(0.02)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def handed_in(gateway: Gateway, body: Any = NATIVE, **more: Any) -> str:
    answer = await gateway.post(body, ROUTE, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def held(release: trio.Event, behaviour: Behaviour) -> Behaviour:
    async def behave(conn: trio.SocketStream, received: Received) -> None:
        await release.wait()
        await behaviour(conn, received)

    return behave


# The SDK


def is_pending(answer: Any) -> bool:
    return bool(answer.headers["x-bf-async-status"] in ("pending", "processing"))


async def polled(create: Any, job_id: str) -> Any:
    """The answer of an SDK's method, once the job is over."""
    with trio.fail_after(30):
        while is_pending(answer := await in_thread(create, {"x-bf-async-id": job_id})):
            await trio.sleep(0.02)
    return answer


async def test_a_chat_completion(gateway: Gateway, upstream: Upstream) -> None:
    release = trio.Event()
    upstream.scripts["gpt-4o"] = [held(release, plain())]
    client = sdk(gateway)

    def create(headers: dict[str, str]) -> Any:
        return client.chat.completions.create(**GOOD, extra_headers=headers)

    pending = await in_thread(create, ASYNC)
    again = await in_thread(create, {"x-bf-async-id": pending.id})
    release.set()
    await ended(gateway, pending.id)
    done = await in_thread(create, {"x-bf-async-id": pending.id})

    assert pending.choices == again.choices == []
    assert (pending.object, pending.model, pending.id) == ("chat.completion", "gpt-4o", again.id)
    assert done.choices[0].message.content == "Hello"
    assert done.id == "chatcmpl-1"
    assert len(upstream.of("gpt-4o")) == 1


async def test_a_response(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["m"] = [plain(response())]
    client = sdk(gateway)

    def create(headers: dict[str, str]) -> Any:
        return client.responses.with_raw_response.create(
            model="m", input="Hi", extra_headers=headers
        )

    pending = (await in_thread(create, ASYNC)).parse()
    done = (await polled(create, pending.id)).parse()

    assert (pending.object, pending.status, pending.output_text) == ("response", "pending", "")
    assert (done.status, done.output_text) == ("completed", "Hello")


async def test_embeddings(gateway: Gateway, upstream: Upstream) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    upstream.scripts["e"] = [
        plain({"object": "list", "data": [vector], "model": "e", "usage": usage})
    ]
    client = sdk(gateway)

    def create(headers: dict[str, str]) -> Any:
        return client.embeddings.with_raw_response.create(
            model="e", input="Hi", extra_headers=headers
        )

    pending = await in_thread(create, ASYNC)
    done = (await polled(create, pending.headers["x-bf-async-id"])).parse()

    assert json.loads(pending.content)["data"] == []
    with pytest.raises(ValueError, match="No embedding data"):
        pending.parse()
    assert done.data[0].embedding == [0.5, 1.0]


async def test_speech(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["tts"] = [status(200, b"\xff\xfbsound", {"content-type": "audio/mpeg"})]
    client = sdk(gateway)

    def create(headers: dict[str, str]) -> Any:
        return client.audio.speech.with_raw_response.create(
            model="tts", voice="alloy", input="Hi", extra_headers=headers
        )

    pending = await in_thread(create, ASYNC)
    done = await polled(create, pending.headers["x-bf-async-id"])

    assert json.loads(pending.content)["object"] == "audio.speech"
    assert (done.headers["content-type"], done.content) == ("audio/mpeg", b"\xff\xfbsound")


async def test_a_failed_job_raises_what_the_call_would_have(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["m"] = [status(422, {"error": {"message": "no", "type": "t", "code": "c"}})]
    client = sdk(gateway)

    def create(headers: dict[str, str]) -> Any:
        return client.chat.completions.create(**{**GOOD, "model": "m"}, extra_headers=headers)

    pending = await in_thread(create, ASYNC)
    told = await ended(gateway, pending.id)
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        await in_thread(create, {"x-bf-async-id": pending.id})

    assert (told["status"], told["status_code"]) == ("failed", 422)
    assert told["error"]["error"]["message"] == "no"
    assert "result" not in told
    assert caught.value.code == "c"


async def test_streams_are_refused(gateway: Gateway) -> None:
    by_header = await gateway.post({**GOOD, "stream": True}, headers=ASYNC)
    by_route = await gateway.post({**NATIVE, "stream": True}, ROUTE)

    assert by_header.status_code == by_route.status_code == 400
    told = [answer.json()["error"]["message"] for answer in (by_header, by_route)]
    assert told == [
        "streaming is not supported for async requests",
        "stream is not supported for async chat completions",
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/openai/v1/batches", "async is not supported for batch, file, or container operations"),
        ("/openai/v1/conversations", "async operation is not supported on this route"),
    ],
)
async def test_what_is_relayed_is_no_job(
    gateway: Gateway, upstream: Upstream, path: str, words: str
) -> None:
    answer = await gateway.post({}, path, headers=ASYNC)

    assert (answer.status_code, answer.json()["error"]["message"]) == (400, words)
    assert upstream.requests == []


async def test_a_header_that_says_no(gateway: Gateway, upstream: Upstream) -> None:
    for value in ("false", "0", ""):
        answer = await gateway.post(GOOD, headers={"x-bf-async": value})
        assert answer.json()["choices"][0]["message"]["content"] == "Hello"


async def test_a_transcript_in_srt(gateway: Gateway, upstream: Upstream) -> None:
    srt = b"1\n00:00:00,000 --> 00:00:01,000\nHi\n"
    upstream.scripts["POST /v1/audio/transcriptions"] = [
        status(200, srt, {"content-type": "text/plain"})
    ]
    sound = bytes(range(256)) * 6000
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
        answer = await client.post(
            "/v1/async/audio/transcriptions",
            data={"model": "openai/whisper", "response_format": "srt"},
            files={"file": ("a.wav", sound, "audio/wav")},
        )
    assert answer.status_code == 202, answer.text
    told = await ended(gateway, answer.json()["id"], "/v1/async/audio/transcriptions")

    [received] = upstream.requests
    assert told["result"] == srt.decode()
    assert sound in received.body
    assert b"openai/whisper" not in received.body


# Whose it is, what it takes along


def files(folder: Path) -> dict[str, bytes]:
    """Everything that the store has on disk."""
    return {path.name: path.read_bytes() for path in folder.glob("logs.db*")}


async def test_a_job_is_its_virtual_key_s_and_no_key_is_on_disk(
    upstream: Upstream, tmp_path: Path
) -> None:
    release = trio.Event()
    upstream.scripts["gpt-4o"] = [held(release, plain())]
    mine = {"x-bf-vk": VIRTUAL, "authorization": f"Bearer {DIRECT}"}
    settings = config(upstream, allow_direct_keys=True, required_headers=["x-tenant"])
    settings["governance"] = for_all_of("openai", value=VIRTUAL)
    async with running(settings, tmp_path) as gateway:
        refused = await gateway.post(NATIVE, ROUTE, headers=mine)
        job_id = await handed_in(gateway, headers={**mine, "x-tenant": "t"})
        where = f"{ROUTE}/{job_id}"
        others = [await gateway.get(where), await gateway.get(where, headers={"x-bf-vk": "other"})]
        stored = files(tmp_path)
        release.set()
        told = await ended(gateway, job_id, headers=mine)
        stored |= {f"{name}, after": data for name, data in files(tmp_path).items()}
        [line] = await gateway.wait_for("request completed", request_type="chat_completion")

    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "missing required headers: x-tenant"
    assert [answer.status_code for answer in others] == [404, 404]
    assert others[0].json()["error"]["message"] == "job not found or expired"
    assert told["status"] == "completed"
    assert upstream.of("gpt-4o")[0].header("authorization") == f"Bearer {DIRECT}"
    assert "logs.db-wal" in stored
    assert any(b"x-tenant" in data for data in stored.values())
    for data in stored.values():
        assert DIRECT.encode() not in data
        assert VIRTUAL.encode() not in data
    assert line["virtual_key_id"] == "virtual"
    assert line["metadata"]["isAsyncRequest"] == "true"
    assert DIRECT not in gateway.text
    assert VIRTUAL not in gateway.text


async def test_a_result_is_gone_when_its_time_is_over(upstream: Upstream, tmp_path: Path) -> None:
    release = trio.Event()
    upstream.scripts["gpt-4o"] = [held(release, plain())]
    async with running(config(upstream), tmp_path) as gateway:
        job_id = await handed_in(gateway, headers={"x-bf-async-job-result-ttl": "1"})
        await trio.sleep(1.2)
        waiting = await gateway.get(f"{ROUTE}/{job_id}")
        release.set()
        await ended(gateway, job_id)
        with trio.fail_after(5):
            while (gone := await gateway.get(f"{ROUTE}/{job_id}")).status_code == 200:
                await trio.sleep(0.05)

    assert waiting.status_code == 202
    assert gone.status_code == 404


async def test_a_caller_who_hangs_up_leaves_his_job_running(
    upstream: Upstream, tmp_path: Path
) -> None:
    release = trio.Event()
    upstream.scripts["gpt-4o"] = [held(release, plain())]
    async with running(config(upstream), tmp_path) as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        body = json.dumps(NATIVE).encode()
        head = f"POST {ROUTE} HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        stream = await trio.open_tcp_stream(host, int(port))
        await stream.send_all(head + body)
        # Gone before he could have read his answer.
        await stream.aclose()
        with trio.fail_after(10):
            while not upstream.requests:
                await trio.sleep(0.01)
        release.set()
        [line] = await gateway.wait_for("request completed", request_type="chat_completion")

    assert (line["status"], line["outcome"]) == (200, "success")


# Its life and the gateway's


async def test_a_drain_lets_a_job_end(upstream: Upstream, tmp_path: Path) -> None:
    release = trio.Event()
    upstream.scripts["gpt-4o"] = [held(release, plain())]
    async with running(config(upstream, async_job_concurrency=1), tmp_path) as gateway:
        first, second = await handed_in(gateway), await handed_in(gateway)
        with trio.fail_after(10):
            while not upstream.requests:
                await trio.sleep(0.01)
        gateway.terminate()
        await gateway.wait_for("draining")
        release.set()
        assert await gateway.wait() == 0
    assert len(upstream.requests) == 1

    async with running(config(upstream), tmp_path) as gateway:
        ends = [await ended(gateway, job_id) for job_id in (first, second)]

    assert [end["status"] for end in ends] == ["completed", "completed"]
    assert len(upstream.requests) == 2


async def test_what_outlasts_the_grace_fails_and_says_so(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts["gpt-4o"] = [raw(60.0)]
    async with running(config(upstream, drain_timeout_s=0.2), tmp_path) as gateway:
        job_id = await handed_in(gateway)
        with trio.fail_after(10):
            while not upstream.requests:
                await trio.sleep(0.01)
        gateway.terminate()
        assert await gateway.wait() == 0

    async with running(config(upstream), tmp_path) as gateway:
        told = await ended(gateway, job_id)

    assert (told["status"], told["status_code"]) == ("failed", 503)
    text = "gateway shut down before the job had finished"
    assert told["error"]["error"]["message"] == text


COUNT = 1000


async def test_a_kill_in_the_midst_of_a_thousand(upstream: Upstream, tmp_path: Path) -> None:
    """None is lost, and none is run twice."""

    async def late(conn: trio.SocketStream, received: Received) -> None:
        await trio.sleep(0.05)
        await plain(chat_answer(received.json["messages"][0]["content"]))(conn, received)

    upstream.scripts["gpt-4o"] = [late]
    settings = config(upstream, async_job_concurrency=20, drain_timeout_s=5)
    names: dict[str, str] = {}

    async with running(settings, tmp_path) as gateway:
        limits = httpx.Limits(max_connections=16)
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30, limits=limits) as client:
            await all_of([partial(hand_in, client, f"n-{n}", names) for n in range(COUNT)])
        with trio.fail_after(60):
            while len(upstream.requests) < 200:
                await trio.sleep(0.01)
        gateway.process.kill()
        await gateway.wait()
    assert len(names) == COUNT

    async with running(settings, tmp_path) as gateway:
        ends: dict[str, Any] = {}
        limits = httpx.Limits(max_connections=16)
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30, limits=limits) as client:
            await all_of([partial(await_end, client, job_id, ends) for job_id in names])

    runs = Counter(r.json["messages"][0]["content"] for r in upstream.requests)
    assert set(runs.values()) == {1}
    states = Counter(end["status"] for end in ends.values())
    assert states.keys() == {"completed", "failed"}
    assert 0 < states["failed"] <= 20
    for job_id, end in ends.items():
        if end["status"] == "completed":
            assert end["result"]["choices"][0]["message"]["content"] == names[job_id]
            assert runs[names[job_id]] == 1
        else:
            text = "gateway stopped before the job had finished"
            assert (end["status_code"], end["error"]["error"]["message"]) == (503, text)


async def all_of(tasks: list[Any]) -> None:
    async with trio.open_nursery() as nursery:
        limiter = trio.CapacityLimiter(16)

        async def one(task: Any) -> None:
            async with limiter:
                await task()

        for task in tasks:
            nursery.start_soon(one, task)


async def hand_in(client: httpx.AsyncClient, name: str, names: dict[str, str]) -> None:
    body = {**NATIVE, "messages": [{"role": "user", "content": name}]}
    answer = await client.post(ROUTE, json=body)
    assert answer.status_code == 202, answer.text
    names[answer.json()["id"]] = name


async def await_end(client: httpx.AsyncClient, job_id: str, ends: dict[str, Any]) -> None:
    with trio.fail_after(120):
        while (answer := await client.get(f"{ROUTE}/{job_id}")).status_code == 202:
            await trio.sleep(0.2)
    assert answer.status_code == 200, answer.text
    ends[job_id] = answer.json()


# The store


async def test_without_a_store_there_are_no_jobs(upstream: Upstream, tmp_path: Path) -> None:
    settings = {**config(upstream), "logs_store": {"enabled": False}}
    async with running(settings, tmp_path) as gateway:
        by_route = await gateway.post(NATIVE, ROUTE)
        by_header = await gateway.post(GOOD, headers=ASYNC)
        health = await gateway.get("/health")
        metrics = await gateway.get("/metrics")

    assert (by_route.status_code, by_route.json()["error"]["message"]) == (
        404,
        f"Route not found: {ROUTE}",
    )
    assert by_header.status_code == 503
    text = "async operations not available: logs store not configured"
    assert by_header.json()["error"]["message"] == text
    assert health.status_code == 200
    assert 'bifrost_store_up{store="logs"' not in metrics.text
    assert files(tmp_path) == {}


async def test_a_store_that_is_away_harms_nothing_else_and_comes_back(
    upstream: Upstream, tmp_path: Path
) -> None:
    place = tmp_path / "disk"
    place.touch()
    store = {"enabled": True, "type": "sqlite", "config": {"path": str(place / "logs.db")}}
    async with running({**config(upstream), "logs_store": store}, tmp_path) as gateway:
        [line] = await gateway.wait_for("store is away")
        refused = await gateway.post(NATIVE, ROUTE)
        call = await gateway.post(GOOD)
        ready, health = await gateway.get("/ready"), await gateway.get("/health")
        metrics = (await gateway.get("/metrics")).text
        place.unlink()
        await gateway.wait_for("store is back")
        with trio.fail_after(10):
            while (await gateway.post(NATIVE, ROUTE)).status_code != 202:
                await trio.sleep(0.1)
        after = await gateway.get("/ready"), await gateway.get("/health")
        gateway.reconfigure(
            {**config(upstream, disable_db_pings_in_health=True), "logs_store": store}
        )
        await gateway.wait_for("configuration reloaded")
        unasked = await gateway.get("/health")
    shutil.rmtree(place)

    assert line["reason"] == "the store's file: File exists"
    assert refused.status_code == 500
    assert refused.json()["error"]["code"] == "store_unavailable"
    assert call.status_code == 200
    assert (ready.status_code, ready.json()["stores"]) == (200, {"log": "not available"})
    assert (health.status_code, health.json()["error"]["message"]) == (
        503,
        "log store not available",
    )
    assert 'bifrost_store_up{store="logs"} 0.0' in metrics
    assert [answer.status_code for answer in after] == [200, 200]
    assert "stores" not in after[0].json()
    assert unasked.json()["components"] == {"db_pings": "disabled"}


async def test_a_second_gateway_on_the_same_file_takes_no_jobs(
    upstream: Upstream, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    store = {"enabled": True, "type": "sqlite", "config": {"path": str(tmp_path / "logs.db")}}
    async with running({**config(upstream), "logs_store": store}, tmp_path) as first:
        await handed_in(first)
        async with running({**config(upstream), "logs_store": store}, other) as second:
            [line] = await second.wait_for("store is away")
            refused = await second.post(NATIVE, ROUTE)
            call = await second.post(GOOD)

    assert line["reason"] == "the database is in use by another gateway"
    assert (refused.status_code, call.status_code) == (500, 200)
