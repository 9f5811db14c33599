"""The shape of the ``governance`` section. Its room is not built yet: files are checked, and their wishes named."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import attrs

from bifrost.config.rules import AlsoSpelt, Mark, at_least, positive
from bifrost.config.secret import Secret
from bifrost.config.texts import DURATION, NAME

__all__ = ["AuthSection", "GovernanceSection"]

NOTHING: Mapping[str, object] = MappingProxyType({})

Id = Annotated[str, NAME]
Whitelist = Annotated[tuple[Id, ...], Mark.WHITELIST]


@attrs.frozen(kw_only=True)
class AuthSection:
    """Who may use the management API."""

    admin_username: Annotated[str, Mark.FROM_ENV] = ""
    admin_password: Secret | None = None
    """The password, ``env.NAME``, or an argon2id hash. bcrypt hashes are refused."""
    is_enabled: bool = False
    disable_auth_on_inference: bool = False


@attrs.frozen(kw_only=True)
class BudgetSection:
    """A sum of money in a time."""

    id: Id | None = None
    max_limit: Annotated[float, positive()]
    """US dollars."""
    reset_duration: Annotated[str, DURATION]
    calendar_aligned: bool = False
    """Resets at midnight UTC of a day, week, month or year."""
    current_usage: Annotated[float, at_least(0)] = 0.0
    last_reset: str | None = None


@attrs.frozen(kw_only=True)
class RateLimitSection:
    """Tokens or requests in a time. A limit needs its duration."""

    id: Id | None = None
    token_max_limit: Annotated[int | None, at_least(1)] = None
    token_reset_duration: Annotated[str | None, DURATION] = None
    token_current_usage: Annotated[int, at_least(0)] = 0
    token_last_reset: str | None = None
    request_max_limit: Annotated[int | None, at_least(1)] = None
    request_reset_duration: Annotated[str | None, DURATION] = None
    request_current_usage: Annotated[int, at_least(0)] = 0
    request_last_reset: str | None = None


@attrs.frozen(kw_only=True)
class KeyReference:
    """A provider key, by id or name."""

    key_id: Id | None = None
    name: Id | None = None


@attrs.frozen(kw_only=True)
class VirtualKeyProviderSection:
    """What a virtual key may do at one provider."""

    id: int | None = None
    provider: Id
    weight: Annotated[float | None, at_least(0)] = None
    """Share in the weighted choice; absent takes no part in it."""
    allowed_models: Whitelist = ()
    key_ids: Whitelist = ()
    """Keys of the provider by their ids; names do as well."""
    allowed_keys: Whitelist = ()
    """Names of keys, as in version 1.4."""
    keys: tuple[KeyReference, ...] = ()
    budget_id: Id | None = None
    budget: BudgetSection | None = None
    rate_limit_id: Id | None = None
    rate_limit: RateLimitSection | None = None


@attrs.frozen(kw_only=True)
class VirtualKeyMcpSection:
    """What a virtual key may do with one MCP client."""

    id: int | None = None
    mcp_client_id: Id | int | None = None
    mcp_client_name: Id | None = None
    tools_to_execute: Whitelist = ()


@attrs.frozen(kw_only=True)
class VirtualKeySection:
    """A caller's credential."""

    id: Id | None = None
    name: Id
    description: str = ""
    value: Secret | None = None
    """Generated if absent."""
    is_active: bool = True
    provider_configs: tuple[VirtualKeyProviderSection, ...] = ()
    mcp_configs: tuple[VirtualKeyMcpSection, ...] = ()
    team_id: Id | None = None
    customer_id: Id | None = None
    budget_id: Id | None = None
    budget: BudgetSection | None = None
    rate_limit_id: Id | None = None
    rate_limit: RateLimitSection | None = None


@attrs.frozen(kw_only=True)
class TeamSection:
    id: Id
    name: Id
    customer_id: Id | None = None
    budget_id: Id | None = None
    budget: BudgetSection | None = None
    rate_limit_id: Id | None = None
    rate_limit: RateLimitSection | None = None
    profile: Mapping[str, object] = NOTHING
    config: Mapping[str, object] = NOTHING
    claims: Mapping[str, object] = NOTHING


@attrs.frozen(kw_only=True)
class CustomerSection:
    id: Id
    name: Id
    budget_id: Id | None = None
    budget: BudgetSection | None = None
    rate_limit_id: Id | None = None
    rate_limit: RateLimitSection | None = None


@attrs.frozen(kw_only=True)
class RoutingTargetSection:
    """Where a rule sends a call; what is absent stays as it came."""

    provider: Id | None = None
    model: Id | None = None
    key_id: Id | None = None
    weight: Annotated[float, at_least(0)] = 1.0


@attrs.frozen(kw_only=True)
class RoutingRuleSection:
    """A CEL expression and where the calls go for which it holds."""

    id: Id
    name: Id
    description: str = ""
    enabled: bool = True
    cel_expression: str = ""
    targets: tuple[RoutingTargetSection, ...] = ()
    fallbacks: tuple[Id, ...] = ()
    query: Mapping[str, object] = NOTHING
    scope: Literal["global", "team", "customer", "virtual_key"] = "global"
    scope_id: Id | None = None
    priority: int = 0
    chain_rule: bool = False


@attrs.frozen(kw_only=True)
class ModelConfigSection:
    """Limits of a model, whoever calls it."""

    id: Id | None = None
    model_name: Id
    provider: Id | None = None
    budget_id: Id | None = None
    budget: BudgetSection | None = None
    rate_limit_id: Id | None = None
    rate_limit: RateLimitSection | None = None


@attrs.frozen(kw_only=True)
class ProviderLimitSection:
    """Limits of a provider, whoever calls it."""

    name: Annotated[Id, AlsoSpelt("provider")]
    budget_id: Id | None = None
    budget: BudgetSection | None = None
    rate_limit_id: Id | None = None
    rate_limit: RateLimitSection | None = None


@attrs.frozen(kw_only=True)
class PricingOverrideSection:
    """Prices of your own, in US dollars a unit."""

    id: Id
    name: str = ""
    scope_kind: Literal[
        "virtual_key_provider_key",
        "virtual_key_provider",
        "virtual_key",
        "provider_key",
        "provider",
        "global",
    ]
    virtual_key_id: Id | None = None
    provider_id: Id | None = None
    provider_key_id: Id | None = None
    match_type: Literal["exact", "wildcard"]
    pattern: Annotated[Id, AlsoSpelt("model_pattern")]
    request_types: tuple[Id, ...]
    pricing_patch: Annotated[str | Mapping[str, object], AlsoSpelt("patch")]
    """The prices that differ, as an object or as its JSON text."""


@attrs.frozen(kw_only=True)
class GovernanceSection:
    """Who may spend what."""

    virtual_keys: tuple[VirtualKeySection, ...] = ()
    teams: tuple[TeamSection, ...] = ()
    customers: tuple[CustomerSection, ...] = ()
    budgets: tuple[BudgetSection, ...] = ()
    rate_limits: tuple[RateLimitSection, ...] = ()
    routing_rules: tuple[RoutingRuleSection, ...] = ()
    model_configs: tuple[ModelConfigSection, ...] = ()
    providers: tuple[ProviderLimitSection, ...] = ()
    pricing_overrides: tuple[PricingOverrideSection, ...] = ()
    auth_config: AuthSection | None = None
