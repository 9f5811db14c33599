"""What a regular expression costs: its search takes time in proportion to its size, so the size is what has a bound."""

from __future__ import annotations

import re

__all__ = ["MAX_WEIGHT", "weight"]

MAX_WEIGHT = 500
"""Of all patterns of an expression together: some 5 ms to compile and search, measured with cel 0.10 on 2026-11-27."""

CLASS_WEIGHT = 30
r"""Of ``\w`` and its like, which stand for thousands of characters of Unicode."""

CLASSES = frozenset("wWdDsSpPbB")

_PART = re.compile(r"\\.|\{(\d*)(?:,(\d*))?\}|\[\^?\]?|.", re.DOTALL)


def weight(pattern: str) -> int:
    r"""About how many states ``pattern`` makes: one a character, ``x{8}`` eight times that of ``x``, groups as a whole.

    A repetition without an end counts by its beginning: ``x{3,}`` three times.
    """
    sums, last, in_class = [0], 0, 0
    for part in _PART.finditer(pattern):
        text = part[0]
        if part[1] is not None and not in_class:
            sums[-1] += last * (_most(part) - 1)
            last *= _most(part)
        elif text == "(" and not in_class:
            sums.append(0)
        elif text == ")" and not in_class and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        else:
            in_class += text.startswith("[") - (text == "]" and in_class > 0)
            last = CLASS_WEIGHT if text[0] == "\\" and text[1:] in CLASSES else 1
            sums[-1] += last
    return sum(sums)


def _most(repetition: re.Match[str]) -> int:
    least, most = (int(text[:9] or 0) for text in repetition.groups(""))
    return max(1, least, most)
