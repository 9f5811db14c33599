from __future__ import annotations

from typing import Any

import pytest

from bifrost.config.secret import Secret, Token
from bifrost.errors import ConfigurationMissing, ErrorClass, NetworkError, UpstreamError
from bifrost.providers.base import Origin
from bifrost.providers.login_steps import (
    Answer,
    Ask,
    Grant,
    Login,
    Part,
    Read,
    advance,
    asked,
    lifetime_s,
    members_of,
    posted,
    refusal,
    seconds_until,
    sendable,
    text_of_file,
)

GRANT = Grant(token=Token("t"), lifetime_s=1.0)


def two_ways() -> Login:
    try:
        yield Read("/one")
    except NetworkError:
        yield Read("/two")
    return GRANT


def test_a_login_goes_from_step_to_step_to_its_grant() -> None:
    steps = two_ways()

    assert advance(steps, None) == Read("/one")
    assert advance(steps, Answer(200)) == GRANT


def test_a_login_may_know_another_way() -> None:
    steps = two_ways()

    advance(steps, None)
    assert advance(steps, NetworkError("no")) == Read("/two")
    assert advance(steps, Answer(200)) == GRANT


def test_what_a_login_does_not_know_is_raised() -> None:
    steps = two_ways()

    advance(steps, None)
    with pytest.raises(UpstreamError, match="out of it"):
        advance(steps, UpstreamError("out of it"))


def test_a_request_is_made_of_an_address() -> None:
    request = posted("http://h.example:81/a?b=c", {"x": "y z"}, what="w", headers=(("X-One", "1"),))

    assert request.origin == Origin("http", "h.example", 81)
    assert (request.method, request.target, request.body) == (b"POST", b"/a?b=c", b"x=y+z")
    headers = dict(request.headers)
    assert headers[b"host"] == b"h.example:81"
    assert headers[b"content-type"] == b"application/x-www-form-urlencoded"
    assert headers[b"x-one"] == b"1"


@pytest.mark.parametrize(
    ("url", "header", "text"),
    [
        ("ftp://h", ("a", "b"), "w: a URL must begin with"),
        ("http://h", ("a", "secret\r\nb"), "w: header a holds a line break"),
        ("http://h", ("a", "secret\N{SNOWMAN}"), "w: header a holds characters"),
    ],
)
def test_what_cannot_be_asked_is_a_configuration_error(
    url: str, header: tuple[str, str], text: str
) -> None:
    with pytest.raises(ConfigurationMissing, match=text) as caught:
        asked(url, what="w", headers=(header,))

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def read(answer: Answer) -> str | None:
    part: Part[str | None] = text_of_file("/f", what="w")
    assert next(part) == Read("/f")
    with pytest.raises(StopIteration) as end:
        part.send(answer)
    text: str | None = end.value.value
    return text


def test_files_are_text_or_not_there() -> None:
    assert read(Answer(200, b"\xef\xbb\xbfa")) == "a"
    assert read(Answer(404)) is None


@pytest.mark.parametrize(
    ("answer", "text"),
    [(Answer(403), "w: /f cannot be read"), (Answer(200, b"\xff"), "w: /f is no text")],
)
def test_a_file_that_cannot_be_read_is_a_configuration_error(answer: Answer, text: str) -> None:
    part = text_of_file("/f", what="w")
    next(part)
    with pytest.raises(ConfigurationMissing, match=text):
        part.send(answer)


@pytest.mark.parametrize(
    ("body", "members"), [(b'{"a": 1}', {"a": 1}), (b"[]", {}), (b"<", {}), ('{"b": 2}', {"b": 2})]
)
def test_members_of_what_may_be_an_object(body: bytes | str, members: dict[str, Any]) -> None:
    assert members_of(body) == members


@pytest.mark.parametrize("value", ["", "a b", "a\n", "a\x7f", "\N{SNOWMAN}", "a" * 16385, 1, None])
def test_what_no_header_can_hold_is_no_token(value: object) -> None:
    assert sendable("a" * 16384).reveal() == "a" * 16384
    with pytest.raises(UpstreamError, match="no token that can be sent"):
        sendable(value)


@pytest.mark.parametrize(
    ("end", "left_s"),
    [
        ("1970-01-01T01:00:00Z", 3500.0),
        ("1970-01-01T02:00:00+01:00", 3500.0),
        ("1970-01-01T01:00:00.123456789Z", 3500.123456),
        ("1970-01-01T01:00:00", 3500.0),
        ("2970-01-01T01:00:00Z", 86400.0),
        ("soon", 3600.0),
        (None, 3600.0),
        (12, 3600.0),
    ],
)
def test_the_time_that_is_left(end: object, left_s: float) -> None:
    assert seconds_until(end, 100.0) == pytest.approx(left_s)


def test_what_is_over_is_no_use() -> None:
    with pytest.raises(UpstreamError, match="over already"):
        seconds_until("1970-01-01T00:01:00Z", 100.0)


def test_lifetimes_are_bounded() -> None:
    assert [lifetime_s(value) for value in (5, "7", 1e9, -1, "x", None, True)] == [
        5.0, 7.0, 86400.0, 3600.0, 3600.0, 3600.0, 1.0,
    ]  # fmt: skip


def test_a_refusal_names_no_secret() -> None:
    error = refusal(
        400, ("no", None, "bad s3cret-1 and s3cret-2\r\nmore"), (Secret("s3cret-1"), None, Secret("s3cret-2"))
    )  # fmt: skip

    assert error.message == "no token: 400 no: bad *** and ***"
    assert error.error_class is ErrorClass.AUTH
    assert refusal(500, ()).error_class is ErrorClass.SERVER
    assert refusal(500, ()).message == "no token: 500"


def test_steps_show_no_body() -> None:
    request = posted("http://h", {"secret": "hush"}, what="w")

    assert "hush" not in repr((Ask(request), Answer(200, b"hush"), GRANT))
