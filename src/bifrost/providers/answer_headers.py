"""Which of an upstream's response headers the caller gets to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bifrost.providers.base import Headers

__all__ = ["caller_headers"]

HIDDEN = frozenset(
    b"""content-length content-encoding content-type transfer-encoding connection keep-alive authorization cookie
    set-cookie set-cookie2 www-authenticate te trailer upgrade host date server alt-svc strict-transport-security
    x-bf-overhead-us""".split()
)
"""Of the connection, of the upstream's own site, or secret; and the gateway's own."""

HIDDEN_BEGINNINGS = (b"proxy-", b"access-control-")

RENAMED = {b"x-request-id": "x-provider-request-id"}
"""``x-request-id`` is the gateway's own."""

MAX_HEADERS = 100
MAX_VALUE_BYTES = 8 * 1024

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
