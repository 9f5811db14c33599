from __future__ import annotations

import pytest

from bifrost.config import texts
from bifrost.config.rules import Range, Text, at_least, between, positive


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        (texts.NAME, ["a", "gpt-4o", "a b"], ["", " ", "a ", "a\nb"]),
        (texts.PROVIDER_NAME, ["my-llm", "x.1"], ["", "a/b", "A", "-a"]),
        (
            texts.ADDRESS,
            ["http://localhost", "https://a.b:443/v1/x", "http://[::1]:80/"],
            [
                "",
                "ftp://a",
                "http://",
                "http://u:p@a",
                "http://a?x",
                "http://a:0",
                "http://a:65536",
                "http://a b",
            ],
        ),
        (
            texts.PROXY_ADDRESS,
            ["http://p:1", "socks5://p:1080", "socks5h://p"],
            ["p:1", "http://u@p"],
        ),
        (texts.HEADER_NAME, ["x-a", "X_b"], ["", "x:y", "x y"]),
        (texts.HEADER_VALUE, ["", "a\tb", "é"], ["a\nb", "😀", "\x00"]),
        (texts.HEADER_PATTERN, ["*", "x-a", "x-*"], ["", "*x", "x-*-y", "**"]),
        (texts.LABEL_NAME, ["team", "team_id"], ["", "1a", "a b"]),
        (
            texts.ORIGIN,
            ["*", "https://a.b", "*.a.b", "https://*.a.b", "http://localhost:3000"],
            ["", "a b", "**"],
        ),
        (texts.ROUTE, ["/api", "/api/*"], ["api", "/a*b", "/a b"]),
        (texts.PEM, ["", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"], ["x"]),
        (
            texts.DURATION,
            ["30s", "1h30m", "1.5h", "300ms", "1d", "1M", "2w", "1Y"],
            ["", "1", "1x", "1d2h", "-1s", "0s", "0.0d"],
        ),
        (texts.MCP_NAME, ["files", "a_1"], ["", "1a", "a-b", "a b"]),
    ],
)
def test_texts_look_as_they_must(text: Text, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not text.holds(value)] == []
    assert [value for value in bad if text.holds(value)] == []
    assert text.allowed


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (at_least(1), "1 or more"),
        (between(0, 100000), "0 or more, at most 100000"),
        (positive(), "more than 0"),
        (Range(high=3), "at most 3"),
        (Range(low=1, high=3, clamps=True), "1 or more"),
        (Range(), ""),
    ],
)
def test_bounds_are_told_in_words(rule: Range, words: str) -> None:
    assert rule.allowed == words


def test_bounds_hold_at_their_ends() -> None:
    assert [value for value in (-1, 0, 1, 2) if between(0, 1).holds(value)] == [0, 1]
    assert [value for value in (0, 0.1) if positive().holds(value)] == [0.1]
    assert Range(low=0, high=1, clamps=True).holds(5)
