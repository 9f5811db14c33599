"""Responses over WebSocket: what a client's event asks for, and how an answer's events are told there.

Source: OpenAI API reference, "WebSocket events" of Responses, 2026-11.
"""

from __future__ import annotations

import attrs

from bifrost.codecs.json import InvalidJSON, dumps, join_object, splice, split_object
from bifrost.errors import BadRequest
from bifrost.integrations.requirements import ABSENT, Members, small

__all__ = ["ClientEvent", "marked", "read_event", "request_body"]

CREATE = b'"response.create"'

ENVELOPE = ("type", "stream_id", "generate", "background")
"""Members of an event that are not part of an HTTP request's body, or say nothing there."""

MAX_STREAM_ID = 256
MAX_TOLD_TYPE = 64


@attrs.frozen
class ClientEvent:
    """One event of a client. ``stream_id`` names the response to the client, as JSON, where it wants that."""

    members: Members
    stream_id: bytes | None = None


def read_event(frame: bytes) -> ClientEvent:
    """The event in ``frame``. Raises BadRequest."""
    try:
        members = split_object(frame)
    except InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error
    stream_id = small(members, "stream_id")
    if stream_id is None:
        return ClientEvent(members)
    if not isinstance(stream_id, str) or len(stream_id) > MAX_STREAM_ID:
        text = f"stream_id must be text of at most {MAX_STREAM_ID} characters"
        raise BadRequest(text, param="stream_id")
    return ClientEvent(members, dumps(stream_id))


def request_body(event: ClientEvent) -> bytes:
    """The body of the HTTP request that would ask for the same, streamed. Raises BadRequest."""
    members = event.members
    if members.get("type") != CREATE:
        raise BadRequest(f"unsupported event type: {_told_type(members)}", param="type")
    if members.get("background", b"false") not in {b"false", *ABSENT}:
        raise BadRequest("background is not supported over WebSocket", param="background")
    if members.get("generate", b"true") not in {b"true", *ABSENT}:
        # Upstreams are asked over HTTP, where this member is not known: it would be answered in full, and billed.
        raise BadRequest("generate must be true: no upstream prepares a response", param="generate")
    body = {name: value for name, value in members.items() if name not in ENVELOPE}
    return join_object({**body, "stream": b"true"})


def marked(text: bytes, stream_id: bytes | None) -> bytes:
    """An event for the client, with its own mark if it gave one."""
    if stream_id is None or not text.startswith(b"{"):
        return text
    return splice(text, b'"stream_id":' + stream_id)


def _told_type(members: Members) -> str:
    kind = small(members, "type")
    return repr(kind[:MAX_TOLD_TYPE]) if isinstance(kind, str) else "none"
