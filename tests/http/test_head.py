"""Heads as llhttp and our own checks take or refuse them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.errors import BadRequest
from bifrost.http.head import (
    CHUNKED,
    MAX_HEADERS,
    MAX_TARGET_BYTES,
    PREFACE,
    Head,
    parse_head,
)


def head(*lines: str, start: str = "POST /v1/x HTTP/1.1", host: str | None = "h") -> Head:
    hosts = () if host is None else (f"host: {host}",)
    return parse_head("\r\n".join((start, *hosts, *lines, "", "")).encode("latin-1"))


def test_a_plain_head() -> None:
    found = head("Content-Length: 12", "X-A:  b ", start="POST /a%20b?c=d HTTP/1.1")

    assert (found.method, found.path, found.query) == ("POST", b"/a%20b", b"c=d")
    assert found.headers == [(b"host", b"h"), (b"content-length", b"12"), (b"x-a", b"b")]
    assert (found.length, found.version, found.persists) == (12, "1.1", True)
    assert not found.expects
    assert not found.is_foreign


@pytest.mark.parametrize(
    ("version", "connection", "persists"),
    [
        ("1.1", (), True),
        ("1.1", ("connection: close",), False),
        ("1.1", ("connection: x, Close",), False),
        ("1.0", (), False),
        ("1.0", ("connection: keep-alive",), True),
    ],
)
def test_whether_another_request_may_follow(
    version: str, connection: tuple[str, ...], persists: bool
) -> None:
    assert head(*connection, start=f"GET / HTTP/{version}").persists is persists


def test_a_chunked_body() -> None:
    assert head("Transfer-Encoding: Chunked").length == CHUNKED


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("content-length: 1", "transfer-encoding: chunked"), 400),
        (("transfer-encoding: chunked", "content-length: 1"), 400),
        (("content-length: 1", "content-length: 1"), 400),
        (("content-length: 1, 1",), 400),
        (("content-length: +1",), 400),
        (("content-length: -1",), 400),
        (("content-length: 0x1",), 400),
        (("content-length: " + "9" * 19,), 400),
        (("content-length:",), 400),
        (("transfer-encoding: gzip, chunked",), 501),
        (("transfer-encoding: chunked", "transfer-encoding: chunked"), 400),
        (("transfer-encoding : chunked",), 400),
        ((" folded: x",), 400),
        (("x: a", " folded"), 400),
        (("x y: a",), 400),
        (("x: a\0b",), 400),
        (("x: a\nb: c",), 400),
        (("no colon",), 400),
        (("host: two",), 400),
        (("expect: 200-ok",), 417),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(lines: tuple[str, ...], status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        head(*lines)

    assert caught.value.status == status


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("GET /", 400),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/2.0", 505),
        ("GET / ICE/1.0", 400),
        ("GET /  HTTP/1.1", 400),
        (" GET / HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("G(T / HTTP/1.1", 400),
        ("BREW / HTTP/1.1", 501),
        ("CONNECT h:1 HTTP/1.1", 405),
        ("GET /\x7f HTTP/1.1", 400),
        ("GET /\xe4 HTTP/1.1", 400),
        ("GET x HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET ftp://h/ HTTP/1.1", 400),
        ("GET http:/// HTTP/1.1", 400),
        ("GET http://us\\er/ HTTP/1.1", 400),
        ("GET /" + "a" * MAX_TARGET_BYTES + " HTTP/1.1", 414),
    ],
)
def test_request_lines_that_are_refused(start: str, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        head(start=start)

    assert caught.value.status == status


@pytest.mark.parametrize("host", [None, "a b", "a/b", "a@b"])
def test_hosts_that_are_refused(host: str | None) -> None:
    with pytest.raises(BadRequest):
        head(host=host)


def test_http_1_0_needs_no_host_and_has_no_chunks() -> None:
    assert head(start="GET / HTTP/1.0", host=None).version == "1.0"
    with pytest.raises(BadRequest):
        head("transfer-encoding: chunked", start="POST / HTTP/1.0")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [("http://other:81/a?b", b"/a", b"b"), ("https://other:81?b", b"/", b"b"), ("http://other:81", b"/", b"")],
)  # fmt: skip
def test_a_target_that_names_a_host_replaces_it(target: str, path: bytes, query: bytes) -> None:
    found = head("x: y", start=f"GET {target} HTTP/1.1")

    assert (found.path, found.query) == (path, query)
    assert found.headers == [(b"host", b"other:81"), (b"x", b"y")]


def test_options_of_the_server_itself() -> None:
    assert head(start="OPTIONS * HTTP/1.1").path == b"*"


def test_expectations() -> None:
    assert head("expect: 100-Continue", "content-length: 3").expects
    assert not head("expect: 100-continue", start="POST / HTTP/1.0").expects


@pytest.mark.parametrize(
    ("lines", "start", "is_foreign"),
    [
        (("connection: Upgrade", "upgrade: WebSocket"), "GET / HTTP/1.1", True),
        (("connection: upgrade", "upgrade: websocket"), "POST / HTTP/1.1", False),
        (("upgrade: websocket",), "GET / HTTP/1.1", False),
        (("connection: upgrade", "upgrade: websocket"), "GET / HTTP/1.0", False),
        (("connection: upgrade", "upgrade: websocket", "content-length: 2"), "GET / HTTP/1.1", False),
        (("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAM"), "GET / HTTP/1.1", True),
        (("connection: upgrade", "upgrade: h2c"), "GET / HTTP/1.1", False),
        (("connection: upgrade", "upgrade: tls/1.3"), "GET / HTTP/1.1", False),
    ],
)  # fmt: skip
def test_which_upgrades_are_taken_up(lines: tuple[str, ...], start: str, is_foreign: bool) -> None:
    assert head(*lines, start=start).is_foreign is is_foreign


def test_the_preface_of_http_2() -> None:
    assert parse_head(PREFACE).is_foreign


def test_a_flood_of_header_lines() -> None:
    assert len(head(*["x: y"] * (MAX_HEADERS - 1)).headers) == MAX_HEADERS
    with pytest.raises(BadRequest) as caught:
        head(*["x: y"] * MAX_HEADERS)
    assert caught.value.status == 431


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_head_or_refused(noise: bytes) -> None:
    try:
        found = parse_head(noise + b"\r\n\r\n")
    except BadRequest as refusal:
        assert 400 <= refusal.status < 600  # noqa: PT017  either way is good
    else:
        assert found.method


@pytest.mark.parametrize(
    "line",
    [
        "transfer-encoding: \x0bchunked",
        "transfer-encoding: chunked\x0c",
        "transfer-encoding:",
        "transfer-encoding: identity",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked;q=1",
        "transfer-encoding: xchunked",
        "content-length: \x0b5",
        "content-length: 5 5",
        "content-length: 5_0",
        "content-length: \xb2",
        "x: a\r",
        "x: a\x7fb",
        ": a",
        "x\x00: a",
    ],
)
def test_disguised_framing_is_refused(line: str) -> None:
    """Spellings that another server of a chain might take for framing, or not."""
    with pytest.raises(BadRequest) as caught:
        head(line)

    assert caught.value.status in {400, 501}


def test_empty_values_stay_with_their_names() -> None:
    found = head("a:", "b: ", "c: d")

    assert found.headers == [(b"host", b"h"), (b"a", b""), (b"b", b""), (b"c", b"d")]


@given(st.lists(st.tuples(st.from_regex(r"[a-z-]{1,8}", fullmatch=True), st.text("ab c,;=", max_size=8)), max_size=8))  # fmt: skip
def test_what_was_written_is_read(lines: list[tuple[str, str]]) -> None:
    written = [(f"x-{name}", value.strip()) for name, value in lines]

    found = head(*(f"{name}:  {value} " for name, value in written))

    assert found.headers[1:] == [(name.encode(), value.encode()) for name, value in written]
