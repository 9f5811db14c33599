"""Messages in Gemini's dialect: turns in the order that it insists on.

Source: Gemini API reference, "Content"; Google, "Function calling" and "Thought signatures", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import attrs

from bifrost.codecs import json
from bifrost.dialects.fields import Losses
from bifrost.dialects.gemini_signatures import NONE_NEEDED, bare_id, signature_of
from bifrost.dialects.gemini_thinking import generation_of
from bifrost.errors import BadRequest
from bifrost.schema.chat import Audio, CachePoint, Document, Image, Part, Refusal, Text, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bifrost.schema.chat import Message

__all__ = ["IMAGE_TYPES", "Contents", "inline_part", "part_at", "uploaded_part"]

Object = dict[str, Any]

SIGNS = 3
"""The generation from which calls without a signature are refused."""

SEES_RESULTS = 3
"""The generation from which the result of a function may hold pictures."""

IMAGE_TYPES: Mapping[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
}

FILE_TYPES: Mapping[str, str] = {
    **IMAGE_TYPES,
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "xml": "text/xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}

FILES = "https://generativelanguage.googleapis.com/v1beta/"
"""What files uploaded to Gemini are called below."""


@attrs.define(eq=False)
class Contents:
    """The turns of a conversation with ``model``, being said. ``losses`` hears what has no place in them."""

    model: str
    losses: Losses
    said: list[Object] = attrs.field(factory=list, init=False)
    system: Object | None = attrs.field(default=None, init=False)
    _open: dict[str, ToolCall] = attrs.field(factory=dict, init=False)
    """Calls of the last turn that still want their results, by bare id."""
    _open_place: str = attrs.field(default="", init=False)

    def put(self, messages: Sequence[Message]) -> None:
        """Say ``messages``. Raises BadRequest where calls and results do not go together, or nothing is said."""
        self._put_system(message for message in messages if message.role == "system")
        for message in messages:
            match message.role:
                case "system":
                    pass
                case "user":
                    self._closed()
                    self._turn("user", self._parts(message))
                case "assistant":
                    self._closed()
                    self._put_assistant(message)
                case "tool":
                    self._put_result(message)
                case _:
                    assert_never(message.role)
        self._closed()
        if not self.said and self.system is not None:
            # Gemini wants somebody to have spoken.
            self.said, self.system = [{"role": "user", **self.system}], None
        if not self.said:
            raise BadRequest("messages must say something", param="messages")

    def _put_system(self, messages: Iterable[Message]) -> None:
        parts = [part for message in messages for part in self._parts(message)]
        words = [part for part in parts if "text" in part]
        if len(words) < len(parts):
            self.losses.lose("messages.content")
        if words:
            self.system = {"parts": words}

    def _turn(self, role: str, parts: list[Object]) -> None:
        if parts:
            self.said.append({"role": role, "parts": parts})

    def _closed(self) -> None:
        """A new turn begins: all calls have their results, or the conversation makes no sense to Gemini."""
        if self._open:
            call = next(iter(self._open.values()))
            raise BadRequest(
                f"{self._open_place}: the call {call.id!r} of {call.name!r} is not followed by a tool message with its result",
                param=self._open_place,
            )

    def _put_assistant(self, message: Message) -> None:
        parts = self._parts(message)
        signature = signature_of(message)
        if signature is not None:
            worded = next((part for part in reversed(parts) if "text" in part), None)
            if worded is None:
                worded = {"text": ""}
                parts.append(worded)
            worded["thoughtSignature"] = signature
        calls = [self._call(message, call, index) for index, call in enumerate(message.tool_calls)]
        if calls and not self.said:
            raise BadRequest(
                f"{message.place}: a conversation with Gemini cannot begin with a call of a tool",
                param=message.place,
            )
        self._open_place = message.place
        last = self.said[-1] if self.said else None
        if last is not None and last["role"] == "model":
            # Two turns of the model, one after the other, are one: a call has to follow upon a user's.
            last["parts"] += parts + calls
        else:
            self._turn("model", parts + calls)

    def _call(self, message: Message, call: ToolCall, index: int) -> Object:
        bare = bare_id(call.id) or call.name
        if bare in self._open:
            raise BadRequest(
                f"{message.place}.tool_calls: two calls have the id {call.id!r}",
                param=message.place,
            )
        self._open[bare] = call
        part: Object = {
            "functionCall": {"id": bare, "name": call.name, "args": self._arguments(call)}
        }
        signature = signature_of(message, call.id or call.name)
        generation = generation_of(self.model)
        if signature is None and index == 0 and (generation is None or generation >= SIGNS):
            signature = NONE_NEEDED
        if signature is not None:
            part["thoughtSignature"] = signature
        return part

    def _arguments(self, call: ToolCall) -> object:
        """The arguments as they came, key for key."""
        if call.is_custom:
            return {"input": call.arguments}
        # Nothing, or an object: whoever read the request has seen to that.
        arguments = call.arguments.strip() or "{}"
        return json.verbatim(arguments.encode("utf-8", "replace"))

    def _put_result(self, message: Message) -> None:
        bare = bare_id(message.tool_call_id or "")
        call = self._open.pop(bare, None)
        if call is None:
            raise BadRequest(
                f"{message.place}: no call of the assistant message before it has the id {message.tool_call_id!r}",
                param=f"{message.place}.tool_call_id",
            )
        told: Object = {"id": bare, "name": call.name, "response": _response(message.text)}
        seen = [part for part in self._parts(message) if "text" not in part]
        if seen and (generation_of(self.model) or 0) >= SEES_RESULTS:
            told["parts"] = seen
        elif seen:
            self.losses.lose("messages.content")
        part = {"functionResponse": told}
        if "functionResponse" in self.said[-1]["parts"][0]:
            self.said[-1]["parts"].append(part)
        else:
            self._turn("user", [part])

    def _parts(self, message: Message) -> list[Object]:
        if message.name is not None and message.role != "tool":
            self.losses.lose("messages.name")
        return [said for part in message.parts if (said := self._part(part)) is not None]

    def _part(self, part: Part) -> Object | None:
        if getattr(part, "cache_control", None) is not None:
            self.losses.lose("messages.content.cache_control")
        match part:
            case Text(text=text) | Refusal(text=text):
                return {"text": text}
            case Image():
                return self._image(part)
            case Audio(data=data, format=kind):
                return inline_part(f"audio/{kind or 'mpeg'}", data)
            case Document():
                return self._document(part)
            case CachePoint():
                self.losses.lose("messages.content.cachePoint")
                return None
            case _:
                assert_never(part)

    def _image(self, image: Image) -> Object:
        if image.detail not in {None, "auto"}:
            self.losses.lose("messages.content.image_url.detail")
        if image.inline is not None:
            return inline_part(image.inline.media_type or "image/jpeg", image.inline.data)
        return part_at(image.url, IMAGE_TYPES, "image/jpeg")

    def _document(self, document: Document) -> Object:
        if document.citations is not None:
            self.losses.lose("messages.content.citations")
        if document.text is not None:
            return {"text": document.text}
        if document.inline is not None:
            return inline_part(
                document.inline.media_type or "application/pdf", document.inline.data
            )
        if document.url:
            return part_at(document.url, FILE_TYPES, "application/pdf")
        return uploaded_part(document.file_id or "")


def inline_part(media_type: str, data: str) -> Object:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def part_at(url: str, types: Mapping[str, str], default: str) -> Object:
    path = url.partition("?")[0].partition("#")[0]
    kind = types.get(path.rpartition(".")[2].lower(), default)
    return {"fileData": {"mimeType": kind, "fileUri": url}}


def uploaded_part(file_id: str) -> Object:
    """A file that Gemini has already, by its name or its address."""
    if file_id.startswith("files/"):
        return {"fileData": {"fileUri": FILES + file_id}}
    if file_id.startswith(("https://", "gs://")):
        return {"fileData": {"fileUri": file_id}}
    raise BadRequest(
        "file_id must be a file of Gemini's: files/…, or its address", param="file.file_id"
    )


def _object_or_none(text: str) -> Object | None:
    try:
        value = json.loads(text)
    except json.InvalidJSON:
        return None
    return value if isinstance(value, dict) else None


def _response(text: str) -> Object:
    """A tool's result: an object as it is, anything else as the content of one."""
    if not text:
        return {}
    value = _object_or_none(text)
    return {"content": text} if value is None else value
