"""The failures of the wire, in the words that clients know. Neither addresses with credentials nor keys are in them."""

from __future__ import annotations

from bifrost.errors import (
    BadRequest,
    InternalError,
    NetworkError,
    StreamIdleTimeout,
    UpstreamTimeout,
)

__all__ = [
    "bad_request",
    "broken",
    "connect_timeout",
    "deadline_passed",
    "first_byte_timeout",
    "idle_timeout",
    "not_public",
    "too_large",
    "unconnected",
    "undecodable",
    "unreadable",
]

# The beginnings of these texts are matched by clients: they stay as they are.
EXECUTE = "failed to execute HTTP request to provider API"
CONNECT = (
    "network error occurred while connecting to provider API (DNS lookup, connection refused, etc.)"
)
CREATE = "failed to create HTTP request to provider API"
DECOMPRESS = "failed to decompress provider's response"
TIMED_OUT = "request timed out (default is 30 seconds)"


def unconnected(cause: str) -> NetworkError:
    """No connection: nothing was sent."""
    return NetworkError(CONNECT, cause=cause, sent=False)


def broken(cause: str) -> NetworkError:
    """The connection broke, or what came over it was no HTTP: the request may have arrived."""
    return NetworkError(EXECUTE, cause=cause)


def undecodable(cause: str) -> NetworkError:
    return NetworkError(DECOMPRESS, cause=cause)


def too_large(max_bytes: int) -> NetworkError:
    return NetworkError(EXECUTE, cause=f"response body exceeds {max_bytes} bytes")


def bad_request(cause: str) -> BadRequest:
    """The request cannot be written as HTTP: nothing was sent."""
    return BadRequest(CREATE, cause=cause)


def not_public(why: str = "it leads to a private address") -> BadRequest:
    """An address that a caller named is not to be connected to: nothing was sent."""
    return BadRequest(
        f"the endpoint cannot be used: {why}; client.allow_private_network permits it",
        param="x-bf-azure-endpoint",
    )


def unreadable(cause: str) -> InternalError:
    """The payload that was to be sent cannot be read again, or not to its end."""
    return InternalError(CREATE, cause=cause)


def connect_timeout(limit_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"{TIMED_OUT}: no connection to the provider within {limit_s:g} seconds; "
        "connect_timeout_s in its network_config sets this limit"
    )


def first_byte_timeout(limit_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"{TIMED_OUT}: the provider did not answer within {limit_s:g} seconds; "
        "default_request_timeout_in_seconds in its network_config sets this limit"
    )


def idle_timeout(limit_s: float) -> StreamIdleTimeout:
    return StreamIdleTimeout(
        f"{TIMED_OUT}: nothing came from the provider for {limit_s:g} seconds in the middle of its answer; "
        "stream_idle_timeout_in_seconds in its network_config sets this limit for streams, "
        "default_request_timeout_in_seconds for other answers"
    )


def deadline_passed() -> UpstreamTimeout:
    return UpstreamTimeout(
        f"{TIMED_OUT}: the attempt took longer than it may; total_timeout_s in the provider's network_config "
        "sets this limit, and a call's own deadline may be sooner"
    )
