from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.settings import ClientSettings
from bifrost.http.cors import SECURITY_HEADERS, CorsRules

STANDARD = b"Content-Type, Authorization, X-Requested-With, X-Stainless-Timeout, X-Api-Key"
PREFIX = b"access-control-allow-"


def rules(*origins: str, headers: tuple[str, ...] = ()) -> CorsRules:
    return CorsRules.of(ClientSettings(allowed_origins=origins, allowed_headers=headers))


def lines(of: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    found = dict(of)
    assert len(found) == len(of)
    return found


def test_by_default_any_page_may_call_without_credentials() -> None:
    cors = CorsRules.of(ClientSettings())

    assert cors.allows(b"https://anywhere.example")
    assert lines(cors.preflight(b"https://anywhere.example", b"x-custom")) == {
        b"access-control-allow-origin": b"https://anywhere.example",
        b"access-control-allow-methods": b"GET, POST, PUT, DELETE, PATCH, OPTIONS, HEAD",
        b"access-control-allow-headers": STANDARD,
        b"access-control-max-age": b"86400",
        b"access-control-expose-headers": b"x-request-id",
        b"vary": b"Origin",
    }


def test_an_answer_carries_what_a_preflight_does() -> None:
    cors = rules("https://app.example", headers=("X-Team",))

    told = lines(cors.answer(b"https://app.example"))

    assert told == lines(cors.preflight(b"https://app.example", None))
    assert told[PREFIX + b"credentials"] == b"true"
    assert told[PREFIX + b"headers"] == STANDARD + b", X-Team"


@pytest.mark.parametrize(
    ("configured", "origin", "is_allowed"),
    [
        ("https://app.example", "https://app.example", True),
        ("https://App.Example/", "https://app.example", True),
        ("https://app.example", "http://app.example", False),
        ("https://app.example", "https://app.example:8443", False),
        ("https://app.example", "https://app.example.evil", False),
        ("https://app.example:8443", "https://app.example:8443", True),
        ("app.example", "https://app.example", True),
        ("app.example", "http://app.example", True),
        ("app.example", "ftp://app.example", False),
        ("app.example", "app.example", False),
        ("https://*.example", "https://app.example", True),
        ("https://*.example", "https://a.b.example", False),
        ("https://*.example", "https://.example", False),
        ("https://*.example", "https://example", False),
        ("https://*.example", "https://evil/.example", False),
        ("https://*.example", "https://appXexample", False),
        ("*.example", "http://app.example", True),
        ("null", "null", False),
        ("https://app.example", "null", False),
        ("https://app.example", "http://localhost:5173", True),
        ("https://app.example", "https://localhost", True),
        ("https://app.example", "http://127.0.0.1:80", True),
        ("https://app.example", "http://0.0.0.0:8080", True),
        ("https://app.example", "https://0.0.0.0:8080", False),
        ("https://app.example", "http://localhost.evil", False),
        ("https://app.example", "http://localhost:5173.evil", False),
        ("https://app.example", "", False),
    ],
)
def test_an_origin_is_allowed_by_name_by_pattern_or_for_being_local(
    configured: str, origin: str, is_allowed: bool
) -> None:
    cors = rules(configured)

    told = lines(cors.preflight(origin.encode(), None))

    assert cors.allows(origin.encode()) is is_allowed
    assert (told.get(PREFIX + b"origin") == origin.encode()) is is_allowed
    assert (told.get(PREFIX + b"credentials") == b"true") is is_allowed


@pytest.mark.parametrize(
    ("origin", "has_credentials"),
    [(b"https://app.example", True), (b"http://localhost:1", True), (b"https://any.one", False), (b"null", False)],
)  # fmt: skip
def test_credentials_need_more_than_the_star(origin: bytes, has_credentials: bool) -> None:
    told = lines(rules("*", "https://app.example").answer(origin))

    assert told[PREFIX + b"origin"] == origin
    assert (PREFIX + b"credentials" in told) is has_credentials


def test_without_an_origin_nothing_is_told() -> None:
    assert rules("*").allows(None)
    assert not rules("https://app.example").allows(None)
    assert rules("*").answer(None) == []
    assert rules("*").preflight(None, b"x-custom") == []


@pytest.mark.parametrize("origin", [b"https://a\r\nset-cookie: x", b"a b", b"\xe9", b"x" * 513])
def test_an_origin_that_no_browser_sends_is_refused(origin: bytes) -> None:
    assert not rules("*").allows(origin)
    assert rules("*").answer(origin) == []


def test_any_header_is_a_star_where_there_are_no_credentials() -> None:
    cors = rules("*", headers=("*",))

    told = lines(cors.preflight(b"https://any.one", b"x-a, x-b"))

    assert told[PREFIX + b"headers"] == b"*"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (b"x-a, x-b", b"x-a, x-b"),
        (None, STANDARD + b", X-Team"),
        (b"x\r\ny", STANDARD + b", X-Team"),
        (b"", STANDARD + b", X-Team"),
    ],
)
def test_any_header_is_those_asked_for_where_there_are_credentials(
    asked: bytes | None, told: bytes
) -> None:
    cors = rules("https://app.example", headers=("*", "X-Team"))

    assert lines(cors.preflight(b"https://app.example", asked))[PREFIX + b"headers"] == told


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40))
def test_no_line_can_break_out(origin: bytes, asked: bytes | None) -> None:
    cors = rules("*", "https://*.example", headers=("*",))

    for _, value in cors.preflight(origin, asked):
        assert b"\r" not in value
        assert b"\n" not in value


def test_every_answer_is_guarded() -> None:
    assert dict(SECURITY_HEADERS) == {
        b"x-frame-options": b"DENY",
        b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"strict-origin-when-cross-origin",
        b"content-security-policy": b"frame-ancestors 'none'",
        b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
    }
