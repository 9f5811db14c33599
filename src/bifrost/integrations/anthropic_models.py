"""The model list as Anthropic's SDKs read it, page by page.

Source: Anthropic API reference, "Models", 2026-11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bifrost.integrations.models import Model

__all__ = ["MAX_LIMIT", "anthropic_find", "anthropic_model", "anthropic_page"]

OWN = "anthropic/"
"""What models of the default provider go without: ``openai/gpt-4o`` would be another model without its own."""

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000

TOLD = (
    *("capabilities", "deprecated_at", "lifecycle", "line"),
    *("max_input_tokens", "max_tokens", "retires_at"),
)
"""What Anthropic tells of a model besides, where a provider does."""

NEVER = "1970-01-01T00:00:00Z"
"""Anthropic's own word for a date that is not known."""

LAST_YEAR_S = 253_402_300_799
"""The end of the year 9999, in Unix seconds."""


def anthropic_page(models: Sequence[Model], asked: Mapping[str, str]) -> Model:
    """The page of ``models`` that the query ``asked`` wants by ``limit``, ``after_id``, ``before_id``. Raises BadRequest."""
    entries = [anthropic_model(model) for model in models]
    names = [str(entry["id"]) for entry in entries]
    limit = _limit(asked.get("limit"))
    after, before = asked.get("after_id"), asked.get("before_id")
    if after and before:
        raise BadRequest("after_id and before_id cannot be used together", param="before_id")
    start, end = 0, len(entries)
    if after:
        start = _place(names, after, "after_id") + 1
        end = min(end, start + limit)
    elif before:
        end = _place(names, before, "before_id")
        start = max(0, end - limit)
    else:
        end = min(end, limit)
    page = entries[start:end]
    return {
        "data": page,
        "has_more": start > 0 if before else end < len(entries),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def anthropic_model(model: Model) -> Model:
    """One entry."""
    name = str(model["id"]).removeprefix(OWN)
    display = model.get("display_name") or model.get("name")
    return {
        "type": "model",
        "id": name,
        "display_name": display if isinstance(display, str) else name,
        "created_at": _created(model),
        "lifecycle": "active",
        **{member: model[member] for member in TOLD if member in model},
    }


def anthropic_find(models: Sequence[Model], wanted: str) -> Model:
    """The model ``wanted``, with its provider or, of ``anthropic``, without. Raises BadRequest (404)."""
    found = next((m for m in models if m["id"] in {wanted, OWN + wanted}), None)
    if found is None:
        raise BadRequest(f"model: {wanted[:256]}", status=404)
    return anthropic_model(found)


def _created(model: Model) -> str:
    told, created = model.get("created_at"), model.get("created")
    if isinstance(told, str) and told:
        return told
    if not isinstance(created, int | float) or not 0 < created <= LAST_YEAR_S:
        return NEVER
    return datetime.fromtimestamp(int(created), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _limit(text: str | None) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise BadRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}", param="limit")
    return int(text)


def _place(names: list[str], wanted: str, param: str) -> int:
    try:
        return names.index(wanted)
    except ValueError:
        raise BadRequest(f"{param}: there is no model {wanted[:256]}", param=param) from None
