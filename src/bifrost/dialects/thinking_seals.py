"""Seals of Claude's thinking: whether a block that a caller hands back can be one of Claude's.

Whoever serves Claude refuses a whole request for a seal that is another's, so that what cannot be his is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.gemini_signatures import is_signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.schema.chat import ReasoningDetail

__all__ = ["seal_of", "without_unsealed", "without_unsealed_content"]

OPENAIS = "gAAAA"
"""How what OpenAI has encrypted begins (Fernet)."""


def seal_of(detail: ReasoningDetail) -> str | None:
    """The signature or the secret of ``detail``; ``None`` if it has none, or says that it is another provider's."""
    form = detail.raw.get("format")
    is_ours = form in {None, "unknown"} or str(form).startswith("anthropic")
    seal = detail.signature if detail.kind == "reasoning.text" else detail.data
    if not is_ours or not seal or seal.startswith(OPENAIS) or is_signature(detail):
        return None
    return seal


_EMPTY_SEAL = re.compile(rb'"signature"\s*:\s*""')

_THOUGHT = re.compile(rb'"reasoningText"')


def without_unsealed(raw: bytes) -> tuple[bytes, tuple[str, ...]]:
    """``raw``, the messages of Anthropic's dialect in JSON, without thoughts that nobody has signed; and what was lost.

    Such are told of models that sign none. Claude refuses a request with one, so that a conversation could not go on with
    him. The place of what was lost is in the dialect's own words.
    """
    if not _EMPTY_SEAL.search(raw):
        return raw, ()
    return _filtered(raw, _is_unsealed, "messages.content.thinking")


def without_unsealed_content(raw: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The same for messages of Converse."""
    if not _THOUGHT.search(raw):
        return raw, ()
    return _filtered(raw, _is_unsealed_content, "messages.content.reasoningContent")


def _filtered(
    raw: bytes, is_refused: Callable[[bytes], bool], place: str
) -> tuple[bytes, tuple[str, ...]]:
    """The messages without blocks that are refused; one that has nothing else keeps them."""
    try:
        messages = json.split_array(raw)
        fit = [_fit(message, is_refused) for message in messages]
    except json.InvalidJSON:
        # Not what messages look like: the upstream says so better.
        return raw, ()
    return (raw, ()) if fit == messages else (json.join_array(fit), (place,))


def _fit(message: bytes, is_refused: Callable[[bytes], bool]) -> bytes:
    members = json.split_object(message)
    content = members.get("content", b"")
    if not content.startswith(b"["):
        return message
    blocks = json.split_array(content)
    kept = [block for block in blocks if not is_refused(block)]
    if not kept or len(kept) == len(blocks):
        return message
    return json.join_object({**members, "content": json.join_array(kept)})


def _is_unsealed(block: bytes) -> bool:
    members = json.split_object(block)
    return members.get("type") == b'"thinking"' and members.get("signature") == b'""'


def _is_unsealed_content(block: bytes) -> bool:
    match json.loads(block):
        case {"reasoningContent": {"reasoningText": dict(thought)}}:
            return not thought.get("signature")
        case _:
            return False
