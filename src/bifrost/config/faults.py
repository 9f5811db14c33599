"""What is wrong with a configuration, said so that it can be mended: where, what was found, what is allowed."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ConfigError", "ConfigErrors", "below", "item", "kind_of", "nearest", "shown"]

PLAIN_NAME = re.compile(r"[A-Za-z0-9_$-]+")
SHOWN_CHARACTERS = 24
"""A longer text is not repeated in an error: it might be a credential in the wrong place."""


@attrs.frozen
class ConfigError:
    """One mistake. ``path`` is like ``providers.openai.keys[0].weight``, and empty for the document itself.

    ``found`` never holds a secret. ``nearest`` is the known name that an unknown one resembles.
    """

    path: str
    found: str
    allowed: str
    nearest: str | None = None

    def __str__(self) -> str:
        """One line."""
        hint = f' (did you mean "{self.nearest}"?)' if self.nearest else ""
        return f"{self.path or 'configuration'}: found {self.found}; allowed: {self.allowed}{hint}"


class ConfigErrors(Exception):
    """Every mistake of a configuration, in the order they were found."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


def below(path: str, name: str) -> str:
    """The path of member ``name``; names that would be ambiguous are quoted in brackets."""
    if not PLAIN_NAME.fullmatch(name):
        return f"{path}[{_one_line(name)!r}]"
    return f"{path}.{name}" if path else name


def item(path: str, index: int) -> str:
    """The path of a list's item."""
    return f"{path}[{index}]"


def _one_line(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that ``name`` was probably meant to be."""
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return close[0] if close else None


def kind_of(value: object) -> str:
    """What sort of value it is, with no hint of what it says."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text" if value else "an empty text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def shown(value: object) -> str:
    """What was found, where that cannot be a secret: short values as they are, others by their sort."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            text = _number(value)
            return text if len(text) <= SHOWN_CHARACTERS else "a very long number"
        case str() if 0 < len(value) <= SHOWN_CHARACTERS:
            return repr(value)
        case _:
            return kind_of(value)


def _number(value: float) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than Python prints
        return " " * (SHOWN_CHARACTERS + 1)
