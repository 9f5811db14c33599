from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bifrost.config.secret import Secret
from bifrost.errors import ErrorClass
from bifrost.providers.errors import MAX_BODY_TEXT, MAX_RAW_BYTES, decode_error

if TYPE_CHECKING:
    from bifrost.providers.base import Headers

KEY = Secret("KEY/with-odd+chars")


def refusal(status: int, body: Any = b"", headers: Headers = (), **how: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_error(status, headers, raw, KEY, **how)


@pytest.mark.parametrize(
    ("status", "message", "error_class"),
    [
        (401, "authentication failed", ErrorClass.AUTH),
        (403, "access forbidden", ErrorClass.AUTH),
        (404, "resource not found", ErrorClass.NOT_FOUND),
        (429, "rate limit exceeded", ErrorClass.RATE_LIMIT),
        (500, "provider server error (500)", ErrorClass.SERVER),
        (503, "provider server error (503)", ErrorClass.SERVER),
        (418, "empty response received from provider (HTTP 418)", ErrorClass.CLIENT),
    ],
)
def test_empty_bodies_get_a_text(status: int, message: str, error_class: ErrorClass) -> None:
    error = refusal(status, b" \n")

    assert error.message.startswith(message)
    assert (error.status, error.error_class) == (status, error_class)


@pytest.mark.parametrize(
    ("body", "message", "type_", "code"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c"}}, "m", "t", "c"),
        ({"code": "c", "error": "m"}, "m", None, "c"),
        ({"detail": [{"loc": ["body", "x"], "msg": "m"}]}, "m [body.x]", None, None),
        ({"message": "m", "type": "t"}, "m", "t", None),
        ({"error": {"message": ""}}, "provider API error (status 400)", None, None),
        ({"odd": 1}, 'provider API error: {"odd": 1}', None, None),
        ([], "provider API error: []", None, None),
        (b"just words", "provider API error: just words", None, None),
        (b"a\x8b\xff", "provider API error: a\ufffd\ufffd", None, None),
    ],
)
def test_bodies_of_every_shape(
    body: Any, message: str, type_: str | None, code: str | None
) -> None:
    error = refusal(400, body)

    assert (error.message, error.type, error.code) == (message, type_, code)
    assert error.status == 400


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<!doctype HTML><p>x KEY/with-odd+chars", ()),
        (b"<html><p>x KEY/with-odd+chars", ()),
        (b"x KEY/with-odd+chars", ((b"content-type", b"Text/HTML; charset=utf-8"),)),
    ],
)
def test_html_is_called_html_and_shown_beneath(body: bytes, headers: Headers) -> None:
    error = refusal(502, body, headers)

    assert error.message == "HTML response received from provider"
    assert error.cause.endswith("x ***")


def test_long_bodies_are_cut() -> None:
    error = refusal(500, b"x" * 1_000_000, raw=True)

    assert len(error.message) < MAX_BODY_TEXT + 50
    assert len(error.raw_response) == MAX_RAW_BYTES


@pytest.mark.parametrize(
    ("status", "shown"), [(302, 502), (304, 502), (999, 502), (101, 502), (200, 502), (529, 529)]
)
def test_status_to_show_is_always_an_error(status: int, shown: int) -> None:
    error = refusal(status, b"moved")

    assert error.status == shown
    assert error.error_class is ErrorClass.SERVER


def test_refusal_in_a_200_goes_by_its_words() -> None:
    error = refusal(200, {"error": {"message": "x", "type": "invalid_request_error"}})

    assert (error.status, error.error_class) == (400, ErrorClass.CLIENT)


@pytest.mark.parametrize(
    ("headers", "now_unix_s", "seconds"),
    [
        (((b"retry-after", b"7"),), None, 7.0),
        (((b"retry-after-ms", b"1500"), (b"retry-after", b"7")), None, 1.5),
        (((b"retry-after", b"Mon, 21 Sep 2026 14:13:50 GMT"),), 1_790_000_000.0, 30.0),
        (((b"retry-after", b"Mon, 21 Sep 2026 14:13:50 GMT"), (b"date", b"Mon, 21 Sep 2026 14:13:40 GMT")), None, 10.0),
        (((b"retry-after", b"Mon, 21 Sep 2026 14:13:50 GMT"),), None, None),
        ((), None, None),
    ],
)  # fmt: skip
def test_retry_after_is_read(
    headers: Headers, now_unix_s: float | None, seconds: float | None
) -> None:
    assert refusal(429, b"", headers, now_unix_s=now_unix_s).retry_after_s == seconds


def test_google_says_in_the_body_when_to_come_back() -> None:
    body = [
        {
            "error": {
                "message": "m",
                "status": "RESOURCE_EXHAUSTED",
                "details": [{"retryDelay": "34s"}],
            }
        }
    ]

    assert refusal(429, body).retry_after_s == 34.0
    assert refusal(429, body, ((b"retry-after", b"2"),)).retry_after_s == 2.0


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"bad key KEY\\/with-odd+chars","code":"KEY/with-odd+chars","param":"KEY/with-odd+chars"}}',
        b"you sent Authorization: Bearer KEY/with-odd+chars",
        b"<html>GET /?key=KEY%2Fwith-odd%2Bchars",
    ],
)
def test_key_is_nowhere_in_the_error(body: bytes) -> None:
    error = refusal(401, body, raw=True)

    told = " ".join(
        map(str, (error.message, error.cause, error.code, error.param, error.raw_response))
    )
    assert "odd" not in told
    assert "***" in error.message + (error.cause or "")


@pytest.mark.parametrize("start", range(MAX_BODY_TEXT - 20, MAX_BODY_TEXT + 2, 3))
def test_half_a_key_is_never_left_at_a_cut(start: int) -> None:
    error = refusal(500, b"x" * start + b"KEY/with-odd+chars")

    assert "KEY" not in error.message


def test_raw_body_is_attached_only_where_it_is_wanted() -> None:
    assert refusal(400, b"x").raw_response is None
    assert refusal(400, b"x", raw=True).raw_response == b"x"
    assert refusal(400, b"", raw=True).raw_response is None
