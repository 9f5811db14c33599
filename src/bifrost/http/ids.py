"""Ids of requests: UUIDs of version 4."""

from __future__ import annotations

import os

__all__ = ["RandomIds"]

BYTES = 16
AT_ONCE = 256


class RandomIds:
    """``RandomIds()()`` is a new id. The kernel is asked for the randomness of many of them together: a request makes one."""

    __slots__ = ("_at", "_random")

    def __init__(self) -> None:
        self._random = b""
        self._at = 0

    def __call__(self) -> str:
        if self._at >= len(self._random):
            self._random, self._at = os.urandom(BYTES * AT_ONCE), 0
        text = self._random[self._at : self._at + BYTES].hex()
        self._at += BYTES
        variant = "89ab"[int(text[16], 16) & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
