"""The prices that come with the package ``genai-prices``, as tariffs. No network: its data lies beside its code.

The package has prices of tokens (text, cached, sound, images, reasoning), searches, requests, spoken characters and hours
of sound; it has none for an image or a pixel, nor for seconds of speech made. It is imported when it is first asked,
for that takes half a second and 25 MB (pydantic, an HTTP client for its updates, 1.6 MB of tables): ``load`` does it beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.policy.pricing_rates import Slot, atto

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

__all__ = ["BundledModel", "bundled_model", "load"]

MAX_MODEL_CHARACTERS = 200
"""Longer names are not looked up: each is held against hundreds of patterns."""

THEIR_NAMES: Mapping[str, str] = MappingProxyType(
    {"bedrock": "aws", "vertex": "google", "gemini": "google", "xai": "x-ai"}
)
"""What the package calls our providers, where it has another name."""

UNITS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "input_mtok": ("input_cost_per_token", 10**6),
        "output_mtok": ("output_cost_per_token", 10**6),
        "cache_read_mtok": ("cache_read_input_token_cost", 10**6),
        "cache_write_mtok": ("cache_creation_input_token_cost", 10**6),
        "input_audio_mtok": ("input_cost_per_audio_token", 10**6),
        "output_audio_mtok": ("output_cost_per_audio_token", 10**6),
        "input_image_mtok": ("input_cost_per_image_token", 10**6),
        "output_image_mtok": ("output_cost_per_image_token", 10**6),
        "output_reasoning_mtok": ("output_cost_per_reasoning_token", 10**6),
        "web_searches_kcount": ("search_context_cost_per_query", 10**3),
        "requests_kcount": ("cost_per_request", 10**3),
        "input_mchars": ("input_cost_per_character", 10**6),
        "input_audio_hours": ("input_cost_per_second", 3600),
    }
)
"""The package's prices that are counted here: our unit, and how many of them its price is for."""

SERVICES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "priority": {"service_tier": "priority"},
        "flex": {"service_tier": "flex"},
        "batch": {"processing": "batch"},
    }
)


@attrs.frozen
class BundledModel:
    """A model that the package knows."""

    tariff: Mapping[Slot, int]
    context_length: int | None


def load() -> None:
    """Import the package and its tables: half a second, which a thread may spend while the gateway starts."""
    _providers()


def bundled_model(provider: str, model: str, today: date) -> BundledModel | None:
    """What ``model`` of ``provider`` costs on ``today`` (UTC); ``None`` if the package has no price for it.

    Costs up to a millisecond, and half a second the first time unless ``load`` was called: keep what it says.
    """
    if not model or len(model) > MAX_MODEL_CHARACTERS:
        return None
    seller, name = _seller(provider, model)
    if seller is None:
        return None
    # Not the package's own look-up: that remembers every name it was ever asked for.
    info = seller.find_model(name, all_providers=_providers())
    if info is None:
        return None
    tariff = _tariff(info, today, has_variants=any(info is each for each in seller.models))
    return BundledModel(tariff, info.context_window)


def _providers() -> list[Provider]:
    from genai_prices.data import providers  # noqa: PLC0415  heavy, see above

    return providers


def _seller(provider: str, model: str) -> tuple[Provider | None, str]:
    """Whose price list to look into, and by what name. Hugging Face has one for each partner that serves a model."""
    wanted, name = THEIR_NAMES.get(provider, provider), model
    if provider == "huggingface":
        partner, _, name = model.partition("/")
        wanted = f"huggingface_{partner}"
    return next((each for each in _providers() if each.id == wanted), None), name


def _tariff(info: ModelInfo, today: date, *, has_variants: bool) -> dict[Slot, int]:
    # Hours of a day matter only to prices of providers that the gateway does not know (deepseek's own, 2026-11).
    moment = datetime(today.year, today.month, today.day, 12, tzinfo=UTC)
    ordinary = info.get_prices(moment)
    tariff = _slots(ordinary, "")
    for service, context in SERVICES.items() if has_variants else ():
        tariff |= _slots(info.get_prices(moment, context), service, ordinary)
    return tariff


def _slots(price: ModelPrice, service: str, ordinary: ModelPrice | None = None) -> dict[Slot, int]:
    """The rates of ``price``, without those that are as in ``ordinary``."""
    slots: dict[Slot, int] = {}
    for name, (unit, per) in UNITS.items():
        found: Decimal | TieredPrices | None = getattr(price, name)
        if found is None or (ordinary is not None and found == getattr(ordinary, name)):
            continue
        if isinstance(found, Decimal):
            slots[Slot(unit, 0, service)] = atto(found, per)
            continue
        slots[Slot(unit, 0, service)] = atto(found.base, per)
        for tier in found.tiers:
            slots[Slot(unit, tier.start, service, of_prompt=True)] = atto(tier.price, per)
    return slots
