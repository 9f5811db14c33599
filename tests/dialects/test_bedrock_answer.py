"""Answers of Bedrock, whole and streamed, as OpenAI's callers get them; refusals; what only InvokeModel has."""

from __future__ import annotations

import base64
import json
import struct
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.eventstream import encode_frame
from bifrost.config.secret import Secret
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bedrock_answer import read_converse, relay_converse
from bifrost.dialects.bedrock_errors import read_refusal
from bifrost.dialects.bedrock_invoke import (
    encode_embedding,
    encode_list,
    encode_rerank,
    read_count,
    read_embedding,
    read_list,
    read_models,
    read_rerank,
)
from bifrost.dialects.bedrock_stream import RelayedFrames, read_converse_stream
from bifrost.dialects.chat_teller import ChatTeller
from bifrost.errors import (
    BadRequest,
    ErrorClass,
    GatewayError,
    NetworkError,
    UnsupportedOperation,
    UpstreamError,
)
from bifrost.record import Usage
from bifrost.schema.call import Call, Caller, Operation, Target
from dialects.converse import event, exception, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.dialects.base import StreamDecoder

FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="bedrock",
    model_requested="claude",
    sent_s=1.0,
    sent_unix_s=1_790_000_000.5,
    send_extra_fields=False,
    key=Secret("bedrock-key-1234"),
)
USAGE = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}


def converse(*content: Any, stop: str = "end_turn", **more: Any) -> bytes:
    value = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": USAGE,
        "metrics": {"latencyMs": 12},
        **more,
    }
    body = json.dumps(value).encode()
    parsed(body)  # botocore can read it as well.
    return body


def choice_of(*content: Any, stop: str = "end_turn") -> Any:
    [choice] = read_converse(converse(*content, stop=stop), FACTS).value["choices"]
    return choice


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ('{"z": 12345678901234567890123,\n"a": 1.0}', '{"z":12345678901234567890123,"a":1.0}'),
        ("{}", "{}"),
        ("null", "{}"),
        ("[1]", "[1]"),
    ],
)
def test_arguments_are_told_as_they_were_written(given: str, arguments: str) -> None:
    """Decoded, numbers beyond 64 bits would be rounded."""
    use = f'{{"toolUse":{{"toolUseId":"c","name":"f","input":{given}}}}}'
    body = f'{{"output":{{"message":{{"content":[{{"text":"a"}},{use}]}}}}}}'

    [choice] = read_converse(body.encode(), FACTS).value["choices"]

    [call] = choice["message"]["tool_calls"]
    assert call["function"]["arguments"] == arguments


def test_arguments_beside_a_block_of_an_odd_shape() -> None:
    use = {"toolUse": {"toolUseId": "c", "name": "f", "input": {"a": 1}}}
    body = {"output": {"message": {"content": ["odd", use, {"toolUse": 7}]}}}

    [choice] = read_converse(json.dumps(body).encode(), FACTS).value["choices"]

    [call] = choice["message"]["tool_calls"]
    assert call["function"]["arguments"] == '{"a":1}'


def message_of(*content: Any) -> Any:
    return choice_of(*content)["message"]


def test_a_whole_answer() -> None:
    answer = read_converse(converse({"text": "Hello"}, serviceTier={"type": "flex"}), FACTS)

    made = dict(answer.value)
    assert made.pop("id").startswith("chatcmpl-")
    assert made == {
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "claude",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        "service_tier": "flex",
    }
    assert answer.usage == Usage(prompt_tokens=7, completion_tokens=3, total_tokens=10)


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "stop"),
    ],
)
def test_ends(stop: str, finish: str) -> None:
    assert choice_of({"text": "x"}, stop=stop)["finish_reason"] == finish
    chunks = chunks_of(stream(delta(0, {"text": "x"}), stop=stop))
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"][0]["finish_reason"]] == [finish]  # fmt: skip


def test_texts_are_one_and_thinking_is_kept_byte_for_byte() -> None:
    message = message_of(
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s=="}}},
        {"reasoningContent": {"redactedContent": "ZGF0YQ=="}},
        {"reasoningContent": {"reasoningText": {"text": "so"}}},
        {"text": "Hel"},
        {"citationsContent": {"content": [{"text": "lo"}, None, {"text": 5}], "citations": []}},
        {"cachePoint": {"type": "default"}},
    )

    assert message == {
        "role": "assistant",
        "content": "Hello",
        "refusal": None,
        "reasoning": "Hm\nso",
        "reasoning_details": [
            {"index": 0, "type": "reasoning.text", "text": "Hm", "signature": "s=="},
            {"index": 1, "type": "reasoning.encrypted", "data": "ZGF0YQ=="},
            {"index": 2, "type": "reasoning.text", "text": "so"},
        ],
    }


