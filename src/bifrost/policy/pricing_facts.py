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

    from bifrost.schema.call import Call, RawMembers, Relay
    from bifrost.schema.payload import Form

__all__ = ["call_facts", "media_in"]

SMALL_BYTES = 4096
"""Shorter texts are not looked through: an image in them is hardly worth it."""

MEDIA_TOKENS_MAX = 2048
"""For an image, a sound or a document of any size: more than most are counted as, less than their bytes would be."""

MEDIA_BYTES_MIN = 1024
"""Shorter strings are text. It is also how far apart samples are taken, so that none of twice the length is missed."""

SAMPLE_BYTES = 64
"""Text hardly ever goes on for so long without a space."""

BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_"

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
    """The facts of ``call``. Looks for images and sound in what has more than 4 KiB, which takes less than a millisecond a megabyte."""
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
    """How many bytes of a JSON text are encoded images, sound or documents, and how many tokens to guess for them.

    Goes by what strings look like, not by the names of members, of which each dialect has its own.
    """
    found = tokens = 0
    for size in _media(raw):
        found += size
        tokens += min(size // 4, MEDIA_TOKENS_MAX)
    return found, tokens


def _media(raw: bytes) -> Iterator[int]:
    """The lengths of long strings of base64. Of most of a text only one byte in 16 is looked at, and none often."""
    at, end = 0, -1
    while at < len(raw):
        after = at + MEDIA_BYTES_MIN
        if _is_encoded(raw, at):
            if end < at:
                end = raw.find(b'"', at)
                if end < 0:
                    return
            begin = _begin(raw, max(0, at - MEDIA_BYTES_MIN), at)
            if (
                end - begin >= MEDIA_BYTES_MIN
                and _is_encoded(raw, (at + end) // 2)
                and _is_encoded(raw, end - SAMPLE_BYTES)
            ):
                yield end - begin
                after = end
        at = after


def _begin(raw: bytes, low: int, at: int) -> int:
    """Where the string began that ``at`` is in: behind a quote, or the comma that ends the head of a data URI."""
    return max(raw.rfind(b'"', low, at), raw.rfind(b",", low, at), low - 1) + 1


def _is_encoded(raw: bytes, at: int) -> bool:
    return not raw[at : at + SAMPLE_BYTES].translate(None, BASE64)


def _sizes(call: Call, members: RawMembers) -> tuple[int, int]:
    if call.form is not None:
        # Its files are no text; images among them are counted by the piece.
        files = sum(isinstance(part, File) for part in call.form)
        files = files if call.operation in IMAGES else 0
        return sum(len(each) for each in members.values()), files * MEDIA_TOKENS_MAX
    if call.relay is not None and not members:
        return _sizes_of_relayed(call, call.relay)
    text_bytes, media_tokens = sum(map(len, members.values())), 0
    if text_bytes > SMALL_BYTES:
        for each in members.values():
            if len(each) > SMALL_BYTES:
                size, tokens = media_in(each)
                text_bytes -= size
                media_tokens += tokens
    return text_bytes, media_tokens


def _sizes_of_relayed(call: Call, relay: Relay) -> tuple[int, int]:
    """Of what goes on as it came, and is mostly no text unless tokens are asked for."""
    if not relay.is_generation or not isinstance(relay.body, bytes):
        return min(call.body_bytes, MEDIA_TOKENS_MAX * 4), 0
    size, tokens = media_in(relay.body)
    return len(relay.body) - size, tokens


def _fields(form: Form) -> RawMembers:
    """The values of a form by name, the first of each."""
    return {part.name: part.value for part in reversed(form) if isinstance(part, Field)}


def _word(members: RawMembers, name: str) -> str:
    """The short value of a member or field, without quotes; empty if there is none, or it is long."""
    raw = members.get(name)
    if raw is None or len(raw) > MAX_VALUE_BYTES:
        return ""
    return raw.strip(b'" ').decode("ascii", "replace")


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
