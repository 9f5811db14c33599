"""Token usage as the OpenAI family tells it: read for the record, kept as it came for the caller."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from bifrost.codecs import json
from bifrost.record import Usage

__all__ = ["UsageSum", "read_usage"]

COUNTERS = ("prompt_tokens", "completion_tokens", "total_tokens")

MAX_COUNT = 2**53
"""Beyond it no count is one."""


class _Details(msgspec.Struct, gc=False):
    cached_tokens: Any = None
    cached_read_tokens: Any = None
    cached_write_tokens: Any = None
    reasoning_tokens: Any = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: Any = None
    completion_tokens: Any = None
    total_tokens: Any = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens: Any = None
    output_tokens: Any = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None
    reasoning_tokens: Any = None
    """perplexity tells it here."""


_decode = json.decoder(_Usage)


def read_usage(raw: bytes) -> Usage | None:
    """The counts in the JSON object ``raw``; ``None`` if it is no object or has none of the three.

    They go by the names of chat or by those of the Responses API, images and audio (``input_tokens``).
    """
    try:
        wire = _decode(raw)
    except json.InvalidJSON:
        return None
    prompt = _first_count(wire.prompt_tokens, wire.input_tokens)
    completion = _first_count(wire.completion_tokens, wire.output_tokens)
    total = _count(wire.total_tokens)
    if prompt is None and completion is None and total is None:
        return None
    given = wire.prompt_tokens_details or wire.input_tokens_details or _Details()
    made = wire.completion_tokens_details or wire.output_tokens_details or _Details()
    return Usage(
        prompt_tokens=prompt or 0,
        completion_tokens=completion or 0,
        total_tokens=(prompt or 0) + (completion or 0) if total is None else total,
        cached_read_tokens=_count(given.cached_tokens) or _count(given.cached_read_tokens) or 0,
        cached_write_tokens=_count(given.cached_write_tokens) or 0,
        reasoning_tokens=_count(made.reasoning_tokens) or _count(wire.reasoning_tokens) or 0,
    )


def _first_count(one: object, other: object) -> int | None:
    count = _count(one)
    return _count(other) if count is None else count


def _count(value: object) -> int | None:
    if type(value) is float and value.is_integer():
        value = int(value)
    # Not isinstance: true and false are no counts.
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


@attrs.define(eq=False)
class UsageSum:
    """What a stream has told of its usage: the maxima of the three counters, all else from the last telling."""

    usage: Usage | None = attrs.field(default=None, init=False)
    _raw: bytes = attrs.field(default=b"null", init=False)

    def add(self, raw: bytes) -> None:
        """Take the JSON object ``raw``; what is none, or has no counts, is passed over."""
        told = read_usage(raw)
        if told is None:
            return
        self._raw = raw
        self.usage = told if self.usage is None else _merged(self.usage, told)

    def encoded(self) -> bytes:
        """The usage to tell the caller: as the upstream told it last, with the maxima; ``null`` if it told none."""
        if self.usage is None or self.usage == read_usage(self._raw):
            return self._raw
        members = json.split_object(self._raw)
        for name in COUNTERS:
            members[name] = b"%d" % getattr(self.usage, name)
        return json.join_object(members)


def _merged(before: Usage, last: Usage) -> Usage:
    return attrs.evolve(
        last,
        prompt_tokens=max(before.prompt_tokens, last.prompt_tokens),
        completion_tokens=max(before.completion_tokens, last.completion_tokens),
        total_tokens=max(before.total_tokens, last.total_tokens),
    )
