"""Bedrock's refusals and the exceptions inside its streams: by the names that AWS has for them.

Source: AWS, Amazon Bedrock API reference, "Converse" and "ConverseStream" (errors), and "Troubleshooting Amazon Bedrock API
error codes", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.openai_errors import Told, told_error
from bifrost.errors import ErrorClass, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bifrost.codecs.eventstream import Frame

__all__ = ["exception_in", "read_refusal"]

STATUSES: Mapping[str, int] = MappingProxyType(
    {
        "ModelErrorException": 502,
        "ModelNotReadyException": 503,
        "ServiceQuotaExceededException": 429,
    }
)
"""What some of them really mean: the model has failed (424), it is being loaded (429), too much is asked at once (400)."""

IN_STREAMS: Mapping[str, int] = MappingProxyType(
    {
        "throttlingException": 429,
        "serviceUnavailableException": 503,
        "modelNotReadyException": 503,
        "internalServerException": 500,
        "modelTimeoutException": 408,
        "modelStreamErrorException": 502,
        "validationException": 400,
        "accessDeniedException": 403,
        "resourceNotFoundException": 404,
    }
)

ABOUT_THE_MODEL = (
    "access to the model",
    "model identifier is invalid",
    "throughput isn",
)
"""AWS says with a general name, and only in its text, that the key is good but the model is not for it."""


def read_refusal(
    status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> tuple[int, bytes]:
    """Status and body of a refusal, as the readers of OpenAI's errors want them. What has no shape stays as it is."""
    try:
        value = json.loads(body) if body.strip() else {}
    except json.InvalidJSON:
        return status, body
    if not isinstance(value, dict):
        return status, body
    name = _name(headers, value)
    message = _message(value)
    if not name and not message:
        return status, body
    error: dict[str, object] = {"message": message, "type": name or None}
    if any(words in message for words in ABOUT_THE_MODEL):
        error["code"] = "model_not_found"
    return STATUSES.get(name, status), json.dumps({"error": error})


def _name(headers: Iterable[tuple[bytes, bytes]], value: Mapping[str, Any]) -> str:
    """``ThrottlingException`` out of the header, else out of the body; both may have an address round it."""
    sent = (line[1].decode("latin-1") for line in headers if line[0] == b"x-amzn-errortype")
    found = next(sent, None) or value.get("__type") or value.get("code") or ""
    return str(found).partition(":")[0].rpartition("#")[2].strip()[:200]


def _message(value: Mapping[str, Any]) -> str:
    told = value.get("message") or value.get("Message") or ""
    return told if isinstance(told, str) else ""


def exception_in(frame: Frame, scrub: Callable[[str], str]) -> UpstreamError | None:
    """The failure that ``frame`` tells; ``None`` if it is an event."""
    kind = frame.text(":message-type")
    if kind == "event":
        return None
    name = frame.text(":exception-type") or frame.text(":error-code") or kind or "unknown"
    message = frame.text(":error-message")
    try:
        value = json.loads(frame.payload) if frame.payload else {}
    except json.InvalidJSON:
        value = {}
    if isinstance(value, dict):
        message = _message(value) or message
    status = IN_STREAMS.get(name)
    error = told_error(Told(message=message or name, type=name), status or 502, scrub)
    if status is None:
        # What nobody knows is not tried again.
        error.error_class = ErrorClass.INTERNAL
    return error
