"""Who may call from a browser, and the headers that every answer carries. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from bifrost.config.settings import ClientSettings
    from bifrost.http.reply import HeaderLines

__all__ = ["SECURITY_HEADERS", "CorsRules"]

SECURITY_HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)

METHODS = b"GET, POST, PUT, DELETE, PATCH, OPTIONS, HEAD"
STANDARD_HEADERS = (
    "Content-Type",
    "Authorization",
    "X-Requested-With",
    "X-Stainless-Timeout",
    "X-Api-Key",
)
MAX_AGE_S = b"86400"

_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1)(:\d{1,5})?|http://0\.0\.0\.0(:\d{1,5})?")
_SANE = re.compile(rb"[\x21-\x7e]{1,512}")
_SANE_LIST = re.compile(rb"[\x20-\x7e]{1,2048}")


@attrs.frozen(kw_only=True)
class CorsRules:
    """Compiled from ``allowed_origins`` and ``allowed_headers``.

    A ``*`` inside an origin stands for one label of its host; an origin without a scheme for http and https.
    """

    any_origin: bool
    exact: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]
    headers: bytes
    any_header: bool

    @classmethod
    def of(cls, client: ClientSettings) -> CorsRules:
        """The rules of ``client``."""
        origins = [spelt for o in client.allowed_origins if o != "*" for spelt in _spelt(o)]
        further = [name for name in client.allowed_headers if name != "*"]
        return cls(
            any_origin="*" in client.allowed_origins,
            exact=frozenset(o for o in origins if "*" not in o),
            patterns=tuple(_pattern(o) for o in origins if "*" in o),
            headers=", ".join((*STANDARD_HEADERS, *further)).encode("latin-1"),
            any_header="*" in client.allowed_headers,
        )

    def allows(self, origin: bytes | None) -> bool:
        """Whether a page of ``origin`` may call. Without an origin there is no page to refuse, if any may."""
        if origin is None:
            return self.any_origin
        return _SANE.fullmatch(origin) is not None and (self.any_origin or self._named(origin))

    def lists(self, origin: bytes) -> bool:
        """Whether ``origin`` is listed by itself: not by ``*``, and not for being this machine's."""
        text = origin.decode("latin-1").lower()
        return text in self.exact or any(pattern.fullmatch(text) for pattern in self.patterns)

    def names(self, origin: bytes | None) -> bool:
        """Whether ``origin`` is this machine's, or listed by itself and not only by ``*``."""
        return origin is not None and _SANE.fullmatch(origin) is not None and self._named(origin)

    def _named(self, origin: bytes) -> bool:
        """Whether the configuration means this origin, and not just any."""
        text = origin.decode("latin-1").lower()
        return (
            text in self.exact
            or _LOCAL.fullmatch(text) is not None
            or any(pattern.fullmatch(text) for pattern in self.patterns)
        )

    def answer(self, origin: bytes | None) -> HeaderLines:
        """The lines for an answer to ``origin``; none where it is not allowed, or no page asked."""
        return self.preflight(origin, None)

    def preflight(self, origin: bytes | None, asked_headers: bytes | None) -> HeaderLines:
        """The lines for an answer to ``OPTIONS``, whose ``access-control-request-headers`` are ``asked_headers``."""
        if origin is None or not self.allows(origin):
            return []
        is_named = self._named(origin)
        lines = [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", METHODS),
            (b"access-control-allow-headers", self._headers(asked_headers, is_named=is_named)),
            (b"access-control-max-age", MAX_AGE_S),
            (b"access-control-expose-headers", b"x-request-id"),
            (b"vary", b"Origin"),
        ]
        if is_named:
            lines.append((b"access-control-allow-credentials", b"true"))
        return lines

    def _headers(self, asked: bytes | None, *, is_named: bool) -> bytes:
        """What a page may send. Where credentials are allowed ``*`` would be a header's name, so those asked for are told."""
        if not self.any_header:
            return self.headers
        if not is_named:
            return b"*"
        return asked if asked is not None and _SANE_LIST.fullmatch(asked) else self.headers


def _spelt(origin: str) -> tuple[str, ...]:
    """An origin of the configuration as browsers send it."""
    plain = origin.lower().rstrip("/")
    return (plain,) if "://" in plain else (f"https://{plain}", f"http://{plain}")


def _pattern(origin: str) -> re.Pattern[str]:
    return re.compile(r"[^/.]+".join(re.escape(part) for part in origin.split("*")))
