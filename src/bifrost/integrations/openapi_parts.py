"""What schemas of requests and answers are made of, whatever the dialect."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from bifrost.catalog import MAX_MODEL

__all__ = [
    "ANYTHING",
    "ANY_BYTES",
    "EVENTS",
    "FILE",
    "FLAG",
    "FORM",
    "JSON",
    "LIST",
    "MODEL",
    "NOT_EMPTY",
    "NUMBER",
    "OBJECT",
    "SAID",
    "TEXT",
    "WHOLE",
    "Schema",
    "Shape",
    "every",
    "form_body",
    "json_body",
]

Schema = dict[str, object]
"""JSON Schema, draft 2020-12."""

JSON = "application/json"
FORM = "multipart/form-data"
EVENTS = "text/event-stream"
ANY_BYTES = "*/*"

TEXT: Schema = {"type": "string"}
SAID: Schema = {"type": "string", "pattern": r"\S"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
LIST: Schema = {"type": "array"}
OBJECT: Schema = {"type": "object"}
FILE: Schema = {"type": "string", "format": "binary"}
ANYTHING: Schema = {}

NOT_EMPTY: Schema = {
    "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1}],
}

MODEL: Schema = {
    **SAID,
    "maxLength": MAX_MODEL,
    "description": "`provider/model`; below `/openai` the provider may be left out, and is `openai` then.",
    "examples": ["mock/echo", "openai/gpt-4o-mini"],
}

FALLBACKS: Schema = {
    "type": ["array", "null"],
    "items": {"anyOf": [TEXT, {"type": "object", "required": ["model"]}]},
    "description": "Models to be asked in this order when the first fails.",
}


@attrs.frozen(kw_only=True)
class Shape:
    """One operation. Each of ``bodies`` and ``answers`` is a media type with the name of its schema in ``SCHEMAS``."""

    summary: str
    bodies: Mapping[str, str] = attrs.field(factory=dict)
    full_bodies: Mapping[str, str] = attrs.field(factory=dict)
    """Those where the provider has to be named, and so the model."""
    answers: Mapping[str, str] = attrs.field(factory=dict)


def _optional(schema: Schema) -> Schema:
    """The same, or ``null``, which says no more than nothing."""
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else schema


def json_body(
    needed: Mapping[str, Schema],
    known: Mapping[str, Schema],
    either: Mapping[str, Schema] = MappingProxyType({}),
) -> Schema:
    """A JSON body with what is ``needed``, at least one of ``either``, and perhaps what else is ``known``."""
    others = {name: _optional(schema) for name, schema in {**either, **known}.items()}
    return _with(needed, {**others, "fallbacks": FALLBACKS}, either)


def form_body(
    needed: Mapping[str, Schema],
    known: Mapping[str, Schema],
    either: Mapping[str, Schema] = MappingProxyType({}),
) -> Schema:
    """The same for a form, where nothing is null."""
    return _with(needed, {**either, **known, "fallbacks": TEXT}, either)


def _with(
    needed: Mapping[str, Schema], others: Mapping[str, Schema], either: Mapping[str, Schema]
) -> Schema:
    said: Schema = {
        "type": "object",
        "required": list(needed),
        "properties": {**needed, **others},
        "additionalProperties": True,
    }
    choices = [
        {"required": [name], "properties": {name: schema}} for name, schema in either.items()
    ]
    return said | ({"anyOf": choices} if choices else {})


def every(schema: Schema, names: str) -> dict[str, Schema]:
    return dict.fromkeys(names.split(), schema)
