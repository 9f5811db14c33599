"""The door /bedrock: which paths there are, what becomes of a body, how failures are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.catalog import Catalog
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config, KeySettings, ProviderSettings
from bifrost.errors import (
    BadRequest,
    ErrorClass,
    GatewayError,
    NetworkError,
    Overloaded,
    QueueFull,
    UpstreamError,
    UpstreamTimeout,
)
from bifrost.integrations.base import NO_PARAMS, Request
from bifrost.integrations.bedrock import ROUTES
from bifrost.integrations.headers import HeaderRules
from bifrost.integrations.manners import manner_at, manner_of
from bifrost.integrations.mounted import FINDER
from bifrost.schema.call import Call, Dialect, Operation, Surface, Target
from dialects.converse import events_of, parsed_error

KEY = KeySettings(id="k", name="k", value=Secret("key-1234"))
CATALOG = Catalog.of(
    Config(
        providers={name: ProviderSettings(name=name, keys=(KEY,)) for name in ("bedrock", "openai")}
    )
)
ARN = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude"
HI = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
MESSAGES = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}


def parse(path: str, body: Any, *headers: tuple[bytes, bytes], **client: Any) -> Call:
    found = FINDER.find(path)
    assert found is not None
    request = Request(
        id="1",
        route=found[0],
        params=found[1],
        headers=headers,
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        remote_addr="192.0.2.1",
        received_s=1.0,
    )
    return request.route.parse(request, CATALOG, HeaderRules.of(ClientSettings(**client)))


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("anthropic.claude-3-haiku-v1:0", Target("bedrock", "anthropic.claude-3-haiku-v1:0")),
        (ARN, Target("bedrock", ARN)),
        ("openai/gpt-5", Target("openai", "gpt-5")),
        ("bedrock/claude", Target("bedrock", "claude")),
    ],
)
def test_models(model: str, target: Target) -> None:
    assert parse(f"/bedrock/model/{model}/converse", HI).target == target


@pytest.mark.parametrize(
    ("action", "body", "operation", "streams", "dialect"),
    [
        ("converse", HI, Operation.CHAT, False, Dialect.BEDROCK),
        ("converse-stream", HI, Operation.CHAT, True, Dialect.BEDROCK),
        ("count-tokens", {"input": {"converse": HI}}, Operation.COUNT_TOKENS, False, Dialect.BEDROCK),
        ("invoke", MESSAGES, Operation.CHAT, False, Dialect.INVOKE),
        ("invoke-with-response-stream", MESSAGES, Operation.CHAT, True, Dialect.INVOKE),
    ],
)  # fmt: skip
def test_actions(
    action: str, body: Any, operation: Operation, streams: bool, dialect: Dialect
) -> None:
    call = parse(f"/bedrock/model/m/{action}", body)

    assert (call.operation, call.stream, call.surface.dialect) == (operation, streams, dialect)
    assert json.loads(call.members["messages"]) == [{"role": "user", "content": "Hi"}]
    assert call.native is not None
    assert (call.native.dialect, set(call.native.members)) == (dialect, set(body))
    assert call.route == f"/bedrock/model/{{model}}/{action}"


def test_what_is_the_gateways_own_is_taken_out() -> None:
    body = {**HI, "fallbacks": ["openai/gpt-5"], "inferenceConfig": {"maxTokens": 9}, "x": 1}

    call = parse("/bedrock/model/m/converse", body)

    assert call.fallbacks == (Target("openai", "gpt-5"),)
    assert call.native is not None
    assert set(call.native.members) == {"messages", "inferenceConfig", "x"}
    assert call.max_output_tokens == 9
    assert call.lost == ("x",)


def test_invoke_reads_anthropics_body() -> None:
    body = {**MESSAGES, "anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["x"]}

    call = parse("/bedrock/model/openai/gpt-5/invoke", body)

    assert json.loads(call.members["model"]) == "openai/gpt-5"
    assert call.max_output_tokens == 5
    assert "anthropic_version" not in call.members
    assert call.lost == ()
    assert parse("/bedrock/model/m/invoke", {**MESSAGES, "max_tokens": "x"}).max_output_tokens is None  # fmt: skip


@pytest.mark.parametrize(
    ("action", "body", "error", "text"),
    [
        ("converse", b"{", BadRequest, "Invalid JSON"),
        ("converse", {}, BadRequest, "messages is required"),
        ("converse", {"messages": [{"role": "x"}]}, BadRequest, "must be one of user"),
        ("count-tokens", {}, BadRequest, "input.converse is required"),
        ("invoke", {"prompt": ""}, BadRequest, "prompt must be a text"),
        ("invoke", {"messages": []}, BadRequest, "messages must have at least one message"),
        ("invoke", {"query": "", "documents": ["d"]}, BadRequest, "query is required"),
        ("converse", {**HI, "fallbacks": 5}, BadRequest, "fallbacks must be a list"),
    ],
)
def test_what_cannot_be_read(action: str, body: Any, error: type[GatewayError], text: str) -> None:
    with pytest.raises(error, match=text):
        parse(f"/bedrock/model/m/{action}", body)


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        ({"inputText": "Hi"}, Operation.TEXT),
        ({"prompt": "Hi", "max_gen_len": 5}, Operation.TEXT),
        ({"inputText": "Hi", "dimensions": 256}, Operation.EMBEDDING),
        ({"texts": ["a"], "input_type": "search_query"}, Operation.EMBEDDING),
        ({"query": "q", "documents": ["d"]}, Operation.RERANK),
        ({"taskType": "TEXT_IMAGE"}, Operation.IMAGE),
        ({"message": "Hi"}, Operation.CHAT),
    ],
)
def test_invoke_asks_for_what_its_body_says(body: Any, operation: Operation) -> None:
    call = parse("/bedrock/model/m/invoke", body)

    assert (call.operation, call.surface) == (operation, Surface.INVOKE)
    assert call.native is not None
    assert set(call.native.members) == set(body)


def test_rerank_has_its_model_in_its_body() -> None:
    model = {"modelConfiguration": {"modelArn": "openai/r"}}
    body = {
        "queries": [{"textQuery": {"text": "q"}}],
        "sources": [{"inlineDocumentSource": {"textDocument": {"text": "a"}}}],
        "rerankingConfiguration": {"bedrockRerankingConfiguration": model},
        "fallbacks": ["bedrock/r"],
    }

    call = parse("/bedrock/rerank", body)

    assert (call.target, call.operation) == (Target("openai", "r"), Operation.RERANK)
    assert call.fallbacks == (Target("bedrock", "r"),)
    assert json.loads(call.members["documents"]) == ["a"]
    assert parse("/litellm/bedrock/rerank", body).operation is Operation.RERANK
    with pytest.raises(BadRequest, match="sources are required"):
        parse("/bedrock/rerank", {**body, "sources": []})
    with pytest.raises(BadRequest, match="rerankingConfiguration must be an object"):
        parse("/bedrock/rerank", {})


def test_no_jobs() -> None:
    with pytest.raises(BadRequest, match="x-bf-async is not supported"):
        parse("/bedrock/model/m/converse", HI, (b"x-bf-async", b"true"))


SIGNATURE = (
    b"AWS4-HMAC-SHA256 Credential=dummy/20260101/us-east-1/bedrock/aws4_request, Signature=x"
)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_signature_is_no_key_and_a_bearer_is_one_if_it_may(allowed: bool) -> None:
    def caller(value: bytes) -> Any:
        line = (b"authorization", value)
        return parse("/bedrock/model/m/converse", HI, line, allow_direct_keys=allowed).caller

    assert caller(SIGNATURE).direct_key is None
    assert (caller(b"Bearer own-key").direct_key is not None) is allowed
    assert caller(b"Bearer sk-bf-1").virtual_key is not None


@pytest.mark.parametrize(
    "path",
    [
        "/bedrock/model/m",
        "/bedrock/model/converse",
        "/bedrock/model//converse",
        "/bedrock/model/m/nothing",
        "/bedrock",
        "/model/m/converse",
    ],
)
def test_other_paths(path: str) -> None:
    assert FINDER.find(path) is None


def test_templates() -> None:
    assert len(ROUTES.templates) == 6
    assert FINDER.find("/openai/chat/completions") != (ROUTES.templates[0], NO_PARAMS)


# Failures


@pytest.mark.parametrize(
    ("error", "status", "name", "in_stream"),
    [
        (BadRequest("no"), 400, "ValidationException", "validationException"),
        (UpstreamError("no", status=401, error_class=ErrorClass.AUTH), 401, "AccessDeniedException", "modelStreamErrorException"),
        (UpstreamError("no", status=404), 404, "ResourceNotFoundException", "modelStreamErrorException"),
        (UpstreamError("no", status=422), 422, "ValidationException", "validationException"),
        (QueueFull("no"), 429, "ThrottlingException", "throttlingException"),
        (NetworkError("no"), 502, "InternalServerException", "internalServerException"),
        (Overloaded("no"), 503, "ServiceUnavailableException", "serviceUnavailableException"),
        (UpstreamTimeout("no"), 504, "ModelTimeoutException", "modelStreamErrorException"),
        (UpstreamError("no", status=503, type="ModelNotReadyException"), 503, "ModelNotReadyException", "serviceUnavailableException"),
        (UpstreamError("no", status=500, type="server_error"), 500, "InternalServerException", "internalServerException"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("surface", [Surface.BEDROCK, Surface.INVOKE])
def test_failures_are_told_as_aws_does(
    error: GatewayError, status: int, name: str, in_stream: str, surface: Surface
) -> None:
    manner = manner_of(surface)

    headers = {n.decode(): v.decode() for n, v in manner.headers(error)}
    body = manner.body(error)

    assert error.status == status
    assert json.loads(body)["__type"] == name
    read = parsed_error(status, headers, body)
    assert (read["Code"], read["Message"]) == (name, "no")
    with pytest.raises(Exception, match=rf"\({in_stream}\).*no"):
        events_of(manner.event(error))
    assert (manner.stream_type, manner.ping) == (b"application/vnd.amazon.eventstream", b"")


def test_an_upstreams_own_header_counts_once() -> None:
    error = UpstreamError(
        "no", status=429, headers=(("x-amzn-errortype", "Odd:http://x/"),), retry_after_s=2
    )

    lines = manner_of(Surface.BEDROCK).headers(error)

    assert [v for n, v in lines if n == b"x-amzn-errortype"] == [b"ThrottlingException"]
    assert (b"retry-after", b"2") in lines


def test_paths_that_nobody_knows_are_answered_in_the_same_words() -> None:
    told = json.loads(manner_at("/bedrock/nothing").body(BadRequest("no", status=404, code="c")))

    assert told == {"__type": "ResourceNotFoundException", "message": "no", "code": "c"}
