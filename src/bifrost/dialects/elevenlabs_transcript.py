"""Transcripts of ElevenLabs: asked for in OpenAI's words, and answered in them.

Source: ElevenLabs API reference, "Create transcript", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.codecs.multipart import InvalidForm, encode_form, form_content_type
from bifrost.dialects.hub import Answer
from bifrost.dialects.openai_answer import checked
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.openai_errors import Told, read_error, told_error
from bifrost.dialects.scrub import scrubber
from bifrost.errors import BadRequest, UpstreamError
from bifrost.schema.payload import Field, File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.schema.call import Call

__all__ = ["encode_transcript", "read_transcript"]

RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "language": "language_code",
        "timestamp_granularities": "timestamps_granularity",
        "timestamp_granularities[]": "timestamps_granularity",
    }
)

LOST = frozenset({"prompt", "include", "include[]", "chunking_strategy", "user"})
"""OpenAI's fields that ElevenLabs has no word for."""

OURS = frozenset({"model", "stream", "response_format"})

JSON_FORMATS = frozenset({b"", b"json", b"verbose_json", b"diarized_json"})
"""Formats of an answer that can be made of ElevenLabs'."""

GRANULARITIES = frozenset({b"word", b"character", b"none"})


def encode_transcript(call: Call, model: str, provider: str) -> Encoded:
    """The form, with fields of ElevenLabs' own as they came. Raises BadRequest for an answer that it cannot give."""
    form = call.form or ()
    lost: dict[str, None] = {}
    parts = [Field("model_id", model.encode("utf-8", "replace")), *_parts(form, lost)]
    refuse_loss([*lost], call, provider)
    try:
        body = encode_form(tuple(parts), call.boundary)
    except InvalidForm as error:
        raise BadRequest("failed to parse request", cause=str(error)) from error
    kind = form_content_type(call.boundary)
    return Encoded(b"", tuple(lost), content_type=kind, payload=body)


def _parts(form: tuple[Field | File, ...], lost: dict[str, None]) -> Iterator[Field | File]:
    for part in form:
        if isinstance(part, Field) and part.name == "response_format":
            _check_format(part.value)
        if part.name in LOST:
            lost[part.name] = None
        elif isinstance(part, File):
            yield part
        elif part.name not in OURS:
            yield from _renamed(part, lost)


def _check_format(value: bytes) -> None:
    if value.strip() not in JSON_FORMATS:
        raise BadRequest("response_format must be json or verbose_json", param="response_format")


def _renamed(part: Field, lost: dict[str, None]) -> Iterator[Field]:
    name = RENAMED.get(part.name, part.name)
    if name == "timestamps_granularity" and part.value not in GRANULARITIES:
        lost[part.name] = None
        return
    yield Field(name, part.value)


def read_transcript(body: bytes, facts: AnswerFacts) -> Answer:
    """What was said, in which language, and each word with its time. Raises UpstreamError."""
    value = checked(body, json.loads)
    if not isinstance(value, dict):
        raise UpstreamError("failed to unmarshal response from provider API")
    if not isinstance(value.get("text"), str):
        told = read_error(value) or Told(message="the answer has no text")
        return Answer(value=value, body=body, error=told_error(told, None, scrubber(facts.key)))
    items = value.get("words")
    found = items if isinstance(items, list) else []
    words = [_word(item) for item in found if isinstance(item, dict) and item.get("type") == "word"]
    told_: dict[str, Any] = {"text": value["text"]}
    if isinstance(value.get("language_code"), str):
        told_["language"] = value["language_code"]
    if words:
        told_ |= {"duration": words[-1]["end"], "words": words}
    return Answer(value=told_, body=body)


def _word(item: dict[str, Any]) -> dict[str, Any]:
    word = {"word": item.get("text"), "start": item.get("start"), "end": item.get("end")}
    speaker = item.get("speaker_id")
    return word if speaker is None else {**word, "speaker": speaker}
