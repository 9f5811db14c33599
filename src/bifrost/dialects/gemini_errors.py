"""Refusals of Google's APIs. Sources: Google, "AIP-193: Errors" and ``google.rpc.ErrorInfo``, 2026-11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.openai_errors import read_error, told_error
from bifrost.dialects.scrub import scrubber

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.errors import GatewayError

__all__ = ["KEY_REFUSED", "plain_error", "refusal_in"]

Object = dict[str, Any]

KEY_REFUSED = "API_KEY_INVALID"
"""The reason of a 400 that is about the key, not about the request."""


def refusal_in(told: Object, facts: AnswerFacts) -> GatewayError | None:
    """The error that a 2xx answer, or an event of a stream, tells instead of what was asked for."""
    if not told.get("error"):
        return None
    scrub = scrubber(facts.key)
    scrubbed = json.loads(scrub(json.dumps(told).decode()))
    error = read_error(_coded(scrubbed))
    return None if error is None else told_error(error, None, scrub)


def plain_error(status: int, body: bytes) -> bytes:  # noqa: ARG001  an error's reason is in its body
    """A refusal's body with the reason of a refused key as its code; any other as it came."""
    if KEY_REFUSED.encode() not in body:
        return body
    try:
        value = json.loads(body)
    except json.InvalidJSON:
        return body
    if isinstance(value, list):
        return json.dumps([_coded(item) for item in value])
    return json.dumps(_coded(value))


def _coded(value: Any) -> Any:  # noqa: ANN401  any JSON value
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return value
    details = error.get("details")
    reasons = (
        [item.get("reason") for item in details if isinstance(item, dict)]
        if isinstance(details, list)
        else []
    )
    return {**value, "error": {**error, "code": KEY_REFUSED}} if KEY_REFUSED in reasons else value