def use(name: str = "look", value: Any = None, call_id: str = "c1") -> Any:
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": value}}


def test_tool_calls() -> None:
    choice = choice_of(use(value={"z": 1, "a": 2}), use(value={}, call_id="c2"), stop="tool_use")

    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"z":1,"a":2}'}},
        {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
    ]  # fmt: skip


def test_an_answer_by_a_schema_is_no_tool_call() -> None:
    choice = choice_of(use("bf_so_x", {"z": 1}), stop="tool_use")

    assert choice["message"]["content"] == '{"z":1}'
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


def test_documents_are_files() -> None:
    document = {"name": "a", "format": "pdf", "source": {"bytes": "SGk="}}

    message = message_of({"text": "Here:"}, {"document": document})

    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,SGk="}
    assert message["content"] == [{"type": "text", "text": "Here:"}, {"type": "file", "file": file}]


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (
            {**USAGE, "cacheReadInputTokens": 5, "cacheWriteInputTokens": 2, "totalTokens": 17},
            Usage(prompt_tokens=14, completion_tokens=3, total_tokens=17, cached_read_tokens=5, cached_write_tokens=2),
        ),
        ({"inputTokens": 7, "outputTokens": 3}, Usage(prompt_tokens=7, completion_tokens=3, total_tokens=10)),
        ({"inputTokens": 7, "outputTokens": 3, "totalTokens": 5}, Usage(prompt_tokens=7, completion_tokens=3, total_tokens=10)),
        (None, None),
    ],
)  # fmt: skip
def test_usage(usage: Any, told: Any) -> None:
    body = json.dumps({**json.loads(converse({"text": "x"})), "usage": usage}).encode()

    assert read_converse(body, FACTS).usage == told
    relayed = relay_converse(body, FACTS)
    assert (relayed.body, relayed.usage) == (body, told)


@pytest.mark.parametrize("read", [read_converse, relay_converse])
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"{}", b'{"output":{"message":{}}}'])
def test_what_is_no_answer_is_an_error(read: Callable[..., Any], body: bytes) -> None:
    with pytest.raises(UpstreamError):
        read(body, FACTS)


# Streams


def delta(index: int, value: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": value})


def start(index: int, value: Any) -> bytes:
    return event("contentBlockStart", {"contentBlockIndex": index, "start": value})


def stop_block(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index})


def stream(*frames: bytes, stop: str = "end_turn", usage: Any = USAGE) -> bytes:
    return b"".join(
        (
            event("messageStart", {"role": "assistant", "p": "abc"}),
            *frames,
            event("messageStop", {"stopReason": stop}),
            event("metadata", {"usage": usage, "metrics": {"latencyMs": 12}}),
        )
    )


@attrs.frozen
class End:
    data: bytes
    error: tuple[type[GatewayError], str, int, ErrorClass] | None
    is_done: bool
    usage: Usage | None


def told_by(decoder: StreamDecoder, *pieces: bytes) -> End:
    data = b""
    for piece in (*pieces, None):
        progress = decoder.close(2.0) if piece is None else decoder.feed(piece, 2.0)
        data += progress.data
        error = progress.error
        if error is not None or progress.done:
            told = error and (type(error), error.message, error.status, error.error_class)
            assert decoder.feed(b"more", 2.0).data == b""
            assert decoder.close(2.0).data == b""
            return End(data, told or None, progress.done, decoder.usage)
    raise AssertionError("a stream has an end")


def chat(facts: AnswerFacts = FACTS) -> StreamDecoder:
    return read_converse_stream(facts, ChatTeller(facts))


def chunks_of(body: bytes) -> list[Any]:
    end = told_by(chat(), body)
    assert end.error is None
    lines = end.data.decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


def deltas_of(body: bytes) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks_of(body)]


