"""Whether what the entities of a document name is there (``config.references``). Pure.

A name that can mean nothing is a mistake of whoever writes it. It is none of who finds it: what an entity named already when
it was kept may have gone since, and a store that was good stays good. Built-in providers may be named before they are
configured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.config.entities import LISTS, Name, made_id
from bifrost.config.faults import ConfigError, item, nearest, shown
from bifrost.config.names import BUILT_IN
from bifrost.config.nouns import Body
from bifrost.config.provider_checks import key_id
from bifrost.config.references import Reference, mappings, references

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bifrost.config.settings import ProviderSettings

__all__ = ["STRICT", "Findings", "Kept", "Known", "find_lost"]

HINTS = 20
"""More mistakes than that come without the nearest name: looking for it takes long where there is much to look through."""


@attrs.frozen(kw_only=True)
class Known:
    """What there is to be named. ``keys`` are ids to names, by provider; ``ids`` of all else by its kind."""

    ids: Mapping[str, frozenset[str]]
    keys: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, tree: object, detected: Mapping[str, ProviderSettings] | None = None) -> Known:
        """What a document has, and the providers that were ``detected`` beside it. Mistakes in it do not matter."""
        whole = tree if isinstance(tree, dict) else {}
        keys = {name: {key.id: key.name for key in p.keys} for name, p in (detected or {}).items()}
        keys |= dict(_keys_in(whole.get("providers")))
        ids = {
            kind: frozenset(_ids(kind, entries))
            for kind, entries in _governed(whole)
            if kind in ("team", "customer", "virtual_key")
        }
        return cls(ids={**ids, "provider": frozenset(keys)}, keys=keys)

    def has(self, reference: Reference) -> bool:
        """Whether it names anything."""
        name = reference.name
        match reference.kind:
            case "provider":
                return name in self.keys or name in BUILT_IN
            case "key":
                return any(
                    name in keys or (reference.is_in_list and name in keys.values())
                    for keys in self._keys_of(reference)
                )
            case kind:
                return name in self.ids.get(kind, ())

    def can_tell(self, reference: Reference) -> bool:
        """Whether it is known what there is of that sort: not, which keys a provider will have that is not there."""
        return not reference.provider or reference.provider in self.keys

    def _keys_of(self, reference: Reference) -> Iterable[Mapping[str, str]]:
        if not reference.provider:
            return self.keys.values()
        return (self.keys.get(reference.provider, {}),)

    def names(self, reference: Reference) -> list[str]:
        """All that it could have named."""
        match reference.kind:
            case "provider":
                return sorted(BUILT_IN | self.keys.keys())
            case "key":
                by_name = reference.is_in_list
                found = self._keys_of(reference)
                return [each for keys in found for each in (keys.values() if by_name else keys)]
            case kind:
                return sorted(self.ids.get(kind, ()))


def _keys_in(providers: object) -> Iterator[tuple[str, dict[str, str]]]:
    for spelling, raw in providers.items() if isinstance(providers, dict) else ():
        provider = spelling.strip().lower()
        listed = raw.get("keys") if isinstance(raw, dict) else ()
        named = [each for _, each in mappings(listed) if isinstance(each.get("name"), str)]
        yield (
            provider,
            {str(each.get("id") or key_id(provider, each["name"])): each["name"] for each in named},
        )


def _governed(tree: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The entries of each list of ``governance``, by the kind of noun they are."""
    section = tree.get("governance")
    for kind, (place, name) in LISTS.items():
        entries = section.get(name) if isinstance(section, dict) else None
        if place == "governance" and isinstance(entries, list):
            yield kind, entries


def _ids(kind: str, entries: Sequence[Any]) -> Iterator[str]:
    return (_id(kind, each) for _, each in mappings(entries))


def _id(kind: str, body: Mapping[str, Any]) -> str:
    return str(body.get("id") or made_id(kind, body) or body.get("name"))


# What is lost


@attrs.frozen(kw_only=True)
class Kept:
    """What excuses a reference to what is not there.

    ``nouns`` are as they were kept until now: what they name already is nobody's mistake. ``file`` is what the file says: it
    is right by itself, if somebody took away what it names. Where ``may_be_more`` it cannot be told what there is.
    """

    nouns: Mapping[Name, Body] = attrs.field(factory=dict, repr=False)
    file: object = attrs.field(default=None, repr=False)
    may_be_more: bool = False


STRICT = Kept()
"""Everything that is named has to be there."""


@attrs.frozen
class Findings:
    """Mistakes, and what somebody may want to know."""

    errors: tuple[ConfigError, ...]
    warnings: tuple[str, ...]


def find_lost(tree: object, detected: Mapping[str, ProviderSettings], kept: Kept) -> Findings:
    """Look after every reference in a document, beside which providers were ``detected``."""
    finding = _Finding(Known.of(tree, detected), kept)
    for kind, entries in _governed(tree) if isinstance(tree, dict) else ():
        place = ".".join(LISTS[kind])
        for at, body in mappings(entries):
            for each in references(kind, body):
                finding.look_after(each, kind, body, item(place, at))
    return Findings(tuple(finding.errors), tuple(finding.warnings()))


@attrs.define(eq=False)
class _Finding:
    """``_noted`` are the paths of what there is nothing behind, but no mistake."""

    _known: Known
    _kept: Kept
    errors: list[ConfigError] = attrs.field(factory=list, init=False)
    _noted: dict[tuple[str, str, str], list[str]] = attrs.field(
        factory=lambda: defaultdict(list), init=False
    )
    _file: Known | None = attrs.field(default=None, init=False)

    def look_after(self, each: Reference, kind: str, body: Mapping[str, Any], place: str) -> None:
        path = f"{place}.{each.path}"
        if not self._known.can_tell(each):
            return
        if self._known.has(each):
            if each.kind == "provider" and each.name not in self._known.keys:
                self._noted[each.meaning].append(path)
        elif self._is_excused(each, (kind, _id(kind, body))):
            self._noted[each.meaning].append(path)
        else:
            self.errors.append(self._error(each, path))

    def _is_excused(self, reference: Reference, name: Name) -> bool:
        former = self._kept.nouns.get(name, {})
        return (
            self._kept.may_be_more
            or any(each.meaning == reference.meaning for each in references(name[0], former))
            or self._of_file().has(reference)
        )

    def _of_file(self) -> Known:
        if self._file is None:
            self._file = Known.of(self._kept.file)
        return self._file

    def _error(self, reference: Reference, path: str) -> ConfigError:
        like = None
        if len(self.errors) < HINTS:
            like = nearest(reference.name, self._known.names(reference))
        return ConfigError(path, _told(reference), _allowed(reference), like)

    def warnings(self) -> Iterator[str]:
        """One for each thing that is not there."""
        for (kind, _, name), (first, *others) in self._noted.items():
            where = f"{first}, and {len(others)} more" if others else first
            is_later = kind == "provider" and name in BUILT_IN
            told = _told(Reference(path=first, kind=kind, name=name))
            lack = "is not configured, so nobody is asked there" if is_later else "is not there"
            yield f"{where}: {kind} {told} {lack}"


def _told(reference: Reference) -> str:
    # A credential may have got in among the ids of keys.
    return shown(reference.name) if reference.kind == "key" else repr(reference.name[:80])


def _allowed(reference: Reference) -> str:
    match reference.kind:
        case "provider":
            return "the name of a provider, one that is configured or built in"
        case "key":
            how = "the id or name" if reference.is_in_list else "the id"
            whose = f" of {reference.provider[:80]}" if reference.provider else ""
            return f"{how} of a key{whose}"
        case kind:
            return f"the id of a {kind}"
