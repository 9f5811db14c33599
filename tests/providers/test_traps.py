"""The traps of translating between dialects that the original fell into, or lies in wait of everybody: one test each.

They are held at the front of the adapters, so that they hold for whoever translates. The details are in the tests of each
dialect.
"""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from bifrost.config.key_configs import BedrockKeySettings
from bifrost.config.secret import Secret
from bifrost.config.settings import (
    CustomProviderSettings,
    KeySettings,
    NetworkSettings,
    ProviderSettings,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.chat_teller import ChatTeller
from bifrost.dialects.hub import Conversation
from bifrost.errors import BadRequest
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Operation, Target
from providers.sent import sent_json

Op = Operation

KEY = KeySettings(id="k", name="k", value=Secret("sk-1"), bedrock=BedrockKeySettings(region="eu-west-1"))  # fmt: skip

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": CLAUDE,
    "gemini": "gemini-2.5-flash",
    "cohere": "command-a-03-2025",
}
"""A model for each dialect that is not OpenAI's."""

HI = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}}
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": SCHEMA},
}
ARGUMENTS = '{"z": "1", "a": "2"}'


def call_of(operation: Op = Op.CHAT, caller: Caller | None = None, **members: Any) -> Call:
    return Call(
        id="1",
        operation=operation,
        stream=False,
        target=Target("x", "m"),
        members={name: json.dumps(value).encode() for name, value in members.items()},
        caller=caller or Caller(),
    )


def sent(provider: str, call: Call, model: str | None = None) -> tuple[Any, tuple[str, ...]]:
    """The body that goes to ``provider``, and what was dropped."""
    adapter = build_adapter(ProviderSettings(name=provider, keys=(KEY,)))
    request = adapter.encode(call, Target(provider, model or MODELS[provider]), KEY)
    return sent_json(request), request.dropped_params


def chat(provider: str, *messages: Any, **members: Any) -> Any:
    return sent(provider, call_of(messages=[*messages], **members))[0]


def called(call_id: str = "call_1", arguments: str = ARGUMENTS, **more: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    call = {"id": call_id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call], **more}


def result(call_id: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "sun"}


SYSTEM = {
    "anthropic": "system",
    "bedrock": "system",
    "gemini": "systemInstruction",
    "cohere": "messages",
}


# Who speaks


@pytest.mark.parametrize("provider", MODELS)
def test_every_system_and_developer_message_is_the_systems(provider: str) -> None:
    """The last one alone must not win, and a developer is neither a user nor the model."""
    said = [{"role": role, "content": role.upper()} for role in ("system", "developer")]
    body = chat(provider, said[0], HI, said[1], HI)

    told = json.dumps(body[SYSTEM[provider]])
    assert told.index("SYSTEM") < told.index("DEVELOPER")
    roles = {message["role"] for message in body.get("messages", body.get("contents"))}
    assert roles <= {"user", "system"} if provider == "cohere" else roles == {"user"}


def test_geminis_results_of_tools_are_the_users() -> None:
    contents = chat("gemini", HI, called(), result(), tools=[TOOL])["contents"]

    assert [content["role"] for content in contents] == ["user", "model", "user"]
    assert "functionResponse" in contents[-1]["parts"][0]


# Parameters


def test_coheres_tools_are_not_forced_by_auto() -> None:
    assert "tool_choice" not in chat("cohere", HI, tools=[TOOL], tool_choice="auto")


def test_the_user_is_told_to_anthropic() -> None:
    assert chat("anthropic", HI, user="u-1")["metadata"] == {"user_id": "u-1"}


@pytest.mark.parametrize("provider", MODELS)
def test_named_parameters_need_no_flag_and_the_others_are_named(provider: str) -> None:
    """And no adapter uses them up: the next hop of a fallback finds the same."""
    extra = {"top_k": 5, "unheard_of": 1}
    call = call_of(messages=[HI], extra_params=extra)
    before = dict(call.members)

    body, dropped = sent(provider, call)
    again, _ = sent(provider, call)
    merged, _ = sent(provider, attrs.evolve(call, caller=Caller(passthrough_extra_params=True)))

    assert dropped == ("extra_params.unheard_of",)
    assert "unheard_of" not in json.dumps(body)
    assert "5" in json.dumps(body)
    assert "unheard_of" in json.dumps(merged)
    assert (again, dict(call.members)) == (body, before)


