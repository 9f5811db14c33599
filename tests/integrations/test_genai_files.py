"""Files at Google's door: routes, whose they are, the addresses of uploads, and lists of several keys."""

from __future__ import annotations

import json

import pytest

from bifrost.catalog import Catalog
from bifrost.errors import (
    BadRequest,
    GatewayError,
    MethodNotAllowed,
    RouteNotFound,
    UnsupportedOperation,
    UpstreamError,
)
from bifrost.integrations.genai_files import (
    FILE_ROUTES,
    UploadPlace,
    asking_page,
    file_route,
    is_of_files,
    page_told,
    provider_of,
    public_url,
    session_token,
    told_headers,
    upload_place,
)
from bifrost.integrations.list_cursor import Cursor
from bifrost.schema.call import Operation

NAMES = frozenset({"gemini", "openai", "mine"})
CATALOG = Catalog(
    known=NAMES, configured=tuple(sorted(NAMES)), available=NAMES, bases={"mine": "gemini"}
)


@pytest.mark.parametrize(
    ("method", "path", "operation", "ids"),
    [
        ("POST", "/genai/upload/v1beta/files", Operation.FILE_UPLOAD, ()),
        ("PUT", "/genai/upload/v1/files", Operation.FILE_UPLOAD, ()),
        ("POST", "/genai/v1beta/files", Operation.FILE_UPLOAD, ()),
        ("GET", "/genai/v1alpha/files", Operation.FILE_LIST, ()),
        ("GET", "/genai/v1beta/files/abc", Operation.FILE_RETRIEVE, ("files-abc",)),
        ("DELETE", "/genai/v1beta/files/abc", Operation.FILE_DELETE, ("files-abc",)),
        ("GET", "/genai/v1beta/files/abc:download", Operation.FILE_CONTENT, ("files-abc",)),
        ("GET", "/litellm/genai/v1beta/files/a", Operation.FILE_RETRIEVE, ("files-a",)),
    ],
)
def test_a_route_is_found(
    method: str, path: str, operation: Operation, ids: tuple[str, ...]
) -> None:
    route = file_route(method, path.encode())

    assert is_of_files(path)
    assert (route.operation, route.ids) == (operation, ids)
    assert route.prefix + route.path == path
    if not path.startswith("/litellm"):
        assert (method, route.template, operation) in FILE_ROUTES


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/genai/v1beta/files/a/b", RouteNotFound),
        ("GET", "/genai/v1beta/files:register", RouteNotFound),
        ("POST", "/genai/upload/v1beta/files/a", RouteNotFound),
        ("PATCH", "/genai/v1beta/files/a", MethodNotAllowed),
        ("GET", "/genai/v1beta/files/..", BadRequest),
        ("GET", "/genai/v1beta/files/a%2Fb", BadRequest),
    ],
)
def test_other_paths_are_refused(method: str, path: str, error: type[GatewayError]) -> None:
    assert is_of_files(path)
    with pytest.raises(error):
        file_route(method, path.encode())


@pytest.mark.parametrize("path", ["/genai/v1beta/filesystem", "/genai/v2/files", "/x/v1/files"])
def test_what_is_none_of_its_business(path: str) -> None:
    assert not is_of_files(path)


def test_who_has_the_files() -> None:
    def of(name: str) -> str:
        lines = ((b"x-model-provider", name.encode()),) if name else ()
        return provider_of(lines, CATALOG, Operation.FILE_LIST)

    assert [of(""), of("Gemini"), of("mine")] == ["gemini", "gemini", "mine"]
    with pytest.raises(UnsupportedOperation):
        of("openai")
    with pytest.raises(BadRequest, match="there is no provider"):
        of("nobody")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (
            "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=a&key=AIza",
            UploadPlace("/upload/v1beta/files", "upload_id=a"),
        ),
        ("http://proxy/google/upload/v1/files/s1", UploadPlace("/upload/v1/files/s1", "")),
    ],
)
def test_an_upload_goes_on_below_the_configured_host(url: str, place: UploadPlace) -> None:
    assert upload_place((("x-goog-upload-url", url),)) == place


def test_a_whole_upload_goes_on_nowhere() -> None:
    assert upload_place((("x-goog-upload-status", "final"),)) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere/files?upload_id=a",
        "https://g/upload/../v1beta/models",
        "https://[g/upload/x",
        "https://g/upload/v1/files?a=\u00fc",
    ],
)
def test_an_address_that_is_none_is_the_upstreams_failure(url: str) -> None:
    with pytest.raises(UpstreamError):
        upload_place((("x-goog-upload-url", url),))


@pytest.mark.parametrize(
    ("lines", "begins"),
    [
        ({"host": "localhost:8080"}, "http://localhost:8080/genai/upload/v1beta/files?"),
        ({"host": "a", "x-forwarded-proto": "https, http"}, "https://a/genai"),
        ({"host": "a", "x-forwarded-host": "b:1, c"}, "http://b:1/genai"),
        ({"host": "a", "x-forwarded-proto": "gopher"}, "http://a/genai"),
    ],
)
def test_the_caller_goes_on_at_the_gateway(lines: dict[str, str], begins: str) -> None:
    route = file_route("POST", b"/genai/upload/v1beta/files")
    headers = tuple((name.encode(), value.encode()) for name, value in lines.items())

    url = public_url(headers, "http", route, "t-1")

    assert url.startswith(begins)
    assert session_token(url.partition("?")[2]) == "t-1"


@pytest.mark.parametrize("host", [b"", b"a/b", b"user@a"])
def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    route = file_route("POST", b"/genai/upload/v1beta/files")

    with pytest.raises(BadRequest):
        public_url(((b"host", host),), "http", route, "t")


def test_no_line_leads_past_the_gateway() -> None:
    lines = (
        ("x-goog-upload-url", "https://google/1"),
        ("x-goog-upload-control-url", "https://google/2"),
        ("x-guploader-uploadid", "secret"),
        ("x-goog-upload-status", "active"),
    )

    status = ("x-goog-upload-status", "active")
    assert told_headers(lines, "http://here") == (status, ("x-goog-upload-url", "http://here"))
    assert told_headers(lines, None) == (status,)
    assert told_headers((status,), "http://here") == (status,)


def test_a_page_goes_on_with_its_key_and_then_with_the_next() -> None:
    body = b'{"files": [{"name": "files/a", "sizeBytes": "18446744073709551616"}], "nextPageToken": "native"}'

    first, has_files = page_told(body, Cursor(), 2)

    assert has_files
    assert b'"sizeBytes": "18446744073709551616"' in first
    at, query = asking_page(f"pageSize=2&pageToken={json.loads(first)['nextPageToken']}", 2)
    assert (at, query) == (Cursor(0, "native"), "pageSize=2")
    last_of_first, _ = page_told(b'{"files": [{}]}', at, 2)
    at, _ = asking_page(f"pageToken={json.loads(last_of_first)['nextPageToken']}", 2)
    assert at == Cursor(1)
    assert page_told(b"{}", at, 2) == (b"{}", False)
    assert asking_page("", 2) == (Cursor(), "")


def test_a_token_of_google_itself_is_for_the_first_key() -> None:
    assert asking_page("pageToken=abc", 1)[0] == Cursor(0, "abc")


def test_a_key_that_is_gone_means_the_first() -> None:
    assert asking_page(f"pageToken={Cursor(5, 'x').text()}", 2)[0] == Cursor()


def test_a_page_that_is_none_is_the_upstreams_failure() -> None:
    with pytest.raises(UpstreamError):
        page_told(b"<html>", Cursor(), 1)
