from __future__ import annotations

import pytest

from bifrost import __version__
from bifrost.errors import BadRequest
from bifrost.providers.request_headers import Accept, header_line, plan_headers

AUTH = (b"authorization", b"Bearer k")


def test_plain_and_streaming_requests_ask_for_what_they_can_read() -> None:
    plain = dict(plan_headers({}, Accept.JSON).lines(b"h", (), AUTH, b"application/json"))
    stream = dict(plan_headers({}, Accept.EVENTS).lines(b"h:1", (), None))

    assert plain == {
        b"host": b"h",
        b"accept-encoding": b"gzip, deflate, br, zstd",
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"user-agent": f"bifrost/{__version__}".encode(),
        b"authorization": b"Bearer k",
    }
    assert stream[b"accept"] == b"text/event-stream"
    assert stream[b"accept-encoding"] == b"identity"
    assert b"content-type" not in stream
    assert b"authorization" not in stream


def test_caller_wins_over_operator_and_the_credential_over_both() -> None:
    operators = {
        "X-A": "op",
        "X-B": " op ",
        "Authorization": "Basic op",
        "Accept": "x/y",
        "Host": "evil",
    }
    extra = (
        ("x-a", "1"),
        ("x-a", "2"),
        ("authorization", "mine"),
        ("content-length", "9"),
        ("proxy-x", "1"),
    )

    lines = plan_headers(operators, Accept.JSON).lines(b"h", extra, AUTH)

    assert [value for name, value in lines if name == b"x-a"] == [b"1", b"2"]
    assert [value for name, value in lines if name == b"authorization"] == [b"Bearer k"]
    assert lines[-1] == AUTH
    told = dict(lines)
    assert (told[b"x-b"], told[b"accept"], told[b"host"]) == (b"op", b"x/y", b"h")
    assert b"content-length" not in told
    assert b"proxy-x" not in told


def test_operators_own_credential_serves_where_there_is_no_key() -> None:
    lines = plan_headers({"authorization": "Basic op"}, Accept.JSON).lines(
        b"h", (("x-a", "1"),), None
    )

    assert dict(lines)[b"authorization"] == b"Basic op"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x y", "1"),
        ("", "1"),
        ("x", "1\r\nhost: evil"),
        ("x", "1\n"),
        ("x", "\0"),
        ("x", "€"),
        ("x:", "1"),
    ],
)
def test_what_could_be_another_line_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        header_line(name, value)
    with pytest.raises(ValueError, match="header"):
        plan_headers({name: value}, Accept.JSON)
    with pytest.raises(BadRequest, match="header"):
        plan_headers({}, Accept.JSON).lines(b"h", ((name, value),), None)
