"""The parts of a message as Anthropic's content blocks.

Sources: Anthropic API reference, "Messages"; "Vision"; "PDF support"; "Citations", 2026-11.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.dialects.fields import Losses
from bifrost.errors import BadRequest
from bifrost.schema.chat import Audio, CachePoint, Document, Image, Refusal, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.schema.chat import Inline, Json, Part

__all__ = ["Block", "Blocks", "marked"]

Block = dict[str, Any]

PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

PDF = "application/pdf"

EPHEMERAL = {"type": "ephemeral"}


@attrs.frozen
class Blocks:
    """Makes blocks of parts. What has no block is named to ``losses``."""

    losses: Losses

    def of(self, parts: Iterable[Part], place: str) -> list[Block]:
        """The blocks of ``parts``; texts of nothing but white space are refused there, so they are none.

        Raises BadRequest for what cannot be sent in any way.
        """
        blocks: list[Block] = []
        for part in parts:
            match part:
                case CachePoint():
                    self._mark(blocks)
                case Audio():
                    self.losses.lose("messages.content.input_audio")
                case Text(text=text) | Refusal(text=text):
                    if text.strip():
                        marks = part.cache_control if isinstance(part, Text) else None
                        blocks.append(marked({"type": "text", "text": text}, marks))
                case Image():
                    blocks.append(self._image(part, place))
                case Document():
                    blocks.append(_document(part, place))
        return blocks

    def texts(self, parts: Iterable[Part], place: str) -> list[Block]:
        """As ``of``, where nothing but text may stand; the rest is lost."""
        blocks = self.of(parts, place)
        for block in blocks:
            if block["type"] != "text":
                self.losses.lose(f"messages.content.{OPENAI_TYPES[block['type']]}")
        return [block for block in blocks if block["type"] == "text"]

    def _mark(self, blocks: list[Block]) -> None:
        """Bedrock's mark says of what stands before it what Anthropic's says of the block it is in."""
        if blocks:
            blocks[-1].setdefault("cache_control", EPHEMERAL)
        else:
            self.losses.lose("messages.content.cachePoint")

    def _image(self, part: Image, place: str) -> Block:
        if part.detail not in {None, "auto"}:
            self.losses.lose("messages.content.image_url.detail")
        if part.inline is not None:
            return marked(_picture(part.inline, place), part.cache_control)
        if not part.url.startswith(("http://", "https://")):
            raise BadRequest(f"{place} has an image that Anthropic cannot fetch: give an http(s) URL or a data URI", param=place)  # fmt: skip
        source = {"type": "url", "url": part.url}
        return marked({"type": "image", "source": source}, part.cache_control)


OPENAI_TYPES = {"image": "image_url", "document": "file"}


def marked(block: Block, marks: Json | None) -> Block:
    """``block`` with its prompt cache mark, if it has one."""
    return block if marks is None else {**block, "cache_control": marks}


def _picture(inline: Inline, place: str) -> Block:
    kind = inline.media_type.lower().replace("image/jpg", "image/jpeg")
    if kind not in PICTURES:
        known = ", ".join(sorted(PICTURES))
        raise BadRequest(
            f"{place} has an image of type {inline.media_type[:60]!r}: Anthropic takes {known}",
            param=place,
        )
    return {"type": "image", "source": _base64(kind, inline.data)}


def _base64(media_type: str, data: str) -> Block:
    return {"type": "base64", "media_type": media_type, "data": data}


def _document(part: Document, place: str) -> Block:
    if part.inline is not None and part.inline.media_type.startswith("image/"):
        return marked(_picture(part.inline, place), part.cache_control)
    block: Block = {"type": "document", "source": _source(part, place)}
    if part.filename:
        block["title"] = part.filename
    if part.citations is not None:
        block["citations"] = part.citations
    return marked(block, part.cache_control)


def _source(part: Document, place: str) -> Block:
    if part.text is not None:
        return _plain(part.text)
    if part.inline is not None:
        return _inline_source(part.inline, place)
    if part.url:
        return {"type": "url", "url": part.url}
    return {"type": "file", "file_id": part.file_id}


def _plain(text: str) -> Block:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _inline_source(inline: Inline, place: str) -> Block:
    kind = inline.media_type.lower() or PDF
    if kind == PDF:
        return _base64(PDF, inline.data)
    if not kind.startswith("text/"):
        raise BadRequest(
            f"{place} has a file of type {kind[:60]!r}: Anthropic takes PDF, text and images",
            param=place,
        )
    try:
        return _plain(base64.b64decode(inline.data + "==").decode())
    except (binascii.Error, UnicodeDecodeError):
        raise BadRequest(f"{place} has a text file that is not UTF-8", param=place) from None
