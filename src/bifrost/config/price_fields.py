"""The names of prices, as price lists and overrides have them, and how an amount is read.

Names are those of the original's datasheet, which has them from LiteLLM's price map: a base
(``input_cost_per_token``), and behind it, in any order, a size from which it holds
(``_above_200k_tokens``) and a class of service (``_priority``, ``_flex``, ``_batches``).
Source: the original's datasheet and override form, and LiteLLM's map, 2026-11.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

import attrs

__all__ = [
    "PRICE_NAMES",
    "PriceField",
    "is_price_name",
    "patch_members",
    "price_field",
    "read_price",
    "read_usd",
]

MAX_PRICE_USD = 10**9
"""No unit of anything costs so much."""

MAX_PATCH_CHARACTERS = 64 * 1024


@attrs.frozen
class PriceField:
    """What a price is for. ``unit`` is the base name; ``above_tokens`` 0 and ``service`` empty are the ordinary."""

    unit: str
    above_tokens: int = 0
    service: str = ""


UNITS = frozenset(
    {
        "input_cost_per_token",
        "output_cost_per_token",
        "cache_read_input_token_cost",
        "cache_creation_input_token_cost",
        "input_cost_per_audio_token",
        "output_cost_per_audio_token",
        "input_cost_per_image_token",
        "output_cost_per_image_token",
        "output_cost_per_reasoning_token",
        "search_context_cost_per_query",
        "cost_per_request",
        "input_cost_per_character",
        "input_cost_per_second",
        "input_cost_per_audio_per_second",
        "output_cost_per_second",
        "output_cost_per_video_per_second",
        "input_cost_per_pixel",
        "output_cost_per_pixel",
        "input_cost_per_image",
        "output_cost_per_image",
        "output_cost_per_image_low_quality",
        "output_cost_per_image_medium_quality",
        "output_cost_per_image_high_quality",
        "output_cost_per_image_auto_quality",
        "output_cost_per_image_above_512_and_512_pixels",
        "output_cost_per_image_above_1024_and_1024_pixels",
        "output_cost_per_image_above_2048_and_2048_pixels",
        "output_cost_per_image_above_4096_and_4096_pixels",
    }
)
"""What ``policy.pricing`` reckons with."""

PRICE_NAMES: tuple[str, ...] = tuple(sorted(UNITS))
"""Without what may stand behind them."""

UNUSED = frozenset(
    {
        "cache_creation_input_token_cost_above_1hr",
        "code_interpreter_cost_per_session",
        "input_cost_per_video_per_second",
        "output_cost_per_image_premium_image",
        "output_cost_per_image_above_512_and_512_pixels_and_premium_image",
        "output_cost_per_image_above_1024_and_1024_pixels_and_premium_image",
    }
)
"""Prices that are taken and change nothing: of what is never counted here."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "input_cost_per_query": "search_context_cost_per_query",
        "input_cost_per_request": "cost_per_request",
    }
)
SERVICES: Mapping[str, str] = MappingProxyType(
    {"_priority": "priority", "_flex": "flex", "_batches": "batch"}
)
_ABOVE = re.compile(r"_above_([1-9][0-9]{0,4})k_tokens\Z")


def price_field(name: str) -> PriceField | None:
    """What the price called ``name`` is for; ``None`` if it is no name of a price that counts."""
    above, service = 0, ""
    while name not in UNITS and name not in ALIASES:
        threshold = _ABOVE.search(name)
        suffix = next((each for each in SERVICES if name.endswith(each)), None)
        if threshold is not None and not above:
            above, name = int(threshold[1]) * 1000, name[: threshold.start()]
        elif suffix is not None and not service:
            service, name = SERVICES[suffix], name.removesuffix(suffix)
        else:
            return None
    return PriceField(ALIASES.get(name, name), above, service)


def is_price_name(name: str) -> bool:
    """Whether it may stand among prices, whether it counts for anything here or not."""
    return name in UNUSED or price_field(name) is not None


def read_usd(value: object) -> Decimal | None:
    """An amount of US dollars, exactly as it was written; ``None`` if it is none, or below 0, or beyond all measure.

    A float is the decimal number that was written for it (its shortest). Text is taken too, for YAML reads ``2e-6`` as text.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, str) and len(value) > 40:
        return None
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        return None
    if not amount.is_finite() or not 0 <= amount < MAX_PRICE_USD:
        return None
    # Less than that is nothing, and an exponent of any length would be long to reckon with.
    return amount if amount.adjusted() >= -18 else Decimal(0)


def read_price(value: object) -> Decimal | None:
    """A price, which may depend on how much is searched: then the medium one, else the low, else the high."""
    if not isinstance(value, Mapping):
        return read_usd(value)
    sizes = (value.get(f"search_context_size_{size}") for size in ("medium", "low", "high"))
    return next((amount for size in sizes if (amount := read_usd(size)) is not None), None)


def patch_members(patch: str | Mapping[str, object]) -> Mapping[str, object]:
    """The prices of an override, which are an object or its JSON text.

    Raises ValueError if the text is none. Numbers in it become ``Decimal``: no price goes through a float, which is why
    this is not done by the JSON door.
    """
    if not isinstance(patch, str):
        return patch
    if len(patch) > MAX_PATCH_CHARACTERS:
        raise ValueError("a text that is too long")
    try:
        members = json.loads(patch, parse_float=Decimal)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise ValueError("a text that is no JSON object")  # noqa: TRY004  it is the text that is wrong
    return members
