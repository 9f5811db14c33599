"""The items of a Responses request as the messages of a chat request.

What chat has no word for is refused with its index, or, where the conversation makes sense without it, left out and
named. Sources: OpenAI API reference, "Responses" and "Chat completions", 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import attrs

from bifrost.codecs import json
from bifrost.dialects.bridge_shape import (
    NULL,
    array,
    given,
    members,
    refuse,
    required_text,
    text_or_none,
)
from bifrost.dialects.sealed_reasoning import unseal

__all__ = ["MARKERS", "encode_messages"]

ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}

MARKERS = ("cache_control", "cachePoint", "citations")
"""The gateway's extensions, which sit on a part in both APIs and are judged by ``openai_extensions``."""

QUIET = frozenset({"type", "id", "status"})
"""What is nothing to a model, so that losing it is no loss."""

EMPTY = frozenset({NULL, b"[]", b"{}", b'""'})

Lose = Callable[[str], None]


@attrs.frozen
class _Part:
    """A content part of chat. ``text`` is set if it is a text and nothing else."""

    raw: bytes
    text: bytes | None = None


@attrs.define(eq=False)
class _Turn:
    """What the assistant did in one go: chat has one message for what Responses has several items for."""

    parts: list[_Part] = attrs.field(factory=list)
    refusals: list[str] = attrs.field(factory=list)
    calls: list[bytes] = attrs.field(factory=list)
    thoughts: list[dict[str, Any]] = attrs.field(factory=list)

    def encode(self) -> bytes:
        message = {"role": b'"assistant"', "content": _content(self.parts) if self.parts else NULL}
        if self.refusals:
            message["refusal"] = json.dumps_str("\n".join(self.refusals))
        if self.calls:
            message["tool_calls"] = json.join_array(self.calls)
        if self.thoughts:
            numbered = [{"index": n, **thought} for n, thought in enumerate(self.thoughts)]
            message["reasoning_details"] = json.dumps(numbered)
        return json.join_object(message)


def encode_messages(
    input_: bytes, instructions: bytes | None, lose: Lose, *, keeps_reasoning: bool = False
) -> bytes:
    """The array of chat messages for the members ``input`` and ``instructions``, the latter first.

    ``lose`` is told what is left out: reasoning too, unless ``keeps_reasoning`` and it is sealed. Raises BadRequest naming
    the item, and InvalidJSON.
    """
    thread = _Thread(lose, keeps_reasoning)
    if instructions is not None:
        thread.add({"role": b'"system"', "content": instructions})
    if input_.startswith(b'"'):
        thread.add({"role": b'"user"', "content": input_})
    elif input_.startswith(b"["):
        for index, item in enumerate(json.split_array(input_)):
            thread.take(item, f"input[{index}]")
    else:
        refuse("input", "must be a string or an array")
    return thread.encode()


