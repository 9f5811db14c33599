"""What a regular expression costs: its search takes time in proportion to its size, so the size is what has a bound."""

from __future__ import annotations

import re

__all__ = ["MAX_WEIGHT", "weight"]

MAX_WEIGHT = 500
"""Of all patterns of an expression together: some 5 ms to compile and search, measured with cel 0.10 on 2026-11-27."""

CLASS_WEIGHT = 30
r"""Of ``\w`` and its like, which stand for thousands of characters of Unicode."""

CLASSES = frozenset("wWdDsSpPbB")

_PART = re.compile(
    r"""
    (?P<escape> \\. )
  | (?P<class> \[\^?\]? (?: \\. | \[:\^?[a-z]+:\] | [^\\\]] )* \]? )
  | \{ (?P<least>\d*) (?:,(?P<most>\d*))? \}
  | .
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def weight(pattern: str) -> int:
    r"""About how many states ``pattern`` makes: one a character, ``x{8}`` eight times that of ``x``, groups as a whole.

    A class of characters in brackets is one, unless it has ``\w`` or its like in it. A repetition without an end counts by
    its beginning: ``x{3,}`` three times.
    """
    sums, last = [0], 0
    for part in _PART.finditer(pattern):
        if part["least"] is not None:
            times = max(int(text[:9] or 0) for text in ("1", *part.group("least", "most")) if text)
            sums[-1] += last * (times - 1)
            last *= times
        elif part[0] == "(":
            sums.append(0)
        elif part[0] == ")" and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        elif part[0] != "]":  # one that is left over ends a class with classes in it
            last = CLASS_WEIGHT if CLASSES & set(_ESCAPE.findall(part[0])) else 1
            sums[-1] += last
    return sum(sums)
