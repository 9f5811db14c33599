"""How a failure is told to callers of Bedrock: a body, a header, and the last frame of a stream.

Source: AWS, Amazon Bedrock API reference, "Converse" (errors) and "ConverseStreamOutput", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs.json import dumps
from bifrost.dialects.bedrock_telling import exception_frame
from bifrost.integrations.envelope import error_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.errors import GatewayError
    from bifrost.schema.call import Call, Target

__all__ = ["bedrock_body", "bedrock_event", "bedrock_headers"]

NAMES: Mapping[int, str] = MappingProxyType(
    {
        401: "AccessDeniedException",
        402: "AccessDeniedException",
        403: "AccessDeniedException",
        404: "ResourceNotFoundException",
        408: "ModelTimeoutException",
        429: "ThrottlingException",
        503: "ServiceUnavailableException",
        504: "ModelTimeoutException",
    }
)
"""By status. Another of the caller's is ``ValidationException``, another of the upstream's ``InternalServerException``."""

OWN = frozenset(
    {*NAMES.values(), "ValidationException", "InternalServerException"}
    | {"ModelErrorException", "ModelNotReadyException"}
)
"""What an upstream of the same dialect calls its errors stays."""

IN_STREAMS: Mapping[str, str] = MappingProxyType(
    {
        "ValidationException": "validationException",
        "ThrottlingException": "throttlingException",
        "ServiceUnavailableException": "serviceUnavailableException",
        "ModelNotReadyException": "serviceUnavailableException",
        "InternalServerException": "internalServerException",
    }
)
"""The exceptions that a stream may hold; the others are ``modelStreamErrorException``."""


def _name(error: GatewayError) -> str:
    if error.type in OWN:
        return str(error.type)
    spare = "ValidationException" if error.status < 500 else "InternalServerException"
    return NAMES.get(error.status, spare)


def bedrock_body(
    error: GatewayError,
    *,
    call: Call | None = None,  # noqa: ARG001  there is no place for it
    target: Target | None = None,  # noqa: ARG001  nor for this
    attempts: tuple[dict[str, object], ...] = (),  # noqa: ARG001  nor for these
) -> bytes:
    """The error as AWS tells it."""
    told = {"__type": _name(error), "message": _told(error)}
    return dumps(told if error.code is None else {**told, "code": error.code})


def bedrock_event(
    error: GatewayError,
    *,
    call: Call | None = None,  # noqa: ARG001  there is no place for it
    target: Target | None = None,  # noqa: ARG001  nor for this
    attempts: tuple[dict[str, object], ...] = (),  # noqa: ARG001  nor for these
) -> bytes:
    """The same as a frame; nothing comes after it."""
    kind = IN_STREAMS.get(_name(error), "modelStreamErrorException")
    return exception_frame(kind, dumps({"message": _told(error)}))


def bedrock_headers(error: GatewayError) -> list[tuple[bytes, bytes]]:
    """Where AWS's clients look for an error's name first."""
    lines = [line for line in error_headers(error) if line[0].lower() != b"x-amzn-errortype"]
    return [*lines, (b"x-amzn-errortype", _name(error).encode())]


def _told(error: GatewayError) -> str:
    return error.message.encode("utf-8", "replace").decode()
