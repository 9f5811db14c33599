from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from bifrost.config.secret import Secret
from bifrost.config.settings import (
    CustomProviderSettings,
    KeySettings,
    NetworkSettings,
    ProviderSettings,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.huggingface_names import hugging_face_model
from bifrost.errors import ConfigurationMissing
from bifrost.providers.base import Ask, Origin
from bifrost.providers.table import BUILT, KNOWN_PROVIDERS, build_adapter
from bifrost.schema.call import Call, Caller, Operation, Target
from providers.sent import sent_json

KEY = KeySettings(id="k", name="k", value=Secret("secret-1"))
ODD = {
    "prediction": 1,
    "prompt_cache_key": "k",
    "verbosity": "low",
    "store": True,
    "web_search_options": {},
}
"""What only OpenAI takes, in part."""


def chat(body: dict[str, Any], *, stream: bool = False, model: str = "m", **caller: Any) -> Call:
    members = {name: json.dumps(value).encode() for name, value in {"model": "x/m", **body}.items()}
    return Call(
        id="1",
        operation=Operation.CHAT,
        stream=stream,
        target=Target("p", model),
        members=members,
        caller=Caller(**caller),
    )


LIST = Call(id="1", operation=Operation.LIST_MODELS, stream=False, target=Target("p", ""))


@pytest.mark.parametrize(
    ("name", "host", "path", "sent", "dropped"),
    [
        ("openai", "api.openai.com", "/v1/chat/completions", set(ODD), set()),
        ("mock", "mock.invalid", "/v1/chat/completions", set(ODD), set()),
        ("groq", "api.groq.com", "/openai/v1/chat/completions", set(), set(ODD)),
        ("mistral", "api.mistral.ai", "/v1/chat/completions", set(), set(ODD)),
        ("openrouter", "openrouter.ai", "/api/v1/chat/completions", set(), set(ODD)),
        ("xai", "api.x.ai", "/v1/chat/completions", set(), set(ODD)),
        ("cerebras", "api.cerebras.ai", "/v1/chat/completions", set(), set(ODD)),
        ("perplexity", "api.perplexity.ai", "/chat/completions", {"web_search_options"}, set(ODD) - {"web_search_options"}),
        ("fireworks", "api.fireworks.ai", "/inference/v1/chat/completions", {"prediction", "user"}, set(ODD) - {"prediction", "prompt_cache_key"}),
        ("nebius", "api.tokenfactory.nebius.com", "/v1/chat/completions", set(), set(ODD)),
        ("parasail", "api.parasail.io", "/v1/chat/completions", set(), set(ODD)),
        ("huggingface", "router.huggingface.co", "/v1/chat/completions", set(), set(ODD)),
    ],
)  # fmt: skip
def test_each_row_goes_to_its_place_and_takes_what_it_knows(
    name: str, host: str, path: str, sent: set[str], dropped: set[str]
) -> None:
    adapter = build_adapter(ProviderSettings(name=name))

    request = adapter.encode(chat(ODD), Target(name, "m"), KEY)

    scheme, port = ("http", 80) if name == "mock" else ("https", 443)
    assert request.origin == Origin(scheme, host, port)
    assert request.target == path.encode()
    assert request.method == b"POST"
    headers = dict(request.headers)
    assert headers[b"host"] == host.encode()
    assert headers.get(b"authorization") == (None if name == "mock" else b"Bearer secret-1")
    body = sent_json(request)
    assert body.pop("model") == "m"
    assert set(body) == sent
    assert set(request.dropped_params) == dropped
    assert "secret-1" not in repr(request)


@pytest.mark.parametrize("name", ["ollama", "sgl", "vllm"])
def test_servers_of_ones_own_are_where_the_key_or_the_provider_says(name: str) -> None:
    own = KeySettings(id="a", name="a", url="http://gpu-1:8000/v1/")
    network = NetworkSettings(base_url="http://gpu-0:8000")
    adapter = build_adapter(ProviderSettings(name=name, keys=(own,), network=network))

    at_key = adapter.encode(chat({}), Target(name, "m"), own)
    at_base = adapter.encode(chat({}), Target(name, "m"), KeySettings(id="b", name="b"))

    assert (at_key.origin.host, at_key.target) == ("gpu-1", b"/v1/chat/completions")
    assert (at_base.origin.host, at_base.target) == ("gpu-0", b"/v1/chat/completions")
    assert b"authorization" not in dict(at_key.headers)


@pytest.mark.parametrize("name", ["ollama", "sgl", "vllm"])
def test_servers_of_ones_own_without_an_address_are_a_configuration_error(name: str) -> None:
    text = f"base_url is required for provider: {name}"
    with pytest.raises(ConfigurationMissing, match=text):
        build_adapter(ProviderSettings(name=name))

    own = KeySettings(id="a", name="a", url="http://gpu-1:8000")
    adapter = build_adapter(ProviderSettings(name=name, keys=(own,)))
    with pytest.raises(ConfigurationMissing, match=text):
        adapter.encode(chat({}), Target(name, "m"), KEY)


@pytest.mark.parametrize("name", sorted(BUILT))
def test_every_row_does_chat_and_all_but_perplexity_lists_models(name: str) -> None:
    network = NetworkSettings(base_url="http://gpu-0:8000")
    adapter = build_adapter(ProviderSettings(name=name, network=network))

    assert adapter.supports(Operation.CHAT, stream=False)
    assert adapter.supports(Operation.CHAT, stream=True)
    assert adapter.supports(Operation.LIST_MODELS, stream=False) is (name != "perplexity")
    if name != "perplexity":
        request = adapter.encode(LIST, Target(name, ""), KEY)
        assert (request.method, request.target, request.body) == (b"GET", b"/v1/models", b"")


@pytest.mark.parametrize("name", sorted(BUILT))
def test_only_some_may_end_without_done(name: str) -> None:
    network = NetworkSettings(base_url="http://gpu-0:8000")
    decoder = build_adapter(ProviderSettings(name=name, network=network)).stream_decoder(
        AnswerFacts(request_type="r", provider="p", model_requested="m", sent_s=0.0)
    )
    decoder.feed(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', 1.0)

    assert decoder.close(1.0).done is (name in {"cerebras", "perplexity", "huggingface"})


def test_quirks_are_with_the_right_rows() -> None:
    def sent(name: str, body: dict[str, Any], model: str = "m") -> Any:
        request = build_adapter(ProviderSettings(name=name)).encode(
            chat(body), Target(name, model), KEY
        )
        return {**sent_json(request), "": request.target.decode().partition("?")[2]}

    assert sent("mistral", {"max_completion_tokens": 1, "tool_choice": {}}) == {
        "model": "m", "max_tokens": 1, "tool_choice": "any", "": "",
    }  # fmt: skip
    assert sent("xai", {"stop": "x"}, "grok-4") == {"model": "grok-4", "": ""}
    assert sent("nebius", {"ai_project_id": "p&1"}) == {"model": "m", "": "ai_project_id=p%261"}
    assert sent("huggingface", {}, "groq/org/x") == {"model": "org/x:groq", "": ""}
    assert sent("openrouter", {"reasoning": {"max_tokens": 1}})["reasoning"] == {"max_tokens": 1}
    assert sent("groq", {"reasoning": {"effort": "minimal"}})["reasoning_effort"] == "low"
    assert sent("openai", {"reasoning_effort": "minimal"})["reasoning_effort"] == "minimal"


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("groq/org/x", "org/x:groq"),
        ("auto/org/x", "org/x"),
        ("org/x", "org/x"),
        ("x", "x"),
        ("other/org/x", "other/org/x"),
        ("groq/x", "groq/x"),
    ],
)
def test_hugging_face_names(model: str, sent: str) -> None:
    assert hugging_face_model(model) == sent


