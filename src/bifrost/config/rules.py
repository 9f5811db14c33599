"""What the settings classes say of a key beyond its type: written in ``Annotated``, read by ``config.shape``.

concurrency: Annotated[int, Inside("concurrency_and_buffer_size"), at_least(1)] = 1000
"""

from __future__ import annotations

import enum
import re

import attrs

__all__ = [
    "ENV_NAME",
    "AlsoSpelt",
    "Inside",
    "Mark",
    "Named",
    "Names",
    "Range",
    "Rule",
    "Text",
    "at_least",
    "between",
    "positive",
]

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What may follow ``env.``."""


class Mark(enum.Enum):
    """Facts without an argument."""

    SPREAD = enum.auto()
    """The section's keys stand among its parent's."""
    MAP_KEY = enum.auto()
    """The value is the name under which the section stands; no key of its own."""
    GENERATED = enum.auto()
    """May be left out although the class has no default; reads as empty, and the loader fills it in."""
    DERIVED = enum.auto()
    """No key of the file; the loader fills it in from others."""
    FROM_ENV = enum.auto()
    """A text that may be a reference ``env.NAME``."""
    PRIVATE = enum.auto()
    """May hold credentials: what was found is never shown."""
    RESTART = enum.auto()
    """A reload does not apply it."""
    DEFAULT_UNLESS_POSITIVE = enum.auto()
    """0 and less stand for the default."""
    NO_DUPLICATES = enum.auto()
    """A list that names each thing once."""
    WHITELIST = enum.auto()
    """A list of names, or ``["*"]`` alone; each name once."""
    LOWER_CASE_NAMES = enum.auto()
    """A mapping whose names are read in lower case."""


@attrs.frozen
class Inside:
    """The key stands inside this section of the file, its value here in the parent's class."""

    section: str


@attrs.frozen
class Named:
    """The key's name in the file, where it is not the attribute's."""

    name: str


@attrs.frozen(init=False)
class AlsoSpelt:
    """Other names for the key. Of two spellings only one may be used at a time."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        self.__attrs_init__(names)


@attrs.frozen(kw_only=True)
class Range:
    """Bounds of a number. ``above`` is exclusive, ``low`` and ``high`` are inclusive.

    With ``clamps``, more than ``high`` is read as ``high``.
    """

    low: float | None = None
    above: float | None = None
    high: float | None = None
    clamps: bool = False

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies inside."""
        return (
            (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or self.clamps or value <= self.high)
        )

    @property
    def allowed(self) -> str:
        """The bounds in words."""
        low = f"{self.low:.15g} or more" if self.low is not None else ""
        low = f"more than {self.above:.15g}" if self.above is not None else low
        if self.high is None or self.clamps:
            return low
        return f"{low}, at most {self.high:.15g}" if low else f"at most {self.high:.15g}"


def at_least(low: float) -> Range:
    """``low`` or more."""
    return Range(low=low)


def between(low: float, high: float) -> Range:
    """From ``low`` to ``high``, both included."""
    return Range(low=low, high=high)


def positive(high: float | None = None) -> Range:
    """More than 0."""
    return Range(above=0, high=high)


@attrs.frozen
class Text:
    """What a text must look like. ``allowed`` says it in words."""

    pattern: re.Pattern[str]
    allowed: str

    def holds(self, value: str) -> bool:
        """Whether the whole of ``value`` looks so."""
        return self.pattern.fullmatch(value) is not None


@attrs.frozen
class Names:
    """The only names that a mapping may have."""

    known: tuple[str, ...]


Rule = Mark | Inside | Named | AlsoSpelt | Range | Text | Names
