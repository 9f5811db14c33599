"""Replicate, asked by OpenAI's own client through a running gateway."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import openai
import pytest
import trio

from system.process import Gateway, running
from system.replicate_like import KEY, PICTURE, ReplicateLike
from system.sdk import in_thread, sdk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system

TEXT = "Hello\n\nyou"
SAID: list[Any] = [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}]


@pytest.fixture
async def replicate(nursery: trio.Nursery) -> ReplicateLike:
    it = ReplicateLike()
    await nursery.start(it.run)
    return it


@pytest.fixture
async def gateway(replicate: ReplicateLike, tmp_path: Path) -> AsyncIterator[Gateway]:
    network = {"base_url": replicate.url, "max_retries": 0}
    section = {"keys": [{"name": "r", "value": KEY}], "network_config": network}
    async with running({"providers": {"replicate": section}}, tmp_path) as it:
        yield it
    assert "canary" not in it.text


def statuses(replicate: ReplicateLike) -> list[str]:
    return [prediction.status for prediction in replicate.predictions.values()]


async def test_a_chat_is_waited_for(gateway: Gateway, replicate: ReplicateLike) -> None:
    create = sdk(gateway).chat.completions.create

    answer = await in_thread(create, model="replicate/meta/llama", messages=SAID, max_tokens=5)

    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 7
    assert answer.id == "p0"
    begun, *asked = replicate.requests
    told = {"prompt": "Hi", "system_prompt": "Be kind", "max_tokens": 5}
    assert begun.json == {"input": told}
    assert begun.header("prefer") == "wait=1"
    assert [(r.method, r.path) for r in asked] == [("GET", "/v1/predictions/p0")] * 3


@pytest.mark.parametrize("model", ["meta/llama", "meta/whole", "openai/gpt-5"])
async def test_a_chat_is_streamed(gateway: Gateway, replicate: ReplicateLike, model: str) -> None:
    def read() -> tuple[str, Any, Any]:
        stream = sdk(gateway).chat.completions.create(
            model=f"replicate/{model}",
            messages=SAID,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        ends = [
            c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason
        ]
        return text, ends, chunks[-1].usage

    text, ends, usage = await in_thread(read)

    assert (text, ends) == (TEXT, ["stop"])
    assert usage.total_tokens == 7
    assert statuses(replicate) == ["succeeded"]


async def test_completions_are_streamed(gateway: Gateway) -> None:
    def read() -> str:
        stream = sdk(gateway).completions.create(
            model="replicate/meta/llama", prompt="Say hello", stream=True
        )
        return "".join(chunk.choices[0].text for chunk in stream)

    assert await in_thread(read) == TEXT


async def test_responses_are_streamed(gateway: Gateway) -> None:
    def read() -> tuple[str, Any]:
        stream = sdk(gateway).responses.create(
            model="replicate/meta/llama", input="Say hello", stream=True
        )
        events = list(stream)
        deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
        return "".join(deltas), events[-1]

    text, last = await in_thread(read)

    assert text == TEXT
    assert last.type == "response.completed"
    assert last.response.usage.total_tokens == 7


async def test_a_cut_stream_never_looks_whole(gateway: Gateway, replicate: ReplicateLike) -> None:
    told: list[Any] = []

    def read() -> None:
        stream = sdk(gateway).chat.completions.create(
            model="replicate/meta/cut", messages=SAID, stream=True
        )
        told.extend(stream)

    with pytest.raises(openai.APIError, match="ended before its end marker"):
        await in_thread(read)

    assert [chunk.choices[0].finish_reason for chunk in told] == [None]
    assert statuses(replicate) == ["canceled"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_leaves_has_it_called_off(
    gateway: Gateway, replicate: ReplicateLike, stream: bool
) -> None:
    asked = {"model": "replicate/meta/endless", "messages": SAID, "stream": stream}
    with trio.move_on_after(1.5):
        await gateway.post(asked)
    with trio.fail_after(10):
        while statuses(replicate) != ["canceled"]:
            await trio.sleep(0.05)


async def test_what_fails_is_told(gateway: Gateway, replicate: ReplicateLike) -> None:
    client = sdk(gateway)
    for stream in (False, True):
        with pytest.raises(openai.APIError, match="CUDA out of memory"):
            await in_thread(
                client.chat.completions.create,
                model="replicate/meta/broken",
                messages=SAID,
                stream=stream,
            )
    with pytest.raises(openai.NotFoundError):
        await in_thread(client.chat.completions.create, model="replicate/no/such", messages=SAID)
    with pytest.raises(openai.UnprocessableEntityError, match=r"input\.top_p"):
        await in_thread(
            client.chat.completions.create, model="replicate/meta/llama", messages=SAID, top_p=0.5
        )
    assert statuses(replicate) == ["failed", "failed"]


async def test_pictures(gateway: Gateway, replicate: ReplicateLike) -> None:
    def asked() -> tuple[Any, Any, list[Any], list[Any]]:
        images = sdk(gateway).images
        flux, kontext = (
            "replicate/black-forest-labs/flux",
            "replicate/black-forest-labs/flux-kontext-pro",
        )
        file = ("a.jpg", io.BytesIO(b"\xff\xd8"), "image/jpeg")
        drawn = images.generate(model=flux, prompt="p", n=1)
        edited = images.edit(model=kontext, prompt="p", image=file, extra_body={"seed": 7})
        streamed = list(images.generate(model=flux, prompt="p", stream=True))
        edits = list(images.edit(model=kontext, prompt="p", image=file, stream=True))
        return drawn, edited, streamed, edits

    drawn, edited, streamed, edits = await in_thread(asked)

    assert drawn.data[0].url == edited.data[0].url == PICTURE
    assert [(event.type, event.url) for event in streamed] == [
        ("image_generation.completed", PICTURE)
    ]
    assert [(event.type, event.url) for event in edits] == [("image_edit.completed", PICTURE)]
    begun = [r.json["input"] for r in replicate.requests if r.is_json]
    assert begun[1] == {"prompt": "p", "seed": 7, "input_image": "data:image/jpeg;base64,/9g="}


async def test_files(gateway: Gateway, replicate: ReplicateLike) -> None:
    query = {"provider": "replicate"}

    def kept() -> tuple[Any, Any, list[Any], Any]:
        files = sdk(gateway).files
        made = files.create(
            file=("a.txt", io.BytesIO(b"hello"), "text/plain"),
            purpose="user_data",
            extra_body=query,
        )
        found = files.retrieve(made.id, extra_query=query)
        listed = list(files.list(extra_query=query))
        return made, found, listed, files.delete(made.id, extra_query=query)

    made, found, listed, deleted = await in_thread(kept)

    assert (made.filename, made.bytes, made.purpose) == ("a.txt", 5, "user_data")
    assert made.created_at == 1_795_780_800
    assert [file.id for file in (made, found, *listed)] == ["NGZi0"] * 3
    assert listed[0].purpose == "user_data"
    assert deleted.deleted
    assert replicate.files == {}
    refused = await gateway.get(f"/openai/v1/files/{made.id}/content?provider=replicate")
    assert refused.json()["error"]["code"] == "unsupported_operation"
