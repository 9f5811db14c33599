"""Prices: what a call to a model costs, from the operator's overrides, his price list, and the list that comes along.

    prices = Prices.of(config.governance.pricing_overrides, {...}, today=...)
    rates = prices.rates("gpt-4o", "openai", Operation.CHAT)
    nano_usd = cost(rates, usage, Operation.CHAT)

Where nothing is known there are no rates, and all costs 0.
"""

from __future__ import annotations

from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.policy.pricing_bundled import bundled_model, load
from bifrost.policy.pricing_cost import NO_FACTS, CallFacts, cost
from bifrost.policy.pricing_estimate import Estimate, OutputSizes, ToldCosts, estimate
from bifrost.policy.pricing_facts import call_facts
from bifrost.policy.pricing_names import base_name, other_names
from bifrost.policy.pricing_overrides import Asked, Overrides
from bifrost.policy.pricing_rates import Rates, Tariff, merged
from bifrost.policy.pricing_sheet import ModelFacts, Sheet, SheetEntry, SheetError, read_sheet
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bifrost.config.governance_section import PricingOverrideSection

__all__ = [
    "NO_FACTS",
    "CallFacts",
    "Estimate",
    "ModelFacts",
    "OutputSizes",
    "Prices",
    "Rates",
    "Sheet",
    "SheetError",
    "ToldCosts",
    "base_name",
    "call_facts",
    "cost",
    "estimate",
    "load",
    "read_sheet",
]

MEMORY = 4096
"""Rates remembered; when they are more, all are forgotten."""

MODES: Mapping[Operation, tuple[str, ...]] = MappingProxyType(
    {
        Operation.CHAT: ("chat",),
        Operation.TEXT: ("completion", "chat"),
        Operation.RESPONSES: ("responses", "chat"),
        Operation.EMBEDDING: ("embedding",),
        Operation.RERANK: ("rerank",),
        Operation.SPEECH: ("audio_speech",),
        Operation.TRANSCRIPTION: ("audio_transcription",),
        Operation.TRANSLATION: ("audio_transcription",),
        Operation.IMAGE: ("image_generation",),
        Operation.IMAGE_EDIT: ("image_edit", "image_generation"),
        Operation.IMAGE_VARIATION: ("image_edit", "image_generation"),
        Operation.VIDEO: ("video_generation",),
    }
)
"""The modes of a price list that price an operation, in their order. What is not here is priced as chat is."""

UNPRICED = frozenset({Operation.LIST_MODELS, Operation.COUNT_TOKENS, Operation.MODERATION})
"""Free wherever they are offered."""

Asking = tuple[str, str, Operation, str, str, str]
NOT_YET = Rates({})


@attrs.define(eq=False)
class Prices:
    """Answers what models cost. Its answers are remembered; all else is fixed, but for the day."""

    _overrides: Overrides
    _sheet: Sheet
    _today: date
    _virtual_key_ids: frozenset[str] = attrs.field(init=False)
    _key_ids: frozenset[str] = attrs.field(init=False)
    _known: dict[Asking, Rates | None] = attrs.field(factory=dict, init=False)
    _facts: dict[tuple[str, str], ModelFacts] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._virtual_key_ids = self._overrides.virtual_key_ids
        self._key_ids = self._overrides.key_ids

    @classmethod
    def of(
        cls,
        overrides: Iterable[PricingOverrideSection] = (),
        provider_overrides: Mapping[str, Iterable[Mapping[str, object]]] = MappingProxyType({}),
        *,
        today: date,
        sheet: Sheet | None = None,
    ) -> Prices:
        """Prices from ``governance.pricing_overrides``, the providers' own lists by their names, and a price list.

        ``today`` (UTC) decides among prices that begin on a day. ``sheet`` goes before the list that comes along.
        The overrides are as the configuration's checks let them through.
        """
        read = Overrides.of(overrides, provider_overrides)
        return cls(read, sheet or Sheet(), today)

    def turn_to(self, today: date) -> None:
        """Say what day it is (UTC). Costs nothing while it is the same."""
        if today != self._today:
            self._today = today
            self._known.clear()

    def rates(
        self,
        model: str,
        provider: str,
        operation: Operation,
        *,
        virtual_key_id: str = "",
        key_id: str = "",
        deployment: str = "",
    ) -> Rates | None:
        """What ``model`` costs at ``provider``; ``None`` if nobody says.

        ``deployment`` is what the provider's key calls the model, where that is something else. Takes a microsecond if
        it was asked before, else up to a few milliseconds.
        """
        asking = (
            model,
            provider,
            operation,
            virtual_key_id if virtual_key_id in self._virtual_key_ids else "",
            key_id if key_id in self._key_ids else "",
            deployment,
        )
        found = self._known.get(asking, NOT_YET)
        return self._look_up(asking) if found is NOT_YET else found

    def facts(self, model: str, provider: str) -> ModelFacts:
        """Sizes and base name of ``model``, as far as a price list says them. Remembered as rates are."""
        found = self._facts.get((model, provider))
        if found is None:
            if len(self._facts) >= MEMORY:
                self._facts.clear()
            found = self._facts[model, provider] = self._look_facts_up(model, provider)
        return found

    def _look_facts_up(self, model: str, provider: str) -> ModelFacts:
        for theirs, name in other_names(provider, model):
            for mode in ("chat", *(modes[0] for modes in MODES.values())):
                entry = self._sheet.entry(theirs, name, mode)
                if entry is not None:
                    return _with_base(entry.facts, name)
        for theirs, name in other_names(provider, model):
            bundled = bundled_model(theirs, name, self._today)
            if bundled is not None:
                return _with_base(ModelFacts(context_length=bundled.context_length), name)
        return ModelFacts(base_model=base_name(model))

    def _look_up(self, asking: Asking) -> Rates | None:
        model, provider, operation, virtual_key_id, key_id, deployment = asking
        tariff: Tariff | None = None
        if operation not in UNPRICED:
            tariff = self._listed(model, provider, operation)
            if tariff is None and deployment and deployment != model:
                tariff = self._listed(deployment, provider, operation)
        override = self._overrides.best(
            Asked(
                model=model,
                provider=provider,
                request_type=operation.value,
                virtual_key_id=virtual_key_id,
                key_id=key_id,
            )
        )
        if override is not None:
            tariff = merged(tariff or {}, override.tariff)
        if len(self._known) >= MEMORY:
            self._known.clear()
        found = self._known[asking] = None if tariff is None else Rates(tariff)
        return found

    def _listed(self, model: str, provider: str, operation: Operation) -> Tariff | None:
        """By the operator's price list, else by the one that comes along."""
        names = other_names(provider, model)
        modes = MODES.get(operation, ("chat",))
        for theirs, name in names:
            for mode in modes:
                entry: SheetEntry | None = self._sheet.entry(theirs, name, mode)
                if entry is not None:
                    return entry.tariff
        for theirs, name in names:
            bundled = bundled_model(theirs, name, self._today)
            if bundled is not None:
                return bundled.tariff
        return None


def _with_base(facts: ModelFacts, name: str) -> ModelFacts:
    return facts if facts.base_model else attrs.evolve(facts, base_model=base_name(name))
