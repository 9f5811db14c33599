"""Which provider and model a caller's words mean. Compiled once from a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

import attrs

from bifrost.config.names import BUILT_IN, KEYLESS, MAY_BE_BLANK
from bifrost.schema.call import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.config.settings import Config, ProviderSettings

__all__ = ["MAX_FALLBACKS", "MAX_MODEL", "Catalog"]

MAX_FALLBACKS = 32
"""Of a longer list the rest is not tried."""

MAX_MODEL = 512
"""Characters; a longer name is nobody's model."""


@attrs.frozen
class Catalog:
    """``known`` are the names that count as a provider prefix; ``available`` those with a usable key."""

    known: frozenset[str]
    configured: tuple[str, ...]
    """In alphabetical order."""
    available: frozenset[str]
    bases: Mapping[str, str] = attrs.field(factory=dict)
    """Custom providers with what they are made of."""
    defers: bool = False
    """Whether a model that nobody serves by default is no mistake yet: a routing rule, or a virtual key, may say who does."""

    @classmethod
    def of(cls, config: Config, *, defers: bool = False) -> Catalog:
        """The catalog of ``config``."""
        providers = config.providers
        return cls(
            known=BUILT_IN | frozenset(providers),
            configured=tuple(sorted(providers)),
            available=frozenset(name for name, p in providers.items() if _is_available(p)),
            bases={n: p.custom.base_provider_type for n, p in providers.items() if p.custom},
            defers=defers,
        )

    def base(self, provider: str) -> str:
        """Whose API ``provider`` has: a custom one that of what it is made of."""
        return self.bases.get(provider, provider)

    def parse(self, model: str, default_provider: str) -> Target:
        """``model`` split at its first ``/`` if a known provider stands before it; else all of it, for the default.

        The provider is ``""`` where there is no default either.
        """
        prefix, slash, rest = model.partition("/")
        if slash and prefix in self.known:
            return Target(prefix, rest)
        return Target(default_provider, model, is_default=True)

    def parse_fallbacks(
        self, entries: Iterable[object], default_provider: str | None
    ) -> tuple[Target, ...]:
        """The targets that ``entries`` of ``fallbacks`` name, in order, ``MAX_FALLBACKS`` of the entries at most.

        An entry is a string, or an object with ``model`` and perhaps ``provider``. One without a provider is a model of
        ``default_provider``; ``None`` leaves open whose, and gives such a model the provider ``""``. What names no known
        provider or no model is skipped.
        """
        found = (
            self._fallback(entry, default_provider) for entry in islice(entries, MAX_FALLBACKS)
        )
        return tuple(target for target in found if target is not None)

    def _fallback(self, entry: object, default_provider: str | None) -> Target | None:
        provider, model = _spelt(entry)
        target = Target(provider, model) if provider else self.parse(model, default_provider or "")
        is_open = target.is_default and default_provider is None
        is_anyones = is_open or target.provider in self.known
        return target if is_anyones and 0 < len(target.model) <= MAX_MODEL else None


def _spelt(entry: object) -> tuple[str, str]:
    """Provider and model as an entry of ``fallbacks`` has them, each ``""`` where it has none."""
    if isinstance(entry, str):
        return "", entry
    if not isinstance(entry, dict):
        return "", ""
    provider, model = entry.get("provider") or "", entry.get("model")
    is_sane = isinstance(provider, str) and isinstance(model, str)
    return (provider, str(model)) if is_sane else ("", "")


def _is_available(provider: ProviderSettings) -> bool:
    """Whether a model without prefix may go there: some key is enabled and has a value, or none is wanted."""
    custom = provider.custom
    base = custom.base_provider_type if custom else provider.name
    if custom is not None and custom.is_key_less and base != "bedrock":
        return True
    if not provider.keys:
        return base in KEYLESS
    return any(key.enabled and (key.value or base in MAY_BE_BLANK) for key in provider.keys)
