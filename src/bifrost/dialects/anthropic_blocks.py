"""The content blocks of Anthropic's Messages, one by one, as what OpenAI's chat API makes of a message.

Values stay the bytes that came. A block that chat has no word for is left out and named: the tools that Anthropic runs itself,
and whatever is newer than this. Source: Anthropic API reference, "Messages", 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from bifrost.codecs import json
from bifrost.dialects.bridge_shape import array, given, members, refuse, required_text
from bifrost.dialects.bridge_shape import text_or_none as text

__all__ = ["MARK", "Lose", "Part", "Turn", "content_of", "read_turn"]

MARK = "cache_control"

Lose = Callable[[str], None]
"""Is told the name of what is left out."""

EMPTY = frozenset({b"[]", b"{}", b'""'})

DIRECT = b'{"type":"direct"}'
"""The caller of a tool that the model calls itself, as all others' models do."""

SILENT = EMPTY | {b"false", DIRECT}
"""Values that ask for nothing."""

KNOWN: Mapping[str, frozenset[str]] = {
    "text": frozenset({"text", MARK}),
    "image": frozenset({"source", MARK}),
    "document": frozenset({"source", "title", "citations", MARK}),
    "search_result": frozenset({"title", "source", "content"}),
    "thinking": frozenset({"thinking", "signature"}),
    "redacted_thinking": frozenset({"data"}),
    "tool_use": frozenset({"id", "name", "input"}),
    "tool_result": frozenset({"tool_use_id", "content", MARK}),
}
"""Members of each block, besides its type, that chat has a word for."""


@attrs.frozen
class Part:
    """A content part of chat. ``text`` is set if it is a text and nothing else."""

    raw: bytes
    text: bytes | None = None


@attrs.define(eq=False)
class Turn:
    """What one message says, sorted by where chat has it. ``results`` are whole messages of role ``tool``."""

    parts: list[Part] = attrs.field(factory=list)
    calls: list[bytes] = attrs.field(factory=list)
    details: list[bytes] = attrs.field(factory=list)
    results: list[bytes] = attrs.field(factory=list)


def read_turn(content: bytes, place: str, lose: Lose) -> Turn:
    """The turn that ``content``, a string or a list of blocks, is. Raises BadRequest with the place."""
    turn = Turn()
    if content.startswith(b'"'):
        if content not in EMPTY:
            turn.parts.append(_text(content))
        return turn
    if not content.startswith(b"["):
        refuse(place, "must be a string or an array")
    for index, raw in enumerate(array(content, place)):
        where = f"{place}[{index}]"
        block = members(raw, where)
        kind = text(block, "type", where)
        if kind is None:
            refuse(f"{where}.type", "is required")
        if kind in TAKERS:
            _name_unknown(kind, block, lose)
            TAKERS[kind](turn, block, where, lose)
        else:
            turn.parts += _parts(kind, block, where, lose, "messages.content")
    return turn


def content_of(parts: list[Part]) -> bytes:
    """``parts`` as a message's content: a lone text is a string."""
    if len(parts) == 1 and parts[0].text is not None:
        return parts[0].text
    return json.join_array([part.raw for part in parts])


def _parts(kind: str, block: dict[str, bytes], place: str, lose: Lose, within: str) -> list[Part]:
    """The parts that a block becomes; none, and named by where it stands, if chat knows nothing like it."""
    reader = READERS.get(kind)
    if reader is None:
        lose(f"{within}.{kind}")
        return []
    _name_unknown(kind, block, lose)
    return reader(block, place, lose)


def _name_unknown(kind: str, block: dict[str, bytes], lose: Lose) -> None:
    for name, value in block.items():
        if name != "type" and name not in KNOWN[kind] and value.replace(b" ", b"") not in SILENT:
            lose(f"messages.content.{kind}.{name}")


def _text(raw: bytes, marks: bytes | None = None) -> Part:
    told = {"type": b'"text"', "text": raw}
    return Part(json.join_object(told), raw) if marks is None else _marked(told, marks)


def _marked(told: Mapping[str, bytes], marks: bytes | None) -> Part:
    return Part(json.join_object(told if marks is None else {**told, MARK: marks}))


# What becomes of the blocks that are parts in chat too.


def _words(block: dict[str, bytes], place: str, lose: Lose) -> list[Part]:  # noqa: ARG001  one signature
    raw = required_text(block, "text", place)
    return [] if raw in EMPTY else [_text(raw, block.get(MARK))]


def _image(block: dict[str, bytes], place: str, lose: Lose) -> list[Part]:
    where = f"{place}.source"
    source = members(given(block, "source", place), where)
    match text(source, "type", where):
        case "base64":
            url = _data_uri(source, where, b"image/png")
        case "url":
            url = required_text(source, "url", where)
        case "file":
            told = json.join_object({"file_id": required_text(source, "file_id", where)})
            return [_marked({"type": b'"file"', "file": told}, block.get(MARK))]
        case other:
            lose(f"messages.content.image.{other}")
            return []
    told = json.join_object({"url": url})
    return [_marked({"type": b'"image_url"', "image_url": told}, block.get(MARK))]


