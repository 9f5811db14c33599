"""Text to plain data: YAML as its version 1.2 reads it, and so JSON too.

PyYAML's own loader is not used beyond its event parser, for four reasons: it lets the later of two equal keys win, it
reads ``no`` as false and ``2024-10-21`` as a date, its C composer overflows the stack on deep nesting (seen with 0.2.5,
5,000 levels), and aliases make a small file large. Events come one by one, so every bound holds while reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs
import yaml

from bifrost.config.faults import ConfigError, ConfigErrors, below, item, kind_of

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "parse_document"]

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 1_000_000
"""Values in a document, those behind an alias counted each time they are used."""

NULL = frozenset({"", "~", "null", "Null", "NULL"})
TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]+")
OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
PAIR = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)
TAGS = frozenset({None, "!", "tag:yaml.org,2002:str"})

NO_ALIAS = "an alias without its anchor"
QUOTE = "quotes round values that begin with &, * or !"


def parse_document(text: str) -> tuple[object, tuple[ConfigError, ...]]:
    """The document as dicts, lists, str, int, float, bool and None, and what is wrong without ending the reading.

    An empty document is an empty mapping. Raises ConfigErrors where it cannot be read on: it is no YAML, or past a bound.
    """
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise _fatal("", "a document of more than 10 MiB", "up to 10 MiB")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        builder = _Builder(iter(yaml.parse(_unpaired(text), Loader=loader)))
        return builder.document(), tuple(builder.errors)
    except yaml.MarkedYAMLError as error:
        if "maximum nesting depth" in str(error.problem):
            # libyaml from 0.2.6 on stops by itself, a little before our own bound could.
            raise _too_deep("") from None
        raise _fatal("", _where(error), "well-formed YAML or JSON") from None
    except (yaml.YAMLError, UnicodeError):
        raise _fatal("", "characters that YAML does not allow", "printable Unicode") from None


def _unpaired(text: str) -> str:
    """JSON's one escape that YAML does not know: a character past U+FFFF as a pair of surrogates."""
    if not text.lstrip().startswith("{"):
        return text
    return PAIR.sub(lambda pair: pair[1] + _joined(pair[2], pair[3]), text)


def _joined(high: str, low: str) -> str:
    return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)


def _fatal(path: str, found: str, allowed: str) -> ConfigErrors:
    return ConfigErrors([ConfigError(path, found, allowed)])


def _too_deep(path: str) -> ConfigErrors:
    return _fatal(path, "too deep a nesting", f"up to {MAX_DEPTH} levels")


def _where(error: yaml.MarkedYAMLError) -> str:
    """Line and column, with the parser's words; they name single characters and never values."""
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}{error.problem or 'broken YAML'}"


@attrs.define(eq=False)
class _Builder:
    """Makes values of events. ``_anchors`` hold a finished value and how many values it counts for."""

    _events: Iterator[yaml.Event]
    errors: list[ConfigError] = attrs.field(factory=list)
    _anchors: dict[str, tuple[object, int]] = attrs.field(factory=dict)
    _count: int = 0

    def document(self) -> object:
        value: object = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _fatal("", "a second document", "one document")
                value = self._value(next(self._events), "", 0)
        return {} if value is None else value

    def _value(self, event: yaml.Event, path: str, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise _too_deep(path)
        before = self._count
        self._add(1, path)
        match event:
            case yaml.AliasEvent():
                return self._aliased(event, path)
            case yaml.ScalarEvent():
                value = self._scalar(event, path)
            case yaml.SequenceStartEvent():
                value = self._sequence(path, depth)
            case _:
                value = self._mapping(path, depth)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = (value, self._count - before)
        return value

    def _add(self, count: int, path: str) -> None:
        self._count += count
        if self._count > MAX_VALUES:
            raise _fatal(path, "too many values", f"up to {MAX_VALUES}, aliases counted each time")

    def _aliased(self, event: yaml.AliasEvent, path: str) -> object:
        # The alias is not named: an unquoted password may begin with a star.
        if event.anchor not in self._anchors:
            raise _fatal(path, NO_ALIAS, QUOTE)
        value, count = self._anchors[event.anchor]
        self._add(count, path)
        return value

    def _scalar(self, event: yaml.ScalarEvent, path: str) -> object:
        if event.tag not in TAGS:
            self.errors.append(ConfigError(path, "a YAML tag", QUOTE))
            return None
        if event.implicit[0] and event.tag is None:
            return self._plain(event.value, path)
        return event.value

    def _plain(self, text: str, path: str) -> object:
        if text in NULL:
            return None
        if text in TRUTH:
            return TRUTH[text]
        if NOT_FINITE.fullmatch(text):
            return float(text.replace(".", "").lower())
        try:
            if OTHER_BASE.fullmatch(text):
                return int(text, 0)
            if INTEGER.fullmatch(text):
                return int(text)
        except ValueError:  # past Python's limit for digits
            self.errors.append(ConfigError(path, "a very long number", "a number of sensible size"))
            return None
        return float(text) if FLOAT.fullmatch(text) else text

    def _sequence(self, path: str, depth: int) -> list[object]:
        values: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, item(path, len(values)), depth + 1))
        return values

    def _mapping(self, path: str, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        merged: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            name = self._name(event, path)
            inner = below(path, name)
            value = self._value(next(self._events), inner, depth + 1)
            if name == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                merged = {**self._merge(value, path), **merged}
            elif name in values:
                self.errors.append(ConfigError(inner, "the same key twice", "each key once"))
            else:
                values[name] = value
        return {**merged, **values}

    def _name(self, event: yaml.Event, path: str) -> str:
        """A key's text. Numbers and the like are keys by their spelling, as they are in JSON."""
        if isinstance(event, yaml.ScalarEvent) and event.tag in TAGS:
            self._add(1, path)
            if event.anchor is not None:
                self._anchors[event.anchor] = (event.value, 1)
            return event.value
        raise _fatal(path, "a key that is no plain text", "text keys; " + QUOTE)

    def _merge(self, value: object, path: str) -> dict[str, object]:
        """What ``<<`` brings in: a mapping, or a list of mappings of which earlier ones win."""
        merged: dict[str, object] = {}
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                merged = {**part, **merged}
            else:
                self.errors.append(ConfigError(below(path, "<<"), kind_of(part), "a mapping"))
        return merged
