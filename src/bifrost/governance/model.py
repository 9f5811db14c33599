"""The nouns of governance as decisions are made by them: frozen, looked up at once, money in nano-dollars.

Each is made of its section of the configuration (``config.governance_section``), which has been checked; how it came there,
from the file or from the store, is not known here. Usage is not in here either: it is the ledger's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import attrs

from bifrost.config.entry_numbers import entry_ids
from bifrost.governance.periods import Period
from bifrost.values import Choice

if TYPE_CHECKING:
    from bifrost.config.governance_section import (
        BudgetSection,
        CustomerSection,
        GovernanceSection,
        ModelConfigSection,
        ProviderLimitSection,
        RateLimitSection,
        TeamSection,
        VirtualKeyProviderSection,
        VirtualKeySection,
    )

__all__ = [
    "ALL",
    "NANO",
    "NOTHING",
    "Customer",
    "Governance",
    "Limit",
    "Limits",
    "ModelConfig",
    "ProviderConfig",
    "Team",
    "Unit",
    "VirtualKey",
    "dollars",
    "hash_of",
    "nano",
]

ALL = "*"
"""In a white-list: everything."""

NANO = 1_000_000_000


def nano(usd: float) -> int:
    """US dollars to integer nano-dollars, by the number's shortest decimal text: 0.1 is 100,000,000 exactly."""
    return int((Decimal(repr(usd)) * NANO).to_integral_value(ROUND_HALF_EVEN))


def dollars(nano_usd: int) -> float:
    """Nano-dollars to US dollars, for an answer."""
    return float(Decimal(nano_usd) / NANO)


def hash_of(value: str) -> str:
    """What a virtual key is looked up by: the SHA-256 of its value, in hexadecimal."""
    return hashlib.sha256(value.encode()).hexdigest()


class Unit(Choice):
    """What is counted."""

    TOKENS = "token"
    REQUESTS = "request"
    NANO_USD = "nano_usd"


@attrs.frozen
class Limit:
    """So much of something in a time. ``id`` is its counter's."""

    id: str
    unit: Unit
    amount: int
    period: Period


@attrs.frozen
class Limits:
    """What whoever has limits has: a rate limit, of tokens or requests or both, and a budget. Empty is false."""

    rates: tuple[Limit, ...] = ()
    money: tuple[Limit, ...] = ()
    """One at most."""

    def __bool__(self) -> bool:
        return bool(self.rates or self.money)

    @cached_property
    def all(self) -> tuple[Limit, ...]:
        """Both."""
        return self.rates + self.money


NO_LIMITS = Limits()


@attrs.frozen(kw_only=True)
class ProviderConfig:
    """What a virtual key may do at one provider. ``["*"]`` is all, an empty list nothing."""

    provider: str
    id: int = 0
    """As the management API has it: a number of the virtual key's own."""
    weight: float | None = None
    """Share in the weighted choice; ``None`` takes no part in it."""
    allowed_models: frozenset[str] = frozenset()
    key_ids: frozenset[str] = frozenset()
    """Ids, or names, of the provider's keys."""
    limits: Limits = NO_LIMITS

    @property
    def include_only(self) -> frozenset[str] | None:
        """Keys that may be used; ``None`` all."""
        return None if ALL in self.key_ids else self.key_ids


@attrs.frozen(kw_only=True)
class VirtualKey:
    """A caller's credential, without its value."""

    id: str
    name: str
    hash: str = attrs.field(repr=False)
    is_active: bool = True
    provider_configs: Mapping[str, ProviderConfig] = MappingProxyType({})
    """By provider, in the order of its list."""
    team_id: str | None = None
    customer_id: str | None = None
    limits: Limits = NO_LIMITS


@attrs.frozen(kw_only=True)
class Team:
    id: str
    name: str
    customer_id: str | None = None
    limits: Limits = NO_LIMITS


@attrs.frozen(kw_only=True)
class Customer:
    id: str
    name: str
    limits: Limits = NO_LIMITS


@attrs.frozen(kw_only=True)
class ModelConfig:
    """Limits of a model, at one provider or, where that is ``None``, wherever it is asked for."""

    id: str
    model: str
    provider: str | None = None
    limits: Limits = NO_LIMITS


Noun = TypeVar("Noun", VirtualKey, Team, Customer, ModelConfig)


