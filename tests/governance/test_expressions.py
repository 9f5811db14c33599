from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.governance.expressions import (
    MAX_DEPTH,
    MAX_TEXT,
    NO_MENTIONS,
    BadExpression,
    Expression,
    Facts,
    Mentions,
    NoAnswer,
)

FACTS = Facts(
    model="gpt-4o",
    provider="openai",
    request_type="chat_completion",
    headers={"x-tier": "premium", "x-dashed-name": "1"},
    params={"region": "eu"},
    virtual_key_id="vk-1",
    virtual_key_name="Ann's key",
    team_id="t-1",
    team_name="Research",
    customer_id="c-1",
    customer_name="Acme",
    budget_used=85.5,
    tokens_used=50.0,
    request=101.0,
)


def holds(text: str, facts: Facts = FACTS) -> bool:
    return Expression.compile(text).holds(facts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        (" \n", True),
        ("true", True),
        ("false", False),
        ('model == "gpt-4o"', True),
        ('model != "gpt-4o"', False),
        ('provider == "openai" && request_type == "chat_completion"', True),
        ('model.startsWith("gpt-") || false', True),
        ('model.endsWith("4o") && model.contains("t-4")', True),
        ('model.matches("^gpt-[0-9]o$")', True),
        (r'model.matches(r"^gpt-\d\w$")', True),
        ('model in ["gpt-4o", "gpt-5"]', True),
        ('team_name == "Research" ? true : false', True),
        ("virtual_key_id == 'vk-1' && virtual_key_name != \"\"", True),
        ('customer_id == "c-1" && customer_name == "Acme" && team_id == "t-1"', True),
        # Numbers: integer literals against doubles.
        ("budget_used > 80", True),
        ("80 < budget_used", True),
        ("budget_used > 80.5 && budget_used <= 85.5", True),
        ("tokens_used == 50", True),
        ("tokens_used != 50.5", True),
        ("request > 100u", True),
        ("budget_used + tokens_used > 130.0", True),
        # Maps.
        ('headers["x-tier"] == "premium"', True),
        ('headers["X-Tier"] == "premium"', True),
        ("headers['X-TIER'] == 'premium'", True),
        ("headers.X_tier == 'premium'", False),
        ('"X-Tier" in headers', True),
        ('!("X-None" in headers)', True),
        ("has(headers.nothing)", False),
        ('params["Region"] == "eu" && params.REGION in ["eu", "us"]', True),
        ('"REGION" in params', True),
        ("size(headers) == 2 && size(params) == 1", True),
        ('headers["X-Tier"].startsWith("prem")', True),
        ("true // a comment", True),
        ("type(model) == string", True),
        ('string(1) + "a" == "1a"', True),
    ],
)
def test_an_expression_holds_or_does_not(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('headers["x-none"] == "a"', False),
        ('headers["x-none"] != "a"', False),
        ('params.none == "a"', False),
        ("headers[model] == 'a'", False),
        # As CEL has it, what decides without the missing one decides.
        ('headers["x-none"] == "a" || model == "gpt-4o"', True),
        ('model == "gpt-4o" || headers["x-none"] == "a"', True),
    ],
)
def test_a_key_that_is_missing_makes_it_false(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("model", "neither true nor false"),
        ("1 + 1", "neither true nor false"),
        ("headers", "neither true nor false"),
        ("null", "neither true nor false"),
        ("model > 3", "go together"),
        ("model + 1 == 2", "go together"),
        ("!model", "go together"),
        ("1 / 0 > 1", "failed"),
        ("9223372036854775807 + 1 > 0", "failed"),
        ("[1][5] == 1", "failed"),
        ("int(model) > 1", "failed"),
    ],
)
def test_what_is_neither_is_told_so_without_the_facts(text: str, why: str) -> None:
    with pytest.raises(NoAnswer, match=why) as caught:
        holds(text)

    assert "gpt-4o" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("model ==", "a syntax error at line 1, character 9"),
        ("true\n&& &&", "a syntax error at line 2, character 4"),
        ("model = 'a'", "a syntax error"),
        ("(model == 'a'", "a syntax error"),
        ("'a", "a syntax error"),
        ('"\\q" == model', "a syntax error"),
        ("model == 'a' model", "a syntax error"),
        ("// nothing", "a syntax error"),
        ("nosuch == 1", "an unknown variable"),
        (".headers.a == 'a'", "an unknown variable"),
        ("cost(model) > 1", "an unknown function"),
        ("model.lowerAscii() == 'a'", "an unknown function"),
        ("model.matches(headers['x'])", "matches without a pattern"),
        ("model.matches('a' + 'b')", "matches without a pattern"),
        ("matches", "an unknown variable"),
        ("model.matches('(')", "a pattern that is none"),
        (r"model.matches(r'(a)\1')", "a pattern that is none"),
        ("model.matches(b'a')", "a pattern that is none"),
        ("model.matches('(.{1,100}){1,100}')", "patterns that repeat too much"),
        ("headers.exists(h, h == 'a')", "the macro exists"),
        ("[1, 2].map(x, x * 2) == [2, 4]", "the macro map"),
        ("[1].all(x, [1].all(y, true))", "the macro all"),
        ("(" * (MAX_DEPTH + 1) + "true" + ")" * (MAX_DEPTH + 1), "nested too deeply"),
        ("true" + " " * MAX_TEXT, f"{MAX_TEXT + 4} characters"),
    ],
)
def test_what_is_no_expression_is_refused(text: str, found: str) -> None:
    with pytest.raises(BadExpression) as caught:
        Expression.compile(text)

    assert found in caught.value.found
    assert caught.value.allowed in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_refusal_repeats_nothing_of_the_text() -> None:
    with pytest.raises(BadExpression) as caught:
        Expression.compile('headers["x-token"] == "hunter2" &&& true')

    assert "hunter2" not in str(caught.value)


