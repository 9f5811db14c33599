"""What objects that live with a provider tell of their usage, once they have come to an end.

Answers in the background, Assistants' runs, runs of evals, jobs of fine-tuning, films: a request begins them, another one asks
what became of them. What each is called, how it ends and where it tells what it used is as OpenAI has it.
Source: types of OpenAI's SDK for Python (``responses.Response``, ``beta.threads.Run``, ``evals.RunRetrieveResponse``,
``fine_tuning.FineTuningJob``, ``Video``, ``responses.CompactedResponse``), 2026-11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
import msgspec

from bifrost.codecs.json import InvalidJSON, decoder
from bifrost.dialects.openai_usage import read_seconds, read_usage
from bifrost.record import MediaUsage, ToldUsage, Usage
from bifrost.schema.call import Operation

__all__ = ["Asked", "mark_of", "told_by_event", "told_by_object"]

FINAL: Final = frozenset(
    {"cancelled", "canceled", "completed", "expired", "failed", "incomplete", "succeeded"}
)
"""How any of them ends."""

SERVICES: Final = frozenset({"flex", "priority"})

ITEMS_MAX: Final = 1000
"""Of a list; more are on no page."""

ID_MAX: Final = 128
"""Longer ones are known by their digest, for marks are kept for long; so are those that are no plain text."""

NULL = msgspec.Raw(b"null")


@attrs.frozen(kw_only=True)
class Asked:
    """What of a request decides how its answer is to be understood."""

    provider: str
    model: str = ""
    begins: bool = False
    """The request's own answer is paid for by what it says itself: of interest is only what it has begun."""
    makes: bool = False
    """It has something made."""
    is_new: bool = False
    """Likewise, and it names no object that was there before: whatever was used is its own."""
    is_of_object: bool = False
    """It asks for what belongs to an object that it names: a list is of that then, not of everybody's."""
    seconds: Any = None
    """The length of a film, where the request says it."""


class _Thing(msgspec.Struct):
    """An object, or an event that has one in it. The values may be of any kind."""

    id: Any = None
    object: Any = None
    status: Any = None
    model: Any = None
    background: Any = None
    service_tier: Any = None
    trained_tokens: Any = None
    seconds: Any = None
    usage: msgspec.Raw = NULL
    per_model_usage: msgspec.Raw = NULL
    data: msgspec.Raw = NULL
    response: msgspec.Raw = NULL


class _ModelUsage(msgspec.Struct):
    """Of an eval's run: what one model used."""

    model_name: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0


_thing = decoder(_Thing)
_things = decoder(list[_Thing])
_model_usages = decoder(list[_ModelUsage])


def mark_of(provider: str, name: str) -> str:
    """What the object ``name`` of ``provider`` is remembered by."""
    # Postgres knows no text with a NUL, and all counters are written with it or none.
    if len(name) > ID_MAX or not name.isprintable():
        name = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{provider}:{name}"


def told_by_object(body: bytes, asked: Asked) -> list[ToldUsage]:
    """What a JSON answer tells: the object itself, or those in a list. What is no JSON object tells nothing."""
    try:
        thing = _thing(body)
        is_list = thing.object == "list" and asked.is_of_object
        things = _things(bytes(thing.data))[:ITEMS_MAX] if is_list else [thing]
    except InvalidJSON:
        return []
    return [told for each in things for told in _told(each, asked)]


def told_by_event(data: bytes, asked: Asked) -> list[ToldUsage]:
    """What an event tells: it is an object, or has a response in it."""
    if b'"usage"' not in data and b'"background"' not in data:
        return []
    try:
        thing = _thing(data)
        found = thing if thing.object is not None else _thing(bytes(thing.response))
    except InvalidJSON:
        return []
    return _told(found, attrs.evolve(asked, is_new=False))


def _told(thing: _Thing, asked: Asked) -> list[ToldUsage]:
    if not isinstance(thing.id, str) or not isinstance(thing.object, str):
        return []
    tell = TELLERS.get(thing.object)
    if tell is None:
        return _new(thing, asked) if asked.is_new else []
    return tell(thing, asked)


def _response(thing: _Thing, asked: Asked) -> list[ToldUsage]:
    """Only one in the background: any other was paid for by the request that asked for it."""
    if thing.background is not True:
        return []
    if asked.begins:
        return [ToldUsage(mark=_mark(thing, asked))]
    return _of_usage(thing, asked, Operation.RESPONSES) if _is_over(thing) else []


def _run(thing: _Thing, asked: Asked) -> list[ToldUsage]:
    return _of_usage(thing, asked, Operation.CHAT) if _is_over(thing) else []


def _new(thing: _Thing, asked: Asked) -> list[ToldUsage]:
    return _of_usage(thing, asked, Operation.CHAT)


def _of_usage(thing: _Thing, asked: Asked, operation: Operation) -> list[ToldUsage]:
    usage = read_usage(bytes(thing.usage))
    return [] if usage is None else [_as_told(thing, asked, operation, usage)]


def _eval_run(thing: _Thing, asked: Asked) -> list[ToldUsage]:
    """Each model that took part, as one call."""
    if not _is_over(thing):
        return []
    try:
        parts = _model_usages(bytes(thing.per_model_usage))
    except InvalidJSON:
        return []
    return [
        attrs.evolve(_as_told(thing, asked, Operation.CHAT, _usage_of(part)), model=part.model_name)
        for part in parts
    ]


def _usage_of(part: _ModelUsage) -> Usage:
    counts = (part.prompt_tokens, part.completion_tokens, part.total_tokens, part.cached_tokens)
    prompt, completion, total, cached = (max(count, 0) for count in counts)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        cached_read_tokens=cached,
    )


def _tuning_job(thing: _Thing, asked: Asked) -> list[ToldUsage]:
    """Its tokens; training has no price."""
    trained = thing.trained_tokens
    if not _is_over(thing) or type(trained) is not int or trained <= 0:
        return []
    usage = Usage(prompt_tokens=trained, total_tokens=trained)
    return [_as_told(thing, asked, None, usage)]


def _video(thing: _Thing, asked: Asked) -> list[ToldUsage]:
    """When it is ordered: whoever fetches it need not ask how it went. Of one that is made longer only what is added."""
    seconds = thing.seconds if asked.seconds is None else asked.seconds
    length_ms = read_seconds(seconds)
    if not asked.makes or thing.status == "failed" or not length_ms:
        return []
    usage = Usage(media=MediaUsage(video_ms=length_ms))
    return [_as_told(thing, asked, Operation.VIDEO, usage)]


def _as_told(thing: _Thing, asked: Asked, operation: Operation | None, usage: Usage) -> ToldUsage:
    return ToldUsage(
        mark=_mark(thing, asked),
        model=thing.model if isinstance(thing.model, str) else asked.model,
        operation=operation,
        usage=usage,
        service=next((each for each in SERVICES if each == thing.service_tier), ""),
    )


def _is_over(thing: _Thing) -> bool:
    return isinstance(thing.status, str) and thing.status in FINAL


def _mark(thing: _Thing, asked: Asked) -> str:
    return mark_of(asked.provider, thing.id)


Teller = Callable[[_Thing, Asked], list[ToldUsage]]

TELLERS: Mapping[str, Teller] = MappingProxyType(
    {
        "response": _response,
        "thread.run": _run,
        "eval.run": _eval_run,
        "fine_tuning.job": _tuning_job,
        "video": _video,
    }
)
"""By the kind of object. What else a new request is answered with is paid for by its ``usage``, if it tells one."""
