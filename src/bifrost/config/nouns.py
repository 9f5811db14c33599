"""What the configuration is made of where it is kept and changed piece by piece: nouns, each the JSON of one entity.

A noun's body has the shape of its class in the file. A key is a noun of its own, beside its provider; budgets and rate
limits are inside of their owners.
"""

from __future__ import annotations

from collections.abc import Mapping
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

__all__ = ["ANY", "KINDS", "NONE", "Body", "Change", "Noun", "Put", "Remove"]

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
