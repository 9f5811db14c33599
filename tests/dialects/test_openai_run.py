"""Chunks taken many at a time come out as they do one by one, whatever is among them."""

from __future__ import annotations

import json

import pytest

from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.openai_chat import ChatStreamDecoder
from bifrost.dialects.openai_run import RUN_BYTES, after_run, cut_run

FACTS = AnswerFacts(
    request_type="chat_completion_stream", provider="openai", model_requested="100%d", sent_s=1.0
)


def chunk(text: str, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    value = {"id": "c", "created": 7, "model": "m", "choices": [choice], **more}
    return b"data: %b\n\n" % json.dumps(value, ensure_ascii=False).encode()


def many(count: int) -> list[bytes]:
    return [chunk(f"word {number}") for number in range(count)]


END = [
    chunk("", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    chunk("", choices=[], usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
    b"data: [DONE]\n\n",
]

ODD = {
    "nothing odd": b"",
    "umlauts": chunk("äöü"),
    "null usage": chunk("x", usage=None),
    "usage": chunk("x", usage={"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}),
    "an error": b'data: {"error":{"message":"no","type":"server_error"}}\n\n',
    "extra fields": chunk("x", extra_fields={"a": 1}),
    "null extra fields": chunk("x", extra_fields=None),
    "no extra fields' own": chunk("x", extra_fields=""),
    "escaped extra fields": b'data: {"choices":[{"index":0}],"extra\\u005ffields":{}}\n\n',
    "a second choice": chunk("x", choices=[{"index": 1, "delta": {}}]),
    "an end in the middle": END[0],
    "no choices": chunk("x", choices=[]),
    "no id": b'data: {"choices":[{"index":0}]}\n\n',
    "a comment": b": ping\n\n",
    "a name": b'event: x\ndata: {"choices":[{"index":0}]}\n\n',
    "several lines": b'data: {"choices":\ndata: [{"index":0}]}\n\n',
    "another space": b'data:{"choices":[{"index":0}]}\n\n',
    "space at the end": b'data: {"choices":[{"index":0}]} \n\n',
    "blank lines": b"\n\n\n",
    "CRLF": chunk("x").replace(b"\n", b"\r\n"),
    "no UTF-8": b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n',
    "no JSON": b"data: {nothing}\n\n",
    "no object": b"data: [1]\n\n",
    "two values": b'data: {"choices":[{"index":0}]}{"choices":[{"index":0}]}\n\n',
    "a value in two events": b'data: {"choices":[{"index":0}\n\ndata: {"index":0}]}\n\n',
    "as many values as events": b'data: {"choices":[{}\n\ndata: ,{}]}{"choices":[{}]}\n\n',
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("before", [0, 30])
def test_a_run_comes_out_as_its_chunks_do(odd: bytes, before: int) -> None:
    stream = [*many(before), odd, *many(30), *END]
    whole, single = ChatStreamDecoder(FACTS), ChatStreamDecoder(FACTS)

    progress = whole.feed(b"".join(stream), 2.0)
    told = [single.feed(event, 2.0) for event in stream if event]

    assert progress.data == b"".join(one.data for one in told)
    assert progress.events == sum(one.events for one in told)
    assert progress.done == any(one.done for one in told)
    assert str(progress.error) == str(next((one.error for one in told if one.error), None))
    assert (whole.usage, whole.skipped) == (single.usage, single.skipped)


def test_a_run_ends_before_the_last_events() -> None:
    block = b"".join([*many(30), *END])

    assert len(block) > RUN_BYTES
    assert block[after_run(block) :] == b"".join(END)
    assert after_run(b"".join(END)) == 0


def test_of_a_run_only_ordinary_chunks_are_cut() -> None:
    run = many(5)

    assert cut_run(b"".join(run)) == [event[len(b"data: {") : -len(b"}\n\n")] for event in run]
    for name in set(ODD) - {"nothing odd", "umlauts", "null usage", "no id"}:
        assert cut_run(b"".join([*run, ODD[name], *run])) is None, name
    assert cut_run(b"") is None
