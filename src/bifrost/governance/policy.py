"""What governance goes by at one moment: the nouns, the rules, the prices. Replaced as a whole when the configuration is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.catalog import Catalog
from bifrost.config.faults import ConfigErrors
from bifrost.governance.admission import identify
from bifrost.governance.charging import COUNTED, given_up
from bifrost.governance.levels import Amounts, Level, key_levels
from bifrost.governance.model import Governance, VirtualKey
from bifrost.governance.routing import RoutingTable
from bifrost.governance.rules import RuleBook, faults
from bifrost.policy.pricing import (
    CallFacts,
    Estimate,
    Prices,
    base_name,
    call_facts,
    cost,
    estimate,
)
from bifrost.schema.call import Identity, Operation, Target
from bifrost.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from bifrost.config.settings import Config
    from bifrost.policy.pricing import OutputSizes, Rates, Sheet
    from bifrost.record import ToldUsage, Usage
    from bifrost.schema.call import Call

__all__ = ["Policy", "Terms"]


@frozen(kw_only=True, eq=False)
class Policy:
    """``enforce``: calls without a virtual key that is known are refused."""

    table: RoutingTable
    prices: Prices
    enforce: bool = False
    deployments: Mapping[tuple[str, str], str] = MappingProxyType({})
    """By provider and model: what a key calls it, for an estimate made before it is known which key."""
    hedging: frozenset[str] = frozenset()
    """Providers at which a slow first attempt is raced by a second."""
    _levels: dict[tuple[str, str], tuple[Level, ...]] = attrs.field(factory=dict, init=False)
    _identities: dict[str, Identity] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(cls, config: Config, today: date, sheet: Sheet | None = None) -> Policy:
        """The policy of ``config``; ``sheet`` is the operator's price list. Raises ConfigErrors with what only governance can find wrong in it."""
        section = config.governance
        if found := faults(section):
            raise ConfigErrors(found)
        rules = RuleBook.of(section.routing_rules if section else ())
        governance = Governance.of_section(section)
        # A model that nobody serves by default may still find somebody.
        catalog = Catalog.of(config, defers=bool(rules or governance.virtual_keys))
        return cls(
            table=RoutingTable(catalog=catalog, governance=governance, rules=rules),
            prices=Prices.of(
                section.pricing_overrides if section else (),
                {name: each.pricing_overrides for name, each in config.providers.items()},
                today=today,
                sheet=sheet,
            ),
            enforce=config.client.enforce_auth_on_inference,
            deployments={
                (name, model): deployment
                for name, each in config.providers.items()
                for key in each.keys
                for model, deployment in key.deployments.items()
            },
            hedging=frozenset(
                name for name, each in config.providers.items() if each.hedge_after_ms is not None
            ),
        )

    @property
    def governance(self) -> Governance:
        return self.table.governance

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be looked at for a call that brings no virtual key."""
        return not self.enforce and not self.governance.is_limiting

    def levels_of(self, key: VirtualKey, provider: str) -> tuple[Level, ...]:
        """``levels.key_levels``, remembered: there are no more than virtual keys have provider configs."""
        name = (key.id, provider)
        found = self._levels.get(name)
        if found is None:
            found = self._levels[name] = key_levels(self.governance, key, provider)
        return found

    def identity_of(self, key: VirtualKey) -> Identity:
        """Whose ``key`` is, remembered."""
        found = self._identities.get(key.id)
        if found is None:
            found = self._identities[key.id] = identify(self.governance, key)
        return found

    def terms(self, call: Call, target: Target, sizes: OutputSizes) -> Terms:
        """On what terms ``call`` goes to ``target``."""
        facts, operation = call_facts(call), _charged_as(call)
        key_id = call.identity.virtual_key_id
        rates = self.prices.rates(
            target.model,
            target.provider,
            operation,
            virtual_key_id=key_id,
            deployment=self.deployments.get((target.provider, target.model), ""),
        )
        guess = estimate(rates, facts, sizes.learned(target.provider, target.model))
        amounts = Amounts(requests=1, tokens=guess.tokens, nano_usd=guess.nano_usd)
        if target.provider in self.hedging and call.may_race and operation in COUNTED:
            # Of two that race the loser is paid for too.
            lost = given_up(operation, guess)
            amounts = Amounts(
                requests=1,
                tokens=guess.tokens + lost.total_tokens,
                nano_usd=guess.nano_usd + cost(rates, lost, operation, facts),
            )
        return Terms(
            self.prices, target, operation, facts, key_id, guess, amounts, self.deployments
        )


def _charged_as(call: Call) -> Operation:
    """What passes as it came and asks for tokens is paid for by them, like a call that is understood."""
    is_generation = call.relay is not None and call.relay.is_generation
    return Operation.CHAT if is_generation else call.operation


@frozen
class Terms:
    """What one call costs at one target, and what it is thought to come to. Implements ``charging.Pricing``."""

    prices: Prices
    target: Target
    operation: Operation
    facts: CallFacts
    virtual_key_id: str
    estimate: Estimate
    amounts: Amounts
    """What is held for it: where a second attempt may race, what the loser costs among it."""
    deployments: Mapping[tuple[str, str], str] = MappingProxyType({})
    """As the policy has them."""

    def told_cost(self, told: ToldUsage, key_id: str) -> int:
        """What was told costs, in nano-dollars, by the model that was told."""
        if told.usage is None or told.operation is None:
            return 0
        facts = CallFacts(operation=told.operation, service=told.service)
        rates = self._told_rates(told.model or self.target.model, told.operation, key_id)
        return cost(rates, told.usage, told.operation, facts)

    def _told_rates(self, model: str, operation: Operation, key_id: str) -> Rates | None:
        for name in self._names(model):
            rates = self.prices.rates(
                name,
                self.target.provider,
                operation,
                virtual_key_id=self.virtual_key_id,
                key_id=key_id,
            )
            if rates is not None:
                return rates
        return None

    def _names(self, model: str) -> Iterator[str]:
        """What ``model`` may have a price by: its name, that without a date, those that a key's deployment of it goes by."""
        yield model
        yield base_name(model)
        for (provider, name), deployment in self.deployments.items():
            if provider == self.target.provider and deployment == model:
                yield name

    def cost(self, usage: Usage | None, key_id: str = "", deployment: str = "") -> int:
        """As ``charging.Pricing`` has it."""
        rates = self.prices.rates(
            self.target.model,
            self.target.provider,
            self.operation,
            virtual_key_id=self.virtual_key_id,
            key_id=key_id,
            deployment=deployment,
        )
        return cost(rates, usage, self.operation, self.facts)
