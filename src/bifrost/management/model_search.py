"""Finding models by a few letters of their names. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.policy.pricing import base_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from bifrost.actors.model_book import KeyList

__all__ = ["Listed", "base_names", "closeness", "listed", "searched"]


@attrs.frozen
class Listed:
    """A model of a provider, with the ids of the keys that may use it."""

    name: str
    provider: str
    accessible_by_keys: tuple[str, ...] = ()


def listed(
    rows: Iterable[KeyList], keys: Collection[str] = (), *, unfiltered: bool = False
) -> tuple[Listed, ...]:
    """What the keys of ``rows``, or those of them in ``keys``, may use: each model of a provider once, in alphabetical order.

    ``unfiltered``: also what the provider has and no key may use.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if keys and row.key_id not in keys:
            continue
        for name in row.listed if unfiltered else ():
            found.setdefault((name, row.provider), [])
        for name in row.models:
            found.setdefault((name, row.provider), []).append(row.key_id)
    return tuple(
        Listed(name, provider, tuple(found[name, provider])) for name, provider in sorted(found)
    )


def closeness(query: str, name: str) -> int | None:
    """How well ``name`` fits ``query``, 0 best; ``None`` if the letters of ``query`` are not in it, in their order."""
    wanted, given = query.lower(), name.lower()
    if wanted == given:
        return 0
    if given.startswith(wanted):
        return 1
    if wanted in given:
        return 2
    letters = iter(given)
    return 3 if all(letter in letters for letter in wanted if not letter.isspace()) else None


def searched(models: Iterable[Listed], query: str) -> tuple[Listed, ...]:
    """Those that fit, the best first."""
    if not query:
        return tuple(models)
    fitting: Mapping[Listed, int] = {
        model: how for model in models if (how := closeness(query, model.name)) is not None
    }
    return tuple(sorted(fitting, key=lambda model: (fitting[model], model.name, model.provider)))


def base_names(models: Iterable[Listed], query: str = "") -> tuple[str, ...]:
    """Names without maker and version, each once, the best first."""
    names = sorted({base_name(model.name.rpartition("/")[2]) for model in models})
    return tuple(each.name for each in searched((Listed(name, "") for name in names), query))
