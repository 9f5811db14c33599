from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost.config.document import MAX_BYTES, MAX_DEPTH, parse_document
from bifrost.config.faults import ConfigErrors

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def fatal(text: str) -> str:
    with pytest.raises(ConfigErrors) as caught:
        parse_document(text)
    (error,) = caught.value.errors
    return str(error)


def faults(text: str) -> list[str]:
    return [f"{error.path}: {error.found}" for error in parse_document(text)[1]]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=8).filter(str.isprintable), JSON_VALUES, max_size=5))
def test_every_json_document_reads_as_json_does(value: object) -> None:
    text = json.dumps(value)

    assert parse_document(text) == (json.loads(text), ())


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_document_or_refused(text: str) -> None:
    try:
        _, errors = parse_document(text)
    except ConfigErrors as refused:
        errors = refused.errors

    assert all("\n" not in str(error) for error in errors)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("a: no", {"a": "no"}),
        ("a: on", {"a": "on"}),
        ("a: true", {"a": True}),
        ("a: 2024-10-21", {"a": "2024-10-21"}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: 010", {"a": 10}),
        ("a: 0x1f", {"a": 31}),
        ("a: 0o17", {"a": 15}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: .5", {"a": 0.5}),
        ("a: -.inf", {"a": float("-inf")}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: '1'", {"a": "1"}),
        ("a: !!str 1", {"a": "1"}),
        ("5: x", {"5": "x"}),
        ("- 1\n- [2]", [1, [2]]),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}}),
        ("b: {<<: [{p: 1}, {p: 2, q: 2}]}", {"b": {"p": 1, "q": 2}}),
        ("{'<<': 1}", {"<<": 1}),
        ("&k a: 1\nb: *k", {"a": 1, "b": "a"}),
        (r'{"a": "\ud83d\ude00 \\ud83d\\ude00"}', {"a": "😀 \\ud83d\\ude00"}),
    ],
)
def test_plain_values_are_read_as_yaml_1_2_has_them(text: str, value: object) -> None:
    assert parse_document(text) == (value, ())


def test_a_number_that_is_none_is_read_as_such() -> None:
    value, _ = parse_document("a: .nan")

    assert isinstance(value, dict)
    assert value["a"] != value["a"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\na: 2", "a: the same key twice"),
        ("p: {openai: {keys: []}, openai: {}}", "p.openai: the same key twice"),
        ('{"x": [{"y": 1, "y": 1}]}', "x[0].y: the same key twice"),
        ("a: !secret hunter2", "a: a YAML tag"),
        ("a: " + "9" * 5000, "a: a very long number"),
        ("a: {<<: 3}", "a['<<']: a number"),
    ],
)
def test_what_does_not_stop_the_reading_is_told_with_its_path(text: str, found: str) -> None:
    assert faults(text) == [found]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: b\n c: d", "line 2, column 3"),
        ("a: [1", "line "),
        ("a: *hunter2", "a: found an alias without its anchor"),
        ("a: &x [*x]", "a[0]: found an alias without its anchor"),
        ("a: 1\n---\nb: 2", "found a second document"),
        ("? [1]\n: 2", "a key that is no plain text"),
        ("a: \x01", "characters that YAML does not allow"),
        ("a: '\ud800'", "characters that YAML does not allow"),
        ("[" * 200_000, "too deep a nesting"),
        ("- " * (MAX_DEPTH + 2), "too deep a nesting"),
        ("a" * (MAX_BYTES + 1), "more than 10 MiB"),
        ("ä" * (MAX_BYTES // 2 + 1), "more than 10 MiB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, words: str) -> None:
    told = fatal(text)

    assert words in told
    assert "hunter2" not in told


def test_aliases_that_multiply_are_refused_before_they_do() -> None:
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    assert "too many values" in fatal("\n".join(lines))
