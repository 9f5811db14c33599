"""Sound to be written down by Gemini: a form of OpenAI's becomes a prompt with the sound in it, its answer a transcript.

Sources: Gemini API reference, "Audio understanding", 2026-11; OpenAI API reference, "Create transcription", 2026-11.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.codecs.inlined import inlined
from bifrost.dialects.base import PlainAnswer, Reading
from bifrost.dialects.fields import Fate, Losses, dropped, mapped
from bifrost.dialects.gemini_answer import blocked, read_object
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_events import GeminiEvents, counts_of, first_parts
from bifrost.dialects.gemini_parts import finish_of, listed, mapping, usage_of
from bifrost.dialects.hub import Answer
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.tellings import told as told_plain
from bifrost.errors import BadRequest, ErrorClass, UpstreamError
from bifrost.schema.payload import Field, File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.fields import Fields
    from bifrost.errors import GatewayError
    from bifrost.schema.call import Call

__all__ = ["FIELDS", "TranscriptEvents", "encode_transcript", "kind_of", "read_transcript"]

Object = dict[str, Any]

FIELDS: Fields = MappingProxyType(
    {
        "file": mapped("contents", "in base64"),
        "prompt": mapped("contents", "beside the gateway's own words, which ask for a transcript"),
        "language": mapped("contents", "the same"),
        "temperature": mapped("generationConfig.temperature"),
        "response_format": mapped("", "`json` or `text`; others are refused"),
        "chunking_strategy": dropped(),
        "include": dropped(),
        "known_speaker_names": dropped(),
        "known_speaker_references": dropped(),
        "timestamp_granularities": dropped(),
        "user": dropped(),
    }
)

OURS = frozenset({"model", "stream", "provider"})

ASKED = "Write down what is said in this recording, word for word, and nothing else."

KINDS: Mapping[bytes, str] = MappingProxyType(
    {
        b"mp3": "audio/mp3",
        b"mpeg": "audio/mp3",
        b"mpga": "audio/mp3",
        b"wav": "audio/wav",
        b"m4a": "audio/mp4",
        b"mp4": "audio/mp4",
        b"webm": "audio/webm",
        b"ogg": "audio/ogg",
        b"oga": "audio/ogg",
        b"opus": "audio/ogg",
        b"flac": "audio/flac",
        b"aac": "audio/aac",
        b"aif": "audio/aiff",
        b"aiff": "audio/aiff",
    }
)
"""By how a file's name ends: what a form says of sound is often wrong, or nothing."""

RENAMED: Mapping[str, str] = MappingProxyType(
    {"audio/mpeg": "audio/mp3", "audio/x-wav": "audio/wav", "audio/wave": "audio/wav"}
)
"""Google's own names."""

MAX_TEXT = 32 * 1024 * 1024
"""Characters of a streamed transcript."""

DEFAULT_KIND = "audio/mp3"

_KIND = re.compile(r"(?:audio|video)/[A-Za-z0-9.+-]{1,64}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}|[A-Za-z ]{1,40}")