@attrs.frozen(kw_only=True)
class Governance:
    """Everything that admission looks up. A change makes another."""

    virtual_keys: Mapping[str, VirtualKey] = MappingProxyType({})
    """By id."""
    by_hash: Mapping[str, VirtualKey] = MappingProxyType({})
    teams: Mapping[str, Team] = MappingProxyType({})
    customers: Mapping[str, Customer] = MappingProxyType({})
    models: Mapping[tuple[str, str | None], ModelConfig] = MappingProxyType({})
    """By model and provider."""
    providers: Mapping[str, Limits] = MappingProxyType({})

    @classmethod
    def of(
        cls,
        *,
        virtual_keys: Iterable[VirtualKey] = (),
        teams: Iterable[Team] = (),
        customers: Iterable[Customer] = (),
        models: Iterable[ModelConfig] = (),
        providers: Mapping[str, Limits] = MappingProxyType({}),
    ) -> Governance:
        """The nouns, indexed."""
        keys = _by_id(virtual_keys)
        return cls(
            virtual_keys=keys,
            by_hash={key.hash: key for key in keys.values() if key.hash},
            teams=_by_id(teams),
            customers=_by_id(customers),
            models={(each.model, each.provider): each for each in models},
            providers={name: limits for name, limits in providers.items() if limits},
        )

    @classmethod
    def of_section(cls, section: GovernanceSection | None) -> Governance:
        """What ``section`` says, its budgets and rate limits being with their owners already."""
        if section is None:
            return NOTHING
        return cls.of(
            virtual_keys=map(virtual_key, section.virtual_keys),
            teams=map(team, section.teams),
            customers=map(customer, section.customers),
            models=map(model_config, section.model_configs),
            providers=dict(map(provider_limits, section.providers)),
        )

    def owners(self, key: VirtualKey) -> tuple[Team | None, Customer | None]:
        """The team and the customer of ``key``; the team's customer, where it has one."""
        team = self.teams.get(key.team_id) if key.team_id else None
        customer_id = key.customer_id if team is None else team.customer_id
        return team, self.customers.get(customer_id) if customer_id else None

    @property
    def limits(self) -> Mapping[str, Limit]:
        """All there are, by the ids of their counters."""
        nouns = (self.virtual_keys, self.teams, self.customers, self.models)
        owners = [each.limits for found in nouns for each in found.values()]
        for key in self.virtual_keys.values():
            owners += [config.limits for config in key.provider_configs.values()]
        owners += self.providers.values()
        return {limit.id: limit for each in owners for limit in each.all}

    @property
    def is_limiting(self) -> bool:
        """Whether a provider or a model has limits of its own, so that every call has to be looked at."""
        return bool(self.models or self.providers)


NOTHING = Governance()


def _by_id(nouns: Iterable[Noun]) -> Mapping[str, Noun]:
    return {each.id: each for each in nouns}


# From the configuration's sections


def virtual_key(section: VirtualKeySection) -> VirtualKey:
    """``section`` as a virtual key. Without a value, its variable being unset, nobody can use it."""
    assert section.id is not None  # noqa: S101  given when it was read
    owner = f"virtual_key:{section.id}"
    numbers = entry_ids(section.id, ((each.id, each.provider) for each in section.provider_configs))
    configs = (
        attrs.evolve(provider_config(each, owner), id=number)
        for each, number in zip(section.provider_configs, numbers, strict=True)
    )
    return VirtualKey(
        id=section.id,
        name=section.name,
        hash=hash_of(section.value.reveal()) if section.value else "",
        is_active=section.is_active,
        provider_configs={each.provider: each for each in configs},
        team_id=section.team_id,
        customer_id=section.customer_id,
        limits=limits(section.budget, section.rate_limit, owner),
    )


def provider_config(section: VirtualKeyProviderSection, owner: str) -> ProviderConfig:
    """``section`` of the virtual key whose limits are named by ``owner``."""
    names = (reference.key_id or reference.name for reference in section.keys)
    return ProviderConfig(
        provider=section.provider,
        weight=section.weight,
        allowed_models=frozenset(section.allowed_models),
        key_ids=frozenset((*section.key_ids, *section.allowed_keys, *filter(None, names))),
        limits=limits(section.budget, section.rate_limit, f"{owner}:{section.provider}"),
    )


def team(section: TeamSection) -> Team:
    return Team(
        id=section.id,
        name=section.name,
        customer_id=section.customer_id,
        limits=limits(section.budget, section.rate_limit, f"team:{section.id}"),
    )


def customer(section: CustomerSection) -> Customer:
    found = limits(section.budget, section.rate_limit, f"customer:{section.id}")
    return Customer(id=section.id, name=section.name, limits=found)


def model_config(section: ModelConfigSection) -> ModelConfig:
    assert section.id is not None  # noqa: S101  given when it was read
    return ModelConfig(
        id=section.id,
        model=section.model_name,
        provider=section.provider,
        limits=limits(section.budget, section.rate_limit, f"model_config:{section.id}"),
    )


def provider_limits(section: ProviderLimitSection) -> tuple[str, Limits]:
    owner = f"provider_limit:{section.name}"
    return section.name, limits(section.budget, section.rate_limit, owner)


def limits(budget: BudgetSection | None, rate_limit: RateLimitSection | None, owner: str) -> Limits:
    """Limits of ``owner``, which names those that have no id of their own."""
    if budget is None and rate_limit is None:
        return NO_LIMITS
    return Limits(
        rates=() if rate_limit is None else tuple(_rates(rate_limit, owner)),
        money=() if budget is None else (_money(budget, owner),),
    )


def _money(section: BudgetSection, owner: str) -> Limit:
    period = Period.parse(section.reset_duration, calendar_aligned=section.calendar_aligned)
    name = section.id or f"{owner}:budget"
    return Limit(name, Unit.NANO_USD, nano(section.max_limit), period)


def _rates(section: RateLimitSection, owner: str) -> Iterator[Limit]:
    name = section.id or f"{owner}:rate_limit"
    tokens, tokens_in = section.token_max_limit, section.token_reset_duration
    if tokens is not None and tokens_in is not None:
        yield Limit(f"{name}:tokens", Unit.TOKENS, tokens, Period.parse(tokens_in))
    requests, requests_in = section.request_max_limit, section.request_reset_duration
    if requests is not None and requests_in is not None:
        yield Limit(f"{name}:requests", Unit.REQUESTS, requests, Period.parse(requests_in))