def custom(base: str = "openai", **more: Any) -> ProviderSettings:
    network = NetworkSettings(base_url="https://own.example/api")
    return ProviderSettings(
        name="own", network=network, custom=CustomProviderSettings(base_provider_type=base, **more)
    )


def test_custom_provider_takes_everything() -> None:
    request = build_adapter(custom()).encode(chat(ODD), Target("own", "m"), KEY)

    assert set(sent_json(request)) == {"model", *ODD}
    assert request.dropped_params == ()
    assert request.target == b"/api/v1/chat/completions"


@pytest.mark.parametrize(
    ("allowed", "plain", "stream"),
    [
        (None, True, True),
        ({}, False, False),
        ({"chat_completion": True}, True, False),
        ({"chat_completion_stream": True, "chat_completion": False}, False, True),
    ],
)
def test_custom_provider_does_only_what_is_allowed(allowed: Any, plain: bool, stream: bool) -> None:
    adapter = build_adapter(custom(allowed_requests=allowed))

    assert adapter.supports(Operation.CHAT, stream=False) is plain
    assert adapter.supports(Operation.CHAT, stream=True) is stream


@pytest.mark.parametrize(
    ("overrides", "plain", "stream"),
    [
        ({}, "own.example/api/v1/chat/completions", "own.example/api/v1/chat/completions"),
        ({"chat_completion": "talk?x=1"}, "own.example/api/talk?x=1", "own.example/api/talk?x=1"),
        ({"chat_completion": " ", "chat_completion_stream": "/s"}, "own.example/api/v1/chat/completions", "own.example/api/s"),
        ({"chat_completion": "https://far.example/c?k=v"}, "far.example/c?k=v", "far.example/c?k=v"),
    ],
)  # fmt: skip
def test_paths_can_be_overridden(overrides: dict[str, str], plain: str, stream: str) -> None:
    adapter = build_adapter(custom(request_path_overrides=overrides))

    for streaming, expected in ((False, plain), (True, stream)):
        request = adapter.encode(chat({}, stream=streaming), Target("own", "m"), KEY)
        assert request.origin.host + request.target.decode() == expected


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (ProviderSettings(name="runway"), "not built yet"),
        (ProviderSettings(name="nobody"), "unknown provider: nobody"),
        (custom(""), "missing base provider type"),
        (custom("groq"), "unsupported base provider type: groq"),
        (custom(request_path_overrides={"chat_completion": "http://"}), "provider own: a URL must name a host"),
        (ProviderSettings(name="openai", network=NetworkSettings(base_url="ftp://x")), "must begin with http"),
        (ProviderSettings(name="openai", network=NetworkSettings(extra_headers={"a b": "c"})), "not a token"),
    ],
)  # fmt: skip
def test_what_cannot_be_called_says_why(settings: ProviderSettings, text: str) -> None:
    with pytest.raises(ConfigurationMissing, match=text):
        build_adapter(settings)


