"""The tree of failures a caller may see.

The class says whose fault it was and what may be done about it (``error_class``); it carries its own
wire mapping (status, type, code); the integration writes the envelope. Nothing decides by message text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from bifrost.values import Choice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "BadRequest",
    "BodyTooLarge",
    "Cancelled",
    "ConfigurationMissing",
    "DeadlineExceeded",
    "Denial",
    "ErrorClass",
    "GatewayError",
    "InternalError",
    "MethodNotAllowed",
    "NetworkError",
    "NoUsableKey",
    "Overloaded",
    "ProviderUnavailable",
    "QueueFull",
    "RouteNotFound",
    "ShuttingDown",
    "StreamIdleTimeout",
    "Unauthorized",
    "UnsupportedOperation",
    "UpstreamError",
    "UpstreamTimeout",
    "Verbatim",
]


class ErrorClass(Choice):
    """What kind of failure it was: the one thing that retry, fallback and key health go by."""

    CANCELLED = "cancelled"
    """The caller went away."""
    DEADLINE = "deadline"
    """The caller's own deadline passed."""
    TIMEOUT = "timeout"
    """The upstream was silent for too long."""
    NETWORK = "network"
    """No connection, or it broke, or what came over it was no HTTP."""
    RATE_LIMIT = "rate_limit"
    """The upstream says: this key, later."""
    AUTH = "auth"
    """The upstream does not accept this key."""
    QUOTA = "quota"
    """The key's account is empty."""
    SERVER = "server"
    """The upstream failed on its own side."""
    CLIENT = "client"
    """The request itself is wrong; any key of any provider would say so."""
    NOT_FOUND = "not_found"
    """The upstream does not know the model or the path: nobody's key is at fault, another target may know it."""
    INTERNAL = "internal"
    """A defect of the gateway."""
    CONFIG = "config"
    """The gateway's configuration has nothing that could serve it: no key, no provider, no such operation."""
    OVERLOADED = "overloaded"
    """Shed: a line or the door is full, or the gateway is going down."""
    DENIED = "denied"
    """Policy says no."""


@attrs.frozen
class Verbatim:
    """An upstream's refusal as it came, for a caller who is to see it so. ``headers`` are filtered for him already."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content_type: str
    """Empty where the upstream told none."""
    body: bytes = attrs.field(repr=False)


class GatewayError(Exception):
    """Any failure a caller may see. ``status``, ``type`` and ``code`` follow OpenAI's error object.

    ``kind`` is the coarse word at the top level of the native error object (a governance decision, say).
    ``cause`` is the low-level text that goes into ``error.error``; it must never hold a secret.
    ``headers`` are upstream response headers, already filtered for the caller. ``raw_request`` and ``raw_response``
    are upstream bodies, set only where the caller is to see them.
    """

    default_status: ClassVar[int] = 500
    default_type: ClassVar[str | None] = None
    default_code: ClassVar[str | None] = None
    error_class: ErrorClass = ErrorClass.INTERNAL
    is_bifrost_error: bool = False
    verbatim: Verbatim | None = None
    """What the upstream said, where that is to be told in place of the error object."""
    key_statuses: tuple[Mapping[str, object], ...] = ()
    """How each key fared of those that a list of models was asked with, where none brought any."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str | None = None,  # noqa: A002  the wire's own name
        code: str | None = None,
        param: object = None,
        kind: str | None = None,
        event_id: str | None = None,
        cause: str | None = None,
        retry_after_s: float | None = None,
        error_class: ErrorClass | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        raw_response: bytes | None = None,
        raw_request: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = self.default_status if status is None else status
        self.type = self.default_type if type is None else type
        self.code = self.default_code if code is None else code
        self.param = param
        self.kind = kind
        self.event_id = event_id
        self.cause = cause
        self.retry_after_s = retry_after_s
        if error_class is not None:
            self.error_class = error_class
        self.headers = headers
        self.raw_response = raw_response
        self.raw_request = raw_request

    def rename(self, named: Callable[[str], str]) -> None:
        """Tell by another name what is wrong: ``param``, and the text where that begins with it."""
        if not isinstance(self.param, str):
            return
        told = named(self.param)
        if self.message.startswith(self.param):
            self.message = told + self.message[len(self.param) :]
            self.args = (self.message,)
        self.param = told

    def let_go(self) -> None:
        """Forget where it was raised, and what it was raised from.

        For an error that goes on as a value: frames know it, and it knows them by its traceback, and in that ring they and
        all they hold (a request's body) would stay until the garbage collector comes.
        """
        met: BaseException | None = self
        while met is not None:
            before = met.__context__
            met.__traceback__ = met.__context__ = None
            met = before


