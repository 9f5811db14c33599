"""Which keys of a provider may serve a request, in the order they are configured, and why the others may not.

Only configuration decides here; health comes after. The provider's *base* type gives the rules (a custom provider's is
the dialect it was made of), its own name the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from bifrost.config.settings import KeySettings
from bifrost.policy.token_sources import has_login
from bifrost.schema.call import Operation
from bifrost.values import Choice, frozen

if TYPE_CHECKING:
    from bifrost.config.settings import ProviderSettings

__all__ = [
    "KEYLESS",
    "Eligible",
    "NoKey",
    "Wish",
    "base_type",
    "eligible",
    "is_blank",
    "is_keyless",
    "why_unfit",
]

KEYLESS = KeySettings(id="keyless", name="keyless")
"""What is lent by a provider that wants no credential."""

MAY_BE_KEYLESS = frozenset({"mock", "ollama", "sgl"})
"""Served without any key configured; with keys (for their own addresses) they are keyed like the others."""

MAY_BE_BLANK = frozenset({"azure", "bedrock", "vertex", "vllm", "mock", "ollama", "sgl"})
"""Their keys may have no value: the credential comes from elsewhere, or none is wanted."""

DEPLOYING = frozenset({"azure", "bedrock", "vertex", "replicate"})
"""A key's non-empty map of deployments limits its models to the map's left-hand names."""

NEEDS_BATCH_FLAG = frozenset(
    {"batch_create", "batch_list", "batch_retrieve", "batch_cancel", "batch_delete", "batch_results", "file_upload"}
)  # fmt: skip
"""Operations, by their names, that only keys with ``use_for_batch_api`` may serve."""


Sieve = Callable[[KeySettings], str | None]
"""Says why a key is held back; ``None`` lets it pass."""


class Wish(Protocol):
    """The part of a request that eligibility goes by."""

    @property
    def model(self) -> str: ...
    @property
    def operation(self) -> Operation: ...
    @property
    def pin_id(self) -> str | None: ...
    @property
    def pin_name(self) -> str | None: ...
    @property
    def include_only(self) -> frozenset[str] | None: ...


class NoKey(Choice):
    """Why no key at all is eligible: the first sieve that nothing passed."""

    NO_KEYS = "no_keys"
    NOT_FOR_BATCH = "not_for_batch"
    NO_KEY_FOR_MODEL = "no_key_for_model"
    UNKNOWN_KEY_ID = "unknown_key_id"
    UNKNOWN_KEY_NAME = "unknown_key_name"


@frozen
class Eligible:
    """``keys`` may serve; ``missing`` says which sieve held back the last one if there are none.

    ``reasons`` has a sentence for each key that was held back, by id.
    """

    keys: tuple[KeySettings, ...]
    missing: NoKey | None
    reasons: Mapping[str, str]

    def rotation(self) -> tuple[KeySettings, ...]:
        """Those that are drawn from: weight 0 takes a key out, unless all have it."""
        return tuple(key for key in self.keys if key.weight > 0) or self.keys


def base_type(settings: ProviderSettings) -> str:
    """Whose rules hold for the provider."""
    return settings.custom.base_provider_type if settings.custom else settings.name


def is_keyless(settings: ProviderSettings) -> bool:
    """Whether the provider is called without a credential. Bedrock signs, so it never is."""
    base = base_type(settings)
    if settings.custom is not None and settings.custom.is_key_less and base != "bedrock":
        return True
    return not settings.keys and base in MAY_BE_KEYLESS


def eligible(settings: ProviderSettings, wish: Wish) -> Eligible:
    """The keys that may serve ``wish``, sieved in a fixed order: usable, included, batch, model, pin."""
    if is_keyless(settings):
        return Eligible((KEYLESS,), None, {})
    base = base_type(settings)
    sieves: tuple[tuple[NoKey, Sieve], ...] = (
        (NoKey.NO_KEYS, lambda key: _why_unusable(key, base)),
        (NoKey.NO_KEYS, lambda key: _why_not_included(key, wish)),
        (NoKey.NOT_FOR_BATCH, lambda key: _why_not_batch(key, wish)),
        (NoKey.NO_KEY_FOR_MODEL, lambda key: why_unfit(key, base, wish)),
        _pin_sieve(wish),
    )
    keys, reasons = settings.keys, dict[str, str]()
    for missing, sieve in sieves:
        held = {key.id: reason for key in keys if (reason := sieve(key)) is not None}
        reasons |= held
        keys = tuple(key for key in keys if key.id not in held)
        if not keys:
            return Eligible((), missing, reasons)
    return Eligible(keys, None, reasons)


def _why_unusable(key: KeySettings, base: str) -> str | None:
    if not key.enabled:
        return "disabled"
    return "its value is blank" if is_blank(key, base) else None


def is_blank(key: KeySettings, base: str) -> bool:
    """Whether ``key`` lacks the credential that a provider of this base type wants."""
    if key.value.reveal().strip():
        return False
    return base not in MAY_BE_BLANK or not has_login(key, base)


def _why_not_included(key: KeySettings, wish: Wish) -> str | None:
    allowed = wish.include_only
    if allowed is None or key.id in allowed or key.name in allowed:
        return None
    return "not among the keys that governance allows"


def _why_not_batch(key: KeySettings, wish: Wish) -> str | None:
    if wish.operation.value not in NEEDS_BATCH_FLAG or key.use_for_batch_api:
        return None
    return "use_for_batch_api is off"


def why_unfit(key: KeySettings, base: str, wish: Wish) -> str | None:
    """Why ``key`` does not serve the wish's model, by the name the caller used; ``None`` if it does."""
    model = wish.model
    if wish.operation is Operation.LIST_MODELS or not model:
        return None
    if model in key.blacklisted_models:
        return f"blacklisted_models has {model}"
    allowed = key.models or tuple(key.deployments)
    if "*" not in allowed and model not in allowed:
        return f"models does not have {model}"
    if base in DEPLOYING and key.deployments and model not in key.deployments:
        return f"deployments does not have {model}"
    if base == "vllm" and key.model_name and key.model_name != model:
        return f"its server runs {key.model_name}"
    return None


def _pin_sieve(wish: Wish) -> tuple[NoKey, Sieve]:
    pin_id, pin_name = (wish.pin_id or "").strip(), (wish.pin_name or "").strip()
    if pin_id:
        return NoKey.UNKNOWN_KEY_ID, lambda key: None if key.id == pin_id else "another is pinned"
    return (
        NoKey.UNKNOWN_KEY_NAME,
        lambda key: None if not pin_name or key.name == pin_name else "another is pinned",
    )