def encode_transcript(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  the path has the model
    """The request; the file is encoded while it is sent. Raises BadRequest for an answer that there cannot be."""
    form = call.form or ()
    file = next((part for part in form if isinstance(part, File) and part.name == "file"), None)
    if file is None:
        raise BadRequest("file is required", param="file")
    fields = {part.name.removesuffix("[]"): part for part in form if isinstance(part, Field)}
    lost = [*_lost(fields), *call.lost]
    refuse_loss(lost, call, provider)
    mark = call.boundary.decode("latin-1")
    sound = {"inlineData": {"mimeType": kind_of(file), "data": mark}}
    parts = [{"text": _asked(fields)}, sound]
    body: Object = {"contents": [{"role": "user", "parts": parts}]}
    temperature = _temperature(fields)
    if temperature is not None:
        body["generationConfig"] = {"temperature": temperature}
    return Encoded(
        b"",
        tuple(dict.fromkeys(lost)),
        payload=inlined(json.dumps(body), {call.boundary: file.content}),
        reading=Reading(plain=_as_text) if _format(fields) == "text" else None,
    )


def _lost(fields: Mapping[str, Field]) -> list[str]:
    losses = Losses()
    for name in fields:
        known = FIELDS.get(name)
        if name not in OURS and (known is None or known.fate is Fate.DROPPED):
            losses.lose(name)
    return losses.names


def kind_of(file: File) -> str:
    """What ``file`` is, in Google's words: by what is said of it if that is sound, else by its name."""
    said = (file.content_type or b"").partition(b";")[0].strip().decode("latin-1").lower()
    if _KIND.fullmatch(said):
        return RENAMED.get(said, said)
    return KINDS.get((file.filename or b"").rpartition(b".")[2].lower(), DEFAULT_KIND)


def _text(fields: Mapping[str, Field], name: str) -> str:
    found = fields.get(name)
    return "" if found is None else found.value.decode("utf-8", "replace").strip()


def _asked(fields: Mapping[str, Field]) -> str:
    language, prompt = _text(fields, "language"), _text(fields, "prompt")
    if language and _LANGUAGE.fullmatch(language) is None:
        raise BadRequest("language must be a code such as en", param="language")
    told = [ASKED, f"The language is {language}." if language else "", prompt]
    return "\n".join(filter(None, told))


def _temperature(fields: Mapping[str, Field]) -> float | None:
    said = _text(fields, "temperature")
    if not said:
        return None
    try:
        value = float(said)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 2:
        raise BadRequest("temperature must be a number from 0 to 2", param="temperature")
    return value


def _format(fields: Mapping[str, Field]) -> str:
    asked = _text(fields, "response_format") or "json"
    if asked not in {"json", "text"}:
        raise BadRequest("response_format must be json or text for Gemini", param="response_format")
    return asked


def read_transcript(body: bytes, facts: AnswerFacts) -> Answer:
    """What was said. Raises UpstreamError if ``body`` is none of Gemini's answers."""
    told = read_object(body)
    error = refusal_in(told, facts)
    if error is not None:
        return Answer(value={}, body=body, error=error)
    text = "".join(_words(told))
    held = None if text else _held(told)
    if held is not None:
        return Answer(value={}, body=body, error=held)
    usage = _usage(usage_of(mapping(told.get("usageMetadata"))))
    return Answer(value={"text": text, **({"usage": usage} if usage else {})}, body=body)


def _as_text(body: bytes, facts: AnswerFacts) -> PlainAnswer:
    """The transcript alone, as OpenAI tells it where the format is ``text``."""
    answer = read_transcript(body, facts)
    if answer.error is not None:
        return told_plain(answer, facts)
    content = f"{answer.value['text']}\n".encode("utf-8", "replace")
    kind = b"text/plain; charset=utf-8"
    return PlainAnswer(body=content, usage=answer.usage, content_type=kind)


def _words(told: Object) -> Iterator[str]:
    for part in first_parts(told):
        text = part.get("text")
        if isinstance(text, str) and text:
            yield text


def _held(told: Object) -> GatewayError | None:
    """Why nothing was written down, if it was held back: a recording of silence has no words, and is no failure."""
    ends = [item.get("finishReason") for item in listed(told.get("candidates"))]
    why = next((end for end in ends if isinstance(end, str)), "")
    if blocked(told) or finish_of(why) == "content_filter":
        return UpstreamError(
            f"the transcript was held back: {why[:64] or 'the recording was refused'}",
            status=400,
            error_class=ErrorClass.CLIENT,
        )
    return None if why else UpstreamError("the answer has no text")


def _usage(usage: Object) -> Object:
    if not usage:
        return {}
    given = usage.get("prompt_tokens_details", {})
    details = {name: given[name] for name in ("text_tokens", "audio_tokens") if name in given}
    told = {"type": "tokens", **counts_of(usage)}
    return {**told, "input_token_details": details} if details else told


@attrs.define(eq=False)
class TranscriptEvents(GeminiEvents):
    """A streamed answer as OpenAI's events of a transcript."""

    _said: list[str] = attrs.field(factory=list, init=False)
    """All of it, for the last event has it once more."""
    _room: int = attrs.field(default=MAX_TEXT, init=False)

    def _pieces(self, told: Object) -> Iterator[Object]:
        for text in _words(told):
            self._said.append(text)
            self._room -= len(text)
            if self._room < 0:
                raise UpstreamError("Error reading stream: the transcript is too long")
            yield {"type": "transcript.text.delta", "delta": text}

    def _last(self) -> Object:
        usage = _usage(self._counts)
        told = {"type": "transcript.text.done", "text": "".join(self._said)}
        return {**told, "usage": usage} if usage else told

    def _nothing(self, told: Object) -> GatewayError | None:
        return _held(told)
