"""The numbers of a virtual key's entries, its provider configs for one, by which the API knows them. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["entry_id", "entry_ids"]

MAX_ENTRY_ID = 2**31 - 1
"""So that they are whole numbers in every language."""


def entry_id(owner: str, name: str, taken: frozenset[int]) -> int:
    """The number of a virtual key's entry for ``name``: always the same one, unless it is ``taken``."""
    digest = hashlib.sha256(f"{owner}:{name}".encode()).digest()
    number = int.from_bytes(digest[:4], "big") % MAX_ENTRY_ID + 1
    while number in taken:
        number = number % MAX_ENTRY_ID + 1
    return number


def entry_ids(owner: str, entries: Iterable[tuple[object, str]]) -> Iterator[int]:
    """The numbers of all ``entries`` of a virtual key, each a number of its own and a name: those of a file may have none yet."""
    listed = list(entries)
    taken: frozenset[int] = frozenset(number for number, _ in listed if isinstance(number, int))
    for number, name in listed:
        if isinstance(number, int):
            yield number
            continue
        made = entry_id(owner, name, taken)
        taken |= {made}
        yield made
