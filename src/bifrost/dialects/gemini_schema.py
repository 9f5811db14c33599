"""JSON schemas in the two forms that Gemini takes, by a list of what each of them knows.

``parameters`` of a function is an OpenAPI subset with types in capitals; ``parametersJsonSchema`` and
``responseJsonSchema`` are a subset of JSON schema itself. A function is said in the first form where it can be, as all models
know that one. Sources: Gemini API reference, "Schema" and "GenerationConfig.responseJsonSchema", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.dialects.fields import Losses
from bifrost.dialects.value_shape import list_of, obj
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["json_schema", "parameters"]

Object = dict[str, Any]

MAX_DEPTH = 64

SAYS_NOTHING = frozenset({"$schema", "$id", "$comment", "$anchor", "examples", "deprecated"})
"""Words about a schema that allow or forbid no value."""

SHARED = frozenset(
    {
        "title",
        "description",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "propertyOrdering",
    }
)
"""Keywords with a plain value that go as they are, in both forms."""

OPENAPI = SHARED | {
    "nullable",
    "default",
    "example",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
}

FORMATS: Mapping[str, frozenset[str]] = {
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
    "STRING": frozenset({"enum", "date-time"}),
}
"""All others are refused in ``parameters``."""

TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})

JSON_TYPES: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("boolean", (bool,)),
    ("string", (str,)),
    ("number", (int, float)),
    ("null", (type(None),)),
)


class Unsayable(Exception):
    """The OpenAPI form has no words for this schema."""


@attrs.frozen
class _Lost:
    """Where what is lost is named: below ``place``."""

    losses: Losses
    place: str

    def lose(self, keyword: str) -> None:
        self.losses.lose(f"{self.place}.{keyword}")


def parameters(schema: Mapping[str, Any], losses: Losses, place: str) -> Object:
    """The members of a function declaration that say ``schema``: ``parameters``, ``parametersJsonSchema`` or none.

    What is lost is named below ``place``. Raises BadRequest if it is nested too deeply.
    """
    if _takes_nothing(schema):
        return {}
    tried = attrs.evolve(losses, names=[])
    try:
        said = _OpenAPI(_Lost(tried, place)).schema(dict(schema), 0)
    except Unsayable:
        return {"parametersJsonSchema": json_schema(schema, losses, place)}
    losses.lose(*tried.names)
    return {"parameters": said}


def json_schema(schema: Mapping[str, Any], losses: Losses, place: str) -> Object:
    """``schema`` without the keywords that ``responseJsonSchema`` does not know, which are named below ``place``."""
    return _JsonSchema(_Lost(losses, place)).schema(dict(schema), 0)


def _takes_nothing(schema: Mapping[str, Any]) -> bool:
    """Whether it is an object without members: Gemini wants such a function to have no parameters at all."""
    said = {name for name, value in schema.items() if value not in ({}, [], None)}
    return said <= SAYS_NOTHING | {"type", "additionalProperties", "title", "description"} and (
        schema.get("type", "object") == "object"
        and not isinstance(schema.get("additionalProperties"), dict)
        and schema.get("additionalProperties") is not True
    )


def _check(depth: int, place: str) -> None:
    if depth > MAX_DEPTH:
        raise BadRequest(f"{place} is nested too deeply", param=place)


@attrs.frozen
class _OpenAPI:
    """Says schemas in the form of ``parameters``."""

    lost: _Lost

    def schema(self, source: Object, depth: int) -> Object:
        _check(depth, self.lost.place)
        source = _united(source)
        said: Object = {}
        kind, is_nullable = self._kind(source)
        if kind is not None:
            said["type"] = kind
        for name, value in source.items():
            self._put(name, value, said, depth)
        if is_nullable:
            said["nullable"] = True
        return _whole(said)

    def _kind(self, source: Object) -> tuple[str | None, bool]:
        """Its type in capitals, or ``None`` where alternatives have it; and whether null is allowed."""
        kinds = _kinds(source, self.lost.place)
        is_nullable = "null" in kinds
        named = [kind for kind in kinds if kind != "null"]
        if len(named) > 1 or any(kind not in TYPES for kind in named):
            raise Unsayable
        if named:
            return named[0].upper(), is_nullable
        if "anyOf" in source:
            return None, is_nullable
        return _implied(source), is_nullable

    def _put(self, name: str, value: Any, said: Object, depth: int) -> None:  # noqa: ANN401  any JSON value
        match name:
            case "type":
                pass
            case "properties":
                schemas = obj(value, f"{self.lost.place}.{name}")
                said[name] = {key: self._inner(item, depth) for key, item in schemas.items()}
            case "items":
                said[name] = self._inner(value, depth)
            case "anyOf":
                self._put_choice(_items(value, self.lost.place, name), said, depth)
            case "enum" | "const":
                said["enum"] = _words(value if name == "enum" else [value])
            case "format":
                self._put_format(value, said)
            case "required":
                said[name] = _texts(value, self.lost.place, name)
            case "additionalProperties" if value in (False, None):
                pass  # Gemini's models are not asked for members that are not declared.
            case "additionalProperties" | "$ref" | "prefixItems":
                raise Unsayable
            case _ if name in OPENAPI:
                said[name] = value
            case _ if name in SAYS_NOTHING or name in {"$defs", "definitions"}:
                pass
            case _:
                self.lost.lose(name)

    def _inner(self, value: object, depth: int) -> Object:
        if not isinstance(value, dict):
            raise Unsayable  # ``true`` and ``false`` are schemas too.
        return self.schema(value, depth + 1)

    def _put_choice(self, choices: list[Any], said: Object, depth: int) -> None:
        """Alternatives; that one of them is null makes the whole nullable, and a single other one is the whole."""
        others = [choice for choice in choices if choice != {"type": "null"}]
        if len(others) < len(choices):
            said["nullable"] = True
        inner = [self._inner(choice, depth) for choice in others]
        if len(inner) == 1:
            said.update({**inner[0], **said})
        else:
            said["anyOf"] = inner

    def _put_format(self, value: object, said: Object) -> None:
        if isinstance(value, str) and value in FORMATS.get(said.get("type", ""), ()):
            said["format"] = value
        else:
            self.lost.lose("format")


def _kinds(source: Object, place: str) -> list[str]:
    """The types of a schema, none if it has none. Raises BadRequest."""
    told = source.get("type")
    return [told] if isinstance(told, str) else _texts(told, place, "type")


def _texts(value: object, place: str, name: str) -> list[str]:
    items = _items(value, place, name)
    if not all(isinstance(item, str) for item in items):
        raise BadRequest(f"{place}.{name} must hold texts", param=place)
    return items


def _items(value: object, place: str, name: str) -> list[Any]:
    return [item for item, _ in list_of(value, f"{place}.{name}")]


def _united(source: Object) -> Object:
    """``source`` with ``oneOf`` as ``anyOf``, and an ``allOf`` of one as what it holds."""
    united = dict(source)
    if "oneOf" in united and "anyOf" not in united:
        united["anyOf"] = united.pop("oneOf")
    whole = united.get("allOf")
    if isinstance(whole, list) and len(whole) == 1 and isinstance(whole[0], dict):
        del united["allOf"]
        united = {**whole[0], **united}
    return united


def _implied(source: Object) -> str:
    """The type of a schema that names none: Gemini insists on one."""
    if "properties" in source:
        return "OBJECT"
    if "items" in source:
        return "ARRAY"
    if "enum" in source or "const" in source:
        return "STRING"
    raise Unsayable


def _words(values: object) -> list[str]:
    if not isinstance(values, list) or not all(
        isinstance(value, str) and value for value in values
    ):
        raise Unsayable  # Numbers, and nothing at all, are no words of an OpenAPI enum.
    return values


def _whole(said: Object) -> Object:
    """``said``, if Gemini takes it: lists have items, objects members, and what is required is there."""
    kind = said.get("type")
    if kind == "ARRAY" and "items" not in said:
        raise Unsayable
    if kind == "OBJECT" and not said.get("properties"):
        raise Unsayable
    if "enum" in said and kind != "STRING":
        raise Unsayable
    if not set(said.get("required", ())) <= set(said.get("properties", {})):
        raise Unsayable
    if "anyOf" in said and (not said["anyOf"] or len(said) > 1):
        raise Unsayable  # Gemini takes nothing beside alternatives, not even a description.
    return said


KEPT = SHARED | {"format", "required", "nullable"}


@attrs.frozen
class _JsonSchema:
    """Says schemas in the form of ``responseJsonSchema``."""

    lost: _Lost

    def schema(self, source: Object, depth: int) -> Object:
        _check(depth, self.lost.place)
        if isinstance(source.get("$ref"), str):
            return self._reference(source)
        said: Object = {}
        for name, value in _united(source).items():
            self._put(name, value, said, depth)
        return _parted(said)

    def _reference(self, source: Object) -> Object:
        """A reference stands alone; ``definitions`` is what ``$defs`` was called before."""
        for name in source:
            if name != "$ref" and name not in SAYS_NOTHING | {"title", "description"}:
                self.lost.lose(name)
        return {"$ref": source["$ref"].replace("#/definitions/", "#/$defs/", 1)}

    def _put(self, name: str, value: Any, said: Object, depth: int) -> None:  # noqa: ANN401  any JSON value
        match name:
            case "properties" | "$defs" | "definitions":
                schemas = obj(value, f"{self.lost.place}.{name}")
                inner = {key: self._inner(item, depth) for key, item in schemas.items()}
                said["$defs" if name == "definitions" else name] = inner
            case "items" | "additionalProperties":
                said[name] = self._inner(value, depth)
            case "anyOf" | "prefixItems":
                items = _items(value, self.lost.place, name)
                said[name] = [self._inner(item, depth) for item in items]
            case "const":
                said["enum"] = [value]
            case "enum":
                said[name] = _items(value, self.lost.place, name)
            case "type":
                kinds = _kinds({name: value}, self.lost.place)
                said[name] = value if isinstance(value, str) else kinds
            case _ if name in KEPT:
                said[name] = value
            case _ if name in SAYS_NOTHING:
                pass
            case _:
                self.lost.lose(name)

    def _inner(self, value: Any, depth: int) -> Any:  # noqa: ANN401  ``true`` and ``false`` are schemas too
        return self.schema(value, depth + 1) if isinstance(value, dict) else value


def _parted(said: Object) -> Object:
    """``said`` with several types apart, each an alternative with the enum's values of its type.

    One type and null together are taken as they are.
    """
    kinds = said.get("type")
    if not isinstance(kinds, list) or "anyOf" in said:
        return said
    if len([kind for kind in kinds if kind != "null"]) < 2:
        return said
    rest = {name: value for name, value in said.items() if name not in {"type", "enum"}}
    of_one = frozenset[str]().union(*OF_KIND.values())
    shared = {name: value for name, value in rest.items() if name not in of_one}
    return {**shared, "anyOf": [_alternative(kind, rest, said.get("enum")) for kind in kinds]}


OF_KIND: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties", "propertyOrdering"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "number": frozenset({"minimum", "maximum", "format"}),
    "integer": frozenset({"minimum", "maximum", "format"}),
    "string": frozenset({"format"}),
}


def _alternative(kind: str, rest: Object, values: list[Any] | None) -> Object:
    known = OF_KIND.get(kind, frozenset())
    said: Object = {"type": kind}
    said |= {name: value for name, value in rest.items() if name in known}
    if values is not None and (own := [value for value in values if _is_of(kind, value)]):
        said["enum"] = own
    return said


def _is_of(kind: str, value: object) -> bool:
    found = next((name for name, kinds in JSON_TYPES if isinstance(value, kinds)), "")
    return found == kind or (kind == "integer" and found == "number" and isinstance(value, int))
