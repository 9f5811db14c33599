"""Provider gemini: where its requests go, how its key is sent, what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.config.secret import Secret, Token
from bifrost.config.settings import (
    CustomProviderSettings,
    KeySettings,
    NetworkSettings,
    ProviderSettings,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.errors import BadRequest, ConfigurationMissing, ErrorClass, UnsupportedOperation
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Operation, Target
from dialects.gemini import call_of, native_of
from providers.sent import sent_json

if TYPE_CHECKING:
    from bifrost.providers.base import Adapter, UpstreamRequest

KEY = KeySettings(id="k", name="k", value=Secret("AIza-secret"))
HI: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}


def adapter(base_url: str | None = None) -> Adapter:
    network = NetworkSettings(base_url=base_url) if base_url else NetworkSettings()
    return build_adapter(ProviderSettings(name="gemini", network=network))


def request_of(
    call: Call, model: str = "gemini-x", base_url: str | None = None, key: KeySettings = KEY
) -> UpstreamRequest:
    return adapter(base_url).encode(call, Target("gemini", model), key)


def stream_of(call: Call) -> Call:
    return attrs.evolve(call, stream=True)


CHAT = call_of(HI)
RESPONSES = call_of({"input": "Hi"}, Operation.RESPONSES)
EMBED = call_of({"input": "Hi"}, Operation.EMBEDDING)
COUNT = call_of({"input": "Hi"}, Operation.COUNT_TOKENS)
SPEECH = call_of({"input": "Hi", "voice": "Kore"}, Operation.SPEECH)
IMAGE = call_of({"prompt": "A cat"}, Operation.IMAGE)
LIST = call_of({}, Operation.LIST_MODELS)


@pytest.mark.parametrize(
    ("call", "target"),
    [
        (CHAT, "/v1beta/models/gemini-x:generateContent"),
        (stream_of(CHAT), "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"),
        (RESPONSES, "/v1beta/models/gemini-x:generateContent"),
        (stream_of(RESPONSES), "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"),
        (EMBED, "/v1beta/models/gemini-x:batchEmbedContents"),
        (COUNT, "/v1beta/models/gemini-x:countTokens"),
        (SPEECH, "/v1beta/models/gemini-x:generateContent"),
        (IMAGE, "/v1beta/models/gemini-x:generateContent"),
        (native_of({"contents": []}), "/v1beta/models/gemini-x:generateContent"),
    ],
)
def test_places(call: Call, target: str) -> None:
    request = request_of(call)

    assert request.origin.host == "generativelanguage.googleapis.com"
    assert (request.method, request.target) == (b"POST", target.encode())
    headers = dict(request.headers)
    assert headers[b"x-goog-api-key"] == b"AIza-secret"
    assert headers[b"content-type"] == b"application/json"
    assert b"authorization" not in headers
    assert "secret" not in repr(request)


def test_imagen_predicts() -> None:
    request = request_of(IMAGE, "imagen-4.0-generate-001")

    assert request.target == b"/v1beta/models/imagen-4.0-generate-001:predict"
    assert set(sent_json(request)) == {"instances", "parameters"}


def test_the_list_of_models() -> None:
    request = request_of(LIST)

    assert (request.method, request.target) == (b"GET", b"/v1beta/models?pageSize=1000")
    assert request.body == b""


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("http://127.0.0.1:9", "/v1beta/models/gemini-x:generateContent"),
        ("http://127.0.0.1:9/v1alpha/", "/v1alpha/models/gemini-x:generateContent"),
        ("http://127.0.0.1:9/google/v1beta", "/google/v1beta/models/gemini-x:generateContent"),
        ("http://127.0.0.1:9/google", "/google/v1beta/models/gemini-x:generateContent"),
    ],
)
def test_other_bases(base_url: str, target: str) -> None:
    assert request_of(CHAT, base_url=base_url).target == target.encode()


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-x", "/v1beta/models/gemini-x:"),
        ("tunedModels/my-1", "/v1beta/tunedModels/my-1:"),
        ("gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:"),
    ],
)
def test_names(model: str, path: str) -> None:
    assert request_of(CHAT, model).target.startswith(path.encode())


@pytest.mark.parametrize(
    "model",
    ["", "..", "a/../b", "a:predict", "a?b", "other/x", "models/..", "models/a/b", "a b", "a%2fb", "é", "a" * 200],
)  # fmt: skip
def test_names_that_no_path_can_hold(model: str) -> None:
    with pytest.raises(BadRequest) as raised:
        request_of(CHAT, model)

    assert (raised.value.status, raised.value.code) == (404, "model_not_found")
    assert raised.value.error_class is ErrorClass.NOT_FOUND


def test_a_deployment_is_asked_and_told() -> None:
    request = request_of(CHAT, "best", key=attrs.evolve(KEY, deployments={"best": "gemini-3-pro"}))

    assert request.target.startswith(b"/v1beta/models/gemini-3-pro:")
    assert request.model_deployment == "gemini-3-pro"


def test_credentials() -> None:
    token = request_of(CHAT, key=attrs.evolve(KEY, value=Token("ya29.x")))
    blank = request_of(CHAT, key=attrs.evolve(KEY, value=Secret("")))

    assert dict(token.headers)[b"authorization"] == b"Bearer ya29.x"
    assert b"x-goog-api-key" not in dict(token.headers)
    assert b"x-goog-api-key" not in dict(blank.headers)
    with pytest.raises(ConfigurationMissing, match="no header may hold"):
        request_of(CHAT, key=attrs.evolve(KEY, value=Secret("a\nb")))


def test_the_callers_own_words_go_as_they_came() -> None:
    request = request_of(native_of({"contents": [], "later": 1}))

    assert request.is_native
    assert sent_json(request) == {"contents": [], "later": 1}
    assert not request_of(CHAT).is_native


@pytest.mark.parametrize(
    "operation", [Operation.TEXT, Operation.RERANK, Operation.MODERATION, Operation.IMAGE_VARIATION]
)
def test_what_it_has_not(operation: Operation) -> None:
    with pytest.raises(UnsupportedOperation):
        request_of(call_of({}, operation))
    assert not adapter().supports(operation, stream=False)


def test_what_it_has() -> None:
    has = {
        Operation.CHAT,
        Operation.RESPONSES,
        Operation.EMBEDDING,
        Operation.COUNT_TOKENS,
        Operation.IMAGE,
        Operation.IMAGE_EDIT,
        Operation.SPEECH,
        Operation.TRANSCRIPTION,
        Operation.LIST_MODELS,
    }

    assert has <= {
        operation for operation in Operation if adapter().supports(operation, stream=False)
    }
    assert {operation for operation in Operation if adapter().supports(operation, stream=True)} == {
        Operation.CHAT, Operation.RESPONSES, Operation.RELAY, Operation.SPEECH, Operation.TRANSCRIPTION,
    }  # fmt: skip


def test_a_list_of_models_is_no_answer() -> None:
    facts = AnswerFacts(
        request_type="list_models", provider="gemini", model_requested="", sent_s=0.0, operation=Operation.LIST_MODELS
    )  # fmt: skip

    with pytest.raises(UnsupportedOperation):
        adapter().decode_plain(b"{}", facts)
    assert adapter().decode_models(b'{"models":[{"name":"models/a"}]}')[0]["id"] == "a"


def test_a_refused_key() -> None:
    body = b'[{"error":{"code":400,"message":"no","status":"X","details":[{"reason":"API_KEY_INVALID"}]}}]'

    error = adapter().decode_error(400, (), body, KEY)

    assert error.error_class is ErrorClass.AUTH


def test_a_provider_of_ones_own_may_be_made_of_it() -> None:
    custom = CustomProviderSettings(base_provider_type="gemini")
    network = NetworkSettings(base_url="http://127.0.0.1:9")
    made = build_adapter(ProviderSettings(name="own", network=network, custom=custom))

    assert made.encode(CHAT, Target("own", "m"), KEY).target == b"/v1beta/models/m:generateContent"
