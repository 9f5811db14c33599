"""However the bytes of a batch's results are cut, the caller gets the same lines; ids come back as they went."""

from __future__ import annotations

import itertools
import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.dialects.anthropic_objects import told_line as anthropic_line
from bifrost.dialects.base import AnswerFacts, Retelling
from bifrost.dialects.batch_results import (
    LINE_BYTES_MAX,
    WHOLE_BYTES_MAX,
    LineCutter,
    ResultLines,
    WholeResults,
)
from bifrost.dialects.gemini_results import id_of, name_of
from bifrost.dialects.gemini_results import told_line as gemini_line
from bifrost.dialects.objects import RESULTS, results_of
from bifrost.errors import UpstreamError
from bifrost.integrations.batch_results import ResultsAnswer, result_files

FACTS = AnswerFacts(
    request_type="file_content", provider="p", model_requested="", sent_s=0.0, sent_unix_s=9.0
)
MESSAGE = {
    "id": "msg_1",
    "model": "m",
    "content": [{"type": "text", "text": "Grüße 🦀"}],
    "stop_reason": "end_turn",
}
CANDIDATE = {"content": {"parts": [{"text": "Grüße 🦀"}]}, "finishReason": "STOP"}
ANTHROPIC = [
    {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}},
    {"custom_id": "b", "result": {"type": "expired"}},
    {"custom_id": "c", "result": {"type": "errored", "error": {"type": "x", "message": "y"}}},
]
GEMINI = [
    {"key": "a", "response": {"candidates": [CANDIDATE]}},
    {"key": "b", "error": {"code": 3, "message": "y"}},
]
STREAMS = {
    "anthropic": (partial(anthropic_line, facts=FACTS), ANTHROPIC),
    "gemini": (partial(gemini_line, facts=FACTS), GEMINI),
}


def pieces(body: bytes, at: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *(n % (len(body) + 1) for n in at)})
    return [body[a:b] for a, b in itertools.pairwise(places)]


def told(retelling: Retelling, body: bytes, at: list[int]) -> bytes:
    return b"".join(map(retelling.feed, pieces(body, at))) + retelling.close()


@pytest.mark.parametrize("kind", STREAMS)
@given(at=st.lists(st.integers(0, 10_000)), end=st.sampled_from([b"", b"\n", b"\r\n\r\n"]))
def test_any_split_gives_the_same_lines(kind: str, at: list[int], end: bytes) -> None:
    tell, values = STREAMS[kind]
    body = b"\r\n".join(json.dumps(value).encode() for value in values) + end

    lines = told(ResultLines(tell), body, at).splitlines()

    assert [json.loads(line)["custom_id"] for line in lines] == [
        value.get("custom_id", value.get("key")) for value in values
    ]
    assert b"\n".join(lines) + b"\n" == told(ResultLines(tell), body, [])


LINES = [
    {"custom_id": "a", "response": {"status_code": 200, "body": {}}, "error": None},
    {"custom_id": "b", "response": {"status_code": 400, "body": {}}, "error": {"code": "x"}},
    {"custom_id": "c", "response": None, "error": {"code": "batch_expired"}},
    {"custom_id": "d", "response": None, "error": {"code": "batch_cancelled"}},
    {"custom_id": "e"},
]


@given(at=st.lists(st.integers(0, 10_000)), extra=st.booleans())
def test_any_split_gives_the_same_native_answer(at: list[int], *, extra: bool) -> None:
    body = b"\n".join([*(json.dumps(line).encode() for line in LINES), b"no line"])
    answer = ResultsAnswer("batch_1", "p", extra_fields=extra)

    out = b"".join(map(answer.feed, pieces(body, at))) + answer.file_ends() + answer.end()

    value = json.loads(out)
    assert value["batch_id"] == "batch_1"
    assert [one["result"]["type"] for one in value["results"]] == [
        "succeeded", "errored", "expired", "canceled", "errored",
    ]  # fmt: skip
    assert ("extra_fields" in value) == extra
    if extra:
        assert [error["line"] for error in value["extra_fields"]["parse_errors"]] == [6]


def test_a_batch_without_results_has_an_empty_list() -> None:
    answer = ResultsAnswer("b", "p", extra_fields=False)

    assert json.loads(answer.file_ends() + answer.end()) == {"batch_id": "b", "results": []}


def test_which_files_have_the_results() -> None:
    assert result_files(b'{"output_file_id":"a","error_file_id":"b"}') == ("a", "b")
    assert result_files(b'{"output_file_id":null,"error_file_id":""}') == ()
    with pytest.raises(UpstreamError):
        result_files(b"[]")


@given(
    st.from_regex(r"[a-z0-9][a-z0-9_-]{0,40}", fullmatch=True),
    st.sampled_from(["files", "batches"]),
)
def test_gemini_s_ids_come_back_as_they_went(rest: str, family: str) -> None:
    name = f"{family}/{rest}"

    assert name_of(id_of(name), family) == name
    assert results_of(RESULTS + id_of(name)) == id_of(name)


def test_nothing_is_held_without_end() -> None:
    lines, whole = LineCutter(), WholeResults(lambda body: [])
    block = b"x" * (1024 * 1024)

    with pytest.raises(UpstreamError, match="too long"):
        for _ in range(LINE_BYTES_MAX // len(block) + 1):
            lines.feed(block)
    with pytest.raises(UpstreamError, match="too long"):
        for _ in range(WHOLE_BYTES_MAX // len(block) + 1):
            whole.feed(block)
