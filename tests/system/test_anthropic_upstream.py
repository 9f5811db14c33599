"""The real OpenAI SDK against a gateway whose upstream is Claude by Anthropic's own API, as strict as the real one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pydantic
import pytest

from system.anthropic_rules import signature_of
from system.anthropic_upstream import THOUGHT, claude, claude_refuses
from system.process import running
from system.sdk import in_thread, sdk
from system.upstream import raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from system.process import Gateway
    from system.upstream import Upstream

pytestmark = pytest.mark.system

MODEL = "anthropic/claude-sonnet-4-5"
KEY = "sk-ant-canary-dddddddddddddddddddd"
ASK: Any = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Say hello"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
PNG = "iVBORw0KGgo="


class City(pydantic.BaseModel):
    name: str
    country: str


@pytest.fixture
async def anthropic(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway with provider anthropic, pointed at the scripted upstream."""
    for path in ("POST /v1/messages", "POST /v1/messages/count_tokens", "GET /v1/models"):
        upstream.scripts[path] = [claude()]
    network = {"base_url": upstream.url, "max_retries": 0}
    keys = [{"name": "a", "value": KEY}]
    config = {"providers": {"anthropic": {"keys": keys, "network_config": network}}}
    async with running(config, tmp_path) as it:
        yield it
    assert KEY not in it.text


async def test_a_plain_answer(anthropic: Gateway, upstream: Upstream) -> None:
    create = sdk(anthropic).chat.completions.create

    answer = await in_thread(create, model=MODEL, messages=ASK, temperature=0.5, seed=1)

    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (25, 34)
    assert answer.usage.prompt_tokens_details.cached_tokens == 5
    extra = answer.model_extra["extra_fields"]
    assert (extra["provider"], extra["dropped_params"]) == ("anthropic", ["seed"])
    [received] = upstream.requests
    assert received.header("x-api-key") == KEY
    assert received.json == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 64_000,
        "system": "Be brief",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hello"}]}],
        "temperature": 0.5,
    }


async def test_strict_callers_lose_nothing(anthropic: Gateway) -> None:
    create = sdk(anthropic, default_headers={"x-bf-strict": "true"}).chat.completions.create

    with pytest.raises(openai.BadRequestError, match="anthropic does not take: seed"):
        await in_thread(create, model=MODEL, messages=ASK, seed=1)


async def test_a_stream(anthropic: Gateway) -> None:
    def read() -> list[Any]:
        create = sdk(anthropic).chat.completions.create
        return list(create(model=MODEL, messages=ASK, stream=True))

    chunks = await in_thread(read)

    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].usage.total_tokens == 34
    assert {c.id for c in chunks} == {"msg_1"}


@pytest.mark.parametrize("effort", ["low", None])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_tool_loop(
    anthropic: Gateway, upstream: Upstream, effort: str | None, is_stream: bool
) -> None:
    """As plain SDK code does it: the message that came goes back as it is."""
    more: Any = {"reasoning_effort": effort} if effort else {}
    messages: list[Any] = [*ASK]

    def ask() -> Any:
        chat = sdk(anthropic).chat.completions
        told = {"model": MODEL, "messages": messages, "tools": [WEATHER], **more}
        if not is_stream:
            return chat.create(**told).choices[0]
        with chat.stream(**told) as events:
            for _ in events:
                pass
            return events.get_final_completion().choices[0]

    first = await in_thread(ask)
    [call] = first.message.tool_calls
    messages.append(first.message.to_dict())
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
    second = await in_thread(ask)

    assert first.finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "weather",
        {"city": "Oslo", "days": 2},
    )
    assert second.message.content == "It is sunny"
    sent = upstream.requests[1].json["messages"][1]["content"]
    assert [b["type"] for b in sent if "thinking" in b["type"]] == (
        ["thinking", "redacted_thinking"] if effort else []
    )
    if effort:
        assert first.message.model_extra["reasoning"].startswith(THOUGHT)
        assert sent[0] == {
            "type": "thinking",
            "thinking": THOUGHT,
            "signature": signature_of(THOUGHT),
        }


