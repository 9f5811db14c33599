"""Routing rules, compiled: conditions of calls, and where those go for which they hold. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.config.faults import ConfigError
from bifrost.config.governance_section import RoutingTargetSection
from bifrost.governance.expressions import (
    NO_MENTIONS,
    USAGE,
    BadExpression,
    Expression,
    Facts,
    Mentions,
    NoAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.config.governance_section import GovernanceSection, RoutingRuleSection

__all__ = [
    "GLOBAL",
    "NO_RULES",
    "BadExpression",
    "CompiledRule",
    "Facts",
    "Mentions",
    "NoAnswer",
    "RuleBook",
    "Scope",
    "faults",
]

Scope = tuple[str, str]
"""Its kind, and whose: ``("team", "team-1")``."""

GLOBAL: Scope = ("global", "")


@attrs.frozen(kw_only=True)
class CompiledRule:
    """A rule as calls meet it."""

    id: str
    name: str
    scope: Scope
    priority: int
    """The lowest is asked first."""
    condition: Expression
    targets: tuple[RoutingTargetSection, ...]
    fallbacks: tuple[str, ...]
    """As they are written; empty leaves those of the call."""
    is_chained: bool
    """Whether rules are asked again about what it made of the call."""

    @classmethod
    def of(cls, section: RoutingRuleSection) -> CompiledRule:
        """``section`` compiled, which has been checked otherwise. Raises BadExpression."""
        is_global = section.scope == "global"
        return cls(
            id=section.id,
            name=section.name,
            scope=GLOBAL if is_global else (section.scope, section.scope_id or ""),
            priority=section.priority,
            condition=Expression.compile(section.cel_expression),
            targets=section.targets,
            fallbacks=section.fallbacks,
            is_chained=section.chain_rule,
        )


@attrs.frozen(kw_only=True)
class RuleBook:
    """All rules that are enabled. A change makes another. Empty is false."""

    by_scope: Mapping[Scope, tuple[CompiledRule, ...]] = MappingProxyType({})
    """In the order in which they are asked."""
    mentions: Mentions = NO_MENTIONS
    """What of requests has to be kept for them."""
    variables: frozenset[str] = frozenset()
    """What of calls expressions ask for."""
    models: frozenset[str] = frozenset()
    """Those that rules send calls to."""

    @classmethod
    def of(cls, sections: Iterable[RoutingRuleSection]) -> RuleBook:
        """The rules of ``sections``, which come in the order of their creation. Raises BadExpression."""
        rules = [CompiledRule.of(section) for section in sections if section.enabled]
        by_scope = defaultdict[Scope, list[CompiledRule]](list)
        for rule in sorted(rules, key=lambda rule: rule.priority):
            by_scope[rule.scope].append(rule)
        conditions = [rule.condition for rule in rules]
        return cls(
            by_scope={scope: tuple(found) for scope, found in by_scope.items()},
            mentions=reduce(or_, (each.mentions for each in conditions), NO_MENTIONS),
            variables=frozenset[str]().union(*(each.variables for each in conditions)),
            models=frozenset(each.model for rule in rules for each in rule.targets if each.model),
        )

    def __bool__(self) -> bool:
        return bool(self.by_scope)

    @property
    def asks_usage(self) -> bool:
        """Whether some rule asks how much of a limit is used up."""
        return not USAGE.isdisjoint(self.variables)

    def in_order(self, scopes: Iterable[Scope]) -> Iterator[CompiledRule]:
        """The rules of ``scopes``, of the first of them first."""
        for scope in scopes:
            yield from self.by_scope.get(scope, ())


NO_RULES = RuleBook()


def faults(section: GovernanceSection | None) -> list[ConfigError]:
    """What is wrong with the rules, and with who may be asked, beyond what the shape of the configuration says."""
    if section is None:
        return []
    return [
        *_expressions(section.routing_rules),
        *_repeated(section.routing_rules),
        *_providers(section),
    ]


def _expressions(rules: Sequence[RoutingRuleSection]) -> Iterator[ConfigError]:
    for index, rule in enumerate(rules):
        try:
            Expression.compile(rule.cel_expression)
        except BadExpression as error:
            path = f"governance.routing_rules[{index}].cel_expression"
            yield ConfigError(path, error.found, error.allowed)


def _repeated(rules: Sequence[RoutingRuleSection]) -> Iterator[ConfigError]:
    ids, names = set[str](), set[tuple[str, str | None, str]]()
    for index, rule in enumerate(rules):
        path = f"governance.routing_rules[{index}]"
        name = (rule.scope, None if rule.scope == "global" else rule.scope_id, rule.name)
        if rule.id in ids:
            yield ConfigError(f"{path}.id", "the same id again", "each id once")
        if name in names:
            yield ConfigError(f"{path}.name", "the same name again", "each name once in a scope")
        ids.add(rule.id)
        names.add(name)


def _providers(section: GovernanceSection) -> Iterator[ConfigError]:
    """A virtual key has one configuration a provider: a second would be one that nobody finds."""
    for index, key in enumerate(section.virtual_keys):
        seen = set[str]()
        for place, config in enumerate(key.provider_configs):
            if config.provider in seen:
                path = f"governance.virtual_keys[{index}].provider_configs[{place}].provider"
                yield ConfigError(path, "the same provider again", "each provider once")
            seen.add(config.provider)
