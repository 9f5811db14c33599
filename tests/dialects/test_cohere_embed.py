"""Embeddings, rerank and the counting of tokens at Cohere's: asked for, and read."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import openai.types
import pytest

from bifrost.config.settings import KeySettings, ProviderSettings
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.cohere_embed import packed
from bifrost.errors import BadRequest, UpstreamError
from bifrost.providers.table import build_adapter
from bifrost.record import Usage
from bifrost.schema.call import Call, Caller, Operation, Target
from dialects.cohere_wire import check_embed
from providers.sent import sent_json

ADAPTER = build_adapter(ProviderSettings(name="cohere"))
LINKED = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def encoded(
    operation: Operation, members: dict[str, Any], **caller: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    call = Call(
        id="1",
        operation=operation,
        stream=False,
        target=Target("cohere", "m"),
        members={n: json.dumps(v).encode() for n, v in {"model": "cohere/m", **members}.items()},
        caller=Caller(**caller),
    )
    request = ADAPTER.encode(call, call.target, KeySettings(id="k", name="k"))
    body = sent_json(request)
    if operation is Operation.EMBEDDING:
        check_embed(body)
    assert body.pop("model") == "m"
    return body, request.dropped_params


def told(
    operation: Operation, value: Any, members: dict[str, Any] | None = None
) -> tuple[dict[str, Any], Usage | None]:
    facts = AnswerFacts(
        request_type=operation.value,
        provider="cohere",
        model_requested="m",
        sent_s=1.0,
        operation=operation,
        members={n: json.dumps(v).encode() for n, v in (members or {}).items()},
        send_extra_fields=False,
    )
    plain = ADAPTER.decode_plain(json.dumps(value).encode(), facts)
    if plain.error is not None:
        raise plain.error
    return json.loads(plain.body), plain.usage


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"input": "a"}, {"texts": ["a"]}),
        ({"input": ["a", "b"], "encoding_format": "base64"}, {"texts": ["a", "b"]}),
        ({"input": "a", "dimensions": 256}, {"texts": ["a"], "output_dimension": 256}),
        ({"input": "a", "input_type": "search_query"}, {"texts": ["a"], "input_type": "search_query"}),
        ({"input": "a", "extra_params": {"input_type": "image", "truncate": "END", "max_tokens": 5, "priority": 1}}, {"texts": ["a"], "input_type": "image", "truncate": "END", "max_tokens": 5, "priority": 1}),
        ({"input": "a", "embedding_types": ["int8"]}, {"texts": ["a"], "embedding_types": ["int8"]}),
        ({"input": [], "images": ["data:image/png;base64,aGk="]}, {"images": ["data:image/png;base64,aGk="]}),
        ({"input": ["a", LINKED]}, {"inputs": [{"content": [{"type": "text", "text": "a"}]}, {"content": [LINKED]}]}),
        ({"input": [{"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "https://x/"}]}]}, {"inputs": [{"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x/"}}]}]}),
    ],
)  # fmt: skip
def test_embeddings_are_asked_for(given: dict[str, Any], sent: dict[str, Any]) -> None:
    body, dropped = encoded(Operation.EMBEDDING, given)

    assert body == {"input_type": "search_document", "embedding_types": ["float"], **sent}
    assert dropped == ()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"input": [[1, 2]]}, r"input\[0\] must be a text"),
        ({"input": ["a"] * 97}, "at most 96"),
        ({"input": [{"type": "input_audio"}]}, "type must be one of text, image_url"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format must be one of"),
        ({"input": "a", "dimensions": "x"}, "dimensions must be a number"),
        ({"input": 5}, "input must be an array"),
    ],
)  # fmt: skip
def test_inputs_that_are_none(given: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        encoded(Operation.EMBEDDING, given)


def test_what_an_embedding_loses() -> None:
    given = {"input": "a", "user": "u", "odd": 1}

    assert encoded(Operation.EMBEDDING, given)[1] == ("user", "odd")
    with pytest.raises(BadRequest, match="cohere does not take: user, odd"):
        encoded(Operation.EMBEDDING, given, strict=True)


META = {"billed_units": {"input_tokens": 5.0}}


def test_floats_are_a_list() -> None:
    value, usage = told(
        Operation.EMBEDDING, {"id": "e", "embeddings": {"float": [[0.5, 1], [2, 3]]}, "meta": META}
    )

    openai.types.CreateEmbeddingResponse.model_validate(value)
    assert value == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, 1]},
            {"object": "embedding", "index": 1, "embedding": [2, 3]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 5, "total_tokens": 5, "billed_units": {"input_tokens": 5.0}},
    }
    assert usage == Usage(prompt_tokens=5, total_tokens=5)


def test_base64_is_made_of_floats() -> None:
    value, _ = told(
        Operation.EMBEDDING,
        {"embeddings": {"float": [[0.5, -2.0]]}},
        {"encoding_format": "base64"},
    )

    raw = base64.b64decode(value["data"][0]["embedding"])
    assert struct.unpack("<2f", raw) == (0.5, -2.0)


@pytest.mark.parametrize(
    ("embeddings", "vector", "others"),
    [
        ([[1.0]], [1.0], None),
        ({"int8": [[1]]}, [1], {"int8": [[1]]}),
        ({"float": [[1.5]], "int8": [[1]]}, [1.5], {"int8": [[1]]}),
        ({"base64": ["AAAA"]}, "AAAA", {"base64": ["AAAA"]}),
    ],
)
def test_other_types(embeddings: Any, vector: Any, others: Any) -> None:
    value, _ = (
        told(Operation.EMBEDDING, {"embeddings": embeddings}, {"encoding_format": "base64"})
        if isinstance(vector, str)
        else told(Operation.EMBEDDING, {"embeddings": embeddings})
    )

    assert value["data"][0]["embedding"] == vector
    assert value.get("embeddings") == others


def test_what_is_no_vector() -> None:
    for vector in ("x", [None], [1e300], [[1]]):
        with pytest.raises(UpstreamError, match="failed to unmarshal"):
            packed(vector)


RANKED = {"id": "r", "results": [{"index": 1, "relevance_score": 0.2}, {"index": 0, "relevance_score": 0.9}]}  # fmt: skip


def test_a_rerank_is_asked_for() -> None:
    given = {
        "query": "q",
        "documents": ["a", {"text": "b", "id": "x"}],
        "top_n": 1,
        "max_tokens_per_doc": 9,
        "priority": 2,
        "return_documents": True,
    }

    body, dropped = encoded(Operation.RERANK, given)

    assert body == {
        "query": "q",
        "documents": ["a", "b"],
        "top_n": 1,
        "max_tokens_per_doc": 9,
        "priority": 2,
    }
    assert dropped == ()


def test_the_best_is_first() -> None:
    value, usage = told(Operation.RERANK, {**RANKED, "meta": {"billed_units": {"search_units": 1}}})

    assert value["results"] == [RANKED["results"][1], RANKED["results"][0]]
    assert value["usage"]["billed_units"] == {"search_units": 1}
    assert usage == Usage(searches=1)


def test_documents_are_told_where_they_are_asked_for() -> None:
    members = {"documents": ["a", {"text": "b"}], "return_documents": True}
    odd = {"index": 7}

    value, usage = told(Operation.RERANK, {"results": [*RANKED["results"], odd]}, members)

    assert [result.get("document") for result in value["results"]] == [
        {"text": "a"},
        {"text": "b"},
        None,
    ]
    assert usage is None


@pytest.mark.parametrize(
    ("given", "text", "dropped"),
    [
        ({"input": "a b"}, "a b", ()),
        ({"input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "instructions": "s"}, "s\na\nb", ()),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, LINKED]}]}, "a", ("input.content",)),
        ({"messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function", "function": {"name": "f"}}]}, "a", ("tools",)),
    ],
)  # fmt: skip
def test_a_count_is_asked_for(given: dict[str, Any], text: str, dropped: tuple[str, ...]) -> None:
    assert encoded(Operation.COUNT_TOKENS, given) == ({"text": text}, dropped)
    if dropped:
        with pytest.raises(BadRequest, match="cohere does not take"):
            encoded(Operation.COUNT_TOKENS, given, strict=True)


@pytest.mark.parametrize(
    ("given", "text"),
    [({"input": " "}, "no text to be counted"), ({"input": "a" * 65_537}, "at most 65536")],
)
def test_what_cannot_be_counted(given: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        encoded(Operation.COUNT_TOKENS, given)


def test_a_count_is_told() -> None:
    value, _ = told(Operation.COUNT_TOKENS, {"tokens": [5, 6, 7], "token_strings": ["a", "b", "c"]})

    assert value == {"object": "response.input_tokens", "input_tokens": 3}
    assert told(Operation.COUNT_TOKENS, {"tokens": 5})[0]["input_tokens"] == 0


@pytest.mark.parametrize(
    "operation", [Operation.EMBEDDING, Operation.RERANK, Operation.COUNT_TOKENS]
)
def test_a_refusal_inside_a_200(operation: Operation) -> None:
    with pytest.raises(UpstreamError, match="no such model"):
        told(operation, {"message": "no such model"})


def test_what_is_no_json_is_refused() -> None:
    call = Call(
        id="1",
        operation=Operation.EMBEDDING,
        stream=False,
        target=Target("cohere", "m"),
        members={"input": b"nope"},
    )
    with pytest.raises(BadRequest, match="Invalid JSON"):
        ADAPTER.encode(call, call.target, KeySettings(id="k", name="k"))
