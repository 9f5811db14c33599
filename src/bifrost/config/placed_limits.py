"""Budgets and rate limits into their owners: a file may list them apart and refer to them by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.config.faults import ConfigError, below, item

if TYPE_CHECKING:
    from bifrost.config.nouns import Body

__all__ = ["OWNERS", "Placed", "name_limits", "place_limits"]

LISTS = {"budget": "budgets", "rate_limit": "rate_limits"}
OWNERS = ("virtual_keys", "teams", "customers", "model_configs", "providers")
"""Lists of ``governance`` whose entries may have limits."""


@attrs.frozen
class Placed:
    """The tree with each limit in its owner, and what was wrong with the references."""

    tree: object
    errors: tuple[ConfigError, ...] = ()
    warnings: tuple[str, ...] = ()


def place_limits(tree: object) -> Placed:
    """Resolve every ``budget_id`` and ``rate_limit_id`` of a document. The lists stay, and what is no mapping stays as it is."""
    governance = tree.get("governance") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(governance, dict):
        return Placed(tree)
    placing = _Placing({kind: _by_id(governance.get(name)) for kind, name in LISTS.items()})
    owners = {name: placing.all_of(name, governance[name]) for name in OWNERS if name in governance}
    placed = {**tree, "governance": {**governance, **owners}}
    return Placed(placed, tuple(placing.errors), tuple(placing.unused()))


def name_limits(owner: str, body: Body) -> dict[str, Any]:
    """``body`` with an id for each limit that has none: ``<owner>:budget``, of a provider config ``<owner>:<provider>:budget``.

    ``owner`` is ``<kind>:<id>``.
    """
    named = dict(body)
    for kind in LISTS:
        limit = named.get(kind)
        if isinstance(limit, Mapping) and limit.get("id") is None:
            named[kind] = {**limit, "id": f"{owner}:{kind}"}
    configs = named.get("provider_configs")
    if isinstance(configs, list):
        named["provider_configs"] = [
            name_limits(f"{owner}:{each.get('provider')}", each) if isinstance(each, dict) else each
            for each in configs
        ]
    return named


def _by_id(listed: object) -> dict[str, dict[str, Any]]:
    entries = listed if isinstance(listed, list) else []
    return {
        each["id"]: each
        for each in entries
        if isinstance(each, dict) and isinstance(each.get("id"), str)
    }


@attrs.define(eq=False)
class _Placing:
    """``_limits`` by kind and id; ``_owner`` has the path of whoever has one already."""

    _limits: Mapping[str, Mapping[str, dict[str, Any]]]
    errors: list[ConfigError] = attrs.field(factory=list, init=False)
    _owner: dict[tuple[str, str], str] = attrs.field(factory=dict, init=False)

    def all_of(self, name: str, entries: object) -> object:
        if not isinstance(entries, list):
            return entries
        path = f"governance.{name}"
        return [self._owned(each, item(path, at)) for at, each in enumerate(entries)]

    def unused(self) -> Iterator[str]:
        for kind, limits in self._limits.items():
            for limit_id in limits:
                if (kind, limit_id) not in self._owner:
                    yield f"governance.{LISTS[kind]} ({limit_id!r}): nobody has it, so it limits nothing"

    def _owned(self, raw: object, path: str) -> object:
        if not isinstance(raw, dict):
            return raw
        owned = dict(raw)
        for kind in LISTS:
            self._place(kind, owned, path)
        configs = owned.get("provider_configs")
        if isinstance(configs, list):
            at = below(path, "provider_configs")
            owned["provider_configs"] = [
                self._owned(each, item(at, index)) for index, each in enumerate(configs)
            ]
        return owned

    def _place(self, kind: str, owner: dict[str, Any], path: str) -> None:
        reference, limit = owner.get(f"{kind}_id"), owner.get(kind)
        at = below(path, f"{kind}_id")
        if isinstance(reference, str):
            if limit is not None:
                self.errors.append(ConfigError(at, f"{kind}_id beside {kind}", "one of them"))
            elif reference not in self._limits[kind]:
                known = f"the id of an entry in governance.{LISTS[kind]}"
                self.errors.append(ConfigError(at, repr(reference), known))
            else:
                del owner[f"{kind}_id"]
                owner[kind] = dict(self._limits[kind][reference])
                self._take(kind, reference, path, at)
        elif isinstance(limit, dict) and isinstance(limit.get("id"), str):
            self._take(kind, limit["id"], path, below(below(path, kind), "id"))

    def _take(self, kind: str, limit_id: str, owner: str, at: str) -> None:
        first = self._owner.setdefault((kind, limit_id), owner)
        if first != owner:
            self.errors.append(
                ConfigError(at, f"{limit_id!r}, which {first} has", f"a {kind} of its own")
            )