def test_text_streamed() -> None:
    body = stream(delta(0, {"text": "Hel"}), delta(0, {"text": "lo"}), stop_block(0))

    chunks = chunks_of(body)

    assert [c["choices"][0]["delta"] for c in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
        {},
    ]
    assert len({c["id"] for c in chunks}) == 1
    assert chunks[0]["id"].startswith("chatcmpl-")
    assert chunks[-1]["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def test_tools_streamed() -> None:
    body = stream(
        delta(0, {"text": "So"}),
        start(1, {"toolUse": {"toolUseId": "c1", "name": "look"}}),
        delta(1, {"toolUse": {"input": '{"a"'}}),
        delta(1, {"toolUse": {"input": ":1}"}}),
        stop_block(1),
        start(2, {"toolUse": {"toolUseId": "c2", "name": "now"}}),
        delta(2, {"toolUse": {"input": ""}}),
        stop_block(2),
        stop="tool_use",
    )

    calls = [d["tool_calls"][0] for d in deltas_of(body) if "tool_calls" in d]

    assert calls == [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ":1}"}},
        {"index": 1, "id": "c2", "type": "function", "function": {"name": "now", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]


def test_thinking_streamed() -> None:
    body = stream(
        delta(0, {"reasoningContent": {"text": "Hm"}}),
        delta(0, {"reasoningContent": {"signature": "s=="}}),
        delta(1, {"reasoningContent": {"redactedContent": "ZGF0YQ=="}}),
        delta(1, {"reasoningContent": {}}),
        delta(2, {"text": "x"}),
    )

    assert deltas_of(body)[1:4] == [
        {"reasoning": "Hm", "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "Hm"}]},
        {"reasoning_details": [{"index": 0, "type": "reasoning.text", "signature": "s=="}]},
        {"reasoning_details": [{"index": 1, "type": "reasoning.encrypted", "data": "ZGF0YQ=="}]},
    ]  # fmt: skip


def test_an_answer_by_a_schema_streamed() -> None:
    body = stream(
        start(0, {"toolUse": {"toolUseId": "c1", "name": "bf_so_x"}}),
        delta(0, {"toolUse": {"input": '{"z":'}}),
        delta(0, {"toolUse": {"input": "1}"}}),
        stop_block(0),
        stop="tool_use",
    )

    chunks = chunks_of(body)

    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == '{"z":1}'
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


def test_what_is_unheard_of_is_passed_over() -> None:
    odd = encode_frame({":event-type": "messageStart", ":message-type": "event"}, b"{")
    body = stream(
        odd,
        event("newEvent", {"x": 1}),
        delta(0, {"newDelta": {}}),
        start(0, {"newStart": {}}),
        delta(0, {"toolUse": {"input": "of no call"}}),
        delta(0, {"text": "x"}),
    )

    assert deltas_of(body) == [{"role": "assistant", "content": ""}, {"content": "x"}, {}, {}]


def test_an_end_without_usage_is_one() -> None:
    short = b"".join(
        (
            event("messageStart", {"role": "assistant"}),
            delta(0, {"text": "x"}),
            event("messageStop", {"stopReason": "end_turn"}),
        )
    )

    assert told_by(chat(), short).is_done
    assert told_by(RelayedFrames(FACTS), short) == End(short, None, True, None)


CUT = b"".join((event("messageStart", {"role": "assistant"}), delta(0, {"text": "x"})))


@pytest.mark.parametrize("make", [chat, lambda: RelayedFrames(FACTS)], ids=["told", "relayed"])
@pytest.mark.parametrize(
    "body",
    [
        CUT,
        CUT + stream()[:20],
        CUT + b"\0" * 20,
        CUT[:-1] + b"x" + CUT,
    ],
    ids=["between", "inside", "garbage", "checksum"],
)
def test_a_stream_that_is_cut_or_broken_has_no_clean_end(
    make: Callable[[], StreamDecoder], body: bytes
) -> None:
    end = told_by(make(), body)

    assert not end.is_done
    assert end.error is not None
    assert end.error[0] is NetworkError


@pytest.mark.parametrize("make", [chat, lambda: RelayedFrames(FACTS)], ids=["told", "relayed"])
def test_usage_before_the_end_of_the_message_is_an_error(make: Callable[[], StreamDecoder]) -> None:
    end = told_by(make(), CUT + event("metadata", {"usage": USAGE}))

    assert end.error == (
        UpstreamError, "Error reading stream: it has no end of message", 502, ErrorClass.SERVER,
    )  # fmt: skip


@pytest.mark.parametrize("make", [chat, lambda: RelayedFrames(FACTS)], ids=["told", "relayed"])
@pytest.mark.parametrize(
    ("name", "status", "error_class"),
    [
        ("throttlingException", 429, ErrorClass.RATE_LIMIT),
        ("serviceUnavailableException", 503, ErrorClass.SERVER),
        ("modelNotReadyException", 503, ErrorClass.SERVER),
        ("internalServerException", 500, ErrorClass.SERVER),
        ("modelStreamErrorException", 502, ErrorClass.SERVER),
        ("modelTimeoutException", 408, ErrorClass.SERVER),
        ("validationException", 400, ErrorClass.CLIENT),
        ("accessDeniedException", 403, ErrorClass.AUTH),
        ("resourceNotFoundException", 404, ErrorClass.NOT_FOUND),
        ("newException", 502, ErrorClass.INTERNAL),
    ],
)
def test_exceptions_in_a_stream(
    make: Callable[[], StreamDecoder], name: str, status: int, error_class: ErrorClass
) -> None:
    end = told_by(make(), CUT + exception(name, "bedrock-key-1234 is slow") + stream())

    assert end.error == (UpstreamError, "*** is slow", status, error_class)
    assert not end.is_done


@pytest.mark.parametrize(
    ("headers", "payload", "message"),
    [
        ({":message-type": "error", ":error-code": "Bad", ":error-message": "no"}, b"", "no"),
        ({":message-type": "error", ":error-code": "Bad"}, b"{", "Bad"),
        ({":message-type": "exception", ":exception-type": "X"}, b"[]", "X"),
        ({}, b"", "unknown"),
    ],
)
def test_other_failures_in_frames(headers: Any, payload: bytes, message: str) -> None:
    error = told_by(chat(), encode_frame(headers, payload)).error

    assert error == (UpstreamError, message, 502, ErrorClass.INTERNAL)


def test_relayed_as_it_came() -> None:
    body = stream(delta(0, {"text": "x"}))

    end = told_by(RelayedFrames(FACTS), body + b"what comes after")

    assert end == End(body, None, True, Usage(prompt_tokens=7, completion_tokens=3, total_tokens=10))  # fmt: skip


RICH = stream(
    delta(0, {"reasoningContent": {"text": "Hm"}}),
    delta(0, {"reasoningContent": {"signature": "s=="}}),
    delta(1, {"text": "Größe"}),
    start(2, {"toolUse": {"toolUseId": "c1", "name": "look"}}),
    delta(2, {"toolUse": {"input": '{"a":1}'}}),
    stop_block(2),
    stop="tool_use",
)
BODIES = (RICH, RICH[:-9], CUT + exception("throttlingException", "slow"), CUT + b"\1" * 30)


@given(st.sampled_from(BODIES), st.booleans(), st.data())
def test_any_split_gives_the_same(body: bytes, relayed: bool, data: st.DataObject) -> None:
    at = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *at], [*at, len(body)], strict=True)]

    def decoder() -> StreamDecoder:
        return RelayedFrames(FACTS) if relayed else chat()

    assert told_by(decoder(), *pieces) == told_by(decoder(), body)


