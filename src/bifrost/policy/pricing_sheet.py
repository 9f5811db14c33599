"""A price list of the operator's own, ``framework.pricing.pricing_url``: the original's datasheet, near to LiteLLM's map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import attrs

from bifrost.policy.pricing_rates import Tariff, read_tariff

__all__ = ["MAX_SHEET_BYTES", "ModelFacts", "Sheet", "SheetError", "read_sheet"]

MAX_SHEET_BYTES = 32 * 1024 * 1024
MAX_ENTRIES = 50_000
MAX_NAME_CHARACTERS = 300

PROVIDERS: tuple[tuple[str, str], ...] = (
    ("vertex_ai", "vertex"),
    ("google-vertex", "vertex"),
    ("bedrock", "bedrock"),
    ("cohere", "cohere"),
    ("runwayml", "runway"),
    ("fireworks_ai", "fireworks"),
)
"""What part of a sheet's name for a provider means which of ours; else it is ours."""


class SheetError(Exception):
    """It is no price list."""


@attrs.frozen(kw_only=True)
class ModelFacts:
    """What a price list says of a model besides prices. Sizes are in tokens; ``None`` is not known."""

    context_length: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    base_model: str | None = None


@attrs.frozen
class SheetEntry:
    """A model of a provider, asked in one mode."""

    tariff: Tariff
    facts: ModelFacts


Key = tuple[str, str, str]
"""Provider, model, mode."""


@attrs.frozen
class Sheet:
    """A price list. Entries are read when they are asked for."""

    _entries: Mapping[Key, Mapping[str, object]] = MappingProxyType({})

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, provider: str, model: str, mode: str) -> SheetEntry | None:
        """What is said of ``model`` in ``mode``."""
        members = self._entries.get((provider, model, mode))
        return None if members is None else SheetEntry(read_tariff(members), _facts(members))


def read_sheet(raw: bytes) -> Sheet:
    """Read a price list: a JSON object of entries, each under ``provider/model`` or ``model``.

    An entry that is none is left out, as are prices that are none. 2 MB take about 50 ms, so large ones are for a thread.
    Raises SheetError if ``raw`` is too large or no such object.
    """
    if len(raw) > MAX_SHEET_BYTES:
        raise SheetError(f"the price list has more than {MAX_SHEET_BYTES} bytes")
    try:
        # Not by the JSON door, for no price shall go through a float.
        members = json.loads(raw, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise SheetError("the price list is no JSON") from error
    if not isinstance(members, dict) or len(members) > MAX_ENTRIES:
        raise SheetError(f"the price list is no object of at most {MAX_ENTRIES} entries")
    return Sheet(dict(_entries(members)))


def _entries(members: Mapping[str, object]) -> list[tuple[Key, Mapping[str, object]]]:
    found: list[tuple[Key, Mapping[str, object]]] = []
    for name, entry in members.items():
        if not isinstance(entry, dict) or len(name) > MAX_NAME_CHARACTERS:
            continue
        provider, mode = entry.get("provider", entry.get("litellm_provider")), entry.get("mode")
        if isinstance(provider, str) and isinstance(mode, str):
            key = (_provider(provider), name.partition("/")[2] or name, mode)
            found.append((key, entry))
    return found


def _provider(name: str) -> str:
    return next((ours for part, ours in PROVIDERS if part in name), name)


def _facts(members: Mapping[str, object]) -> ModelFacts:
    base = members.get("base_model")
    return ModelFacts(
        context_length=_size(members.get("context_length")),
        max_input_tokens=_size(members.get("max_input_tokens")),
        max_output_tokens=_size(members.get("max_output_tokens")),
        base_model=base if isinstance(base, str) and base else None,
    )


def _size(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 2**53 else None
