"""Token usage as the OpenAI family tells it: read for the record, kept as it came for the caller.

Sources of what costs are told by: Perplexity, API reference, "Chat completions"; OpenRouter, "Usage accounting"; xAI, API
reference, "Chat completions"; all 2026-11.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import msgspec

from bifrost.codecs import json
from bifrost.record import MediaUsage, Usage

__all__ = ["UsageSum", "read_duration", "read_seconds", "read_usage"]

COUNTERS = ("prompt_tokens", "completion_tokens", "total_tokens")

MAX_COUNT = 2**53
"""Beyond it no count is one."""

MAX_SECONDS = 10**7
MAX_COST_USD = 10**6
"""A provider that says an answer costs so much is not believed."""


class _Details(msgspec.Struct, gc=False):
    cached_tokens: Any = None
    cached_read_tokens: Any = None
    cached_write_tokens: Any = None
    reasoning_tokens: Any = None
    audio_tokens: Any = None
    image_tokens: Any = None
    num_search_queries: Any = None


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
    num_search_queries: Any = None
    """perplexity's."""
    billed_units: Any = None
    """cohere's."""
    cost: Any = None
    """In US dollars, of perplexity and openrouter; an object has it as ``total_cost``."""
    is_byok: Any = None
    """openrouter's: ``cost`` is its fee only, and what the provider takes of the account's own key is beside it."""
    cost_details: Any = None
    cost_in_usd_ticks: Any = None
    """xai's, ten thousand million a dollar."""
    seconds: Any = None
    """Of a transcript that is paid for by its length."""
    prompt_audio_seconds: Any = None
    """mistral's."""


NO_DETAILS = _Details()
NO_MEDIA = MediaUsage()
_decode = json.decoder(_Usage)


def read_usage(raw: bytes) -> Usage | None:
    """The counts in the JSON object ``raw``; ``None`` if it is no object or has none of the three, nor a length of sound.

    They go by the names of chat or by those of the Responses API, images and audio (``input_tokens``). Called for each
    answer: what few of them have costs those without it a look.
    """
    try:
        wire = _decode(raw)
    except json.InvalidJSON:
        return None
    prompt = _first_count(wire.prompt_tokens, wire.input_tokens)
    completion = _first_count(wire.completion_tokens, wire.output_tokens)
    total = _count(wire.total_tokens)
    seconds = wire.seconds or wire.prompt_audio_seconds
    length_ms = _milliseconds(seconds) if seconds else 0
    if prompt is None and completion is None and total is None and not length_ms:
        return None
    given = wire.prompt_tokens_details or wire.input_tokens_details or NO_DETAILS
    made = wire.completion_tokens_details or wire.output_tokens_details or NO_DETAILS
    usage = Usage(
        prompt_tokens=prompt or 0,
        completion_tokens=completion or 0,
        total_tokens=(prompt or 0) + (completion or 0) if total is None else total,
        cached_read_tokens=_some(given.cached_tokens, given.cached_read_tokens),
        cached_write_tokens=_some(given.cached_write_tokens),
        reasoning_tokens=_some(made.reasoning_tokens, wire.reasoning_tokens),
    )
    if _is_all(wire, given, made) and not length_ms:
        return usage
    return attrs.evolve(
        usage,
        searches=_searches(wire, made),
        cost_nano_usd=_cost(wire),
        media=_media(given, made, length_ms),
    )


def _is_all(wire: _Usage, given: _Details, made: _Details) -> bool:
    """Whether there is nothing to be told but tokens of text."""
    return not (
        given.audio_tokens
        or made.audio_tokens
        or given.image_tokens
        or made.image_tokens
        or made.num_search_queries
        or wire.num_search_queries
        or wire.billed_units
        or wire.cost
        or wire.is_byok
        or wire.cost_in_usd_ticks
    )


def read_duration(raw: bytes) -> Usage | None:
    """The usage of a transcript that tells only how many seconds of sound it is of, as a number or its text."""
    try:
        length_ms = read_seconds(json.loads(raw))
    except json.InvalidJSON:
        return None
    return Usage(media=MediaUsage(audio_ms=length_ms)) if length_ms else None


def read_seconds(told: object) -> int:
    """Milliseconds of a length that is told in seconds, as a number or its text; 0 for what is none."""
    try:
        return _milliseconds(float(told) if isinstance(told, str) else told)
    except ValueError:
        return 0


def _searches(wire: _Usage, made: _Details) -> int:
    if wire.num_search_queries is None and made.num_search_queries is None:
        units = wire.billed_units
        return (_count(units.get("search_units")) or 0) if isinstance(units, dict) else 0
    return _count(wire.num_search_queries) or _count(made.num_search_queries) or 0


def _media(given: _Details, made: _Details, length_ms: int) -> MediaUsage | None:
    media = MediaUsage(
        audio_in_tokens=_count(given.audio_tokens) or 0,
        audio_out_tokens=_count(made.audio_tokens) or 0,
        image_in_tokens=_count(given.image_tokens) or 0,
        image_out_tokens=_count(made.image_tokens) or 0,
        audio_ms=length_ms,
    )
    return None if media == NO_MEDIA else media


def _milliseconds(seconds: object) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return 0
    return round(seconds * 1000) if 0 < seconds < MAX_SECONDS else 0


def _cost(wire: _Usage) -> int | None:
    """What the provider says it costs, in nano-dollars; a cost of 0 is as good as none."""
    told = wire.cost.get("total_cost") if isinstance(wire.cost, dict) else wire.cost
    cost = _nano_usd(told)
    if wire.is_byok is True and isinstance(wire.cost_details, dict):
        cost += _nano_usd(wire.cost_details.get("upstream_inference_cost"))
    return cost or ((_count(wire.cost_in_usd_ticks) or 0) + 5) // 10 or None


def _nano_usd(told: object) -> int:
    """By the decimal number that the provider wrote, not by the float that is nearest to it; 0 if it is none."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 < told < MAX_COST_USD:
        return 0
    return round(Decimal(repr(told)) * 1_000_000_000)


def _some(told: object, otherwise: object = None) -> int:
    """The count ``told``, or what is told ``otherwise``; 0 where neither is one."""
    found = _count(told) if told else None
    return found or (_count(otherwise) if otherwise else None) or 0


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
