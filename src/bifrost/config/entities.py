"""A document taken apart into entities, each the body of a noun, and put together again.

What is not of the shape it should have is left where it stands: whoever checks the document says so, with its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from bifrost.config.bodies import canonical
from bifrost.config.faults import below, item
from bifrost.config.nouns import Body
from bifrost.config.provider_checks import key_id

__all__ = ["LISTS", "Entity", "Name", "entities", "joined", "made_id"]

Name = tuple[str, str]
"""A noun's kind and id."""

LISTS: Mapping[str, tuple[str, str]] = {
    "customer": ("governance", "customers"),
    "team": ("governance", "teams"),
    "virtual_key": ("governance", "virtual_keys"),
    "model_config": ("governance", "model_configs"),
    "provider_limit": ("governance", "providers"),
    "routing_rule": ("governance", "routing_rules"),
    "pricing_override": ("governance", "pricing_overrides"),
    "plugin": ("", "plugins"),
}
"""Kind to the section, and the list in it, where its entities stand."""
NAMED_BY_NAME = ("provider_limit", "plugin")
SINGLE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "client": (("", "client"),),
    "framework": (("", "framework"),),
    "auth": (("governance", "auth_config"), ("", "auth_config")),
}
"""Kind to the places where its one entity may stand."""


@attrs.frozen(kw_only=True)
class Entity:
    """What the document says of one noun. ``has_id`` if it says the id too, which else is made of the name."""

    kind: str
    id: str
    body: dict[str, Any] = attrs.field(repr=False)
    path: str
    has_id: bool = True

    @property
    def name(self) -> Name:
        return self.kind, self.id


def entities(tree: Mapping[str, object]) -> Iterator[Entity]:
    """Those of a document whose limits are placed, owners before those who refer to them."""
    for kind, places in SINGLE.items():
        for section, name in places:
            raw = _inside(tree, section).get(name)
            if isinstance(raw, dict):
                path = below(section, name)
                yield Entity(kind=kind, id=kind, body=canonical(kind, raw), path=path)
    for name, raw in _mapping(tree.get("providers")).items():
        if isinstance(raw, dict | None):
            yield from _provider(name, raw or {})
    for kind, (section, name) in LISTS.items():
        path = below(section, name)
        for at, raw in enumerate(_list(_inside(tree, section).get(name))):
            if isinstance(raw, dict):
                yield from _listed(kind, canonical(kind, raw), item(path, at))


def joined(
    tree: Mapping[str, object], at: Mapping[str, Name], bodies: Mapping[Name, Body]
) -> dict[str, object]:
    """``tree`` with the entity at each path of ``at`` replaced by its body, or gone; all other ``bodies`` come at the ends."""
    return _Joining(at, bodies).tree(tree)


def _provider(name: str, raw: dict[str, Any]) -> Iterator[Entity]:
    provider, path = name.strip().lower(), below("providers", name)
    body = canonical("provider", {key: value for key, value in raw.items() if key != "keys"})
    yield Entity(kind="provider", id=provider, body=body, path=path)
    for at, key in enumerate(_list(raw.get("keys"))):
        if isinstance(key, dict) and isinstance(key.get("name"), str):
            body = canonical("key", {**key, "provider": provider})
            yield _entity("key", body, key_id(provider, key["name"]), item(f"{path}.keys", at))


def _listed(kind: str, body: dict[str, Any], path: str) -> Iterator[Entity]:
    if kind in NAMED_BY_NAME:
        if isinstance(body.get("name"), str):
            yield Entity(kind=kind, id=body["name"], body=body, path=path)
        return
    made = made_id(kind, body)
    if isinstance(body.get("id"), str) or made:
        yield _entity(kind, body, made, path)


def _entity(kind: str, body: dict[str, Any], made: str, path: str) -> Entity:
    given = body.get("id")
    if isinstance(given, str) and given:
        return Entity(kind=kind, id=given, body=body, path=path)
    return Entity(kind=kind, id=made, body={**body, "id": made}, path=path, has_id=False)


