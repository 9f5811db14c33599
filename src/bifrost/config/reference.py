"""The reference and the JSON Schema, written from the settings classes: their types, rules, defaults and docstrings."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import attrs

from bifrost.config.names import BUILT_IN, UNBUILT_DIALECTS
from bifrost.config.rules import Mark, Names, Range, Text
from bifrost.config.secret import Secret
from bifrost.config.sections import STORE_CONFIGS
from bifrost.config.shape import (
    Choice,
    Either,
    Group,
    Hidden,
    Kind,
    Listed,
    Mapped,
    Member,
    Scalar,
    Section,
    Shape,
    shape_of,
)
from bifrost.config.whole import BUILT_SECTIONS, WholeFile

__all__ = ["json_schema", "markdown"]

HEAD = """\
# Configuration

*Written by `scripts/configuration-reference` from the settings classes; change those.*

One file, YAML or JSON, `config.yaml` by default. Check it with `bifrost check-config`. Unknown keys, keys written twice and
values of another type are errors; every one is told, with its path. A key without a value (`null`) is as if it were absent.
Secrets, and where it is said other texts, may be references to the environment: `env.NAME`. ↻ marks keys that need a restart;
all others hold after a reload (`SIGHUP`).

Sections and providers that are *not built yet* are checked all the same and named in a warning, and have no effect. A
protection among them (a login, virtual keys, budgets, limits, guards) makes `bifrost serve` refuse, unless `--insecure` is
given. Providers: {known}. Not built yet of these: {unbuilt}.
"""
UNBUILT = " *Not built yet.*"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


# Documentation of attributes


def attribute_docs(cls: type) -> dict[str, str]:
    """Attribute to the docstring below it, on one line."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    docs: dict[str, str] = {}
    for line, following in itertools.pairwise(body):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            text = _text_of(following)
            docs |= {line.target.id: text} if text else {}
    return docs


def _text_of(line: ast.stmt) -> str:
    if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
        return " ".join(str(line.value.value).split())
    return ""


# Markdown


def markdown() -> str:
    """``docs/configuration.md``."""
    whole = shape_of(WholeFile)
    known, unbuilt = ", ".join(sorted(BUILT_IN)), ", ".join(sorted(UNBUILT_DIALECTS))
    parts = [HEAD.format(known=known, unbuilt=unbuilt), *_section("", whole, {})]
    for name, cls in STORE_CONFIGS.items():
        owner = "config_store, logs_store" if name in ("sqlite", "postgres") else "vector_store"
        parts += _section(f"{owner}: config of {name}", shape_of(cls), {})
    return "\n".join(parts)


def _section(path: str, shape: Shape, told: dict[type, str]) -> Iterator[str]:
    """A section and those inside it. ``told`` has where a class was described already."""
    yield f"## `{path}`\n" if path else "## Top level\n"
    first = told.setdefault(shape.cls, path)
    if first != path:
        yield f"As `{first}`.\n"
        return
    intro = (inspect.getdoc(shape.cls) or "").split("\n\n")[0].replace("\n", " ")
    if intro and path:
        yield _code(intro) + "\n"
    yield "| Key | Value | Default | Meaning |\n|---|---|---|---|"
    yield from _rows(shape, "")
    yield ""
    for member, inner in _inner(shape):
        yield from _section(f"{path}.{member}" if path else member, inner, told)


def _rows(shape: Shape, prefix: str) -> Iterator[str]:
    docs = attribute_docs(shape.cls)
    if shape.cls is WholeFile:
        docs |= {name: docs[name] + UNBUILT for name in docs.keys() - BUILT_SECTIONS}
    for member in shape.members:
        if isinstance(member.kind, Group):
            yield from (_row(each, f"{member.name}.", docs) for each in member.kind.members)
        else:
            yield _row(member, prefix, docs)
    for _, inner in shape.spread:
        yield from _rows(inner, prefix)


def _row(member: Member, prefix: str, docs: Mapping[str, str]) -> str:
    doc = _code(docs.get(member.field, ""))
    if member.also:
        doc += f" Also spelt {', '.join(f'`{name}`' for name in member.also)}."
    if member.default_unless_positive:
        doc += " 0 stands for the default."
    name = f"`{prefix}{member.name}`{' ↻' if member.restart else ''}"
    default = "*needed*" if member.needed else _shown(member.default)
    return f"| {name} | {_cell(_value(member.kind))} | {_cell(default)} | {_cell(doc.strip())} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", text)


def _shown(default: object) -> str:
    plain = _plain(default)
    if plain in (None, "", [], {}) or isinstance(plain, dict):
        return ""
    return f"`{json.dumps(plain)}`"


def _plain(default: object) -> object:
    """A default as JSON has it; secrets and whole sections have none to show."""
    if isinstance(default, tuple):
        return [_plain(each) for each in default]
    if isinstance(default, Mapping):
        return {name: _plain(value) for name, value in default.items()}
    if isinstance(default, Secret) or attrs.has(type(default)):
        return None
    return default