TEXTS = st.text(min_size=1, max_size=10)


@given(st.lists(TEXTS, min_size=1), st.lists(TEXTS), st.lists(st.dictionaries(TEXTS, TEXTS)))
def test_what_is_streamed_is_what_comes_whole(
    texts: list[str], thoughts: list[str], inputs: list[dict[str, str]]
) -> None:
    blocks: list[Any] = []
    frames: list[bytes] = []
    if thoughts:
        told = {"text": "".join(thoughts), "signature": "s"}
        blocks.append({"reasoningContent": {"reasoningText": told}})
        frames += [delta(0, {"reasoningContent": {"text": text}}) for text in thoughts]
        frames.append(delta(0, {"reasoningContent": {"signature": "s"}}))
    blocks.append({"text": "".join(texts)})
    frames += [delta(1, {"text": text}) for text in texts]
    for n, value in enumerate(inputs):
        blocks.append(use(value=value, call_id=f"c{n}"))
        frames.append(start(2 + n, {"toolUse": {"toolUseId": f"c{n}", "name": "look"}}))
        written = json.dumps(value, separators=(",", ":"))
        half = len(written) // 2
        frames += [
            delta(2 + n, {"toolUse": {"input": p}}) for p in (written[:half], written[half:])
        ]

    message = message_of(*blocks)
    deltas = deltas_of(stream(*frames))

    assert "".join(d.get("content", "") for d in deltas) == message["content"]
    assert "".join(d.get("reasoning", "") for d in deltas) == message.get("reasoning", "")
    calls: dict[int, Any] = {}
    for call in (call for d in deltas for call in d.get("tool_calls", ())):
        if "id" in call:
            calls[call["index"]] = {"id": call["id"], "arguments": ""}
        calls[call["index"]]["arguments"] += call["function"]["arguments"]
    assert list(calls.values()) == [
        {"id": call["id"], "arguments": call["function"]["arguments"]}
        for call in message.get("tool_calls", ())
    ]


