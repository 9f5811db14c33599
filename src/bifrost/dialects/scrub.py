"""Takes credentials out of what an upstream says, for some echo the key they refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bifrost.codecs import json

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.config.secret import Secret

__all__ = ["scrub_value", "scrubber"]

STARS = "***"

SHORTEST = 4
"""A shorter value is no credential, and its stars would riddle every text."""

BEARER = re.compile(r"\b(bearer|basic)\s+(?=[\w.~+/=-]*\d)[\w.~+/=-]{6,}", re.IGNORECASE)
"""A digit tells a credential from a word (``basic authentication``)."""

KEY_LIKE = re.compile(
    r"\b(?:sk|gsk|xai|pplx|csk|fw|hf|nvapi)[-_][\w-]{12,}|\bAIza[\w-]{20,}|\bya29\.[\w.-]{12,}|\bA[KS]IA[A-Z0-9]{16}\b"
)
"""The beginnings by which vendors make their keys known; Google's its tokens, AWS the ids of its keys."""


def scrubber(key: Secret | None) -> Callable[[str], str]:
    """A function that puts stars for ``key``'s value in all its spellings, and for anything that looks like a key.

    A value of several lines is several credentials: each goes by itself.
    """
    lines = key.reveal().splitlines() if key else []
    spellings = sorted({spelling for line in lines for spelling in _spellings(line)}, key=len)

    def scrub(text: str) -> str:
        for spelling in reversed(spellings):
            text = text.replace(spelling, STARS)
        text = BEARER.sub(rf"\1 {STARS}", text)
        return KEY_LIKE.sub(STARS, text)

    return scrub


def _spellings(line: str) -> set[str]:
    value = line.strip()
    if len(value) < SHORTEST:
        return set()
    escaped = json.dumps_str(value).decode()[1:-1]
    return {value, quote(value), quote(value, safe=""), escaped, escaped.replace("/", "\\/")}


def scrub_value(scrub: Callable[[str], str], value: Any) -> Any:  # noqa: ANN401  any JSON value
    """``value`` with all its strings scrubbed."""
    match value:
        case str():
            return scrub(value)
        case list():
            return [scrub_value(scrub, item) for item in value]
        case dict():
            return {scrub(str(name)): scrub_value(scrub, item) for name, item in value.items()}
        case _:
            return value
