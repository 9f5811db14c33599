"""The input file of a batch whose requests stand in it, and the batch that is left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.settings import KeySettings
from bifrost.dialects.objects import Wanted
from bifrost.dialects.openai_batches import (
    LinesPayload,
    batch_input,
    batch_of_file,
    endpoint_of,
    has_requests,
)
from bifrost.dialects.openai_edit import Encoded
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Operation, Relay, Surface, Target
from bifrost.schema.payload import BLOCK_BYTES, Payload

CHAT = "/v1/chat/completions"


def raw(**members: Any) -> dict[str, bytes]:
    return {name: json.dumps(value).encode() for name, value in members.items()}


def encode(call: Call, model: str, provider: str) -> Encoded:
    told = {name: json.loads(value) for name, value in call.members.items()}
    told |= {"model": model, "as": f"{call.operation.value} of {provider}"}
    return Encoded(json.dumps(told, indent=1).encode(), ("seed",))


async def whole(payload: Payload) -> bytes:
    blocks = [block async for block in payload.blocks()]
    assert all(0 < len(block) <= BLOCK_BYTES for block in blocks)
    body = b"".join(blocks)
    assert len(body) == payload.size
    return body


async def lines(
    *requests: Any, endpoint: str = CHAT, surface: Surface = Surface.OPENAI, knows: bool = True
) -> list[dict[str, Any]]:
    body = json.dumps({"requests": requests}).encode()
    call = Call(
        id="c",
        operation=Operation.FILE_UPLOAD,
        stream=False,
        target=Target("openai", ""),
        boundary=b"bound",
        surface=surface,
    )
    key = KeySettings(id="k", name="k", deployments={"m": "d"}, models=("*",))
    relay = Relay(method="POST", path="/v1/files", body=body)
    wanted = Wanted(call=call, relay=relay, key=key, provider="openai")
    made = batch_input(wanted, endpoint, lambda _: encode if knows else None)
    form = await whole(made.form)
    assert b'name="purpose"\r\n\r\nbatch\r\n' in form
    assert b'filename="batch_requests.jsonl"' in form
    file = form.split(b"\r\n\r\n")[2].partition(b"\r\n--bound")[0]
    return [json.loads(line) for line in file.split(b"\n") if line]


async def test_each_request_is_a_line_as_it_would_be_asked_alone() -> None:
    body = {"model": "openai/m", "messages": [], "stream": True}

    [one, two] = await lines({"custom_id": "a", "body": body}, {"custom_id": "b", "params": body})

    said = {"messages": [], "model": "d"}
    head = {"method": "POST", "url": CHAT}
    assert one == {"custom_id": "a", **head, "body": {**said, "as": "chat_completion of openai"}}
    assert two == {"custom_id": "b", **head, "body": said}


@pytest.mark.parametrize(
    ("endpoint", "operation"),
    [
        ("/chat/completions", "chat_completion"),
        ("/v1/responses", "responses"),
        ("/v1/embeddings", "embedding"),
        ("/v1/completions", "text_completion"),
        ("/v1/moderations", "moderation"),
    ],
)
async def test_the_endpoint_says_what_is_asked(endpoint: str, operation: str) -> None:
    [line] = await lines({"custom_id": "a", "body": {"model": "x"}}, endpoint=endpoint)

    assert (line["url"], line["body"]["as"]) == (endpoint, f"{operation} of openai")


@pytest.mark.parametrize(("endpoint", "knows"), [("/v1/images/generations", True), (CHAT, False)])
async def test_what_nobody_encodes_goes_as_it_came(endpoint: str, knows: bool) -> None:
    request = {"custom_id": "a", "url": endpoint, "body": {"model": "m", "x": 1}}

    [line] = await lines(request, endpoint=endpoint, knows=knows)

    assert line["body"] == {"model": "d", "x": 1}


async def test_messages_become_chat() -> None:
    params = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}

    [line] = await lines({"custom_id": "a", "params": params}, surface=Surface.ANTHROPIC)

    assert line["body"]["max_completion_tokens"] == 5
    with pytest.raises(BadRequest, match=r"^requests\[0\]\.params: messages"):
        await lines(
            {"custom_id": "a", "params": {"model": "m", "messages": []}}, surface=Surface.ANTHROPIC
        )


async def test_one_model_a_batch() -> None:
    with pytest.raises(BadRequest, match="one model") as caught:
        await lines(*({"custom_id": name, "body": {"model": name}} for name in "ab"))

    assert caught.value.param == "requests[1]"


async def test_a_batch_has_an_end() -> None:
    with pytest.raises(BadRequest, match="at most 50000"):
        await lines(*[{}] * 50_001)


@given(st.lists(st.sampled_from([0, 1, 100, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 1])))
def test_lines_come_one_behind_another(sizes: list[int]) -> None:
    pieces = tuple(b"%d" % (n % 10) * size for n, size in enumerate(sizes))
    coroutine = whole(LinesPayload(pieces))

    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)

    assert ended.value.value == b"".join(pieces)


@pytest.mark.parametrize(
    ("members", "default", "endpoint"),
    [
        (raw(endpoint="/v1/x", requests=[{"url": "/v1/y"}]), "", "/v1/x"),
        (raw(requests=[{"url": "/v1/y"}]), "/v1/z", "/v1/y"),
        (raw(requests=[{}], endpoint=None), "/v1/z", "/v1/z"),
        (raw(requests=5), "/v1/z", "/v1/z"),
        (raw(requests=[]), "/v1/z", "/v1/z"),
    ],
)
def test_the_endpoint(members: dict[str, bytes], default: str, endpoint: str) -> None:
    assert endpoint_of(members, default) == endpoint


@pytest.mark.parametrize(
    "members", [{}, raw(endpoint="x"), raw(endpoint=5), raw(endpoint="/" * 200)]
)
def test_what_is_no_endpoint(members: dict[str, bytes]) -> None:
    with pytest.raises(BadRequest) as caught:
        endpoint_of(members)

    assert caught.value.param == "endpoint"


def test_requests_or_a_file() -> None:
    assert has_requests(raw(requests=[]))
    assert not has_requests(raw(requests=None, input_file_id="f"))
    assert not has_requests({})
    with pytest.raises(BadRequest, match="cannot specify both"):
        has_requests(raw(requests=[], input_file_id="f"))


def test_the_batch_that_is_left() -> None:
    members = raw(requests=[], model="m", metadata={"a": "b"}, completion_window=None)

    assert json.loads(batch_of_file(members, "f", CHAT)) == {
        "input_file_id": "f",
        "endpoint": CHAT,
        "completion_window": "24h",
        "metadata": {"a": "b"},
    }
    week = batch_of_file(raw(completion_window="7d"), "f", CHAT)
    assert json.loads(week)["completion_window"] == "7d"
