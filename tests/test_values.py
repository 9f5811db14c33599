"""Values that the type checker keeps from being changed are plain at run time, and are compared and hashed as ever."""

from __future__ import annotations

import attrs

from bifrost.values import frozen


@frozen
class Point:
    x: int
    y: int = 0


@frozen(kw_only=True, eq=False)
class Message:
    text: str


def test_a_value_is_known_by_its_fields() -> None:
    assert Point(1) == Point(1, 0) != Point(2)
    assert len({Point(1), Point(1), Point(2)}) == 2
    assert attrs.evolve(Point(1), y=3) == Point(1, 3)


def test_without_equality_it_is_known_by_itself() -> None:
    one, other = Message(text="a"), Message(text="a")
    assert len({one, other, one}) == 2


def test_it_has_slots_and_no_detour_round_assignment() -> None:
    assert not hasattr(Point(1), "__dict__")
    assert Point.__setattr__ is object.__setattr__
    assert Message.__setattr__ is object.__setattr__
