"""How a failure is told to Google's callers: a body, and the last event of a stream.

Source: Google, "AIP-193: Errors" and ``google/rpc/error_details.proto``, 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs.json import dumps
from bifrost.codecs.sse import data_frame
from bifrost.integrations.envelope import RETRY_STATUSES, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.errors import GatewayError
    from bifrost.schema.call import Call, Target

__all__ = ["STATUSES", "genai_body", "genai_event"]

STATUSES: Mapping[int, str] = MappingProxyType(
    {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        402: "FAILED_PRECONDITION",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        408: "DEADLINE_EXCEEDED",
        409: "ABORTED",
        429: "RESOURCE_EXHAUSTED",
        499: "CANCELLED",
        500: "INTERNAL",
        501: "UNIMPLEMENTED",
        502: "UNAVAILABLE",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
        529: "UNAVAILABLE",
    }
)
"""By status. Another of the caller's is ``INVALID_ARGUMENT``, another of the upstream's ``INTERNAL``."""

OWN_NAMES = frozenset(
    {*STATUSES.values(), "UNKNOWN", "ALREADY_EXISTS", "OUT_OF_RANGE", "DATA_LOSS"}
)
"""What an upstream of the same dialect calls its errors stays."""

TYPE = "type.googleapis.com/google.rpc."


def genai_body(
    error: GatewayError,
    *,
    call: Call | None = None,
    target: Target | None = None,
    attempts: tuple[dict[str, object], ...] = (),  # noqa: ARG001  there is no place for these
) -> bytes:
    """Google's error object. Its details say whose failure it was, which member is wrong, and when to come back."""
    told = {
        "code": error.status,
        "message": _sound(error.message),
        "status": _status(error),
        "details": _details(error, target or (call.target if call else None)),
    }
    return dumps({"error": told})


def genai_event(
    error: GatewayError,
    *,
    call: Call | None = None,
    target: Target | None = None,
    attempts: tuple[dict[str, object], ...] = (),
) -> bytes:
    """The same as the last event of a stream."""
    return data_frame(genai_body(error, call=call, target=target, attempts=attempts))


def _status(error: GatewayError) -> str:
    if error.type in OWN_NAMES:
        return str(error.type)
    return STATUSES.get(error.status, "INVALID_ARGUMENT" if error.status < 500 else "INTERNAL")


def _details(error: GatewayError, target: Target | None) -> list[dict[str, object]]:
    reason = error.code or error.type
    details: list[dict[str, object]] = []
    if reason or target:
        named = {"provider": target.provider, "model": target.model} if target else {}
        info = {"reason": _sound(reason or ""), "domain": "bifrost", "metadata": named}
        details.append({"@type": f"{TYPE}ErrorInfo", **info})
    if isinstance(error.param, str):
        broken = {"field": _sound(error.param), "description": _sound(error.message)}
        details.append({"@type": f"{TYPE}BadRequest", "fieldViolations": [broken]})
    if error.retry_after_s is not None and error.status in RETRY_STATUSES:
        wait = f"{whole_seconds(error.retry_after_s)}s"
        details.append({"@type": f"{TYPE}RetryInfo", "retryDelay": wait})
    return details


def _sound(text: str) -> str:
    """Text as JSON can say it."""
    return text.encode("utf-8", "replace").decode()
