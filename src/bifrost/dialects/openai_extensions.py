"""The gateway's own extensions of the OpenAI chat request, found cheaply and taken out of the raw JSON.

Only what holds one is taken apart; everything else stays the bytes that came, numbers and key order included. What has
not the shape of a message, a part or a tool is left for the upstream to refuse.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bifrost.codecs import json

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bare_ids", "may_be_in", "strip_messages", "strip_reasoning", "strip_tools"]

MARKERS = ("cache_control", "cachePoint", "citations")
"""On messages, parts and tools: prompt cache marks, and Anthropic's wish for citations."""

FILE_MEMBERS = ("file_type", "file_url")

SIGN = re.compile(rb'"(?:cache_control|cachePoint|citations|file_type|file_url|reasoning_details)"')
"""As a key begins and ends. In a caller's text the quotes are escaped, so these bytes do not come up there."""

REASONING = re.compile(rb'"reasoning"')


SEALED_ID = re.compile(
    rb'("(?:id|tool_call_id|call_id)"\s*:\s*"[^"\\]{1,200}?)_ts_[A-Za-z0-9_-]{8,}"'
)
"""The id of a tool's call with a signature of Gemini's behind it."""


def bare_ids(raw: bytes) -> bytes:
    """``raw``, messages or items, with the ids of calls as they were before a signature was put behind them.

    It is the gateway that puts it there, for Gemini to have it back; OpenAI refuses ids of more than 40 characters in
    chat, and of more than 64 in Responses.
    """
    return SEALED_ID.sub(rb'\1"', raw) if b"_ts_" in raw else raw


def may_be_in(raw: bytes) -> bool:
    return SIGN.search(raw) is not None


def strip_messages(raw: bytes) -> tuple[bytes, list[str]]:
    """``raw``, the JSON of ``messages``, without extensions; and the names of those it had."""
    lost: list[str] = []
    return _each(raw, lambda message: _strip_message(message, lost)), lost


def strip_tools(raw: bytes) -> tuple[bytes, list[str]]:
    """As ``strip_messages``, for ``tools``."""
    lost: list[str] = []
    return _each(raw, lambda tool: _strip_marked(tool, lost)), lost


def strip_reasoning(raw: bytes) -> tuple[bytes, list[str]]:
    """``messages`` without the ``reasoning`` text of the assistant's."""
    lost: list[str] = []

    def strip(message: bytes) -> bytes:
        members = json.split_object(message)
        if members.get("role") == b'"assistant"':
            _take(members, ("reasoning",), lost)
        return json.join_object(members)

    return _each(raw, strip, REASONING), lost


def _each(
    raw: bytes, edit: Callable[[bytes], bytes | None], sign: re.Pattern[bytes] = SIGN
) -> bytes:
    """The array ``raw`` with ``edit`` done to the items that have a sign; one that becomes ``None`` is left out."""
    try:
        items = json.split_array(raw)
    except json.InvalidJSON:
        return raw
    edited: list[bytes] = []
    for item in items:
        if sign.search(item) is None:
            edited.append(item)
            continue
        try:
            stripped = edit(item)
        except json.InvalidJSON:
            stripped = item
        if stripped is not None:
            edited.append(stripped)
    return raw if edited == items else json.join_array(edited)


def _strip_message(message: bytes, lost: list[str]) -> bytes:
    members = json.split_object(message)
    _take(members, (*MARKERS, "reasoning_details"), lost)
    content = members.get("content", b"")
    if content.startswith(b"["):
        members["content"] = _each(content, lambda part: _strip_part(part, lost))
    return json.join_object(members)


def _strip_part(part: bytes, lost: list[str]) -> bytes | None:
    stripped = _strip_marked(part, lost)
    if stripped is None:
        return None
    members = json.split_object(stripped)
    if members.get("file", b"").startswith(b"{"):
        file = json.split_object(members["file"])
        _take(file, FILE_MEMBERS, lost)
        members["file"] = json.join_object(file)
    return json.join_object(members)


def _strip_marked(item: bytes, lost: list[str]) -> bytes | None:
    """``item`` without markers; ``None`` if it was nothing else, as Bedrock's cache points are."""
    members = json.split_object(item)
    taken = _take(members, MARKERS, lost)
    if not taken:
        return item
    return json.join_object(members) if members else None


def _take(members: dict[str, bytes], names: tuple[str, ...], lost: list[str]) -> bool:
    taken = False
    for name in names:
        value = members.pop(name, None)
        if value is None:
            continue
        taken = True
        if value != b"null" and name not in lost:
            lost.append(name)
    return taken
