"""InvokeModel: bodies in each family's own words, asked of Bedrock as they came and of others in OpenAI's; and completions."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.secret import Secret
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.hub import Answer
from bifrost.dialects.invoke_forms import TEXT_FORMS, Form, form_of
from bifrost.dialects.invoke_incoming import (
    Invoked,
    read_invoked,
    read_rerank_request,
    rerank_model,
)
from bifrost.dialects.invoke_relay import RelayedChunks, encode_invoked, relay_invoked
from bifrost.dialects.invoke_telling import (
    invoke_teller,
    tell_invoked,
    tell_invoked_embedding,
    tell_invoked_rerank,
    tell_invoked_text,
    tell_ranking,
    text_teller,
)
from bifrost.dialects.invoke_text import encode_text, read_text, read_text_stream
from bifrost.dialects.text_teller import TextTeller
from bifrost.errors import BadRequest, NetworkError, UnsupportedOperation, UpstreamError
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Target
from dialects.converse import event, events_of, exception

Op = Operation
FACTS = AnswerFacts(
    request_type="text_completion",
    provider="bedrock",
    model_requested="m",
    operation=Op.TEXT,
    sent_s=1.0,
    sent_unix_s=1_790_000_000.5,
    send_extra_fields=False,
    key=Secret("bedrock-key-1234"),
)
HI: Any = [{"role": "user", "content": "Hi"}]
NOVAS: Any = [{"role": "user", "content": [{"text": "Hi"}]}]

TITAN: Any = {"inputText": "Hi", "textGenerationConfig": {"maxTokenCount": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]}}  # fmt: skip
LLAMA: Any = {"prompt": "Hi", "max_gen_len": 5, "temperature": 0.5, "top_p": 0.9}
MISTRAL: Any = {"prompt": "Hi", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "stop": ["x"]}  # fmt: skip
COMMAND: Any = {"prompt": "Hi", "max_tokens": 5, "temperature": 0.5, "p": 0.9, "k": 3, "stop_sequences": ["x"]}  # fmt: skip
CLAUDE: Any = {"prompt": "Hi", "max_tokens_to_sample": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "stop_sequences": ["x"]}  # fmt: skip

MODELS = {
    Form.TITAN: "amazon.titan-text-express-v1",
    Form.LLAMA: "us.meta.llama3-1-8b-instruct-v1:0",
    Form.MISTRAL: "mistral.mistral-7b-instruct-v0:2",
    Form.COMMAND: "cohere.command-text-v14",
    Form.CLAUDE: "anthropic.claude-v2:1",
}
BODIES = {
    Form.TITAN: TITAN,
    Form.LLAMA: LLAMA,
    Form.MISTRAL: MISTRAL,
    Form.COMMAND: COMMAND,
    Form.CLAUDE: CLAUDE,
}


def raw(body: Any) -> dict[str, bytes]:
    return {name: json.dumps(value).encode() for name, value in body.items()}


def read(body: Any, model: str = "openai/gpt-5") -> Invoked:
    return read_invoked(raw(body), model)


def said(invoked: Invoked) -> Any:
    return {name: json.loads(value) for name, value in invoked.incoming.members.items()}


@pytest.mark.parametrize(
    ("body", "model", "form"),
    [
        ({"messages": HI}, "x", Form.MESSAGES),
        ({"messages": NOVAS}, "us.amazon.nova-lite-v1:0", Form.NOVA),
        ({"messages": NOVAS, "inferenceConfig": {}}, "x", Form.NOVA),
        ({"messages": "x"}, "x", Form.UNKNOWN),
        (TITAN, "x", Form.TITAN),
        ({"inputText": "x"}, "openai/text-embedding-3-small", Form.TITAN_EMBED),
        ({"inputText": "x", "normalize": True}, "x", Form.TITAN_EMBED),
        ({"inputImage": "x"}, "x", Form.TITAN_EMBED),
        ({"texts": ["x"], "input_type": "search_query"}, "x", Form.COHERE_EMBED),
        ({"query": "q", "documents": ["d"]}, "x", Form.RERANK),
        ({"taskType": "TEXT_IMAGE"}, "x", Form.IMAGE),
        ({"prompt": "A cat"}, "stability.sd3-5-large-v1:0", Form.IMAGE),
        (LLAMA, "x", Form.LLAMA),
        ({"prompt": "Hi"}, "ollama/llama3", Form.LLAMA),
        (COMMAND, "x", Form.COMMAND),
        (CLAUDE, "x", Form.CLAUDE),
        (MISTRAL, "x", Form.MISTRAL),
        *(({"prompt": "Hi"}, model, form) for form, model in MODELS.items() if form is not Form.TITAN),
        ({"message": "Hi"}, "cohere.command-r-v1:0", Form.UNKNOWN),
        ({}, "x", Form.UNKNOWN),
    ],
)  # fmt: skip
def test_a_body_says_whose_words_it_is_in(body: Any, model: str, form: Form) -> None:
    assert form_of(raw(body), model) is form


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_completions_in_openais_words(form: Form) -> None:
    invoked = read(BODIES[form])

    told = said(invoked)
    full = {"model": "openai/gpt-5", "prompt": "Hi", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "stop": ["x"]}  # fmt: skip
    wanted = {"model", "prompt", *TEXT_FORMS[form].fields}
    assert told == {name: value for name, value in full.items() if name in wanted}
    assert (invoked.operation, invoked.incoming.max_tokens) == (Op.TEXT, 5)
    assert invoked.incoming.lost == ()


def test_what_a_completion_loses_has_the_callers_name() -> None:
    titan = {**TITAN, "textGenerationConfig": {"new": 1, "topP": None}, "x": 1}

    assert read({**LLAMA, "images": ["x"], "stream": True}).incoming.lost == ("images",)
    assert read(titan).incoming.lost == ("x", "textGenerationConfig.new")
    assert said(read({"inputText": "Hi"})) == {"model": "openai/gpt-5", "prompt": "Hi"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"inputText": 5}, "inputText"),
        ({"inputText": "x", "textGenerationConfig": 5}, "textGenerationConfig"),
        ({"inputText": "", "normalize": True}, "inputText"),
        ({"messages": NOVAS, "inferenceConfig": 5}, "inferenceConfig"),
    ],
)
def test_wrong_bodies_are_refused_with_their_place(body: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(body)

    assert caught.value.param == param


def test_nova_is_converse_but_for_some_names() -> None:
    config = {"max_new_tokens": 9, "top_p": 0.5, "top_k": 3, "temperature": 0}
    body = {"schemaVersion": "messages-v1", "messages": NOVAS, "inferenceConfig": config}

    invoked = read(body)

    assert said(invoked) == {
        "model": "openai/gpt-5", "messages": HI, "max_completion_tokens": 9, "top_p": 0.5, "top_k": 3, "temperature": 0,
    }  # fmt: skip
    assert (invoked.operation, invoked.incoming.lost) == (Op.CHAT, ())
    assert invoked.incoming.max_tokens == 9


def test_anthropics_messages() -> None:
    invoked = read({"messages": HI, "max_tokens": 5, "anthropic_version": "bedrock-2023-05-31"})

    assert said(invoked)["messages"] == HI
    assert (invoked.operation, invoked.incoming.max_tokens) == (Op.CHAT, 5)
    assert read({"messages": HI, "max_tokens": "x"}).incoming.max_tokens is None


def test_embeddings() -> None:
    titan = {"inputText": "Hi", "dimensions": 256, "normalize": False, "embeddingTypes": ["float"]}
    cohere = {"texts": ["a", "b"], "input_type": "search_query", "output_dimension": 5}

    assert said(read(titan)) == {"model": "openai/gpt-5", "input": "Hi", "dimensions": 256}
    assert read(titan).incoming.lost == ("normalize",)
    told = said(read(cohere))
    assert (told["input"], told["dimensions"]) == (["a", "b"], 5)
    assert {read(titan).operation, read(cohere).operation} == {Op.EMBEDDING}


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        ({"taskType": "TEXT_IMAGE"}, Op.IMAGE),
        ({"inputImage": "aGk="}, Op.EMBEDDING),
        ({"message": "Hi", "chat_history": []}, Op.CHAT),
    ],
)
def test_what_openai_has_no_words_for_is_for_bedrock_only(body: Any, operation: Operation) -> None:
    invoked = read(body)

    assert (dict(invoked.incoming.members), invoked.operation) == ({}, operation)


# Ranking


def ranking(**more: Any) -> Any:
    model = {"modelArn": "openai/r", "additionalModelRequestFields": {"max_tokens_per_doc": 9, "x": 1}}  # fmt: skip
    text: Any = {"type": "TEXT", "textDocument": {"text": "a"}}
    document = {"type": "JSON", "jsonDocument": {"b": 1, "a": 2}}
    return {
        "queries": [{"type": "TEXT", "textQuery": {"text": "q"}}],
        "sources": [{"type": "INLINE", "inlineDocumentSource": each} for each in (text, document)],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"numberOfResults": 1, "modelConfiguration": model},
        },
        **more,
    }


def test_a_ranking_that_is_asked_for() -> None:
    body = raw(ranking(nextToken="t"))

    incoming = read_rerank_request(body, "openai/r")

    assert rerank_model(body) == "openai/r"
    assert {name: json.loads(value) for name, value in incoming.members.items()} == {
        "model": "openai/r", "query": "q", "documents": ["a", '{"b":1,"a":2}'], "top_n": 1, "max_tokens_per_doc": 9,
    }  # fmt: skip
    assert incoming.lost == ("additionalModelRequestFields.x", "nextToken")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "rerankingConfiguration"),
        ({"rerankingConfiguration": {}}, "rerankingConfiguration.bedrockRerankingConfiguration"),
        ({"rerankingConfiguration": {"bedrockRerankingConfiguration": {"modelConfiguration": {}}}}, "rerankingConfiguration.bedrockRerankingConfiguration.modelConfiguration.modelArn"),
        (ranking(queries=[]), "queries"),
        (ranking(queries=[5]), "queries[0]"),
        (ranking(sources=[{"inlineDocumentSource": 5}]), "sources[0].inlineDocumentSource"),
    ],
)  # fmt: skip
def test_a_ranking_that_cannot_be_read(body: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        rerank_model(raw(body))
        read_rerank_request(raw(body), "m")

    assert caught.value.param == param


def test_a_ranking_of_what_is_no_json() -> None:
    with pytest.raises(BadRequest, match="Invalid JSON"):
        rerank_model({"rerankingConfiguration": b"{"})


def test_a_ranking_told() -> None:
    results = [{"index": 1, "relevance_score": 0.5, "document": {"text": "b"}}]
    answer = Answer(value={"results": results}, body=b"{}")

    assert json.loads(tell_ranking(answer, FACTS)) == {"results": [{"index": 1, "relevanceScore": 0.5}]}  # fmt: skip
    assert json.loads(tell_invoked_rerank(answer, FACTS)) == {"results": [{"index": 1, "relevance_score": 0.5}]}  # fmt: skip
    assert json.loads(tell_ranking(Answer(value={}, body=b""), FACTS)) == {"results": []}


# Completions of Bedrock's


def ask(body: Any, model: str, *, stream: bool = False, **caller: Any) -> Any:
    target = Target("bedrock", "m")
    call = Call(
        id="1",
        operation=Op.TEXT,
        stream=stream,
        target=target,
        members=raw(body),
        caller=Caller(**caller),
    )
    return encode_text(call, model, "bedrock")


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_completions_are_asked_for_in_the_familys_words(form: Form) -> None:
    asked = {"model": "m", "prompt": ["Hi"], "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": "x", "extra_params": {"top_k": 3}}  # fmt: skip

    sent = ask(asked, MODELS[form])

    assert json.loads(sent.body) == BODIES[form]
    lost = {"stop", "extra_params.top_k"} - {
        {"top_k": "extra_params.top_k"}.get(name, name) for name in TEXT_FORMS[form].fields
    }
    assert set(sent.dropped) == lost


def test_completions_that_cannot_be_asked_for() -> None:
    with pytest.raises(UnsupportedOperation, match="text_completion is not supported by bedrock"):
        ask({"prompt": "Hi"}, "anthropic.claude-3-haiku-20240307-v1:0")
    for prompt in (["a", "b"], [1, 2], ""):
        with pytest.raises(BadRequest, match="prompt must be"):
            ask({"prompt": prompt}, MODELS[Form.LLAMA])
    assert json.loads(ask({"prompt": "Hi"}, MODELS[Form.TITAN]).body) == {"inputText": "Hi"}
    with pytest.raises(BadRequest, match="bedrock does not take: echo"):
        ask({"prompt": "Hi", "echo": True}, MODELS[Form.LLAMA], strict=True)


ANSWERS = [
    ({"inputTextTokenCount": 3, "results": [{"tokenCount": 2, "outputText": "Hello", "completionReason": "LENGTH"}]}, "length", (3, 2)),
    ({"generation": "Hello", "prompt_token_count": 3, "generation_token_count": 2, "stop_reason": "stop"}, "stop", (3, 2)),
    ({"outputs": [{"text": "Hello", "stop_reason": "length"}]}, "length", None),
    ({"generations": [{"text": "Hello", "finish_reason": "ERROR_TOXIC"}]}, "content_filter", None),
    ({"completion": "Hello", "stop_reason": "stop_sequence", "stop": "x"}, "stop", None),
    ({"text": "Hello", "finish_reason": "COMPLETE"}, "stop", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "finish", "counts"), ANSWERS)
def test_completions_are_read(body: Any, finish: str, counts: Any) -> None:
    headers = (("x-amzn-bedrock-input-token-count", "3"), ("x-amzn-bedrock-output-token-count", "2"))  # fmt: skip
    facts = FACTS if counts else attrs.evolve(FACTS, response_headers=headers)

    value = read_text(json.dumps(body).encode(), facts).value

    assert value["object"] == "text_completion"
    assert value["choices"] == [
        {"index": 0, "text": "Hello", "logprobs": None, "finish_reason": finish}
    ]
    assert value["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize("body", [b"[]", b"{}", b"x"])
def test_what_is_no_completion(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        read_text(body, FACTS)


def test_a_completion_without_counts() -> None:
    value = read_text(b'{"completion":"Hi"}', FACTS).value

    assert "usage" not in value
    assert value["choices"][0]["finish_reason"] == "stop"


METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 2}}


def chunk(value: Any) -> bytes:
    return event("chunk", {"bytes": base64.b64encode(json.dumps(value).encode()).decode()})


STREAMS = [
    [{"outputText": "Hel", "index": 0}, {"outputText": "lo", "completionReason": "FINISH", **METRICS}],
    [{"generation": "Hel", "prompt_token_count": 3, "stop_reason": None}, {"generation": "lo"}, {"generation": "", "stop_reason": "stop", **METRICS}],
    [{"outputs": [{"text": "Hel", "stop_reason": None}]}, {"outputs": [{"text": "lo", "stop_reason": "stop"}], **METRICS}],
    [{"text": "Hel", "is_finished": False}, {"text": "lo", "is_finished": False}, {"is_finished": True, "finish_reason": "COMPLETE", **METRICS}],
    [{"completion": "Hel"}, {"completion": "lo", "stop_reason": "stop_sequence"}, METRICS],
    [{"completion": "Hello"}, METRICS],
]  # fmt: skip


def run(decoder: Any, body: bytes, step: int = 10_000) -> tuple[bytes, Any]:
    data = b""
    for at in range(0, len(body), step):
        progress = decoder.feed(body[at : at + step], 1.5)
        data += progress.data
        if progress.done or progress.error is not None:
            return data, progress.error
    progress = decoder.close(1.5)
    return data + progress.data, progress.error


@pytest.mark.parametrize("chunks", STREAMS)
@given(step=st.integers(1, 200))
def test_streamed_completions(chunks: list[Any], step: int) -> None:
    body = b"".join(map(chunk, chunks))

    data, error = run(read_text_stream(FACTS, TextTeller(FACTS)), body, step)

    lines = [line[6:] for line in data.split(b"\n\n") if line]
    told = [json.loads(line) for line in lines[:-1]]
    assert (error, lines[-1]) == (None, b"[DONE]")
    assert {each["object"] for each in told} == {"text_completion"}
    assert "".join(each["choices"][0]["text"] for each in told) == "Hello"
    assert [r for each in told if (r := each["choices"][0]["finish_reason"])] == ["stop"]
    assert told[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert data == run(read_text_stream(FACTS, TextTeller(FACTS)), body)[0]


def test_a_stream_without_metrics_ends_at_its_reason() -> None:
    pieces = [chunk({"completion": "Hello", "stop_reason": "stop"})]
    data, error = run(read_text_stream(FACTS, TextTeller(FACTS)), b"".join(pieces))

    assert error is None
    assert data.endswith(b"[DONE]\n\n")
    _, error = run(read_text_stream(FACTS, TextTeller(FACTS)), chunk({"completion": "Hel"}))
    assert isinstance(error, NetworkError)


@pytest.mark.parametrize("decoder", [read_text_stream(FACTS, TextTeller(FACTS)), RelayedChunks(FACTS)])  # fmt: skip
def test_exceptions_in_a_stream(decoder: Any) -> None:
    body = chunk({"completion": "Hel"}) + exception("throttlingException", "slow bedrock-key-1234")

    data, error = run(decoder, body)

    assert b"Hel" in data or b"chunk" in data
    assert (error.status, error.message) == (429, "slow ***")
    assert decoder.feed(body, 2.0).data == b""


# As it came


def test_bodies_go_as_they_came() -> None:
    members = {"prompt": b'"h\\u0069"', "new": b'{"b": 1}'}
    native = Native(dialect=Dialect.INVOKE, members=members)
    call = Call(
        id="1", operation=Op.TEXT, stream=False, target=Target("bedrock", "m"), native=native
    )

    assert encode_invoked(call, "m", "bedrock").body == b'{"prompt":"h\\u0069","new":{"b": 1}}'
    assert encode_invoked(attrs.evolve(call, native=None), "m", "bedrock").body == b"{}"


@pytest.mark.parametrize(
    ("model", "version"), [("anthropic.claude-x", "bedrock-2023-05-31"), ("qwen.qwen3", None)]
)
def test_claude_is_told_its_version(model: str, version: str | None) -> None:
    native = Native(dialect=Dialect.INVOKE, members=raw({"messages": HI}))
    call = Call(
        id="1", operation=Op.CHAT, stream=False, target=Target("bedrock", "m"), native=native
    )

    assert json.loads(encode_invoked(call, model, "b").body).get("anthropic_version") == version


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ({"usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 4}}, (7, 2)),
        ({"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}, (3, 2)),
        ({"prompt_token_count": 3, "generation_token_count": 2}, (3, 2)),
        ({"usage": {}}, None),
        ({"usage": 5}, None),
    ],
)
def test_answers_go_as_they_came(body: Any, counts: Any) -> None:
    told = json.dumps(body, indent=3).encode()

    answer = relay_invoked(told, FACTS)

    assert answer.body == told
    found = answer.usage and (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert found == counts


@pytest.mark.parametrize(
    "last",
    [
        {"type": "message_stop"},
        {"messageStop": {"stopReason": "end_turn"}},
        {"outputs": [{"text": "", "stop_reason": "stop"}]},
        {"choices": [{"finish_reason": "stop"}]},
        {"completionReason": "FINISH"},
    ],
)
@given(step=st.integers(1, 200))
def test_streams_go_as_they_came(last: Any, step: int) -> None:
    first, odd = chunk({"text": "Hel"}), event("new", {"x": 1})

    with_metrics = first + odd + chunk({**last, **METRICS})
    decoder = RelayedChunks(FACTS)
    assert run(decoder, with_metrics, step) == (with_metrics, None)
    assert decoder.usage is not None
    assert (decoder.usage.prompt_tokens, decoder.usage.completion_tokens) == (3, 2)
    without = first + chunk(last)
    assert run(RelayedChunks(FACTS), without, step) == (without, None)
    data, error = run(RelayedChunks(FACTS), first, step)
    assert (data, type(error)) == (first, NetworkError)


def test_metrics_tell_of_the_cache() -> None:
    metrics = {"inputTokenCount": 3, "outputTokenCount": 2, "cacheReadInputTokenCount": 4}
    decoder = RelayedChunks(FACTS)
    decoder.feed(chunk({"amazon-bedrock-invocationMetrics": metrics}), 1.0)

    assert decoder.usage is not None
    assert decoder.usage.prompt_tokens == 7


# Told in the model's words


def facts_of(body: Any, model: str = "openai/gpt-5", **more: Any) -> AnswerFacts:
    native = Native(dialect=Dialect.INVOKE, members=raw(body))
    members = {"model": json.dumps(model).encode(), **more}
    return attrs.evolve(FACTS, dialect=Dialect.INVOKE, native=native, members=members)


def completion(finish: str = "stop", **usage: int) -> Answer:
    choice = {"index": 0, "text": "Hello", "finish_reason": finish}
    value: Any = {"choices": [choice]}
    return Answer(value={**value, "usage": usage} if usage else value, body=b"{}")


@pytest.mark.parametrize("form", TEXT_FORMS)
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_completion_told_is_what_was_read(form: Form, finish: str) -> None:
    answer = completion(finish, prompt_tokens=3, completion_tokens=2)

    body = tell_invoked_text(answer, facts_of(BODIES[form]))

    value = read_text(body, FACTS).value
    assert value["choices"] == [
        {"index": 0, "text": "Hello", "logprobs": None, "finish_reason": finish}
    ]
    if form in {Form.TITAN, Form.LLAMA}:
        assert value["usage"]["total_tokens"] == 5


def test_a_completion_of_few_words() -> None:
    assert json.loads(tell_invoked_text(Answer(value={}, body=b""), facts_of(TITAN))) == {
        "inputTextTokenCount": 0,
        "results": [{"tokenCount": 0, "outputText": "", "completionReason": "FINISH"}],
    }


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_streamed_completions_told_are_what_was_read(form: Form) -> None:
    facts = facts_of(BODIES[form])
    teller = text_teller(facts)
    out: list[bytes] = []
    for piece in ({"text": "Hel"}, {"delta": {"content": "lo"}}, {"text": "", "finish_reason": "length"}):  # fmt: skip
        teller.tell({"choices": [piece]}, b"", 1.1, out)
    usage = b'{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}'
    teller.finish({}, usage, 1.5, out)

    data, error = run(read_text_stream(FACTS, TextTeller(FACTS)), b"".join(out))
    told = [json.loads(line[6:]) for line in data.split(b"\n\n")[:-2]]
    assert error is None
    assert teller.count == len(out) == 3
    assert "".join(each["choices"][0]["text"] for each in told) == "Hello"
    assert [r for each in told if (r := each["choices"][0]["finish_reason"])] == ["length"]
    assert told[-1]["usage"]["total_tokens"] == 5


CHAT = Answer(
    value={
        "choices": [
            {"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    },
    body=b"{}",
)


def test_messages_told() -> None:
    nova = json.loads(tell_invoked(CHAT, facts_of({"messages": NOVAS, "inferenceConfig": {}})))
    anthropic = json.loads(tell_invoked(CHAT, facts_of({"messages": HI})))

    assert nova["output"]["message"]["content"] == [{"text": "Hello"}]
    assert nova["usage"]["totalTokens"] == 5
    assert anthropic["content"] == [{"type": "text", "text": "Hello"}]


def test_streamed_messages_told() -> None:
    for body, kinds in (
        ({"messages": NOVAS, "schemaVersion": "x"}, ["messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]),
        ({"messages": HI}, ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]),
    ):  # fmt: skip
        teller = invoke_teller(facts_of(body))
        out: list[bytes] = []
        teller.tell({"choices": [{"index": 0, "delta": {"content": "Hi"}}]}, b"", 1.1, out)
        teller.finish({}, b"null", 1.5, out)

        events = events_of(b"".join(out), "InvokeModelWithResponseStream")
        values = [json.loads(each["chunk"]["bytes"]) for each in events]
        assert [value.get("type", next(iter(value))) for value in values] == kinds
        assert teller.count == len(kinds)


VECTORS = Answer(
    value={
        "data": [{"index": n, "embedding": [0.5, float(n)]} for n in range(2)],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    },
    body=b"{}",
)


def test_embeddings_told() -> None:
    titan = {"inputText": "Hi", "normalize": True}
    typed = {**titan, "embeddingTypes": ["float"]}
    cohere = {"texts": ["a", "b"], "input_type": "x"}
    texts = json.dumps(["a", "b"]).encode()

    def told(body: Any, **more: Any) -> Any:
        return json.loads(tell_invoked_embedding(VECTORS, facts_of(body, **more)))

    assert told(titan) == {"embedding": [0.5, 0.0], "inputTextTokenCount": 3}
    assert told(typed)["embeddingsByType"] == {"float": [0.5, 0.0]}
    bare = told(cohere, input=texts)
    assert bare["embeddings"] == [[0.5, 0.0], [0.5, 1.0]]
    assert (bare["response_type"], bare["texts"]) == ("embeddings_floats", ["a", "b"])
    by_type = told({**cohere, "embedding_types": ["float"]}, embedding_types=b'["float"]')
    assert by_type["embeddings"] == {"float": [[0.5, 0.0], [0.5, 1.0]]}
    with pytest.raises(UpstreamError):
        tell_invoked_embedding(Answer(value={}, body=b""), facts_of(titan))