def _document(block: dict[str, bytes], place: str, lose: Lose) -> list[Part]:
    where = f"{place}.source"
    source = members(given(block, "source", place), where)
    file: dict[str, bytes] = {}
    match text(source, "type", where):
        case "base64":
            file["file_data"] = _data_uri(source, where, b"application/pdf")
        case "text":
            file |= {
                "file_data": required_text(source, "data", where),
                "file_type": b'"text/plain"',
            }
        case "url":
            file["file_url"] = required_text(source, "url", where)
        case "file":
            file["file_id"] = required_text(source, "file_id", where)
        case "content":
            return _inner(given(source, "content", where), f"{where}.content", lose, "document")
        case other:
            lose(f"messages.content.document.{other}")
            return []
    if "title" in block:
        file["filename"] = required_text(block, "title", place)
    told = {"type": b'"file"', "file": json.join_object(file)}
    if "citations" in block:
        told["citations"] = block["citations"]
    return [_marked(told, block.get(MARK))]


def _search_result(block: dict[str, bytes], place: str, lose: Lose) -> list[Part]:
    """What a search of the caller's own found, with its heading as a text of its own."""
    heads = [text(block, name, place) for name in ("title", "source")]
    heading = "\n".join(head for head in heads if head)
    found = _inner(given(block, "content", place), f"{place}.content", lose, "search_result")
    return [_text(json.dumps(heading)), *found] if heading else found


def _data_uri(source: dict[str, bytes], place: str, spare: bytes) -> bytes:
    """A JSON string, put together from JSON strings without a look into them."""
    kind = required_text(source, "media_type", place) if "media_type" in source else b'"%b"' % spare
    return b'"data:%b;base64,%b' % (kind[1:-1], required_text(source, "data", place)[1:])


def _inner(content: bytes, place: str, lose: Lose, within: str) -> list[Part]:
    """Blocks within a block, of which only those are known that are parts."""
    if content.startswith(b'"'):
        return [] if content in EMPTY else [_text(content)]
    found: list[Part] = []
    for index, raw in enumerate(array(content, place)):
        where = f"{place}[{index}]"
        block = members(raw, where)
        kind = text(block, "type", where) or "untyped"
        found += _parts(kind, block, where, lose, f"messages.content.{within}")
    return found


READERS: Mapping[str, Callable[[dict[str, bytes], str, Lose], list[Part]]] = {
    "text": _words,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
}
"""Blocks that are parts."""


# What becomes of those that have a place of their own in chat.


def _thinking(turn: Turn, block: dict[str, bytes], place: str, lose: Lose) -> None:  # noqa: ARG001  one signature
    detail = {"type": b'"reasoning.text"', "text": required_text(block, "thinking", place)}
    if block.get("signature", b'""') != b'""':
        detail["signature"] = required_text(block, "signature", place)
    _think(turn, detail)


def _redacted(turn: Turn, block: dict[str, bytes], place: str, lose: Lose) -> None:  # noqa: ARG001  one signature
    _think(turn, {"type": b'"reasoning.encrypted"', "data": required_text(block, "data", place)})


def _think(turn: Turn, detail: dict[str, bytes]) -> None:
    turn.details.append(json.join_object({"index": b"%d" % len(turn.details), **detail}))


def _tool_use(turn: Turn, block: dict[str, bytes], place: str, lose: Lose) -> None:  # noqa: ARG001  one signature
    arguments = block.get("input", b"{}")
    if not arguments.startswith(b"{"):
        refuse(f"{place}.input", "must be an object")
    function = {
        "name": required_text(block, "name", place),
        "arguments": json.dumps_str(arguments.decode()),
    }
    call = {
        "id": required_text(block, "id", place),
        "type": b'"function"',
        "function": json.join_object(function),
    }
    turn.calls.append(json.join_object(call))


def _tool_result(turn: Turn, block: dict[str, bytes], place: str, lose: Lose) -> None:
    answers = required_text(block, "tool_use_id", place)
    parts = _inner(block.get("content", b'""'), f"{place}.content", lose, "tool_result")
    if MARK in block and parts:
        # Chat marks parts only; up to the last of them is up to here.
        last = {**members(parts[-1].raw, place), MARK: block[MARK]}
        parts[-1] = Part(json.join_object(last))
    content = content_of(parts) if parts else b'""'
    result = {"role": b'"tool"', "tool_call_id": answers, "content": content}
    turn.results.append(json.join_object(result))


TAKERS: Mapping[str, Callable[[Turn, dict[str, bytes], str, Lose], None]] = {
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
"""Blocks that are not."""
