"""Google's own schemas as the JSON Schema that everybody else speaks.

Source: Google, Gemini API reference, "Schema" (a part of OpenAPI 3.0), 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.dialects.gemini_reading import Object, camel
from bifrost.dialects.value_shape import list_of, obj
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["json_schema"]

MAX_DEPTH = 64

COUNTS = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
"""64-bit integers, which come as strings."""

NO_TYPE = "TYPE_UNSPECIFIED"

RENAMED = {"defs": "$defs", "ref": "$ref"}


def json_schema(value: object, place: str) -> Object:
    """The JSON Schema that Google's schema ``value`` is; what is one already stays as it is.

    Types lose their capitals, ``nullable`` becomes a type, properties go in the order of ``propertyOrdering``. Raises
    BadRequest where ``value`` has not the shape of a schema.
    """
    return _schema(value, place, MAX_DEPTH)


def _schema(value: object, place: str, depth: int) -> Object:
    if not depth:
        raise BadRequest(f"{place} is nested too deeply", param=place)
    source = {
        RENAMED.get(name, camel(name)): said
        for name, said in obj(value, place).items()
        if said is not None
    }
    order = source.pop("propertyOrdering", None)
    is_nullable = source.pop("nullable", False) is True
    told: Object = {}
    for name, said in source.items():
        told |= _keyword(name, said, f"{place}.{name}", depth)
    if isinstance(order, list) and isinstance(told.get("properties"), dict):
        told["properties"] = _ordered(told["properties"], order)
    return _nullable(told) if is_nullable else told


def _keyword(name: str, said: Any, place: str, depth: int) -> Object:  # noqa: ANN401  a JSON value
    if name in INNER:
        return {name: INNER[name](said, place, depth - 1)}
    match name:
        case "type":
            return _type(said)
        case "example":
            return {"examples": [said]}
        case "format" if said == "enum":
            return {}
        case _ if name in COUNTS and isinstance(said, str) and said.isascii() and said.isdigit():
            return {name: int(said[:18])}
        case _:
            return {name: said}


def _type(said: object) -> Object:
    if said == NO_TYPE:
        return {}
    if isinstance(said, list):
        return {"type": [item.lower() if isinstance(item, str) else item for item in said]}
    return {"type": said.lower() if isinstance(said, str) else said}


def _one(said: object, place: str, depth: int) -> object:
    """A schema, or ``true`` or ``false``, which stand for one."""
    return said if isinstance(said, bool) else _schema(said, place, depth)


def _named(said: object, place: str, depth: int) -> Object:
    return {name: _one(inner, f"{place}.{name}", depth) for name, inner in obj(said, place).items()}


def _each(said: object, place: str, depth: int) -> object:
    return [_one(inner, where, depth) for inner, where in list_of(said, place)]


def _one_or_each(said: object, place: str, depth: int) -> object:
    return (_each if isinstance(said, list) else _one)(said, place, depth)


INNER: Mapping[str, Callable[[object, str, int], object]] = {
    "items": _one_or_each,
    "additionalProperties": _one,
    "properties": _named,
    "$defs": _named,
    "anyOf": _each,
    "oneOf": _each,
    "allOf": _each,
    "prefixItems": _each,
}
"""Keywords that hold schemas themselves."""


def _ordered(properties: Object, order: list[Any]) -> Object:
    first = [name for name in order if isinstance(name, str) and name in properties]
    return {name: properties[name] for name in dict.fromkeys((*first, *properties))}


def _nullable(schema: Object) -> Object:
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
    elif isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [*schema["enum"], None]
    return schema
