"""What the entities of a document name of one another. Whether it is there: ``config.lost_references``. Pure.

A fallback that begins with no provider's name is a model's name all of it, so that there is none to look for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.config.faults import below, item

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Reference", "mappings", "references"]

MEMBERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "virtual_key": (("team_id", "team"), ("customer_id", "customer")),
    "team": (("customer_id", "customer"),),
    "model_config": (("provider", "provider"),),
    "provider_limit": (("name", "provider"), ("provider", "provider")),
    "pricing_override": (
        ("virtual_key_id", "virtual_key"),
        ("provider_id", "provider"),
        ("provider_key_id", "key"),
    ),
}
"""Of the bodies of each kind: members, and of what kind it is that they name."""


@attrs.frozen(kw_only=True)
class Reference:
    """Something of ``kind`` called ``name``, as the text at ``path`` says.

    Of a key, ``provider`` is whose it is, empty for anybody's. A key that ``is_in_list`` may be named by its name.
    """

    path: str
    kind: str
    name: str
    provider: str = ""
    is_in_list: bool = False

    @property
    def meaning(self) -> tuple[str, str, str]:
        """What it names, wherever it stands."""
        return self.kind, self.provider, self.name


def references(kind: str, body: Mapping[str, Any]) -> Iterator[Reference]:
    """Those of a noun's body, with paths in it. What is of a wrong sort is none."""
    for member, named in MEMBERS.get(kind, ()):
        yield from _named(named, body, member)
    if kind == "virtual_key":
        for at, config in mappings(body.get("provider_configs")):
            yield from _of_config(config, item("provider_configs", at))
    if kind == "routing_rule":
        yield from _of_rule(body)


def _of_config(config: Mapping[str, Any], path: str) -> Iterator[Reference]:
    yield from _named("provider", config, "provider", path)
    provider = config.get("provider")
    if not isinstance(provider, str):
        return
    for list_name in ("key_ids", "allowed_keys"):
        for at, name in _texts(config.get(list_name)):
            if name != "*":
                yield _key(item(below(path, list_name), at), provider, name)
    for at, reference in mappings(config.get("keys")):
        member = "key_id" if reference.get("key_id") else "name"
        for named in _named("key", reference, member, item(below(path, "keys"), at)):
            yield _key(named.path, provider, named.name)


def _key(path: str, provider: str, name: str) -> Reference:
    return Reference(path=path, kind="key", name=name, provider=provider, is_in_list=True)


def _of_rule(rule: Mapping[str, Any]) -> Iterator[Reference]:
    scope = rule.get("scope", "global")
    if scope in ("team", "customer", "virtual_key"):
        yield from _named(scope, rule, "scope_id")
    for at, target in mappings(rule.get("targets")):
        path = item("targets", at)
        yield from _named("provider", target, "provider", path)
        if isinstance(provider := target.get("provider"), str):
            for reference in _named("key", target, "key_id", path):
                yield attrs.evolve(reference, provider=provider)


def _named(kind: str, body: Mapping[str, Any], member: str, path: str = "") -> Iterator[Reference]:
    if isinstance(name := body.get(member), str) and name:
        yield Reference(path=below(path, member), kind=kind, name=name)


def mappings(raw: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The mappings of a list, with where they stand; of what is none, nothing."""
    return ((at, each) for at, each in _items(raw) if isinstance(each, dict))


def _texts(raw: object) -> Iterator[tuple[int, str]]:
    return ((at, each) for at, each in _items(raw) if isinstance(each, str))


def _items(raw: object) -> Iterator[tuple[int, Any]]:
    return enumerate(raw) if isinstance(raw, list | tuple) else iter(())
