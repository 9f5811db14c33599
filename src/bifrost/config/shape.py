"""The settings classes as data: what keys a section has, of what kind, under which rules.

One description, three readers: ``config.walk`` checks files with it, ``config.reference`` writes the documentation and
the JSON Schema from it.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin

import attrs

from bifrost.config.rules import AlsoSpelt, Inside, Mark, Named, Names, Range, Rule, Text
from bifrost.config.secret import Secret

__all__ = [
    "Choice",
    "Either",
    "Group",
    "Hidden",
    "Kind",
    "Listed",
    "Mapped",
    "Member",
    "Open",
    "Scalar",
    "Section",
    "Shape",
    "marked",
    "shape_of",
]

R = TypeVar("R", Range, Text, Named, AlsoSpelt, Inside, Names)


@attrs.frozen
class Scalar:
    """``bool``, ``int``, ``float`` or ``str``."""

    sort: type[bool] | type[int] | type[float] | type[str]
    rules: tuple[Rule, ...] = ()


@attrs.frozen
class Choice:
    """One of these words."""

    words: tuple[str, ...]


@attrs.frozen
class Listed:
    """A list of one kind of item."""

    item: Kind
    rules: tuple[Rule, ...] = ()


@attrs.frozen
class Mapped:
    """Names to values of one kind."""

    value: Kind
    rules: tuple[Rule, ...] = ()


@attrs.frozen
class Section:
    """A settings class."""

    shape: Shape


@attrs.frozen
class Hidden:
    """A secret: a text, ``env.NAME``, or the object that the API shows."""


@attrs.frozen
class Open:
    """Anything: read by whom it concerns."""


@attrs.frozen
class Either:
    """The first kind that fits."""

    kinds: tuple[Kind, ...]


@attrs.frozen
class Group:
    """A section of the file that has no class of its own; its values belong to the parent's."""

    members: tuple[Member, ...]


Kind = Scalar | Choice | Listed | Mapped | Section | Hidden | Open | Either | Group


@attrs.frozen(kw_only=True)
class Member:
    """A key. ``field`` is the attribute it fills; ``needed`` that it must be there; ``default`` else."""

    name: str
    field: str
    kind: Kind
    also: tuple[str, ...] = ()
    needed: bool = False
    default: object = None
    restart: bool = False
    """A reload does not apply it."""
    default_unless_positive: bool = False
    generated: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every spelling, the one that is written back first."""
        return (self.name, *self.also)


@attrs.frozen
class Shape:
    """A settings class: its keys in their order, the sections spread among them, the field of its own name."""

    cls: type
    members: tuple[Member, ...]
    spread: tuple[tuple[str, Shape], ...] = ()
    map_key: str | None = None
    known: tuple[str, ...] = attrs.field(init=False)
    """Every name that may stand in the section."""

    @known.default
    def _names(self) -> tuple[str, ...]:
        own = tuple(name for member in self.members for name in member.names)
        return own + tuple(name for _, shape in self.spread for name in shape.known)


@functools.cache
def shape_of(cls: type) -> Shape:
    """Describe a settings class and all that it holds. The classes are ours: what is odd in one is a TypeError."""
    hints = typing.get_type_hints(cls, include_extras=True)
    members: list[Member] = []
    groups: dict[str, list[Member]] = {}
    spread: list[tuple[str, Shape]] = []
    map_key: str | None = None
    for field in attrs.fields(cls):
        rules, hint = _rules(hints[field.name])
        kind = _kind(hint, rules)
        if Mark.DERIVED in rules:
            continue
        if Mark.MAP_KEY in rules:
            map_key = field.name
        elif Mark.SPREAD in rules and isinstance(kind, Section):
            spread.append((field.name, kind.shape))
        elif (inside := _one(rules, Inside)) is not None:
            if inside.section not in groups:
                groups[inside.section] = []
                members.append(Member(name=inside.section, field="", kind=Group(())))
            groups[inside.section].append(_member(field, kind, rules))
        else:
            members.append(_member(field, kind, rules))
    return Shape(cls, tuple(_filled(member, groups) for member in members), tuple(spread), map_key)


def marked(cls: type, mark: Mark) -> frozenset[str]:
    """The attributes of a settings class that carry ``mark``."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return frozenset(name for name, hint in hints.items() if mark in _rules(hint)[0])


def _filled(member: Member, groups: Mapping[str, list[Member]]) -> Member:
    if member.field:
        return member
    return attrs.evolve(member, kind=Group(tuple(groups[member.name])))


def _member(field: attrs.Attribute[object], kind: Kind, rules: tuple[Rule, ...]) -> Member:
    named, also = _one(rules, Named), _one(rules, AlsoSpelt)
    absent = field.default is attrs.NOTHING
    return Member(
        name=named.name if named else field.name,
        field=field.name,
        kind=kind,
        also=also.names if also else (),
        needed=absent and Mark.GENERATED not in rules,
        default=None if absent else _default(field),
        restart=Mark.RESTART in rules,
        default_unless_positive=Mark.DEFAULT_UNLESS_POSITIVE in rules,
        generated=Mark.GENERATED in rules,
    )


def _default(field: attrs.Attribute[object]) -> object:
    factory = getattr(field.default, "factory", None)
    return factory() if callable(factory) else field.default


def _one(rules: tuple[Rule, ...], sort: type[R]) -> R | None:
    return next((rule for rule in rules if isinstance(rule, sort)), None)


def _rules(hint: object) -> tuple[tuple[Rule, ...], object]:
    """The rules of a hint, and the hint without them."""
    if get_origin(hint) is not Annotated:
        return (), hint
    bare, *extras = get_args(hint)
    return tuple(extra for extra in extras if isinstance(extra, Rule)), bare


def _kind(hint: object, rules: tuple[Rule, ...] = ()) -> Kind:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        inner, bare = _rules(hint)
        return _kind(bare, inner)
    if origin in (Union, types.UnionType):
        kinds = tuple(_kind(each, rules) for each in arguments if each is not type(None))
        return kinds[0] if len(kinds) == 1 else Either(kinds)
    if origin is Literal:
        return Choice(arguments)
    if origin is tuple:
        return Listed(_kind(arguments[0]), rules)
    if origin is Mapping:
        return Mapped(_kind(arguments[1]), rules)
    return _plain_kind(hint, rules)


def _plain_kind(hint: object, rules: tuple[Rule, ...]) -> Kind:
    if hint is Secret:
        return Hidden()
    if hint is object:
        return Open()
    if hint is bool or hint is int or hint is float or hint is str:
        return Scalar(hint, rules)
    if isinstance(hint, type) and attrs.has(hint):
        return Section(shape_of(hint))
    raise TypeError(f"no kind of setting: {hint!r}")
