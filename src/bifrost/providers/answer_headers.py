"""Which of an upstream's response headers the caller gets to see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bifrost.providers.base import Headers

__all__ = ["DROPPED", "caller_headers", "dropped_header", "dropped_names"]

HIDDEN = frozenset(
    b"""content-length content-encoding content-type transfer-encoding connection keep-alive authorization cookie
    set-cookie set-cookie2 www-authenticate te trailer upgrade host date server alt-svc strict-transport-security
    x-bf-overhead-us x-bf-dropped-params""".split()
)
"""Of the connection, of the upstream's own site, or secret; and the gateway's own."""

HIDDEN_BEGINNINGS = (b"proxy-", b"access-control-")

RENAMED = {b"x-request-id": "x-provider-request-id"}
"""``x-request-id`` is the gateway's own."""

MAX_HEADERS = 100
MAX_VALUE_BYTES = 8 * 1024

DROPPED = "x-bf-dropped-params"

MAX_DROPPED = 2048
"""Characters of that header; names are callers' own."""

NOT_OF_NAMES = re.compile(r"[^A-Za-z0-9_.-]")

UNSAFE = (b"\r", b"\n", b"\0")


def caller_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """``headers`` as the caller is to see them: filtered, renamed, repeated ones joined with a comma.

    At most ``MAX_HEADERS`` of them, each at most ``MAX_VALUE_BYTES`` long; longer ones are left out.
    """
    told: dict[str, str] = {}
    for name, value in headers:
        if name in HIDDEN or name.startswith(HIDDEN_BEGINNINGS) or any(c in value for c in UNSAFE):
            continue
        shown = RENAMED.get(name) or name.decode("latin-1")
        text = value.decode("latin-1")
        joined = f"{told[shown]}, {text}" if shown in told else text
        if len(joined) <= MAX_VALUE_BYTES and (shown in told or len(told) < MAX_HEADERS):
            told[shown] = joined
    return tuple(told.items())


def dropped_names(headers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The names in such a line, if it is among ``headers``: for an answer that is made of several."""
    told = next((value for name, value in headers if name == DROPPED), "")
    return tuple(filter(None, told.split(", ")))


def dropped_header(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The line that names what a translation dropped: for callers whose answers have no place for it.

    A name's odd characters become question marks; what is too long for a header is cut.
    """
    if not names:
        return ()
    told = ", ".join(NOT_OF_NAMES.sub("?", name) for name in names)
    return ((DROPPED, told[:MAX_DROPPED]),)
