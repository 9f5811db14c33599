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


@attrs.frozen(kw_only=True)
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

    def log(self, text: str, *, engine: str = "", rule: CompiledRule | None = None) -> Routed:
        """The same with one line more in its log, and with who decided, if somebody did."""
        routing = self.routing
        is_new = engine and engine not in routing.engines
        changed = attrs.evolve(
            routing,
            log=(*routing.log, text),
            engines=(*routing.engines, engine) if is_new else routing.engines,
            rule_id=rule.id if rule else routing.rule_id,
            rule_name=rule.name if rule else routing.rule_name,
        )
        return attrs.evolve(self, routing=changed)

    def warn(self, text: str) -> Routed:
        """The same with one line more in its log and among its warnings."""
        return attrs.evolve(self.log(text), warnings=(*self.warnings, text))


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
        """Where ``call``, whose ``identity`` is known, goes. ``draw`` lies in [0, 1).

        ``key`` is its virtual key, if that is one and active. A call whose body goes on as it came is left alone: nothing in it
        can be changed.
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
                routed = routed.log(f"{WEIGHTS}: not {config.provider}, {reason}")
        if not found:
            return routed.log(f"{WEIGHTS}: nobody is left to choose for {model}")
        chosen = found[pick([config.weight or 0.0 for config in found], next(draws))]
        target = self._target(chosen, model)
        fallbacks = routed.fallbacks or self._others(found, chosen, model)
        routed = attrs.evolve(routed, target=target, fallbacks=fallbacks)
        return routed.log(
            f"{WEIGHTS}: {_told(target)}, chosen of {len(found)} by weight", engine=WEIGHTS
        )

    def _reason(self, config: ProviderConfig, model: str, used: PercentUsed) -> str | None:
        """Why ``config`` takes no part in the choice; ``None`` if it does."""
        if config.weight is None:
            return "which has no weight"
        if config.provider not in self.catalog.configured:
            return "which is not configured"
        if not allows_model(config, model, self.lists):
            return "where the model is not allowed"
        if refined(config.provider, model, self.lists) is None:
            return "where the model's name could mean several"
        general = self.governance.providers.get(config.provider, NO_LIMITS)
        is_over = any(used(limit) >= 100 for limit in (*config.limits.all, *general.all))
        return "where a limit is used up" if is_over else None

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
        scopes, lasting = self._scopes(), self._lasting_facts()
        for _ in range(MAX_RULES):
            rule, routed = self._first(scopes, self._facts(lasting, routed.target), routed)
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
                routed = routed.warn(f"{RULES} {rule.name!r} is skipped: {why}")
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
        known = self.table.catalog.configured
        valid = [each for each in rule.targets if each.provider is None or each.provider in known]
        unknown = {each.provider or "" for each in rule.targets if each not in valid}
        if unknown:
            names = ", ".join(sorted(unknown))
            routed = routed.warn(f"{RULES} {rule.name!r} names {names}: not configured")
        if not valid:
            routed = routed.log(f"{RULES} {rule.name!r} is skipped: it has no target left")
        return valid, routed

    def _applied(
        self, rule: CompiledRule, valid: list[RoutingTargetSection], routed: Routed
    ) -> Routed:
        chosen = valid[pick([each.weight for each in valid], next(self.draws))]
        target = self._target(chosen, routed.target)
        is_same = target.provider == routed.target.provider
        fallbacks = self.table.catalog.parse_fallbacks(rule.fallbacks, None)
        routed = attrs.evolve(
            routed,
            target=target,
            fallbacks=fallbacks if rule.fallbacks else routed.fallbacks,
            key_id=chosen.key_id or (routed.key_id if is_same else None),
        )
        return routed.log(f"{RULES} {rule.name!r}: {_told(target)}", engine=RULES, rule=rule)

    def _target(self, chosen: RoutingTargetSection, before: Target) -> Target:
        """What ``chosen`` makes of the target ``before`` it: what it does not name stays."""
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

    def _lasting_facts(self) -> Facts:
        """What expressions know whatever becomes of the target."""
        call = self.call
        return Facts(
            model="",
            request_type=call.operation.value,
            headers=call.caller.rule_headers,
            params=call.caller.rule_params,
            **attrs.asdict(call.identity, recurse=False),
        )

    def _facts(self, lasting: Facts, target: Target) -> Facts:
        provider = "" if target.is_default else target.provider
        facts = attrs.evolve(lasting, model=target.model, provider=provider)
        if not self.table.rules.asks_usage:
            return facts
        most = dict.fromkeys(Unit, 0.0)
        for limits in self._limits(target.model, provider):
            for limit in limits.all:
                most[limit.unit] = max(most[limit.unit], self.used(limit))
        return attrs.evolve(
            facts,
            budget_used=most[Unit.NANO_USD],
            tokens_used=most[Unit.TOKENS],
            request=most[Unit.REQUESTS],
        )

    def _limits(self, model: str, provider: str) -> Iterator[Limits]:
        """What is limited of the model and of the provider that are asked for now."""
        governance, key = self.table.governance, self.key
        for owner in (model, provider), (model, None):
            if found := governance.models.get(owner):
                yield found.limits
        yield governance.providers.get(provider, NO_LIMITS)
        if key is not None and provider in key.provider_configs:
            yield key.provider_configs[provider].limits


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
