from __future__ import annotations

import pytest

from bifrost.config.secret import Secret
from bifrost.dialects.scrub import scrub_value, scrubber


@pytest.mark.parametrize(
    ("key", "text", "scrubbed"),
    [
        ("odd key/1+é", "you sent odd key/1+é twice: odd key/1+é", "you sent *** twice: ***"),
        ("odd key/1", "GET /?key=odd%20key%2F1 or odd%20key/1", "GET /?key=*** or ***"),
        ('a"b/c\\d', 'in JSON: a\\"b/c\\\\d and a\\"b\\/c\\\\d', "in JSON: *** and ***"),
        ("", "Authorization: Bearer abcdefgh123.x", "Authorization: Bearer ***"),
        ("", "basic dXNlcjpwYXNz1", "basic ***"),
        ("", "Bearer authentication is required", "Bearer authentication is required"),
        ("", "Incorrect API key: sk-proj-0123456789abcdef.", "Incorrect API key: ***."),
        ("", "gsk_0123456789abcdef xai-0123456789abcdef", "*** ***"),
        ("", "AIzaSyA0123456789abcdefghij", "***"),
        ("", "token ya29.c.b0AXv0zTPq-x for AKIAIOSFODNN7EXAMPLE", "token *** for ***"),
        ("line-one\nline-two\n\n", "line-two, line-one", "***, ***"),
        ("abc", "abc is too short to be a key", "abc is too short to be a key"),
        ("  spaced-key \n", "spaced-key", "***"),
        ("other", "risk-free task-management", "risk-free task-management"),
    ],
)
def test_credentials_become_stars(key: str, text: str, scrubbed: str) -> None:
    assert scrubber(Secret(key))(text) == scrubbed


def test_without_a_key_only_patterns_count() -> None:
    assert scrubber(None)("plain") == "plain"


def test_all_strings_of_a_value_are_scrubbed() -> None:
    scrub = scrubber(Secret("KEY-1234"))

    assert scrub_value(scrub, {"KEY-1234": ["KEY-1234", 1, None], "b": {"c": "x"}}) == {
        "***": ["***", 1, None],
        "b": {"c": "x"},
    }