class BadRequest(GatewayError):
    """The caller's mistake, seen before anything was sent."""

    default_status = 400
    error_class = ErrorClass.CLIENT


class BodyTooLarge(BadRequest):
    default_status = 413


class RouteNotFound(BadRequest):
    default_status = 404


class MethodNotAllowed(BadRequest):
    default_status = 405


class Unauthorized(BadRequest):
    default_status = 401
    error_class = ErrorClass.DENIED


class Denial(GatewayError):
    """Governance says no: to this caller, or to this provider or model. ``kind`` and ``type`` name the decision."""

    default_status = 403
    error_class = ErrorClass.DENIED

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        status: int | None = None,
        retry_after_s: float | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(
            message,
            kind=kind,
            type=kind,
            status=status,
            retry_after_s=retry_after_s,
            headers=headers,
        )


class NoUsableKey(GatewayError):
    """The provider has no key for this request. A 400 that lets the chain of fallbacks go on."""

    default_status = 400
    error_class = ErrorClass.CONFIG


class ConfigurationMissing(NoUsableKey):
    """The target's provider is not configured, or not far enough to be called."""


class UnsupportedOperation(NoUsableKey):
    """The provider has no such operation, or its configuration forbids it."""

    default_code = "unsupported_operation"


class QueueFull(GatewayError):
    default_status = 429
    default_code = "queue_full"
    error_class = ErrorClass.OVERLOADED


class ProviderUnavailable(GatewayError):
    """Every key of the provider rests, or its pool is broken. ``retry_after_s`` says when one may be back."""

    default_status = 503
    default_code = "provider_unavailable"
    error_class = ErrorClass.OVERLOADED


class ShuttingDown(GatewayError):
    """The provider (``provider_shutting_down``) or the gateway (``shutting_down``) takes no more work."""

    default_status = 503
    default_code = "shutting_down"
    error_class = ErrorClass.OVERLOADED


class Overloaded(GatewayError):
    """Shed at the door: ``max_inflight`` exchanges are being served."""

    default_status = 503
    default_code = "overloaded"
    error_class = ErrorClass.OVERLOADED


class UpstreamError(GatewayError):
    """The upstream answered with an error. ``status`` is its own; ``error_class`` was read by its dialect."""

    default_status = 502
    error_class = ErrorClass.SERVER


class NetworkError(GatewayError):
    """Connection refused, reset, cut, or not HTTP. ``sent`` tells whether the request may have arrived."""

    default_status = 502
    error_class = ErrorClass.NETWORK

    def __init__(self, message: str, *, cause: str | None = None, sent: bool = True) -> None:
        super().__init__(message, cause=cause)
        self.sent = sent


class UpstreamTimeout(GatewayError):
    default_status = 504
    default_type = "request_timed_out"
    error_class = ErrorClass.TIMEOUT
    is_bifrost_error = True


class StreamIdleTimeout(UpstreamTimeout):
    """No byte came for ``stream_idle_timeout_in_seconds`` in the middle of an answer."""


class DeadlineExceeded(GatewayError):
    """The call's own deadline passed: no retry, no fallback."""

    default_status = 504
    default_type = "request_timed_out"
    error_class = ErrorClass.DEADLINE
    is_bifrost_error = True


class Cancelled(GatewayError):
    """The caller went away. Nobody reads this one but the record."""

    default_status = 499
    default_type = "request_cancelled"
    error_class = ErrorClass.CANCELLED


class InternalError(GatewayError):
    """A defect of ours, named to the caller without its innards."""

    default_status = 500
    error_class = ErrorClass.INTERNAL
    is_bifrost_error = True
