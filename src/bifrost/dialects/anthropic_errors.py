"""Errors of Anthropic's API: ``{"type": "error", "error": {"type", "message"}}``, told with a status and inside a stream.

Source: Anthropic API reference, "Errors", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.openai_errors import Told, json_text, read_error_body, told_error
from bifrost.dialects.scrub import scrubber

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.secret import Secret
    from bifrost.errors import UpstreamError

__all__ = ["STATUSES", "error_in", "refusal_body"]

STATUSES: Mapping[str, int] = MappingProxyType(
    {
        "invalid_request_error": 400,
        "authentication_error": 401,
        "billing_error": 402,
        "permission_error": 403,
        "not_found_error": 404,
        "request_too_large": 413,
        "rate_limit_error": 429,
        "api_error": 500,
        "timeout_error": 504,
        "overloaded_error": 529,
    }
)
"""The status that goes with each type: what an error inside a stream of status 200 stands for."""

MAX_TOLD = 2000
"""Characters of an error that has no shape."""

NO_CREDIT = "your credit balance is too low"
"""How the message begins that tells an empty account; its status and type are those of a bad request. Seen since 2024."""


def error_in(data: bytes, key: Secret | None) -> UpstreamError:
    """The error that ``data`` tells inside a stream or a body of status 200, with nothing of ``key`` left in it."""
    scrub = scrubber(key)
    told = read_error_body(data, scrub) or Told(message=scrub(json_text(data))[:MAX_TOLD])
    status = STATUSES.get(told.type or "", told.status)
    return told_error(attrs.evolve(told, status=status), status, scrub)


def refusal_body(status: int, body: bytes) -> bytes:
    """A refusal's body as ``providers.errors`` reads it: an empty account is told as such, so that its key rests."""
    if status != 400 or NO_CREDIT not in body[:4096].decode("utf-8", "replace").lower():
        return body
    try:
        told = json.loads(body)
        error = {**told["error"], "code": "insufficient_credits"}
    except (json.InvalidJSON, LookupError, TypeError):
        return body
    if not str(error.get("message")).lower().startswith(NO_CREDIT):
        return body
    return json.dumps({**told, "error": error})
