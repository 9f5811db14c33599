"""The contents of a Gemini request as the messages of a chat.

Sources: Google, Gemini API reference, "Content", "Part", and "Thought signatures", 2026-11.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.dialects.fields import Losses
from bifrost.dialects.gemini_reading import (
    Object,
    base64_of,
    lose_unknown,
    message,
    one_or_many,
    required,
)
from bifrost.dialects.gemini_signatures import NONE_NEEDED, OF_CALL, OF_TEXT
from bifrost.dialects.gemini_thoughts import unwrapped
from bifrost.dialects.value_shape import choice, obj, text, written
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


__all__ = ["read_contents", "read_system", "words_of"]

ROLES = ("user", "model", "function", "tool")

KNOWN: frozenset[str] = frozenset(
    [
        "text",
        "thought",
        "thoughtSignature",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
    ]
)
"""What a part may say; other members are lost."""

CALL_NAMES = frozenset({"id", "name", "args"})
RESPONSE_NAMES = frozenset({"id", "name", "response", "parts"})
BLOB_NAMES = frozenset({"mimeType", "data", "displayName"})
FILE_NAMES = frozenset({"mimeType", "fileUri", "displayName"})

SOUNDS = {"mpeg": "mp3", "mpga": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
"""Kinds of sound as OpenAI calls them, where that is not what the media type says."""

_MEDIA_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,128}", re.ASCII)

GOOD = "OUTCOME_OK"


def read_contents(value: object, losses: Losses) -> list[Object]:
    """The messages that ``contents`` are; a run of the model's is one. Raises BadRequest with the place."""
    reading = _Reading(losses)
    for item, place in one_or_many(value, "contents"):
        reading.content(message(item, place), place)
    reading.flush()
    return reading.messages


def read_system(value: object) -> str:
    """The text of ``systemInstruction``, which has words only. Raises BadRequest."""
    if isinstance(value, str):
        return value
    return words_of(value, "systemInstruction")


def words_of(value: object, place: str) -> str:
    """The text of a content that may have nothing else: one part a line. Raises BadRequest."""
    source = message(value, place)
    texts: list[str] = []
    for item, where in one_or_many(source.get("parts"), f"{place}.parts"):
        part = message(item, where)
        said = text(part, "text", where)
        if said is None:
            raise BadRequest(f"{where} must be text", param=where)
        texts.append(said)
    return "\n".join(texts)


@attrs.define(eq=False)
class _Calls:
    """Ids of function calls, which callers of Gemini need not give.

    Those that are left out are numbered, so that the same conversation has the same ids again.
    """

    count: int = 0
    waiting: list[tuple[str, str]] = attrs.field(factory=list)
    """Id and name of each call that is not answered yet, oldest first."""
    known: set[str] = attrs.field(factory=set)

    def called(self, given: str | None, name: str) -> str:
        """The id of a call."""
        self.count += 1
        call_id = given or f"call_{self.count}"
        self.waiting.append((call_id, name))
        self.known.add(call_id)
        return call_id

    def answered(self, given: str | None, name: str, place: str) -> str:
        """The id of the call that an answer is to: by its own id, else the oldest of that name. Raises BadRequest."""
        found = next((each for each in self.waiting if each[0] == given), None)
        found = found or next((each for each in self.waiting if each[1] == name), None)
        if found is not None:
            self.waiting.remove(found)
            return found[0]
        if given in self.known:
            return str(given)
        raise BadRequest(f"{place} answers no functionCall before it", param=place)


