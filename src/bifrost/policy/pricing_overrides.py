"""Prices of the operator's own: which of them holds for a call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from bifrost.config.faults import ConfigError, ConfigErrors, below, item
from bifrost.config.price_fields import patch_faults, patch_members
from bifrost.policy.pricing_rates import Tariff, read_tariff

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bifrost.config.governance_section import PricingOverrideSection

__all__ = ["Asked", "Override", "Overrides"]

SCOPES: Mapping[str, frozenset[str]] = {
    "virtual_key_provider_key": frozenset({"virtual_key_id", "provider_key_id"}),
    "virtual_key_provider": frozenset({"virtual_key_id", "provider_id"}),
    "virtual_key": frozenset({"virtual_key_id"}),
    "provider_key": frozenset({"provider_key_id"}),
    "provider": frozenset({"provider_id"}),
    "global": frozenset(),
}
"""The ids that a scope needs; it may have no others. The most specific first."""

SCOPE_ORDER = tuple(SCOPES)
MATCH_ORDER = ("exact", "wildcard", "regex")
OLD_MEMBERS = frozenset({"model_pattern", "match_type", "request_types", "id", "name"})
"""Of version 1.4's overrides, which have their prices beside these."""

REQUEST_TYPES = frozenset(
    {
        "chat_completion",
        "text_completion",
        "responses",
        "embedding",
        "rerank",
        "speech",
        "transcription",
        "image_generation",
        "image_variation",
        "image_edit",
        "video_generation",
        "video_remix",
    }
)
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

        Raises ConfigErrors with every mistake and its path.
        """
        errors: list[ConfigError] = []
        found = [_section(each, _path(index), errors) for index, each in enumerate(sections)]
        for provider, members in of_providers.items():
            at = below(below("providers", provider), "pricing_overrides")
            found += [_old(provider, each, item(at, i), errors) for i, each in enumerate(members)]
        if errors:
            raise ConfigErrors(errors)
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


def _path(index: int) -> str:
    return item("governance.pricing_overrides", index)


def _section(section: PricingOverrideSection, path: str, errors: list[ConfigError]) -> Override:
    ids = {
        name: getattr(section, name)
        for name in ("virtual_key_id", "provider_id", "provider_key_id")
    }
    _check_ids(ids, section.scope_kind, path, errors)
    _check_types(section.request_types, path, errors)
    if section.match_type == "wildcard" and not section.pattern.endswith("*"):
        errors.append(ConfigError(below(path, "pattern"), "no * at its end", "a prefix and a *"))
    return Override(
        scope=section.scope_kind,
        match_type=section.match_type,
        pattern=section.pattern,
        request_types=frozenset(section.request_types),
        tariff=_tariff(section.pricing_patch, below(path, "pricing_patch"), errors),
        **ids,
    )


def _check_ids(
    ids: Mapping[str, str | None], scope: str, path: str, errors: list[ConfigError]
) -> None:
    for name, value in ids.items():
        if value is None and name in SCOPES[scope]:
            errors.append(ConfigError(below(path, name), "nothing", f"an id, for scope {scope}"))
        if value is not None and name not in SCOPES[scope]:
            errors.append(ConfigError(below(path, name), "an id", f"nothing, for scope {scope}"))


def _check_types(types: Iterable[object], path: str, errors: list[ConfigError]) -> None:
    found = list(types)
    if not found:
        allowed = "at least one of " + ", ".join(sorted(REQUEST_TYPES))
        errors.append(ConfigError(below(path, "request_types"), "none", allowed))
    for index, each in enumerate(found):
        if each not in REQUEST_TYPES:
            at = item(below(path, "request_types"), index)
            errors.append(ConfigError(at, str(each), ", ".join(sorted(REQUEST_TYPES))))


def _tariff(patch: str | Mapping[str, object], path: str, errors: list[ConfigError]) -> Tariff:
    try:
        members = patch_members(patch)
    except ValueError as error:
        errors.append(ConfigError(path, str(error), "an object of prices, or its JSON text"))
        return {}
    errors.extend(ConfigError(below(path, name), *fault) for name, *fault in patch_faults(members))
    return read_tariff(members)


def _old(
    provider: str, members: Mapping[str, object], path: str, errors: list[ConfigError]
) -> Override:
    """One of version 1.4: its shape was checked with the provider's settings, its prices and expression are not."""
    prices = {name: value for name, value in members.items() if name not in OLD_MEMBERS}
    match_type, pattern = str(members["match_type"]), str(members["model_pattern"])
    types = members.get("request_types") or ()
    named = tuple(types) if isinstance(types, list | tuple) else ()
    if named:
        _check_types(named, path, errors)
    return Override(
        scope="provider",
        provider_id=provider,
        match_type=match_type,
        pattern=pattern,
        expression=_expression(pattern, path, errors) if match_type == "regex" else None,
        request_types=frozenset(str(each) for each in named),
        tariff=_tariff(prices, path, errors),
    )


def _expression(pattern: str, path: str, errors: list[ConfigError]) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error as error:
        errors.append(ConfigError(below(path, "model_pattern"), str(error), "a regular expression"))
        return None
