"""The output of a Response growing out of chat deltas: items, and the events that tell of them.

One machine for streams and for whole answers, which are one large delta. Reasoning, text and refusal are said one after
another, so an item of theirs is done when something else begins; tool calls may grow side by side and are done at the end.
Source: OpenAI API reference, "Responses streaming events", 2026-11.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.dialects.bridge_reading import (
    CallDelta,
    Saying,
    Thought,
    annotations_of,
    call_deltas,
    logprobs_of,
    sayings_of,
    thoughts_of,
)
from bifrost.dialects.sealed_reasoning import seal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_KEPT", "Event", "Output", "OutputTooLarge", "stem_of"]

MAX_KEPT = 32 * 1024 * 1024
"""Characters of a stream's output that are kept for its last event, what stands round them counted by estimate."""

ITEM_KEPT = 512
"""What an item, a part or a citation is counted as besides its text."""

LOGPROB_KEPT = 128
"""What the probability of one token is counted as."""

EVENTS = {
    Saying.REASONING: "reasoning_summary_text",
    Saying.TEXT: "output_text",
    Saying.REFUSAL: "refusal",
}

WORDS = frozenset({"text", "refusal", "logprobs"})
"""What the end of a part's words repeats of the part."""

Event = tuple[str, dict[str, Any]]
"""The type after ``response.``, and the members besides type and number."""


class OutputTooLarge(ValueError):
    """More than ``MAX_KEPT``."""

    def __init__(self, max_kept: float) -> None:
        super().__init__(f"output exceeds {max_kept:.0f} characters")


def stem_of(answer_id: str) -> str:
    """What the ids of an answer's items are made of: the same for the same answer, and always short."""
    return hashlib.sha256(answer_id.encode()).hexdigest()[:24]


@attrs.define(eq=False)
class _Part:
    """A text being said, as a part of a message or as the summary of a reasoning item."""

    saying: Saying
    index: int
    texts: list[str] = attrs.field(factory=list)
    logprobs: list[dict[str, Any]] = attrs.field(factory=list)
    annotations: list[dict[str, Any]] = attrs.field(factory=list)

    def encode(self) -> dict[str, Any]:
        name = "refusal" if self.saying is Saying.REFUSAL else "text"
        part: dict[str, Any] = {"type": self.saying.value, name: "".join(self.texts)}
        if self.saying is Saying.TEXT:
            part |= {"annotations": [*self.annotations], "logprobs": [*self.logprobs]}
        return part


@attrs.define(eq=False)
class _Speech:
    """A message or a reasoning item. ``part`` is being said, ``parts`` are done."""

    id: str
    index: int
    is_reasoning: bool
    part: _Part | None = None
    parts: list[dict[str, Any]] = attrs.field(factory=list)
    block: int | None = None
    """Of a reasoning item: which block of thinking it tells."""
    details: list[dict[str, Any]] = attrs.field(factory=list)
    """The seals of that block."""

    def encode(self, status: str) -> dict[str, Any]:
        if self.is_reasoning:
            item = {"id": self.id, "type": "reasoning", "summary": [*self.parts], "status": status}
            text = "".join(part["text"] for part in self.parts)
            sealed = seal(_filled(self.details, text), text)
            return item if sealed is None else {**item, "encrypted_content": sealed}
        head = {"id": self.id, "type": "message", "role": "assistant", "status": status}
        return {**head, "content": [*self.parts]}


@attrs.define(eq=False)
class _Call:
    """A tool call. It has no ``place`` in the output before its name is known."""

    call_id: str
    is_custom: bool
    name: str = ""
    texts: list[str] = attrs.field(factory=list)
    id: str = ""
    place: int | None = None
    is_done: bool = False

    @property
    def events(self) -> str:
        return "custom_tool_call_input" if self.is_custom else "function_call_arguments"

    @property
    def member(self) -> str:
        return "input" if self.is_custom else "arguments"

    def encode(self, status: str) -> dict[str, Any]:
        kind = "custom_tool_call" if self.is_custom else "function_call"
        item = {"id": self.id, "type": kind, "status": status, "call_id": self.call_id}
        return {**item, "name": self.name, self.member: "".join(self.texts)}


