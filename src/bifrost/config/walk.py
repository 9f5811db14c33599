"""Plain data against the shape of a settings class: every mistake is noted with its path, none ends the walk."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import attrs

from bifrost.config.faults import ConfigError, below, item, kind_of, nearest, shown
from bifrost.config.rules import ENV_NAME, Mark, Names, Range, Rule, Text
from bifrost.config.secret import Secret
from bifrost.config.shape import (
    Choice,
    Either,
    Group,
    Hidden,
    Kind,
    Listed,
    Mapped,
    Member,
    Scalar,
    Section,
    Shape,
)

__all__ = ["Finish", "Place", "Walk", "finishing", "secret_text", "suits"]


@attrs.frozen
class Place:
    """Where a section stands, and what the file has there."""

    path: str
    raw: Mapping[str, object]


Finish = Callable[["Walk", object, Place], object]
"""Called with a section as built: checks its keys against each other, fills in what the file does not say."""

T = TypeVar("T")


def finishing(cls: type[T], check: Callable[[Walk, T, Place], T]) -> tuple[type, Finish]:
    """An entry of ``Walk.finish`` for sections of ``cls``."""

    def finish(walk: Walk, value: object, place: Place) -> object:
        return check(walk, value, place) if isinstance(value, cls) else value

    return cls, finish


class _Failed(enum.Enum):
    """In place of a value whose mistake is noted already."""

    FAILED = enum.auto()


FAILED = _Failed.FAILED
ENDLESS = 1e15
"""No setting is so large, and every whole number below it is exact as a float."""
WORDS: Mapping[type, str] = MappingProxyType(
    {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
    }
)


@attrs.define(eq=False)
class Walk:
    """One walk through one document. ``finish`` has what is to be done with a section of a class once it is built.

    ``unset`` are the references whose variable the environment does not have, by their path.
    """

    environ: Mapping[str, str]
    finish: Mapping[type, Finish] = attrs.field(factory=dict)
    errors: list[ConfigError] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)
    unset: dict[str, str] = attrs.field(factory=dict)

    def error(self, path: str, found: str, allowed: str, like: str | None = None) -> None:
        """Note a mistake."""
        self.errors.append(ConfigError(path, found, allowed, like))

    def is_sound(self, path: str, *names: str) -> bool:
        """Whether nothing is wrong with these members of the section at ``path``, so that they can be compared."""
        bad = tuple(below(path, name) for name in names)
        return not any(error.path.startswith(bad) for error in self.errors)

    def take_unset(self, path: str) -> dict[str, str]:
        """The unset references below ``path``, taken out: member (as a path of its own) to variable."""
        inside = {
            at: name for at, name in self.unset.items() if at.startswith((f"{path}.", f"{path}["))
        }
        for at in inside:
            del self.unset[at]
        return {at.removeprefix(path).lstrip("."): name for at, name in inside.items()}

    def read(self, cls: type[T], shape: Shape, raw: object, path: str = "") -> T | None:
        """Build ``cls`` of ``raw``; ``None`` if that is impossible. What could not be read has its default meanwhile."""
        value = self._section(shape, raw, path, {})
        return value if isinstance(value, cls) else None

    # sections

    def _section(self, shape: Shape, raw: object, path: str, given: Mapping[str, object]) -> object:
        if raw is None:
            raw = {}
        if not isinstance(raw, dict):
            self.error(path, kind_of(raw), "a mapping")
            return FAILED
        self._refuse_unknown(raw, shape.known, path)
        values = self._build(shape, raw, path, given)
        finish = self.finish.get(shape.cls)
        return finish(self, values, Place(path, raw)) if finish and values is not FAILED else values

    def _build(
        self, shape: Shape, raw: dict[str, object], path: str, given: Mapping[str, object]
    ) -> object:
        values = {**given, **self._members(shape.members, raw, path)}
        for field, inner in shape.spread:
            values[field] = self._build(inner, raw, path, {})
        if FAILED in values.values():
            return FAILED
        return shape.cls(**values)

    def _refuse_unknown(self, raw: dict[str, object], known: Sequence[str], path: str) -> None:
        for name in raw:
            if name not in known:
                like = nearest(name, known)
                listed = ", ".join(known) if len(known) <= 12 or like is None else "a known key"
                self.error(below(path, name), "an unknown key", listed, like)

    def _members(
        self, members: Sequence[Member], raw: dict[str, object], path: str
    ) -> dict[str, object]:
        """Values by attribute. A member that is needed and missing or wrong is FAILED; others are left to their default."""
        values: dict[str, object] = {}
        for member in members:
            name = self._spelling(member, raw, path) if member.also else member.name
            value = raw.get(name)
            if isinstance(member.kind, Group):
                values |= self._group(member.kind, value, below(path, name))
            elif value is not None:
                values |= self._member(member, value, below(path, name))
            elif member.needed:
                self.error(below(path, name), "nothing", self._allowed(member.kind))
                values[member.field] = FAILED
            elif member.generated:
                values[member.field] = ""
        return values

    def _spelling(self, member: Member, raw: dict[str, object], path: str) -> str:
        used = [name for name in member.names if raw.get(name) is not None]
        if len(used) > 1:
            self.error(
                below(path, used[1]), "a second spelling", f"{used[0]} or {used[1]}, not both"
            )
        return used[0] if used else member.name

    def _group(self, group: Group, raw: object, path: str) -> dict[str, object]:
        if raw is None:
            raw = {}
        if not isinstance(raw, dict):
            self.error(path, kind_of(raw), "a mapping")
            return {}
        self._refuse_unknown(raw, [name for member in group.members for name in member.names], path)
        return self._members(group.members, raw, path)

    def _member(self, member: Member, raw: object, path: str) -> dict[str, object]:
        value = self._value(member.kind, raw, path)
        if value is FAILED:
            return (
                {member.field: FAILED}
                if member.needed
                else {member.field: ""}
                if member.generated
                else {}
            )
        if member.default_unless_positive and isinstance(value, int | float) and value <= 0:
            return {}
        return {member.field: value}

    # values

    def _value(self, kind: Kind, raw: object, path: str) -> object:
        match kind:
            case Scalar():
                return self._scalar(kind, raw, path)
            case Choice(words):
                return self._choice(words, raw, path)
            case Listed():
                return self._list(kind, raw, path)
            case Mapped():
                return self._mapping(kind, raw, path)
            case Section(shape):
                return self._section(shape, raw, path, {})
            case Hidden():
                return self._secret(raw, path)
            case Either(kinds):
                return self._either(kinds, raw, path)
            case _:
                return raw

    def _scalar(self, kind: Scalar, raw: object, path: str) -> object:
        private = Mark.PRIVATE in kind.rules or Mark.FROM_ENV in kind.rules
        if not _is_a(kind.sort, raw):
            self.error(path, kind_of(raw) if private else shown(raw), self._allowed(kind))
            return FAILED
        value = raw
        if isinstance(value, str) and Mark.FROM_ENV in kind.rules:
            value = self._resolved(value, path)
            if value is None or (value == "" and path in self.unset):
                return FAILED if value is None else ""
        return self._ruled(kind, value, path, private=private)

    def _ruled(self, kind: Scalar, value: object, path: str, *, private: bool) -> object:
        # A default that 0 stands for is put in by the member, after its rules.
        for rule in kind.rules:
            broken = (
                (
                    isinstance(rule, Range)
                    and isinstance(value, int | float)
                    and not rule.holds(value)
                )
                and not (Mark.DEFAULT_UNLESS_POSITIVE in kind.rules and value <= 0)
            ) or (isinstance(rule, Text) and isinstance(value, str) and not rule.holds(value))
            if broken:
                self.error(path, kind_of(value) if private else shown(value), self._allowed(kind))
                return FAILED
            if isinstance(rule, Range) and rule.clamps and rule.high is not None:
                value = (
                    min(value, type(value)(rule.high)) if isinstance(value, int | float) else value
                )
        return float(value) if kind.sort is float and isinstance(value, int) else value

    def _choice(self, words: Sequence[str], raw: object, path: str) -> object:
        if raw in words and isinstance(raw, str):
            return raw
        like = nearest(raw, words) if isinstance(raw, str) else None
        self.error(path, shown(raw), " or ".join(words), like)
        return FAILED

    def _list(self, kind: Listed, raw: object, path: str) -> object:
        if not isinstance(raw, list):
            self.error(path, kind_of(raw), "a list")
            return FAILED
        values = [self._value(kind.item, each, item(path, index)) for index, each in enumerate(raw)]
        if Mark.WHITELIST in kind.rules and "*" in values and len(values) > 1:
            self.error(path, '"*" among other names', '["*"] alone, or names without it')
        elif Mark.WHITELIST in kind.rules or Mark.NO_DUPLICATES in kind.rules:
            self._refuse_duplicates(values, path)
        return tuple(value for value in values if value is not FAILED)

    def _refuse_duplicates(self, values: list[object], path: str) -> None:
        for index, value in enumerate(values):
            if value is not FAILED and value in values[:index]:
                self.error(item(path, index), f"{shown(value)} again", "each name once")

    def _mapping(self, kind: Mapped, raw: object, path: str) -> object:
        if not isinstance(raw, dict):
            self.error(path, kind_of(raw), "a mapping")
            return FAILED
        known = next((rule.known for rule in kind.rules if isinstance(rule, Names)), None)
        if known is not None:
            self._refuse_unknown(raw, known, path)
        values: dict[str, object] = {}
        for name, each in raw.items():
            folded = name.strip().lower() if Mark.LOWER_CASE_NAMES in kind.rules else name
            if folded in values:
                self.error(below(path, name), "the same name in another case", "each name once")
            values[folded] = self._mapped(kind.value, each, folded, below(path, folded))
        return MappingProxyType(
            {name: value for name, value in values.items() if value is not FAILED}
        )

    def _mapped(self, kind: Kind, raw: object, name: str, path: str) -> object:
        if isinstance(kind, Section):
            key = kind.shape.map_key
            return self._section(kind.shape, raw, path, {key: name} if key else {})
        return self._value(kind, raw, path)

    def _either(self, kinds: Sequence[Kind], raw: object, path: str) -> object:
        for kind in kinds:
            if suits(kind, raw):
                return self._value(kind, raw, path)
        self.error(path, kind_of(raw), " or ".join(self._allowed(kind) for kind in kinds))
        return FAILED

    # secrets and references

    def _secret(self, raw: object, path: str) -> object:
        """A text, ``env.NAME``, or ``{value, env_var, from_env}`` as the API shows it."""
        text = raw
        if isinstance(raw, dict):
            self._refuse_unknown(raw, ("value", "env_var", "from_env"), path)
            text = secret_text(raw)
        if not isinstance(text, str):
            self.error(path, kind_of(text), "a text, env.NAME, or {value, env_var, from_env}")
            return FAILED
        value = self._resolved(text, path)
        if value is None:
            return FAILED
        return Secret(value, reference=text if text.startswith("env.") else None)

    def _resolved(self, text: str, path: str) -> str | None:
        """What a text stands for; ``None`` is a reference that cannot be one. An unset variable is empty, and noted."""
        if not text.startswith("env."):
            return text
        name = text.removeprefix("env.")
        if not ENV_NAME.fullmatch(name):
            self.error(
                path, "a reference to no variable", "env.NAME, with letters, digits and underscores"
            )
            return None
        value = self.environ.get(name, "").strip()
        if not value:
            self.unset[path] = name
        return value

    def _allowed(self, kind: Kind) -> str:
        match kind:
            case Scalar(sort, rules):
                return _scalar_words(WORDS[sort], rules)
            case Choice(words):
                return " or ".join(words)
            case Listed():
                return "a list"
            case Hidden():
                return "a text or env.NAME"
            case _:
                return "a mapping"


def _scalar_words(word: str, rules: Sequence[Rule]) -> str:
    for rule in rules:
        if isinstance(rule, Range) and rule.allowed:
            return f"{word}, {rule.allowed}"
        if isinstance(rule, Text):
            return rule.allowed
    return word


def _is_a(sort: type, raw: object) -> bool:
    """Strictly: no number in quotes, no true for 1; a whole number is a number, and nothing endless is."""
    if isinstance(raw, bool) or sort is bool:
        return sort is bool and isinstance(raw, bool)
    if sort is float:
        return isinstance(raw, int | float) and abs(raw) < ENDLESS
    if sort is int:
        return isinstance(raw, int) and abs(raw) < ENDLESS
    return isinstance(raw, sort)


def suits(kind: Kind, raw: object) -> bool:
    """Which of several kinds is meant: numbers and texts by their type, everything else is a mapping."""
    return _is_a(kind.sort, raw) if isinstance(kind, Scalar) else isinstance(raw, dict)


def secret_text(raw: dict[str, object]) -> object:
    """The text that a secret's object stands for."""
    value, variable = raw.get("value"), raw.get("env_var")
    if isinstance(variable, str) and variable and (raw.get("from_env") or not value):
        return variable if variable.startswith("env.") else f"env.{variable}"
    return "" if value is None else value
