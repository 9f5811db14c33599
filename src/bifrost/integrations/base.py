"""What an integration is: a set of routes in one caller's dialect, and how their requests become calls."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from bifrost.catalog import Catalog
from bifrost.codecs.coding import CodingError, DecodedTooLarge, decode_whole
from bifrost.errors import BadRequest, BodyTooLarge
from bifrost.integrations.headers import HeaderLines, HeaderRules
from bifrost.schema.call import Call, Operation, Surface
from bifrost.schema.payload import Form

__all__ = ["InferenceRoute", "Integration", "Request", "unpack"]


@attrs.frozen(kw_only=True)
class Integration:
    """One surface. ``default_provider`` serves models without prefix; ``""`` demands the prefix."""

    name: str
    surface: Surface
    default_provider: str
    bad_json: str
    """How a body that is no JSON object is told of; ``{reason}`` stands for the reason."""
    takes_empty: bool
    """Whether an empty body is read as an object without members."""


@attrs.frozen(kw_only=True)
class InferenceRoute:
    """``POST path`` asks for ``operation``."""

    path: str
    operation: Operation
    integration: Integration
    parse: Callable[[Request, Catalog, HeaderRules], Call]
    """Raises BadRequest."""
    takes_form: bool = False
    """Whether the body may be a form."""


@attrs.frozen(kw_only=True)
class Request:
    """An HTTP request whose body is there, unpacked. ``received_s`` is on trio's clock."""

    id: str
    route: InferenceRoute
    headers: HeaderLines = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    remote_addr: str
    received_s: float
    form: Form | None = attrs.field(repr=False, default=None)
    """Instead of ``body``."""
    boundary: bytes = attrs.field(repr=False, default=b"")
    """Random, for a form to be written anew with."""
    body_bytes: int = 0
    """As it came, where that is not ``body``'s own length."""


def unpack(body: bytes, coding: str, max_bytes: int) -> bytes:
    """A body without its ``content-encoding``. Raises BadRequest, or BodyTooLarge before it is that large in memory."""
    try:
        return decode_whole(coding, body, max_bytes)
    except DecodedTooLarge as error:
        text = f"decompressed request body exceeds max allowed size of {max_bytes} bytes"
        raise BodyTooLarge(text) from error
    except CodingError as error:
        raise BadRequest(f"invalid compressed request body: {error}") from error