def test_brackets_in_texts_are_not_counted() -> None:
    assert holds(f"model != '{'(' * 100}'")


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("model == 'headers'", NO_MENTIONS),
        ('headers["X-A"] == "b"', Mentions(frozenset({"x-a"}))),
        ('"X-A" in headers && headers.b == "1"', Mentions(frozenset({"x-a", "b"}))),
        ("model == 'a' ? 'X-A' in headers : 'X-B' in headers", Mentions(frozenset({"x-a", "x-b"}))),
        ('has(headers.X_A) && r"X-B" in headers', Mentions(frozenset({"x_a", "x-b"}))),
        ("headers[model] == 'a'", Mentions(None)),
        ("size(headers) > 1", Mentions(None)),
        ("model in headers", Mentions(None)),
        ('headers["X-" + "A"] == "a"', Mentions(None)),
        ('"X-" + "A" in headers', Mentions(None)),
        (r'headers["X\x2dA"] == "a"', Mentions(None)),
        ('headers["É"] == "a"', Mentions(None)),
        ("headers.size() > 1", Mentions(None)),
        ('b"X" in headers', Mentions(None)),
        ("'a' in params", Mentions(params=True)),
        ("headers.a == params.b", Mentions(frozenset({"a"}), params=True)),
        ("true // headers.a", NO_MENTIONS),
    ],
)
def test_it_is_known_what_of_a_request_is_asked_for(text: str, mentions: Mentions) -> None:
    assert Expression.compile(text).mentions == mentions


def test_only_keys_are_lowered() -> None:
    facts = attrs.evolve(FACTS, model="X-Tier", headers={"x-tier": "A-B"})

    assert holds('headers["X-Tier"] == "A-B" && model == "X-Tier"', facts)
    assert not holds('headers["X-Tier"] == "a-b"', facts)
    assert holds('("X-Tier" == "x-tier") == false', facts)


def test_mentions_add_up() -> None:
    a, b = Mentions(frozenset({"a"})), Mentions(frozenset({"b"}), params=True)

    assert a | b == Mentions(frozenset({"a", "b"}), params=True)
    assert a | Mentions(None) == Mentions(None) | a == Mentions(None)
    assert not NO_MENTIONS
    assert all((a, b, Mentions(None), Mentions(params=True)))


def test_only_what_is_asked_for_need_be_told() -> None:
    facts = attrs.evolve(FACTS, asked=frozenset({"model", "headers", "string"}))

    assert holds('model == "gpt-4o" && headers["x-tier"] == "premium"', facts)
    with pytest.raises(NoAnswer):
        holds("budget_used > 80", facts)


def test_the_variables_are_known() -> None:
    assert Expression.compile("budget_used > 80 && model != ''").variables == {
        "budget_used",
        "model",
    }


FRAGMENTS = st.sampled_from(
    [
        *("model", "headers", "params", "budget_used", "true", "false", "null", "1", "2.5", "3u"),
        *("'a'", '"X-A"', "r'b'", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "-", "!"),
        *("&&", "||", "==", "!=", "<", ">", "+", "*", "/", "%", " in ", "size", "has", "matches"),
        *("startsWith", "int", "type", "exists", "'", '"', "\\", "\n", "//", "é", "\x00"),
    ]
)


@given(st.lists(FRAGMENTS, max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_is_refused_or_answers(text: str) -> None:
    try:
        expression = Expression.compile(text)
    except BadExpression:
        return
    with suppress(NoAnswer):
        assert expression.holds(FACTS) in {True, False}


@pytest.mark.parametrize(
    "text",
    [
        "!" * (MAX_TEXT - 4) + "true",
        "-" * (MAX_TEXT - 3) + "1<0",
        "&&".join(["true"] * (MAX_TEXT // 6)),
        "+".join(["1"] * (MAX_TEXT // 2)),
        "headers" + ".a" * ((MAX_TEXT - 7) // 2),
        "model" + ".size()" * ((MAX_TEXT - 5) // 7),
        "true" + "?true:true" * ((MAX_TEXT - 4) // 10),
        "[" * (MAX_TEXT // 2) + "]" * (MAX_TEXT // 2),
        "'" * MAX_TEXT,
        '"""' * (MAX_TEXT // 3),
    ],
    ids=lambda text: text[:12],
)
def test_the_longest_texts_are_survived(text: str) -> None:
    assert len(text) <= MAX_TEXT
    with suppress(BadExpression, NoAnswer):
        Expression.compile(text).holds(FACTS)


def test_the_library_is_imported_only_where_there_are_rules() -> None:
    script = (
        "import json, sys, bifrost.governance.routing as routing\n"
        "from bifrost.governance.expressions import Expression, Facts\n"
        "Expression.compile('').holds(Facts(model='m'))\n"
        "print(json.dumps('cel' in sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert json.loads(done.stdout) is False
