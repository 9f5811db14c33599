"""Thought signatures of Gemini's callers: what they hand back unread, and so the place for what others want handed back too.

Gemini's own signatures stand beside the part that they are of (``gemini_signatures``). Blocks of thinking of another provider have no place in
Gemini's dialect, but must come back byte for byte; they travel inside a signature of ours.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.gemini_signatures import NONE_NEEDED

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "standard",
    "unwrapped",
    "without_ours",
    "wrapped",
]

Details = list[dict[str, Any]]

OURS = b"bifrost-thoughts:"

SIGN = base64.b64encode(OURS)[:20].decode()
"""How a signature of ours begins: as much of it as does not depend on what follows."""

_OF_OURS = re.compile(rb'"' + SIGN.encode() + rb'[A-Za-z0-9+/_=-]*"')


def wrapped(details: Iterable[dict[str, Any]]) -> str:
    """A signature that holds ``details``, the ``reasoning_details`` of a message."""
    return base64.b64encode(OURS + json.dumps([*details])).decode()


def unwrapped(signature: str) -> Details | None:
    """The details in a signature of ours; ``None`` if it is somebody else's."""
    if not signature.startswith(SIGN):
        return None
    try:
        raw = base64.b64decode(standard(signature), validate=True)
        found = json.loads(raw.removeprefix(OURS))
    except (binascii.Error, json.InvalidJSON):
        return None
    is_ours = isinstance(found, list) and all(isinstance(item, dict) for item in found)
    return found if is_ours else None


def without_ours(raw: bytes) -> bytes:
    """A member of a request with signatures of ours as what Gemini takes in their place. ``raw`` is JSON."""
    if SIGN.encode() not in raw:
        return raw
    return _OF_OURS.sub(b'"%b"' % NONE_NEEDED.encode(), raw)


def standard(signature: str) -> str:
    """``signature`` in the ordinary alphabet of base64, padded: SDKs write it in the other one."""
    plain = signature.replace("-", "+").replace("_", "/").rstrip("=")
    return plain + "=" * (-len(plain) % 4)
