"""Transcripts by Hugging Face's router: asked for in OpenAI's words, and answered in them.

Sources: Hugging Face, "Automatic speech recognition"; fal.ai, "Whisper", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.hub import Answer
from bifrost.dialects.huggingface_names import HF, asked_of
from bifrost.dialects.openai_answer import checked
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.openai_errors import Told, read_error, told_error
from bifrost.dialects.picture_edit import data_uri, with_files
from bifrost.dialects.scrub import scrubber
from bifrost.errors import BadRequest, UpstreamError
from bifrost.schema.payload import Field, File

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.schema.call import Call

__all__ = ["encode_transcript", "read_transcript"]

Object = dict[str, Any]

OURS = frozenset({"model", "stream", "response_format"})

GRANULARITIES = frozenset({"timestamp_granularities", "timestamp_granularities[]"})

JSON_FORMATS = frozenset({"", "json", "verbose_json"})

UNNAMED = "audio/mpeg"
"""What a file is taken for that does not say what it is."""


def encode_transcript(call: Call, model: str, provider: str) -> Encoded:
    """The sound as it is, or in JSON where something is asked besides. Raises BadRequest."""
    form = call.form or ()
    fields = {
        part.name: part.value.decode("utf-8", "replace") for part in form if isinstance(part, Field)
    }
    sound = next((part for part in form if isinstance(part, File) and part.name == "file"), None)
    if sound is None:
        raise BadRequest("file is required", param="file")
    if fields.get("response_format", "").strip() not in JSON_FORMATS:
        raise BadRequest("response_format must be json or verbose_json", param="response_format")
    by, _ = asked_of(model)
    known = OURS | GRANULARITIES | (frozenset() if by == HF else frozenset({"language"}))
    lost = tuple(name for name in fields if name not in known)
    refuse_loss(lost, call, provider)
    mark = b"%b.0." % call.boundary
    if by != HF:
        body = _fals(fields) | {"audio_url": data_uri(sound, mark, UNNAMED)}
        return with_files(Encoded(json.dumps(body), lost), {mark: sound.content})
    stamps = _stamps(fields)
    if stamps is None:
        kind = sound.content_type or UNNAMED.encode()
        return Encoded(b"", lost, content_type=kind, payload=sound.content)
    body = {"inputs": mark.decode("latin-1"), "parameters": {"return_timestamps": stamps}}
    return with_files(Encoded(json.dumps(body), lost), {mark: sound.content})


def _stamps(fields: dict[str, str]) -> object:
    """How finely the text is to be told in pieces: by words, by segments (``True``), not at all."""
    if any(fields.get(name) == "word" for name in GRANULARITIES):
        return "word"
    is_asked = any(name in fields for name in GRANULARITIES)
    return True if is_asked or fields.get("response_format", "").strip() == "verbose_json" else None


def _fals(fields: dict[str, str]) -> Object:
    body: Object = {"task": "transcribe"}
    if "language" in fields:
        body["language"] = fields["language"]
    stamps = _stamps(fields)
    return (
        body
        if stamps is None
        else {**body, "chunk_level": "word" if stamps == "word" else "segment"}
    )


def read_transcript(body: bytes, facts: AnswerFacts) -> Answer:
    """What was said, with its pieces where they were asked for; where all are words they are told as such too.

    Raises UpstreamError.
    """
    value = checked(body, json.loads)
    if not isinstance(value, dict):
        raise UpstreamError("failed to unmarshal response from provider API")
    if not isinstance(value.get("text"), str):
        told = read_error(value) or Told(message="the answer has no text")
        return Answer(value={}, body=body, error=told_error(told, None, scrubber(facts.key)))
    chunks = value.get("chunks")
    pieces = [piece for piece in map(_piece, chunks) if piece] if isinstance(chunks, list) else []
    told_: Object = {"text": value["text"]}
    if pieces:
        told_ |= {
            "duration": pieces[-1]["end"],
            "segments": [{"id": n, **p} for n, p in enumerate(pieces)],
        }
        if all(len(piece["text"].split()) == 1 for piece in pieces):
            told_["words"] = [
                {"word": p["text"].strip(), "start": p["start"], "end": p["end"]} for p in pieces
            ]
    return Answer(value=told_, body=body)


def _piece(chunk: object) -> Object | None:
    match chunk:
        case {"text": str(text), "timestamp": [int() | float() as start, end]}:
            is_known = isinstance(end, int | float)
            # Of the last piece some models do not know where it ends.
            return {"start": start, "end": end if is_known else start, "text": text}
        case _:
            return None
