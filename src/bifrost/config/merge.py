"""The file and the store together: which holds, what is to be written, and where the two differ.

By the entity, and by what the file said of it when it was last taken over, of which the row keeps a fingerprint:

    row   in file   the same as then   holds
    no    yes       -                  the file, and a row is made
    yes   no        -                  the row (a key not: see below)
    yes   yes       yes                the row, so that what the API changed survives
    yes   yes       no                 the file; the row, with a warning, if the API has changed it meanwhile

A row that the API removed counts as changed by it: the file does not bring it back. If a provider's own section is taken
from the file anew, those of its keys that the file does not have any more go, except for those the API made or changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

import attrs

from bifrost.config.bodies import canonical, content, is_reference
from bifrost.config.differences import differing
from bifrost.config.entities import Entity, Name, entities, joined
from bifrost.config.faults import ConfigError, ConfigErrors
from bifrost.config.fingerprints import Fingerprints
from bifrost.config.nouns import NONE, Body, Change, Noun, Put, Remove, claims
from bifrost.config.placed_limits import name_limits, place_limits

__all__ = ["Difference", "Means", "Merged", "Passwords", "merge"]

Where = Literal["only in the file", "only in the store", "removed in the store", "differs"]


class Passwords(Protocol):
    """How passwords of administrators are kept."""

    def hash(self, password: str) -> str:
        """``password`` as it is kept; a hash stays one."""
        ...

    def fits(self, hashed: str, password: str) -> bool:
        """Whether ``password``, or its hash, is what is kept."""
        ...


@attrs.frozen
class Means:
    """What merging needs of the world. ``new_value`` makes a virtual key's value."""

    fingerprints: Fingerprints
    passwords: Passwords
    new_value: Callable[[], str]


@attrs.frozen(kw_only=True)
class Difference:
    """Where file and store are not of one mind. ``holds`` is what a start would go by.

    ``members`` are lines for people, ``path: file …, store …``, without secrets.
    """

    kind: str
    id: str
    where: Where
    holds: Literal["file", "store"]
    members: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Merged:
    """The tree for ``config.load.parse_tree``, and what is to be written for the store to say the same."""

    tree: Mapping[str, object] = attrs.field(repr=False)
    changes: tuple[Change, ...] = ()
    differences: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()


def merge(tree: object, nouns: Iterable[Noun], removed: Iterable[Noun], means: Means) -> Merged:
    """Merge a document with the nouns of a store, opened, and the marks of those that were removed.

    With no noun at all it gives the document as a first start would see it. Parts that are not of their shape stay in the
    tree, for its check to find. Raises ConfigErrors for a reference to a limit that is not there, or an entity that comes
    twice.
    """
    placed = place_limits(tree)
    if placed.errors:
        raise ConfigErrors(placed.errors)
    if not isinstance(placed.tree, dict):
        return Merged(tree={} if placed.tree is None else placed.tree)  # type: ignore[arg-type]  # its check says so
    rows = {(noun.kind, noun.id): noun for noun in nouns}
    marks = {(noun.kind, noun.id): noun for noun in removed}
    return _Merging(placed.tree, rows, marks, means).merged()