@attrs.define(eq=False)
class _Turn:
    """What the model said in a run of contents."""

    parts: list[Object] = attrs.field(factory=list)
    calls: list[Object] = attrs.field(factory=list)
    details: list[Object] = attrs.field(factory=list)
    restored: list[Object] | None = None
    """Blocks of thinking that came back in a signature of ours: they say all that thought parts say."""

    def think(self, said: str, signature: str | None) -> None:
        """A thought. Pieces of one are put together until its signature comes."""
        last = self.details[-1] if self.details else {}
        if last.get("type") != "reasoning.text" or "signature" in last:
            last = {"type": "reasoning.text", "text": ""}
            self.details.append(last)
        last["text"] += said
        if signature:
            last["signature"] = signature

    def sign(self, signature: str, call_id: str = "") -> None:
        """Gemini's own signature of a text, or of the call ``call_id``."""
        if signature == NONE_NEEDED:
            return
        name = f"{OF_CALL}{call_id}" if call_id else OF_TEXT
        self.details.append({"type": "reasoning.encrypted", "id": name, "data": signature})

    def told(self) -> Object | None:
        """The message; ``None`` if nothing was said."""
        details = self.details if self.restored is None else self.restored
        if not (self.parts or self.calls or details):
            return None
        told: Object = {"role": "assistant", "content": _content(self.parts, joined=True)}
        if self.calls:
            told["tool_calls"] = self.calls
        if details:
            told["reasoning_details"] = [
                {"index": index, **detail} for index, detail in enumerate(details)
            ]
        return told


@attrs.define(eq=False)
class _Reading:
    losses: Losses
    messages: list[Object] = attrs.field(factory=list)
    calls: _Calls = attrs.field(factory=_Calls)
    turn: _Turn = attrs.field(factory=_Turn)

    def content(self, source: Object, place: str) -> None:
        role = choice({"role": "user", **source}, "role", ROLES, place)
        lose_unknown(source, ("role", "parts"), "contents", self.losses)
        parts = [
            (message(item, where), where)
            for item, where in one_or_many(source.get("parts"), f"{place}.parts")
        ]
        for part, _ in parts:
            lose_unknown(part, KNOWN, "contents.parts", self.losses)
        if role == "model":
            for part, where in parts:
                self.said_by_model(part, where)
            return
        self.flush()
        said = [told for part, where in parts for told in self.said_by_user(part, where)]
        if said:
            self.messages.append({"role": "user", "content": _content(said)})

    def flush(self) -> None:
        """The model's turn is over."""
        told = self.turn.told()
        if told is not None:
            self.messages.append(told)
        self.turn = _Turn()

    def said_by_user(self, part: Object, place: str) -> list[Object]:
        """What a part is in a user's message; an answer of a tool is a message of its own."""
        if "functionResponse" in part:
            self.messages.append(self.response(part["functionResponse"], place))
            return []
        return self.shown(part, place)

    def said_by_model(self, part: Object, place: str) -> None:
        signature = text(part, "thoughtSignature", place)
        restored = unwrapped(signature) if signature else None
        if restored is not None:
            self.turn.restored = [*(self.turn.restored or ()), *restored]
            signature = None
        if "functionCall" in part:
            call = self.call(part["functionCall"], f"{place}.functionCall")
            self.turn.calls.append(call)
            if signature:
                self.turn.sign(signature, call["id"])
        elif part.get("thought") is True:
            self.turn.think(text(part, "text", place) or "", signature)
        else:
            self.turn.parts += self.shown(part, place)
            if signature:
                self.turn.sign(signature)

    def call(self, value: object, place: str) -> Object:
        source = message(value, place)
        lose_unknown(source, CALL_NAMES, "contents.parts.functionCall", self.losses)
        name = required(source, "name", place)
        args = obj(source.get("args", {}), f"{place}.args")
        call_id = self.calls.called(text(source, "id", place), name)
        function = {"name": name, "arguments": written(args).decode()}
        return {"id": call_id, "type": "function", "function": function}

    def response(self, value: object, place: str) -> Object:
        """A tool's message: a lone ``content`` or else the JSON of the response, and what goes with it."""
        where = f"{place}.functionResponse"
        source = message(value, where)
        lose_unknown(source, RESPONSE_NAMES, "contents.parts.functionResponse", self.losses)
        name = required(source, "name", where)
        call_id = self.calls.answered(text(source, "id", where), name, where)
        answer = obj(source.get("response", {}), f"{where}.response")
        said = answer["content"] if [*answer] == ["content"] else None
        plain = said if isinstance(said, str) else written(answer).decode()
        shown = [
            told
            for item, inner in one_or_many(source.get("parts"), f"{where}.parts")
            for told in self.shown(message(item, inner), inner)
        ]
        content = [{"type": "text", "text": plain}, *shown] if shown else plain
        return {"role": "tool", "tool_call_id": call_id, "content": content}

    def shown(self, part: Object, place: str) -> list[Object]:
        """What a part of words, of bytes or of a file is in a message; none where it says nothing that a chat can."""
        kind = next((name for name in READERS if name in part), None)
        if kind is None:
            if not part:
                raise BadRequest(f"{place} is empty", param=place)
            return []
        told = READERS[kind](part, place, self.losses)
        return [] if told == {"type": "text", "text": ""} else [told]


