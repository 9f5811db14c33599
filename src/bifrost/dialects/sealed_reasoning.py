"""Thinking that its provider has sealed, on its way through the Responses API and back: ``encrypted_content``.

A thinking block has a text and a signature: its text is the reasoning item's summary, its signature the item's
``encrypted_content``, as it is. Whatever else is to come back unchanged (blocks without a text, redacted ones, several at
once) is kept in whole behind a sign of ours.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["seal", "unseal"]

Detail = dict[str, Any]
"""An entry of ``reasoning_details``."""

SIGN = "bifrost."


def seal(details: Sequence[Detail], text: str) -> str | None:
    """``encrypted_content`` of a reasoning item with the summary ``text`` and ``details``; ``None`` if nothing is sealed."""
    sealed = [detail for detail in details if detail.get("signature") or detail.get("data")]
    if not sealed:
        return None
    only = sealed[0]
    plain = {"type": "reasoning.text", "text": text, "signature": only.get("signature")}
    if len(details) == 1 and text and _unnumbered(only) == plain:
        return str(only["signature"])
    told = json.dumps([_unnumbered(detail) for detail in details])
    return SIGN + base64.urlsafe_b64encode(told).decode()


def _unnumbered(detail: Detail) -> Detail:
    return {name: value for name, value in detail.items() if name != "index"}


def unseal(content: str, text: str) -> list[Detail]:
    """The entries of ``reasoning_details`` that a reasoning item with the summary ``text`` was made of.

    Raises ValueError where ``content`` has our sign and is not ours.
    """
    if not content.startswith(SIGN):
        if text:
            return [{"type": "reasoning.text", "text": text, "signature": content}]
        return [{"type": "reasoning.encrypted", "data": content}]
    try:
        details = json.loads(base64.urlsafe_b64decode(content.removeprefix(SIGN).encode()))
        json.dumps(details)
    except (binascii.Error, json.InvalidJSON, TypeError) as error:  # or nested too deeply
        raise ValueError("is none") from error
    if not isinstance(details, list) or not all(isinstance(detail, dict) for detail in details):
        raise ValueError("is none")
    return details
