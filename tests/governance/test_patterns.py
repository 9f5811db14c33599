from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.governance.patterns import CLASS_WEIGHT, MAX_WEIGHT, weight


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", 0),
        ("abc", 3),
        ("a{8}", 8),
        ("a{2,8}", 8),
        ("a{8,}", 8),
        ("a{0}", 1),
        ("(ab){4}", 8),
        ("(a(b){3}){2}", 8),
        ("x(a{10}){10}y", 102),
        (r"\w", CLASS_WEIGHT),
        (r"\w{4}", 4 * CLASS_WEIGHT),
        (r"\.", 1),
        (r"a\{3}", 4),
        ("[{3}]{4}", 4),
        ("[]a]b", 2),
        (r"[^]\d]{2}", 2 * CLASS_WEIGHT),
        ("[[:alpha:]]{2}", 2),
        ("[(]{3}", 3),
        (r"[\w[a]]{2}", 2 * CLASS_WEIGHT),
        ("[a-z", 1),
        ("a{99999999999999}", 999999999),
        (")a", 2),
        ("(a", 1),
    ],
)
def test_a_pattern_weighs_what_it_makes(pattern: str, expected: int) -> None:
    assert weight(pattern) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        r"^gpt-4o-\d{4}-\d{2}-\d{2}$",
        r"^(gpt|claude|gemini)-[a-z0-9.-]+$",
        "(a+)+$",
        r"^[\w.-]+@example\.com$",
        "(?i)^premium|enterprise$",
    ],
)
def test_ordinary_patterns_are_allowed(pattern: str) -> None:
    assert weight(pattern) <= MAX_WEIGHT


@pytest.mark.parametrize("pattern", ["(.{1,100}){1,100}$", r"\w{60}", "(((a{9}){9}){9})", "a{999}"])
def test_dear_ones_are_not(pattern: str) -> None:
    assert weight(pattern) > MAX_WEIGHT


@given(st.text(alphabet="ab()[]{},0123456789\\w^|*+?.", max_size=40))
def test_every_text_has_a_weight(pattern: str) -> None:
    assert weight(pattern) >= 0
