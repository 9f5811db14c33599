"""The ordered targets of a call: the primary, then the fallbacks that could serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from bifrost.schema.call import Call, Target

__all__ = ["plan"]


def plan(call: Call, configured: Container[str]) -> tuple[Target, ...]:
    """Targets in the order to try them.

    The primary stands even if its provider is not ``configured`` (the caller is told so, or a fallback serves); a
    fallback without a configured provider, or one already listed, is skipped.
    """
    targets = [call.target]
    for target in call.fallbacks:
        if target.provider in configured and target not in targets:
            targets.append(target)
    return tuple(targets)
