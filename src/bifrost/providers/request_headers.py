"""The header lines of an upstream request: the gateway's own, the operator's, the caller's, and the credential last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from bifrost import __version__
from bifrost.errors import BadRequest
from bifrost.providers.base import Headers
from bifrost.schema.call import DIRECT
from bifrost.values import Choice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.settings import KeySettings
    from bifrost.schema.call import Call

__all__ = ["Accept", "HeaderPlan", "header_line", "is_usual", "plan_headers"]

NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")

KEPT = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "content-type",
        "accept-encoding",
        "expect",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Nobody else may set these: they frame the message, or say what the gateway can read."""

CREDENTIALS = frozenset({"api-key", "authorization", "cookie", "proxy-authorization"})
"""Not from a caller; from the operator only where no key is sent in the same place."""

CODINGS = b"gzip, deflate, br, zstd"

USER_AGENT = f"bifrost/{__version__}".encode()


def header_line(name: str, value: str) -> tuple[bytes, bytes]:
    """A line, name in lower case. Raises ValueError if it could be read as anything but one line of its name."""
    if NAME.fullmatch(name) is None:
        raise ValueError("a header's name is not a token")
    if any(char in value for char in "\r\n\0"):
        raise ValueError(f"header {name} holds a line break or a NUL")
    try:
        return name.lower().encode("ascii"), value.strip().encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"header {name} holds characters that no header may hold") from None


class Accept(Choice):
    """What kind of answer is wanted, as ``accept`` says it."""

    JSON = b"application/json"
    EVENTS = b"text/event-stream"
    ANYTHING = b"*/*"


@attrs.frozen
class HeaderPlan:
    """The lines that are the same for all requests of one kind, but for ``host``."""

    own: Headers = attrs.field(repr=False)
    """The gateway's and the operator's; the caller may say otherwise."""
    kept: Headers = attrs.field(repr=False)

    def lines(
        self,
        host: bytes,
        extra: tuple[tuple[str, str], ...],
        credential: tuple[bytes, bytes] | None,
        content_type: bytes | None = None,
    ) -> Headers:
        """All lines. Raises BadRequest if one of ``extra``, the caller's, is not fit to be sent."""
        head: Headers = ((b"host", host), *self.kept)
        if content_type is not None:
            head = (*head, (b"content-type", content_type))
        tail = () if credential is None else (credential,)
        taken = {name for name, _ in tail}
        if not extra:
            return (*head, *(line for line in self.own if line[0] not in taken), *tail)
        theirs = tuple(line for line in _callers(extra) if line[0] not in taken)
        taken.update(name for name, _ in theirs)
        return (*head, *(line for line in self.own if line[0] not in taken), *theirs, *tail)


def is_usual(call: Call, key: KeySettings) -> bool:
    """Whether the lines of a request for ``call`` by ``key`` are those of others too: nothing in them is the caller's own."""
    return key.id != DIRECT.id and not call.caller.extra_headers


def _callers(extra: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    lines: list[tuple[bytes, bytes]] = []
    for name, value in extra:
        lowered = name.lower()
        if lowered in KEPT or lowered in CREDENTIALS or lowered.startswith("proxy-"):
            continue
        try:
            lines.append(header_line(lowered, value))
        except ValueError as error:
            raise BadRequest(str(error)) from None
    return lines


def plan_headers(operators: Mapping[str, str], accept: Accept) -> HeaderPlan:
    """The plan for requests that want ``accept``. Raises ValueError if the operator's extra headers cannot be sent."""
    coding = b"identity" if accept is Accept.EVENTS else CODINGS
    own = {b"accept": accept.value, b"user-agent": USER_AGENT}
    for name, value in operators.items():
        if name.lower() not in KEPT:
            own.update([header_line(name, value)])
    return HeaderPlan(tuple(own.items()), ((b"accept-encoding", coding),))
