"""Where a call may go: by routing rules first, then by the weights of its virtual key. Pure.

Both only choose. What the virtual key allows, and what its limits leave, is judged at each target again when it is its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import attrs

from bifrost.catalog import Catalog
from bifrost.governance.access import ModelLists, allows_model, refined
from bifrost.governance.model import (
    NO_LIMITS,
    NOTHING,
    Budget,
    Governance,
    Limits,
    ProviderConfig,
    Quota,
    VirtualKey,
)
from bifrost.governance.rules import GLOBAL, NO_RULES, CompiledRule, Facts, NoAnswer, RuleBook
from bifrost.policy.balance import numbers, pick
from bifrost.schema.call import Call, Target

if TYPE_CHECKING:
    from bifrost.config.governance_section import RoutingTargetSection
    from bifrost.governance.rules import Scope

__all__ = ["MAX_RULES", "Decision", "PercentUsed", "Routed", "RoutingTable"]

MAX_RULES = 10
"""Of a chain."""

RULES, WEIGHTS = "routing-rule", "governance"
"""The engines, as logs and metrics name them."""

PercentUsed = Callable[[Budget | Quota], float]
"""How much of a limit is used up, in per cent; 0 where its period is over. 100 and more is exhausted."""


@attrs.frozen
class Decision:
    """A line of the routing log."""

    engine: str
    text: str
    is_warning: bool = False
    """Whether whoever runs the gateway should hear of it."""


@attrs.frozen(kw_only=True)
class Routed:
    """Where a call goes."""

    target: Target
    fallbacks: tuple[Target, ...] = ()
    key_id: str | None = None
    """The one key, by id or name, that ``target`` is to be asked with."""
    rule_id: str | None = None
    """The last rule that changed something."""
    rule_name: str | None = None
    engines: tuple[str, ...] = ()
    log: tuple[Decision, ...] = ()

    def note(self, engine: str, text: str, *, is_warning: bool = False) -> Routed:
        """The same with one line more in its log."""
        return attrs.evolve(self, log=(*self.log, Decision(engine, text, is_warning)))

    def by(self, engine: str) -> tuple[str, ...]:
        """The engines, with ``engine`` if it is not among them."""
        return self.engines if engine in self.engines else (*self.engines, engine)


NO_SCOPES: tuple[Scope, ...] = (GLOBAL,)


@attrs.frozen(kw_only=True)
class RoutingTable:
    """Everything that choices go by, but for the call and its draw. A change of the configuration makes another."""

    catalog: Catalog
    governance: Governance = NOTHING
    rules: RuleBook = NO_RULES
    lists: ModelLists | None = None

    def route(
        self, call: Call, key: VirtualKey | None, *, used: PercentUsed, draw: float
    ) -> Routed:
        """Where ``call`` goes. ``key`` is its virtual key, if that is one and active; ``draw`` lies in [0, 1).

        A call whose body goes on as it came is left alone: nothing in it can be changed.
        """
        routed = Routed(target=call.target, fallbacks=call.fallbacks)
        if call.relay is not None:
            return routed
        draws = numbers(draw)
        if self.rules:
            routed = _Rules(self, call, key, used, draws).apply(routed)
        if key is not None and self._is_bare(routed.target):
            routed = self._weigh(routed, key, used, draws)
        return attrs.evolve(routed, fallbacks=_settled(routed.fallbacks, routed.target))

    def _is_bare(self, target: Target) -> bool:
        """Whether nobody has said who serves it. A prefix of somebody who is not configured is part of the model's name."""
        return target.is_default or target.provider not in self.catalog.configured

    # The weights of a virtual key

    def _weigh(
        self, routed: Routed, key: VirtualKey, used: PercentUsed, draws: Iterator[float]
    ) -> Routed:
        model, found = _name(routed.target), list[ProviderConfig]()
        for config in key.provider_configs.values():
            reason = self._reason(config, model, used)
            if reason is None:
                found.append(config)
            else:
                routed = routed.note(WEIGHTS, f"not {config.provider}: {reason}")
        if not found:
            return routed.note(WEIGHTS, f"no provider of the virtual key could serve {model}")
        chosen = found[pick([config.weight or 0.0 for config in found], next(draws))]
        target = self._target(chosen, model)
        routed = attrs.evolve(
            routed,
            target=target,
            fallbacks=routed.fallbacks or self._others(found, chosen, model),
            engines=routed.by(WEIGHTS),
        )
        return routed.note(WEIGHTS, f"{_told(target)} of {len(found)} by weight")

    def _reason(self, config: ProviderConfig, model: str, used: PercentUsed) -> str | None:
        """Why ``config`` takes no part in the choice; ``None`` if it does."""
        if config.weight is None:
            return "it has no weight"
        if config.provider not in self.catalog.configured:
            return "it is not configured"
        if not allows_model(config, model, self.lists):
            return "the model is not allowed"
        if refined(config.provider, model, self.lists) is None:
            return "the model's name could mean several"
        limits = (config.limits, self.governance.providers.get(config.provider, NO_LIMITS))
        quotas = (quota for each in limits for quota in _quotas(each) if quota is not None)
        return "a limit is used up" if any(used(quota) >= 100 for quota in quotas) else None

    def _others(
        self, found: list[ProviderConfig], chosen: ProviderConfig, model: str
    ) -> tuple[Target, ...]:
        """Who was not chosen, the heaviest first."""
        others = [config for config in found if config is not chosen]
        others.sort(key=lambda config: -(config.weight or 0.0))
        return tuple(self._target(config, model) for config in others)

    def _target(self, config: ProviderConfig, model: str) -> Target:
        return Target(config.provider, refined(config.provider, model, self.lists) or model)


