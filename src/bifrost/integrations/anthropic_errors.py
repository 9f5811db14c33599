"""How a failure is told to Anthropic's callers: a body, and the last event of a stream.

Source: Anthropic API reference, "Errors", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs.json import dumps, dumps_str, splice
from bifrost.codecs.sse import event_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.errors import GatewayError
    from bifrost.schema.call import Call, Target

__all__ = ["anthropic_body", "anthropic_event", "signed", "type_of_status"]

TYPES: Mapping[int, str] = MappingProxyType(
    {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
        409: "conflict_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        503: "overloaded_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)
"""By status. Another of the caller's is ``invalid_request_error``, another of the upstream's ``api_error``."""

OWN_TYPES = frozenset(TYPES.values())
"""What an upstream of the same dialect calls its errors stays."""


def anthropic_body(
    error: GatewayError,
    *,
    call: Call | None = None,
    target: Target | None = None,  # noqa: ARG001  there is no place for it
    attempts: tuple[dict[str, object], ...] = (),  # noqa: ARG001  nor for these
) -> bytes:
    """Anthropic's error object, with the call's id where that is known."""
    told = dumps({"type": "error", "error": {"type": _type(error), "message": _told(error)}})
    return told if call is None else signed(told, call.id)


def anthropic_event(
    error: GatewayError,
    *,
    call: Call | None = None,
    target: Target | None = None,
    attempts: tuple[dict[str, object], ...] = (),
) -> bytes:
    """The same as the event ``error``; nothing comes after it."""
    return event_frame("error", anthropic_body(error, call=call, target=target, attempts=attempts))


def signed(body: bytes, request_id: str) -> bytes:
    """``body`` with the id of a request that never became a call."""
    return splice(body, b'"request_id":%b' % dumps_str(request_id))


def _type(error: GatewayError) -> str:
    return str(error.type) if error.type in OWN_TYPES else type_of_status(error.status)


def type_of_status(status: int) -> str:
    """What an error of ``status`` is called."""
    return TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def _told(error: GatewayError) -> str:
    return error.message.encode("utf-8", "replace").decode()
