"""How a failure is told: the native error object, which OpenAI's SDKs read as their own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bifrost.codecs.json import InvalidJSON, dumps, loads
from bifrost.codecs.sse import data_frame, event_frame
from bifrost.errors import ErrorClass
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.errors import GatewayError
    from bifrost.schema.call import Call, Target

__all__ = [
    "RETRY_STATUSES",
    "error_body",
    "error_event",
    "error_frame",
    "error_headers",
    "key_status",
    "whole_seconds",
]

NAMED = frozenset({Operation.RESPONSES, Operation.IMAGE, Operation.IMAGE_EDIT})
"""Operations whose events have an ``event:`` line."""

RETRY_STATUSES = frozenset({402, 429, 503})

MAX_RETRY_AFTER_S = 86400


def error_body(
    error: GatewayError,
    *,
    call: Call | None = None,
    target: Target | None = None,
    attempts: tuple[dict[str, object], ...] = (),
) -> bytes:
    """The native error object, as the whole body of an answer.

    ``target`` is whose failure it was; without it the call's own is named. ``attempts`` are those to be shown.
    """
    whole = {
        "event_id": _told(error.event_id),
        "type": _told(error.kind),
        "is_bifrost_error": error.is_bifrost_error,
        "status_code": error.status,
        "error": _error(error),
    }
    told = _without_absent(whole)
    told["extra_fields"] = _without_absent(
        {
            **_names(call, target),
            "raw_request": _raw(error.raw_request),
            "raw_response": _raw(error.raw_response),
            "key_statuses": list(error.key_statuses) or None,
            "attempts": list(attempts) or None,
        }
    )
    return dumps(told)


def error_event(
    error: GatewayError,
    *,
    call: Call | None = None,
    target: Target | None = None,
    attempts: tuple[dict[str, object], ...] = (),
) -> bytes:
    """The same as the last event of a stream; no ``[DONE]`` comes after it. It has a name where the others have."""
    body = error_body(error, call=call, target=target, attempts=attempts)
    is_named = call is not None and call.operation in NAMED
    return event_frame("error", body) if is_named else data_frame(body)


def error_frame(
    error: GatewayError,
    *,
    call: Call | None = None,
    target: Target | None = None,
    attempts: tuple[dict[str, object], ...] = (),
    midway: bool = False,
) -> bytes:
    """The event ``error`` of Responses over WebSocket. ``midway`` tells that events of the answer have been sent already.

    Type and code are always there: the SDK has no room for an error without.
    """
    told = _error(error)
    is_callers = error.error_class is ErrorClass.CLIENT
    told["type"] = told["type"] or ("invalid_request_error" if is_callers else "server_error")
    is_lost = midway and error.error_class is ErrorClass.NETWORK
    told["code"] = told["code"] or ("upstream_connection_error" if is_lost else told["type"])
    if lines := error_headers(error):
        told["headers"] = {n.decode("latin-1"): v.decode("latin-1") for n, v in lines}
    extra = _without_absent({**_names(call, target), "attempts": list(attempts) or None})
    return dumps({"type": "error", "status": error.status, "error": told, "extra_fields": extra})


def key_status(key_id: str, provider: str, error: GatewayError | None) -> dict[str, object]:
    """How one key fared when its provider's models were asked for; ``key_id`` is empty where there was no key."""
    told: dict[str, object] = {"key_id": key_id, "provider": provider, "status": "success"}
    if error is not None:
        told["status"] = "list_models_failed"
        told["error"] = {
            "is_bifrost_error": error.is_bifrost_error,
            "status_code": error.status,
            "error": _error(error),
        }
    return told


def error_headers(error: GatewayError) -> list[tuple[bytes, bytes]]:
    """Header lines that go with the error: the upstream's, and when to come back."""
    lines = [
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in error.headers
    ]
    if error.retry_after_s is not None and error.status in RETRY_STATUSES:
        lines = [line for line in lines if line[0].lower() != b"retry-after"]
        lines.append((b"retry-after", b"%d" % whole_seconds(error.retry_after_s)))
    return lines


def whole_seconds(wait_s: float) -> int:
    """Rounded up, so that nobody comes back too early."""
    return max(1, math.ceil(min(wait_s, MAX_RETRY_AFTER_S)))


def _error(error: GatewayError) -> dict[str, object]:
    told: dict[str, object] = {
        "type": _told(error.type or error.kind),
        "code": _told(error.code),
        "message": _told(error.message),
        "param": _param(error.param),
        "event_id": _told(error.event_id),
        "error": _told(error.cause),
    }
    # The SDKs show these four; a member that is null tells more than one that is missing.
    always = ("type", "code", "message", "param")
    return {name: value for name, value in told.items() if value is not None or name in always}


def _names(call: Call | None, target: Target | None) -> dict[str, object]:
    """Whose failure it was: of which provider and model, at which operation."""
    if target is None and call is not None:
        target = call.target
    return {
        "provider": target.provider or None if target else None,
        "model_requested": target.model or None if target else None,
        "request_type": call.request_type if call else None,
    }


def _without_absent(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}


def _told(text: str | None) -> str | None:
    """Text as JSON can say it: what a path or a foreign exception brought along and UTF-8 cannot hold goes."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


def _param(value: object) -> object:
    """An upstream's own value, which may be any JSON; nested too deeply to be told again, it is left out."""
    try:
        dumps(value)
    except TypeError:
        return None
    return value


def _raw(body: bytes | None) -> object:
    """An upstream's body as the JSON that it is, else as text."""
    if body is None:
        return None
    try:
        value = loads(body)
        dumps(value)
    except (InvalidJSON, TypeError):
        return body.decode("utf-8", "replace")
    return value
