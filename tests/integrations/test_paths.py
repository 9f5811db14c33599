from __future__ import annotations

import posixpath
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bifrost.errors import BadRequest
from bifrost.integrations.paths import MAX_PATH, safe_path
from bifrost.providers.place import address_of, place_of

BASE = "/base/path"

ACCEPTED = {
    b"/": "/",
    b"/openai/v1/files": "/openai/v1/files",
    b"/openai/v1/files/": "/openai/v1/files",
    b"/openai/v1/files/file-abc_DEF.1~2": "/openai/v1/files/file-abc_DEF.1~2",
    b"/models/ft:gpt-4o:org::x@1": "/models/ft:gpt-4o:org::x@1",
    b"/%66iles/%7e": "/files/~",
    b"/a%20b/c%2bd": "/a%20b/c%2Bd",
    b'/a"b^c`d{e}f|g<h>[i]': "/a%22b%5Ec%60d%7Be%7Df%7Cg%3Ch%3E%5Bi%5D",
    b"/a+b!$&'()*,=": "/a+b!$&'()*,=",
    b"/a..b/..c/d..": "/a..b/..c/d..",
    b"/a/.hidden": "/a/.hidden",
    b"/" + b"a" * (MAX_PATH - 1): "/" + "a" * (MAX_PATH - 1),
}

REFUSED = {
    b"": "begin with a slash",
    b"files": "begin with a slash",
    b"http://evil.example/v1": "begin with a slash",
    b"//evil.example/v1": "empty segment",
    b"/http://evil.example": "empty segment",
    b"///": "empty segment",
    b"//": "empty segment",
    b"/a//": "empty segment",
    b"/a//b": "empty segment",
    b"/..": "segment of dots",
    b"/.": "segment of dots",
    b"/a/../b": "segment of dots",
    b"/a/./b": "segment of dots",
    b"/a/..": "segment of dots",
    b"/a/../": "segment of dots",
    b"/a/...": "segment of dots",
    b"/a/%2e%2E/b": "segment of dots",
    b"/a/.%2e/b": "segment of dots",
    b"/a/..%20/b": "segment of dots",
    b"/a/%20/b": "segment of dots",
    b"/a/..;/b": "semicolon",
    b"/a/..%3b/b": "semicolon",
    b"/a;b=c": "semicolon",
    b"/a%2fb": "encoded slash",
    b"/a%2Fb": "encoded slash",
    b"/..%2f..": "encoded slash",
    b"/a\\b": "backslash",
    b"/a%5cb": "backslash",
    b"/a/..\\..\\b": "backslash",
    b"/a%252e": "encoded percent sign",
    b"/%25": "encoded percent sign",
    b"/a%00": "control characters",
    b"/a%0a": "control characters",
    b"/a%7f": "control characters",
    b"/a\r\nb": "control characters",
    b"/a\x00": "control characters",
    b"/a%c3%bc": "beyond ASCII",
    b"/a%80": "beyond ASCII",
    "/ü".encode(): "percent-encoded ASCII",
    b"/a\xff": "percent-encoded ASCII",
    b"/a%": "two hexadecimal digits",
    b"/a%2": "two hexadecimal digits",
    b"/a%zz": "two hexadecimal digits",
    b"/a%+1": "two hexadecimal digits",
    b"/a?b": "without its query",
    b"/a%3fb": "question mark",
    b"/a#b": "fragment",
    b"/a%23b": "fragment",
}


@pytest.mark.parametrize("raw", ACCEPTED)
def test_a_good_path_is_told_in_its_one_spelling(raw: bytes) -> None:
    assert safe_path(raw) == ACCEPTED[raw]


@pytest.mark.parametrize("raw", REFUSED)
def test_a_bad_path_is_refused_with_what_is_wrong(raw: bytes) -> None:
    with pytest.raises(BadRequest, match=REFUSED[raw]) as caught:
        safe_path(raw)

    assert caught.value.status == 400


def test_a_long_path_is_refused_as_such() -> None:
    with pytest.raises(BadRequest, match="at most 2048 bytes") as caught:
        safe_path(b"/" + b"a" * MAX_PATH)

    assert caught.value.status == 414


PIECES = st.sampled_from(
    [
        *[b"/", b"//", b".", b"..", b"...", b";", b"\\", b":", b"@", b"?", b"#", b" ", b"+", b"*"],
        *[b"%2e", b"%2E", b"%2f", b"%2F", b"%5c", b"%25", b"%252e", b"%252f", b"%00", b"%20", b"%3b"],
        *[b"a", b"files", b"v1", b"http:", b"evil.example", b"%61", b"%c0%ae", b"\xc0\xae", b"~", b"%"],
    ]
)  # fmt: skip
PATHS = st.builds(
    bytes.__add__,
    st.sampled_from([b"/", b"/", b"/", b""]),
    st.one_of(st.binary(max_size=40), st.lists(PIECES, max_size=10).map(b"".join)),
)


def accepted(raw: bytes) -> str | None:
    try:
        return safe_path(raw)
    except BadRequest:
        return None


def readings(path: str) -> set[str]:
    """What ``path`` may become on its way: as it is, decoded once or twice, and with slashes for backslashes."""
    decoded = {path, unquote(path), unquote(unquote(path))}
    return decoded | {text.replace("\\", "/") for text in decoded}


def is_below(path: str, base: str) -> bool:
    return path == base or path.startswith(f"{base}/")


@given(PATHS)
@example(b"/a/%2e%2e/%2e%2e/%2e%2e/etc")
@example(b"/a%252e%252e%252f")
def test_an_accepted_path_stays_below_its_base(raw: bytes) -> None:
    path = accepted(raw)
    if path is None:
        return

    for reading in readings(path):
        whole = f"{BASE}{reading}"
        assert is_below(posixpath.normpath(whole), BASE)
        url = f"https://host.example{whole}"
        assert urlsplit(url).netloc == "host.example"
        for normal in (urlsplit(url).path, urlsplit(urljoin("https://other.example", url)).path):
            assert is_below(posixpath.normpath(normal), BASE)


@given(PATHS)
def test_an_accepted_path_keeps_host_and_base_in_a_client_that_normalises(raw: bytes) -> None:
    path = accepted(raw)
    if path is None:
        return

    url = httpx.URL("https://host.example/base/path/").join(f".{path}")
    assert url.host == "host.example"
    assert is_below(url.path.rstrip("/") or "/", BASE)


@given(PATHS)
def test_an_accepted_path_has_one_spelling(raw: bytes) -> None:
    path = accepted(raw)
    if path is None:
        return

    assert safe_path(path.encode("ascii")) == path
    assert "//" not in unquote(unquote(path))
    assert unquote(path) == unquote(unquote(path))


@given(PATHS)
def test_an_accepted_path_is_sent_as_it_is(raw: bytes) -> None:
    path = accepted(raw)
    if path is None or path == "/":
        return

    place = place_of("https://host.example/base").at(path)
    assert address_of(place).target == f"/base{path}".encode("ascii")


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)))
def test_what_an_sdk_quotes_is_accepted_unless_it_could_be_misread(segments: list[str]) -> None:
    telling = set("/\\%?#;")
    raw = "/" + "/".join(quote(segment, safe="!$&'()*+,;=:@") for segment in segments)
    is_sane = all(not telling & set(s) and s.strip(".") for s in segments)

    assert (accepted(raw.encode()) is not None) == is_sane