def _content(parts: list[Object], *, joined: bool = False) -> object:
    """Words alone are a string: of one part, or of all of them where they were said by a model, piece by piece."""
    if all(part["type"] == "text" for part in parts) and (joined or len(parts) == 1):
        return "".join(part["text"] for part in parts) or None
    return parts


def _said(words: str) -> Object:
    return {"type": "text", "text": words}


def _text(part: Object, place: str, losses: Losses) -> Object:  # noqa: ARG001  a reader's
    return _said(text(part, "text", place) or "")


def _code(part: Object, place: str, losses: Losses) -> Object:  # noqa: ARG001  a reader's
    where = f"{place}.executableCode"
    source = message(part["executableCode"], where)
    language = (text(source, "language", where) or "").lower().removeprefix("language_unspecified")
    return _said(f"```{language}\n{text(source, 'code', where) or ''}\n```\n")


def _code_result(part: Object, place: str, losses: Losses) -> Object:  # noqa: ARG001  a reader's
    where = f"{place}.codeExecutionResult"
    source = message(part["codeExecutionResult"], where)
    output = text(source, "output", where) or ""
    return _said(output if source.get("outcome", GOOD) == GOOD else f"Error: {output}")


def _inline(part: Object, place: str, losses: Losses) -> Object:
    where = f"{place}.inlineData"
    source = message(part["inlineData"], where)
    lose_unknown(source, BLOB_NAMES, "contents.parts.inlineData", losses)
    media_type = _media_type(source, where)
    data = base64_of(source, "data", where)
    kind, _, subtype = media_type.partition("/")
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
    if kind == "audio":
        sound = {"data": data, "format": SOUNDS.get(subtype, subtype)}
        return {"type": "input_audio", "input_audio": sound}
    named = {"filename": text(source, "displayName", where) or f"file.{subtype}"}
    plain = _plain(data) if kind == "text" else None
    if plain is not None:
        return {"type": "file", "file": {"file_data": plain, "file_type": "text/plain", **named}}
    return {"type": "file", "file": {"file_data": f"data:{media_type};base64,{data}", **named}}


def _plain(data: str) -> str | None:
    """The text in ``data``; ``None`` if it is none, or would be taken for a data URI."""
    try:
        said = base64.b64decode(data).decode()
    except UnicodeDecodeError:
        return None
    return None if said[:5].lower() == "data:" else said


def _file(part: Object, place: str, losses: Losses) -> Object:
    where = f"{place}.fileData"
    source = message(part["fileData"], where)
    lose_unknown(source, FILE_NAMES, "contents.parts.fileData", losses)
    uri = required(source, "fileUri", where)
    media_type = _media_type(source, where) if "mimeType" in source else ""
    if media_type.startswith("image/") and uri.startswith(("http://", "https://", "gs://")):
        return {"type": "image_url", "image_url": {"url": uri}}
    named = {"filename": source.get("displayName"), "file_type": media_type or None}
    told = {name: value for name, value in named.items() if isinstance(value, str)}
    return {"type": "file", "file": {"file_url": uri, **told}}


def _media_type(source: Mapping[str, Any], place: str) -> str:
    """Without its parameters."""
    value = required(source, "mimeType", place).partition(";")[0].strip().lower()
    if _MEDIA_TYPE.fullmatch(value) is None:
        raise BadRequest(f"{place}.mimeType must be a media type", param=f"{place}.mimeType")
    return value


READERS: Mapping[str, Callable[[Object, str, Losses], Object]] = {
    "inlineData": _inline,
    "fileData": _file,
    "executableCode": _code,
    "codeExecutionResult": _code_result,
    "text": _text,
}
