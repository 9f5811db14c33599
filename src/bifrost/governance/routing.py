"""Where a call may go: by routing rules first, then by the weights of its virtual key. Pure.

Both only choose. What the virtual key allows, and what its limits leave, is judged at each target again when it is its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from bifrost.catalog import Catalog
from bifrost.governance.access import ModelLists, allows_model, refined
from bifrost.governance.model import (
    NO_LIMITS,
    NOTHING,
    Governance,
    Limit,
    Limits,
    ProviderConfig,
    Unit,
    VirtualKey,
)
from bifrost.governance.rules import GLOBAL, NO_RULES, CompiledRule, Facts, NoAnswer, RuleBook
from bifrost.policy.balance import numbers, pick
from bifrost.schema.call import UNROUTED, Call, Routing, Target
from bifrost.values import frozen

if TYPE_CHECKING:
    from bifrost.config.governance_section import RoutingTargetSection
    from bifrost.governance.rules import Scope

__all__ = ["MAX_RULES", "PercentUsed", "Routed", "RoutingTable"]

MAX_RULES = 10
"""Of a chain."""

RULES, WEIGHTS = "routing-rule", "governance"
"""The engines, as logs and metrics name them."""

PercentUsed = Callable[[Limit], float]
"""How much of a limit is used up, in per cent; 0 where its time is over. 100 and more is exhausted."""


@frozen(kw_only=True)
class Routed:
    """Where a call goes."""

    target: Target
    fallbacks: tuple[Target, ...] = ()
    key_id: str | None = None
    """The one key that ``target`` is to be asked with."""
    routing: Routing = UNROUTED
    warnings: tuple[str, ...] = ()
    """What whoever runs the gateway should hear of: rules that could not be asked, providers that are not there."""

    def applied(self, call: Call) -> Call:
        """``call``, going there.

        What the caller said of keys was meant for the provider he named: where it goes to another, his own key stays behind, and
        so do his pins.
        """
        caller = call.caller
        if self.target.provider != call.target.provider:
            caller = attrs.evolve(caller, direct_key=None, key_id=None, key_name=None)
        if self.key_id is not None:
            caller = attrs.evolve(caller, key_id=self.key_id, key_name=None)
        return attrs.evolve(
            call,
            target=self.target,
            fallbacks=self.fallbacks,
            caller=caller,
            routing=self.routing,
        )


@frozen(kw_only=True)
class RoutingTable:
    """Everything that choices go by, but for the call and its draw. A change of the configuration makes another."""

    catalog: Catalog
    governance: Governance = NOTHING
    rules: RuleBook = NO_RULES
    lists: ModelLists | None = None

    def route(
        self, call: Call, key: VirtualKey | None, *, used: PercentUsed, draw: float
    ) -> Routed:
        """Where ``call``, whose ``identity`` is known, goes. ``draw`` lies in [0, 1).

        ``key`` is its virtual key, if that is one and active. A call whose body goes on as it came is left alone: nothing in it
        can be changed.
        """
        way = _Way(self, call, key, used, numbers(draw), call.target, call.fallbacks)
        if call.relay is None:
            if self.rules:
                way.apply_rules()
            if key is not None and self.is_bare(way.target):
                way.weigh(key)
        return way.routed()

    def counters(self, call: Call, key: VirtualKey | None) -> frozenset[str]:
        """The ids of everything whose use ``route`` may ask for, so that it can be fetched at once; mostly nothing."""
        if call.relay is not None:
            return frozenset()
        held = [config.limits for config in key.provider_configs.values()] if key else []
        if key or self.rules.asks_usage:
            held += self.governance.providers.values()
        if self.rules.asks_usage:
            asked = self.rules.models | {call.target.model}
            names = asked | {self.catalog.parse(name, "").model for name in asked}
            models = self.governance.models.items()
            held += [each.limits for (name, _), each in models if name in names]
        return frozenset(limit.id for limits in held for limit in limits.all)

    def is_bare(self, target: Target) -> bool:
        """Whether nobody has said who serves it. A prefix of somebody who is not configured is part of the model's name."""
        return target.is_default or target.provider not in self.catalog.configured


