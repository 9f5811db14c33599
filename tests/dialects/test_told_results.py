"""Usage out of the results of batches: line by line, however the bytes are cut, and nothing out of other files."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json import dumps
from bifrost.dialects.told_results import ToldResults
from bifrost.record import ToldUsage, Usage
from bifrost.schema.call import Operation

CHAT = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
USAGE = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def result(body: object, custom_id: str = "a", status: int = 200) -> dict[str, Any]:
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": custom_id, "response": response, "error": None}


def answer(kind: str = "chat.completion", usage: object = None) -> dict[str, Any]:
    return {"id": "c", "object": kind, "model": "m", "usage": CHAT if usage is None else usage}


def message(**usage: int) -> dict[str, Any]:
    told = {"id": "msg_1", "type": "message", "model": "claude", "usage": usage}
    return {"custom_id": "a", "result": {"type": "succeeded", "message": told}}


def told(
    operation: Operation = Operation.CHAT, usage: Usage = USAGE, model: str = "m"
) -> ToldUsage:
    return ToldUsage(mark="f", model=model, operation=operation, usage=usage, service="batch")


def lines(*values: object) -> bytes:
    return b"".join(dumps(value) + b"\n" for value in values)


def read(*pieces: bytes, **more: Any) -> list[ToldUsage]:
    it = ToldResults("f", **more)
    found = [each for piece in pieces for each in it.feed(piece)]
    return found + it.close()


EMBEDDING = answer("list", {"prompt_tokens": 3, "total_tokens": 3})
CACHED = message(input_tokens=3, cache_read_input_tokens=4, cache_creation_input_tokens=5, output_tokens=2)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (result(answer()), [told()]),
        (result(answer("text_completion")), [told(Operation.TEXT)]),
        (result(answer("response", {"input_tokens": 3, "output_tokens": 2})), [told(Operation.RESPONSES)]),
        (result(EMBEDDING), [told(Operation.EMBEDDING, Usage(prompt_tokens=3, total_tokens=3))]),
        (result({"created": 1, "data": [], "model": "m", "usage": CHAT}), [told(Operation.IMAGE)]),
        (CACHED, [told(usage=Usage(prompt_tokens=12, completion_tokens=2, total_tokens=14, cached_read_tokens=4, cached_write_tokens=5), model="claude")]),
        (message(), []),
        (result({"error": {"message": "no"}}, status=400), []),
        (result("text"), []),
        ({"custom_id": "a", "response": None, "error": {"code": "batch_expired"}}, []),
        ({"custom_id": "a", "result": {"type": "errored", "error": {}}}, []),
    ],
)  # fmt: skip
def test_a_line_tells_its_usage(value: object, expected: list[ToldUsage]) -> None:
    assert read(lines(value)) == expected


@given(st.lists(st.integers(0, 400)), st.booleans())
def test_any_split_tells_the_same(cuts: list[int], ends: bool) -> None:
    data = lines(result(answer()), CACHED, result(EMBEDDING)) + b"\n"
    data = data if ends else data.rstrip()
    at = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(at)]
    assert read(*pieces) == read(data)
    assert len(read(data)) == 3


def test_a_line_that_is_too_long_is_passed_over() -> None:
    long = result(answer() | {"text": "x" * 1000})
    found = read(lines(result(answer()), long), lines(result(answer())), line_bytes_max=500)
    assert found == [told(), told()]


def test_another_file_is_not_looked_into() -> None:
    it = ToldResults("f")
    assert it.feed(b"a,b\n1,2\n" + lines(result(answer()))) == []
    assert it.is_strange


def test_a_file_that_begins_within_a_line_is_looked_into() -> None:
    it = ToldResults("f")
    assert it.feed(b'"tokens":5}}}}\n' + lines(result(answer()))) == [told()]
    it.feed(b"broken\nbroken\nbroken\n")
    assert not it.is_strange
    assert it.feed(lines(result(answer()))) == [told()]


@pytest.mark.parametrize(
    "usage",
    [
        b'{"input_tokens":1,"odd":1e400}',
        b'{"input_tokens":1,"odd":"\xff"}',
        b'{"input_tokens":18446744073709551615,"cache_read_input_tokens":18446744073709551615}',
    ],
)
def test_what_nobody_can_count_tells_nothing(usage: bytes) -> None:
    line = b'{"custom_id":"a","result":{"message":{"usage":%b}}}\n' % usage
    assert read(line, lines(result(answer()))) == [told()]
