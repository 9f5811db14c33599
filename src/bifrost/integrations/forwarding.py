"""Which of a caller's headers go upstream: asked for by prefix (``x-bf-eh-``) or let through by an allow-list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from bifrost.config.names import SECURITY_HEADERS
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.config.settings import HeaderFilterSettings

__all__ = ["Forwarding", "Patterns", "check_size", "is_plain_text"]

NEVER_FORWARDED = SECURITY_HEADERS | {
    "accept-encoding",
    "content-encoding",
    "content-type",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
}
"""Whatever is configured. What frames a message or proves an identity is the gateway's to write."""

NEVER_FORWARDED_PREFIXES = ("x-bf-", "x-amz-", "proxy-")

MAX_LINES = 64
MAX_BYTES = 32 * 1024
"""Names and values of all lines together."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,128}")  # RFC 9110, section 5.6.2, in lower case
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def is_plain_text(text: str) -> bool:
    """Whether ``text`` may be a header's value: RFC 9110 allows no control character but the tab."""
    return _CONTROL.search(text) is None


def check_size(lines: list[tuple[str, str]]) -> None:
    """Raises BadRequest (431) if ``lines`` are more than one request may send upstream."""
    size = sum(len(name) + len(value) for name, value in lines)
    if len(lines) > MAX_LINES or size > MAX_BYTES:
        text = f"too many headers to forward: at most {MAX_LINES} lines and {MAX_BYTES} bytes"
        raise BadRequest(text, status=431)


@attrs.frozen
class Patterns:
    """Header names, exact or with a trailing ``*``; compiled for a quick test."""

    exact: frozenset[str]
    prefixes: tuple[str, ...]

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Patterns:
        lowered = [pattern.lower() for pattern in patterns]
        return cls(
            frozenset(p for p in lowered if not p.endswith("*")),
            tuple(p[:-1] for p in lowered if p.endswith("*")),
        )

    def __contains__(self, name: str) -> bool:
        return name in self.exact or name.startswith(self.prefixes)

    def __bool__(self) -> bool:
        return bool(self.exact or self.prefixes)


@attrs.frozen
class Forwarding:
    """The filter of one configuration. Deny wins; an empty allow-list allows everything asked for by prefix."""

    allowed: Patterns
    denied: Patterns

    @classmethod
    def of(cls, settings: HeaderFilterSettings) -> Forwarding:
        return cls(Patterns.of(settings.allowlist), Patterns.of(settings.denylist))

    @property
    def takes_plain(self) -> bool:
        """Whether headers without the prefix may go upstream too."""
        return bool(self.allowed)

    def admits(self, name: str) -> bool:
        """Whether a header of this name, in lower case, may go upstream."""
        if name in NEVER_FORWARDED or name.startswith(NEVER_FORWARDED_PREFIXES):
            return False
        return (not self.allowed or name in self.allowed) and name not in self.denied

    def takes_plain_of(self, name: str) -> bool:
        """Whether a header of this name goes upstream without the prefix."""
        return self.takes_plain and self.admits(name)

    def line(self, name: bytes, value: bytes) -> tuple[str, str] | None:
        """The line to send, ``None`` if the header stays here. Raises BadRequest if it is not fit for a header."""
        text, content = name.decode("latin-1").lower(), value.decode("latin-1")
        if not self.admits(text):
            return None
        if _NAME.fullmatch(text) is None:
            raise BadRequest("a header to forward has no proper name")
        if not is_plain_text(content):
            raise BadRequest(f"header {text} has control characters in its value")
        return text, content
