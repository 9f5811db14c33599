"""Gemini's thought signatures on their way through OpenAI's words and back, byte for byte.

A signature of a tool call goes to the caller twice: as an encrypted block of ``reasoning_details``, which clients that send
messages back as they came return, and as a suffix of the call's id, which everybody returns. Source: Google, "Thought
signatures", 2026-11: from Gemini 3 on the first call of a turn has to come back with its own.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bifrost.schema.chat import Message, ReasoningDetail

__all__ = [
    "NONE_NEEDED",
    "OF_CALL",
    "OF_TEXT",
    "bare_id",
    "detail_of",
    "is_signature",
    "signature_of",
    "signed_id",
    "split_id",
]

MARK = "_ts_"

OF_CALL = "tool_call_"
"""How the id of a block begins that belongs to a call; that call's id follows."""

OF_TEXT = "thought_signature"
"""The id of a block that belongs to the text. Other providers' encrypted blocks have none such, and are no signatures."""

NONE_NEEDED = "skip_thought_signature_validator"
"""Google's own word for a call that was not made by Gemini."""


def signed_id(call_id: str, signature: str | None) -> str:
    """``call_id`` with ``signature`` behind it; as it is, where the signature would not come back the same."""
    try:
        raw = base64.b64decode(signature or "", validate=True)
    except (binascii.Error, ValueError):
        return call_id
    if not raw or base64.b64encode(raw).decode() != signature:
        return call_id
    return f"{call_id}{MARK}{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"


def split_id(call_id: str) -> tuple[str, str | None]:
    """The id as Gemini gave it, and the signature that hung on it."""
    bare, mark, suffix = call_id.rpartition(MARK)
    if not mark or not bare:
        return call_id, None
    try:
        padded = suffix + "=" * (-len(suffix) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return call_id, None
    return (bare, base64.b64encode(raw).decode()) if raw else (call_id, None)


def bare_id(call_id: str) -> str:
    """The id without its signature."""
    return split_id(call_id)[0]


def signature_of(message: Message, call_id: str = "") -> str | None:
    """The signature that ``message`` has for the call of ``call_id``, or for its text."""
    bare, signature = split_id(call_id)
    wanted = f"{OF_CALL}{bare}" if call_id else OF_TEXT
    for detail in message.reasoning_details:
        if detail.id == wanted and detail.kind == "reasoning.encrypted" and detail.data:
            return detail.data
    return signature


def detail_of(signature: str, index: int, call_id: str = "") -> dict[str, Any]:
    """The block for ``signature``; ``call_id`` is bare."""
    own = f"{OF_CALL}{call_id}" if call_id else OF_TEXT
    return {"index": index, "type": "reasoning.encrypted", "data": signature, "id": own}


def is_signature(detail: ReasoningDetail) -> bool:
    """Whether ``detail`` is a block of ``detail_of``, which means nothing to anybody but Gemini."""
    name = detail.id or ""
    return detail.kind == "reasoning.encrypted" and (name == OF_TEXT or name.startswith(OF_CALL))
