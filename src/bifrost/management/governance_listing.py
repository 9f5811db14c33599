"""Lists of governance nouns: which of them, in which order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from bifrost.config.nouns import Noun

__all__ = ["ORDERS", "SORTS", "Wish"]

SORTS = ("name", "budget_spent", "created_at", "status")
ORDERS = ("asc", "desc")


@attrs.frozen(kw_only=True)
class Wish:
    """What a list is asked for. ``search`` is a part of a name, in whatever case.

    Of ``any_of`` one member has to have its value, of ``all_of`` each. Empty texts ask for nothing.
    """

    search: str = ""
    any_of: Mapping[str, str] = MappingProxyType({})
    all_of: Mapping[str, str] = MappingProxyType({})
    sort_by: str = ""
    order: str = ""

    def __attrs_post_init__(self) -> None:
        for name, value, known in (
            ("sort_by", self.sort_by, SORTS),
            ("order", self.order, ORDERS),
        ):
            if value and value not in known:
                raise BadRequest(f"{name}: has to be one of {', '.join(known)}", param=name)

    def of(
        self, nouns: Iterable[Noun], spent: Callable[[Noun], int] = lambda _: 0
    ) -> tuple[Noun, ...]:
        """Those that are meant. ``spent`` gives the nano-dollars used of a noun's own budget."""
        found = [noun for noun in nouns if self._is_meant(noun)]
        # Sorted twice: whatever they are sorted by, those that are alike come in the order of their making.
        found.sort(key=lambda noun: (noun.created_unix_s, noun.id))
        if self.sort_by or self.order:
            found.sort(key=self._key(spent), reverse=self.order == "desc")
        return tuple(found)

    def _is_meant(self, noun: Noun) -> bool:
        body = noun.body
        name = str(body.get("model_name") or body.get("name") or "")
        if self.search and self.search.casefold() not in name.casefold():
            return False
        any_of = {name: value for name, value in self.any_of.items() if value}
        if any_of and all(body.get(name) != value for name, value in any_of.items()):
            return False
        return all(
            body.get(name, DEFAULTS.get(name)) == value
            for name, value in self.all_of.items()
            if value
        )

    def _key(self, spent: Callable[[Noun], int]) -> Callable[[Noun], Any]:
        match self.sort_by:
            case "name":
                return lambda noun: str(noun.body.get("name", "")).casefold()
            case "budget_spent":
                return spent
            case "status":
                # Active ones first.
                return lambda noun: not noun.body.get("is_active", True)
            case _:
                return lambda noun: noun.created_unix_s


DEFAULTS: Mapping[str, str] = MappingProxyType({"scope": "global"})
"""What a member says that a body leaves out."""