def test_all_providers_are_known() -> None:
    assert len(KNOWN_PROVIDERS) == 24
    assert set(BUILT) < KNOWN_PROVIDERS


def test_perplexity_finds_its_own_parameters_wherever_they_stand() -> None:
    adapter = build_adapter(ProviderSettings(name="perplexity"))
    extra = {"search_mode": "academic", "top_k": 3, "odd": 1}

    request = adapter.encode(
        chat({"extra_params": extra, "top_k": 5, "web_search_options": {}}),
        Target("perplexity", "m"),
        KEY,
    )

    body = sent_json(request)
    assert (body["search_mode"], body["top_k"]) == ("academic", 5)
    assert body["extra_params"] == {"odd": 1}
    assert request.dropped_params == ()
    whole = adapter.encode(
        chat({"extra_params": {"safe_search": True}}), Target("perplexity", "m"), KEY
    )
    assert sent_json(whole) == {"model": "m", "safe_search": True}


@pytest.mark.parametrize("base_url", ["http://vllm:8000", "http://vllm:8000/v1"])
def test_vllm_may_have_rerank_without_a_version(base_url: str) -> None:
    settings = ProviderSettings(name="vllm", network=NetworkSettings(base_url=base_url))
    call = Call(
        id="1",
        operation=Operation.RERANK,
        stream=False,
        target=Target("vllm", "m"),
        members={"query": b'"q"', "documents": b'["a"]'},
    )

    request = build_adapter(settings).encode(call, call.target, KEY)

    assert request.target == b"/v1/rerank"
    assert request.follow_up is not None
    assert not request.follow_up.begins
    for status in (404, 405, 501):
        found = request.follow_up.next(status, b"")
        assert isinstance(found, Ask)
        assert found.request.target == b"/rerank"
        assert found.request.body == request.body
        assert found.request.follow_up is None
    for status in (200, 400, 500):
        assert request.follow_up.next(status, b"{}") is None
    embedding = attrs.evolve(call, operation=Operation.EMBEDDING, members={"input": b'"a"'})
    assert build_adapter(settings).encode(embedding, call.target, KEY).follow_up is None
