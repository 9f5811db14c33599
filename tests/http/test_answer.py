"""ASGI messages to the bytes of an answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.http.answer import Answer, BadAnswer, ServerLines
from bifrost.http.head import Head
from bifrost.http.incoming import Incoming

LINES = b"server: s\r\n"


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Any:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes = b"", *, more: bool = False) -> Any:
    return {"type": "http.response.body", "body": data, "more_body": more}


def answered(
    *messages: Any, method: str = "GET", version: str = "1.1", may_persist: bool = True, persists: bool = True
) -> tuple[bytes, Answer]:  # fmt: skip
    answer = Answer(Head(method, b"/", b"", version, [], persists=persists))
    sent = b"".join(answer.accept(each, LINES, may_persist=may_persist) for each in messages)
    return sent, answer


def test_a_whole_answer_gets_its_length() -> None:
    sent, answer = answered(start(200, (b"x", b"y")), body(b"hi"))

    assert sent == b"HTTP/1.1 200 OK\r\nx: y\r\nserver: s\r\ncontent-length: 2\r\n\r\nhi"
    assert answer.is_ended
    assert answer.persists


def test_an_answer_in_parts_is_chunked() -> None:
    sent, answer = answered(start(), body(b"ab", more=True), body(more=True), body(b"c"))

    assert sent.endswith(b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert answer.is_delimited


def test_an_old_client_gets_neither_chunks_nor_another_turn() -> None:
    sent, answer = answered(start(), body(b"ab", more=True), body(b"c"), version="1.0")

    assert sent.endswith(b"connection: close\r\n\r\nabc")
    assert not answer.is_delimited
    assert not answer.persists


def test_an_old_client_that_would_stay_is_told_that_it_may() -> None:
    sent, _ = answered(start(), body(b"c"), version="1.0")

    assert b"connection: keep-alive\r\n" in sent


@pytest.mark.parametrize(
    "how",
    [{"may_persist": False}, {"persists": False}],
)
def test_the_last_answer_says_so(how: Any) -> None:
    sent, answer = answered(start(), body(b"c"), **how)

    assert b"connection: close\r\n" in sent
    assert not answer.persists


def test_the_application_may_close() -> None:
    sent, answer = answered(start(200, (b"Connection", b"Close")), body(b"c"))

    assert sent.count(b"onnection") == 1
    assert not answer.persists


def test_framing_is_not_the_applications() -> None:
    sent, _ = answered(start(200, (b"transfer-encoding", b"chunked"), (b"keep-alive", b"1")), body(b"c"))  # fmt: skip

    assert b"transfer-encoding" not in sent
    assert b"keep-alive" not in sent


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body(status: int) -> None:
    sent, answer = answered(start(status), body(b"x"))

    assert sent.endswith(b"\r\n\r\n")
    assert b"content-length" not in sent
    assert answer.is_ended


def test_204_has_no_length_even_if_told() -> None:
    sent, _ = answered(start(204, (b"content-length", b"0")), body())

    assert b"content-length" not in sent


@pytest.mark.parametrize("more", [False, True])
def test_head_gets_the_head_alone(more: bool) -> None:
    messages = [start(), body(b"abc", more=more), *([body()] if more else [])]
    sent, _ = answered(*messages, method="HEAD")

    assert sent.endswith(b"\r\n\r\n")
    assert (b"content-length: 3" in sent) is not more


def test_a_length_that_was_told_is_kept() -> None:
    sent, answer = answered(start(200, (b"content-length", b"3")), body(b"ab", more=True), body(b"c"))  # fmt: skip

    assert sent.endswith(b"content-length: 3\r\nserver: s\r\n\r\nabc")
    assert answer.persists


@pytest.mark.parametrize(
    "messages",
    [
        [body(b"x")],
        [start(), start()],
        [start(99), body()],
        [start(600), body()],
        [start(200, (b"x", b"a\r\nb: c"))],
        [start(200, (b"x", b"a\nb"))],
        [start(200, (b"x", b"a\0b"))],
        [start(200, (b"x y", b"a"))],
        [start(200, (b"", b"a"))],
        [start(200, (b"content-length", b"a"))],
        [start(200, (b"content-length", b"1"), (b"content-length", b"1"))],
        [start(200, (b"content-length", b"1")), body(b"")],
        [start(200, (b"content-length", b"1")), body(b"ab")],
        [start(), body(), body()],
        [start(), {"type": "http.response.trailers"}],
    ],
)
def test_messages_that_make_no_answer(messages: list[Any]) -> None:
    with pytest.raises(BadAnswer):
        answered(*messages)


def test_a_body_too_short_has_not_ended() -> None:
    answer = Answer(Head("GET", b"/", b"", "1.1", []))
    answer.accept(start(200, (b"content-length", b"2")), LINES, may_persist=True)

    with pytest.raises(BadAnswer):
        answer.accept(body(b"a"), LINES, may_persist=True)

    assert not answer.is_ended


def test_a_status_without_a_name() -> None:
    assert answered(start(599), body())[0].startswith(b"HTTP/1.1 599 \r\n")


def test_the_servers_lines_change_with_the_second() -> None:
    lines = ServerLines(b"me")

    assert lines.at(0.2) is lines.at(0.9)
    assert lines.at(1.0) == b"date: Thu, 01 Jan 1970 00:00:01 GMT\r\nserver: me\r\n"
    assert ServerLines(None, date=False).at(5.0) == b""


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5))
def test_what_is_sent_is_what_is_read(parts: list[bytes]) -> None:
    """Our own reader of chunked bodies takes what our writer made of them."""
    messages = [body(part, more=True) for part in parts]
    sent, _ = answered(start(), *messages, body())
    framed = sent.partition(b"\r\n\r\n")[2]
    incoming = Incoming()
    incoming.feed(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n" + framed)

    assert incoming.next_head() is not None
    assert incoming.take() == b"".join(parts)
    assert incoming.ended
