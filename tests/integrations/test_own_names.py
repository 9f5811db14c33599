"""What is wrong or lost is named as the caller named it, whoever is asked and in whatever words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.catalog import Catalog
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config, KeySettings, ProviderSettings
from bifrost.dialects import anthropic_incoming, bedrock_incoming, cohere_incoming, gemini_incoming
from bifrost.errors import BadRequest, UpstreamError
from bifrost.integrations.base import Request
from bifrost.integrations.headers import HeaderRules
from bifrost.integrations.mounted import FINDER
from bifrost.integrations.requirements import REQUIREMENTS
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Operation, own_name

KEY = KeySettings(id="k", name="k", value=Secret("key-1234"))
NAMES = ("openai", "anthropic", "bedrock", "cohere", "gemini")
PROVIDERS = {name: ProviderSettings(name=name, keys=(KEY,)) for name in NAMES}
CATALOG = Catalog.of(Config(providers=PROVIDERS))

CONVERSE: Any = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
GENERATE: Any = {"contents": [{"parts": [{"text": "Hi"}]}]}
CHAT: Any = {"messages": [{"role": "user", "content": "Hi"}]}

DOORS: dict[str, tuple[str, Any]] = {
    "bedrock": ("/bedrock/model/{model}/converse", CONVERSE),
    "invoke": ("/bedrock/model/{model}/invoke", {"inputText": "Hi"}),
    "genai": ("/genai/v1beta/models/{model}:generateContent", GENERATE),
    "anthropic": ("/anthropic/v1/messages", {**CHAT, "max_tokens": 9}),
    "cohere": ("/cohere/v2/chat", CHAT),
}


def parse(door: str, model: str, body: Any, *, strict: bool = True) -> Call:
    path, least = DOORS[door]
    found = FINDER.find(path.format(model=model))
    assert found is not None
    asked = {**least, **body} if "{model}" in path else {**least, **body, "model": model}
    request = Request(
        id="1",
        route=found[0],
        params=found[1],
        headers=((b"x-bf-strict", b"true"),) if strict else (),
        body=json.dumps(asked).encode(),
        remote_addr="192.0.2.1",
        received_s=1.0,
    )
    return request.route.parse(request, CATALOG, HeaderRules.of(ClientSettings()))


def encode(call: Call) -> tuple[str, ...]:
    adapter = build_adapter(PROVIDERS[call.target.provider])
    return adapter.encode(call, call.target, KEY).dropped_params


@pytest.mark.parametrize(
    ("door", "model", "body", "named"),
    [
        ("genai", "openai/gpt-5", {"generationConfig": {"topK": 5}}, "generationConfig.topK"),
        ("genai", "openai/gpt-5", {"safetySettings": [{}]}, "safetySettings"),
        ("genai", "bedrock/x", {"generationConfig": {"seed": 5}}, "generationConfig.seed"),
        ("genai", "anthropic/claude-x", {"generationConfig": {"presencePenalty": 1}}, "generationConfig.presencePenalty"),
        ("genai", "openai/gpt-5", {"generationConfig": {"speechConfig": {"a": 1}}}, "generationConfig.speechConfig"),
        ("bedrock", "openai/gpt-5", {"additionalModelRequestFields": {"top_k": 5}}, "additionalModelRequestFields.top_k"),
        ("bedrock", "openai/gpt-4o", {"outputConfig": {"effort": "low"}}, "additionalModelRequestFields"),
        ("bedrock", "openai/gpt-5", {"guardrailConfig": {"x": 1}}, "guardrailConfig"),
        ("anthropic", "openai/gpt-4o", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking"),
        ("anthropic", "bedrock/x", {"metadata": {"user_id": "u"}}, "metadata.user_id"),
        ("anthropic", "openai/gpt-5", {"top_k": 5}, "top_k"),
        ("cohere", "openai/gpt-5", {"k": 5}, "k"),
        ("cohere", "openai/gpt-4o", {"thinking": {"type": "enabled"}}, "thinking"),
        ("invoke", "openai/gpt-i", {"textGenerationConfig": {"new": 5}}, "textGenerationConfig.new"),
    ],
)  # fmt: skip
def test_what_is_lost_has_the_callers_name(door: str, model: str, body: Any, named: str) -> None:
    call = parse(door, model, body, strict=False)

    assert [call.named(name) for name in encode(call)] == [named]
    with pytest.raises(BadRequest, match=f"does not take: {named}$") as caught:
        encode(parse(door, model, body))
    assert caught.value.param == named


@pytest.mark.parametrize(
    ("door", "model", "body", "text"),
    [
        ("genai", "bedrock/x", {"generationConfig": {"temperature": 1.5}}, "generationConfig.temperature must be between 0 and 1"),
        ("genai", "bedrock/x", {"generationConfig": {"topP": 1.5}}, "generationConfig.topP must be between 0 and 1"),
        ("bedrock", "anthropic/x", {"inferenceConfig": {"maxTokens": "many"}}, "inferenceConfig.maxTokens must be"),
        ("bedrock", "anthropic/x", {"inferenceConfig": {"stopSequences": 5}}, "inferenceConfig.stopSequences must be"),
        ("anthropic", "bedrock/x", {"max_tokens": "many"}, "max_tokens must be"),
        ("anthropic", "gemini/x", {"stop_sequences": [5]}, r"stop_sequences"),
        ("cohere", "bedrock/x", {"p": 1.5}, "p must be between 0 and 1"),
        ("cohere", "anthropic/x", {"max_tokens": "many"}, "max_tokens must be"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_the_callers_name(door: str, model: str, body: Any, text: str) -> None:
    call = parse(door, model, body, strict=False)

    with pytest.raises(BadRequest) as caught:
        encode(call)
    caught.value.rename(call.named)

    assert caught.value.message.startswith(text.partition(" ")[0])
    assert caught.value.message.startswith(text)
    assert str(caught.value) == caught.value.message
    assert caught.value.param == text.partition(" ")[0]


@pytest.mark.parametrize(
    "names",
    [anthropic_incoming.NAMES, bedrock_incoming.NAMES, cohere_incoming.NAMES, gemini_incoming.NAMES],
)  # fmt: skip
def test_a_name_that_has_been_told_stays(names: dict[str, str]) -> None:
    for told in names.values():
        assert own_name(names, told) == told


def test_of_what_lies_deeper_the_member_is_told() -> None:
    names = {"messages": "contents", "reasoning.effort": "level"}

    assert own_name(names, "messages[1].content[0]") == "contents"
    assert own_name(names, "reasoning.effort") == "level"
    assert own_name(names, "reasoning.other") == "reasoning.other"
    assert own_name({}, "messages[1]") == "messages[1]"


def test_only_a_place_at_the_beginning_is_told_otherwise() -> None:
    error = UpstreamError("Unsupported: stop", param="stop")
    error.rename({"stop": "stop_sequences"}.__getitem__)
    nameless = UpstreamError("stop it", param=["stop"])
    nameless.rename({"stop": "stop_sequences"}.__getitem__)

    assert (error.message, error.param) == ("Unsupported: stop", "stop_sequences")
    assert (nameless.message, nameless.param) == ("stop it", ["stop"])


def test_requirements_are_told_so_too() -> None:
    with pytest.raises(BadRequest, match=r"^texts is required") as caught:
        REQUIREMENTS[Operation.EMBEDDING].check_as({}, cohere_incoming.NAMES)

    assert caught.value.param == "texts"
