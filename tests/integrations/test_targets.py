from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from bifrost.catalog import Catalog
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config, KeySettings, ProviderSettings
from bifrost.errors import BadRequest
from bifrost.integrations.base import Request
from bifrost.integrations.headers import HeaderRules
from bifrost.integrations.mounted import FINDER
from bifrost.integrations.targets import undecided
from bifrost.schema.call import Call, Target
from bifrost.schema.payload import BytesPayload, Field, File, Form

KEY = KeySettings(id="k", name="k", value=Secret("sk-test"))
DEFAULTS = ("openai", "anthropic", "gemini", "bedrock", "cohere")
NOBODY = Catalog.of(Config())
DEFERS = Catalog.of(Config(), defers=True)
SERVED = Catalog.of(Config(providers={n: ProviderSettings(name=n, keys=(KEY,)) for n in DEFAULTS}))

MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": "m", "messages": MESSAGES, "max_tokens": 5}
PROVIDER = "provider is required"
FORMAT = "model should be in provider/model format"

JSON_DOORS: list[tuple[str, dict[str, Any], str]] = [
    ("/openai/v1/chat/completions", CHAT, PROVIDER),
    ("/openai/v1/responses", {"model": "m", "input": "hi"}, PROVIDER),
    ("/openai/v1/embeddings", {"model": "m", "input": "hi"}, PROVIDER),
    ("/openai/v1/moderations", {"input": "hi"}, PROVIDER),
    ("/litellm/v1/chat/completions", CHAT, PROVIDER),
    ("/v1/chat/completions", CHAT, FORMAT),
    ("/v1/rerank", {"model": "m", "query": "q", "documents": ["d"]}, FORMAT),
    ("/anthropic/v1/messages", CHAT, PROVIDER),
    ("/anthropic/v1/messages/count_tokens", CHAT, PROVIDER),
    ("/cohere/v2/chat", CHAT, PROVIDER),
    (
        "/genai/v1beta/models/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        PROVIDER,
    ),
    (
        "/bedrock/model/m/converse",
        {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        PROVIDER,
    ),
    ("/bedrock/model/m/invoke", {"messages": MESSAGES, "max_tokens": 5}, PROVIDER),
]
FORM_DOORS = [
    ("/openai/v1/audio/transcriptions", PROVIDER),
    ("/v1/audio/transcriptions", FORMAT),
]
DOORS = pytest.mark.parametrize(
    ("path", "body", "text"), JSON_DOORS, ids=[path for path, *_ in JSON_DOORS]
)
FORMS = pytest.mark.parametrize(("path", "text"), FORM_DOORS)


def parse(path: str, catalog: Catalog, body: Any = None, form: Form | None = None) -> Call:
    found = FINDER.find(path)
    assert found is not None
    route, params = found
    request = Request(
        id="c",
        route=route,
        params=params,
        headers=(),
        body=b"" if body is None else json.dumps(body).encode(),
        form=form,
        boundary=b"b",
        remote_addr="",
        received_s=0.0,
    )
    return route.parse(request, catalog, HeaderRules.of(ClientSettings()))


def sound(*fields: Field) -> Form:
    file = File("file", b"a.mp3", b"audio/mpeg", BytesPayload(b"x"))
    return (Field("model", b"m"), file, *fields)


@DOORS
def test_a_model_of_nobodys_is_refused(path: str, body: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(path, NOBODY, body)

    assert (caught.value.message, caught.value.param) == (text, "model")


@DOORS
def test_where_rules_may_decide_it_waits_for_them(
    path: str, body: dict[str, Any], text: str
) -> None:
    call = parse(path, DEFERS, body)

    assert call.target.provider == ""
    assert call.target.is_default
    error = undecided(call)
    assert (error.message, error.param, error.status) == (text, "model", 400)


@DOORS
def test_its_fallbacks_wait_too(path: str, body: dict[str, Any], text: str) -> None:
    fallbacks = ["groq/llama", "bare", {"provider": "azure", "model": "gpt"}, 7, {"model": "b"}, ""]

    call = parse(path, DEFERS, body | {"fallbacks": fallbacks})

    named = (Target("groq", "llama"), Target("azure", "gpt"))
    is_native = text is FORMAT
    open_ones = () if is_native else (Target("", "bare"), Target("", "b"))
    assert set(call.fallbacks) == {*named, *open_ones}
    assert [each for each in call.fallbacks if each.is_default] == list(open_ones)


@DOORS
def test_a_default_is_marked_as_such(path: str, body: dict[str, Any], text: str) -> None:
    if text is FORMAT:
        prefixed = parse(path, SERVED, body | {"model": "groq/m"}).target
        assert not prefixed.is_default
    else:
        target = parse(path, SERVED, body | {"fallbacks": ["bare"]})
        assert target.target.is_default
        assert target.target.provider in DEFAULTS
        assert target.fallbacks == (Target(target.target.provider, "bare"),)
        assert target.fallbacks[0].is_default


@FORMS
def test_forms_wait_likewise(path: str, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        parse(path, NOBODY, form=sound())

    call = parse(path, DEFERS, form=sound(Field("fallbacks", b"groq/whisper")))

    assert call.target == Target("", "m")
    assert call.fallbacks == (Target("groq", "whisper"),)
    assert undecided(call).message == text


def test_a_prefix_without_a_model_is_refused_all_the_same() -> None:
    with pytest.raises(BadRequest, match="model is required"):
        parse("/openai/v1/chat/completions", DEFERS, CHAT | {"model": "openai/"})


def test_a_target_is_the_same_by_default_or_not() -> None:
    assert Target("openai", "m", is_default=True) == Target("openai", "m")
    assert len({Target("openai", "m", is_default=True), Target("openai", "m")}) == 1
    assert attrs.evolve(Target("openai", "m", is_default=True), model="n").is_default
