"""Files at Google's door: what ``client.files`` of its SDK asks for, and what goes on to a provider of Gemini's dialect.

Nothing is translated; a file is known here as it is at ``/openai``: ``files/abc`` is ``files-abc``. An upload that takes
several requests is begun with one that is answered with the address for the others. They bring no key with them, so the
address that the caller is told is the gateway's, and its ``upload_id`` a token of the gateway's.

Sources: Gemini API reference, "Files", 2026-11; Google, "Resumable uploads" (``X-Goog-Upload-…``), 2026-11.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import attrs

from bifrost.codecs.json import InvalidJSON, dumps, join_object, loads, split_object
from bifrost.errors import (
    BadRequest,
    ErrorClass,
    MethodNotAllowed,
    RouteNotFound,
    UnsupportedOperation,
    UpstreamError,
)
from bifrost.integrations.genai import VERSIONS
from bifrost.integrations.list_cursor import Cursor, cursor_in
from bifrost.integrations.passthrough import without_credentials
from bifrost.integrations.paths import safe_path
from bifrost.integrations.relay import PROVIDER_HEADER, first_line
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.catalog import Catalog
    from bifrost.integrations.headers import HeaderLines

__all__ = [
    "FILE_ROUTES",
    "GONE",
    "FileRoute",
    "UploadPlace",
    "asking_page",
    "file_route",
    "is_of_files",
    "is_of_uploads",
    "page_told",
    "provider_of",
    "public_url",
    "session_token",
    "told_headers",
    "unknown_upload",
    "upload_place",
]

PREFIXES: Final = ("/genai", "/langchain/genai", "/litellm/genai", "/pydanticai/genai")

MAX_TOLD_PATH = 256

UPLOAD_ID: Final = "upload_id"
"""Names an upload in the query of its address."""

UPLOAD_URL = "x-goog-upload-url"

GONE: Final = (b"x-goog-upload-status", b"cancelled")
"""Told with an upload that is not known: Google's SDK (3.6, 2026-11) tries again for a minute where no status is told."""

OF_THE_UPLOAD = ("x-goog-upload-url", "x-goog-upload-control-url", "x-guploader-")
"""Beginnings of the names of lines that would lead past the gateway."""

_FILES = re.compile(
    rf"({'|'.join(PREFIXES)})((?:/upload)?/(?:{'|'.join(VERSIONS)})/files)(?:/([^/:]{{1,256}})(:download)?)?"
)
_MAY_BE_FILES = re.compile(
    rf"(?:{'|'.join(PREFIXES)})(?:/upload)?/(?:{'|'.join(VERSIONS)})/files(?:[/:]|$)"
)
_UPLOAD_PATH = re.compile(r"/upload/[A-Za-z0-9._~/-]{1,512}")
_HOST = re.compile(r"[A-Za-z0-9._\[\]:-]{1,255}")

SHAPES: Mapping[tuple[bool, bool, bool], tuple[str, Mapping[str, Operation]]] = MappingProxyType(
    {
        (True, False, False): (
            "/upload/{version}/files",
            {"POST": Operation.FILE_UPLOAD, "PUT": Operation.FILE_UPLOAD},
        ),
        (False, False, False): (
            "/{version}/files",
            {"GET": Operation.FILE_LIST, "POST": Operation.FILE_UPLOAD},
        ),
        (False, True, False): (
            "/{version}/files/{name}",
            {"GET": Operation.FILE_RETRIEVE, "DELETE": Operation.FILE_DELETE},
        ),
        (False, True, True): (
            "/{version}/files/{name}:download",
            {"GET": Operation.FILE_CONTENT},
        ),
    }
)
"""By whether a path is of uploads, names a file, and asks for its content: its template and methods."""

FILE_ROUTES: tuple[tuple[str, str, Operation], ...] = tuple(
    (method, f"{PREFIXES[0]}{template.replace('{version}', version)}", operation)
    for version in VERSIONS
    for template, methods in SHAPES.values()
    for method, operation in methods.items()
)
"""Method, template and operation of each, for the description; below the other prefixes it is the same."""


@attrs.frozen(kw_only=True)
class FileRoute:
    """Where a request came in."""

    template: str
    """For metrics and logs."""
    operation: Operation
    prefix: str
    path: str
    """The provider's: ``/v1beta/files/abc``."""
    ids: tuple[str, ...] = ()


def is_of_files(path: str) -> bool:
    """Whether ``path``, which is decoded, is in this realm."""
    return _MAY_BE_FILES.match(path) is not None


def is_of_uploads(path: str) -> bool:
    """Whether it is where uploads begin and go on, and nothing else can be asked for."""
    found = _FILES.fullmatch(path)
    return found is not None and found[2].startswith("/upload/") and not found[3]


def file_route(method: str, raw_path: bytes) -> FileRoute:
    """The route of a request. Raises RouteNotFound, MethodNotAllowed, BadRequest for a path that could mean two things."""
    path = safe_path(raw_path)
    found = _FILES.fullmatch(path)
    if found is None:
        raise RouteNotFound(f"Route not found: {path[:MAX_TOLD_PATH]}")
    is_upload = found[2].startswith("/upload/")
    served = SHAPES.get((is_upload, bool(found[3]), bool(found[4])))
    if served is None:
        raise RouteNotFound(f"Route not found: {path[:MAX_TOLD_PATH]}")
    template, methods = served
    if method not in methods:
        raise MethodNotAllowed(f"Method not allowed: {path[:MAX_TOLD_PATH]}")
    version = found[2].split("/")[-2]
    return FileRoute(
        template=f"{found[1]}{template.replace('{version}', version)}",
        operation=methods[method],
        prefix=found[1],
        path=path.removeprefix(found[1]),
        ids=(f"files-{unquote(found[3])}",) if found[3] else (),
    )


