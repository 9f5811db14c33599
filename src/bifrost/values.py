"""What values are made of that each request makes, or looks up, by the dozen: ``frozen`` classes and ``Choice``.

Both are the libraries' own without a detour that costs more than what it is for. What is made once, when a configuration is
read, is ``attrs.frozen`` and ``enum.Enum``. So is what plugins are handed and other calls may share: a ``Call`` and all in it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

__all__ = ["Choice", "frozen"]

if TYPE_CHECKING:
    from attrs import frozen
else:
    import attrs

    def frozen(cls: type | None = None, /, *, eq: bool = True, **options: object) -> object:
        """As ``attrs.frozen``, with or without arguments: the type checker sees that, and holds everybody to it.

        At run time it is a plain class with slots that is hashed by its fields. attrs keeps a frozen one from being changed
        by a detour round every assignment, its own first ones too: 50 ns a field (attrs 26.1, Python 3.11), and a request
        fills some 250.
        """
        # Without equality a class is hashed by identity, as it is anyway.
        make = attrs.define(
            eq=eq, unsafe_hash=eq or None, on_setattr=attrs.setters.NO_OP, **options
        )
        return make if cls is None else make(cls)


class Choice(enum.Enum):
    """An enumeration whose members are looked up in tables: hashed by identity, which is what they are equal by.

    Until Python 3.12 ``enum.Enum`` hashes a member's name instead, by a function of its own.
    """

    __hash__ = object.__hash__
