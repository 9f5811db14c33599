from __future__ import annotations

import pytest

from bifrost.providers.answer_headers import (
    MAX_HEADERS,
    MAX_VALUE_BYTES,
    caller_headers,
    dropped_header,
    dropped_names,
)


@pytest.mark.parametrize(
    "name",
    [
        "content-length",
        "content-encoding",
        "content-type",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "authorization",
        "cookie",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
        "te",
        "trailer",
        "upgrade",
        "host",
        "date",
        "server",
        "alt-svc",
        "strict-transport-security",
        "access-control-allow-origin",
        "x-bf-overhead-us",
    ],
)
def test_what_is_not_the_callers_is_hidden(name: str) -> None:
    assert caller_headers(((name.encode(), b"x"),)) == ()


def test_all_else_is_told_with_repeats_joined_and_the_request_id_renamed() -> None:
    headers = (
        (b"x-ratelimit-limit-requests", b"9"),
        (b"x-request-id", b"req_1"),
        (b"via", b"a"),
        (b"openai-organization", b"\xfcber"),
        (b"via", b"b"),
    )

    assert caller_headers(headers) == (
        ("x-ratelimit-limit-requests", "9"),
        ("x-provider-request-id", "req_1"),
        ("via", "a, b"),
        ("openai-organization", "über"),
    )


@pytest.mark.parametrize(
    "value", [b"a\r\nset-cookie: x", b"a\nb", b"a\0b", b"x" * (MAX_VALUE_BYTES + 1)]
)
def test_unsafe_and_endless_values_are_left_out(value: bytes) -> None:
    assert caller_headers(((b"a", value), (b"b", b"1"))) == (("b", "1"),)


def test_there_is_an_end_to_them() -> None:
    headers = tuple((b"x-%d" % i, b"v") for i in range(2 * MAX_HEADERS))

    told = caller_headers((*headers, (b"x-0", b"w")))

    assert len(told) == MAX_HEADERS
    assert told[0] == ("x-0", "v, w")


def test_what_was_dropped_is_named_in_a_header() -> None:
    assert dropped_header(()) == ()
    assert dropped_names((("a", "b"),)) == ()
    assert dropped_names((("a", "b"), *dropped_header(("top_k", "x.y")))) == ("top_k", "x.y")
    assert dropped_header(("top_k", "a\r\nb: c\xff")) == (
        ("x-bf-dropped-params", "top_k, a??b??c?"),
    )
    assert len(dropped_header(("x" * 5000,))[0][1]) == 2048
