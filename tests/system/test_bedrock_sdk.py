"""OpenAI's SDK to a strict Bedrock, and boto3 to whatever is behind the gateway: real clients, real sockets."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import anthropic
import boto3
import httpx
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from dialects.converse import event
from system.bedrock_like import BedrockLike, answer, chunks, failed, frames, refused
from system.process import Gateway, openai_provider, running
from system.sdk import OPENED, in_thread, sdk
from system.upstream import Upstream, chat_answer, plain, status, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import trio

pytestmark = pytest.mark.system

KEY = "bedrock-canary-aaaaaaaaaaaaaaaaaaaaaaaa"
SECRET = "aws/canary/bbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
LLAMA, CANVAS = "meta.llama3-8b-instruct-v1:0", "amazon.nova-canvas-v1:0"
PROFILE = f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/{CLAUDE}"
MESSAGES: list[Any] = [{"role": "user", "content": "Say hello"}]
PNG = base64.b64decode("iVBORw0KGgo=")
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "look",
            "description": "Looks.",
            "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
        },
    }
]


@pytest.fixture
async def bedrock(nursery: trio.Nursery) -> BedrockLike:
    it = BedrockLike()
    await nursery.start(it.run)
    return it


def bedrock_provider(url: str, **more: Any) -> dict[str, Any]:
    section = {"region": "eu-west-1", "deployments": {"claude": PROFILE, "titan": "amazon.titan-embed-text-v2:0", "llama": LLAMA, "canvas": CANVAS, CLAUDE: CLAUDE}}  # fmt: skip
    return {
        "keys": [{"name": "bedrock-key", "value": KEY, "bedrock_key_config": section, **more}],
        "network_config": {"base_url": url, "max_retries": 0},
    }


@pytest.fixture
async def gateway(
    bedrock: BedrockLike, upstream: Upstream, tmp_path: Path
) -> AsyncIterator[Gateway]:
    """A gateway before a Bedrock and an OpenAI."""
    providers = {
        "bedrock": bedrock_provider(bedrock.url),
        "openai": openai_provider(upstream.url, "sk-canary-openai-aaaaaaaaaaaa"),
    }
    async with running({"providers": providers}, tmp_path) as it:
        yield it
    assert "canary" not in it.text


def chat(gateway: Gateway) -> Any:
    return sdk(gateway).chat.completions.create


# OpenAI's SDK, Bedrock upstream


async def test_plain(gateway: Gateway, bedrock: BedrockLike) -> None:
    said = await in_thread(chat(gateway), model="bedrock/claude", messages=MESSAGES)

    assert said.choices[0].message.content == "Hello"
    assert said.usage.total_tokens == 10
    assert said.extra_fields["model_deployment"] == PROFILE
    [received] = bedrock.requests
    assert received.header("authorization") == f"Bearer {KEY}"


async def test_streamed(gateway: Gateway) -> None:
    def ask() -> list[Any]:
        return list(chat(gateway)(model="bedrock/claude", messages=MESSAGES, stream=True))

    chunks = await in_thread(ask)

    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello"
    assert chunks[-1].usage.total_tokens == 10


async def test_a_loop_of_thinking_and_tools(gateway: Gateway, bedrock: BedrockLike) -> None:
    thought = {"reasoningText": {"text": "Hm", "signature": "c2ln+/=="}}
    use = {"toolUse": {"toolUseId": "tooluse_1", "name": "look", "input": {"at": "it"}}}
    bedrock.scripts[PROFILE] = [
        answer({"reasoningContent": thought}, {"text": "I look."}, use, stop="tool_use"),
        answer({"text": "Seen."}),
    ]
    ask = chat(gateway)
    asked: Any = {"model": "bedrock/claude", "tools": TOOLS, "reasoning_effort": "low"}

    first = await in_thread(ask, messages=MESSAGES, **asked)
    message = first.choices[0].message
    [call] = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"seen": true}'}
    history = [*MESSAGES, message.model_dump(exclude_none=True), result]
    second = await in_thread(ask, messages=history, **asked)

    assert first.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == {"at": "it"}
    assert second.choices[0].message.content == "Seen."
    sent = bedrock.requests[1].json["messages"]
    assert sent[1]["content"] == [{"reasoningContent": thought}, {"text": "I look."}, use]
    assert sent[2]["content"][0]["toolResult"]["content"] == [{"json": {"seen": True}}]


async def test_the_same_loop_streamed(gateway: Gateway, bedrock: BedrockLike) -> None:
    def delta(index: int, value: Any) -> bytes:
        return event("contentBlockDelta", {"contentBlockIndex": index, "delta": value})

    start = {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t1", "name": "look"}}}
    bedrock.scripts[PROFILE] = [
        frames(
            delta(0, {"reasoningContent": {"text": "Hm"}}),
            delta(0, {"reasoningContent": {"signature": "c2ln"}}),
            event("contentBlockStart", start),
            delta(1, {"toolUse": {"input": '{"at":'}}),
            delta(1, {"toolUse": {"input": '"it"}'}}),
            stop="tool_use",
        ),
        frames(),
    ]

    def ask(messages: Any) -> list[Any]:
        asked: Any = {"model": "bedrock/claude", "tools": TOOLS, "reasoning_effort": "low"}
        return list(chat(gateway)(messages=messages, stream=True, **asked))

    chunks = await in_thread(ask, MESSAGES)
    deltas = [c.choices[0].delta for c in chunks]
    details = [d for delta in deltas for d in getattr(delta, "reasoning_details", None) or ()]
    signed = {"type": "reasoning.text", "index": 0}
    for detail in details:
        signed |= {n: signed.get(n, "") + detail[n] for n in ("text", "signature") if n in detail}
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    arguments = "".join(call.function.arguments for call in calls)
    function = {"name": calls[0].function.name, "arguments": arguments}
    said = {
        "role": "assistant",
        "reasoning_details": [signed],
        "tool_calls": [{"id": calls[0].id, "type": "function", "function": function}],
    }
    result = {"role": "tool", "tool_call_id": calls[0].id, "content": "seen"}
    await in_thread(ask, [*MESSAGES, said, result])

    assert bedrock.requests[1].json["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
        {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": "it"}}},
    ]


async def test_a_picture(gateway: Gateway, bedrock: BedrockLike) -> None:
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    far = [{"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]

    await in_thread(chat(gateway), model="bedrock/claude", messages=[{"role": "user", "content": parts}])  # fmt: skip
    with pytest.raises(openai.BadRequestError, match="only base64-encoded images"):
        await in_thread(chat(gateway), model="bedrock/claude", messages=[{"role": "user", "content": far}])  # fmt: skip

    [received] = bedrock.requests
    assert received.json["messages"][0]["content"][1]["image"]["source"] == {
        "bytes": base64.b64encode(PNG).decode()
    }


async def test_an_answer_by_a_schema(gateway: Gateway, bedrock: BedrockLike) -> None:
    use = {"toolUse": {"toolUseId": "t", "name": "bf_so_fact", "input": {"n": 4}}}
    bedrock.scripts[PROFILE] = [answer(use, stop="tool_use")]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "fact", "schema": schema}}

    said = await in_thread(chat(gateway), model="bedrock/claude", messages=MESSAGES, response_format=form)  # fmt: skip

    assert json.loads(said.choices[0].message.content) == {"n": 4}
    assert said.choices[0].finish_reason == "stop"


async def test_responses_count_embeddings_and_models(gateway: Gateway) -> None:
    client = sdk(gateway)

    said = await in_thread(client.responses.create, model="bedrock/claude", input="Hi")
    events = await in_thread(
        lambda: list(client.responses.create(model="bedrock/claude", input="Hi", stream=True))
    )
    counted = await in_thread(
        client.responses.input_tokens.count, model="bedrock/claude", input="Hi"
    )
    embedded = await in_thread(client.embeddings.create, model="bedrock/titan", input="Hi")
    models = await in_thread(lambda: [m.id for m in client.models.list()])

    assert said.output_text == "Hello"
    assert events[-1].response.output_text == "Hello"
    assert counted.input_tokens == 5
    assert embedded.data[0].embedding == [0.5, -1.0]
    assert "bedrock/claude" in models


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("code", "name", "error"),
    [
        (429, "ThrottlingException", openai.RateLimitError),
        (403, "AccessDeniedException", openai.PermissionDeniedError),
        (400, "ValidationException", openai.BadRequestError),
        (503, "ServiceUnavailableException", openai.InternalServerError),
    ],
)
async def test_refusals(
    gateway: Gateway, bedrock: BedrockLike, code: int, name: str, error: Any, streams: bool
) -> None:
    bedrock.scripts[PROFILE] = [refused(code, name, "no, because")]

    with pytest.raises(error, match="no, because") as caught:
        await in_thread(chat(gateway), model="bedrock/claude", messages=MESSAGES, stream=streams)

    assert caught.value.type == name


async def test_failures_in_a_stream(gateway: Gateway, bedrock: BedrockLike) -> None:
    start = event("messageStart", {"role": "assistant"})
    bedrock.scripts[PROFILE] = [
        failed("modelStreamErrorException", start),
        frames(end=False),
        failed("throttlingException"),
    ]

    def ask() -> list[Any]:
        return list(chat(gateway)(model="bedrock/claude", messages=MESSAGES, stream=True))

    with pytest.raises(openai.APIError, match="it went wrong"):
        await in_thread(ask)
    with pytest.raises(openai.APIError, match="ended before its end marker"):
        await in_thread(ask)
    with pytest.raises(openai.RateLimitError):
        await in_thread(ask)


async def test_a_pair_of_keys_signs(bedrock: BedrockLike, tmp_path: Path) -> None:
    provider = bedrock_provider(bedrock.url)
    section = {"region": "eu-west-1", "access_key": "AKIDEXAMPLE", "secret_key": SECRET}
    provider["keys"] = [{"name": "pair", "bedrock_key_config": section}]
    async with running({"providers": {"bedrock": provider}}, tmp_path) as gateway:
        await in_thread(chat(gateway), model=f"bedrock/{CLAUDE}", messages=MESSAGES)

    [received] = bedrock.requests
    assert "Credential=AKIDEXAMPLE/" in (received.header("authorization") or "")
    assert "canary" not in gateway.text


# boto3


def aws(gateway: Gateway, prefix: str = "/bedrock", **more: Any) -> Any:
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=gateway.url + prefix,
        region_name="us-east-1",
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
        config=Config(retries={"total_max_attempts": 1}, **more),
    )
    OPENED.append(client)
    return client


def events_of(stream: Any) -> list[Any]:
    """All of a stream, and its connection closed even where it fails."""
    with closing(stream):
        return list(stream)


AWS_TOOLS: Any = {
    "tools": [
        {
            "toolSpec": {
                "name": "look",
                "description": "Looks.",
                "inputSchema": {"json": {"type": "object", "properties": {}}},
            }
        }
    ],
    "toolChoice": {"any": {}},
}


async def test_boto3_converses_with_openai(gateway: Gateway, upstream: Upstream) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"b":1,"a":2}'}}  # fmt: skip
    said = chat_answer()
    said["choices"][0] |= {"finish_reason": "tool_calls", "message": {"role": "assistant", "content": "So.", "tool_calls": [call]}}  # fmt: skip
    upstream.scripts["gpt-5"] = [plain(said), plain()]
    client = aws(gateway)
    content: list[Any] = [
        {"text": "What?"},
        {"image": {"format": "png", "source": {"bytes": PNG}}},
    ]

    first = await in_thread(
        client.converse,
        modelId="openai/gpt-5",
        system=[{"text": "Be kind."}],
        messages=[{"role": "user", "content": content}],
        inferenceConfig={"maxTokens": 50, "stopSequences": ["x"]},
        toolConfig=AWS_TOOLS,
    )
    message = first["output"]["message"]
    result = {"toolUseId": "call_1", "content": [{"json": {"seen": True}}]}
    second = await in_thread(
        client.converse,
        modelId="openai/gpt-5",
        messages=[
            {"role": "user", "content": content},
            message,
            {"role": "user", "content": [{"toolResult": result}]},
        ],
    )

    assert first["stopReason"] == "tool_use"
    assert message["content"] == [
        {"text": "So."},
        {"toolUse": {"toolUseId": "call_1", "name": "look", "input": {"b": 1, "a": 2}}},
    ]
    assert first["usage"]["totalTokens"] == 10
    assert second["output"]["message"]["content"] == [{"text": "Hello"}]
    one, two = (r.json for r in upstream.requests)
    assert one["messages"][0] == {"role": "system", "content": "Be kind."}
    assert one["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert (one["max_completion_tokens"], one["tool_choice"]) == (50, "required")
    assert two["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"b":1,"a":2}'
    assert two["messages"][2] == {
        "role": "tool",
        "tool_call_id": "call_1",
        "content": '{"seen":true}',
    }


async def test_boto3_streams_from_openai(gateway: Gateway, upstream: Upstream) -> None:
    def ask() -> list[Any]:
        asked = aws(gateway).converse_stream(
            modelId="openai/gpt-5", messages=[{"role": "user", "content": [{"text": "Hi"}]}]
        )
        return events_of(asked["stream"])

    upstream.scripts["gpt-5"] = [stream()]
    events = await in_thread(ask)

    assert [next(iter(e)) for e in events] == [
        "messageStart", "contentBlockDelta", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    assert events[1]["contentBlockDelta"]["delta"] == {"text": "Hel"}
    assert events[-2]["messageStop"] == {"stopReason": "end_turn"}
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 10


async def test_boto3_to_bedrock_goes_through_as_it_came(
    gateway: Gateway, bedrock: BedrockLike
) -> None:
    asked: Any = {
        "modelId": CLAUDE,
        "messages": [{"role": "user", "content": [{"text": "Hi"}, {"cachePoint": {"type": "default"}}]}],
        "requestMetadata": {"team": "x"},
        "additionalModelRequestFields": {"unheard": {"of": 1}},
    }  # fmt: skip

    whole = await in_thread(aws(gateway).converse, **asked)
    events = await in_thread(lambda: events_of(aws(gateway).converse_stream(**asked)["stream"]))
    arn = await in_thread(aws(gateway).converse, **{**asked, "modelId": "bedrock/claude"})

    assert whole["output"]["message"]["content"] == arn["output"]["message"]["content"]
    assert whole["metrics"]["latencyMs"] == 5
    assert [next(iter(e)) for e in events] == [
        "messageStart", "contentBlockDelta", "contentBlockDelta", "messageStop", "metadata",
    ]  # fmt: skip
    del asked["modelId"]
    assert [r.json for r in bedrock.requests] == [asked] * 3
    assert {r.header("authorization") for r in bedrock.requests} == {f"Bearer {KEY}"}


async def test_boto3_counts_and_invokes(
    gateway: Gateway, bedrock: BedrockLike, upstream: Upstream
) -> None:
    client = aws(gateway)
    hi: Any = [{"role": "user", "content": [{"text": "Hi"}]}]
    body = json.dumps(
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 10,
            "messages": [{"role": "user", "content": "Hi"}],
        }
    )
    upstream.scripts["gpt-5"] = [plain(), stream()]

    def invoked(model: str) -> Any:
        with closing(client.invoke_model(modelId=model, body=body)["body"]) as answered:
            return answered.read()

    counted = await in_thread(
        client.count_tokens, modelId=CLAUDE, input={"converse": {"messages": hi}}
    )
    said = await in_thread(invoked, "openai/gpt-5")
    bedrock.scripts[CLAUDE] = [status(200, {"content": [{"type": "new"}], "usage": {}})]
    claude = await in_thread(invoked, CLAUDE)

    def streamed() -> list[Any]:
        asked = client.invoke_model_with_response_stream(modelId="openai/gpt-5", body=body)
        return [json.loads(e["chunk"]["bytes"]) for e in events_of(asked["body"])]

    events = await in_thread(streamed)

    assert counted["inputTokens"] == 5
    assert json.loads(said)["content"] == [{"type": "text", "text": "Hello"}]
    assert json.loads(claude)["content"] == [{"type": "new"}]
    assert bedrock.requests[-1].path.endswith("/invoke")
    assert bedrock.requests[-1].json == json.loads(body)
    assert [e["type"] for e in events][-2:] == ["message_delta", "message_stop"]
    with pytest.raises(ClientError, match="no words for this body but those of bedrock") as caught:
        await in_thread(client.invoke_model, modelId="openai/gpt-5", body='{"message": "x"}')
    assert caught.value.response["Error"]["Code"] == "ValidationException"


async def test_boto3_invokes_in_a_models_own_words(
    gateway: Gateway, bedrock: BedrockLike, upstream: Upstream
) -> None:
    client = aws(gateway)
    body = '{"prompt": "h\\u0069", "max_gen_len": 5}'
    bedrock.scripts[LLAMA] = [
        status(200, {"generation": "Hello", "stop_reason": "stop"}),
        chunks({"generation": "Hel"}, {"generation": "lo", "stop_reason": "stop"}),
    ]
    choice = {"index": 0, "text": "Hello", "finish_reason": "stop"}
    completed = {"object": "text_completion", "choices": [choice], "usage": {"prompt_tokens": 2, "completion_tokens": 1}}  # fmt: skip
    upstream.scripts["gpt-i"] = [
        plain(completed),
        stream([{"choices": [{"index": 0, "text": text}]} for text in ("Hel", "lo")]),
    ]

    def invoked(model: str) -> Any:
        with closing(client.invoke_model(modelId=model, body=body)["body"]) as answered:
            return json.loads(answered.read())

    def streamed(model: str) -> Any:
        asked = client.invoke_model_with_response_stream(modelId=model, body=body)
        return [json.loads(e["chunk"]["bytes"]) for e in events_of(asked["body"])]

    for model in ("bedrock/llama", "openai/gpt-i"):
        whole = await in_thread(invoked, model)
        pieces = await in_thread(streamed, model)
        assert (whole["generation"], whole["stop_reason"]) == ("Hello", "stop")
        assert "".join(piece["generation"] for piece in pieces) == "Hello"
        assert "amazon-bedrock-invocationMetrics" in pieces[-1]
    assert {request.body for request in bedrock.requests} == {body.replace(": ", ":").replace(", ", ",").encode()}  # fmt: skip
    assert upstream.requests[0].path == "/v1/completions"
    assert upstream.requests[0].json == {"model": "gpt-i", "prompt": "hi", "max_tokens": 5}


async def test_boto3_ranks(gateway: Gateway, bedrock: BedrockLike) -> None:
    ranked = {"results": [{"index": 0, "relevance_score": 0.2}, {"index": 1, "relevance_score": 0.9}]}  # fmt: skip
    bedrock.scripts[PROFILE] = [status(200, ranked)]
    client = boto3.client(
        "bedrock-agent-runtime",
        endpoint_url=f"{gateway.url}/bedrock",
        region_name="us-east-1",
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
        config=Config(retries={"total_max_attempts": 1}),
    )
    OPENED.append(cast("Any", client))
    model: Any = {"modelConfiguration": {"modelArn": "bedrock/claude"}}
    source = [
        {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}}
        for text in ("a", "b")
    ]

    answer = await in_thread(
        client.rerank,
        queries=[{"type": "TEXT", "textQuery": {"text": "q"}}],
        sources=source,
        rerankingConfiguration={
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": model,
        },
    )

    assert answer["results"] == [
        {"index": 1, "relevanceScore": 0.9},
        {"index": 0, "relevanceScore": 0.2},
    ]
    assert bedrock.requests[0].json["documents"] == ["a", "b"]


async def vary(gateway: Gateway, model: str, picture: bytes) -> Any:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        answer = await http.post(
            "/openai/v1/images/variations",
            data={"model": model},
            files={"image": ("a.png", picture, "image/png")},
        )
    return answer.json()


async def test_completions_and_pictures(gateway: Gateway, bedrock: BedrockLike) -> None:
    bedrock.scripts[LLAMA] = [
        chunks({"generation": "Hel"}, {"generation": "lo", "stop_reason": "length"})
    ]
    bedrock.scripts[CANVAS] = [status(200, {"images": ["aGk="]})]
    client = sdk(gateway)

    def completed() -> list[Any]:
        create = client.completions.create
        return list(create(model="bedrock/llama", prompt="Hi", max_tokens=5, stream=True))

    pieces = await in_thread(completed)
    drawn = await in_thread(
        client.images.generate, model="bedrock/canvas", prompt="A cat", size="1024x1024"
    )
    edited = await in_thread(
        client.images.edit,
        model="bedrock/canvas",
        prompt="a hat",
        image=("a.png", PNG, "image/png"),
        mask=("m.png", PNG, "image/png"),
    )
    varied = await vary(gateway, "bedrock/canvas", PNG)

    assert "".join(piece.choices[0].text for piece in pieces) == "Hello"
    assert pieces[-1].usage.total_tokens == 10
    assert {each.data[0].b64_json for each in (drawn, edited)} == {"aGk="}
    assert varied["data"] == [{"b64_json": "aGk="}]
    text, *pictures = (request.json for request in bedrock.requests)
    assert text == {"prompt": "Hi", "max_gen_len": 5}
    assert [each["taskType"] for each in pictures] == ["TEXT_IMAGE", "INPAINTING", "IMAGE_VARIATION"]  # fmt: skip
    assert pictures[1]["inPaintingParams"]["image"] == base64.b64encode(PNG).decode()


async def test_a_picture_that_is_signed(bedrock: BedrockLike, tmp_path: Path) -> None:
    provider = bedrock_provider(bedrock.url)
    section = {"region": "eu-west-1", "access_key": "AKIDEXAMPLE", "secret_key": SECRET}
    provider["keys"] = [{"name": "pair", "bedrock_key_config": section}]
    bedrock.scripts[CANVAS] = [status(200, {"images": ["aGk="]})]
    picture = PNG * 200_000  # More than is kept in memory.
    async with running({"providers": {"bedrock": provider}}, tmp_path) as gateway:
        answer = await vary(gateway, f"bedrock/{CANVAS}", picture)

    assert answer["data"] == [{"b64_json": "aGk="}]
    [received] = bedrock.requests
    assert received.header("x-amz-content-sha256") == hashlib.sha256(received.body).hexdigest()
    [told] = received.json["imageVariationParams"]["images"]
    assert base64.b64decode(told) == picture


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("code", "name"),
    [
        (400, "ValidationException"),
        (401, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ],
)
async def test_boto3_raises_what_it_knows(
    gateway: Gateway, upstream: Upstream, code: int, name: str, streams: bool
) -> None:
    upstream.scripts["gpt-5"] = [status(code, {"error": {"message": "no, because"}})]
    client = aws(gateway)
    hi: Any = [{"role": "user", "content": [{"text": "Hi"}]}]

    call = client.converse_stream if streams else client.converse

    with pytest.raises(getattr(client.exceptions, name), match="no, because") as caught:
        await in_thread(call, modelId="openai/gpt-5", messages=hi)

    told = caught.value.response["ResponseMetadata"]
    assert told["HTTPStatusCode"] == code
    assert told["RequestId"]


async def test_boto3_raises_what_comes_in_a_stream(
    gateway: Gateway, upstream: Upstream, bedrock: BedrockLike
) -> None:
    upstream.scripts["gpt-5"] = [stream(done=False, end=False)]
    start = event("messageStart", {"role": "assistant"})
    bedrock.scripts[CLAUDE] = [failed("throttlingException", start)]
    hi: Any = [{"role": "user", "content": [{"text": "Hi"}]}]

    def ask(model: str) -> None:
        events_of(aws(gateway).converse_stream(modelId=model, messages=hi)["stream"])

    with pytest.raises(EventStreamError, match="internalServerException"):
        await in_thread(ask, "openai/gpt-5")
    with pytest.raises(EventStreamError, match="throttlingException"):
        await in_thread(ask, CLAUDE)


async def test_what_is_wrong_is_told_in_awss_words(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        answers = [
            await http.post("/bedrock/model/openai%2Fgpt-5/converse", content=b"{"),
            await http.post("/bedrock/model/openai%2Fgpt-5/converse", json={}),
            await http.post(f"/bedrock/model/{CLAUDE}/count-tokens", json={"input": {}}),
            await http.post("/bedrock/nothing", json={}),
            await http.get("/bedrock/model/x/converse"),
            await http.post("/bedrock/model/x/converse", json={}, headers={"x-bf-async": "true"}),
        ]

    assert [a.status_code for a in answers] == [400, 400, 400, 404, 405, 400]
    assert all(a.json()["__type"] and a.json()["message"] for a in answers)
    assert answers[0].headers["x-amzn-errortype"] == "ValidationException"


# The prefixes that speak several dialects


@pytest.mark.parametrize("prefix", ["/langchain", "/litellm", "/pydanticai"])
async def test_one_prefix_for_all_sdks(gateway: Gateway, prefix: str) -> None:
    hi: Any = [{"role": "user", "content": [{"text": "Hi"}]}]
    claude = anthropic.Anthropic(base_url=gateway.url + prefix, api_key="unused", max_retries=0)
    OPENED.append(cast("Any", claude))

    for path in (prefix, f"{prefix}/v1", f"{prefix}/openai/v1"):
        client = sdk(gateway, path)
        said = await in_thread(
            client.chat.completions.create, model="bedrock/claude", messages=MESSAGES
        )
        models = await in_thread(lambda client=client: [m.id for m in client.models.list()])
        assert said.choices[0].message.content == "Hello"
        assert "bedrock/claude" in models
    message = await in_thread(
        claude.messages.create, model="bedrock/claude", max_tokens=9, messages=MESSAGES
    )
    converse = aws(gateway, prefix).converse
    conversed = await in_thread(converse, modelId="openai/gpt-5", messages=hi)

    assert message.content[0].text == "Hello"
    assert conversed["output"]["message"]["content"] == [{"text": "Hello"}]