def _value(kind: Kind) -> str:
    match kind:
        case Scalar(sort, rules):
            return _scalar_words(sort, rules)
        case Choice(words):
            return " or ".join(f"`{word}`" for word in words)
        case Listed(inner):
            return f"list: {_value(inner)}"
        case Mapped(inner):
            return f"name → {_value(inner)}"
        case Hidden():
            return "secret"
        case Either(kinds):
            return " or ".join(dict.fromkeys(_value(each) for each in kinds))
        case Section():
            return "section"
        case _:
            return "anything"


def _scalar_words(sort: type, rules: Sequence[object]) -> str:
    word = {bool: "true or false", int: "whole number", float: "number", str: "text"}[sort]
    for rule in rules:
        if isinstance(rule, Text):
            word = rule.allowed
        elif isinstance(rule, Range) and rule.allowed:
            word = f"{word}, {rule.allowed}"
    return f"{word}, or `env.NAME`" if Mark.FROM_ENV in rules else word


def _inner(shape: Shape) -> Iterator[tuple[str, Shape]]:
    """Sections inside, with their path: ``[]`` for lists, ``<name>`` for mappings."""
    for member in shape.members:
        kind, suffix = member.kind, ""
        if isinstance(kind, Listed):
            kind, suffix = kind.item, "[]"
        elif isinstance(kind, Mapped):
            kind, suffix = kind.value, ".<name>"
        if isinstance(kind, Section):
            yield f"{member.name}{suffix}", kind.shape


# JSON Schema


def json_schema() -> dict[str, object]:
    """``docs/config.schema.json``. Shared sections stand once, under ``$defs``."""
    defs: dict[str, object] = {}
    top = _section_object(shape_of(WholeFile), defs)
    return {"$schema": DRAFT, "title": "Bifrost configuration", **top, "$defs": defs}


def _schema_of(kind: Kind, defs: dict[str, object]) -> dict[str, object]:
    match kind:
        case Scalar(sort, rules):
            return _scalar_schema(sort, rules)
        case Choice(words):
            return {"enum": list(words)}
        case Listed() | Mapped():
            return _collection_schema(kind, defs)
        case Hidden():
            return {"anyOf": [{"type": "string"}, SECRET_OBJECT]}
        case Either(kinds):
            return {"anyOf": [_schema_of(each, defs) for each in kinds]}
        case Section(shape):
            return _section_schema(shape, defs)
        case Group(members):
            return _object(_properties(members, {}, defs), [])
        case _:
            return {}


def _collection_schema(kind: Listed | Mapped, defs: dict[str, object]) -> dict[str, object]:
    schema: dict[str, object]
    if isinstance(kind, Listed):
        schema = {"type": "array", "items": _schema_of(kind.item, defs)}
        if Mark.WHITELIST in kind.rules or Mark.NO_DUPLICATES in kind.rules:
            schema["uniqueItems"] = True
        return schema
    schema = {"type": "object", "additionalProperties": _schema_of(kind.value, defs)}
    for rule in kind.rules:
        if isinstance(rule, Names):
            schema["propertyNames"] = {"enum": list(rule.known)}
    return schema


SECRET_OBJECT: dict[str, object] = {
    "type": "object",
    "properties": {
        "value": {"type": "string"},
        "env_var": {"type": "string"},
        "from_env": {"type": "boolean"},
    },
    "additionalProperties": False,
}


def _scalar_schema(sort: type, rules: Sequence[object]) -> dict[str, object]:
    word = {bool: "boolean", int: "integer", float: "number", str: "string"}[sort]
    schema: dict[str, object] = {"type": word}
    for rule in rules:
        if isinstance(rule, Range) and Mark.DEFAULT_UNLESS_POSITIVE not in rules:
            bounds = {
                "minimum": rule.low,
                "exclusiveMinimum": rule.above,
                "maximum": None if rule.clamps else rule.high,
            }
            schema |= {name: bound for name, bound in bounds.items() if bound is not None}
        elif isinstance(rule, Text) and Mark.FROM_ENV not in rules:
            schema["description"] = rule.allowed
    return schema


def _section_schema(shape: Shape, defs: dict[str, object]) -> dict[str, object]:
    name = shape.cls.__name__
    if name not in defs:
        defs[name] = _section_object(shape, defs)
    return {"$ref": f"#/$defs/{name}"}


def _section_object(shape: Shape, defs: dict[str, object]) -> dict[str, object]:
    properties = _properties(shape.members, attribute_docs(shape.cls), defs)
    for _, inner in shape.spread:
        properties |= _properties(inner.members, attribute_docs(inner.cls), defs)
    needed = [member.name for member in shape.members if member.needed and not member.also]
    return _object(properties, needed)


def _object(properties: dict[str, object], needed: list[str]) -> dict[str, object]:
    """``null`` is what is left of a section when all its keys are commented out."""
    return {
        "type": ["object", "null"],
        "properties": properties,
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }


def _properties(
    members: Sequence[Member], docs: Mapping[str, str], defs: dict[str, object]
) -> dict[str, object]:
    properties: dict[str, object] = {}
    for member in members:
        schema = _schema_of(member.kind, defs)
        if docs.get(member.field):
            schema = {**schema, "description": docs[member.field].replace("``", "`")}
        default = _plain(member.default)
        if default is not None and not member.needed and not isinstance(default, dict):
            schema = {**schema, "default": default}
        properties |= dict.fromkeys(member.names, schema)
    return properties
