"""Responses with tools, structured output and reasoning, of an upstream that has them and of one that has only chat."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pydantic
import pytest

from system.answers import named, response, response_events
from system.sdk import in_thread, sdk
from system.upstream import Upstream, chat_answer, plain, stream, stream_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from system.process import Gateway

pytestmark = pytest.mark.system

ROME, OSLO = '{"city":"Rome"}', '{"city":"Oslo"}'
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
REASONING: dict[str, Any] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Two cities."}],
    "encrypted_content": "gAAA",
}


class City(pydantic.BaseModel):
    name: str
    country: str


def function_call(n: int, arguments: str) -> dict[str, Any]:
    return {
        "id": f"fc_{n}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{n}",
        "name": "weather",
        "arguments": arguments,
    }


def item_events(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A stream of whole items; the arguments of calls come in two pieces."""
    told = list(items)
    first, *_ = response_events()
    events: list[dict[str, Any]] = [first]
    for index, item in enumerate(told):
        events += _steps(index, item)
    events.append({"type": "response.completed", "response": {**response(), "output": told}})
    return [{**event, "sequence_number": n} for n, event in enumerate(events)]


def _steps(index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    added, done = (f"response.output_item.{word}" for word in ("added", "done"))
    at = {"output_index": index, "item_id": item["id"]}
    if item["type"] != "function_call":
        return [
            {"type": added, "output_index": index, "item": {**item, "summary": []}},
            {"type": done, "output_index": index, "item": item},
        ]
    kind, arguments = "response.function_call_arguments", item["arguments"]
    begun = {**item, "status": "in_progress", "arguments": ""}
    return [
        {"type": added, "output_index": index, "item": begun},
        {"type": f"{kind}.delta", **at, "delta": arguments[:5]},
        {"type": f"{kind}.delta", **at, "delta": arguments[5:]},
        {"type": f"{kind}.done", **at, "name": item["name"], "arguments": arguments},
        {"type": done, "output_index": index, "item": item},
    ]


def calls_in(answer: Any) -> list[tuple[str, str]]:
    calls = [item for item in answer.output if item.type == "function_call"]
    return [(call.call_id, call.arguments) for call in calls]


def read(gateway: Gateway, **asked: Any) -> tuple[Any, list[str]]:
    """The SDK's own sum of a stream, and the events that it saw."""
    with sdk(gateway).responses.stream(**asked) as events:
        kinds: list[str] = [event.type for event in events]
        return events.get_final_response(), kinds


async def test_parallel_tools_and_reasoning(gateway: Gateway, upstream: Upstream) -> None:
    items = [REASONING, function_call(1, ROME), function_call(2, OSLO)]
    asked: dict[str, Any] = {
        "model": "m",
        "input": "Rome and Oslo",
        "tools": [WEATHER],
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    upstream.scripts["m"] = [plain({**response(), "output": items}), named(item_events(items))]

    plainly = await in_thread(sdk(gateway).responses.create, **asked)
    streamed, kinds = await in_thread(read, gateway, **asked)

    for answer in (plainly, streamed):
        assert calls_in(answer) == [("call_1", ROME), ("call_2", OSLO)]
        assert answer.output[0].encrypted_content == "gAAA"
        assert answer.output[0].summary[0].text == "Two cities."
    assert kinds.count("response.function_call_arguments.delta") == 4
    assert upstream.requests[0].json == asked
    assert upstream.requests[1].json == {**asked, "stream": True}


async def test_items_of_the_last_turn_go_back_as_they_came(
    gateway: Gateway, upstream: Upstream
) -> None:
    given = [
        {"role": "user", "content": "Rome"},
        REASONING,
        function_call(1, ROME),
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "custom_of_tomorrow", "number": 1.50},
    ]
    upstream.scripts["m"] = [plain(response())]

    await in_thread(sdk(gateway).responses.create, model="m", input=given)

    assert upstream.requests[0].json["input"] == given


@pytest.mark.parametrize("model", ["m", "groq/m"], ids=["own", "bridged"])
async def test_structured_output(gateway: Gateway, upstream: Upstream, model: str) -> None:
    text = '{"name":"Oslo","country":"Norway"}'
    is_bridged = model.startswith("groq")
    upstream.scripts["m"] = [plain(chat_answer(text) if is_bridged else response(text))]

    answer = await in_thread(
        sdk(gateway).responses.parse, model=model, input="Oslo", text_format=City
    )

    assert answer.output_parsed == City(name="Oslo", country="Norway")
    sent = upstream.requests[0].json
    told = sent["response_format"]["json_schema"] if is_bridged else sent["text"]["format"]
    assert told["name"] == "City"
    assert told["strict"] is True
    assert list(told["schema"]["properties"]) == ["name", "country"]


def chat_calls() -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{n}",
            "type": "function",
            "function": {"name": "weather", "arguments": arguments},
        }
        for n, arguments in ((1, ROME), (2, OSLO))
    ]


def delta(**told: Any) -> dict[str, Any]:
    first, *_ = stream_chunks()
    choice = {"index": 0, "delta": told, "finish_reason": None}
    return {**first, "choices": [choice]}