# Refusals


@pytest.mark.parametrize(
    ("status", "header", "body", "expected"),
    [
        (429, b"ThrottlingException:http://x/", {"message": "slow"}, (429, "slow", "ThrottlingException", None)),
        (400, None, {"__type": "com.amazon.coral.validate#ValidationException", "Message": "bad"}, (400, "bad", "ValidationException", None)),
        (424, b"ModelErrorException", {"message": "m"}, (502, "m", "ModelErrorException", None)),
        (429, b"ModelNotReadyException", {"message": "m"}, (503, "m", "ModelNotReadyException", None)),
        (400, b"ServiceQuotaExceededException", {"message": "m"}, (429, "m", "ServiceQuotaExceededException", None)),
        (400, b"ValidationException", {"message": "The provided model identifier is invalid."}, (400, "The provided model identifier is invalid.", "ValidationException", "model_not_found")),
        (403, b"AccessDeniedException", {"message": "You don't have access to the model with the specified model ID."}, (403, "You don't have access to the model with the specified model ID.", "AccessDeniedException", "model_not_found")),
        (403, None, {"code": "X", "message": 5}, (403, "", "X", None)),
        (500, b"InternalServerException", None, (500, "", "InternalServerException", None)),
    ],
)  # fmt: skip
def test_refusals(status: int, header: bytes | None, body: Any, expected: Any) -> None:
    headers = [(b"x-amzn-errortype", header)] if header else []

    told, made = read_refusal(status, headers, b"" if body is None else json.dumps(body).encode())

    error = json.loads(made)["error"]
    assert (told, error["message"], error["type"], error.get("code")) == expected


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"{}", b""])
def test_refusals_without_a_shape_stay_as_they_are(body: bytes) -> None:
    assert read_refusal(500, [], body) == (500, body)


# InvokeModel, CountTokens, the list


def call_of(caller: Caller | None = None, **members: Any) -> Call:
    return Call(
        id="1",
        operation=Operation.EMBEDDING,
        stream=False,
        target=Target("bedrock", "m"),
        members={name: json.dumps(value).encode() for name, value in members.items()},
        caller=caller or Caller(),
    )


TITAN = "amazon.titan-embed-text-v2:0"
COHERE = "cohere.embed-v4:0"


@pytest.mark.parametrize(
    ("model", "members", "body", "dropped"),
    [
        (TITAN, {"input": "Hi"}, {"inputText": "Hi"}, ()),
        (TITAN, {"input": ["Hi"], "dimensions": 256, "normalize": False}, {"inputText": "Hi", "dimensions": 256, "normalize": False}, ()),
        (TITAN, {"input": "Hi", "user": "u", "model": "x"}, {"inputText": "Hi"}, ("user",)),
        (COHERE, {"input": ["a", "b"]}, {"texts": ["a", "b"], "input_type": "search_document"}, ()),
        (COHERE, {"input": "a", "dimensions": 8}, {"texts": ["a"], "output_dimension": 8, "embedding_types": ["float"], "input_type": "search_document"}, ()),
        (COHERE, {"input": "a", "extra_params": {"input_type": "search_query", "truncate": "END", "x": 1}}, {"texts": ["a"], "input_type": "search_query", "truncate": "END"}, ("extra_params.x",)),
    ],
)  # fmt: skip
def test_embeddings_asked(model: str, members: Any, body: Any, dropped: Any) -> None:
    sent = encode_embedding(call_of(**members), model, "bedrock")

    assert json.loads(sent.body) == body
    assert sent.dropped == dropped


