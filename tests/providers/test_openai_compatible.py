from __future__ import annotations

import json

import attrs
import pytest

from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.dialects.base import AnswerFacts
from bifrost.errors import BadRequest, ConfigurationMissing, UnsupportedOperation, UpstreamError
from bifrost.providers.table import build_adapter
from bifrost.record import Usage
from bifrost.schema.call import Call, Caller, Operation, Target
from providers.sent import sent_json

TARGET = Target("openai", "gpt")
FACTS = AnswerFacts(
    request_type="chat_completion", provider="openai", model_requested="gpt", sent_s=0.0
)
OPENAI = build_adapter(ProviderSettings(name="openai"))


def key(value: str = "secret-1", deployments: dict[str, str] | None = None) -> KeySettings:
    return KeySettings(id="k", name="mine", value=Secret(value), deployments=deployments or {})


def call(caller: Caller | None = None, *, stream: bool = False) -> Call:
    return Call(
        id="1",
        operation=Operation.CHAT,
        stream=stream,
        target=TARGET,
        members={"model": b'"openai/gpt"', "messages": b"[]", "store": b"true"},
        caller=caller or Caller(),
    )


def test_request_is_complete() -> None:
    request = OPENAI.encode(call(stream=True), TARGET, key(" secret-1\n"))

    headers = dict(request.headers)
    assert headers[b"authorization"] == b"Bearer secret-1"
    assert headers[b"accept"] == b"text/event-stream"
    assert sent_json(request) == {
        "model": "gpt",
        "messages": [],
        "store": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert request.model_deployment is None


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_lines_with_something_of_the_callers_own_are_not_usual(provider: str) -> None:
    adapter = build_adapter(ProviderSettings(name=provider))
    caller = Caller(direct_key=Secret("sk-mine"), extra_headers=(("x-b", "2"),))
    own = caller.own_key(provider)
    assert own is not None

    members = {"model": b'"gpt"', "messages": b'[{"role":"user","content":"hi"}]'}
    plain, told = (attrs.evolve(each, members=members) for each in (call(), call(caller)))

    assert adapter.encode(plain, TARGET, key()).is_usual
    assert not adapter.encode(plain, TARGET, own).is_usual
    assert not adapter.encode(told, TARGET, key()).is_usual


def test_deployment_goes_instead_of_the_model_and_is_told() -> None:
    request = OPENAI.encode(call(), TARGET, key(deployments={"gpt": "dep-7"}))

    assert sent_json(request)["model"] == "dep-7"
    assert request.model_deployment == "dep-7"


def test_base_url_points_elsewhere_and_the_callers_headers_go_along() -> None:
    network = NetworkSettings(
        base_url="http://127.0.0.1:9/base/", extra_headers={"x-a": "1", "x-b": "1"}
    )
    adapter = build_adapter(ProviderSettings(name="openai", network=network))
    caller = Caller(extra_headers=(("x-b", "2"),))

    request = adapter.encode(call(caller), TARGET, key())

    headers = dict(request.headers)
    assert (request.origin.port, request.target) == (9, b"/base/v1/chat/completions")
    assert (headers[b"host"], headers[b"x-a"], headers[b"x-b"]) == (b"127.0.0.1:9", b"1", b"2")


def test_store_is_forced_off_where_the_configuration_says_so() -> None:
    adapter = build_adapter(ProviderSettings(name="openai", disable_store=True))

    assert sent_json(adapter.encode(call(), TARGET, key()))["store"] is False


@pytest.mark.parametrize("value", ["a\r\nhost: evil", "a\0b", "€uro"])
def test_key_that_no_header_may_hold_is_refused_without_being_told(value: str) -> None:
    with pytest.raises(ConfigurationMissing) as caught:
        OPENAI.encode(call(), TARGET, key(value))

    assert caught.value.message == 'key "mine" holds characters that no header may hold'
    assert caught.value.__cause__ is None


def test_caller_cannot_smuggle_a_header() -> None:
    with pytest.raises(BadRequest):
        OPENAI.encode(call(Caller(extra_headers=(("x", "1\r\ny: 2"),))), TARGET, key())


def test_operation_that_the_provider_lacks_is_refused() -> None:
    adapter = build_adapter(ProviderSettings(name="perplexity"))
    listing = Call(id="1", operation=Operation.LIST_MODELS, stream=False, target=TARGET)

    with pytest.raises(
        UnsupportedOperation, match="list_models is not supported by perplexity provider"
    ):
        adapter.encode(listing, TARGET, key())


def test_plain_answers_are_read() -> None:
    body = b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'

    plain = OPENAI.decode_plain(body, FACTS)

    assert plain.usage == Usage(prompt_tokens=1, completion_tokens=1, total_tokens=2)
    assert plain.error is None
    assert json.loads(plain.body)["extra_fields"]["provider"] == "openai"
    assert OPENAI.decode_plain(b'{"error":{"message":"x"}}', FACTS).error is not None


@pytest.mark.parametrize(("by_settings", "by_call"), [(False, True), (True, False), (False, False)])
def test_errors_are_read_and_raw_bodies_shown_on_demand(by_settings: bool, by_call: bool) -> None:
    adapter = build_adapter(ProviderSettings(name="openai", send_back_raw_response=by_settings))

    error = adapter.decode_error(
        401, (), b'{"error":{"message":"bad secret-1"}}', key(), raw=by_call
    )

    assert error.message == "bad ***"
    assert (error.raw_response is not None) is (by_settings or by_call)


def test_hints_are_read_by_family() -> None:
    headers = ((b"x-ratelimit-remaining-requests-day", b"3"),)

    assert OPENAI.rate_hint(headers, 0.0).remaining_requests is None
    cerebras = build_adapter(ProviderSettings(name="cerebras"))
    assert cerebras.rate_hint(headers, 0.0).remaining_requests == 3


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"object":"list","data":[{"id":"a","owned_by":"x"},{"id":"b/c"}]}', ["a", "b/c"]),
        (b'[{"id":"a"},7,{"no":1},{"id":""},{"id":5}]', ["a"]),
        (b'{"models":[{"name":"llama3:8b"}]}', ["llama3:8b"]),
        (b'{"data":[]}', []),
    ],
)
def test_model_lists_are_read(body: bytes, ids: list[str]) -> None:
    assert [model["id"] for model in OPENAI.decode_models(body)] == ids


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b'{"data":{}}', b"7"])
def test_what_is_no_model_list_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamError, match="failed to unmarshal response from provider API"):
        OPENAI.decode_models(body)


def test_adapter_has_its_settings() -> None:
    assert OPENAI.name == "openai"
    assert OPENAI.settings.name == "openai"


@pytest.mark.parametrize(
    ("operation", "kind", "is_in_bytes"),
    [
        (Operation.SPEECH, b"audio/mpeg", True),
        (Operation.SPEECH, b"", True),
        (Operation.SPEECH, b"Text/HTML; charset=utf-8", False),
        (Operation.SPEECH, b"text/event-stream", False),
        (Operation.TRANSCRIPTION, b"text/plain; charset=utf-8", True),
        (Operation.TRANSCRIPTION, b"application/json", False),
        (Operation.TRANSCRIPTION, b"text/html", False),
        (Operation.FILE_CONTENT, b"text/html", True),
        (Operation.RELAY, b"application/json", True),
        (Operation.CHAT, b"audio/mpeg", False),
    ],
)
def test_what_is_relayed_as_bytes(operation: Operation, kind: bytes, is_in_bytes: bool) -> None:
    assert OPENAI.answers_in_bytes(operation, kind) is is_in_bytes