def provider_of(headers: HeaderLines, catalog: Catalog, operation: Operation) -> str:
    """Who has the files: ``gemini``, or whom ``x-model-provider`` names. Raises BadRequest, UnsupportedOperation."""
    asked = (first_line(headers, PROVIDER_HEADER) or b"").decode("latin-1").strip().lower()
    name = asked or "gemini"
    if asked and asked not in catalog.known:
        raise BadRequest(f"there is no provider {asked[:64]!r}", param="provider")
    if catalog.base(name) != "gemini":
        raise UnsupportedOperation(
            f"{operation.value} at /genai is not supported by {name} provider"
        )
    return name


def session_token(query: str) -> str:
    """The token that names an upload in ``query``; ``""`` where one begins."""
    return dict(parse_qsl(query)).get(UPLOAD_ID, "")


def unknown_upload() -> BadRequest:
    """The error for a token that nobody has been told, or not for a long time."""
    text = "there is no such upload: it may be over, or nothing was sent for an hour"
    return BadRequest(
        text, status=404, code="not_found", param=UPLOAD_ID, error_class=ErrorClass.NOT_FOUND
    )


@attrs.frozen
class UploadPlace:
    """Where the rest of an upload goes, at the provider's own host."""

    path: str
    query: str = attrs.field(repr=False)


def upload_place(headers: tuple[tuple[str, str], ...]) -> UploadPlace | None:
    """The place that an answer names; ``None`` if there is nothing more to send. Raises UpstreamError.

    Only its path below ``/upload`` and its query are gone by, never its host: that is where the configuration says.
    """
    url = dict(headers).get(UPLOAD_URL)
    if url is None:
        return None
    try:
        split = urlsplit(url)
    except ValueError:
        raise UpstreamError("the provider's address for an upload is none") from None
    _, slash, rest = split.path.partition("/upload/")
    path = f"{slash}{rest}"
    is_sound = split.query.isascii() and split.query.isprintable() and " " not in split.query
    if not is_sound or _UPLOAD_PATH.fullmatch(path) is None or ".." in path:
        raise UpstreamError("the provider's address for an upload is none")
    return UploadPlace(path, without_credentials(split.query))


def public_url(headers: HeaderLines, scheme: str, route: FileRoute, token: str) -> str:
    """The address that a caller goes on at: the gateway as he knows it, by his own ``host`` or what a proxy says it was."""
    forwarded = (first_line(headers, b"x-forwarded-host") or b"").partition(b",")[0].strip()
    host = (forwarded or first_line(headers, b"host") or b"").decode("latin-1")
    if _HOST.fullmatch(host) is None:
        raise BadRequest("the header host must name the gateway")
    proto = (first_line(headers, b"x-forwarded-proto") or b"").partition(b",")[0].strip()
    said = proto.decode("latin-1").lower()
    scheme = said if said in {"http", "https"} else scheme
    query = urlencode({UPLOAD_ID: token, "upload_protocol": "resumable"})
    return f"{scheme}://{host}{route.prefix}{route.path}?{query}"


def told_headers(
    headers: tuple[tuple[str, str], ...], url: str | None
) -> tuple[tuple[str, str], ...]:
    """An answer's lines without what would lead past the gateway, and with ``url`` where the provider told one."""
    kept = tuple(line for line in headers if not line[0].startswith(OF_THE_UPLOAD))
    is_told = len(kept) < len(headers) and any(name == UPLOAD_URL for name, _ in headers)
    return (*kept, (UPLOAD_URL, url)) if url and is_told else kept


def asking_page(query: str, keys: int) -> tuple[Cursor, str]:
    """Whose turn it is by the ``pageToken`` in ``query``, and the query without it. Raises BadRequest.

    A key that is gone meanwhile means the first.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    token = dict(pairs).get("pageToken", "")
    cursor = cursor_in(token, "pageToken") or Cursor(0, token)
    rest = urlencode([(name, value) for name, value in pairs if name != "pageToken"])
    return (cursor if cursor.key < keys else Cursor()), rest


def page_told(body: bytes, at: Cursor, keys: int) -> tuple[bytes, bool]:
    """``body``, a page that the key at ``at`` of ``keys`` gave, with a token good for all of them; and if it has any files.

    Raises UpstreamError if it is no page.
    """
    try:
        members = split_object(body)
        following = loads(members.pop("nextPageToken", b"null"))
        has_files = bool(loads(members.get("files", b"[]")))
    except InvalidJSON as error:
        raise UpstreamError("failed to unmarshal response from provider API") from error
    token: Cursor | None = None
    if isinstance(following, str) and following:
        token = Cursor(at.key, following)
    elif at.key + 1 < keys:
        token = Cursor(at.key + 1)
    if token is not None:
        members["nextPageToken"] = dumps(token.text())
    return join_object(members), has_files