@pytest.mark.parametrize("provider", MODELS)
def test_what_is_dropped_is_refused_under_strict(provider: str) -> None:
    call = call_of(messages=[HI], logit_bias={"1": 1}, caller=Caller(strict=True))

    with pytest.raises(BadRequest, match="logit_bias"):
        sent(provider, call)


@pytest.mark.parametrize(
    ("provider", "kept"),
    [
        ("perplexity", {"web_search_options"}),
        ("groq", set()),
        ("ollama", set()),
    ],
)
def test_what_is_dropped_is_what_the_code_dropped(provider: str, kept: set[str]) -> None:
    """The original's documents say otherwise of these."""
    odd: Any = {
        "prediction": {"type": "content", "content": "x"},
        "prompt_cache_key": "k",
        "verbosity": "low",
        "store": True,
        "web_search_options": {},
    }
    network = NetworkSettings(base_url="http://gpu-0")
    adapter = build_adapter(ProviderSettings(name=provider, network=network))

    request = adapter.encode(call_of(messages=[HI], **odd), Target(provider, "m"), KEY)

    assert set(sent_json(request)) == {"model", "messages", *kept}
    assert set(request.dropped_params) == set(odd) - kept


def test_a_provider_of_ones_own_gets_everything() -> None:
    network = NetworkSettings(base_url="https://own.example")
    own = CustomProviderSettings(base_provider_type="openai")
    adapter = build_adapter(ProviderSettings(name="own", network=network, custom=own))

    request = adapter.encode(
        call_of(messages=[HI], verbosity="low", unheard_of=1), Target("own", "m"), KEY
    )

    assert sent_json(request)["unheard_of"] == 1
    assert request.dropped_params == ()


# Thinking and tools


def test_bedrocks_thoughts_come_before_calls_and_extra_fields_do_not_overwrite_them() -> None:
    details = [{"index": 0, "type": "reasoning.text", "text": "Hm", "signature": "s=="}]
    body = chat(
        "bedrock",
        HI,
        called(reasoning_details=details),
        result(),
        tools=[TOOL],
        reasoning={"max_tokens": 2000},
        additionalModelRequestFields={"anthropic_beta": ["x"]},
    )

    assert [next(iter(block)) for block in body["messages"][1]["content"]] == [
        "reasoningContent",
        "toolUse",
    ]
    assert body["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "anthropic_beta": ["x"],
    }


@pytest.mark.parametrize("provider", MODELS)
def test_arguments_and_schemas_keep_the_order_of_their_keys(provider: str) -> None:
    """Caches of prompts compare bytes."""
    body = chat(provider, HI, called(), result(), tools=[TOOL])
    text = json.dumps(body).replace('\\"', '"')

    assert text.index('"z": "1"') < text.index('"a": "2"')
    assert text.index('"z": {') < text.index('"a": {')


@pytest.mark.parametrize("provider", MODELS)
def test_ids_of_calls_come_back_as_they_went(provider: str) -> None:
    """With the signature that Gemini has behind ``_ts_``, too: it is taken off on the way to Gemini alone."""
    call_id = "call_1_ts_c2ln"
    text = json.dumps(chat(provider, HI, called(call_id), result(call_id), tools=[TOOL]))

    expected = '"call_1"' if provider == "gemini" else f'"{call_id}"'
    assert text.count(expected) == 2


# Pictures


def test_bedrock_is_given_no_address_of_a_picture() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://x.example/y.png"}}

    with pytest.raises(BadRequest, match="only base64-encoded images"):
        chat("bedrock", {"role": "user", "content": [picture]})


# Operations


def test_titan_does_not_get_several_texts_as_one() -> None:
    with pytest.raises(BadRequest, match="one text a request"):
        sent("bedrock", call_of(Op.EMBEDDING, input=["a", "b"]), "amazon.titan-embed-text-v2:0")


@pytest.mark.parametrize(
    ("provider", "operation", "stream"),
    [
        ("groq", Op.SPEECH, False),
        ("groq", Op.TRANSCRIPTION, False),
        ("elevenlabs", Op.LIST_MODELS, False),
        ("azure", Op.TEXT, True),
        ("bedrock", Op.TEXT, True),
    ],
)
def test_who_has_what(provider: str, operation: Op, stream: bool) -> None:
    """Where the original's documents and its code disagree. Bedrock's completions are streamed here: Converse can do it."""
    adapter = build_adapter(ProviderSettings(name=provider, keys=(KEY,)))

    assert adapter.supports(operation, stream=stream)


