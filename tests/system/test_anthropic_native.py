"""The real Anthropic SDK against a gateway whose upstream is Claude itself: nothing is changed on the way, there or back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from messages_grammar import accumulated, events_of
from system.anthropic_rules import signature_of
from system.anthropic_upstream import THOUGHT, claude, claude_refuses
from system.process import openai_provider, running
from system.sdk import in_thread
from system.upstream import Upstream, plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from system.process import Gateway

pytestmark = pytest.mark.system

MODEL = "claude-sonnet-4-6"
KEY = "sk-ant-canary-eeeeeeeeeeeeeeeeeeee"
ASK: Any = [{"role": "user", "content": [{"type": "text", "text": "Say hello"}]}]
BODY: dict[str, Any] = {"model": MODEL, "max_tokens": 64, "messages": ASK}
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
OPENED: list[anthropic.Anthropic] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
async def native(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway with providers anthropic and openai, pointed at the same scripted upstream."""
    for path in ("POST /v1/messages", "POST /v1/messages/count_tokens", "GET /v1/models"):
        upstream.scripts[path] = [claude()]
    network = {"base_url": upstream.url, "max_retries": 0}
    keys = [{"name": "a", "value": KEY}]
    config = {
        "providers": {
            "anthropic": {"keys": keys, "network_config": network},
            "openai": openai_provider(upstream.url, network_config={"max_retries": 0}),
        }
    }
    async with running(config, tmp_path) as it:
        yield it
    assert KEY not in it.text


def sdk(gateway: Gateway) -> anthropic.Anthropic:
    client = anthropic.Anthropic(
        base_url=f"{gateway.url}/anthropic", api_key="unused", max_retries=0
    )
    OPENED.append(client)
    return client


@pytest.mark.parametrize("model", [MODEL, f"anthropic/{MODEL}"])
async def test_a_request_and_its_answer_stay_as_they_came(
    native: Gateway, upstream: Upstream, model: str
) -> None:
    raw = b'{"model":%b, "max_tokens":64,"messages":[{"role":"user","content":"h\\u0069"}], "top_k": 5}'
    given = {"id": "msg_1", "type": "message", "of_next_year": [1.0]}
    upstream.scripts["POST /v1/messages"] = [plain(given)]
    upstream.scripts[MODEL] = [plain(given)]

    answer = await native.post(
        json.loads(raw % json.dumps(model).encode()), "/anthropic/v1/messages"
    )

    assert answer.content == json.dumps(given).encode()
    assert "x-bf-dropped-params" not in answer.headers
    [received] = upstream.requests
    assert received.json == {
        "model": MODEL,
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "hi"}],
        "top_k": 5,
    }
    assert received.header("x-api-key") == KEY


async def test_a_loop_with_thinking_keeps_its_signatures(
    native: Gateway, upstream: Upstream
) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked: dict[str, Any] = {**BODY, "max_tokens": 4096, "tools": [WEATHER], "thinking": thinking}

    def stream(**more: Any) -> Any:
        with sdk(native).messages.stream(**{**asked, **more}) as events:
            return events.get_final_message()

    first = await in_thread(stream)
    call = first.content[-1]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "cold"}
    messages = [
        *ASK,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = await in_thread(stream, messages=messages)

    assert [block.type for block in first.content] == [
        *("thinking", "redacted_thinking", "text", "tool_use")
    ]
    assert first.content[0].signature == signature_of(THOUGHT)
    assert first.stop_reason == "tool_use"
    sent = upstream.requests[1].json["messages"][1]["content"]
    assert sent[0]["signature"] == signature_of(THOUGHT)
    assert sent[1] == {"type": "redacted_thinking", "data": "RedactedEmwK"}
    assert second.content[-1].text == "It is cold"


async def test_a_stream_stays_as_it_came(native: Gateway) -> None:
    answer = await native.post({**BODY, "stream": True}, "/anthropic/v1/messages")

    events = events_of(answer.content)
    assert events[1] == {"type": "ping"}
    message = accumulated(events)
    assert message["content"] == [{"type": "text", "text": "Hello"}]
    assert message["usage"]["cache_read_input_tokens"] == 5


async def test_what_is_newer_than_the_gateway_goes_through(
    native: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["POST /v1/messages"] = upstream.scripts[MODEL] = [plain({"content": []})]
    block = {"type": "of_next_year", "x": {}}
    body = {
        **BODY,
        "messages": [*ASK, {"role": "assistant", "content": [block]}],
        "thinking": {"type": "between_tools"},
        "tool_choice": {"type": "best"},
        "brand_new": 1,
    }

    answer = await native.post(body, "/anthropic/v1/messages", headers={"x-bf-strict": "true"})

    assert answer.status_code == 200
    assert upstream.requests[0].json == body


async def test_features_to_be_tried_go_where_they_are_known_and_nowhere_else(
    native: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["POST /v1/messages"] = upstream.scripts[MODEL] = [
        claude_refuses("overloaded_error", 529)
    ]
    headers = {
        "anthropic-beta": "claude-code-20250219,of-next-year-2027-01-01",
        "anthropic-version": "2023-06-01",
        "user-agent": "claude-cli/2.0.1 (external, cli)",
    }
    body = {**BODY, "context_management": {"edits": []}, "fallbacks": ["openai/gpt-4o"]}

    answer = await native.post(body, "/anthropic/v1/messages?beta=true", headers=headers)

    first, second = upstream.requests
    assert first.path == "/v1/messages?beta=true"
    assert first.header("anthropic-beta") == headers["anthropic-beta"]
    assert "fallbacks" not in first.json
    assert second.path == "/v1/chat/completions"
    assert second.header("anthropic-beta") is None
    assert answer.json()["content"] == [{"type": "text", "text": "Hello"}]
    assert answer.headers["x-bf-dropped-params"] == "context_management"


async def test_refusals_keep_their_type_and_tell_when_to_come_back(
    native: Gateway, upstream: Upstream
) -> None:
    refuses = claude_refuses("rate_limit_error", 429, **{"retry-after": "7", "request-id": "req_1"})
    upstream.scripts[MODEL] = [refuses]

    with pytest.raises(anthropic.RateLimitError) as caught:
        await in_thread(sdk(native).messages.create, **BODY)

    body: Any = caught.value.body
    assert body["error"] == {"type": "rate_limit_error", "message": "It is rate_limit_error"}
    assert caught.value.request_id == "req_1"
    assert caught.value.response.headers["retry-after"] == "7"


async def test_counts_and_models(native: Gateway) -> None:
    client = sdk(native)

    count = await in_thread(client.messages.count_tokens, model=MODEL, messages=ASK)
    models = await in_thread(client.models.list, extra_headers={"x-bf-model-provider": "anthropic"})

    assert count.input_tokens == 14
    [model] = models.data
    assert (model.id, model.display_name) == ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5")
    assert model.created_at.year == 2025