@pytest.mark.parametrize(
    ("model", "members", "text"),
    [
        (TITAN, {"input": ["a", "b"]}, "one text a request"),
        (TITAN, {"input": [1, 2]}, "tokens are not supported"),
        (TITAN, {"input": ""}, "must be a text"),
        (TITAN, {"input": [""]}, "must be a text"),
        (TITAN, {"input": "a", "encoding_format": "x"}, "must be float or base64"),
        ("amazon.titan-embed-text-v1", {"input": "a", "dimensions": 8}, "dimensions is not supported"),
        ("cohere.embed-english-v3", {"input": "a", "dimensions": 8}, "dimensions is not supported"),
    ],
)  # fmt: skip
def test_embeddings_that_cannot_be(model: str, members: Any, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        encode_embedding(call_of(**members), model, "bedrock")


def test_embeddings_of_other_models_and_what_is_no_json() -> None:
    with pytest.raises(UnsupportedOperation, match="unsupported embedding model"):
        encode_embedding(call_of(input="a"), "amazon.nova-pro-v1:0", "bedrock")
    with pytest.raises(BadRequest, match="Invalid JSON"):
        encode_embedding(attrs.evolve(call_of(), members={"input": b"{"}), TITAN, "bedrock")
    with pytest.raises(BadRequest, match="does not take: user"):
        encode_embedding(call_of(Caller(strict=True), input="a", user="u"), TITAN, "bedrock")


@pytest.mark.parametrize(
    ("body", "vectors", "tokens"),
    [
        ({"embedding": [0.5, 1], "inputTextTokenCount": 4}, [[0.5, 1]], 4),
        ({"embeddings": [[0.5], [1.5]]}, [[0.5], [1.5]], 9),
        ({"embeddings": {"float": [[0.5], [1.5]]}}, [[0.5], [1.5]], 9),
    ],
)
def test_embeddings_told(body: Any, vectors: Any, tokens: int) -> None:
    facts = attrs.evolve(FACTS, response_headers=(("x-amzn-bedrock-input-token-count", "9"),))

    answer = read_embedding(json.dumps(body).encode(), facts)

    assert answer.value["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert [item["embedding"] for item in answer.value["data"]] == vectors
    assert [item["index"] for item in answer.value["data"]] == list(range(len(vectors)))


def test_embeddings_in_base64() -> None:
    facts = attrs.evolve(FACTS, members={"encoding_format": b'"base64"'})

    [told] = read_embedding(b'{"embedding":[0.5,-1]}', facts).value["data"]

    assert struct.unpack("<2f", base64.b64decode(told["embedding"])) == (0.5, -1)
    for bad in (b'{"embedding":["x"]}', b'{"embedding":[1e300]}', b'{"embeddings":[5]}'):
        with pytest.raises(UpstreamError):
            read_embedding(bad, facts)


@pytest.mark.parametrize(
    ("model", "own"),
    [("amazon.rerank-v1:0", {}), ("cohere.rerank-v3-5:0", {"api_version": 2})],
)
def test_rerank(model: str, own: Any) -> None:
    members: Any = {
        "query": "q",
        "documents": ["a", {"text": "b"}],
        "top_n": 1,
        "return_documents": True,
    }
    call = call_of(**members)
    body = b'{"results":[{"index":0,"relevance_score":0.1},{"index":1,"relevance_score":0.9}]}'

    sent = encode_rerank(call, model, "bedrock")
    told = read_rerank(body, attrs.evolve(FACTS, members=call.members)).value
    plain = read_rerank(body, FACTS).value

    assert json.loads(sent.body) == {"query": "q", "documents": ["a", "b"], "top_n": 1, **own}
    assert told["results"] == [
        {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
        {"index": 0, "relevance_score": 0.1, "document": {"text": "a"}},
    ]
    assert plain["results"][0] == {"index": 1, "relevance_score": 0.9}


def test_the_count_and_the_list() -> None:
    body = json.dumps(
        {
            "modelSummaries": [
                {"modelId": "a.b-v1:0", "modelName": "B", "providerName": "A"},
                {"modelId": "c"},
                {},
            ]
        }
    ).encode()

    assert read_count(b'{"inputTokens":5}', FACTS).value == {"object": "response.input_tokens", "input_tokens": 5}  # fmt: skip
    assert [model["id"] for model in read_models(body)] == ["a.b-v1:0", "c"]
    assert read_models(body)[0]["owned_by"] == "A"
    assert read_list(body, FACTS).value["data"] == list(read_models(body))
    sent = encode_list(call_of(), "", "bedrock")
    assert (sent.body, sent.content_type) == (b"", None)


@pytest.mark.parametrize(
    "read", [read_embedding, read_rerank, read_count, lambda body, _: read_models(body)]
)
@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"results":[{"index":-1,"relevance_score":1}]}'])
def test_what_is_none_of_these_is_an_error(read: Callable[..., Any], body: bytes) -> None:
    with pytest.raises(UpstreamError):
        read(body, FACTS)


def test_a_result_that_is_none_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        read_rerank(b'{"results":[5]}', FACTS)
