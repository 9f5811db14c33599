"""What the configuration is made of where it is kept and changed piece by piece: nouns, each the JSON of one entity.

A noun's body has the shape of its class in the file. A key is a noun of its own, beside its provider; budgets and rate
limits are inside of their owners.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import attrs

from bifrost.config.governance_section import (
    AuthSection,
    CustomerSection,
    ModelConfigSection,
    PricingOverrideSection,
    ProviderLimitSection,
    RoutingRuleSection,
    TeamSection,
    VirtualKeySection,
)
from bifrost.config.sections import FrameworkSection, PluginSection
from bifrost.config.settings import ClientSettings, KeySettings, ProviderSettings

__all__ = ["ANY", "KINDS", "NONE", "Body", "Change", "Noun", "Put", "Remove", "claims", "limit_ids"]

Body = Mapping[str, object]
"""JSON: dict, list, str, int, float, bool and None."""

KINDS: Mapping[str, type] = MappingProxyType(
    {
        "client": ClientSettings,
        "provider": ProviderSettings,
        "key": KeySettings,
        "virtual_key": VirtualKeySection,
        "team": TeamSection,
        "customer": CustomerSection,
        "model_config": ModelConfigSection,
        "provider_limit": ProviderLimitSection,
        "routing_rule": RoutingRuleSection,
        "pricing_override": PricingOverrideSection,
        "plugin": PluginSection,
        "framework": FrameworkSection,
        "auth": AuthSection,
    }
)
"""The kinds, with the class that says what a body looks like. A ``key``'s has ``provider`` besides, a ``provider``'s no ``keys``."""

ANY: None = None
"""Expected: whatever is there."""
NONE = 0
"""Expected: nothing is there. No noun has this version."""


@attrs.frozen(kw_only=True)
class Noun:
    """An entity as it is kept.

    ``version`` grows with each change, and no later noun of the same id has it again. ``file_hash`` is the fingerprint of
    what the file said of it, ``None`` if it never was in the file. A noun that ``is_removed`` is none any more: it only
    says that the file shall not bring it back.
    """

    kind: str
    id: str
    body: Body = attrs.field(repr=False)
    version: int
    file_hash: str | None = attrs.field(default=None, repr=False)
    changed_by_api: bool = False
    is_removed: bool = False
    sealed_with: str | None = None
    """Which encryption key its secrets are sealed with, in a store's rows; ``None`` in clear."""
    created_unix_s: float
    updated_unix_s: float


@attrs.frozen(kw_only=True)
class Put:
    """A noun is to be there, with this body. ``expected`` is the version it has until then, ``ANY`` or ``NONE``.

    ``unique`` are claims that no other noun may have: ``("key.name:prod",)``.
    """

    kind: str
    id: str
    body: Body = attrs.field(repr=False)
    expected: int | None = ANY
    unique: tuple[str, ...] = ()
    file_hash: str | None = attrs.field(default=None, repr=False)
    changed_by_api: bool = True
    sealed_with: str | None = None


@attrs.frozen(kw_only=True)
class Remove:
    """A noun is not to be there. One that the file has leaves its mark, unless it is removed ``for_good``."""

    kind: str
    id: str
    expected: int | None = ANY
    for_good: bool = False


Change = Put | Remove


def claims(kind: str, body: Body) -> tuple[str, ...]:
    """What no other noun may have: the ``unique`` of a noun with this body, canonical and in clear.

    Names of keys (over all providers) and of virtual keys, a virtual key's value by its SHA-256, a routing rule's name within
    its scope, a model with its provider, and the ids of budgets and rate limits, by which usage is counted.
    """
    return (*_names(kind, body), *(f"limit.id:{each}" for each in limit_ids(body)))


def _names(kind: str, body: Body) -> Iterator[str]:
    name, value = body.get("name"), body.get("value")
    match kind:
        case "key":
            yield f"key.name:{name}"
        case "virtual_key":
            yield f"virtual_key.name:{name}"
            if isinstance(value, str) and value and not value.startswith("env."):
                yield f"virtual_key.value:{hashlib.sha256(value.encode()).hexdigest()}"
        case "routing_rule":
            scope = body.get("scope", "global")
            yield f"routing_rule.name:{scope}:{body.get('scope_id') or ''}:{name}"
        case "model_config":
            yield f"model_config.model:{body.get('provider') or '*'}:{body.get('model_name')}"
        case _:
            return


def limit_ids(body: Body) -> Iterator[str]:
    """The ids of the budgets and rate limits in a body, a virtual key's provider configs included."""
    configs = body.get("provider_configs", ())
    for holder in (body, *(configs if isinstance(configs, list | tuple) else ())):
        for name in ("budget", "rate_limit"):
            limit = holder.get(name) if isinstance(holder, Mapping) else None
            if isinstance(limit, Mapping) and isinstance(limit.get("id"), str):
                yield limit["id"]
