"""Requests other than chat, decoded at the top only: what they hold is for each encoder to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.value_shape import obj
from bifrost.errors import BadRequest
from bifrost.schema.chat import ChatRequest

if TYPE_CHECKING:
    from bifrost.schema.call import RawMembers

__all__ = ["read_plain"]


def read_plain(members: RawMembers) -> ChatRequest:
    """The request without messages. Raises BadRequest if a member is no JSON."""
    try:
        decoded = {name: json.loads(raw) for name, raw in members.items() if raw != b"null"}
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error
    extras = decoded.get("extra_params")
    return ChatRequest(
        messages=(),
        members=decoded,
        extras={} if extras is None else obj(extras, "extra_params"),
    )
