"""JSON schemas as Gemini takes them: each keyword, both forms, and that whatever comes in, what goes out is acceptable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost.dialects.fields import Losses
from bifrost.dialects.gemini_schema import json_schema, parameters
from bifrost.errors import BadRequest

PLACE = "p"


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def said(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    losses = Losses()
    return parameters(schema, losses, PLACE), losses.names


def property_of(schema: Any) -> tuple[Any, list[str]]:
    members, lost = said(of(x=schema))
    return members["parameters"]["properties"]["x"], lost


@pytest.mark.parametrize(
    ("schema", "there", "lost"),
    [
        ({"type": "string"}, {"type": "STRING"}, []),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}, []),
        ({"enum": ["a", "b"]}, {"type": "STRING", "enum": ["a", "b"]}, []),
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}, []),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}, []),
        ({"type": "string", "format": "uri"}, {"type": "STRING"}, ["p.format"]),
        ({"type": "integer", "minimum": 1, "exclusiveMaximum": 9}, {"type": "INTEGER", "minimum": 1}, ["p.exclusiveMaximum"]),
        ({"type": "string", "pattern": "a+", "minLength": 1}, {"type": "STRING", "pattern": "a+", "minLength": 1}, []),
        ({"type": "array", "items": {"type": "number"}, "uniqueItems": True}, {"type": "ARRAY", "items": {"type": "NUMBER"}}, ["p.uniqueItems"]),
        ({"items": {"type": "boolean"}}, {"type": "ARRAY", "items": {"type": "BOOLEAN"}}, []),
        (
            {"properties": {"y": {"type": "string"}}, "required": ["y"], "additionalProperties": False},
            {"type": "OBJECT", "properties": {"y": {"type": "STRING"}}, "required": ["y"]},
            [],
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "X", "description": "d"},
            {"nullable": True, "type": "STRING", "default": None, "title": "X", "description": "d"},
            [],
        ),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}, []),
        ({"allOf": [{"type": "string"}], "description": "d"}, {"type": "STRING", "description": "d"}, []),
        ({"type": "string", "$comment": "c", "examples": ["a"]}, {"type": "STRING"}, []),
    ],
)  # fmt: skip
def test_what_parameters_can_say(schema: Any, there: Any, lost: list[str]) -> None:
    assert property_of(schema) == (there, lost)


@pytest.mark.parametrize(
    ("schema", "there"),
    [
        ({"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}),
        ({"$ref": "#/definitions/x", "description": "d"}, {"$ref": "#/$defs/x"}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (
            {"type": ["string", "integer", "null"], "enum": ["a", 1, None], "description": "d", "minimum": 0},
            {"description": "d", "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "integer", "minimum": 0, "enum": [1]}, {"type": "null", "enum": [None]}]},
        ),
        ({"enum": [1, 2]}, {"enum": [1, 2]}),
        ({"const": 1}, {"enum": [1]}),
        ({"type": "integer", "enum": ["1"]}, {"type": "integer", "enum": ["1"]}),
        ({}, {}),
        (True, True),
        ({"type": "array"}, {"type": "array"}),
        ({"type": "object"}, {"type": "object"}),
        ({"type": "null"}, {"type": "null"}),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, {"type": "array", "prefixItems": [{"type": "string"}]}),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "object", "additionalProperties": {"type": "string"}}),
        (
            {"type": "object", "properties": {"y": {"type": "string"}}, "required": ["z"]},
            {"type": "object", "properties": {"y": {"type": "string"}}, "required": ["z"]},
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "d"},
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "d"},
        ),
    ],
)  # fmt: skip
def test_what_parameters_cannot_say_is_said_as_json_schema(schema: Any, there: Any) -> None:
    members, lost = said(of(x=schema))

    assert members == {"parametersJsonSchema": of(x=there)}
    assert lost == []


def test_a_tree_refers_to_itself() -> None:
    node = of(next={"$ref": "#/definitions/node"}, value={"type": "string", "pattern": "a"})

    members, lost = said({**of(root={"$ref": "#/definitions/node"}), "definitions": {"node": node}})

    known = of(next={"$ref": "#/$defs/node"}, value={"type": "string"})
    assert members["parametersJsonSchema"] == {
        **of(root={"$ref": "#/$defs/node"}), "$defs": {"node": known},
    }  # fmt: skip
    assert lost == ["p.pattern"]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        {"$schema": "x", "type": "object", "properties": {}, "title": "T"},
    ],
)
def test_functions_that_take_nothing_have_no_parameters(schema: Any) -> None:
    assert said(schema) == ({}, [])


def test_an_open_object_takes_something() -> None:
    assert "parametersJsonSchema" in said({"type": "object", "additionalProperties": True})[0]


def test_answers_keep_what_is_known() -> None:
    losses = Losses()
    schema = {
        **of(a={"type": ["string", "null"], "minLength": 1}),
        "required": ["a"],
        "additionalProperties": False,
        "strict": True,
    }

    told = json_schema(schema, losses, PLACE)

    assert told == {
        **of(a={"type": ["string", "null"]}), "required": ["a"], "additionalProperties": False,
    }  # fmt: skip
    assert losses.names == ["p.minLength", "p.strict"]


def test_a_reference_stands_alone() -> None:
    losses = Losses()

    assert json_schema({"$ref": "#/$defs/a", "default": 1}, losses, PLACE) == {"$ref": "#/$defs/a"}
    assert losses.names == ["p.default"]


@pytest.mark.parametrize(
    "schema",
    [
        of(x={"type": "object", "properties": []}),
        of(x={"type": 1}),
        of(x={"type": [{}]}),
        of(x={"anyOf": {}}),
        of(x={"type": "object", "properties": {"y": {"type": "string"}}, "required": [1]}),
        of(x={"$defs": 1, "prefixItems": []}),
        of(x={"prefixItems": 1}),
    ],
)
def test_schemas_that_are_none_are_refused(schema: Any) -> None:
    with pytest.raises(BadRequest, match=r"^p"):
        said(schema)


def test_schemas_have_a_depth() -> None:
    schema: Any = {"type": "string"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}

    with pytest.raises(BadRequest, match="nested too deeply"):
        said(of(x=schema))


def _objects(inner: Any) -> Any:
    names = st.sampled_from(["a", "b", "c"])
    return st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(names, inner, max_size=3)},
        optional={
            "required": st.lists(names, max_size=2),
            "additionalProperties": st.booleans() | inner,
            "description": st.text(max_size=3),
            "patternProperties": st.just({}),
        },
    )


def _arrays(inner: Any) -> Any:
    return st.fixed_dictionaries(
        {"type": st.just("array")}, optional={"items": inner, "maxItems": st.integers(0, 9)}
    )


def _choices(inner: Any) -> Any:
    some = st.lists(inner, max_size=3)
    return st.fixed_dictionaries({}, optional={"anyOf": some, "oneOf": some, "allOf": some})


LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", "boolean", "null", "odd"])
        | st.lists(st.sampled_from(["string", "integer", "null"]), unique=True),
        "enum": st.lists(st.text(max_size=2) | st.integers() | st.none(), max_size=3),
        "const": st.text(max_size=2),
        "format": st.sampled_from(["int32", "uri", "date-time"]),
        "default": st.none() | st.text(max_size=2),
        "multipleOf": st.integers(1, 3),
        "$ref": st.just("#/$defs/a"),
    },
)
SCHEMAS = st.recursive(
    LEAVES, lambda inner: _objects(inner) | _arrays(inner) | _choices(inner), max_leaves=8
)


def acceptable(schema: dict[str, Any]) -> None:
    """What Gemini says of ``parameters``, as far as its refusals have been told."""
    assert ("type" in schema) or set(schema) == {"anyOf"}
    if schema.get("type") == "ARRAY":
        assert "items" in schema
    if schema.get("type") == "OBJECT":
        assert schema["properties"]
        assert set(schema.get("required", ())) <= set(schema["properties"])
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        acceptable(inner)
    if "items" in schema:
        acceptable(schema["items"])


@given(st.dictionaries(st.sampled_from(["x", "y"]), SCHEMAS, min_size=1))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_in_what_goes_out_is_acceptable(properties: dict[str, Any]) -> None:
    schema = of(**properties)
    before = json.dumps(schema)

    members, _ = said(schema)

    types.FunctionDeclaration.model_validate({"name": "f", **members})
    assert json.dumps(schema) == before
    if "parameters" in members:
        acceptable(members["parameters"])
