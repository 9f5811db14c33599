"""How a failure is told to Cohere's callers: the native error object, with the message where Cohere has it.

Source: Cohere API reference, "Errors", 2026-11: ``{"message": …}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.codecs.json import dumps, dumps_str, join_object, splice, split_object
from bifrost.codecs.sse import event_frame
from bifrost.integrations.envelope import error_body

if TYPE_CHECKING:
    from bifrost.errors import GatewayError
    from bifrost.schema.call import Call, Target

__all__ = ["cohere_body", "cohere_event"]


def cohere_body(
    error: GatewayError,
    *,
    call: Call | None = None,
    target: Target | None = None,
    attempts: tuple[dict[str, object], ...] = (),
) -> bytes:
    """The native error object and, at its top, ``message``."""
    body = error_body(error, call=call, target=target, attempts=attempts)
    return splice(body, b'"message":%b' % dumps_str(error.message))


def cohere_event(
    error: GatewayError,
    *,
    call: Call | None = None,
    target: Target | None = None,
    attempts: tuple[dict[str, object], ...] = (),
) -> bytes:
    """The same as a ``message-end`` that tells of an error, as Cohere's own streams do; nothing comes after it."""
    said = error.message.encode("utf-8", "replace").decode()
    members = split_object(cohere_body(error, call=call, target=target, attempts=attempts))
    members["type"] = b'"message-end"'
    members["delta"] = dumps({"finish_reason": "ERROR", "error": said})
    return event_frame("message-end", join_object(members))
