from __future__ import annotations

import json

import attrs
import pytest

from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.openai_answer import decode_answer
from bifrost.errors import ErrorClass, UpstreamError
from bifrost.record import Usage
from bifrost.schema.call import Operation

FACTS = AnswerFacts(
    request_type="embedding",
    provider="openai",
    model_requested="m",
    sent_s=1.0,
    received_s=1.25,
    operation=Operation.EMBEDDING,
)


def test_an_answer_passes_with_extra_fields_and_its_usage_is_read() -> None:
    body = b'{"data":[ 1.10 ],"usage":{"prompt_tokens":4,"total_tokens":4}}'

    answer = decode_answer(body, FACTS, holds="data")

    assert answer.body.startswith(body[:-1] + b',"extra_fields":{')
    extra = json.loads(answer.body)["extra_fields"]
    assert (extra["request_type"], extra["latency"], extra["chunk_index"]) == ("embedding", 250, 0)
    assert answer.usage == Usage(prompt_tokens=4, total_tokens=4)


def test_foreign_extra_fields_are_replaced() -> None:
    body = b'{"data":[],"extra_fields":1}'

    assert json.loads(decode_answer(body, FACTS, holds="data").body)["extra_fields"] != 1


def test_verbatim_and_bare_it_is_the_upstreams() -> None:
    body = b'{"data":[]}'

    for facts in (
        attrs.evolve(FACTS, raw_verbatim=True),
        attrs.evolve(FACTS, send_extra_fields=False),
    ):
        assert decode_answer(body, facts, holds="data").body == body


def test_a_200_that_tells_an_error_is_one() -> None:
    body = b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'

    error = decode_answer(body, FACTS, holds="data").error

    assert error is not None
    assert error.error_class is ErrorClass.RATE_LIMIT


def test_an_error_beside_the_answer_is_part_of_it() -> None:
    body = b'{"output":[],"status":"failed","error":{"code":"x","message":"oops"}}'

    assert decode_answer(body, FACTS, holds="output").error is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "empty response"),
        (b"<html>", "HTML response"),
        (b"[]", "failed to unmarshal"),
        (b'{"data":"\xff"}', "failed to unmarshal"),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes, text: str) -> None:
    with pytest.raises(UpstreamError, match=text):
        decode_answer(body, FACTS, holds="data")
