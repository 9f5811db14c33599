"""Bodies of nouns by the shape of their class: in the spelling that is written back, and where their secrets are.

No list says what is secret: a ``Secret`` is, a text that may be a reference to the environment is (that is how the check of
the file sees it too), and so is every text in a part whose shape is not known, a plugin's ``config`` for one.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from bifrost.config.faults import below, item
from bifrost.config.nouns import KINDS, Body
from bifrost.config.rules import ENV_NAME, Mark
from bifrost.config.shape import (
    Either,
    Group,
    Hidden,
    Kind,
    Listed,
    Mapped,
    Member,
    Open,
    Scalar,
    Section,
    shape_of,
)
from bifrost.config.walk import secret_text, suits

__all__ = ["Kinds", "Way", "canonical", "change_secrets", "content", "is_reference", "kinds_of"]

Change = Callable[[str, str], str]
"""Of a secret text and its path: what stands there instead."""

Kinds = Mapping[str, tuple[str, Kind]]
"""Every name that may stand in a section, to the one that is written back and the kind of its value."""

BESIDES: Mapping[str, Mapping[str, Kind]] = MappingProxyType({"key": {"provider": Scalar(str)}})
"""Members of a body that its class has not."""

NO_CONTENT = re.compile(r"id|(token_|request_)?(current_usage|last_reset)")
"""Members that are no part of what a noun says: who it is, and what was used of it."""
EVERY_MEMBER = re.compile(r"(?!)")

OF_A_SECRET = frozenset({"value", "env_var", "from_env"})

REFERENCE = re.compile(rf"env\.{ENV_NAME.pattern}")


def is_reference(text: str) -> bool:
    """Whether ``text`` is ``env.NAME``, and no secret itself."""
    return REFERENCE.fullmatch(text) is not None


def canonical(kind: str, body: Body) -> dict[str, Any]:
    """``body`` in the spelling that is written back: no aliases, no ``null``, secrets as texts."""
    return change_secrets(kind, body, lambda _, text: text)


def change_secrets(kind: str, body: Body, change: Change) -> dict[str, Any]:
    """The canonical ``body`` with each secret changed. Empty texts are not asked about; references are."""
    return Way(change).named(kinds_of(kind), body, "")


def content(kind: str, body: Body) -> bytes:
    """What a noun says, the same bytes however it was written down: without ids and usage, members in one order."""
    way = Way(lambda _, text: text, NO_CONTENT)
    said = _whole(way.named(kinds_of(kind), body, ""))
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def _whole(value: object) -> object:
    """With 1 for 1.0: YAML's reader knows both, and the file means the same."""
    match value:
        case dict():
            return {name: _whole(each) for name, each in value.items()}
        case list():
            return [_whole(each) for each in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


@functools.cache
def kinds_of(kind: str) -> Kinds:
    """The members of a noun's body."""
    own = {name: (name, each) for name, each in BESIDES.get(kind, {}).items()}
    return {**_spellings(KINDS[kind]), **own}


@functools.cache
def _spellings(cls: type) -> Kinds:
    """Of a section of ``cls``."""
    shape = shape_of(cls)
    found = _of_members(shape.members)
    for _, inner in shape.spread:
        found |= _spellings(inner.cls)
    return found


def _of_members(members: Iterable[Member]) -> dict[str, tuple[str, Kind]]:
    return {name: (member.name, member.kind) for member in members for name in member.names}


@attrs.frozen
class Way:
    """One way through a body. Members that are ``skipped`` are left out, and those that are ``null`` unless it ``keeps_null``.

    An unknown member that is ``null`` stays: whoever checks the body shall find it.
    """

    change: Change
    skipped: re.Pattern[str] = EVERY_MEMBER
    keeps_null: bool = False

    def named(self, kinds: Kinds, raw: Body, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for spelling, value in raw.items():
            if spelling in kinds and self.skipped.fullmatch(spelling):
                continue
            name, kind = kinds.get(spelling, (spelling, Open()))
            if value is not None:
                found[name] = self.value(kind, value, below(path, name))
            elif self.keeps_null or spelling not in kinds:
                found[name] = None
        return found

    def value(self, kind: Kind, raw: object, path: str) -> object:
        match kind, raw:
            case Section(shape), Mapping():
                return self.named(_spellings(shape.cls), raw, path)
            case Group(members), Mapping():
                return self.named(_of_members(members), raw, path)
            case Listed(inner), list():
                return [self.value(inner, each, item(path, at)) for at, each in enumerate(raw)]
            case Mapped(inner), Mapping():
                return {
                    name: self.value(inner, each, below(path, name)) for name, each in raw.items()
                }
            case Either(kinds), _:
                fitting = next((each for each in kinds if suits(each, raw)), Open())
                return self.value(fitting, raw, path)
            case _:
                return self.single(kind, raw, path)

    def single(self, kind: Kind, raw: object, path: str) -> object:
        match kind, raw:
            case Hidden(), dict() if raw.keys() <= OF_A_SECRET:
                return self.open(secret_text(raw), path)
            case ((Hidden() | Open()), _):
                return self.open(raw, path)
            case Scalar(rules=rules), str() if Mark.FROM_ENV in rules or Mark.PRIVATE in rules:
                return self.open(raw, path)
            case _:
                return raw

    def open(self, raw: object, path: str) -> object:
        """Of what has no shape, every text may be a secret."""
        match raw:
            case str():
                return self.change(path, raw) if raw else raw
            case Mapping():
                return {name: self.open(each, below(path, name)) for name, each in raw.items()}
            case list():
                return [self.open(each, item(path, at)) for at, each in enumerate(raw)]
            case _:
                return raw
