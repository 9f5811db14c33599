"""Bedrock's addresses, credentials and rows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from bifrost.dialects.bedrock_fields import FIELDS
from bifrost.dialects.fields import Fate, Field
from bifrost.errors import BadRequest, ConfigurationMissing, ErrorClass, UnsupportedOperation
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Dialect, Native, Operation, Surface, Target
from dialects.converse import event, problems
from providers.sent import sent_json

if TYPE_CHECKING:
    from bifrost.providers.base import UpstreamRequest

Op = Operation
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
PROFILE = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-3-haiku"


def key(value: str = "bedrock-key-1234", deployments: Any = None, **bedrock: Any) -> KeySettings:
    bedrock.setdefault("region", "eu-west-1")
    return KeySettings(
        id="k",
        name="k",
        value=Secret(value),
        bedrock=BedrockKeySettings(**bedrock),
        deployments=deployments or {},
    )


def call(operation: Operation = Op.CHAT, *, stream: bool = False, **more: Any) -> Call:
    members: dict[str, Any] = {
        "model": "bedrock/m",
        "messages": [{"role": "user", "content": "Hi"}],
        "input": "Hi",
        "query": "q",
        "documents": ["a"],
    }
    wanted = {
        Op.CHAT: ("model", "messages"),
        Op.RERANK: ("model", "query", "documents"),
    }.get(operation, ("model", "input"))
    return Call(
        id="1",
        operation=operation,
        stream=stream,
        target=Target("bedrock", "m"),
        members={name: json.dumps(members[name]).encode() for name in wanted},
        **more,
    )


def encode(
    asked: Call | None = None,
    one: KeySettings | None = None,
    *,
    model: str = CLAUDE,
    base_url: str | None = None,
) -> UpstreamRequest:
    one = one or key()
    network = NetworkSettings(base_url=base_url)
    adapter = build_adapter(ProviderSettings(name="bedrock", keys=(one,), network=network))
    return adapter.encode(asked or call(), Target("bedrock", model), one)


ESCAPED = "anthropic.claude-3-haiku-20240307-v1%3A0"


@pytest.mark.parametrize(
    ("operation", "stream", "model", "method", "host", "path"),
    [
        (Op.CHAT, False, CLAUDE, b"POST", "bedrock-runtime", f"/model/{ESCAPED}/converse"),
        (Op.CHAT, True, CLAUDE, b"POST", "bedrock-runtime", f"/model/{ESCAPED}/converse-stream"),
        (Op.RESPONSES, True, CLAUDE, b"POST", "bedrock-runtime", f"/model/{ESCAPED}/converse-stream"),
        (Op.COUNT_TOKENS, False, CLAUDE, b"POST", "bedrock-runtime", f"/model/{ESCAPED}/count-tokens"),
        (Op.EMBEDDING, False, "cohere.embed-v4:0", b"POST", "bedrock-runtime", "/model/cohere.embed-v4%3A0/invoke"),
        (Op.RERANK, False, "amazon.rerank-v1:0", b"POST", "bedrock-runtime", "/model/amazon.rerank-v1%3A0/invoke"),
        (Op.LIST_MODELS, False, "", b"GET", "bedrock", "/foundation-models"),
    ],
)  # fmt: skip
def test_each_operation_has_its_address(
    operation: Operation, stream: bool, model: str, method: bytes, host: str, path: str
) -> None:
    request = encode(call(operation, stream=stream), model=model)

    assert request.method == method
    assert request.origin.host == f"{host}.eu-west-1.amazonaws.com"
    assert request.target == path.encode()
    headers = dict(request.headers)
    assert headers[b"host"] == request.origin.host.encode()
    assert headers[b"authorization"] == b"Bearer bedrock-key-1234"
    is_frames = headers[b"accept"] == b"application/vnd.amazon.eventstream"
    assert is_frames is stream
    assert "1234" not in repr(request)


@pytest.mark.parametrize(
    ("one", "model", "path"),
    [
        (key(), PROFILE, PROFILE.replace(":", "%3A").replace("/", "%2F")),
        (key(deployments={"claude": PROFILE}), "claude", PROFILE.replace(":", "%3A").replace("/", "%2F")),
        (key(arn="arn:aws:bedrock:x:1:p"), "a b", "arn%3Aaws%3Abedrock%3Ax%3A1%3Ap%2Fa%20b"),
        (key(arn="arn:aws:bedrock:x:1:p"), PROFILE, PROFILE.replace(":", "%3A").replace("/", "%2F")),
        (key(), "x..y/z?", "x..y%2Fz%3F"),
    ],
)  # fmt: skip
def test_models_are_escaped_once(one: KeySettings, model: str, path: str) -> None:
    assert encode(one=one, model=model).target == f"/model/{path}/converse".encode()


@pytest.mark.parametrize("model", ["..", ".", "../..", "a/../b", "a\0b", "a\nb"])
def test_models_that_could_be_steps_in_a_path_are_refused(model: str) -> None:
    with pytest.raises(BadRequest, match="no name that a model of Bedrock can have"):
        encode(model=model)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-gov-west-1", "bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_regions(region: str, host: str) -> None:
    assert encode(one=key(region=region)).origin.host == host


def test_a_key_without_a_section_is_of_the_default_region() -> None:
    one = KeySettings(id="k", name="k", value=Secret("bedrock-key-1234"))

    assert encode(one=one).origin.host == "bedrock-runtime.us-east-1.amazonaws.com"


def test_the_operators_own_address_stands_for_all_hosts() -> None:
    for operation, path in ((Op.CHAT, f"/x/model/{ESCAPED}/converse"), (Op.LIST_MODELS, "/x/foundation-models")):  # fmt: skip
        request = encode(call(operation), base_url="http://127.0.0.1:9/x/")
        assert (request.origin.host, request.target) == ("127.0.0.1", path.encode())


def test_what_no_host_can_be_is_no_region() -> None:
    with pytest.raises(ConfigurationMissing, match="region is none"):
        encode(one=key(region="x.evil.example/"))


def test_a_key_without_a_value_says_so() -> None:
    with pytest.raises(ConfigurationMissing, match='key "k" has no credential'):
        encode(one=key(""))


def test_a_pair_of_keys_signs() -> None:
    one = key("", access_key=Secret("AKIDEXAMPLE"), secret_key=Secret("secret-canary"))

    sent = encode(one=one).signed(1_790_000_000.0)

    authorization = dict(sent.headers)[b"authorization"].decode()
    assert authorization.startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260921/eu-west-1/bedrock/"
    )
    assert "secret-canary" not in authorization


def test_a_stream_asks_for_the_bridged_chat() -> None:
    request = encode(call(Op.RESPONSES))

    assert sent_json(request) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
    assert problems(sent_json(request)) == ""


def test_what_is_not_streamed_is_refused() -> None:
    adapter = build_adapter(ProviderSettings(name="bedrock"))

    assert adapter.supports(Op.CHAT, stream=True)
    assert adapter.supports(Op.RESPONSES, stream=True)
    assert not adapter.supports(Op.SPEECH, stream=False)
    with pytest.raises(UnsupportedOperation):
        encode(call(Op.EMBEDDING, stream=True))


def test_a_custom_provider_may_be_made_of_it() -> None:
    custom = CustomProviderSettings(base_provider_type="bedrock")
    adapter = build_adapter(ProviderSettings(name="mine", custom=custom))

    request = adapter.encode(call(), Target("mine", CLAUDE), key())

    assert request.target == f"/model/{ESCAPED}/converse".encode()


FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="bedrock",
    model_requested="m",
    sent_s=0.0,
    dialect=Dialect.BEDROCK,
    is_native=True,
)


def test_callers_of_converse_are_passed_on() -> None:
    adapter = build_adapter(ProviderSettings(name="bedrock"))
    native = Native(dialect=Dialect.BEDROCK, members={"messages": b"[ ]"})

    request = encode(call(native=native))

    assert (request.body, request.is_native) == (b'{"messages":[ ]}', True)
    body = b'{"output": {"message": {"role": "assistant", "content": []}}}'
    assert adapter.decode_plain(body, FACTS).body == body
    frames = event("messageStart", {"role": "assistant"})
    assert adapter.stream_decoder(FACTS).feed(frames, 1.0).data == frames


@pytest.mark.parametrize(
    ("status", "name", "message", "told", "error_class"),
    [
        (429, "ThrottlingException", "slow", 429, ErrorClass.RATE_LIMIT),
        (403, "AccessDeniedException", "no", 403, ErrorClass.AUTH),
        (403, "UnrecognizedClientException", "no", 403, ErrorClass.AUTH),
        (403, "AccessDeniedException", "You don't have access to the model", 403, ErrorClass.NOT_FOUND),
        (400, "ValidationException", "bad", 400, ErrorClass.CLIENT),
        (400, "ValidationException", "The provided model identifier is invalid.", 400, ErrorClass.NOT_FOUND),
        (400, "ServiceQuotaExceededException", "q", 429, ErrorClass.RATE_LIMIT),
        (404, "ResourceNotFoundException", "no", 404, ErrorClass.NOT_FOUND),
        (408, "ModelTimeoutException", "slow", 408, ErrorClass.SERVER),
        (424, "ModelErrorException", "m", 502, ErrorClass.SERVER),
        (429, "ModelNotReadyException", "m", 503, ErrorClass.SERVER),
        (500, "InternalServerException", "i", 500, ErrorClass.SERVER),
        (503, "ServiceUnavailableException", "s", 503, ErrorClass.SERVER),
    ],
)  # fmt: skip
def test_refusals_have_their_class(
    status: int, name: str, message: str, told: int, error_class: ErrorClass
) -> None:
    adapter = build_adapter(ProviderSettings(name="bedrock"))
    headers = ((b"x-amzn-errortype", f"{name}:http://internal/".encode()),)
    body = json.dumps({"message": f"{message} bedrock-key-1234"}).encode()

    error = adapter.decode_error(status, headers, body, key())

    assert (error.status, error.error_class, error.type) == (told, error_class, name)
    assert error.message == f"{message} ***"


def test_the_fate_of_every_field_is_described() -> None:
    page = (Path(__file__).parents[2] / "docs/providers.md").read_text()
    table = page.partition("| Field | Converse |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| ?(.*) \|$", table, re.MULTILINE)

    def to(field: Field) -> str:
        return "dropped" if field.fate is Fate.DROPPED else field.to and f"`{field.to}`"

    assert {name: (there.strip(), note.strip()) for name, there, note in rows} == {
        name: (to(field), field.note) for name, field in FIELDS.items()
    }


INVOKES = [
    (Op.CHAT, {"messages": [], "anthropic_version": "x"}),
    (Op.TEXT, {"prompt": "Hi"}),
    (Op.EMBEDDING, {"inputText": "Hi"}),
    (Op.RERANK, {"query": "q", "documents": ["d"]}),
    (Op.IMAGE, {"taskType": "TEXT_IMAGE"}),
]


def invoked(operation: Operation, body: Any, *, stream: bool = False) -> Call:
    members = {name: json.dumps(value).encode() for name, value in body.items()}
    native = Native(dialect=Dialect.INVOKE, members=members)
    return Call(
        id="1",
        operation=operation,
        stream=stream,
        target=Target("bedrock", "m"),
        native=native,
        surface=Surface.INVOKE,
    )


@pytest.mark.parametrize(("operation", "body"), INVOKES)
def test_bodies_of_invoke_go_as_they_came(operation: Operation, body: Any) -> None:
    asked = invoked(operation, body)
    request = encode(asked)

    assert request.target.decode() == f"/model/{CLAUDE.replace(':', '%3A')}/invoke"
    assert (sent_json(request), request.is_native) == (body, True)
    facts = AnswerFacts(
        request_type="r", provider="bedrock", model_requested="m", sent_s=0.0, operation=operation,
        dialect=Dialect.INVOKE, native=asked.native, is_native=True,
    )  # fmt: skip
    adapter = build_adapter(ProviderSettings(name="bedrock", keys=(key(),)))
    assert adapter.decode_plain(b'{ "new": 1 }', facts).body == b'{ "new": 1 }'


def test_streams_of_invoke_go_as_they_came() -> None:
    asked = invoked(Op.TEXT, {"prompt": "Hi"}, stream=True)
    request = encode(asked)

    assert request.target.decode().endswith("/invoke-with-response-stream")
    assert dict(request.headers)[b"accept"] == b"application/vnd.amazon.eventstream"
    facts = AnswerFacts(
        request_type="r", provider="bedrock", model_requested="m", sent_s=0.0, operation=Op.TEXT,
        dialect=Dialect.INVOKE, native=asked.native, is_native=True,
    )  # fmt: skip
    adapter = build_adapter(ProviderSettings(name="bedrock", keys=(key(),)))
    frame = event("chunk", {"bytes": "e30="})
    assert adapter.stream_decoder(facts).feed(frame, 1.0).data == frame


@pytest.mark.parametrize("name", ["openai", "anthropic", "ollama"])
def test_what_only_bedrock_understands_is_refused_elsewhere(name: str) -> None:
    network = NetworkSettings(base_url="https://upstream.example")
    adapter = build_adapter(ProviderSettings(name=name, keys=(key(),), network=network))
    asked = invoked(Op.CHAT, {"message": "Hi"})

    with pytest.raises(UnsupportedOperation, match="no words for this body but those of bedrock"):
        adapter.encode(asked, Target(name, "m"), key())


def test_completions_and_pictures() -> None:
    members = {"prompt": b'"Hi"', "max_tokens": b"5"}
    text = attrs.evolve(call(Op.TEXT), members=members)
    picture = attrs.evolve(call(Op.IMAGE), members={"prompt": b'"A cat"'})

    request = encode(text, model="meta.llama3-8b-instruct-v1:0")
    assert request.target.decode() == "/model/meta.llama3-8b-instruct-v1%3A0/invoke"
    assert sent_json(request) == {"prompt": "Hi", "max_gen_len": 5}
    streamed = encode(attrs.evolve(text, stream=True), model="meta.llama3-8b-instruct-v1:0")
    assert streamed.target.decode().endswith("/invoke-with-response-stream")
    request = encode(picture, model="amazon.nova-canvas-v1:0")
    assert request.target.decode() == "/model/amazon.nova-canvas-v1%3A0/invoke"
    assert sent_json(request)["taskType"] == "TEXT_IMAGE"