async def test_thoughts_that_were_tampered_with_are_refused(anthropic: Gateway) -> None:
    detail = {"type": "reasoning.text", "text": "other", "signature": signature_of(THOUGHT)}
    said = {"role": "assistant", "content": "a", "reasoning_details": [detail]}

    with pytest.raises(openai.BadRequestError, match="Invalid `signature`"):
        await in_thread(
            sdk(anthropic).chat.completions.create, model=MODEL, messages=[*ASK, said, ASK[1]]
        )


async def test_a_picture(anthropic: Gateway) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What?"}, picture]}]

    answer = await in_thread(sdk(anthropic).chat.completions.create, model=MODEL, messages=messages)

    assert answer.choices[0].message.content == "A picture of type image/png"


async def test_structured_output(anthropic: Gateway) -> None:
    answer = await in_thread(
        sdk(anthropic).chat.completions.parse, model=MODEL, messages=ASK, response_format=City
    )

    assert answer.choices[0].message.parsed == City(name="Oslo", country="Norway")


@pytest.mark.parametrize(
    ("kind", "code", "error"),
    [
        ("invalid_request_error", 400, openai.BadRequestError),
        ("authentication_error", 401, openai.AuthenticationError),
        ("permission_error", 403, openai.PermissionDeniedError),
        ("not_found_error", 404, openai.NotFoundError),
        ("rate_limit_error", 429, openai.RateLimitError),
        ("overloaded_error", 529, openai.InternalServerError),
    ],
)
async def test_errors(
    anthropic: Gateway, upstream: Upstream, kind: str, code: int, error: type[openai.APIStatusError]
) -> None:
    upstream.scripts["POST /v1/messages"] = [claude_refuses(kind, code)]

    with pytest.raises(error, match=f"It is {kind}") as caught:
        await in_thread(sdk(anthropic).chat.completions.create, model=MODEL, messages=ASK)

    assert caught.value.status_code == code
    assert caught.value.type == kind


async def test_an_error_inside_a_stream(anthropic: Gateway, upstream: Upstream) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    said = b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hel"}}\n\n'
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    upstream.scripts["POST /v1/messages"] = [raw(head, said, error)]

    def read() -> None:
        create = sdk(anthropic).chat.completions.create
        for _ in create(model=MODEL, messages=ASK, stream=True):
            pass

    with pytest.raises(openai.APIError, match="Overloaded"):
        await in_thread(read)


async def test_models_and_counts(anthropic: Gateway) -> None:
    client = sdk(anthropic)

    models = await in_thread(client.models.list)
    count = await in_thread(client.responses.input_tokens.count, model=MODEL, input="Hi")

    assert [model.id for model in models.data] == ["anthropic/claude-sonnet-4-5-20250929"]
    assert (models.data[0].owned_by, models.data[0].created) == ("anthropic", 1_759_104_000)
    assert count.input_tokens == 14


TOOL: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_tool_loop_through_responses_keeps_the_seals(
    anthropic: Gateway, upstream: Upstream, is_stream: bool
) -> None:
    items: list[Any] = [{"role": "user", "content": "Weather?"}]

    def ask() -> Any:
        told: Any = {
            "model": MODEL,
            "input": items,
            "instructions": "Be brief",
            "tools": [TOOL],
            "reasoning": {"effort": "low"},
            "include": ["reasoning.encrypted_content"],
            "store": False,
        }
        responses = sdk(anthropic).responses
        if not is_stream:
            return responses.create(**told)
        with responses.stream(**told) as events:
            for _ in events:
                pass
            return events.get_final_response()

    first = await in_thread(ask)
    items += [item.to_dict() for item in first.output]
    call = first.output[-1]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    second = await in_thread(ask)

    assert [item.type for item in first.output] == [
        "reasoning",
        "reasoning",
        "message",
        "function_call",
    ]
    assert first.output[0].encrypted_content == signature_of(THOUGHT)
    assert first.output[0].summary[0].text == THOUGHT
    assert second.output_text == "It is sunny"
    assert "dropped_params" not in str(first.model_extra)
    sent = upstream.requests[1].json["messages"][1]["content"]
    assert [block["type"] for block in sent] == [
        "thinking",
        "redacted_thinking",
        "text",
        "tool_use",
    ]
    assert sent[1]["data"] == "RedactedEmwK"
