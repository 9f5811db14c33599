"""What answers tell of things that were begun before, heard as they pass: nothing is held back of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import attrs

from bifrost.codecs.json import InvalidJSON, loads, split_object
from bifrost.codecs.sse import EventTooLarge, SSEDecoder
from bifrost.dialects.told_objects import Asked, mark_of, told_by_event, told_by_object
from bifrost.dialects.told_results import ToldResults
from bifrost.record import ToldUsage
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from bifrost.schema.call import Call, Relay, Target

__all__ = ["Telling", "may_tell", "read_whole"]

JSON_BYTES_MAX: Final = 10 * 1024 * 1024
"""Of a plain answer, as of an event; a longer one is not looked into."""

RESULTS: Final = frozenset({Operation.FILE_CONTENT, Operation.BATCH_RESULTS})

OF_A_BATCH: Final = "batch-results-"
"""How the id of a file begins that is made of a batch's results (``dialects.objects``)."""

PARTIAL: Final = frozenset({"range", "if-range"})
"""Headers by which a part of a file is asked for."""

EXTENSIONS: Final = "/videos/extensions"
"""Answers of this route tell how long the whole film is, its requests what is added."""


def may_tell(call: Call) -> bool:
    """Whether an answer to ``call`` may tell of something begun before, or begin something that is told of later."""
    if call.operation is Operation.RELAY:
        relay = call.relay
        return relay is not None and (not relay.is_generation or _is_of_responses(relay))
    if call.operation is Operation.RESPONSES:
        return call.is_background
    return call.operation in RESULTS


def read_whole(call: Call) -> Call:
    """``call``, for the whole of what may be results of a batch: parts of lines tell nothing, and parts of files too little."""
    if _results_mark(call, "") is None:
        return call
    caller, native = call.caller, call.native
    caller = attrs.evolve(caller, extra_headers=_without(caller.extra_headers))
    if native is not None:
        native = attrs.evolve(native, headers=_without(native.headers))
    return attrs.evolve(call, caller=caller, native=native)


def _without(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(line for line in headers if line[0] not in PARTIAL)


def _is_of_responses(relay: Relay) -> bool:
    return relay.path.endswith("/responses")


@attrs.define(eq=False)
class Telling:
    """One answer being listened to. At most ``JSON_BYTES_MAX`` of it are kept, or one line of results, or one event."""

    _asked: Asked
    _hear: Callable[[ToldUsage], None]
    _results: ToldResults | None = None
    _events: SSEDecoder | None = attrs.field(default=None, init=False)
    _parts: list[bytes] = attrs.field(factory=list, init=False)
    _room: int = attrs.field(default=0, init=False)
    _heard: set[str] = attrs.field(factory=set, init=False)
    """Marks of events: the same object is told of again in each event that follows."""

    @classmethod
    def of(cls, call: Call, target: Target, hear: Callable[[ToldUsage], None]) -> Telling | None:
        """What listens to an answer to ``call``; ``None`` where there is nothing to be heard."""
        if not may_tell(call):
            return None
        mark = _results_mark(call, target.provider)
        results = None if mark is None else ToldResults(mark)
        return cls(_asked(call, target), hear, results)

    def begins(self, content_type: bytes) -> None:
        """The answer's kind is known: results are read line by line, events one by one, JSON as a whole, all else not at all."""
        kind = content_type.lower()
        if self._results is None and kind.startswith(b"text/event-stream"):
            self._events = SSEDecoder()
        elif self._results is None and kind.startswith(b"application/json"):
            self._room = JSON_BYTES_MAX

    def passes(self, data: bytes) -> None:
        """More of the answer."""
        if self._results is not None:
            self._tell(self._results.feed(data))
            if self._results.is_strange:
                self._results = None
        elif self._events is not None:
            self._pass_events(self._events, data)
        elif self._room:
            self._parts.append(data)
            self._room = max(0, self._room - len(data))
            if not self._room:
                self._parts.clear()

    def ends(self) -> None:
        """No more of it passes, whatever the reason: what came in whole is told though its caller left."""
        if self._results is not None:
            self._tell(self._results.close())
        elif self._room:
            self._tell(told_by_object(b"".join(self._parts), self._asked))

    def _pass_events(self, decoder: SSEDecoder, data: bytes) -> None:
        try:
            events = decoder.feed(data)
        except EventTooLarge as error:
            events, self._events = error.events, None
        for event in events:
            told = told_by_event(event.data, self._asked)
            self._tell([each for each in told if each.mark not in self._heard])
            self._heard.update(each.mark for each in told)

    def _tell(self, told: list[ToldUsage]) -> None:
        for each in told:
            self._hear(each)


def _asked(call: Call, target: Target) -> Asked:
    relay = call.relay
    begins = relay is None or relay.is_generation
    makes = relay is not None and relay.method == "POST" and not begins
    return Asked(
        provider=target.provider,
        model=target.model,
        begins=begins,
        makes=makes,
        is_new=makes and "{" not in call.route,
        is_of_object="{id}" in call.route,
        seconds=_seconds(relay) if relay is not None and makes else None,
    )


def _seconds(relay: Relay) -> object:
    """How long a film is to become longer."""
    if not relay.path.endswith(EXTENSIONS) or not isinstance(relay.body, bytes):
        return None
    try:
        return loads(split_object(relay.body).get("seconds", b"null"))
    except InvalidJSON:
        return None


def _results_mark(call: Call, provider: str) -> str | None:
    """What the results of a batch are paid for by; ``None`` for an answer that is none. The same by whichever route they are read."""
    if call.operation in RESULTS:
        name = call.ids[0] if call.ids else call.route
    elif call.relay is not None:
        name = _results_in(call.relay.path)
    else:
        return None
    return mark_of(provider, name.removeprefix(OF_A_BATCH)) if name else None


def _results_in(path: str) -> str:
    """The id of the file or batch whose content a passthrough route asks for; empty if it is something else."""
    *_, family, name, what = ("", "", *path.rstrip("/").split("/"))
    is_content = (family, what) in {("files", "content"), ("batches", "results")}
    return unquote(name) if is_content else ""
