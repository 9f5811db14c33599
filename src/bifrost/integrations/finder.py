"""Which route serves a path: one of those known by their whole path, or one of a pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import attrs

from bifrost.integrations.base import NO_PARAMS, InferenceRoute, Params

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Finder", "Found", "Pattern"]

Found = tuple[InferenceRoute, Params]
"""A route, and what the path says besides."""

Pattern = Callable[[str], Found | None]


@attrs.frozen
class Finder:
    """Looks among whole paths first, then asks each pattern in its turn."""

    exact: Mapping[str, Found]
    patterns: tuple[Pattern, ...] = ()

    @classmethod
    def of(cls, routes: Iterable[InferenceRoute], *patterns: Pattern) -> Self:
        """A finder of ``routes``, and of what ``patterns`` find."""
        return cls({route.path: (route, NO_PARAMS) for route in routes}, patterns)

    def find(self, path: str) -> Found | None:
        """The route of ``path``, which is decoded and without its query."""
        found = self.exact.get(path)
        if found is not None:
            return found
        asked = (pattern(path) for pattern in self.patterns)
        return next((found for found in asked if found is not None), None)
