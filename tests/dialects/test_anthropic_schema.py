"""Schemas for structured output: what Anthropic knows is kept, everything else is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.dialects.anthropic_schema import MAX_DEPTH, normalised
from bifrost.errors import BadRequest

STRING = {"type": "string"}


def made(schema: Any) -> tuple[Any, list[str]]:
    lost: list[str] = []
    return normalised(schema, "s", lost.append), lost


@pytest.mark.parametrize(
    ("schema", "sent", "lost"),
    [
        ({}, {}, []),
        (STRING, STRING, []),
        ({"type": ["string"]}, STRING, []),
        ({"type": ["string", "null"]}, {"anyOf": [STRING, {"type": "null"}]}, []),
        ({"type": ["null"]}, {"type": "null"}, []),
        (
            {"type": ["string", "integer", "null"], "enum": ["a", 1, None, True], "title": "T"},
            {"title": "T", "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "integer", "enum": [1]}, {"type": "null", "enum": [None]}]},
            [],
        ),
        ({"type": ["string", "null"], "enum": ["a"]}, {"anyOf": [{"type": "string", "enum": ["a"]}]}, []),
        (
            {"type": ["string", "null"], "anyOf": [{"const": "a"}, {"const": None}]},
            {"allOf": [{"anyOf": [{"const": "a"}, {"const": None}]}, {"anyOf": [STRING, {"type": "null"}]}]},
            [],
        ),
        (
            {"type": ["object", "array"], "properties": {"a": STRING}, "items": STRING, "required": ["a"]},
            {"anyOf": [
                {"type": "object", "properties": {"a": STRING}, "required": ["a"], "additionalProperties": False},
                {"type": "array", "items": STRING},
            ]},
            [],
        ),
        ({"type": "object"}, {"type": "object", "properties": {}, "additionalProperties": False}, []),
        (
            {"type": "object", "properties": {"b": {"type": "integer", "minimum": 1}, "a": True}, "additionalProperties": STRING},
            {"type": "object", "properties": {"b": {"type": "integer"}, "a": {}}, "additionalProperties": False},
            ["s.minimum", "s.additionalProperties"],
        ),
        ({"oneOf": [STRING], "anyOf": [STRING]}, {"anyOf": [STRING]}, ["s.oneOf"]),
        ({"oneOf": [STRING, {"type": "null"}]}, {"anyOf": [STRING, {"type": "null"}]}, []),
        (
            {"$defs": {"x": {"type": "string", "maxLength": 3}}, "$ref": "#/$defs/x", "$schema": "…"},
            {"$defs": {"x": STRING}, "$ref": "#/$defs/x"},
            ["s.maxLength"],
        ),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}, []),
        ({"type": "string", "format": "color"}, STRING, ["s.format"]),
        ({"type": "array", "items": STRING, "minItems": 1}, {"type": "array", "items": STRING, "minItems": 1}, []),
        ({"type": "array", "items": False, "minItems": 2}, {"type": "array", "items": {}}, ["s.false", "s.minItems"]),
    ],
)  # fmt: skip
def test_schemas(schema: Any, sent: Any, lost: list[str]) -> None:
    assert made(schema) == (sent, lost)


@pytest.mark.parametrize("kind", [None, 1, [], [1], {}])
def test_what_is_no_type_is_refused_with_its_place(kind: Any) -> None:
    with pytest.raises(BadRequest, match=r"s\.type must be the name of a type") as caught:
        made({"items": {"type": kind}})

    assert caught.value.param == "s.type"


def test_the_order_of_keys_is_kept() -> None:
    sent, _ = made({"type": "object", "properties": {"z": STRING, "a": STRING}})

    assert list(sent["properties"]) == ["z", "a"]


def test_depth_is_bounded() -> None:
    deep: dict[str, Any] = STRING
    for _ in range(MAX_DEPTH + 1):
        deep = {"items": deep}

    with pytest.raises(BadRequest, match=r"s is nested too deeply"):
        made(deep)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "properties", "items", "anyOf", "oneOf", "enum", "$defs", "format", "x"]), inner, max_size=4
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["type", "properties", "items", "anyOf", "enum"]), JSON))
def test_anything_is_refused_or_normalised_once(schema: Any) -> None:
    try:
        once, _ = made(schema)
    except BadRequest:
        return

    assert made(once) == (once, [])
