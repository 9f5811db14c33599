"""What a virtual key may ask of whom: its providers, and their models. Pure.

Which models a provider has, nobody here knows yet: ``ModelLists`` is what a live catalog is to tell. Without one, ``"*"`` admits
every model, and a white-list what it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bifrost.governance.model import ALL

if TYPE_CHECKING:
    from collections.abc import Collection

    from bifrost.governance.model import ProviderConfig, VirtualKey

__all__ = ["ModelLists", "allows_model", "allows_provider", "refined"]

PREFIXED = frozenset({"groq", "replicate"})
"""Providers whose models are called ``maker/model``."""


class ModelLists(Protocol):
    """What providers say that they have."""

    def models_of(self, provider: str) -> Collection[str]:
        """The provider's own list, by its own names; empty if it is not known."""

    def has(self, provider: str, model: str) -> bool:
        """Whether ``provider`` has ``model``, by that name or another that means the same."""


def allows_provider(key: VirtualKey, provider: str) -> bool:
    """Whether ``key`` may ask ``provider``: there is a configuration of it."""
    return provider in key.provider_configs


def allows_model(config: ProviderConfig, model: str, lists: ModelLists | None = None) -> bool:
    """Whether whoever has ``config`` may ask its provider for ``model``.

    A white-list has to name it, as it is or as its provider calls it: with its maker before it, where ``lists`` say that the
    provider has it so.
    """
    allowed = config.allowed_models
    if ALL in allowed:
        return lists is None or lists.has(config.provider, model)
    if model in allowed or refined(config.provider, model, lists) in allowed:
        return True
    if lists is not None and not allowed.isdisjoint(_makers(config.provider, model, lists)):
        return True
    is_prefixed = config.provider in PREFIXED
    return is_prefixed and any(refined(config.provider, entry, lists) == model for entry in allowed)


def refined(provider: str, model: str, lists: ModelLists | None = None) -> str | None:
    """``model`` as ``provider`` calls it; ``None`` if that could be several.

    Groq and Replicate put its maker before it: OpenAI before what has ``gpt-`` in its name at Groq, else the one that
    ``lists`` have. What has a maker keeps it.
    """
    if provider not in PREFIXED or "/" in model:
        return model
    if provider == "groq" and "gpt-" in model:
        return f"openai/{model}"
    if lists is None:
        return model
    found = _makers(provider, model, lists)
    return model if not found else found.pop() if len(found) == 1 else None


def _makers(provider: str, model: str, lists: ModelLists) -> set[str]:
    """How the provider's own list calls ``model``, with makers before it."""
    parts = ((each, each.partition("/")) for each in lists.models_of(provider))
    return {each for each, (_, slash, rest) in parts if slash and rest == model}
