from __future__ import annotations

import pytest

from bifrost.config.faults import ConfigError, ConfigErrors, below, item, kind_of, nearest, shown


def test_an_error_is_one_line_with_path_found_allowed_and_the_nearest_name() -> None:
    error = ConfigError("client.fallback_on", "'sever'", "server or all", "server")

    assert (
        str(error)
        == "client.fallback_on: found 'sever'; allowed: server or all (did you mean \"server\"?)"
    )


def test_the_document_itself_has_a_name_too() -> None:
    assert str(ConfigErrors([ConfigError("", "a list", "a mapping")])) == (
        "configuration: found a list; allowed: a mapping"
    )


@pytest.mark.parametrize(
    ("path", "name", "joined"),
    [
        ("", "client", "client"),
        ("a", "b-c", "a.b-c"),
        ("a", "x.y", "a['x.y']"),
        ("a", "n\nm", "a['n\\nm']"),
    ],
)
def test_names_join_to_a_path(path: str, name: str, joined: str) -> None:
    assert below(path, name) == joined


def test_long_names_are_cut_and_items_numbered() -> None:
    assert len(below("a", "x " * 100)) < 100
    assert item("a.b", 3) == "a.b[3]"


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (None, "nothing", "nothing"),
        (True, "true or false", "true"),
        (False, "true or false", "false"),
        (3, "a number", "3"),
        (10**40, "a number", "a very long number"),
        pytest.param(10**5000, "a number", "a very long number", id="unprintable"),
        ("", "an empty text", "an empty text"),
        ("short", "a text", "'short'"),
        ("x" * 30, "a text", "a text"),
        ([], "a list", "a list"),
        ({}, "a mapping", "a mapping"),
    ],
)
def test_what_was_found_is_told_without_repeating_long_texts(
    value: object, kind: str, said: str
) -> None:
    assert (kind_of(value), shown(value)) == (kind, said)


def test_the_nearest_name_is_near_or_none() -> None:
    assert nearest("Opnai", ["openai", "groq"]) == "openai"
    assert nearest("zzzz", ["openai", "groq"]) is None
