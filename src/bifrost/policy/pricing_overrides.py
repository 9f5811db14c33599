"""Prices of the operator's own: which of them holds for a call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from bifrost.config.price_checks import SCOPES
from bifrost.config.price_fields import patch_members
from bifrost.policy.pricing_rates import Tariff, read_tariff

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bifrost.config.governance_section import PricingOverrideSection

__all__ = ["Asked", "Override", "Overrides"]

SCOPE_ORDER = tuple(SCOPES)
MATCH_ORDER = ("exact", "wildcard", "regex")
MAX_MODEL_CHARACTERS = 200
"""Of names that a pattern is held against; expressions of version 1.4 may be slow."""


@attrs.frozen(kw_only=True)
class Asked:
    """What a price is wanted for. ``request_type`` is of the call without streaming."""

    model: str
    provider: str
    request_type: str
    virtual_key_id: str = ""
    key_id: str = ""


@attrs.frozen(kw_only=True)
class Override:
    """One override, read. ``None`` among the ids: of any."""

    scope: str
    virtual_key_id: str | None = None
    provider_id: str | None = None
    provider_key_id: str | None = None
    match_type: str
    pattern: str
    expression: re.Pattern[str] | None = None
    request_types: frozenset[str] = frozenset()
    """Empty: of all."""
    tariff: Tariff

    def covers(self, asked: Asked) -> bool:
        """Whether it is of such calls."""
        return (
            self.virtual_key_id in (None, asked.virtual_key_id)
            and self.provider_id in (None, asked.provider)
            and self.provider_key_id in (None, asked.key_id)
            and (not self.request_types or asked.request_type in self.request_types)
            and self._matches(asked.model)
        )

    def _matches(self, model: str) -> bool:
        if self.match_type == "exact":
            return model == self.pattern
        if self.match_type == "wildcard":
            return model.startswith(self.pattern.removesuffix("*"))
        return (
            self.expression is not None
            and len(model) <= MAX_MODEL_CHARACTERS
            and self.expression.search(model) is not None
        )

    @property
    def rank(self) -> tuple[int, int, bool, int]:
        """The lower wins; among equals the older."""
        return (
            SCOPE_ORDER.index(self.scope),
            MATCH_ORDER.index(self.match_type),
            not self.request_types,
            -len(self.pattern.removesuffix("*")),
        )


@attrs.frozen
class Overrides:
    """All overrides, the one to win first."""

    _ordered: tuple[Override, ...] = ()

    @classmethod
    def of(
        cls,
        sections: Iterable[PricingOverrideSection],
        of_providers: Mapping[str, Iterable[Mapping[str, object]]],
    ) -> Overrides:
        """Read ``governance.pricing_overrides`` and the providers' own lists, in the shape of version 1.4.

        All of them as ``config.price_checks`` lets them through.
        """
        found = [_section(each) for each in sections]
        for provider, members in of_providers.items():
            found += [_old(provider, each) for each in members]
        return cls(tuple(sorted(found, key=lambda each: each.rank)))

    def __bool__(self) -> bool:
        return bool(self._ordered)

    @property
    def virtual_key_ids(self) -> frozenset[str]:
        """The virtual keys that any override is of."""
        return frozenset(o.virtual_key_id for o in self._ordered if o.virtual_key_id is not None)

    @property
    def key_ids(self) -> frozenset[str]:
        """The provider keys that any override is of."""
        return frozenset(o.provider_key_id for o in self._ordered if o.provider_key_id is not None)

    def best(self, asked: Asked) -> Override | None:
        """The one that holds for such calls: most specific scope, then exact before wildcard, longer literal, older."""
        return next((each for each in self._ordered if each.covers(asked)), None)


def _section(section: PricingOverrideSection) -> Override:
    return Override(
        scope=section.scope_kind,
        virtual_key_id=section.virtual_key_id,
        provider_id=section.provider_id,
        provider_key_id=section.provider_key_id,
        match_type=section.match_type,
        pattern=section.pattern,
        request_types=frozenset(section.request_types),
        tariff=read_tariff(patch_members(section.pricing_patch)),
    )


def _old(provider: str, members: Mapping[str, object]) -> Override:
    match_type, pattern = str(members["match_type"]), str(members["model_pattern"])
    types = members.get("request_types")
    return Override(
        scope="provider",
        provider_id=provider,
        match_type=match_type,
        pattern=pattern,
        expression=re.compile(pattern) if match_type == "regex" else None,
        request_types=frozenset(types) if isinstance(types, list | tuple) else frozenset(),
        tariff=read_tariff(members),
    )
