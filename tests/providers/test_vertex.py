"""Provider vertex: who is asked in which dialect and where, by model, project and region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.config.key_configs import VertexKeySettings
from bifrost.config.secret import Secret, Token
from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.dialects.base import AnswerFacts
from bifrost.errors import BadRequest, ConfigurationMissing, ErrorClass, UnsupportedOperation
from bifrost.providers.place import place_of
from bifrost.providers.table import build_adapter
from bifrost.providers.vertex import OpenAddresses
from bifrost.schema.call import Call, Operation, Relay, Target
from dialects.gemini import call_of, native_of
from dialects.test_gemini_stream import body_of, event, fed
from providers.sent import sent_json

if TYPE_CHECKING:
    from bifrost.providers.base import Adapter, UpstreamRequest

HI: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
CHAT = call_of(HI)
TOKEN = Token("ya29.token")


def key(value: Secret = TOKEN, **settings: Any) -> KeySettings:
    told = {"project_id": "my-project", "region": "europe-west4", **settings}
    return KeySettings(id="k", name="k", value=value, vertex=VertexKeySettings(**told))


def adapter(base_url: str | None = None) -> Adapter:
    return build_adapter(
        ProviderSettings(name="vertex", network=NetworkSettings(base_url=base_url))
    )


def sent(
    call: Call = CHAT,
    model: str = "gemini-x",
    one: KeySettings | None = None,
    base_url: str | None = None,
) -> UpstreamRequest:
    return adapter(base_url).encode(call, Target("vertex", model), one or key())


def streamed(call: Call) -> Call:
    return attrs.evolve(call, stream=True)


EMBED = call_of({"input": "Hi"}, Operation.EMBEDDING)
COUNT = call_of({"input": "Hi"}, Operation.COUNT_TOKENS)
IMAGE = call_of({"prompt": "A cat"}, Operation.IMAGE)
RESPONSES = call_of({"input": "Hi"}, Operation.RESPONSES)
GOOGLES = "/v1/projects/my-project/locations/europe-west4/publishers/google/models"
CLAUDES = "/v1/projects/my-project/locations/europe-west4/publishers/anthropic/models"
MISTRALS = "/v1/projects/my-project/locations/europe-west4/publishers/mistralai/models"
OPEN = "/v1beta1/projects/my-project/locations/europe-west4/endpoints/openapi/chat/completions"


@pytest.mark.parametrize(
    ("call", "model", "target"),
    [
        (CHAT, "gemini-x", f"{GOOGLES}/gemini-x:generateContent"),
        (CHAT, "google/gemini-x", f"{GOOGLES}/gemini-x:generateContent"),
        (streamed(CHAT), "gemini-x", f"{GOOGLES}/gemini-x:streamGenerateContent?alt=sse"),
        (RESPONSES, "gemini-x", f"{GOOGLES}/gemini-x:generateContent"),
        (COUNT, "gemini-x", f"{GOOGLES}/gemini-x:countTokens"),
        (IMAGE, "gemini-x", f"{GOOGLES}/gemini-x:generateContent"),
        (IMAGE, "imagen-4", f"{GOOGLES}/imagen-4:predict"),
        (IMAGE, "google/imagen-4", f"{GOOGLES}/imagen-4:predict"),
        (EMBED, "text-embedding-005", f"{GOOGLES}/text-embedding-005:predict"),
        (CHAT, "1234567890", "/v1beta1/projects/my-project/locations/europe-west4/endpoints/1234567890:generateContent"),
        (CHAT, "claude-x@20250929", f"{CLAUDES}/claude-x@20250929:rawPredict"),
        (streamed(RESPONSES), "claude-x", f"{CLAUDES}/claude-x:streamRawPredict"),
        (COUNT, "claude-x", f"{CLAUDES}/count-tokens:rawPredict"),
        (CHAT, "mistral-small-2503", f"{MISTRALS}/mistral-small-2503:rawPredict"),
        (streamed(CHAT), "mistralai/codestral-2", f"{MISTRALS}/codestral-2:streamRawPredict"),
        (CHAT, "meta/llama-3.3-70b-instruct-maas", OPEN),
        (streamed(RESPONSES), "meta/llama-3.3-70b-instruct-maas", OPEN),
    ],
)  # fmt: skip
def test_places(call: Call, model: str, target: str) -> None:
    request = sent(call, model)

    assert request.origin.host == "europe-west4-aiplatform.googleapis.com"
    assert (request.method, request.target) == (b"POST", target.encode())
    headers = dict(request.headers)
    assert headers[b"authorization"] == b"Bearer ya29.token"
    assert headers[b"host"] == b"europe-west4-aiplatform.googleapis.com"


def test_bodies_are_of_the_models_dialect() -> None:
    assert set(sent_json(sent())) == {"contents"}
    assert set(sent_json(sent(EMBED, "e"))) == {"instances", "parameters"}
    assert set(sent_json(sent(COUNT))) == {"contents"}
    assert sent_json(sent(call_of({**HI, "max_completion_tokens": 3}), "mistralai/mistral-x")) == {
        **HI, "max_tokens": 3, "model": "mistral-x",
    }  # fmt: skip
    assert sent_json(sent(CHAT, "meta/llama"))["model"] == "meta/llama"
    native = sent(native_of({"contents": [], "later": 1}))
    assert native.is_native
    assert sent_json(native) == {"contents": [], "later": 1}


def test_the_number_of_a_project_is_for_tuned_models() -> None:
    numbered = key(project_number="42")

    assert b"/projects/42/" in sent(CHAT, "123", numbered).target
    assert b"/projects/my-project/" in sent(CHAT, "gemini-x", numbered).target


def test_global_has_no_region_in_front() -> None:
    request = sent(one=key(region="global"))

    assert request.origin.host == "aiplatform.googleapis.com"
    assert b"/locations/global/" in request.target


@pytest.mark.parametrize("model", ["gemini-x", "mistral-x", "meta/llama"])
def test_another_base_stands_for_every_region(model: str) -> None:
    request = sent(CHAT, model, base_url="http://127.0.0.1:9/up")

    assert (request.origin.host, request.origin.port) == ("127.0.0.1", 9)
    assert request.target.startswith(b"/up/v1")


@pytest.mark.parametrize(
    ("call", "model", "query"),
    [
        (CHAT, "gemini-x", b"?key=AIza%2Fkey"),
        (streamed(CHAT), "gemini-x", b"?alt=sse&key=AIza%2Fkey"),
        (CHAT, "mistral-x", b"?key=AIza%2Fkey"),
        (CHAT, "meta/llama", b"?key=AIza%2Fkey"),
    ],
)
def test_a_plain_key_is_in_the_query(call: Call, model: str, query: bytes) -> None:
    request = sent(call, model, key(Secret("AIza/key")))

    assert request.target.endswith(query)
    assert b"authorization" not in dict(request.headers)
    assert "AIza" not in repr(request)


def test_without_any_credential_nothing_is_sent() -> None:
    request = sent(one=key(Secret("")))

    assert b"authorization" not in dict(request.headers)
    assert b"key=" not in request.target


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (KeySettings(id="k", name="k", value=TOKEN), "has no project or no region"),
        (key(project_id=""), "has no project or no region"),
        (key(region=""), "has no project or no region"),
        (key(region="evil.example/x"), "is no name that one can have"),
        (key(project_id="a/b"), "is no name that one can have"),
        (key(Token("a\nb")), "no header may hold"),
    ],
)
@pytest.mark.parametrize("model", ["gemini-x", "mistral-x", "meta/llama"])
def test_keys_that_lack_something(one: KeySettings, text: str, model: str) -> None:
    with pytest.raises(ConfigurationMissing, match=text):
        sent(CHAT, model, one)


@pytest.mark.parametrize("model", ["gemini/../x", "gemini:x", "mistral/x?y", "gemini x"])
def test_names_that_no_path_can_hold(model: str) -> None:
    with pytest.raises(BadRequest) as raised:
        sent(CHAT, model)

    assert raised.value.error_class is ErrorClass.NOT_FOUND


@pytest.mark.parametrize(
    ("call", "model"),
    [(COUNT, "meta/llama"), (COUNT, "mistral-x")],
)
def test_what_it_has_not(call: Call, model: str) -> None:
    with pytest.raises(UnsupportedOperation, match="is not supported by vertex provider"):
        sent(call, model)


def test_a_deployment_decides() -> None:
    one = attrs.evolve(key(), deployments={"best": "meta/llama"})

    request = sent(CHAT, "best", one)

    assert request.target == OPEN.encode()
    assert request.model_deployment == "meta/llama"


def test_the_list_of_models() -> None:
    request = sent(call_of({}, Operation.LIST_MODELS), "")

    assert request.target == b"/v1beta1/publishers/google/models?pageSize=100"
    body = b'{"publisherModels":[{"name":"publishers/google/models/gemini-x"}]}'
    assert adapter().decode_models(body)[0]["id"] == "gemini-x"


def test_what_is_passed_through() -> None:
    relay = Relay(method="POST", path="/projects/p/locations/l/x:predict", verbatim=True)
    call = attrs.evolve(call_of({}, Operation.RELAY), relay=relay)

    request = sent(call, "", key(Secret("AIza")))

    assert request.target == b"/v1/projects/p/locations/l/x:predict?key=AIza"
    assert request.origin.host == "europe-west4-aiplatform.googleapis.com"


FACTS = AnswerFacts(request_type="c", provider="vertex", model_requested="x", sent_s=0.0, received_s=1.0, send_extra_fields=False)  # fmt: skip
OPENAIS = b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
CLAUDES_ANSWER = b'{"type":"message","id":"m","role":"assistant","model":"c","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}'
GEMINIS = b'{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}'


@pytest.mark.parametrize(
    ("requested", "deployment", "body"),
    [
        ("gemini-x", None, GEMINIS),
        ("best", "gemini-x", GEMINIS),
        ("claude-x", None, CLAUDES_ANSWER),
        ("meta/llama", None, OPENAIS),
        ("gemini-like", "meta/llama", OPENAIS),
        ("mistral-x", None, OPENAIS),
    ],
)
def test_answers_are_read_in_the_models_dialect(
    requested: str, deployment: str | None, body: bytes
) -> None:
    facts = attrs.evolve(FACTS, model_requested=requested, model_deployment=deployment)

    answer = adapter().decode_plain(body, facts)

    assert b'"content":"Hi"' in answer.body
    assert not adapter().answers_in_bytes(Operation.CHAT, b"application/json")


def test_streams_too() -> None:
    google = attrs.evolve(FACTS, model_requested="gemini-x")
    gone = fed(adapter().stream_decoder(google), [body_of(event({"text": "Hi"}, reason="STOP"))])
    other = attrs.evolve(FACTS, model_requested="meta/llama")
    raw = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
    told = fed(adapter().stream_decoder(other), [raw, b"data: [DONE]\n\n"])

    assert gone.done
    assert told.done
    assert b'"content":"Hi"' in gone.data
    assert b'"content":"Hi"' in told.data


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"no","type":"x","code":"y"}}',
        b'[{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}]',
        b'{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}',
        b'{"detail":[{"msg":"no"}]}',
    ],
)
def test_refusals(body: bytes) -> None:
    error = adapter().decode_error(403, (), body, key())

    assert (error.message, error.status, error.error_class) == ("no", 403, ErrorClass.AUTH)


def test_other_things_of_an_adapter() -> None:
    assert adapter().name == "vertex"
    assert adapter().settings.name == "vertex"
    assert adapter().rate_hint(((b"retry-after", b"7"),), 0.0).retry_after_s == 7.0
    assert adapter().supports(Operation.CHAT, stream=True)
    assert not adapter().supports(Operation.TEXT, stream=False)
    with pytest.raises(ConfigurationMissing, match="provider vertex"):
        adapter("ftp://x")


def test_addresses_below_are_the_regions() -> None:
    addresses = OpenAddresses(place_of("https://aiplatform.googleapis.com"))

    address = addresses.below("/v1/x", "a=b", key())

    assert address.origin.host == "europe-west4-aiplatform.googleapis.com"
    assert address.target == b"/v1/x?a=b"
