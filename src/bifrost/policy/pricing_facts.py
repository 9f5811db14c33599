"""What of a call bears upon its price, read from the call."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from bifrost.policy.pricing_cost import CallFacts
from bifrost.schema.call import Operation
from bifrost.schema.payload import Field, File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bifrost.schema.call import Call, RawMembers
    from bifrost.schema.payload import Form

__all__ = ["call_facts", "media_in"]

SMALL_BYTES = 4096
"""Shorter texts are not looked through: an image in them is hardly worth it."""

MEDIA_TOKENS_MAX = 2048
"""For an image, a sound or a document of any size: more than most are counted as, less than their bytes would be."""

MEDIA_BYTES_MIN = 1024
"""Shorter strings are text."""

SAMPLE_BYTES = 256
"""What is looked at of a long string."""

STARTS = (b"base64,", b'"data":', b'"file_data":', b'"bytes":', b'"b64_json":')
"""What stands before encoded bytes: in data URIs, and in the parts of OpenAI, Anthropic, Gemini and Bedrock."""

BYTES_PER_MS = 16
"""Of sound at 128 kbit/s. Raw sound has more and is guessed too long, speech codecs have less."""

SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
QUALITIES: Mapping[str, str] = {"standard": "medium", "hd": "high"}
"""What dall-e-3 calls them. Source: OpenAI, API reference, "Create image", 2026-11."""
MAX_VALUE_BYTES = 64

SERVICES = frozenset({"priority", "flex"})
IMAGES = frozenset({Operation.IMAGE, Operation.IMAGE_EDIT, Operation.IMAGE_VARIATION})
SOUNDS = frozenset({Operation.TRANSCRIPTION, Operation.TRANSLATION})


def call_facts(call: Call) -> CallFacts:
    """The facts of ``call``. Looks for images and sound in bodies of more than 4 KiB, at a gigabyte a second or so."""
    members = call.members if call.form is None else _fields(call.form)
    text_bytes, media_tokens = _sizes(call, members)
    is_image = call.operation in IMAGES
    service = _word(members, "service_tier")
    return CallFacts(
        operation=call.operation,
        text_bytes=text_bytes,
        media_tokens=media_tokens,
        max_output_tokens=call.max_output_tokens,
        choices=_number(members, "n"),
        service=service if service in SERVICES else "",
        quality=_quality(members) if is_image else "",
        pixels=_pixels(_word(members, "size")) if is_image else None,
        characters=_characters(members) if call.operation is Operation.SPEECH else 0,
        audio_ms=call.body_bytes // BYTES_PER_MS if call.operation in SOUNDS else 0,
    )


def media_in(raw: bytes) -> tuple[int, int]:
    """How many bytes of a JSON text are encoded images, sound or documents, and how many tokens to guess for them."""
    found = tokens = 0
    for size in _media(raw):
        found += size
        tokens += min(size // 4, MEDIA_TOKENS_MAX)
    return found, tokens


def _media(raw: bytes) -> Iterator[int]:
    """The lengths of long strings that begin where encoded bytes do. Each byte is looked at a few times at most."""
    for start in STARTS:
        at = raw.find(start)
        while at >= 0:
            at += len(start)
            # A member's value begins behind its own quote; a data URI stands inside of one.
            begin = at if start.endswith(b",") else raw.find(b'"', at, at + 8) + 1
            end = raw.find(b'"', begin) if begin else at
            if end < 0:
                return
            if end - begin >= MEDIA_BYTES_MIN and _is_encoded(raw[begin : begin + SAMPLE_BYTES]):
                yield end - begin
            at = raw.find(start, max(at, end))


def _is_encoded(sample: bytes) -> bool:
    """Whether it can be base64: text has spaces or is escaped. The head of a data URI is not, so none counts twice."""
    return not any(mark in sample for mark in (b" ", b"\\", b":"))


def _sizes(call: Call, members: RawMembers) -> tuple[int, int]:
    if call.form is not None:
        # Its files are no text; images among them are counted by the piece.
        files = sum(isinstance(part, File) for part in call.form)
        files = files if call.operation in IMAGES else 0
        return sum(len(each) for each in members.values()), files * MEDIA_TOKENS_MAX
    if call.relay is not None and not members:
        return min(call.body_bytes, MEDIA_TOKENS_MAX * 4), 0
    sizes = [media_in(each) if len(each) > SMALL_BYTES else (0, 0) for each in members.values()]
    text_bytes = sum(len(each) for each in members.values()) - sum(size for size, _ in sizes)
    return text_bytes, sum(tokens for _, tokens in sizes)


def _fields(form: Form) -> RawMembers:
    """The values of a form by name, the first of each."""
    return {part.name: part.value for part in reversed(form) if isinstance(part, Field)}


def _word(members: RawMembers, name: str) -> str:
    """The short value of a member or field, without quotes; empty if there is none, or it is long."""
    raw = members.get(name, b"")
    return raw.strip(b'" ').decode("ascii", "replace") if len(raw) <= MAX_VALUE_BYTES else ""


def _number(members: RawMembers, name: str) -> int:
    word = _word(members, name)
    return int(word) if word.isascii() and word.isdecimal() else 1


def _quality(members: RawMembers) -> str:
    quality = _word(members, "quality")
    return QUALITIES.get(quality, quality)


def _pixels(size: str) -> int | None:
    found = SIZE.fullmatch(size)
    return int(found[1]) * int(found[2]) if found else None


def _characters(members: RawMembers) -> int:
    """Of the text to be spoken."""
    try:
        text = json.loads(members.get("input", b"null"))
    except (ValueError, RecursionError):
        return 0
    return len(text) if isinstance(text, str) else 0