@attrs.define(eq=False)
class _Thread:
    """Messages being made of items."""

    lose: Lose
    keeps_reasoning: bool = False
    _messages: list[bytes] = attrs.field(factory=list, init=False)
    _turn: _Turn | None = attrs.field(default=None, init=False)
    _thoughts: list[dict[str, Any]] = attrs.field(factory=list, init=False)
    """Those whose turn is still to come."""

    def encode(self) -> bytes:
        self._end_turn()
        return json.join_array(self._messages)

    def add(self, message: Mapping[str, bytes]) -> None:
        self._end_turn()
        self._messages.append(json.join_object(message))

    def take(self, raw: bytes, place: str) -> None:
        item = members(raw, place)
        kind = _kind(item, place)
        if kind == "reasoning":
            # It ends no turn: it stands between the words and the calls of one.
            self._take_reasoning(item, place)
            return
        read = READERS.get(kind)
        if read is None:
            refuse(f"{place}.type", f"{kind[:100]!r} cannot be sent to a provider of chat")
        read(self, item, place)

    def _take_reasoning(self, item: dict[str, bytes], place: str) -> None:
        content = text_or_none(item, "encrypted_content", place)
        if not self.keeps_reasoning or not content:
            self.lose("input.reasoning")
            return
        where = f"{place}.summary"
        parts = array(item["summary"], where) if "summary" in item else []
        text = "".join(text_or_none(members(part, where), "text", where) or "" for part in parts)
        try:
            self._thoughts += unseal(content, text)
        except ValueError as error:
            refuse(f"{place}.encrypted_content", str(error))

    def _end_turn(self) -> None:
        """The thoughts that led to nothing are lost with it."""
        if self._thoughts:
            self._thoughts.clear()
            self.lose("input.reasoning")
        if self._turn is not None:
            self._messages.append(self._turn.encode())
            self._turn = None

    def _open_turn(self) -> _Turn:
        """The assistant's turn, begun if need be, with the thoughts that came since."""
        turn = self._turn = self._turn or _Turn()
        turn.thoughts += self._thoughts
        self._thoughts.clear()
        return turn

    def take_message(self, item: dict[str, bytes], place: str) -> None:
        role = _role(item, place)
        parts, refusals = self._read_content(given(item, "content", place), f"{place}.content")
        self._lose_rest(item, ("role", "content"), "input")
        if role != "assistant":
            if refusals:
                refuse(f"{place}.content", "has a refusal, which only the assistant's may have")
            self.add({"role": json.dumps(role), "content": _content(parts)})
            return
        # Words that come while calls wait for their outputs belong to the same message: chat wants the outputs next.
        if self._turn is not None and not self._turn.calls:
            thoughts, self._thoughts = self._thoughts, []
            self._end_turn()
            self._thoughts = thoughts
        turn = self._open_turn()
        turn.parts.extend(parts)
        turn.refusals.extend(refusals)

    def take_function_call(self, item: dict[str, bytes], place: str) -> None:
        function = {
            "name": required_text(item, "name", place),
            "arguments": required_text(item, "arguments", place),
        }
        self._add_call(item, place, "function", function)

    def take_custom_call(self, item: dict[str, bytes], place: str) -> None:
        custom = {
            "name": required_text(item, "name", place),
            "input": required_text(item, "input", place),
        }
        self._add_call(item, place, "custom", custom)

    def _add_call(
        self, item: dict[str, bytes], place: str, kind: str, what: dict[str, bytes]
    ) -> None:
        call = {
            "id": required_text(item, "call_id", place),
            "type": json.dumps(kind),
            kind: json.join_object(what),
        }
        self._lose_rest(item, ("call_id", *what), "input")
        self._open_turn().calls.append(json.join_object(call))

    def take_output(self, item: dict[str, bytes], place: str) -> None:
        call_id = required_text(item, "call_id", place)
        parts, refusals = self._read_content(given(item, "output", place), f"{place}.output")
        if refusals:
            refuse(f"{place}.output", "has a refusal, which only the assistant's may have")
        self._lose_rest(item, ("call_id", "output"), "input")
        self.add({"role": b'"tool"', "tool_call_id": call_id, "content": _content(parts)})

    def _read_content(self, raw: bytes, place: str) -> tuple[list[_Part], list[str]]:
        """Parts, and the refusals among them, of a string or an array of parts."""
        if raw.startswith(b'"'):
            return [_text_part(raw)], []
        if not raw.startswith(b"["):
            refuse(place, "must be a string or an array")
        parts: list[_Part] = []
        refusals: list[str] = []
        for index, raw_part in enumerate(json.split_array(raw)):
            where = f"{place}[{index}]"
            part = members(raw_part, where)
            kind = text_or_none(part, "type", where)
            if kind == "refusal":
                refusals.append(str(json.loads(required_text(part, "refusal", where))))
            else:
                parts.append(self._read_part(part, kind, where))
        return parts, refusals

    def _read_part(self, part: dict[str, bytes], kind: str | None, place: str) -> _Part:
        used: tuple[str, ...]
        match kind:
            case "input_text" | "output_text":
                made, used = _text_part(required_text(part, "text", place)), ("text", "logprobs")
            case "input_image":
                made, used = _image_part(part, place), ("image_url", "detail")
            case "input_file":
                made, used = _file_part(part), FILE_MEMBERS
            case "input_audio":
                raw = json.join_object(members(given(part, kind, place), f"{place}.{kind}"))
                made, used = _part(kind, kind, raw), (kind,)
            case None:
                refuse(f"{place}.type", "is required")
            case _:
                refuse(f"{place}.type", f"{kind[:100]!r} cannot be sent to a provider of chat")
        self._lose_rest(part, (*used, *MARKERS), "input.content")
        marks = {name: part[name] for name in MARKERS if name in part}
        if not marks:
            return made
        return _Part(json.join_object({**json.split_object(made.raw), **marks}))

    def _lose_rest(self, source: dict[str, bytes], used: Iterable[str], place: str) -> None:
        """Name what is left of ``source``."""
        for name, raw in source.items():
            if name not in QUIET and name not in used and raw not in EMPTY:
                self.lose(f"{place}.{name}")


READERS: Mapping[str, Callable[[_Thread, dict[str, bytes], str], None]] = {
    "message": _Thread.take_message,
    "function_call": _Thread.take_function_call,
    "function_call_output": _Thread.take_output,
    "custom_tool_call": _Thread.take_custom_call,
    "custom_tool_call_output": _Thread.take_output,
}

FILE_MEMBERS = ("file_data", "file_url", "file_id", "filename")


def _kind(item: dict[str, bytes], place: str) -> str:
    """The type of ``item``, which messages and references may leave out."""
    kind = text_or_none(item, "type", place)
    if kind is None:
        kind = "message" if "role" in item else "item_reference" if "id" in item else None
    if kind is None:
        refuse(f"{place}.type", "is required")
    if kind == "item_reference":
        _refuse_reference(place)
    return kind


def _refuse_reference(place: str) -> NoReturn:
    refuse(place, "refers to a stored item, and this provider stores none: send the item itself")


def _role(item: dict[str, bytes], place: str) -> str:
    role = text_or_none(item, "role", place)
    if role not in ROLES:
        refuse(f"{place}.role", f"must be one of {', '.join(ROLES)}")
    return ROLES[role]


def _content(parts: list[_Part]) -> bytes:
    """A string where there is one text and nothing else: not every provider of chat reads lists."""
    if len(parts) == 1 and parts[0].text is not None:
        return parts[0].text
    return json.join_array([part.raw for part in parts])


def _part(kind: str, name: str, raw: bytes) -> _Part:
    return _Part(json.join_object({"type": json.dumps(kind), name: raw}))


def _text_part(raw: bytes) -> _Part:
    return attrs.evolve(_part("text", "text", raw), text=raw)


def _image_part(part: dict[str, bytes], place: str) -> _Part:
    if "image_url" not in part and "file_id" in part:
        refuse(f"{place}.file_id", "cannot be sent to a provider of chat: give an image_url")
    image = {"url": required_text(part, "image_url", place)}
    if "detail" in part:
        image["detail"] = part["detail"]
    return _part("image_url", "image_url", json.join_object(image))


def _file_part(part: dict[str, bytes]) -> _Part:
    file = {name: part[name] for name in FILE_MEMBERS if name in part}
    return _part("file", "file", json.join_object(file))
