"""Refusals of the OpenAI family: from status, headers and body to one error, with nothing of the key left in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.openai_answer import looks_like_html
from bifrost.dialects.openai_errors import Told, json_text, read_error, told_error
from bifrost.dialects.scrub import scrubber
from bifrost.providers.rate_headers import date_of, retry_after_s

if TYPE_CHECKING:
    from bifrost.config.secret import Secret
    from bifrost.errors import UpstreamError
    from bifrost.providers.base import Headers

__all__ = ["decode_error"]

MAX_BODY_TEXT = 2000
"""Characters of a body in no known shape that are told on."""

MAX_RAW_BYTES = 64 * 1024

EMPTY_BODY = {
    401: "authentication failed: the provider does not accept this API key",
    403: "access forbidden: this API key may not do that",
    404: "resource not found",
    429: "rate limit exceeded",
}


def decode_error(
    status: int,
    headers: Headers,
    body: bytes,
    key: Secret | None,
    *,
    now_unix_s: float | None = None,
    raw: bool = False,
) -> UpstreamError:
    """The refusal, classified; of its texts every spelling of ``key`` is gone.

    A redirect is never followed; it is told as 502, as is anything else that is neither 4xx nor 5xx, unless the body
    names a status itself.
    """
    scrub = scrubber(key)
    # Before anything is cut, lest half a key be left standing at the cut.
    body = scrub(json_text(body)).encode()
    told, cause = _read(status, headers, body)
    told = attrs.evolve(told, status=told.status or (502 if 300 <= status < 400 else None))
    now_s = date_of(headers) if now_unix_s is None else now_unix_s
    return told_error(
        told,
        None if 200 <= status < 300 else status,
        scrub,
        retry_after_s=retry_after_s(headers, now_s),
        cause=cause,
        raw_response=body[:MAX_RAW_BYTES] if raw and body else None,
    )


def _read(status: int, headers: Headers, body: bytes) -> tuple[Told, str | None]:
    """What the body says, and the low-level text that goes with it."""
    if not body.strip():
        return Told(message=_for_empty(status)), None
    try:
        value: Any = json.loads(body)
    except json.InvalidJSON:
        return _from_text(headers, body)
    told = read_error(value)
    if told is not None:
        return told, None
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        return Told(), None
    return Told(message=f"provider API error: {_excerpt(body)}"), None


def _from_text(headers: Headers, body: bytes) -> tuple[Told, str | None]:
    is_html = any(
        name == b"content-type" and b"text/html" in value.lower() for name, value in headers
    )
    if is_html or looks_like_html(body):
        return Told(message="HTML response received from provider"), _excerpt(body)
    return Told(message=f"provider API error: {_excerpt(body)}"), None


def _excerpt(body: bytes) -> str:
    text = json_text(body[: 4 * MAX_BODY_TEXT]).strip()
    return text if len(text) <= MAX_BODY_TEXT else f"{text[:MAX_BODY_TEXT]}…"


def _for_empty(status: int) -> str:
    if status in EMPTY_BODY:
        return EMPTY_BODY[status]
    if status in {500, 502, 503, 504}:
        return f"provider server error ({status})"
    return f"empty response received from provider (HTTP {status})"
