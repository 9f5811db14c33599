"""Data URIs (RFC 2397) and the base64 in them, checked and not decoded."""

from __future__ import annotations

import re

__all__ = ["is_base64", "split_data_uri"]

_HEAD = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def split_data_uri(uri: str) -> tuple[str, str] | None:
    """Media type (perhaps empty) and base64 of ``uri``; ``None`` if it is no data URI.

    Raises ValueError where it is one that is not in base64, or whose base64 is none.
    """
    if uri[:5].lower() != "data:":
        return None
    head = _HEAD.match(uri[:1024])
    if head is None or ";base64" not in head[2].lower():
        raise ValueError("a data URI must be data:<type>;base64,<data>")
    data = uri[head.end() :]
    if not is_base64(data):
        raise ValueError("the data of a data URI is no base64")
    return head[1].lower(), data


def is_base64(data: str) -> bool:
    """Whether ``data`` is base64 of at least a byte, padded or not."""
    return bool(data) and len(data.rstrip("=")) % 4 != 1 and _BASE64.fullmatch(data) is not None
