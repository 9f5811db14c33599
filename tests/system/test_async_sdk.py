"""The SDK's async client on asyncio, as most callers use it; the gateway does not care whose loop it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
import trio

from system.answers import embedding, file_object, named, response, response_events
from system.sdk import in_thread
from system.upstream import Upstream, chat_answer, plain, status, stream, stream_chunks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from system.process import Gateway

pytestmark = pytest.mark.system

ASK: Any = [{"role": "user", "content": "Say hello"}]
AT_ONCE = 50


async def on_asyncio(gateway: Gateway, work: Callable[[openai.AsyncOpenAI], Awaitable[Any]]) -> Any:
    """What ``work`` comes to in a loop of asyncio's own, in a thread."""

    async def run() -> Any:
        client = openai.AsyncOpenAI(
            base_url=gateway.url + "/openai", api_key="unused", max_retries=0
        )
        async with client:
            return await work(client)

    return await in_thread(partial(anyio.run, run, backend="asyncio"))


async def test_one_of_everything(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts |= {
        "streamed": [stream()],
        "responding": [named(response_events())],
        "response": [plain(response())],
        "embedded": [plain(embedding("AACAPwAAAEA="))],
        "spoken": [status(200, b"\x00\xff" * 50_000, {"content-type": "audio/mpeg"})],
        "POST /v1/audio/transcriptions": [plain({"text": "Hello"})],
        "POST /v1/files": [plain(file_object("file-1"))],
        "limited": [status(429, {"error": {"message": "slow down"}})],
    }

    async def work(client: openai.AsyncOpenAI) -> dict[str, Any]:
        chat = client.chat.completions
        found: dict[str, Any] = {}
        answer = await chat.create(model="m", messages=ASK)
        found["chat"] = answer.choices[0].message.content
        chunks = await chat.create(model="streamed", messages=ASK, stream=True)
        found["streamed"] = "".join([c.choices[0].delta.content or "" async for c in chunks])
        found["response"] = (await client.responses.create(model="response", input="x")).output_text
        async with client.responses.stream(model="responding", input="x") as events:
            found["responding"] = (await events.get_final_response()).output_text
        vectors = await client.embeddings.create(model="embedded", input="x")
        found["embedded"] = vectors.data[0].embedding
        spoken = client.audio.speech.with_streaming_response
        async with spoken.create(model="spoken", voice="alloy", input="x") as sound:
            found["spoken"] = sum([len(part) async for part in sound.iter_bytes()])
        heard = await client.audio.transcriptions.create(model="m", file=("a.mp3", b"\x00" * 9000))
        found["heard"] = heard.text
        kept = await client.files.create(file=("f.jsonl", b"{}"), purpose="batch")
        found["kept"] = kept.id
        with pytest.raises(openai.RateLimitError):
            await chat.create(model="limited", messages=ASK)
        return found

    assert await on_asyncio(gateway, work) == {
        "chat": "Hello",
        "streamed": "Hello",
        "response": "Hello",
        "responding": "Hello",
        "embedded": [1.0, 2.0],
        "spoken": 100_000,
        "heard": "Hello",
        "kept": "file-1",
    }


async def test_many_at_once_each_with_its_own_answer(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts |= {f"m{n}": [plain(chat_answer(f"I am {n}"))] for n in range(AT_ONCE)}

    async def work(client: openai.AsyncOpenAI) -> list[str | None]:
        found: list[str | None] = [None] * AT_ONCE

        async def ask(n: int) -> None:
            answer = await client.chat.completions.create(model=f"m{n}", messages=ASK)
            found[n] = answer.choices[0].message.content

        async with anyio.create_task_group() as group:
            for n in range(AT_ONCE):
                group.start_soon(ask, n)
        return found

    assert await on_asyncio(gateway, work) == [f"I am {n}" for n in range(AT_ONCE)]


async def test_a_cancelled_task_frees_the_upstream(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["endless"] = [stream(stream_chunks() * 500, pause_s=0.05)]

    async def work(client: openai.AsyncOpenAI) -> int:
        seen = 0
        with anyio.CancelScope() as scope:
            async for _ in await client.chat.completions.create(
                model="endless", messages=ASK, stream=True
            ):
                seen += 1
                if seen == 3:
                    scope.cancel()
        return seen

    assert await on_asyncio(gateway, work) == 3
    with trio.fail_after(5):
        while upstream.open_connections:
            await trio.sleep(0.02)
    [line] = await gateway.wait_for("request completed", model="endless")
    assert line["status"] == 499