def chat_call_chunks() -> list[dict[str, Any]]:
    """Reasoning, then two calls whose arguments come in turn."""
    opened = [
        {**call, "index": n, "function": {"name": "weather", "arguments": ""}}
        for n, call in enumerate(chat_calls())
    ]
    halves = [(0, ROME[:4]), (1, OSLO[:4]), (0, ROME[4:]), (1, OSLO[4:])]
    pieces = [
        delta(tool_calls=[{"index": n, "function": {"arguments": text}}]) for n, text in halves
    ]
    begun, *_, finish, usage = stream_chunks([])
    finish["choices"][0]["finish_reason"] = "tool_calls"
    return [begun, delta(reasoning="Two cities."), delta(tool_calls=opened), *pieces, finish, usage]


async def test_tools_of_a_provider_that_has_only_chat(gateway: Gateway, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": chat_calls()}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    upstream.scripts["m"] = [plain(chat_answer(choices=[choice])), stream(chat_call_chunks())]
    asked: dict[str, Any] = {
        "model": "groq/m",
        "instructions": "Be brief.",
        "input": "Rome and Oslo",
        "tools": [WEATHER],
        "tool_choice": "required",
        "max_output_tokens": 50,
    }

    plainly = await in_thread(sdk(gateway).responses.create, **asked)
    streamed, kinds = await in_thread(read, gateway, **asked)

    for answer in (plainly, streamed):
        assert calls_in(answer) == [("call_1", ROME), ("call_2", OSLO)]
        assert answer.status == "completed"
        usage = answer.usage
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 3, 10)
        assert answer.instructions == "Be brief."
    assert streamed.output[0].summary[0].text == "Two cities."
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    first, second = upstream.requests
    assert first.path == second.path == "/v1/chat/completions"
    assert [m["role"] for m in first.json["messages"]] == ["system", "user"]
    described = {name: value for name, value in WEATHER.items() if name != "type"}
    assert first.json["tools"] == [{"type": "function", "function": described}]
    assert first.json["tool_choice"] == "required"
    assert second.json["stream_options"] == {"include_usage": True}
    lines = await gateway.wait_for("request completed", count=2)
    assert [line["total_tokens"] for line in lines] == [10, 10]


async def test_the_next_turn_of_a_provider_that_has_only_chat(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["m"] = [plain()]
    given = [
        {"role": "user", "content": "Rome and Oslo"},
        function_call(1, ROME),
        function_call(2, OSLO),
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "call_2", "output": "snow"},
    ]
    create = sdk(gateway).responses.create

    answer = await in_thread(create, model="groq/m", input=given)
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        await in_thread(create, model="groq/m", input="x", previous_response_id="resp_1")

    assert answer.output_text == "Hello"
    [sent] = upstream.requests
    asked, called, *results = sent.json["messages"]
    assert asked == {"role": "user", "content": "Rome and Oslo"}
    assert called["tool_calls"] == chat_calls()
    assert [(m["role"], m["tool_call_id"], m["content"]) for m in results] == [
        ("tool", "call_1", "sunny"),
        ("tool", "call_2", "snow"),
    ]


async def test_a_bridged_stream_cut_in_the_middle_is_an_error(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.scripts["m"] = [stream(chat_call_chunks()[:4], done=False, end=False)]

    with pytest.raises(openai.APIError):
        await in_thread(read, gateway, model="groq/m", input="x")

    body = (
        await gateway.post(
            {"model": "groq/m", "input": "x", "stream": True}, "/openai/v1/responses"
        )
    ).text
    assert "response.completed" not in body
    assert json.loads(body.strip().rpartition("data: ")[2])["error"]["message"]


async def test_what_the_callers_headers_ask_for(gateway: Gateway, upstream: Upstream) -> None:
    upstream.scripts["m"] = [plain(response())]
    upstream.scripts["chat"] = [plain()]
    client = sdk(gateway)

    def ask(**headers: str) -> Any:
        told = {f"x-bf-{name.replace('_', '-')}": value for name, value in headers.items()}
        return client.with_options(default_headers=told)

    echoing = ask(send_back_raw_response="true", send_back_raw_request="true")
    verbatim = await in_thread(echoing.responses.create, model="m", input="Hi")
    echoed = await in_thread(echoing.responses.create, model="groq/chat", input="Hi")
    more = {"extra_params": {"metadata": {"b": "2"}, "brand_new": [1]}}
    passing = ask(passthrough_extra_params="true").responses.create
    await in_thread(passing, model="m", input="Hi", metadata={"a": "1"}, extra_body=more)
    losing = {"model": "groq/chat", "input": "Hi", "truncation": "auto"}
    lost = await in_thread(client.responses.create, **losing)
    with pytest.raises(openai.BadRequestError, match="groq does not take: truncation"):
        await in_thread(ask(strict="true").responses.create, **losing)

    assert verbatim.model_dump(exclude_unset=True) == response()
    extra = echoed.model_extra["extra_fields"]
    assert extra["raw_response"] == chat_answer()
    assert extra["raw_request"]["messages"] == [{"role": "user", "content": "Hi"}]
    sent = upstream.of("m")[1].json
    assert sent["metadata"] == {"a": "1", "b": "2"}
    assert sent["brand_new"] == [1]
    assert "extra_params" not in sent
    assert lost.model_extra["extra_fields"]["dropped_params"] == ["truncation"]
