"""Reading decoded JSON that a caller sent, piece by piece: every wrong shape is a BadRequest that names its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["MAX_WHOLE", "boolean", "choice", "list_of", "number", "obj", "text", "whole", "written"]

MAX_WHOLE = 2**53

MAX_TOLD = 60
"""Characters of a wrong value that are told back."""


def obj(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest(f"{place} must be an object", param=place)
    return value


def list_of(value: object, place: str) -> Iterator[tuple[Any, str]]:
    """The items of a list with their places; none of ``None``."""
    if value is None:
        return
    if not isinstance(value, list):
        raise BadRequest(f"{place} must be an array", param=place)
    for index, item in enumerate(value):
        yield item, f"{place}[{index}]"


def text(source: Mapping[str, Any], name: str, place: str = "") -> str | None:
    value = source.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _wrong(name, place, "a string")


def boolean(source: Mapping[str, Any], name: str, place: str = "") -> bool | None:
    value = source.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise _wrong(name, place, "true or false")


def number(source: Mapping[str, Any], name: str, place: str = "") -> float | None:
    value = source.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise _wrong(name, place, "a number")


def whole(source: Mapping[str, Any], name: str, place: str = "") -> int | None:
    """An integer; one that is written with a point is one too."""
    value = number(source, name, place)
    if value is None:
        return None
    # Beyond 64 bits it could be read, as a float, and not be written again.
    if not float(value).is_integer() or not -MAX_WHOLE <= value <= MAX_WHOLE:
        raise _wrong(name, place, "an integer")
    return int(value)


def choice(source: Mapping[str, Any], name: str, allowed: Collection[str], place: str = "") -> str:
    """The value of ``name``, which has to be there and be one of ``allowed``."""
    value = source.get(name)
    if isinstance(value, str) and value in allowed:
        return value
    raise _wrong(name, place, f"one of {', '.join(allowed)}", value)


def written(value: object) -> bytes:
    """``value`` in JSON. Raises BadRequest for what could be read and cannot be written: nested beyond all measure."""
    try:
        return json.dumps(value)
    except TypeError as error:
        raise BadRequest("the request is nested too deeply", cause=str(error)) from None


def _wrong(name: str, place: str, what: str, found: object = None) -> BadRequest:
    where = f"{place}.{name}" if place else name
    told = f", not {found[:MAX_TOLD]!r}" if isinstance(found, str) else ""
    return BadRequest(f"{where} must be {what}{told}", param=where)