@attrs.define(eq=False)
class Output:
    """The items of one Response. ``stem`` makes their ids; ``max_kept`` bounds what is held."""

    stem: str
    max_kept: float = float("inf")
    _kept: int = attrs.field(default=0, init=False)
    _places: int = attrs.field(default=0, init=False)
    """Items begun."""
    _done: dict[int, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _speech: _Speech | None = attrs.field(default=None, init=False)
    _calls: list[_Call] = attrs.field(factory=list, init=False)
    _by_id: dict[str, _Call] = attrs.field(factory=dict, init=False)
    _by_index: dict[int, _Call] = attrs.field(factory=dict, init=False)

    @property
    def items(self) -> list[dict[str, Any]]:
        """Those that are done, in order."""
        return [self._done[place] for place in sorted(self._done)]

    def take(
        self, message: dict[str, Any], logprobs: object, tell: Callable[[Event], None]
    ) -> None:
        """Add what a message or delta says; ``tell`` gets the events, in order. Raises OutputTooLarge."""
        spent = logprobs_of(logprobs)
        for thought in thoughts_of(message):
            self._think(thought, tell)
        for saying, text in sayings_of(message):
            mine: list[dict[str, Any]] = []
            if saying is Saying.TEXT:
                mine, spent = spent, mine
            self._say(saying, text, mine, tell)
        self._keep_logprobs(spent)
        for annotation in annotations_of(message):
            self._annotate(annotation, tell)
        for delta in call_deltas(message):
            self._call(delta, tell)

    def finish(self, tell: Callable[[Event], None], *, is_incomplete: bool) -> None:
        """End all that is being said and called; the last item is told to be incomplete, if the answer is.

        May be called again, if more has come since.
        """
        calls = [(self._place(call, tell), call) for call in self._calls if not call.is_done]
        incomplete = self._places - 1 if is_incomplete else None
        self._end_speech(tell, incomplete)
        for place, call in calls:
            self._end_call(place, call, incomplete, tell)

    def _keep(self, count: int) -> None:
        self._kept += count
        if self._kept > self.max_kept:
            raise OutputTooLarge(self.max_kept)

    def _next_place(self) -> int:
        self._keep(ITEM_KEPT)
        self._places += 1
        return self._places - 1

    # What is said.

    def _think(self, thought: Thought, tell: Callable[[Event], None]) -> None:
        """Each block of thinking that is sealed is an item of its own."""
        speech = self._speech
        if speech is not None and speech.is_reasoning and _is_another(speech, thought):
            self._end_speech(tell)
        if thought.text:
            self._say(Saying.REASONING, thought.text, [], tell)
        speech = self._speech
        if speech is None or not speech.is_reasoning:
            self._end_speech(tell)
            speech = self._begin_speech(tell, is_reasoning=True)
        speech.block = thought.index if speech.block is None else speech.block
        if thought.detail is not None:
            self._keep(
                ITEM_KEPT + sum(len(v) for v in thought.detail.values() if isinstance(v, str))
            )
            speech.details.append(thought.detail)

    def _say(
        self,
        saying: Saying,
        text: str,
        logprobs: list[dict[str, Any]],
        tell: Callable[[Event], None],
    ) -> None:
        self._keep(len(text) + _size_of(logprobs))
        speech, part = self._open(saying, tell)
        part.texts.append(text)
        part.logprobs.extend(logprobs)
        told: dict[str, Any] = {"delta": text}
        if saying is Saying.TEXT:
            told["logprobs"] = logprobs
        tell((f"{EVENTS[saying]}.delta", {**_at(speech, part), **told}))

    def _keep_logprobs(self, logprobs: list[dict[str, Any]]) -> None:
        """Those of tokens that have no text of their own."""
        part = None if self._speech is None else self._speech.part
        if logprobs and part is not None and part.saying is Saying.TEXT:
            self._keep(_size_of(logprobs))
            part.logprobs.extend(logprobs)

    def _annotate(self, annotation: dict[str, Any], tell: Callable[[Event], None]) -> None:
        self._keep(ITEM_KEPT + len(annotation["url"]) + len(annotation["title"]))
        speech, part = self._open(Saying.TEXT, tell)
        number = len(part.annotations)
        part.annotations.append(annotation)
        told = {"annotation_index": number, "annotation": annotation}
        tell(("output_text.annotation.added", {**_at(speech, part), **told}))

    def _open(self, saying: Saying, tell: Callable[[Event], None]) -> tuple[_Speech, _Part]:
        """The item and the part that ``saying`` goes on in, begun if need be."""
        is_reasoning = saying is Saying.REASONING
        speech = self._speech
        if speech is None or speech.is_reasoning is not is_reasoning:
            self._end_speech(tell)
            speech = self._begin_speech(tell, is_reasoning=is_reasoning)
        part = speech.part
        if part is None or part.saying is not saying:
            _end_part(speech, tell)
            self._keep(ITEM_KEPT)
            part = speech.part = _Part(saying, len(speech.parts))
            name = "reasoning_summary_part.added" if is_reasoning else "content_part.added"
            tell((name, {**_at(speech, part), "part": part.encode()}))
        return speech, part

    def _begin_speech(self, tell: Callable[[Event], None], *, is_reasoning: bool) -> _Speech:
        place = self._next_place()
        prefix = "rs" if is_reasoning else "msg"
        self._speech = _Speech(f"{prefix}_{self.stem}_{place}", place, is_reasoning)
        item = self._speech.encode("in_progress")
        tell(("output_item.added", {"output_index": place, "item": item}))
        return self._speech

    def _end_speech(self, tell: Callable[[Event], None], incomplete: int | None = None) -> None:
        """End what is being said; ``incomplete`` is the place of the item that is."""
        speech, self._speech = self._speech, None
        if speech is not None:
            _end_part(speech, tell)
            self._end_item(speech.index, speech.encode, incomplete, tell)

    def _end_item(
        self,
        place: int,
        encode: Callable[[str], dict[str, Any]],
        incomplete: int | None,
        tell: Callable[[Event], None],
    ) -> None:
        item = encode("incomplete" if place == incomplete else "completed")
        self._done[place] = item
        tell(("output_item.done", {"output_index": place, "item": item}))

    # What is called.

    def _call(self, delta: CallDelta, tell: Callable[[Event], None]) -> None:
        call = self._find(delta)
        if call.is_done:
            return
        if not call.name:
            self._keep(len(delta.name))
            call.name = delta.name
        if delta.text:
            self._keep(len(delta.text))
            call.texts.append(delta.text)
        if call.place is None:
            if call.name:
                self._place(call, tell)
        elif delta.text:
            told = {"item_id": call.id, "output_index": call.place, "delta": delta.text}
            tell((f"{call.events}.delta", told))

    def _find(self, delta: CallDelta) -> _Call:
        """The call that ``delta`` is of, begun if need be."""
        call = self._known(delta) or self._begin_call(delta)
        if delta.index is not None:
            self._by_index[delta.index] = call
        return call

    def _known(self, delta: CallDelta) -> _Call | None:
        """The call by index, by id, or else the latest; ``None`` if ``delta`` begins one.

        Servers have been seen to give all calls one index, to send the id with every delta, to make up another id for
        each, and to send neither: so it is the name that tells whether a call begins.
        """
        by_id = self._by_id.get(delta.id)
        if delta.index is not None:
            call = self._by_index.get(delta.index)
            return None if call is None or (call is not by_id and _is_other(call, delta)) else call
        if by_id is not None or delta.name or not self._calls:
            return by_id
        return self._calls[-1]

    def _begin_call(self, delta: CallDelta) -> _Call:
        self._keep(ITEM_KEPT + len(delta.id))
        call_id = delta.id or f"call_{self.stem}_{len(self._calls)}"
        call = _Call(call_id, delta.is_custom)
        self._calls.append(call)
        if delta.id:
            self._by_id[delta.id] = call
        return call

    def _place(self, call: _Call, tell: Callable[[Event], None]) -> int:
        """The place of ``call`` in the output. Where it had none, what has been kept of it is told."""
        if call.place is not None:
            return call.place
        self._end_speech(tell)
        place = call.place = self._next_place()
        call.id = f"{'ctc' if call.is_custom else 'fc'}_{self.stem}_{place}"
        item = {**call.encode("in_progress"), call.member: ""}
        tell(("output_item.added", {"output_index": place, "item": item}))
        if call.texts:
            told = {"item_id": call.id, "output_index": place, "delta": "".join(call.texts)}
            tell((f"{call.events}.delta", told))
        return place

    def _end_call(
        self, place: int, call: _Call, incomplete: int | None, tell: Callable[[Event], None]
    ) -> None:
        call.is_done = True
        told = {"item_id": call.id, "output_index": place, "name": call.name}
        tell((f"{call.events}.done", {**told, call.member: "".join(call.texts)}))
        self._end_item(place, call.encode, incomplete, tell)


def _is_another(speech: _Speech, thought: Thought) -> bool:
    """Whether ``thought`` is of another block than the reasoning item that is being told."""
    return None not in {speech.block, thought.index} and speech.block != thought.index


def _filled(details: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """``details`` with the text that came apart from the signature, where there is one for all."""
    if len(details) == 1 and details[0].get("signature"):
        head = {"type": "", "text": "", "signature": ""}  # in one order, whole or streamed
        return [{**head, **details[0], "text": text}]
    return details


def _is_other(call: _Call, delta: CallDelta) -> bool:
    """Whether ``delta``, which came with the index of ``call``, begins another."""
    if not delta.name or not call.name:
        return False
    return delta.id not in {"", call.call_id} or delta.name != call.name


def _end_part(speech: _Speech, tell: Callable[[Event], None]) -> None:
    part, speech.part = speech.part, None
    if part is None:
        return
    made = part.encode()
    speech.parts.append(made)
    at = _at(speech, part)
    words = {name: value for name, value in made.items() if name in WORDS}
    tell((f"{EVENTS[part.saying]}.done", {**at, **words}))
    name = "reasoning_summary_part.done" if speech.is_reasoning else "content_part.done"
    tell((name, {**at, "part": made}))


def _size_of(logprobs: list[dict[str, Any]]) -> int:
    return LOGPROB_KEPT * sum(1 + len(told["top_logprobs"]) for told in logprobs)


def _at(speech: _Speech, part: _Part) -> dict[str, Any]:
    """Where a part is, as its events say it."""
    number = "summary_index" if speech.is_reasoning else "content_index"
    return {"item_id": speech.id, "output_index": speech.index, number: part.index}
