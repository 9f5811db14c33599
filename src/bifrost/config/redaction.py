"""Bodies of nouns as they are shown: secrets only by their ends. And back: what was shown so and comes again is unchanged.

A secret is shown as ``{value, env_var, from_env}``, as the check of the file reads it too. Texts that may be references but
say where something is (an address, a region) are shown as they are; what stands under free names (headers) or in a part
whose shape is not known (a plugin's ``config``) is hidden like a secret, for it may be one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.config.bodies import Kinds, Way, is_reference, kinds_of
from bifrost.config.faults import ConfigError, ConfigErrors, below
from bifrost.config.secret import Secret
from bifrost.config.shape import Hidden, Kind, Mapped, Scalar
from bifrost.config.walk import secret_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.config.nouns import Body

__all__ = ["MASK", "hidden", "restored", "shown", "shown_secret"]

MASK = "<redacted>"
"""In place of a password: not even its ends are shown."""

REDACTED = re.compile(r"\*{1,8}|.{4}\*{24}.{4}|<redacted>", re.DOTALL)

_INDEX = re.compile(r"\[[0-9]+\]")


def shown(kind: str, body: Body) -> dict[str, Any]:
    """The canonical ``body`` with no secret in it."""
    return _Shown(_hidden_at).named(kinds_of(kind), body, "")


def hidden(text: str) -> str:
    """A secret by its ends. References are none."""
    return text if is_reference(text) else Secret(text).redacted()


def shown_secret(value: str, *, is_password: bool = False) -> dict[str, object]:
    """A secret as an answer has it: ``{value, env_var, from_env}``."""
    if is_reference(value):
        return {"value": "", "env_var": value, "from_env": True}
    told = MASK if value and is_password else hidden(value)
    return {"value": told, "env_var": "", "from_env": False}


def restored(kind: str, sent: Body, present: Body) -> dict[str, Any]:
    """What was ``sent``, canonical but with its nulls, where what is redacted is as it is in ``present``.

    Raises ConfigErrors for something redacted that there is nothing behind.
    """
    back = _Restoring(_secrets(kinds_of(kind), present))
    body = Way(back.change, keeps_null=True).named(kinds_of(kind), sent, "")
    if back.errors:
        raise ConfigErrors(back.errors)
    return body


def _secrets(kinds: Kinds, body: Body) -> dict[str, str]:
    found: dict[str, str] = {}

    def note(path: str, text: str) -> str:
        found[path] = text
        return text

    Way(note).named(kinds, body, "")
    return found


def _is_password(path: str) -> bool:
    return path.endswith("password")


def _hidden_at(path: str, text: str) -> str:
    return MASK if _is_password(path) and not is_reference(text) else hidden(text)


@attrs.frozen
class _Shown(Way):
    """Secrets become objects; texts that only may come from the environment stay."""

    def value(self, kind: Kind, raw: object, path: str) -> object:
        match kind, raw:
            case Mapped(Scalar() as inner), dict():
                # Under names that are anybody's choice.
                return {
                    name: super(_Shown, self).single(inner, each, below(path, name))
                    for name, each in raw.items()
                }
            case _:
                return super().value(kind, raw, path)

    def single(self, kind: Kind, raw: object, path: str) -> object:
        match kind:
            case Hidden():
                text = secret_text(raw) if isinstance(raw, dict) else raw
                return shown_secret(str(text), is_password=_is_password(path))
            case Scalar():
                return raw
            case _:
                return super().single(kind, raw, path)


@attrs.define(eq=False)
class _Restoring:
    """``kept`` are the present secrets by their path."""

    kept: dict[str, str] = attrs.field(repr=False)
    errors: list[ConfigError] = attrs.field(factory=list)

    def change(self, path: str, text: str) -> str:
        if not REDACTED.fullmatch(text):
            return text
        found = next(iter(self._meant(path, text)), None)
        if found is None:
            allowed = "the value itself: there is none that a redacted one could stand for"
            self.errors.append(ConfigError(path, "a redacted value", allowed))
            return ""
        return found

    def _meant(self, path: str, text: str) -> Iterable[str]:
        """The secret at ``path`` if it looks like that, one of the same list that does, or the one at ``path`` all the same.

        The last not in a list: there a place says nothing of what is meant, and another's secret might be taken for it.
        """
        here = self.kept.get(path)
        if here is not None and _hidden_at(path, here) == text:
            yield here
        anywhere = _INDEX.sub("", path)
        for other, kept in self.kept.items():
            if _INDEX.sub("", other) == anywhere and _hidden_at(other, kept) == text:
                yield kept
        if here is not None and anywhere == path:
            yield here