@attrs.define(eq=False)
class _Merging:
    _tree: dict[str, object]
    _rows: Mapping[Name, Noun]
    _marks: Mapping[Name, Noun]
    _means: Means
    _at: dict[str, Name] = attrs.field(factory=dict, init=False)
    _seen: set[Name] = attrs.field(factory=set, init=False)
    _bodies: dict[Name, Body] = attrs.field(factory=dict, init=False)
    """What holds."""
    _changes: list[Change] = attrs.field(factory=list, init=False)
    _differences: list[Difference] = attrs.field(factory=list, init=False)
    _warnings: list[str] = attrs.field(factory=list, init=False)
    _holders: dict[str, Name] = attrs.field(factory=dict, init=False)
    """Who has a claim."""
    _anew: set[str] = attrs.field(factory=set, init=False)
    """Providers that are taken from the file anew."""

    def merged(self) -> Merged:
        for name, row in self._rows.items():
            self._holders |= dict.fromkeys(claims(row.kind, row.body), name)
        for entity in entities(self._tree):
            self._merge(self._matched(entity))
        self._keep_the_rest()
        self._leave_orphans_out()
        return Merged(
            tree=joined(self._tree, self._at, self._bodies),
            changes=tuple(self._changes),
            differences=tuple(self._differences),
            warnings=tuple(self._warnings),
        )

    def _matched(self, entity: Entity) -> Entity:
        """With the id of its row: an entity that the file gives none is the row of its name."""
        if entity.has_id or entity.name in self._rows or entity.name in self._marks:
            return entity
        holder = self._holders.get(claims(entity.kind, entity.body)[0])
        row = self._rows.get(holder) if holder else None
        if row is None or row.body.get("provider") != entity.body.get("provider"):
            return entity
        return attrs.evolve(entity, id=row.id, body={**entity.body, "id": row.id})

    def _merge(self, entity: Entity) -> None:
        if entity.name in self._seen:
            raise ConfigErrors([_again(entity)])
        self._seen.add(entity.name)
        self._at[entity.path] = entity.name
        if (mark := self._marks.get(entity.name)) is not None:
            self._stay_removed(entity, mark)
        elif (row := self._rows.get(entity.name)) is not None:
            self._merge_with(entity, row)
        else:
            self._take(entity, self._filled(entity, None), None)

    def _merge_with(self, entity: Entity, row: Noun) -> None:
        filled = self._filled(entity, row)
        is_raised = entity.kind == "plugin" and _number(filled, "version") > _number(
            row.body, "version"
        )
        if self._is_as_then(entity, row) and not is_raised:
            self._keep(entity, row, filled)
        elif _said(row.kind, row.body) == _said(row.kind, filled):
            self._keep(entity, attrs.evolve(row, changed_by_api=False), filled)
        elif row.changed_by_api and not is_raised:
            self._warn(entity, "changed in the file and by the API; what the API made of it holds")
            self._bodies[row.kind, row.id] = row.body
            self._differ(entity, row.body, filled, "store")
        else:
            self._differ(entity, row.body, filled, "file")
            self._take(entity, filled, row)

    def _keep(self, entity: Entity, row: Noun, filled: Body) -> None:
        """The row holds, with the file's fingerprint as it is made now and a plugin's place in the file."""
        body = dict(row.body)
        if row.kind == "plugin":
            body = {name: value for name, value in body.items() if name not in PLACE}
            body |= {name: filled[name] for name in PLACE if name in filled}
        self._bodies[entity.name] = body
        fingerprint = self._fingerprint(entity)
        former = self._rows[entity.name]
        if (body, fingerprint, row.changed_by_api) != (
            former.body,
            former.file_hash,
            former.changed_by_api,
        ):
            self._put(entity.name, body, former.version, fingerprint, by_api=row.changed_by_api)
        if row.changed_by_api:
            self._differ(entity, row.body, filled, "store")

    def _take(self, entity: Entity, body: Body, row: Noun | None) -> None:
        """The file holds, unless another noun has its name."""
        for claim in claims(entity.kind, body):
            holder = self._holders.get(claim, entity.name)
            if holder != entity.name:
                what = claim.partition(":")[0].partition(".")[2]
                self._warn(entity, f"its {what} is that of {' '.join(holder)}, which holds")
                if row is not None:
                    self._bodies[entity.name] = row.body
                return
        if row is None:
            self._note(entity.name, "only in the file", "file")
        elif entity.kind == "provider":
            self._anew.add(entity.id)
        for claim in claims(entity.kind, row.body) if row is not None else ():
            self._holders.pop(claim, None)
        self._holders |= dict.fromkeys(claims(entity.kind, body), entity.name)
        self._bodies[entity.name] = body
        version = NONE if row is None else row.version
        self._put(entity.name, body, version, self._fingerprint(entity), by_api=False)

    def _stay_removed(self, entity: Entity, mark: Noun) -> None:
        if not self._is_as_then(entity, mark):
            self._warn(entity, "changed in the file, but removed by the API, so it stays removed")
        self._note(entity.name, "removed in the store", "store")

    def _keep_the_rest(self) -> None:
        """Rows that the file does not have stay, marks are of no use any more."""
        for name, row in self._rows.items():
            if name in self._seen:
                continue
            if (
                row.kind == "key"
                and row.body.get("provider") in self._anew
                and not row.changed_by_api
            ):
                self._note(name, "only in the store", "file")
                self._changes.append(
                    Remove(kind=row.kind, id=row.id, expected=row.version, for_good=True)
                )
                continue
            self._note(name, "only in the store", "store")
            self._bodies[name] = row.body
        self._changes += [
            Remove(kind=mark.kind, id=mark.id, expected=mark.version, for_good=True)
            for name, mark in self._marks.items()
            if name not in self._seen
        ]

    def _leave_orphans_out(self) -> None:
        for kind, noun_id in list(self._bodies):
            provider = self._bodies[kind, noun_id].get("provider")
            if kind == "key" and ("provider", provider) not in self._bodies:
                self._warnings.append(f"key {noun_id!r}: there is no provider {provider!r}")
                del self._bodies[kind, noun_id]

    # What the file says

    def _is_as_then(self, entity: Entity, row: Noun) -> bool:
        """Whether the file says what it said when the row was last taken from it."""
        said = _said(entity.kind, entity.body)
        return row.file_hash is not None and self._means.fingerprints.fits(row.file_hash, said)

    def _fingerprint(self, entity: Entity) -> str:
        return self._means.fingerprints.of(_said(entity.kind, entity.body))

    def _filled(self, entity: Entity, row: Noun | None) -> dict[str, Any]:
        """The file's body with what the file leaves to the store: a value, ids of limits; and no password."""
        body = name_limits(f"{entity.kind}:{entity.id}", entity.body)
        former = row.body if row is not None else {}
        if entity.kind == "virtual_key" and not body.get("value"):
            body["value"] = former.get("value") or self._means.new_value()
        password = body.get("admin_password")
        if entity.kind == "auth" and isinstance(password, str) and not is_reference(password):
            body["admin_password"] = self._hashed(password, former.get("admin_password"))
        return body

    def _hashed(self, password: str, former: object) -> str:
        if isinstance(former, str) and self._means.passwords.fits(former, password):
            return former
        return self._means.passwords.hash(password)

    # What comes of it

    def _put(
        self, name: Name, body: Body, expected: int, fingerprint: str, *, by_api: bool
    ) -> None:
        kind, noun_id = name
        put = Put(
            kind=kind,
            id=noun_id,
            body=body,
            expected=expected,
            unique=claims(kind, body),
            file_hash=fingerprint,
            changed_by_api=by_api,
        )
        self._changes.append(put)

    def _warn(self, entity: Entity, text: str) -> None:
        self._warnings.append(f"{entity.path}: {text}; `bifrost config diff` shows both")

    def _note(self, name: Name, where: Where, holds: Literal["file", "store"]) -> None:
        self._differences.append(Difference(kind=name[0], id=name[1], where=where, holds=holds))

    def _differ(
        self, entity: Entity, store: Body, file: Body, holds: Literal["file", "store"]
    ) -> None:
        members = differing(
            entity.kind, canonical(entity.kind, file), canonical(entity.kind, store)
        )
        if members:
            self._differences.append(
                Difference(
                    kind=entity.kind, id=entity.id, where="differs", holds=holds, members=members
                )
            )


PLACE = ("placement", "order")
"""Of a plugin: the file's sequence holds, whatever the rest does."""


def _said(kind: str, body: Body) -> bytes:
    if kind == "plugin":
        body = {name: value for name, value in body.items() if name not in PLACE}
    return content(kind, body)


def _number(body: Body, name: str) -> float:
    value = body.get(name, 1)
    return value if isinstance(value, int | float) else 1


def _again(entity: Entity) -> ConfigError:
    return ConfigError(entity.path, f"{entity.id!r} again", "each only once")