@pytest.mark.parametrize("provider", ["ollama", "sgl"])
def test_a_server_of_ones_own_may_be_where_its_key_says(provider: str) -> None:
    own = KeySettings(id="a", name="a", url="http://gpu-1:8000")
    network = NetworkSettings(base_url="http://gpu-0:8000")
    adapter = build_adapter(ProviderSettings(name=provider, keys=(own, KEY), network=network))

    hosts = [
        adapter.encode(call_of(messages=[HI]), Target(provider, "m"), key).origin.host
        for key in (own, KEY)
    ]

    assert hosts == ["gpu-1", "gpu-0"]


def test_deployments_of_hugging_face_are_taken() -> None:
    key = KeySettings(id="a", name="a", deployments={"mine": "org/m"})
    adapter = build_adapter(ProviderSettings(name="huggingface", keys=(key,)))

    request = adapter.encode(call_of(messages=[HI]), Target("huggingface", "mine"), key)

    assert sent_json(request)["model"] == "org/m"


# Answers

FACTS = AnswerFacts(request_type="chat_completion", provider="p", model_requested="m", sent_s=0.0)

STOPPED: dict[str, Any] = {
    "anthropic": {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "stop_reason": "refusal", "usage": {"input_tokens": 1, "output_tokens": 0}},
    "bedrock": {"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "guardrail_intervened", "usage": {"inputTokens": 1, "outputTokens": 0, "totalTokens": 1}},
    "gemini": {"candidates": [{"index": 0, "finishReason": "SAFETY"}], "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}},
}  # fmt: skip


@pytest.mark.parametrize("provider", STOPPED)
def test_a_stop_for_safety_is_an_answer_without_words(provider: str) -> None:
    adapter = build_adapter(ProviderSettings(name=provider, keys=(KEY,)))
    facts = attrs.evolve(FACTS, provider=provider)

    answer = adapter.decode_plain(json.dumps(STOPPED[provider]).encode(), facts)
    told = json.loads(answer.body)

    assert told["choices"][0]["finish_reason"] == "content_filter"
    assert not told["choices"][0]["message"].get("content")


def test_a_stream_begins_with_the_role() -> None:
    conversation = Conversation(FACTS, ChatTeller(FACTS))
    conversation.begin(id="x", model="m")
    conversation.say({"content": "Hi"}, 1.0)

    first = conversation.take().data.split(b"\n\n")[0]

    assert json.loads(first.removeprefix(b"data: "))["choices"][0]["delta"]["role"] == "assistant"


# Responses by chat


def test_nothing_of_an_answer_is_lost_on_its_way_to_responses() -> None:
    """Words beside calls, thoughts, and usage that comes last."""
    adapter = build_adapter(ProviderSettings(name="anthropic", keys=(KEY,)))
    usage = {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 7}
    content = [
        {"type": "thinking", "thinking": "Hm", "signature": "s=="},
        {"type": "text", "text": "I look."},
        *({"type": "tool_use", "id": f"t{n}", "name": "f", "input": {"n": n}} for n in (1, 2)),
    ]
    message = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": content, "stop_reason": "tool_use", "usage": usage}  # fmt: skip
    call = call_of(Op.RESPONSES, input="Hi", text={"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}})  # fmt: skip

    body, _ = sent("anthropic", call)
    facts = attrs.evolve(FACTS, operation=Op.RESPONSES, members=call.members)
    told = json.loads(adapter.decode_plain(json.dumps(message).encode(), facts).body)

    assert body["output_config"]["format"]["type"] == "json_schema"
    assert [item["type"] for item in told["output"]] == ["reasoning", "message", "function_call", "function_call"]  # fmt: skip
    assert told["output"][1]["content"][0]["text"] == "I look."
    assert [item["arguments"].replace(" ", "") for item in told["output"][2:]] == ['{"n":1}', '{"n":2}']  # fmt: skip
    assert told["usage"]["input_tokens"] == 8
    assert told["usage"]["output_tokens"] == 7
