"""What a model costs: a *tariff* as price lists have it, and the *card* of it that holds for one answer.

Money is integers: a rate is in *atto-dollars* (1e-18 US dollars) a unit, so that 0.075 dollars for a million tokens is
exact, and no float enters between the price list and the bill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from types import MappingProxyType

import attrs

from bifrost.config.price_fields import PriceField, price_field, read_price

__all__ = ["ATTO_PER_NANO", "Card", "Rates", "Slot", "Tariff", "atto", "merged", "read_tariff"]

ATTO_PER_NANO = 10**9
_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)


@attrs.frozen
class Slot:
    """Where a rate stands in a tariff.

    ``unit`` is a base name of ``config.price_fields``. ``above_tokens``: it holds for calls of more tokens than that, of
    the prompt if ``of_prompt``, else of prompt and answer together. ``service`` is ``priority``, ``flex``, ``batch`` or empty.
    """

    unit: str
    above_tokens: int = 0
    service: str = ""
    of_prompt: bool = False


Tariff = Mapping[Slot, int]
"""Atto-dollars a unit."""


def atto(amount: Decimal, per: int = 1) -> int:
    """``amount`` US dollars for ``per`` units, as atto-dollars a unit."""
    one = _WIDE.divide(_WIDE.scaleb(amount, 18), per)
    return int(_WIDE.to_integral_value(one))


def read_tariff(members: Mapping[str, object]) -> dict[Slot, int]:
    """The rates among the members of a datasheet's entry, or of an override; all else is passed over."""
    tariff: dict[Slot, int] = {}
    for name, value in members.items():
        field, amount = price_field(name), read_price(value)
        if field is not None and amount is not None:
            tariff[_slot(field)] = atto(amount)
    return tariff


def _slot(field: PriceField) -> Slot:
    return Slot(field.unit, field.above_tokens, field.service)


def merged(base: Tariff, patch: Tariff) -> dict[Slot, int]:
    """``base`` with the rates of ``patch`` in place of its own; a threshold counts as the same whatever it is of."""
    replaced = {(slot.unit, slot.above_tokens, slot.service) for slot in patch}
    kept = {
        slot: rate
        for slot, rate in base.items()
        if (slot.unit, slot.above_tokens, slot.service) not in replaced
    }
    return kept | dict(patch)


@attrs.frozen(kw_only=True)
class Card:
    """The rates that hold for one answer, in atto-dollars a unit. ``None``: there is no such rate, and none to stand in."""

    input: int | None
    output: int | None
    cache_read: int
    cache_write: int
    input_audio: int
    output_audio: int
    input_image: int
    output_image: int
    reasoning: int
    search: int
    request: int
    character: int | None
    input_second: int | None
    output_second: int | None
    video_second: int | None
    input_pixel: int | None
    output_pixel: int | None
    input_each: int | None
    output_each: Mapping[str, int]
    """For one image: by ``low``, ``medium``, ``high``, ``auto`` quality, by the side of a square in pixels, or ``""``."""


PER_IMAGE: Mapping[str, str] = MappingProxyType(
    {
        "": "output_cost_per_image",
        **{q: f"output_cost_per_image_{q}_quality" for q in ("low", "medium", "high", "auto")},
        **{
            s: f"output_cost_per_image_above_{s}_and_{s}_pixels"
            for s in ("512", "1024", "2048", "4096")
        },
    }
)


@attrs.define(eq=False)
class Rates:
    """What a model of a provider costs. Cards are made when they are first asked for, and kept."""

    tariff: Tariff
    _totals: tuple[int, ...] = attrs.field(init=False)
    _prompts: tuple[int, ...] = attrs.field(init=False)
    _cards: dict[tuple[str, int, int], Card] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._totals = _thresholds(slot for slot in self.tariff if not slot.of_prompt)
        self._prompts = _thresholds(slot for slot in self.tariff if slot.of_prompt)

    def card(self, *, prompt_tokens: int, total_tokens: int, service: str = "") -> Card:
        """The rates for a call of so many tokens, all of which are in the tier that they reach.

        A rate that has no tier so high, or none for ``service``, is that of the next lower tier, or the ordinary.
        """
        total, prompt = _passed(self._totals, total_tokens), _passed(self._prompts, prompt_tokens)
        key = (service, total, prompt)
        card = self._cards.get(key)
        if card is None:
            card = _card(_Reading(self.tariff, service, total, prompt))
            if service in SERVICES:
                self._cards[key] = card
        return card


SERVICES = frozenset({"", "priority", "flex", "batch"})
"""Others are known to no tariff. Not kept, for a caller may name any."""


def _thresholds(slots: Iterable[Slot]) -> tuple[int, ...]:
    return tuple(sorted({slot.above_tokens for slot in slots if slot.above_tokens}))


def _passed(thresholds: tuple[int, ...], tokens: int) -> int:
    """The highest of ``thresholds`` that ``tokens`` exceeds, 0 if none."""
    return max((each for each in thresholds if tokens > each), default=0) if thresholds else 0


@attrs.frozen
class _Reading:
    """A tariff as it holds for one class of service and one pair of tiers."""

    tariff: Tariff
    service: str
    total: int
    prompt: int

    def rate(self, *units: str) -> int | None:
        """The rate of the first of ``units`` that has one."""
        for unit in units:
            for service in (self.service, "") if self.service else ("",):
                found = self._highest(unit, service)
                if found is not None:
                    return found
        return None

    def _highest(self, unit: str, service: str) -> int | None:
        reached = [
            (slot.above_tokens, rate)
            for slot, rate in self.tariff.items()
            if slot.unit == unit
            and slot.service == service
            and slot.above_tokens <= (self.prompt if slot.of_prompt else self.total)
        ]
        return max(reached)[1] if reached else None


def _card(reading: _Reading) -> Card:
    rate = reading.rate
    read, write = rate("input_cost_per_token"), rate("output_cost_per_token")
    into, out = read or 0, write or 0
    return Card(
        input=read,
        output=write,
        cache_read=_or(rate("cache_read_input_token_cost"), into),
        cache_write=_or(rate("cache_creation_input_token_cost"), into),
        input_audio=_or(rate("input_cost_per_audio_token"), into),
        output_audio=_or(rate("output_cost_per_audio_token"), out),
        input_image=_or(rate("input_cost_per_image_token"), into),
        output_image=_or(rate("output_cost_per_image_token"), out),
        reasoning=_or(rate("output_cost_per_reasoning_token"), out),
        search=rate("search_context_cost_per_query") or 0,
        request=rate("cost_per_request") or 0,
        character=rate("input_cost_per_character"),
        input_second=rate("input_cost_per_audio_per_second", "input_cost_per_second"),
        output_second=rate("output_cost_per_second"),
        video_second=rate("output_cost_per_video_per_second", "output_cost_per_second"),
        input_pixel=rate("input_cost_per_pixel"),
        output_pixel=rate("output_cost_per_pixel"),
        input_each=rate("input_cost_per_image"),
        output_each={
            name: found for name, unit in PER_IMAGE.items() if (found := rate(unit)) is not None
        },
    )


def _or(rate: int | None, other: int) -> int:
    return other if rate is None else rate
