"""What a body means where it says nothing: the same body with the defaults of its class written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.config.nouns import KINDS, Body
from bifrost.config.shape import (
    Choice,
    Group,
    Kind,
    Listed,
    Mapped,
    Member,
    Scalar,
    Section,
    shape_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.config.shape import Shape

__all__ = ["with_defaults"]


def with_defaults(kind: str, body: Body) -> dict[str, Any]:
    """The canonical ``body`` with what it leaves to defaults. Sections that are off when they are absent stay absent."""
    return _filled(shape_of(KINDS[kind]), body)


def _filled(shape: Shape, body: Mapping[str, Any]) -> dict[str, Any]:
    filled = _members(shape.members, body)
    for _, inner in shape.spread:
        filled |= _filled(inner, {**body, **filled})
    return {**body, **filled}


def _members(members: Iterable[Member], body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for member in members:
        value = body.get(member.name)
        told = _default(member) if value is None else _inside(member.kind, value)
        if told is not None:
            found[member.name] = told
    return found


def _inside(kind: Kind, value: Any) -> Any:  # noqa: ANN401  any JSON value
    match kind, value:
        case Section(shape), dict():
            return _filled(shape, value)
        case Group(members), dict():
            return _members(members, value)
        case Listed(Section(shape)), list():
            return [_filled(shape, each) if isinstance(each, dict) else each for each in value]
        case _:
            return value


def _default(member: Member) -> object:
    match member.kind:
        case Group(members):
            return _members(members, {})
        case Section(shape) if attrs.has(type(member.default)):
            return _filled(shape, {})
        case Listed() if isinstance(member.default, tuple):
            return [each for each in member.default if isinstance(each, str | int | float)]
        case Mapped():
            # Absent may mean the opposite of empty: every operation, and none.
            return {} if isinstance(member.default, Mapping) and not member.default else None
        case Scalar() | Choice():
            return member.default
        case _:
            return None