@attrs.define(eq=False)
class _Way:
    """One call's, as far as it is decided."""

    table: RoutingTable
    call: Call
    key: VirtualKey | None
    used: PercentUsed
    draws: Iterator[float]
    target: Target
    fallbacks: tuple[Target, ...]
    key_id: str | None = attrs.field(default=None, init=False)
    rule: CompiledRule | None = attrs.field(default=None, init=False)
    engines: list[str] = attrs.field(factory=list, init=False)
    log: list[str] = attrs.field(factory=list, init=False)
    warnings: list[str] = attrs.field(factory=list, init=False)
    done: set[str] = attrs.field(factory=set, init=False)
    """The ids of rules that have been applied, or cannot be."""

    def routed(self) -> Routed:
        """What came of it."""
        return Routed(
            target=self.target,
            fallbacks=_settled(self.fallbacks, self.target),
            key_id=self.key_id,
            routing=self._routing() if self.log else UNROUTED,
            warnings=tuple(self.warnings),
        )

    def _routing(self) -> Routing:
        rule = self.rule
        return Routing(
            engines=tuple(self.engines),
            rule_id=rule.id if rule else "",
            rule_name=rule.name if rule else "",
            log=tuple(self.log),
        )

    def _decided(self, engine: str, text: str) -> None:
        self.log.append(text)
        if engine not in self.engines:
            self.engines.append(engine)

    def _warn(self, text: str) -> None:
        self.log.append(text)
        self.warnings.append(text)

    # Rules

    def apply_rules(self) -> None:
        """One after another, as long as they chain."""
        scopes = self._scopes()
        for _ in range(MAX_RULES):
            rule = self._apply_first(scopes, self._facts())
            if rule is None or not rule.is_chained:
                return

    def _apply_first(self, scopes: tuple[Scope, ...], facts: Facts) -> CompiledRule | None:
        """The first rule that holds and has a target, applied."""
        for rule in self.table.rules.in_order(scopes):
            if rule.id not in self.done and self._holds(rule, facts):
                self.done.add(rule.id)
                valid = self._valid(rule)
                if valid:
                    self._apply(rule, valid)
                    return rule
        return None

    def _holds(self, rule: CompiledRule, facts: Facts) -> bool:
        try:
            return rule.condition.holds(facts)
        except NoAnswer as why:
            self.done.add(rule.id)
            self._warn(f"{RULES} {rule.name!r} is skipped: {why}")
            return False

    def _valid(self, rule: CompiledRule) -> list[RoutingTargetSection]:
        """The targets of ``rule`` whose providers are configured."""
        known = self.table.catalog.configured
        valid = [each for each in rule.targets if each.provider is None or each.provider in known]
        unknown = {each.provider or "" for each in rule.targets if each not in valid}
        if unknown:
            self._warn(f"{RULES} {rule.name!r} names {', '.join(sorted(unknown))}: not configured")
        if not valid:
            self.log.append(f"{RULES} {rule.name!r} is skipped: it has no target left")
        return valid

    def _apply(self, rule: CompiledRule, valid: list[RoutingTargetSection]) -> None:
        before = self.target
        chosen = valid[pick([each.weight for each in valid], next(self.draws))]
        self.rule, self.target = rule, self._target_of(chosen)
        if rule.fallbacks:
            self.fallbacks = self.table.catalog.parse_fallbacks(rule.fallbacks, None)
        if chosen.key_id or self.target.provider != before.provider:
            self.key_id = chosen.key_id
        self._decided(RULES, f"{RULES} {rule.name!r}: {_told(self.target)}")

    def _target_of(self, chosen: RoutingTargetSection) -> Target:
        """What ``chosen`` makes of the target before it: what it does not name stays."""
        before = self.target
        if chosen.provider is not None:
            return Target(chosen.provider, chosen.model or before.model)
        if chosen.model is None:
            return before
        if before.is_default:
            return self.table.catalog.parse(chosen.model, before.provider)
        return Target(before.provider, chosen.model)

    # What is asked, and whose rules

    def _scopes(self) -> tuple[Scope, ...]:
        identity = self.call.identity
        owners = (
            ("virtual_key", identity.virtual_key_id),
            ("team", identity.team_id),
            ("customer", identity.customer_id),
        )
        return (*(scope for scope in owners if scope[1]), GLOBAL)

    def _facts(self) -> Facts:
        """What expressions know of the call as it is now."""
        call, target, identity = self.call, self.target, self.call.identity
        provider = "" if target.is_default else target.provider
        most = self._most_used(target.model, provider)
        return Facts(
            model=target.model,
            provider=provider,
            request_type=call.operation.value,
            headers=call.caller.rule_headers,
            params=call.caller.rule_params,
            virtual_key_id=identity.virtual_key_id,
            virtual_key_name=identity.virtual_key_name,
            team_id=identity.team_id,
            team_name=identity.team_name,
            customer_id=identity.customer_id,
            customer_name=identity.customer_name,
            budget_used=most.get(Unit.NANO_USD, 0.0),
            tokens_used=most.get(Unit.TOKENS, 0.0),
            request=most.get(Unit.REQUESTS, 0.0),
            asked=self.table.rules.variables,
        )

    def _most_used(self, model: str, provider: str) -> Mapping[Unit, float]:
        """The highest per cent of each kind of limit, if some rule asks for it."""
        most = dict[Unit, float]()
        if self.table.rules.asks_usage:
            for limits in self._limits(model, provider):
                for limit in limits.all:
                    most[limit.unit] = max(most.get(limit.unit, 0.0), self.used(limit))
        return most

    def _limits(self, model: str, provider: str) -> Iterator[Limits]:
        """What is limited of the model and of the provider that are asked for now."""
        governance, key = self.table.governance, self.key
        for owner in (model, provider), (model, None):
            if found := governance.models.get(owner):
                yield found.limits
        yield governance.providers.get(provider, NO_LIMITS)
        if key is not None and provider in key.provider_configs:
            yield key.provider_configs[provider].limits

    # The weights of a virtual key

    def weigh(self, key: VirtualKey) -> None:
        """Choose who serves a bare model."""
        model, found = _name(self.target), list[ProviderConfig]()
        for config in key.provider_configs.values():
            reason = self._reason(config, model)
            if reason is None:
                found.append(config)
            else:
                self.log.append(f"{WEIGHTS}: not {config.provider}, {reason}")
        if not found:
            self.log.append(f"{WEIGHTS}: nobody is left to choose for {model}")
            return
        chosen = found[pick([config.weight or 0.0 for config in found], next(self.draws))]
        self.target = self._target_at(chosen, model)
        if not self.fallbacks:
            others = [config for config in found if config is not chosen]
            others.sort(key=lambda config: -(config.weight or 0.0))
            self.fallbacks = tuple(self._target_at(config, model) for config in others)
        self._decided(WEIGHTS, f"{WEIGHTS}: {_told(self.target)}, chosen of {len(found)} by weight")

    def _reason(self, config: ProviderConfig, model: str) -> str | None:
        """Why ``config`` takes no part in the choice; ``None`` if it does."""
        table = self.table
        if config.weight is None:
            return "which has no weight"
        if config.provider not in table.catalog.configured:
            return "which is not configured"
        if not allows_model(config, model, table.lists):
            return "where the model is not allowed"
        if refined(config.provider, model, table.lists) is None:
            return "where the model's name could mean several"
        general = table.governance.providers.get(config.provider, NO_LIMITS)
        is_over = any(self.used(limit) >= 100 for limit in (*config.limits.all, *general.all))
        return "where a limit is used up" if is_over else None

    def _target_at(self, config: ProviderConfig, model: str) -> Target:
        return Target(config.provider, refined(config.provider, model, self.table.lists) or model)


def _settled(fallbacks: tuple[Target, ...], primary: Target) -> tuple[Target, ...]:
    """``fallbacks``, of which those that were a model only are asked of the primary's provider."""
    return tuple(
        Target(primary.provider, each.model, is_default=True) if each.is_default else each
        for each in fallbacks
    )


def _name(target: Target) -> str:
    """A bare target as its caller wrote it."""
    is_whole = target.is_default or not target.provider
    return target.model if is_whole else f"{target.provider}/{target.model}"


def _told(target: Target) -> str:
    return target.model if target.is_default else f"{target.provider}/{target.model}"
