"""A JSON schema as Anthropic's structured outputs take it: what they know is kept, nothing else is guessed at.

Source: Anthropic, "Structured outputs", section "JSON Schema limitations", 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_DEPTH", "normalised"]

KEPT = frozenset({"title", "description", "const", "enum", "default", "required", "$ref", "type"})
"""Keywords that go as they are, whatever the type."""

OF_SCHEMAS = ("anyOf", "allOf")
OF_NAMES = ("properties", "$defs", "definitions")

FORMATS = frozenset(
    {
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    }
)

MAX_DEPTH = 100
"""Schemas nested deeper are refused."""

JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}

QUIET = frozenset({"$schema", "$id", "$comment", "examples", "deprecated", "readOnly", "writeOnly"})
"""Keywords that constrain nothing."""


def normalised(
    schema: Mapping[str, Any], place: str, lose: Callable[[str], None]
) -> dict[str, Any]:
    """``schema`` with only what is known there: one type a schema, objects closed, other constraints named to ``lose``.

    ``lose`` hears ``<place>.<keyword>``. Several types become ``anyOf``. Raises BadRequest if it is nested too deeply.
    """
    return _Normaliser(place, lose).schema(dict(schema), 0)


@attrs.frozen
class _Normaliser:
    _place: str
    _lose: Callable[[str], None]

    def schema(self, source: Any, depth: int) -> dict[str, Any]:  # noqa: ANN401  any JSON value
        if depth > MAX_DEPTH:
            raise BadRequest(f"{self._place} is nested too deeply", param=self._place)
        if not isinstance(source, dict):
            return self._boolean(source)
        self._check_type(source.get("type", "object"))
        split = _split_types(_any_of(source))
        made: dict[str, Any] = {}
        for name, value in split.items():
            self._put(made, name, value, depth + 1)
        if made.get("type") == "object":
            made.setdefault("properties", {})
            made["additionalProperties"] = False
        return made

    def _check_type(self, told: object) -> None:
        types = told if isinstance(told, list) else [told]
        if not types or not all(isinstance(kind, str) for kind in types):
            where = f"{self._place}.type"
            raise BadRequest(f"{where} must be the name of a type, or several", param=where)

    def _boolean(self, source: object) -> dict[str, Any]:
        """``true`` takes anything, and so does no schema at all."""
        if source is not True:
            self._lose(f"{self._place}.false")
        return {}

    def _put(self, made: dict[str, Any], name: str, value: Any, depth: int) -> None:  # noqa: ANN401  any JSON value
        if name in OF_NAMES and isinstance(value, dict):
            made[name] = {key: self.schema(inner, depth) for key, inner in value.items()}
        elif name in OF_SCHEMAS and isinstance(value, list):
            made[name] = [self.schema(inner, depth) for inner in value]
        elif name == "items" and isinstance(value, dict | bool):
            made[name] = self.schema(value, depth)
        elif name in KEPT or _is_known(name, value):
            made[name] = value
        elif name not in QUIET and not (name == "additionalProperties" and value is False):
            self._lose(f"{self._place}.{name}")


def _is_known(name: str, value: object) -> bool:
    if name == "format":
        return isinstance(value, str) and value in FORMATS
    return name == "minItems" and value in (0, 1)


def _any_of(source: dict[str, Any]) -> dict[str, Any]:
    """Exactly one of several schemas is more than can be said there; any of them is as near as it gets."""
    if "oneOf" not in source or "anyOf" in source:
        return source
    return {("anyOf" if name == "oneOf" else name): value for name, value in source.items()}


def _split_types(source: dict[str, Any]) -> dict[str, Any]:
    """``source`` with one type: a list of one is that one, and of several ``anyOf`` has a schema each."""
    types = source.get("type")
    if not isinstance(types, list):
        return source
    if len(types) == 1:
        return {**source, "type": types[0]}
    outer = {name: value for name, value in source.items() if name in OUTER}
    inner = {name: value for name, value in source.items() if name not in OUTER and name != "type"}
    choices = [choice for kind in types if (choice := _of_type(kind, inner)) is not None]
    if "anyOf" in outer:
        # Both have to hold: the choice of types stands beside the other.
        both = [{"anyOf": outer.pop("anyOf")}, {"anyOf": choices}]
        return {**outer, "allOf": both}
    return {**outer, "anyOf": choices}


OUTER = frozenset({"title", "description", "default", "$defs", "definitions", "anyOf"})
"""What stands beside a choice of types rather than in each."""

OF_TYPE: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"format", "pattern", "minLength", "maxLength"}),
    "number": frozenset(
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    ),
}
ANY_TYPE = frozenset().union(*OF_TYPE.values())


def _of_type(kind: object, source: dict[str, Any]) -> dict[str, Any] | None:
    """What ``source`` says of values of one type; ``None`` if its ``enum`` has none of them."""
    own = OF_TYPE.get("number" if kind == "integer" else str(kind), frozenset())
    made: dict[str, Any] = {"type": kind}
    for name, value in source.items():
        if name == "enum" and isinstance(value, list):
            made["enum"] = [item for item in value if _is_of(item, str(kind))]
        elif name in own or name not in ANY_TYPE:
            made[name] = value
    return None if made.get("enum") == [] else made


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, JSON_TYPES.get(kind, ()))