@attrs.define(eq=False)
class _Rules:
    """Rules applied to one call."""

    table: RoutingTable
    call: Call
    key: VirtualKey | None
    used: PercentUsed
    draws: Iterator[float]
    done: set[str] = attrs.field(factory=set, init=False)
    """The ids of those that have been applied, or cannot be."""

    def apply(self, routed: Routed) -> Routed:
        """What the rules make of ``routed``, one after another as long as they chain."""
        scopes, facts = self._scopes_and_owners()
        for _ in range(MAX_RULES):
            before = routed
            rule, routed = self._first(scopes, self._facts(facts, before.target), before)
            if rule is None or not rule.is_chained:
                break
        return routed

    def _first(
        self, scopes: tuple[Scope, ...], facts: Facts, routed: Routed
    ) -> tuple[CompiledRule | None, Routed]:
        """The first rule that holds and has a target, and what it makes of ``routed``."""
        for rule in self.table.rules.in_order(scopes):
            if rule.id in self.done:
                continue
            try:
                holds = rule.condition.holds(facts)
            except NoAnswer as why:
                self.done.add(rule.id)
                routed = routed.note(RULES, f"{_rule(rule)} is skipped: {why}", is_warning=True)
                continue
            if holds:
                self.done.add(rule.id)
                valid, routed = self._valid(rule, routed)
                if valid:
                    return rule, self._applied(rule, valid, routed)
        return None, routed

    def _valid(
        self, rule: CompiledRule, routed: Routed
    ) -> tuple[list[RoutingTargetSection], Routed]:
        """The targets of ``rule`` whose providers are configured."""
        configured = self.table.catalog.configured
        valid = [
            each for each in rule.targets if each.provider is None or each.provider in configured
        ]
        unknown = sorted({str(each.provider) for each in rule.targets if each not in valid})
        if unknown:
            text = f"{_rule(rule)} names {', '.join(unknown)}, not configured"
            routed = routed.note(RULES, text, is_warning=True)
        if not valid:
            routed = routed.note(RULES, f"{_rule(rule)} is skipped: no target is left")
        return valid, routed

    def _applied(
        self, rule: CompiledRule, valid: list[RoutingTargetSection], routed: Routed
    ) -> Routed:
        chosen = valid[pick([each.weight for each in valid], next(self.draws))]
        target = self._target(chosen, routed.target)
        fallbacks = self.table.catalog.parse_fallbacks(rule.fallbacks, None)
        is_same = target.provider == routed.target.provider
        routed = attrs.evolve(
            routed,
            target=target,
            fallbacks=fallbacks if rule.fallbacks else routed.fallbacks,
            key_id=chosen.key_id or (routed.key_id if is_same else None),
            rule_id=rule.id,
            rule_name=rule.name,
            engines=routed.by(RULES),
        )
        return routed.note(RULES, f"{_rule(rule)}: {_told(target)}")

    def _target(self, chosen: RoutingTargetSection, before: Target) -> Target:
        """What ``chosen`` makes of the target ``before`` it: what it does not name stays."""
        if chosen.provider is not None:
            return Target(chosen.provider, chosen.model or before.model)
        if chosen.model is None:
            return before
        if before.is_default:
            return self.table.catalog.parse(chosen.model, before.provider)
        return Target(before.provider, chosen.model)

    def _facts(self, owners: Facts, target: Target) -> Facts:
        provider = "" if target.is_default else target.provider
        facts = attrs.evolve(owners, model=target.model, provider=provider)
        if not self.table.rules.asks_usage:
            return facts
        limits = tuple(self._limits(target.model, provider))
        budget, tokens, requests = (
            max((self.used(quota) for quota in kind if quota is not None), default=0.0)
            for kind in zip(*map(_quotas, limits), strict=True)
        )
        return attrs.evolve(facts, budget_used=budget, tokens_used=tokens, request=requests)

    def _limits(self, model: str, provider: str) -> Iterator[Limits]:
        """What is limited of the model and of the provider that are asked for now."""
        governance, key = self.table.governance, self.key
        for owner in (model, provider), (model, None):
            if found := governance.models.get(owner):
                yield found.limits
        yield governance.providers.get(provider, NO_LIMITS)
        if key is not None and provider in key.provider_configs:
            yield key.provider_configs[provider].limits

    def _scopes_and_owners(self) -> tuple[tuple[Scope, ...], Facts]:
        """Whose rules are asked, in order, and what expressions know whatever becomes of the target."""
        caller, key = self.call.caller, self.key
        facts = Facts(
            model="",
            request_type=self.call.operation.value,
            headers=caller.rule_headers,
            params=caller.rule_params,
        )
        if key is None:
            return NO_SCOPES, facts
        team, customer = self.table.governance.owners(key)
        scopes = [("virtual_key", key.id)]
        facts = attrs.evolve(facts, virtual_key_id=key.id, virtual_key_name=key.name)
        if team is not None:
            scopes.append(("team", team.id))
            facts = attrs.evolve(facts, team_id=team.id, team_name=team.name)
        if customer is not None:
            scopes.append(("customer", customer.id))
            facts = attrs.evolve(facts, customer_id=customer.id, customer_name=customer.name)
        return (*scopes, GLOBAL), facts


def _quotas(limits: Limits) -> tuple[Budget | None, Quota | None, Quota | None]:
    """Of money, of tokens, of requests."""
    rate = limits.rate_limit
    return limits.budget, rate.tokens if rate else None, rate.requests if rate else None


def _settled(fallbacks: tuple[Target, ...], primary: Target) -> tuple[Target, ...]:
    """``fallbacks``, of which those that were a model only are asked of the primary's provider."""
    return tuple(
        attrs.evolve(each, provider=primary.provider) if each.is_default else each
        for each in fallbacks
    )


def _name(target: Target) -> str:
    """A bare target as its caller wrote it."""
    is_whole = target.is_default or not target.provider
    return target.model if is_whole else f"{target.provider}/{target.model}"


def _told(target: Target) -> str:
    return target.model if target.is_default else f"{target.provider}/{target.model}"


def _rule(rule: CompiledRule) -> str:
    return f"rule {rule.name!r}"