def made_id(kind: str, body: Body) -> str:
    """As ``section_checks`` makes it for a file without a store; empty if nothing can be made."""
    name = body.get("model_name" if kind == "model_config" else "name")
    if kind not in ("virtual_key", "model_config") or not isinstance(name, str):
        return ""
    provider = body.get("provider")
    return f"{provider}/{name}" if kind == "model_config" and provider else name


def _inside(tree: Mapping[str, object], section: str) -> Mapping[str, Any]:
    return _mapping(tree.get(section)) if section else tree


def _mapping(raw: object) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _without_provider(key: object) -> object:
    if not isinstance(key, dict):
        return key
    return {name: value for name, value in key.items() if name != "provider"}


@attrs.define(eq=False)
class _Joining:
    """``_at`` are the places of entities in the document, ``_bodies`` what is to be there."""

    _at: Mapping[str, Name]
    _bodies: Mapping[Name, Body]

    def tree(self, tree: Mapping[str, object]) -> dict[str, object]:
        whole: dict[str, object] = {**tree}
        providers = self._providers(_mapping(tree.get("providers")))
        if providers:
            whole["providers"] = providers
        for kind, (section, name) in LISTS.items():
            former, path = _inside(whole, section).get(name), below(section, name)
            self._set(whole, section, name, self._listed(former, path, self._others(kind)))
        for kind, places in SINGLE.items():
            self._single(whole, kind, places)
        return whole

    def _set(self, whole: dict[str, object], section: str, name: str, value: object) -> None:
        """Put ``value`` there, unless it is nothing and nothing was there."""
        inside = _inside(whole, section)
        if value in (None, []) and name not in inside:
            return
        if section:
            whole[section] = {**inside, name: value}
        else:
            whole[name] = value

    def _single(
        self, whole: dict[str, object], kind: str, places: tuple[tuple[str, str], ...]
    ) -> None:
        body = self._bodies.get((kind, kind))
        here = [place for place in places if self._at.get(below(*place)) is not None]
        if body is not None or here:
            section, name = here[0] if here else places[0]
            self._set(whole, section, name, None if body is None else dict(body))

    def _listed(self, former: object, path: str, others: Iterable[Body]) -> Any:  # noqa: ANN401  what it was, if no list
        if not isinstance(former, list | None):
            return former
        entries: list[Any] = []
        for index, raw in enumerate(former or []):
            name = self._at.get(item(path, index))
            if name is None:
                entries.append(raw)
            elif name in self._bodies:
                entries.append(dict(self._bodies[name]))
        return [*entries, *map(dict, others)]

    def _providers(self, former: Mapping[str, Any]) -> dict[str, Any]:
        providers: dict[str, Any] = {}
        for spelling, raw in former.items():
            path = below("providers", spelling)
            name = self._at.get(path)
            if name is None:
                providers[spelling] = raw
            elif name in self._bodies:
                keys = _mapping(raw).get("keys")
                providers[spelling] = self._with_keys(name[1], keys, f"{path}.keys")
        known = {spelling.strip().lower() for spelling in former}
        for kind, name_ in self._bodies:
            if kind == "provider" and name_ not in known:
                providers[name_] = self._with_keys(name_, None, "")
        return providers

    def _with_keys(self, provider: str, former: object, path: str) -> dict[str, Any]:
        others = [body for body in self._others("key") if body.get("provider") == provider]
        keys = self._listed(former, path, others)
        if isinstance(keys, list):
            keys = [_without_provider(each) for each in keys]
        body = dict(self._bodies["provider", provider])
        return {**body, "keys": keys} if keys else body

    def _others(self, kind: str) -> list[Body]:
        placed = set(self._at.values())
        return [
            body for name, body in self._bodies.items() if name[0] == kind and name not in placed
        ]
