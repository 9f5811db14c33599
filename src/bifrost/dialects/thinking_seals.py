"""Seals of Claude's thinking: whether a block that a caller hands back can be one of Claude's.

Whoever serves Claude refuses a whole request for a seal that is another's, so that what cannot be his is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.dialects.gemini_signatures import is_signature

if TYPE_CHECKING:
    from bifrost.schema.chat import ReasoningDetail

__all__ = ["seal_of"]

OPENAIS = "gAAAA"
"""How what OpenAI has encrypted begins (Fernet)."""


def seal_of(detail: ReasoningDetail) -> str | None:
    """The signature or the secret of ``detail``; ``None`` if it has none, or says that it is another provider's."""
    form = detail.raw.get("format")
    is_ours = form in {None, "unknown"} or str(form).startswith("anthropic")
    seal = detail.signature if detail.kind == "reasoning.text" else detail.data
    if not is_ours or not seal or seal.startswith(OPENAIS) or is_signature(detail):
        return None
    return seal
