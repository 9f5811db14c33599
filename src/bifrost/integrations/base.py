"""What an integration is: a set of routes in one caller's dialect, and how their requests become calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

import attrs

from bifrost.catalog import Catalog
from bifrost.codecs.coding import CodingError, DecodedTooLarge, decode_whole
from bifrost.codecs.json import InvalidJSON, split_object
from bifrost.errors import BadRequest, BodyTooLarge
from bifrost.integrations.body_model import DIFFERING
from bifrost.integrations.headers import HeaderLines, HeaderRules
from bifrost.schema.call import Call, Caller, Operation, Surface
from bifrost.schema.payload import Form
from bifrost.values import frozen

__all__ = [
    "NO_PARAMS",
    "InferenceRoute",
    "Integration",
    "Params",
    "Request",
    "caller_of",
    "members_of",
    "query_of",
    "unpack",
    "versioned",
]


Params = Mapping[str, str]

NO_PARAMS: Params = MappingProxyType({})

MAX_QUERY = 2048

MODEL = "model"

SECRET_PARAMS = frozenset({"key", "access_token", "oauth_token"})
"""Of a query; Google's clients put credentials there."""


@frozen(kw_only=True)
class Integration:
    """One surface. ``default_provider`` serves models without prefix; ``""`` demands the prefix."""

    name: str
    surface: Surface
    default_provider: str
    bad_json: str
    """How a body that is no JSON object is told of; ``{reason}`` stands for the reason."""
    takes_empty: bool
    """Whether an empty body is read as an object without members."""


@frozen(kw_only=True)
class InferenceRoute:
    """``POST path`` asks for ``operation``."""

    path: str
    """The path itself, or a template of the paths that the finder finds it by."""
    operation: Operation
    integration: Integration
    parse: Callable[[Request, Catalog, HeaderRules], Call]
    """Raises BadRequest."""
    takes_form: bool = False
    """Whether the body may be a form."""


@frozen(kw_only=True)
class Request:
    """An HTTP request whose body is there, unpacked. ``received_s`` is on trio's clock."""

    id: str
    route: InferenceRoute
    headers: HeaderLines = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    remote_addr: str
    received_s: float
    query: str = ""
    """As it came, without its question mark."""
    params: Params = NO_PARAMS
    """What the path says, where the route is a pattern: ``model``."""
    form: Form | None = attrs.field(repr=False, default=None)
    """Instead of ``body``."""
    boundary: bytes = attrs.field(repr=False, default=b"")
    """Random, for a form to be written anew with."""
    body_bytes: int = 0
    """As it came, where that is not ``body``'s own length."""


def caller_of(request: Request, rules: HeaderRules) -> Caller:
    """Who asks: what the headers say and, of a caller's own key of Azure and for routing rules, the query. Raises BadRequest."""
    caller = versioned(rules.read(request.headers, request.remote_addr), request.query)
    if not rules.wanted.params:
        return caller
    asked = {
        name.lower(): value
        for name, value in _query(request.query, keep_blank=True).items()
        if name.lower() not in SECRET_PARAMS
    }
    return attrs.evolve(caller, rule_params=MappingProxyType(asked))


def versioned(caller: Caller, query: str) -> Caller:
    """``caller`` with the version of Azure's API that goes with a key of its own. Raises BadRequest."""
    if caller.azure is None:
        return caller
    version = _query(query).get("api-version")
    return attrs.evolve(caller, azure=attrs.evolve(caller.azure, api_version=version))


def _query(query: str, *, keep_blank: bool = False) -> dict[str, str]:
    if len(query) > MAX_QUERY:
        raise BadRequest("the query is too long", status=414)
    return dict(parse_qsl(query, keep_blank_values=keep_blank))


def query_of(request: Request) -> str:
    """The query, fit to be sent on. Raises BadRequest."""
    text = request.query
    if len(text) > MAX_QUERY:
        raise BadRequest("the query is too long", status=414)
    if not text.isascii() or not text.isprintable() or " " in text or "#" in text:
        raise BadRequest("the query must be percent-encoded ASCII")
    return text


def members_of(request: Request) -> dict[str, bytes]:
    """The members of the body. Raises BadRequest, in the surface's words, if it is no JSON object.

    Refused as well is one that may name another model to its next reader: upper case means nothing to Go's.
    """
    try:
        members = split_object(request.body)
    except InvalidJSON as error:
        text = request.route.integration.bad_json.format(reason=error)
        raise BadRequest(text, cause=str(error)) from error
    for name in members:
        if len(name) == len(MODEL) and name != MODEL and name.lower() == MODEL:
            raise BadRequest(DIFFERING, param=MODEL)
    return members


def unpack(body: bytes, coding: str, max_bytes: int) -> bytes:
    """A body without its ``content-encoding``. Raises BadRequest, or BodyTooLarge before it is that large in memory."""
    try:
        return decode_whole(coding, body, max_bytes)
    except DecodedTooLarge as error:
        text = f"decompressed request body exceeds max allowed size of {max_bytes} bytes"
        raise BodyTooLarge(text) from error
    except CodingError as error:
        raise BadRequest(f"invalid compressed request body: {error}") from error
