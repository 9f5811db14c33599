from __future__ import annotations

from typing import Any

import pytest

from bifrost.config.governance_section import (
    GovernanceSection,
    RoutingRuleSection,
    RoutingTargetSection,
)
from bifrost.governance.rules import GLOBAL, BadExpression, Mentions, RuleBook, faults
from governance.nouns import at, key

SCOPES = (("virtual_key", "one"), ("team", "t"), ("customer", "c"), GLOBAL)


def rule(name: str, **more: Any) -> RoutingRuleSection:
    said = {"targets": (RoutingTargetSection(provider="openai"),)} | more
    return RoutingRuleSection(id=name, name=name, **said)


def order(*sections: RoutingRuleSection) -> list[str]:
    return [each.id for each in RuleBook.of(sections).in_order(SCOPES)]


def test_the_nearest_scope_comes_first() -> None:
    sections = (
        rule("global", priority=-5),
        rule("customer", scope="customer", scope_id="c"),
        rule("team", scope="team", scope_id="t", priority=9),
        rule("key", scope="virtual_key", scope_id="one", priority=99),
    )

    assert order(*sections) == ["key", "team", "customer", "global"]


def test_in_a_scope_the_lowest_priority_comes_first_and_then_the_oldest() -> None:
    sections = (rule("b", priority=1), rule("a", priority=1), rule("c"), rule("d", priority=-1))

    assert order(*sections) == ["d", "c", "b", "a"]


def test_others_rules_and_disabled_ones_are_not_asked() -> None:
    sections = (
        rule("foreign", scope="team", scope_id="other"),
        rule("off", enabled=False, cel_expression="no expression"),
        rule("on", scope="global", scope_id="dropped"),
    )

    assert order(*sections) == ["on"]


def test_a_book_knows_what_its_rules_ask_for() -> None:
    book = RuleBook.of(
        (
            rule("a", cel_expression='headers["X-A"] == "1"'),
            rule("b", cel_expression="budget_used > 80 && has(params.q)"),
            rule("c", enabled=False, cel_expression="size(headers) > 1"),
        )
    )

    assert book.mentions == Mentions(frozenset({"x-a"}), params=True)
    assert book.asks_usage
    assert not RuleBook.of((rule("a"),)).asks_usage


def test_a_book_without_rules_is_false() -> None:
    assert not RuleBook.of(())
    assert not RuleBook.of((rule("off", enabled=False),))
    assert RuleBook.of((rule("on"),))


def test_a_bad_expression_makes_no_book() -> None:
    with pytest.raises(BadExpression):
        RuleBook.of((rule("a", cel_expression="model =="),))


# Faults


def told(section: GovernanceSection | None) -> list[str]:
    return [str(each) for each in faults(section)]


def test_what_is_sound_has_no_faults() -> None:
    section = GovernanceSection(
        virtual_keys=(key("one", provider_configs=(at("openai"), at("groq"))), key("two")),
        routing_rules=(
            rule("a", cel_expression="budget_used > 80"),
            rule("b", scope="team", scope_id="t"),
        ),
    )

    assert told(section) == told(None) == []


def test_an_expression_is_refused_with_its_path() -> None:
    rules = (rule("a"), rule("b", enabled=False, cel_expression="model =="))

    (only,) = told(GovernanceSection(routing_rules=rules))
    assert only.startswith("governance.routing_rules[1].cel_expression: found a syntax error at")


def test_a_rule_has_an_id_and_in_its_scope_a_name_of_its_own() -> None:
    rules = (
        rule("a"),
        rule("a"),
        rule("a", scope="team", scope_id="t"),
        rule("a", scope="team", scope_id="u"),
    )

    assert told(GovernanceSection(routing_rules=rules)) == [
        "governance.routing_rules[1].id: found the same id again; allowed: each id once",
        "governance.routing_rules[1].name: found the same name again; allowed: each name once in a scope",
        "governance.routing_rules[2].id: found the same id again; allowed: each id once",
        "governance.routing_rules[3].id: found the same id again; allowed: each id once",
    ]


def test_a_virtual_key_has_one_configuration_a_provider() -> None:
    keys = (key("one"), key("two", provider_configs=(at("openai"), at("groq"), at("openai"))))

    path = "governance.virtual_keys[1].provider_configs[2].provider"
    assert told(GovernanceSection(virtual_keys=keys)) == [
        f"{path}: found the same provider again; allowed: each provider once"
    ]
