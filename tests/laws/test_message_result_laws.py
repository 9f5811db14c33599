"""OpenAI's output files as Anthropic's results: the same lines however the bytes are cut."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.integrations.anthropic_results import MessageResults

CHAT = {
    "id": "c",
    "model": "m",
    "choices": [{"message": {"content": "Grüße 🦀"}, "finish_reason": "stop"}],
}
REFUSED = {"error": {"message": "slow down", "type": "tokens"}}


def line(custom_id: str, status: int | None = None, body: Any = None, error: Any = None) -> Any:
    response = None if status is None else {"status_code": status, "body": body}
    return {"custom_id": custom_id, "response": response, "error": error}


LINES = [line("a", 200, CHAT), line("b", 429, REFUSED), line("c", error={"code": "batch_expired"})]
BODY = b"\n".join(json.dumps(value, ensure_ascii=False).encode() for value in LINES)


def told(body: bytes, at: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    answer = MessageResults("openai")
    places = sorted({0, len(body), *(n % (len(body) + 1) for n in at)})
    parts = [answer.feed(body[a:b]) for a, b in itertools.pairwise(places)]
    out = b"".join([*parts, answer.file_ends(), answer.end()])
    return [json.loads(text) for text in out.splitlines()]


@given(st.lists(st.integers(0, 10_000)).map(tuple))
def test_any_split_gives_the_same_lines(at: tuple[int, ...]) -> None:
    assert told(BODY, at) == told(BODY)


def test_what_came_of_each_request() -> None:
    one, two, three = told(BODY)

    assert one["custom_id"] == "a"
    message = one["result"]["message"]
    assert (one["result"]["type"], message["type"]) == ("succeeded", "message")
    assert message["content"] == [{"type": "text", "text": "Grüße 🦀"}]
    assert message["stop_reason"] == "end_turn"
    error = {"type": "rate_limit_error", "message": "slow down"}
    assert two["result"] == {"type": "errored", "error": {"type": "error", "error": error}}
    assert three["result"] == {"type": "expired"}


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (line("x", error={"code": "batch_cancelled"}), "canceled", ""),
        (line("x", error={"code": "else", "message": "broken"}), "errored", "broken"),
        (line("x", error=5), "errored", "the request failed"),
        (line("x", 500, "no"), "errored", "the request failed"),
        (line("x", 200, {"object": "response", "output": []}), "errored", "no chat completion"),
        (line("x", 200, "text"), "errored", "the request failed"),
        ({"custom_id": "x"}, "errored", "the request failed"),
    ],
)
def test_what_was_no_message(value: Any, kind: str, text: str) -> None:
    [found] = told(json.dumps(value).encode())

    assert found["custom_id"] == "x"
    assert found["result"]["type"] == kind
    assert text in json.dumps(found["result"])


def test_a_line_that_cannot_be_read_is_told() -> None:
    [broken, good] = told(b"{oh no\n" + json.dumps(LINES[0]).encode())

    assert (broken["custom_id"], broken["result"]["type"]) == ("", "errored")
    assert good["result"]["type"] == "succeeded"
