from __future__ import annotations

import pytest

from bifrost.providers.base import Origin
from bifrost.providers.place import Address, address_of, place_of


@pytest.mark.parametrize(
    ("base", "path", "address"),
    [
        ("https://a.b", "/v1/x", Address(Origin("https", "a.b", 443), b"/v1/x", b"a.b")),
        ("http://A.b/", "/v1/x", Address(Origin("http", "a.b", 80), b"/v1/x", b"a.b")),
        ("https://a:8443/p/q//", "/v1/x", Address(Origin("https", "a", 8443), b"/p/q/v1/x", b"a:8443")),
        ("https://a/p?k=v", "/v1/x", Address(Origin("https", "a", 443), b"/p/v1/x?k=v", b"a")),
        ("https://a/?k=v", "/x?y=z", Address(Origin("https", "a", 443), b"/x?k=v&y=z", b"a")),
        ("https://a/openai/v1/", "/v1/x", Address(Origin("https", "a", 443), b"/openai/v1/x", b"a")),
        ("https://a/v1", "/chat", Address(Origin("https", "a", 443), b"/v1/chat", b"a")),
        ("http://[::1]:80/", "/x", Address(Origin("http", "::1", 80), b"/x", b"[::1]")),
        ("http://[::1]:81/", "/x", Address(Origin("http", "::1", 81), b"/x", b"[::1]:81")),
        ("https://bücher.example", "/ü b%20", Address(Origin("https", "bücher.example", 443), b"/%C3%BC%20b%20", b"xn--bcher-kva.example")),
    ],
)  # fmt: skip
def test_base_and_path_make_an_address(base: str, path: str, address: Address) -> None:
    assert address_of(place_of(base).at(path)) == address


def test_bare_place_has_a_slash() -> None:
    assert address_of(place_of("http://a")).target == b"/"


def test_query_is_added_with_the_right_sign() -> None:
    assert address_of(place_of("http://a/b")).with_query("x=1") == b"/b?x=1"
    assert address_of(place_of("http://a/b?y=2")).with_query("x=1") == b"/b?y=2&x=1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.b",
        "ftp://a",
        "http://",
        "https:///x",
        "http://user:secret@a",
        "http://a:99999",
        "http://a:x",
        "http://[::1",
    ],
)
def test_what_is_no_place_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the text is asked for below
        place_of(url)

    assert "secret" not in str(caught.value)


def test_host_that_is_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r".+"):
        address_of(place_of("http://" + "ü" * 80))
