"""Reading Google's JSON as its callers write it: either spelling of a name, and bytes in either alphabet.

Source: Google, "ProtoJSON format" (both ``camelCase`` and ``snake_case`` are taken, ``null`` is absent, bytes are base64 of
either alphabet, padded or not), 2026-11.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bifrost.codecs.data_uri import is_base64
from bifrost.dialects.value_shape import list_of, obj, text
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from bifrost.dialects.fields import Losses

__all__ = ["Object", "base64_of", "camel", "lose_unknown", "message", "one_or_many", "required"]

Object = dict[str, Any]

MAX_NAME = 64
"""Google's own names are shorter; longer ones stay as they came."""

_SNAKE = re.compile(r"(?<=[^_])_+([a-z0-9])")


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """``name`` in Google's first spelling: ``system_instruction`` is ``systemInstruction``."""
    if len(name) > MAX_NAME or "_" not in name:
        return name
    return _SNAKE.sub(lambda found: found[1].upper(), name)


def message(value: object, place: str) -> Object:
    """The object ``value`` with names in Google's first spelling, without what is null. Raises BadRequest."""
    source = obj(value, place)
    return {camel(name): said for name, said in source.items() if said is not None}


def one_or_many(value: object, place: str) -> Iterator[tuple[Any, str]]:
    """The items of a list with their places; an object is a list of one. Raises BadRequest for anything else."""
    if isinstance(value, dict):
        yield value, f"{place}[0]"
    else:
        yield from list_of(value, place)


def required(source: Mapping[str, Any], name: str, place: str) -> str:
    """The text ``name``, which has to be there. Raises BadRequest."""
    value = text(source, name, place)
    if not value:
        raise BadRequest(f"{place}.{name} is required", param=f"{place}.{name}")
    return value


def base64_of(source: Mapping[str, Any], name: str, place: str) -> str:
    """Bytes in the ordinary alphabet of base64, padded. Raises BadRequest."""
    value = required(source, name, place).replace("-", "+").replace("_", "/").rstrip("=")
    if not is_base64(value):
        raise BadRequest(f"{place}.{name} must be base64", param=f"{place}.{name}")
    return value + "=" * (-len(value) % 4)


def lose_unknown(
    source: Mapping[str, Any], known: Collection[str], place: str, losses: Losses
) -> None:
    """Name what ``source`` says and is not ``known``, below ``place``; what is empty says nothing."""
    losses.lose(
        *(f"{place}.{name}" for name, value in source.items() if name not in known and value)
    )
