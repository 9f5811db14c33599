"""Embeddings of Gemini and of Vertex."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import attrs
import pytest

from bifrost.dialects.gemini_embeddings import (
    encode_embeddings,
    encode_prediction,
    read_embeddings,
    read_predictions,
)
from bifrost.errors import BadRequest, UpstreamError
from bifrost.schema.call import Operation
from dialects.gemini import FACTS, call_of


def call(**members: Any) -> Any:
    caller = members.pop("caller", {})
    return call_of(members, Operation.EMBEDDING, **caller)


def test_a_batch_of_texts() -> None:
    asked = call(
        input=["a", "b"], dimensions=3, task_type="RETRIEVAL_QUERY", extra_params={"title": "T"}
    )

    body = json.loads(encode_embeddings(asked, "models/e", "gemini").body)

    more = {"taskType": "RETRIEVAL_QUERY", "title": "T", "outputDimensionality": 3}
    assert body == {
        "requests": [
            {"model": "models/e", "content": {"parts": [{"text": text}]}, **more} for text in "ab"
        ]
    }


def test_a_prediction() -> None:
    asked = call(input="a", dimensions=3, task_type="X", title="T")

    assert json.loads(encode_prediction(asked, "e", "vertex").body) == {
        "instances": [{"content": "a", "task_type": "X", "title": "T"}],
        "parameters": {"autoTruncate": True, "outputDimensionality": 3},
    }


def test_what_is_lost_is_named_or_refused() -> None:
    assert encode_embeddings(call(input="a", user="u"), "e", "gemini").dropped == ("user",)
    with pytest.raises(BadRequest, match="gemini does not take: user"):
        encode_embeddings(call(input="a", user="u", caller={"strict": True}), "e", "gemini")


@pytest.mark.parametrize(
    "members",
    [
        {"input": [1, 2]},
        {"input": []},
        {"input": ""},
        {"input": [""]},
        {"input": 7},
        {},
        {"input": "a", "encoding_format": "odd"},
        {"input": "a", "dimensions": "x"},
        {"input": "a", "extra_params": 7},
    ],
)
def test_what_is_no_text_is_refused(members: Any) -> None:
    with pytest.raises(BadRequest):
        encode_embeddings(call(**members), "e", "gemini")


def test_members_that_are_no_json_are_refused() -> None:
    broken = attrs.evolve(call(), members={"input": b"{"})

    with pytest.raises(BadRequest, match="Invalid JSON"):
        encode_embeddings(broken, "e", "gemini")


EMBEDDED = {
    "embeddings": [{"values": [0.5, -1.0]}, {"values": [2.0], "statistics": {"tokenCount": 3}}]
}


@pytest.mark.parametrize(
    ("more", "tokens"), [({}, 3), ({"usageMetadata": {"promptTokenCount": 9}}, 9)]
)
def test_answers(more: Any, tokens: int) -> None:
    answer = read_embeddings(json.dumps({**EMBEDDED, **more}).encode(), FACTS)

    assert answer.value == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]},
            {"object": "embedding", "index": 1, "embedding": [2.0]},
        ],
        "model": "gemini-2.5-flash",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def test_base64_is_made_here() -> None:
    facts = attrs.evolve(FACTS, members={"encoding_format": b'"base64"'})

    data = read_embeddings(json.dumps(EMBEDDED).encode(), facts).value["data"]

    assert struct.unpack("<2f", base64.b64decode(data[0]["embedding"])) == (0.5, -1.0)
    for wrong in (["x"], [1e60]):
        with pytest.raises(UpstreamError):
            read_embeddings(json.dumps({"embeddings": [{"values": wrong}]}).encode(), facts)


def test_predictions() -> None:
    one = {"embeddings": {"values": [1.0], "statistics": {"token_count": 4, "truncated": False}}}

    value = read_predictions(json.dumps({"predictions": [one, one]}).encode(), FACTS).value

    assert [item["embedding"] for item in value["data"]] == [[1.0], [1.0]]
    assert value["usage"] == {"prompt_tokens": 8, "total_tokens": 8}


def test_answers_that_are_none() -> None:
    error = read_embeddings(
        b'{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}', FACTS
    ).error
    assert error is not None
    assert error.message == "no"
    with pytest.raises(UpstreamError):
        read_embeddings(b'{"embeddings":[{}]}', FACTS)
