"""Two bodies of one noun, and in what they differ: lines for people, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bifrost.config.bodies import change_secrets, is_reference
from bifrost.config.faults import below

if TYPE_CHECKING:
    from bifrost.config.nouns import Body

__all__ = ["differing"]

SHOWN_CHARACTERS = 60
HIDDEN = "***"


def differing(kind: str, file: Body, store: Body) -> tuple[str, ...]:
    """``path: file …, store …`` for each member that is not the same. Both are canonical."""
    shown = {id(body): change_secrets(kind, body, _hidden) for body in (file, store)}
    return tuple(_lines("", (file, shown[id(file)]), (store, shown[id(store)])))


def _hidden(_: str, text: str) -> str:
    return text if is_reference(text) else HIDDEN


def _lines(path: str, file: tuple[Any, Any], store: tuple[Any, Any]) -> Iterator[str]:
    """Of each side the value, and what may be seen of it."""
    if isinstance(file[0], Mapping) and isinstance(store[0], Mapping):
        for name in dict.fromkeys((*file[0], *store[0])):
            sides = ((each[0].get(name), each[1].get(name)) for each in (file, store))
            yield from _lines(below(path, name), *sides)
    elif file[0] != store[0]:
        yield f"{path}: file {_shown(file[1])}, store {_shown(store[1])}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."
