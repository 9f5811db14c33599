"""Nouns of governance for tests, in few words."""

from __future__ import annotations

from typing import Any

from bifrost.config.governance_section import (
    BudgetSection,
    CustomerSection,
    ModelConfigSection,
    ProviderLimitSection,
    RateLimitSection,
    TeamSection,
    VirtualKeyProviderSection,
    VirtualKeySection,
)
from bifrost.config.secret import Secret
from bifrost.governance import model
from bifrost.governance.model import Governance, Limits, VirtualKey

VALUE = "sk-bf-one"


def budget(usd: float, every: str = "1d", *, aligned: bool = False) -> BudgetSection:
    return BudgetSection(max_limit=usd, reset_duration=every, calendar_aligned=aligned)


def rate(
    *, requests: int | None = None, tokens: int | None = None, every: str = "1m"
) -> RateLimitSection:
    return RateLimitSection(
        request_max_limit=requests,
        request_reset_duration=None if requests is None else every,
        token_max_limit=tokens,
        token_reset_duration=None if tokens is None else every,
    )


def limits(
    owner: str,
    *,
    usd: float | None = None,
    requests: int | None = None,
    tokens: int | None = None,
    every: str = "1d",
) -> Limits:
    has_rate = requests is not None or tokens is not None
    return model.limits(
        None if usd is None else budget(usd, every),
        rate(requests=requests, tokens=tokens, every=every) if has_rate else None,
        owner,
    )


def at(provider: str, **more: Any) -> VirtualKeyProviderSection:
    """What a virtual key may do at ``provider``: everything, if nothing else is said."""
    said = {"allowed_models": ("*",), "key_ids": ("*",)} | more
    return VirtualKeyProviderSection(provider=provider, **said)


def key(name: str = "one", value: str = VALUE, **more: Any) -> VirtualKeySection:
    said = {"name": name, "provider_configs": (at("openai"),)} | more
    return VirtualKeySection(id=name, value=Secret(value), **said)


def governance(
    *keys: VirtualKeySection,
    teams: tuple[TeamSection, ...] = (),
    customers: tuple[CustomerSection, ...] = (),
    models: tuple[ModelConfigSection, ...] = (),
    providers: tuple[ProviderLimitSection, ...] = (),
) -> Governance:
    return Governance.of(
        virtual_keys=map(model.virtual_key, keys),
        teams=map(model.team, teams),
        customers=map(model.customer, customers),
        models=map(model.model_config, models),
        providers=dict(map(model.provider_limits, providers)),
    )


def only(held: Governance) -> VirtualKey:
    (found,) = held.virtual_keys.values()
    return found
